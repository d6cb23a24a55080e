//! A store on a disk that is full, and on one that may not be written.

use std::{
    fs::{self, File},
    io::ErrorKind::StorageFull,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder::provenance::{GcOptions, Id, Options, Provenance, State};
use larder_storage::{Durability, ErrorKind, LocalStorage, Result};

use super::changes::{Store, content, open};
use crate::{
    faults::{Tmpfs, once_there_is_room},
    power::in_stages,
};

/// Larger than what a nearly full disk has left.
const LARGE: usize = 1 << 20;

fn store(root: &Path) -> Store {
    open(root, Durability::Process).unwrap()
}

fn put(store: &Store, name: &str) -> Result<Id> {
    store.put(content(name, 0), Some(Provenance::new(name)))
}

#[track_caller]
fn kind<T>(outcome: Result<T>) -> ErrorKind {
    outcome.err().expect("an error").kind()
}

/// `a` and `b` are there, and nothing is wrong or half.
#[track_caller]
fn is_whole(store: &Store, root: &Path) {
    for name in ["a", "b"] {
        let id = store.find(&Provenance::new(name)).unwrap().expect("it was stored");
        assert_eq!(store.get(id).unwrap().unwrap().payload, content(name, 0));
    }
    let report = store.verify().unwrap();
    assert!(report.is_clean() && report.records == 2, "{report:?}");
    assert_eq!(in_stages(root), [] as [PathBuf; 0]);
}

/// Takes all the room that the disk of `root` has.
fn fill_up(root: &Path) -> PathBuf {
    let ballast = root.with_file_name("ballast");
    assert_eq!(fs::write(&ballast, vec![0; 16 << 20]).unwrap_err().kind(), StorageFull);
    ballast
}

#[test]
fn a_full_disk_is_told_and_keeps_the_results() {
    let Some(disk) = Tmpfs::make("results on a full disk", "4m") else { return };
    let root = disk.root();
    let store = store(&root);
    let ids = ["a", "b"].map(|name| put(&store, name).unwrap());
    let ballast = fill_up(&root);
    assert_eq!(kind(put(&store, "c")), ErrorKind::Full);
    let computed = store.get_or_compute(&Provenance::new("c"), || Ok(vec![7; LARGE]));
    assert_eq!(kind(computed), ErrorKind::Full);
    // A small change may still fit into what the index has.
    for changed in [store.tag(ids[0], "x".repeat(LARGE)), store.reindex().map(drop)] {
        assert_eq!(kind(changed), ErrorKind::Full);
    }
    assert_eq!(store.find(&Provenance::new("c")).unwrap(), None);
    is_whole(&store, &root);
    is_whole(&self::store(&root), &root);

    // A removed file takes room for as long as a child that another test forks has it open.
    File::create(&ballast).unwrap();
    let id = once_there_is_room(|| put(&store, "c"));
    assert_eq!(store.get(id).unwrap().unwrap().payload, content("c", 0));
    assert!(store.delete(id).unwrap());
    store.reindex().unwrap();
    is_whole(&store, &root);
}

#[test]
fn on_a_full_disk_results_are_invalidated_and_make_room() {
    let Some(disk) = Tmpfs::make("invalidation on a full disk", "4m") else { return };
    let root = disk.root();
    let store = store(&root);
    let made = Provenance::new("large");
    let id = store.put(vec![7; LARGE], Some(made)).unwrap();
    fill_up(&root);
    // What is kept for this makes room, where a record has to be written first.
    store.invalidate(id).unwrap();
    assert_eq!(store.record(id).unwrap().unwrap().state, State::Invalid);
    once_there_is_room(|| put(&store, "a"));
    assert!(store.refresh().unwrap().problems.is_empty() && store.verify().unwrap().is_clean());
}

#[test]
fn on_a_full_disk_results_are_collected_and_make_room() {
    let Some(disk) = Tmpfs::make("collection on a full disk", "12m") else { return };
    let root = disk.root();
    let store = store(&root);
    let large = |n: u8| Provenance::new("large").param("n", n);
    for n in 0..100 {
        store.put(vec![n; 16 << 10], Some(large(n))).unwrap();
    }
    fill_up(&root);
    let report = store.gc(&GcOptions::default().max_bytes(16 << 10)).unwrap();
    assert_eq!((report.collected.len(), report.bytes), (99, 99 * (16 << 10)));
    assert!(root.join(".larder/ballast").exists(), "it is taken again");
    once_there_is_room(|| put(&store, "a"));
    assert!(store.refresh().unwrap().problems.is_empty() && store.verify().unwrap().is_clean());
}

#[test]
fn a_store_is_opened_on_a_full_disk_and_makes_room() {
    for is_behind in [false, true] {
        let Some(disk) = Tmpfs::make("opening results on a full disk", "6m") else { return };
        let (root, made) = (disk.root(), Provenance::new("large"));
        let id = store(&root).put(vec![7; LARGE], Some(made)).unwrap();
        if is_behind {
            // As a kill between the index and the object leaves it.
            let db = rusqlite::Connection::open(root.join(".larder/provenance.sqlite")).unwrap();
            db.execute("UPDATE records SET modified = -1", []).unwrap();
        }
        fill_up(&root);
        let store = store(&root);
        assert!(store.delete(id).unwrap(), "{is_behind}");
        once_there_is_room(|| put(&store, "a"));
        assert!(store.verify().unwrap().is_clean());
    }
}

#[test]
fn a_dry_run_on_a_full_disk_leaves_what_is_kept_for_it() {
    let Some(disk) = Tmpfs::make("a dry run on a full disk", "6m") else { return };
    let root = disk.root();
    let store = store(&root);
    let id = store.put(vec![7; LARGE], Some(Provenance::new("large"))).unwrap();
    fill_up(&root);
    let all = GcOptions::default().max_bytes(0);
    assert_eq!(store.gc(&all.clone().dry_run(true)).unwrap().collected, [id]);
    assert!(root.join(".larder/ballast").exists());
    assert_eq!(store.gc(&all).unwrap().collected, [id]);
    fs::remove_file(root.join(".larder/ballast")).unwrap();
    once_there_is_room(|| store.gc(&GcOptions::default()));
    assert!(root.join(".larder/ballast").exists(), "it is taken again");
}

/// A disk of which only reading is possible, with a store of `a` and `b` that `prepare` had a hand in.
fn read_only(test: &str, prepare: impl FnOnce(&Path)) -> Option<Tmpfs> {
    let disk = Tmpfs::make(test, "4m")?;
    let store = store(&disk.root());
    ["a", "b"].into_iter().for_each(|name| _ = put(&store, name).unwrap());
    drop(store);
    prepare(&disk.root());
    disk.make_read_only();
    Some(disk)
}

#[test]
fn results_that_may_only_be_read_are_read_and_nothing_is_written() {
    let Some(disk) = read_only("results that may only be read", |_| ()) else { return };
    let store = store(&disk.root());
    is_whole(&store, &disk.root());
    assert_eq!(store.list().filter_map(Result::ok).count(), 2);
    assert_eq!(kind(store.refresh()), ErrorKind::Io);
    assert_eq!(store.find(&Provenance::new("c")).unwrap(), None);
    cannot_be_changed(&store);
    let dry_run = GcOptions::default().max_bytes(0).dry_run(true);
    assert_eq!(store.gc(&dry_run).unwrap().collected.len(), 2);
    assert_eq!(kind(store.reindex()), ErrorKind::Io);
    assert_eq!(kind(store.repair()), ErrorKind::Io);
    is_whole(&store, &disk.root());
}

#[test]
fn an_index_elsewhere_is_made_from_records_that_may_only_be_read() {
    let Some(disk) = read_only("records that may only be read", |_| ()) else { return };
    let elsewhere = tempfile::tempdir().unwrap();
    let storage = Arc::new(LocalStorage::open(disk.root(), Durability::Process).unwrap());
    let store = Store::on(storage, elsewhere.path(), Options::default()).unwrap();
    is_whole(&store, &disk.root());
    cannot_be_changed(&store);
}

#[test]
fn an_index_that_is_not_complete_and_may_not_be_written_is_refused() {
    let half_made = |root: &Path| {
        let db = rusqlite::Connection::open(root.join(".larder/provenance.sqlite")).unwrap();
        db.execute("INSERT INTO unread VALUES (0)", []).unwrap();
    };
    let Some(disk) = read_only("half an index that may only be read", half_made) else { return };
    let refused = open(&disk.root(), Durability::Process).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Io);
    let said = refused.to_string();
    assert!(
        said.contains(disk.root().to_str().unwrap()) && said.contains("not complete"),
        "{said}"
    );
}

#[test]
fn an_index_that_may_only_be_read_gives_nothing_that_it_knows_to_be_old() {
    let root = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::make("an index that may only be read", "8m") else { return };
    let owner = store(root.path());
    let elsewhere = || {
        let storage = Arc::new(LocalStorage::open(root.path(), Durability::Process).unwrap());
        Store::on(storage, disk.root(), Options::default()).unwrap()
    };
    let store = elsewhere();
    let a = put(&store, "a").unwrap();
    let made = Provenance::new("b").input(a);
    store.put(content("b", 0), Some(made.clone())).unwrap();
    // The owner knows of `a` only, so the object of `b` says nothing of this.
    assert_eq!(owner.find(&Provenance::new("a")).unwrap(), Some(a));
    owner.invalidate(a).unwrap();
    store.refresh().unwrap();
    assert_eq!(store.find(&made).unwrap(), None);
    drop(store);
    disk.make_read_only();
    assert_eq!(elsewhere().find(&made).unwrap(), None);
}

fn cannot_be_changed(store: &Store) {
    assert_eq!(kind(put(store, "c")), ErrorKind::Io);
    let computed = store.get_or_compute(&Provenance::new("c"), || Ok(content("c", 0)));
    assert_eq!(kind(computed), ErrorKind::Io);
    let id = store.find(&Provenance::new("a")).unwrap().unwrap();
    assert_eq!(kind(store.invalidate(id)), ErrorKind::Io);
    assert_eq!(kind(store.tag(id, "t")), ErrorKind::Io);
    assert_eq!(kind(store.delete(id)), ErrorKind::Io);
}
