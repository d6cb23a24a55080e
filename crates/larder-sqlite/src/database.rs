use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
    time::{Duration, Instant},
};

use larder_storage::{Durability, Error, ErrorKind, Result, lock::FileLock, publish};
use rusqlite::{Connection, Transaction};

use crate::{
    Attempt, Failure, Turn,
    identity::Identity,
    integrity, network, open,
    queue::{Place, Queue},
};

/// What a database of one kind holds.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// The number in the file's header that says whose database this is; no two kinds share one.
    pub application_id: i32,
    /// The version of the format, in the header's `user_version`; from 1 on.
    pub version: u32,
    /// Whether what it holds can be derived from elsewhere. Where it cannot, a database that is gone is damage; where it
    /// can, it is made anew.
    pub derived: bool,
    /// The statements that make the tables of this version.
    pub create: &'static str,
    /// What else has to hold in a sound database: a query that finds a row where it does not, and what that means.
    pub rules: &'static [(&'static str, &'static str)],
}

/// How many connections are kept for the next reads.
const IDLE_READERS: usize = 16;

/// How long a database that something takes away is not missed. What was written within it is no more gone than what was
/// written before.
const BLINK: Duration = Duration::from_millis(1);

/// The connection that writes.
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    /// When the database was seen where it belongs.
    seen: Option<Instant>,
}

/// An open database: one connection that writes, and as many that read as threads read at once.
pub struct Database {
    path: PathBuf,
    identity: Identity,
    schema: Schema,
    durability: Durability,
    queue: Queue,
    writer: Mutex<Writer>,
    readers: Mutex<Vec<Connection>>,
    // Keeps `repair` away; declared last, so that it outlives the connections.
    _open: FileLock,
}

impl Database {
    /// Opens the database at `path`, and makes it and its directory where they are missing.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the file is damaged, was emptied or is gone from beside its log; `Format` where it belongs to
    /// another program or a newer version; `Unsupported` on a network file system; `Io` where it cannot be opened.
    pub fn open(path: impl Into<PathBuf>, schema: &Schema, durability: Durability) -> Result<Self> {
        let path = open::absolute(&path.into())?;
        if let Some(dir) = path.parent() {
            publish::create_dirs(dir, durability)?;
            network::check_local(dir)?;
        }
        let open = FileLock::shared(&open::beside(&path, ".lock"))?;
        let writer = open::first(&path, schema, durability)?;
        let identity = Identity::of(&path)?;
        let writer = Mutex::new(Writer { connection: writer, seen: None });
        let readers = Mutex::default();
        let queue = Queue::open(open::beside(&path, ".write"))?;
        Ok(Self {
            queue,
            path,
            identity,
            schema: *schema,
            durability,
            writer,
            readers,
            _open: open,
        })
    }

    /// The database's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` on a connection that only reads. It may run beside others and beside a writer; to see one state
    /// in several queries it begins a transaction of its own.
    ///
    /// # Errors
    ///
    /// Those of `work`; for SQLite's own, `Corrupt`, `Full`, `Io`, `Locked` or `Backend`.
    pub fn read<T>(&self, work: impl FnOnce(&Connection) -> Attempt<T>) -> Result<T> {
        let pooled = lock(&self.readers).pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => open::reader(&self.path, self.durability)
                .map_err(|error| Failure::Sqlite(error).at(&self.path))?,
        };
        let outcome = work(&connection).map_err(|failure| failure.at(&self.path));
        let mut readers = lock(&self.readers);
        // One with an open transaction would go on showing its state to others.
        if connection.is_autocommit() && readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        outcome
    }

    /// Runs `work` in a transaction that excludes other writers, and commits what it did if it succeeds.
    ///
    /// # Errors
    ///
    /// As [`turn`](Self::turn) and [`Turn::transact`].
    pub fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Attempt<T>) -> Result<T> {
        self.turn()?.transact(work)
    }

    /// Waits for a turn at writing, as long as it takes: SQLite itself lets writers poll, and the quickest of them starves
    /// the rest. Who holds a turn must not write to this database otherwise, because that would wait for himself.
    ///
    /// # Errors
    ///
    /// `Io` where there is none to be had; `NotFound` where something else took the file away, a millisecond ago or more.
    pub fn turn(&self) -> Result<Turn<'_>> {
        let writer = lock(&self.writer);
        let place = self.queue.take()?;
        self.begin(writer, place)
    }

    /// As [`turn`](Self::turn), but `None` where somebody has one.
    ///
    /// # Errors
    ///
    /// As [`turn`](Self::turn).
    pub fn try_turn(&self) -> Result<Option<Turn<'_>>> {
        let writer = match self.writer.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Ok(writer) => writer,
        };
        let Some(place) = self.queue.try_take()? else { return Ok(None) };
        self.begin(writer, place).map(Some)
    }

    fn begin<'a>(
        &'a self,
        mut writer: MutexGuard<'a, Writer>,
        place: Place<'a>,
    ) -> Result<Turn<'a>> {
        if writer.seen.is_none_or(|seen| seen.elapsed() > BLINK) {
            // SQLite would go on with a file that nobody finds any more.
            self.identity.check()?;
            self.queue.check()?;
            writer.seen = Some(Instant::now());
        }
        Ok(Turn { path: &self.path, place, writer })
    }

    /// Writes the file anew without what is free in it, so that it is as small as it can be.
    ///
    /// # Errors
    ///
    /// `Locked` where a reader does not end for a minute; `Full` where there is no room for a second copy; else those of
    /// the database.
    pub fn vacuum(&self) -> Result<()> {
        self.turn()?.run(|db| {
            db.execute_batch("VACUUM")?;
            // Else the file keeps its length until the log is next emptied.
            db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            Ok(())
        })
    }

    /// A number that changes with every write of Larder's, by any thread or process; `None` while one is under way. What
    /// was read between two equal ones is still so. It costs one load from memory.
    pub fn state(&self) -> Option<u64> {
        self.queue.finished()
    }

    /// Reads the whole file, and checks its structure and that its tables are those of the schema.
    ///
    /// # Errors
    ///
    /// `Corrupt` where it is damaged; the message has SQLite's first finding.
    pub fn verify(&self) -> Result<()> {
        let finding =
            self.read(|db| integrity::finding(db, &self.schema).map_err(Failure::from))?;
        finding.map_or(Ok(()), |finding| {
            let message = format!("the database is damaged ({finding}): `repair` moves it aside");
            Err(Error::new(ErrorKind::Corrupt, message).at_path(&self.path))
        })
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database")
            .field("path", &self.path)
            .field("durability", &self.durability)
            .finish()
    }
}

// A transaction that a panic left open is rolled back when it is dropped, so the connection stays good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
