//! A cache without files, whose victims a policy chooses.

use std::{
    collections::HashMap,
    mem,
    time::{Duration, SystemTime},
};

use larder_dir_cache::{EntryInfo, Policy};

use crate::Outcome;

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) object: u64,
    /// In bytes. An object keeps the size with which it came into the cache.
    pub(super) size: u64,
    /// Of building the object, in seconds.
    pub(super) cost: f64,
}

/// Which shares of a trace were missed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Missed {
    pub(super) objects: f64,
    pub(super) bytes: f64,
    pub(super) cost: f64,
}

impl Missed {
    fn add(&mut self, request: &Request) {
        self.objects += 1.0;
        self.bytes += request.size as f64;
        self.cost += request.cost;
    }

    fn of(self, all: Self) -> Self {
        let (objects, bytes) = (self.objects / all.objects, self.bytes / all.bytes);
        Self { objects, bytes, cost: self.cost / all.cost }
    }
}

/// What is missed of the requests in a cache of `capacity` bytes. Costs are known to the policy where `costs` says so.
pub(super) fn replay(
    policy: &dyn Policy,
    costs: bool,
    requests: &[Request],
    capacity: u64,
) -> Outcome<Missed> {
    let mut cache = Cache::new(policy, capacity);
    let (mut missed, mut all) = (Missed::default(), Missed::default());
    for (now, request) in requests.iter().enumerate() {
        all.add(request);
        if !cache.access(request.object, now as u64) {
            missed.add(request);
            cache.insert(request, costs, now as u64)?;
        }
    }
    Ok(missed.of(all))
}

/// The entries, in two parts, so that the policy is not asked about all of them at each miss. That changes no victim, as
/// each policy here ranks an entry by what is known of this entry alone, which only an access changes.
struct Cache<'a> {
    policy: &'a dyn Policy,
    capacity: u64,
    used: u64,
    /// The largest priority that was evicted.
    floor: f64,
    /// Those that were not accessed since the policy was asked about all.
    rested: HashMap<u64, EntryInfo>,
    /// The first to go of those that rested then; the very first is the last here.
    order: Vec<u64>,
    /// All others, and where each of them is.
    recent: Vec<EntryInfo>,
    places: HashMap<u64, usize>,
}

impl<'a> Cache<'a> {
    fn new(policy: &'a dyn Policy, capacity: u64) -> Self {
        let (rested, places) = (HashMap::new(), HashMap::new());
        let (order, recent) = (Vec::new(), Vec::new());
        Self { policy, capacity, used: 0, floor: 0.0, rested, order, recent, places }
    }

    /// Whether the object is there; counts the access.
    fn access(&mut self, object: u64, now: u64) -> bool {
        self.wake(object);
        let Some(place) = self.places.get(&object) else { return false };
        touch(&mut self.recent[*place], self.policy, self.floor, now);
        true
    }

    /// Adds an object that is not there. Like [`DirCache`](larder_dir_cache::DirCache), refuses one that is larger than
    /// the cache, and never evicts the newest.
    fn insert(&mut self, request: &Request, costs: bool, now: u64) -> Outcome {
        if request.size > self.capacity {
            return Ok(());
        }
        let mut entry = EntryInfo::new(request.object.to_string(), request.size);
        entry.build_cost = costs.then(|| Duration::from_secs_f64(request.cost));
        touch(&mut entry, self.policy, self.floor, now);
        self.used += entry.size;
        while self.used > self.capacity {
            self.evict()?;
        }
        self.push(request.object, entry);
        Ok(())
    }

    /// Evicts one entry.
    fn evict(&mut self) -> Outcome {
        if self.recent.len() > self.rested.len() / 8 + 8 || !self.wake_first() {
            self.rest();
            self.wake_first();
        }
        let victims = self.policy.victims(&self.recent, 1);
        let victim: u64 = victims.first().ok_or("the policy names no victim")?.parse()?;
        let place = self.places.remove(&victim).ok_or("the policy names a stranger")?;
        let gone = self.recent.swap_remove(place);
        if let Some(moved) = self.recent.get(place) {
            self.places.insert(moved.key.parse()?, place);
        }
        self.used -= gone.size;
        self.floor = self.floor.max(gone.priority);
        Ok(())
    }

    /// Asks the policy about all.
    fn rest(&mut self) {
        let recent = mem::take(&mut self.recent);
        let all: Vec<_> = mem::take(&mut self.rested).into_values().chain(recent).collect();
        self.places.clear();
        let id = |key: &str| key.parse::<u64>().unwrap_or_default();
        let first = self.policy.victims(&all, self.capacity / 4);
        self.order = first.iter().rev().map(|key| id(key)).collect();
        self.rested = all.into_iter().map(|entry| (id(&entry.key), entry)).collect();
    }

    /// Puts the first of those that rest among the others, where it stands for all of them; whether it is known.
    fn wake_first(&mut self) -> bool {
        while let Some(first) = self.order.pop() {
            if self.wake(first) {
                return true;
            }
        }
        false
    }

    /// Puts an entry that rests among the others; whether there was one.
    fn wake(&mut self, object: u64) -> bool {
        let entry = self.rested.remove(&object);
        let found = entry.is_some();
        entry.into_iter().for_each(|entry| self.push(object, entry));
        found
    }

    fn push(&mut self, object: u64, entry: EntryInfo) {
        self.places.insert(object, self.recent.len());
        self.recent.push(entry);
    }
}

/// Counts an access at the logical time `now`.
fn touch(entry: &mut EntryInfo, policy: &dyn Policy, floor: f64, now: u64) {
    entry.access_count += 1;
    entry.last_access = SystemTime::UNIX_EPOCH + Duration::from_nanos(now);
    entry.priority = policy.priority(entry, floor);
}

#[cfg(test)]
mod tests {
    use larder_dir_cache::{Gdsf, Lfu, Lru, SizedLru};

    use super::*;
    use crate::random::Random;

    /// Asks the policy about all entries at each miss.
    fn plainly(policy: &dyn Policy, requests: &[Request], capacity: u64) -> f64 {
        let (mut entries, mut floor, mut missed) = (Vec::<EntryInfo>::new(), 0.0_f64, 0);
        for (now, request) in requests.iter().enumerate() {
            let key = request.object.to_string();
            if let Some(entry) = entries.iter_mut().find(|entry| entry.key == key) {
                touch(entry, policy, floor, now as u64);
                continue;
            }
            missed += 1;
            let mut entry = EntryInfo::new(key, request.size);
            entry.build_cost = Some(Duration::from_secs_f64(request.cost));
            touch(&mut entry, policy, floor, now as u64);
            let used = entries.iter().map(|entry| entry.size).sum::<u64>() + request.size;
            for victim in policy.victims(&entries, used.saturating_sub(capacity)) {
                let place = entries.iter().position(|entry| entry.key == victim).unwrap();
                floor = floor.max(entries.swap_remove(place).priority);
            }
            entries.push(entry);
        }
        f64::from(missed) / requests.len() as f64
    }

    #[test]
    fn two_parts_choose_as_one() {
        let mut random = Random(3);
        let mut request = || {
            let object = random.below(20) * random.below(20);
            Request { object: object as u64, size: 1 + object as u64 % 7, cost: 1.5 }
        };
        let requests: Vec<_> = (0..5000).map(|_| request()).collect();
        for policy in [&Gdsf as &dyn Policy, &Lru, &Lfu, &SizedLru] {
            let found = replay(policy, true, &requests, 150).unwrap().objects;
            assert_eq!(found, plainly(policy, &requests, 150), "{policy:?}");
            assert!((0.1..0.9).contains(&found), "{found}");
        }
    }

    #[test]
    fn the_largest_is_refused_and_shares_are_of_all() {
        let request = |object, size, cost| Request { object, size, cost };
        let requests = [request(1, 4, 1.0), request(2, 12, 2.0), request(1, 4, 1.0)];
        let missed = replay(&Lru, false, &requests, 10).unwrap();
        assert_eq!(missed, Missed { objects: 2.0 / 3.0, bytes: 0.8, cost: 0.75 });
    }
}
