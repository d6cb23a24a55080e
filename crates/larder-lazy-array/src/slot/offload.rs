use super::*;

/// An array of any element type, as the budget and the store see it.
pub(crate) trait Tracked: Any + Send + Sync + fmt::Debug {
    /// Offloads the array if it is idle; does nothing and waits for nothing where it is not.
    fn evict(&self) -> Result<()>;

    /// Offloads the array unless a guard is alive; whether it is out of memory now.
    fn offload(&self) -> Result<bool>;

    /// Publishes edits.
    fn flush(self: Arc<Self>) -> Result<()>;

    fn is_dirty(&self) -> bool;

    /// The array was removed: what is in its published file from now on is not this one.
    fn detach(&self);

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<A: Element> Tracked for Slot<A> {
    fn evict(&self) -> Result<()> {
        let state = self.lock();
        if state.is_idle() { self.move_out(state) } else { Ok(()) }
    }

    fn offload(&self) -> Result<bool> {
        let mut state = self.lock();
        while state.busy {
            state = self.wait(state);
        }
        match state.place {
            Place::Published | Place::Scratch(_) => return Ok(true),
            _ if !state.is_idle() => return Ok(false),
            _ => self.move_out(state)?,
        }
        Ok(true)
    }

    fn flush(self: Arc<Self>) -> Result<()> {
        self.publish()
    }

    fn is_dirty(&self) -> bool {
        self.lock().dirty
    }

    fn detach(&self) {
        self.lock().detached = true;
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl<A: Element> Slot<A> {
    /// Moves the elements of an idle array out of memory. They stay, still idle, where that fails.
    fn move_out(&self, mut state: MutexGuard<'_, State<A>>) -> Result<()> {
        self.wake(&mut state);
        if state.dirty {
            return self.spill(state);
        }
        let array = std::mem::replace(&mut state.place, Place::Published);
        drop(state);
        drop(array);
        self.shared.budget.note_offload(self.bytes(), false);
        Ok(())
    }

    fn spill(&self, mut state: MutexGuard<'_, State<A>>) -> Result<()> {
        let Place::Memory(array) = &state.place else { return Ok(()) };
        let array = Arc::clone(array);
        state.busy = true;
        drop(state);
        let busy = Busy(self);
        let written = Scratch::write(&self.shared.stage, layout::elements(&array));
        drop(array);
        let mut state = self.lock();
        busy.end(&mut state);
        match written {
            Ok(scratch) => {
                let array = std::mem::replace(&mut state.place, Place::Scratch(Arc::new(scratch)));
                drop(state);
                drop(array);
                self.shared.budget.note_offload(self.bytes(), true);
                Ok(())
            }
            Err(error) => {
                self.rest(&mut state);
                Err(error)
            }
        }
    }

    /// Lets go of clean elements that are not those of `newest`, so that the next read gets what is published now.
    pub(crate) fn refresh(&self, newest: Option<&Stamp>) -> Result<()> {
        let state = self.lock();
        let stale = !state.dirty && (newest.is_none() || state.base.as_ref() != newest);
        if stale && state.is_idle() { self.move_out(state) } else { Ok(()) }
    }
}
