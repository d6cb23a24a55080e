//! Accesses are noted in journals and counted in the index.

use larder_storage::time::now_ns;

use super::*;

fn journals(cache: &DirCache) -> usize {
    count_files(cache, "accesses")
}

#[test]
fn the_journal_of_a_killed_process_is_counted_once_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    drop(build(&cache, "m", 8));
    drop(cache.get("m").unwrap().unwrap());
    let killed =
        crate::core::Core::open(dir.path(), quiet(PLENTY), crossbeam_channel::bounded(1).0);
    let killed = killed.unwrap();
    let id = cache.core.index.find("m").unwrap().unwrap().id;
    for _ in 0..5 {
        killed.note(id, crate::journal::Event::Access, now_ns());
    }
    // As a kill does: the lock of the file is free, and nothing was counted.
    killed.journal.end();
    assert_eq!(journals(&cache), 2);
    assert_eq!(info(&cache, "m").access_count, 7);
    assert_eq!((info(&cache, "m").access_count, journals(&cache)), (7, 1));
    drop(cache);
    assert_eq!(count_files(&open(dir.path(), PLENTY), "accesses"), 0);
}

#[test]
fn a_record_that_a_kill_cut_short_counts_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    drop(build(&cache, "m", 8));
    let id = cache.core.index.find("m").unwrap().unwrap().id;
    drop(cache.get("m").unwrap());
    let journal = fs::read_dir(cache.root().join(".larder/accesses")).unwrap().next().unwrap();
    let mut file = File::options().append(true).open(journal.unwrap().path()).unwrap();
    file.write_all(&id.to_le_bytes()).unwrap();
    drop(file);
    assert_eq!(info(&cache, "m").access_count, 2);
    cache.core.journal.end();
    drop(cache.get("m").unwrap());
    assert_eq!(info(&cache, "m").access_count, 3);
}

#[test]
fn accesses_that_cannot_be_noted_are_counted_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Arc::new(Recorder::default());
    let cache =
        DirCache::open(dir.path(), quiet(PLENTY).observer(Arc::clone(&recorder) as _)).unwrap();
    // Where journals would lie, there is a file.
    let place = cache.root().join(".larder/accesses");
    File::create(&place).unwrap();
    drop(build(&cache, "m", 8));
    drop(cache.get("m").unwrap().unwrap());
    assert!(recorder.heard().iter().any(|what| what.contains("noting an access")));
    fs::remove_file(&place).unwrap();
    assert_eq!(info(&cache, "m").access_count, 2);
    assert!(info(&cache, "m").last_access > info(&cache, "m").built_at);
}

#[test]
fn a_brief_lease_is_one_record() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    drop(build(&cache, "m", 8));
    drop(cache.get("m").unwrap().unwrap());
    let journal = fs::read_dir(cache.root().join(".larder/accesses")).unwrap().next().unwrap();
    let len = || fs::metadata(journal.as_ref().unwrap().path()).unwrap().len();
    let before = len();
    for _ in 0..10 {
        drop(cache.get("m").unwrap().unwrap());
    }
    assert_eq!(len() - before, 160);
}

#[test]
fn uses_of_an_entry_that_is_gone_are_not_those_of_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    drop(build(&cache, "m", 8));
    for _ in 0..3 {
        drop(cache.get("m").unwrap().unwrap());
    }
    assert!(cache.remove("m").unwrap());
    drop(build(&cache, "m", 8));
    assert_eq!(info(&cache, "m").access_count, 1);
}

#[test]
fn journals_of_a_lost_index_count_for_nothing_and_go() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), PLENTY));
    let stray = dir.path().join(".larder/accesses/0123456789abcdef0123456789abcdef");
    fs::create_dir_all(stray.parent().unwrap()).unwrap();
    File::create(&stray).unwrap().write_all(&[1; 32]).unwrap();
    drop(open(dir.path(), PLENTY));
    assert!(!stray.exists());
}

#[test]
fn after_a_reboot_what_was_not_flushed_is_checked_once() {
    let dir = tempfile::tempdir().unwrap();
    let boot_of =
        |cache: &DirCache, key: &str| cache.core.index.find(key).unwrap().unwrap().checked_boot;
    let cache = open(dir.path(), PLENTY);
    for key in ["whole", "damaged"] {
        drop(build(&cache, key, 8));
        let id = cache.core.index.find(key).unwrap().unwrap().id;
        // As an earlier boot left it.
        cache.core.index.checked(id, cache.core.boot.wrapping_add(1)).unwrap();
    }
    File::create(cache.root().join("damaged/data")).unwrap();
    drop(cache.get("whole").unwrap().unwrap());
    assert_eq!(boot_of(&cache, "whole"), Some(cache.core.boot));
    assert!(cache.get("damaged").unwrap().is_none());
    assert!(!cache.root().join("damaged").exists());
    assert!(build(&cache, "damaged", 8).built());
    assert_sound(&cache);

    drop(cache);
    let durable = quiet(PLENTY).durability(larder_storage::Durability::Power);
    let durable = DirCache::open(dir.path(), durable).unwrap();
    drop(build(&durable, "flushed", 8));
    assert_eq!(boot_of(&durable, "flushed"), None);
}

#[test]
fn a_damaged_entry_is_built_again_by_who_wants_it() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    drop(build(&cache, "m", 8));
    let id = cache.core.index.find("m").unwrap().unwrap().id;
    cache.core.index.checked(id, cache.core.boot.wrapping_add(1)).unwrap();
    File::create(cache.root().join("m/data")).unwrap();
    assert!(build(&cache, "m", 8).built());
    assert_eq!(fs::metadata(cache.root().join("m/data")).unwrap().len(), 8 * KIB);
    assert_sound(&cache);
}

#[test]
fn a_model_is_written_in_place_and_measured_when_it_is_let_go() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    let model = cache.model("m").unwrap();
    assert!(model.exists() && model.built());
    fill(model.path(), 16).unwrap();
    assert!(cache.verify().unwrap().is_clean(), "it is being written");
    drop(model);
    assert_eq!((info(&cache, "m").size, info(&cache, "m").access_count), (disk(16), 1));
    assert_sound(&cache);
    let again = cache.model("m").unwrap();
    assert!(!again.built() && again.path().join("data").exists());
    drop(again);
    assert_eq!(info(&cache, "m").access_count, 2);
    assert_sound(&cache);
}
