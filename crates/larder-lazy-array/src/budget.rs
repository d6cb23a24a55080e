//! How many bytes of arrays a process keeps in memory.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use larder_storage::{Error, ErrorKind, Result};
use serde::Serialize;

use crate::{
    hooks::Departed,
    slot::Tracked,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
};

mod worker;

use worker::Worker;

/// How a [`MemoryBudget`] works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetOptions {
    limit: u64,
    low: u64,
    high: u64,
    when_pinned: WhenPinned,
}

/// What becomes of a read that needs more room than the arrays under live guards leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenPinned {
    /// The limit is exceeded until guards go. [`BudgetFigures::exceeded`] counts it, and it is an event of the level
    /// `WARN`.
    #[default]
    Exceed,
    /// It is `Full`.
    Refuse,
    /// It waits for guards to go, at most so long, and is `Full` then. An array that is larger than the limit is `Full` at
    /// once.
    Wait(Duration),
}

impl BudgetOptions {
    /// A limit of `limit` bytes, which guards may exceed, and no watermarks.
    pub fn bytes(limit: u64) -> Self {
        Self { limit, low: limit, high: limit, when_pinned: WhenPinned::default() }
    }

    /// From more than `high` bytes in memory on, a thread of the budget offloads arrays without a guard until `low` are
    /// left, so that who reads or drops a guard seldom waits for a spill. Neither is above the limit, nor `low` above
    /// `high`: they are lowered to that.
    #[must_use]
    pub fn watermarks(self, low: u64, high: u64) -> Self {
        let high = high.min(self.limit);
        Self { low: low.min(high), high, ..self }
    }

    /// What becomes of a read that needs more room than the arrays under live guards leave.
    #[must_use]
    pub fn when_pinned(self, when_pinned: WhenPinned) -> Self {
        Self { when_pinned, ..self }
    }
}

/// A bound on the bytes of array elements in memory, shared by all stores that are given a clone of it. Elements count
/// by their size, whether they are on the heap or mapped.
///
/// Before an array is loaded or inserted, the least recently used arrays without a live guard are offloaded until it
/// fits. One as it was published is dropped, at no I/O; an edited one is spilled to a scratch file first. Where a
/// spill fails, the array stays in memory and whoever wanted the room gets the error.
///
/// An array under a live guard stays. What is done where those alone pass the limit is an option: see [`WhenPinned`].
/// When the last guard of an array goes, what is over the limit is offloaded there and then; a spill that fails
/// then is tried again by the next load or insert.
#[derive(Clone)]
pub struct MemoryBudget(Arc<Shared>);

struct Shared {
    options: BudgetOptions,
    ledger: Mutex<Ledger>,
    /// Told whenever an eviction ends or bytes are given back.
    settled: Condvar,
    worker: Worker,
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
    /// How often the limit was passed, because arrays under live guards left no room.
    pub exceeded: u64,
}

#[derive(Default)]
struct Ledger {
    figures: BudgetFigures,
    /// Arrays in memory without a guard, the least recently used first.
    idle: BTreeMap<Tick, Weak<dyn Tracked>>,
    next: u64,
    /// How many are being offloaded to make room.
    evicting: usize,
    /// How many threads wait for room.
    waiting: usize,
}

impl Ledger {
    /// The least recently used array that did not fail to leave.
    fn pop(&mut self, failed: &Failed) -> Option<Weak<dyn Tracked>> {
        let mut idle = self.idle.iter();
        let (&tick, _) = idle.find(|(_, array)| !failed.has(array))?;
        self.idle.remove(&tick)
    }
}

/// The arrays that could not be spilled, which are idle again and not tried twice by one who wants room.
#[derive(Default)]
struct Failed {
    arrays: Vec<Weak<dyn Tracked>>,
    first: Option<Error>,
}

impl Failed {
    fn add(&mut self, array: Weak<dyn Tracked>, error: Error) {
        self.arrays.push(array);
        self.first.get_or_insert(error);
    }

    fn has(&self, array: &Weak<dyn Tracked>) -> bool {
        self.arrays.iter().any(|failed| failed.ptr_eq(array))
    }
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
        Self::new(BudgetOptions::bytes(limit))
    }

    /// A budget with these options.
    pub fn new(options: BudgetOptions) -> Self {
        Self(Arc::new_cyclic(|budget| Shared {
            options,
            ledger: Mutex::default(),
            settled: Condvar::new(),
            worker: Worker::new(budget.clone()),
        }))
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.0.options.limit
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

    /// Room for an array under a guard, as far as [`WhenPinned`] gives any.
    pub(crate) fn reserve(&self, bytes: u64, departed: &mut Departed) -> Result<Room<'_>> {
        let since = Instant::now();
        loop {
            let ledger = self.make_room(self.limit(), bytes, departed)?;
            if self.fits(&ledger, self.limit(), bytes) {
                return Ok(self.grant(ledger, bytes));
            }
            match self.0.options.when_pinned {
                WhenPinned::Exceed => return Ok(self.exceed(ledger, bytes)),
                WhenPinned::Wait(most) if bytes <= self.limit() => {
                    let left = most.checked_sub(since.elapsed()).ok_or_else(|| self.full(bytes))?;
                    self.wait(ledger, left);
                }
                WhenPinned::Refuse | WhenPinned::Wait(_) => return Err(self.full(bytes)),
            }
        }
    }

    /// Room for an array without a guard, where there is any.
    pub(crate) fn try_reserve(
        &self,
        bytes: u64,
        departed: &mut Departed,
    ) -> Result<Option<Room<'_>>> {
        if bytes > self.limit() {
            return Ok(None);
        }
        let ledger = self.make_room(self.limit(), bytes, departed)?;
        let fits = self.fits(&ledger, self.limit(), bytes);
        Ok(fits.then(|| self.grant(ledger, bytes)))
    }

    /// Offloads what is over the limit, and has the worker offload what is over the high watermark.
    pub(crate) fn settle(&self) -> Result<()> {
        let mut departed = Departed::default();
        let ledger = self.make_room(self.limit(), 0, &mut departed)?;
        let BudgetOptions { high, limit, .. } = self.0.options;
        if high < limit && !self.fits(&ledger, high, 0) && !ledger.idle.is_empty() {
            self.0.worker.wake();
        }
        Ok(())
    }

    /// Offloads what is over the low watermark.
    fn relieve(&self) -> Result<()> {
        let mut departed = Departed::default();
        self.make_room(self.0.options.low, 0, &mut departed).map(drop)
    }

    /// An array has no guard any more.
    pub(crate) fn add_idle(&self, array: Weak<dyn Tracked>) -> Tick {
        let mut ledger = self.lock();
        let tick = Tick(ledger.next);
        ledger.next += 1;
        ledger.idle.insert(tick, array);
        // Whoever waits for guards to go may offload it now.
        self.tell(&ledger);
        tick
    }

    /// An idle array is used, offloaded or dropped.
    pub(crate) fn remove_idle(&self, tick: Tick) {
        let removed = self.lock().idle.remove(&tick);
        drop(removed);
    }

    /// Has those who need room wait for what leaves by request.
    pub(crate) fn begin_eviction(&self) -> Eviction<'_> {
        self.lock().evicting += 1;
        Eviction(self)
    }

    pub(crate) fn note_load(&self) {
        self.lock().figures.loads += 1;
    }

    pub(crate) fn note_offload(&self, bytes: u64, spilled: bool) {
        let mut ledger = self.lock();
        ledger.figures.resident -= bytes;
        ledger.figures.offloads += 1;
        ledger.figures.spills += u64::from(spilled);
        self.tell(&ledger);
    }

    pub(crate) fn release(&self, bytes: u64) {
        let mut ledger = self.lock();
        ledger.figures.resident -= bytes;
        self.tell(&ledger);
    }

    /// Offloads idle arrays until `bytes` more are within `limit` or none is left. Whoever offloads waits for nothing
    /// but I/O, so waiting for them ends.
    fn make_room(
        &self,
        limit: u64,
        bytes: u64,
        departed: &mut Departed,
    ) -> Result<MutexGuard<'_, Ledger>> {
        let mut ledger = self.lock();
        let mut failed = Failed::default();
        while !self.fits(&ledger, limit, bytes) {
            if let Some(array) = ledger.pop(&failed) {
                ledger.evicting += 1;
                drop(ledger);
                let eviction = Eviction(self);
                if let Some(Err(error)) = array.upgrade().map(|array| array.evict(departed)) {
                    failed.add(array, error);
                }
                drop(eviction);
                ledger = self.lock();
            } else if let Some(error) = failed.first {
                return Err(error);
            } else if ledger.evicting > 0 {
                ledger.waiting += 1;
                ledger = self.0.settled.wait(ledger).unwrap_or_else(PoisonError::into_inner);
                ledger.waiting -= 1;
            } else {
                break;
            }
        }
        Ok(ledger)
    }

    /// Waits for a change, but not for longer than `most`.
    fn wait(&self, mut ledger: MutexGuard<'_, Ledger>, most: Duration) {
        ledger.waiting += 1;
        let waited = self.0.settled.wait_timeout(ledger, most);
        waited.unwrap_or_else(PoisonError::into_inner).0.waiting -= 1;
    }

    /// Wakes those who wait for room; a system call, where there are any.
    fn tell(&self, ledger: &Ledger) {
        if ledger.waiting > 0 {
            self.0.settled.notify_all();
        }
    }

    fn fits(&self, ledger: &Ledger, limit: u64, bytes: u64) -> bool {
        ledger.figures.resident.saturating_add(bytes) <= limit
    }

    fn exceed(&self, mut ledger: MutexGuard<'_, Ledger>, bytes: u64) -> Room<'_> {
        ledger.figures.exceeded += 1;
        let room = self.grant(ledger, bytes);
        tracing::warn!(limit = self.limit(), bytes, "arrays in use exceed the memory budget");
        room
    }

    fn full(&self, bytes: u64) -> Error {
        let message = format!(
            "no room for {bytes} bytes: arrays in use fill the memory budget of {} bytes; drop guards, read rows, or \
             raise it",
            self.limit()
        );
        Error::new(ErrorKind::Full, message)
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
        shown.field("options", &self.0.options).field("figures", &self.figures()).finish()
    }
}

/// Counts one eviction until it ends, however it ends.
pub(crate) struct Eviction<'a>(&'a MemoryBudget);

impl Drop for Eviction<'_> {
    fn drop(&mut self) {
        let mut ledger = self.0.lock();
        ledger.evicting -= 1;
        self.0.tell(&ledger);
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
        if self.bytes > 0 {
            self.budget.release(self.bytes);
        }
    }
}
