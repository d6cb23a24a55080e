use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
};

use larder_storage::{Error, ErrorKind, Result};

use crate::{DirCache, EntryInfo, Lease, Lru, Measure, Observer, Options, Policy, tree::measure};

mod accesses;
mod crash;
mod defects;
mod evict;
mod expiry;
mod input;
mod limit;
mod model;
mod races;
mod settings;
mod threads;
mod trash;

const KIB: u64 = 1024;
/// A threshold that nothing here reaches.
const PLENTY: u64 = 1 << 40;

/// Options without a background thread, so that cycles happen only when asked for.
fn quiet(evict_above: u64) -> Options {
    Options::new(evict_above).policy(Arc::new(Lru)).background(false)
}

fn open(root: &Path, evict_above: u64) -> DirCache {
    DirCache::open(root, quiet(evict_above)).unwrap()
}

/// A builder's work: one file of this many KiB.
fn fill(stage: &Path, kib: u64) -> Result<()> {
    let path = stage.join("data");
    let write = || {
        let mut file = File::create(&path)?;
        file.write_all(&vec![7; (kib * KIB) as usize])?;
        // Some file systems know only then what it occupies.
        file.sync_all()
    };
    write().map_err(|error| Error::io(error, "cannot write").at_path(&path))
}

/// The bytes that what [`fill`] writes occupies here; the blocks of file systems differ.
fn disk(kib: u64) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), kib).unwrap();
    measure(dir.path(), Measure::Occupied).unwrap().size
}

fn build(cache: &DirCache, key: &str, kib: u64) -> Lease {
    cache.get_or_build(key, |stage| fill(stage, kib)).unwrap()
}

fn keys(cache: &DirCache) -> Vec<String> {
    cache.entries().unwrap().into_iter().map(|entry| entry.key).collect()
}

fn info(cache: &DirCache, key: &str) -> EntryInfo {
    cache.entries().unwrap().into_iter().find(|entry| entry.key == key).unwrap()
}

/// Ends a lease as if it had been held for a while.
fn drop_late(mut lease: Lease) {
    lease.taken_ns -= 1_000_000_000;
}

/// What the Python package would find in an entry.
fn meta(cache: &DirCache, key: &str) -> serde_json::Value {
    serde_json::from_slice(&fs::read(cache.root().join(key).join(".cache_meta")).unwrap()).unwrap()
}

/// An entry as the Python package leaves it.
fn seed_entry(root: &Path, key: &str, meta: &[u8]) {
    let dir = root.join(key);
    fs::create_dir_all(&dir).unwrap();
    fill(&dir, 8).unwrap();
    File::create(dir.join(".cache_meta")).unwrap().write_all(meta).unwrap();
}

/// Everything agrees: index, counters, disk.
fn assert_sound(cache: &DirCache) {
    let report = cache.verify().unwrap();
    assert!(report.is_clean(), "{report:?}");
    let sum: u64 = cache.entries().unwrap().iter().map(|entry| entry.size).sum();
    let snapshot = cache.snapshot().unwrap();
    assert_eq!((snapshot.total_size, snapshot.entry_count), (sum, report.entries));
    assert_eq!(cache.status().unwrap().unfinished, 0);
}

/// How many files lie below, in the reserved directory of the cache.
fn count_files(cache: &DirCache, dir: &str) -> usize {
    fs::read_dir(cache.root().join(".larder").join(dir)).map_or(0, Iterator::count)
}

/// Keeps all that it hears.
#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn hear(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }
}

impl Observer for Recorder {
    fn on_evict(&self, key: &str) {
        self.hear(format!("evict {key}"));
    }

    fn on_size_update(&self, key: &str, size: u64) {
        self.hear(format!("size {key} {size}"));
    }

    fn on_error(&self, error: &Error, context: &str) {
        self.hear(format!("error {:?} {context}", error.kind()));
    }

    fn on_cycle_complete(&self, total_size: u64, entry_count: u64) {
        self.hear(format!("cycle {total_size} {entry_count}"));
    }
}

#[test]
fn all_that_is_public_crosses_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<DirCache>();
    shared::<Lease>();
    shared::<Options>();
    shared::<EntryInfo>();
    shared::<Arc<dyn Policy>>();
    shared::<Arc<dyn Observer>>();
}

#[test]
fn builds_once_then_hits_and_counts_each_access() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    assert!(cache.get("m/1").unwrap().is_none() && !cache.contains("m/1").unwrap());
    let lease = build(&cache, "m/1", 8);
    assert!(lease.built() && lease.key() == "m/1" && lease.path().ends_with("m/1"));
    let again = cache.get_or_build("m/1", |_| panic!("it is there")).unwrap();
    assert!(!again.built());
    drop((lease, again));
    assert!(!cache.get("m/1").unwrap().unwrap().built() && cache.contains("m/1").unwrap());

    let entry = info(&cache, "m/1");
    assert_eq!((entry.access_count, entry.files, entry.pinned), (3, 1, false));
    assert!(entry.build_cost.is_some() && entry.last_access > entry.built_at);
    assert_eq!(entry.size, disk(8));
    assert_sound(&cache);
}

#[test]
fn the_metadata_file_follows_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    drop(build(&cache, "m", 8));
    drop(cache.get("m").unwrap());
    assert_eq!(meta(&cache, "m")["access_count"], 1, "as it was published");
    cache.run_once().unwrap();
    let written = meta(&cache, "m");
    assert_eq!((&written["access_count"], &written["size"]), (&2.into(), &disk(8).into()));
    assert_eq!(written["larder"]["format"], crate::META_FORMAT_VERSION);
    let modified = fs::metadata(cache.root().join("m/.cache_meta")).unwrap().modified().unwrap();
    assert_eq!(modified, info(&cache, "m").last_access);

    let lease = cache.get("m").unwrap().unwrap();
    let path = lease.path().join(".cache_meta");
    drop(cache);
    drop(lease);
    let closed: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(closed["access_count"], 3, "written when the last lease went");
}

#[test]
fn an_access_while_the_metadata_is_written_is_written_next_time() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    drop(build(&cache, "m", 8));
    drop(cache.get("m").unwrap().unwrap());
    let index = &cache.core.index;
    let as_written = index.find("m").unwrap().unwrap();
    cache.entries().unwrap();
    index.written(std::slice::from_ref(&as_written)).unwrap();
    assert_eq!(index.behind().unwrap().len(), 1, "the access is not in the file");

    cache.run_once().unwrap();
    assert!(index.behind().unwrap().is_empty());
    let as_written = index.find("m").unwrap().unwrap();
    let mut tree = measure(&cache.root().join("m"), Measure::Occupied).unwrap();
    tree.size += 512;
    index.correct("m", &tree).unwrap();
    index.written(std::slice::from_ref(&as_written)).unwrap();
    assert_eq!(index.behind().unwrap().len(), 1, "the corrected size is not in the file");
}

#[test]
fn what_the_file_system_settles_late_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Arc::new(Recorder::default());
    let cache =
        DirCache::open(dir.path(), quiet(PLENTY).observer(Arc::clone(&recorder) as _)).unwrap();
    drop(build(&cache, "m", 8));
    let mut tree = measure(&cache.root().join("m"), Measure::Occupied).unwrap();
    tree.size += 512;
    cache.core.index.correct("m", &tree).unwrap();
    recorder.heard();

    assert_sound(&cache);
    let recount = cache.recount().unwrap();
    assert_eq!((recount.size, recount.corrected), (disk(8), Vec::new()));
    assert_eq!(recorder.heard(), [format!("size m {}", disk(8))]);
}

#[test]
fn what_one_handle_uses_the_others_know_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (open(dir.path(), PLENTY), open(dir.path(), PLENTY));
    drop(build(&one, "m", 8));
    let before = info(&other, "m");
    drop(one.get("m").unwrap());
    let after = info(&other, "m");
    assert_eq!((before.access_count, after.access_count), (1, 2));
    assert!(after.last_access > before.last_access);
}

#[test]
fn the_end_of_a_lease_waits_for_an_index_that_fails() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    let lease = build(&cache, "m", 8);
    let db = rusqlite::Connection::open(dir.path().join(".larder/dirs.sqlite")).unwrap();
    let fail = "CREATE TRIGGER fail BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'no'); END";
    db.execute_batch(fail).unwrap();
    drop_late(lease);
    cache.entries().unwrap_err();
    db.execute_batch("DROP TRIGGER fail").unwrap();
    let entry = info(&cache, "m");
    assert!(entry.last_access > entry.built_at);
}

#[test]
fn what_others_put_into_the_metadata_stays() {
    let dir = tempfile::tempdir().unwrap();
    seed_entry(dir.path(), "m", br#"{"size": 1, "access_count": 4, "owner": "reef"}"#);
    let cache = open(dir.path(), PLENTY);
    drop(cache.get("m").unwrap().unwrap());
    cache.run_once().unwrap();
    let written = meta(&cache, "m");
    assert_eq!((&written["access_count"], &written["owner"]), (&5.into(), &"reef".into()));
}

#[test]
fn the_root_is_marked_as_a_cache() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(&dir.path().join("new/root"), PLENTY);
    let tag = fs::read_to_string(cache.root().join("CACHEDIR.TAG")).unwrap();
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
}

#[test]
fn a_removed_entry_is_gone_with_all_that_was_its() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    drop(build(&cache, "a/b/c", 8));
    drop(build(&cache, "a/d", 8));
    assert!(cache.remove("a/b/c").unwrap());
    assert!(!cache.remove("a/b/c").unwrap() && cache.get("a/b/c").unwrap().is_none());
    assert!(!cache.root().join("a/b").exists() && cache.root().join("a/d").exists());
    assert_eq!(count_files(&cache, "leases"), 1, "only that of the other entry");
    assert_sound(&cache);
    // Its name is free again, also for an entry in its parent's place.
    assert!(build(&cache, "a/b", 8).built());
}

#[test]
fn a_reopened_cache_knows_all_it_knew() {
    let dir = tempfile::tempdir().unwrap();
    let before = {
        let cache = open(dir.path(), PLENTY);
        drop(build(&cache, "a/b", 8));
        drop(build(&cache, "c", 16));
        drop(cache.get("c").unwrap());
        cache.entries().unwrap()
    };
    let cache = open(dir.path(), PLENTY);
    assert_eq!(cache.entries().unwrap(), before);
    assert_sound(&cache);
}

#[test]
fn every_durability_publishes_and_removes() {
    use larder_storage::Durability::{Power, Process, Scratch};
    for durability in [Scratch, Process, Power] {
        let dir = tempfile::tempdir().unwrap();
        let cache = DirCache::open(dir.path(), quiet(PLENTY).durability(durability)).unwrap();
        drop(build(&cache, "a/b", 8));
        drop(cache.get("a/b").unwrap().unwrap());
        assert_eq!(info(&cache, "a/b").access_count, 2);
        assert!(cache.remove("a/b").unwrap());
        assert_sound(&cache);
    }
}

#[test]
fn a_recount_accepts_what_was_changed_inside() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    let lease = build(&cache, "m", 8);
    fill(lease.path(), 32).unwrap();
    assert_eq!(cache.verify().unwrap().problems.len(), 1);
    let recount = cache.recount().unwrap();
    assert_eq!(
        (recount.corrected, recount.size, recount.entries),
        (vec!["m".to_owned()], disk(32), 1)
    );
    assert_sound(&cache);
    assert!(cache.recount().unwrap().corrected.is_empty());
}

#[test]
fn whatever_the_umbrella_needs_is_default() {
    let dir = tempfile::tempdir().unwrap();
    let cache = DirCache::open(dir.path(), Options::default()).unwrap();
    drop(build(&cache, "m", 8));
    let error = cache.get_or_build("n", |_| Err(Error::new(ErrorKind::Backend, "no"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
}
