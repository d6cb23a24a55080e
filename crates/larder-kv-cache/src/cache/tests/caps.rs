//! Caps, and which entries were used.

use super::{
    beyond::{Seconds, keys, secs},
    *,
};
use crate::{Attributes, Policy};

#[test]
fn reading_several_at_once_counts_as_use() {
    let (dir, time) = (tempdir().unwrap(), Seconds::default());
    let options = Options::default().clock(time.clock()).capacity(20, Policy::LeastRecentlyUsed);
    let cache = KvCache::open(dir.path(), "n", options).unwrap();
    for key in ["a", "b"] {
        time.pass(1);
        cache.set(key, "1234567").unwrap();
    }
    time.pass(1);
    assert_eq!(cache.get_many::<String>(&["a"]).unwrap().len(), 1);
    time.pass(1);
    cache.set("c", "1234567").unwrap();
    assert_eq!(keys(&cache), ["a", "c"]);
}

#[test]
fn few_reads_under_a_cap_write_and_others_hear_of_all_in_the_end() {
    let (dir, time) = (tempdir().unwrap(), Seconds::default());
    let options = Options::default().clock(time.clock()).capacity(30, Policy::LeastRecentlyUsed);
    let open = || KvCache::open(dir.path(), "n", options.clone()).unwrap();
    let (cache, other) = (open(), open());
    for key in ["a", "b", "c"] {
        time.pass(1);
        cache.set(key, "1234567").unwrap();
    }
    time.pass(1);
    let log = || fs::metadata(format!("{}-wal", cache.path().display())).unwrap().len();
    let before = log();
    for _ in 0..100 {
        assert!(other.get::<String>("a").unwrap().is_hit());
    }
    assert_eq!(log(), before);
    drop(other);
    assert_ne!(log(), before);
    time.pass(1);
    cache.set("d", "1234567").unwrap();
    assert_eq!(keys(&cache), ["a", "c", "d"]);

    let other = open();
    assert!(other.get::<String>("a").unwrap().is_hit());
    time.pass(1);
    assert!(other.get::<String>("a").unwrap().is_hit(), "a use of this key waits since a second");
    cache.set("e", "1234567").unwrap();
    assert_eq!(keys(&cache), ["a", "d", "e"]);
}

/// A cache with room for some entries of ten bytes.
fn capped(dir: &Path, time: &Seconds, entries: u64, policy: Policy) -> KvCache {
    let options = Options::default().clock(time.clock()).capacity(10 * entries, policy);
    KvCache::open(dir, "n", options).unwrap()
}

fn read(cache: &KvCache, key: &str) {
    assert!(cache.get::<String>(key).unwrap().is_hit(), "{key}");
}

#[test]
fn what_is_used_stays_however_much_is_evicted_at_once() {
    for policy in [Policy::LeastRecentlyUsed, Policy::LeastFrequentlyUsed] {
        let (dir, time) = (tempdir().unwrap(), Seconds::default());
        let cache = capped(dir.path(), &time, 5000, policy);
        let set = |from: usize, to: usize| {
            time.pass(10);
            cache.set_many((from..to).map(|n| (format!("{n:04}"), "1234"))).unwrap();
        };
        set(0, 5000);
        time.pass(10);
        for n in 0..2000 {
            let key = format!("{n:04}");
            (0..2).for_each(|_| read(&cache, &key));
        }
        set(5000, 6500);
        let kept = cache.hits_and_misses(&(0..2000).map(|n| format!("{n:04}")).collect::<Vec<_>>());
        assert_eq!(kept.unwrap().0.len(), 2000, "{policy}");
    }
}

#[test]
fn what_was_told_before_and_used_again_is_told_at_the_end() {
    let (dir, time) = (tempdir().unwrap(), Seconds::default());
    let cache = capped(dir.path(), &time, 2, Policy::LeastFrequentlyUsed);
    for key in ["a", "b"] {
        cache.set(key, "1234567").unwrap();
        read(&cache, key);
    }
    time.pass(1);
    (0..2).for_each(|_| read(&cache, "b"));
    (0..9).for_each(|_| read(&cache, "a"));
    drop(cache);
    let cache = capped(dir.path(), &time, 2, Policy::LeastFrequentlyUsed);
    cache.set("c", "1234567").unwrap();
    assert_eq!(keys(&cache), ["a", "c"]);
}

#[test]
fn a_clock_that_goes_back_makes_nothing_new_old() {
    let (dir, time) = (tempdir().unwrap(), Seconds::default());
    time.pass(100);
    for policy in [Policy::LeastRecentlyUsed, Policy::Oldest] {
        let dir = dir.path().join(policy.to_string());
        let cache = capped(&dir, &time, 3, policy);
        cache.set_many(["a", "b", "c"].map(|key| (key, "1234567"))).unwrap();
        time.back(50);
        for key in ["d", "e"] {
            cache.set(key, "1234567").unwrap();
        }
        assert_eq!(keys(&cache), ["c", "d", "e"], "{policy}");
        time.pass(50);
    }
}

#[test]
fn what_is_swept_is_out_of_memory_too() {
    let (dir, time) = (tempdir().unwrap(), Seconds::default());
    let options = Options::default().clock(time.clock());
    let cache = KvCache::open(dir.path(), "n", options).unwrap();
    time.pass(10);
    cache.set_with("a", &1, &Attributes::default().time_to_live(secs(2))).unwrap();
    time.pass(3);
    cache.set("b", &2).unwrap();
    time.back(3);
    assert_eq!(cache.get::<i32>("a").unwrap(), Lookup::Miss);
    assert_eq!(cache.update("a", |found| found.hit().unwrap_or(10) + 1).unwrap(), 11);
}

#[test]
fn an_update_ends_whatever_another_program_did() {
    let (_dir, cache) = fresh();
    cache.set("a", &1).unwrap();
    sql(cache.path(), "DELETE FROM entry");
    assert_eq!(cache.update("a", |found| found.hit().unwrap_or(10) + 1).unwrap(), 11);
}

#[test]
fn nothing_goes_where_nothing_is_set() {
    let (dir, time) = (tempdir().unwrap(), Seconds::default());
    let cache = capped(dir.path(), &time, 3, Policy::LeastFrequentlyUsed);
    cache.set_many(["a", "b", "c"].map(|key| (key, "1234567"))).unwrap();
    drop(capped(dir.path(), &time, 1, Policy::LeastFrequentlyUsed));
    assert!(cache.touch("a", None).unwrap() && !cache.insert_if_absent("a", &1).unwrap());
    assert!(!cache.invalidate("none").unwrap());
    assert_eq!(keys(&cache).len(), 3);
    cache.set("d", "1234567").unwrap();
    assert_eq!(keys(&cache), ["d"]);
}

#[test]
fn a_read_waits_for_nobody_who_writes() {
    let (dir, time) = (tempdir().unwrap(), Seconds::default());
    let cache = capped(dir.path(), &time, 3, Policy::LeastRecentlyUsed);
    cache.set("a", "1234567").unwrap();
    read(&cache, "a");
    let turns = File::open(format!("{}.write", cache.path().display())).unwrap();
    turns.lock().unwrap();
    time.pass(100);
    read(&cache, "a");
    read(&cache, "a");
    turns.unlock().unwrap();
}
