use super::*;

fn count(dir: &Path) -> usize {
    fs::read_dir(dir).map_or(0, Iterator::count)
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
