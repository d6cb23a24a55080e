//! One pass through the pipeline, step by step, with what each took and found.

use std::{path::PathBuf, time::Instant};

use indicatif::ProgressBar;
use larder::{
    Larder,
    storage::{Digest, Error, ErrorKind, Key, Result},
};

use super::{
    arrays, derive, embeddings, proteins,
    report::{self, Sources},
};
use crate::genome::{Genome, Record};

/// How many steps a pass has.
pub(crate) const STEPS: u64 = 8;

/// What a step found ready, had to compute, and holds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) bytes: u64,
}

impl Tally {
    /// One result that was computed now, or was there.
    pub(super) fn one(computed: bool, bytes: u64) -> Self {
        Self { hits: u64::from(!computed), misses: u64::from(computed), bytes }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.bytes += other.bytes;
    }
}

#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) ms: f64,
    pub(super) tally: Tally,
}

#[derive(Debug)]
pub(super) struct Pass {
    pub(super) steps: Vec<Step>,
    pub(super) report: PathBuf,
}

/// Runs all steps.
///
/// # Errors
/// Those of the stores.
pub(super) fn run(larder: &Larder, genome: &Genome, bar: &ProgressBar) -> Result<Pass> {
    let mut clock = Clock { steps: Vec::new(), bar };
    let id = clock.step("genome", || derive::genome(larder, genome))?;
    let content = clock.step("gc_content", || derive::gc_content(larder, genome, id))?;
    let skew = clock.step("gc_skew", || derive::gc_skew(larder, genome, id))?;
    let orfs = clock.step("orfs", || derive::orfs(larder, genome, id))?;
    clock.step("arrays", || {
        arrays::keep(larder, genome, &[("gc_content", &content.values), ("gc_skew", &skew.values)])
    })?;
    clock.step("embeddings", || embeddings::embed(larder, genome))?;
    clock.step("proteins", || proteins::look_up(larder, genome, &orfs.values))?;
    let sources = Sources {
        genome,
        content: &content.values,
        skew: &skew.values,
        orfs: &orfs.values,
        records: &[id, content.id, skew.id, orfs.id],
    };
    let report = clock.step("report", || report::build(larder, &sources))?;
    Ok(Pass { steps: clock.steps, report })
}

struct Clock<'a> {
    steps: Vec<Step>,
    bar: &'a ProgressBar,
}

impl Clock<'_> {
    fn step<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<(T, Tally)>,
    ) -> Result<T> {
        self.bar.set_message(name);
        let start = Instant::now();
        let (outcome, tally) = work()?;
        self.steps.push(Step { name, ms: start.elapsed().as_secs_f64() * 1000.0, tally });
        self.bar.inc(1);
        Ok(outcome)
    }
}

/// Refuses record names that are too long for the names of files, before anything is made.
pub(super) fn check_names(genome: &Genome) -> Result<()> {
    genome.records.iter().try_for_each(|record| {
        Key::encode(&source(record)).and(embeddings::check_name(&source(record))).map_err(|error| {
            let shown: String = record.name.chars().take(80).collect();
            let message =
                format!("the name of record {shown:?} is too long to name files: shorten it");
            Error::new(ErrorKind::Invalid, message).with_source(error)
        })
    })
}

/// A name for a sequence that tells apart records of one name with different bases: `chr1@0a04f81952de`.
pub(super) fn source(record: &Record) -> String {
    let digest = Digest::of(&record.sequence).to_string();
    format!("{}@{}", record.name, &digest[..12])
}
