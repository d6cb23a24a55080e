use super::*;
use crate::{Gdsf, Lfu};

#[test]
fn all_who_have_a_cache_open_agree() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), 100);
    let same = open(dir.path(), 100);
    let error = DirCache::open(dir.path(), quiet(200)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("evict_above 100 and not 200"), "{error}");
    let error = DirCache::open(dir.path(), quiet(100).policy(Arc::new(Lfu))).unwrap_err();
    assert!(error.to_string().contains("policy Lru and not Lfu"), "{error}");
    drop(first);
    assert_eq!(DirCache::open(dir.path(), quiet(200)).unwrap_err().kind(), ErrorKind::Conflict);
    drop(same);
    drop(open(dir.path(), 200));
    assert_eq!(DirCache::open_existing(dir.path()).unwrap().status().unwrap().evict_above, 200);
}

#[test]
fn a_cache_is_looked_at_with_the_settings_that_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let none = DirCache::open_existing(dir.path().join("none")).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::NotFound);
    assert!(!dir.path().join("none").exists());

    let options = quiet(300).limit(400).ttl(std::time::Duration::from_secs(9));
    let cache = DirCache::open(dir.path(), options).unwrap();
    let beside = DirCache::open_existing(dir.path()).unwrap();
    let status = beside.status().unwrap();
    assert_eq!((status.evict_above, status.limit), (300, Some(400)));
    assert_eq!(format!("{:?}", beside.core.options.policy), "Lru");
    drop((cache, beside));

    // A policy of the user's own is nothing but a name here.
    #[derive(Debug)]
    struct Own;
    impl Policy for Own {
        fn victims(&self, _entries: &[EntryInfo], _bytes_needed: u64) -> Vec<String> {
            Vec::new()
        }
    }
    let cache = DirCache::open(dir.path(), quiet(300).policy(Arc::new(Own))).unwrap();
    let beside = DirCache::open_existing(dir.path()).unwrap();
    assert_eq!(format!("{:?}", beside.core.options.policy), "Gdsf");
    drop((cache, beside));
}

#[test]
fn a_storage_without_directories_is_refused() {
    let storage = larder_storage::MemoryStorage::default();
    let error = DirCache::open_on(&storage, quiet(100)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let dir = tempfile::tempdir().unwrap();
    let local = larder_storage::LocalStorage::open(dir.path(), Default::default()).unwrap();
    let cache = DirCache::open_on(&local, quiet(PLENTY)).unwrap();
    assert_eq!(cache.storage().local_root().unwrap(), cache.root());
}

#[test]
fn priorities_are_remembered_and_the_floor_rises() {
    let dir = tempfile::tempdir().unwrap();
    let options = || quiet(disk(16) * 5 / 2).policy(Arc::new(Gdsf));
    let cache = DirCache::open(dir.path(), options()).unwrap();
    for key in ["cheap", "dear"] {
        drop(build(&cache, key, 16));
    }
    let mut dear = cache.core.index.find("dear").unwrap().unwrap();
    dear.build_cost_ns = Some(u64::from(u32::MAX) * 1000);
    cache.core.index.delete("dear").unwrap();
    cache.core.index.insert(&"dear".parse().unwrap(), &dear, None).unwrap();
    drop(build(&cache, "new", 16));
    assert_eq!(cache.evict().unwrap(), ["cheap"]);
    let (floor, kept) = (cache.core.index.floor().unwrap(), info(&cache, "dear").priority);
    assert!(floor > 0.0 && kept > floor);
    drop(cache);
    let cache = DirCache::open(dir.path(), options()).unwrap();
    assert_eq!(cache.core.index.floor().unwrap(), floor);
    assert_eq!(info(&cache, "dear").priority, kept);
    // An access counts again, from the floor.
    drop(cache.get("dear").unwrap());
    drop(build(&cache, "newer", 16));
    cache.evict().unwrap();
    assert!(info(&cache, "dear").priority > kept);
}
