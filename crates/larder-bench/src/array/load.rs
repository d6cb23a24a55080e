//! What it takes to get at an array that is on the disk.

use std::{fs::File, hint::black_box, io::Read};

use larder_lazy_array::LazyArray;
use ndarray::{Array2, ArrayView2};
use ndarray_npy::ViewNpyExt;
use safetensors::SafeTensors;
use serde_json::json;

use super::{
    map::map,
    shelf::{NAME, Shelf},
};
use crate::{
    Outcome,
    rounds::{Table, Turn, compare_turns, timed},
};

const ROUNDS: usize = 5;
/// How often what takes no time is done in a round.
const OFTEN: usize = 20;

pub(super) fn all(shelf: &Shelf<'_>) -> Outcome<Table> {
    let mut contenders = vec![
        ("bare mmap", mapped(shelf)),
        ("bare read", read(shelf)),
        ("Larder", larder(shelf)),
        ("ndarray-npy, mapped", npy_mapped(shelf)),
        ("ndarray-npy, read_npy", npy(shelf)),
        ("safetensors, mapped", safetensors(shelf)),
    ];
    let remote = [
        ("numpy memmap", "memmap", OFTEN),
        ("numpy.load", "numpy", 1),
        ("zarr", "zarr", OFTEN),
        ("gsegutils, its own file", "own", OFTEN),
        ("gsegutils, pair", "pair", 1),
    ];
    for (name, kind, calls) in remote {
        let request = json!({ "request": "load", "kind": kind, "calls": calls });
        contenders.extend(shelf.remote(name, move |_| request.clone()));
    }
    compare_turns(&format!("load of {}", shelf.size()), ROUNDS, contenders)
}

/// A contender whose result is checked once and dropped untimed.
fn turn<'a, S, T>(
    calls: usize,
    prepare: impl Fn() -> Outcome<S> + 'a,
    load: impl Fn(&S) -> Outcome<T> + 'a,
    is_right: impl Fn(&T) -> Outcome<bool> + 'a,
) -> Turn<'a> {
    Box::new(move |round| {
        let mut took = Vec::with_capacity(calls);
        for _ in 0..calls {
            let prepared = prepare()?;
            let (seconds, loaded) = timed(|| load(&prepared))?;
            took.push(seconds);
            if round == 0 && !is_right(&loaded)? {
                return Err("what was loaded is another array".into());
            }
        }
        Ok(took)
    })
}

fn mapped<'a>(shelf: &'a Shelf<'_>) -> Turn<'a> {
    let path = shelf.bare();
    let load = move |_: &()| {
        let map = map(&path)?;
        black_box(map[0]);
        Ok(map)
    };
    turn(OFTEN, || Ok(()), load, |map| Ok(map[..] == shelf.bytes))
}

fn read<'a>(shelf: &'a Shelf<'_>) -> Turn<'a> {
    let path = shelf.bare();
    let load = move |_: &()| {
        let mut bytes = Vec::with_capacity(shelf.bytes.len());
        File::open(&path)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    turn(1, || Ok(()), load, |bytes| Ok(*bytes == shelf.bytes))
}

fn larder<'a>(shelf: &'a Shelf<'_>) -> Turn<'a> {
    let load = |array: &LazyArray<f32>| {
        let guard = array.read()?;
        black_box(guard[[0, 0]]);
        Ok(guard)
    };
    turn(OFTEN, || shelf.stored(), load, |guard| Ok(**guard == shelf.array.view().into_dyn()))
}

fn npy_mapped<'a>(shelf: &'a Shelf<'_>) -> Turn<'a> {
    let path = shelf.npy();
    let load = move |_: &()| {
        let map = map(&path)?;
        black_box(ArrayView2::<f32>::view_npy(&map)?[[0, 0]]);
        Ok(map)
    };
    turn(OFTEN, || Ok(()), load, |map| Ok(ArrayView2::<f32>::view_npy(map)? == shelf.array))
}

fn npy<'a>(shelf: &'a Shelf<'_>) -> Turn<'a> {
    let path = shelf.npy();
    let load = move |_: &()| Ok(ndarray_npy::read_npy::<_, Array2<f32>>(&path)?);
    turn(1, || Ok(()), load, |array| Ok(*array == shelf.array))
}

fn safetensors<'a>(shelf: &'a Shelf<'_>) -> Turn<'a> {
    let path = shelf.safetensors();
    let load = move |_: &()| {
        let map = map(&path)?;
        black_box(SafeTensors::deserialize(&map)?.tensor(NAME)?.data()[0]);
        Ok(map)
    };
    turn(
        OFTEN,
        || Ok(()),
        load,
        |map| Ok(SafeTensors::deserialize(map)?.tensor(NAME)?.data() == shelf.bytes),
    )
}
