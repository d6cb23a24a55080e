//! How far long operations have come.

use std::sync::Mutex;

use larder_storage::Progress;

use super::*;
use crate::CompactOptions;

/// Notes what it is told.
#[derive(Default)]
struct Notes(Mutex<Vec<(String, u64, u64)>>);

impl Progress for Notes {
    fn report(&self, step: &str, done: u64, total: u64) {
        self.0.lock().unwrap().push((step.to_owned(), done, total));
    }
}

impl Notes {
    #[track_caller]
    fn check(&self, steps: &[(&str, u64)]) {
        let all = |&(step, total): &(&str, u64)| {
            (1..=total).map(move |done| (step.to_owned(), done, total)).collect::<Vec<_>>()
        };
        let expected: Vec<_> = steps.iter().flat_map(all).collect();
        assert_eq!(std::mem::take(&mut *self.0.lock().unwrap()), expected);
    }
}

#[test]
fn every_shard_is_reported_once_a_step() {
    let (f, notes) = (Fixture::new(), Arc::new(Notes::default()));
    for block in 0..3 {
        f.write(block, block as u32 * 4..block as u32 * 4 + 4);
    }
    f.put(&legacy_path(0), python_shard(&records(20..23)));
    let theirs = Fixture::new();
    theirs.put(&legacy_path(7), python_shard(&records(30..33)));
    let cache =
        EmbeddingCache::open(f.dir.path(), Options::default().progress(notes.clone())).unwrap();
    notes.check(&[]);
    cache.verify().unwrap();
    notes.check(&[("verify", 4)]);
    cache.reindex().unwrap();
    notes.check(&[("reindex", 4)]);
    cache.repair().unwrap();
    notes.check(&[("repair", 4), ("reindex", 4)]);
    cache.compact(CompactOptions::default()).unwrap();
    notes.check(&[("rewrite", 1), ("merge", 1)]);
    cache.import_python(theirs.dir.path()).unwrap();
    notes.check(&[("import", 1)]);
}

/// Writes a shard for each that it is told of.
struct Writer(EmbeddingCache);

impl Progress for Writer {
    fn report(&self, _step: &str, done: u64, _total: u64) {
        let first = done as u32 * 100;
        self.0.write_shard("other", "1", done, &records(first..first + 2)).unwrap();
    }
}

#[test]
fn an_observer_may_use_the_cache_that_is_locked_meanwhile() {
    let f = Fixture::new();
    f.write(0, 0..4);
    let options = Options::default().progress(Arc::new(Writer(f.open())));
    let cache = EmbeddingCache::open(f.dir.path(), options).unwrap();
    cache.reindex().unwrap();
    assert_eq!(cache.status().unwrap().rows, 6);
}
