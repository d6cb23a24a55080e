//! Values in memory, as long as nobody else writes.
//!
//! What is held was read or written at one state of the database, [`Database::state`](larder_sqlite::Database::state).
//! One's own writes carry it on to the next state; another's make it worthless, and the next look forgets all of it.

use std::{
    ops::Range,
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use quick_cache::{Weighter, sync::Cache};

use crate::engine::Found;

/// The state of a memory that holds nothing yet.
const NOTHING: u64 = u64::MAX;
/// What an entry takes beside its key and its value, about.
const OVERHEAD: u64 = 160;

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<Box<str>, Found> for Weight {
    fn weight(&self, key: &Box<str>, found: &Found) -> u64 {
        key.len() as u64 + found.json.len() as u64 + OVERHEAD
    }
}

#[derive(Debug)]
pub(super) struct Tier {
    /// The state of the database at which all that is held is true.
    state: RwLock<u64>,
    /// None where nothing is held.
    entries: Option<Cache<Box<str>, Found, Weight>>,
}

impl Tier {
    pub(super) fn new(bytes: u64) -> Self {
        // An estimate for its tables: a quarter of a kilobyte an entry.
        let items = usize::try_from(bytes / 256).unwrap_or(usize::MAX);
        Self {
            state: RwLock::new(NOTHING),
            entries: (bytes > 0).then(|| Cache::with_weighter(items, bytes, Weight)),
        }
    }

    pub(super) fn get(&self, state: Option<u64>, key: &str) -> Option<Found> {
        let (entries, state) = (self.entries.as_ref()?, state?);
        if *self.read() != state {
            self.begin_at(state);
            return None;
        }
        entries.get(key)
    }

    /// Holds what was read at a state, or later.
    pub(super) fn fill(&self, state: Option<u64>, key: &str, found: Found) {
        let now = self.read();
        if let Some(entries) = self.entries.as_ref().filter(|_| state == Some(*now)) {
            entries.insert(key.into(), found);
        }
    }

    /// Carries what is held over one's own turn, while that lasts; `remember` tells of its writes by [`put`](Self::put)
    /// and [`forget`](Self::forget).
    pub(super) fn advance(&self, span: Range<u64>, remember: impl FnOnce()) {
        let mut state = self.write();
        if *state != span.start {
            self.forget_all();
        }
        remember();
        *state = span.end;
    }

    pub(super) fn put(&self, key: &str, found: Found) {
        if let Some(entries) = &self.entries {
            entries.insert(key.into(), found);
        }
    }

    pub(super) fn forget(&self, key: &str) {
        if let Some(entries) = &self.entries {
            entries.remove(key);
        }
    }

    pub(super) fn forget_all(&self) {
        if let Some(entries) = &self.entries {
            entries.clear();
        }
    }

    /// Forgets everything that another state left.
    fn begin_at(&self, state: u64) {
        let mut held = self.write();
        // Another thread may have done it, or written, since.
        if *held < state || *held == NOTHING {
            self.forget_all();
            *held = state;
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, u64> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, u64> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}
