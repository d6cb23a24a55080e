//! Whether a whole database is as it was written.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use larder_storage::{Error, ErrorKind};
use rusqlite::Connection;

use crate::{
    Schema,
    open::{beside, has_content, number},
};

/// Of each table, index, view and trigger its type, its name, the name of its table, and its statement.
type Definitions = Vec<Vec<Option<Vec<u8>>>>;

const OTHER_TABLES: &str = "its tables are not those of this format";

/// What is said of a database in which this was found.
pub(crate) fn damaged(path: &Path, finding: &str) -> Error {
    let message = format!("the database is damaged ({finding}): `repair` moves it aside");
    Error::new(ErrorKind::Corrupt, message).at_path(path)
}

/// What keeps a database from being opened at all: a table, index, view or trigger that is missing or is another one. It
/// would be met in the middle of the work otherwise, after something was written. What is there besides does no harm.
pub(crate) fn obstacle(db: &Connection, schema: &Schema) -> rusqlite::Result<Option<&'static str>> {
    let found = definitions(db)?;
    let is_whole = expected(schema)?.iter().all(|definition| found.contains(definition));
    Ok((!is_whole).then_some(OTHER_TABLES))
}

/// The first thing that is wrong, in one line.
pub(crate) fn finding(db: &Connection, schema: &Schema) -> rusqlite::Result<Option<String>> {
    if is_cut_short(db)? {
        return Ok(Some("the file ends within a page".to_owned()));
    }
    if definitions(db)? != *expected(schema)? {
        return Ok(Some(OTHER_TABLES.to_owned()));
    }
    let finding: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    // The line before the last one only names the database.
    let line = finding.lines().last().unwrap_or_default();
    if line != "ok" {
        return Ok(Some(line.to_owned()));
    }
    for (broken, what) in schema.rules {
        if db.prepare(broken)?.exists([])? {
            return Ok(Some((*what).to_owned()));
        }
    }
    Ok(None)
}

/// Whether the file lacks a part of its last page, which SQLite's check takes for zeros. Pages that are still in the
/// log may be missing from the file.
fn is_cut_short(db: &Connection) -> rusqlite::Result<bool> {
    let pages = number(db, "page_count")? * number(db, "page_size")?;
    let Some(path) = db.path().map(Path::new) else { return Ok(false) };
    let is_shorter = fs::metadata(path).is_ok_and(|found| found.len() < pages.cast_unsigned());
    Ok(is_shorter && !has_content(&beside(path, "-wal")))
}

/// What the tables, indices, views and triggers are. One flipped bit in a definition can change what a query means, and SQLite's
/// own check takes each definition as it stands.
fn definitions(db: &Connection) -> rusqlite::Result<Definitions> {
    let mut query = db.prepare(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' \
         ORDER BY type, name",
    )?;
    let rows = query.query_map([], |row| {
        (0..4).map(|at| Ok(row.get_ref(at)?.as_bytes_or_null()?.map(<[u8]>::to_vec))).collect()
    })?;
    rows.collect()
}

/// What a new database has. To make one for this costs about as much as to open one, so it is done once in a process.
fn expected(schema: &Schema) -> rusqlite::Result<Arc<Definitions>> {
    static KNOWN: Mutex<BTreeMap<&str, Arc<Definitions>>> = Mutex::new(BTreeMap::new());
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(definitions) = known().get(schema.create) {
        return Ok(Arc::clone(definitions));
    }
    let db = Connection::open_in_memory()?;
    db.execute_batch(schema.create)?;
    let definitions = Arc::new(definitions(&db)?);
    known().insert(schema.create, Arc::clone(&definitions));
    Ok(definitions)
}
