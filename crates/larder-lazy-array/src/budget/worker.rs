use std::{
    panic::{self, AssertUnwindSafe},
    sync::mpsc::{self, Receiver, SyncSender},
};

use super::{MemoryBudget, Shared};
use crate::sync::{OnceLock, Weak, thread};

/// The thread that keeps to the watermarks. It starts when it is first woken and ends with the budget.
pub(super) struct Worker {
    budget: Weak<Shared>,
    orders: OnceLock<SyncSender<()>>,
}

impl Worker {
    pub(super) fn new(budget: Weak<Shared>) -> Self {
        Self { budget, orders: OnceLock::new() }
    }

    pub(super) fn wake(&self) {
        let orders = self.orders.get_or_init(|| {
            let (orders, taken) = mpsc::sync_channel(1);
            let budget = self.budget.clone();
            let name = "larder-arrays".to_owned();
            // Without the thread nothing is offloaded before the limit asks for it.
            let _ = thread::Builder::new().name(name).spawn(move || work(&budget, &taken));
            orders
        });
        // One that waits already is enough.
        let _ = orders.try_send(());
    }
}

fn work(budget: &Weak<Shared>, orders: &Receiver<()>) {
    while orders.recv().is_ok() {
        let Some(budget) = budget.upgrade() else { return };
        // What cannot be spilled stays in memory, and whoever wants the room is told. A hook that panics has told why,
        // and the next array is worth no less.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| MemoryBudget(budget).relieve()));
    }
}
