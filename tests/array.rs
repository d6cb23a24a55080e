//! Arrays shared: by many processes, by processes that are killed, by every storage; and on disks that misbehave.

mod crowd;
mod full;
mod kills;
#[cfg(unix)]
mod planted;
mod storages;
mod stream;

use std::path::Path;

use crate::workers::Worker;

#[path = "worker/array_changes.rs"]
mod changes;

/// A worker that does `what` with the store at `place`.
fn start(what: &str, place: &Path, number: u32) -> Worker {
    let number = number.to_string();
    Worker::start(&mut Worker::command(&["array", what, place.to_str().unwrap(), &number]))
}
