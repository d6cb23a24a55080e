//! vcti-file-cache 1.0.0: its `FileCache` and our `DirCache` on one root.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use larder::dir_cache::{DirCache, Options};
use serde_json::{Map, Value, json};

use super::run;

/// Defines `seen`: each entry that the package sees, with the time of its metadata file in nanoseconds.
const COMMON: &str = r#"
import json, os, pathlib, sys
from vcti.filecache import CacheManagerConfig, FileCache

root = pathlib.Path(sys.argv[1])
cache = FileCache(root=root, config=CacheManagerConfig(evict_above=1 << 30))

def seen():
    entries = {}
    for entry in cache.entries():
        status = os.stat(root / entry.path / ".cache_meta")
        assert entry.last_access == status.st_mtime, entry
        entries[entry.path] = {"size": entry.size, "accesses": entry.access_count, "ns": status.st_mtime_ns}
    snapshot = cache.snapshot()
    assert (snapshot.entry_count, snapshot.total_size) == (len(entries), sum(e["size"] for e in entries.values()))
    return entries
"#;

/// Makes three entries, one of them last accessed at a given nanosecond.
const MAKE: &str = r#"
with cache:
    for accesses, path in enumerate(["a", "x/y/z", "caf\u00e9 \u4e2d/b.c"], 1):
        for _ in range(accesses):
            with cache.model(path) as model:
                (pathlib.Path(model.path) / "data.bin").write_bytes(bytes(5000))
os.utime(root / "a/.cache_meta", ns=(0, 1234567890123456789))
print(json.dumps(seen()))
"#;

const SEE: &str = "print(json.dumps(seen()))";

/// Accesses the entry that is the second argument.
const ACCESS: &str = r#"
with cache.model(sys.argv[2]) as model:
    pass
print((root / sys.argv[2] / ".cache_meta").read_text())
"#;

/// Evicts all but the entries that were accessed last.
const EVICT: &str = r#"
tight = FileCache(root=root, config=CacheManagerConfig(evict_above=int(sys.argv[2])))
print(json.dumps(sorted(tight.evict())))
"#;

fn python(program: &str, args: &[&Path]) -> Option<Value> {
    run("directories of vcti-file-cache", &format!("{COMMON}{program}"), args)
}

fn open(root: &Path) -> DirCache {
    DirCache::open(root, Options::new(1 << 30).background(false)).unwrap()
}

/// Builds an entry of one file of 9,000 bytes.
fn build(cache: &DirCache, key: &str) {
    let built = cache.get_or_build(key, |stage| {
        fs::write(stage.join("mesh.vtu"), [1; 9000]).unwrap();
        Ok(())
    });
    assert!(built.unwrap().built());
}

fn ns(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_nanos().try_into().unwrap()
}

/// What we see, as the program's `seen`.
fn seen(cache: &DirCache) -> Value {
    let entries = cache.entries().unwrap().into_iter().map(|entry| {
        let described =
            json!({"size": entry.size, "accesses": entry.access_count, "ns": ns(entry.last_access)});
        (entry.key, described)
    });
    Value::Object(entries.collect::<Map<_, _>>())
}

/// Sizes are counted differently: by the package as lengths, here as what is occupied.
fn without_sizes(mut seen: Value) -> Value {
    for entry in seen.as_object_mut().unwrap().values_mut() {
        entry.as_object_mut().unwrap().remove("size");
    }
    seen
}

#[test]
fn a_root_of_the_package_is_adopted_with_counts_and_times() {
    let dir = tempfile::tempdir().unwrap();
    let Some(theirs) = python(MAKE, &[dir.path()]) else { return };
    assert_eq!(theirs["a"]["ns"], 1_234_567_890_123_456_789_u64);
    assert_eq!(theirs.as_object().unwrap().len(), 3);
    let cache = open(dir.path());
    assert_eq!(without_sizes(seen(&cache)), without_sizes(theirs.clone()));
    assert!(cache.entries().unwrap().iter().all(|entry| entry.files == 1 && entry.size >= 5000));
    assert!(cache.verify().unwrap().is_clean());
    drop(cache);
    assert_eq!(python(SEE, &[dir.path()]), Some(theirs), "adoption rewrites nothing");
}

#[test]
fn leases_and_builds_are_seen_by_the_package() {
    let dir = tempfile::tempdir().unwrap();
    let Some(_) = python(MAKE, &[dir.path()]) else { return };
    let cache = open(dir.path());
    build(&cache, "new/ünï/entry");
    let before = SystemTime::now() - Duration::from_secs(60);
    let lease = cache.get("a").unwrap().unwrap();
    assert_eq!(fs::read(lease.path().join("data.bin")).unwrap().len(), 5000);
    drop(lease);
    let ours = seen(&cache);
    drop(cache);

    let theirs = python(SEE, &[dir.path()]).unwrap();
    assert_eq!(without_sizes(theirs.clone()), without_sizes(ours.clone()));
    assert_eq!(theirs["a"]["accesses"], 2);
    assert!(theirs["a"]["ns"].as_u64().unwrap() > ns(before));
    for rewritten in ["a", "new/ünï/entry"] {
        assert_eq!(theirs[rewritten]["size"], ours[rewritten]["size"]);
    }
}

#[test]
fn what_the_package_does_to_our_entries_is_taken_up() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path());
    build(&cache, "old");
    build(&cache, "new");
    drop(cache);
    let Some(meta) = python(ACCESS, &[dir.path(), Path::new("new")]) else { return };
    assert_eq!(
        (meta["access_count"].as_u64(), meta["larder"]["files"].as_u64()),
        (Some(2), Some(1))
    );
    let cache = open(dir.path());
    assert!(cache.verify().unwrap().is_clean());

    let size = cache.total_size().unwrap() / 2;
    let limit = size.to_string();
    assert_eq!(python(EVICT, &[dir.path(), Path::new(&limit)]), Some(json!(["old"])));
    assert!(cache.get("old").unwrap().is_none(), "no lease binds that package");
    assert_eq!(cache.verify().unwrap().problems.len(), 0);
    assert_eq!((cache.total_size().unwrap(), cache.entry_count().unwrap()), (size, 1));
    build(&cache, "old");
    assert!(cache.verify().unwrap().is_clean());
}
