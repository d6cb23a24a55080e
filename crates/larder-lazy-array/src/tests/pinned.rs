//! What becomes of a read where arrays under guards fill the budget, and the watermarks.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::*;

fn store(options: BudgetOptions) -> (TempDir, ArrayStore) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::default().budget(MemoryBudget::new(options));
    let store = ArrayStore::open(dir.path(), options).unwrap();
    (dir, store)
}

fn two(store: &ArrayStore) -> [LazyArray<u8>; 2] {
    ["a", "b"].map(|key| store.insert(key, Array1::<u8>::zeros(100)).unwrap())
}

#[test]
fn the_limit_is_exceeded_and_that_is_counted() {
    let (_dir, store) = store(BudgetOptions::bytes(150));
    let [a, b] = two(&store);
    let guards = (a.read().unwrap(), b.read().unwrap());
    assert_eq!((store.budget().resident(), store.budget().figures().exceeded), (200, 1));
    drop(guards);
    assert_eq!(store.budget().resident(), 100);
}

#[test]
fn a_read_without_room_is_refused() {
    let (_dir, store) = store(BudgetOptions::bytes(150).when_pinned(WhenPinned::Refuse));
    let [a, b] = two(&store);
    let guard = a.read().unwrap();
    let error = b.read().unwrap_err();
    assert_eq!((error.kind(), error.key().map(Key::as_str)), (ErrorKind::Full, Some("b")));
    assert_eq!(b.overwrite().unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(b.rows(0..1).unwrap().len(), 1, "rows need no room");
    assert_eq!((store.budget().resident(), store.budget().figures().exceeded), (100, 0));
    drop(guard);
    assert!(b.read().is_ok());
}

#[test]
fn a_read_without_room_waits_for_guards_to_go() {
    let patience = Duration::from_secs(60);
    let (_dir, store) = store(BudgetOptions::bytes(150).when_pinned(WhenPinned::Wait(patience)));
    let [a, b] = two(&store);
    let guard = a.read().unwrap();
    let since = Instant::now();
    thread::scope(|scope| {
        let reader = scope.spawn(|| b.read().unwrap().len());
        drop(guard);
        assert_eq!(reader.join().unwrap(), 100);
    });
    assert!(since.elapsed() < patience);
    assert!(store.budget().figures().peak <= 150);
    let large = store.insert("large", Array1::<u8>::zeros(151)).unwrap();
    assert_eq!(large.read().unwrap_err().kind(), ErrorKind::Full, "at once");
}

#[test]
fn a_wait_has_an_end() {
    let when = WhenPinned::Wait(Duration::from_millis(20));
    let (_dir, store) = store(BudgetOptions::bytes(150).when_pinned(when));
    let [a, b] = two(&store);
    let guard = a.read().unwrap();
    assert_eq!(b.read().unwrap_err().kind(), ErrorKind::Full);
    drop(guard);
}

#[test]
fn a_thread_of_the_budget_keeps_to_the_watermarks() {
    let (_dir, store) = store(BudgetOptions::bytes(1000).watermarks(250, 450));
    let arrays: Vec<_> = (0..4)
        .map(|at| {
            let array = store.insert(&format!("{at}"), Array1::<u8>::zeros(100)).unwrap();
            array.write().unwrap()[[0]] = at;
            array
        })
        .collect();
    assert_eq!((store.budget().resident(), store.budget().spills()), (400, 0));
    store.insert("clean", Array1::<u8>::zeros(100)).unwrap().load().unwrap();
    // The thread is woken by now, and nothing else offloads below the limit.
    while store.budget().resident() > 250 {
        thread::yield_now();
    }
    assert_eq!((store.budget().resident(), store.budget().spills()), (200, 3));
    for (array, at) in arrays.iter().zip(0..) {
        assert_eq!(array.rows(0..1).unwrap()[[0]], at);
    }
}

#[test]
fn watermarks_are_within_the_limit() {
    let options = BudgetOptions::bytes(100).watermarks(300, 200);
    assert_eq!(options, BudgetOptions::bytes(100));
}
