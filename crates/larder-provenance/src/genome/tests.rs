use larder_storage::ErrorKind;
use proptest::prelude::*;

use super::*;
use crate::{Encoded, Payload};

fn genome(name: &str, sequences: &[(&str, &str)]) -> Genome {
    let sequences = sequences
        .iter()
        .map(|(name, bases)| ((*name).to_owned(), bases.as_bytes().to_vec()))
        .collect();
    Genome { name: name.to_owned(), sequences, annotations: Vec::new() }
}

fn gene(chrom: &str, start: u64, end: u64) -> Interval {
    let name = Some("gene".to_owned());
    Interval { chrom: chrom.to_owned(), start, end, name, ..Interval::default() }
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

#[test]
fn annotations_are_stored_and_found_again() {
    for (store, _dir) in both() {
        let plain = genome("g", &[("chr1", "ACGT")]);
        let annotated =
            Genome { annotations: vec![gene("chr1", 0, 4), gene("chr1", 2, 2)], ..plain.clone() };
        let ids = [&plain, &annotated].map(|genome| store.import(genome.clone()).unwrap().id);
        assert_ne!(ids[0], ids[1]);
        assert_eq!(store.import(annotated.clone()).unwrap().id, ids[1]);
        assert_eq!(store.get(ids[1]).unwrap().unwrap().genome, annotated);
        let counts: Vec<_> = store.list_all().map(|record| record.unwrap().annotations).collect();
        assert_eq!(counts, [0, 2]);
    }
}

#[test]
fn annotations_off_the_sequences_are_refused() {
    let with =
        |sequences: &[(&str, &str)], annotations| Genome { annotations, ..genome("g", sequences) };
    let bad = [
        (with(&[("a", "ACGT")], vec![gene("a", 0, 4), gene("a", 3, 5)]), "annotation 1 "),
        (with(&[("a", "ACGT")], vec![gene("b", 0, 1)]), "annotation 0 "),
        (with(&[("a", "ACGT")], vec![gene("a", 2, 1)]), "annotation 0 "),
        (with(&[], vec![gene("a", 0, 0)]), "the genome has annotations and no sequences"),
    ];
    for (genome, start) in bad {
        let error = genome.encode().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().starts_with(start), "{error}");
    }
}

#[test]
fn the_format_of_annotations_never_changes() {
    let annotated = Genome { annotations: vec![gene("a", 1, 3)], ..genome("g", &[("a", "ACGT")]) };
    let Encoded { bytes, summary } = annotated.encode().unwrap();
    let json = concat!(
        r#"{"chrom":["a"],"start":[1],"end":[3],"name":["gene"],"score":[null],"strand":["."]}"#,
        "\n>a\nACGT\n"
    );
    assert_eq!(bytes, json);
    assert_eq!(summary, r#"{"name":"g","chroms":[["a",4]],"annotations":1}"#);
    for (from, to) in [(":1}", ":2}"), (",\"annotations\":1", "")] {
        let summary = summary.replace(from, to);
        let error = Genome::decode(Encoded { bytes: bytes.clone(), summary }, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
    }
    let fasta_alone = Encoded { bytes: ">a\nACGT\n".into(), summary };
    assert_eq!(Genome::decode(fasta_alone, 1).unwrap_err().kind(), ErrorKind::Format);
}

fn fasta(text: &str) -> Result<Genome> {
    Genome::read_fasta(text.as_bytes(), "g")
}

#[test]
fn line_ends_and_blanks_of_fasta_do_not_matter() {
    let expected = genome("g", &[("a", "ACgtN"), ("b", "R*-G")]);
    for text in [
        ">a first\nACg\ntN\n>b\nR*-G\n",
        ">a first\r\nACg\r\ntN\r\n>b\r\nR*-G",
        "\n\n>a\tfirst\n\nACg\n\ntN\n\n\n>b\nR*-G\n\n\n",
        "\u{feff}>a\nAC g\t\ntN \n>b\r\nR*-G\r\n\r\n",
    ] {
        assert_eq!(fasta(text).unwrap(), expected);
    }
}

#[test]
fn bad_fasta_is_refused_with_its_record() {
    let long = format!(">{}", "é".repeat(5000));
    let bad = [
        ("", "is empty"),
        ("\n\r\n ", "is empty"),
        ("ACGT\n", "is not FASTA: it starts with 'A'"),
        ("\x1f\u{8b}", "is not text"),
        (">a\nA\n> b\nA\n", "record 2 has no name"),
        (">a\u{7}\nA\n", "the name of record 1 is not printable"),
        (">a\nA\n>b\nC\n>a x\nG\n", "record 'a' appears twice"),
        (">a\n>b\nA\n", "record 'a' has no sequence"),
        (">a\nA\n>b", "record 'b' has no sequence"),
        (">a\nAC\nG1\n", "record 'a' has '1' at base 4,"),
        (">a\nA\n>b\n\0A\n", "record 'b' has byte 0x00 at base 1,"),
        (long.as_str(), "record 'éé"),
    ];
    for (text, start) in bad {
        let error = fasta(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let line = error.to_string();
        assert!(line.starts_with(start) && line.chars().count() < 150, "{line}");
    }
    for before in 1..200 {
        let error = fasta(&format!(">a\n{}>b\nC\n", "A".repeat(before))).unwrap_err();
        assert!(error.to_string().starts_with("record 'a' has '>'"), "{error}");
    }
}

#[test]
fn a_reader_and_a_writer_that_fail_are_io() {
    let reader = std::fs::File::open(env!("CARGO_MANIFEST_DIR")).unwrap();
    assert_eq!(Genome::read_fasta(reader, "g").unwrap_err().kind(), ErrorKind::Io);
    let full: &mut [u8] = &mut [0; 4];
    let error = genome("g", &[("a", "ACGT")]).write_fasta(full).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
}

proptest! {
    #[test]
    fn any_fasta_is_read_or_refused_in_one_line(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        prefix in prop::sample::select(vec![&b""[..], b">", b">a\n"]),
    ) {
        match Genome::read_fasta(&[prefix, &bytes].concat()[..], "g") {
            Ok(genome) => prop_assert!(!genome.sequences.is_empty() && genome.check().is_ok()),
            Err(error) => prop_assert_eq!(error.to_string().lines().count(), 1),
        }
    }

    #[test]
    fn fasta_that_is_written_is_read(sequences in prop::collection::btree_map("[!-~é]{1,9}", "[A-Za-z*-]{1,200}", 1..5)) {
        let sequences = sequences.into_iter().map(|(name, bases)| (name, bases.into_bytes())).collect();
        let genome = Genome { name: "g".to_owned(), sequences, annotations: Vec::new() };
        let mut text = Vec::new();
        genome.write_fasta(&mut text).unwrap();
        prop_assert_eq!(Genome::read_fasta(&text[..], "g").unwrap(), genome);
    }

    #[test]
    fn any_genome_comes_back(name in ".{0,9}", sequences in prop::collection::btree_map("[!-~é]{1,9}", "[A-Za-z*-]{1,200}", 0..5)) {
        let sequences = sequences.into_iter().map(|(name, bases)| (name, bases.into_bytes())).collect();
        let genome = Genome { name, sequences, annotations: Vec::new() };
        prop_assert_eq!(Genome::decode(genome.encode().unwrap(), 1).unwrap(), genome);
    }
}
