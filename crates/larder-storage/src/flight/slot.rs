//! Leases among the threads of one process.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread::{self, ThreadId},
};

use crate::{Error, ErrorKind, Result};

/// The slots of each directory of lock files in use, by its canonical path.
static SHARED: Mutex<BTreeMap<PathBuf, Weak<Slots>>> = Mutex::new(BTreeMap::new());

/// One slot for each key that somebody works on or waits for.
#[derive(Debug, Default)]
pub(super) struct Slots(Mutex<HashMap<Box<str>, Arc<Slot>>>);

#[derive(Debug, Default)]
struct Slot {
    holder: Mutex<Option<ThreadId>>,
    free: Condvar,
}

/// A held slot.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    slots: &'a Slots,
    key: Box<str>,
    slot: Arc<Slot>,
}

impl Slots {
    /// The slots that all of this process share who lock files in `dir`, which is made where it is missing.
    pub(super) fn of(dir: &Path) -> Result<Arc<Self>> {
        let failed = |error| Error::io(error, "cannot open the directory of locks").at_path(dir);
        fs::create_dir_all(dir).map_err(failed)?;
        let place = fs::canonicalize(dir).map_err(failed)?;
        let mut shared = lock(&SHARED);
        shared.retain(|_, slots| slots.strong_count() > 0);
        if let Some(slots) = shared.get(&place).and_then(Weak::upgrade) {
            return Ok(slots);
        }
        let slots = Arc::default();
        shared.insert(place, Arc::downgrade(&slots));
        Ok(slots)
    }

    /// Waits until no other thread holds the slot of `key`.
    pub(super) fn occupy(&self, key: &str) -> Result<Seat<'_>> {
        let slot = Arc::clone(lock(&self.0).entry(key.into()).or_default());
        slot.occupy().map_err(|()| reentered(key))?;
        Ok(Seat { slots: self, key: key.into(), slot })
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
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

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut slots = lock(&self.slots.0);
        let mut holder = lock(&self.slot.holder);
        *holder = None;
        self.slot.free.notify_one();
        // Clones are made under the lock of the map, so two of them mean: the map's and ours.
        if Arc::strong_count(&self.slot) == 2 {
            slots.remove(&self.key);
        }
    }
}

pub(super) fn reentered(key: &str) -> Error {
    let message = format!("this thread works on {key:?} already: do not ask for it from inside");
    Error::new(ErrorKind::Locked, message)
}

// What these mutexes guard is whole after each statement, so a panic elsewhere does not spoil it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
