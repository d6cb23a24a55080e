use std::io::Cursor;

use bigtools::{BigWigRead, BigWigWrite, beddata::BedParserStreamingIterator};
use proptest::prelude::*;

use super::*;

/// Values on two chromosomes, among them gaps, and more than a section holds.
fn bedgraph() -> String {
    let line =
        |index: u64| format!("chr1\t{}\t{}\t{}\n", 3 * index, 3 * index + 2, index as f64 / 8.0);
    let chr1: String = (0..2500).map(line).collect();
    chr1 + "chr2\t0\t7\t-1.5\nchr2\t7\t9\t1e-30\n"
}

fn chroms() -> Chroms {
    [("chr1", 10_000), ("chr2", 10), ("chr3", 5)].map(|(name, len)| (name.to_owned(), len)).into()
}

/// The file that bigtools makes of bedGraph.
fn bigwig(bedgraph: &str, compress: bool) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.bw");
    let lens = chroms().into_iter().map(|(name, len)| (name, len as u32)).collect();
    let mut out = BigWigWrite::create_file(&path, lens).unwrap();
    out.options.compress = compress;
    let lines =
        BedParserStreamingIterator::from_bedgraph_file(Cursor::new(bedgraph.to_owned()), false);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    out.write(lines, runtime).unwrap();
    std::fs::read(path).unwrap()
}

fn read(bytes: &[u8]) -> Result<(SignalTrack, Chroms)> {
    SignalTrack::read_bigwig(Cursor::new(bytes), "x")
}

#[test]
fn what_bigtools_wrote_is_read_as_bedgraph_is() {
    let mut expected = SignalTrack::read_bedgraph(bedgraph().as_bytes(), "x", &chroms()).unwrap();
    // BigWig has 32 bits for a value.
    let Signals::Runs(runs) = &mut expected.signals else { panic!("runs") };
    runs[1].runs[1].value = f64::from(1e-30_f32);
    for compress in [true, false] {
        let (track, found) = read(&bigwig(&bedgraph(), compress)).unwrap();
        assert_eq!(track, expected);
        // bigtools writes the chromosomes that have values.
        assert!(found.iter().all(|(name, len)| chroms()[name] == *len) && found.len() >= 2);
    }
}

#[test]
fn a_file_is_opened_by_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.bw");
    let error = SignalTrack::open_bigwig(&path, "x").unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::NotFound, Some(path.as_path())));
    let mut file = File::create(&path).unwrap();
    std::io::Write::write_all(&mut file, &bigwig(&bedgraph(), true)).unwrap();
    let (track, chroms) = SignalTrack::open_bigwig(&path, "x").unwrap();
    assert!(track.check(&chroms).is_ok());
    assert_eq!(track.over("chr2", 6..8).count(), 2);
    assert_eq!(BigWigRead::open_file(&path).unwrap().chroms().len(), chroms.len());
}

/// The kind of a section, its step, span and count, and its items of four bytes.
type Section<'a> = (u8, [u32; 3], &'a [[u8; 4]]);

/// A big-endian file without compression, of one chromosome of 100 bases and these sections.
fn big_endian(sections: &[Section<'_>]) -> Vec<u8> {
    let mut file = Vec::new();
    let be = |file: &mut Vec<u8>, numbers: &[u32]| {
        file.extend(numbers.iter().flat_map(|it| it.to_be_bytes()))
    };
    be(&mut file, &[MAGIC, 0x0004_0000, 0, 64, 0, 0, 0, 112, 0, 0, 0, 0, 0, 0, 0, 0]);
    // One leaf of one chromosome.
    be(&mut file, &[CHROMS_MAGIC, 1, 4, 8, 0, 1, 0, 0, 0x0100_0001]);
    file.extend(b"chr1");
    be(&mut file, &[7, 100]);
    let count = sections.len() as u32;
    be(&mut file, &[INDEX_MAGIC, 1, 0, count, 0, 0, 0, 0, 0, 0, 1, 0, 0x0100_0000 | count]);
    let mut offset = file.len() as u32 + 32 * count;
    for (.., items) in sections {
        let len = SECTION_HEADER as u32 + 4 * items.len() as u32;
        be(&mut file, &[7, 0, 7, 100, 0, offset, 0, len]);
        offset += len;
    }
    for (kind, [step, span, count], items) in sections {
        be(&mut file, &[7, 10, 0, *step, *span, (u32::from(*kind) << 24) | count]);
        file.extend(items.iter().flatten());
    }
    file
}

#[test]
fn the_three_kinds_of_sections_are_read() {
    let int = u32::to_be_bytes;
    let float = f32::to_be_bytes;
    let file = big_endian(&[
        (3, [5, 2, 2], &[float(1.0), float(2.0)]),
        (2, [0, 3, 2], &[int(20), float(3.0), int(30), float(f32::NAN)]),
        (1, [0, 0, 2], &[int(40), int(40), float(4.0), int(40), int(100), float(5.0)]),
    ]);
    let (track, chroms) = read(&file).unwrap();
    assert_eq!(chroms, Chroms::from([("chr1".to_owned(), 100)]));
    let found: Vec<_> =
        track.over("chr1", 0..100).map(|run| (run.start, run.end, run.value.to_string())).collect();
    let expected = [(10, 12, "1"), (15, 17, "2"), (20, 23, "3"), (30, 33, "NaN"), (40, 100, "5")];
    assert_eq!(found, expected.map(|(start, end, value)| (start, end, value.to_owned())));
}

#[test]
fn what_cannot_be_is_corrupt() {
    let int = u32::to_be_bytes;
    let bad: [(u8, &[[u8; 4]], u32, &str); 5] = [
        (1, &[int(40), int(101), int(0)], 1, "not on its chromosome"),
        (1, &[int(40), int(39), int(0)], 1, "out of order"),
        (1, &[int(40), int(50), int(0), int(49), int(60), int(0)], 2, "out of order"),
        (4, &[int(0)], 1, "of a kind that is not known"),
        (2, &[int(0), int(0)], 2, "ends too early"),
    ];
    for (kind, items, count, what) in bad {
        let error = read(&big_endian(&[(kind, [0, 3, count], items)])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(what), "{error}");
    }
    let mut cycle = big_endian(&[]);
    let node = cycle.len() - 4;
    cycle
        .splice(node.., [0, 0, 0, 1].into_iter().chain([0; 16]).chain((node as u64).to_be_bytes()));
    assert!(read(&cycle).unwrap_err().to_string().contains("a node twice"));
    for other in [&b""[..], b"\x26", b">chr1\nACGT\n", &0x8789_F2EB_u32.to_le_bytes()] {
        assert_eq!(read(other).unwrap_err().kind(), ErrorKind::Format);
    }
    let mut newer = big_endian(&[]);
    newer[5] = 9;
    assert_eq!(read(&newer).unwrap_err().kind(), ErrorKind::Format);
}

#[test]
fn a_truncated_file_is_an_error_or_whole() {
    for compress in [true, false] {
        let whole = bigwig(&bedgraph(), compress);
        let expected = read(&whole).unwrap();
        let mut refused = 0;
        for len in (0..whole.len()).step_by(7) {
            match read(&whole[..len]) {
                Ok(found) => assert_eq!(found, expected),
                Err(error) => {
                    assert!(
                        matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Format),
                        "{error}"
                    );
                    refused += 1;
                }
            }
        }
        assert!(refused > 100);
    }
}

/// Reads what cannot be trusted: an error of a kind that says so, or a track that can be.
fn is_refused_or_sound(bytes: &[u8]) -> bool {
    match read(bytes) {
        Ok((track, chroms)) => track.check(&chroms).is_ok(),
        Err(error) => matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Format),
    }
}

#[test]
fn no_flipped_bit_is_a_panic_and_none_in_a_compressed_section_goes_unseen() {
    let short = "chr1\t0\t5\t0.5\nchr1\t5\t10\t0.25\nchr2\t0\t7\t-1.5\n";
    let whole = bigwig(short, true);
    let expected = read(&whole).unwrap();
    let mut source = Source::new(Cursor::new(&whole), MAGIC).unwrap();
    let index = Header::read(&mut source).unwrap().index;
    let sections = read_index(&mut source, index).unwrap();
    for bit in 0..8 * whole.len() {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(is_refused_or_sound(&flipped), "bit {bit}");
        let at = bit as u64 / 8;
        if sections.iter().any(|(offset, len)| (*offset..offset + len).contains(&at)) {
            // The level of compression is for information, and changes nothing.
            assert!(read(&flipped).map_or(true, |found| found == expected), "bit {bit}");
        }
    }
}

proptest! {
    #[test]
    fn no_damage_is_a_panic(
        seeds in prop::collection::vec((any::<prop::sample::Index>(), any::<[u8; 4]>()), 1..8),
    ) {
        let mut file = big_endian(&[(3, [5, 2, 9], &[[0; 4]; 9]), (2, [0, 3, 1], &[[0; 4]; 2])]);
        for (at, bytes) in seeds {
            let at = at.index(file.len() - 4);
            file[at..at + 4].copy_from_slice(&bytes);
        }
        prop_assert!(is_refused_or_sound(&file));
    }
}
