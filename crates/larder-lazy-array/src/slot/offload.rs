use super::*;
use crate::files::place;

/// An array of any element type, as the budget and the store see it.
pub(crate) trait Tracked: Any + Send + Sync + fmt::Debug {
    /// Offloads the array if it is idle; does nothing and waits for nothing where it is not.
    fn evict(&self, departed: &mut Departed) -> Result<()>;

    /// Offloads the array unless a guard is alive; whether it is out of memory now.
    fn offload(&self) -> Result<bool>;

    /// Publishes edits.
    fn flush(self: Arc<Self>) -> Result<()>;

    fn is_dirty(&self) -> bool;

    fn is_resident(&self) -> bool;

    /// The array was removed: what is in its published file from now on is not this one.
    fn detach(&self);

    /// Tells the hooks that the array left memory.
    fn tell_offloaded(&self);

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<A: Element> Tracked for Slot<A> {
    fn evict(&self, departed: &mut Departed) -> Result<()> {
        let state = self.lock();
        if state.is_idle() { self.move_out(state, departed) } else { Ok(()) }
    }

    fn offload(&self) -> Result<bool> {
        let mut departed = Departed::default();
        let mut state = self.lock();
        while state.busy {
            state = self.wait(state);
        }
        match state.place {
            Place::Published | Place::Scratch(_) => return Ok(true),
            _ if !state.is_idle() => return Ok(false),
            _ => self.move_out(state, &mut departed)?,
        }
        Ok(true)
    }

    fn flush(self: Arc<Self>) -> Result<()> {
        self.publish()
    }

    fn is_dirty(&self) -> bool {
        self.lock().dirty
    }

    fn is_resident(&self) -> bool {
        matches!(self.lock().place, Place::Memory(_) | Place::Lent)
    }

    fn detach(&self) {
        self.lock().detached = true;
    }

    fn tell_offloaded(&self) {
        if let Some(hooks) = &self.shared.hooks {
            hooks.on_offload(&self.key);
        }
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl<A: Element> Slot<A> {
    /// Moves the elements of an idle array out of memory. They stay, still idle, where that fails.
    pub(super) fn move_out(
        &self,
        mut state: MutexGuard<'_, State<A>>,
        departed: &mut Departed,
    ) -> Result<()> {
        self.wake(&mut state);
        let _eviction = self.shared.budget.begin_eviction();
        let spilled = state.dirty;
        if spilled {
            self.spill(state)?;
        } else {
            let memory = mem::replace(&mut state.place, Place::Published);
            drop(state);
            drop(memory);
        }
        self.shared.budget.note_offload(self.bytes(), spilled);
        if self.shared.hooks.is_some()
            && let Some(me) = self.me.upgrade()
        {
            departed.add(me);
        }
        Ok(())
    }

    fn spill(&self, mut state: MutexGuard<'_, State<A>>) -> Result<()> {
        let Place::Memory(memory) = &state.place else { return Ok(()) };
        let memory = Arc::clone(memory);
        state.busy = true;
        drop(state);
        let busy = Busy(self);
        let written = self.shared.scratch.write(memory.elements());
        drop(memory);
        let mut state = self.lock();
        busy.end(&mut state);
        match written {
            Ok(spilled) => {
                let memory = mem::replace(&mut state.place, Place::Scratch(Arc::new(spilled)));
                drop(state);
                drop(memory);
                Ok(())
            }
            Err(error) => {
                self.rest(&mut state);
                Err(place(error, &self.key))
            }
        }
    }

    /// Lets go of clean elements that are not those of what is published now, so that the next read gets these.
    pub(crate) fn refresh(&self, seen: &Seen) -> Result<()> {
        let state = self.lock();
        let current = state.origin.as_ref().is_some_and(|origin| seen.is(origin));
        if !state.dirty && !current && state.is_idle() {
            return self.move_out(state, &mut Departed::default());
        }
        Ok(())
    }
}
