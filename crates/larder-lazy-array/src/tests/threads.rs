use std::{sync::mpsc, thread};

use super::*;

#[test]
fn a_guard_that_would_wait_for_itself_is_refused() {
    let (_dir, store) = fresh(1000);
    let array = store.insert("a", arr1(&[1_u8])).unwrap();
    let writing = array.write().unwrap();
    assert_eq!(array.write().unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(array.read().unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(array.rows(0..1).unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(array.flush().unwrap_err().kind(), ErrorKind::Locked);
    drop(writing);
    let reading = array.read().unwrap();
    assert_eq!(array.write().unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(array.rows(0..1).unwrap()[[0]], 1);
    drop((array.read().unwrap(), reading));
    drop(array.write().unwrap());
}

#[test]
fn a_guard_may_be_dropped_by_another_thread() {
    let (_dir, store) = fresh(1000);
    let array = store.insert("a", arr1(&[1_u8])).unwrap();
    let (reading, again) = (array.read().unwrap(), array.read().unwrap());
    thread::scope(|scope| {
        scope.spawn(move || drop((reading, again)));
    });
    drop(array.write().unwrap());
    let mut writing = array.write().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || writing[[0]] = 2);
    });
    assert_eq!(array.read().unwrap()[[0]], 2);
}

#[test]
fn a_panic_with_a_guard_lets_the_others_go_on() {
    let (_dir, store) = fresh(1000);
    let array = store.insert("a", arr1(&[1_u8])).unwrap();
    let writer = array.clone();
    let outcome = thread::spawn(move || {
        let mut guard = writer.write().unwrap();
        guard[[0]] = 2;
        panic!("on purpose");
    });
    assert!(outcome.join().is_err());
    assert_eq!(array.read().unwrap()[[0]], 2);
}

#[test]
fn a_guard_counts_as_that_of_the_thread_that_took_it() {
    let (_dir, store) = fresh(1000);
    let array = store.insert("a", arr1(&[1_u8])).unwrap();
    let writing = array.write().unwrap();
    let (done, wait) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || (wait.recv(), writing));
        assert_eq!(array.read().unwrap_err().kind(), ErrorKind::Locked);
        drop(done);
    });
    assert_eq!(array.read().unwrap()[[0]], 1);
}

/// Many threads add to arrays that do not fit into the budget together, flush, offload and read rows of them.
fn increments(limit: u64) {
    const THREADS: usize = 6;
    const ROUNDS: usize = 120;
    let (dir, store) = fresh(limit);
    let arrays: Vec<_> = (0..4)
        .map(|at| store.insert(&format!("{at}"), Array1::<u32>::zeros(THREADS)).unwrap())
        .collect();
    thread::scope(|scope| {
        for me in 0..THREADS {
            let (arrays, store) = (&arrays, &store);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let array = &arrays[(me * 7 + round * 5) % arrays.len()];
                    array.write().unwrap()[[me]] += 1;
                    match (round + me) % 6 {
                        0 => array.flush().unwrap(),
                        1 => drop(array.offload().unwrap()),
                        2 => drop(array.rows(0..THREADS).unwrap()),
                        3 => drop(store.offload_all(Offload::Scratch).unwrap()),
                        4 => drop(store.get::<u32>(array.key().as_str()).unwrap()),
                        _ => assert!(array.read().unwrap()[[me]] > 0),
                    }
                }
            });
        }
    });
    store.flush_all().unwrap();
    let total = |store: &ArrayStore| -> u32 {
        (0..4)
            .map(|at| store.get::<u32>(&format!("{at}")).unwrap().unwrap().read().unwrap().sum())
            .sum()
    };
    assert_eq!(total(&store), (THREADS * ROUNDS) as u32);
    assert_eq!(total(&open(dir.path(), 1 << 20)), (THREADS * ROUNDS) as u32);
    assert!(store.budget().resident() <= limit);
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn nothing_is_lost_among_threads_with_room_for_one() {
    increments(24);
}

#[test]
fn nothing_is_lost_among_threads_with_room_for_two() {
    increments(50);
}

#[test]
fn nothing_is_lost_among_threads_without_room() {
    increments(0);
}

#[test]
fn readers_see_whole_arrays_while_another_store_replaces_them() {
    let (dir, store) = fresh(1 << 20);
    let array = store.insert("a", Array1::<u64>::zeros(5000)).unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..40 {
                *array.write().unwrap() += 1;
                array.flush().unwrap();
            }
        });
        while !writer.is_finished() {
            let found = open(dir.path(), 1 << 20).get::<u64>("a").unwrap().unwrap();
            let guard = found.read().unwrap();
            assert!(guard.iter().all(|value| *value == guard[[0]]));
        }
    });
    assert_eq!(array.read().unwrap()[[0]], 40);
}

#[test]
fn one_of_many_inserts_wins() {
    let (_dir, store) = fresh(1 << 20);
    let won = thread::scope(|scope| {
        let racers: Vec<_> = (0..8_u8)
            .map(|me| {
                let store = &store;
                scope.spawn(move || store.insert("a", arr1(&[me])).map(|_| me))
            })
            .collect();
        let outcomes: Vec<_> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
        let lost = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        assert!(lost.clone().all(|error| error.kind() == ErrorKind::Conflict));
        assert_eq!(lost.count(), 7);
        outcomes.into_iter().find_map(Result::ok)
    });
    assert_eq!(Some(store.get::<u8>("a").unwrap().unwrap().read().unwrap()[[0]]), won);
}
