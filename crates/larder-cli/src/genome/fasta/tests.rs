use std::{fs::File, io::Write};

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

use super::*;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn sequences(text: &[u8]) -> Vec<(String, String)> {
    let genome = parse("test", text).unwrap();
    let text = |record: Record| (record.name, String::from_utf8(record.sequence).unwrap());
    genome.records.into_iter().map(text).collect()
}

fn pair(name: &str, sequence: &str) -> (String, String) {
    (name.to_owned(), sequence.to_owned())
}

/// The one line and the kind that bad input is answered with.
fn refusal(bytes: &[u8]) -> (ErrorKind, String) {
    let error = parse("test", bytes).unwrap_err();
    (error.kind(), error.to_string())
}

fn invalid_line(bytes: &[u8]) -> String {
    let (kind, line) = refusal(bytes);
    assert_eq!(kind, ErrorKind::Invalid);
    line
}

#[test]
fn lambda_is_whole() {
    let lambda = Genome::lambda().unwrap();
    assert_eq!(lambda.name, "NC_001416.1");
    let [record] = lambda.records.as_slice() else { panic!("one record") };
    assert_eq!(record.name, "gi|9626243|ref|NC_001416.1|");
    assert_eq!(record.sequence.len(), 48_502);
    assert!(record.sequence.starts_with(b"GGGCGGCGACCTCGCGGG"));
    assert!(record.sequence.ends_with(b"GATCCGACAGGTTACG"));
}

#[test]
fn line_ends_blanks_and_case_do_not_matter() {
    let expected = [pair("a", "ACGTN"), pair("b", "RYGG")];
    for text in [
        &b">a first\nACG\nTN\n>b\nRYGG\n"[..],
        b">a first\r\nacg\r\ntn\r\n>b\r\nRyGg",
        b"\n\n>a first\n\nACG\n\nTN\n\n\n>b\nRYGG\n\n\n",
        b"\xef\xbb\xbf>a first\nAC G\t\nTN \n>b\r\nRYGG\r\n\r\n",
    ] {
        assert_eq!(sequences(text), expected);
        assert_eq!(sequences(&gzip(text)), expected);
    }
}

#[test]
fn gzip_may_have_several_members() {
    let bytes = [gzip(b">a\nAC"), gzip(b""), gzip(b"GT\n>b\nA\n")].concat();
    assert_eq!(sequences(&bytes), [pair("a", "ACGT"), pair("b", "A")]);
}

#[test]
fn damaged_gzip_is_corrupt() {
    let whole = gzip(&b">a\nACGTTGCA\n".repeat(50));
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    for bytes in [&whole[..whole.len() - 3], &whole[..12], &whole[..2], &flipped] {
        let (kind, line) = refusal(bytes);
        assert_eq!(kind, ErrorKind::Corrupt);
        assert!(line.starts_with("the gzip data is truncated or damaged"), "{line}");
    }
}

#[test]
fn what_is_not_fasta_is_refused_in_one_line() {
    for nothing in [&b""[..], b"\n\r\n ", &gzip(b"")] {
        assert!(invalid_line(nothing).starts_with("is empty"));
    }
    assert!(invalid_line(b"\x7fELF\x02\x01\0\0").starts_with("is not text"));
    assert!(invalid_line(b">a\n>b\nA\n").starts_with("record 'a' has no sequence"));
}

#[test]
fn bad_letters_are_located() {
    assert!(invalid_line(b">a\nAC\nGZ\n").starts_with("record 'a' has 'Z' at base 4,"));
    assert!(invalid_line(b">a\nAC-\n").starts_with("record 'a' has '-' at base 3,"));
    assert!(invalid_line(b">a\nA\n>b\n\0A\n").starts_with("record 'b' has byte 0x00 at base 1,"));
}

#[test]
fn messages_are_short_whatever_the_name() {
    let line =
        invalid_line(&[b">".to_vec(), "é".repeat(5000).into_bytes(), b"\nZ".to_vec()].concat());
    assert!(line.chars().count() < 200, "{line}");
}

#[test]
fn files_are_named_after_themselves() {
    let directory = tempfile::tempdir().unwrap();
    for (file, name) in [
        ("phage.fa", "phage"),
        ("phage.v1.2.fasta.gz", "phage.v1.2"),
        ("phage", "phage"),
        ("phage.GZ", "phage"),
    ] {
        let path = directory.path().join(file);
        File::create(&path).unwrap().write_all(b">a\nA\n").unwrap();
        assert_eq!(read(&path).unwrap().name, name);
    }
}

#[test]
fn unreadable_files_are_named_with_their_path() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("none.fa");
    let empty = directory.path().join("empty.fa");
    File::create(&empty).unwrap();
    for (path, kind, message) in [
        (missing.as_path(), ErrorKind::NotFound, "no such file"),
        (directory.path(), ErrorKind::Invalid, "is a directory"),
        (empty.as_path(), ErrorKind::Invalid, "is empty"),
    ] {
        let error = read(path).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(
            error.to_string().starts_with(&format!("{}: {message}", path.display())),
            "{error}"
        );
    }
}

#[test]
fn a_refused_read_is_io() {
    let refused = io::Error::from(io::ErrorKind::PermissionDenied);
    let error = unreadable(Path::new("x.fa"), refused);
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().starts_with("x.fa: no permission"), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_in_one_line(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        prefix in proptest::sample::select(vec![&b""[..], b">", b">a\n", GZIP_MAGIC]),
    ) {
        match parse("test", &[prefix, &bytes].concat()) {
            Ok(genome) => prop_assert!(!genome.records.is_empty()),
            Err(error) => prop_assert_eq!(error.to_string().lines().count(), 1),
        }
    }

    #[test]
    fn what_is_written_is_read(
        records in proptest::collection::vec("[ACGTUacgtnRYKMSWBDHV]{1,200}", 1..5),
        width in 1_usize..90,
        end in proptest::sample::select(vec!["\n", "\r\n", "\n\n"]),
        compress in any::<bool>(),
    ) {
        let mut text = String::new();
        for (i, sequence) in records.iter().enumerate() {
            text += &format!(">r{i}{end}");
            for line in sequence.as_bytes().chunks(width) {
                text += str::from_utf8(line).unwrap();
                text += end;
            }
        }
        let bytes = if compress { gzip(text.as_bytes()) } else { text.into_bytes() };
        let expected: Vec<_> = records
            .iter()
            .enumerate()
            .map(|(i, sequence)| pair(&format!("r{i}"), &sequence.to_ascii_uppercase()))
            .collect();
        prop_assert_eq!(sequences(&bytes), expected);
    }
}
