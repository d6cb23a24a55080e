//! Writing shards that are there already, or were a moment ago.

use larder_storage::Durability;

use super::*;

fn open(dir: &TempDir, storage: &Arc<WatchedStorage>, durability: Durability) -> EmbeddingCache {
    EmbeddingCache::on(storage.clone(), dir.path(), Options::default().durability(durability))
        .unwrap()
}

#[test]
fn at_power_a_shard_that_is_there_is_published_again_before_it_is_acknowledged() {
    let storage = Arc::new(WatchedStorage::default());
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [first, process, power] = &dirs;
    // Opened before there is a shard, so that both find it unindexed.
    let process = open(process, &storage, Durability::Process);
    let power = open(power, &storage, Durability::Power);
    let path = open(first, &storage, Durability::Process)
        .write_shard("enc", "1", 0, &records(0..5))
        .unwrap();
    let object = storage.get(&path).unwrap().unwrap();
    storage.reset();

    process.write_shard("enc", "1", 0, &records(0..5)).unwrap();
    assert_eq!(storage.puts(), []);
    assert_eq!(kind(power.write_shard("enc", "1", 0, &records(3..9))), ErrorKind::Conflict);
    assert_eq!(storage.puts(), []);
    for _ in 0..2 {
        power.write_shard("enc", "1", 0, &records(0..5)).unwrap();
        let again = PutIf::Version(object.version().clone());
        assert_eq!(storage.puts(), [(path.clone(), again)]);
        storage.reset();
    }
    assert_eq!(storage.get(&path).unwrap().unwrap().bytes(), object.bytes());
}

#[test]
fn a_shard_that_vanishes_while_it_is_written_again_is_written() {
    let (dir, storage) = (tempfile::tempdir().unwrap(), Arc::new(WatchedStorage::default()));
    let path = open(&dir, &storage, Durability::Process)
        .write_shard("enc", "1", 0, &records(0..5))
        .unwrap();
    let other = tempfile::tempdir().unwrap();
    // Indexed by one cache, and not by the other.
    storage.remove(&path).unwrap();
    let unindexed = open(&other, &storage, Durability::Process);
    let indexed = open(&dir, &storage, Durability::Process);
    for cache in [&indexed, &unindexed, &indexed] {
        indexed.write_shard("enc", "1", 0, &records(0..5)).unwrap();
        storage.let_vanish(&path);
        cache.write_shard("enc", "1", 0, &records(0..5)).unwrap();
        assert!(storage.get(&path).unwrap().is_some());
        assert_eq!(cache.read(&key(4)).unwrap(), Some(record(4).embedding));
    }
}
