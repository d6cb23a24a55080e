//! The SQLite index: from a key to a shard, a row and an offset. It can always be made again from the shards.
//!
//! A key is kept as its digest: half as long, so that half as much of the tree is looked at, and different in its first
//! bytes, which is where keys are compared.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use larder_sqlite::{Attempt, Database, Schema};
use larder_storage::{Durability, Error, ErrorKind, Key, RESERVED_SEGMENT, Result};
use rusqlite::{Connection, OptionalExtension, Row, Statement, params};

use crate::{
    Embedding, INDEX_FORMAT_VERSION, ShardInfo, WindowKey,
    checked::Checked,
    shard::{RowEntry, Shard},
};

mod rebuild;
mod take_over;

use rebuild::insert_entries;
pub(crate) use rebuild::{Entry, sorted};

pub(crate) use take_over::{Replaceable, TakenOver};

/// A shard's id is never used twice, so what is remembered under one can be stale but never of another shard.
const SCHEMA: Schema = Schema {
    application_id: 0x4c5f_7368, // "L_sh"
    version: INDEX_FORMAT_VERSION,
    derived: true,
    rules: &[],
    create: "
        CREATE TABLE shard (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            path TEXT NOT NULL UNIQUE,
            length INTEGER NOT NULL,
            rows INTEGER NOT NULL,
            dim INTEGER
        ) STRICT;
        CREATE TABLE embedding (
            key BLOB PRIMARY KEY,
            shard INTEGER NOT NULL,
            row_number INTEGER NOT NULL,
            crc32c INTEGER,
            byte_offset INTEGER
        ) STRICT, WITHOUT ROWID;
    ",
};

/// Where the row of a key lies.
const FIND: &str = "SELECT shard, row_number, crc32c, byte_offset FROM embedding WHERE key = ?1";

/// The sums that the index keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) shards: u64,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// What the index says of a shard.
#[derive(Debug)]
pub(crate) struct Indexed {
    pub(crate) id: i64,
    pub(crate) path: Key,
    /// In bytes.
    pub(crate) length: u64,
    /// How many numbers each embedding has, in shards that are read by offset.
    pub(crate) dim: Option<usize>,
    /// The rows that were checked since the index was opened.
    pub(crate) checked: Checked,
}

/// Where a row lies.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) shard: Arc<Indexed>,
    pub(crate) row: u64,
    /// Of the key and the stored bytes, in shards that have checksums.
    pub(crate) crc: Option<u32>,
    pub(crate) offset: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Index {
    db: Database,
    /// The shards that were looked at, by their ids, under which nothing else is ever known.
    known: RwLock<HashMap<i64, Arc<Indexed>>>,
}

impl Index {
    pub(crate) fn path_in(dir: &Path) -> PathBuf {
        dir.join(RESERVED_SEGMENT).join("shards.sqlite")
    }

    pub(crate) fn open(dir: &Path, durability: Durability) -> Result<Self> {
        let db = Database::open_or_read(Self::path_in(dir), &SCHEMA, durability)?;
        Ok(Self { db, known: RwLock::default() })
    }

    pub(crate) fn repair(dir: &Path) -> Result<Option<PathBuf>> {
        larder_sqlite::repair(&Self::path_in(dir), &SCHEMA)
    }

    pub(crate) fn path(&self) -> &Path {
        self.db.path()
    }

    /// Whether its directory may not be written.
    pub(crate) fn is_read_only(&self) -> bool {
        self.db.is_read_only()
    }

    pub(crate) fn verify(&self) -> Result<()> {
        self.db.verify()
    }

    /// Finds the rows of `keys`, all in one state of the index.
    pub(crate) fn find(&self, keys: &[WindowKey]) -> Result<Vec<Option<Found>>> {
        self.db.snapshot(|db| {
            let mut select = db.prepare_cached(FIND)?;
            let found =
                keys.iter().map(|key| self.find_by(db, &mut select, key.digest().as_bytes()));
            found.collect()
        })
    }

    /// Where one of these rows lies whose key another shard than `own` holds; `None` where there is none.
    pub(crate) fn find_elsewhere(&self, rows: &[Entry], own: &Key) -> Result<Option<Found>> {
        self.db.snapshot(|db| {
            let mut select = db.prepare_cached(FIND)?;
            for row in rows {
                let found = self.find_by(db, &mut select, &row.digest)?;
                if found.as_ref().is_some_and(|found| found.shard.path != *own) {
                    return Ok(found);
                }
            }
            Ok(None)
        })
    }

    /// As [`find`](Self::find), for one key.
    pub(crate) fn find_one(&self, key: &WindowKey) -> Result<Option<Found>> {
        self.db.snapshot(|db| {
            self.find_by(db, &mut *db.prepare_cached(FIND)?, key.digest().as_bytes())
        })
    }

    fn find_by(
        &self,
        db: &Connection,
        select: &mut Statement<'_>,
        digest: &[u8; 32],
    ) -> Attempt<Option<Found>> {
        let mut rows = select.query([&digest[..]])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let shard = self.shard(db, row.get(0)?)?;
        Ok(Some(Found { shard, row: row.get(1)?, crc: row.get(2)?, offset: row.get(3)? }))
    }

    /// What is known of a shard that rows point into.
    fn shard(&self, db: &Connection, id: i64) -> Attempt<Arc<Indexed>> {
        // Each change of the map is one call, so a panic elsewhere does not spoil it.
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(shard) = known {
            return Ok(shard);
        }
        let mut select =
            db.prepare_cached("SELECT path, length, dim, rows FROM shard WHERE id = ?1")?;
        let mut rows = select.query([id])?;
        let shard = Arc::new(indexed(id, rows.next()?.ok_or_else(broken)?)?);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(id, Arc::clone(&shard));
        Ok(shard)
    }

    /// Forgets the shards that were looked at, some of which may be gone.
    fn forget_known(&self) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The paths of all shards.
    pub(crate) fn shards(&self) -> Result<HashSet<Key>> {
        self.db.read(|db| {
            let mut select = db.prepare_cached("SELECT path FROM shard")?;
            let mut rows = select.query([])?;
            let mut shards = HashSet::new();
            while let Some(row) = rows.next()? {
                shards.insert(path_of(row, 0)?);
            }
            Ok(shards)
        })
    }

    /// What the index says of all shards, sorted by path, each with its id.
    pub(crate) fn list(&self) -> Result<Vec<(i64, ShardInfo)>> {
        self.db.read(|db| {
            let list = "SELECT path, length, dim, rows, id FROM shard ORDER BY path";
            let mut select = db.prepare_cached(list)?;
            let mut rows = select.query([])?;
            let mut shards = Vec::new();
            while let Some(row) = rows.next()? {
                let Indexed { id, path, length, dim, .. } = indexed(row.get(4)?, row)?;
                shards.push((id, ShardInfo { path, rows: row.get(3)?, bytes: length, dim }));
            }
            Ok(shards)
        })
    }

    /// The id of a shard and its length in bytes; `None` where it is not indexed.
    pub(crate) fn identity(&self, path: &Key) -> Result<Option<(i64, u64)>> {
        self.db.read(|db| {
            let mut select = db.prepare_cached("SELECT id, length FROM shard WHERE path = ?1")?;
            let found = select.query_row([path.as_str()], |row| Ok((row.get(0)?, row.get(1)?)));
            Ok(found.optional()?)
        })
    }

    /// How many rows are found in all shards.
    pub(crate) fn rows(&self) -> Result<u64> {
        self.db.read(|db| Ok(db.query_row("SELECT count(*) FROM embedding", [], |row| row.get(0))?))
    }

    pub(crate) fn has_shard(&self, path: &Key) -> Result<bool> {
        self.db.read(|db| Ok(find_id(db, path)?.is_some()))
    }

    /// The id of the shard that came last of those that are there. Ids rise and are never used again, so while it stays
    /// the same no shard is added.
    pub(crate) fn newest_shard(&self) -> Result<Option<i64>> {
        self.db.read(|db| Ok(db.query_row("SELECT max(id) FROM shard", [], |row| row.get(0))?))
    }

    /// The id of the shard that was added last, whether or not it is still there; 0 where there was none. It never falls.
    pub(crate) fn last_added(&self) -> Result<i64> {
        self.db.read(|db| {
            let last = "SELECT seq FROM sqlite_sequence WHERE name = 'shard'";
            Ok(db.query_row(last, [], |row| row.get(0)).optional()?.unwrap_or(0))
        })
    }

    /// The paths of the shards that were added after that with the id `last`, in that order.
    pub(crate) fn added_after(&self, last: i64) -> Result<Vec<Key>> {
        self.db.read(|db| {
            let mut select =
                db.prepare_cached("SELECT path FROM shard WHERE id > ?1 ORDER BY id")?;
            let mut rows = select.query([last])?;
            let mut shards = Vec::new();
            while let Some(row) = rows.next()? {
                shards.push(path_of(row, 0)?);
            }
            Ok(shards)
        })
    }

    pub(crate) fn totals(&self) -> Result<Totals> {
        self.db.read(|db| {
            let sums = "SELECT count(*), ifnull(sum(rows), 0), ifnull(sum(length), 0) FROM shard";
            let (shards, rows, bytes) =
                db.query_row(sums, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            Ok(Totals { shards, rows, bytes })
        })
    }

    /// How many rows point into a shard.
    pub(crate) fn count_rows(&self, path: &Key) -> Result<u64> {
        self.db.read(|db| {
            let count = "SELECT count(*) FROM embedding WHERE shard = (SELECT id FROM shard WHERE path = ?1)";
            Ok(db.query_row(count, [path.as_str()], |row| row.get(0))?)
        })
    }

    /// The shards that have more rows than point into them: others hold some of their keys, or did.
    pub(crate) fn incomplete(&self) -> Result<Vec<Key>> {
        self.db.read(|db| {
            let mut select = db.prepare_cached(
                "SELECT path FROM shard
                 LEFT JOIN (SELECT shard, count(*) AS count FROM embedding GROUP BY shard) ON shard = id
                 WHERE rows > ifnull(count, 0)",
            )?;
            let mut rows = select.query([])?;
            let mut shards = Vec::new();
            while let Some(row) = rows.next()? {
                shards.push(path_of(row, 0)?);
            }
            Ok(shards)
        })
    }

    /// Adds a shard; returns how many of its rows another one holds already, which keeps them.
    pub(crate) fn add(&self, shard: &Shard, rows: Vec<RowEntry>) -> Result<u64> {
        self.db.write(|tx| {
            let id = insert_shard(tx, &shard.info(rows.len()))?;
            insert_rows(tx, id, &rows)
        })
    }

    /// Adds a new shard if `publish` does not fail, which is called when its rows are there to be committed.
    pub(crate) fn add_published(
        &self,
        shard: &ShardInfo,
        rows: Vec<Entry>,
        publish: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        self.db.write(|tx| {
            let id = insert_shard(tx, shard)?;
            insert_entries(tx, rows.into_iter().map(|row| (id, row)), |_| ())?;
            Ok(publish()?)
        })
    }

    /// Drops shards and their rows, and adds rows of other shards whose keys are free then.
    pub(crate) fn forget(&self, paths: &[Key], heirs: Vec<(Key, Vec<RowEntry>)>) -> Result<()> {
        self.forget_known();
        self.db.write(|tx| {
            for path in paths {
                tx.prepare_cached("DELETE FROM shard WHERE path = ?1")?.execute([path.as_str()])?;
            }
            // One pass over the rows, which are not indexed by shard.
            tx.execute("DELETE FROM embedding WHERE shard NOT IN (SELECT id FROM shard)", [])?;
            for (path, rows) in heirs {
                let mut select = tx.prepare_cached("SELECT id FROM shard WHERE path = ?1")?;
                insert_rows(tx, select.query_row([path.as_str()], |row| row.get(0))?, &rows)?;
            }
            Ok(())
        })
    }
}

fn insert_shard(tx: &Connection, shard: &ShardInfo) -> Attempt<i64> {
    let ShardInfo { path, rows, bytes, dim } = shard;
    let mut add =
        tx.prepare_cached("INSERT INTO shard (path, length, rows, dim) VALUES (?1, ?2, ?3, ?4)")?;
    Ok(add.insert(params![path.as_str(), bytes, rows, dim])?)
}

/// Adds rows of the shard `id`; returns how many were left out because their key is taken.
fn insert_rows(tx: &Connection, id: i64, rows: &[RowEntry]) -> Attempt<u64> {
    let mut taken = 0;
    let rows = sorted(rows).into_iter().map(|row| (id, row));
    insert_entries(tx, rows, |_| taken += 1)?;
    Ok(taken)
}

fn find_id(db: &Connection, path: &Key) -> Attempt<Option<i64>> {
    let mut select = db.prepare_cached("SELECT id FROM shard WHERE path = ?1")?;
    let mut rows = select.query([path.as_str()])?;
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
}

fn indexed(id: i64, row: &Row<'_>) -> Attempt<Indexed> {
    let dim: Option<usize> = row.get(2)?;
    // So that nobody allocates what a damaged number asks for.
    if dim.is_some_and(|dim| !(1..=Embedding::MAX_LEN).contains(&dim)) {
        return Err(broken().into());
    }
    let checked = Checked::new(row.get(3)?);
    Ok(Indexed { id, path: path_of(row, 0)?, length: row.get(1)?, dim, checked })
}

fn path_of(row: &Row<'_>, column: usize) -> Attempt<Key> {
    let text: String = row.get(column)?;
    Ok(Key::new(text).map_err(|error| broken().with_source(error))?)
}

fn broken() -> Error {
    Error::new(ErrorKind::Corrupt, "the index holds what cannot be: `reindex` makes it anew")
}
