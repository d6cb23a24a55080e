//! Embedding shards shared: by many processes, by processes that are killed, by every storage; and where something is
//! wrong with the shards or with the disk.

mod crowd;
mod damage;
mod full;
mod kills;
mod read_only;
mod storages;

use std::path::Path;

use larder::{
    embedding_shards::EmbeddingCache,
    storage::{ErrorKind, Result},
};

use crate::workers::Worker;
use changes::{key, number_of};

#[path = "worker/shards_changes.rs"]
mod changes;

/// A worker that does `what` with the cache at `place`.
fn start(what: &str, place: &Path, number: u32) -> Worker {
    let work = ["shards", what, place.to_str().unwrap(), &number.to_string()];
    Worker::start(&mut Worker::command(&work))
}

/// The number of the change that wrote each of these windows; none of those that are not there.
fn numbers(cache: &EmbeddingCache, windows: impl IntoIterator<Item = u32>) -> Vec<Option<u32>> {
    let windows: Vec<u32> = windows.into_iter().collect();
    let keys: Vec<_> = windows.iter().map(|window| key(*window)).collect();
    let rows = cache.read_many(&keys).unwrap();
    let there: Vec<_> = rows.iter().map(Option::is_some).collect();
    assert_eq!(cache.contains_many(&keys).unwrap(), there);
    let number = |(window, row): (u32, _)| Option::map(row, |row| number_of(window, &row));
    windows.into_iter().zip(rows).map(number).collect()
}

#[track_caller]
fn kind<T>(outcome: Result<T>) -> ErrorKind {
    outcome.err().expect("an error").kind()
}
