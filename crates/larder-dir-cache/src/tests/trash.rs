//! What is removed lies in the trash until it is deleted, and counts.

use super::*;
use crate::index::State;

#[test]
fn what_a_killed_remover_left_in_the_trash_is_deleted_at_the_next_open() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    drop(build(&cache, "a/b", 8));
    let row = cache.core.index.find("a/b").unwrap().unwrap();
    cache.core.index.begin_removal("a/b").unwrap();
    cache.core.move_away(row.id, &"a/b".parse().unwrap(), &cache.root().join("a/b")).unwrap();
    let status = cache.status().unwrap();
    assert_eq!((status.used, status.size, status.entries), (disk(8), 0, 0));
    assert!(build(&cache, "a/b", 8).built(), "its name is free at once");
    assert_eq!(cache.status().unwrap().used, 2 * disk(8));
    drop(cache);
    let cache = open(dir.path(), PLENTY);
    assert_eq!((cache.status().unwrap().used, count_files(&cache, "trash")), (disk(8), 0));
    assert_sound(&cache);
}

#[test]
fn a_remover_that_was_killed_between_the_rename_and_the_index_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    drop(build(&cache, "a", 8));
    let row = cache.core.index.find("a").unwrap().unwrap();
    cache.core.index.begin_removal("a").unwrap();
    assert!(cache.core.move_to_trash(&"a".parse().unwrap(), row.id).unwrap());
    assert_eq!(cache.core.index.find("a").unwrap().unwrap().state, State::Removing);
    cache.run_once().unwrap();
    assert_eq!((cache.status().unwrap().used, count_files(&cache, "trash")), (0, 0));
    assert_sound(&cache);
}

#[test]
fn trash_of_a_lost_index_goes_and_what_is_no_trash_stays() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), PLENTY));
    let trash = dir.path().join(".larder/trash");
    fs::create_dir_all(trash.join("77/deep")).unwrap();
    fs::create_dir_all(trash.join("thesis")).unwrap();
    let cache = open(dir.path(), PLENTY);
    assert!(!trash.join("77").exists() && trash.join("thesis").exists());
    assert_eq!(cache.status().unwrap().used, 0);
}

#[test]
fn what_cannot_be_deleted_is_told_once_a_cycle_and_counts() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Arc::new(Recorder::default());
    let cache =
        DirCache::open(dir.path(), quiet(PLENTY).observer(Arc::clone(&recorder) as _)).unwrap();
    drop(build(&cache, "a", 8));
    let row = cache.core.index.find("a").unwrap().unwrap();
    cache.core.index.begin_removal("a").unwrap();
    cache.core.move_away(row.id, &"a".parse().unwrap(), &cache.root().join("a")).unwrap();
    // A file in its place is no directory that could be deleted.
    let place = cache.root().join(format!(".larder/trash/{}", row.id));
    fs::remove_file(place.join("data")).unwrap();
    fs::remove_dir(&place).unwrap();
    File::create(&place).unwrap();
    for _ in 0..2 {
        recorder.heard();
        cache.run_once().unwrap();
        let heard = recorder.heard();
        let errors = heard.iter().filter(|what| what.ends_with("deleting what was removed"));
        assert_eq!(errors.count(), 1, "{heard:?}");
        assert_eq!(cache.status().unwrap().used, row.size);
    }
    fs::remove_file(&place).unwrap();
    cache.run_once().unwrap();
    assert_eq!(cache.status().unwrap().used, 0);
}
