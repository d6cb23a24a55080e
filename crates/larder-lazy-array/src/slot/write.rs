use super::*;

impl<A: Element> Slot<A> {
    /// Waits for the right to write, and lends the elements out.
    pub(crate) fn write(self: &Arc<Self>) -> Result<WriteGuard<A>> {
        let mut state = self.lock();
        loop {
            state = self.wait_to_write(state)?;
            match mem::replace(&mut state.place, Place::Lent) {
                Place::Memory(memory) => return self.lend(state, memory),
                elsewhere => state.place = elsewhere,
            }
            self.load(state)?;
            state = self.lock();
        }
    }

    /// Waits until nobody reads or writes.
    pub(super) fn wait_to_write<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<A>>,
    ) -> Result<MutexGuard<'a, State<A>>> {
        loop {
            self.refuse_own_writer(&state)?;
            if state.readers.contains(&thread::current().id()) {
                return Err(self.would_wait_for_itself("a read guard"));
            }
            if state.writer.is_none() && !state.busy && state.readers.is_empty() {
                return Ok(state);
            }
            state.writers_waiting += 1;
            state = self.wait(state);
            state.writers_waiting -= 1;
        }
    }

    /// Lends out elements that were taken from their place, which says so.
    pub(super) fn lend(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State<A>>,
        memory: Arc<Memory<A>>,
    ) -> Result<WriteGuard<A>> {
        state.writer = Some(thread::current().id());
        self.wake(&mut state);
        drop(state);
        // Nobody reads, so there is no other reference and nothing is copied.
        let memory = Arc::try_unwrap(memory)
            .unwrap_or_else(|shared| Memory::heap(shared.elements().to_vec()));
        match memory.writable() {
            Ok(memory) => Ok(WriteGuard::new(Edited::new(memory, &self.layout), Arc::clone(self))),
            Err(error) => {
                // It was mapped, so it is in its file.
                self.give_back(None, false);
                let message = "no memory to edit the array in";
                Err(Error::new(ErrorKind::Full, message).with_source(error).at_key(&self.key))
            }
        }
    }

    /// Takes back what was lent to a write guard; without it, the elements are those of the file.
    pub(crate) fn give_back(&self, memory: Option<Memory<A>>, edited: bool) {
        let mut state = self.lock();
        state.writer = None;
        match memory {
            Some(memory) => {
                state.place = Place::Memory(Arc::new(memory));
                state.dirty |= edited;
            }
            None => {
                state.place = Place::Published;
                self.shared.budget.release(self.bytes());
            }
        }
        self.rest(&mut state);
        self.settle(state);
    }
}
