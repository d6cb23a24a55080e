//! Leases among the threads of one process.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak},
    thread::{self, ThreadId},
};

use crate::{Error, ErrorKind, Result};

/// The slots of each directory of lock files in use, by its canonical path.
static SHARED: Mutex<BTreeMap<PathBuf, Weak<Slots>>> = Mutex::new(BTreeMap::new());

/// One slot for each key that somebody works on or waits for.
#[derive(Debug, Default)]
pub(super) struct Slots(Mutex<HashMap<Box<str>, Shared>>);

/// A slot, and how many work on its key or wait for it.
#[derive(Debug, Default)]
struct Shared {
    users: usize,
    slot: Arc<Slot>,
}

#[derive(Debug, Default)]
struct Slot {
    holder: Mutex<Option<ThreadId>>,
    free: Condvar,
}

/// A slot that is waited for or held.
#[derive(Debug)]
pub(super) struct Seat<'a> {
    slots: &'a Slots,
    key: Box<str>,
    slot: Arc<Slot>,
    is_held: bool,
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

    /// Waits until no other thread holds the slot of `key`; fails where that would never be.
    pub(super) fn occupy(&self, key: &str) -> Result<Seat<'_>> {
        let mut seat = self.seat(key);
        seat.slot.occupy().ok_or_else(|| reentered(key))?;
        seat.is_held = true;
        Ok(seat)
    }

    /// The slot of `key`, where no thread holds it.
    pub(super) fn try_occupy(&self, key: &str) -> Option<Seat<'_>> {
        let mut seat = self.seat(key);
        seat.is_held = seat.slot.try_occupy(thread::current().id());
        seat.is_held.then_some(seat)
    }

    fn seat(&self, key: &str) -> Seat<'_> {
        let mut slots = lock(&self.0);
        let shared = slots.entry(key.into()).or_default();
        shared.users += 1;
        Seat { slots: self, key: key.into(), slot: Arc::clone(&shared.slot), is_held: false }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }
}

impl Slot {
    /// Waits for the slot; `None` where this thread would wait for itself.
    fn occupy(self: &Arc<Self>) -> Option<()> {
        let me = thread::current().id();
        if self.try_occupy(me) {
            return Some(());
        }
        let _waiting = Waiting::begin(me, self)?;
        let mut holder = lock(&self.holder);
        while holder.is_some() {
            holder = self.free.wait(holder).unwrap_or_else(PoisonError::into_inner);
        }
        *holder = Some(me);
        Some(())
    }

    fn try_occupy(&self, me: ThreadId) -> bool {
        let mut holder = lock(&self.holder);
        let is_free = holder.is_none();
        holder.get_or_insert(me);
        is_free
    }
}

/// What each thread of this process waits for. Whoever has this locked may lock a slot, and not the other way round.
static WAITING: LazyLock<Mutex<HashMap<ThreadId, Arc<Slot>>>> = LazyLock::new(Mutex::default);

/// Says that a thread waits, for as long as this lives.
struct Waiting(ThreadId);

impl Waiting {
    /// `None` where who holds the slot waits for this thread, be it through others.
    fn begin(me: ThreadId, slot: &Arc<Slot>) -> Option<Self> {
        let mut waiting = lock(&WAITING);
        let mut next = Some(slot);
        // A thread that has just got its slot still counts as waiting for it, and so for itself.
        for _ in 0..=waiting.len() {
            let Some(holder) = next.and_then(|slot| *lock(&slot.holder)) else { break };
            if holder == me {
                return None;
            }
            next = waiting.get(&holder);
        }
        waiting.insert(me, Arc::clone(slot));
        Some(Self(me))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        lock(&WAITING).remove(&self.0);
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if self.is_held {
            *lock(&self.slot.holder) = None;
            self.slot.free.notify_one();
        }
        let mut slots = lock(&self.slots.0);
        if let Some(shared) = slots.get_mut(&self.key) {
            shared.users -= 1;
            if shared.users == 0 {
                slots.remove(&self.key);
            }
        }
    }
}

pub(super) fn reentered(key: &str) -> Error {
    let message = format!(
        "{key:?} is worked on by this thread, or by one that waits for this thread: do not ask for it from inside"
    );
    Error::new(ErrorKind::Locked, message)
}

// What these mutexes guard is whole after each statement, so a panic elsewhere does not spoil it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
