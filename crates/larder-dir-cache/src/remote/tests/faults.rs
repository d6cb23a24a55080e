use larder_storage::testing::{Fault, FaultStorage};

use super::*;

/// Runs `work` on a root above a storage whose nth operation meets each fault, for every n that it comes to, and then
/// `check` on what is left of the storage.
fn sweep(fresh: impl Fn() -> MemoryStorage, work: impl Fn(&Root), check: impl Fn(MemoryStorage)) {
    for fault in Fault::ALL {
        for nth in 1.. {
            let storage = fresh();
            let faulty = Arc::new(FaultStorage::new(storage.clone(), nth, fault));
            work(&Root::on(Arc::clone(&faulty) as _));
            if !faulty.was_hit() {
                break;
            }
            check(storage);
        }
    }
}

#[test]
fn a_storage_that_fails_keeps_nobody_from_building_and_the_fleet_goes_on() {
    sweep(
        MemoryStorage::new,
        |root| {
            let lease = root.build(1);
            assert!(lease.built() && number(lease.path()) == 1);
            assert!(root.cache.verify().unwrap().is_clean());
        },
        |storage| {
            let next = Root::new(storage.clone());
            let lease = next.build(2);
            assert_eq!(number(lease.path()), if lease.built() { 2 } else { 1 });
            assert_eq!(next.told(), []);
            let last = Root::new(storage).cache.get(KEY).unwrap().unwrap().path().to_owned();
            assert!(last.ends_with(KEY));
        },
    );
}

#[test]
fn a_storage_that_fails_is_a_miss_for_whoever_only_looks() {
    let published = || {
        let storage = MemoryStorage::new();
        drop(Root::new(storage.clone()).build(1));
        storage
    };
    sweep(
        published,
        |root| {
            let got = root.cache.get(KEY).unwrap();
            assert_eq!(got.is_none(), !root.told().is_empty());
            assert!(got.is_none_or(|lease| number(lease.path()) == 1));
            let lease = root.build(2);
            assert_eq!(number(lease.path()), if lease.built() { 2 } else { 1 });
        },
        |storage| assert_eq!(number(Root::new(storage).build(3).path()), 1),
    );
}

#[test]
fn a_storage_that_is_gone_is_told_once_a_look() {
    let storage = MemoryStorage::new();
    let root = Root::on(Arc::new(FaultStorage::new(storage.clone(), 1, Fault::CrashBefore)));
    assert!(root.build(1).built());
    assert_eq!(root.told(), [ErrorKind::Io]);
    assert!(!root.build(2).built());
    assert_eq!((root.told(), objects(&storage)), (vec![], vec![]));
}

#[test]
fn a_builder_that_dies_hands_over_after_its_lease() {
    let storage = MemoryStorage::new();
    // The manifest, the lease twice, and the manifest again: it has just begun to build.
    let dying = Root::on(Arc::new(FaultStorage::new(storage.clone(), 4, Fault::CrashAfter)));
    assert!(dying.build(1).built());
    assert!(objects(&storage).is_empty() && dying.told().len() == 1);
    let next = Root::new(storage.clone());
    assert!(next.build(2).built());
    assert_eq!((next.told(), objects(&storage).len()), (vec![], 2));
}
