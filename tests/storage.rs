//! The storage contract, on every storage and among processes.

use std::process::Command;

use larder_storage::{
    Durability, Key, LocalStorage, MemoryStorage, PutIf, Storage, StorageExt, testing,
};

#[test]
fn the_conformance_suite_is_green_in_memory_and_on_disk() {
    testing::conformance(MemoryStorage::new);
    let dir = tempfile::tempdir().unwrap();
    let mut fresh = 0..;
    testing::conformance(|| {
        let root = dir.path().join(fresh.next().unwrap_or(0).to_string());
        LocalStorage::open(root, Durability::Process).unwrap()
    });
}

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
