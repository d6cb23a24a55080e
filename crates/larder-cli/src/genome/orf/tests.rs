use proptest::prelude::*;

use super::*;
use crate::genome::{Genome, protein};

const CI: &str = "MSTKKKPLTQEQLEDARRLKAIYEKKKNELGLSQESVADKMGMGQSGVGALFNGINALNAYNAALLAKILKVSVEEFSPSIAR\
                  EIYEMYEAVSMQPSLRSEYEYPVFSHVQAGMFSPELRTFTKGDAERWVSTTKKASDSAFWLEVEGNSMTAPTGSKPSFPDGML\
                  ILVDPEQAVEPGDFCIARLGGDEFTFKKLIRDSGQVFLQPLNPQYPMIPCNESCSVVGKVIASQWPEETFG";

fn coordinates(sequence: &[u8], min_codons: usize) -> Vec<String> {
    find(sequence, min_codons).iter().map(Orf::to_string).collect()
}

#[test]
fn lambda_has_its_known_genes() {
    let lambda = Genome::lambda().unwrap();
    let sequence = &lambda.records[0].sequence;
    let orfs = find(sequence, 100);
    let forward = orfs.iter().filter(|orf| orf.strand == Strand::Forward).count();
    assert_eq!((forward, orfs.len() - forward), (37, 30));

    let repressor = orfs.iter().find(|orf| orf.start == 37_226).unwrap();
    assert_eq!((repressor.end, repressor.strand), (37_940, Strand::Reverse));
    assert_eq!((repressor.codons(), repressor.frame), (237, 3));
    assert_eq!(repressor.protein(sequence), CI);
    assert_eq!(protein::mass(CI).round(), 26_212.0);

    let endolysin = orfs.iter().find(|orf| orf.start == 45_492).unwrap();
    assert_eq!((endolysin.end, endolysin.strand), (45_969, Strand::Forward));
    assert_eq!((endolysin.codons(), endolysin.frame), (158, 1));
    assert_eq!(protein::mass(&endolysin.protein(sequence)).round(), 17_825.0);
}

#[test]
fn the_first_start_before_a_stop_counts() {
    assert_eq!(coordinates(b"CCATGATGTAACC", 1), ["2-11(+)"]);
    assert_eq!(coordinates(b"ATGAAAATGTAA", 1), ["0-12(+)"]);
    assert_eq!(coordinates(b"TTACATTTTCAT", 1), ["0-12(-)"]);
}

#[test]
fn an_open_end_is_no_reading_frame() {
    assert!(find(b"ATGAAAAAAAAA", 1).is_empty());
    assert!(find(b"AAAAAATAA", 1).is_empty());
    assert!(find(b"", 1).is_empty());
    assert!(find(b"AT", 0).is_empty());
}

#[test]
fn length_counts_amino_acids() {
    assert_eq!(find(b"ATGAAATAA", 2).len(), 1);
    assert!(find(b"ATGAAATAA", 3).is_empty());
    assert_eq!(find(b"ATGAAATAA", 0)[0].codons(), 2);
}

#[test]
fn ambiguity_is_x_and_gaps_are_not_crossed() {
    let sequence = b"ATGNACTARRAATAG";
    let orfs = find(sequence, 1);
    assert_eq!(orfs[0].to_string(), "0-15(+)");
    assert_eq!(orfs[0].protein(sequence), "MXXX");
    assert!(find(b"ATGAAANNNAAATAA", 1).is_empty());
    assert_eq!(coordinates(b"ATGNNNATGTAA", 1), ["6-12(+)"]);
}

/// From every stop backwards to the stop, gap or end before it: the definition, in quadratic time.
fn by_definition(strand: &[u8], min_codons: usize) -> Vec<(usize, usize)> {
    let codon = |i: usize| &strand[i..i + 3];
    let is_stop = |i| matches!(codon(i), b"TAA" | b"TAG" | b"TGA");
    let stops = (0..strand.len().saturating_sub(2)).filter(|&i| is_stop(i));
    let longest = |stop: usize| {
        (stop % 3..stop)
            .step_by(3)
            .rev()
            .take_while(|&i| !is_stop(i) && codon(i) != b"NNN")
            .filter(|&i| codon(i) == b"ATG")
            .last()
            .map(|start| (start, stop + 3))
    };
    stops.filter_map(longest).filter(|(start, end)| end - start >= 3 * (min_codons + 1)).collect()
}

proptest! {
    #[test]
    fn both_strands_equal_the_definition(
        sequence in proptest::collection::vec(
            proptest::sample::select(&b"ATGATGTAAACGTNNN"[..]), 0..300,
        ),
        min_codons in 1_usize..6,
    ) {
        let opposite = reverse_complement(&sequence);
        let orfs = find(&sequence, min_codons);
        prop_assert!(orfs.is_sorted());
        let on = |strand| orfs.iter().filter(move |orf| orf.strand == strand);

        let mut forward: Vec<_> = on(Strand::Forward).map(|orf| (orf.start, orf.end)).collect();
        let mut reverse: Vec<_> = on(Strand::Reverse)
            .map(|orf| (sequence.len() - orf.end, sequence.len() - orf.start))
            .collect();
        forward.sort_unstable_by_key(|&(_, end)| end);
        reverse.sort_unstable_by_key(|&(_, end)| end);
        prop_assert_eq!(forward, by_definition(&sequence, min_codons));
        prop_assert_eq!(reverse, by_definition(&opposite, min_codons));

        for orf in &orfs {
            let protein = orf.protein(&sequence);
            prop_assert!(protein.starts_with('M') && !protein.contains('*'));
            prop_assert_eq!(protein.len(), orf.codons());
        }
    }
}
