use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use larder_storage::{Durability, ErrorKind};
use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::{TempDir, tempdir};

use super::*;
use crate::Lookup;

mod autosave;
mod beyond;
mod caps;
mod clear;
mod compute;
mod damage;
mod document;
mod model;

fn open(dir: &Path, namespace: &str) -> KvCache {
    KvCache::open(dir, namespace, Options::default()).unwrap()
}

fn fresh() -> (TempDir, KvCache) {
    let dir = tempdir().unwrap();
    let cache = open(dir.path(), "genes");
    (dir, cache)
}

/// What any SQLite tool sees in the database of a cache that nobody has open.
fn sql(path: &Path, statement: &str) {
    Connection::open(path).unwrap().execute_batch(statement).unwrap();
}

#[test]
fn is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<KvCache>();
    shared::<Lookup<u8>>();
    shared::<(Options, Status, VerifyReport)>();
}

#[test]
fn a_stored_null_is_a_hit_and_an_absent_key_a_miss() {
    let (_dir, cache) = fresh();
    cache.set("a", &None::<u8>).unwrap();
    assert_eq!(cache.get("a").unwrap(), Lookup::Hit(None::<u8>));
    assert_eq!(cache.get::<Option<u8>>("b").unwrap(), Lookup::Miss);
    assert!(cache.contains("a").unwrap() && !cache.contains("b").unwrap());
    assert_eq!(cache.get("a").unwrap().hit(), Some(None::<u8>));
    assert_eq!(cache.get::<u8>("b").unwrap().hit(), None);
}

#[test]
fn keys_stand_in_the_order_of_their_first_set() {
    let (dir, cache) = fresh();
    cache.set_many([("b", 1), ("a", 2), ("c", 3)]).unwrap();
    cache.set("b", &4).unwrap();
    assert_eq!(cache.keys().unwrap(), ["b", "a", "c"]);
    assert!(cache.invalidate("b").unwrap());
    assert!(!cache.invalidate("b").unwrap());
    cache.set("b", &5).unwrap();
    drop(cache);
    let cache = open(dir.path(), "genes");
    assert_eq!(cache.keys().unwrap(), ["a", "c", "b"]);
    assert_eq!(cache.len().unwrap(), 3);
    assert_eq!(
        cache.get_many(&["b", "x", "a", "b"]).unwrap(),
        [Lookup::Hit(5), Lookup::Miss, Lookup::Hit(2), Lookup::Hit(5)]
    );
}

#[test]
fn hits_and_misses_keep_order_and_repetitions() {
    let (_dir, cache) = fresh();
    cache.set_many([("a", 1), ("b", 2)]).unwrap();
    let (hits, misses) = cache.hits_and_misses(&["x", "b", "a", "x", "b"]).unwrap();
    assert_eq!(
        (hits, misses),
        (vec!["b".into(), "a".into(), "b".into()], vec!["x".to_owned(), "x".to_owned()])
    );
}

#[test]
fn hits_lie_close_together_or_far_apart() {
    let (_dir, cache) = fresh();
    cache.set_many((0..300).map(|n| (format!("{:03}", n * 2), n))).unwrap();
    cache.invalidate("100").unwrap();
    for step in [1, 2, 7, 16, 17, 18, 19, 150, 599] {
        let asked: Vec<i32> = (0..700).rev().step_by(step).collect();
        let keys: Vec<String> = asked.iter().map(|n| format!("{n:03}")).collect();
        let is_there = |n: &i32| n % 2 == 0 && *n < 600 && *n != 100;
        let (hits, misses) = cache.hits_and_misses(&keys).unwrap();
        let (there, gone): (Vec<i32>, Vec<i32>) = asked.iter().partition(|n| is_there(n));
        let told = |keys: Vec<String>| keys.iter().map(|key| key.parse().unwrap()).collect();
        let told: (Vec<i32>, Vec<i32>) = (told(hits), told(misses));
        assert_eq!(told, (there, gone), "every {step}th");
    }
}

#[test]
fn any_text_is_a_key_up_to_the_limit() {
    let (_dir, cache) = fresh();
    let longest = "x".repeat(KvCache::MAX_KEY_LEN);
    let keys = [
        "",
        " ",
        "a:b:c",
        "a",
        "A",
        "\0",
        "a\0b",
        "é",
        "e\u{301}",
        "日本",
        "'; DROP TABLE entry",
        "..",
        &longest,
    ];
    cache.set_many(keys.iter().zip(0..)).unwrap();
    assert_eq!(cache.keys().unwrap(), keys);
    for (key, value) in keys.iter().zip(0..) {
        assert_eq!(cache.get(key).unwrap(), Lookup::Hit(value), "{key:?}");
    }
    let too_long = longest + "x";
    let error = cache.set(&too_long, &1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().len() < 400, "a long key is not repeated in full");
    assert_eq!(cache.get::<u8>(&too_long).unwrap(), Lookup::Miss);
}

#[test]
fn a_value_beyond_the_limit_is_refused_before_it_is_held() {
    let (_dir, cache) = fresh();
    assert!(cache.check_len("a", KvCache::MAX_VALUE_LEN).is_ok());
    let error = cache.check_len("a", KvCache::MAX_VALUE_LEN + 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("\"a\""), "{error}");
}

#[cfg(unix)]
#[test]
fn a_relative_directory_is_pinned_when_it_is_opened() {
    let dir = tempdir().unwrap();
    let here = std::env::current_dir().unwrap();
    let up: std::path::PathBuf = here.components().skip(1).map(|_| "..").collect();
    let relative = up.join(dir.path().strip_prefix("/").unwrap());
    let cache = open(&relative, "genes");
    assert!(relative.is_relative() && cache.path().is_absolute());
    cache.set("a", &1).unwrap();
    assert_eq!(open(dir.path(), "genes").get("a").unwrap(), Lookup::Hit(1));
    assert_eq!(KvCache::namespaces(&relative).unwrap(), ["genes"]);
}

#[test]
fn a_value_that_json_cannot_hold_changes_nothing() {
    let (_dir, cache) = fresh();
    cache.set("a", &1.5).unwrap();
    for error in [
        cache.set("a", &f64::NAN).unwrap_err(),
        cache.set("a", &BTreeMap::from([((1, 2), 3)])).unwrap_err(),
        cache.set_many([("b", 1.0), ("a", f64::INFINITY)]).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let line = error.to_string();
        assert!(
            line.contains("\"a\"") && line.contains("\"genes\"") && line.lines().count() == 1,
            "{line}"
        );
    }
    assert_eq!(cache.get("a").unwrap(), Lookup::Hit(1.5));
    assert_eq!(cache.keys().unwrap(), ["a"], "all or none");
}

#[test]
fn another_type_than_was_stored_is_an_error_and_no_loss() {
    let (_dir, cache) = fresh();
    cache.set("a", "text").unwrap();
    assert_eq!(cache.get::<u8>("a").unwrap_err().kind(), ErrorKind::Format);
    assert_eq!(cache.get("a").unwrap(), Lookup::Hit("text".to_owned()));
}

#[test]
fn two_caches_see_each_other_at_once() {
    let (dir, one) = fresh();
    let two = open(dir.path(), "genes");
    one.set("a", &1).unwrap();
    assert_eq!(two.get("a").unwrap(), Lookup::Hit(1));
    two.set("a", &2).unwrap();
    assert_eq!(one.get("a").unwrap(), Lookup::Hit(2));
    two.clear().unwrap();
    assert!(one.is_empty().unwrap());
}

#[test]
fn writers_on_two_caches_of_one_namespace_lose_nothing() {
    const EACH: u32 = 200;
    let (dir, one) = fresh();
    let two = open(dir.path(), "genes");
    thread::scope(|scope| {
        for worker in 0..8 {
            let cache = if worker % 2 == 0 { &one } else { &two };
            scope.spawn(move || {
                for n in 0..EACH {
                    cache.set(&format!("{worker}:{n}"), &(worker, n)).unwrap();
                }
            });
        }
    });
    assert_eq!(one.len().unwrap(), 8 * EACH as usize);
    for worker in 0..8 {
        for n in 0..EACH {
            assert_eq!(two.get(&format!("{worker}:{n}")).unwrap(), Lookup::Hit((worker, n)));
        }
    }
}

#[test]
fn what_is_held_in_memory_never_goes_back() {
    let (dir, cache) = fresh();
    let other = open(dir.path(), "genes");
    cache.set("n", &0).unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for cache in [&cache, &other, &cache, &other] {
            let is_over = &is_over;
            scope.spawn(move || {
                let mut last = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let now: i32 = cache.get("n").unwrap().hit().unwrap();
                    assert!(now >= last, "{now} after {last}");
                    last = now;
                }
            });
        }
        for n in 1..3000 {
            let writer = if n % 7 < 4 { &cache } else { &other };
            writer.set("n", &n).unwrap();
            assert_eq!(cache.get("n").unwrap(), Lookup::Hit(n));
            assert_eq!(other.get("n").unwrap(), Lookup::Hit(n));
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn readers_beside_a_writer_see_all_of_a_batch_or_nothing() {
    let (_dir, cache) = fresh();
    let keys: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    cache.set_many(keys.iter().map(|key| (key, 0))).unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 1..=40 {
                cache.set_many(keys.iter().map(|key| (key, round))).unwrap();
            }
        });
        while !writer.is_finished() {
            let values = cache.get_many::<i32>(&keys).unwrap();
            assert!(values.iter().all(|value| *value == values[0]));
        }
    });
    assert_eq!(cache.get("7").unwrap(), Lookup::Hit(40));
}

#[test]
fn namespaces_never_meet_and_never_leave_the_directory() {
    let outer = tempdir().unwrap();
    let dir = outer.path().join("cache");
    assert!(KvCache::namespaces(&dir).unwrap().is_empty(), "nothing is made by looking");
    let names = ["", "../escape", "CON", "a/b", "ensembl", "ensembl.v1", "ensembl.v2"];
    for name in names {
        open(&dir, name).set("name", name).unwrap();
    }
    for name in names {
        let cache = open(&dir, name);
        assert_eq!(cache.get("name").unwrap(), Lookup::Hit(name.to_owned()));
        assert_eq!(cache.namespace(), name);
        assert!(cache.path().starts_with(dir.join(".larder/kv")) && cache.path().is_file());
    }
    assert_eq!(KvCache::namespaces(&dir).unwrap(), names);
    assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 1);
    let longest = "n".repeat(200);
    open(&dir, &longest).set("a", &1).unwrap();
    let error = KvCache::open(&dir, &(longest + "n"), Options::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn a_directory_that_cannot_be_is_one_clear_line() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    fs::File::create(&file).unwrap();
    for error in [
        KvCache::open(&file, "a", Options::default()).unwrap_err(),
        KvCache::namespaces(&file).unwrap_err(),
    ] {
        assert_eq!(
            (error.kind(), error.to_string().lines().count()),
            (ErrorKind::Io, 1),
            "{error:?}"
        );
    }
    assert_eq!(KvCache::open("", "a", Options::default()).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn every_tool_reads_the_values_as_text() {
    let (_dir, cache) = fresh();
    cache.set_many([("old", 1.0)]).unwrap();
    cache.clear().unwrap();
    cache.set_many([("b", 1.5), ("a", 0.1)]).unwrap();
    let path = cache.path().to_owned();
    drop(cache);
    let db = Connection::open(path).unwrap();
    let mut query =
        db.prepare("SELECT key, value, typeof(value) FROM live_entry ORDER BY id").unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let rows: Vec<(String, String, String)> = rows.map(Result::unwrap).collect();
    let row = |key: &str, value: &str| (key.to_owned(), value.to_owned(), "text".to_owned());
    assert_eq!(rows, [row("b", "1.5"), row("a", "0.1")]);
}

#[test]
fn figures_add_up() {
    let (_dir, cache) = fresh();
    cache.set_many((0..100).map(|n| (n.to_string(), "x".repeat(1000)))).unwrap();
    let status = cache.status().unwrap();
    assert_eq!((status.entries, status.unsaved, status.dead), (100, 0, 0));
    assert!(status.bytes > 100_000 && status.free_bytes < status.bytes, "{status:?}");
    assert_eq!(status.path, cache.path());
    assert_eq!(cache.verify().unwrap(), VerifyReport { entries: 100, problems: Vec::new() });
}

#[test]
fn every_durability_keeps_what_was_set() {
    for durability in [Durability::Scratch, Durability::Process, Durability::Power] {
        let dir = tempdir().unwrap();
        let options = Options::default().durability(durability);
        KvCache::open(dir.path(), "a", options.clone()).unwrap().set("k", &1).unwrap();
        assert_eq!(
            KvCache::open(dir.path(), "a", options).unwrap().get("k").unwrap(),
            Lookup::Hit(1)
        );
    }
}
