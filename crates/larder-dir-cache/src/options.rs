use std::{sync::Arc, time::Duration};

use larder_storage::{Durability, Error, ErrorKind, Result};

use crate::{Lru, Observer, Policy, observer::Watch};

/// How a [`DirCache`](crate::DirCache) is opened.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) evict_above: u64,
    pub(crate) interval: Duration,
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) watch: Watch,
    pub(crate) durability: Durability,
    pub(crate) background: bool,
}

impl Default for Options {
    /// Evicts above 10 GiB by [`Lru`], in a background thread with a cycle a minute, with no observer.
    fn default() -> Self {
        Self {
            evict_above: 10 << 30,
            interval: Duration::from_secs(60),
            policy: Arc::new(Lru),
            watch: Watch::default(),
            durability: Durability::default(),
            background: true,
        }
    }
}

impl Options {
    /// The defaults, with a threshold of `evict_above` bytes.
    pub fn new(evict_above: u64) -> Self {
        Self::default().evict_above(evict_above)
    }

    /// Evict while the sum of the sizes is above this many bytes; not 0. Also the most that one entry may have.
    #[must_use]
    pub fn evict_above(mut self, bytes: u64) -> Self {
        self.evict_above = bytes;
        self
    }

    /// The time between two cycles of the background thread; not zero.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// What chooses the entries to evict.
    #[must_use]
    pub fn policy(mut self, policy: Arc<dyn Policy>) -> Self {
        self.policy = policy;
        self
    }

    /// What hears of evictions, sizes, errors and cycles.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.watch = Watch(Some(observer));
        self
    }

    /// What a published or removed entry survives. Counts of accesses are never flushed to the device one by one.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Whether a thread runs the cycles. Without it, call [`DirCache::run_once`](crate::DirCache::run_once).
    #[must_use]
    pub fn background(mut self, background: bool) -> Self {
        self.background = background;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |message: &str| Err(Error::new(ErrorKind::Invalid, message));
        if self.evict_above == 0 {
            return refuse("evict_above is 0 bytes: give the cache room for at least one entry");
        }
        if self.interval.is_zero() {
            return refuse("the interval between cycles is zero: give it some time");
        }
        Ok(())
    }
}
