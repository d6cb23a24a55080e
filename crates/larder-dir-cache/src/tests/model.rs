//! The cache against a model of it: a map from keys to contents and counts of accesses, with the order of accesses.

use std::{collections::BTreeMap, sync::LazyLock};

use proptest::prelude::*;

use super::*;
use crate::{Lfu, Lru, SizedLru};

const KEYS: [&str; 6] = ["a", "b", "c/d", "c/e", "c/f/g", "h"];
/// What entries of 4 KiB, 8 KiB and so on occupy here.
static SIZES: LazyLock<Vec<u64>> = LazyLock::new(|| (1..15).map(|n| disk(4 * n)).collect());
static EVICT_ABOVE: LazyLock<u64> = LazyLock::new(|| disk(48));

fn size(kib: u64) -> u64 {
    SIZES[kib as usize / 4 - 1]
}

#[derive(Clone, Debug)]
enum Step {
    Build(usize, u64),
    FailToBuild(usize),
    Get(usize),
    Remove(usize),
    Evict(usize),
    Pin(usize, bool),
    /// Writes so many KiB in place.
    Write(usize, u64),
    Clear,
    Cycle,
    Reopen,
    Recount,
}

#[derive(Clone, Debug)]
struct Entry {
    kib: u64,
    count: u64,
    /// When it was built and last accessed, in steps.
    built: usize,
    accessed: usize,
    pinned: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS.len();
    prop_oneof![
        5 => (key.clone(), 1_u64..15).prop_map(|(key, blocks)| Step::Build(key, blocks * 4)),
        1 => key.clone().prop_map(Step::FailToBuild),
        3 => key.clone().prop_map(Step::Get),
        1 => key.clone().prop_map(Step::Remove),
        1 => (key.clone(), any::<bool>()).prop_map(|(key, pinned)| Step::Pin(key, pinned)),
        1 => (key, 1_u64..15).prop_map(|(key, blocks)| Step::Write(key, blocks * 4)),
        1 => Just(Step::Clear),
        3 => (0_usize..3).prop_map(Step::Evict),
        1 => Just(Step::Cycle),
        1 => Just(Step::Reopen),
        1 => Just(Step::Recount),
    ]
}

impl Entry {
    fn new(kib: u64, now: usize) -> Self {
        Self { kib, count: 1, built: now, accessed: now, pinned: false }
    }
}

type Model = BTreeMap<&'static str, Entry>;

/// The keys to go, in order, by the definition of each policy.
fn victims(model: &Model, policy: usize) -> Vec<&'static str> {
    let (oversized, rest): (Vec<_>, Vec<_>) =
        model.iter().partition(|(_, entry)| size(entry.kib) > *EVICT_ABOVE);
    // No other goes for what is larger than the whole cache is to be.
    let mut total: u64 = rest.iter().map(|(_, entry)| size(entry.kib)).sum();
    let mut gone: Vec<_> = oversized.into_iter().filter(|(_, entry)| !entry.pinned).collect();
    gone.sort_by_key(|(_, entry)| entry.built);
    let mut gone: Vec<_> = gone.into_iter().map(|(key, _)| *key).collect();
    let left = model.iter().filter(|(key, _)| !gone.contains(key));
    let newest = left.max_by_key(|(_, entry)| entry.built).map(|(key, _)| *key);
    let may_go = |key: &str, entry: &Entry| Some(key) != newest && !entry.pinned;
    let mut order: Vec<_> = rest.into_iter().filter(|(key, entry)| may_go(key, entry)).collect();
    // No two steps are at one time, so the sizes never decide.
    order.sort_by_key(|(_, entry)| (if policy == 1 { entry.count } else { 0 }, entry.accessed));
    for (key, entry) in order {
        if total > *EVICT_ABOVE {
            total -= size(entry.kib);
            gone.push(*key);
        }
    }
    gone
}

fn evict(cache: &DirCache, model: &mut Model, policy: usize) {
    let policies: [&dyn Policy; 3] = [&Lru, &Lfu, &SizedLru];
    let expected = victims(model, policy);
    assert_eq!(cache.evict_with(policies[policy]).unwrap(), expected);
    model.retain(|key, _| !expected.contains(key));
}

fn access(model: &mut Model, key: &'static str, now: usize) -> bool {
    let Some(entry) = model.get_mut(key) else { return false };
    entry.count += 1;
    entry.accessed = now;
    true
}

fn run(cache: &DirCache, model: &mut Model, now: usize, step: &Step) {
    match *step {
        Step::Build(key, kib) => {
            let built = cache.get_or_build(KEYS[key], |stage| fill(stage, kib));
            if access(model, KEYS[key], now) {
                assert!(!built.unwrap().built());
            } else if size(kib) > *EVICT_ABOVE {
                assert_eq!(built.unwrap_err().kind(), ErrorKind::Full);
            } else {
                assert!(built.unwrap().built());
                model.insert(KEYS[key], Entry::new(kib, now));
            }
        }
        Step::FailToBuild(key) => {
            let built =
                cache.get_or_build(KEYS[key], |_| Err(Error::new(ErrorKind::Backend, "no")));
            assert_eq!(built.is_ok(), access(model, KEYS[key], now));
        }
        Step::Get(key) => {
            assert_eq!(cache.get(KEYS[key]).unwrap().is_some(), access(model, KEYS[key], now))
        }
        Step::Remove(key) => {
            assert_eq!(cache.remove(KEYS[key]).unwrap(), model.remove(KEYS[key]).is_some())
        }
        Step::Evict(policy) => evict(cache, model, policy),
        Step::Pin(key, pinned) => {
            let key = KEYS[key];
            let found = if pinned { cache.pin(key) } else { cache.unpin(key) };
            assert_eq!(found.unwrap(), model.contains_key(key));
            model.entry(key).and_modify(|entry| entry.pinned = pinned);
        }
        Step::Write(key, kib) => {
            let lease = cache.model(KEYS[key]).unwrap();
            fill(lease.path(), kib).unwrap();
            drop(lease);
            if !access(model, KEYS[key], now) {
                model.insert(KEYS[key], Entry::new(kib, now));
            }
            model.entry(KEYS[key]).and_modify(|entry| entry.kib = kib);
        }
        Step::Clear => assert!(cache.clear().unwrap().iter().eq(std::mem::take(model).keys())),
        Step::Cycle => {
            let expected = victims(model, 0);
            assert_eq!(cache.run_once().unwrap(), expected);
            model.retain(|key, _| !expected.contains(key));
        }
        Step::Recount => assert!(cache.recount().unwrap().corrected.is_empty()),
        Step::Reopen => {}
    }
}

fn check(cache: &DirCache, model: &Model) {
    let found: Vec<_> = cache
        .entries()
        .unwrap()
        .into_iter()
        .map(|entry| (entry.key, entry.size, entry.access_count, entry.pinned))
        .collect();
    let expected: Vec<_> = model
        .iter()
        .map(|(key, entry)| ((*key).to_owned(), size(entry.kib), entry.count, entry.pinned))
        .collect();
    assert_eq!(found, expected);
    for (key, entry) in model {
        assert_eq!(
            fs::metadata(cache.root().join(key).join("data")).unwrap().len(),
            entry.kib * KIB
        );
    }
    assert_sound(cache);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_the_model(steps in prop::collection::vec(step(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let mut cache = open(dir.path(), *EVICT_ABOVE);
        let mut model = Model::new();
        for (now, step) in steps.iter().enumerate() {
            run(&cache, &mut model, now, step);
            if matches!(step, Step::Reopen) {
                drop(cache);
                cache = open(dir.path(), *EVICT_ABOVE);
            }
            check(&cache, &model);
        }
    }
}
