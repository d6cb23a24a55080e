//! Disks without room for what is spilled or published, and the room that a killed process had taken.

use std::{
    fs,
    io::{ErrorKind::StorageFull, Result},
    path::{Path, PathBuf},
};

use larder::lazy_array::{ArrayStore, LazyArray, MemoryBudget, Offload, Options};
use larder_storage::ErrorKind::Full;

use super::{
    changes::{content, edit, number_of},
    start,
};
use crate::{
    faults::{Tmpfs, once_there_is_room},
    power::staged,
};

/// Rows of 512 bytes, and so 256 KiB.
const ROWS: usize = 512;

fn open(root: &Path, budget: u64) -> ArrayStore {
    ArrayStore::open(root, Options::default().budget(MemoryBudget::bytes(budget))).unwrap()
}

/// What is published, as another process sees it.
fn published(root: &Path, key: &str) -> u32 {
    number_of(&open(root, 1 << 20).get(key).unwrap().unwrap().read().unwrap(), 0)
}

fn number(array: &LazyArray<u64>) -> u32 {
    number_of(&array.read().unwrap(), 0)
}

/// A disk of 2 MiB with two published arrays.
fn disk(test: &str) -> Option<(Tmpfs, PathBuf)> {
    let disk = Tmpfs::make(test, "2m")?;
    let root = disk.root();
    let store = open(&root, 0);
    for (key, number) in [("a", 1), ("b", 2)] {
        store.insert(key, content(key, number, ROWS)).unwrap();
    }
    Some((disk, root))
}

/// A file that leaves no room on the disk.
struct Ballast(PathBuf);

impl Ballast {
    fn fill(root: &Path) -> Self {
        let path = root.with_file_name("ballast");
        assert_eq!(fs::write(&path, vec![0; 4 << 20]).unwrap_err().kind(), StorageFull);
        Self(path)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

#[test]
fn an_array_that_cannot_be_spilled_stays_in_memory_and_its_edits_are_published_later() {
    let Some((_disk, root)) = disk("spilling to a full disk") else { return };
    let store = open(&root, 1 << 20);
    let array = store.get::<u64>("a").unwrap().unwrap();
    edit(&array, 9).unwrap();
    let ballast = Ballast::fill(&root);
    assert_eq!(array.offload().unwrap_err().kind(), Full);
    assert_eq!(store.offload_all(Offload::Scratch).unwrap_err().kind(), Full);
    assert_eq!(array.flush().unwrap_err().kind(), Full);
    assert!(!array.offloaded() && array.dirty());
    assert_eq!((number(&array), published(&root, "a")), (9, 1));
    drop(ballast);
    assert!(once_there_is_room(|| array.offload()));
    assert_eq!((number(&array), published(&root, "a")), (9, 1));
    once_there_is_room(|| array.flush());
    assert_eq!(published(&root, "a"), 9);
    drop((array, store));
    assert_eq!(staged(&root), [] as [PathBuf; 0], "nothing is left behind");
}

#[test]
fn who_wants_the_room_of_an_array_that_cannot_be_spilled_is_told() {
    let Some((_disk, root)) = disk("making room on a full disk") else { return };
    // Room for one of the two.
    let store = open(&root, 300 << 10);
    let [a, b] = ["a", "b"].map(|key| store.get::<u64>(key).unwrap().unwrap());
    edit(&a, 9).unwrap();
    let ballast = Ballast::fill(&root);
    assert_eq!(b.write().unwrap_err().kind(), Full);
    assert_eq!(number_of(&b.rows(7..9).unwrap(), 7), 2, "takes no room");
    assert_eq!(number(&a), 9);
    drop(ballast);
    drop(once_there_is_room(|| b.write()));
    assert_eq!((number(&b), a.offloaded(), number(&a)), (2, true, 9));
}

#[test]
fn nothing_is_published_half_on_a_full_disk() {
    let Some((_disk, root)) = disk("publishing on a full disk") else { return };
    let store = open(&root, 0);
    let file = root.with_file_name("a.npy");
    store.export_npy("a", &file).unwrap();
    let rows = content("new", 3, ROWS);
    let write = |key: &str| {
        let mut writer = store.writer(key, rows.shape())?;
        writer.append(rows.view())?;
        writer.finish().map(drop)
    };
    let ballast = Ballast::fill(&root);
    assert_eq!(store.insert("inserted", rows.clone()).unwrap_err().kind(), Full);
    assert_eq!(write("written").unwrap_err().kind(), Full);
    assert_eq!(store.import_npy("imported", &file).unwrap_err().kind(), Full);
    assert_eq!(store.export_npy("b", root.with_file_name("b.npy")).unwrap_err().kind(), Full);
    let report = open(&root, 0).verify().unwrap();
    assert!(report.is_clean() && report.incomplete.is_empty(), "{report:?}");
    assert_eq!(report.arrays, 2);
    drop(ballast);
    once_there_is_room(|| write("written"));
    store.insert("inserted", rows.clone()).unwrap();
    assert_eq!((published(&root, "written"), published(&root, "inserted")), (3, 3));
    assert_eq!((published(&root, "a"), published(&root, "b")), (1, 2));
}

#[test]
fn the_room_of_what_a_killed_process_had_spilled_is_free() {
    const ARRAYS: u32 = 8;
    let Some(disk) = Tmpfs::make("the room of spilled arrays", "16m") else { return };
    let root = disk.root();
    let store = open(&root, 0);
    for key in 0..ARRAYS {
        store.insert(&key.to_string(), content("", key, 2 * ROWS)).unwrap();
    }
    drop(store);
    // Of 16 MiB the arrays take 4, and once they are spilled another 4.
    let ten_more = || -> Result<()> {
        let path = root.with_file_name("ten");
        let written = fs::write(&path, vec![0; 10 << 20]);
        fs::remove_file(&path)?;
        written
    };
    ten_more().unwrap();
    let mut worker = start("spill", &root, ARRAYS);
    worker.expect("spilled");
    assert_eq!(ten_more().unwrap_err().kind(), StorageFull);
    worker.kill();
    ten_more().expect("room, before anybody opens the store again");
    for key in 0..ARRAYS {
        assert_eq!(published(&root, &key.to_string()), key);
    }
}
