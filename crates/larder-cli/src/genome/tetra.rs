//! Canonical tetranucleotide frequencies of sequence windows.

use std::ops::Range;

use super::base::{AMBIGUOUS, LETTERS, code};

/// The number of tetranucleotides when one and its reverse complement count as the same: the 16
/// palindromes and half of the other 240.
pub(crate) const DIMENSIONS: usize = 136;

const TABLES: ([u8; 256], [u8; DIMENSIONS]) = canonical_tables();

/// The dimension of each of the 256 tetranucleotides.
const DIMENSION_OF: [u8; 256] = TABLES.0;

/// The canonical tetranucleotide of each dimension.
const CANONICAL: [u8; DIMENSIONS] = TABLES.1;

/// Numbers the canonical forms in alphabetical order. A tetranucleotide is a byte, two bits a base,
/// so that numeric order is alphabetical.
const fn canonical_tables() -> ([u8; 256], [u8; DIMENSIONS]) {
    let mut dimension_of = [0; 256];
    let mut canonical = [0; DIMENSIONS];
    let mut next = 0;
    let mut word = 0;
    while word < 256 {
        let opposite = reverse_complement(word as u8) as usize;
        if word <= opposite {
            dimension_of[word] = next as u8;
            dimension_of[opposite] = next as u8;
            canonical[next] = word as u8;
            next += 1;
        }
        word += 1;
    }
    assert!(next == DIMENSIONS);
    (dimension_of, canonical)
}

const fn reverse_complement(word: u8) -> u8 {
    let complement = !word;
    complement << 6 | (complement << 2 & 0x30) | (complement >> 2 & 0x0c) | complement >> 6
}

/// The names of the dimensions in order: of each pair of reverse complements the alphabetically
/// first, AAAA to TTAA.
pub(crate) fn dimension_names() -> impl Iterator<Item = String> {
    CANONICAL.iter().map(|word| {
        [6, 4, 2, 0]
            .iter()
            .map(|shift| char::from(LETTERS[usize::from(word >> shift & 3)]))
            .collect()
    })
}

/// The windows of `width` bases that start every `stride` bases and lie wholly within `length`; a
/// shorter sequence is one window.
///
/// # Panics
/// If `stride` is 0.
pub(crate) fn windows(
    length: usize,
    width: usize,
    stride: usize,
) -> impl Iterator<Item = Range<usize>> {
    let width = width.min(length);
    (0..=length - width).step_by(stride).map(move |start| start..start + width)
}

/// The share of each canonical tetranucleotide among those of a window, in the order of
/// [`dimension_names`]: sums to 1, or all 0 if no four unambiguous bases are adjacent.
///
/// A window and its reverse complement have bit-identical frequencies.
pub(crate) fn frequencies(window: &[u8]) -> [f32; DIMENSIONS] {
    let mut counts = [0_u64; DIMENSIONS];
    let (mut word, mut run) = (0_u8, 0_usize);
    for code in window.iter().map(|&base| code(base)) {
        if code == AMBIGUOUS {
            run = 0;
            continue;
        }
        word = word << 2 | code;
        run += 1;
        if run >= 4 {
            counts[usize::from(DIMENSION_OF[usize::from(word)])] += 1;
        }
    }
    let total = counts.iter().sum::<u64>().max(1) as f64;
    counts.map(|count| (count as f64 / total) as f32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::genome::{Genome, base};

    #[test]
    fn dimensions_are_canonical_and_in_alphabetical_order() {
        let names: Vec<_> = dimension_names().collect();
        assert_eq!(names.len(), DIMENSIONS);
        assert!(names.is_sorted_by(|a, b| a < b));
        assert_eq!((names[0].as_str(), names[135].as_str()), ("AAAA", "TTAA"));
        for name in &names {
            assert!(name.as_bytes() <= base::reverse_complement(name.as_bytes()).as_slice());
        }
    }

    #[test]
    fn each_name_counts_in_its_own_dimension() {
        for (dimension, name) in dimension_names().enumerate() {
            let mut expected = [0.0; DIMENSIONS];
            expected[dimension] = 1.0;
            assert_eq!(frequencies(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn ambiguous_bases_break_words() {
        assert_eq!(frequencies(b"ACGNACGNACG"), [0.0; DIMENSIONS]);
        assert_eq!(frequencies(b"NACGTN"), frequencies(b"ACGT"));
        assert_eq!(frequencies(b"AAAATTTT")[0], 0.4);
    }

    #[test]
    fn windows_lie_within_the_sequence() {
        let all = |length, width, stride| {
            let bounds = |window: Range<usize>| (window.start, window.end);
            windows(length, width, stride).map(bounds).collect::<Vec<_>>()
        };
        assert_eq!(all(10, 4, 3), [(0, 4), (3, 7), (6, 10)]);
        assert_eq!(all(11, 4, 3), [(0, 4), (3, 7), (6, 10)]);
        assert_eq!(all(3, 4, 3), [(0, 3)]);
        assert_eq!(all(4, 4, 100), [(0, 4)]);
    }

    #[test]
    fn lambda_counts_every_word_once() {
        let lambda = Genome::lambda().unwrap();
        let sequence = &lambda.records[0].sequence;
        let words = (sequence.len() - 3) as f64;
        let poly_a = |word: &&[u8]| [&b"AAAA"[..], b"TTTT"].contains(word);
        let aaaa = sequence.windows(4).filter(poly_a).count() as f64;
        assert_eq!(frequencies(sequence)[0], (aaaa / words) as f32);
    }

    proptest! {
        #[test]
        fn strands_agree_and_frequencies_sum_to_one(
            window in proptest::collection::vec(
                proptest::sample::select(&b"ACGTACGTACGTACGTN"[..]), 0..300,
            ),
        ) {
            let here = frequencies(&window);
            prop_assert_eq!(here, frequencies(&base::reverse_complement(&window)));
            let sum: f32 = here.iter().sum();
            let any = window.windows(4).any(|word| !word.contains(&b'N'));
            prop_assert!((sum - f32::from(u8::from(any))).abs() < 1e-5);
        }
    }
}
