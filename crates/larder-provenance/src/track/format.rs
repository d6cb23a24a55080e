//! How a track is stored: the values as JSON or `.npy`, the rest in the summary of the record.

use bytes::Bytes;
use larder_storage::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::{
    Chroms, Interval, IntervalTrack, PlacedTrack, Signal, SignalTrack, Strand, Track, TrackLabel,
    npy,
};
use crate::{Encoded, Payload, payload::from_json};

/// The version of the payload and the summary of a track.
pub const TRACK_FORMAT_VERSION: u32 = 1;

/// The summary of a track's record.
#[derive(Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) label: String,
    /// Name and length of each chromosome, by name.
    pub(super) chroms: Vec<(String, u64)>,
    #[serde(flatten)]
    pub(super) shape: Shape,
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
/// "score": [..], "strand": [..]}`, where a missing name or score is `null`. A signal is one `.npy` array of
/// little-endian `f32`, the chromosomes one after the other.
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
            Track::Signal(track) => {
                let signals = track
                    .signals
                    .iter()
                    .map(|signal| (signal.chrom.clone(), signal.values.len()))
                    .collect();
                let values =
                    npy::write(track.signals.iter().map(|signal| signal.values.as_slice()));
                (Shape::Signal { step: track.step, window: track.window, signals }, values)
            }
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
                SignalTrack { label, step, window, signals: read_signals(&signals, &bytes)? }.into()
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

fn read_signals(signals: &[(String, usize)], bytes: &Bytes) -> Result<Vec<Signal>> {
    let count = signals.iter().try_fold(0_usize, |sum, (_, count)| sum.checked_add(*count));
    let values = count.and_then(|count| npy::read(bytes, count)).ok_or_else(unlike_summary)?;
    let mut rest = values.as_slice();
    let mut signal = |(chrom, count): &(String, usize)| {
        let (values, after) = rest.split_at(*count);
        rest = after;
        Signal { chrom: chrom.clone(), values: values.to_vec() }
    };
    Ok(signals.iter().map(&mut signal).collect())
}

fn unlike_summary() -> Error {
    Error::new(
        ErrorKind::Format,
        "the track is not as its summary says: it was stored by something else",
    )
}
