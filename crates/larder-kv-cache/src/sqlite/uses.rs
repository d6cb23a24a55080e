//! Which entries were read, as long as that is not written down.
//!
//! Writing a use takes many times what a read takes, so most uses are never written. Who evicts looks here first whether
//! an entry that comes up was used since; others are told later, of thousands together and of each seldom.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState},
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How many uses wait at most to be written down together.
const MAX_WAITING: usize = 4096;
/// How long, in nanoseconds, others do without the next use of an entry, for each entry that is used: some twenty times
/// what it takes to tell of one, so that telling never takes much of the time.
const SHARE: i64 = 200_000;
/// At least and at most so long, for all of them together.
const PATIENCE: (i64, i64) = (100_000_000, 60_000_000_000);
/// About how many entries are known at most: some 100 bytes each, besides the key.
const MAX_KNOWN: usize = 1 << 19;

/// How often an entry was read that is not written down, and when at last, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) count: u32,
    pub(super) at: i64,
}

/// The hash of what is a hash.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Debug, Default)]
pub(super) struct Uses {
    hashes: RandomState,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By hashes of keys, so that no key has to be looked at: where two are the same, the uses of one seem to be the
    /// other's.
    known: HashMap<u64, Known, BuildHasherDefault<Hashed>>,
    /// Those of which others are to be told, by their hashes.
    waiting: Vec<u64>,
    /// When the first of them was used.
    waiting_since: i64,
}

impl State {
    fn patience(&self) -> i64 {
        let entries = i64::try_from(self.known.len()).unwrap_or(i64::MAX);
        entries.saturating_mul(SHARE).clamp(PATIENCE.0, PATIENCE.1)
    }
}

#[derive(Debug)]
struct Known {
    key: Box<str>,
    used: Used,
    /// When uses of it were last written down.
    told_at: Option<i64>,
    waits: bool,
}

impl Known {
    fn new(key: &str) -> Self {
        Self { key: key.into(), used: Used::default(), told_at: None, waits: false }
    }

    fn count(&mut self, used: Used) {
        let count = self.used.count.saturating_add(used.count);
        self.used = Used { count, at: self.used.at.max(used.at) };
    }
}

impl Uses {
    /// Counts a use; whether those that wait are to be written down now.
    pub(super) fn count(&self, key: &str, now: i64) -> bool {
        let hash = self.hashes.hash_one(key);
        let mut state = self.state();
        let patience = state.patience();
        let State { known, waiting, waiting_since } = &mut *state;
        let it = known.entry(hash).or_insert_with(|| Known::new(key));
        it.count(Used { count: 1, at: now });
        if !it.waits && it.told_at.is_none_or(|at| now.saturating_sub(at) >= patience) {
            it.waits = true;
            if waiting.is_empty() {
                *waiting_since = now;
            }
            waiting.push(hash);
        }
        let is_long = || now.saturating_sub(*waiting_since) >= patience;
        let is_full = waiting.len() >= MAX_WAITING || known.len() > MAX_KNOWN;
        is_full || (!waiting.is_empty() && is_long())
    }

    /// The uses of an entry that are not written down, if there are any.
    pub(super) fn unwritten(&self, key: &str) -> Option<Used> {
        let found = self.state().known.get(&self.hashes.hash_one(key))?.used;
        (found.count > 0).then_some(found)
    }

    /// The entry is another one now, or gone.
    pub(super) fn forget(&self, key: &str) {
        self.state().known.remove(&self.hashes.hash_one(key));
    }

    /// So are all.
    pub(super) fn forget_all(&self) {
        *self.state() = State::default();
    }

    /// These uses were written down.
    pub(super) fn written(&self, key: &str, used: Used) {
        if let Some(it) = self.state().known.get_mut(&self.hashes.hash_one(key)) {
            it.used.count = it.used.count.saturating_sub(used.count);
        }
    }

    /// Takes what waits, to be written down at `now`, in the order of the keys.
    pub(super) fn take(&self, now: i64) -> Vec<(Box<str>, Used)> {
        let mut state = self.state();
        if state.known.len() > MAX_KNOWN {
            drop(state);
            return self.take_all();
        }
        let waiting = mem::take(&mut state.waiting);
        let take = |hash| {
            let it = state.known.get_mut(&hash)?;
            let used = it.used;
            (it.used.count, it.told_at, it.waits) = (0, Some(now), false);
            Some((it.key.clone(), used))
        };
        in_order(waiting.into_iter().filter_map(take))
    }

    /// Takes every use, and forgets who was told.
    pub(super) fn take_all(&self) -> Vec<(Box<str>, Used)> {
        let known = mem::take(&mut *self.state()).known.into_values();
        in_order(known.map(|it| (it.key, it.used)))
    }

    /// Counts again what was taken and could not be written down.
    pub(super) fn give_back(&self, taken: Vec<(Box<str>, Used)>) {
        let mut state = self.state();
        for (key, used) in taken {
            let it =
                state.known.entry(self.hashes.hash_one(&*key)).or_insert_with(|| Known::new(&key));
            it.count(used);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was used at all, in the order of the keys.
fn in_order(used: impl Iterator<Item = (Box<str>, Used)>) -> Vec<(Box<str>, Used)> {
    let mut used: Vec<_> = used.filter(|(_, used)| used.count > 0).collect();
    used.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_known_until_they_are_written_down() {
        let uses = Uses::default();
        assert!(!uses.count("a", 5) && !uses.count("b", 6) && !uses.count("a", 7));
        assert_eq!(uses.unwritten("a"), Some(Used { count: 2, at: 7 }));
        uses.written("a", Used { count: 1, at: 5 });
        assert_eq!(uses.unwritten("a"), Some(Used { count: 1, at: 7 }));
        uses.forget("b");
        assert_eq!(uses.unwritten("b"), None);
        let taken = uses.take(8);
        assert_eq!(taken, [("a".into(), Used { count: 1, at: 7 })]);
        assert_eq!(uses.unwritten("a"), None);
        uses.give_back(taken);
        assert!(!uses.count("a", 9));
        assert_eq!(uses.take_all(), [("a".into(), Used { count: 2, at: 9 })], "told or not");
        assert_eq!(uses.take_all(), []);
    }

    #[test]
    fn others_are_told_of_an_entry_seldom() {
        let (uses, long) = (Uses::default(), PATIENCE.0);
        assert!(!uses.count("a", 0) && !uses.count("b", 1));
        assert!(uses.count("b", long), "a has waited long");
        assert_eq!(uses.take(long).len(), 2);
        assert!(!uses.count("a", 2 * long - 1));
        assert_eq!((uses.take(2 * long - 1).len(), uses.unwritten("a").is_some()), (0, true));
        assert!(!uses.count("a", 2 * long));
        assert_eq!(uses.take(2 * long).len(), 1);
    }

    #[test]
    fn the_more_entries_are_used_the_longer_each_waits() {
        let uses = Uses::default();
        let count = |from: usize, to: usize| {
            for n in from..to {
                uses.count(&n.to_string(), 0);
            }
            uses.take(0);
            uses.state().patience()
        };
        assert_eq!(count(0, 10), PATIENCE.0);
        assert_eq!(count(10, 5000), 5000 * SHARE);
        assert_eq!(count(5000, 400_000), PATIENCE.1);
    }

    #[test]
    fn what_waits_is_bounded() {
        let uses = Uses::default();
        let due = (0..MAX_WAITING).find(|n| uses.count(&n.to_string(), 0));
        assert_eq!(due, Some(MAX_WAITING - 1));
        assert_eq!(uses.take(0).len(), MAX_WAITING);
    }
}
