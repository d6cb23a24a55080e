//! Tracks: what is known along the chromosomes of a genome.

use std::{collections::BTreeMap, fmt, ops::Range};

use larder_storage::{Error, ErrorKind, Result};
use serde::Serialize;

mod bed;
mod bedgraph;
mod bigwig;
mod format;
mod index;
mod lines;
mod npy;
mod signal;
mod store;
#[cfg(test)]
mod tests;

pub use format::TRACK_FORMAT_VERSION;
pub(crate) use format::{decode_intervals, encode_intervals};
pub use index::{IntervalIndex, Overlaps};
pub use signal::{Run, Runs, Signal, SignalTrack, Signals};
pub use store::{Handle, StoredTrack, TrackRecord, TrackStore};

/// Chromosome lengths in bases, by name.
pub type Chroms = BTreeMap<String, u64>;

/// The name of a track.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackLabel(String);

impl TrackLabel {
    /// A label of any text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: Into<String>> From<S> for TrackLabel {
    fn from(text: S) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for TrackLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is known along chromosomes: features, or numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Track {
    /// Features, each of which covers an interval.
    Interval(IntervalTrack),
    /// Numbers.
    Signal(SignalTrack),
}

/// The type of a [`Track`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrackType {
    /// [`Track::Interval`], written `interval`.
    Interval,
    /// [`Track::Signal`], written `signal`.
    Signal,
}

impl TrackType {
    /// The name, `interval` or `signal`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interval => "interval",
            Self::Signal => "signal",
        }
    }
}

impl fmt::Display for TrackType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Features in the order in which they were given.
///
/// ```
/// use larder_provenance::{Chroms, IntervalTrack};
///
/// let chroms = Chroms::from([("chr1".to_owned(), 1000)]);
/// let bed = "# two genes\nchr1\t100\t400\tdnaA\t0\t+\nchr1\t700\t900\tgyrB\n";
/// let genes = IntervalTrack::read_bed(bed.as_bytes(), "genes", &chroms)?;
///
/// let index = genes.index();
/// let found: Vec<_> = index.overlapping("chr1", 350..700).map(|gene| gene.name.as_deref()).collect();
/// assert_eq!(found, [Some("dnaA")]);
/// # Ok::<_, larder_storage::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IntervalTrack {
    /// The name of the track.
    pub label: TrackLabel,
    /// The features.
    pub intervals: Vec<Interval>,
}

/// A feature: the bases `start..end` of a chromosome, counted from 0, as in BED.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interval {
    /// The name of the chromosome.
    pub chrom: String,
    /// The first base.
    pub start: u64,
    /// The base after the last one.
    pub end: u64,
    /// The name of the feature, where it has one.
    pub name: Option<String>,
    /// A finite number, where the feature has one.
    pub score: Option<f64>,
    /// The strand that the feature lies on.
    pub strand: Strand,
}

/// The strand of a chromosome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Strand {
    /// `+`
    Forward,
    /// `-`
    Reverse,
    /// `.`: none, or not known.
    #[default]
    Unstranded,
}

impl Strand {
    /// The sign in BED: `+`, `-` or `.`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "+",
            Self::Reverse => "-",
            Self::Unstranded => ".",
        }
    }

    fn from_sign(sign: &str) -> Option<Self> {
        [Self::Forward, Self::Reverse, Self::Unstranded]
            .into_iter()
            .find(|strand| strand.as_str() == sign)
    }
}

/// A track, with the chromosomes that it lies on: what a [`TrackStore`] stores.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacedTrack {
    /// The track.
    pub track: Track,
    /// The chromosomes. Where there are none, the track is not checked against any.
    pub chroms: Chroms,
}

impl From<IntervalTrack> for Track {
    fn from(track: IntervalTrack) -> Self {
        Self::Interval(track)
    }
}

impl From<SignalTrack> for Track {
    fn from(track: SignalTrack) -> Self {
        Self::Signal(track)
    }
}

impl Track {
    /// The name of the track.
    pub fn label(&self) -> &TrackLabel {
        match self {
            Self::Interval(track) => &track.label,
            Self::Signal(track) => &track.label,
        }
    }

    /// Whether it is of features or of numbers.
    pub fn track_type(&self) -> TrackType {
        match self {
            Self::Interval(_) => TrackType::Interval,
            Self::Signal(_) => TrackType::Signal,
        }
    }

    /// Checks that the track is well formed and lies on these chromosomes; on any, where there are none.
    ///
    /// # Errors
    ///
    /// `Invalid` where it is not; the message has the index of the interval, from 0 on, or the chromosome.
    pub fn check(&self, chroms: &Chroms) -> Result<()> {
        match self {
            Self::Interval(track) => {
                let mut intervals = track.intervals.iter().enumerate();
                intervals.try_for_each(|(index, it)| it.check("interval", index, chroms))
            }
            Self::Signal(track) => track.check(chroms),
        }
    }
}

impl Interval {
    /// `noun` and `index` say which one it is, where it is wrong.
    pub(crate) fn check(&self, noun: &str, index: usize, chroms: &Chroms) -> Result<()> {
        check_place(noun, index, &self.chrom, self.start..self.end, chroms)?;
        if self.score.is_some_and(|score| !score.is_finite()) {
            let message = "has a score that is not finite: leave it out";
            return Err(wrong(noun, index, &self.chrom, &(self.start..self.end), message));
        }
        Ok(())
    }
}

/// Checks that the bases are those of a chromosome of `chroms`; of any, where there are none.
fn check_place(
    noun: &str,
    index: usize,
    chrom: &str,
    bases: Range<u64>,
    chroms: &Chroms,
) -> Result<()> {
    let message = match chroms.get(chrom) {
        _ if bases.start > bases.end => "starts after its end",
        None if chroms.is_empty() => return Ok(()),
        None => "is on a chromosome that is not among those given",
        Some(len) if bases.end > *len => &format!("ends after the {len} bases of its chromosome"),
        Some(_) => return Ok(()),
    };
    Err(wrong(noun, index, chrom, &bases, message))
}

fn wrong(noun: &str, index: usize, chrom: &str, bases: &Range<u64>, message: &str) -> Error {
    let Range { start, end } = bases;
    invalid(format!("{noun} {index} ({chrom:?}:{start}-{end}) {message}"))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::Invalid, message)
}
