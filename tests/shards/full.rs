//! A disk without room for a shard, or for its rows in the index.

use std::{
    fs::{self, File, OpenOptions},
    io::ErrorKind::StorageFull,
    path::{Path, PathBuf},
};

use larder::embedding_shards::EmbeddingCache;
use larder_storage::{Durability, ErrorKind};

use super::{
    changes::{open, path_of, write},
    kind, numbers,
};
use crate::{faults::Tmpfs, power::staged};

fn cache(root: &Path) -> EmbeddingCache {
    open(root, Durability::Process).unwrap()
}

/// A disk of 4 MiB with a cache of one shard.
fn disk(test: &str) -> Option<(Tmpfs, PathBuf)> {
    let disk = Tmpfs::make(test, "4m")?;
    let root = disk.root();
    write(&cache(&root), 0, 0..10, 1).unwrap();
    Some((disk, root))
}

/// A file that takes all the room that a disk has.
struct Ballast(PathBuf);

impl Ballast {
    fn fill(root: &Path) -> Self {
        let path = root.with_file_name("ballast");
        assert_eq!(fs::write(&path, vec![0; 8 << 20]).unwrap_err().kind(), StorageFull);
        Self(path)
    }

    /// Makes so much room.
    fn leave(&self, room: u64) {
        let file = OpenOptions::new().write(true).open(&self.0).unwrap();
        file.set_len(file.metadata().unwrap().len() - room).unwrap();
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        // A removed file takes room for as long as a child that another test forks has it open.
        File::create(&self.0).unwrap();
    }
}

#[test]
fn a_full_disk_is_told_and_keeps_the_shards_and_the_index() {
    let Some((_disk, root)) = disk("shards on a full disk") else { return };
    let cache = cache(&root);
    let ballast = Ballast::fill(&root);
    assert_eq!(kind(write(&cache, 1, 10..500, 1)), ErrorKind::Full);
    assert_eq!(kind(cache.reindex()), ErrorKind::Full);
    assert_eq!(kind(cache.repair()), ErrorKind::Full);
    for cache in [&cache, &self::cache(&root)] {
        assert_eq!(numbers(cache, [0, 9, 10]), [Some(1), Some(1), None]);
        let report = cache.verify().unwrap();
        assert!(report.is_clean() && report.shards == 1, "{report:?}");
    }
    assert!(!root.join(path_of(1).as_str()).exists());
    drop(ballast);
    write(&cache, 1, 10..500, 2).unwrap();
    cache.reindex().unwrap();
    drop(cache);
    assert_eq!(staged(&root), [] as [PathBuf; 0], "nothing is left behind");
    assert_eq!(numbers(&self::cache(&root), [0, 9, 10, 499]), [Some(1), Some(1), Some(2), Some(2)]);
}

#[test]
fn a_shard_whose_rows_the_index_has_no_room_for_is_found_once_there_is_some() {
    const ROWS: u32 = 3000;
    let elsewhere = tempfile::tempdir().unwrap();
    let path = write(&cache(elsewhere.path()), 1, 10..ROWS, 1).unwrap();
    let len = fs::metadata(elsewhere.path().join(path.as_str())).unwrap().len();
    for is_reopened in [true, false] {
        let Some((_disk, root)) = disk("the index on a full disk") else { return };
        let cache = cache(&root);
        let ballast = Ballast::fill(&root);
        // A row of the index is larger than this.
        ballast.leave(len + u64::from(ROWS) * 32);
        let written = || write(&cache, 1, 10..ROWS, 1);
        assert_eq!(kind(written()), ErrorKind::Full);
        assert_eq!(fs::metadata(root.join(path.as_str())).unwrap().len(), len);
        assert_eq!(numbers(&cache, [0, 10]), [Some(1), None]);
        drop(ballast);
        if is_reopened {
            assert_eq!(self::cache(&root).skipped(), []);
        } else {
            written().unwrap();
        }
        assert_eq!(numbers(&cache, [0, 10, ROWS - 1]), [Some(1); 3]);
        assert!(cache.verify().unwrap().is_clean());
    }
}
