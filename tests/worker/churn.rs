//! An endless row of changes, each of which follows from its number alone.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use larder_storage::{Durability, Key, LocalStorage, PutIf, Storage};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// What one change does to the object or directory of that name.
#[derive(Debug)]
pub(crate) enum Change {
    Put(String, usize),
    Upload(String, usize),
    Remove(String),
    Publish(String),
    Discard(String),
}

/// The files of each directory that is published.
pub(crate) const TREE: [&str; 3] = ["one", "deep/two", "deep/er/three"];
/// Their length.
pub(crate) const LEAF: usize = 5000;

/// The change of this number. Eight make a round, after which two objects are left, replaced in each.
pub(crate) fn change(number: u32) -> Change {
    let round = number / 8;
    match number % 8 {
        0 => Change::Put(format!("fresh/{round}"), 400),
        1 => Change::Put("replaced".into(), 20_000),
        2 => Change::Put(format!("deep/{round}/x/y"), 1),
        3 => Change::Upload("large".into(), 100_000),
        4 => Change::Publish(format!("trees/{round}")),
        5 => Change::Remove(format!("deep/{round}/x/y")),
        6 => Change::Discard(format!("trees/{round}")),
        _ => Change::Remove(format!("fresh/{round}")),
    }
}

/// What the change of this number writes.
pub(crate) fn content(number: u32, len: usize) -> Vec<u8> {
    number.to_le_bytes().into_iter().cycle().take(len).collect()
}

/// Makes one change after the other, from the number `first` on, until it is killed; each that is acknowledged is told
/// by an empty line.
pub(crate) fn churn(root: &Path, first: u32) -> Outcome {
    let storage = LocalStorage::open(root, Durability::Process)?;
    for number in first.. {
        carry_out(&storage, number)?;
        io::stdout().write_all(b"\n")?;
    }
    Ok(())
}

fn carry_out(storage: &LocalStorage, number: u32) -> Outcome {
    match change(number) {
        Change::Put(key, len) => {
            storage.put(&Key::new(key)?, content(number, len).into(), PutIf::Always)?;
        }
        Change::Upload(key, len) => {
            let mut upload = storage.create(&Key::new(key)?)?;
            upload.write_all(&content(number, len))?;
            upload.commit(PutIf::Always)?;
        }
        Change::Remove(key) => assert!(storage.remove(&Key::new(key)?)?),
        Change::Discard(tree) => assert!(storage.stage().discard(&storage.root().join(tree))?),
        Change::Publish(tree) => {
            let staged = storage.stage().dir()?;
            fs::create_dir_all(staged.path().join("deep/er"))?;
            for name in TREE {
                File::create(staged.path().join(name))?.write_all(&content(number, LEAF))?;
            }
            staged.publish(&storage.root().join(tree))?;
        }
    }
    Ok(())
}
