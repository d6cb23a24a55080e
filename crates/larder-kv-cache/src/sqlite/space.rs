//! What the rows take of the disk.

use larder_sqlite::Attempt;
use rusqlite::Connection;

/// As long as fewer pages than these are free, they stay for the rows to come.
const MIN_FREE: u64 = 64;
/// How many pages are given back for each row that is deleted: several, so that they all go in the end.
const RATE: u64 = 4;
/// How many at least, because rows may be large: 1 MiB, which takes less than a millisecond.
const MIN_PAGES: u64 = 256;

/// The bytes of the database, and those of them that are free.
pub(super) fn size(db: &Connection) -> Attempt<(u64, u64)> {
    let page = number(db, "page_size")?;
    Ok((number(db, "page_count")? * page, number(db, "freelist_count")? * page))
}

/// Gives some pages back to the file system, where rows were deleted and a third of all pages is free.
pub(super) fn give_back(db: &Connection, deleted: usize) -> Attempt<()> {
    if deleted == 0 {
        return Ok(());
    }
    let free = number(db, "freelist_count")?;
    if free >= MIN_FREE && free >= number(db, "page_count")? / 3 {
        let pages = (deleted as u64).saturating_mul(RATE).max(MIN_PAGES);
        let mut vacuum = db.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        // Each step frees a page.
        let mut steps = vacuum.query([])?;
        while steps.next()?.is_some() {}
    }
    Ok(())
}

fn number(db: &Connection, pragma: &str) -> rusqlite::Result<u64> {
    db.prepare_cached(&format!("PRAGMA {pragma}"))?.query_row([], |row| row.get(0))
}
