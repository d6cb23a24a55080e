//! How a genome is stored: its sequences as FASTA text after its annotations, its name in the summary of the record.

use std::io::{self, Write};

use larder_storage::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::{Genome, invalid};
use crate::{
    Encoded, Interval, Payload,
    payload::from_json,
    track::{decode_intervals, encode_intervals},
};

/// The version of the payload and the summary of a genome.
pub const GENOME_FORMAT_VERSION: u32 = 1;

/// Bases on a line; each line of a sequence but its last has as many, so that a base has a place that can be computed.
const WIDTH: usize = 60;

/// The summary of a genome's record.
#[derive(Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) name: String,
    /// Name and length of each chromosome, in the order of the file.
    pub(super) chroms: Vec<(String, u64)>,
    /// How many annotations the payload starts with.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) annotations: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The kind `genome`. The payload is FASTA: for each sequence a line `>name`, then its bases on lines of 60; every line
/// ends in `\n`. Where there are annotations, a line before it has them as the JSON object that a track of intervals is.
impl Payload for Genome {
    const KIND: &'static str = "genome";
    const VERSION: u32 = GENOME_FORMAT_VERSION;

    fn encode(&self) -> Result<Encoded> {
        self.check()?;
        let chroms =
            self.sequences.iter().map(|(name, bases)| (name.clone(), bases.len() as u64)).collect();
        let summary =
            Summary { name: self.name.clone(), chroms, annotations: self.annotations.len() };
        let summary = serde_json::to_string(&summary).map_err(unwritable)?;
        let mut bytes = Vec::new();
        if !self.annotations.is_empty() {
            bytes.extend(encode_intervals(&self.annotations)?.bytes());
            bytes.push(b'\n');
        }
        write(&self.sequences, &mut bytes).map_err(unwritable)?;
        Ok(Encoded { bytes: bytes.into(), summary })
    }

    fn decode(Encoded { bytes, summary }: Encoded, _version: u32) -> Result<Self> {
        let Summary { name, chroms, annotations: count } = from_json(summary.as_bytes())?;
        let (annotations, fasta) = match count {
            0 => (Vec::new(), &*bytes),
            _ => read_annotations(&bytes, count)?,
        };
        let sequences = read(fasta).ok_or_else(unlike_summary)?;
        let lengths = sequences.iter().map(|(name, bases)| (name.as_str(), bases.len() as u64));
        if lengths.eq(chroms.iter().map(|(name, len)| (name.as_str(), *len))) {
            Ok(Self { name, sequences, annotations })
        } else {
            Err(unlike_summary())
        }
    }
}

/// The annotations on the first line, and what comes after it.
fn read_annotations(bytes: &[u8], count: usize) -> Result<(Vec<Interval>, &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(unlike_summary)?;
    let annotations = decode_intervals(&bytes[..end], count)?.ok_or_else(unlike_summary)?;
    Ok((annotations, &bytes[end + 1..]))
}

fn unwritable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    invalid("the genome cannot be written").with_source(error)
}

fn unlike_summary() -> Error {
    Error::new(
        ErrorKind::Format,
        "the genome is not as its summary says: it was stored by something else",
    )
}

pub(super) fn is_base(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'*' || byte == b'-'
}

pub(super) fn write(sequences: &[(String, Vec<u8>)], out: &mut impl Write) -> io::Result<()> {
    for (name, bases) in sequences {
        writeln!(out, ">{name}")?;
        for line in bases.chunks(WIDTH) {
            out.write_all(line)?;
            out.write_all(b"\n")?;
        }
    }
    Ok(())
}

/// Reads what [`write`] wrote; `None` where the text is no such FASTA.
fn read(text: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let mut sequences = Vec::<(String, Vec<u8>)>::new();
    let Some(text) = text.strip_suffix(b"\n") else { return text.is_empty().then_some(sequences) };
    for line in text.split(|byte| *byte == b'\n') {
        match line.strip_prefix(b">") {
            Some(name) => sequences.push((str::from_utf8(name).ok()?.to_owned(), Vec::new())),
            None => sequences.last_mut()?.1.extend_from_slice(line),
        }
    }
    Some(sequences)
}
