//! What it takes to make the index anew.

use larder_embedding_shards::WindowKey;
use rusqlite::{Connection, params};
use serde_json::json;

use super::{
    FEW_ROWS,
    shelf::{Shelf, scaled},
};
use crate::{
    Outcome,
    rounds::{Table, Turn, compare_turns, once},
};

const ROUNDS: usize = 5;
/// How many rows times are told for.
const TOLD: usize = 1000;

pub(super) fn all(shelf: &Shelf<'_>) -> Outcome<Table> {
    let mut keys: Vec<[u8; WindowKey::LEN]> = shelf.keys.iter().map(WindowKey::to_bytes).collect();
    keys.sort_unstable();
    let mut contenders = vec![("bare SQLite", bare(shelf, &keys)?), ("Larder", larder(shelf)?)];
    let scale = TOLD as f64 / FEW_ROWS as f64;
    contenders.extend(shelf.remote("geno-lewm", scale, |_| json!({ "request": "reindex" })));
    let title = format!("index anew, told for 1,000 rows, {}", shelf.data.name);
    Ok(Table { things: TOLD, ..compare_turns(&title, ROUNDS, contenders)? })
}

/// Replaces all rows of a table by rows of the same keys, in their order and one transaction.
fn bare<'a>(shelf: &Shelf<'_>, keys: &'a [[u8; WindowKey::LEN]]) -> Outcome<Turn<'a>> {
    let mut db = Connection::open(shelf.dirs.next()?.join("index.sqlite"))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.execute_batch(
        "CREATE TABLE embedding (key BLOB PRIMARY KEY, shard INTEGER, row_number INTEGER, crc32c INTEGER,
         byte_offset INTEGER) WITHOUT ROWID",
    )?;
    Ok(Box::new(move |_| {
        told(keys.len(), || {
            let transaction = db.transaction()?;
            transaction.execute("DELETE FROM embedding", [])?;
            let mut insert =
                transaction.prepare("INSERT INTO embedding VALUES (?1, 1, ?2, ?2, ?2)")?;
            for (row, key) in keys.iter().enumerate() {
                insert.execute(params![&key[..], row])?;
            }
            drop(insert);
            Ok(transaction.commit()?)
        })
    }))
}

fn larder<'a>(shelf: &'a Shelf<'_>) -> Outcome<Turn<'a>> {
    let cache = shelf.larder()?;
    Ok(Box::new(move |_| {
        told(shelf.data.rows, || {
            let report = cache.reindex()?;
            let is_whole =
                report.indexed_rows == shelf.data.rows as u64 && report.problems.is_empty();
            if is_whole { Ok(()) } else { Err("the new index lacks rows".into()) }
        })
    }))
}

/// What work on these rows takes for as many as times are told for.
fn told(rows: usize, work: impl FnMut() -> Outcome) -> Outcome<Vec<f64>> {
    Ok(scaled(once(work)?, TOLD as f64 / rows as f64))
}
