//! The hard limit: room is reserved before it is used.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::{BuildOptions, index::State};

fn limited(root: &Path, limit: u64) -> DirCache {
    DirCache::open(root, quiet(limit).limit(limit)).unwrap()
}

fn reserving(cache: &DirCache, key: &str, bytes: u64, kib: u64) -> Result<Lease> {
    let options = BuildOptions::default().reserve(bytes);
    cache.get_or_build_with(key, options, |stage| fill(stage, kib))
}

#[test]
fn room_is_made_before_the_builder_starts() {
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(dir.path(), 2 * disk(16));
    for key in ["a", "b"] {
        drop(reserving(&cache, key, disk(16), 16).unwrap());
    }
    let options = BuildOptions::default().reserve(disk(16));
    let built = cache.get_or_build_with("c", options, |stage| {
        assert!(!cache.root().join("a").exists(), "its room was needed");
        let status = cache.status().unwrap();
        assert_eq!((status.used, status.size), (2 * disk(16), disk(16)));
        fill(stage, 16)
    });
    assert!(built.unwrap().built());
    assert_eq!(keys(&cache), ["b", "c"]);
    assert_eq!(cache.status().unwrap().used, 2 * disk(16));
    assert_sound(&cache);
}

#[test]
fn who_finds_no_room_is_told_before_he_builds_and_nothing_goes() {
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(dir.path(), 3 * disk(16));
    let held = [build(&cache, "a", 16), build(&cache, "b", 16)];
    cache.pin("a").unwrap();
    cache.pin("b").unwrap();
    drop(build(&cache, "free", 16));
    let options = BuildOptions::default().reserve(2 * disk(16));
    let refused = cache.get_or_build_with("c", options, |_| panic!("refused before"));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(keys(&cache), ["a", "b", "free"], "what would not have sufficed stays");
    let huge = BuildOptions::default().reserve(4 * disk(16));
    let refused = cache.get_or_build_with("c", huge, |_| panic!("refused before"));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Full);
    drop(held);
    assert_sound(&cache);
}

#[test]
fn an_overrun_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(dir.path(), 8 * disk(16));
    let refused = reserving(&cache, "a", disk(16) - 1, 16).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Full);
    assert_eq!((cache.status().unwrap().used, keys(&cache).len()), (0, 0));
    assert_sound(&cache);
}

#[test]
fn what_reserved_nothing_finds_its_room_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(dir.path(), 2 * disk(16));
    for key in ["a", "b", "c"] {
        drop(build(&cache, key, 16));
    }
    assert_eq!(keys(&cache), ["b", "c"]);
    let held = (cache.get("b").unwrap(), cache.get("c").unwrap());
    let refused = cache.get_or_build("d", |stage| fill(stage, 16)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Full);
    drop(held);
    assert_sound(&cache);
}

#[test]
fn what_a_killed_builder_reserved_is_free_again() {
    let dir = tempfile::tempdir().unwrap();
    let cache = limited(dir.path(), 2 * disk(16));
    let key = "dead".parse().unwrap();
    let mut row = super::crash::row("dead", State::Reserved);
    row.size = 2 * disk(16);
    cache.core.index.insert(&key, &row, None).unwrap();
    assert_eq!(cache.status().unwrap().used, 2 * disk(16));
    drop(reserving(&cache, "next", disk(16), 16).unwrap());
    assert_eq!(cache.status().unwrap().used, disk(16));
    assert_sound(&cache);
}

#[test]
fn a_limit_has_room_for_the_threshold() {
    let dir = tempfile::tempdir().unwrap();
    let refused = DirCache::open(dir.path(), quiet(2).limit(1)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}

#[test]
fn of_many_entries_some_go_at_once() {
    #[derive(Debug, Default)]
    struct Counting(std::sync::atomic::AtomicUsize);
    impl Policy for Counting {
        fn victims(&self, entries: &[EntryInfo], bytes_needed: u64) -> Vec<String> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Lru.victims(entries, bytes_needed)
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let asked = Arc::new(Counting::default());
    let limit = 256 * disk(4);
    let options = quiet(limit).limit(limit).policy(Arc::clone(&asked) as _);
    let cache = DirCache::open(dir.path(), options).unwrap();
    for n in 0..256 + 64 {
        drop(reserving(&cache, &n.to_string(), disk(4), 4).unwrap());
    }
    let asked = asked.0.load(std::sync::atomic::Ordering::Relaxed);
    assert!((8..=17).contains(&asked), "asked {asked} times for room for 64");
    let left = cache.entry_count().unwrap();
    assert!((250..=256).contains(&left), "{left} are left");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Each step builds an entry of so many blocks, and then holds it or lets all go.
    #[test]
    fn what_is_used_never_passes_the_limit(
        steps in prop::collection::vec((0_usize..8, 1_u64..9, any::<bool>()), 1..40)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let limit = 6 * disk(16);
        let cache = limited(dir.path(), limit);
        let mut held: HashMap<usize, (Lease, u64)> = HashMap::new();
        for (key, blocks, hold) in steps {
            let bytes = disk(4 * blocks);
            match reserving(&cache, &key.to_string(), bytes, 4 * blocks) {
                Ok(lease) if hold => {
                    let size = info(&cache, lease.key()).size;
                    held.insert(key, (lease, size));
                }
                Ok(_) => held.clear(),
                Err(error) => {
                    prop_assert_eq!(error.kind(), ErrorKind::Full);
                    let in_use: u64 = held.values().map(|(_, size)| size).sum();
                    prop_assert!(in_use + bytes > limit, "there was room: {}", error);
                }
            }
            prop_assert!(cache.status().unwrap().used <= limit);
            prop_assert!(held.values().all(|(lease, _)| lease.path().join("data").exists()));
            assert_sound(&cache);
        }
    }
}
