//! Saves what is held in memory within a bound in time.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use larder_storage::{Error, Result};

/// A thread that saves when the time is over that began with the first write. Dropping it ends the thread.
pub(crate) struct Saver {
    shared: Arc<Shared>,
    bound: Duration,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    due: Mutex<Due>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default)]
enum Due {
    #[default]
    Never,
    At(Instant),
    /// The thread is to end.
    Over,
}

/// What failed is not tried again sooner.
const RETRY: Duration = Duration::from_millis(100);

impl Saver {
    pub(crate) fn start(
        bound: Duration,
        save: impl Fn() -> Result<()> + Send + 'static,
    ) -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let run = {
            let shared = Arc::clone(&shared);
            move || {
                while shared.wait() {
                    // What could not be saved is held on to, and tried again after the same time.
                    if let Err(error) = save() {
                        tracing::warn!(%error, "saving what is held in memory failed");
                        shared.wake(bound.max(RETRY));
                    }
                }
            }
        };
        let thread = thread::Builder::new().name("larder-kv-save".to_owned()).spawn(run);
        let thread =
            thread.map_err(|error| Error::io(error, "cannot start the thread that saves"))?;
        Ok(Self { shared, bound, thread: Some(thread) })
    }

    /// There is something to save.
    pub(crate) fn wake(&self) {
        self.shared.wake(self.bound);
    }
}

impl Shared {
    fn wake(&self, bound: Duration) {
        let mut due = self.lock();
        if let Due::Never = *due {
            // What is too far away never comes.
            let Some(at) = Instant::now().checked_add(bound) else { return };
            *due = Due::At(at);
            self.changed.notify_one();
        }
    }

    /// Waits until something is to be saved; false where the thread is to end.
    fn wait(&self) -> bool {
        let mut due = self.lock();
        loop {
            due = match *due {
                Due::Over => return false,
                Due::Never => self.changed.wait(due).unwrap_or_else(PoisonError::into_inner),
                Due::At(at) => {
                    let left = at.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        *due = Due::Never;
                        return true;
                    }
                    self.changed.wait_timeout(due, left).unwrap_or_else(PoisonError::into_inner).0
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        *self.shared.lock() = Due::Over;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Saver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saver").field("bound", &self.bound).finish_non_exhaustive()
    }
}
