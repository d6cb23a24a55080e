//! Streams of rows, and columns of the user's own.

use arrow_array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

/// Rows whose files do not differ by the time of writing.
fn timed(windows: Range<u32>) -> Vec<WindowRecord> {
    records(windows).into_iter().map(|row| WindowRecord { created_at: 5, ..row }).collect()
}

fn notes(rows: Range<u32>) -> RecordBatch {
    let scores: Float64Array = rows.clone().map(|row| Some(f64::from(row) / 7.0)).collect();
    let notes: StringArray = rows.map(|row| (row % 3 > 0).then(|| format!("note {row}"))).collect();
    let columns: [(_, ArrayRef, _); 2] =
        [("score", Arc::new(scores), true), ("note", Arc::new(notes), true)];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn decoded(f: &Fixture, path: &Key) -> RecordBatch {
    let file = fs::File::open(f.file(path)).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.next().unwrap().unwrap()
}

fn files(f: &Fixture) -> Vec<(Key, Vec<u8>)> {
    let keys = f.cache.list().unwrap();
    keys.into_iter().map(|key| (key.clone(), fs::read(f.file(&key)).unwrap())).collect()
}

#[test]
fn extra_columns_lie_beside_ours() {
    let f = Fixture::new();
    let rows = records(0..10);
    let path = f.cache.write_shard_with("enc", "1", 0, &rows, &notes(0..10)).unwrap();
    let found = decoded(&f, &path);
    assert_eq!(found.num_columns(), 15 + 2);
    assert_eq!(found.project(&[15, 16]).unwrap(), notes(0..10));
    assert_eq!(f.cache.read(&key(7)).unwrap(), Some(record(7).embedding));
    assert_eq!(f.cache.read_record(&key(7)).unwrap().unwrap().start_bp, record(7).start_bp);
    assert!(f.cache.verify().unwrap().is_clean());

    // They are not compared, and those of the shard stay.
    f.cache.write_shard_with("enc", "1", 0, &rows, &notes(10..20)).unwrap();
    f.cache.write_shard("enc", "1", 0, &rows).unwrap();
    assert_eq!(decoded(&f, &path), found);
}

#[test]
fn extra_columns_that_do_not_fit_are_refused() {
    let f = Fixture::new();
    let one: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let named = |names: &[&str]| {
        RecordBatch::try_from_iter(names.iter().map(|name| (*name, Arc::clone(&one)))).unwrap()
    };
    let union_fields = arrow_schema::UnionFields::from_fields(vec![arrow_schema::Field::new(
        "a",
        arrow_schema::DataType::Int32,
        true,
    )]);
    let union =
        arrow_array::UnionArray::try_new(union_fields, vec![0].into(), None, vec![one.clone()]);
    let union: ArrayRef = Arc::new(union.unwrap());
    // What Parquet would give back as another type.
    let seconds: ArrayRef = Arc::new(arrow_array::DurationSecondArray::from(vec![1]));
    let nothing: ArrayRef = Arc::new(arrow_array::FixedSizeBinaryArray::new_null(0, 1));
    let batches = [
        RecordBatch::try_from_iter([("d", seconds)]).unwrap(),
        RecordBatch::try_from_iter([("n", nothing)]).unwrap(),
        named(&["embedding"]),
        named(&["Source_CRC32C"]),
        named(&[""]),
        named(&["a", "A"]),
        RecordBatch::try_from_iter([("u", union)]).unwrap(),
        notes(0..2),
        notes(0..0),
    ];
    for there in [false, true] {
        for batch in &batches {
            let refused = f.cache.write_shard_with("enc", "1", 0, &records(0..1), batch);
            assert_eq!(kind(refused), ErrorKind::Invalid, "{batch:?}");
            let mut writer = f.cache.writer("enc", "1", 0);
            assert_eq!(kind(writer.write_with(records(0..1), batch)), ErrorKind::Invalid);
        }
        assert_eq!(f.cache.list().unwrap().len(), usize::from(there));
        f.write(0, 0..1);
    }
}

#[test]
fn only_whole_shards_stay_of_a_writer_that_is_dropped() {
    let f = Fixture::new();
    // Three rows of four singles.
    let mut writer = f.cache.writer("enc", "1", 4).bytes_per_shard(48);
    writer.write(records(0..8)).unwrap();
    drop(writer);
    assert_eq!(f.cache.status().unwrap().rows, 6);

    // The same job once more: what is there is nothing to do.
    let before = files(&f);
    let mut writer = f.cache.writer("enc", "1", 4).bytes_per_shard(48);
    writer.write(records(0..8)).unwrap();
    let id = |block| ShardId::of("enc", "1", block, &key(0));
    let expected = [4, 5, 6].map(|block| shard_path_for(&id(block)).unwrap());
    assert_eq!(writer.finish().unwrap(), expected);
    assert_eq!(files(&f)[..2], before);
    assert_eq!(f.cache.status().unwrap().rows, 8);
    assert_eq!(f.cache.writer("enc", "1", 0).finish().unwrap(), []);
}

#[test]
fn a_shard_that_cannot_be_written_is_not_mixed_with_what_comes_after_it() {
    let f = Fixture::new();
    f.write(9, 1..2);
    let mut writer = f.cache.writer("enc", "1", 0).bytes_per_shard(32);
    assert_eq!(kind(writer.write(records(0..2))), ErrorKind::Conflict);
    assert_eq!(kind(writer.write(records(2..4))), ErrorKind::Conflict);
    f.cache.storage.remove(&f.cache.list().unwrap()[0]).unwrap();
    f.cache.reindex().unwrap();
    writer.write(records(4..5)).unwrap();
    writer.finish().unwrap();
    let found = f.cache.contains_many(&(0..5).map(key).collect::<Vec<_>>()).unwrap();
    assert_eq!(found, [true, true, false, false, true]);
    let mut last = f.cache.writer("enc", "1", u64::MAX).bytes_per_shard(1);
    assert_eq!(kind(last.write(records(10..12))), ErrorKind::Invalid);
}

#[test]
fn rows_with_and_without_extra_columns_do_not_share_a_shard() {
    let f = Fixture::new();
    let mut writer = f.cache.writer("enc", "1", 0);
    writer.write_with(records(0..2), &notes(0..2)).unwrap();
    assert_eq!(kind(writer.write(records(2..3))), ErrorKind::Invalid);
    let other = notes(2..3).project(&[0]).unwrap();
    assert_eq!(kind(writer.write_with(records(2..3), &other)), ErrorKind::Invalid);
    writer.finish().unwrap();
    let mut writer = f.cache.writer("enc", "1", 1);
    writer.write(records(5..6)).unwrap();
    assert_eq!(kind(writer.write_with(records(6..7), &notes(6..7))), ErrorKind::Invalid);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_calls_that_rows_come_in_do_not_matter(
        cuts in proptest::collection::vec(0..60_u32, 0..8),
        bytes_per_shard in 1..400_u64,
        extra: bool,
    ) {
        let write = |cuts: Vec<u32>| {
            let f = Fixture::new();
            let mut writer = f.cache.writer("enc", "1", 0).bytes_per_shard(bytes_per_shard);
            for pair in cuts.windows(2) {
                let range = pair[0]..pair[1];
                if extra {
                    writer.write_with(timed(range.clone()), &notes(range)).unwrap();
                } else {
                    writer.write(timed(range)).unwrap();
                }
            }
            let keys = writer.finish().unwrap();
            assert_eq!(f.cache.status().unwrap().rows, 60);
            (keys, files(&f))
        };
        let mut cuts = [vec![0, 60], cuts].concat();
        cuts.sort_unstable();
        prop_assert_eq!(write(cuts), write(vec![0, 60]));
    }
}
