use std::{sync::Arc, time::Duration};

use larder_storage::MemoryStorage;

use super::*;
use crate::{Attributes, Policy};

fn held(dir: &Path) -> KvCache {
    KvCache::open(dir, "genes", Options::default().autosave(false)).unwrap()
}

#[test]
fn unsaved_writes_are_seen_here_and_nowhere_else_until_saved() {
    let (dir, other) = fresh();
    let cache = held(dir.path());
    other.set_many([("a", 1), ("b", 2)]).unwrap();
    cache.set("c", &3).unwrap();
    cache.set("a", &10).unwrap();
    assert!(cache.invalidate("b").unwrap() && !cache.invalidate("b").unwrap());

    assert_eq!(cache.keys().unwrap(), ["a", "c"]);
    assert_eq!(
        cache.get_many(&["a", "b", "c"]).unwrap(),
        [Lookup::Hit(10), Lookup::Miss, Lookup::Hit(3)]
    );
    assert_eq!(
        cache.hits_and_misses(&["b", "c"]).unwrap(),
        (vec!["c".to_owned()], vec!["b".to_owned()])
    );
    assert_eq!((cache.len().unwrap(), cache.status().unwrap().unsaved), (2, 3));
    assert_eq!(other.keys().unwrap(), ["a", "b"]);

    cache.save().unwrap();
    assert_eq!(other.keys().unwrap(), ["a", "c"]);
    assert_eq!(other.get("a").unwrap(), Lookup::Hit(10));
    assert_eq!(cache.status().unwrap().unsaved, 0);
}

#[test]
fn a_key_is_held_once_however_often_it_changes() {
    let (dir, other) = fresh();
    other.set_many([("a", 1), ("b", 2), ("c", 3)]).unwrap();
    let cache = held(dir.path());
    for round in 0..100 {
        cache.set("a", &round).unwrap();
        assert!(cache.invalidate("a").unwrap());
        cache.set("new", &round).unwrap();
        assert!(cache.invalidate("new").unwrap());
    }
    cache.set("a", &7).unwrap();
    assert_eq!(cache.status().unwrap().unsaved, 2);
    let expected = ["b", "c", "a"];
    assert_eq!(cache.keys().unwrap(), expected, "it was removed in between");
    cache.save().unwrap();
    assert_eq!(other.keys().unwrap(), expected);
    assert_eq!(other.get("a").unwrap(), Lookup::Hit(7));
}

#[test]
fn dropping_saves() {
    let (dir, other) = fresh();
    held(dir.path()).set("a", &1).unwrap();
    assert_eq!(other.get("a").unwrap(), Lookup::Hit(1));
}

#[test]
fn clearing_forgets_what_is_unsaved_too_and_is_saved_at_once() {
    let (dir, other) = fresh();
    let cache = held(dir.path());
    other.set("a", &1).unwrap();
    cache.set("b", &2).unwrap();
    cache.clear().unwrap();
    assert!(other.is_empty().unwrap() && cache.is_empty().unwrap());
    drop(cache);
    assert!(other.is_empty().unwrap());
}

#[test]
fn what_could_not_be_saved_is_still_held() {
    let (dir, other) = fresh();
    let cache = held(dir.path());
    cache.set_many([("a", 1), ("b", 2)]).unwrap();
    sql(other.path(), "ALTER TABLE entry RENAME TO hidden");
    assert!(cache.save().is_err());
    assert_eq!(cache.get("b").unwrap(), Lookup::Hit(2));
    sql(other.path(), "ALTER TABLE hidden RENAME TO entry");
    cache.save().unwrap();
    assert_eq!(other.keys().unwrap(), ["a", "b"]);
}

/// Else no later save could succeed, and all that waits with it would be lost.
#[test]
fn what_no_save_could_keep_is_refused_at_once() {
    let dir = tempdir().unwrap();
    let options = Options::default().autosave(false);
    let capped = options.clone().capacity(50, Policy::Oldest);
    let database = KvCache::open(dir.path(), "capped", capped).unwrap();
    let large = "x".repeat(60);
    assert_eq!(database.set("large", &large).unwrap_err().kind(), ErrorKind::Full);
    let error = database.set_many([("small", "x"), ("large", &large)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);

    let storage = Arc::new(MemoryStorage::default());
    let document = KvCache::open_document(storage, "n", options).unwrap();
    let error = document.set_with("a", &1, &Attributes::default().tag("t")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    for cache in [database, document] {
        assert!(cache.is_empty().unwrap());
        cache.set("small", &1).unwrap();
        cache.save().unwrap();
        assert_eq!(cache.keys().unwrap(), ["small"]);
    }
}

#[test]
fn unsaved_writes_of_others_hold_nobody_up() {
    let (dir, other) = fresh();
    other.set("a", &1).unwrap();
    let cache = held(dir.path());
    let compute = |missing: &[&str]| {
        cache.invalidate("a")?;
        Ok(missing.iter().map(|_| 7).collect())
    };
    assert_eq!(cache.get_or_compute_many(&["a", "b"], compute).unwrap(), [7, 7]);
}

#[test]
fn a_bound_may_be_longer_than_time() {
    let (dir, other) = fresh();
    let options = Options::default().autosave_within(Duration::MAX);
    let cache = KvCache::open(dir.path(), "genes", options).unwrap();
    cache.set("a", &1).unwrap();
    drop(cache);
    assert_eq!(other.get("a").unwrap(), Lookup::Hit(1));
}
