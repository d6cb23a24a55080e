//! One record for each open reading frame, in the lookup cache.

use larder::{
    Larder,
    storage::{Error, ErrorKind, Result},
};
use serde::{Deserialize, Serialize};

use super::pass::{self, Tally};
use crate::genome::{Genome, Record, orf::Orf, protein};

/// The namespace of the records.
const NAMESPACE: &str = "orfs";

/// What is known of the protein of an open reading frame.
#[derive(Debug, Deserialize, Serialize)]
struct Protein {
    /// Amino acids as one-letter codes, without the stop.
    protein: String,
    /// The average mass in daltons.
    mass: f64,
    /// The number of amino acids.
    length: usize,
}

impl Protein {
    fn of(record: &Record, orf: &Orf) -> Self {
        let protein = orf.protein(&record.sequence);
        Self { mass: protein::mass(&protein), length: protein.len(), protein }
    }
}

/// Translates the frames whose proteins are not there yet, and looks all of them up.
///
/// # Errors
/// Those of the store; `Conflict` where somebody removed a record meanwhile.
pub(super) fn look_up(larder: &Larder, genome: &Genome, orfs: &[Vec<Orf>]) -> Result<((), Tally)> {
    let cache = larder.kv(NAMESPACE)?;
    let mut tally = Tally::default();
    for (record, orfs) in genome.records.iter().zip(orfs) {
        let source = pass::source(record);
        let keys: Vec<String> = orfs.iter().map(|orf| format!("{source}:{orf}")).collect();
        let mut computed = Vec::new();
        for (key, orf) in keys.iter().zip(orfs) {
            if !cache.contains(key)? {
                computed.push((key, Protein::of(record, orf)));
            }
        }
        let misses = computed.len() as u64;
        cache.set_many(computed)?;
        let mut bytes = 0;
        for found in cache.get_many::<Protein>(&keys)? {
            let gone = || {
                Error::new(
                    ErrorKind::Conflict,
                    "a protein that was just there is gone: run the tour again",
                )
            };
            bytes += found.hit().ok_or_else(gone)?.protein.len() as u64;
        }
        tally.add(Tally { hits: keys.len() as u64 - misses, misses, bytes });
    }
    Ok(((), tally))
}
