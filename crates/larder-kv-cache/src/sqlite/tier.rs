//! Values in memory, as long as nobody else writes.
//!
//! What is held was read or written at one state of the database, [`Database::state`](larder_sqlite::Database::state).
//! One's own writes carry it on to the next state; another's make it worthless, and the next look forgets all of it.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
};

use larder_storage::Bytes;
use quick_cache::{Weighter, sync::Cache};

use crate::engine::Found;

/// The state of a memory that holds nothing yet.
const NOTHING: u64 = u64::MAX;
/// How many entries may be used before their uses are written down.
const MAX_USED: usize = 4096;
/// What an entry takes beside its key and its value, about.
const OVERHEAD: u64 = 160;

/// A value that was read or written.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) key: Box<str>,
    json: Bytes,
    pub(super) expires_at: Option<i64>,
    uses: AtomicU32,
    used_at: AtomicI64,
}

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<Box<str>, Arc<Held>> for Weight {
    fn weight(&self, key: &Box<str>, held: &Arc<Held>) -> u64 {
        2 * key.len() as u64 + held.json.len() as u64 + OVERHEAD
    }
}

#[derive(Debug)]
pub(super) struct Tier {
    /// The state of the database at which all that is held is true.
    state: RwLock<u64>,
    /// None where nothing is held.
    entries: Option<Cache<Box<str>, Arc<Held>, Weight>>,
    /// What was used since uses were last written down; None where nobody asks.
    used: Option<Mutex<Vec<Arc<Held>>>>,
}

impl Held {
    pub(super) fn new(key: &str, json: Bytes, expires_at: Option<i64>) -> Arc<Self> {
        let (uses, used_at) = (AtomicU32::new(0), AtomicI64::new(0));
        Arc::new(Self { key: key.into(), json, expires_at, uses, used_at })
    }

    pub(super) fn found(&self) -> Found {
        Found { json: self.json.clone(), expires_at: self.expires_at }
    }
}

/// How often an entry was read, and when at last.
#[derive(Debug)]
pub(super) struct Used {
    pub(super) held: Arc<Held>,
    pub(super) uses: u32,
    pub(super) at: i64,
}

impl Tier {
    pub(super) fn new(bytes: u64, is_ranked: bool) -> Self {
        // An estimate for its tables: a quarter of a kilobyte an entry.
        let items = usize::try_from(bytes / 256).unwrap_or(usize::MAX);
        Self {
            state: RwLock::new(NOTHING),
            entries: (bytes > 0).then(|| Cache::with_weighter(items, bytes, Weight)),
            used: is_ranked.then(Mutex::default),
        }
    }

    pub(super) fn get(&self, state: Option<u64>, key: &str) -> Option<Arc<Held>> {
        let (entries, state) = (self.entries.as_ref()?, state?);
        if *self.read() != state {
            self.begin_at(state);
            return None;
        }
        entries.get(key)
    }

    /// Holds what was read at a state, or later.
    pub(super) fn fill(&self, state: Option<u64>, held: Arc<Held>) {
        let now = self.read();
        if let Some(entries) = self.entries.as_ref().filter(|_| state == Some(*now)) {
            entries.insert(held.key.clone(), held);
        }
    }

    /// Carries what is held over one's own writes, which `remember` tells by [`put`](Self::put) and
    /// [`forget`](Self::forget).
    pub(super) fn advance(&self, span: Range<u64>, remember: impl FnOnce()) {
        let mut state = self.write();
        if *state != NOTHING && *state > span.start {
            // Another thread's later write came first.
            return;
        }
        if *state != span.start {
            self.forget_all();
        }
        remember();
        *state = span.end;
    }

    pub(super) fn put(&self, held: Arc<Held>) {
        if let Some(entries) = &self.entries {
            entries.insert(held.key.clone(), held);
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

    pub(super) fn counts_uses(&self) -> bool {
        self.used.is_some()
    }

    /// Counts a use; whether there are so many that they have to be written down.
    pub(super) fn count_use(&self, held: &Arc<Held>, now: i64) -> bool {
        self.count_uses(held, 1, now)
    }

    fn count_uses(&self, held: &Arc<Held>, uses: u32, at: i64) -> bool {
        let Some(used) = &self.used else { return false };
        held.used_at.fetch_max(at, Ordering::Relaxed);
        if held.uses.fetch_add(uses, Ordering::Relaxed) > 0 {
            return false;
        }
        let mut used = used.lock().unwrap_or_else(PoisonError::into_inner);
        used.push(Arc::clone(held));
        used.len() >= MAX_USED
    }

    /// The uses since they were last taken.
    pub(super) fn take_used(&self) -> Vec<Used> {
        let Some(used) = &self.used else { return Vec::new() };
        let used = std::mem::take(&mut *used.lock().unwrap_or_else(PoisonError::into_inner));
        let take = |held: Arc<Held>| Used {
            uses: held.uses.swap(0, Ordering::Relaxed),
            at: held.used_at.load(Ordering::Relaxed),
            held,
        };
        used.into_iter().map(take).collect()
    }

    /// Counts uses again that were taken and could not be written down.
    pub(super) fn give_back(&self, used: Vec<Used>) {
        for Used { held, uses, at } in used {
            self.count_uses(&held, uses, at);
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
