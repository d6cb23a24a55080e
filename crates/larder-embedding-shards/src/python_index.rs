//! The index of the Python package geno-lewm 0.2.1, as its own code makes it.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use larder_storage::{
    Durability, Error, ErrorKind, Result, Storage,
    publish::{self, Stage},
    time,
};
use rusqlite::{Connection, ErrorCode, Row, Transaction, TransactionBehavior, params};

use crate::{INDEX_DB_NAME, WindowKey, key::hex, path::SHARDS, record::invalid};

const COLUMNS: [&str; 9] = [
    "window_hash",
    "encoder_hash",
    "state_layer",
    "pool_type",
    "pool_radius",
    "dtype",
    "shard_path",
    "row_offset",
    "created_at",
];

const CREATE: &str = "
    CREATE TABLE IF NOT EXISTS window_index (
        window_hash TEXT NOT NULL,
        encoder_hash TEXT NOT NULL,
        state_layer INTEGER NOT NULL,
        pool_type TEXT NOT NULL,
        pool_radius INTEGER NOT NULL,
        dtype TEXT NOT NULL,
        shard_path TEXT NOT NULL,
        row_offset INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        PRIMARY KEY (window_hash, encoder_hash, state_layer, pool_type, pool_radius, dtype)
    );
    CREATE INDEX IF NOT EXISTS idx_shard_path ON window_index(shard_path);
";

/// Where the mark is: the package does not use it, and a file that it makes anew has 0.
const MARK: &str = "user_version";

/// How long another program may hold the database.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the index is. It is opened for each change and never kept open, because the package may replace the file at
/// any time.
#[derive(Debug)]
pub(crate) struct PythonIndex {
    root: PathBuf,
    path: PathBuf,
    durability: Durability,
}

/// One row of it.
pub(crate) struct PythonRow {
    pub(crate) key: WindowKey,
    pub(crate) row: u64,
    /// In nanoseconds since 1970 in UTC.
    pub(crate) created: i64,
}

impl PythonIndex {
    pub(crate) fn of(storage: &dyn Storage, durability: Durability) -> Result<Self> {
        let root = storage.local_root().ok_or_else(|| {
            invalid("the Python package's index needs shards in a local directory: go without it")
        })?;
        let path = root.join(SHARDS).join(INDEX_DB_NAME);
        Ok(Self { root: root.to_owned(), path, durability })
    }

    /// The paths of all shards that it has rows of, and its mark, see [`Session::mark`].
    pub(crate) fn shards(&self) -> Result<(BTreeSet<String>, i64)> {
        if !self.path.exists() {
            return Ok((BTreeSet::new(), 0));
        }
        let db = self.open()?;
        let list = || -> rusqlite::Result<(BTreeSet<String>, i64)> {
            if is_blank(&db)? {
                return Ok((BTreeSet::new(), 0));
            }
            // One look into the index of the paths for each of them, whatever the number of rows.
            let mut next =
                db.prepare("SELECT min(shard_path) FROM window_index WHERE shard_path > ?1")?;
            let (mut paths, mut last) = (BTreeSet::new(), String::new());
            while let Some(path) = next.query_row([&last], |row| row.get::<_, Option<String>>(0))? {
                last.clone_from(&path);
                paths.insert(path);
            }
            Ok((paths, mark(&db)?))
        };
        list().map_err(|error| self.failed(error))
    }

    /// Changes it in one transaction; makes it where it is missing.
    pub(crate) fn write(&self, work: impl FnOnce(&Session<'_>) -> Result<()>) -> Result<()> {
        if let Some(dir) = self.path.parent() {
            publish::create_dirs(dir, self.durability)?;
        }
        self.fill(self.open()?, work)
    }

    /// Replaces it by what `fill` enters, and returns its path.
    pub(crate) fn replace(&self, fill: impl FnOnce(&Session<'_>) -> Result<()>) -> Result<PathBuf> {
        let staged = Stage::new(&self.root, self.durability).file()?;
        let db = Connection::open(staged.path()).and_then(|db| {
            // Nobody sees the file before it is whole.
            db.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
            Ok(db)
        });
        self.fill(db.map_err(|error| self.failed(error))?, fill)?;
        let old = self.old()?;
        staged.publish(&self.path)?;
        drop(old);
        Ok(self.path.clone())
    }

    /// The old index, which nobody else writes to while this is held; what is no index of the package is moved aside.
    fn old(&self) -> Result<Option<Connection>> {
        if !self.path.exists() {
            return Ok(None);
        }
        let hold = |db: Connection| {
            // Also takes back what a killed writer left half done, whose journal would spoil the new file.
            db.execute_batch("BEGIN IMMEDIATE").map_err(|error| self.failed(error))?;
            Ok(db)
        };
        match self.open().and_then(hold) {
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Format) => {
                let now = time::now_ns();
                for suffix in ["", "-journal", "-wal", "-shm"] {
                    let beside =
                        |end: String| self.path.with_file_name(format!("{INDEX_DB_NAME}{end}"));
                    let from = beside(suffix.to_owned());
                    if from.exists() {
                        publish::set_aside(&from, &beside(format!(".{now}.bad{suffix}")))?;
                    }
                }
                Ok(None)
            }
            held => held.map(Some),
        }
    }

    fn open(&self) -> Result<Connection> {
        let open = || -> rusqlite::Result<(Connection, bool)> {
            let db = Connection::open(&self.path)?;
            db.busy_timeout(PATIENCE)?;
            let is_known = is_blank(&db)? || columns(&db)? == COLUMNS;
            if is_known {
                db.pragma_update(
                    None,
                    "synchronous",
                    if self.durability.syncs() { "FULL" } else { "OFF" },
                )?;
                // The package cannot read a log where there is no memory to share.
                db.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
            }
            Ok((db, is_known))
        };
        match open() {
            Ok((db, true)) => Ok(db),
            Ok(_) => {
                let message = "is a database of something else than the Python package: move it away, or let `export_python_index` do so";
                Err(Error::new(ErrorKind::Format, message).at_path(&self.path))
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    fn fill(
        &self,
        mut db: Connection,
        work: impl FnOnce(&Session<'_>) -> Result<()>,
    ) -> Result<()> {
        let begin = db.transaction_with_behavior(TransactionBehavior::Immediate);
        let tx = begin.map_err(|error| self.failed(error))?;
        tx.execute_batch(CREATE).map_err(|error| self.failed(error))?;
        let session = Session { tx, index: self };
        work(&session)?;
        session.tx.commit().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: rusqlite::Error) -> Error {
        let (kind, message) = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown) => (
                ErrorKind::Corrupt,
                "the Python package's index is damaged: `export_python_index` moves it aside and makes it anew",
            ),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
                ErrorKind::Locked,
                "another program has held the Python package's index for a minute: try again",
            ),
            Some(ErrorCode::DiskFull) => (ErrorKind::Full, "the disk is full: free some space"),
            _ => (ErrorKind::Io, "the Python package's index cannot be read or written"),
        };
        Error::new(kind, message).at_path(&self.path).with_source(error)
    }
}

/// A transaction that changes it.
pub(crate) struct Session<'a> {
    tx: Transaction<'a>,
    index: &'a PythonIndex,
}

impl Session<'_> {
    fn run<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        work(&self.tx).map_err(|error| self.index.failed(error))
    }

    /// The number that [`set_mark`](Self::set_mark) left; 0 in a file that the package made.
    pub(crate) fn mark(&self) -> Result<i64> {
        self.run(mark)
    }

    /// Leaves a number, at most `i32::MAX`, where the package does not look.
    pub(crate) fn set_mark(&self, mark: i64) -> Result<()> {
        self.run(|db| db.pragma_update(None, MARK, mark))
    }

    /// Enters rows of a shard; those of other shards with the same keys give way.
    pub(crate) fn insert(&self, path: &str, rows: impl Iterator<Item = PythonRow>) -> Result<()> {
        self.run(|db| {
            let mut insert = db.prepare_cached(
                "INSERT OR REPLACE INTO window_index VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?;
            for PythonRow { key, row, created } in rows {
                insert.execute(params![
                    hex(&key.window_hash),
                    hex(&key.encoder_hash),
                    key.state_layer,
                    key.pool_type.as_str(),
                    key.pool_radius,
                    key.dtype.as_str(),
                    path,
                    row,
                    created
                ])?;
            }
            Ok(())
        })
    }

    /// The numbers and keys of a shard's rows; no key where it is none.
    pub(crate) fn rows_of(&self, path: &str) -> Result<Vec<(i64, Option<WindowKey>)>> {
        self.run(|db| {
            let mut select = db.prepare_cached(
                "SELECT rowid, window_hash, encoder_hash, state_layer, pool_type, pool_radius, dtype
                 FROM window_index WHERE shard_path = ?1",
            )?;
            let rows = select.query_map([path], |row| Ok((row.get(0)?, key_of(row)?)))?;
            rows.collect()
        })
    }

    /// Lets a row point to another place.
    pub(crate) fn point(&self, number: i64, path: &str, row: u64) -> Result<()> {
        self.run(|db| {
            let mut update = db.prepare_cached(
                "UPDATE window_index SET shard_path = ?2, row_offset = ?3 WHERE rowid = ?1",
            )?;
            update.execute(params![number, path, row]).map(|_| ())
        })
    }

    /// Drops a row.
    pub(crate) fn delete(&self, number: i64) -> Result<()> {
        self.run(|db| {
            let mut delete = db.prepare_cached("DELETE FROM window_index WHERE rowid = ?1")?;
            delete.execute([number]).map(|_| ())
        })
    }
}

fn key_of(row: &Row<'_>) -> rusqlite::Result<Option<WindowKey>> {
    let hash = |column| -> rusqlite::Result<Option<[u8; 32]>> {
        Ok(row
            .get::<_, String>(column)?
            .parse()
            .ok()
            .map(|it: larder_storage::Digest| *it.as_bytes()))
    };
    let text = |column| row.get::<_, String>(column);
    let (window, encoder) = (hash(1)?, hash(2)?);
    let (pool, dtype) = (text(4)?.parse().ok(), text(6)?.parse().ok());
    let (state_layer, pool_radius) = (row.get(3)?, row.get(5)?);
    let key = || {
        Some(WindowKey {
            window_hash: window?,
            encoder_hash: encoder?,
            state_layer,
            pool_type: pool?,
            pool_radius,
            dtype: dtype?,
        })
    };
    Ok(key())
}

fn mark(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, MARK, |row| row.get(0))
}

/// Whether there is nothing in it, as where the package was killed before it made its tables.
fn is_blank(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| Ok(row.get::<_, i64>(0)? == 0))
}

fn columns(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut select =
        db.prepare("SELECT name FROM pragma_table_info('window_index') ORDER BY cid")?;
    let names = select.query_map([], |row| row.get(0))?;
    names.collect()
}
