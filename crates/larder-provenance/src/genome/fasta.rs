//! How a genome is stored: its sequences as FASTA text, its name in the summary of the record.

use bytes::Bytes;
use larder_storage::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::{Genome, invalid};
use crate::{Encoded, Payload, payload::from_json};

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
}

/// The kind `genome`. The payload is FASTA: for each sequence a line `>name`, then its bases on lines of 60; every line
/// ends in `\n`.
impl Payload for Genome {
    const KIND: &'static str = "genome";
    const VERSION: u32 = GENOME_FORMAT_VERSION;

    fn encode(&self) -> Result<Encoded> {
        self.check()?;
        let chroms =
            self.sequences.iter().map(|(name, bases)| (name.clone(), bases.len() as u64)).collect();
        let summary = serde_json::to_string(&Summary { name: self.name.clone(), chroms })
            .map_err(|error| invalid("the genome cannot be written").with_source(error))?;
        Ok(Encoded { bytes: write(&self.sequences), summary })
    }

    fn decode(Encoded { bytes, summary }: Encoded, _version: u32) -> Result<Self> {
        let Summary { name, chroms } = from_json(summary.as_bytes())?;
        let sequences = read(&bytes).ok_or_else(unlike_summary)?;
        let lengths = sequences.iter().map(|(name, bases)| (name.as_str(), bases.len() as u64));
        if lengths.eq(chroms.iter().map(|(name, len)| (name.as_str(), *len))) {
            Ok(Self { name, sequences })
        } else {
            Err(unlike_summary())
        }
    }
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

fn write(sequences: &[(String, Vec<u8>)]) -> Bytes {
    let mut text = Vec::new();
    for (name, bases) in sequences {
        text.push(b'>');
        text.extend_from_slice(name.as_bytes());
        text.push(b'\n');
        for line in bases.chunks(WIDTH) {
            text.extend_from_slice(line);
            text.push(b'\n');
        }
    }
    text.into()
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
