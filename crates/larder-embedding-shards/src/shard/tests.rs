use half::{bf16, f16};
use larder_storage::{MemoryStorage, PutIf, Storage};
use parquet::{
    arrow::ArrowWriter,
    file::{metadata::KeyValue, properties::WriterProperties},
};
use proptest::prelude::*;

use super::*;
use crate::{
    PoolType, WindowRecord,
    testing::{key, python_shard, python_shard_with, records},
};

fn path() -> Key {
    Key::new("embeddings/x.parquet").unwrap()
}

fn open(file: impl Into<larder_storage::Bytes>) -> Result<Shard> {
    let storage = MemoryStorage::new();
    storage.put(&path(), file.into(), PutIf::Always).unwrap();
    Shard::open(&path(), storage.open(&path()).unwrap().unwrap().into())
}

/// An embedding of any bits: NaNs with payloads, infinities, subnormal numbers.
fn embedding(dtype: Dtype, dim: usize, seed: u64) -> Embedding {
    let bits = |i: usize| {
        let mixed = (seed ^ i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // Every third one has the highest exponent.
        if mixed.is_multiple_of(3) {
            (mixed >> 32) as u32 | 0x7f80_0000
        } else {
            (mixed >> 32) as u32
        }
    };
    match dtype {
        Dtype::Fp16 => {
            Embedding::Fp16((0..dim).map(|i| f16::from_bits((bits(i) >> 16) as u16)).collect())
        }
        Dtype::Bf16 => {
            Embedding::Bf16((0..dim).map(|i| bf16::from_bits((bits(i) >> 16) as u16)).collect())
        }
        Dtype::Fp32 => Embedding::Fp32((0..dim).map(|i| f32::from_bits(bits(i))).collect()),
    }
}

fn batch(dtype: Dtype, dim: usize, rows: u32) -> Vec<WindowRecord> {
    let make = |i| {
        let key = WindowKey { dtype, ..key(i) };
        WindowRecord::new("X", i.into(), i64::from(i) + 9, key, embedding(dtype, dim, i.into()))
            .unwrap()
    };
    (0..rows).map(make).collect()
}

fn by_offset(shard: &Shard) -> Vec<(WindowKey, Embedding)> {
    let dim = shard.dim().unwrap();
    let read = |entry: RowEntry| {
        let place = RowPlace { offset: entry.offset.unwrap(), dim, crc: entry.crc.unwrap() };
        (entry.key, read_row(&path(), &*shard.reader, &entry.key, place).unwrap())
    };
    shard.entries().unwrap().into_iter().map(read).collect()
}

fn layouts() -> impl Strategy<Value = (Dtype, usize, u32, Layout)> {
    let dtypes = prop_oneof![Just(Dtype::Fp16), Just(Dtype::Bf16), Just(Dtype::Fp32)];
    let dims = prop_oneof![1..=20_usize, 60..70_usize, Just(300), Just(1023), Just(1025)];
    let layouts = (1..40_usize, 1..5_usize)
        .prop_map(|(page_rows, group_pages)| Layout { page_rows, group_pages });
    (dtypes, dims, 1..150_u32, layouts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn both_ways_to_read_return_the_bits_that_were_written((dtype, dim, rows, layout) in layouts()) {
        let written = batch(dtype, dim, rows);
        let shard = open(encode(&written, None, layout).unwrap()).unwrap();
        let written: Vec<_> = written.into_iter().map(|record| (record.key, record.embedding)).collect();
        prop_assert_eq!(&by_offset(&shard), &written);
        let all: Vec<u64> = (0..rows.into()).collect();
        prop_assert_eq!(&shard.decode(&all).unwrap(), &written);
        let some: Vec<u64> = all.into_iter().filter(|row| row % 7 == 3).collect();
        let expected: Vec<_> = some.iter().map(|row| written[*row as usize].clone()).collect();
        prop_assert_eq!(shard.decode(&some).unwrap(), expected);
        prop_assert_eq!(shard.verify().unwrap().len(), rows as usize);
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let framed = [b"PAR1", &bytes[..], &(bytes.len() as u32).to_le_bytes(), b"PAR1"].concat();
        for file in [bytes, framed] {
            prop_assert_eq!(open(file).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }
}

#[test]
fn rows_of_every_width_end_pages_and_groups_anywhere() {
    let layout = Layout { page_rows: 5, group_pages: 2 };
    for dim in (1..=20).chain([1023, 1025]) {
        for rows in [1, 4, 5, 6, 9, 10, 11, 21] {
            let dtype = [Dtype::Fp16, Dtype::Bf16, Dtype::Fp32][(dim + rows as usize) % 3];
            let written = batch(dtype, dim, rows);
            let shard = open(encode(&written, None, layout).unwrap()).unwrap();
            let expected: Vec<_> =
                written.into_iter().map(|record| (record.key, record.embedding)).collect();
            assert_eq!(by_offset(&shard), expected, "{rows} rows of {dim}");
            let all: Vec<u64> = (0..rows.into()).collect();
            assert_eq!(shard.decode(&all).unwrap(), expected, "{rows} rows of {dim}");
            assert_eq!(shard.verify().unwrap().len(), rows as usize);
        }
    }
}

#[test]
fn a_row_group_has_few_pages() {
    let (dim, rows) = (3, 1000);
    let layout = Layout { page_rows: 4, group_pages: 64 };
    let shard = open(encode(&batch(Dtype::Fp16, dim, rows), None, layout).unwrap()).unwrap();
    let metadata = shard.metadata.metadata();
    assert_eq!(metadata.num_row_groups(), 4);
    for group in 0..4 {
        assert!(metadata.page_index_for_row_group(group).page_locations(9).unwrap().len() <= 64);
    }
}

#[test]
fn a_cut_shard_is_corrupt() {
    let file = encode(&records(0..5), None, Layout::of(Dtype::Fp32, 4)).unwrap();
    for len in [0, 3, 12, file.len() / 2, file.len() - 1] {
        assert_eq!(open(file.slice(..len)).unwrap_err().kind(), ErrorKind::Corrupt, "{len} bytes");
    }
}

#[test]
fn a_shard_of_the_python_package_is_read_as_it_is() {
    let mut written = records(0..50);
    written[7].embedding = Embedding::Fp32(vec![0.5; 9]);
    let shard = open(python_shard(&written)).unwrap();
    let entries = shard.verify().unwrap();
    assert_eq!(entries.len(), 50);
    assert!(entries.iter().all(|entry| entry.crc.is_none() && entry.offset.is_none()));
    for (record, (key, found)) in
        written.iter().zip(shard.decode(&(0..50).collect::<Vec<_>>()).unwrap())
    {
        assert_eq!(key, record.key);
        assert_eq!(found, Embedding::from_f32(Dtype::Fp16, &record.embedding.to_f32()).unwrap());
    }
}

#[test]
fn a_column_that_is_missing_or_wrong_is_named() {
    let written = records(0..3);
    let without =
        |name| python_shard_with(&written, |columns| columns.retain(|(column, _)| *column != name));
    for name in ["chrom", "window_hash", "embedding", "schema_version"] {
        let error = open(without(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.message().contains(name), "{error}");
    }
    let text = python_shard_with(&written, |columns| columns[5].1 = Arc::clone(&columns[0].1));
    assert!(open(text).unwrap_err().message().contains("state_layer"));
}

#[test]
fn a_row_that_breaks_a_rule_is_corrupt() {
    let written = records(0..3);
    let texts = |text: &str| Arc::new(arrow_array::StringArray::from(vec![text; 3]));
    let kind = |column: usize, text: &str| {
        let file = python_shard_with(&written, |columns| columns[column].1 = texts(text));
        open(file).unwrap().verify().unwrap_err().kind()
    };
    assert_eq!(kind(0, ""), ErrorKind::Corrupt);
    assert_eq!(kind(6, "max"), ErrorKind::Corrupt);
    assert_eq!(kind(8, "int8"), ErrorKind::Corrupt);
    assert_eq!(kind(12, "2.0.0"), ErrorKind::Format);
    let future = python_shard_with(&written, |columns| columns[12].1 = texts("2.0.0"));
    assert_eq!(open(future).unwrap().entries().unwrap_err().kind(), ErrorKind::Format);
    let nulls = python_shard_with(&written, |columns| {
        columns[3].1 = Arc::new(arrow_array::FixedSizeBinaryArray::new_null(32, 3));
    });
    assert_eq!(open(nulls).unwrap().entries().unwrap_err().kind(), ErrorKind::Corrupt);
}

/// A Parquet file that names this version of our format.
fn of_version(version: &str) -> Vec<u8> {
    let pair = KeyValue::new(encode::VERSION_KEY.to_owned(), version.to_owned());
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![pair])).build();
    let mut file = Vec::new();
    let schema = Arc::new(schema::of(Dtype::Fp32, 4));
    ArrowWriter::try_new(&mut file, schema, Some(properties)).unwrap().close().unwrap();
    file
}

#[test]
fn a_version_from_the_future_is_told_from_damage() {
    let error = open(of_version("2")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Format);
    assert!(error.message().contains("upgrade Larder"));
    assert_eq!(open(of_version("one")).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(open(of_version("1")).unwrap().entries().unwrap(), []);
}

#[test]
fn the_key_of_another_row_is_not_taken_for_its_own() {
    let shard = open(encode(&records(0..2), None, Layout::of(Dtype::Fp32, 4)).unwrap()).unwrap();
    let entries = shard.entries().unwrap();
    let place =
        RowPlace { offset: entries[0].offset.unwrap(), dim: 4, crc: entries[0].crc.unwrap() };
    let other = WindowKey { pool_type: PoolType::Attention, ..entries[0].key };
    assert_eq!(
        read_row(&path(), &*shard.reader, &other, place).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    let beyond = RowPlace { offset: shard.len() - 3, ..place };
    assert_eq!(
        read_row(&path(), &*shard.reader, &entries[0].key, beyond).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
}

mod flips;
