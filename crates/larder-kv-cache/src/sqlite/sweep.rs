//! Rows of entries that were cleared or have expired go a few at a time, with later writes.

use larder_sqlite::Attempt;
use rusqlite::params;

use super::writer::Writer;

/// How many rows are deleted for each one that is written: more than one, so that they all go in the end.
const RATE: usize = 8;

/// How many rows are looked for at once where all go.
const MANY: usize = 10_000;

pub(super) const DEAD: &str =
    "SELECT id FROM (SELECT id FROM entry WHERE id <= ?1 ORDER BY id LIMIT ?3)
    UNION SELECT id FROM (SELECT id FROM entry WHERE expires_at <= ?2 LIMIT ?3)
    UNION SELECT entry FROM (SELECT entry FROM cleared_entry_tag LIMIT ?3)
    LIMIT ?3";

/// Deletes a few.
pub(super) fn some(writer: &mut Writer<'_>, writes: usize) -> Attempt<()> {
    let mut left = writes.saturating_mul(RATE);
    while left > 0 {
        let swept = batch(writer, left)?;
        if swept == 0 {
            break;
        }
        left -= swept;
    }
    Ok(())
}

pub(super) fn all(writer: &mut Writer<'_>) -> Attempt<()> {
    while batch(writer, MANY)? > 0 {}
    Ok(())
}

/// Deletes one; whether there was one.
pub(super) fn one(writer: &mut Writer<'_>) -> Attempt<bool> {
    Ok(batch(writer, 1)? > 0)
}

fn batch(writer: &mut Writer<'_>, limit: usize) -> Attempt<usize> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let ids = {
        let mut query = writer.tx.prepare_cached(DEAD)?;
        let rows = query
            .query_map(params![writer.settings.cleared_through, writer.now, limit], |row| {
                row.get(0)
            })?;
        rows.collect::<rusqlite::Result<Vec<i64>>>()?
    };
    for id in &ids {
        writer.sweep(*id)?;
    }
    Ok(ids.len())
}
