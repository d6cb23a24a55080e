//! What the caches hold: gene results under keys like those of a sequence service.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// The letters of a sequence, so that a record has about 400 bytes as JSON.
const LETTERS: usize = 256;

/// What the sequences are cut out of.
pub(super) static BASES: LazyLock<String> = LazyLock::new(|| {
    let mut random = Random(0);
    (0..4096).map(|_| ['A', 'C', 'G', 'T'][random.below(4)]).collect()
});

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    gene_symbol: String,
    sequences: Vec<Sequence>,
    errors: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sequence {
    sequence: String,
    source: String,
    accession: String,
    is_canonical: bool,
}

pub(super) fn key(number: usize) -> String {
    format!("homo_sapiens:GENE{number:06}:canonical")
}

/// The record under the key of that number; those of two versions differ. `peer.py` makes the same.
pub(super) fn record(number: usize, version: usize) -> Record {
    let start = (number * 31 + version * 17) % (BASES.len() - LETTERS);
    let sequence = Sequence {
        sequence: BASES[start..start + LETTERS].to_owned(),
        source: "ensembl".into(),
        accession: format!("ENST{number:011}.{version}"),
        is_canonical: true,
    };
    Record {
        gene_symbol: format!("GENE{number:06}"),
        sequences: vec![sequence],
        errors: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_about_400_bytes_and_differ() {
        for (number, version) in [(0, 0), (7, 1), (999_999, 12)] {
            let len = serde_json::to_string(&record(number, version)).unwrap().len();
            assert!((390..=410).contains(&len), "{len} bytes");
        }
        assert_ne!(record(7, 1), record(7, 2));
        assert_ne!(record(7, 1), record(8, 1));
    }
}
