//! The engine that keeps one JSON document.

use std::{fs::File, io::Write, sync::Arc, time::Duration};

use larder_storage::{
    Key, LocalStorage, MemoryStorage, PutIf, Storage, StorageExt,
    testing::{Fault, FaultStorage},
};

use super::*;
use crate::{Attributes, GeneSequenceResult, Policy};

fn local(dir: &Path) -> Arc<dyn Storage> {
    Arc::new(LocalStorage::open(dir, Durability::Scratch).unwrap())
}

fn document(storage: &Arc<dyn Storage>, namespace: &str) -> KvCache {
    KvCache::open_document(Arc::clone(storage), namespace, Options::default()).unwrap()
}

#[test]
fn is_the_file_of_the_python_package() {
    let dir = tempdir().unwrap();
    let text = "{\n  \"b:1\": {\n    \"x\": 1.50\n  },\n  \"a\": null\n}";
    File::create(dir.path().join("ensembl.json")).unwrap().write_all(text.as_bytes()).unwrap();
    let cache = document(&local(dir.path()), "ensembl");
    assert_eq!(cache.keys().unwrap(), ["b:1", "a"]);
    assert_eq!(cache.get::<Option<u8>>("a").unwrap(), Lookup::Hit(None), "a stored null is a hit");
    cache.set("c", &GeneSequenceResult::default()).unwrap();
    let expected = "{\n  \"b:1\": {\n    \"x\": 1.50\n  },\n  \"a\": null,\n  \
        \"c\": {\"gene_symbol\":\"\",\"sequences\":[],\"errors\":[]}\n}";
    assert_eq!(fs::read_to_string(cache.path()).unwrap(), expected, "the others as they were");
}

#[test]
fn names_with_dots_have_files_of_their_own() {
    let dir = tempdir().unwrap();
    let storage = local(dir.path());
    for name in ["ensembl.v1", "ensembl.v2", "../up", "a/b"] {
        document(&storage, name).set("name", name).unwrap();
    }
    for name in ["ensembl.v1", "ensembl.v2", "../up", "a/b"] {
        assert_eq!(document(&storage, name).get("name").unwrap(), Lookup::Hit(name.to_owned()));
    }
    assert!(dir.path().join("ensembl.v1.json").exists());
    assert!(!dir.path().join("../up.json").exists());
}

#[test]
fn what_a_document_has_no_room_for_is_said() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    for options in [
        Options::default().time_to_live(Duration::from_secs(1)),
        Options::default().capacity(1000, Policy::Oldest),
    ] {
        let error = KvCache::open_document(Arc::clone(&storage), "n", options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
    let cache = document(&storage, "n");
    let tagged = cache.set_with("a", &1, &Attributes::default().tag("t")).unwrap_err();
    assert_eq!(tagged.kind(), ErrorKind::Unsupported);
    assert_eq!(cache.clear_tag("t").unwrap_err().kind(), ErrorKind::Unsupported);
    cache.set("a", &1).unwrap();
    let touched = cache.touch("a", Some(Duration::from_secs(1))).unwrap_err();
    assert_eq!(touched.kind(), ErrorKind::Unsupported);
    let error = cache.set("b", &"x".repeat(17 << 20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    assert_eq!(cache.keys().unwrap(), ["a"]);
}

#[test]
fn writers_lose_no_update_of_each_others() {
    let (dir, memory) = (tempdir().unwrap(), Arc::new(MemoryStorage::default()));
    for storage in [local(dir.path()), memory as Arc<dyn Storage>] {
        let shared = document(&storage, "n");
        thread::scope(|scope| {
            for worker in 0..4 {
                let (own, shared) = (document(&storage, "n"), &shared);
                scope.spawn(move || {
                    let cache = if worker % 2 == 0 { &own } else { shared };
                    for n in 0..25 {
                        cache.set(&format!("{worker}:{n}"), &n).unwrap();
                        assert_eq!(cache.get(&format!("{worker}:{n}")).unwrap(), Lookup::Hit(n));
                        cache.update("sum", |n: Lookup<u32>| n.hit().unwrap_or(0) + 1).unwrap();
                    }
                });
            }
        });
        shared.reload().unwrap();
        assert_eq!((shared.len().unwrap(), shared.get("sum").unwrap()), (101, Lookup::Hit(100)));
    }
}

#[test]
fn local_reads_see_what_others_wrote() {
    let dir = tempdir().unwrap();
    let (cache, other) = (document(&local(dir.path()), "n"), document(&local(dir.path()), "n"));
    for n in 0..200 {
        other.set("a", &n).unwrap();
        assert_eq!(cache.get("a").unwrap(), Lookup::Hit(n));
    }
    let memory: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let (cache, other) = (document(&memory, "n"), document(&memory, "n"));
    other.set("a", &1).unwrap();
    assert_eq!(cache.get::<u8>("a").unwrap(), Lookup::Miss);
    cache.reload().unwrap();
    assert_eq!(cache.get("a").unwrap(), Lookup::Hit(1));
}

#[test]
fn damage_is_told_and_never_replaced() {
    let dir = tempdir().unwrap();
    for (text, kind) in [
        ("", ErrorKind::Corrupt),
        ("{\"a\": 1", ErrorKind::Corrupt),
        ("[1]", ErrorKind::Format),
        ("{\"a\": 1} x", ErrorKind::Corrupt),
    ] {
        let storage = local(dir.path());
        let key = Key::new("n.json").unwrap();
        storage.put(&key, text.into(), PutIf::Always).unwrap();
        let open = || KvCache::open_document(Arc::clone(&storage), "n", Options::default());
        assert_eq!(open().unwrap_err().kind(), kind, "{text}");
        storage.put(&key, "{}".into(), PutIf::Always).unwrap();
        let cache = open().unwrap();
        storage.put(&key, text.into(), PutIf::Always).unwrap();
        assert_eq!(cache.set("a", &1).unwrap_err().kind(), kind, "{text}");
        assert!(!cache.verify().unwrap().is_clean());
        assert_eq!(storage.get_text(&key).unwrap().as_deref(), Some(text));
    }
}

#[test]
fn what_rust_cannot_hold_is_named_and_kept() {
    let dir = tempdir().unwrap();
    let storage = local(dir.path());
    let text = r#"{"a": 1, "nan": NaN, "big": 123456789012345678901234567890, "\ud800": 2, "half": "\ud800"}"#;
    storage.put(&Key::new("n.json").unwrap(), text.into(), PutIf::Always).unwrap();
    let cache = document(&storage, "n");
    cache.set("b", &2).unwrap();
    let there = storage.get_text(&Key::new("n.json").unwrap()).unwrap().unwrap();
    for kept in ["NaN", "123456789012345678901234567890", r#""\ud800": 2"#, r#""\ud800""#] {
        assert!(there.contains(kept), "{kept} in {there}");
    }
    assert_eq!(
        cache.get("big").unwrap(),
        Lookup::Hit(123_456_789_012_345_678_901_234_567_890_u128)
    );
    assert_eq!(cache.get::<f64>("nan").unwrap_err().kind(), ErrorKind::Format);
    let report = cache.verify().unwrap();
    assert_eq!((report.entries, report.problems.len()), (6, 3), "{report:?}");

    let (_dir, database) = fresh();
    let report = database.import(there.as_bytes()).unwrap();
    assert_eq!((report.entries, report.skipped.len()), (3, 3));
    assert_eq!(database.keys().unwrap(), ["a", "big", "b"]);
}

#[test]
fn documents_and_databases_give_each_other_what_they_hold() {
    let (_dir, database) = fresh();
    let text =
        "{\n  \"z\": [1.0, 1e5],\n  \"a\": {\"x\": \"\\u00e9\"},\n  \"m\": 18446744073709551616\n}";
    assert_eq!(database.import(text.as_bytes()).unwrap().entries, 3);
    let mut out = Vec::new();
    assert_eq!(database.export(&mut out).unwrap(), 3);
    assert_eq!(str::from_utf8(&out).unwrap(), text, "verbatim and in order");
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let cache = document(&storage, "n");
    cache.import(&out).unwrap();
    assert_eq!(storage.get_text(&Key::new("n.json").unwrap()).unwrap().as_deref(), Some(text));
    let mut empty = Vec::new();
    assert_eq!(document(&storage, "other").export(&mut empty).unwrap(), 0);
    assert_eq!(empty, b"{}");
    assert_eq!(database.import(b"{\"a\": 1").unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn writes_are_saved_together_within_their_bound() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let options = Options::default().autosave_within(Duration::from_millis(5));
    let cache = KvCache::open_document(Arc::clone(&storage), "n", options).unwrap();
    let other = document(&storage, "n");
    for n in 0..10 {
        cache.set(&n.to_string(), &n).unwrap();
    }
    while other.len().unwrap() < 10 {
        other.reload().unwrap();
        thread::yield_now();
    }
    cache.set("last", &1).unwrap();
    drop(cache);
    other.reload().unwrap();
    assert_eq!(other.len().unwrap(), 11, "what waits is saved at the end");
}

#[test]
fn one_computes_for_all_on_one_document() {
    let dir = tempdir().unwrap();
    for storage in [local(dir.path()), Arc::new(MemoryStorage::default()) as Arc<dyn Storage>] {
        let runs = std::sync::atomic::AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..6 {
                let (cache, runs) = (document(&storage, "n"), &runs);
                scope.spawn(move || {
                    let keys = ["a", "b", "c"];
                    let values = cache.get_or_compute_many(&keys, |missing| {
                        runs.fetch_add(missing.len(), std::sync::atomic::Ordering::Relaxed);
                        Ok(missing.iter().map(|key| key.len()).collect())
                    });
                    assert_eq!(values.unwrap(), [1, 1, 1]);
                });
            }
        });
        assert_eq!(runs.into_inner(), 3);
    }
}

#[test]
fn what_was_acknowledged_is_there_whatever_fails() {
    for fault in Fault::ALL {
        for nth in 1..12 {
            let storage = Arc::new(FaultStorage::new(MemoryStorage::default(), nth, fault));
            let open = || {
                let storage = Arc::clone(&storage) as Arc<dyn Storage>;
                KvCache::open_document(storage, "n", Options::default())
            };
            let mut acknowledged = Vec::new();
            if let Ok(cache) = open() {
                for n in 0..4 {
                    let key = n.to_string();
                    if cache.set(&key, &n).is_ok() {
                        acknowledged.push(key);
                    }
                }
            }
            let inner: Arc<dyn Storage> = Arc::new(Arc::into_inner(storage).unwrap().into_inner());
            let left = document(&inner, "n");
            let (_, lost) = left.hits_and_misses(&acknowledged).unwrap();
            assert!(lost.is_empty(), "{fault:?} at {nth}: {lost:?}");
            assert!(left.verify().unwrap().is_clean());
        }
    }
}

#[test]
fn what_cannot_be_asked_for_is_exported_as_it_is() {
    let storage = Arc::new(MemoryStorage::new());
    let text = "{\n  \"\\udc00\": NaN,\n  \"a\": 1\n}";
    storage.put(&Key::new("n.json").unwrap(), text.into(), PutIf::Always).unwrap();
    let cache = KvCache::open_document(storage, "n", Options::default()).unwrap();
    let mut exported = Vec::new();
    assert_eq!(cache.export(&mut exported).unwrap(), 2);
    assert_eq!(String::from_utf8(exported).unwrap(), text);
}

#[test]
fn a_value_that_no_document_could_hold_is_refused_before_it_is_held() {
    let options = Options::default().autosave(false);
    let storage = Arc::new(MemoryStorage::new());
    let cache = KvCache::open_document(storage, "n", options).unwrap();
    cache.set("a", &1).unwrap();
    let error = cache.set("b", &"x".repeat(17 << 20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    cache.save().unwrap();
    assert_eq!(cache.keys().unwrap(), ["a"]);
}
