use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::Lookup;

/// What one [`KvCache`](crate::KvCache) value did since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Statistics {
    /// The keys that were looked up and found.
    pub hits: u64,
    /// The keys that were looked up and were not there. What is then computed is not counted as a hit, too.
    pub misses: u64,
    /// The keys that were looked up and had expired.
    pub expired: u64,
    /// The values that were computed for [`get_or_compute`](crate::KvCache::get_or_compute) and its like.
    pub computed: u64,
    /// The entries that were evicted by writes through this value.
    pub evictions: u64,
}

/// The numbers as they grow.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
    expired: AtomicU64,
    computed: AtomicU64,
}

impl Counters {
    pub(crate) fn looked_up<T>(&self, found: &Lookup<T>) {
        let counter = match found {
            Lookup::Hit(_) => &self.hits,
            Lookup::Miss => &self.misses,
            Lookup::Expired => &self.expired,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn computed(&self, values: usize) {
        self.computed.fetch_add(values as u64, Ordering::Relaxed);
    }

    pub(crate) fn statistics(&self, evictions: u64) -> Statistics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            hits: read(&self.hits),
            misses: read(&self.misses),
            expired: read(&self.expired),
            computed: read(&self.computed),
            evictions,
        }
    }
}
