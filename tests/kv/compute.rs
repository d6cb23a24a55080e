//! What is missing is computed once among processes, whatever happens to whoever computes it.

use std::fs;

use super::start;
use crate::workers::Worker;

/// What was computed below `place`, one line for each key, sorted.
fn computed(place: &str) -> Vec<String> {
    let ran = fs::read_to_string(format!("{place}/ran")).unwrap();
    let mut keys: Vec<String> = ran.lines().map(str::to_owned).collect();
    keys.sort();
    keys
}

/// Starts workers that ask at once, and returns what each said to its end.
fn ask(engine: &str, place: &str, what: &str, processes: u32) -> Vec<String> {
    let start = |number| {
        let mut worker = start(engine, place, what, number, 8);
        worker.expect("waiting");
        worker
    };
    let mut workers: Vec<_> = (0..processes).map(start).collect();
    workers.iter_mut().for_each(Worker::let_go);
    workers.into_iter().map(Worker::rest).collect()
}

/// One that has taken on the computation and does not end it.
fn leader(engine: &str, place: &str, what: &str) -> Worker {
    let mut leader = start(engine, place, what, 0, 1);
    leader.expect("waiting");
    leader.order("start");
    leader.expect("leading");
    leader
}

#[test]
fn sixty_four_threads_in_eight_processes_compute_one_key_once() {
    for engine in ["database", "document"] {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().to_str().unwrap();
        let said = ask(engine, place, "compute", 8);
        assert_eq!(computed(place), ["cold"], "{engine}");
        one_led(engine, &said);
    }
}

#[test]
fn a_killed_process_hands_its_computation_over_once() {
    for engine in ["database", "document"] {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().to_str().unwrap();
        let mut leader = leader(engine, place, "compute");
        let mut waiting = start(engine, place, "compute", 1, 8);
        waiting.expect("waiting");
        waiting.let_go();
        leader.kill();
        let mut said = ask(engine, place, "compute", 6);
        said.push(waiting.rest());
        assert_eq!(computed(place), ["cold"], "{engine}");
        one_led(engine, &said);
    }
}

/// One of these computed, and all found the same.
fn one_led(engine: &str, said: &[String]) {
    let led = said.iter().filter(|said| said.starts_with("leading\n")).count();
    assert_eq!(led, 1, "{engine}: {said:?}");
    let value = said[0].trim_start_matches("leading\n");
    assert!(said.iter().all(|said| said.ends_with(value)), "{engine}: {said:?}");
    assert!(!value.trim_end().contains(' '), "{engine}: {value}");
}

#[test]
fn batches_of_eight_processes_that_overlap_compute_each_key_once() {
    for engine in ["database", "document"] {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().to_str().unwrap();
        ask(engine, place, "compute-many", 8);
        each_key_once(engine, place);
    }
}

#[test]
fn a_killed_process_hands_its_batch_over_once() {
    for engine in ["database", "document"] {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().to_str().unwrap();
        let mut leader = leader(engine, place, "compute-many");
        let mut waiting = start(engine, place, "compute-many", 1, 0);
        waiting.expect("waiting");
        waiting.let_go();
        leader.kill();
        ask(engine, place, "compute-many", 8);
        waiting.rest();
        each_key_once(engine, place);
    }
}

fn each_key_once(engine: &str, place: &str) {
    let mut all: Vec<String> = (0..60).map(|key: u32| key.to_string()).collect();
    all.sort();
    assert_eq!(computed(place), all, "{engine}");
}
