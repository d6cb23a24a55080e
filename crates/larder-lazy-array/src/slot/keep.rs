//! What may be set on one array.

use super::*;

impl<A: Element> Slot<A> {
    /// Whether the array is never published.
    pub(crate) fn is_scratch(&self) -> bool {
        self.lock().origin.is_none()
    }

    pub(crate) fn keeping(&self) -> Keeping {
        self.lock().keeping
    }

    /// Fails where what is published is not what the elements came from. The caller has the lease.
    pub(crate) fn refuse_replaced(&self) -> Result<()> {
        self.refuse_detached()?;
        let origin = self.lock().origin.clone();
        let seen = self.shared.files.with(&self.key, |pair| Ok(pair.seen()))?;
        let seen = seen.ok_or_else(|| self.removed())?;
        if origin.is_some_and(|origin| seen.is(&origin)) {
            return Ok(());
        }
        let message = "was replaced meanwhile: get it again";
        Err(Error::new(ErrorKind::Conflict, message).at_key(&self.key))
    }

    pub(crate) fn set_purge(&self, purge: bool) {
        self.lock().keeping.purge = purge;
    }

    pub(crate) fn set_automatic(&self, automatic: bool) {
        let mut state = self.lock();
        state.keeping.automatic = automatic;
        self.settle(state);
    }

    /// Keeps the array as whoever inserted it asked for.
    pub(crate) fn keep(&self, keeping: Keeping) {
        let mut state = self.lock();
        state.keeping = keeping;
        self.rest(&mut state);
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
        if let Place::Memory(memory) = &state.place {
            // A hint: where it is not taken, nothing is lost.
            let _ = memory.advise(access);
        }
        drop(state);
        // The next reader is opened with it.
        self.shared.files.close(&self.key);
    }
}
