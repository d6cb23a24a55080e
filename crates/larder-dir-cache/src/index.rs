//! The index: one row for each entry, and the counters that its triggers keep.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use larder_sqlite::{Database, Schema};
use larder_storage::{Digest, Durability, Key, RESERVED_SEGMENT, Result};
use rusqlite::{OptionalExtension, params, types::Type};

mod change;
mod journals;
mod room;
mod row;

pub(crate) use journals::Use;
pub(crate) use room::Room;
use row::COLUMNS;
pub(crate) use row::{Row, State};

/// The version of the tables in `.larder/dirs.sqlite`.
pub const FORMAT_VERSION: u32 = 1;

/// The file of the index in the reserved directory.
pub(crate) const FILE: &str = "dirs.sqlite";

const SCHEMA: Schema = Schema {
    application_id: 0x4c5f_6469,
    version: FORMAT_VERSION,
    derived: true,
    create: include_str!("index/schema.sql"),
    rules: &[],
};

#[derive(Debug)]
pub(crate) struct Index {
    rows: Database,
    /// At `Power` a second way to the same database, for what need not survive a power cut: it flushes nothing.
    counts: Option<Database>,
}

/// What the counters say, and what they have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Entries that can be used.
    pub(crate) entries: u64,
    /// The sum of their sizes.
    pub(crate) size: u64,
    /// What all entries, builders and what is being deleted take or may take.
    pub(crate) used: u64,
}

impl Counters {
    fn parse(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self { entries: row.get(first)?, size: row.get(first + 1)?, used: row.get(first + 2)? })
    }
}

/// What has to be known to hand an entry out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present {
    pub(crate) id: i64,
    pub(crate) expires_at_ns: Option<i64>,
    pub(crate) checked_boot: Option<i64>,
}

impl Index {
    pub(crate) fn open(root: &Path, durability: Durability) -> Result<Self> {
        let path = root.join(RESERVED_SEGMENT).join(FILE);
        let rows = Database::open(&path, &SCHEMA, durability)?;
        let counts =
            durability.syncs().then(|| Database::open(&path, &SCHEMA, Durability::Process));
        Ok(Self { rows, counts: counts.transpose()? })
    }

    pub(crate) fn repair(root: &Path) -> Result<Option<PathBuf>> {
        larder_sqlite::repair(&root.join(RESERVED_SEGMENT).join(FILE), &SCHEMA)
    }

    pub(crate) fn verify(&self) -> Result<()> {
        self.rows.verify()
    }

    /// Makes the best of the room that there is on a full disk.
    pub(crate) fn empty_log(&self) -> Result<()> {
        self.rows.empty_log()
    }

    pub(crate) fn find(&self, key: &str) -> Result<Option<Row>> {
        self.rows.read(|db| {
            let mut query =
                db.prepare_cached(&format!("SELECT {COLUMNS} FROM entry WHERE key = ?1"))?;
            Ok(query.query_row([key], Row::parse).optional()?)
        })
    }

    /// The entry, if it is live.
    pub(crate) fn present(&self, key: &str) -> Result<Option<Present>> {
        self.rows.snapshot(|db| {
            let mut query = db.prepare_cached(
                "SELECT id, expires_at_ns, checked_boot FROM entry WHERE key = ?1 AND state = 1",
            )?;
            let parse = |row: &rusqlite::Row<'_>| {
                Ok(Present {
                    id: row.get(0)?,
                    expires_at_ns: row.get(1)?,
                    checked_boot: row.get(2)?,
                })
            };
            Ok(query.query_row([key], parse).optional()?)
        })
    }

    /// The entries that can be used, by key.
    pub(crate) fn live(&self) -> Result<Vec<Row>> {
        self.rows_where("state = 1 ORDER BY key")
    }

    /// Live entries whose priority is to be asked for.
    pub(crate) fn unranked(&self) -> Result<Vec<Row>> {
        self.rows_where("unranked = 1 AND state = 1")
    }

    /// Live entries of more than so many bytes.
    pub(crate) fn above(&self, size: u64) -> Result<Vec<Row>> {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        self.rows_where(&format!("size > {size} AND state = 1 ORDER BY id"))
    }

    fn rows_where(&self, condition: &str) -> Result<Vec<Row>> {
        self.rows.read(|db| {
            let mut query =
                db.prepare_cached(&format!("SELECT {COLUMNS} FROM entry WHERE {condition}"))?;
            Ok(query.query_map([], Row::parse)?.collect::<Result<_, _>>()?)
        })
    }

    /// The keys of all rows, whatever their state.
    pub(crate) fn keys(&self) -> Result<BTreeSet<Key>> {
        self.select("SELECT key FROM entry", None)
    }

    /// The keys of the entries that can be used, in order.
    pub(crate) fn live_keys(&self) -> Result<Vec<Key>> {
        self.select("SELECT key FROM entry WHERE state = 1 ORDER BY key", None)
    }

    /// The keys of what is being built, published or removed, or was when its process died.
    pub(crate) fn unfinished(&self) -> Result<Vec<Key>> {
        self.select("SELECT key FROM entry WHERE state <> 1", None)
    }

    /// The keys of live entries whose `.cache_meta` is behind.
    pub(crate) fn behind(&self) -> Result<Vec<Key>> {
        self.select("SELECT key FROM entry WHERE access_count <> meta_count AND state = 1", None)
    }

    /// The keys of live entries whose time was over at `now_ns`.
    pub(crate) fn expired(&self, now_ns: i64) -> Result<Vec<Key>> {
        let query =
            "SELECT key FROM entry WHERE expires_at_ns <= ?1 AND state = 1 ORDER BY expires_at_ns";
        self.select(query, Some(now_ns))
    }

    fn select<C: FromIterator<Key>>(&self, query: &str, bound: Option<i64>) -> Result<C> {
        let odd = |error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error));
        let parse = |row: &rusqlite::Row<'_>| Key::new(row.get::<_, String>(0)?).map_err(odd);
        self.rows.read(|db| {
            let mut query = db.prepare_cached(query)?;
            let bound = rusqlite::params_from_iter(bound);
            Ok(query.query_map(bound, parse)?.collect::<Result<_, _>>()?)
        })
    }

    pub(crate) fn counters(&self) -> Result<Counters> {
        let query = "SELECT (SELECT value FROM fact WHERE name = 'entries'),
                            (SELECT value FROM fact WHERE name = 'size'),
                            (SELECT value FROM fact WHERE name = 'used')";
        let parse = |row: &rusqlite::Row<'_>| Counters::parse(row, 0);
        self.rows.read(|db| Ok(db.prepare_cached(query)?.query_row([], parse)?))
    }

    /// The counters, and what they have to be: of one moment, so of one statement.
    pub(crate) fn counters_and_sums(&self) -> Result<(Counters, Counters)> {
        let query = "SELECT (SELECT value FROM fact WHERE name = 'entries'),
                            (SELECT value FROM fact WHERE name = 'size'),
                            (SELECT value FROM fact WHERE name = 'used'),
                            coalesce(sum(state = 1), 0), coalesce(sum((state = 1) * size), 0),
                            coalesce(sum(size), 0) + (SELECT coalesce(sum(size), 0) FROM trash) FROM entry";
        let parse =
            |row: &rusqlite::Row<'_>| Ok((Counters::parse(row, 0)?, Counters::parse(row, 3)?));
        self.rows.read(|db| Ok(db.prepare_cached(query)?.query_row([], parse)?))
    }

    /// The largest priority that was evicted.
    pub(crate) fn floor(&self) -> Result<f64> {
        let query = "SELECT value FROM fact WHERE name = 'floor'";
        self.rows.read(|db| Ok(db.prepare_cached(query)?.query_row([], |row| row.get(0))?))
    }

    /// The settings that the cache was last opened with, as JSON.
    pub(crate) fn settings(&self) -> Result<Option<String>> {
        let query = "SELECT value FROM fact WHERE name = 'settings'";
        self.rows.read(|db| Ok(db.query_row(query, [], |row| row.get(0)).optional()?))
    }

    pub(crate) fn set_settings(&self, settings: &str) -> Result<()> {
        let insert = "INSERT OR REPLACE INTO fact VALUES ('settings', ?1)";
        self.rows.write(|tx| Ok(tx.execute(insert, params![settings]).map(|_| ())?))
    }

    /// What does not need to survive a power cut goes here.
    fn accesses(&self) -> &Database {
        self.counts.as_ref().unwrap_or(&self.rows)
    }
}

/// A digest as the index has it; `None` where the bytes are too few or too many.
fn digest(bytes: &[u8]) -> Option<Digest> {
    <[u8; 32]>::try_from(bytes).ok().map(Digest::from)
}
