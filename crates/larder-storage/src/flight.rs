//! Single-flight: of all who want one thing computed, one computes it and the others then find it done.
//!
//! Leases reach as far as they are asked to: among threads ([`Flights::new`]), among the processes of one machine
//! ([`Flights::across_processes`]), or among all who share a [`Storage`] ([`Flights::on`]).
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
//!
//! # Fencing
//!
//! A thread or a lock file holds its lease as long as it lives, even while it is stopped. A lease on a storage can be
//! lost: whoever is silent for its length, paused or cut off, is taken for dead, and may wake up later and go on. No
//! lease can stop it; what it writes has to be refused. [`Lease::publish`] does so: it asks for the lease once more,
//! and writes under a condition on what was there when the holder looked, so that a result is published exactly once
//! even by one who loses the lease between the two. Whoever publishes elsewhere, as to a database, sends
//! [`Lease::fence`] along and has anything refused that comes with a lower number than one seen before.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    Digest, Error, ErrorKind, Key, PutIf, Result, Storage, Version,
    lock::{self, FileLock},
};

mod claim;
mod record;
mod slot;
#[cfg(test)]
mod tests;

use claim::{Claim, Held};
use record::Place;
use slot::{Seat, Slots};

const SHORTEST_LEASE: Duration = Duration::from_millis(100);

/// One lease for each key: among the threads of a process, among processes, or among all who share a storage.
#[derive(Debug, Default)]
pub struct Flights {
    reach: Reach,
    slots: OnceLock<Arc<Slots>>,
}

#[derive(Debug, Default)]
enum Reach {
    #[default]
    Threads,
    Files(PathBuf),
    Objects(Arc<dyn Storage>, Options),
}

/// How leases on a storage are held.
#[derive(Clone, Debug)]
pub struct Options {
    lease: Duration,
}

impl Default for Options {
    /// Leases of 30 seconds.
    fn default() -> Self {
        Self { lease: Duration::from_secs(30) }
    }
}

impl Options {
    /// How long a holder may be silent before another takes over; at least 100 ms. Holders renew three times in it.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }
}

/// The right to work on one key. Dropping it, also in a panic or by death of the process, hands it to the next.
#[must_use = "the lease ends when this is dropped"]
#[derive(Debug)]
pub struct Lease<'a> {
    // Dropped in this order: the threads of this process are let in last.
    hold: Hold,
    _seat: Seat<'a>,
}

#[derive(Debug)]
enum Hold {
    Thread,
    File(Option<FileLock>),
    Object(Held),
}

impl Flights {
    /// Leases among the threads that share this value.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leases also among processes, by lock files in the local directory `locks`, one for each key in flight.
    /// What killed holders left there goes now. All values on one directory share their leases.
    pub fn across_processes(locks: impl Into<PathBuf>) -> Self {
        let locks = locks.into();
        // The same directory whatever the working directory becomes.
        let locks = std::path::absolute(&locks).unwrap_or(locks);
        // A file that stays, as in a directory that may only be read, is free for the next holder all the same.
        let _ = lock::sweep(&locks);
        Self { reach: Reach::Files(locks), ..Self::default() }
    }

    /// Leases among all who share `storage`, by one small object for each key, `flights/<BLAKE3 of the key>`.
    ///
    /// A thread renews the object while the lease is held. It stays when the lease ends, because its fence goes on
    /// from there; it may be removed while nobody works on the key or waits for it, where nobody uses the fence. No
    /// wall clock is read, so clocks need not agree.
    /// Whoever waits looks ten times in a lease, and at least twice a second. A dead holder is known by a whole lease
    /// of silence since the first look, however long it has been dead.
    ///
    /// # Errors
    ///
    /// `Invalid` where the lease is shorter than 100 ms.
    pub fn on(storage: Arc<dyn Storage>, options: Options) -> Result<Self> {
        if options.lease < SHORTEST_LEASE {
            let message = format!("a lease has at least 100 ms, not {:?}", options.lease);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(Self { reach: Reach::Objects(storage, options), ..Self::default() })
    }

    /// Waits until nobody else holds `key`. The lease counts as held by the thread that took it, wherever it goes: while
    /// that one waits for another lease, who holds that and asks for this one is refused.
    ///
    /// # Errors
    ///
    /// `Locked` where this thread holds `key` already, through this value or another one on the same place, or another
    /// thread of this process holds it that waits for this one, be it through others, so that the wait would never end; of
    /// leases on a storage only those through this value are known. `Io` where a lock file fails; what [`Storage::get`] and [`Storage::put`] fail with, and
    /// `Corrupt` or `Format` where the object of the lease is none, on a storage.
    pub fn enter(&self, key: &str) -> Result<Lease<'_>> {
        let seat = self.slots()?.occupy(key)?;
        let hold = match &self.reach {
            Reach::Threads => Hold::Thread,
            Reach::Files(dir) => Hold::File(Some(FileLock::exclusive(&lock_file(dir, key))?)),
            Reach::Objects(storage, options) => {
                let claim = Claim::new(Place::new(storage, key)?, key, options.lease);
                Hold::Object(claim.wait()?)
            }
        };
        Ok(Lease { hold, _seat: seat })
    }

    /// The lease of `key` where nobody holds it, without waiting. One that a dead holder left on a storage counts as held:
    /// that takes a wait to know.
    ///
    /// # Errors
    ///
    /// As [`enter`](Self::enter), but never `Locked`.
    pub fn try_enter(&self, key: &str) -> Result<Option<Lease<'_>>> {
        let Some(seat) = self.slots()?.try_occupy(key) else { return Ok(None) };
        let hold = match &self.reach {
            Reach::Threads => Some(Hold::Thread),
            Reach::Files(dir) => {
                FileLock::try_exclusive(&lock_file(dir, key))?.map(|lock| Hold::File(Some(lock)))
            }
            Reach::Objects(storage, options) => {
                let claim = Claim::new(Place::new(storage, key)?, key, options.lease);
                claim.ask()?.map(Hold::Object)
            }
        };
        Ok(hold.map(|hold| Lease { hold, _seat: seat }))
    }

    fn slots(&self) -> Result<&Slots> {
        if let Some(slots) = self.slots.get() {
            return Ok(slots);
        }
        let slots = match &self.reach {
            Reach::Files(dir) => Slots::of(dir)?,
            Reach::Threads | Reach::Objects(..) => Arc::default(),
        };
        Ok(self.slots.get_or_init(|| slots))
    }
}

fn lock_file(dir: &Path, key: &str) -> PathBuf {
    dir.join(Digest::of(key.as_bytes()).to_string())
}

impl Lease<'_> {
    /// A number that grows with each lease of this key on this storage; `None` for a lease that cannot be lost.
    pub fn fence(&self) -> Option<u64> {
        match &self.hold {
            Hold::Object(held) => Some(held.fence()),
            Hold::Thread | Hold::File(_) => None,
        }
    }

    /// Makes sure that the lease is still held, and renews it: nobody takes it over for its length from the start of
    /// this call.
    ///
    /// # Errors
    ///
    /// `Conflict` where somebody else took over; what [`Storage::get`] and [`Storage::put`] fail with.
    pub fn check(&self) -> Result<()> {
        match &self.hold {
            Hold::Object(held) => held.check(),
            Hold::Thread | Hold::File(_) => Ok(()),
        }
    }

    /// Publishes a result at `key` of `storage` if the lease is still held and what is there still has the version
    /// `seen`, that is, what the holder found when it looked under the lease: `None` where there was nothing.
    ///
    /// Of all who work on one result, one publishes it, however they were paused.
    ///
    /// # Errors
    ///
    /// `Conflict` where somebody else took over or published; otherwise as [`check`](Self::check) and
    /// [`Storage::put`].
    pub fn publish(
        &self,
        storage: &dyn Storage,
        key: &Key,
        bytes: Bytes,
        seen: Option<&Version>,
    ) -> Result<()> {
        self.check()?;
        let when = seen.map_or(PutIf::Absent, |version| PutIf::Version(version.clone()));
        storage.put(key, bytes, when)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Self::File(lock) = self
            && let Some(lock) = lock.take()
        {
            // A lock file that stays is harmless; the lock itself is released in any case.
            let _ = lock.remove();
        }
    }
}
