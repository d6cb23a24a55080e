//! How a track is stored: the values as JSON or `.npy`, the rest in the summary of the record.

use std::array;

use bytes::Bytes;
use larder_storage::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::{
    Chroms, Interval, IntervalTrack, PlacedTrack, Run, Runs, Signal, SignalTrack, Signals, Strand,
    Track, TrackLabel, npy,
};
use crate::{Encoded, Payload, payload::from_json};

/// The version of the payload and the summary of a track.
pub const TRACK_FORMAT_VERSION: u32 = 1;

/// The type of a value at regular steps, as numpy writes it.
const VALUE: &str = "'<f4'";

/// The type of a run.
const RUN: &str = "[('start', '<u8'), ('end', '<u8'), ('value', '<f8')]";

/// The summary of a track's record.
#[derive(Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) label: String,
    /// Name and length of each chromosome, by name.
    pub(super) chroms: Vec<(String, u64)>,
    #[serde(flatten)]
    pub(super) shape: Shape,
}

/// What a listing tells of a summary.
#[derive(Deserialize)]
pub(super) struct Listed {
    pub(super) label: String,
    pub(super) chroms: Vec<(String, u64)>,
    #[serde(rename = "type")]
    pub(super) shape: ShapeName,
}

/// The name of a [`Shape`].
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ShapeName {
    Interval,
    Signal,
    Runs,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Shape {
    Interval {
        /// How many there are.
        intervals: usize,
    },
    Signal {
        step: u64,
        window: u64,
        /// The chromosomes and how many values each one has, in the order in which they follow each other.
        signals: Vec<(String, usize)>,
    },
    Runs {
        /// The chromosomes and how many runs each one has, in the order in which they follow each other.
        runs: Vec<(String, usize)>,
    },
}

/// Intervals as columns of equal length.
#[derive(Default, Serialize, Deserialize)]
struct Columns {
    chrom: Vec<String>,
    start: Vec<u64>,
    end: Vec<u64>,
    name: Vec<Option<String>>,
    score: Vec<Option<f64>>,
    strand: Vec<String>,
}

/// The kind `track`. Intervals are a JSON object of columns, `{"chrom": [..], "start": [..], "end": [..], "name": [..],
/// "score": [..], "strand": [..]}`, where a missing name or score is `null`. A signal is one `.npy` array, the
/// chromosomes one after the other: at regular steps of little-endian `f32`, of runs with `start`, `end` and `value`.
impl Payload for PlacedTrack {
    const KIND: &'static str = "track";
    const VERSION: u32 = TRACK_FORMAT_VERSION;

    fn encode(&self) -> Result<Encoded> {
        self.track.check(&self.chroms)?;
        let (shape, bytes) = match &self.track {
            Track::Interval(track) => (
                Shape::Interval { intervals: track.intervals.len() },
                encode_intervals(&track.intervals)?.into(),
            ),
            Track::Signal(track) => encode_signals(&track.signals),
        };
        let chroms = self.chroms.iter().map(|(name, len)| (name.clone(), *len)).collect();
        let summary = Summary { label: self.track.label().as_str().to_owned(), chroms, shape };
        Ok(Encoded { bytes, summary: json(&summary)? })
    }

    fn decode(Encoded { bytes, summary }: Encoded, _version: u32) -> Result<Self> {
        let Summary { label, chroms, shape } = from_json(summary.as_bytes())?;
        let label = TrackLabel::new(label);
        let track = match shape {
            Shape::Interval { intervals } => {
                let intervals = decode_intervals(&bytes, intervals)?.ok_or_else(unlike_summary)?;
                IntervalTrack { label, intervals }.into()
            }
            Shape::Signal { step, window, signals } => {
                let signals = decode_steps(&signals, &bytes)?;
                SignalTrack { label, signals: Signals::Steps { step, window, signals } }.into()
            }
            Shape::Runs { runs } => {
                let signals = Signals::Runs(decode_runs(&runs, &bytes)?);
                SignalTrack { label, signals }.into()
            }
        };
        Ok(Self { track, chroms: Chroms::from_iter(chroms) })
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| {
        Error::new(ErrorKind::Invalid, "the track cannot be written as JSON").with_source(error)
    })
}

/// Intervals as a JSON object of columns, on one line.
pub(crate) fn encode_intervals(intervals: &[Interval]) -> Result<String> {
    let mut columns = Columns::default();
    for Interval { chrom, start, end, name, score, strand } in intervals {
        columns.chrom.push(chrom.clone());
        columns.start.push(*start);
        columns.end.push(*end);
        columns.name.push(name.clone());
        columns.score.push(*score);
        columns.strand.push(strand.as_str().to_owned());
    }
    json(&columns)
}

/// Reads what [`encode_intervals`] wrote; `None` where it is not `count` intervals.
pub(crate) fn decode_intervals(bytes: &[u8], count: usize) -> Result<Option<Vec<Interval>>> {
    let Columns { chrom, start, end, name, score, strand } = from_json(bytes)?;
    let lengths = [chrom.len(), start.len(), end.len(), name.len(), score.len(), strand.len()];
    if lengths.iter().any(|len| *len != count) {
        return Ok(None);
    }
    let strands = strand.iter().map(|sign| Strand::from_sign(sign)).collect::<Option<Vec<_>>>();
    let Some(strands) = strands else { return Ok(None) };
    let rows = chrom.into_iter().zip(start).zip(end).zip(name).zip(score).zip(strands);
    let interval = |(((((chrom, start), end), name), score), strand)| Interval {
        chrom,
        start,
        end,
        name,
        score,
        strand,
    };
    Ok(Some(rows.map(interval).collect()))
}

fn encode_signals(signals: &Signals) -> (Shape, Bytes) {
    match signals {
        Signals::Steps { step, window, signals } => {
            let counts: Vec<_> =
                signals.iter().map(|it| (it.chrom.clone(), it.values.len())).collect();
            let values = signals.iter().flat_map(|it| &it.values).map(|value| value.to_le_bytes());
            let bytes = npy::write(VALUE, total(&counts), values);
            (Shape::Signal { step: *step, window: *window, signals: counts }, bytes)
        }
        Signals::Runs(runs) => {
            let counts: Vec<_> = runs.iter().map(|it| (it.chrom.clone(), it.runs.len())).collect();
            let elements = runs.iter().flat_map(|it| &it.runs).map(run_to_bytes);
            let bytes = npy::write(RUN, total(&counts), elements);
            (Shape::Runs { runs: counts }, bytes)
        }
    }
}

fn total(counts: &[(String, usize)]) -> usize {
    counts.iter().map(|(_, count)| count).sum()
}

fn decode_steps(counts: &[(String, usize)], bytes: &[u8]) -> Result<Vec<Signal>> {
    decode_signals(VALUE, counts, bytes, |chrom, values| {
        let values = values.iter().copied().map(f32::from_le_bytes).collect();
        Signal { chrom, values }
    })
}

fn decode_runs(counts: &[(String, usize)], bytes: &[u8]) -> Result<Vec<Runs>> {
    decode_signals(RUN, counts, bytes, |chrom, runs| {
        let runs = runs.iter().map(run_from_bytes).collect();
        Runs { chrom, runs }
    })
}

/// Gives each chromosome its part of the array.
fn decode_signals<const N: usize, S>(
    descr: &str,
    counts: &[(String, usize)],
    bytes: &[u8],
    signal: impl Fn(String, &[[u8; N]]) -> S,
) -> Result<Vec<S>> {
    let count = counts.iter().try_fold(0_usize, |sum, (_, count)| sum.checked_add(*count));
    let elements = count.and_then(|count| npy::read(bytes, descr, count));
    let mut rest = elements.ok_or_else(unlike_summary)?;
    let mut part = |(chrom, count): &(String, usize)| {
        let (elements, after) = rest.split_at(*count);
        rest = after;
        signal(chrom.clone(), elements)
    };
    Ok(counts.iter().map(&mut part).collect())
}

fn run_to_bytes(run: &Run) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&run.start.to_le_bytes());
    bytes[8..16].copy_from_slice(&run.end.to_le_bytes());
    bytes[16..].copy_from_slice(&run.value.to_le_bytes());
    bytes
}

fn run_from_bytes(bytes: &[u8; 24]) -> Run {
    let field = |at: usize| array::from_fn(|index| bytes[at + index]);
    Run {
        start: u64::from_le_bytes(field(0)),
        end: u64::from_le_bytes(field(8)),
        value: f64::from_le_bytes(field(16)),
    }
}

fn unlike_summary() -> Error {
    Error::new(
        ErrorKind::Format,
        "the track is not as its summary says: it was stored by something else",
    )
}
