//! Many processes write to one cache at once, and open it at once.

use std::path::Path;

use larder::kv_cache::{KvCache, Lookup, Options};

use super::{changes::open, start, start_with};
use crate::servers::server;

#[test]
fn sixteen_processes_of_10_000_operations_lose_nothing_in_a_database() {
    let dir = tempfile::tempdir().unwrap();
    mix("database", dir.path(), 16, 10_000);
}

#[test]
fn eight_processes_of_100_operations_lose_nothing_in_a_local_document() {
    let dir = tempfile::tempdir().unwrap();
    mix("document", dir.path(), 8, 100);
}

#[test]
fn eight_processes_of_100_operations_lose_nothing_in_a_document_on_s3() {
    let Some(server) = server("SeaweedFS", "a document that eight processes share") else { return };
    let reader = server.open("kv");
    let settings = server.settings();
    let sums = crowd("remote", &server.url("kv"), 8, 100, &settings);
    check(&KvCache::open_document(reader, "shared", Options::default()).unwrap(), sums);
}

/// Lets so many processes mix so many operations each, and checks what they left.
fn mix(engine: &str, dir: &Path, processes: u32, times: u32) {
    let place = dir.to_str().unwrap();
    let sums = crowd(engine, place, processes, times, &[]);
    check(&open(engine, place).unwrap(), sums);
}

/// How often all together counted, and were the first to insert a key.
fn crowd(
    engine: &str,
    place: &str,
    processes: u32,
    times: u32,
    settings: &[(&str, String)],
) -> (u32, usize) {
    let start = |id| start_with(engine, place, "mix", id, times, settings);
    let workers: Vec<_> = (1..=processes).map(start).collect();
    let (mut counted, mut first) = (0, 0);
    for worker in workers {
        let said = worker.rest();
        let (own, inserted) = said.trim_end().split_once(' ').unwrap();
        counted += own.parse::<u32>().unwrap();
        first += inserted.parse::<usize>().unwrap();
    }
    assert!(counted > 0 && first > 0);
    (counted, first)
}

fn check(cache: &KvCache, (counted, first): (u32, usize)) {
    assert_eq!(cache.get("sum").unwrap(), Lookup::Hit(counted));
    assert_eq!(cache.keys_with_prefix("once:").unwrap().len(), first);
    assert!(cache.verify().unwrap().is_clean());
}

#[test]
fn of_100_races_to_open_a_fresh_database_none_fails() {
    races("database");
}

#[test]
fn of_100_races_to_open_a_fresh_document_none_fails() {
    races("document");
}

fn races(engine: &str) {
    let dir = tempfile::tempdir().unwrap();
    let place = |round: u32| dir.path().join(round.to_string());
    let start = |id| start(engine, dir.path().to_str().unwrap(), "races", id, 0);
    let mut workers: Vec<_> = (0..8).map(start).collect();
    for round in 0..100 {
        workers.iter_mut().for_each(|worker| worker.order(&round.to_string()));
        workers.iter_mut().for_each(|worker| worker.expect("opened"));
        assert_eq!(entries(engine, &place(round)), 8, "round {round}");
    }
    workers.into_iter().for_each(|worker| assert_eq!(worker.rest(), ""));
}

fn entries(engine: &str, place: &Path) -> usize {
    open(engine, place.to_str().unwrap()).unwrap().len().unwrap()
}
