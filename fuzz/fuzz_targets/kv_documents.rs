//! Documents of a lookup cache as others write them: they are refused, or every entry that is not touched stays as it
//! is spelled.
#![no_main]

use std::sync::Arc;

use larder_fuzz::{DAMAGE, allow};
use larder_kv_cache::{KvCache, Options};
use larder_storage::{ErrorKind, Key, MemoryStorage, PutIf, Storage};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let storage = Arc::new(MemoryStorage::new());
    let key = Key::new("n.json").unwrap();
    storage.put(&key, data.to_vec().into(), PutIf::Always).unwrap();
    let open = |storage: &Arc<MemoryStorage>| {
        KvCache::open_document(Arc::clone(storage) as Arc<dyn Storage>, "n", Options::default())
    };
    let Some(cache) = allow(open(&storage), DAMAGE) else {
        check_repair(&storage, &key, data);
        return;
    };
    assert!(KvCache::repair_document(&*storage, "n").unwrap().is_none());
    let keys = cache.keys().unwrap();
    assert_eq!(cache.len().unwrap(), keys.len());
    for key in &keys {
        allow(cache.get::<Value>(key), &[ErrorKind::Format]);
    }
    let before = exported(&cache);
    assert_eq!(exported(&imported(&before)), readable(&cache, &before));
    assert!(
        cache.insert_if_absent("a new key", &1).unwrap()
            || keys.iter().any(|key| key == "a new key")
    );
    if !keys.iter().any(|key| key == "a new key") {
        assert!(open(&storage).unwrap().invalidate("a new key").unwrap());
        assert_eq!(exported(&open(&storage).unwrap()), before);
    }
});

fn exported(cache: &KvCache) -> Vec<u8> {
    let mut text = Vec::new();
    cache.export(&mut text).unwrap();
    text
}

fn imported(document: &[u8]) -> KvCache {
    let storage = Arc::new(MemoryStorage::new());
    let cache = KvCache::open_document(storage, "n", Options::default()).unwrap();
    allow(cache.import(document), &[ErrorKind::Invalid, ErrorKind::Full]);
    cache
}

/// What is imported of a cache: all, or what is left without the entries that it names.
fn readable(cache: &KvCache, exported: &[u8]) -> Vec<u8> {
    let problems = cache.verify().unwrap().problems;
    let is_long = |key: &String| key.len() > KvCache::MAX_KEY_LEN;
    if problems.is_empty() && !cache.keys().unwrap().iter().any(is_long) {
        return exported.to_vec();
    }
    // What it has to be then is what it is when it goes the same way once more.
    let once = self::exported(&imported(exported));
    self::exported(&imported(&once))
}

/// Nothing is lost where a document is put aside, and nothing happens to what is no document.
fn check_repair(storage: &MemoryStorage, key: &Key, data: &[u8]) {
    let Some(aside) = allow(KvCache::repair_document(storage, "n"), &[ErrorKind::Format]) else {
        assert_eq!(storage.get(key).unwrap().unwrap().bytes(), data);
        return;
    };
    let aside = aside.expect("it could not be opened");
    assert_eq!(storage.get(&aside).unwrap().unwrap().bytes(), data);
    assert_eq!(storage.get(key).unwrap().unwrap().bytes(), "{}");
}
