use super::*;

impl<A: Element> Slot<A> {
    /// Publishes the edits as a new file. Readers go on meanwhile; writers and other flushes wait.
    pub(crate) fn publish(self: &Arc<Self>) -> Result<()> {
        if self.is_published() {
            return Ok(());
        }
        let guard = self.read()?;
        let Some((flushing, base)) = self.begin_flush() else { return Ok(()) };
        let files = &self.shared.files;
        let published = files.replace(&self.key, guard.array(), &self.layout, &base)?;
        {
            let mut state = self.lock();
            state.dirty = false;
            state.base = Some(published);
        }
        drop(flushing);
        Ok(())
    }

    /// Whether there are no edits, and nobody makes any.
    fn is_published(&self) -> bool {
        let state = self.lock();
        !state.dirty && state.writer.is_none()
    }

    /// Waits until nobody else flushes; `None` where nothing is left to be done. The caller holds a read guard, so
    /// no edit comes in.
    fn begin_flush(&self) -> Option<(Flushing<'_, A>, Stamp)> {
        let mut state = self.lock();
        while state.flushing {
            state = self.wait(state);
        }
        let base = state.base.clone().filter(|_| state.dirty)?;
        state.flushing = true;
        Some((Flushing(self), base))
    }
}

struct Flushing<'a, A: Element>(&'a Slot<A>);

impl<A: Element> Drop for Flushing<'_, A> {
    fn drop(&mut self) {
        self.0.lock().flushing = false;
        self.0.changed.notify_all();
    }
}
