use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use larder_storage::Error;

/// Hears what happens in a cache. Every method does nothing unless it is overridden.
///
/// It is called on the background thread and on those that call the cache, so it should be quick. A panic in it is
/// caught and goes no further.
pub trait Observer: Send + Sync {
    /// The entry `key` was evicted, or went because its time was over; what somebody removes is not told.
    fn on_evict(&self, _key: &str) {}

    /// The size of the entry `key` became known or was corrected, in bytes.
    fn on_size_update(&self, _key: &str, _size: u64) {}

    /// Something failed that does not stop the cache; `context` says what was attempted.
    fn on_error(&self, _error: &Error, _context: &str) {}

    /// A cycle is over and has left `entry_count` entries of `total_size` bytes together.
    fn on_cycle_complete(&self, _total_size: u64, _entry_count: u64) {}
}

/// Hears all and logs it as events of `tracing`, with the target `larder_dir_cache`: failures as warnings, evictions and
/// cycles as information, sizes for debugging.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoggingObserver;

impl Observer for LoggingObserver {
    fn on_evict(&self, key: &str) {
        tracing::info!(key, "evicted");
    }

    fn on_size_update(&self, key: &str, size: u64) {
        tracing::debug!(key, size, "measured");
    }

    fn on_error(&self, error: &Error, context: &str) {
        tracing::warn!(context, "failed: {}", error.chain());
    }

    fn on_cycle_complete(&self, total_size: u64, entry_count: u64) {
        tracing::info!(total_size, entry_count, "cycle complete");
    }
}

/// The observer, if there is one, behind a wall that no panic passes.
#[derive(Clone, Default)]
pub(crate) struct Watch(pub(crate) Option<Arc<dyn Observer>>);

impl Watch {
    pub(crate) fn tell(&self, what: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.0 {
            // What the observer left half done is its own.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| what(observer.as_ref()))) {
                // Dropping what it panicked with could panic again.
                std::mem::forget(panic);
            }
        }
    }

    pub(crate) fn failed(&self, error: &Error, context: &str) {
        self.tell(|observer| observer.on_error(error, context));
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Watch(an observer)" } else { "Watch(nobody)" })
    }
}
