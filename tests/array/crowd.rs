//! Many processes at one array.

use larder_storage::Durability;

use super::{
    changes::{content, edit, number_of, open},
    start,
};

#[test]
fn four_processes_read_whole_arrays_while_one_is_replaced_200_times() {
    const TIMES: u32 = 200;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Durability::Process).unwrap();
    let array = store.insert("shared", content("shared", 0, 512)).unwrap();
    let mut readers: Vec<_> = (0..4).map(|_| start("watch", dir.path(), TIMES)).collect();
    readers.iter_mut().for_each(|reader| reader.expect("watching"));
    for number in 1..=TIMES {
        edit(&array, number).unwrap();
        array.flush().unwrap();
    }
    for reader in readers {
        let seen: u32 = reader.rest().trim_end().parse().unwrap();
        assert!(seen > 2, "nothing was replaced while it was read");
    }
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn of_eight_processes_that_insert_one_key_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Durability::Process).unwrap();
    let mut workers: Vec<_> = (0..8).map(|id| start("insert", dir.path(), id)).collect();
    for round in 0..50 {
        let key = format!("round/{round}");
        workers.iter_mut().for_each(|worker| worker.order(&key));
        let heard: Vec<_> = workers.iter_mut().map(|worker| worker.hear()).collect();
        let winner = heard.iter().position(|said| said == "won").unwrap();
        let losers = heard.iter().filter(|said| *said == "lost").count();
        assert_eq!(losers, 7, "{key}: {heard:?}");
        let array = store.get::<u64>(&key).unwrap().unwrap();
        assert_eq!(number_of(&array.read().unwrap(), 0) as usize, winner, "{key}");
    }
    workers.into_iter().for_each(|worker| assert_eq!(worker.rest(), ""));
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn of_two_processes_that_publish_edits_of_one_array_one_is_refused() {
    const ROUNDS: u64 = 100;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Durability::Process).unwrap();
    store.insert("counter", larder::lazy_array::ndarray::arr1(&[0_u64; 1000])).unwrap();
    let mut workers = [0, 1].map(|id| start("count", dir.path(), id));
    for round in 0..ROUNDS {
        workers.iter_mut().for_each(|worker| worker.order("edit"));
        workers.iter_mut().for_each(|worker| worker.expect("edited"));
        workers.iter_mut().for_each(|worker| worker.order("publish"));
        let mut heard = workers.each_mut().map(|worker| worker.hear());
        heard.sort();
        assert_eq!(heard, ["conflict", "published"], "round {round}");
    }
    workers.into_iter().for_each(|worker| assert_eq!(worker.rest(), ""));
    assert_eq!(store.get::<u64>("counter").unwrap().unwrap().read().unwrap()[[0]], ROUNDS);
}
