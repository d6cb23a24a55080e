//! Arrays whose every element tells which change wrote it and where it belongs, and an endless row of such changes, each
//! of which follows from its number alone.

use std::path::Path;

use larder::lazy_array::{
    ArrayStore, LazyArray, MemoryBudget, Options,
    ndarray::{ArrayD, ArrayRef, IxDyn, ShapeBuilder},
};
use larder_storage::{Durability, Result};

/// The length of a row.
pub(crate) const COLUMNS: usize = 64;
/// How many rows an array of the endless changes has.
pub(crate) const ROWS: usize = 160;

/// Room for three of these arrays.
const BUDGET: u64 = (3 * ROWS * COLUMNS * size_of::<u64>()) as u64;

pub(crate) fn open(place: impl AsRef<Path>, durability: Durability) -> Result<ArrayStore> {
    let options = Options::default().budget(MemoryBudget::bytes(BUDGET));
    ArrayStore::open(place, options.durability(durability))
}

/// What one change does to the array of that key.
#[derive(Debug)]
pub(crate) enum Change {
    Insert(String),
    /// Inserts it row by row.
    Write(String),
    /// Edits and publishes it; inserts it where it is missing.
    Edit(String),
    /// As `Edit`, and between the two it is spilled.
    EditSpilled(String),
    /// Edits and spills it, and never publishes that; inserts it where it is missing.
    Spill(String),
    Remove(String),
}

/// The change of this number. Eight make a round, after which what it has made is removed again but for some arrays that
/// every round replaces or leaves alone.
pub(crate) fn change(number: u32) -> Change {
    let round = number / 8;
    match number % 8 {
        0 => Change::Insert(format!("fresh/{round}")),
        1 => Change::Edit("replaced".into()),
        2 => Change::Write(format!("deep/{round}/x")),
        3 => Change::Spill(format!("spilled/{}", round % 3)),
        4 => Change::EditSpilled("reloaded".into()),
        5 => Change::Remove(format!("deep/{round}/x")),
        6 => Change::Edit("turned".into()),
        _ => Change::Remove(format!("fresh/{round}")),
    }
}

/// The array that the change of this number writes under this key; that of `turned` lies in Fortran order.
pub(crate) fn content(key: &str, number: u32, rows: usize) -> ArrayD<u64> {
    let shape = IxDyn(&[rows, COLUMNS]).set_f(key == "turned");
    let mut array = ArrayD::zeros(shape);
    fill(&mut array, number);
    array
}

/// Makes every element that of the change of this number.
pub(crate) fn fill(array: &mut ArrayRef<u64, IxDyn>, number: u32) {
    for (at, element) in array.iter_mut().enumerate() {
        *element = element_of(number, at);
    }
}

/// Edits all elements of an array.
pub(crate) fn edit(array: &LazyArray<u64>, number: u32) -> Result<()> {
    fill(&mut array.write()?, number);
    Ok(())
}

fn element_of(number: u32, at: usize) -> u64 {
    u64::from(number) << 32 | at as u64
}

/// The number of the change that wrote these rows, of which the first is the one of that index.
///
/// # Panics
///
/// Where they are not of one change, or not in their places.
pub(crate) fn number_of(rows: &ArrayRef<u64, IxDyn>, first: usize) -> u32 {
    let number = rows.first().map_or(0, |element| (element >> 32) as u32);
    for (at, element) in rows.iter().enumerate() {
        let expected = element_of(number, first * COLUMNS + at);
        assert_eq!(*element, expected, "torn: element {at} of rows from {first} on");
    }
    number
}
