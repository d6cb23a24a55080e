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
        let mut origin = self.origin()?;
        let files = &self.shared.files;
        let lease = files.lease(&self.key)?;
        self.refuse_detached()?;
        let write = |staged: &mut Staged| match &edits {
            Edits::Memory(guard) => staged.append(guard.elements()),
            Edits::Spilled { spilled, .. } => {
                let crc = staged.copy::<A>(&spilled.payload(), self.layout.len())?;
                spilled.check(crc)
            }
        };
        let published = files.replace::<A>(&self.key, &self.layout, &mut origin, &lease, write);
        let mut state = self.lock();
        let published = match published {
            Ok(published) => published,
            Err(error) => {
                state.origin = Some(origin);
                return Err(error);
            }
        };
        state.dirty = false;
        state.origin = Some(Origin::written(published));
        let left = match &state.place {
            Place::Scratch(_) => Some(mem::replace(&mut state.place, Place::Published)),
            _ => None,
        };
        drop(state);
        drop(left);
        Ok(())
    }

    /// Drops the edits, which leave memory for it.
    pub(crate) fn revert(&self) -> Result<()> {
        let mut departed = Departed::default();
        let mut state = self.wait_to_write(self.lock())?;
        if !state.dirty || state.origin.is_none() {
            // Whoever let this one go first has to be told.
            self.settle(state);
            return Ok(());
        }
        state.dirty = false;
        if let Place::Scratch(_) = &state.place {
            let spilled = mem::replace(&mut state.place, Place::Published);
            self.settle(state);
            drop(spilled);
            return Ok(());
        }
        self.tell(&state);
        self.move_out(state, &mut departed)
    }

    /// The published file that the edits start from.
    fn origin(&self) -> Result<Origin> {
        self.lock().origin.clone().ok_or_else(|| {
            let message = "is a scratch array, which is never published: insert its elements";
            Error::new(ErrorKind::Invalid, message)
        })
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
