use std::{
    fs::{self, File},
    path::Path,
};

use futures_util::{TryStreamExt, future};
use larder_storage::{Durability, LocalStorage, Storage};
use object_store::{ObjectStore, local::LocalFileSystem};

use super::{ROUNDS, ready};
use crate::{
    Outcome,
    rounds::{Table, Work, compare},
};

const DIRECTORIES: usize = 100;
const FILES: usize = 1000;

/// Every object under a root, once in each call.
pub(super) fn all(dir: &Path) -> Outcome<Table> {
    fill(dir)?;
    let storage = LocalStorage::open(dir, Durability::Process)?;
    let store = LocalFileSystem::new_with_prefix(dir)?;

    let floor: Work<'_> = Box::new(|_| check(count(dir)?));
    let keys: Work<'_> = Box::new(|_| {
        let mut found = 0;
        for key in storage.keys(None)? {
            found += usize::from(!key?.as_str().is_empty());
        }
        check(found)
    });
    let entries: Work<'_> = Box::new(|_| {
        let mut found = 0;
        for entry in storage.list(None)? {
            found += usize::from(entry?.len == 0);
        }
        check(found)
    });
    let object_store: Work<'_> = Box::new(|_| {
        let counted = store
            .list(None)
            .try_fold(0, |found, object| future::ready(Ok(found + usize::from(object.size == 0))));
        check(ready(counted)??)
    });
    let contenders = vec![
        ("bare readdir, names alone", floor),
        ("Larder, keys", keys),
        ("Larder, entries", entries),
        ("object_store", object_store),
    ];
    compare("list 100,000 objects in 100 directories", ROUNDS, 1, contenders)
}

fn fill(root: &Path) -> Outcome {
    for directory in 0..DIRECTORIES {
        let directory = root.join(format!("d{directory:03}"));
        fs::create_dir(&directory)?;
        for file in 0..FILES {
            File::create(directory.join(format!("object-{file:06}")))?;
        }
    }
    Ok(())
}

/// The files below `dir`, told from directories by the directory alone.
fn count(dir: &Path) -> std::io::Result<usize> {
    let mut found = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        found += if entry.file_type()?.is_dir() { count(&entry.path())? } else { 1 };
    }
    Ok(found)
}

fn check(found: usize) -> Outcome {
    if found == DIRECTORIES * FILES { Ok(()) } else { Err(format!("found {found} objects").into()) }
}
