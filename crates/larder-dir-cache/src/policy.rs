use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    fmt,
    sync::Arc,
};

use crate::EntryInfo;

/// Chooses what to evict.
///
/// All who have a cache open have the same policy, which is told by what it shows as `Debug`: that is to be its name and its
/// parameters, and nothing that changes.
///
/// It is asked under the lease of the eviction: a call of [`DirCache::evict`](crate::DirCache::evict) from inside fails
/// with `Locked`. Whatever it answers, only entries that were offered go, each at most once, and none while leased.
pub trait Policy: Send + Sync + fmt::Debug {
    /// The keys of the entries to evict, the first to go first, until they free `bytes_needed`.
    ///
    /// `entries` are those that may go: neither pinned nor the newest. Where some of the answer turn out to be leased,
    /// the policy is asked again, with the others and a larger need.
    fn victims(&self, entries: &[EntryInfo], bytes_needed: u64) -> Vec<String>;

    /// What to remember of an entry that was built or accessed: it is kept with the entry, survives a restart, and is
    /// given back as [`EntryInfo::priority`]. Asked once for all accesses since the last eviction, before the next one.
    ///
    /// `entry` has the accesses counted, and the priority of before; `floor` is the largest priority that was evicted
    /// so far, 0 at first. What is not a number counts as 0.
    fn priority(&self, entry: &EntryInfo, floor: f64) -> f64 {
        let _ = (entry, floor);
        0.0
    }
}

/// Evicts what is the least loss: entries that cost little to build, are large, and were accessed seldom and long ago.
/// The default.
///
/// The priority of an entry is `floor + accesses * cost / size` as of its last access, where the cost is the time that
/// its builder took in seconds (1 where it is not known), the size is in bytes, and the floor grows with each eviction,
/// so that old merits fade. This is Greedy-Dual-Size-Frequency (Cherkasova, HPL-98-69R1, 1998).
#[derive(Clone, Copy, Debug, Default)]
pub struct Gdsf;

/// Evicts what was accessed longest ago.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lru;

/// Evicts what was accessed the fewest times, and among equals what was accessed longest ago.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lfu;

/// Evicts what was accessed longest ago, and among equals the largest.
#[derive(Clone, Copy, Debug, Default)]
pub struct SizedLru;

impl Policy for Gdsf {
    fn victims(&self, entries: &[EntryInfo], bytes_needed: u64) -> Vec<String> {
        first_by(entries, bytes_needed, |entry| (Finite(entry.priority), entry.last_access))
    }

    fn priority(&self, entry: &EntryInfo, floor: f64) -> f64 {
        let cost = entry.build_cost.map_or(1.0, |cost| cost.as_secs_f64());
        floor + entry.access_count as f64 * cost / entry.size.max(1) as f64
    }
}

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

/// The policy of ours that shows itself as `name`.
pub(crate) fn named(name: &str) -> Option<Arc<dyn Policy>> {
    let ours: [Arc<dyn Policy>; 4] =
        [Arc::new(Gdsf), Arc::new(Lru), Arc::new(Lfu), Arc::new(SizedLru)];
    ours.into_iter().find(|policy| format!("{policy:?}") == name)
}

/// The first entries in the order of `rank`, and then of their keys, that together have `bytes_needed`. Empty entries
/// free nothing, so they stay.
fn first_by<R: Ord>(
    entries: &[EntryInfo],
    bytes_needed: u64,
    rank: impl Fn(&EntryInfo) -> R,
) -> Vec<String> {
    let full = entries.iter().filter(|entry| entry.size > 0);
    // A heap, as mostly few of many go.
    let mut order: BinaryHeap<_> =
        full.map(|entry| Reverse((rank(entry), entry.key.as_str(), entry.size))).collect();
    let (mut chosen, mut freed) = (Vec::new(), 0_u64);
    while freed < bytes_needed
        && let Some(Reverse((_, key, size))) = order.pop()
    {
        chosen.push(key.to_owned());
        freed = freed.saturating_add(size);
    }
    chosen
}

/// A number that is none of the special ones, in its order.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Finite(f64);

impl Eq for Finite {}

impl PartialOrd for Finite {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Finite {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
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
    fn the_least_loss_goes_first_and_old_merits_fade() {
        let with = |key, size, count, cost_s| {
            let mut it = entry(key, size, 1, count);
            it.build_cost = Some(Duration::from_secs(cost_s));
            it
        };
        let mut entries = [
            with("dear", 10, 1, 90),
            with("cheap", 10, 1, 1),
            with("large", 100, 1, 90),
            with("used", 10, 40, 1),
        ];
        for entry in &mut entries {
            entry.priority = Gdsf.priority(entry, 0.0);
        }
        assert_eq!(Gdsf.victims(&entries, u64::MAX), ["cheap", "large", "used", "dear"]);
        assert_eq!(Gdsf.victims(&entries, 11), ["cheap", "large"]);
        // What came after much was evicted outlives what was worth more before.
        let mut late = with("late", 10, 1, 1);
        late.priority = Gdsf.priority(&late, 10.0);
        let [dear, ..] = entries;
        assert_eq!(Gdsf.victims(&[late, dear], 1), ["dear"]);
    }

    #[test]
    fn what_frees_nothing_stays() {
        let entries = [entry("empty", 0, 1, 1), entry("full", 5, 2, 1)];
        for policy in [&Gdsf as &dyn Policy, &Lru, &Lfu, &SizedLru] {
            assert_eq!(policy.victims(&entries, 1), ["full"], "{policy:?}");
        }
    }
}
