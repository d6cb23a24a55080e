//! The signals as arrays, standardised under a budget that holds half of them.

use std::fmt;

use larder::{
    Larder,
    lazy_array::{ArrayStore, LazyArray, MemoryBudget},
    provenance::Signal,
    storage::{Error, ErrorKind, Key, RESERVED_SEGMENT, Result, flight::Flights},
};
use ndarray::{Array1, ArrayRef, IxDyn};
use serde::Serialize;

use super::pass::{self, Tally};
use crate::{genome::Genome, output::bytes};

/// How the arrays kept to their budget, over both passes.
#[derive(Debug, Serialize)]
pub(super) struct Spilling {
    total_bytes: u64,
    budget_bytes: u64,
    peak_resident_bytes: u64,
    spills: u64,
    loads: u64,
}

impl Spilling {
    pub(super) fn of(budget: &MemoryBudget, genome: &Genome) -> Self {
        let figures = budget.figures();
        Self {
            total_bytes: total_bytes(genome),
            budget_bytes: total_bytes(genome) / 2,
            peak_resident_bytes: figures.peak,
            spills: figures.spills,
            loads: figures.loads,
        }
    }
}

impl fmt::Display for Spilling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [total, budget, peak] =
            [self.total_bytes, self.budget_bytes, self.peak_resident_bytes].map(bytes);
        let Self { spills, loads, .. } = self;
        write!(
            f,
            "Arrays of {total} worked under a budget of {budget}: peak {peak}, {spills} spills, {loads} loads."
        )
    }
}

/// The bytes of both signals of all records.
pub(super) fn total_bytes(genome: &Genome) -> u64 {
    genome.records.iter().map(|record| 2 * 4 * record.sequence.len() as u64).sum()
}

/// Working copies lie under this segment until they are finished.
const WORK: &str = "work";

/// Keeps each signal as an array of mean 0 and standard deviation 1, and reads all of them.
///
/// # Errors
/// Those of the store; `Conflict` where somebody removed an array meanwhile.
pub(super) fn keep(
    larder: &Larder,
    genome: &Genome,
    tracks: &[(&str, &[Signal])],
) -> Result<((), Tally)> {
    let store = larder.arrays();
    let keyed = keyed(genome, tracks)?;
    let misses = standardise_missing(larder, &keyed)?;
    let mut bytes = 0;
    for (key, _) in &keyed {
        let gone = || {
            let message = "was just there and is gone: run the tour again";
            Error::new(ErrorKind::Conflict, message).at_key(key)
        };
        let array: LazyArray<f32> = store.get(key.as_str())?.ok_or_else(gone)?;
        bytes += 4 * array.read()?.len() as u64;
    }
    Ok(((), Tally { hits: keyed.len() as u64 - misses, misses, bytes }))
}

type Keyed<'a> = (Key, &'a Signal);

/// Each signal with the key of its array, `<source>/<track>`.
fn keyed<'a>(genome: &Genome, tracks: &[(&str, &'a [Signal])]) -> Result<Vec<Keyed<'a>>> {
    let mut keyed = Vec::new();
    for (index, record) in genome.records.iter().enumerate() {
        let source = Key::encode(&pass::source(record))?;
        for (name, signals) in tracks {
            keyed.push((source.join(name)?, &signals[index]));
        }
    }
    Ok(keyed)
}

/// Makes the arrays that are not there, one process at a time; returns how many.
fn standardise_missing(larder: &Larder, keyed: &[Keyed<'_>]) -> Result<u64> {
    let store = larder.arrays();
    let flights = Flights::across_processes(larder.root().join(RESERVED_SEGMENT).join("flights"));
    let _lease = flights.enter("tour: arrays")?;
    // Only a killed tour leaves working copies behind, since whoever makes some holds the lease.
    for left in store.keys()?.iter().filter(|key| key.segments().next() == Some(WORK)) {
        store.remove(left.as_str())?;
    }
    let mut missing = Vec::new();
    for (key, signal) in keyed {
        if !store.contains(key.as_str())? {
            missing.push((key, *signal));
        }
    }
    standardise(store, &missing)?;
    Ok(missing.len() as u64)
}

/// Works on all signals at once, though the budget holds only half of them: working copies are edited in place,
/// spilled and read back as the budget asks, and published under their names when they are finished.
fn standardise(store: &ArrayStore, missing: &[(&Key, &Signal)]) -> Result<()> {
    let mut working = Vec::new();
    for (key, signal) in missing {
        let name = format!("{WORK}/{key}");
        let copy = store.insert(&name, Array1::from(signal.values.clone()))?;
        subtract_mean(&mut copy.write()?);
        working.push((key, name, copy));
    }
    for (key, name, copy) in working {
        divide_by_deviation(&mut copy.write()?);
        let finished = copy.read()?.to_owned();
        drop(copy);
        store.insert(key.as_str(), finished)?;
        store.remove(&name)?;
    }
    Ok(())
}

fn subtract_mean(values: &mut ArrayRef<f32, IxDyn>) {
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64;
    values.mapv_inplace(|value| (f64::from(value) - mean) as f32);
}

fn divide_by_deviation(values: &mut ArrayRef<f32, IxDyn>) {
    let squares = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>();
    let deviation = (squares / values.len() as f64).sqrt();
    // A constant signal is all zeros by now, and stays so.
    if deviation > 0.0 {
        values.mapv_inplace(|value| (f64::from(value) / deviation) as f32);
    }
}
