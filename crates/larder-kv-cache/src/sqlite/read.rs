//! Queries. A row of another type than it was written with is damage.

use std::{borrow::Cow, collections::HashSet, iter::Peekable};

use larder_sqlite::Attempt;
use larder_storage::{Error, ErrorKind, Result};
use rusqlite::{Connection, OptionalExtension, Row, Rows, params, types::Value};
use serde_json::Value as Json;

use crate::{
    Lookup,
    engine::{EachEntry, Found},
    value::Stored,
};

/// Looks one key up; `place` names it in an error.
pub(super) fn find(
    db: &Connection,
    key: &str,
    now: i64,
    place: impl Fn(&str) -> String,
) -> Attempt<Lookup<Found>> {
    let mut query = db.prepare_cached(
        "SELECT encoding, crc32c, value, expires_at FROM live_entry WHERE key = ?1",
    )?;
    let mut rows = query.query([key])?;
    let Some(row) = rows.next()? else { return Ok(Lookup::Miss) };
    let expires_at = row.get(3)?;
    if is_expired(expires_at, now) {
        return Ok(Lookup::Expired);
    }
    let json = stored(row)?.unpack(key, || place(key))?;
    Ok(Lookup::Hit(Found { json, expires_at }))
}

/// Whether one key is live.
pub(super) fn is_live(db: &Connection, key: &str, now: i64) -> Attempt<bool> {
    let mut query = db.prepare_cached(
        "SELECT 1 FROM live_entry WHERE key = ?1 AND (expires_at IS NULL OR expires_at > ?2)",
    )?;
    Ok(query.exists(params![key, now])?)
}

/// Reads the columns `encoding, crc32c, value`, which come first. No sound checksum is negative.
pub(super) fn stored<'a>(row: &'a Row<'_>) -> rusqlite::Result<Stored<'a>> {
    Ok(Stored {
        encoding: row.get_ref(0)?.as_i64().unwrap_or(-1),
        crc32c: row.get_ref(1)?.as_i64().unwrap_or(-1),
        bytes: Cow::Borrowed(row.get_ref(2)?.as_bytes().unwrap_or_default()),
    })
}

pub(super) fn is_expired(expires_at: Option<i64>, now: i64) -> bool {
    expires_at.is_some_and(|at| at <= now)
}

/// How many keys that nobody asked for are stepped over before the next one asked for is looked up instead.
const STRIDE: usize = 8;

const DEAD: &str =
    "SELECT id FROM entry WHERE expires_at <= ?1 UNION ALL SELECT entry FROM cleared_entry_tag";

/// Tells of keys whether they are live, by the index of the keys alone.
pub(super) struct Presence<'db> {
    db: &'db Connection,
    cleared_through: i64,
    /// Of those above the mark.
    dead: HashSet<i64>,
}

impl<'db> Presence<'db> {
    pub(super) fn new(db: &'db Connection, now: i64) -> Attempt<Self> {
        let dead = db
            .prepare_cached(DEAD)?
            .query_map([now], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mark = "SELECT value FROM meta WHERE name = 'cleared_through'";
        // Where the mark is gone, nothing is live.
        let mark: Option<i64> =
            db.prepare_cached(mark)?.query_row([], |row| row.get(0)).optional()?;
        Ok(Self { db, cleared_through: mark.unwrap_or(i64::MAX), dead })
    }

    /// Goes through the index in its order, of which each page is then read once.
    pub(super) fn of(&self, keys: &[&str]) -> Attempt<Vec<bool>> {
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_unstable_by_key(|at| keys[*at]);
        let mut present = vec![false; keys.len()];
        let mut wanted = order.into_iter().peekable();
        let mut query =
            self.db.prepare_cached("SELECT key, id FROM entry WHERE key >= ?1 ORDER BY key")?;
        while let Some(first) = wanted.peek() {
            let mut rows = query.query([keys[*first]])?;
            if !self.walk(&mut rows, keys, &mut wanted, &mut present)? {
                break;
            }
        }
        Ok(present)
    }

    /// Whether it stopped before a key that lies far away, and not at the end of the index.
    fn walk(
        &self,
        rows: &mut Rows<'_>,
        keys: &[&str],
        wanted: &mut Peekable<impl Iterator<Item = usize>>,
        present: &mut [bool],
    ) -> Attempt<bool> {
        let mut steps = 0;
        while let Some(row) = rows.next()? {
            let here = row.get_ref(0)?.as_bytes().unwrap_or_default();
            steps += 1;
            while let Some(at) = wanted.next_if(|at| keys[*at].as_bytes() <= here) {
                present[at] = keys[at].as_bytes() == here && self.is_live(row.get(1)?);
                steps = 0;
            }
            if steps == STRIDE || wanted.peek().is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_live(&self, id: i64) -> bool {
        id > self.cleared_through && !self.dead.contains(&id)
    }

    /// The number of live entries.
    pub(super) fn count(&self) -> Attempt<u64> {
        // It reads the index of the keys alone, without the values.
        let all = rows(self.db)?;
        let mut cleared = self.db.prepare_cached("SELECT count(*) FROM entry WHERE id <= ?1")?;
        let cleared: u64 = cleared.query_row([self.cleared_through], |row| row.get(0))?;
        let dead = self.dead.iter().filter(|id| **id > self.cleared_through).count() as u64;
        // A damaged index may count fewer keys than there are rows.
        Ok(all.saturating_sub(cleared).saturating_sub(dead))
    }
}

const KEYS: &str =
    "SELECT key FROM live_entry WHERE (expires_at IS NULL OR expires_at > ?1) ORDER BY id";

/// Sorts what the index of the keys gives, and does not go through all rows in their order.
const KEYS_FROM: &str = "SELECT key FROM live_entry
    WHERE key >= ?2 AND key < ?3 AND (expires_at IS NULL OR expires_at > ?1) ORDER BY +id";

/// The live keys that begin with `prefix`, oldest place first.
pub(super) fn keys(db: &Connection, prefix: &str, now: i64) -> Attempt<Vec<String>> {
    let mut query = db.prepare_cached(if prefix.is_empty() { KEYS } else { KEYS_FROM })?;
    let mut rows = if prefix.is_empty() {
        query.query([now])?
    } else {
        // Every text comes before every blob.
        let end = successor(prefix).map_or(Value::Blob(Vec::new()), Value::Text);
        query.query(params![now, prefix, end])?
    };
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(key_of(row, 0)?.to_owned());
    }
    Ok(keys)
}

/// Gives every live entry in its order, the value as JSON text.
pub(super) fn entries(
    db: &Connection,
    now: i64,
    place: impl Fn(&str) -> String,
    each: &mut EachEntry<'_>,
) -> Attempt<()> {
    let mut query = db.prepare(
        "SELECT encoding, crc32c, value, key FROM live_entry
         WHERE (expires_at IS NULL OR expires_at > ?1) ORDER BY id",
    )?;
    let mut rows = query.query([now])?;
    while let Some(row) = rows.next()? {
        let key = key_of(row, 3)?;
        let spelled = Json::from(key).to_string();
        each(spelled.as_bytes(), &stored(row)?.unpack(key, || place(key))?)?;
    }
    Ok(())
}

fn key_of<'a>(row: &'a Row<'_>, column: usize) -> Attempt<&'a str> {
    let damaged = |error| {
        Error::new(ErrorKind::Corrupt, "a stored key is damaged: `verify` lists all damage")
            .with_source(error)
    };
    Ok(row.get_ref(column)?.as_str().map_err(damaged)?)
}

/// The least text above all that begin with `prefix`, as SQLite compares text, by its bytes.
fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

/// The number of rows, live or not.
pub(super) fn rows(db: &Connection) -> Attempt<u64> {
    Ok(db.prepare_cached("SELECT count(*) FROM entry")?.query_row([], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_query_goes_through_rows_that_it_does_not_ask_for() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(crate::sqlite::SCHEMA.create).unwrap();
        for query in
            [KEYS_FROM, DEAD, crate::sqlite::sweep::DEAD, "SELECT max(cleared_through) FROM tag"]
        {
            let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
            let mut steps = plan.raw_query();
            while let Some(row) = steps.next().unwrap() {
                let step: String = row.get(3).unwrap();
                let is_walk = ["SCAN entry", "SCAN tag"].iter().any(|it| step.starts_with(it));
                assert!(!is_walk, "{query}: {step}");
            }
        }
    }

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(successor("a").as_deref(), Some("b"));
        assert_eq!(successor("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(successor("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(successor("\u{10ffff}"), None);
    }
}
