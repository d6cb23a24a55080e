//! What it takes to open a root of many entries, and to measure all of them.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path, process::Command};

use serde_json::json;

use super::shelf::{CONTENT, FILES, Root, Shelf, at_numbers};
use crate::{
    Outcome,
    rounds::{Table, Turn, compare_turns, once, timed},
};

const ROUNDS: usize = 5;

/// Opens a cache that nobody else has open.
pub(super) fn open(root: &Root) -> Outcome<Table> {
    let open: Turn<'_> = Box::new(|_| {
        let (took, cache) = timed(|| root.open())?;
        root.check(&cache)?;
        Ok(vec![took])
    });
    let list: Turn<'_> = Box::new(|_| {
        let (took, names) = timed(|| Ok(names(&root.dir)?))?;
        if names < root.entries { Err("a name is missing".into()) } else { Ok(vec![took]) }
    });
    let contenders = vec![("bare listing of the entries", list), ("Larder", open)];
    compare_turns(&format!("open of a root of {} entries", root.entries), ROUNDS, contenders)
}

/// Measures all entries, of which none has changed.
pub(super) fn recount(shelf: &Shelf<'_>, root: &Root) -> Outcome<Table> {
    let (cache, keys, size) = (root.open()?, root.keys(), blocks(&root.dir)?);
    let recount = |_| {
        let found = cache.recount()?;
        let is_right = (found.entries, found.size) == (root.entries as u64, size);
        if is_right && found.corrected.is_empty() { Ok(()) } else { Err("another size".into()) }
    };
    let mut contenders = vec![
        ("du -s", Box::new(|_| once(|| du(&root.dir, size))) as Turn<'_>),
        ("bare walk of all files", Box::new(|_| once(|| blocks(&root.dir).map(drop)))),
        ("Larder", at_numbers(|_| vec![0], recount)),
    ];
    contenders.extend(shelf.remote("vcti-file-cache, its walk", move |_| {
        let size = root.entries * FILES.len() * CONTENT.len();
        json!({ "request": "walk", "root": root.dir, "keys": keys, "size": size })
    }));
    let title = format!("recount of {} entries of 4 files", root.entries);
    compare_turns(&title, ROUNDS, contenders)
}

/// What all entries occupy, with their own directories, in bytes.
pub(super) fn blocks(dir: &Path) -> Outcome<u64> {
    let mut sum = 0;
    for child in fs::read_dir(dir)? {
        let child = child?;
        let name = child.file_name();
        // What is Larder's own, and what begins with `.cache_meta`.
        if name.as_encoded_bytes().starts_with(b".") || name == "CACHEDIR.TAG" {
            continue;
        }
        let found = child.metadata()?;
        if found.is_dir() {
            sum += blocks(&child.path())?;
        }
        // The directories above entries are nobody's.
        if !found.is_dir() || child.path().join(".cache_meta").exists() {
            sum += found.blocks() * 512;
        }
    }
    Ok(sum)
}

/// How many names there are in the directories that hold entries.
fn names(root: &Path) -> io::Result<usize> {
    let mut count = 0;
    for above in fs::read_dir(root)? {
        let above = above?;
        if above.file_type()?.is_dir() {
            count += fs::read_dir(above.path())?.count();
        }
    }
    Ok(count)
}

/// The size with directories and `.cache_meta`, so it is at least that of the files.
fn du(dir: &Path, size: u64) -> Outcome {
    let output = Command::new("du").args(["-s", "--block-size=1"]).arg(dir).output()?;
    let text = String::from_utf8(output.stdout)?;
    let total: u64 = text.split_whitespace().next().unwrap_or_default().parse()?;
    if total >= size { Ok(()) } else { Err("du has counted less".into()) }
}
