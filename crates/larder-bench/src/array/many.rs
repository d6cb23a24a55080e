//! What it takes to open a store of many arrays.

use std::{fs, path::Path};

use larder_lazy_array::{ArrayStore, Options};
use larder_storage::Durability;
use ndarray::Array2;
use serde_json::json;

use super::shelf::{Shelf, store};
use crate::{
    Outcome,
    rounds::{Table, Turn, compare_turns, once},
};

const ROUNDS: usize = 10;
const ARRAYS: usize = 10_000;

pub(super) fn all(shelf: &Shelf<'_>) -> Outcome<Table> {
    let dir = shelf.dirs.next()?;
    let filled = store(&dir, Durability::Scratch)?;
    for number in 0..ARRAYS {
        filled.insert(&format!("array-{number:05}"), Array2::from_elem((4, 4), number as f32))?;
    }
    drop(filled);
    let mut contenders = vec![
        ("bare readdir", counted(|| bare(&dir))),
        ("Larder, keys", counted(|| Ok(open(&dir)?.keys()?.len()))),
        ("Larder, status", counted(|| Ok(usize::try_from(open(&dir)?.status()?.arrays)?))),
    ];
    let request = json!({ "request": "open", "dir": dir, "count": ARRAYS });
    contenders.extend(shelf.remote("gsegutils, keys", move |_| request.clone()));
    let table = compare_turns("open a store of 10,000 arrays", ROUNDS, contenders)?;
    Ok(Table { things: ARRAYS, ..table })
}

fn open(dir: &Path) -> Outcome<ArrayStore> {
    Ok(ArrayStore::open(dir, Options::default())?)
}

/// The arrays by their names alone.
fn bare(dir: &Path) -> Outcome<usize> {
    let mut arrays = 0;
    for entry in fs::read_dir(dir)? {
        arrays += usize::from(entry?.file_name().as_encoded_bytes().ends_with(b".npy"));
    }
    Ok(arrays)
}

fn counted<'a>(count: impl Fn() -> Outcome<usize> + 'a) -> Turn<'a> {
    Box::new(move |_| {
        once(|| match count()? {
            ARRAYS => Ok(()),
            other => Err(format!("found {other} of {ARRAYS} arrays").into()),
        })
    })
}
