//! The genome and its tracks, each with what made it.

use larder::{
    Larder,
    provenance::{
        Genome as StoredGenome, Id, Interval, IntervalTrack, PlacedTrack, Provenance, Signal,
        SignalTrack, Signals, Strand, Track,
    },
    storage::{Error, ErrorKind, Result},
};

use super::pass::Tally;
use crate::{
    genome::{
        Genome, Record,
        orf::{self, Orf},
        signal,
    },
    report::bed::interval,
};

/// The window of both signals, in bases.
pub(super) const WINDOW: usize = 500;
/// The least length of an open reading frame, in amino acids.
pub(super) const MIN_CODONS: usize = 100;

/// What was made of the genome, and the record of it.
pub(super) struct Derived<T> {
    pub(super) id: Id,
    pub(super) values: T,
}

/// Stores the genome, or finds it.
///
/// # Errors
/// Those of the store.
pub(super) fn genome(larder: &Larder, genome: &Genome) -> Result<(Id, Tally)> {
    let sequences = genome
        .records
        .iter()
        .map(|record| (record.name.clone(), record.sequence.clone()))
        .collect();
    // Named after its first record, so that the same sequences in another file are the same genome.
    let name = genome.records.first().map_or_else(String::new, |record| record.name.clone());
    let outcome =
        larder.genomes().import(StoredGenome { name, sequences, annotations: Vec::new() })?;
    Ok((outcome.id, Tally::one(outcome.computed, bases(genome))))
}

/// The GC content around each base, one signal per record.
///
/// # Errors
/// Those of the store.
pub(super) fn gc_content(
    larder: &Larder,
    genome: &Genome,
    id: Id,
) -> Result<(Derived<Vec<Signal>>, Tally)> {
    signals(larder, genome, id, "gc_content", signal::gc_content)
}

/// The GC skew around each base, one signal per record.
///
/// # Errors
/// Those of the store.
pub(super) fn gc_skew(
    larder: &Larder,
    genome: &Genome,
    id: Id,
) -> Result<(Derived<Vec<Signal>>, Tally)> {
    signals(larder, genome, id, "gc_skew", signal::gc_skew)
}

fn signals(
    larder: &Larder,
    genome: &Genome,
    id: Id,
    operation: &str,
    compute: fn(&[u8], usize) -> Vec<f32>,
) -> Result<(Derived<Vec<Signal>>, Tally)> {
    let provenance = Provenance::new(operation)
        .version("1")
        .input_as("genome", id)
        .param("window", WINDOW as u64);
    let one = |record: &Record| Signal {
        chrom: record.name.clone(),
        values: compute(&record.sequence, WINDOW),
    };
    let outcome = larder.tracks().get_or_compute(&provenance, || {
        let signals = genome.records.iter().map(one).collect();
        // A value belongs to the one base that its window is centred on.
        let signals = Signals::Steps { step: 1, window: 1, signals };
        let track = SignalTrack { label: operation.into(), signals };
        Ok(placed(Track::Signal(track), genome))
    })?;
    let tally = Tally::one(outcome.computed, 4 * bases(genome));
    match outcome.payload.track {
        Track::Signal(SignalTrack { signals: Signals::Steps { signals, .. }, .. }) => {
            Ok((Derived { id: outcome.id, values: signals }, tally))
        }
        _ => Err(wrong_type(operation)),
    }
}

/// The open reading frames of each record, in the order of the records.
///
/// # Errors
/// Those of the store.
pub(super) fn orfs(
    larder: &Larder,
    genome: &Genome,
    id: Id,
) -> Result<(Derived<Vec<Vec<Orf>>>, Tally)> {
    const OPERATION: &str = "open_reading_frames";
    let provenance = Provenance::new(OPERATION)
        .version("1")
        .input_as("genome", id)
        .param("min_codons", MIN_CODONS as u64);
    let outcome = larder.tracks().get_or_compute(&provenance, || {
        let found = |record: &Record| -> Vec<Interval> {
            orf::find(&record.sequence, MIN_CODONS)
                .iter()
                .map(|orf| interval(&record.name, orf))
                .collect()
        };
        let intervals = genome.records.iter().flat_map(found).collect();
        Ok(placed(Track::Interval(IntervalTrack { label: OPERATION.into(), intervals }), genome))
    })?;
    let Track::Interval(track) = outcome.payload.track else { return Err(wrong_type(OPERATION)) };
    let bytes = track.intervals.len() * size_of::<Orf>();
    let of = |record: &Record| -> Vec<Orf> {
        track
            .intervals
            .iter()
            .filter(|it| it.chrom == record.name)
            .map(|it| frame(record, it))
            .collect()
    };
    let orfs = Derived { id: outcome.id, values: genome.records.iter().map(of).collect() };
    Ok((orfs, Tally::one(outcome.computed, bytes as u64)))
}

fn placed(track: Track, genome: &Genome) -> PlacedTrack {
    let chroms = genome
        .records
        .iter()
        .map(|record| (record.name.clone(), record.sequence.len() as u64))
        .collect();
    PlacedTrack { track, chroms }
}

fn frame(record: &Record, interval: &Interval) -> Orf {
    let strand = match interval.strand {
        Strand::Reverse => orf::Strand::Reverse,
        _ => orf::Strand::Forward,
    };
    // The track was checked against the lengths of the records, which are in memory.
    Orf::new(interval.start as usize, interval.end as usize, strand, record.sequence.len())
}

fn wrong_type(operation: &str) -> Error {
    let message = format!("the track of {operation} is of another type than it makes");
    Error::new(ErrorKind::Conflict, message)
}

fn bases(genome: &Genome) -> u64 {
    genome.records.iter().map(|record| record.sequence.len() as u64).sum()
}
