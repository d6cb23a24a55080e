//! The reports: one directory, built once.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use larder::{
    Larder,
    provenance::Signal,
    storage::{Digest, Error, Result},
};

use super::{
    derive::{MIN_CODONS, WINDOW},
    pass::{self, Tally},
};
use crate::{
    genome::{Genome, orf::Orf},
    report::{bed, bedgraph, composition, svg},
};

/// The most lines that a bedGraph has for each record.
const BINS: usize = 2000;

/// Builds the directory of reports, or finds it.
///
/// # Errors
/// Those of the store; `Io` or `Full` where a file cannot be written.
pub(super) fn build(
    larder: &Larder,
    genome: &Genome,
    content: &[Signal],
    skew: &[Signal],
    orfs: &[Vec<Orf>],
) -> Result<(PathBuf, Tally)> {
    let key = format!("reports/{}", identity(genome));
    let lease = larder.dirs().get_or_build(&key, |stage| {
        let create = |name: &str, fill: &dyn Fn(&mut BufWriter<File>) -> std::io::Result<()>| {
            let path = stage.join(name);
            let written = File::create_new(&path).map(BufWriter::new).and_then(|mut file| {
                fill(&mut file)?;
                file.flush()
            });
            written.map_err(|error| Error::io(error, "cannot write the report").at_path(path))
        };
        create("orfs.bed", &|out| {
            genome
                .records
                .iter()
                .zip(orfs)
                .try_for_each(|(record, orfs)| bed::write(out, &record.name, orfs))
        })?;
        create("gc_content.bedgraph", &|out| bedgraph(out, "GC content", content))?;
        create("gc_skew.bedgraph", &|out| bedgraph(out, "GC skew", skew))?;
        create("tetranucleotides.tsv", &|out| composition::write(out, &genome.records))?;
        create("gc_skew.svg", &|out| plot(out, genome, content, skew, orfs))
    })?;
    let tally = Tally::one(lease.built(), size(lease.path())?);
    Ok((lease.path().to_owned(), tally))
}

/// The same for the same records, whatever the file was called.
fn identity(genome: &Genome) -> String {
    let sources: Vec<String> = genome.records.iter().map(pass::source).collect();
    let parameters = format!("window {WINDOW}, at least {MIN_CODONS} codons, {BINS} bins\n");
    Digest::of((parameters + &sources.join("\n")).as_bytes()).to_string()[..16].to_owned()
}

fn bedgraph(out: &mut impl Write, name: &str, signals: &[Signal]) -> std::io::Result<()> {
    bedgraph::write_header(out, name, &format!("{name} in {WINDOW} bp around each base"))?;
    signals.iter().try_for_each(|signal| bedgraph::write(out, &signal.chrom, &signal.values, BINS))
}

fn plot(
    out: &mut impl Write,
    genome: &Genome,
    content: &[Signal],
    skew: &[Signal],
    orfs: &[Vec<Orf>],
) -> std::io::Result<()> {
    let signals = content.iter().zip(skew).zip(orfs);
    let tracks =
        genome.records.iter().zip(signals).map(|(record, ((content, skew), orfs))| svg::Track {
            name: &record.name,
            sequence: &record.sequence,
            gc_content: &content.values,
            gc_skew: &skew.values,
            orfs,
        });
    let tracks: Vec<_> = tracks.collect();
    let plot =
        svg::Plot { title: &genome.name, window: WINDOW, min_codons: MIN_CODONS, records: &tracks };
    svg::write(out, &plot)
}

/// The bytes of the files of a report.
fn size(report: &Path) -> Result<u64> {
    let sum = || -> std::io::Result<u64> {
        let mut sum = 0;
        for entry in report.read_dir()? {
            sum += entry?.metadata()?.len();
        }
        Ok(sum)
    };
    sum().map_err(|error| Error::io(error, "cannot list the report").at_path(report))
}
