use super::*;
use crate::{files::place, payload};

impl<A: Element> Slot<A> {
    /// Brings the elements into memory, where they stay until somebody has pinned them: they are not idle yet.
    pub(super) fn load(&self, mut state: MutexGuard<'_, State<A>>) -> Result<()> {
        let source = match &state.place {
            Place::Scratch(spilled) => Some(Arc::clone(spilled)),
            _ => None,
        };
        // Their hooks are told when this array is no more busy.
        let mut departed = Departed::default();
        state.busy = true;
        let access = state.access;
        drop(state);
        let busy = Busy(self);
        let room = self.shared.budget.reserve(self.bytes(), &mut departed);
        let room = room.map_err(|error| place(error, &self.key))?;
        let (memory, origin) = match source {
            Some(spilled) => {
                let elements = spilled.read(self.layout.len());
                (Memory::heap(elements.map_err(|error| error.at_key(&self.key))?), None)
            }
            None => self.load_published().map(|(memory, origin)| (memory, Some(origin)))?,
        };
        // A hint: where it is not taken, nothing is lost.
        let _ = memory.advise(access);
        self.shared.budget.note_load();
        room.keep();
        let mut state = self.lock();
        let left = mem::replace(&mut state.place, Place::Memory(Arc::new(memory)));
        state.origin = origin.or(state.origin.take());
        busy.end(&mut state);
        drop(state);
        // Gives the space of a spilled array back: I/O, so after the unlocking.
        drop(left);
        self.tell_loaded();
        Ok(())
    }

    fn tell_loaded(&self) {
        let Some(hooks) = &self.shared.hooks else { return };
        // Nobody has pinned the array yet: should the hook panic, the budget may have it again.
        let unpinned = Unpinned(self);
        hooks.on_load(&self.key);
        mem::forget(unpinned);
    }

    /// Maps, or reads and checks, the elements that are published now.
    fn load_published(&self) -> Result<(Memory<A>, Origin)> {
        let load = |pair: &Pair| {
            self.check_header(&pair.header)?;
            pair.load(self.shared.checked)
        };
        let found = self.shared.files.with(&self.key, load);
        self.refuse_detached()?;
        found?.ok_or_else(|| self.removed())
    }

    /// Lends out zeros in the place of the elements, which are not loaded for it and stay as they are where that fails.
    pub(crate) fn overwrite(self: &Arc<Self>) -> Result<WriteGuard<A>> {
        let mut departed = Departed::default();
        let mut state = self.wait_to_write(self.lock())?;
        let in_memory = match &state.place {
            Place::Memory(memory) => Some(Arc::clone(memory)),
            _ => None,
        };
        self.wake(&mut state);
        state.busy = true;
        drop(state);
        // Whatever fails from here on, the budget may have the array again.
        let unpinned = Unpinned(self);
        let busy = Busy(self);
        let origin = match self.is_scratch() {
            true => None,
            false => Some(self.published_origin()?),
        };
        let reused = in_memory.is_some();
        let memory = match in_memory {
            Some(memory) => memory,
            None => Arc::new(self.zeros(&mut departed)?),
        };
        let mut state = self.lock();
        // What is used again is lent alone. Spilled elements give their space back, which is I/O, after the unlocking.
        let spilled = match mem::replace(&mut state.place, Place::Lent) {
            Place::Memory(_) => None,
            spilled => Some(spilled),
        };
        state.origin = origin;
        busy.end(&mut state);
        mem::forget(unpinned);
        let mut guard = self.lend(state, memory)?;
        drop(spilled);
        if reused {
            guard.fill(A::zeroed());
        }
        guard.mark_edited();
        Ok(guard)
    }

    /// Room for the elements, filled with zeros.
    fn zeros(&self, departed: &mut Departed) -> Result<Memory<A>> {
        let room = self.shared.budget.reserve(self.bytes(), departed);
        let room = room.map_err(|error| place(error, &self.key))?;
        let zeros = payload::zeroed::<A>(self.layout.len());
        let zeros = A::from_raw(zeros.map_err(|error| error.at_key(&self.key))?);
        room.keep();
        Ok(Memory::heap(zeros))
    }

    /// Which file is published now, without a look at its elements.
    fn published_origin(&self) -> Result<Origin> {
        let look = |pair: &Pair| {
            self.check_header(&pair.header)?;
            pair.origin()
        };
        let found = self.shared.files.with(&self.key, look);
        self.refuse_detached()?;
        found?.ok_or_else(|| self.removed())
    }
}

/// An array that nobody has pinned, and that rests once this is dropped.
struct Unpinned<'a, A: Element>(&'a Slot<A>);

impl<A: Element> Drop for Unpinned<'_, A> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        self.0.rest(&mut state);
        self.0.settle(state);
    }
}
