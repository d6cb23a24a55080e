//! What it takes to get a batch of rows.

use std::{fs::File, hint::black_box, os::unix::fs::FileExt};

use larder_embedding_shards::{Dtype, Embedding, EmbeddingCache, WindowKey, f16};
use ndarray::Array2;
use serde_json::json;

use super::shelf::Shelf;
use crate::{
    Outcome,
    random::draw,
    rounds::{Table, Turn, compare_turns, each},
};

const ROUNDS: usize = 10;
const BATCHES: usize = 20;
const ROWS: usize = 256;

/// Rows that are read at once, by number and by key.
struct Batch {
    rows: Vec<usize>,
    keys: Vec<WindowKey>,
}

pub(super) fn all(shelf: &Shelf<'_>) -> Outcome<Table> {
    let (file, cache) = (File::open(shelf.bare())?, shelf.larder()?);
    // The index is in memory, as it is where single rows are read.
    cache.contains_many(&shelf.keys)?;
    let bare = |batch: &Batch| gather(&file, shelf.data.row_bytes(), &batch.rows);
    let at_once = |batch: &Batch| Ok(cache.read_many(&batch.keys)?);
    let matrix = |batch: &Batch| Matrix::read(&cache, shelf.data.dtype, &batch.keys);
    let one_by_one = |batch: &Batch| {
        let found: Result<_, _> = batch.keys.iter().map(|key| cache.read(key)).collect();
        Ok(found?)
    };
    let index = |batch: &Batch| Ok(cache.contains_many(&batch.keys)?);
    let are_bytes = |found: &Vec<u8>, batch: &Batch| {
        found.iter().copied().eq(batch.rows.iter().flat_map(|row| shelf.data.row(*row)))
    };
    let are_rows = |found: &Vec<Option<Embedding>>, batch: &Batch| {
        found.iter().cloned().eq(batch.rows.iter().map(|row| Some(shelf.data.embedding(*row))))
    };
    let are_numbers = |found: &Matrix, batch: &Batch| {
        found.to_f32().eq(batch.rows.iter().flat_map(|row| shelf.data.embedding(*row).to_f32()))
    };
    let are_there = |found: &Vec<bool>, batch: &Batch| *found == vec![true; batch.keys.len()];
    let mut contenders = vec![
        ("bare pread", at_batches(shelf, bare, are_bytes)),
        ("Larder, matrix", at_batches(shelf, matrix, are_numbers)),
        ("Larder, a vector each", at_batches(shelf, at_once, are_rows)),
        ("Larder, one by one", at_batches(shelf, one_by_one, are_rows)),
        ("Larder, index alone", at_batches(shelf, index, are_there)),
    ];
    for (name, kind) in [("numpy memmap", "numpy"), ("Lance", "lance")] {
        contenders.extend(shelf.remote(name, 1.0, move |round| {
            let batches: Vec<_> =
                batches(shelf, round).into_iter().map(|batch| batch.rows).collect();
            json!({ "request": "many", "kind": kind, "batches": batches })
        }));
    }
    let title = format!("{ROWS} random rows, {}", shelf.data.name);
    Ok(Table { things: ROWS, ..compare_turns(&title, ROUNDS, contenders)? })
}

/// Rows in one piece of memory, in the type in which they are kept.
enum Matrix {
    Half(Array2<f16>),
    Single(Array2<f32>),
}

impl Matrix {
    fn read(cache: &EmbeddingCache, dtype: Dtype, keys: &[WindowKey]) -> Outcome<Self> {
        Ok(match dtype {
            Dtype::Fp16 => Self::Half(cache.read_matrix(keys)?),
            Dtype::Bf16 | Dtype::Fp32 => Self::Single(cache.read_matrix(keys)?),
        })
    }

    fn to_f32(&self) -> Box<dyn Iterator<Item = f32> + '_> {
        match self {
            Self::Half(rows) => Box::new(rows.iter().map(|value| value.to_f32())),
            Self::Single(rows) => Box::new(rows.iter().copied()),
        }
    }
}

/// The rows one after the other, from a file of nothing else.
fn gather(file: &File, row_bytes: usize, rows: &[usize]) -> Outcome<Vec<u8>> {
    let mut bytes = vec![0; rows.len() * row_bytes];
    for (row, bytes) in rows.iter().zip(bytes.chunks_exact_mut(row_bytes)) {
        file.read_exact_at(bytes, (row * row_bytes) as u64)?;
    }
    Ok(bytes)
}

/// The batches of a round, the same for every contender.
fn batches(shelf: &Shelf<'_>, round: usize) -> Vec<Batch> {
    let batch = |rows: &[usize]| Batch {
        rows: rows.to_vec(),
        keys: rows.iter().map(|row| shelf.keys[*row]).collect(),
    };
    draw(BATCHES * ROWS, shelf.data.rows, round).chunks(ROWS).map(batch).collect()
}

/// A contender in Rust, whose result on the first batch is checked before it is timed.
fn at_batches<'a, T>(
    shelf: &'a Shelf<'_>,
    work: impl Fn(&Batch) -> Outcome<T> + 'a,
    is_right: impl Fn(&T, &Batch) -> bool + 'a,
) -> Turn<'a> {
    Box::new(move |round| {
        let batches = batches(shelf, round);
        if round == 0 && !is_right(&work(&batches[0])?, &batches[0]) {
            return Err("a batch has other rows".into());
        }
        each(1, &batches, |batch| {
            black_box(work(batch)?);
            Ok(())
        })
    })
}
