use larder_storage::ErrorKind;
use proptest::prelude::*;

use super::*;
use crate::{Encoded, Payload};

fn genome(name: &str, sequences: &[(&str, &str)]) -> Genome {
    let sequences = sequences
        .iter()
        .map(|(name, bases)| ((*name).to_owned(), bases.as_bytes().to_vec()))
        .collect();
    Genome { name: name.to_owned(), sequences }
}

fn both() -> [(GenomeStore, Option<tempfile::TempDir>); 2] {
    let dir = tempfile::tempdir().unwrap();
    let durable = GenomeStore::open(dir.path(), Options::default()).unwrap();
    [(GenomeStore::in_memory(), None), (durable, Some(dir))]
}

#[test]
fn the_life_of_a_genome() {
    for (store, _dir) in both() {
        let genome = genome("test", &[("chr2", "ATcgN"), ("chr1", "A")]);
        let id = store.put(genome.clone()).unwrap();
        let again = store.put(genome.clone()).unwrap();
        assert_ne!(id, again);
        let stored = store.get(id).unwrap().unwrap();
        assert_eq!(stored.genome, genome);
        assert_eq!(
            stored.chrom_lengths(),
            Chroms::from([("chr1".to_owned(), 1), ("chr2".to_owned(), 5)])
        );
        let listed: Vec<_> = store.list_all().map(|record| record.unwrap()).collect();
        assert_eq!([listed[0].id, listed[1].id], [id, again]);
        assert_eq!((listed[0].name.as_str(), listed[0].created_at), ("test", stored.created_at));
        assert_eq!(listed[0].chroms, [("chr2".to_owned(), 5), ("chr1".to_owned(), 1)]);
        assert!(store.delete(id).unwrap());
        assert!(!store.delete(id).unwrap());
        assert_eq!(store.get(again).unwrap().unwrap().genome, genome);
    }
}

#[test]
fn an_import_finds_the_same_genome_again() {
    for (store, _dir) in both() {
        let lambda = genome("lambda", &[("chr1", "ATCG")]);
        let first = store.import(lambda.clone()).unwrap();
        let again = store.import(lambda.clone()).unwrap();
        assert_eq!((first.computed, again.computed, again.id), (true, false, first.id));
        let others = [genome("phage", &[("chr1", "ATCG")]), genome("lambda", &[("chr1", "ATCg")])];
        for other in others {
            assert!(store.import(other).unwrap().computed);
        }
        assert_ne!(store.put(lambda).unwrap(), first.id);
    }
}

#[test]
fn what_fasta_cannot_hold_is_refused_with_its_place() {
    let bad = [
        genome("g", &[("a", "A"), ("", "A")]),
        genome("g", &[("a", "A"), ("b c", "A")]),
        genome("g", &[("a", "A"), ("b\n", "A")]),
        genome("g", &[("a", "A"), ("b\0", "A")]),
        genome("g", &[("a", "A"), ("a", "A")]),
        genome("g", &[("a", "A"), ("b", "")]),
        genome("g", &[("a", "A"), ("b", "A\n>c")]),
        genome("g", &[("a", "A"), ("b", "A1")]),
    ];
    let store = GenomeStore::in_memory();
    for genome in bad {
        for error in [store.put(genome.clone()).unwrap_err(), store.import(genome).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().starts_with("sequence 1 "), "{error}");
        }
    }
    assert!(store.store().is_empty().unwrap());
}

#[test]
fn the_format_never_changes() {
    let bases = "A".repeat(61);
    let Encoded { bytes, summary } =
        genome("g", &[("chr2", &bases), ("chr1", "cg*-")]).encode().unwrap();
    assert_eq!(bytes, format!(">chr2\n{}\nA\n>chr1\ncg*-\n", "A".repeat(60)));
    assert_eq!(summary, r#"{"name":"g","chroms":[["chr2",61],["chr1",4]]}"#);
}

#[test]
fn what_is_not_as_its_summary_says_is_refused() {
    let good = genome("g", &[("a", "ACGT")]).encode().unwrap();
    let with = |bytes: &'static str| Encoded { bytes: bytes.into(), ..good.clone() };
    let empty = Encoded { bytes: "stray".into(), ..genome("g", &[]).encode().unwrap() };
    for encoded in
        [with(""), with("ACGT\n"), with(">a\nACG\n"), with(">a\nACGT"), with(">b\nACGT\n"), empty]
    {
        assert_eq!(Genome::decode(encoded, 1).unwrap_err().kind(), ErrorKind::Format);
    }
}

proptest! {
    #[test]
    fn any_genome_comes_back(name in ".{0,9}", sequences in prop::collection::btree_map("[!-~é]{1,9}", "[A-Za-z*-]{1,200}", 0..5)) {
        let sequences = sequences.into_iter().map(|(name, bases)| (name, bases.into_bytes())).collect();
        let genome = Genome { name, sequences };
        prop_assert_eq!(Genome::decode(genome.encode().unwrap(), 1).unwrap(), genome);
    }
}
