//! Open reading frames on both strands.

use std::fmt;

use super::{
    base::reverse_complement,
    protein::{translate, translate_codon},
};

/// The strand that an interval is read from.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Strand {
    /// The strand that the record holds.
    Forward,
    /// Its reverse complement.
    Reverse,
}

impl Strand {
    /// `+` or `-`, as BED and GFF write it.
    pub(crate) fn symbol(self) -> char {
        match self {
            Self::Forward => '+',
            Self::Reverse => '-',
        }
    }
}

/// An open reading frame: an ATG, the codons after it, and the first stop in frame.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Orf {
    /// Its first base on the forward strand, counted from 0.
    pub(crate) start: usize,
    /// One past its last base on the forward strand; the stop codon is inside.
    pub(crate) end: usize,
    /// The strand it is read from.
    pub(crate) strand: Strand,
    /// 1, 2 or 3: where in a codon it starts, counted from the 5' end of its own strand.
    pub(crate) frame: u8,
}

impl Orf {
    /// The frame from `start` to `end` of the forward strand of a record of `length` bases.
    pub(crate) fn new(start: usize, end: usize, strand: Strand, length: usize) -> Self {
        let first = match strand {
            Strand::Forward => start,
            Strand::Reverse => length - end,
        };
        Self { start, end, strand, frame: (first % 3) as u8 + 1 }
    }

    /// The number of amino acids: all codons but the stop.
    pub(crate) fn codons(&self) -> usize {
        (self.end - self.start) / 3 - 1
    }

    /// The protein it encodes, without the stop, given the record it was found in.
    pub(crate) fn protein(&self, sequence: &[u8]) -> String {
        let coding = &sequence[self.start..self.end];
        let mut protein = match self.strand {
            Strand::Forward => translate(coding),
            Strand::Reverse => translate(&reverse_complement(coding)),
        };
        protein.pop();
        protein
    }
}

/// `start-end(strand)`, from 0 and half-open.
impl fmt::Display for Orf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}({})", self.start, self.end, self.strand.symbol())
    }
}

/// All open reading frames of at least `min_codons` amino acids in the six frames of a sequence,
/// ordered by start, then end, then strand.
///
/// Of several ATG in front of one stop the first counts, so that there is one, the longest, open
/// reading frame per stop. Both the ATG and the stop must be on the sequence, which is taken as
/// linear. An ambiguous codon is an X and neither starts nor stops; NNN, an assembly gap, is not
/// read across.
pub(crate) fn find(sequence: &[u8], min_codons: usize) -> Vec<Orf> {
    let length = sequence.len();
    let mut orfs = Vec::new();
    scan(sequence, min_codons, |start, end| {
        orfs.push(Orf::new(start, end, Strand::Forward, length));
    });
    scan(&reverse_complement(sequence), min_codons, |start, end| {
        orfs.push(Orf::new(length - end, length - start, Strand::Reverse, length));
    });
    orfs.sort_unstable();
    orfs
}

/// One pass over the three frames of one strand, remembering in each the first ATG since the last
/// stop.
fn scan(strand: &[u8], min_codons: usize, mut found: impl FnMut(usize, usize)) {
    let mut starts = [None; 3];
    for (i, codon) in strand.windows(3).enumerate() {
        let start = &mut starts[i % 3];
        match translate_codon([codon[0], codon[1], codon[2]]) {
            b'M' => {
                start.get_or_insert(i);
            }
            b'*' => {
                if let Some(start) = start.take()
                    && (i - start) / 3 >= min_codons
                {
                    found(start, i + 3);
                }
            }
            _ if codon == b"NNN" => *start = None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
