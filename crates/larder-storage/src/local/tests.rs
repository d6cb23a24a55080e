use std::fs::File;

use super::*;
use crate::StorageExt;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn open(dir: &Path) -> LocalStorage {
    LocalStorage::open(dir, Durability::Process).unwrap()
}

#[test]
fn keeps_the_contract_at_every_durability() {
    for durability in [Durability::Scratch, Durability::Process, Durability::Power] {
        let dir = tempfile::tempdir().unwrap();
        let mut fresh = 0..;
        crate::testing::conformance(|| {
            let root = dir.path().join(fresh.next().unwrap_or(0).to_string());
            LocalStorage::open(root, durability).unwrap()
        });
    }
}

#[test]
fn objects_are_plain_files_and_nothing_else_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    storage.put(&key("a/b.json"), "{}".into(), PutIf::Always).unwrap();
    assert_eq!(fs::read(dir.path().join("a/b.json")).unwrap(), b"{}");
    File::create(dir.path().join("no:key")).unwrap();
    File::create(dir.path().join("CON")).unwrap();
    let listed: Vec<_> = storage.list(None).unwrap().map(|entry| entry.unwrap().key).collect();
    assert_eq!(listed, [key("a/b.json")]);
    let prefixes = [None, Some(key("a")), Some(key("a/b.json"))];
    for prefix in prefixes {
        let keys = storage.keys(prefix.as_ref()).unwrap().collect::<Result<Vec<_>>>();
        assert_eq!(keys.unwrap(), [key("a/b.json")]);
    }
}

#[test]
fn a_root_that_is_a_file_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    File::create(&file).unwrap().write_all(b"precious").unwrap();
    let error = LocalStorage::open(&file, Durability::Process).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let below = LocalStorage::open(file.join("below"), Durability::Process).unwrap_err();
    assert!(below.to_string().contains("file/below"), "{below}");
    assert_eq!(fs::read(&file).unwrap(), b"precious");
}

#[test]
fn an_emptied_directory_frees_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    storage.put(&key("a/b/c"), "x".into(), PutIf::Always).unwrap();
    assert!(storage.remove(&key("a/b/c")).unwrap());
    storage.put(&key("a"), "y".into(), PutIf::Absent).unwrap();
    assert_eq!(storage.get_text(&key("a")).unwrap().as_deref(), Some("y"));
}

#[test]
fn directories_that_a_kill_left_hollow_are_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    fs::create_dir_all(dir.path().join("a/b/c")).unwrap();
    storage.put(&key("a"), "y".into(), PutIf::Absent).unwrap();
    storage.put(&key("d/e/f"), "x".into(), PutIf::Always).unwrap();
    assert_eq!(
        storage.put(&key("d"), "y".into(), PutIf::Always).unwrap_err().kind(),
        ErrorKind::Invalid
    );
    assert!(storage.get(&key("d/e/f")).unwrap().is_some());
}

#[cfg(unix)]
#[test]
fn a_pipe_is_no_object_and_nothing_to_wait_for() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let made = std::process::Command::new("mkfifo").arg(dir.path().join("pipe")).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("pipe", dir.path().join("link")).unwrap();
    for name in ["pipe", "link"] {
        assert_eq!(storage.get(&key(name)).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(storage.open(&key(name)).unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(storage.list(None).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_root_is_refused_and_one_inside_followed() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let (inside, outside) = (dir.path().join("in"), dir.path().join("out"));
    fs::create_dir(&outside).unwrap();
    File::create(outside.join("secret")).unwrap();
    let storage = open(&inside);
    storage.put(&key("real"), "x".into(), PutIf::Always).unwrap();
    symlink(&outside, inside.join("door")).unwrap();
    symlink(outside.join("secret"), inside.join("peek")).unwrap();
    symlink("real", inside.join("alias")).unwrap();
    symlink(inside.join(".larder"), inside.join("sys")).unwrap();
    symlink(inside.join(".larder/stage/lock"), inside.join("lock")).unwrap();
    fs::create_dir(outside.join("sub")).unwrap();
    File::create(outside.join("sub/secret")).unwrap();
    for prefix in ["door", "door/sub", "sys/stage"] {
        assert_eq!(
            storage.list(Some(&key(prefix))).err().map(|error| error.kind()),
            Some(ErrorKind::Invalid)
        );
    }

    for text in ["door/secret", "peek", "sys/stage/lock"] {
        assert_eq!(storage.get(&key(text)).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(storage.open(&key(text)).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(storage.remove(&key(text)).unwrap_err().kind(), ErrorKind::Invalid);
        let put = storage.put(&key(text), "y".into(), PutIf::Always);
        assert_eq!(put.unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(fs::metadata(outside.join("secret")).unwrap().len(), 0);
    assert_eq!(storage.get_text(&key("alias")).unwrap().as_deref(), Some("x"));
    let mut listed: Vec<_> =
        storage.list(None).unwrap().map(|entry| entry.unwrap().key.to_string()).collect();
    listed.sort();
    assert_eq!(listed, ["alias", "real"]);
}

#[cfg(unix)]
#[test]
fn a_link_to_a_directory_is_no_object_to_remove_or_replace() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    storage.put(&key("real/a"), "x".into(), PutIf::Always).unwrap();
    std::os::unix::fs::symlink("real", dir.path().join("alias")).unwrap();
    assert!(!storage.remove(&key("alias")).unwrap());
    let error = storage.put(&key("alias"), "y".into(), PutIf::Always).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(storage.get_text(&key("alias/a")).unwrap().as_deref(), Some("x"));
}

#[cfg(unix)]
#[test]
fn two_keys_of_one_object_lose_no_update() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    storage.put(&key("real/n"), "0".into(), PutIf::Always).unwrap();
    std::os::unix::fs::symlink("real", dir.path().join("alias")).unwrap();
    std::thread::scope(|scope| {
        for name in ["real/n", "alias/n", "real/n", "alias/n"] {
            let storage = &storage;
            scope.spawn(move || {
                (0..100).for_each(|_| crate::testing::increment(storage, &key(name)));
            });
        }
    });
    assert_eq!(storage.get_text(&key("real/n")).unwrap().as_deref(), Some("400"));
}

#[test]
fn what_is_too_large_for_memory_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    let huge = File::create(dir.path().join("huge")).unwrap();
    let len = 15 << 40;
    if huge.set_len(len).is_ok() {
        let error = storage.get_range(&key("huge"), 0, len as usize).unwrap_err();
        assert!(error.to_string().contains("too large"), "{error}");
    }
}

#[test]
fn keys_of_which_each_lies_in_the_others_way_fail_for_no_other_reason() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    std::thread::scope(|scope| {
        for name in ["a", "a/b", "a/b/c", "a/b"] {
            let storage = &storage;
            scope.spawn(move || {
                for _ in 0..150 {
                    match storage.put(&key(name), "x".into(), PutIf::Always) {
                        Ok(()) => drop(storage.remove(&key(name)).unwrap()),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}"),
                    }
                }
            });
        }
    });
}

#[test]
fn a_stage_that_something_else_removed_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    storage.put(&key("a"), "x".into(), PutIf::Always).unwrap();
    fs::remove_dir_all(dir.path().join(".larder")).unwrap();
    storage.put(&key("a"), "y".into(), PutIf::Always).unwrap();
    assert_eq!(storage.get_text(&key("a")).unwrap().as_deref(), Some("y"));
}

#[test]
fn an_upload_whose_condition_is_lost_leaves_nothing_in_the_stage() {
    for durability in [Durability::Process, Durability::Power] {
        let dir = tempfile::tempdir().unwrap();
        let storage = LocalStorage::open(dir.path(), durability).unwrap();
        let mut upload = storage.create(&key("a")).unwrap();
        upload.write_all(&[1; 100_000]).unwrap();
        storage.put(&key("a"), "first".into(), PutIf::Always).unwrap();
        assert_eq!(upload.commit(PutIf::Absent).unwrap_err().kind(), ErrorKind::Conflict);
        let areas = fs::read_dir(dir.path().join(".larder/stage")).unwrap();
        let areas = areas.map(|area| area.unwrap().path()).filter(|area| area.is_dir());
        let left: Vec<_> = areas.flat_map(|area| fs::read_dir(area).unwrap()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn an_upload_and_a_reader_outlive_the_storage() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    storage.put(&key("old"), "content".into(), PutIf::Always).unwrap();
    let reader = storage.open(&key("old")).unwrap().unwrap();
    let mut upload = storage.create(&key("new")).unwrap();
    drop(storage);
    upload.write_all(b"fresh").unwrap();
    upload.commit(PutIf::Always).unwrap();
    fs::remove_file(dir.path().join("old")).unwrap();
    let mut buf = [0; 7];
    reader.read_at(0, &mut buf).unwrap();
    assert_eq!(&buf, b"content");
    assert_eq!(fs::read(dir.path().join("new")).unwrap(), b"fresh");
}

#[test]
fn a_file_cut_short_underneath_is_an_error_not_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let storage = open(dir.path());
    storage.put(&key("a"), vec![7; 100].into(), PutIf::Always).unwrap();
    let reader = storage.open(&key("a")).unwrap().unwrap();
    File::options().write(true).open(dir.path().join("a")).unwrap().set_len(10).unwrap();
    assert_eq!(reader.read_at(50, &mut [0; 10]).unwrap_err().kind(), ErrorKind::Corrupt);
}
