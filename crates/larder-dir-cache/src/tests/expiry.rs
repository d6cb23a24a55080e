use std::time::Duration;

use super::*;
use crate::BuildOptions;

/// A lifetime that is over at once, and one that is not over here.
const MOMENT: Duration = Duration::from_nanos(1);
const AGE: Duration = Duration::from_secs(1 << 30);

fn build_for(cache: &DirCache, key: &str, ttl: Duration) -> Lease {
    let options = BuildOptions::default().ttl(ttl);
    cache.get_or_build_with(key, options, |stage| fill(stage, 8)).unwrap()
}

#[test]
fn what_has_expired_is_a_miss_and_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    drop(build_for(&cache, "short", MOMENT));
    drop(build_for(&cache, "long", AGE));
    assert!(cache.get("short").unwrap().is_none() && !cache.contains("short").unwrap());
    assert!(cache.get("long").unwrap().is_some() && cache.contains("long").unwrap());
    assert!(info(&cache, "long").expires_at.is_some());
    assert!(build_for(&cache, "short", AGE).built());
    assert!(!build_for(&cache, "short", AGE).built());
    assert_sound(&cache);
}

#[test]
fn a_cycle_removes_what_has_expired_and_nobody_holds() {
    let dir = tempfile::tempdir().unwrap();
    let cache = DirCache::open(dir.path(), quiet(PLENTY).ttl(MOMENT)).unwrap();
    let held = build(&cache, "held", 8);
    drop(build(&cache, "free", 8));
    drop(build_for(&cache, "long", AGE));
    assert_eq!(cache.run_once().unwrap(), ["free"]);
    let refused = cache.get_or_build("held", |_| Ok(())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked);
    assert!(held.exists());
    drop(held);
    assert_eq!(cache.run_once().unwrap(), ["held"]);
    assert_eq!(keys(&cache), ["long"]);
    assert_sound(&cache);
}

#[test]
fn a_lifetime_outlives_the_index() {
    let dir = tempfile::tempdir().unwrap();
    drop(build_for(&open(dir.path(), PLENTY), "m", AGE));
    let before = info(&open(dir.path(), PLENTY), "m").expires_at;
    assert!(before.is_some());
    for file in fs::read_dir(dir.path().join(".larder")).unwrap() {
        let file = file.unwrap();
        if file.file_name().to_string_lossy().starts_with("dirs.sqlite") {
            fs::remove_file(file.path()).unwrap();
        }
    }
    assert_eq!(info(&open(dir.path(), PLENTY), "m").expires_at, before);
}

#[test]
fn pinned_entries_stay_until_they_are_unpinned() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), disk(16) * 3 / 2);
    let pinned = BuildOptions::default().pinned(true);
    drop(cache.get_or_build_with("a", pinned, |stage| fill(stage, 16)).unwrap());
    drop(build(&cache, "b", 16));
    drop(build(&cache, "c", 16));
    assert!(info(&cache, "a").pinned && !cache.pin("nobody").unwrap());
    assert_eq!(cache.evict().unwrap(), ["b"]);
    cache.run_once().unwrap();
    assert_eq!(meta(&cache, "a")["larder"]["pinned"], true);
    assert!(cache.unpin("a").unwrap());
    assert_eq!(cache.evict().unwrap(), ["a"]);
    assert!(cache.pin("c").unwrap() && cache.evict().unwrap().is_empty());
    assert_eq!(cache.clear().unwrap(), ["c"], "clearing is no eviction");
    assert_sound(&cache);
}

#[test]
fn clearing_leaves_what_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    let held = build(&cache, "b", 8);
    drop(build(&cache, "a", 8));
    drop(build(&cache, "c", 8));
    assert_eq!(cache.clear().unwrap(), ["a", "c"]);
    assert!(held.exists());
    assert_sound(&cache);
}
