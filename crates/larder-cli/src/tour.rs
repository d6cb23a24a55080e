//! `larder tour`: a real pipeline over a real genome, through all five stores, twice.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use larder::{Larder, Options, lazy_array::MemoryBudget, storage::Result};
use serde::Serialize;

use crate::{
    genome::{Genome, fasta},
    output::{self, Table, bytes, millis},
};

mod arrays;
mod derive;
mod embeddings;
mod pass;
mod proteins;
mod report;

use arrays::Spilling;
use pass::{Pass, Step};

/// What the tour prints as JSON.
#[derive(Debug, Serialize)]
struct Tour {
    genome: String,
    steps: Vec<Compared>,
    arrays: Spilling,
    root: PathBuf,
    report: PathBuf,
}

/// A step in both passes. `hits`, `misses` and `bytes` are of the warm one.
#[derive(Debug, Serialize)]
struct Compared {
    name: &'static str,
    cold_ms: f64,
    warm_ms: f64,
    cold_hits: u64,
    cold_misses: u64,
    hits: u64,
    misses: u64,
    bytes: u64,
}

/// Runs the pipeline twice over the genome in `fasta`, or that of lambda, and prints what the second pass saved.
///
/// # Errors
/// Those of reading the FASTA, which is read before `root` is touched, and of the stores.
pub(crate) fn run(root: &Path, fasta: Option<&Path>, json: bool) -> Result<()> {
    let genome = fasta.map_or_else(Genome::lambda, fasta::read)?;
    pass::check_names(&genome)?;
    let budget = MemoryBudget::bytes(arrays::total_bytes(&genome) / 2);
    let dirs = larder::dir_cache::Options::default().background(false);
    let larder = Larder::open_with(root, Options::default().budget(budget.clone()).dirs(dirs))?;

    let bar = progress();
    let cold = pass::run(&larder, &genome, &bar)?;
    let warm = pass::run(&larder, &genome, &bar)?;
    bar.finish_and_clear();

    let tour = Tour {
        genome: genome.name.clone(),
        arrays: Spilling::of(&budget, &genome),
        root: larder.root().to_owned(),
        report: warm.report.clone(),
        steps: compare(cold, warm),
    };
    if json { output::json(&tour) } else { output::print(&tour.to_string()) }
}

/// A bar that is drawn only where somebody watches.
fn progress() -> ProgressBar {
    let bar = ProgressBar::new(2 * pass::STEPS);
    if let Ok(style) = ProgressStyle::with_template("{msg:18} {bar:40} {pos}/{len}  {elapsed}") {
        bar.set_style(style);
    }
    bar
}

fn compare(cold: Pass, warm: Pass) -> Vec<Compared> {
    let pair = |(cold, warm): (Step, Step)| Compared {
        name: cold.name,
        cold_ms: cold.ms,
        warm_ms: warm.ms,
        cold_hits: cold.tally.hits,
        cold_misses: cold.tally.misses,
        hits: warm.tally.hits,
        misses: warm.tally.misses,
        bytes: warm.tally.bytes,
    };
    cold.steps.into_iter().zip(warm.steps).map(pair).collect()
}

impl std::fmt::Display for Tour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut table = Table::new(["step", "cold time", "warm time", "hits", "misses", "bytes"]);
        for step in &self.steps {
            let [cold, warm] = [step.cold_ms, step.warm_ms].map(millis);
            let [hits, misses] = [step.hits, step.misses].map(|count| count.to_string());
            table.row([step.name.to_owned(), cold, warm, hits, misses, bytes(step.bytes)]);
        }
        let sum = |figure: fn(&Compared) -> f64| millis(self.steps.iter().map(figure).sum());
        let count = |figure: fn(&Compared) -> u64| self.steps.iter().map(figure).sum::<u64>();
        let [hits, misses] =
            [count(|step| step.hits), count(|step| step.misses)].map(|count| count.to_string());
        let total = bytes(count(|step| step.bytes));
        table.row([
            "total".to_owned(),
            sum(|step| step.cold_ms),
            sum(|step| step.warm_ms),
            hits,
            misses,
            total,
        ]);

        let computed = count(|step| step.cold_misses);
        writeln!(f, "{}\n\n{}", self.genome, table.render())?;
        writeln!(
            f,
            "The first pass computed {computed} results; the second one {misses}.",
            misses = count(|s| s.misses)
        )?;
        writeln!(f, "{}", self.arrays)?;
        writeln!(f, "report   {}", self.report.join(report::PLOT).display())?;
        writeln!(f, "lineage  {}", self.report.join(report::LINEAGE).display())?;
        writeln!(f, "root     {}", self.root.display())
    }
}
