//! Tracks: what is known along the chromosomes of a genome.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use larder_storage::{Error, ErrorKind, Result};
use serde::Serialize;

mod format;
mod npy;
mod store;
#[cfg(test)]
mod tests;

pub use format::TRACK_FORMAT_VERSION;
pub(crate) use format::{decode_intervals, encode_intervals};
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
    /// Numbers at regular steps.
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

/// Numbers at regular steps: value `i` of a chromosome is of its bases from `i * step` on, `window` of them or fewer at
/// the end.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalTrack {
    /// The name of the track.
    pub label: TrackLabel,
    /// The bases from one value to the next, at least 1.
    pub step: u64,
    /// The bases that a value is of, at least 1.
    pub window: u64,
    /// The values of each chromosome, which are kept to the bit.
    pub signals: Vec<Signal>,
}

/// The values of one chromosome.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signal {
    /// The name of the chromosome.
    pub chrom: String,
    /// One value for each step.
    pub values: Vec<f32>,
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
        let Self { chrom, start, end, .. } = self;
        let wrong =
            |what: String| Err(invalid(format!("{noun} {index} ({chrom:?}:{start}-{end}) {what}")));
        if start > end {
            return wrong("starts after its end".to_owned());
        }
        if self.score.is_some_and(|score| !score.is_finite()) {
            return wrong("has a score that is not finite: leave it out".to_owned());
        }
        match chroms.get(chrom) {
            None if chroms.is_empty() => Ok(()),
            None => wrong("is on a chromosome that is not among those given".to_owned()),
            Some(len) if end > len => {
                wrong(format!("ends after the {len} bases of its chromosome"))
            }
            Some(_) => Ok(()),
        }
    }
}

impl SignalTrack {
    fn check(&self, chroms: &Chroms) -> Result<()> {
        if self.step == 0 || self.window == 0 {
            return Err(invalid("the step and the window of a signal are at least 1".to_owned()));
        }
        let mut seen = HashSet::new();
        for Signal { chrom, values } in &self.signals {
            let wrong =
                |what: String| Err(invalid(format!("the signal of chromosome {chrom:?} {what}")));
            if !seen.insert(chrom) {
                return wrong("is there twice".to_owned());
            }
            let last = (values.len() as u64).saturating_sub(1).saturating_mul(self.step);
            match chroms.get(chrom) {
                None if chroms.is_empty() => {}
                None => return wrong("is of none of those given".to_owned()),
                Some(len) if !values.is_empty() && last >= *len => {
                    let count = values.len();
                    return wrong(format!(
                        "has {count} values, of which the last start after its {len} bases"
                    ));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::Invalid, message)
}
