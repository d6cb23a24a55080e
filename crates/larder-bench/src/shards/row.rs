//! What it takes to get one row by its key.

use std::{collections::HashMap, fs::File, hint::black_box, os::unix::fs::FileExt};

use larder_embedding_shards::WindowKey;
use serde_json::json;

use super::{blobs::Blobs, shelf::Shelf};
use crate::{
    Outcome,
    random::draw,
    rounds::{Table, Turn, compare_turns, each},
};

const ROUNDS: usize = 10;
const ROWS: usize = 2000;

pub(super) fn all(shelf: &Shelf<'_>) -> Outcome<Table> {
    let (bare, cache) = (Bare::open(shelf)?, shelf.larder()?);
    let blobs = Blobs::open(&shelf.blobs())?;
    let in_one = Blobs::open_transaction(&shelf.blobs())?;
    let is_row = |found: &Vec<u8>, row| *found == shelf.data.row(row);
    let mut contenders = vec![
        ("bare HashMap, pread", at_keys(&shelf.keys, |key| bare.read(key), is_row)),
        (
            "Larder",
            at_keys(
                &shelf.keys,
                |key| Ok(cache.read(key)?),
                |found, row| *found == Some(shelf.data.embedding(row)),
            ),
        ),
        (
            "Larder, index alone",
            at_keys(&shelf.keys, |key| Ok(cache.contains(key)?), |found, _| *found),
        ),
        ("SQLite BLOBs, one transaction", at_keys(&shelf.keys, |key| in_one.read(key), is_row)),
        ("SQLite BLOBs", at_keys(&shelf.keys, |key| blobs.read(key), is_row)),
    ];
    let remote = [
        ("Arrow IPC, mapped", "ipc", ROWS),
        ("Lance", "lance", 200),
        ("pyarrow, row group", "parquet", 200),
        ("DuckDB", "duckdb", 100),
        ("geno-lewm", "geno", 1),
    ];
    for (name, kind, count) in remote {
        contenders.extend(shelf.remote(name, 1.0, move |round| {
            let numbers = draw(count, shelf.data.rows, round);
            json!({ "request": "rows", "kind": kind, "numbers": numbers })
        }));
    }
    compare_turns(&format!("a row by key, {}", shelf.data.name), ROUNDS, contenders)
}

/// A contender in Rust at random keys, whose results on all keys are checked before it is timed.
pub(super) fn at_keys<'a, T>(
    keys: &'a [WindowKey],
    mut work: impl FnMut(&WindowKey) -> Outcome<T> + 'a,
    is_right: impl Fn(&T, usize) -> bool + 'a,
) -> Turn<'a> {
    Box::new(move |round| {
        if round == 0 {
            for (row, key) in keys.iter().enumerate() {
                if !is_right(&work(key)?, row) {
                    return Err(format!("row {row} is another one").into());
                }
            }
        }
        each(1, &draw(ROWS, keys.len(), round), |row| {
            black_box(work(&keys[*row])?);
            Ok(())
        })
    })
}

/// A flat file, and the rows by key in memory.
struct Bare<'a> {
    file: File,
    row_bytes: usize,
    rows: HashMap<&'a WindowKey, usize>,
}

impl<'a> Bare<'a> {
    fn open(shelf: &'a Shelf<'_>) -> Outcome<Self> {
        let rows = shelf.keys.iter().enumerate().map(|(row, key)| (key, row)).collect();
        Ok(Self { file: File::open(shelf.bare())?, row_bytes: shelf.data.row_bytes(), rows })
    }

    fn read(&self, key: &WindowKey) -> Outcome<Vec<u8>> {
        let row = self.rows.get(key).ok_or("the key is gone")?;
        let mut bytes = vec![0; self.row_bytes];
        self.file.read_exact_at(&mut bytes, (row * self.row_bytes) as u64)?;
        Ok(bytes)
    }
}
