//! What may be set on one array.

use super::*;

impl<A: Element> Slot<A> {
    pub(crate) fn keeping(&self) -> Keeping {
        self.lock().keeping
    }

    pub(crate) fn set_purge(&self, purge: bool) {
        self.lock().keeping.purge = purge;
    }

    pub(crate) fn set_automatic(&self, automatic: bool) {
        let mut state = self.lock();
        state.keeping.automatic = automatic;
        self.settle(state);
    }

    /// The array may leave memory from now on.
    pub(crate) fn enable_caching(&self) {
        let mut state = self.lock();
        state.keeping.caching = true;
        self.rest(&mut state);
        self.settle(state);
    }

    /// Brings the array into memory and keeps it there.
    pub(crate) fn disable_caching(self: &Arc<Self>) -> Result<()> {
        let guard = self.read()?;
        self.lock().keeping.caching = false;
        drop(guard);
        Ok(())
    }

    pub(crate) fn advise(&self, access: Access) {
        let mut state = self.lock();
        state.access = access;
        let memory = match &state.place {
            Place::Memory(memory) => Some(Arc::clone(memory)),
            _ => None,
        };
        drop(state);
        // Hints: where they are not taken, nothing is lost.
        let _ = memory.map(|memory| memory.advise(access));
        // The next reader is opened with it.
        self.shared.files.close(&self.key);
    }
}
