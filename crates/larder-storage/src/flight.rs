//! Single-flight: of all who want one thing computed, one computes it and the others then find it done.
//!
//! ```
//! use larder_storage::flight::Flights;
//!
//! # fn main() -> larder_storage::Result<()> {
//! let flights = Flights::new();
//! # let (cached, compute, store) = (|| None::<u64>, || 7, |_: u64| ());
//! let lease = flights.enter("genome")?;
//! // Look again under the lease: whoever held it before may have done the work.
//! let value = match cached() {
//!     Some(value) => value,
//!     None => {
//!         let value = compute();
//!         store(value);
//!         value
//!     }
//! };
//! drop(lease);
//! # assert_eq!(value, 7);
//! # Ok(())
//! # }
//! ```

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, ThreadId},
};

use crate::{
    Digest, Error, ErrorKind, Result,
    lock::{self, FileLock},
};

/// One lease for each key: among the threads of a process, or among processes as well.
#[derive(Debug, Default)]
pub struct Flights {
    slots: Mutex<HashMap<Box<str>, Arc<Slot>>>,
    locks: Option<PathBuf>,
}

#[derive(Debug, Default)]
struct Slot {
    holder: Mutex<Option<ThreadId>>,
    free: Condvar,
}

/// The right to work on one key. Dropping it, also in a panic or by death of the process, hands it to the next.
#[must_use = "the lease ends when this is dropped"]
#[derive(Debug)]
pub struct Lease<'a> {
    flights: &'a Flights,
    key: Box<str>,
    slot: Arc<Slot>,
    lock: Option<FileLock>,
}

impl Flights {
    /// Leases among the threads that share this value.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leases also among processes, by lock files in the local directory `locks`, one for each key in flight.
    /// What killed holders left there goes now.
    pub fn across_processes(locks: impl Into<PathBuf>) -> Self {
        let locks = locks.into();
        // A file that stays, as in a directory that may only be read, is free for the next holder all the same.
        let _ = lock::sweep(&locks);
        Self { locks: Some(locks), ..Self::default() }
    }

    /// Waits until nobody else holds `key`.
    ///
    /// # Errors
    ///
    /// `Locked` where this thread holds `key` already, which would wait for itself; `Io` where a lock file fails.
    pub fn enter(&self, key: &str) -> Result<Lease<'_>> {
        let slot = Arc::clone(lock(&self.slots).entry(key.into()).or_default());
        slot.occupy().map_err(|()| {
            let message =
                format!("this thread works on {key:?} already: do not ask for it from inside");
            Error::new(ErrorKind::Locked, message)
        })?;
        let mut lease = Lease { flights: self, key: key.into(), slot, lock: None };
        if let Some(dir) = &self.locks {
            lease.lock =
                Some(FileLock::exclusive(&dir.join(Digest::of(key.as_bytes()).to_string()))?);
        }
        Ok(lease)
    }
}

impl Slot {
    /// Waits for the slot; fails where this thread would wait for itself.
    fn occupy(&self) -> Result<(), ()> {
        let me = thread::current().id();
        let mut holder = lock(&self.holder);
        while let Some(other) = *holder {
            if other == me {
                return Err(());
            }
            holder = self.free.wait(holder).unwrap_or_else(PoisonError::into_inner);
        }
        *holder = Some(me);
        Ok(())
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take() {
            // A lock file that stays is harmless; the lock itself is released in any case.
            let _ = lock.remove();
        }
        let mut slots = lock(&self.flights.slots);
        let mut holder = lock(&self.slot.holder);
        *holder = None;
        self.slot.free.notify_one();
        // Clones are made under the lock of the map, so two of them mean: the map's and ours.
        if Arc::strong_count(&self.slot) == 2 {
            slots.remove(&self.key);
        }
    }
}

// What these mutexes guard is whole after each statement, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::{
            Barrier,
            atomic::{AtomicBool, AtomicU32, Ordering},
        },
    };

    use super::*;

    fn run_once_among(flights: &Flights, threads: usize) -> u32 {
        let (runs, done, start) =
            (AtomicU32::new(0), AtomicBool::new(false), Barrier::new(threads));
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    start.wait();
                    let _lease = flights.enter("k").unwrap();
                    if !done.load(Ordering::SeqCst) {
                        runs.fetch_add(1, Ordering::SeqCst);
                        done.store(true, Ordering::SeqCst);
                    }
                });
            }
        });
        runs.into_inner()
    }

    #[test]
    fn one_runs_and_nothing_is_left() {
        let flights = Flights::new();
        assert_eq!(run_once_among(&flights, 64), 1);
        assert!(lock(&flights.slots).is_empty());
    }

    #[test]
    fn lock_files_are_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let flights = Flights::across_processes(dir.path());
        assert_eq!(run_once_among(&flights, 16), 1);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn two_values_on_one_directory_exclude_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) =
            (Flights::across_processes(dir.path()), Flights::across_processes(dir.path()));
        let lease = ours.enter("k").unwrap();
        let file = dir.path().join(Digest::of(b"k").to_string());
        assert!(FileLock::try_exclusive(&file).unwrap().is_none(), "the lease holds the file");
        thread::scope(|scope| {
            let other = scope.spawn(|| theirs.enter("k").map(drop));
            drop(lease);
            other.join().unwrap().unwrap();
        });
    }

    #[test]
    fn asking_from_inside_is_an_error_and_other_keys_are_free() {
        let flights = Flights::new();
        let lease = flights.enter("a").unwrap();
        for _ in 0..2 {
            assert_eq!(flights.enter("a").unwrap_err().kind(), ErrorKind::Locked);
        }
        drop(flights.enter("b").unwrap());
        drop(lease);
        drop(flights.enter("a").unwrap());
    }

    #[test]
    fn a_panic_hands_over() {
        let flights = Flights::new();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let _lease = flights.enter("a").unwrap();
            panic!("on purpose");
        }));
        assert!(outcome.is_err());
        drop(flights.enter("a").unwrap());
    }
}
