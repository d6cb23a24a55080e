//! What it takes to get at one row of many.

use std::{fs::File, os::unix::fs::FileExt};

use larder_lazy_array::ReadGuard;
use memmap2::Mmap;
use ndarray::{ArrayView2, Axis};
use ndarray_npy::ViewNpyExt;
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::json;

use super::{
    COLUMNS, ROW,
    map::map,
    shelf::{NAME, Shelf},
};
use crate::{
    Outcome,
    rounds::{Table, compare_turns},
};

const ROUNDS: usize = 10;

/// How many rows those that take long are asked for.
const FEW: usize = 200;

pub(super) fn all(shelf: &Shelf<'_>) -> Outcome<Vec<Table>> {
    let (npy, tensors) = (map(&shelf.npy())?, map(&shelf.safetensors())?);
    let loaded = Loaded::new(shelf, &npy, &tensors)?;
    let tables = vec![view(shelf, &loaded)?, copy(shelf, &loaded)?, unloaded(shelf)?];
    if let Some(python) = &shelf.python {
        python.ask::<()>(&json!({ "request": "close" }))?;
    }
    Ok(tables)
}

/// The array as it was loaded, and every page of it looked at.
struct Loaded<'a> {
    larder: ReadGuard<f32>,
    npy: ArrayView2<'a, f32>,
    safetensors: TensorView<'a>,
}

impl<'a> Loaded<'a> {
    fn new(shelf: &Shelf<'_>, npy: &'a Mmap, tensors: &'a Mmap) -> Outcome<Self> {
        let (larder, npy) = (shelf.stored()?.read()?, ArrayView2::view_npy(npy)?);
        let safetensors = SafeTensors::deserialize(tensors)?.tensor(NAME)?;
        let is_right = *larder == shelf.array.view().into_dyn()
            && npy == shelf.array
            && safetensors.data() == shelf.bytes;
        if !is_right {
            return Err("what was loaded is another array".into());
        }
        Ok(Self { larder, npy, safetensors })
    }

    fn tensor_row(&self, row: usize) -> &[u8] {
        &self.safetensors.data()[row * ROW..][..ROW]
    }
}

fn view(shelf: &Shelf<'_>, loaded: &Loaded<'_>) -> Outcome<Table> {
    let all = shelf.array.as_slice().ok_or("the array has gaps")?;
    let bare = |row: usize| Ok(&all[row * COLUMNS..][..COLUMNS]);
    let memory = |row| Ok(shelf.array.index_axis(Axis(0), row));
    let larder = |row| Ok(loaded.larder.index_axis(Axis(0), row));
    let npy = |row| Ok(loaded.npy.index_axis(Axis(0), row));
    let tensor = |row| Ok(loaded.tensor_row(row));
    let mut contenders = vec![
        ("Vec<f32>", shelf.at_rows(bare, |found, row| shelf.row(row).as_slice() == Some(found))),
        ("ndarray", shelf.at_rows(memory, |found, row| *found == shelf.row(row))),
        ("Larder", shelf.at_rows(larder, |found, row| *found == shelf.row(row).into_dyn())),
        ("ndarray-npy, mapped", shelf.at_rows(npy, |found, row| *found == shelf.row(row))),
        ("safetensors, mapped", shelf.at_rows(tensor, |found, row| *found == shelf.row_bytes(row))),
    ];
    contenders.extend(shelf.remote_at_rows("numpy", "array", "view", usize::MAX));
    contenders.extend(shelf.remote_at_rows("numpy memmap", "memmap", "view", usize::MAX));
    contenders.extend(shelf.remote_at_rows("gsegutils", "own", "view", usize::MAX));
    compare_turns("view of a row of 8 KiB", ROUNDS, contenders)
}

fn copy(shelf: &Shelf<'_>, loaded: &Loaded<'_>) -> Outcome<Table> {
    let all = shelf.array.as_slice().ok_or("the array has gaps")?;
    let bare = |row: usize| Ok(all[row * COLUMNS..][..COLUMNS].to_vec());
    let memory = |row| Ok(shelf.array.index_axis(Axis(0), row).to_owned());
    let larder = |row| {
        let row = loaded.larder.index_axis(Axis(0), row);
        Ok(row.as_slice().ok_or("the row has gaps")?.to_vec())
    };
    let npy = |row| Ok(loaded.npy.index_axis(Axis(0), row).to_owned());
    let tensor = |row| Ok(loaded.tensor_row(row).to_vec());
    let is_row = |found: &Vec<f32>, row| shelf.row(row).as_slice() == Some(found);
    let mut contenders = vec![
        ("Vec<f32>", shelf.at_rows(bare, is_row)),
        ("ndarray", shelf.at_rows(memory, |found, row| *found == shelf.row(row))),
        ("Larder", shelf.at_rows(larder, is_row)),
        ("ndarray-npy, mapped", shelf.at_rows(npy, |found, row| *found == shelf.row(row))),
        ("safetensors, mapped", shelf.at_rows(tensor, |found, row| *found == shelf.row_bytes(row))),
    ];
    contenders.extend(shelf.remote_at_rows("numpy", "array", "copy", usize::MAX));
    contenders.extend(shelf.remote_at_rows("numpy memmap", "memmap", "copy", usize::MAX));
    contenders.extend(shelf.remote_at_rows("gsegutils", "own", "copy", usize::MAX));
    compare_turns("copy of a row of 8 KiB", ROUNDS, contenders)
}

fn unloaded(shelf: &Shelf<'_>) -> Outcome<Table> {
    let (path, file, array) = (shelf.bare(), File::open(shelf.bare())?, shelf.stored()?);
    let read = |file: &File, row: usize| {
        let mut bytes = vec![0; ROW];
        file.read_exact_at(&mut bytes, (row * ROW) as u64)?;
        Ok(bytes)
    };
    let is_row = |found: &Vec<u8>, row| found == shelf.row_bytes(row);
    let larder = |row| Ok(array.rows(row..row + 1)?);
    let mut contenders = vec![
        ("bare pread", shelf.at_rows(|row| read(&file, row), is_row)),
        ("bare open, pread, close", shelf.at_rows(|row| read(&File::open(&path)?, row), is_row)),
        ("Larder", shelf.at_rows(larder, |found, row| found.iter().eq(shelf.row(row)))),
    ];
    contenders.extend(shelf.remote_at_rows("zarr", "zarr", "copy", FEW));
    contenders.extend(shelf.remote_at_rows("gsegutils", "offloaded", "copy", FEW));
    compare_turns("copy of a row of 8 KiB without loading", ROUNDS, contenders)
}
