//! The index: one row for each entry, and the counters that its triggers keep.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use larder_sqlite::{Attempt, Database, Schema};
use larder_storage::{Digest, Durability, Error, ErrorKind, Key, RESERVED_SEGMENT, Result};
use rusqlite::{Connection, OptionalExtension, Transaction, params, types::Type};

mod row;

use row::COLUMNS;
pub(crate) use row::{Row, State};

use crate::tree::Tree;

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
    /// At `Power` a second way to the same database, for what happens with every access: it flushes nothing.
    counts: Option<Database>,
}

/// What the counters say, and what the rows add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) entries: u64,
    pub(crate) size: u64,
}

impl Counters {
    fn parse(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self { entries: row.get(first)?, size: row.get(first + 1)? })
    }
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

    pub(crate) fn find(&self, key: &str) -> Result<Option<Row>> {
        self.rows.read(|db| {
            let mut query =
                db.prepare_cached(&format!("SELECT {COLUMNS} FROM entry WHERE key = ?1"))?;
            Ok(query.query_row([key], Row::parse).optional()?)
        })
    }

    /// The entries that can be used, by key.
    pub(crate) fn live(&self) -> Result<Vec<Row>> {
        self.rows.read(|db| {
            let mut query = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM entry WHERE state = 1 ORDER BY key"
            ))?;
            Ok(query.query_map([], Row::parse)?.collect::<Result<_, _>>()?)
        })
    }

    /// The keys of all rows, whatever their state.
    pub(crate) fn keys(&self) -> Result<BTreeSet<Key>> {
        self.select("SELECT key FROM entry")
    }

    /// The keys of the entries that can be used, in order.
    pub(crate) fn live_keys(&self) -> Result<Vec<Key>> {
        self.select("SELECT key FROM entry WHERE state = 1 ORDER BY key")
    }

    /// The keys of what is being published or removed, or was when its process died.
    pub(crate) fn unfinished(&self) -> Result<Vec<Key>> {
        self.select("SELECT key FROM entry WHERE state <> 1")
    }

    /// The keys of live entries whose `.cache_meta` is behind.
    pub(crate) fn behind(&self) -> Result<Vec<Key>> {
        self.select("SELECT key FROM entry WHERE access_count <> meta_count AND state = 1")
    }

    fn select<C: FromIterator<Key>>(&self, query: &str) -> Result<C> {
        let odd = |error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error));
        let parse = |row: &rusqlite::Row<'_>| Key::new(row.get::<_, String>(0)?).map_err(odd);
        self.rows.read(|db| {
            let mut query = db.prepare_cached(query)?;
            Ok(query.query_map([], parse)?.collect::<Result<_, _>>()?)
        })
    }

    pub(crate) fn is_live(&self, key: &str) -> Result<bool> {
        self.rows.read(|db| {
            let mut query =
                db.prepare_cached("SELECT 1 FROM entry WHERE key = ?1 AND state = 1")?;
            Ok(query.exists([key])?)
        })
    }

    pub(crate) fn counters(&self) -> Result<Counters> {
        let query = "SELECT (SELECT value FROM fact WHERE name = 'entries'),
                            (SELECT value FROM fact WHERE name = 'size')";
        let parse = |row: &rusqlite::Row<'_>| Counters::parse(row, 0);
        self.rows.read(|db| Ok(db.prepare_cached(query)?.query_row([], parse)?))
    }

    /// The counters, and what they have to be: of one moment, so of one statement.
    pub(crate) fn counters_and_sums(&self) -> Result<(Counters, Counters)> {
        let query = "SELECT (SELECT value FROM fact WHERE name = 'entries'),
                            (SELECT value FROM fact WHERE name = 'size'),
                            count(*), coalesce(sum(size), 0) FROM entry";
        let parse =
            |row: &rusqlite::Row<'_>| Ok((Counters::parse(row, 0)?, Counters::parse(row, 2)?));
        self.rows.read(|db| Ok(db.prepare_cached(query)?.query_row([], parse)?))
    }

    /// Refuses a key with an entry above or below it.
    pub(crate) fn check_free(&self, key: &Key) -> Result<()> {
        self.rows.read(|db| check_free(db, key))
    }

    /// Adds an entry; `Invalid` where one lies above or below it.
    pub(crate) fn insert(&self, key: &Key, row: &Row) -> Result<()> {
        self.rows.write(|tx| {
            check_free(tx, key)?;
            tx.execute(
                &format!(
                    "INSERT INTO entry ({COLUMNS}) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)"
                ),
                params![
                    row.key,
                    row.state as i64,
                    row.size,
                    row.files,
                    row.listing.as_bytes(),
                    row.built_at_ns,
                    row.last_access_ns,
                    row.access_count,
                    row.meta_count,
                    row.build_cost_ns,
                    row.pinned,
                ],
            )?;
            Ok(())
        })
    }

    /// Counts an access; whether there is such an entry.
    pub(crate) fn touch(&self, key: &str, now_ns: i64) -> Result<bool> {
        self.accesses().write(|tx| {
            let mut update = tx.prepare_cached(
                "UPDATE entry SET access_count = access_count + 1, last_access_ns = max(last_access_ns, ?2)
                 WHERE key = ?1 AND state = 1",
            )?;
            Ok(update.execute(params![key, now_ns])? == 1)
        })
    }

    /// Records when leases ended; their `.cache_meta` are behind then.
    pub(crate) fn released<'a>(
        &self,
        ends: impl Iterator<Item = (&'a Key, &'a i64)>,
    ) -> Result<()> {
        self.accesses().write(|tx| {
            let mut update = tx.prepare_cached(
                "UPDATE entry SET last_access_ns = ?2, meta_count = -1 WHERE key = ?1 AND last_access_ns < ?2",
            )?;
            for (key, end_ns) in ends {
                update.execute(params![key.as_str(), end_ns])?;
            }
            Ok(())
        })
    }

    /// Records that `.cache_meta` has what `row` says, unless there was an access or a correction since.
    pub(crate) fn written(&self, row: &Row) -> Result<()> {
        self.accesses().write(|tx| {
            let update = "UPDATE entry SET meta_count = ?2
                          WHERE key = ?1 AND last_access_ns = ?3 AND size = ?4 AND files = ?5 AND pinned = ?6";
            tx.prepare_cached(update)?.execute(params![
                row.key,
                row.access_count,
                row.last_access_ns,
                row.size,
                row.files,
                row.pinned
            ])?;
            Ok(())
        })
    }

    fn accesses(&self) -> &Database {
        self.counts.as_ref().unwrap_or(&self.rows)
    }

    /// Makes a published entry usable; its `.cache_meta` has the count of the row.
    pub(crate) fn publish(&self, row: &Row) -> Result<bool> {
        self.change(|tx| {
            let update = "UPDATE entry SET state = 1, meta_count = access_count WHERE key = ?1";
            Ok(tx.execute(update, [&row.key])?)
        })
    }

    /// Announces a removal; whether there is such an entry.
    pub(crate) fn begin_removal(&self, key: &str) -> Result<bool> {
        self.change(|tx| {
            Ok(tx.execute("UPDATE entry SET state = 2 WHERE key = ?1 AND state = 1", [key])?)
        })
    }

    /// Takes the announcement of a removal back; the entry lacks its `.cache_meta`.
    pub(crate) fn abandon_removal(&self, key: &str) -> Result<bool> {
        self.change(|tx| {
            let update = "UPDATE entry SET state = 1, meta_count = -1 WHERE key = ?1 AND state = 2";
            Ok(tx.execute(update, [key])?)
        })
    }

    pub(crate) fn delete(&self, key: &str) -> Result<bool> {
        self.change(|tx| Ok(tx.execute("DELETE FROM entry WHERE key = ?1", [key])?))
    }

    /// Replaces what was measured; `.cache_meta` is behind then.
    pub(crate) fn correct(&self, key: &str, tree: &Tree) -> Result<bool> {
        let update =
            "UPDATE entry SET size = ?2, files = ?3, listing = ?4, meta_count = -1 WHERE key = ?1";
        self.change(|tx| {
            Ok(tx.execute(update, params![key, tree.size, tree.files, tree.listing.as_bytes()])?)
        })
    }

    fn change(&self, work: impl FnOnce(&Transaction<'_>) -> Attempt<usize>) -> Result<bool> {
        self.rows.write(work).map(|changed| changed == 1)
    }
}

fn check_free(db: &Connection, key: &Key) -> Attempt<()> {
    // Below `a` lie the keys from `a/` on and before `a0`, because `0` follows `/`.
    let mut below = db.prepare_cached(
        "SELECT key FROM entry WHERE key > ?1 || '/' AND key < ?1 || '0' LIMIT 1",
    )?;
    let below: Option<String> = below.query_row([key.as_str()], |row| row.get(0)).optional()?;
    if let Some(below) = below {
        return Err(nested(key, &format!("the entry {below:?} lies below this key")).into());
    }
    let mut above = db.prepare_cached("SELECT 1 FROM entry WHERE key = ?1")?;
    let mut parent = key.parent();
    while let Some(key_above) = parent {
        if above.exists([key_above.as_str()])? {
            return Err(nested(
                key,
                &format!("this key lies inside the entry {:?}", key_above.as_str()),
            )
            .into());
        }
        parent = key_above.parent();
    }
    Ok(())
}

fn nested(key: &Key, what: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{what}: entries do not nest, choose another key"))
        .at_key(key)
}

/// A digest as the index has it; `None` where the bytes are too few or too many.
fn digest(bytes: &[u8]) -> Option<Digest> {
    <[u8; 32]>::try_from(bytes).ok().map(Digest::from)
}
