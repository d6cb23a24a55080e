//! How many bytes of arrays a process keeps in memory.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
};

use larder_storage::Result;
use serde::Serialize;

use crate::slot::Tracked;

/// A bound on the bytes of array elements in memory, shared by all stores that are given a clone of it.
///
/// Before an array is loaded or inserted, the least recently used arrays without a live guard are offloaded until it
/// fits. One as it was published is dropped, at no I/O; an edited one is spilled to a scratch file first. Where a
/// spill fails, the array stays in memory and whoever wanted the room gets the error.
///
/// Live guards are never refused: while those alone pass the limit, it is exceeded, and nothing else is kept. When
/// the last guard of an array goes, what is over the limit is offloaded there and then; a spill that fails
/// then is tried again by the next load or insert.
#[derive(Clone)]
pub struct MemoryBudget(Arc<Shared>);

struct Shared {
    limit: u64,
    ledger: Mutex<Ledger>,
    /// Told whenever an eviction ends.
    settled: Condvar,
}

/// What a [`MemoryBudget`] has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BudgetFigures {
    /// Bytes of array elements in memory, or about to be loaded.
    pub resident: u64,
    /// The most that `resident` ever was.
    pub peak: u64,
    /// How often an array was brought into memory from a file.
    pub loads: u64,
    /// How often an array left memory, by the budget or by request.
    pub offloads: u64,
    /// How many of these offloads had to write to a scratch file first, because the array had been edited.
    pub spills: u64,
}

#[derive(Default)]
struct Ledger {
    figures: BudgetFigures,
    /// Arrays in memory without a guard, the least recently used first.
    idle: BTreeMap<Tick, Weak<dyn Tracked>>,
    next: u64,
    /// How many are being offloaded to make room.
    evicting: usize,
}

/// When an array was last used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(u64);

/// Bytes that are about to be filled; given back when dropped.
#[must_use = "the room is given back when this is dropped"]
pub(crate) struct Room<'a> {
    budget: &'a MemoryBudget,
    bytes: u64,
}

impl MemoryBudget {
    /// The limit of [`MemoryBudget::default`]: 1 GiB.
    pub const DEFAULT_LIMIT: u64 = 1 << 30;

    /// A budget of `limit` bytes.
    pub fn bytes(limit: u64) -> Self {
        Self(Arc::new(Shared { limit, ledger: Mutex::default(), settled: Condvar::new() }))
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.0.limit
    }

    /// All figures, of one moment.
    pub fn figures(&self) -> BudgetFigures {
        self.lock().figures
    }

    /// Bytes of array elements in memory, or about to be loaded.
    pub fn resident(&self) -> u64 {
        self.figures().resident
    }

    /// How often an array was brought into memory from a file.
    pub fn loads(&self) -> u64 {
        self.figures().loads
    }

    /// How often an array left memory, by the budget or by request.
    pub fn offloads(&self) -> u64 {
        self.figures().offloads
    }

    /// How many of the [`offloads`](Self::offloads) had to write an edited array to a scratch file.
    pub fn spills(&self) -> u64 {
        self.figures().spills
    }

    /// Room for an array under a guard: beyond the limit where nothing more can be offloaded.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<Room<'_>> {
        Ok(self.grant(self.make_room(bytes)?, bytes))
    }

    /// Room for an array without a guard, where there is any.
    pub(crate) fn try_reserve(&self, bytes: u64) -> Result<Option<Room<'_>>> {
        if bytes > self.0.limit {
            return Ok(None);
        }
        let ledger = self.make_room(bytes)?;
        let fits = self.fits(&ledger, bytes);
        Ok(fits.then(|| self.grant(ledger, bytes)))
    }

    /// Offloads what is over the limit.
    pub(crate) fn shrink(&self) -> Result<()> {
        self.make_room(0).map(drop)
    }

    /// An array has no guard any more.
    pub(crate) fn add_idle(&self, array: Weak<dyn Tracked>) -> Tick {
        let mut ledger = self.lock();
        let tick = Tick(ledger.next);
        ledger.next += 1;
        ledger.idle.insert(tick, array);
        tick
    }

    /// An idle array is used, offloaded or dropped.
    pub(crate) fn remove_idle(&self, tick: Tick) {
        let removed = self.lock().idle.remove(&tick);
        drop(removed);
    }

    pub(crate) fn note_load(&self) {
        self.lock().figures.loads += 1;
    }

    pub(crate) fn note_offload(&self, bytes: u64, spilled: bool) {
        let mut ledger = self.lock();
        ledger.figures.resident -= bytes;
        ledger.figures.offloads += 1;
        ledger.figures.spills += u64::from(spilled);
    }

    pub(crate) fn release(&self, bytes: u64) {
        self.lock().figures.resident -= bytes;
    }

    /// Offloads idle arrays until `bytes` more fit or none is left. Whoever offloads waits for nothing but I/O, so
    /// waiting for them ends.
    fn make_room(&self, bytes: u64) -> Result<MutexGuard<'_, Ledger>> {
        let mut ledger = self.lock();
        while !self.fits(&ledger, bytes) {
            if let Some((_, array)) = ledger.idle.pop_first() {
                ledger.evicting += 1;
                drop(ledger);
                let eviction = Eviction(self);
                array.upgrade().map_or(Ok(()), |array| array.evict())?;
                drop(eviction);
                ledger = self.lock();
            } else if ledger.evicting > 0 {
                ledger = self.0.settled.wait(ledger).unwrap_or_else(PoisonError::into_inner);
            } else {
                break;
            }
        }
        Ok(ledger)
    }

    fn fits(&self, ledger: &Ledger, bytes: u64) -> bool {
        ledger.figures.resident.saturating_add(bytes) <= self.0.limit
    }

    fn grant(&self, mut ledger: MutexGuard<'_, Ledger>, bytes: u64) -> Room<'_> {
        let figures = &mut ledger.figures;
        figures.resident += bytes;
        figures.peak = figures.peak.max(figures.resident);
        Room { budget: self, bytes }
    }

    // Each change of the ledger is whole after one statement, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self::bytes(Self::DEFAULT_LIMIT)
    }
}

impl fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("MemoryBudget");
        shown.field("limit", &self.limit()).field("figures", &self.figures()).finish()
    }
}

/// Counts one eviction until it ends, however it ends.
struct Eviction<'a>(&'a MemoryBudget);

impl Drop for Eviction<'_> {
    fn drop(&mut self) {
        self.0.lock().evicting -= 1;
        self.0.0.settled.notify_all();
    }
}

impl Room<'_> {
    /// The bytes are filled now, and belong to an array.
    pub(crate) fn keep(mut self) {
        self.bytes = 0;
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.budget.release(self.bytes);
    }
}
