//! How one shard takes the place of others in the index.

use std::collections::HashSet;

use larder_sqlite::Attempt;
use larder_storage::{Key, Result};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Index, find_id, insert_rows, insert_shard};
use crate::shard::{RowEntry, Shard};

/// A shard that another one replaces, and its rows.
pub(crate) type Replaceable = (Key, Vec<RowEntry>);

/// What became of shards when another one took their rows over.
#[derive(Debug, Default)]
pub(crate) struct TakenOver {
    /// How many rows others keep.
    pub(crate) taken: u64,
    /// The replaced shards that have no row left, which are not indexed any more.
    pub(crate) dropped: Vec<Key>,
    /// Those that turned out to be others than were indexed, which are to be indexed anew.
    pub(crate) changed: Vec<Key>,
}

impl Index {
    /// Adds a shard, which takes over what it has in common with shards that are gone and, where the checksum of the
    /// embedding is the same, with those that it replaces.
    pub(crate) fn take_over(
        &self,
        shard: &Shard,
        rows: Vec<RowEntry>,
        gone: &[Key],
        replaced: &[Replaceable],
    ) -> Result<TakenOver> {
        self.forget_known();
        self.db.write(|tx| {
            let gone = ids(tx, gone.iter())?;
            let named = ids(tx, replaced.iter().map(|(path, _)| path))?;
            let id = insert_shard(tx, &shard.info(rows.len()))?;
            let taken = insert_rows(tx, id, &rows)?;
            let mut outcome = TakenOver { taken, ..TakenOver::default() };
            if taken > 0 {
                let yields = |from, old: Option<u32>, row: &RowEntry| {
                    gone.contains(&from)
                        || named.contains(&from) && old.is_none_or(|old| row.crc == Some(old))
                };
                outcome.taken -= move_rows(tx, id, &rows, yields)?;
            }
            for (path, rows) in replaced {
                let Some(id) = find_id(tx, path)? else { continue };
                match left(tx, id, rows)? {
                    Left::Rows => continue,
                    Left::Nothing => outcome.dropped.push(path.clone()),
                    Left::Other => outcome.changed.push(path.clone()),
                }
                tx.prepare_cached("DELETE FROM shard WHERE id = ?1")?.execute([id])?;
            }
            Ok(outcome)
        })
    }
}

/// Lets those rows that another shard holds and `yields` point into the shard `id`; returns how many.
fn move_rows(
    tx: &Connection,
    id: i64,
    rows: &[RowEntry],
    yields: impl Fn(i64, Option<u32>, &RowEntry) -> bool,
) -> Attempt<u64> {
    let mut select = tx.prepare_cached("SELECT shard, crc32c FROM embedding WHERE key = ?1")?;
    let mut update = tx.prepare_cached(
        "UPDATE embedding SET shard = ?2, row_number = ?3, crc32c = ?4, byte_offset = ?5 WHERE key = ?1",
    )?;
    let mut moved = 0;
    for row in rows {
        let key = *row.key.digest().as_bytes();
        let (from, crc): (i64, Option<u32>) =
            select.query_row([&key[..]], |found| Ok((found.get(0)?, found.get(1)?)))?;
        if from != id && yields(from, crc, row) {
            update.execute(params![&key[..], id, row.row, row.crc, row.offset])?;
            moved += 1;
        }
    }
    Ok(moved)
}

/// What is left of a shard whose rows went to another one.
enum Left {
    /// Rows that are found in it, or have other embeddings elsewhere.
    Rows,
    Nothing,
    /// Rows that are not indexed at all.
    Other,
}

fn left(tx: &Connection, id: i64, rows: &[RowEntry]) -> Attempt<Left> {
    let mut select = tx.prepare_cached("SELECT shard, crc32c FROM embedding WHERE key = ?1")?;
    let mut left = Left::Nothing;
    for row in rows {
        let found: Option<(i64, Option<u32>)> = select
            .query_row([&row.key.digest().as_bytes()[..]], |found| {
                Ok((found.get(0)?, found.get(1)?))
            })
            .optional()?;
        match found {
            None => left = Left::Other,
            Some((shard, crc)) if shard == id || row.crc.is_some() && row.crc != crc => {
                return Ok(Left::Rows);
            }
            Some(_) => {}
        }
    }
    Ok(left)
}

/// The ids of those of these shards that are indexed.
fn ids<'a>(db: &Connection, paths: impl Iterator<Item = &'a Key>) -> Attempt<HashSet<i64>> {
    paths.filter_map(|path| find_id(db, path).transpose()).collect()
}
