//! What it takes to hold an entry that is there, and to let it go.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use larder_dir_cache::DirCache;
use serde_json::json;

use super::shelf::{FILES, Root, Shelf, at_numbers, check_files, key};
use crate::{
    Outcome,
    random::draw,
    rounds::{Table, compare_turns},
};

const ROUNDS: usize = 10;
const CALLS: usize = 2000;
/// Of the contenders in Python.
const FEW_CALLS: usize = 500;

/// At the entries of a root that Larder has adopted.
pub(super) fn all(shelf: &Shelf<'_>, root: &Root) -> Outcome<Table> {
    let (cache, bare) = (root.open()?, Bare::fill(shelf.dirs.next()?, root)?);
    let objects = fill_cacache(shelf.dirs.next()?, root.entries)?;
    let (of_vcti, locked) = (Root::fill(shelf.dirs, root.entries)?.dir, shelf.dirs.next()?);
    let names: Vec<_> = (0..root.entries).map(object).collect();
    shelf.ask(&json!({ "request": "build", "kind": "lock", "root": locked, "keys": names }))?;
    shelf.dirs.settle()?;

    check_files(cache.get(&key(0))?.ok_or("the entry is gone")?.path())?;
    let before = accesses(&cache)?;
    let numbers = |round| draw(CALLS, root.entries, round);
    let lease = |number| {
        drop(cache.get(&key(number))?.ok_or("the entry is gone")?);
        Ok(())
    };
    let list = |number| {
        let list = cacache::read_sync(&objects, key(number))?;
        if list == list_of_files() { Ok(()) } else { Err("the list is another one".into()) }
    };
    let mut contenders = vec![
        ("bare open, flock, stat, close", at_numbers(numbers, |number| bare.hold(number))),
        ("Larder", at_numbers(numbers, lease)),
        ("cacache, list of the files", at_numbers(numbers, list)),
    ];
    let few = |round| draw(FEW_CALLS, root.entries, round).into_iter();
    contenders.extend(shelf.remote("lock and rename, Python", |round| {
        let keys: Vec<_> = few(round).map(object).collect();
        json!({ "request": "access", "kind": "lock", "root": locked, "keys": keys })
    }));
    contenders.extend(shelf.remote("vcti-file-cache", |round| {
        let keys: Vec<_> = few(round).map(key).collect();
        json!({ "request": "access", "kind": "vcti", "root": of_vcti, "keys": keys })
    }));
    let title = format!("lease on one of {} entries", root.entries);
    let table = compare_turns(&title, ROUNDS, contenders)?;
    if accesses(&cache)? != before + ((ROUNDS + 1) * CALLS) as u64 {
        return Err("the count of accesses is not that of the leases".into());
    }
    Ok(table)
}

/// All that Larder has counted.
fn accesses(cache: &DirCache) -> Outcome<u64> {
    Ok(cache.entries()?.iter().map(|entry| entry.access_count).sum())
}

/// The name of an entry where there are no directories above entries.
fn object(number: usize) -> String {
    format!("model_{number:06}")
}

/// System calls on a lock file and a directory for each entry.
struct Bare<'a> {
    locks: PathBuf,
    entries: &'a Path,
}

impl<'a> Bare<'a> {
    fn fill(locks: PathBuf, root: &'a Root) -> Outcome<Self> {
        for number in 0..root.entries {
            File::create(locks.join(object(number)))?;
        }
        Ok(Self { locks, entries: &root.dir })
    }

    fn hold(&self, number: usize) -> Outcome {
        let lock = File::open(self.locks.join(object(number)))?;
        lock.lock_shared()?;
        let is_dir = fs::metadata(self.entries.join(key(number)))?.is_dir();
        if is_dir { Ok(()) } else { Err("the entry is gone".into()) }
    }
}

/// For each entry the names of its files, as they would be listed where the files themselves are contents.
fn fill_cacache(dir: PathBuf, entries: usize) -> Outcome<PathBuf> {
    for number in 0..entries {
        cacache::write_sync(&dir, key(number), list_of_files())?;
    }
    Ok(dir)
}

fn list_of_files() -> Vec<u8> {
    FILES.join("\n").into_bytes()
}
