//! Who hears how far an operation has come.

use std::{
    fmt,
    sync::{Arc, mpsc},
    thread,
};

use larder_storage::Progress;

/// An observer, where there is one.
#[derive(Clone, Default)]
pub(crate) struct Observer(pub(crate) Option<Arc<dyn Progress>>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observer").field(&self.0.is_some()).finish()
    }
}

impl Observer {
    /// Does `work`, and tells the observer what it reports on a thread of its own: the work holds locks, and waits for no
    /// observer before it is done.
    pub(crate) fn watch<T>(&self, work: impl FnOnce(&Steps) -> T) -> T {
        let Some(observer) = &self.0 else { return work(&Steps(None)) };
        thread::scope(|scope| {
            let (send, receive) = mpsc::channel();
            scope.spawn(move || {
                for Report { step, done, total } in receive {
                    observer.report(step, done, total);
                }
            });
            work(&Steps(Some(send)))
        })
    }
}

/// Where an operation says how far it has come.
#[derive(Debug)]
pub(crate) struct Steps(Option<mpsc::Sender<Report>>);

#[derive(Debug)]
struct Report {
    step: &'static str,
    done: u64,
    total: u64,
}

impl Steps {
    /// So many of a step's shards are done.
    pub(crate) fn report(&self, step: &'static str, done: usize, total: usize) {
        let Some(send) = &self.0 else { return };
        // Where the observer panicked nobody listens, and the panic is passed on when the work is done.
        let _ = send.send(Report { step, done: done as u64, total: total as u64 });
    }
}
