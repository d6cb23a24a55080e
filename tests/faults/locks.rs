//! Who has to wait for whom, seen in the kernel's own list of locks.

use std::{fs, os::unix::fs::MetadataExt, thread};

use larder_storage::{lock::FileLock, publish::Stage};

use super::*;

/// Holds the lock `file` and runs `work`, which has to wait for it; then lets go of it by `release`.
#[track_caller]
fn assert_waits(file: &Path, work: impl FnOnce() + Send, release: impl FnOnce(FileLock)) {
    let held = FileLock::exclusive(file).unwrap();
    let inode = format!(":{} ", fs::metadata(file).unwrap().ino());
    thread::scope(|scope| {
        let worker = scope.spawn(work);
        loop {
            // Waiters are the lines with an arrow.
            let locks = fs::read_to_string("/proc/locks").unwrap();
            if locks.lines().any(|line| line.contains("->") && line.contains(&inode)) {
                break;
            }
            assert!(!worker.is_finished(), "nobody waited for {}", file.display());
            thread::yield_now();
        }
        release(held);
    });
}

#[test]
fn whoever_changes_something_waits_for_its_lock() {
    if !Path::new("/proc/locks").exists() {
        return not_possible("locks are waited for", "no /proc/locks: this needs Linux");
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    prepare(root);
    let storage = LocalStorage::open(root, Durability::Process).unwrap();
    let old = Key::new("old/a").unwrap();
    let stripe = larder_storage::Digest::of(old.as_str().as_bytes()).as_bytes()[0];
    let stripe = root.join(format!(".larder/locks/{stripe:02x}"));
    assert_waits(&stripe, || storage.put(&old, "new".into(), PutIf::Always).unwrap(), drop);
    assert_waits(&stripe, || storage.create(&old).unwrap().commit(PutIf::Always).unwrap(), drop);
    assert_waits(&stripe, || assert!(storage.remove(&old).unwrap()), drop);

    let publish = || storage.stage().dir().unwrap().publish(&root.join("trees/new")).unwrap();
    assert_waits(&root.join(".larder/locks/publish"), publish, drop);

    let sweepers = root.join(".larder/stage/lock");
    let other = Stage::new(root, Durability::Process);
    assert_waits(&sweepers, || drop(other.file().unwrap()), drop);
    fs::create_dir(root.join(".larder/stage/dead")).unwrap();
    assert_waits(&sweepers, || assert_eq!(Stage::sweep(root).unwrap(), 1), drop);
}

#[test]
fn whoever_waited_for_a_lock_file_that_goes_holds_the_next_one() {
    if !Path::new("/proc/locks").exists() {
        return not_possible("a removed lock is noticed", "no /proc/locks: this needs Linux");
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.lock");
    let wait = || {
        let held = FileLock::exclusive(&file).unwrap();
        assert!(FileLock::try_exclusive(&file).unwrap().is_none(), "two hold it");
        drop(held);
    };
    assert_waits(&file, wait, |held| held.remove().unwrap());
}
