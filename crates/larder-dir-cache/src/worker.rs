//! The background thread.

use std::{
    convert::Infallible,
    sync::Arc,
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender, bounded, select, tick};
use larder_storage::{Error, RESERVED_SEGMENT, Result, lock::FileLock};

use crate::core::Core;

/// Runs a cycle at once, then one each interval, and a last one when this is dropped: in one process of all that have the
/// root open, which leads until its thread ends or the process dies. When woken it evicts, wherever it is.
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
    let mut leadership = None;
    let cycles = tick(core.options.interval);
    cycle(core, &mut leadership);
    loop {
        select! {
            // Nothing is ever sent: the channel ends when the sender is dropped.
            recv(stopped) -> _ => break,
            recv(wake) -> _ => match leadership {
                Some(_) => cycle(core, &mut leadership),
                None => evict(core),
            },
            recv(cycles) -> _ => cycle(core, &mut leadership),
        }
    }
    cycle(core, &mut leadership);
}

/// Runs a cycle in the process that leads, which becomes this one where none does.
fn cycle(core: &Core, leadership: &mut Option<FileLock>) {
    let lead = match leadership.take() {
        None => core.try_lead(),
        held => Ok(held),
    };
    let led = lead.and_then(|lock| {
        *leadership = lock;
        leadership.as_ref().map_or(Ok(()), |_| core.cycle().map(|_| ()))
    });
    if let Err(error) = led {
        core.watch().failed(&error, "a cycle");
    }
}

fn evict(core: &Core) {
    if let Err(error) = core.evict(core.options.policy.as_ref()) {
        core.watch().failed(&error, "evicting what is too much");
    }
}

impl Core {
    /// The right to run the cycles, where nobody has it.
    pub(crate) fn try_lead(&self) -> Result<Option<FileLock>> {
        FileLock::try_exclusive(&self.storage.root().join(RESERVED_SEGMENT).join("leader.lock"))
    }
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
