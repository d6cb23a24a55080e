use std::{collections::HashMap, fs, ops::Range, thread};

use larder_storage::{ErrorKind, Key, MemoryStorage, PutIf, StorageExt};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{
    Dtype, Embedding, ShardId, VerifyReport, WindowKey, WindowRecord, legacy_shard_path_for,
    shard_path_for,
    testing::{WatchedStorage, key, python_shard, python_shard_with, record, records},
};

mod bounds;
mod collection;
mod compact;
mod embed;
mod faults;
mod health;
mod import;
mod machines;
mod matrix;
mod model;
mod progress;
mod python;
mod racing;
mod reading;
mod remove;
mod rewrite;
mod scan;
mod writer;

struct Fixture {
    dir: TempDir,
    cache: EmbeddingCache,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cache = EmbeddingCache::open(dir.path(), Options::default()).unwrap();
        Self { dir, cache }
    }

    fn open(&self) -> EmbeddingCache {
        EmbeddingCache::open(self.dir.path(), Options::default()).unwrap()
    }

    fn write(&self, block: u64, windows: Range<u32>) -> Key {
        self.cache.write_shard("enc", "1", block, &records(windows)).unwrap()
    }

    fn file(&self, key: &Key) -> PathBuf {
        self.dir.path().join(key.as_str())
    }

    fn put(&self, key: &Key, bytes: impl Into<larder_storage::Bytes>) {
        self.cache.storage.put(key, bytes.into(), PutIf::Always).unwrap();
    }

    /// Flips bits in the middle of the numbers that the row of `window` has.
    fn damage(&self, shard: &Key, window: u32) {
        let mut bytes = fs::read(self.file(shard)).unwrap();
        let Embedding::Fp32(values) = record(window).embedding else { panic!("another type") };
        let needle: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let at = bytes.windows(needle.len()).position(|found| found == needle).unwrap();
        bytes[at + 5] ^= 0x11;
        self.put(shard, bytes);
    }
}

fn kind<T: std::fmt::Debug>(outcome: Result<T>) -> ErrorKind {
    outcome.unwrap_err().kind()
}

fn legacy_path(block: u64) -> Key {
    legacy_shard_path_for(&ShardId::of("a/b", "1", block, &key(0))).unwrap()
}

#[test]
fn types_cross_threads() {
    fn check<T: Send + Sync>() {}
    check::<EmbeddingCache>();
    check::<Options>();
    check::<WindowRecord>();
    check::<VerifyReport>();
}

#[test]
fn rows_come_back_in_the_order_asked_for() {
    let f = Fixture::new();
    f.write(0, 0..10);
    f.write(1, 10..20);
    let asked = [15, 3, 99, 3, 10].map(key);
    let found = f.cache.read_many(&asked).unwrap();
    let expected =
        [Some(15), Some(3), None, Some(3), Some(10)].map(|w| w.map(|w| record(w).embedding));
    assert_eq!(found, expected);
    assert_eq!(f.cache.contains_many(&asked).unwrap(), [true, true, false, true, true]);
    assert!(f.cache.contains(&key(0)).unwrap() && !f.cache.contains(&key(20)).unwrap());
    assert_eq!(f.cache.read(&WindowKey { dtype: Dtype::Bf16, ..key(3) }).unwrap(), None);
    let status = f.cache.status().unwrap();
    assert_eq!((status.shards, status.rows), (2, 20));
    assert!(status.bytes > 0 && status.index_path.ends_with(".larder/shards.sqlite"));
}

#[test]
fn every_row_is_read_by_its_offset() {
    let f = Fixture::new();
    f.write(0, 0..500);
    let keys: Vec<_> = (0..500).map(key).collect();
    let found = f.cache.index.find(&keys).unwrap();
    assert!(found.iter().flatten().all(|found| found.offset.is_some() && found.crc.is_some()));
    assert_eq!(found.len(), 500);
}

#[test]
fn a_whole_row_comes_back_whoever_wrote_its_shard() {
    let place = Fixture::new();
    let cache = &place.cache;
    place.write(0, 0..50);
    let read = |cache: &EmbeddingCache, window| cache.read_record(&key(window)).unwrap();
    for window in [0, 17, 49] {
        let row = read(cache, window).unwrap();
        let expected = WindowRecord { created_at: row.created_at, ..record(window) };
        assert_eq!(row, expected);
        assert!(row.created_at > 0);
    }
    assert_eq!(read(cache, 50), None);
    let theirs: Vec<_> = records(60..70).into_iter().map(|row| row.with_untargeted(true)).collect();
    place.put(&legacy_path(7), python_shard(&theirs));
    let cache = place.open();
    let row = read(&cache, 65).unwrap();
    assert_eq!((row.key, row.start_bp, row.untargeted), (key(65), theirs[5].start_bp, true));
    assert_eq!(row.embedding.dtype(), Dtype::Fp16);
}

#[test]
fn rows_are_found_while_another_cache_makes_the_index_anew() {
    let place = Fixture::new();
    let (cache, other) = (&place.cache, place.open());
    place.write(0, 0..50);
    place.write(1, 50..100);
    thread::scope(|scope| {
        let anew = scope.spawn(|| (0..20).for_each(|_| drop(other.reindex().unwrap())));
        while !anew.is_finished() {
            for window in [3, 77] {
                assert_eq!(cache.read(&key(window)).unwrap(), Some(record(window).embedding));
            }
        }
    });
}

#[test]
fn writing_the_same_again_or_less_of_it_is_nothing() {
    let f = Fixture::new();
    let path = f.write(0, 0..10);
    let before = fs::read(f.file(&path)).unwrap();
    f.write(0, 0..10);
    f.write(0, 4..6);
    let moved: Vec<_> = records(0..3)
        .into_iter()
        .map(|r| WindowRecord { start_bp: 1, end_bp: 2, created_at: 77, ..r })
        .collect();
    f.cache.write_shard("enc", "1", 0, &moved).unwrap();
    assert_eq!(fs::read(f.file(&path)).unwrap(), before);
    assert_eq!(f.cache.status().unwrap().rows, 10);
}

#[test]
fn a_row_of_nans_written_again_is_the_same() {
    let f = Fixture::new();
    let nan = f32::from_bits(0xffa0_0001);
    let row =
        WindowRecord::new("1", 0, 1, key(0), Embedding::Fp32(vec![nan, f32::INFINITY])).unwrap();
    f.cache.write_shard("enc", "1", 0, std::slice::from_ref(&row)).unwrap();
    f.cache.write_shard("enc", "1", 0, std::slice::from_ref(&row)).unwrap();
    assert_eq!(f.cache.read(&key(0)).unwrap(), Some(row.embedding));
}

#[test]
fn appending_changing_and_taking_another_shards_key_are_conflicts() {
    let f = Fixture::new();
    let path = f.write(0, 0..10);
    let before = fs::read(f.file(&path)).unwrap();
    assert_eq!(kind(f.cache.write_shard("enc", "1", 0, &records(5..11))), ErrorKind::Conflict);
    let mut changed = records(0..10);
    changed[9].embedding = changed[8].embedding.clone();
    assert_eq!(kind(f.cache.write_shard("enc", "1", 0, &changed)), ErrorKind::Conflict);
    assert_eq!(kind(f.cache.write_shard("enc", "1", 1, &records(9..20))), ErrorKind::Conflict);
    assert_eq!(fs::read(f.file(&path)).unwrap(), before);
    assert_eq!(f.cache.list().unwrap(), [path]);
    assert_eq!(f.cache.contains_many(&[key(9), key(10)]).unwrap(), [true, false]);
}

#[test]
fn new_weights_and_other_dtypes_get_shards_of_their_own() {
    let f = Fixture::new();
    let first = f.write(0, 0..2);
    let newer = WindowKey { encoder_hash: [6; 32], ..key(0) };
    let half = WindowKey { dtype: Dtype::Fp16, ..key(0) };
    for key in [newer, half] {
        let embedding = Embedding::from_f32(key.dtype, &[2.5; 7]).unwrap();
        let row = WindowRecord::new("1", 0, 1, key, embedding.clone()).unwrap();
        assert_ne!(f.cache.write_shard("enc", "1", 0, &[row]).unwrap(), first);
        assert_eq!(f.cache.read(&key).unwrap(), Some(embedding));
    }
    assert_eq!(f.cache.read(&key(0)).unwrap(), Some(record(0).embedding));
}

#[test]
fn a_batch_that_is_no_shard_is_refused() {
    let f = Fixture::new();
    let with = |change: &dyn Fn(&mut WindowRecord)| {
        let mut batch = records(0..3);
        change(&mut batch[2]);
        batch
    };
    let batches = [
        vec![],
        with(&|r| r.key = key(0)),
        with(&|r| r.chrom = "2".into()),
        with(&|r| r.key.state_layer = 4),
        with(&|r| r.key.encoder_hash = [1; 32]),
        with(&|r| r.key.pool_radius = 1),
        with(&|r| r.embedding = Embedding::Fp32(vec![1.0])),
        with(&|r| r.embedding = Embedding::from_f32(Dtype::Fp16, &[1.0; 4]).unwrap()),
        with(&|r| r.end_bp = r.start_bp),
    ];
    for batch in batches {
        assert_eq!(kind(f.cache.write_shard("enc", "1", 0, &batch)), ErrorKind::Invalid);
    }
    assert_eq!(kind(f.cache.write_shard("", "1", 0, &records(0..1))), ErrorKind::Invalid);
    assert_eq!(f.cache.list().unwrap(), []);
}

#[test]
fn any_storage_holds_the_shards() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Arc::new(MemoryStorage::new());
    let open = |index: &str| {
        EmbeddingCache::on(storage.clone(), dir.path().join(index), Options::default()).unwrap()
    };
    let first = open("a");
    let path = first.write_shard("enc", "1", 0, &records(0..5)).unwrap();
    let second = open("b");
    assert_eq!(second.read(&key(2)).unwrap(), Some(record(2).embedding));
    let mut bytes = storage.get(&path).unwrap().unwrap().into_bytes().to_vec();
    bytes.truncate(bytes.len() - 9);
    storage.put(&path, bytes.into(), PutIf::Always).unwrap();
    let report = second.repair().unwrap();
    assert_eq!((report.quarantined.len(), report.reindex.indexed_rows), (1, 0));
    assert_eq!(storage.head(&path).unwrap(), None);
    assert!(storage.head(&Key::new(&report.quarantined[0]).unwrap()).unwrap().is_some());
}

#[test]
fn a_shard_that_another_index_published_first_is_adopted() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Arc::new(MemoryStorage::new());
    let open = |index: &str| {
        EmbeddingCache::on(storage.clone(), dir.path().join(index), Options::default()).unwrap()
    };
    let (a, b) = (open("a"), open("b"));
    a.write_shard("enc", "1", 0, &records(0..5)).unwrap();
    b.write_shard("enc", "1", 0, &records(0..5)).unwrap();
    assert_eq!(b.read(&key(0)).unwrap(), Some(record(0).embedding));
    a.write_shard("enc", "1", 1, &records(5..9)).unwrap();
    assert_eq!(kind(b.write_shard("enc", "1", 1, &records(6..11))), ErrorKind::Conflict);
}

#[test]
fn threads_that_write_overlapping_shards_write_each_key_once() {
    let f = Fixture::new();
    let caches = [f.open(), f.open()];
    thread::scope(|scope| {
        for thread in 0..8_u32 {
            let cache = &caches[thread as usize % 2];
            scope.spawn(move || {
                for block in 0..10 {
                    // Four threads write the same shard; the other four one that overlaps with it.
                    let (id, start) = if thread < 4 {
                        (block, block * 10)
                    } else {
                        (100 + block, block * 10 + 5)
                    };
                    match cache.write_shard("enc", "1", id.into(), &records(start..start + 10)) {
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}"),
                        Ok(_) => assert_eq!(
                            cache.read(&key(start + 7)).unwrap(),
                            Some(record(start + 7).embedding)
                        ),
                    }
                }
            });
        }
    });
    let report = f.cache.verify().unwrap();
    assert_eq!(report.problems, []);
    let reindexed = f.cache.reindex().unwrap();
    assert_eq!((reindexed.indexed_rows, reindexed.problems), (report.rows, vec![]));
}
