//! Arrays and their budget under every choice of who goes on, as far as random schedules reach: `cargo xtask shuttle`.

use std::path::Path;

use larder_storage::{ErrorKind, MemoryStorage, Result};
use ndarray::Array1;
use shuttle::{check_random, thread};

use crate::{
    ArrayStore, BudgetOptions, LazyArray, MemoryBudget, Offload, Options, WhenPinned, sync::Arc,
};

const SCHEDULES: usize = 2000;

/// A store in memory with room for `room` of the arrays of [`arrays`].
fn store(scratch: &Path, options: BudgetOptions) -> ArrayStore {
    let options = Options::default().budget(MemoryBudget::new(options)).scratch(scratch);
    ArrayStore::on(Arc::new(MemoryStorage::new()), options).unwrap()
}

fn arrays<const N: usize>(store: &ArrayStore) -> [LazyArray<u8>; N] {
    std::array::from_fn(|at| store.insert(&at.to_string(), Array1::<u8>::zeros(10)).unwrap())
}

/// Runs each piece of work in a thread of its own, under many schedules, and `check` after them.
fn under_all_schedules(
    options: BudgetOptions,
    work: &'static [fn(&ArrayStore, &[LazyArray<u8>; 2])],
    check: fn(&ArrayStore, &[LazyArray<u8>; 2]),
) {
    let scratch = tempfile::tempdir().unwrap();
    let place = scratch.path().to_owned();
    check_random(
        move || {
            let store = Arc::new(store(&place, options));
            let arrays = arrays(&store);
            let threads: Vec<_> = work
                .iter()
                .map(|work| {
                    let (store, arrays) = (Arc::clone(&store), arrays.clone());
                    thread::spawn(move || work(&store, &arrays))
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            check(&store, &arrays);
            let budget = store.budget().clone();
            drop((store, arrays));
            assert_eq!(budget.resident(), 0);
        },
        SCHEDULES,
    );
}

fn add(array: &LazyArray<u8>) {
    array.write().unwrap()[[0]] += 1;
}

/// Every schedule runs in one thread of the machine, so whoever would wait for a lease is told that it is its own.
fn again<T>(attempt: impl Fn() -> Result<T>) {
    while let Err(error) = attempt() {
        assert_eq!(error.kind(), ErrorKind::Locked);
        thread::yield_now();
    }
}

fn value(array: &LazyArray<u8>) -> u8 {
    array.read().unwrap()[[0]]
}

#[test]
fn no_edit_is_lost_while_arrays_leave_and_come() {
    under_all_schedules(
        BudgetOptions::bytes(10),
        &[
            |_, [a, b]| (add(a), add(b)).0,
            |_, [a, b]| (add(b), add(a)).0,
            |_, [a, b]| {
                a.offload().unwrap();
                assert!(value(b) <= 2);
            },
        ],
        |store, [a, b]| {
            assert!(store.budget().resident() <= 10);
            assert_eq!((value(a), value(b)), (2, 2));
        },
    );
}

#[test]
fn flushes_publish_every_edit() {
    under_all_schedules(
        BudgetOptions::bytes(10),
        &[
            |_, [a, _]| {
                add(a);
                again(|| a.flush());
            },
            |_, [a, _]| {
                add(a);
                again(|| a.flush());
            },
            |store, _| {
                again(|| store.offload_all(Offload::Publish));
            },
        ],
        |_, [a, _]| {
            assert!(!a.dirty());
            a.offload().unwrap();
            assert_eq!(a.rows(0..1).unwrap()[[0]], 2);
        },
    );
}

#[test]
fn readers_share_and_a_refused_read_leaves_nothing() {
    under_all_schedules(
        BudgetOptions::bytes(10).when_pinned(WhenPinned::Refuse),
        &[
            |_, [a, _]| drop(a.read().map_err(|error| assert_eq!(error.kind(), ErrorKind::Full))),
            |_, [a, _]| drop(a.read().map_err(|error| assert_eq!(error.kind(), ErrorKind::Full))),
            |_, [_, b]| drop(b.read().map_err(|error| assert_eq!(error.kind(), ErrorKind::Full))),
        ],
        |store, [a, b]| {
            assert!(store.budget().figures().peak <= 10);
            assert_eq!((value(a), value(b)), (0, 0));
        },
    );
}

#[test]
fn removal_and_insertion_never_mix_two_arrays() {
    under_all_schedules(
        BudgetOptions::bytes(15),
        &[
            |_, [a, _]| match a.write() {
                Ok(mut guard) => guard[[0]] = 7,
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
            },
            |store, [a, _]| {
                let key = a.key().as_str();
                again(|| store.remove(key));
                again(|| store.insert(key, Array1::<u8>::ones(10)));
            },
            |_, [a, b]| {
                add(b);
                // Nothing to publish, or nothing to publish to.
                drop(a.flush());
            },
        ],
        |store, [a, b]| {
            let found = store.get::<u8>(a.key().as_str()).unwrap().unwrap();
            assert_eq!((value(&found), value(b)), (1, 1));
        },
    );
}
