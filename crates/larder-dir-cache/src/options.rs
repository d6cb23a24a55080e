use std::{sync::Arc, time::Duration};

use larder_storage::{Durability, Error, ErrorKind, Result};

use crate::{Gdsf, Measure, Observer, Policy, observer::Watch};

/// How a [`DirCache`](crate::DirCache) is opened.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) evict_above: u64,
    pub(crate) limit: Option<u64>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) measure: Measure,
    pub(crate) interval: Duration,
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) watch: Watch,
    pub(crate) durability: Durability,
    pub(crate) background: bool,
}

impl Default for Options {
    /// Evicts above 10 GiB by [`Gdsf`], with no hard limit and no time to live, in a background thread with a cycle a minute, with no observer.
    fn default() -> Self {
        Self {
            evict_above: 10 << 30,
            limit: None,
            ttl: None,
            measure: Measure::default(),
            interval: Duration::from_secs(60),
            policy: Arc::new(Gdsf),
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

    /// Never have more than this many bytes on the disk, with what is being built and what is being deleted: room is made
    /// before a build, and one for which there is none fails with `Full`. A builder that is to be bound by it says what
    /// it will write, by [`BuildOptions::reserve`]; of others only the result is refused where it is too large. The
    /// cache's own bookkeeping and one file of metadata an entry come on top. None unless set.
    #[must_use]
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = Some(bytes);
        self
    }

    /// How long entries are handed out after they were built, where [`BuildOptions::ttl`] says nothing else. For ever,
    /// unless set.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// What counts as the size of an entry: what it occupies on the disk, unless set.
    #[must_use]
    pub fn measure(mut self, measure: Measure) -> Self {
        self.measure = measure;
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
        if self.limit.is_some_and(|limit| limit < self.evict_above) {
            return refuse(
                "the limit is below evict_above: nothing would be evicted before builds fail",
            );
        }
        if self.ttl.is_some_and(|ttl| ttl.is_zero()) {
            return refuse("the time to live is zero: entries would be gone before they are used");
        }
        if self.interval.is_zero() {
            return refuse("the interval between cycles is zero: give it some time");
        }
        Ok(())
    }
}

/// How one entry is built, for [`DirCache::get_or_build_with`](crate::DirCache::get_or_build_with).
#[derive(Clone, Copy, Debug, Default)]
pub struct BuildOptions {
    pub(crate) reserve: Option<u64>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) pinned: bool,
    /// Whether the entry is made empty, to be written in place: that is nothing to share.
    pub(crate) in_place: bool,
}

impl BuildOptions {
    /// The most that the entry will occupy, in bytes: under a hard limit so much room is made before the builder starts
    /// and kept for it. An entry that is larger is refused when it is done.
    #[must_use]
    pub fn reserve(mut self, bytes: u64) -> Self {
        self.reserve = Some(bytes);
        self
    }

    /// How long the entry is handed out after it was built.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Whether the entry is kept from eviction from the start.
    #[must_use]
    pub fn pinned(mut self, pinned: bool) -> Self {
        self.pinned = pinned;
        self
    }
}
