//! The arrays that a store has given out.

use std::collections::HashMap;

use larder_storage::Key;

use crate::{
    Element,
    slot::{Slot, Tracked},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// One slot for each key, so that all handles on a key are the same array. A slot that leaves is detached: nothing
/// that is published under its key later is read or replaced through it.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<Key, Arc<dyn Tracked>>>);

impl Known {
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<dyn Tracked>> {
        self.lock().get(key).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<dyn Tracked>> {
        self.lock().values().cloned().collect()
    }

    /// The slot that is known under the key of `fresh`, where it is of the same type and layout. Otherwise `fresh`
    /// takes its place if it may; `None` where it may not.
    pub(crate) fn share<A: Element>(
        &self,
        fresh: Arc<Slot<A>>,
        may_replace: impl FnOnce(Option<&Arc<dyn Tracked>>) -> bool,
    ) -> Option<Arc<Slot<A>>> {
        let mut slots = self.lock();
        let known = slots.get(&fresh.key);
        let same = known.and_then(|known| Arc::clone(known).as_any().downcast::<Slot<A>>().ok());
        if let Some(same) = same.filter(|same| same.layout == fresh.layout) {
            return Some(same);
        }
        if !may_replace(known) {
            return None;
        }
        let old = slots.insert(fresh.key.clone(), Arc::clone(&fresh) as _);
        drop(slots);
        detach(old);
        Some(fresh)
    }

    /// Forgets the slot of a key whose array is removed.
    pub(crate) fn forget(&self, key: &Key) {
        let old = self.lock().remove(key);
        detach(old);
    }

    // Each change of the map is one call, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<dyn Tracked>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn detach(old: Option<Arc<dyn Tracked>>) {
    let Some(old) = old else { return };
    if old.is_dirty() {
        tracing::warn!(array = ?old, "edits can no longer be published: the array was removed or replaced");
    }
    old.detach();
}
