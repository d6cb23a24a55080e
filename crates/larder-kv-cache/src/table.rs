//! The tables of a namespace, and the queries on them.
//!
//! An entry is live while its id is above `cleared_through`. New ids are above every earlier one that may be cleared,
//! so that clearing is one small write, whatever the number of entries, and what was cleared stays so.

use larder_sqlite::{Attempt, Schema};
use larder_storage::{Error, ErrorKind, crc32c, crc32c_append};
use rusqlite::{Connection, OptionalExtension, Row};

/// The version of a namespace's database: its tables, and what they hold.
pub const FORMAT_VERSION: u32 = 1;

pub(crate) const SCHEMA: Schema = Schema {
    application_id: 0x4c5f_6b76, // "L_kv"
    version: FORMAT_VERSION,
    derived: false,
    create: "
        CREATE TABLE meta (
            name TEXT PRIMARY KEY,
            value ANY NOT NULL
        ) STRICT, WITHOUT ROWID;
        INSERT INTO meta (name, value) VALUES ('cleared_through', 0);
        CREATE TABLE entry (
            id INTEGER PRIMARY KEY,
            key TEXT NOT NULL UNIQUE,
            encoding INTEGER NOT NULL,
            crc32c INTEGER NOT NULL,
            written_at INTEGER NOT NULL,
            expires_at INTEGER,
            accessed_at INTEGER,
            uses INTEGER NOT NULL DEFAULT 0,
            value ANY NOT NULL
        ) STRICT;
        CREATE VIEW live_entry AS
            SELECT * FROM entry WHERE id > (SELECT value FROM meta WHERE name = 'cleared_through');
    ",
};

/// The encoding of a value that is JSON text.
pub(crate) const JSON_TEXT: i64 = 0;

/// The checksum of an entry. It covers the key too, so that no damaged index can pass one key's value for another's.
pub(crate) fn checksum(key: &str, value: &[u8]) -> u32 {
    crc32c_append(crc32c(key.as_bytes()), value)
}

/// A stored value, as it was found.
pub(crate) struct Stored {
    encoding: i64,
    crc32c: i64,
    value: Vec<u8>,
}

impl Stored {
    /// Reads the columns `encoding, crc32c, value`, which come first. A column of another type than it was written
    /// with is damage, and no sound checksum is negative.
    pub(crate) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            encoding: row.get_ref(0)?.as_i64().unwrap_or(-1),
            crc32c: row.get_ref(1)?.as_i64().unwrap_or(-1),
            value: row.get_ref(2)?.as_bytes().unwrap_or_default().to_vec(),
        })
    }

    /// The JSON text, if it is the one that was stored under `key`; `place` names the entry in the error.
    pub(crate) fn into_json(self, key: &str, place: &str) -> Result<Vec<u8>, Error> {
        if self.crc32c != i64::from(checksum(key, &self.value)) {
            let message = format!("the value of {place} is damaged: set it again or invalidate it");
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        if self.encoding != JSON_TEXT {
            let message = format!(
                "the value of {place} has the unknown encoding {}: upgrade Larder",
                self.encoding
            );
            return Err(Error::new(ErrorKind::Format, message));
        }
        Ok(self.value)
    }
}

pub(crate) fn find(db: &Connection, key: &str) -> Attempt<Option<Stored>> {
    let mut query =
        db.prepare_cached("SELECT encoding, crc32c, value FROM live_entry WHERE key = ?1")?;
    Ok(query.query_row([key], Stored::of).optional()?)
}

pub(crate) fn contains(db: &Connection, key: &str) -> Attempt<bool> {
    Ok(db.prepare_cached("SELECT 1 FROM live_entry WHERE key = ?1")?.exists([key])?)
}

/// The live keys, oldest place first.
pub(crate) fn keys(db: &Connection) -> Attempt<Vec<String>> {
    let mut query = db.prepare_cached("SELECT key FROM live_entry ORDER BY id")?;
    let mut rows = query.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let damaged = |error| {
            Error::new(ErrorKind::Corrupt, "a stored key is damaged: `verify` lists all damage")
                .with_source(error)
        };
        keys.push(row.get_ref(0)?.as_str().map_err(damaged)?.to_owned());
    }
    Ok(keys)
}

/// The number of entries that are live, and of those that are cleared.
pub(crate) fn count(db: &Connection) -> Attempt<(u64, u64)> {
    // Counting all of them reads the index of the keys alone, without the values.
    let mut query = db.prepare_cached(
        "SELECT (SELECT count(*) FROM entry),
                (SELECT count(*) FROM entry WHERE id <= (SELECT value FROM meta WHERE name = 'cleared_through'))",
    )?;
    let (all, cleared): (u64, u64) = query.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    // A damaged index may count fewer keys than there are rows.
    Ok((all.saturating_sub(cleared), cleared))
}

/// The size of the database and the free part of it, in bytes.
pub(crate) fn size(db: &Connection) -> Attempt<(u64, u64)> {
    let number = |pragma| db.pragma_query_value(None, pragma, |row| row.get::<_, u64>(0));
    let page = number("page_size")?;
    Ok((number("page_count")? * page, number("freelist_count")? * page))
}
