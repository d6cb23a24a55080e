use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

use super::*;

mod objects;
mod races;

fn run_once_among(flights: &Flights, threads: usize) -> u32 {
    let (runs, done, start) = (AtomicU32::new(0), AtomicBool::new(false), Barrier::new(threads));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                start.wait();
                let _lease = flights.enter("k").unwrap();
                if !done.load(Ordering::SeqCst) {
                    runs.fetch_add(1, Ordering::SeqCst);
                    done.store(true, Ordering::SeqCst);
                }
            });
        }
    });
    runs.into_inner()
}

#[test]
fn one_runs_and_nothing_is_left() {
    // What stayed did so once in a hundred times.
    for _ in 0..100 {
        let flights = Flights::new();
        assert_eq!(run_once_among(&flights, 64), 1);
        assert!(flights.slots().unwrap().is_empty());
    }
}

#[test]
fn who_asks_without_waiting_is_told_whether_it_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let on_storage = || Flights::on(objects::memory(), Options::default()).unwrap();
    for flights in [Flights::new(), Flights::across_processes(dir.path()), on_storage()] {
        let held = flights.enter("k").unwrap();
        assert!(flights.try_enter("k").unwrap().is_none(), "by this thread");
        thread::scope(|scope| {
            scope.spawn(|| assert!(flights.try_enter("k").unwrap().is_none(), "by another one"));
        });
        assert!(flights.try_enter("other").unwrap().is_some());
        drop(held);
        let taken = flights.try_enter("k").unwrap().unwrap();
        taken.check().unwrap();
        assert_eq!(
            flights.enter("k").unwrap_err().kind(),
            ErrorKind::Locked,
            "would wait for itself"
        );
        drop(taken);
        assert!(flights.slots().unwrap().is_empty());
    }
}

#[test]
fn a_lease_of_another_process_is_not_free() {
    let dir = tempfile::tempdir().unwrap();
    let flights = Flights::across_processes(dir.path());
    let theirs = FileLock::exclusive(&lock_file(dir.path(), "k")).unwrap();
    assert!(flights.try_enter("k").unwrap().is_none());
    assert!(flights.slots().unwrap().is_empty(), "the slot is free for the next one");
    drop(theirs);
    assert!(flights.try_enter("k").unwrap().is_some());
}

#[test]
fn lock_files_are_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let flights = Flights::across_processes(dir.path());
    assert_eq!(run_once_among(&flights, 16), 1);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn two_values_on_one_directory_exclude_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let locks = dir.path().join("made/at/first/use");
    let (ours, theirs) = (
        Flights::across_processes(&locks),
        Flights::across_processes(dir.path().join("made/../made/at/first/use")),
    );
    let lease = ours.enter("k").unwrap();
    assert!(FileLock::try_exclusive(&lock_file(&locks, "k")).unwrap().is_none(), "holds the file");
    assert_eq!(theirs.enter("k").unwrap_err().kind(), ErrorKind::Locked, "would wait for itself");
    drop(theirs.enter("other").unwrap());
    thread::scope(|scope| {
        let other = scope.spawn(|| theirs.enter("k").map(drop));
        drop(lease);
        other.join().unwrap().unwrap();
    });
    drop(theirs.enter("k").unwrap());
}

#[test]
fn asking_from_inside_is_an_error_and_other_keys_are_free() {
    let flights = Flights::new();
    let lease = flights.enter("a").unwrap();
    for _ in 0..2 {
        assert_eq!(flights.enter("a").unwrap_err().kind(), ErrorKind::Locked);
    }
    drop(flights.enter("b").unwrap());
    drop(lease);
    drop(flights.enter("a").unwrap());
}

#[test]
fn threads_that_would_wait_for_each_other_are_told() {
    for circle in 2..5 {
        let dir = tempfile::tempdir().unwrap();
        let (flights, files) = (Flights::new(), Flights::across_processes(dir.path()));
        let all_hold = Barrier::new(circle);
        let in_circle = &|number: usize| {
            // Each thread holds what the one before it asks for, here or there.
            let place = |number: usize| if number.is_multiple_of(2) { &flights } else { &files };
            let _held = place(number).enter(&number.to_string()).unwrap();
            all_hold.wait();
            let next = (number + 1) % circle;
            place(next).enter(&next.to_string()).map(drop)
        };
        let outcomes: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..circle).map(|number| scope.spawn(move || in_circle(number))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let refused: Vec<_> =
            outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
        assert_eq!(refused.len(), 1, "the last to ask, and the others go on: {outcomes:?}");
        assert_eq!(refused[0].kind(), ErrorKind::Locked);
    }
}

#[test]
fn a_panic_hands_over() {
    let flights = Flights::new();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _lease = flights.enter("a").unwrap();
        panic!("on purpose");
    }));
    assert!(outcome.is_err());
    drop(flights.enter("a").unwrap());
}
