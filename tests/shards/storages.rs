//! One suite on every storage, with the index on a local disk.

use std::sync::Arc;

use larder::embedding_shards::{
    CompactOptions, Dtype, Embedding, EmbeddingCache, Options, Removal, WindowKey, WindowRecord,
    bf16, f16,
};
use larder_storage::{
    Durability, ErrorKind, Key, LocalStorage, MemoryStorage, PutIf, Storage, StorageExt,
};
use tempfile::TempDir;

use super::{
    changes::{embedding, key, write},
    kind, numbers,
};
use crate::servers::on_each_server;

/// A storage, and the indexes of those who use it.
struct Place {
    storage: Arc<dyn Storage>,
    indexes: TempDir,
}

impl Place {
    fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage, indexes: tempfile::tempdir().unwrap() }
    }

    /// The cache as the machine of this name opens it, with an index of its own.
    fn open(&self, machine: &str) -> EmbeddingCache {
        let index = self.indexes.path().join(machine);
        EmbeddingCache::on(Arc::clone(&self.storage), index, Options::default()).unwrap()
    }

    fn bytes(&self, key: &Key) -> Vec<u8> {
        self.storage.get(key).unwrap().expect("an object").into_bytes().into()
    }

    fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<_> = self.storage.keys(None).unwrap().map(Result::unwrap).collect();
        keys.sort();
        keys
    }
}

type Check = fn(&Place);

const SUITE: [(&str, Check); 8] = [
    ("found", what_is_written_is_found),
    ("types", every_type_keeps_its_bits),
    ("immutable", a_shard_is_never_changed),
    ("gone", a_shard_that_is_gone_is_told_until_the_index_is_made_anew),
    ("damaged", a_damaged_shard_is_moved_aside),
    ("shared", two_machines_see_each_others_shards_when_they_open_the_cache),
    ("refreshed", machines_that_refresh_see_what_others_wrote_merged_and_removed),
    ("embedded", what_another_machine_has_embedded_is_not_embedded_again),
];

fn suite(storage: impl Fn(&str) -> Arc<dyn Storage>) {
    SUITE.iter().for_each(|(name, check)| check(&Place::new(storage(name))));
}

#[test]
fn memory_passes_the_suite() {
    suite(|_| Arc::new(MemoryStorage::new()));
}

#[test]
fn a_directory_passes_the_suite() {
    let dir = tempfile::tempdir().unwrap();
    suite(|name| Arc::new(LocalStorage::open(dir.path().join(name), Durability::Process).unwrap()));
}

#[test]
fn real_servers_pass_the_suite() {
    on_each_server("the suite of shards", |server| {
        server.open("shards");
        suite(|name| server.reopen(&format!("shards/{name}")));
    });
}

fn what_is_written_is_found(place: &Place) {
    let cache = place.open("a");
    let paths = [0, 1].map(|block| write(&cache, block, block * 10..block * 10 + 10, 7).unwrap());
    assert_eq!(place.keys(), paths);
    for cache in [cache, place.open("b")] {
        let asked = [15, 3, 99, 3, 10];
        assert_eq!(numbers(&cache, asked), [Some(7), Some(7), None, Some(7), Some(7)]);
        assert_eq!(cache.read(&key(19)).unwrap(), Some(embedding(19, 7)));
        assert_eq!(cache.read(&key(20)).unwrap(), None);
        assert!(cache.contains(&key(0)).unwrap() && !cache.contains(&key(20)).unwrap());
        let status = cache.status().unwrap();
        assert_eq!((status.shards, status.rows, status.skipped), (2, 20, 0));
        let report = cache.verify().unwrap();
        assert!(report.is_clean() && (report.shards, report.rows) == (2, 20), "{report:?}");
    }
}

fn every_type_keeps_its_bits(place: &Place) {
    let embeddings = [
        Embedding::Fp16([0x7c01, 0xfc00, 0x8000, 0x0001].map(f16::from_bits).into()),
        Embedding::Bf16([0xff81, 0x7f80, 0x8000, 0x0001].map(bf16::from_bits).into()),
        Embedding::Fp32([0x7f80_0001, 0xff80_0000, 0x8000_0000, 1].map(f32::from_bits).into()),
    ];
    let cache = place.open("a");
    let mut keys = Vec::new();
    for embedding in &embeddings {
        let key = WindowKey { dtype: embedding.dtype(), ..key(1) };
        let record = WindowRecord::new("X", 0, 64, key, embedding.clone()).unwrap();
        cache.write_shard("org/model", "X", 0, &[record]).unwrap();
        keys.push(key);
    }
    assert_eq!(keys.iter().map(|key| key.dtype).max(), Some(Dtype::Fp32));
    let expected = embeddings.map(Some);
    assert_eq!(cache.read_many(&keys).unwrap(), expected);
    assert_eq!(place.open("b").read_many(&keys).unwrap(), expected);
    assert!(cache.verify().unwrap().is_clean());
}

fn a_shard_is_never_changed(place: &Place) {
    let cache = place.open("a");
    let path = write(&cache, 0, 0..10, 1).unwrap();
    let bytes = place.bytes(&path);
    // All of it once more, and a part of it.
    for windows in [0..10, 4..6] {
        assert_eq!(write(&cache, 0, windows, 1).unwrap(), path);
    }
    // Other embeddings, more rows, and a row in another shard.
    for (block, windows, number) in [(0, 0..10, 2), (0, 5..11, 1), (1, 9..12, 1)] {
        assert_eq!(kind(write(&cache, block, windows, number)), ErrorKind::Conflict);
    }
    assert!(place.bytes(&path) == bytes, "the shard was changed");
    assert_eq!(place.keys(), [path]);
    assert_eq!(numbers(&cache, 9..11), [Some(1), None]);
}

fn a_shard_that_is_gone_is_told_until_the_index_is_made_anew(place: &Place) {
    let writer = place.open("a");
    let paths = [0, 1].map(|block| write(&writer, block, block * 10..block * 10 + 10, 1).unwrap());
    // Has none of them open.
    let cache = place.open("a");
    assert!(place.storage.remove(&paths[0]).unwrap());
    assert_eq!(kind(cache.read(&key(3))), ErrorKind::NotFound);
    let problems = cache.verify().unwrap().problems;
    assert_eq!(problems.iter().map(|it| &*it.place).collect::<Vec<_>>(), [paths[0].as_str()]);
    let report = cache.reindex().unwrap();
    assert_eq!((report.indexed_shards, report.indexed_rows, report.problems), (1, 10, vec![]));
    assert_eq!(numbers(&cache, [3, 13]), [None, Some(1)]);
    assert!(cache.verify().unwrap().is_clean());
    write(&cache, 0, 0..10, 2).unwrap();
    assert_eq!(numbers(&place.open("b"), [3, 13]), [Some(2), Some(1)]);
}

fn a_damaged_shard_is_moved_aside(place: &Place) {
    let writer = place.open("a");
    let path = write(&writer, 0, 0..10, 1).unwrap();
    write(&writer, 1, 10..20, 1).unwrap();
    let mut half = place.bytes(&path);
    half.truncate(half.len() / 2);
    place.storage.put(&path, half.clone().into(), PutIf::Always).unwrap();
    let cache = place.open("a");
    // The row itself may lie in the half that is left.
    match cache.read(&key(3)) {
        Ok(row) => assert_eq!(row, Some(embedding(3, 1))),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt),
    }
    assert_eq!(place.open("b").skipped().len(), 1);
    let problems = cache.verify().unwrap().problems;
    assert_eq!(problems.iter().map(|it| &*it.place).collect::<Vec<_>>(), [path.as_str()]);
    let report = cache.repair().unwrap();
    assert_eq!((report.checked_shards, report.reindex.indexed_rows), (2, 10));
    assert_eq!(report.reindex.problems, []);
    let [aside] = &report.quarantined[..] else { panic!("{report:?}") };
    assert!(place.bytes(&Key::new(aside).unwrap()) == half, "what was damaged is kept");
    assert!(place.storage.head(&path).unwrap().is_none());
    assert_eq!(numbers(&cache, [3, 13]), [None, Some(1)]);
    write(&cache, 0, 0..10, 2).unwrap();
    for cache in [cache, place.open("b")] {
        assert_eq!(numbers(&cache, [3, 13]), [Some(2), Some(1)]);
        assert!(cache.verify().unwrap().is_clean() && cache.skipped().is_empty());
    }
}

fn two_machines_see_each_others_shards_when_they_open_the_cache(place: &Place) {
    let (a, b) = (place.open("a"), place.open("b"));
    let first = write(&a, 0, 0..10, 1).unwrap();
    let second = write(&b, 1, 10..20, 2).unwrap();
    assert_eq!(
        (numbers(&a, [3, 13]), numbers(&b, [3, 13])),
        (vec![Some(1), None], vec![None, Some(2)])
    );
    // What the other has written before is taken on where it is the same.
    assert_eq!(kind(write(&b, 0, 0..10, 9)), ErrorKind::Conflict);
    write(&b, 0, 2..4, 1).unwrap();
    assert_eq!(numbers(&b, [3, 13]), [Some(1), Some(2)]);
    drop((a, b));
    for machine in ["a", "b", "c"] {
        let cache = place.open(machine);
        assert_eq!(numbers(&cache, [3, 13]), [Some(1), Some(2)]);
        assert!(cache.verify().unwrap().is_clean() && cache.skipped().is_empty());
    }
    assert_eq!(place.keys(), [first, second]);
}

fn machines_that_refresh_see_what_others_wrote_merged_and_removed(place: &Place) {
    let (a, b) = (place.open("a"), place.open("b"));
    let old = [0, 1].map(|block| write(&a, block, block * 10..block * 10 + 10, 1).unwrap());
    write(&b, 2, 20..30, 1).unwrap();
    for cache in [&a, &b] {
        assert_eq!(cache.refresh().unwrap(), []);
        assert_eq!(numbers(cache, [3, 13, 23, 33]), [Some(1), Some(1), Some(1), None]);
    }
    let report = a.compact(CompactOptions::default()).unwrap();
    assert_eq!((report.replaced, report.written, report.rows, report.problems), (3, 1, 30, vec![]));
    let merged = a.shards().unwrap().pop().unwrap().path;
    assert_eq!(place.keys(), std::slice::from_ref(&merged));
    // Knows the old ones until it looks, which writing one of them again makes it do.
    assert_eq!(write(&b, 0, 0..10, 1).unwrap(), merged);
    for cache in [&a, &b, &place.open("c")] {
        assert_eq!(numbers(cache, [3, 13, 23, 33]), [Some(1), Some(1), Some(1), None]);
        assert!(cache.verify().unwrap().is_clean() && cache.skipped().is_empty());
        assert_eq!(kind(write(cache, 0, 0..10, 2)), ErrorKind::Conflict);
    }
    let removed = b.remove(&Removal::EncoderHash(key(0).encoder_hash)).unwrap();
    assert_eq!((removed.removed, removed.kept), (vec![merged.to_string()], vec![]));
    assert_eq!((a.refresh().unwrap(), place.keys()), (vec![], vec![]));
    assert_eq!(write(&a, 0, 0..10, 2).unwrap(), old[0]);
}

fn what_another_machine_has_embedded_is_not_embedded_again(place: &Place) {
    let (a, b) = (place.open("a"), place.open("b"));
    write(&a, 0, 0..5, 1).unwrap();
    let keys: Vec<_> = (0..5).map(key).collect();
    // A directory that is shared is refreshed by whoever wants it.
    if place.storage.local_root().is_some() {
        b.refresh().unwrap();
    }
    let found = b.read_or_embed("org/model", "21", &keys, |_| panic!("it is there"));
    assert_eq!(found.unwrap()[4], embedding(4, 1));
}

#[test]
fn a_row_on_a_server_is_one_request_of_its_bytes_alone() {
    on_each_server("requests for embeddings", |server| {
        let (proxy, storage) = server.behind_proxy("shard-rows");
        let place = Place::new(storage);
        let path = write(&place.open("a"), 0, 0..1000, 1).unwrap();
        let file = place.bytes(&path);
        let cache = place.open("a");
        for window in [1, 500, 999] {
            proxy.take_count(&[]);
            assert_eq!(cache.read(&key(window)).unwrap(), Some(embedding(window, 1)));
            assert_eq!(proxy.take_count(&[]), 1, "requests to {}", server.name());
            cache.read(&key(window)).unwrap();
            let words = ["GET", &range_of(&file, window)];
            assert_eq!(proxy.take_count(&words), 1, "{words:?} to {}", server.name());
        }
    });
}

/// How a request asks for the bytes of a window in the file of its shard.
fn range_of(file: &[u8], window: u32) -> String {
    let values = embedding(window, 1).to_f32();
    let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
    let start = file.windows(bytes.len()).position(|found| found == bytes).unwrap();
    format!("range: bytes={start}-{}", start + bytes.len() - 1)
}
