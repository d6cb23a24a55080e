//! What the caches hold: gene results under keys like those of a sequence service.

use std::{ops::Range, sync::LazyLock};

use serde::{Deserialize, Serialize};

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

/// `count` numbers below `end`, the same for the same seed.
pub(super) fn draw(count: usize, end: usize, seed: usize) -> Vec<usize> {
    let mut random = Random(seed as u64);
    (0..count).map(|_| random.below(end)).collect()
}

/// The numbers in an order that is always the same, and not theirs.
pub(super) fn shuffled(numbers: Range<usize>) -> Vec<usize> {
    let mut random = Random(1);
    let mut numbers: Vec<usize> = numbers.collect();
    for last in (1..numbers.len()).rev() {
        numbers.swap(last, random.below(last + 1));
    }
    numbers
}

/// Steele, Lea and Flood's SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
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

    #[test]
    fn a_shuffle_keeps_every_number_and_moves_most() {
        let mut numbers = shuffled(100..1100);
        let kept = numbers.iter().zip(100..).filter(|(number, place)| **number == *place).count();
        assert!(kept < 20, "{kept} kept their place");
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(100..1100));
    }

    #[test]
    fn draws_are_repeatable() {
        assert_eq!(draw(50, 9, 3), draw(50, 9, 3));
        assert_ne!(draw(50, 9, 3), draw(50, 9, 4));
        assert!(draw(500, 9, 3).iter().all(|number| *number < 9));
    }
}
