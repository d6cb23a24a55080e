//! How one entry goes.

use std::{thread, time::Duration};

use larder_storage::{Key, Result, lock::FileLock};

use crate::{
    core::Core,
    index::{Row, State},
};

/// How often somebody who wants to remove one entry asks for its lock, a millisecond apart: counting, measuring and
/// verifying hold it for moments.
const ATTEMPTS: usize = 100;

/// What became of an attempt to remove an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    Done,
    Absent,
    Leased,
}

/// Why an entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Somebody wants it gone, or its time is over.
    Asked,
    /// A policy has named it, and it may have been pinned since.
    Evicted,
}

impl Core {
    /// Takes the entry out, unless somebody has it under a lease.
    pub(crate) fn remove(&self, key: &Key) -> Result<Removal> {
        for _ in 1..ATTEMPTS {
            match self.take_out(key, Why::Asked)? {
                Removal::Leased => thread::sleep(Duration::from_millis(1)),
                done => return Ok(done),
            }
        }
        self.take_out(key, Why::Asked)
    }

    /// As [`remove`](Self::remove), without patience.
    pub(crate) fn take_out(&self, key: &Key, why: Why) -> Result<Removal> {
        self.ballast.spend(|| self.index.empty_log(), || self.try_to_take_out(key, why))
    }

    fn try_to_take_out(&self, key: &Key, why: Why) -> Result<Removal> {
        match self.index.find(key.as_str())? {
            Some(row) if row.state == State::Live => {}
            None => return Ok(Removal::Absent),
            // Not while whoever works on it is alive.
            Some(_) => {
                self.settle(key)?;
                if self.index.present(key.as_str())?.is_none() {
                    return Ok(Removal::Absent);
                }
            }
        }
        let Some(lock) = FileLock::try_exclusive(&self.lease_file(key))? else {
            return Ok(Removal::Leased);
        };
        self.settle_held(key)?;
        let row = self.index.find(key.as_str())?.filter(|row| row.state == State::Live);
        match row {
            Some(row) if self.begin(key, why)? => self.take_out_alone(key, &row, lock),
            Some(_) => Ok(Removal::Absent),
            None => lock.remove().map(|()| Removal::Absent),
        }
    }

    fn begin(&self, key: &Key, why: Why) -> Result<bool> {
        match why {
            Why::Asked => self.index.begin_removal(key.as_str()),
            Why::Evicted => self.index.begin_eviction(key.as_str()),
        }
    }

    fn take_out_alone(&self, key: &Key, row: &Row, lock: FileLock) -> Result<Removal> {
        let moved = self.move_away(row.id, key, &self.path(key)?);
        if moved.is_err() && self.index.present(key.as_str())?.is_some() {
            return moved.map(|()| Removal::Leased);
        }
        let unlocked = lock.remove();
        // Its name is free: what cannot be deleted now is tried again each cycle.
        if let Err(error) = self.delete_trash(row.id) {
            self.watch().failed(&error, &format!("deleting the files of {key}"));
        }
        moved.and(unlocked).map(|()| Removal::Done)
    }

    /// Ends the removal of an entry that was found damaged, once nobody has it under a lease. Whether nothing is left.
    pub(crate) fn finish_removal(&self, key: &Key) -> Result<bool> {
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                thread::sleep(Duration::from_millis(1));
            }
            if let Some(lock) = FileLock::try_exclusive(&self.lease_file(key))? {
                return self.settle_alone(key, lock).map(|_| true);
            }
        }
        Ok(false)
    }

    /// Removes every entry that is not in use; returns what went.
    pub(crate) fn clear(&self) -> Result<Vec<String>> {
        let (mut gone, mut done) = (Vec::new(), Ok(()));
        for key in self.index.live_keys()? {
            match self.take_out(&key, Why::Asked) {
                Ok(Removal::Done) => gone.push(key.as_str().to_owned()),
                Ok(Removal::Absent | Removal::Leased) => {}
                Err(error) => done = done.and(Err(error)),
            }
        }
        self.report(gone, done, "clearing the cache")
    }
}
