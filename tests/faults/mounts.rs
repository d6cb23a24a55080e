//! A disk that is full, and one that may only be read.

use std::{
    thread,
    time::{Duration, Instant},
};

use larder_storage::ErrorKind;

use super::*;
use crate::support::{is_installed, may_mount};

/// A small file system in memory.
pub(crate) struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// One of this size, as `mount` reads it, or `None` where this machine allows none: then `test` counts as skipped.
    pub(crate) fn make(test: &str, size: &str) -> Option<Self> {
        if !is_installed("mount") {
            skip(test, "no mount: install the package of that name");
            return None;
        }
        if !may_mount() {
            not_possible(test, "mounting a tmpfs needs Linux and root");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "larder-test"]).arg(dir.path());
        let output = mount.output().unwrap();
        assert!(output.status.success(), "no disk for {test}: {}", text(&output.stderr));
        Some(Self(dir))
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    pub(crate) fn make_read_only(&self) {
        let mut mount = Command::new("mount");
        mount.args(["-o", "remount,ro"]).arg(self.0.path());
        let start = Instant::now();
        // A child that another test forks right now may hold a file open that was written.
        while !mount.output().unwrap().status.success() {
            assert!(start.elapsed() < Duration::from_secs(20), "it is in use: {mount:?}");
        }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: what another test's child holds for a moment is in nobody's way.
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

#[test]
fn a_full_disk_is_told_and_keeps_the_old_objects() {
    let Some(disk) = Tmpfs::make("a full disk", "256k") else { return };
    let root = disk.root();
    let old = prepare(&root);
    let storage = LocalStorage::open(&root, Durability::Power).unwrap();
    for name in ["old/a", "fresh"] {
        let put = storage.put(&key(name), vec![0; 1 << 20].into(), PutIf::Always);
        assert_eq!(put.unwrap_err().kind(), ErrorKind::Full);
        let mut upload = storage.create(&key(name)).unwrap();
        let written = std::io::Write::write_all(&mut upload, &[0; 1 << 20]);
        assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    }
    once_there_is_room(|| storage.put(&key("small"), "fits".into(), PutIf::Always));
    assert!(storage.remove(&key("small")).unwrap());
    drop(storage);
    assert_eq!(staged(&root), [] as [PathBuf; 0], "nothing is left behind");
    assert_eq!(state(&root), old);
}

/// What was removed takes room for as long as a child that another test forks right now holds it open, which it does
/// until its own program begins.
pub(crate) fn once_there_is_room<T>(mut operation: impl FnMut() -> larder_storage::Result<T>) -> T {
    let start = Instant::now();
    loop {
        match operation() {
            Ok(done) => return done,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full, "{error}");
                assert!(start.elapsed() < Duration::from_secs(20), "there is never room: {error}");
                thread::yield_now();
            }
        }
    }
}

#[test]
fn a_read_only_disk_is_read_and_refuses_the_rest() {
    let Some(disk) = Tmpfs::make("a read-only disk", "256k") else { return };
    let root = disk.root();
    let old = prepare(&root);
    disk.make_read_only();
    assert_eq!(state(&root), old);
    let storage = LocalStorage::open(&root, Durability::Power).unwrap();
    let failures = [
        storage.put(&key("old/a"), "new".into(), PutIf::Always).unwrap_err(),
        storage.create(&key("fresh")).unwrap_err(),
        storage.remove(&key("old/a")).unwrap_err(),
        LocalStorage::open(root.join("new"), Durability::Process).unwrap_err(),
    ];
    for error in failures {
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    }
    drop(storage);
    assert_eq!(state(&root), old);
}
