//! Caches on one storage, each with an index of its own.

use super::*;
use crate::{CompactOptions, Removal};

struct Machines {
    storage: Arc<MemoryStorage>,
    dirs: TempDir,
}

impl Machines {
    fn new() -> Self {
        Self { storage: Arc::default(), dirs: tempfile::tempdir().unwrap() }
    }

    fn open(&self, name: &str) -> EmbeddingCache {
        let index = self.dirs.path().join(name);
        EmbeddingCache::on(self.storage.clone(), index, Options::default()).unwrap()
    }
}

fn write(cache: &EmbeddingCache, block: u64, windows: Range<u32>) -> Key {
    cache.write_shard("enc", "1", block, &records(windows)).unwrap()
}

fn there<const N: usize>(cache: &EmbeddingCache, windows: [u32; N]) -> [bool; N] {
    let found = windows.map(|window| cache.read(&key(window)).unwrap());
    std::array::from_fn(|i| {
        found[i].as_ref().inspect(|it| assert_eq!(**it, record(windows[i]).embedding)).is_some()
    })
}

#[test]
fn refreshing_shows_what_others_wrote_merged_and_removed() {
    let machines = Machines::new();
    let (a, b) = (machines.open("a"), machines.open("b"));
    write(&a, 0, 0..4);
    write(&a, 1, 4..8);
    write(&a, 2, 8..12);
    assert_eq!(there(&b, [1, 5, 9]), [false; 3]);
    assert_eq!(b.refresh().unwrap(), []);
    assert_eq!(there(&b, [1, 5, 9]), [true; 3]);

    a.compact(CompactOptions::default()).unwrap();
    let fresh = machines.open("c");
    b.handles.clear();
    assert_eq!(kind(b.read(&key(1))), ErrorKind::NotFound);
    assert_eq!(b.refresh().unwrap(), []);
    for cache in [&a, &b, &fresh] {
        assert_eq!(there(cache, [1, 5, 9]), [true; 3]);
        assert!(cache.verify().unwrap().is_clean());
    }

    let merged = a.shards().unwrap().pop().unwrap().path;
    a.remove(&Removal::Shard(merged)).unwrap();
    assert_eq!(b.refresh().unwrap(), []);
    assert_eq!(there(&b, [1, 5, 9]), [false; 3]);
    assert_eq!(b.status().unwrap().shards, 0);
}

#[test]
fn a_machine_that_knows_nothing_of_a_compaction_writes_the_same_again() {
    let machines = Machines::new();
    let (a, b) = (machines.open("a"), machines.open("b"));
    write(&a, 0, 0..4);
    write(&a, 1, 4..8);
    b.refresh().unwrap();
    a.compact(CompactOptions::default()).unwrap();
    let merged = a.shards().unwrap().pop().unwrap().path;
    assert_eq!(write(&b, 0, 0..4), merged);
    assert_eq!(b.list().unwrap(), std::slice::from_ref(&merged));
}

#[test]
fn what_a_machine_writes_that_was_merged_away_already_goes_when_it_is_found() {
    let machines = Machines::new();
    let (a, b) = (machines.open("a"), machines.open("b"));
    let old = write(&a, 0, 0..4);
    write(&a, 1, 4..8);
    a.compact(CompactOptions::default()).unwrap();
    // Has never heard of any of these shards.
    assert_eq!(write(&b, 0, 0..4), old);
    assert_eq!(there(&b, [1, 5]), [true, false]);
    assert_eq!(a.refresh().unwrap(), []);
    assert_eq!(a.list().unwrap().len(), 1);
    assert_eq!(b.refresh().unwrap(), []);
    for cache in [&a, &b] {
        assert_eq!(there(cache, [1, 5]), [true; 2]);
        assert!(cache.verify().unwrap().is_clean());
    }
}

fn other(windows: Range<u32>) -> Vec<WindowRecord> {
    let rows = records(windows).into_iter();
    rows.map(|row| WindowRecord { embedding: Embedding::Fp32(vec![-1.0; 5]), ..row }).collect()
}

#[test]
fn a_block_that_another_machine_has_written_anew_is_found_anew() {
    let machines = Machines::new();
    let (a, b) = (machines.open("a"), machines.open("b"));
    let path = write(&a, 0, 0..4);
    write(&a, 1, 4..8);
    b.refresh().unwrap();
    // Removed and embedded again.
    a.remove(&Removal::Shard(path.clone())).unwrap();
    a.write_shard("enc", "1", 0, &other(0..4)).unwrap();
    assert_eq!(b.refresh().unwrap(), []);
    assert_eq!(b.read(&key(2)).unwrap(), Some(other(2..3)[0].embedding.clone()));
    a.remove(&Removal::Shard(path)).unwrap();
    write(&a, 0, 0..4);
    b.refresh().unwrap();
    // Merged away, and then used for other rows.
    a.compact(CompactOptions::default()).unwrap();
    a.write_shard("enc", "1", 0, &other(20..30)).unwrap();
    a.write_shard("enc", "1", 1, &other(30..31)).unwrap();
    assert_eq!(b.refresh().unwrap(), []);
    assert_eq!(there(&b, [0, 3, 4, 7]), [true; 4]);
    assert_eq!(b.contains_many(&[key(20), key(29), key(30)]).unwrap(), [true; 3]);
    for cache in [&a, &b] {
        assert_eq!(cache.list().unwrap().len(), 3);
        assert!(cache.verify().unwrap().is_clean());
    }
}

#[test]
fn what_another_machine_has_embedded_is_not_embedded_again() {
    let machines = Machines::new();
    let (a, b) = (machines.open("a"), machines.open("b"));
    let keys: Vec<_> = (0..5).map(key).collect();
    a.read_or_embed("enc", "1", &keys, |missing| Ok(records(0..missing.len() as u32))).unwrap();
    let found = b.read_or_embed("enc", "1", &keys, |_| panic!("another machine has done it"));
    assert_eq!(found.unwrap()[3], record(3).embedding);
    let more: Vec<_> = (3..8).map(key).collect();
    let found = b.read_or_embed("enc", "1", &more, |missing| {
        assert_eq!(missing, [key(5), key(6), key(7)]);
        Ok(records(5..8))
    });
    assert_eq!(found.unwrap().len(), 5);
    assert_eq!(b.list().unwrap().len(), 2, "in the next block");
}

#[test]
fn two_machines_that_compact_one_after_the_other_lose_nothing() {
    let machines = Machines::new();
    let (a, b) = (machines.open("a"), machines.open("b"));
    for round in 0..6_u64 {
        let (me, start) = (if round % 2 == 0 { &a } else { &b }, round as u32 * 8);
        me.refresh().unwrap();
        let next = me.list().unwrap().len() as u64 * 10 + round * 100;
        write(me, next, start..start + 4);
        write(me, next + 1, start + 4..start + 8);
        let report = me.compact(CompactOptions::default()).unwrap();
        assert_eq!(report.problems, []);
    }
    for cache in [a, b, machines.open("c")] {
        assert_eq!(cache.refresh().unwrap(), []);
        assert_eq!(cache.list().unwrap().len(), 1);
        assert!((0..48).all(|window| there(&cache, [window]) == [true]));
        assert!(cache.verify().unwrap().is_clean());
    }
}

#[test]
fn refreshing_where_nothing_is_new_is_one_listing() {
    use larder_storage::testing::CountingStorage;
    let dir = tempfile::tempdir().unwrap();
    let storage = Arc::new(CountingStorage::new(MemoryStorage::new()));
    let cache = EmbeddingCache::on(storage.clone(), dir.path(), Options::default()).unwrap();
    write(&cache, 0, 0..4);
    let mut expected = storage.counts();
    expected.lists += 1;
    assert_eq!(cache.refresh().unwrap(), []);
    assert_eq!(storage.counts(), expected);
}
