//! What it takes to make a new entry.

use std::{fs, path::PathBuf};

use larder_storage::{Durability, Error};
use serde_json::json;

use super::shelf::{CONTENT, FILES, Shelf, at_numbers, check_files, open, write_files};
use crate::{
    Outcome,
    rounds::{Table, Turn, compare_turns},
};

const ROUNDS: usize = 10;
const CALLS: usize = 100;

pub(super) fn all(shelf: &Shelf<'_>) -> Outcome<Table> {
    let mut contenders = vec![
        ("bare mkdir, writes, rename", bare(shelf.dirs.next()?)?),
        ("Larder, Scratch", larder(shelf.dirs.next()?, Durability::Scratch)?),
        ("Larder, Process", larder(shelf.dirs.next()?, Durability::Process)?),
        ("cacache, a content each", cacache(shelf.dirs.next()?)),
    ];
    for (name, kind) in [("lock and rename, Python", "lock"), ("vcti-file-cache", "vcti")] {
        let root = shelf.dirs.next()?;
        contenders.extend(shelf.remote(name, move |round| {
            let keys: Vec<_> = fresh(round).into_iter().map(name_of).collect();
            json!({ "request": "build", "kind": kind, "root": root, "keys": keys })
        }));
    }
    compare_turns("build of an entry of 4 files of 4 KiB", ROUNDS, contenders)
}

/// Numbers of entries that no other round builds.
fn fresh(round: usize) -> Vec<usize> {
    (round * CALLS..(round + 1) * CALLS).collect()
}

fn name_of(number: usize) -> String {
    format!("model_{number:06}")
}

fn bare<'a>(dir: PathBuf) -> Outcome<Turn<'a>> {
    let stages = dir.join("stage");
    fs::create_dir(&stages)?;
    Ok(at_numbers(fresh, move |number| {
        let (stage, entry) = (stages.join(name_of(number)), dir.join(name_of(number)));
        fs::create_dir(&stage)?;
        write_files(&stage)?;
        Ok(fs::rename(stage, entry)?)
    }))
}

fn larder<'a>(dir: PathBuf, durability: Durability) -> Outcome<Turn<'a>> {
    let cache = open(&dir, durability)?;
    Ok(at_numbers(fresh, move |number| {
        let lease = cache.get_or_build(&name_of(number), |stage| {
            write_files(stage).map_err(|error| Error::io(error, "cannot write the files"))
        })?;
        if !lease.built() {
            return Err("the entry was there".into());
        }
        // Of one, as a look at each would be timed.
        if number == 0 { check_files(lease.path()) } else { Ok(()) }
    }))
}

/// Four contents, each under a key of its own; they are the same bytes, but each is hashed and written.
fn cacache<'a>(dir: PathBuf) -> Turn<'a> {
    at_numbers(fresh, move |number| {
        for name in FILES {
            cacache::write_sync(&dir, format!("{}/{name}", name_of(number)), CONTENT)?;
        }
        Ok(())
    })
}
