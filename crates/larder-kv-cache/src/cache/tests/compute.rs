//! Single-flight.

use std::sync::{
    Barrier,
    atomic::{AtomicUsize, Ordering},
};

use larder_storage::{Error, Result};

use super::*;

fn fail() -> Error {
    Error::new(ErrorKind::Backend, "the service is down")
}

#[test]
fn the_body_runs_once_for_many_threads() {
    let (dir, cache) = fresh();
    let other = open(dir.path(), "genes");
    let (runs, start) = (AtomicUsize::new(0), Barrier::new(64));
    thread::scope(|scope| {
        for n in 0..64 {
            let (cache, runs, start) = (if n % 2 == 0 { &cache } else { &other }, &runs, &start);
            scope.spawn(move || {
                start.wait();
                let compute = || Ok(runs.fetch_add(1, Ordering::Relaxed));
                assert_eq!(cache.get_or_compute("cold", compute).unwrap(), 0);
            });
        }
    });
    assert_eq!(runs.into_inner(), 1);
}

#[test]
fn failures_are_not_kept_and_the_next_one_computes() {
    let (_dir, cache) = fresh();
    let error = cache.get_or_compute::<u8>("a", || Err(fail())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    assert_eq!(cache.get::<u8>("a").unwrap(), Lookup::Miss);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        cache.get_or_compute::<u8>("a", || panic!("at work"))
    }));
    assert!(panicked.is_err());
    assert_eq!(cache.get_or_compute("a", || Ok(7)).unwrap(), 7);
    assert_eq!(cache.get_or_compute("a", || Err::<u8, _>(fail())).unwrap(), 7);
}

#[test]
fn only_what_is_missing_is_computed_in_one_batch() {
    let (_dir, cache) = fresh();
    cache.set("k3", &300).unwrap();
    let keys: Vec<String> = (0..1000).map(|n| format!("k{}", n % 500)).collect();
    let mut batches = Vec::new();
    let length = |key: &&str| -> Result<usize> { Ok(key.len()) };
    let values = cache
        .get_or_compute_many(&keys, |missing| {
            batches.push(missing.len());
            missing.iter().map(length).collect()
        })
        .unwrap();
    assert_eq!(batches, [499]);
    assert_eq!((values[0], values[3], values[503], values[999]), (2, 300, 300, 4));
    let again: Vec<usize> = cache.get_or_compute_many(&keys, |_| Err(fail())).unwrap();
    assert_eq!(again, values);
    let short = cache.get_or_compute_many(&["x", "y"], |_| Ok(vec![1])).unwrap_err();
    assert_eq!(short.kind(), ErrorKind::Invalid);
}

#[test]
fn batches_that_overlap_compute_each_key_once() {
    let (dir, cache) = fresh();
    let (runs, start) = (AtomicUsize::new(0), Barrier::new(8));
    thread::scope(|scope| {
        for worker in 0..8_usize {
            let (cache, runs, start) = (open(dir.path(), "genes"), &runs, &start);
            scope.spawn(move || {
                let keys: Vec<String> =
                    (0..40).map(|n| format!("{}", (worker * 7 + n) % 60)).collect();
                start.wait();
                let values = cache.get_or_compute_many(&keys, |missing| {
                    runs.fetch_add(missing.len(), Ordering::Relaxed);
                    thread::yield_now();
                    Ok(missing.iter().map(|key| (*key).to_owned()).collect())
                });
                assert_eq!(values.unwrap(), keys);
            });
        }
    });
    assert_eq!(runs.into_inner(), cache.len().unwrap());
}

#[test]
fn what_expires_at_once_is_computed_and_given_all_the_same() {
    let dir = tempdir().unwrap();
    let options = Options::default().time_to_live(std::time::Duration::ZERO);
    let cache = KvCache::open(dir.path(), "n", options).unwrap();
    assert_eq!(cache.get_or_compute("a", || Ok(7)).unwrap(), 7);
}

#[test]
fn asking_for_the_same_key_while_it_is_computed_is_an_error() {
    let (_dir, cache) = fresh();
    let error =
        cache.get_or_compute::<u8>("a", || cache.get_or_compute("a", || Ok(1))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    let nested = cache.get_or_compute::<u8>("a", || cache.get_or_compute("b", || Ok(2)));
    assert_eq!(nested.unwrap(), 2);
    let flights = cache.path().with_extension("flights");
    assert_eq!(fs::read_dir(flights).unwrap().count(), 0, "nothing stays");
    assert!(cache.verify().unwrap().is_clean());
}

#[test]
fn nothing_is_computed_for_a_key_that_could_not_be_stored() {
    let (_dir, cache) = fresh();
    let long = "k".repeat(KvCache::MAX_KEY_LEN + 1);
    let error = cache.get_or_compute::<i32>(&long, || panic!("it is too long")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn a_computation_leaves_what_others_hold_in_memory_as_true_as_it_was() {
    let (dir, cache) = fresh();
    let other = open(dir.path(), "genes");
    let turns = || fs::read(format!("{}.write", cache.path().display())).unwrap();
    let count = |bytes: Vec<u8>| u64::from_le_bytes(bytes.try_into().unwrap());
    let before = count(turns());
    assert_eq!(other.get_or_compute("k", || Ok(7)).unwrap(), 7);
    assert_eq!(count(turns()), before + 2, "the value alone was written for all to see");
    assert_eq!(cache.get_or_compute("k", || Ok(8)).unwrap(), 7);
    assert_eq!(count(turns()), before + 2);
}
