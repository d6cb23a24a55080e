use super::*;
use crate::payload;

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
        let room = room.map_err(|error| error.at_key(&self.key))?;
        let (memory, origin) = match source {
            Some(spilled) => (Memory::heap(spilled.read(self.layout.len())?), None),
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
        if let Some(hooks) = &self.shared.hooks {
            hooks.on_load(&self.key);
        }
        Ok(())
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

    /// Lends out zeros in the place of the elements, which are not loaded for it.
    pub(crate) fn overwrite(self: &Arc<Self>) -> Result<WriteGuard<A>> {
        let mut departed = Departed::default();
        let mut state = self.wait_to_write(self.lock())?;
        let resident = matches!(state.place, Place::Memory(_));
        state.busy = true;
        drop(state);
        let busy = Busy(self);
        let origin = self.published_origin()?;
        // What is in memory makes way for as many zeros.
        let room = match resident {
            true => None,
            false => Some(self.shared.budget.reserve(self.bytes(), &mut departed)?),
        };
        let zeros = Memory::heap(A::from_raw(payload::zeroed::<A>(self.layout.len())?));
        if let Some(room) = room {
            room.keep();
        }
        let mut state = self.lock();
        let left = mem::replace(&mut state.place, Place::Lent);
        state.dirty = true;
        state.origin = Some(origin);
        busy.end(&mut state);
        let guard = self.lend(state, Arc::new(zeros));
        drop(left);
        guard
    }

    /// Which file is published now, without a look at its elements.
    fn published_origin(&self) -> Result<Origin> {
        let look = |pair: &Pair| {
            self.check_header(&pair.header)?;
            pair.origin().map_or_else(|| pair.checksum().map(Origin::Stamp), Ok)
        };
        let found = self.shared.files.with(&self.key, look);
        self.refuse_detached()?;
        found?.ok_or_else(|| self.removed())
    }
}
