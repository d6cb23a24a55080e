//! What it takes to look at every element.

use std::hint::black_box;

use ndarray::{ArrayRef, ArrayView2, Dimension};
use ndarray_npy::ViewNpyExt;
use serde_json::json;

use super::{map::map, shelf::Shelf};
use crate::{
    Outcome,
    rounds::{Table, Turn, compare_turns, once},
};

const ROUNDS: usize = 10;

/// In Rust, and in numpy where that is there.
pub(super) fn all(shelf: &Shelf<'_>) -> Outcome<Vec<Table>> {
    let mut tables = vec![ours(shelf)?];
    let remote = |name, kind| {
        let request = json!({ "request": "sum", "kind": kind });
        shelf.remote(name, move |_| request.clone())
    };
    let numpy: Vec<_> = [remote("numpy", "array"), remote("numpy memmap", "memmap")]
        .into_iter()
        .flatten()
        .collect();
    if !numpy.is_empty() {
        tables.push(compare_turns(&format!("sum of {} in numpy", shelf.size()), ROUNDS, numpy)?);
    }
    Ok(tables)
}

fn ours(shelf: &Shelf<'_>) -> Outcome<Table> {
    let (guard, npy) = (shelf.stored()?.read()?, map(&shelf.npy())?);
    let view = ArrayView2::<f32>::view_npy(&npy)?;
    let expected = shelf.array.sum();
    let contenders = vec![
        ("ndarray", sum(&shelf.array, expected)),
        ("Larder", sum(&guard, expected)),
        ("ndarray-npy, mapped", sum(&view, expected)),
    ];
    compare_turns(&format!("sum of {}", shelf.size()), ROUNDS, contenders)
}

fn sum<D: Dimension>(array: &ArrayRef<f32, D>, expected: f32) -> Turn<'_> {
    Box::new(move |_| {
        once(|| {
            let found = black_box(array).sum();
            if found == expected { Ok(()) } else { Err(format!("{found} is not the sum").into()) }
        })
    })
}
