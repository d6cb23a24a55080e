//! The reports: one directory, built once.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use larder::{
    Larder,
    provenance::{Chroms, Id, IntervalTrack, Lineage, Signal, SignalTrack, Signals},
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

/// What the reports are made from.
pub(super) struct Sources<'a> {
    pub(super) genome: &'a Genome,
    pub(super) content: &'a [Signal],
    pub(super) skew: &'a [Signal],
    pub(super) orfs: &'a [Vec<Orf>],
    /// The records of all these.
    pub(super) records: &'a [Id],
}

/// The plot, and the drawing of what was made from what.
pub(super) const PLOT: &str = "gc_skew.svg";
pub(super) const LINEAGE: &str = "lineage.svg";

/// Writes one file of a report.
type Writer = fn(&Sources<'_>, &Lineage, &mut BufWriter<File>) -> Result<()>;

/// The files of a report.
const FILES: [(&str, Writer); 6] = [
    ("orfs.bed", |from, _, out| {
        let orfs = from.genome.records.iter().zip(from.orfs);
        let intervals =
            orfs.flat_map(|(record, orfs)| orfs.iter().map(|orf| bed::scored(&record.name, orf)));
        IntervalTrack { label: "open reading frames".into(), intervals: intervals.collect() }
            .write_bed(out)
    }),
    ("gc_content.bedgraph", |from, _, out| bedgraph(out, "GC content", from.content)),
    ("gc_skew.bedgraph", |from, _, out| bedgraph(out, "GC skew", from.skew)),
    ("tetranucleotides.tsv", |from, _, out| {
        composition::write(out, &from.genome.records).map_err(unwritable)
    }),
    (PLOT, |from, _, out| plot(from, out).map_err(unwritable)),
    (LINEAGE, |_, lineage, out| out.write_all(lineage.to_svg().as_bytes()).map_err(unwritable)),
];

/// Builds the directory of reports, or finds it. One that somebody took files from is built again.
///
/// # Errors
/// Those of the store; `Io` or `Full` where a file cannot be written.
pub(super) fn build(larder: &Larder, from: &Sources<'_>) -> Result<(PathBuf, Tally)> {
    let key = format!("reports/{}", identity(from));
    let mut lease = larder.dirs().get_or_build(&key, |stage| write(larder, from, stage))?;
    if !FILES.iter().all(|(name, _)| lease.path().join(name).is_file()) {
        drop(lease);
        larder.dirs().remove(&key)?;
        lease = larder.dirs().get_or_build(&key, |stage| write(larder, from, stage))?;
    }
    let tally = Tally::one(lease.built(), size(lease.path())?);
    Ok((lease.path().to_owned(), tally))
}

fn write(larder: &Larder, from: &Sources<'_>, stage: &Path) -> Result<()> {
    let lineage = larder.provenance::<Vec<u8>>().lineage_of(from.records.iter().copied())?;
    for (name, write) in FILES {
        let path = stage.join(name);
        let written = || {
            let mut out = BufWriter::new(File::create_new(&path).map_err(unwritable)?);
            write(from, &lineage, &mut out)?;
            out.flush().map_err(unwritable)
        };
        written().map_err(|error| error.at_path(&path))?;
    }
    Ok(())
}

fn unwritable(error: io::Error) -> Error {
    Error::io(error, "cannot write the report")
}

/// The same for the same sequences, whatever the file was called, with the same records.
fn identity(from: &Sources<'_>) -> String {
    let sources = from.genome.records.iter().map(pass::source);
    let names: Vec<String> = sources.chain(from.records.iter().map(Id::to_string)).collect();
    let parameters =
        format!("report 3, window {WINDOW}, at least {MIN_CODONS} codons, {BINS} bins\n");
    Digest::of((parameters + &names.join("\n")).as_bytes()).to_string()[..16].to_owned()
}

fn bedgraph(out: &mut impl Write, name: &str, signals: &[Signal]) -> Result<()> {
    let label = format!("{name} in {WINDOW} bp around each base").into();
    let runs = signals.iter().map(|signal| bedgraph::runs(signal, BINS)).collect();
    SignalTrack { label, signals: Signals::Runs(runs) }.write_bedgraph(out, &Chroms::new())
}

fn plot(from: &Sources<'_>, out: &mut impl Write) -> io::Result<()> {
    let signals = from.content.iter().zip(from.skew).zip(from.orfs);
    let records = from.genome.records.iter().zip(signals);
    let tracks = records.map(|(record, ((content, skew), orfs))| svg::Track {
        name: &record.name,
        sequence: &record.sequence,
        gc_content: &content.values,
        gc_skew: &skew.values,
        orfs,
    });
    let tracks: Vec<_> = tracks.collect();
    let title = &from.genome.name;
    svg::write(out, &svg::Plot { title, window: WINDOW, min_codons: MIN_CODONS, records: &tracks })
}

/// The bytes of the files of a report.
fn size(report: &Path) -> Result<u64> {
    let sum = || -> io::Result<u64> {
        let mut sum = 0;
        for entry in report.read_dir()? {
            sum += entry?.metadata()?.len();
        }
        Ok(sum)
    };
    sum().map_err(|error| Error::io(error, "cannot list the report").at_path(report))
}
