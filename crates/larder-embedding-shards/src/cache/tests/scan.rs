//! Scans: which rows come, in which order and form, and what is read for them.

use arrow_array::{
    Array, ArrayRef, Float16Array, RecordBatch, RecordBatchReader, StringArray,
    cast::AsArray,
    types::{Float32Type, Int64Type},
};
use arrow_schema::{ArrowError, DataType};

use super::*;
use crate::{
    PoolType, Scan, ScanReader,
    shard::{Layout, encode},
};

mod model;

/// A cache of shards whose bytes are counted.
struct Watched {
    storage: Arc<WatchedStorage>,
    cache: EmbeddingCache,
    _dir: TempDir,
}

impl Watched {
    fn new() -> Self {
        let (dir, storage) = (tempfile::tempdir().unwrap(), Arc::new(WatchedStorage::default()));
        let cache = EmbeddingCache::on(storage.clone(), dir.path(), Options::default()).unwrap();
        Self { storage, cache, _dir: dir }
    }

    fn put(&self, path: &Key, bytes: impl Into<larder_storage::Bytes>) {
        self.storage.put(path, bytes.into(), PutIf::Always).unwrap();
    }

    /// A shard with many pages and row groups.
    fn put_cut(&self, path: &Key, rows: &[WindowRecord], page_rows: usize) {
        let layout = Layout { page_rows, group_pages: 2 };
        self.put(path, encode(rows, None, layout).unwrap());
    }

    fn index(&self) {
        assert_eq!(self.cache.reindex().unwrap().problems, []);
    }

    /// The batches of a scan, and how many bytes were read for them.
    fn scan(&self, scan: Scan) -> (Vec<RecordBatch>, u64) {
        self.storage.reset();
        let reader = self.cache.scan(scan).unwrap();
        let schema = reader.schema();
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        assert!(batches.iter().all(|batch| batch.schema() == schema && batch.num_rows() > 0));
        assert!(self.storage.most_open() <= 1);
        (batches, self.storage.bytes_read())
    }
}

fn shard(name: &str) -> Key {
    Key::new(format!("embeddings/enc/{name}.parquet")).unwrap()
}

/// Rows of a contig, each with `dim` numbers.
fn wide(contig: &str, windows: Range<u32>, dim: u16) -> Vec<WindowRecord> {
    let row = |window| {
        let (start, embedding) = (i64::from(window) * 100, crate::testing::values(dim));
        WindowRecord::new(contig, start, start + 100, key(window), embedding).unwrap()
    };
    windows.map(row).collect()
}

fn starts(batches: &[RecordBatch]) -> Vec<i64> {
    let of = |batch: &RecordBatch| batch["start_bp"].as_primitive::<Int64Type>().values().to_vec();
    batches.iter().flat_map(of).collect()
}

/// Puts shards that others wrote, and indexes them.
fn put_all<const N: usize>(f: &Fixture, shards: [(Key, Vec<u8>); N]) {
    for (path, bytes) in shards {
        f.put(&path, bytes);
    }
    assert_eq!(f.cache.reindex().unwrap().problems, []);
}

/// The error that a scan ends with, at once or later.
fn ends(cache: &EmbeddingCache, scan: Scan) -> larder_storage::Error {
    let mut reader = match cache.scan(scan) {
        Ok(reader) => reader,
        Err(error) => return error,
    };
    let Some(Err(ArrowError::ExternalError(error))) = reader.find(Result::is_err) else {
        panic!("no error of ours")
    };
    assert!(reader.next().is_none(), "something comes after the error");
    *error.downcast().unwrap()
}

#[test]
fn a_reader_can_be_given_to_another_thread() {
    fn check<T: Send + 'static>() {}
    check::<ScanReader>();
    check::<Scan>();
}

#[test]
fn a_scan_of_one_contig_does_not_read_the_embeddings_of_others() {
    let watched = Watched::new();
    let dim = 1024;
    let bytes = 64 * 4 * u64::from(dim);
    for (contig, first) in [("1", 0), ("2", 64), ("3", 128)] {
        watched.put_cut(&shard(contig), &wide(contig, first..first + 64, dim), 8);
    }
    watched.index();
    let narrow = 40_000;
    let (all, read) = watched.scan(Scan::default());
    assert_eq!(starts(&all).len(), 192);
    assert!(read > 3 * bytes, "{read}");
    let (one, read) = watched.scan(Scan::default().source("2"));
    assert_eq!(starts(&one), (64..128).map(|window| window * 100).collect::<Vec<_>>());
    assert!((bytes..bytes + narrow).contains(&read), "{read}");
    let (some, read) = watched.scan(Scan::default().source("2").positions(7000..7150));
    assert_eq!(starts(&some), [7000, 7100]);
    assert!(read < bytes / 4 + narrow, "one page of eight: {read}");
    let (none, read) = watched.scan(Scan::default().source("4"));
    assert!(none.is_empty() && read < narrow, "{read}");
    let (keys, read) = watched.scan(Scan::default().columns(["window_hash", "start_bp"]));
    assert_eq!(starts(&keys).len(), 192);
    assert!(read < 2 * narrow, "{read}");
}

#[test]
fn of_rows_in_one_page_only_those_asked_for_are_checked() {
    let f = Fixture::new();
    let path = f.write(0, 0..20);
    f.damage(&path, 13);
    assert_eq!(ends(&f.cache, Scan::default()).kind(), ErrorKind::Corrupt);
    let reader = f.cache.scan(Scan::default().positions(0..800)).unwrap();
    assert_eq!(
        starts(&reader.map(Result::unwrap).collect::<Vec<_>>()),
        [0, 100, 200, 300, 400, 500, 600, 700]
    );
    // Where no embedding is read, none is checked.
    assert_eq!(f.cache.scan(Scan::default().columns(["chrom"])).unwrap().count(), 1);
}

#[test]
fn columns_come_in_the_order_asked_for_and_batches_are_as_small_as_asked_for() {
    let f = Fixture::new();
    f.write(0, 0..10);
    let columns = ["end_bp", "embedding", "source_crc32c"];
    let reader = f.cache.scan(Scan::default().columns(columns).batch_rows(4)).unwrap();
    let names = |schema: &arrow_schema::Schema| {
        schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&reader.schema()), columns);
    let rows: Vec<usize> = reader.map(|batch| batch.unwrap().num_rows()).collect();
    assert_eq!(rows, [4, 4, 2]);
    let reader = f.cache.scan(Scan::default().batch_rows(0)).unwrap();
    assert_eq!(names(&reader.schema()), crate::shard::standard().collect::<Vec<_>>());
    assert_eq!(reader.count(), 10);
    let none: [&str; 0] = [];
    let counted = f.cache.scan(Scan::default().columns(none)).unwrap();
    assert_eq!(counted.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 10);
}

#[test]
fn where_nothing_is_found_there_is_a_schema_and_no_batch() {
    let f = Fixture::new();
    for dtype in [Dtype::Fp16, Dtype::Bf16] {
        let scan = Scan::default().dtype(dtype).columns(["embedding", "mine"]);
        let mut reader = f.cache.scan(scan).unwrap();
        let item = if dtype == Dtype::Fp16 { DataType::Float16 } else { DataType::Float32 };
        let schema = reader.schema();
        let DataType::FixedSizeList(found, 0) = schema.field(0).data_type() else {
            panic!("{schema}")
        };
        assert_eq!((found.data_type(), schema.field(1).data_type()), (&item, &DataType::Null));
        assert!(reader.next().is_none());
    }
}

#[test]
fn shards_of_the_python_package_come_as_ours_do() {
    let f = Fixture::new();
    put_all(&f, [(legacy_path(0), python_shard(&records(0..30)))]);
    let halves: Vec<_> = (30..40)
        .map(|window| {
            let key = WindowKey { dtype: Dtype::Fp16, ..key(window) };
            let embedding = Embedding::from_f32(Dtype::Fp16, &[0.5; 4]).unwrap();
            WindowRecord { key, embedding, ..record(window) }
        })
        .collect();
    f.cache.write_shard("enc", "1", 0, &halves).unwrap();
    let batches: Vec<_> = f.cache.scan(Scan::default()).unwrap().map(Result::unwrap).collect();
    assert_eq!(starts(&batches), (0..40).map(|window| window * 100).collect::<Vec<_>>());
    let DataType::FixedSizeList(item, 4) = batches[0]["embedding"].data_type() else { panic!() };
    assert!(!item.is_nullable() && item.data_type() == &DataType::Float16);
    assert!(batches[0].schema().fields().iter().all(|field| !field.is_nullable()));
    let mut numbers: Vec<ArrayRef> = Vec::new();
    for batch in &batches {
        numbers.push(batch["embedding"].as_fixed_size_list().value(0));
    }
    let first = Float16Array::from_iter_values([0.0, 0.25, 0.5, 0.75].map(crate::f16::from_f32));
    assert_eq!(numbers[0].as_ref(), &first as &dyn Array);
    assert_eq!(f.cache.scan(Scan::default().dtype(Dtype::Fp16)).unwrap().count(), 1);
}

#[test]
fn widths_and_types_that_differ_are_told_apart_by_a_filter() {
    let f = Fixture::new();
    let other = |window| WindowRecord {
        key: WindowKey { dtype: Dtype::Fp16, ..key(window) },
        embedding: crate::testing::values(9),
        ..record(window)
    };
    let shards = [
        ("a", python_shard(&records(0..3))),
        ("b", python_shard(&[other(5), other(6)])),
        ("c", python_shard(&[record(7), other(8)])),
    ];
    put_all(&f, shards.map(|(name, bytes)| (shard(name), bytes)));
    let error = ends(&f.cache, Scan::default());
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let text = error.chain().to_string();
    for part in ["b.parquet", "is 9 Float16", "is 4 Float16", "filter by dtype or encoder"] {
        assert!(text.contains(part), "{text}");
    }
    let batches = |dtype| {
        f.cache.scan(Scan::default().dtype(dtype)).unwrap().map(Result::unwrap).collect::<Vec<_>>()
    };
    assert_eq!(starts(&batches(Dtype::Fp32)), [0, 100, 200, 700]);
    assert_eq!(starts(&batches(Dtype::Fp16)), [500, 600, 800]);
    f.cache.storage.remove(&shard("a")).unwrap();
    f.cache.storage.remove(&shard("b")).unwrap();
    let error = ends(&f.cache, Scan::default());
    assert_eq!(error.kind(), ErrorKind::Invalid, "two widths in one shard");
    f.cache.write_shard("enc", "1", 0, &records(20..22)).unwrap();
    let types = ends(&f.cache, Scan::default().dtype(Dtype::Fp32));
    assert_eq!(types.kind(), ErrorKind::Invalid, "single precision here, half there");
}

#[test]
fn columns_of_ones_own_are_read_where_they_are() {
    let f = Fixture::new();
    let mine = python_shard_with(&records(0..3), |columns| {
        let notes = StringArray::from(vec![Some("x"), None, Some("z")]);
        columns.push(("note.de", Arc::new(notes) as ArrayRef));
    });
    put_all(&f, [(shard("a"), mine)]);
    let scan = || Scan::default().columns(["note.de"]);
    let batches: Vec<_> = f.cache.scan(scan()).unwrap().map(Result::unwrap).collect();
    let notes: Vec<_> = batches[0].column(0).as_string::<i32>().iter().collect();
    assert_eq!(notes, [Some("x"), None, Some("z")]);
    put_all(&f, [(shard("b"), python_shard(&records(3..5)))]);
    let error = ends(&f.cache, scan());
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.chain().to_string().contains("\"note.de\""), "{}", error.chain());
    assert_eq!(f.cache.scan(scan().positions(0..300)).unwrap().count(), 1);
}

#[test]
fn a_shard_that_is_damaged_or_too_new_is_named() {
    let f = Fixture::new();
    let whole = python_shard(&records(3..6));
    put_all(&f, [(shard("a"), python_shard(&records(0..3))), (shard("b"), whole.clone())]);
    let future = python_shard_with(&records(3..6), |columns| {
        columns[12].1 = Arc::new(StringArray::from(vec!["1.0.0", "1.0.0", "2.0.0"]));
    });
    let nulls = python_shard_with(&records(3..6), |columns| {
        columns[0].1 = Arc::new(StringArray::from(vec![Some("1"), None, Some("1")]));
    });
    for (bytes, kind) in [
        (whole[..whole.len() / 2].to_vec(), ErrorKind::Corrupt),
        (future, ErrorKind::Format),
        (nulls, ErrorKind::Corrupt),
    ] {
        f.put(&shard("b"), bytes);
        for scan in [Scan::default(), Scan::default().source("1")] {
            let error = ends(&f.cache, scan);
            assert_eq!(error.kind(), kind);
            assert_eq!(error.key(), Some(&shard("b")), "{}", error.chain());
        }
    }
}

#[test]
fn a_shard_that_is_gone_is_left_out_unless_its_rows_may_be_elsewhere() {
    let f = Fixture::new();
    let shards = [("a", 0..3), ("b", 3..5), ("c", 5..9)];
    put_all(&f, shards.map(|(name, windows)| (shard(name), python_shard(&records(windows)))));
    let mut left_out = f.cache.scan(Scan::default()).unwrap();
    let moved = f.cache.scan(Scan::default()).unwrap();
    f.cache.storage.remove(&shard("b")).unwrap();
    let batches: Vec<_> = left_out.by_ref().map(Result::unwrap).collect();
    assert_eq!(starts(&batches), [0, 100, 200, 500, 600, 700, 800]);
    f.put(&shard("d"), python_shard(&records(3..5)));
    let outcomes: Vec<_> = moved.collect();
    let [Ok(_), Err(ArrowError::ExternalError(error))] = &outcomes[..] else {
        panic!("{outcomes:?}")
    };
    let error: &larder_storage::Error = error.downcast_ref().unwrap();
    assert_eq!((error.kind(), error.key()), (ErrorKind::Conflict, Some(&shard("b"))));
}
