//! What is missing is built once among processes, whatever happens to the one that builds.

use super::*;

/// Workers that wait to ask for the cold key.
fn waiting(root: &Path, count: u32) -> Vec<Worker> {
    let start = |number| {
        let mut worker = start("build-once", root, number);
        worker.expect("waiting");
        worker
    };
    (0..count).map(start).collect()
}

/// Lets them ask at once and go on, and returns what they said in the end.
fn ask(mut workers: Vec<Worker>) -> Vec<String> {
    workers.iter_mut().for_each(Worker::let_go);
    let mut said: Vec<_> = workers.into_iter().map(Worker::rest).collect();
    said.sort();
    said
}

/// How often the entry was built to the end.
fn built(root: &Path) -> usize {
    fs::read_to_string(root.with_extension("ran")).unwrap().lines().count()
}

#[test]
fn of_sixteen_processes_that_ask_for_a_cold_key_one_builds() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let said = ask(waiting(&root, 16));
    assert_eq!(said[0], "building\nbuilt\n");
    assert!(said[1..].iter().all(|said| said == "found\n"), "{said:?}");
    assert_eq!(built(&root), 1);
    let cache = open(&root, PLENTY);
    assert_eq!(cache.entries().unwrap()[0].access_count, 16);
    assert_sound(&cache, "after all");
}

#[test]
fn a_killed_builder_hands_over_to_one_other() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let mut workers = waiting(&root, 16);
    let mut builder = workers.pop().unwrap();
    builder.order("start");
    builder.expect("building");
    workers.iter_mut().for_each(|worker| worker.order("start"));
    builder.kill();
    let said = ask(workers);
    assert_eq!(said[0], "building\nbuilt\n");
    assert!(said[1..].iter().all(|said| said == "found\n"), "{said:?}");
    assert_eq!(built(&root), 1);
    assert_sound(&open(&root, PLENTY), "after all");
}
