use super::*;
use crate::files::Staged;

/// What a flush publishes, held meanwhile.
enum Edits<A: Element> {
    Memory(ReadGuard<A>),
    Spilled { spilled: Arc<Spilled>, _pin: Pin<A> },
}

impl<A: Element> Slot<A> {
    /// Publishes the edits as a new file. Readers go on meanwhile; writers and other flushes wait. Spilled edits are
    /// copied from file to file.
    pub(crate) fn publish(self: &Arc<Self>) -> Result<()> {
        let Some(edits) = self.edits()? else { return Ok(()) };
        let Some(_flushing) = self.begin_flush() else { return Ok(()) };
        let files = &self.shared.files;
        let lease = files.lease(&self.key)?;
        self.refuse_detached()?;
        let origin = self.origin()?;
        let write = |staged: &mut Staged| match &edits {
            Edits::Memory(guard) => staged.append(guard.elements()),
            Edits::Spilled { spilled, .. } => {
                staged.copy::<A>(&spilled.payload(), self.layout.len())
            }
        };
        let published = files.replace::<A>(&self.key, &self.layout, &origin, &lease, write)?;
        let mut state = self.lock();
        state.dirty = false;
        state.origin = Some(Origin::Stamp(published));
        let left = match &state.place {
            Place::Scratch(_) => Some(mem::replace(&mut state.place, Place::Published)),
            _ => None,
        };
        drop(state);
        drop(left);
        Ok(())
    }

    /// Drops the edits.
    pub(crate) fn revert(&self) -> Result<()> {
        let mut state = self.wait_to_write(self.lock())?;
        if !state.dirty {
            return Ok(());
        }
        self.wake(&mut state);
        state.dirty = false;
        let edited = mem::replace(&mut state.place, Place::Published);
        drop(state);
        if let Place::Memory(_) = &edited {
            self.shared.budget.release(self.bytes());
        }
        drop(edited);
        Ok(())
    }

    /// The published file that the edits start from.
    fn origin(&self) -> Result<Origin> {
        let message =
            "it is not known which file the edits start from: insert them under another key";
        let unknown = || Error::new(ErrorKind::Conflict, message).at_key(&self.key);
        self.lock().origin.clone().ok_or_else(unknown)
    }

    /// Waits until nobody writes; `None` where there are no edits.
    fn edits(self: &Arc<Self>) -> Result<Option<Edits<A>>> {
        let mut state = self.lock();
        loop {
            self.refuse_own_writer(&state)?;
            if !state.dirty && state.writer.is_none() {
                return Ok(None);
            }
            if state.reader_waits() {
                state = self.wait(state);
                continue;
            }
            if let Place::Scratch(spilled) = &state.place {
                let spilled = Arc::clone(spilled);
                return Ok(Some(Edits::Spilled { spilled, _pin: self.hold(&mut state) }));
            }
            if let Some(guard) = self.pin(&mut state) {
                return Ok(Some(Edits::Memory(guard)));
            }
            state = self.wait(state);
        }
    }

    /// Waits until nobody else flushes; `None` where nothing is left to be done. The caller holds the right to read,
    /// so no edit comes in.
    fn begin_flush(&self) -> Option<Flushing<'_, A>> {
        let mut state = self.lock();
        while state.flushing {
            state = self.wait(state);
        }
        if !state.dirty {
            return None;
        }
        state.flushing = true;
        Some(Flushing(self))
    }
}

struct Flushing<'a, A: Element>(&'a Slot<A>);

impl<A: Element> Drop for Flushing<'_, A> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.flushing = false;
        self.0.tell(&state);
    }
}
