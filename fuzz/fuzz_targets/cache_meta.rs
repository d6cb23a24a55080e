//! The `.cache_meta` of a directory that somebody else made: adopting it reads the file and leaves it alone, damaged or
//! not; one of a newer version is no entry; and using the entry keeps the fields of others.
#![no_main]

use std::{fs, sync::LazyLock};

use larder_dir_cache::{DirCache, Options};
use larder_storage::Durability;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

static CACHE: LazyLock<DirCache> = LazyLock::new(|| {
    let root = tempfile::tempdir().unwrap().keep();
    DirCache::open(root, Options::default().background(false).durability(Durability::Scratch))
        .unwrap()
});

fuzz_target!(|data: &[u8]| {
    let dir = CACHE.root().join("a");
    let meta = dir.join(".cache_meta");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("f"), "kept").unwrap();
    fs::write(&meta, data).unwrap();

    let adopted = CACHE.recount().unwrap().adopted == ["a"];
    assert_eq!(fs::read(&meta).unwrap(), data);
    assert_eq!(fs::read(dir.join("f")).unwrap(), b"kept");
    let object = serde_json::from_slice::<Map<String, Value>>(data).unwrap_or_default();
    if adopted {
        use_it(&object);
        assert!(CACHE.remove("a").unwrap());
    } else {
        let format = object["larder"]["format"].as_u64().unwrap();
        assert!(format > larder_dir_cache::META_FORMAT_VERSION.into());
        fs::remove_dir_all(&dir).unwrap();
    }
    assert!(!dir.exists() && CACHE.entry_count().unwrap() == 0);
});

/// Counts an access to the entry, and has its `.cache_meta` written.
fn use_it(before: &Map<String, Value>) {
    let counted = CACHE.entries().unwrap()[0].access_count;
    assert!(counted == 0 || before["access_count"] == counted);
    let lease = CACHE.get("a").unwrap().expect("it was adopted");
    CACHE.run_once().unwrap();
    let text = fs::read(lease.path().join(".cache_meta")).unwrap();
    let after: Map<String, Value> = serde_json::from_slice(&text).unwrap();
    assert_eq!(after["access_count"], counted + 1);
    for (name, value) in before {
        let ours = ["size", "access_count", "larder"].contains(&name.as_str());
        assert!(ours || after.get(name) == Some(value), "lost {name}");
    }
}
