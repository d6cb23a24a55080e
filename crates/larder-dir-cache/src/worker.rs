//! The background thread.

use std::{
    convert::Infallible,
    sync::Arc,
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender, bounded, select};
use larder_storage::{Error, Result};

use crate::core::Core;

/// Runs a cycle at once, then one each interval and whenever it is woken, and a last one when this is dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    // Both are taken when it is dropped.
    stop: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(crate) fn start(core: Arc<Core>, wake: Receiver<()>) -> Result<Self> {
        let (stop, stopped) = bounded(0);
        let thread = thread::Builder::new().name("larder-dir-cache".to_owned());
        let thread = thread.spawn(move || run(&core, &wake, &stopped));
        let thread =
            thread.map_err(|error| Error::io(error, "cannot start the thread that evicts"))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

fn run(core: &Core, wake: &Receiver<()>, stopped: &Receiver<Infallible>) {
    let cycle = || {
        if let Err(error) = core.cycle() {
            core.watch().failed(&error, "a cycle");
        }
    };
    loop {
        cycle();
        select! {
            // Nothing is ever sent: the channel ends when the sender is dropped.
            recv(stopped) -> _ => break,
            recv(wake) -> _ => {}
            default(core.options.interval) => {}
        }
    }
    cycle();
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.stop.take());
        // An observer may hold the last handle of the cache, and then this is the thread itself.
        if let Some(thread) =
            self.thread.take().filter(|it| it.thread().id() != thread::current().id())
        {
            // A panic there was shown where it happened, and must not become one here.
            let _ = thread.join();
        }
    }
}
