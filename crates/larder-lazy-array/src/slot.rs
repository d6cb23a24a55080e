//! One array of a store: where its elements are now, and who uses them.
//!
//! # Locks
//!
//! Of four ranks, always taken in this order, so that nobody waits in a circle:
//!
//! 1. the guards that a user holds, which the state below counts;
//! 2. the lease of a key in [`Files`], held while it is published or removed; its holder never waits for a guard;
//! 3. the mutex of a state, and that of [`Known`](crate::known::Known); held for a few statements, never during I/O;
//!    the holder of one never takes the other;
//! 4. the mutex of the budget's ledger, likewise; its holder takes none of the above.
//!
//! I/O that moves the elements is done by whoever has set `busy`. It may wait for room in the budget, which means for
//! offloads of other arrays; these skip an array that is busy or in use and so never wait for it.

use std::{any::Any, fmt, mem};

use larder_storage::{Error, ErrorKind, Key, Result};

use crate::{
    Access, ArrayConfig, Element, Hooks, MemoryBudget,
    budget::Tick,
    config::Keeping,
    files::{Files, Pair},
    guard::{ReadGuard, WriteGuard},
    hooks::Departed,
    layout::Layout,
    memory::{Edited, Memory, Shown},
    npy::Header,
    origin::{Origin, Seen},
    scratch::{Scratch, Spilled},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        thread::{self, ThreadId},
    },
};

mod flush;
mod keep;
mod load;
mod offload;
mod rows;
mod write;

pub(crate) use offload::Tracked;

/// The key of every array that is never published.
const SCRATCH: &str = "scratch";

/// What the arrays of one store share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) files: Files,
    pub(crate) scratch: Scratch,
    pub(crate) budget: MemoryBudget,
    /// Whether mapped arrays are checked against their checksum as well.
    pub(crate) checked: bool,
    pub(crate) hooks: Option<Arc<dyn Hooks>>,
}

pub(crate) struct Slot<A: Element> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) key: Key,
    pub(crate) layout: Layout,
    state: Mutex<State<A>>,
    changed: Condvar,
    me: Weak<Self>,
}

struct State<A> {
    place: Place<A>,
    /// Whether there are edits that are not published.
    dirty: bool,
    /// Whether the array was removed: what is published under its key now, if anything, is another one.
    detached: bool,
    /// The published file that the elements came from, as far as known.
    origin: Option<Origin>,
    keeping: Keeping,
    access: Access,
    /// The threads that took the live read guards.
    readers: Vec<ThreadId>,
    /// The thread that took the live write guard.
    writer: Option<ThreadId>,
    writers_waiting: usize,
    /// How many threads wait for a change.
    waiting: usize,
    /// Somebody moves the elements into memory or out of it.
    busy: bool,
    flushing: bool,
    /// Where the array stands among the idle ones of the budget.
    tick: Option<Tick>,
}

enum Place<A> {
    /// Only in the published file.
    Published,
    /// In memory.
    Memory(Arc<Memory<A>>),
    /// In the hands of a write guard.
    Lent,
    /// Edited, and in a scratch file.
    Scratch(Arc<Spilled>),
}

/// The right to read, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pin<A: Element> {
    slot: Arc<Slot<A>>,
    reader: ThreadId,
}

impl<A: Element> Drop for Pin<A> {
    fn drop(&mut self) {
        self.slot.unpin(self.reader);
    }
}

impl<A> State<A> {
    fn reader_waits(&self) -> bool {
        // A thread that reads already must not wait for a writer, who waits for it.
        let yields = || self.writers_waiting > 0 && !self.readers.contains(&thread::current().id());
        self.writer.is_some() || self.busy || yields()
    }

    /// In memory, and nobody uses it or wants it there.
    fn is_idle(&self) -> bool {
        let used = self.busy || self.writer.is_some() || !self.readers.is_empty();
        !used && self.keeping.caching && matches!(self.place, Place::Memory(_))
    }
}

impl<A: Element> Slot<A> {
    /// An array whose elements are in its published file.
    pub(crate) fn published(
        shared: Arc<Shared>,
        key: Key,
        layout: Layout,
        keeping: Keeping,
        origin: Option<Origin>,
    ) -> Arc<Self> {
        Self::new(shared, key, layout, Place::Published, keeping, origin)
    }

    /// An array that was just published, and whose elements are in memory, for which there is room already.
    pub(crate) fn resident(
        shared: Arc<Shared>,
        key: Key,
        layout: Layout,
        memory: Memory<A>,
        keeping: Keeping,
        origin: Origin,
    ) -> Arc<Self> {
        let place = Place::Memory(Arc::new(memory));
        let slot = Self::new(shared, key, layout, place, keeping, Some(origin));
        slot.rest(&mut slot.lock());
        slot
    }

    /// An array that is never published, and whose elements are as good as edited.
    pub(crate) fn scratch(
        shared: Arc<Shared>,
        layout: Layout,
        elements: Vec<A>,
    ) -> Result<Arc<Self>> {
        let key = Key::new(SCRATCH)?;
        let place =
            match shared.budget.try_reserve(layout.bytes::<A>(), &mut Departed::default())? {
                Some(room) => {
                    room.keep();
                    Place::Memory(Arc::new(Memory::heap(elements)))
                }
                None => Place::Scratch(Arc::new(shared.scratch.write(&elements)?)),
            };
        let keeping = ArrayConfig::default().keeping();
        let slot = Self::new(shared, key, layout, place, keeping, None);
        let mut state = slot.lock();
        state.dirty = true;
        slot.rest(&mut state);
        slot.settle(state);
        Ok(slot)
    }

    fn new(
        shared: Arc<Shared>,
        key: Key,
        layout: Layout,
        place: Place<A>,
        keeping: Keeping,
        origin: Option<Origin>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| {
            let state = State {
                place,
                dirty: false,
                detached: false,
                origin,
                keeping,
                access: Access::default(),
                readers: Vec::new(),
                writer: None,
                writers_waiting: 0,
                waiting: 0,
                busy: false,
                flushing: false,
                tick: None,
            };
            let (state, me) = (Mutex::new(state), me.clone());
            Self { shared, key, layout, state, changed: Condvar::new(), me }
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.layout.bytes::<A>()
    }

    /// Waits for the right to read, and loads the array where that is needed.
    pub(crate) fn read(self: &Arc<Self>) -> Result<ReadGuard<A>> {
        let mut state = self.lock();
        loop {
            self.refuse_own_writer(&state)?;
            if state.reader_waits() {
                state = self.wait(state);
            } else if let Some(guard) = self.pin(&mut state) {
                return Ok(guard);
            } else {
                self.load(state)?;
                state = self.lock();
            }
        }
    }

    /// A read guard, where the elements are in memory.
    fn pin(self: &Arc<Self>, state: &mut State<A>) -> Option<ReadGuard<A>> {
        let Place::Memory(memory) = &state.place else { return None };
        let shown = Shown::new(Arc::clone(memory), &self.layout);
        Some(ReadGuard::new(shown, self.hold(state)))
    }

    /// The right to read, wherever the elements are.
    fn hold(self: &Arc<Self>, state: &mut State<A>) -> Pin<A> {
        let reader = thread::current().id();
        state.readers.push(reader);
        self.wake(state);
        Pin { slot: Arc::clone(self), reader }
    }

    fn unpin(&self, reader: ThreadId) {
        let mut state = self.lock();
        if let Some(at) = state.readers.iter().position(|other| *other == reader) {
            state.readers.swap_remove(at);
        }
        if state.readers.is_empty() {
            self.rest(&mut state);
        }
        self.settle(state);
    }

    /// Fails where what is published under the key may be another array. A slot is detached before another array is
    /// published, so what was read before this call was still the own one.
    fn refuse_detached(&self) -> Result<()> {
        if self.lock().detached { Err(self.removed()) } else { Ok(()) }
    }

    fn check_header(&self, header: &Header) -> Result<()> {
        if header.dtype == A::DTYPE && header.layout == self.layout {
            return Ok(());
        }
        let message = "was replaced by an array of another shape or type: get it again";
        Err(Error::new(ErrorKind::Conflict, message).at_key(&self.key))
    }

    fn removed(&self) -> Error {
        Error::new(ErrorKind::NotFound, "was removed meanwhile: get it again").at_key(&self.key)
    }

    fn refuse_own_writer(&self, state: &State<A>) -> Result<()> {
        if state.writer == Some(thread::current().id()) {
            return Err(self.would_wait_for_itself("the write guard"));
        }
        Ok(())
    }

    fn would_wait_for_itself(&self, guard: &str) -> Error {
        let message = format!("this thread took {guard} of this array: drop that one first");
        Error::new(ErrorKind::Locked, message).at_key(&self.key)
    }

    /// No guard is left: the budget may offload the array, where it is in memory.
    fn rest(&self, state: &mut State<A>) {
        if state.is_idle() && state.tick.is_none() {
            state.tick = Some(self.shared.budget.add_idle(self.me.clone()));
        }
    }

    /// The array is in use: the budget must not offload it.
    fn wake(&self, state: &mut State<A>) {
        if let Some(tick) = state.tick.take() {
            self.shared.budget.remove_idle(tick);
        }
    }

    /// Tells the others, and keeps to the budget.
    fn settle(&self, state: MutexGuard<'_, State<A>>) {
        let leaves = state.keeping.automatic && state.is_idle();
        self.tell(&state);
        drop(state);
        // What cannot be spilled now stays in memory, and the next one who wants room gets the error.
        if leaves {
            let _ = self.evict(&mut Departed::default());
        }
        let _ = self.shared.budget.settle();
    }

    fn wait<'a>(&'a self, mut state: MutexGuard<'a, State<A>>) -> MutexGuard<'a, State<A>> {
        state.waiting += 1;
        state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state
    }

    /// Wakes those who wait for a change; a system call, where there are any.
    fn tell(&self, state: &State<A>) {
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    // Each change of a state is whole before anything in it can panic.
    fn lock(&self) -> MutexGuard<'_, State<A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to move the elements, until it is ended or dropped.
struct Busy<'a, A: Element>(&'a Slot<A>);

impl<A: Element> Busy<'_, A> {
    fn end(self, state: &mut State<A>) {
        state.busy = false;
        self.0.tell(state);
        mem::forget(self);
    }
}

impl<A: Element> Drop for Busy<'_, A> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.busy = false;
        self.0.tell(&state);
    }
}

impl<A: Element> Drop for Slot<A> {
    fn drop(&mut self) {
        let bytes = self.bytes();
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(tick) = state.tick.take() {
            self.shared.budget.remove_idle(tick);
        }
        if let Place::Memory(_) = mem::replace(&mut state.place, Place::Published) {
            self.shared.budget.release(bytes);
        }
        if let (true, false, Some(origin)) = (state.keeping.purge, state.detached, &state.origin) {
            // Nobody is left to be told. What is in use or was replaced by others stays.
            let _ = self.shared.files.purge_own(&self.key, origin);
        }
    }
}

impl<A: Element> fmt::Debug for Slot<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Slot");
        shown.field("key", &self.key).field("dtype", &A::DTYPE).field("layout", &self.layout);
        shown.finish_non_exhaustive()
    }
}
