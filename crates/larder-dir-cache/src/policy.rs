use std::{cmp::Reverse, fmt};

use crate::EntryInfo;

/// Chooses what to evict.
///
/// It is asked under the lease of the eviction: a call of [`DirCache::evict`](crate::DirCache::evict) from inside fails
/// with `Locked`. Whatever it answers, only entries that were offered go, each at most once, and none while leased.
pub trait Policy: Send + Sync + fmt::Debug {
    /// The keys of the entries to evict, the first to go first, until they free `bytes_needed`.
    ///
    /// `entries` are those that may go: neither pinned nor the newest. Where some of the answer turn out to be leased,
    /// the policy is asked again, with the others and a larger need.
    fn victims(&self, entries: &[EntryInfo], bytes_needed: u64) -> Vec<String>;
}

/// Evicts what was accessed longest ago.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lru;

/// Evicts what was accessed the fewest times, and among equals what was accessed longest ago.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lfu;

/// Evicts what was accessed longest ago, and among equals the largest.
#[derive(Clone, Copy, Debug, Default)]
pub struct SizedLru;

impl Policy for Lru {
    fn victims(&self, entries: &[EntryInfo], bytes_needed: u64) -> Vec<String> {
        first_by(entries, bytes_needed, |entry| entry.last_access)
    }
}

impl Policy for Lfu {
    fn victims(&self, entries: &[EntryInfo], bytes_needed: u64) -> Vec<String> {
        first_by(entries, bytes_needed, |entry| (entry.access_count, entry.last_access))
    }
}

impl Policy for SizedLru {
    fn victims(&self, entries: &[EntryInfo], bytes_needed: u64) -> Vec<String> {
        first_by(entries, bytes_needed, |entry| (entry.last_access, Reverse(entry.size)))
    }
}

/// The first entries in the order of `rank`, and then of their keys, that together have `bytes_needed`. Empty entries
/// free nothing, so they stay.
fn first_by<R: Ord>(
    entries: &[EntryInfo],
    bytes_needed: u64,
    rank: impl Fn(&EntryInfo) -> R,
) -> Vec<String> {
    let mut order: Vec<&EntryInfo> = entries.iter().filter(|entry| entry.size > 0).collect();
    order.sort_by_cached_key(|&entry| (rank(entry), entry.key.as_str()));
    let mut freed = 0_u64;
    let chosen = order.into_iter().take_while(|entry| {
        let wanted = freed < bytes_needed;
        freed = freed.saturating_add(entry.size);
        wanted
    });
    chosen.map(|entry| entry.key.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn entry(key: &str, size: u64, accessed: u64, count: u64) -> EntryInfo {
        let mut entry = EntryInfo::new(key, size);
        entry.last_access = SystemTime::UNIX_EPOCH + Duration::from_secs(accessed);
        entry.access_count = count;
        entry
    }

    #[test]
    fn each_has_its_order_and_stops_when_enough_is_freed() {
        let entries = [
            entry("a", 10, 3, 1),
            entry("b", 20, 1, 9),
            entry("c", 30, 1, 2),
            entry("d", 40, 2, 2),
        ];
        let all = u64::MAX;
        assert_eq!(Lru.victims(&entries, all), ["b", "c", "d", "a"]);
        assert_eq!(Lfu.victims(&entries, all), ["a", "c", "d", "b"]);
        assert_eq!(SizedLru.victims(&entries, all), ["c", "b", "d", "a"]);
        assert_eq!(Lru.victims(&entries, 21), ["b", "c"]);
        assert_eq!(Lru.victims(&entries, 20), ["b"]);
        assert!(Lru.victims(&entries, 0).is_empty() && Lru.victims(&[], 1).is_empty());
    }

    #[test]
    fn what_frees_nothing_stays() {
        let entries = [entry("empty", 0, 1, 1), entry("full", 5, 2, 1)];
        for policy in [&Lru as &dyn Policy, &Lfu, &SizedLru] {
            assert_eq!(policy.victims(&entries, 1), ["full"], "{policy:?}");
        }
    }
}
