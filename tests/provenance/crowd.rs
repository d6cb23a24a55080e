//! Many processes that store or compute one result at once.

use std::path::Path;

use larder::provenance::Provenance;
use larder_storage::Durability;

use super::{
    ask,
    changes::{Store, open},
    one_led, the_same,
};
use crate::workers::Worker;

fn start(what: &str, place: &Path, threads: u32) -> Worker {
    let threads = threads.to_string();
    let work = ["provenance", what, place.to_str().unwrap(), &threads];
    let mut worker = Worker::start(&mut Worker::command(&work));
    worker.expect("waiting");
    worker
}

/// Eight processes of eight threads that wait to do this.
fn crowd(what: &str, place: &Path) -> Vec<Worker> {
    (0..8).map(|_| start(what, place, 8)).collect()
}

/// The store has one record, of this id, made by `operation`.
#[track_caller]
fn has_one(store: &Store, operation: &str, id: &str) {
    let records: Vec<_> = store.records().map(|record| record.unwrap().id.to_string()).collect();
    assert_eq!(records, [id]);
    let found = store.find(&Provenance::new(operation)).unwrap();
    assert_eq!(found.map(|id| id.to_string()).as_deref(), Some(id));
    let report = store.verify().unwrap();
    assert!(report.is_clean() && (report.payloads, report.unused_payloads) == (1, 0), "{report:?}");
}

#[test]
fn sixty_four_threads_in_eight_processes_that_put_one_result_get_one_id() {
    for _ in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let said = ask(crowd("put", dir.path()));
        let id = the_same(said.iter().map(String::as_str));
        has_one(&open(dir.path(), Durability::Process).unwrap(), "put", &id);
    }
}

#[test]
fn sixty_four_threads_in_eight_processes_compute_one_result_once() {
    let dir = tempfile::tempdir().unwrap();
    let answer = one_led(&ask(crowd("compute", dir.path())));
    let (id, _) = answer.split_once('/').unwrap();
    has_one(&open(dir.path(), Durability::Process).unwrap(), "cold", id);
}

#[test]
fn a_killed_process_hands_its_computation_over_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut leader = start("compute", dir.path(), 8);
    leader.order("start");
    leader.expect("leading");
    let mut waiting = crowd("compute", dir.path());
    waiting.iter_mut().take(4).for_each(|worker| worker.order("start"));
    let killed = leader.id().to_string();
    leader.kill();
    let answer = one_led(&ask(waiting));
    let (id, by) = answer.split_once('/').unwrap();
    assert_ne!(by, killed);
    has_one(&open(dir.path(), Durability::Process).unwrap(), "cold", id);
}

#[test]
fn what_eight_processes_change_at_once_is_all_there_on_the_storage_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Durability::Process).unwrap();
    let id = store.put(b"shared".to_vec(), None).unwrap();
    let workers = (0..8).map(|process| start("tag", dir.path(), process)).collect();
    assert!(ask(workers).iter().all(String::is_empty));
    let tags = || store.record(id).unwrap().unwrap().tags;
    let left = |process| (0..20).filter(|n| n % 4 > 0).map(move |n| format!("{process}/{n}"));
    let expected = (0..8).flat_map(left).collect();
    assert_eq!(tags(), expected);
    let report = store.verify().unwrap();
    assert!(report.is_clean(), "{report:?}");
    store.reindex().unwrap();
    assert_eq!(tags(), expected);
}

#[test]
fn of_eight_processes_that_change_a_record_the_last_one_is_the_last_on_the_storage() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), Durability::Process).unwrap();
    store.put(b"shared".to_vec(), None).unwrap();
    let mut workers: Vec<_> = (0..8).map(|process| start("note", dir.path(), process)).collect();
    for round in 0..100 {
        workers.iter_mut().for_each(|worker| worker.order(&round.to_string()));
        workers.iter_mut().for_each(|worker| worker.expect("noted"));
        let report = store.verify().unwrap();
        assert!(report.is_clean(), "round {round}: {report:?}");
    }
    assert!(ask(workers).iter().all(String::is_empty));
}
