//! What killed processes leave, made by hand, and what the next open makes of it.

use larder_storage::{Digest, publish::Stage};

use super::*;
use crate::index::{Index, Row, State};

pub(super) fn row(key: &str, state: State) -> Row {
    Row {
        id: 0,
        key: key.to_owned(),
        state,
        size: 1,
        files: 9,
        listing: Digest::of(b""),
        built_at_ns: 5,
        last_access_ns: 5,
        access_count: 1,
        meta_count: -1,
        build_cost_ns: Some(77),
        pinned: false,
        expires_at_ns: None,
        priority: 0.0,
        checked_boot: None,
    }
}

/// Leaves a row in a state, with or without the directory that it tells of, and opens the cache.
fn reopened(root: &Path, key: &str, state: State, directory: bool) -> DirCache {
    drop(open(root, PLENTY));
    let mut row = row(key, state);
    if directory {
        fs::create_dir_all(root.join(key)).unwrap();
        fill(&root.join(key), 8).unwrap();
        let built = measure(&root.join(key), Measure::Occupied).unwrap();
        (row.files, row.listing) = (built.files, built.listing);
    }
    insert(root, &row);
    open(root, PLENTY)
}

fn insert(root: &Path, row: &Row) {
    let index = Index::open(root, Default::default()).unwrap();
    index.insert(&row.key.parse().unwrap(), row, None).unwrap();
}

#[test]
fn killed_before_the_rename_of_a_publication() {
    let dir = tempfile::tempdir().unwrap();
    let cache = reopened(dir.path(), "a/b", State::Publishing, false);
    assert!(keys(&cache).is_empty());
    assert_sound(&cache);
    assert!(build(&cache, "a/b", 8).built());
}

#[test]
fn killed_between_the_rename_and_the_metadata() {
    let dir = tempfile::tempdir().unwrap();
    let cache = reopened(dir.path(), "a/b", State::Publishing, true);
    assert_sound(&cache);
    let entry = info(&cache, "a/b");
    assert_eq!((entry.size, entry.files, entry.access_count), (disk(8), 1, 1));
    assert_eq!(entry.build_cost.unwrap().as_nanos(), 77);
    assert_eq!(meta(&cache, "a/b")["access_count"], 1);
    assert!(!build(&cache, "a/b", 8).built());
}

#[test]
fn what_a_power_cut_left_of_a_publication_is_built_again() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), PLENTY));
    let entry = dir.path().join("a/b");
    fs::create_dir_all(&entry).unwrap();
    fill(&entry, 8).unwrap();
    let built = measure(&entry, Measure::Occupied).unwrap();
    // The name came to the disk, and what was in the file did not.
    File::create(entry.join("data")).unwrap();
    let cut = Row { files: 1, listing: built.listing, ..row("a/b", State::Publishing) };
    insert(dir.path(), &Row { checked_boot: Some(crate::boot::current().wrapping_add(1)), ..cut });

    let cache = open(dir.path(), PLENTY);
    assert!(keys(&cache).is_empty() && !entry.exists());
    assert_sound(&cache);
    assert!(build(&cache, "a/b", 8).built());
}

#[test]
#[cfg(unix)]
fn a_publication_that_may_not_last_is_none() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let options = quiet(PLENTY).durability(larder_storage::Durability::Power);
    let cache = DirCache::open(dir.path(), options).unwrap();
    // It takes names, and cannot be opened to be flushed.
    let parent = dir.path().join("a");
    fs::create_dir(&parent).unwrap();
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o300)).unwrap();
    if File::open(&parent).is_ok() {
        // This user is bound by no permissions, so nothing can be made to fail.
        return;
    }
    let built = cache.get_or_build("a/b", |stage| fill(stage, 8));
    assert_eq!(built.unwrap_err().kind(), ErrorKind::Io);
    assert!(!parent.exists() && keys(&cache).is_empty());
    assert_sound(&cache);
    assert!(build(&cache, "a/b", 8).built());
}

#[test]
fn killed_before_or_after_the_rename_of_a_removal() {
    for directory in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let cache = reopened(dir.path(), "a/b", State::Removing, directory);
        assert!(keys(&cache).is_empty() && !dir.path().join("a").exists());
        assert_sound(&cache);
    }
}

#[test]
fn a_cycle_settles_it_too() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    cache.core.index.insert(&"a".parse().unwrap(), &row("a", State::Publishing), None).unwrap();
    assert_eq!(cache.status().unwrap().unfinished, 1);
    assert_eq!(cache.verify().unwrap().problems.len(), 1);
    cache.run_once().unwrap();
    assert_sound(&cache);
}

#[test]
fn so_does_the_next_who_wants_to_build() {
    for (state, directory) in
        [(State::Publishing, false), (State::Removing, true), (State::Removing, false)]
    {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path(), PLENTY);
        cache.core.index.insert(&"a".parse().unwrap(), &row("a", state), None).unwrap();
        if directory {
            fs::create_dir_all(dir.path().join("a")).unwrap();
        }
        assert!(cache.get("a").unwrap().is_none());
        assert!(build(&cache, "a", 8).built(), "{state:?}");
        assert_sound(&cache);
    }
}

#[test]
fn an_entry_whose_directory_was_deleted_by_hand_is_forgotten_and_built_anew() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    let lease = build(&cache, "a", 8);
    drop(build(&cache, "b", 8));
    drop(build(&cache, "c", 8));
    for key in ["a", "b", "c"] {
        assert!(Stage::new(dir.path(), Default::default()).discard(&dir.path().join(key)).unwrap());
    }
    assert!(cache.get("b").unwrap().is_none());
    assert_eq!(keys(&cache), ["a", "c"]);
    // Even while somebody holds a lease on what was deleted.
    assert!(build(&cache, "a", 8).built());
    drop(lease);
    drop(cache);
    assert_eq!(keys(&open(dir.path(), PLENTY)), ["a"]);
}

#[test]
fn a_lost_index_is_made_anew_from_the_entries() {
    let dir = tempfile::tempdir().unwrap();
    let before = {
        let cache = open(dir.path(), PLENTY);
        drop(build(&cache, "a/b", 8));
        drop(cache.get("a/b").unwrap());
        drop(build(&cache, "c", 16));
        cache.entries().unwrap()
    };
    for file in fs::read_dir(dir.path().join(".larder")).unwrap() {
        let file = file.unwrap();
        if file.file_name().to_string_lossy().starts_with("dirs.sqlite") {
            fs::remove_file(file.path()).unwrap();
        }
    }
    let cache = open(dir.path(), PLENTY);
    assert_eq!(cache.entries().unwrap(), before, "built, accessed, counted, cost: all as it was");
    assert_sound(&cache);
}

#[test]
fn opening_a_sound_cache_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    drop(build(&open(dir.path(), PLENTY), "a/b", 8));
    let listing = || crate::tree::measure(dir.path(), Measure::Occupied).unwrap().listing;
    let meta = || fs::metadata(dir.path().join("a/b/.cache_meta")).unwrap().modified().unwrap();
    drop(open(dir.path(), PLENTY));
    let before = (listing(), meta());
    drop(open(dir.path(), PLENTY));
    assert_eq!((listing(), meta()), before);
}
