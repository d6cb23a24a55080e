//! How many shards are open at once, and where the files of the index are.

use super::*;

struct Watched {
    _dir: TempDir,
    storage: Arc<WatchedStorage>,
    cache: EmbeddingCache,
}

/// A cache that holds `open_shards` open, of `count` shards with 5 rows each; every fourth is of the Python package.
fn watched(open_shards: usize, count: u32) -> Watched {
    let dir = tempfile::tempdir().unwrap();
    let storage = Arc::new(WatchedStorage::local(dir.path()));
    for block in (0..count).step_by(4) {
        let shard = python_shard(&records(block * 5..block * 5 + 5));
        storage.put(&legacy_path(block.into()), shard.into(), PutIf::Absent).unwrap();
    }
    let options = Options::default().open_shards(open_shards);
    let cache = EmbeddingCache::on(storage.clone(), dir.path(), options).unwrap();
    for block in (0..count).filter(|block| block % 4 > 0) {
        cache.write_shard("enc", "1", block.into(), &records(block * 5..block * 5 + 5)).unwrap();
    }
    storage.reset();
    Watched { _dir: dir, storage, cache }
}

/// The keys of `count` shards, those of one shard far from each other.
fn interleaved(count: u32) -> Vec<WindowKey> {
    (0..5).flat_map(|row| (0..count).map(move |block| key(block * 5 + row))).collect()
}

#[test]
fn no_more_shards_are_open_than_allowed_and_the_one_being_read() {
    let Watched { _dir, storage, cache } = watched(3, 40);
    let keys = interleaved(40);
    assert!(cache.contains_many(&keys).unwrap().iter().all(|there| *there));
    assert_eq!(storage.opened(), 0, "the index alone tells");
    assert!(cache.read_many(&keys).unwrap().iter().all(Option::is_some));
    let most = 3 + cache.threads(keys.len());
    assert!(storage.most_open() <= most, "{} shards were open at once", storage.most_open());
    for key in &keys {
        assert!(cache.read(key).unwrap().is_some());
    }
    cache.write_shard("enc", "1", 1, &records(5..10)).unwrap();
    assert!(cache.verify().unwrap().is_clean());
    cache.reindex().unwrap();
    assert!(cache.read_many(&keys).unwrap().iter().all(Option::is_some));
    assert!(storage.most_open() <= most + 1, "{} shards were open at once", storage.most_open());
}

#[test]
fn each_shard_is_opened_once_for_all_of_its_rows() {
    let Watched { _dir, storage, cache } = watched(1, 8);
    let keys = interleaved(8);
    cache.read_many(&keys).unwrap();
    assert_eq!(storage.opened(), 8);
}

#[test]
fn a_row_of_an_object_is_one_request() {
    let (dir, storage) = (tempfile::tempdir().unwrap(), Arc::new(WatchedStorage::default()));
    let cache = EmbeddingCache::on(storage.clone(), dir.path(), Options::default()).unwrap();
    cache.write_shard("enc", "1", 0, &records(0..5)).unwrap();
    storage.reset();
    assert_eq!(cache.read(&key(3)).unwrap(), Some(record(3).embedding));
    assert_eq!((storage.opened(), storage.ranges()), (0, 1));
}

#[test]
fn a_warm_shard_is_not_opened_again() {
    let Watched { _dir, storage, cache } = watched(8, 8);
    cache.read_many(&interleaved(8)).unwrap();
    storage.reset();
    cache.read_many(&interleaved(8)).unwrap();
    assert_eq!(storage.opened(), 0);
}

/// The directory `dir`, named from the working directory.
#[cfg(unix)]
fn relative(dir: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap();
    let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
    up.join(dir.strip_prefix("/").unwrap())
}

#[cfg(unix)]
#[test]
fn a_relative_directory_is_pinned_when_the_cache_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let root = relative(dir.path());
    let opened = EmbeddingCache::open(&root, Options::default()).unwrap();
    let storage = Arc::new(MemoryStorage::new());
    let on = EmbeddingCache::on(storage, root.join("index"), Options::default()).unwrap();
    for cache in [opened, on] {
        assert!(cache.index_dir.is_absolute(), "{}", cache.index_dir.display());
        assert!(cache.status().unwrap().index_path.is_absolute());
        assert!(cache.write_alone().is_ok());
    }
}
