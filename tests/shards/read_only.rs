//! A cache on a disk that may not be written.

use std::{fs, path::Path, sync::Arc};

use larder::embedding_shards::{EmbeddingCache, Options};
use larder_storage::{Durability, ErrorKind, LocalStorage};

use super::{
    changes::{open, path_of, write},
    kind, numbers,
};
use crate::faults::Tmpfs;

/// A disk of which only reading is possible, with a cache of two shards that `prepare` had a hand in.
fn disk(test: &str, prepare: impl FnOnce(&Path)) -> Option<Tmpfs> {
    let disk = Tmpfs::make(test, "8m")?;
    let cache = open(disk.root(), Durability::Process).unwrap();
    for block in [0, 1] {
        write(&cache, block, block * 10..block * 10 + 10, 1).unwrap();
    }
    drop(cache);
    prepare(&disk.root());
    disk.make_read_only();
    Some(disk)
}

#[test]
fn what_is_there_is_read_and_nothing_is_written() {
    let Some(disk) = disk("embeddings on a disk that may be read", |_| ()) else { return };
    let cache = open(disk.root(), Durability::Process).unwrap();
    assert_eq!(numbers(&cache, [0, 19, 20]), [Some(1), Some(1), None]);
    assert!(cache.verify().unwrap().is_clean() && cache.skipped().is_empty());
    assert_eq!(cache.status().unwrap().rows, 20);
    assert_eq!(kind(write(&cache, 2, 20..30, 1)), ErrorKind::Io);
    assert_eq!(kind(cache.reindex()), ErrorKind::Io);
    assert_eq!(kind(cache.repair()), ErrorKind::Io);
    assert_eq!(numbers(&cache, [0, 19, 20]), [Some(1), Some(1), None]);
    write(&cache, 0, 0..10, 1).expect("the same rows again are nothing to write");
}

#[test]
fn what_the_index_lacks_is_told() {
    let copied = |root: &Path| {
        let (from, to) = (root.join(path_of(0).as_str()), root.join(path_of(7).as_str()));
        fs::copy(&from, to).unwrap();
        fs::remove_file(from).unwrap();
    };
    let Some(disk) = disk("an old index that may be read", copied) else { return };
    let cache = open(disk.root(), Durability::Process).unwrap();
    assert_eq!(cache.skipped().len(), 2, "{:?}", cache.skipped());
    assert_eq!(numbers(&cache, [19]), [Some(1)]);
}

#[test]
fn an_index_elsewhere_is_made_from_the_shards() {
    let without = |root: &Path| {
        for entry in fs::read_dir(root.join(".larder")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::remove_file(path).unwrap();
            }
        }
    };
    let Some(disk) = disk("shards without an index that may be read", without) else { return };
    let refused = open(disk.root(), Durability::Process).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Io);
    let elsewhere = tempfile::tempdir().unwrap();
    let storage = Arc::new(LocalStorage::open(disk.root(), Durability::Process).unwrap());
    let cache = EmbeddingCache::on(storage, elsewhere.path(), Options::default()).unwrap();
    assert_eq!(numbers(&cache, [0, 19]), [Some(1), Some(1)]);
}
