//! The connections that read.
//!
//! To begin and end a transaction costs SQLite more than to find a row in it: locks and a look for other files, each a
//! system call. So a snapshot stays open for the next reads for as long as nobody writes. One that is not used any more
//! is ended by a thread, because SQLite empties no log that a snapshot may still need.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::Connection;

use crate::Attempt;

/// How many connections are kept for the next reads.
pub(crate) const IDLE_READERS: usize = 16;

/// A snapshot that was not used for as long as this is ended, and each within twice the time.
const PATIENCE: Duration = Duration::from_secs(1);

type Connect = dyn Fn() -> rusqlite::Result<Connection> + Send + Sync;

pub(crate) struct Readers {
    connect: Box<Connect>,
    idle: Arc<Idle>,
    /// `None` where no thread is to be had: then no snapshot stays open.
    watcher: OnceLock<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Idle {
    pool: Mutex<Pool>,
    changed: Condvar,
}

#[derive(Default)]
struct Pool {
    readers: Vec<Reader>,
    is_closed: bool,
}

struct Reader {
    connection: Connection,
    /// The state of the database in which its transaction began, where that is kept open.
    snapshot: Option<u64>,
    /// Whether it was used since the thread last looked.
    is_used: bool,
}

impl Readers {
    pub(crate) fn new(
        connect: impl Fn() -> rusqlite::Result<Connection> + Send + Sync + 'static,
    ) -> Self {
        Self { connect: Box::new(connect), idle: Arc::default(), watcher: OnceLock::new() }
    }

    /// Runs `work` on a connection without a transaction.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Attempt<T>) -> Attempt<T> {
        let mut reader = self.take()?;
        reader.end();
        let outcome = work(&reader.connection);
        self.keep(reader);
        outcome
    }

    /// Runs `work` in a transaction that shows `state` or a later one; without a state it is one of its own.
    pub(crate) fn snapshot<T>(
        &self,
        state: Option<u64>,
        work: impl FnOnce(&Connection) -> Attempt<T>,
    ) -> Attempt<T> {
        let mut reader = self.take()?;
        let is_new = reader.begin(state)?;
        let outcome = work(&reader.connection);
        if outcome.is_err() || state.is_none() || !self.is_watched() {
            reader.end();
        }
        self.keep(reader);
        if is_new {
            self.idle.changed.notify_one();
        }
        outcome
    }

    /// Ends the snapshots that nobody is using, so that the log can be emptied.
    pub(crate) fn end_snapshots(&self) {
        self.idle.lock().readers.iter_mut().for_each(Reader::end);
    }

    fn take(&self) -> Attempt<Reader> {
        let idle = self.idle.lock().readers.pop();
        idle.map_or_else(
            || Ok(Reader { connection: (self.connect)()?, snapshot: None, is_used: false }),
            Ok,
        )
    }

    fn keep(&self, reader: Reader) {
        // One with an open transaction of somebody else's would go on showing its state.
        if reader.snapshot.is_none() && !reader.connection.is_autocommit() {
            return;
        }
        let mut pool = self.idle.lock();
        if pool.readers.len() < IDLE_READERS {
            pool.readers.push(reader);
        }
    }

    fn is_watched(&self) -> bool {
        let start = || {
            let idle = Arc::clone(&self.idle);
            thread::Builder::new().name("larder-snapshots".into()).spawn(move || idle.watch()).ok()
        };
        self.watcher.get_or_init(start).is_some()
    }

    #[cfg(test)]
    pub(crate) fn idle(&self) -> usize {
        self.idle.lock().readers.len()
    }

    #[cfg(test)]
    pub(crate) fn end_unused(&self) {
        self.idle.lock().end_unused();
    }
}

impl Idle {
    // A transaction that a panic left open is not kept, so the pool stays good.
    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends unused snapshots until the database is closed.
    fn watch(&self) {
        let mut pool = self.lock();
        while !pool.is_closed {
            // While there is none, nobody is woken every second.
            pool = if pool.readers.iter().all(|reader| reader.snapshot.is_none()) {
                self.changed.wait(pool).unwrap_or_else(PoisonError::into_inner)
            } else {
                let waited =
                    self.changed.wait_timeout_while(pool, PATIENCE, |pool| !pool.is_closed);
                let (mut pool, _) = waited.unwrap_or_else(PoisonError::into_inner);
                pool.end_unused();
                pool
            };
        }
    }
}

impl Pool {
    fn end_unused(&mut self) {
        for reader in &mut self.readers {
            if !std::mem::take(&mut reader.is_used) {
                reader.end();
            }
        }
    }
}

impl Reader {
    /// Goes on in the transaction that began in `state`, or begins one; returns whether it is new.
    fn begin(&mut self, state: Option<u64>) -> rusqlite::Result<bool> {
        self.is_used = true;
        if state.is_some() && self.snapshot == state {
            return Ok(false);
        }
        self.end();
        self.connection.execute_batch("BEGIN")?;
        self.snapshot = state;
        Ok(true)
    }

    fn end(&mut self) {
        self.snapshot = None;
        if !self.connection.is_autocommit() {
            // Where that fails the transaction stays open, and the connection is not kept.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.idle.lock().is_closed = true;
        self.idle.changed.notify_all();
        if let Some(watcher) = self.watcher.take().flatten() {
            let _ = watcher.join();
        }
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").finish_non_exhaustive()
    }
}
