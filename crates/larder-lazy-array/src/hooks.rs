use std::fmt;

use larder_storage::Key;

use crate::{slot::Tracked, sync::Arc};

/// What is told when arrays of a store come into memory and leave it, for [`Options::hooks`](crate::Options::hooks).
///
/// No lock is held meanwhile, so by then the array may be elsewhere again; a guard may be, as where an array leaves for the
/// zeros that the calling thread is given in its place. What a hook does is part of the call that
/// moved the array: of `read`, of the drop of a guard, or of the [worker](crate::BudgetOptions::watermarks) of the budget.
pub trait Hooks: fmt::Debug + Send + Sync {
    /// The array was brought into memory from a file.
    fn on_load(&self, key: &Key) {
        let _ = key;
    }

    /// The array left memory.
    fn on_offload(&self, key: &Key) {
        let _ = key;
    }
}

/// Arrays that left memory and whose hooks are still to be told, which happens when this is dropped: after whoever
/// made them leave has let go of everything.
#[derive(Default)]
pub(crate) struct Departed(Vec<Arc<dyn Tracked>>);

impl Departed {
    pub(crate) fn add(&mut self, array: Arc<dyn Tracked>) {
        self.0.push(array);
    }
}

impl Drop for Departed {
    fn drop(&mut self) {
        self.0.drain(..).for_each(|array| array.tell_offloaded());
    }
}
