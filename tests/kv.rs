//! The lookup cache shared: by many processes, by processes that are killed, by Python.

mod compute;
mod crowd;
mod kills;
mod python;

use std::process::Stdio;

use crate::workers::Worker;

#[path = "worker/kv_changes.rs"]
mod changes;

/// A worker that does `what` with the cache at `place`.
fn start(engine: &str, place: &str, what: &str, number: u32, times: u32) -> Worker {
    start_with(engine, place, what, number, times, &[])
}

/// As [`start`], for a server with these settings.
fn start_with(
    engine: &str,
    place: &str,
    what: &str,
    number: u32,
    times: u32,
    settings: &[(&str, String)],
) -> Worker {
    let (number, times) = (number.to_string(), times.to_string());
    let mut worker = Worker::command(&["kv", engine, place, what, &number, &times]);
    if engine == "power" {
        // Its disk dies before it.
        worker.stderr(Stdio::null());
    }
    worker.envs(settings.iter().map(|(name, value)| (name.to_uppercase(), value)));
    Worker::start(&mut worker)
}
