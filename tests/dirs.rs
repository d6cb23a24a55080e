//! The cache of directories under attack: many processes, kills and power cuts at any moment, disks that are full or may
//! not be written, and other programs on the same root.

mod beside;
mod crowd;
mod disks;
mod idle;
mod input;
mod kills;
mod leader;
mod limit;
mod once;
mod remote;
mod steps;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use larder::dir_cache::{DirCache, Observer};
use larder_storage::{Error, ErrorKind, Result};

use crate::{
    power::{in_stages, list},
    workers::Worker,
};
use changes::{fill, number_of, options};

#[path = "worker/dirs_changes.rs"]
mod changes;

/// A threshold that nothing here reaches.
const PLENTY: u64 = 1 << 40;

/// A worker that does `what` with the cache at `root`.
fn start(what: &str, root: &Path, number: u32) -> Worker {
    Worker::start(&mut command(what, root, number))
}

fn command(what: &str, root: &Path, number: u32) -> Command {
    Worker::command(&["dirs", what, root.to_str().unwrap(), &number.to_string()])
}

fn open(root: &Path, evict_above: u64) -> DirCache {
    DirCache::open(root, options(evict_above)).unwrap()
}

fn build(cache: &DirCache, key: &str, number: u32) -> Result<()> {
    cache.get_or_build(key, |stage| fill(stage, number)).map(|lease| assert!(lease.built()))
}

/// Who built each entry; fails where one is not whole.
#[track_caller]
fn numbers(cache: &DirCache) -> BTreeMap<String, u32> {
    let number = |key: String| {
        let number = number_of(&cache.root().join(&key));
        (key, number.unwrap())
    };
    cache.entries().unwrap().into_iter().map(|entry| number(entry.key)).collect()
}

/// Everything agrees, and nothing is left of what was not finished: index, counters and disk.
#[track_caller]
fn assert_sound(cache: &DirCache, moment: &str) {
    assert_eq!(in_stages(cache.root()), [] as [PathBuf; 0], "{moment}: the stage is swept");
    assert_eq!(trash(cache.root()), [] as [PathBuf; 0], "{moment}: the trash is emptied");
    let report = cache.verify().unwrap();
    assert!(report.is_clean(), "{moment}: {report:?}");
    let status = cache.status().unwrap();
    assert_eq!((status.unfinished, status.used), (0, status.size), "{moment}: {status:?}");
    let recount = cache.recount().unwrap();
    let changed = [recount.corrected, recount.adopted, recount.dropped].concat();
    assert_eq!(changed, [] as [&str; 0], "{moment}: a recount finds other files");
    assert_eq!(recount.entries, status.entries, "{moment}");
}

/// What lies in the trash.
fn trash(root: &Path) -> Vec<PathBuf> {
    list(&root.join(".larder/trash"))
}

#[track_caller]
fn kind<T>(outcome: Result<T>) -> ErrorKind {
    outcome.err().expect("an error").kind()
}

/// Keeps the failures that it hears of.
#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Recorder {
    fn on_error(&self, error: &Error, context: &str) {
        self.0.lock().unwrap().push(format!("{context}: {error}"));
    }
}
