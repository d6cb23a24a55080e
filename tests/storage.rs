//! The storage of a directory, among processes and in bounded memory.

use std::{
    fs::{self, File},
    process::Command,
};

use larder_storage::{Durability, Key, LocalStorage, PutIf, Storage, StorageExt};

use crate::support::{not_possible, text};

#[test]
fn two_processes_of_eight_threads_count_to_exactly_32000() {
    let dir = tempfile::tempdir().unwrap();
    let storage = LocalStorage::open(dir.path(), Durability::Process).unwrap();
    let counter = Key::new("counters/shared").unwrap();
    storage.put(&counter, "0".into(), PutIf::Absent).unwrap();

    let work = || {
        let mut worker = Command::new(env!("CARGO_BIN_EXE_larder-worker"));
        worker.arg("increment").arg(dir.path()).args([counter.as_str(), "8", "2000"]);
        worker.spawn().unwrap()
    };
    for mut worker in [work(), work()] {
        assert!(worker.wait().unwrap().success());
    }
    assert_eq!(storage.get_text(&counter).unwrap().as_deref(), Some("32000"));
}

#[test]
fn the_memory_of_a_listing_is_bounded() {
    const DIRECTORIES: usize = 100;
    const FILES: usize = 500;
    if !fs::exists("/proc/self/status").unwrap() {
        return not_possible("the memory of a listing", "no /proc/self/status: this needs Linux");
    }
    let dir = tempfile::tempdir().unwrap();
    for number in 0..DIRECTORIES {
        let below = dir.path().join(format!("{number:0200}"));
        fs::create_dir(&below).unwrap();
        (0..FILES).for_each(|file| drop(File::create(below.join(format!("{file:0200}"))).unwrap()));
    }
    let mut worker = Command::new(env!("CARGO_BIN_EXE_larder-worker"));
    let output = worker.arg("list").arg(dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    let (listed, grown) = told.trim_end().split_once(' ').unwrap();
    assert_eq!(listed.parse(), Ok(DIRECTORIES * FILES));
    // The names alone take 20 MB; those of one directory 200 kB.
    let grown: usize = grown.parse().unwrap();
    assert!(grown <= 4 << 20, "a listing of {listed} objects took {grown} bytes");
}
