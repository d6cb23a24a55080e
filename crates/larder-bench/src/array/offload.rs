//! What it takes to get an array out of memory.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use larder_lazy_array::LazyArray;
use larder_storage::Durability;
use rustix::fs::{FallocateFlags, fallocate};
use serde_json::json;

use super::shelf::{NAME, Shelf, get, store};
use crate::{
    Outcome,
    rounds::{Table, Turn, compare_turns, once, timed},
};

const ROUNDS: usize = 11;

pub(super) fn unflushed(shelf: &Shelf<'_>) -> Outcome<Table> {
    let mut contenders = vec![
        ("bare write", file(shelf, |path| bare(shelf, path).map(drop))?),
        ("bare fallocate, write", file(shelf, |path| reserved(shelf, path).map(drop))?),
        ("bare write, memory freed", freed(shelf)?),
        ("Larder, Scratch", spill(shelf)?),
        (
            "ndarray-npy, write_npy",
            file(shelf, |path| Ok(ndarray_npy::write_npy(path, &shelf.array)?))?,
        ),
        ("safetensors", file(shelf, |path| shelf.write_safetensors(path))?),
    ];
    // The floor follows the last one, which should leave the disk nothing to do.
    let remote = [
        ("zarr", "zarr"),
        ("gsegutils, its own file", "own"),
        ("gsegutils, mapped", "mapped"),
        ("numpy.save", "numpy"),
    ];
    contenders.extend(saved(shelf, &remote)?);
    compare_turns(&format!("offload of {}", shelf.size()), ROUNDS, contenders)
}

pub(super) fn flushed(shelf: &Shelf<'_>) -> Outcome<Table> {
    let mut contenders = vec![
        ("bare write, fsync", file(shelf, |path| Ok(bare(shelf, path)?.sync_all()?))?),
        (
            "bare fallocate, write, fsync",
            file(shelf, |path| Ok(reserved(shelf, path)?.sync_all()?))?,
        ),
        ("bare write, fsync, rename", replaced(shelf)?),
        ("Larder, Power", flush(shelf)?),
        ("Larder, Power, new", insert(shelf)?),
    ];
    let remote = [("gsegutils, pair", "pair"), ("numpy.save, fsync", "numpy_flushed")];
    contenders.extend(saved(shelf, &remote)?);
    compare_turns(&format!("offload of {}, flushed", shelf.size()), ROUNDS, contenders)
}

/// Writes a file, which is removed before the next one begins.
fn file<'a>(shelf: &'a Shelf<'_>, write: impl Fn(&Path) -> Outcome + 'a) -> Outcome<Turn<'a>> {
    let path = shelf.dirs.next()?.join(NAME);
    Ok(Box::new(move |round| {
        shelf.dirs.settle()?;
        let took = once(|| write(&path))?;
        check(round > 0 || fs::read(&path)?.ends_with(&shelf.bytes))?;
        fs::remove_file(&path)?;
        Ok(took)
    }))
}

fn bare(shelf: &Shelf<'_>, path: &Path) -> Outcome<File> {
    let mut file = File::create(path)?;
    file.write_all(&shelf.bytes)?;
    Ok(file)
}

/// Takes the room on the disk before it writes.
fn reserved(shelf: &Shelf<'_>, path: &Path) -> Outcome<File> {
    let mut file = File::create(path)?;
    fallocate(&file, FallocateFlags::empty(), 0, shelf.bytes.len() as u64)?;
    file.write_all(&shelf.bytes)?;
    Ok(file)
}

/// Frees as much memory as it writes, as a spill does.
fn freed<'a>(shelf: &'a Shelf<'_>) -> Outcome<Turn<'a>> {
    let path = shelf.dirs.next()?.join(NAME);
    Ok(Box::new(move |_| {
        let array = shelf.array.clone();
        shelf.dirs.settle()?;
        let (took, ()) = timed(|| {
            bare(shelf, &path)?;
            drop(array);
            Ok(())
        })?;
        fs::remove_file(&path)?;
        Ok(vec![took])
    }))
}

/// Replaces a file by another one, as a flush does.
fn replaced<'a>(shelf: &'a Shelf<'_>) -> Outcome<Turn<'a>> {
    let dir = shelf.dirs.next()?;
    let (stage, path) = (dir.join("stage"), dir.join(NAME));
    bare(shelf, &path)?;
    Ok(Box::new(move |_| {
        shelf.dirs.settle()?;
        once(|| {
            bare(shelf, &stage)?.sync_all()?;
            fs::rename(&stage, &path)?;
            Ok(File::open(&dir)?.sync_all()?)
        })
    }))
}

fn spill<'a>(shelf: &'a Shelf<'_>) -> Outcome<Turn<'a>> {
    let dir = shelf.dirs.next()?;
    store(&dir, Durability::Scratch)?.insert(NAME, shelf.array.clone())?;
    Ok(Box::new(move |round| {
        let array = get(&dir, Durability::Scratch)?;
        edit(&array)?;
        shelf.dirs.settle()?;
        let took = once(|| check(array.offload()?))?;
        check(round > 0 || *array.read()? == shelf.array.view().into_dyn())?;
        Ok(took)
    }))
}

fn flush<'a>(shelf: &'a Shelf<'_>) -> Outcome<Turn<'a>> {
    let dir = shelf.dirs.next()?;
    store(&dir, Durability::Power)?.insert(NAME, shelf.array.clone())?;
    Ok(Box::new(move |round| {
        let array = get(&dir, Durability::Power)?;
        edit(&array)?;
        shelf.dirs.settle()?;
        let took = once(|| Ok(array.flush()?))?;
        check(round > 0 || is_whole(&dir, shelf)?)?;
        Ok(took)
    }))
}

fn insert<'a>(shelf: &'a Shelf<'_>) -> Outcome<Turn<'a>> {
    let dir = shelf.dirs.next()?;
    let store = store(&dir, Durability::Power)?;
    Ok(Box::new(move |round| {
        let array = shelf.array.clone();
        shelf.dirs.settle()?;
        let (took, _array) = timed(|| Ok(store.insert(NAME, array)?))?;
        check(round > 0 || is_whole(&dir, shelf)?)?;
        store.remove(NAME)?;
        Ok(vec![took])
    }))
}

/// An edit that changes nothing, so that the array can be compared.
fn edit(array: &LazyArray<f32>) -> Outcome {
    let mut guard = array.write()?;
    guard[[0, 0]] += 0.0;
    Ok(())
}

/// Whether a store that is opened now has the array.
fn is_whole(dir: &Path, shelf: &Shelf<'_>) -> Outcome<bool> {
    Ok(*get(dir, Durability::Scratch)?.read()? == shelf.array.view().into_dyn())
}

fn check(is_right: bool) -> Outcome {
    if is_right { Ok(()) } else { Err("the array is not what was offloaded".into()) }
}

/// Those in Python, by name and kind.
fn saved<'a>(
    shelf: &'a Shelf<'_>,
    kinds: &[(&'static str, &'static str)],
) -> Outcome<Vec<(&'a str, Turn<'a>)>> {
    let mut contenders = Vec::new();
    for (name, kind) in kinds.iter().copied() {
        let dir = shelf.dirs.next()?;
        contenders.extend(shelf.remote(name, move |round| {
            json!({ "request": "save", "kind": kind, "dir": dir.join("save"), "check": round == 0 })
        }));
    }
    Ok(contenders)
}
