//! Results and what made them, shared: by many processes, by processes that are killed, by every storage; and where
//! something is wrong with what is stored or with the disk.

mod crowd;
mod damage;
mod disks;
mod fleet;
mod keys;
mod kills;
mod steps;
mod storages;

use std::thread;

use crate::workers::Worker;

#[path = "worker/provenance_changes.rs"]
mod changes;

/// Lets workers ask at once that wait for it, and returns what each said to its end.
fn ask(mut workers: Vec<Worker>) -> Vec<String> {
    workers.iter_mut().for_each(Worker::let_go);
    thread::scope(|scope| {
        let ends: Vec<_> =
            workers.into_iter().map(|worker| scope.spawn(move || worker.rest())).collect();
        ends.into_iter().map(|end| end.join().unwrap()).collect()
    })
}

/// One of these computed, and all have the same result of the same id, which is returned.
#[track_caller]
fn one_led(said: &[String]) -> String {
    let led = said.iter().filter(|said| said.starts_with("leading\n")).count();
    assert_eq!(led, 1, "{said:?}");
    the_same(said.iter().map(|said| said.trim_start_matches("leading\n")))
}

/// What all of them said.
#[track_caller]
fn the_same<'a>(mut said: impl Iterator<Item = &'a str>) -> String {
    let first = said.next().unwrap();
    assert!(!first.trim_end().contains([' ', '\n']), "several answers: {first}");
    said.for_each(|other| assert_eq!(other, first));
    first.trim_end().to_owned()
}
