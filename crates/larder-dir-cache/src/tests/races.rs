//! What several do at once, or died doing.

use std::{os::unix::fs::symlink, thread};

use larder_storage::MemoryStorage;

use super::*;
use crate::{BuildOptions, index::State};

#[test]
fn a_model_is_nobody_elses_entry() {
    let storage: Arc<dyn larder_storage::Storage> = Arc::new(MemoryStorage::new());
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let a = open(one.path(), PLENTY).with_remote(Arc::clone(&storage)).unwrap();
    let b = open(other.path(), PLENTY).with_remote(storage).unwrap();
    let model = a.model("m").unwrap();
    fill(model.path(), 8).unwrap();
    drop(model);
    let lease = b.get_or_build("m", |stage| fill(stage, 8)).unwrap();
    assert!(lease.built() || lease.path().join("data").exists(), "b got an empty entry");
}

#[test]
fn a_cycle_sweeps_what_a_killed_publisher_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    // As a dead process leaves it: an area whose lock is free, and a row that says publishing.
    let area = cache.root().join(".larder/stage/0123456789abcdef0123456789abcdef");
    fs::create_dir_all(area.join("0")).unwrap();
    fill(&area.join("0"), 64).unwrap();
    let row = super::crash::row("dead", State::Publishing);
    cache.core.index.insert(&"dead".parse().unwrap(), &row, None).unwrap();
    cache.run_once().unwrap();
    assert_eq!(cache.status().unwrap().used, 0);
    assert!(!area.exists(), "not counted, and still there");
}

#[test]
fn an_entry_that_is_found_damaged_stays_while_it_is_leased() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    let lease = build(&cache, "m", 8);
    fill(lease.path(), 16).unwrap();
    // As where the system does not name its boot.
    let id = cache.core.index.find("m").unwrap().unwrap().id;
    cache.core.index.checked(id, cache.core.boot.wrapping_add(1)).unwrap();
    let other = open(dir.path(), PLENTY);
    let refused = other.get_or_build("m", |stage| fill(stage, 8)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked);
    assert_eq!(fs::metadata(lease.path().join("data")).unwrap().len(), 16 * KIB);
    drop(lease);
    assert!(other.get_or_build("m", |stage| fill(stage, 8)).unwrap().built());
    assert_sound(&other);
}

#[test]
fn a_stranger_in_the_place_of_a_dead_publication_stays() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    let row = super::crash::row("m", State::Publishing);
    cache.core.index.insert(&"m".parse().unwrap(), &row, None).unwrap();
    seed_entry(dir.path(), "m", br#"{"size": 8192, "access_count": 3}"#);
    cache.run_once().unwrap();
    assert!(dir.path().join("m/data").exists());
}

#[test]
fn what_is_pinned_while_an_eviction_runs_stays() {
    #[derive(Debug)]
    struct Slow(Mutex<Option<Arc<DirCache>>>);
    impl Policy for Slow {
        fn victims(&self, _entries: &[EntryInfo], _bytes_needed: u64) -> Vec<String> {
            let cache = self.0.lock().unwrap().take().unwrap();
            assert!(cache.pin("a").unwrap());
            vec!["a".to_owned()]
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let cache = Arc::new(open(dir.path(), disk(16) * 3 / 2));
    drop(build(&cache, "a", 16));
    drop(build(&cache, "b", 16));
    let slow = Slow(Mutex::new(Some(Arc::clone(&cache))));
    assert_eq!(cache.evict_with(&slow).unwrap_err().kind(), ErrorKind::Invalid, "asked twice");
    assert!(cache.contains("a").unwrap(), "it was pinned");
}

#[test]
fn one_model_may_be_let_go_while_another_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    let (one, other) = (cache.model("m").unwrap(), cache.model("m").unwrap());
    drop(one);
    fill(other.path(), 16).unwrap();
    assert!(cache.verify().unwrap().is_clean(), "it is being written");
}

#[test]
fn a_journal_that_cannot_be_read_keeps_nobody_from_evicting() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), disk(16) * 3 / 2);
    drop(build(&cache, "a", 16));
    drop(build(&cache, "b", 16));
    drop(cache.get("b").unwrap().unwrap());
    // One journal that cannot be read: a directory of its name.
    cache.core.index.add_journal("broken").unwrap();
    fs::create_dir(cache.root().join(".larder/accesses/broken")).unwrap();
    assert_eq!(cache.evict().unwrap(), ["a"]);
}

#[test]
fn a_recount_removes_lease_files_that_the_dead_left() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    drop(build(&cache, "m", 8));
    let row = cache.core.index.find("m").unwrap().unwrap();
    cache.core.index.begin_removal("m").unwrap();
    cache.core.take_away(row.id, &"m".parse().unwrap(), &cache.root().join("m")).unwrap();
    drop(cache);
    let cache = open(dir.path(), PLENTY);
    cache.recount().unwrap();
    assert_eq!(count_files(&cache, "leases"), 0);
}

#[test]
fn a_builder_that_replaces_its_directory_is_refused_and_nothing_is_written_elsewhere() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = open(dir.path(), PLENTY);
    let linked = cache.get_or_build("m", |stage| {
        fs::remove_dir(stage).unwrap();
        symlink(elsewhere.path(), stage).unwrap();
        Ok(())
    });
    assert_eq!(linked.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    let gone = cache.get_or_build("m", |stage| {
        fs::remove_dir(stage).unwrap();
        Ok(())
    });
    assert_eq!(gone.unwrap_err().kind(), ErrorKind::Invalid);
    assert!(build(&cache, "m", 8).built());
    assert_sound(&cache);
}

#[test]
fn sizes_that_nobody_has_are_refused_before_they_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let options = quiet(u64::MAX).measure(Measure::Apparent);
    let cache = DirCache::open(dir.path(), options).unwrap();
    for bytes in [i64::MAX as u64, u64::MAX] {
        let options = BuildOptions::default().reserve(bytes);
        let refused = cache.get_or_build_with("m", options, |_| panic!("refused before"));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Full);
    }
    assert!(build(&cache, "m", 8).built());
    assert_sound(&cache);
}

#[test]
fn a_journal_that_somebody_removed_is_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    drop(build(&cache, "m", 8));
    for _ in 0..5 {
        drop(cache.get("m").unwrap());
        for found in fs::read_dir(cache.root().join(".larder/accesses")).unwrap() {
            fs::remove_file(found.unwrap().path()).unwrap();
        }
        cache.entries().unwrap();
    }
    drop(cache.get("m").unwrap());
    assert_eq!(info(&cache, "m").access_count, 2, "the last one is counted");
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    drop(build(&cache, "m", 8));
    let meta = cache.root().join("m/.cache_meta");
    fs::remove_file(&meta).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&meta).status().unwrap();
    assert!(made.success());
    drop(cache.get("m").unwrap());
    assert!(!cache.verify().unwrap().is_clean());
    cache.run_once().unwrap();
    // A directory of that name goes with its entry.
    fs::remove_file(&meta).unwrap();
    fs::create_dir(&meta).unwrap();
    assert!(cache.remove("m").unwrap());
}

#[test]
fn what_a_removed_root_leaves_can_be_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["leases", "flights", "accesses", "trash", "stage"] {
        fs::create_dir_all(dir.path().join(".larder").join(name)).unwrap();
    }
    File::create(dir.path().join(".larder/settings.lock")).unwrap();
    assert!(build(&open(dir.path(), PLENTY), "m", 8).built());
}

#[test]
fn trash_that_cannot_be_deleted_does_not_stand_in_the_way_of_a_lost_index() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), PLENTY));
    let cache = open(dir.path(), PLENTY);
    // As if a stray of this number could not be deleted.
    cache.core.index.number_above(41).unwrap();
    drop(build(&cache, "m", 8));
    assert_eq!(cache.core.index.find("m").unwrap().unwrap().id, 42);
}

#[test]
fn a_removal_of_what_a_killed_publisher_finished_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    fs::create_dir(cache.root().join("m")).unwrap();
    fill(&cache.root().join("m"), 8).unwrap();
    let built = measure(&cache.root().join("m"), Measure::Occupied).unwrap();
    let mut row = super::crash::row("m", State::Publishing);
    (row.files, row.listing) = (built.files, built.listing);
    cache.core.index.insert(&"m".parse().unwrap(), &row, None).unwrap();
    assert!(cache.remove("m").unwrap() && !cache.root().join("m").exists());
    assert_sound(&cache);
}

#[test]
fn a_dead_builder_is_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    let row = super::crash::row("a/b", State::Reserved);
    cache.core.index.insert(&"a/b".parse().unwrap(), &row, None).unwrap();
    assert!(build(&cache, "a", 8).built());
    assert_sound(&cache);
}

#[test]
fn the_directories_of_others_are_not_cleared_in_part() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    fs::create_dir_all(cache.root().join("m/empty/deep")).unwrap();
    File::create(cache.root().join("m/file")).unwrap();
    let refused = cache.get_or_build("m", |_| panic!("refused before")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(cache.root().join("m/empty/deep").is_dir());
}

#[test]
fn nothing_goes_for_a_builder_who_finds_no_room_beside_what_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let limit = 8 * disk(16);
    let cache = DirCache::open(dir.path(), quiet(limit).limit(limit)).unwrap();
    let held: Vec<Lease> = ["a", "b", "c", "d", "e"].map(|key| build(&cache, key, 16)).into();
    drop(build(&cache, "free", 16));
    let options = BuildOptions::default().reserve(4 * disk(16));
    let refused = cache.get_or_build_with("m", options, |_| panic!("refused before"));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Full);
    assert!(cache.contains("free").unwrap());
    drop(held);
}

#[test]
fn many_get_what_lies_in_the_tier_above() {
    let storage: Arc<dyn larder_storage::Storage> = Arc::new(MemoryStorage::new());
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let a = open(one.path(), PLENTY).with_remote(Arc::clone(&storage)).unwrap();
    drop(build(&a, "m", 8));
    let b = open(other.path(), PLENTY).with_remote(storage).unwrap();
    thread::scope(|scope| {
        let gets: Vec<_> = (0..8).map(|_| scope.spawn(|| b.get("m").unwrap().is_some())).collect();
        assert!(gets.into_iter().all(|get| get.join().unwrap()));
    });
}
