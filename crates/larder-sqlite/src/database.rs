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
    readers::Readers,
};

/// What a database of one kind holds.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// The number in the file's header that says whose database this is; no two kinds share one.
    pub application_id: i32,
    /// The version of the format, in the header's `user_version`; from 1 on.
    pub version: u32,
    /// Whether what it holds can be derived from elsewhere. Where it cannot, a database that is gone is damage; where it
    /// can, it is made anew, and those who read it map its file.
    pub derived: bool,
    /// The statements that make the tables of this version.
    pub create: &'static str,
    /// What else has to hold in a sound database: a query that finds a row where it does not, and what that means.
    pub rules: &'static [(&'static str, &'static str)],
}

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
    schema: Schema,
    durability: Durability,
    /// `None` where it may only be read.
    writing: Option<Writing>,
    readers: Readers,
    // Keeps `repair` away; declared last, so that it outlives the connections.
    _open: Option<FileLock>,
}

struct Writing {
    identity: Identity,
    queue: Queue,
    writer: Mutex<Writer>,
}

impl Database {
    /// Opens the database at `path`, and makes it and its directory where they are missing.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the file is damaged, was emptied, is gone from beside its log or has not the tables of its format;
    /// `Format` where it belongs to another program or a newer version; `Unsupported` on a network file system; `Io` where
    /// it cannot be opened. What is refused is left as it was, but for what SQLite takes over from a log beside it.
    pub fn open(path: impl Into<PathBuf>, schema: &Schema, durability: Durability) -> Result<Self> {
        let path = open::absolute(&path.into())?;
        if let Some(dir) = path.parent() {
            publish::create_dirs(dir, durability)?;
            network::check_local(dir)?;
        }
        let open = FileLock::shared(&open::beside(&path, ".lock"))?;
        let connection = open::first(&path, schema, durability)?;
        let writing = Writing {
            identity: Identity::of(&path)?,
            queue: Queue::open(open::beside(&path, ".write"))?,
            writer: Mutex::new(Writer { connection, seen: None }),
        };
        let (at, is_derived) = (path.clone(), schema.derived);
        let readers = Readers::new(move || open::reader(&at, durability, is_derived));
        let (schema, writing, _open) = (*schema, Some(writing), Some(open));
        Ok(Self { path, schema, durability, writing, readers, _open })
    }

    /// As [`open`](Self::open); but where that is refused because the directory may not be written, the database is opened
    /// for reading only, without a lock. Nobody may write to it meanwhile.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); `Io` where it may only be read and was not closed by everybody who wrote to it.
    pub fn open_or_read(
        path: impl Into<PathBuf>,
        schema: &Schema,
        durability: Durability,
    ) -> Result<Self> {
        let path = open::absolute(&path.into())?;
        match Self::open(&path, schema, durability) {
            Err(_) if path.exists() && is_protected(&path) => {
                let readers = open::first_to_read(&path, schema)?;
                let schema = *schema;
                Ok(Self { path, schema, durability, writing: None, readers, _open: None })
            }
            opened => opened,
        }
    }

    /// Whether it may only be read: see [`open_or_read`](Self::open_or_read).
    pub fn is_read_only(&self) -> bool {
        self.writing.is_none()
    }

    fn writing(&self) -> Result<&Writing> {
        self.writing.as_ref().ok_or_else(|| {
            let message = "the database was opened for reading only, because its directory may not be written";
            Error::new(ErrorKind::Io, message).at_path(&self.path)
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
        self.readers.read(work).map_err(|failure| failure.at(&self.path))
    }

    /// As [`read`](Self::read), but all queries of `work` see one state. The transaction is begun for the first of several
    /// calls and shared by the next ones for as long as nobody writes, so `work` begins and ends none; a second without
    /// calls ends it.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn snapshot<T>(&self, work: impl FnOnce(&Connection) -> Attempt<T>) -> Result<T> {
        self.readers.snapshot(self.state(), work).map_err(|failure| failure.at(&self.path))
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
        let writing = self.writing()?;
        let writer = lock(&writing.writer);
        let place = writing.queue.take()?;
        self.begin(writing, writer, place)
    }

    /// As [`turn`](Self::turn), but `None` where somebody has one.
    ///
    /// # Errors
    ///
    /// As [`turn`](Self::turn).
    pub fn try_turn(&self) -> Result<Option<Turn<'_>>> {
        let writing = self.writing()?;
        let writer = match writing.writer.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Ok(writer) => writer,
        };
        let Some(place) = writing.queue.try_take()? else { return Ok(None) };
        self.begin(writing, writer, place).map(Some)
    }

    fn begin<'a>(
        &'a self,
        writing: &'a Writing,
        mut writer: MutexGuard<'a, Writer>,
        place: Place<'a>,
    ) -> Result<Turn<'a>> {
        if writer.seen.is_none_or(|seen| seen.elapsed() > BLINK) {
            // SQLite would go on with a file that nobody finds any more.
            writing.identity.check()?;
            writing.queue.check()?;
            writer.seen = Some(Instant::now());
        }
        self.readers.end_snapshots();
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

    /// Takes the write-ahead log over into the file, as far as there is room and nobody reads an older state. After that it is
    /// written from its start again, so that on a full disk a small change needs no more room.
    ///
    /// # Errors
    ///
    /// As [`turn`](Self::turn); those of the database, `Full` among them.
    pub fn empty_log(&self) -> Result<()> {
        self.turn()?.run(|db| Ok(db.query_row("PRAGMA wal_checkpoint", [], |_| Ok(()))?))
    }

    /// A number that changes with every write of Larder's, by any thread or process; `None` while one is under way. What
    /// was read between two equal ones is still so. It costs one load from memory.
    pub fn state(&self) -> Option<u64> {
        self.writing.as_ref().map_or(Some(0), |writing| writing.queue.finished())
    }

    /// Reads the whole file, and checks its structure and that its tables are those of the schema.
    ///
    /// # Errors
    ///
    /// `Corrupt` where it is damaged; the message has SQLite's first finding.
    pub fn verify(&self) -> Result<()> {
        let finding =
            self.read(|db| integrity::finding(db, &self.schema).map_err(Failure::from))?;
        finding.map_or(Ok(()), |finding| Err(integrity::damaged(&self.path, &finding)))
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

/// Whether the directory of a file may not be written.
fn is_protected(path: &Path) -> bool {
    use rustix::{
        fs::{Access, access},
        io::Errno,
    };
    let dir = path.parent().unwrap_or(Path::new("/"));
    matches!(access(dir, Access::WRITE_OK), Err(Errno::ACCESS | Errno::ROFS))
}

// A transaction that a panic left open is rolled back when it is dropped, so the connection stays good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
