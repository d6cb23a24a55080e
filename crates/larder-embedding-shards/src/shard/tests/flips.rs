//! Every single bit of a shard, flipped.

use std::{ops::Range, thread};

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use larder_storage::Bytes;
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};

use super::*;

fn extra() -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), None, Some(-1)]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("bc"), None]));
    RecordBatch::try_from_iter([("number", numbers), ("text", texts)]).unwrap()
}

fn extra_of(file: &Bytes) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(
        file.clone(),
        ArrowReaderOptions::new().with_skip_arrow_metadata(true),
    );
    let builder = builder.unwrap();
    let mask = ProjectionMask::columns(builder.parquet_schema(), ["number", "text"]);
    builder.with_projection(mask).build().unwrap().next().unwrap().unwrap()
}

/// The bits in a part of the file whose flipping nobody sees; after it all is as it was written.
fn unseen(file: &[u8], bytes: Range<usize>) -> Vec<usize> {
    let expected = open(file.to_vec()).unwrap().verify().unwrap();
    // Where a row lies may go untold, but what is told has to be what was written.
    let same = |(a, b): (&RowEntry, &RowEntry)| {
        (a.key, a.row, a.crc) == (b.key, b.row, b.crc)
            && (a.offset.is_none() || a.offset == b.offset)
    };
    let mut unseen = Vec::new();
    for bit in bytes.start * 8..bytes.end * 8 {
        let mut flipped = file.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let flipped = Bytes::from(flipped);
        match open(flipped.clone()).and_then(|shard| shard.verify()) {
            Ok(entries) => {
                assert_eq!(entries.len(), expected.len(), "bit {bit}");
                assert!(entries.iter().zip(&expected).all(same), "bit {bit}");
                assert_eq!(extra_of(&flipped).columns(), extra().columns(), "bit {bit}");
                unseen.push(bit);
            }
            Err(error) => {
                let kinds = [ErrorKind::Corrupt, ErrorKind::Format, ErrorKind::Unsupported];
                assert!(kinds.contains(&error.kind()), "bit {bit}: {error:?}");
            }
        }
    }
    unseen
}

#[test]
fn every_flipped_bit_is_seen_or_harmless() {
    let layout = Layout { page_rows: 2, group_pages: 4 };
    let file = encode(&batch(Dtype::Bf16, 3, 3), Some(&extra()), layout).unwrap();
    let half = file.len() / 2;
    let unseen: Vec<usize> = thread::scope(|scope| {
        let parts = [0..half, half..file.len()];
        let works = parts.map(|part| scope.spawn(|| unseen(&file, part)));
        works.into_iter().flat_map(|work| work.join().unwrap()).collect()
    });
    // A checksum whose name, or the length of that, is damaged is none, as in an older file.
    let name = checksum::FILE_CRC_KEY.as_bytes();
    let name_at = file.windows(name.len()).position(|found| found == name).unwrap();
    let place = name_at - 1..name_at + name.len();
    let elsewhere = unseen.iter().find(|bit| !place.contains(&(*bit / 8)));
    assert_eq!(elsewhere, None, "{place:?}");
    assert!(unseen.len() > name.len(), "{}", unseen.len());
}

#[test]
fn a_row_that_is_read_whole_is_what_was_written_or_an_error() {
    let layout = Layout { page_rows: 2, group_pages: 4 };
    let file = encode(&batch(Dtype::Fp32, 3, 3), None, layout).unwrap();
    let rows = open(file.to_vec()).unwrap().records(&[0, 1, 2]).unwrap();
    let mut refused = 0;
    for byte in 0..file.len() {
        let mut flipped = file.to_vec();
        flipped[byte] ^= 1;
        match open(flipped).and_then(|shard| shard.records(&[0, 1, 2])) {
            Ok(read) => assert_eq!(read, rows, "byte {byte}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 100, "{refused}");
}
