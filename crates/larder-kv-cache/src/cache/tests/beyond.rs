//! Time, tags, caps, conditions and the memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use super::*;
use crate::{Attributes, Clock, Policy};

/// A clock that goes when it is told to, in seconds.
#[derive(Clone, Default)]
pub(super) struct Seconds(Arc<AtomicU64>);

impl Seconds {
    pub(super) fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(super) fn back(&self, seconds: u64) {
        self.0.fetch_sub(seconds, Ordering::Relaxed);
    }

    pub(super) fn clock(&self) -> Clock {
        let seconds = Arc::clone(&self.0);
        Clock::new(move || {
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 + seconds.load(Ordering::Relaxed))
        })
    }
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn keys(cache: &KvCache) -> Vec<String> {
    let keys = cache.keys().unwrap();
    assert_eq!(cache.len().unwrap(), keys.len());
    let (hits, misses) = cache.hits_and_misses(&keys).unwrap();
    assert_eq!((&hits, misses.len()), (&keys, 0));
    keys
}

#[test]
fn entries_expire_when_their_time_is_over() {
    for autosave in [true, false] {
        let (dir, time) = (tempdir().unwrap(), Seconds::default());
        let options = Options::default().clock(time.clock()).time_to_live(secs(10));
        let cache = KvCache::open(dir.path(), "n", options.autosave(autosave)).unwrap();
        cache.set("default", &1).unwrap();
        cache.set_with("long", &2, &Attributes::default().time_to_live(secs(20))).unwrap();
        cache.set_with("ever", &3, &Attributes::default().for_ever()).unwrap();
        time.pass(9);
        assert_eq!(keys(&cache), ["default", "long", "ever"]);
        time.pass(1);
        assert_eq!(keys(&cache), ["long", "ever"]);
        assert_eq!(cache.get::<u8>("default").unwrap(), Lookup::Expired);
        assert!(!cache.contains("default").unwrap());
        assert!(!cache.invalidate("default").unwrap());
        cache.set("long", &4).unwrap();
        time.pass(9);
        assert_eq!(cache.get("long").unwrap(), Lookup::Hit(4));
        time.pass(1);
        assert_eq!(keys(&cache), ["ever"]);
        cache.set("long", &5).unwrap();
        assert_eq!(keys(&cache), ["ever", "long"], "an expired key begins anew");
        cache.save().unwrap();
        assert!(cache.verify().unwrap().is_clean());
    }
}

#[test]
fn a_touch_moves_the_end() {
    let (dir, time) = (tempdir().unwrap(), Seconds::default());
    let cache = KvCache::open(dir.path(), "n", Options::default().clock(time.clock())).unwrap();
    cache.set("a", &1).unwrap();
    assert!(cache.touch("a", Some(secs(5))).unwrap());
    assert!(!cache.touch("b", None).unwrap());
    time.pass(4);
    assert!(cache.touch("a", Some(secs(5))).unwrap());
    time.pass(4);
    assert_eq!(cache.get("a").unwrap(), Lookup::Hit(1));
    time.pass(1);
    assert_eq!(cache.get::<u8>("a").unwrap(), Lookup::Expired);
    assert!(!cache.touch("a", None).unwrap());
    cache.set("b", &2).unwrap();
    cache.touch("b", Some(secs(1))).unwrap();
    cache.touch("b", None).unwrap();
    time.pass(1_000_000);
    assert_eq!(cache.get("b").unwrap(), Lookup::Hit(2));
}

#[test]
fn expired_and_cleared_entries_give_their_rows_back() {
    let (dir, time) = (tempdir().unwrap(), Seconds::default());
    let cache = KvCache::open(dir.path(), "n", Options::default().clock(time.clock())).unwrap();
    for n in 0..20 {
        let attributes = Attributes::default().time_to_live(secs(1)).tag("t");
        cache.set_with(&n.to_string(), &n, &attributes).unwrap();
    }
    time.pass(1);
    assert_eq!(cache.status().unwrap().dead, 20);
    (0..4).for_each(|n| cache.set("x", &n).unwrap());
    assert_eq!(cache.status().unwrap().dead, 0);
    assert!(cache.verify().unwrap().is_clean());
}

#[test]
fn clearing_a_tag_forgets_what_has_it_and_nothing_else() {
    let (_dir, cache) = fresh();
    let tagged = |tags: &[&str]| tags.iter().fold(Attributes::default(), |a, tag| a.tag(*tag));
    cache.set_with("a", &1, &tagged(&["red"])).unwrap();
    cache.set_with("b", &2, &tagged(&["red", "blue"])).unwrap();
    cache.set_with("c", &3, &tagged(&["blue"])).unwrap();
    cache.set("d", &4).unwrap();
    cache.clear_tag("none").unwrap();
    cache.clear_tag("red").unwrap();
    assert_eq!(keys(&cache), ["c", "d"]);
    assert_eq!(cache.get::<u8>("a").unwrap(), Lookup::Miss);
    cache.set_with("a", &5, &tagged(&["red"])).unwrap();
    assert_eq!(keys(&cache), ["c", "d", "a"], "what is tagged later is there");
    cache.set("c", &6).unwrap();
    cache.clear_tag("blue").unwrap();
    assert_eq!(keys(&cache), ["c", "d", "a"], "it was set without the tag");
    cache.set_with("d", &7, &tagged(&["red"])).unwrap();
    cache.clear_tag("red").unwrap();
    assert_eq!(keys(&cache), ["c"]);
    assert!(cache.verify().unwrap().is_clean());
}

#[test]
fn keys_are_found_by_what_they_begin_with() {
    let (_dir, cache) = fresh();
    for key in ["human:a", "human", "humane", "mouse:a", "human:b", "humaN:"] {
        cache.set(key, &()).unwrap();
    }
    assert_eq!(cache.keys_with_prefix("human:").unwrap(), ["human:a", "human:b"]);
    assert_eq!(cache.keys_with_prefix("hum").unwrap().len(), 5);
    assert_eq!(cache.keys_with_prefix("\u{10ffff}").unwrap(), [] as [&str; 0]);
}

#[test]
fn only_the_first_insert_counts() {
    for autosave in [true, false] {
        let dir = tempdir().unwrap();
        let options = Options::default().autosave(autosave);
        let cache = KvCache::open(dir.path(), "n", options).unwrap();
        assert!(cache.insert_if_absent("a", &1).unwrap());
        assert!(!cache.insert_if_absent("a", &2).unwrap());
        cache.set("b", &3).unwrap();
        assert!(!cache.insert_if_absent("b", &4).unwrap());
        cache.invalidate("a").unwrap();
        assert!(cache.insert_if_absent("a", &5).unwrap());
        assert_eq!(cache.get_many(&["a", "b"]).unwrap(), [Lookup::Hit(5), Lookup::Hit(3)]);
    }
}

#[test]
fn no_update_is_lost() {
    let (dir, cache) = fresh();
    let other = open(dir.path(), "genes");
    thread::scope(|scope| {
        for cache in [&cache, &cache, &other, &other] {
            scope.spawn(move || {
                for _ in 0..100 {
                    cache.update("n", |n: Lookup<u64>| n.hit().unwrap_or(0) + 1).unwrap();
                }
            });
        }
    });
    assert_eq!(cache.get("n").unwrap(), Lookup::Hit(400));
}

#[test]
fn a_full_cache_evicts_by_its_policy_and_never_what_was_just_set() {
    let read = ["a", "a", "c", "d", "c", "d", "d", "b"];
    for (policy, kept) in [
        (Policy::LeastRecentlyUsed, ["b", "d", "e"]),
        (Policy::LeastFrequentlyUsed, ["c", "d", "e"]),
        (Policy::Oldest, ["c", "d", "e"]),
    ] {
        let (dir, time) = (tempdir().unwrap(), Seconds::default());
        let options = Options::default().clock(time.clock()).capacity(30, policy);
        let cache = KvCache::open(dir.path(), "n", options).unwrap();
        let value = "1234567";
        for key in ["a", "b", "c"] {
            time.pass(1);
            cache.set(key, value).unwrap();
        }
        assert_eq!(cache.len().unwrap(), 3, "ten bytes each");
        for key in read {
            time.pass(1);
            let _ = cache.get::<String>(key).unwrap();
        }
        for key in ["d", "e"] {
            time.pass(1);
            cache.set(key, value).unwrap();
            for _ in 0..3 {
                let _ = cache.get::<String>(key).unwrap();
            }
        }
        let mut found = keys(&cache);
        found.sort();
        assert_eq!(found, kept, "{policy}");
        assert!(cache.verify().unwrap().is_clean());
    }
}

#[test]
fn an_oversized_value_is_refused_and_the_others_stay() {
    let dir = tempdir().unwrap();
    let options = Options::default().capacity(20, Policy::LeastRecentlyUsed);
    let cache = KvCache::open(dir.path(), "n", options).unwrap();
    cache.set("a", &1).unwrap();
    let error = cache.set("b", "much too long to be kept here").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    assert_eq!(keys(&cache), ["a"]);
}

#[test]
fn a_cap_holds_for_all_and_can_be_taken_back() {
    let (dir, plain) = fresh();
    plain.set_many((0..10).map(|n| (n.to_string(), "12345678"))).unwrap();
    let open_with = |options: Options| KvCache::open(dir.path(), "genes", options).unwrap();
    let capped = open_with(Options::default().capacity(44, Policy::Oldest));
    plain.set("x", "12345678").unwrap();
    assert_eq!(keys(&capped), ["7", "8", "9", "x"]);
    assert_eq!(plain.get::<String>("1").unwrap(), Lookup::Miss);
    drop(open_with(Options::default().unlimited()));
    plain.set_many((0..10).map(|n| (n.to_string(), "12345678"))).unwrap();
    assert_eq!(plain.len().unwrap(), 11);
    assert!(plain.verify().unwrap().is_clean());
}

#[test]
fn what_is_cleared_or_expired_goes_before_what_lives() {
    let (dir, time) = (tempdir().unwrap(), Seconds::default());
    let options = Options::default().clock(time.clock()).capacity(30, Policy::Oldest);
    let cache = KvCache::open(dir.path(), "n", options).unwrap();
    cache.set("old", "12345").unwrap();
    cache.set_with("b", "1234567", &Attributes::default().time_to_live(secs(1))).unwrap();
    cache.set_with("c", "1234567", &Attributes::default().tag("t")).unwrap();
    time.pass(1);
    cache.clear_tag("t").unwrap();
    cache.set("d", "1234567").unwrap();
    assert_eq!(keys(&cache), ["old", "d"]);
}

#[test]
fn the_memory_never_shows_what_another_changed() {
    let (dir, cache) = fresh();
    let other = open(dir.path(), "genes");
    for n in 0..50 {
        cache.set("a", &n).unwrap();
        assert_eq!(other.get("a").unwrap(), Lookup::Hit(n));
        assert_eq!(cache.get("a").unwrap(), Lookup::Hit(n));
        match n % 5 {
            0 => other.set("a", &(n + 1000)).unwrap(),
            1 => drop(other.invalidate("a").unwrap()),
            2 => other.clear().unwrap(),
            3 => other.set("b", &n).unwrap(),
            _ => continue,
        }
        let expected = match n % 5 {
            0 => Lookup::Hit(n + 1000),
            1 | 2 => Lookup::Miss,
            _ => Lookup::Hit(n),
        };
        assert_eq!(cache.get("a").unwrap(), expected, "{n}");
    }
}

#[test]
fn what_was_written_is_in_memory_at_once() {
    let (_dir, cache) = fresh();
    cache.set("a", &1).unwrap();
    // Behind its back, as nobody should: what it gives then can only be from memory.
    sql(cache.path(), "UPDATE entry SET value = 'damaged'");
    assert_eq!(cache.get("a").unwrap(), Lookup::Hit(1));
}

#[test]
fn large_values_are_smaller_on_disk_and_whole_again() {
    let dir = tempdir().unwrap();
    let options = Options::default().compress_from(100);
    let cache = KvCache::open(dir.path(), "n", options).unwrap();
    let text = "ACGT".repeat(50_000);
    cache.set("a", &text).unwrap();
    assert!(cache.status().unwrap().bytes < 100_000);
    let cold = open(dir.path(), "n");
    assert_eq!(cold.get("a").unwrap(), Lookup::Hit(text));
    assert!(cold.verify().unwrap().is_clean());
}

#[test]
fn space_is_given_back() {
    let (_dir, cache) = fresh();
    cache.set_many((0..20_000).map(|n| (n.to_string(), "x".repeat(400)))).unwrap();
    let full = cache.status().unwrap().bytes;
    for n in (0..20_000).filter(|n| n % 10 != 0) {
        cache.invalidate(&n.to_string()).unwrap();
    }
    let left = cache.status().unwrap().bytes;
    assert!(left < full / 3, "{left} of {full} bytes, before anybody asked");
    cache.vacuum().unwrap();
    let live = 2000 * 407;
    let bytes = fs::metadata(cache.path()).unwrap().len();
    assert!(bytes < live * 3 / 2, "{bytes} for {live}");
    assert_eq!(cache.len().unwrap(), 2000);
}

#[test]
fn space_of_large_values_is_given_back_too() {
    let (dir, cache) = fresh();
    drop(cache);
    let options = Options::default().compress_from(usize::MAX);
    for at_once in [true, false] {
        let name = format!("large {at_once}");
        let options = options.clone().autosave(!at_once);
        let cache = KvCache::open(dir.path(), &name, options).unwrap();
        cache.set_many((0..500).map(|n| (n.to_string(), "x".repeat(40_000)))).unwrap();
        cache.save().unwrap();
        for n in 0..450 {
            cache.invalidate(&n.to_string()).unwrap();
        }
        cache.save().unwrap();
        for n in 450..460 {
            cache.invalidate(&n.to_string()).unwrap();
            cache.save().unwrap();
        }
        let bytes = cache.status().unwrap().bytes;
        assert!(bytes < 2 * 40 * 40_000, "{bytes}, at once: {at_once}");
    }
}

#[test]
fn what_was_done_is_counted() {
    let (dir, time) = (tempdir().unwrap(), Seconds::default());
    let options = Options::default().clock(time.clock()).capacity(40, Policy::LeastRecentlyUsed);
    let cache = KvCache::open(dir.path(), "n", options.time_to_live(secs(10))).unwrap();
    for key in ["a", "b", "c", "d", "e"] {
        time.pass(1);
        cache.set(key, "1234567").unwrap();
    }
    assert_eq!(cache.get_many::<String>(&["a", "b", "c"]).unwrap().len(), 3);
    assert_eq!(cache.get_or_compute("x", || Ok(1)).unwrap(), 1);
    time.pass(100);
    assert_eq!(cache.get::<String>("e").unwrap(), Lookup::Expired);
    let counted = cache.statistics();
    assert_eq!((counted.hits, counted.misses, counted.expired), (2, 2, 1), "{counted:?}");
    assert_eq!((counted.computed, counted.evictions), (1, 2), "{counted:?}");
}

#[test]
fn an_update_keeps_tags_and_the_time_to_live() {
    let (dir, time) = (tempdir().unwrap(), Seconds::default());
    let options = Options::default().clock(time.clock());
    let cache = KvCache::open(dir.path(), "n", options).unwrap();
    let attributes = || Attributes::default().tag("t").time_to_live(secs(10));
    cache.set_with("a", &1, &attributes()).unwrap();
    cache.set_with("b", &1, &attributes()).unwrap();
    let add = |found: Lookup<i32>| found.hit().unwrap_or(0) + 1;
    time.pass(9);
    assert_eq!((cache.update("a", add).unwrap(), cache.update("b", add).unwrap()), (2, 2));
    assert_eq!(cache.get("a").unwrap(), Lookup::Hit(2));
    time.pass(1);
    assert_eq!(cache.get::<i32>("a").unwrap(), Lookup::Expired);
    assert_eq!(cache.update("a", add).unwrap(), 1);
    cache.clear_tag("t").unwrap();
    assert_eq!(cache.get("a").unwrap(), Lookup::Hit(1), "it began anew, without a tag");
    assert_eq!(cache.get::<i32>("b").unwrap(), Lookup::Miss);
}
