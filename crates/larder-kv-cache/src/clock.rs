use std::{fmt, sync::Arc, time::SystemTime};

use larder_storage::time;

/// Where a cache has the time from by which entries expire.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// A clock that is read by calling `now`.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Nanoseconds since 1970, UTC.
    pub(crate) fn now_ns(&self) -> i64 {
        time::to_ns((self.0)())
    }
}

/// The clock of the system.
impl Default for Clock {
    fn default() -> Self {
        Self::new(SystemTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("now", &(self.0)()).finish()
    }
}
