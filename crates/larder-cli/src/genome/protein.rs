//! From codons to proteins: the standard genetic code and average masses.

use super::base::{AMBIGUOUS, code};

/// The standard genetic code, NCBI translation table 1, with codons in the order of A, C, G, T.
const STANDARD_CODE: &[u8; 64] =
    b"KNKNTTTTRSRSIIMIQHQHPPPPRRRRLLLLEDEDAAAAGGGGVVVV*Y*YSSSS*CWCLFLF";

/// The average mass of one water molecule, in daltons.
const WATER: f64 = 18.015_28;

/// The amino acid of one codon as its one-letter code: `*` for a stop, X if any base is ambiguous.
pub(crate) fn translate_codon(codon: [u8; 3]) -> u8 {
    let [first, second, third] = codon.map(code);
    if first.max(second).max(third) == AMBIGUOUS {
        return b'X';
    }
    STANDARD_CODE[usize::from(first << 4 | second << 2 | third)]
}

/// The translation of a coding sequence in its first frame, stops as `*`; an incomplete last codon
/// is left out.
pub(crate) fn translate(coding: &[u8]) -> String {
    coding.as_chunks().0.iter().map(|&codon| char::from(translate_codon(codon))).collect()
}

/// The average isotopic mass of a protein in daltons: its residues and one water; 0 for no residue.
///
/// Residue masses are those of ExPASy (FindMod, average masses). X, and any other letter, counts as
/// the customary 110 Da of a mean residue.
pub(crate) fn mass(protein: &str) -> f64 {
    if protein.is_empty() {
        return 0.0;
    }
    WATER + protein.bytes().map(residue_mass).sum::<f64>()
}

fn residue_mass(residue: u8) -> f64 {
    match residue {
        b'A' => 71.0788,
        b'R' => 156.1875,
        b'N' => 114.1038,
        b'D' => 115.0886,
        b'C' => 103.1388,
        b'E' => 129.1155,
        b'Q' => 128.1307,
        b'G' => 57.0519,
        b'H' => 137.1411,
        b'I' | b'L' => 113.1594,
        b'K' => 128.1741,
        b'M' => 131.1926,
        b'F' => 147.1766,
        b'P' => 97.1167,
        b'S' => 87.0782,
        b'T' => 101.1051,
        b'W' => 186.2132,
        b'Y' => 163.1760,
        b'V' => 99.1326,
        _ => 110.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::base::LETTERS;

    /// The table as NCBI prints it: bases in the order of T, C, A, G.
    const NCBI_TABLE_1: &[u8; 64] =
        b"FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG";

    #[test]
    fn code_is_ncbi_table_1() {
        for (i, &expected) in NCBI_TABLE_1.iter().enumerate() {
            let codon = [i / 16, i / 4 % 4, i % 4].map(|base| b"TCAG"[base]);
            assert_eq!(translate_codon(codon), expected, "{codon:?}");
        }
    }

    #[test]
    fn each_residue_has_a_mass_of_its_own() {
        let codons = LETTERS.iter().flat_map(|&a| LETTERS.map(|b| LETTERS.map(|c| [a, b, c])));
        for residue in codons.flatten().map(translate_codon).filter(|&residue| residue != b'*') {
            assert_ne!(residue_mass(residue), residue_mass(b'X'), "{}", char::from(residue));
        }
    }

    #[test]
    fn ambiguous_codons_are_x_and_stops_are_stars() {
        assert_eq!(translate(b"ATGNNNGCRAUGTAAG"), "MXXM*");
        assert_eq!(translate(b""), "");
    }

    #[test]
    fn masses_of_known_peptides() {
        // Glycine, and human angiotensin II (DRVYIHPF, 1046.19 Da).
        assert!((mass("G") - 75.067).abs() < 0.01);
        assert!((mass("DRVYIHPF") - 1046.19).abs() < 0.01);
        assert_eq!(mass(""), 0.0);
        assert!((mass("XX") - 238.015).abs() < 0.01);
    }
}
