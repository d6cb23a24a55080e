use std::thread;

use super::*;

fn count(dir: &Path) -> usize {
    fs::read_dir(dir).map_or(0, Iterator::count)
}

#[test]
fn directories_are_made_where_they_are_missing() {
    let root = tempfile::tempdir().unwrap();
    for durability in [Durability::Process, Durability::Power] {
        let dir = root.path().join(durability.to_string()).join("a/b");
        create_dirs(&dir, durability).unwrap();
        create_dirs(&dir, durability).unwrap();
        assert!(dir.is_dir());
    }
}

#[test]
fn a_file_with_a_gap_is_not_published() {
    let root = tempfile::tempdir().unwrap();
    let stage = Stage::new(root.path(), Durability::Process);
    let target = root.path().join("a");
    let mut staged = stage.file().unwrap();
    // Written to a file that takes nothing, and then to one that would.
    let bad = File::open(staged.path()).unwrap();
    let good = std::mem::replace(&mut staged.file, BufWriter::new(bad));
    staged.write_all(&[1; 10_000]).unwrap_err();
    staged.file = good;
    staged.write_all(b"tail").unwrap();
    staged.publish(&target).unwrap_err();
    assert!(!target.exists());
}

#[test]
fn a_file_without_a_name_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("made");
    let stage = Stage::new(&root, Durability::Scratch);
    let mut file = stage.unnamed().unwrap();
    file.write_all(b"bytes").unwrap();
    assert_eq!(file.metadata().unwrap().len(), 5);
    drop(stage);
    let left = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name != RESERVED_SEGMENT).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(Stage::sweep(&root).unwrap(), 0);
}

#[test]
fn a_published_file_leaves_nothing_staged() {
    for durability in [Durability::Scratch, Durability::Process, Durability::Power] {
        let root = tempfile::tempdir().unwrap();
        let stage = Stage::new(root.path(), durability);
        let target = root.path().join("a/b/c");
        stage.write(&target, b"one").unwrap();
        stage.write(&target, b"two").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"two");
        drop(stage);
        assert_eq!(count(&area::stage_dir(root.path())), 1, "only the sweepers' lock stays");
    }
}

#[test]
fn what_is_dropped_leaves_no_trace() {
    let root = tempfile::tempdir().unwrap();
    let stage = Stage::new(root.path(), Durability::Process);
    let file = stage.file().unwrap();
    let dir = stage.dir().unwrap();
    let (file_path, dir_path) = (file.path().to_owned(), dir.path().to_owned());
    File::create(dir_path.join("inside")).unwrap();
    drop((file, dir));
    assert!(!file_path.exists() && !dir_path.exists());
}

#[test]
fn a_directory_appears_whole_and_only_once() {
    let root = tempfile::tempdir().unwrap();
    let stage = Stage::new(root.path(), Durability::Power);
    let target = root.path().join("models/m1");
    for attempt in 0..2 {
        let dir = stage.dir().unwrap();
        fs::create_dir(dir.path().join("deep")).unwrap();
        File::create(dir.path().join("deep/mesh")).unwrap();
        let published = dir.publish(&target);
        assert_eq!(published.is_ok(), attempt == 0);
        if let Err(error) = published {
            assert_eq!(error.kind(), ErrorKind::Conflict);
        }
        assert!(target.join("deep/mesh").exists());
    }
}

#[test]
fn of_those_who_publish_one_directory_one_wins() {
    let root = tempfile::tempdir().unwrap();
    for round in 0..50 {
        let target = root.path().join(format!("m{round}"));
        // Every other round publishes empty directories, which a bare rename would replace in silence.
        let publish = || {
            let stage = Stage::new(root.path(), Durability::Process);
            let dir = stage.dir().unwrap();
            if round % 2 == 0 {
                File::create(dir.path().join("mesh")).unwrap();
            }
            dir.publish(&target)
        };
        let outcomes = thread::scope(|scope| {
            [(); 4].map(|()| scope.spawn(publish)).map(|racer| racer.join().unwrap())
        });
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        let lost = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        assert!(lost.into_iter().all(|error| error.kind() == ErrorKind::Conflict));
    }
}

#[cfg(unix)]
#[test]
fn a_directory_that_may_not_be_written_is_removed_all_the_same() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let stage = Stage::new(root.path(), Durability::Process);
    let dir = stage.dir().unwrap();
    let sealed = dir.path().join("pkg/sealed");
    fs::create_dir_all(&sealed).unwrap();
    File::create(sealed.join("file")).unwrap();
    fs::set_permissions(&sealed, fs::Permissions::from_mode(0o555)).unwrap();
    dir.publish(&root.path().join("m")).unwrap();
    assert!(stage.discard(&root.path().join("m")).unwrap());
    drop(stage);
    assert_eq!(count(&area::stage_dir(root.path())), 1, "only the sweepers' lock stays");
}

#[test]
fn discards_a_tree_and_says_whether_there_was_one() {
    let root = tempfile::tempdir().unwrap();
    let stage = Stage::new(root.path(), Durability::Process);
    let target = root.path().join("m");
    fs::create_dir_all(target.join("x/y")).unwrap();
    assert!(stage.discard(&target).unwrap());
    assert!(!stage.discard(&target).unwrap());
    assert!(!target.exists());
}

#[test]
fn what_is_retired_is_whole_elsewhere_and_then_removed() {
    let root = tempfile::tempdir().unwrap();
    let stage = Stage::new(root.path(), Durability::Process);
    let (target, trash) = (root.path().join("m"), root.path().join("trash"));
    fs::create_dir_all(target.join("x/y")).unwrap();
    fs::create_dir(&trash).unwrap();
    assert!(stage.retire(&target, &trash.join("1")).unwrap());
    assert!(!target.exists() && trash.join("1/x/y").is_dir());
    assert!(!stage.retire(&target, &trash.join("2")).unwrap(), "there is none any more");
    assert!(remove_dir(&trash.join("1")).unwrap() && !remove_dir(&trash.join("1")).unwrap());

    fs::create_dir(&target).unwrap();
    let nowhere = stage.retire(&target, &root.path().join("no/such/place"));
    assert!(nowhere.is_err() && target.is_dir(), "what cannot be moved stays");
}

#[test]
fn the_dead_are_swept_and_the_living_kept() {
    let root = tempfile::tempdir().unwrap();
    let stage_dir = area::stage_dir(root.path());
    let living = Stage::new(root.path(), Durability::Process);
    let kept = living.file().unwrap();

    // What a killed process leaves: an area, its lock file, or either alone.
    for (dir, lock) in [(true, true), (true, false), (false, true)] {
        let area = stage_dir.join(uuid::Uuid::new_v4().simple().to_string());
        if dir {
            fs::create_dir(&area).unwrap();
            File::create(area.join("0")).unwrap();
        }
        if lock {
            File::create(area.with_extension("lock")).unwrap();
        }
    }
    assert_eq!(Stage::sweep(root.path()).unwrap(), 3);
    assert_eq!(Stage::sweep(root.path()).unwrap(), 0);
    assert_eq!(count(&stage_dir), 3, "the sweepers' lock, the living area and its lock");
    assert!(kept.path().exists());
}

#[test]
fn sweeping_nothing_makes_nothing() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(Stage::sweep(root.path()).unwrap(), 0);
    assert_eq!(count(root.path()), 0);
}

#[test]
fn what_is_set_aside_is_moved_whole_and_over_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (damaged, aside) = (root.path().join("damaged"), root.path().join("aside/damaged"));
    fs::write(&damaged, b"evidence").unwrap();
    set_aside(&damaged, &aside).unwrap();
    assert!(!damaged.exists());
    assert_eq!(fs::read(&aside).unwrap(), b"evidence");

    fs::write(&damaged, b"more").unwrap();
    assert_eq!(set_aside(&damaged, &aside).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(fs::read(&damaged).unwrap(), b"more");
    assert_eq!(fs::read(&aside).unwrap(), b"evidence");
}
