//! Local storage against bare system calls.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use larder_storage::{Bytes, Durability, Key, LocalStorage, PutIf, Storage};

use crate::{
    Outcome,
    rounds::{Work, compare},
};

const ROUNDS: usize = 40;

pub(crate) fn run() -> Outcome {
    for (label, len) in [("400 B", 400), ("64 KiB", 65_536)] {
        let bytes = Bytes::from(vec![7; len]);
        for fresh in [true, false] {
            let what = if fresh { "fresh name" } else { "overwrite" };
            put(&format!("put {label}, {what}, Process"), &bytes, Durability::Process, fresh, 50)?;
            put(&format!("put {label}, {what}, Power"), &bytes, Durability::Power, fresh, 4)?;
        }
        get(&format!("get {label}"), &bytes)?;
    }
    range()
}

/// On the file system that builds lie on, which is seldom one in memory.
fn directory() -> std::io::Result<tempfile::TempDir> {
    tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target"))
}

/// The name of a call: one of its own, or one of eight.
fn name(call: usize, fresh: bool) -> String {
    if fresh { format!("o{call}") } else { format!("o{}", call % 8) }
}

fn put(title: &str, bytes: &Bytes, durability: Durability, fresh: bool, calls: usize) -> Outcome {
    let dir = directory()?;
    let bare = dir.path().join("bare");
    fs::create_dir(&bare)?;
    let storage = LocalStorage::open(dir.path().join("larder"), durability)?;
    let floor: Work<'_> =
        Box::new(|call| bare_put(&bare, &name(call, fresh), bytes, durability.syncs()));
    let ours: Work<'_> = Box::new(|call| {
        Ok(storage.put(&Key::new(name(call, fresh))?, bytes.clone(), PutIf::Always)?)
    });
    compare(title, ROUNDS, calls, vec![("bare write and rename", floor), ("LocalStorage", ours)])
}

fn bare_put(dir: &Path, name: &str, bytes: &[u8], sync: bool) -> Outcome {
    let stage = dir.join("stage");
    let mut file = File::create(&stage)?;
    file.write_all(bytes)?;
    if sync {
        file.sync_all()?;
    }
    drop(file);
    fs::rename(&stage, dir.join(name))?;
    if sync {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

fn get(title: &str, bytes: &Bytes) -> Outcome {
    let dir = directory()?;
    let storage = LocalStorage::open(dir.path(), Durability::Scratch)?;
    let key = Key::new("object")?;
    storage.put(&key, bytes.clone(), PutIf::Always)?;
    let path = storage.path(&key)?;
    let floor: Work<'_> = Box::new(|_| {
        let mut read = Vec::with_capacity(bytes.len());
        File::open(&path)?.read_to_end(&mut read)?;
        assert_eq!(read.len(), bytes.len());
        Ok(())
    });
    let ours: Work<'_> = Box::new(|_| {
        let object = storage.get(&key)?.ok_or("the object is gone")?;
        assert_eq!(object.bytes().len(), bytes.len());
        Ok(())
    });
    compare(title, ROUNDS, 500, vec![("bare open and read", floor), ("LocalStorage", ours)])
}

fn range() -> Outcome {
    const LEN: usize = 2048;
    let dir = directory()?;
    let storage = LocalStorage::open(dir.path(), Durability::Scratch)?;
    let key = Key::new("object")?;
    storage.put(&key, vec![7; 1024 * LEN].into(), PutIf::Always)?;
    let file = File::open(storage.path(&key)?)?;
    let reader = storage.open(&key)?.ok_or("the object is gone")?;
    let offset = |call: usize| (call * 7919 % 1024 * LEN) as u64;
    let (mut one, mut two) = ([0; LEN], [0; LEN]);
    let floor: Work<'_> = Box::new(|call| Ok(file.read_exact_at(&mut one, offset(call))?));
    let ours: Work<'_> = Box::new(|call| Ok(reader.read_at(offset(call), &mut two)?));
    compare(
        "read 2 KiB through an open reader",
        ROUNDS,
        2000,
        vec![("bare pread", floor), ("LocalStorage", ours)],
    )
}
