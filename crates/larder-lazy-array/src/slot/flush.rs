use super::*;

impl<A: Element> Slot<A> {
    /// Publishes the edits as a new file. Readers go on meanwhile; writers and other flushes wait.
    pub(crate) fn publish(self: &Arc<Self>) -> Result<()> {
        if self.is_published() {
            return Ok(());
        }
        let guard = self.read()?;
        let Some(_flushing) = self.begin_flush() else { return Ok(()) };
        let files = &self.shared.files;
        let _lease = files.lease(&self.key)?;
        self.refuse_detached()?;
        let published = files.replace(&self.key, guard.array(), &self.layout, &self.base()?)?;
        let mut state = self.lock();
        state.dirty = false;
        state.base = Some(published);
        Ok(())
    }

    /// The published file that the edits start from.
    fn base(&self) -> Result<Stamp> {
        let message =
            "it is not known which file the edits start from: insert them under another key";
        let unknown = || Error::new(ErrorKind::Conflict, message).at_key(&self.key);
        self.lock().base.clone().ok_or_else(unknown)
    }

    /// Whether there are no edits, and nobody makes any.
    fn is_published(&self) -> bool {
        let state = self.lock();
        !state.dirty && state.writer.is_none()
    }

    /// Waits until nobody else flushes; `None` where nothing is left to be done. The caller holds a read guard, so
    /// no edit comes in.
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
        self.0.lock().flushing = false;
        self.0.changed.notify_all();
    }
}
