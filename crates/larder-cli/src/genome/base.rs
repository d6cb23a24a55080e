//! Nucleotides as bytes: IUPAC codes, complements and the two-bit code.

/// The [`code`] of a letter that is not exactly one of A, C, G, T (or U).
pub(crate) const AMBIGUOUS: u8 = 4;

const CODES: [u8; 256] = {
    let mut codes = [AMBIGUOUS; 256];
    codes[b'A' as usize] = 0;
    codes[b'C' as usize] = 1;
    codes[b'G' as usize] = 2;
    codes[b'T' as usize] = 3;
    codes[b'U' as usize] = 3;
    codes
};

/// The letter at each two-bit code.
pub(crate) const LETTERS: [u8; 4] = *b"ACGT";

/// 0 to 3 for A, C, G and T (U counts as T), in alphabetical order; [`AMBIGUOUS`] for the rest.
pub(crate) fn code(base: u8) -> u8 {
    CODES[usize::from(base)]
}

/// The complement of an upper-case IUPAC code, or `None` for a byte that is not one.
pub(crate) fn complement(base: u8) -> Option<u8> {
    Some(match base {
        b'A' => b'T',
        b'C' => b'G',
        b'G' => b'C',
        b'T' | b'U' => b'A',
        b'R' => b'Y',
        b'Y' => b'R',
        b'K' => b'M',
        b'M' => b'K',
        b'B' => b'V',
        b'V' => b'B',
        b'D' => b'H',
        b'H' => b'D',
        b'S' | b'W' | b'N' => base,
        _ => return None,
    })
}

/// The opposite strand, read in its own 5' to 3' direction; a byte that is no IUPAC code becomes N.
pub(crate) fn reverse_complement(sequence: &[u8]) -> Vec<u8> {
    sequence.iter().rev().map(|&base| complement(base).unwrap_or(b'N')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverse_complement_pairs_every_code() {
        assert_eq!(reverse_complement(b"ACGTRYKMBDHVSWN"), b"NWSBDHVKMRYACGT");
        assert_eq!(reverse_complement(b"AUG"), b"CAT");
    }

    #[test]
    fn complement_is_its_own_inverse_but_for_u() {
        for base in *b"ACGTRYKMBDHVSWN" {
            assert_eq!(complement(base).and_then(complement), Some(base));
        }
        assert_eq!(complement(b'-'), None);
        assert_eq!(complement(b'a'), None);
    }

    #[test]
    fn codes_follow_the_alphabet() {
        assert_eq!(LETTERS.map(code), [0, 1, 2, 3]);
        assert_eq!([b'U', b'N', b'a'].map(code), [3, AMBIGUOUS, AMBIGUOUS]);
    }
}
