use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use larder_storage::{
    Durability, Error, ErrorKind, Key, LocalStorage, MemoryStorage, PutIf, Result, Storage,
    StorageExt, flight, testing::CountingStorage,
};
use tempfile::TempDir;

use super::{Remote, archive_at, manifest_at};
use crate::{BuildOptions, DirCache, Lease, Observer, Options};

mod damage;
mod faults;
mod hostile;
mod trees;

const KEY: &str = "ab/model";

/// One root of a fleet.
struct Root {
    dir: TempDir,
    cache: DirCache,
    told: Arc<Told>,
}

/// Keeps what the observer is told of errors.
#[derive(Default)]
struct Told(Mutex<Vec<(ErrorKind, String)>>);

impl Observer for Told {
    fn on_error(&self, error: &Error, context: &str) {
        self.0.lock().unwrap().push((error.kind(), context.to_owned()));
    }
}

impl Root {
    fn new(storage: MemoryStorage) -> Self {
        Self::on(Arc::new(storage))
    }

    fn on(storage: Arc<dyn Storage>) -> Self {
        let (dir, told) = (tempfile::tempdir().unwrap(), Arc::new(Told::default()));
        let options = Options::default().background(false).observer(Arc::clone(&told) as _);
        let cache = DirCache::open(dir.path(), options).unwrap();
        let lease = flight::Options::default().lease(Duration::from_millis(100));
        let remote = Remote::with_flights(storage, lease).unwrap();
        cache.core.remote.set(remote).unwrap();
        Self { dir, cache, told }
    }

    fn build(&self, number: u8) -> Lease {
        self.cache.get_or_build(KEY, |stage| fill(stage, number)).unwrap()
    }

    /// What the observer was told of errors since the last time.
    fn told(&self) -> Vec<ErrorKind> {
        self.told.0.lock().unwrap().drain(..).map(|(kind, _)| kind).collect()
    }
}

fn key() -> Key {
    Key::new(KEY).unwrap()
}

/// A builder's work: a program, a link to it, and an empty directory.
fn fill(stage: &Path, number: u8) -> Result<()> {
    let write = || {
        fs::create_dir_all(stage.join("bin/empty"))?;
        let mut file = File::create(stage.join("bin/run"))?;
        file.write_all(&[number; 700])?;
        file.set_permissions(fs::Permissions::from_mode(0o755))?;
        symlink("bin/run", stage.join("link"))
    };
    write().map_err(|error| Error::io(error, "cannot write").at_path(stage))
}

/// The number of the build that an entry is of.
fn number(entry: &Path) -> u8 {
    let bytes = fs::read(entry.join("link")).unwrap();
    assert_eq!(bytes, [bytes[0]; 700]);
    assert_ne!(fs::metadata(entry.join("bin/run")).unwrap().permissions().mode() & 0o100, 0);
    assert!(entry.join("bin/empty").is_dir());
    bytes[0]
}

/// The keys of the objects of the entry.
fn objects(storage: &dyn Storage) -> Vec<String> {
    let dirs = Key::new("dirs").unwrap();
    let mut keys: Vec<_> =
        storage.keys(Some(&dirs)).unwrap().map(|key| key.unwrap().to_string()).collect();
    keys.sort();
    keys
}

fn archive(storage: &dyn Storage) -> Key {
    let found = objects(storage).into_iter().find(|at| at.ends_with(".tar"));
    Key::new(found.expect("an archive")).unwrap()
}

fn manifest(storage: &dyn Storage) -> serde_json::Value {
    storage.get_json(&manifest_at(&key()).unwrap()).unwrap().expect("a manifest")
}

fn never(_: &Path) -> Result<()> {
    panic!("it is there")
}

#[test]
fn what_one_root_builds_the_others_fetch() {
    let storage = MemoryStorage::new();
    let (a, b, c) =
        (Root::new(storage.clone()), Root::new(storage.clone()), Root::new(storage.clone()));
    assert!(b.cache.get(KEY).unwrap().is_none());
    assert!(a.build(1).built());
    let fetched = b.cache.get_or_build(KEY, never).unwrap();
    assert!(!fetched.built() && number(fetched.path()) == 1);
    let got = c.cache.get(KEY).unwrap().unwrap();
    assert!(!got.built() && number(got.path()) == 1);
    for root in [&a, &b, &c] {
        let entry = &root.cache.entries().unwrap()[0];
        assert_eq!((entry.access_count, entry.files), (1, 2));
        assert!(entry.build_cost.is_some() && root.cache.verify().unwrap().is_clean());
        assert_eq!(root.told(), []);
    }
    let places = objects(&storage);
    let [archive, manifest] = &places[..] else { panic!("{places:?}") };
    assert!(archive.starts_with("dirs/ab%2Fmodel/") && archive.ends_with(".tar"));
    assert_eq!(manifest, "dirs/ab%2Fmodel/manifest.json");
}

#[test]
fn the_cost_of_a_fetched_entry_is_that_of_getting_it_back() {
    let storage = MemoryStorage::new();
    drop(Root::new(storage.clone()).build(1));
    let mut changed = manifest(&storage);
    // A thousand hours.
    changed["build_cost_ns"] = 3_600_000_000_000_000_u64.into();
    storage.put_json(&manifest_at(&key()).unwrap(), &changed, PutIf::Always).unwrap();
    let root = Root::new(storage);
    drop(root.cache.get(KEY).unwrap().unwrap());
    assert!(root.cache.entries().unwrap()[0].build_cost.unwrap() < Duration::from_secs(3600));
}

#[test]
fn an_archive_holds_nothing_of_the_cache_itself() {
    let storage = MemoryStorage::new();
    let root = Root::new(storage.clone());
    assert!(root.build(1).path().join(".cache_meta").exists());
    let bytes = storage.get(&archive(&storage)).unwrap().unwrap().into_bytes();
    let names: Vec<_> = tar::Archive::new(&bytes[..])
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names, ["bin/", "bin/empty/", "bin/run", "link"]);
    let written = manifest(&storage);
    assert_eq!((&written["format"], &written["length"]), (&1.into(), &bytes.len().into()));
    assert_eq!((&written["files"], written["build_cost_ns"].is_u64()), (&2.into(), true));
}

#[test]
fn a_hit_asks_nobody_and_a_fetch_asks_three_times() {
    let storage = MemoryStorage::new();
    drop(Root::new(storage.clone()).build(1));
    let counting = Arc::new(CountingStorage::new(storage));
    let root = Root::on(Arc::clone(&counting) as _);
    drop(root.cache.get(KEY).unwrap().unwrap());
    let counts = counting.counts();
    assert_eq!((counts.gets, counts.opens, counts.reads), (1, 1, 1));
    drop(root.cache.get(KEY).unwrap().unwrap());
    assert!(!root.build(2).built() && counting.counts() == counts);
    assert_eq!((counts.puts, counts.lists, counts.bytes_written), (0, 0, 0));
}

#[test]
fn four_roots_and_one_cold_key_make_one_build() {
    let storage = MemoryStorage::new();
    let roots: Vec<_> = (0..4).map(|_| Root::new(storage.clone())).collect();
    let (builds, start) = (AtomicU32::new(0), Barrier::new(8));
    thread::scope(|scope| {
        for root in roots.iter().chain(&roots) {
            scope.spawn(|| {
                start.wait();
                let lease = root.cache.get_or_build(KEY, |stage| {
                    builds.fetch_add(1, Ordering::SeqCst);
                    fill(stage, 7)
                });
                assert_eq!(number(lease.unwrap().path()), 7);
            });
        }
    });
    assert_eq!(builds.into_inner(), 1);
    assert!(roots.iter().all(|root| root.told().is_empty()));
}

#[test]
fn a_builder_that_fails_hands_over() {
    let storage = MemoryStorage::new();
    let (a, b) = (Root::new(storage.clone()), Root::new(storage.clone()));
    let no = |_: &Path| Err(Error::new(ErrorKind::NotFound, "no input"));
    assert_eq!(a.cache.get_or_build(KEY, no).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(objects(&storage).is_empty());
    assert!(b.build(2).built());
    assert!(!a.build(1).built());
}

#[test]
fn whoever_was_silent_for_too_long_publishes_nothing() {
    let storage = MemoryStorage::new();
    let root = Root::new(storage.clone());
    let other = Root::new(storage.clone());
    let lease = root.cache.get_or_build(KEY, |stage| {
        // As if this one had been stopped meanwhile: its lease is gone.
        let flights = Key::new("flights").unwrap();
        let held = storage.keys(Some(&flights)).unwrap().next().unwrap().unwrap();
        storage.remove(&held).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| assert!(other.build(2).built()));
        });
        fill(stage, 1)
    });
    let lease = lease.unwrap();
    assert!(lease.built() && number(lease.path()) == 1);
    assert_eq!(root.told(), [ErrorKind::Conflict]);
    assert_eq!(number(Root::new(storage).cache.get(KEY).unwrap().unwrap().path()), 2);
}

#[test]
fn a_withdrawn_entry_is_built_again() {
    let storage = MemoryStorage::new();
    let (a, b) = (Root::new(storage.clone()), Root::new(storage.clone()));
    assert!(!a.cache.remove_remote(KEY).unwrap());
    drop(a.build(1));
    assert!(a.cache.remove_remote(KEY).unwrap() && objects(&storage).is_empty());
    assert!(a.cache.contains(KEY).unwrap(), "here it stays");
    assert!(b.cache.get(KEY).unwrap().is_none());
    assert!(b.build(2).built());
    assert!(a.cache.remove(KEY).unwrap());
    assert_eq!(number(a.build(3).path()), 2);
}

#[test]
fn a_publication_leaves_nothing_of_those_before() {
    let storage = MemoryStorage::new();
    let orphan = archive_at(&key(), &larder_storage::Digest::of(b"killed")).unwrap();
    storage.put(&orphan, "half".into(), PutIf::Always).unwrap();
    let other = Key::new("dirs/ab%2Fmodel2/x.tar").unwrap();
    storage.put(&other, "of another".into(), PutIf::Always).unwrap();
    drop(Root::new(storage.clone()).build(1));
    let left = objects(&storage);
    assert!(!left.contains(&orphan.to_string()) && left.contains(&other.to_string()));
    assert_eq!(left.len(), 3);
}

#[test]
fn what_cannot_be_packed_stays_in_its_root() {
    type Make = fn(&Path) -> std::io::Result<()>;
    let cases: [Make; 3] = [
        |stage| symlink("/etc/passwd", stage.join("link")),
        |stage| symlink("../other", stage.join("link")),
        |stage| std::os::unix::net::UnixListener::bind(stage.join("socket")).map(drop),
    ];
    for make in cases {
        let storage = MemoryStorage::new();
        let root = Root::new(storage.clone());
        let lease = root.cache.get_or_build("m", |stage| {
            make(stage).map_err(|error| Error::io(error, "cannot make").at_path(stage))
        });
        assert!(lease.unwrap().built());
        assert_eq!((root.told(), objects(&storage)), (vec![ErrorKind::Unsupported], vec![]));
    }
}

#[test]
fn a_key_that_is_too_long_to_be_encoded_stays_in_its_root() {
    let storage = MemoryStorage::new();
    let root = Root::new(storage.clone());
    let long = ["x".repeat(200), "y".repeat(200)].join("/");
    assert!(root.cache.get_or_build(&long, |stage| fill(stage, 1)).unwrap().built());
    assert_eq!((root.told(), objects(&storage)), (vec![ErrorKind::Invalid], vec![]));
}

#[test]
fn an_entry_too_large_for_a_root_is_a_miss_there() {
    let storage = MemoryStorage::new();
    drop(Root::new(storage.clone()).build(1));
    let dir = tempfile::tempdir().unwrap();
    let cache = DirCache::open(dir.path(), Options::new(8 << 10).background(false)).unwrap();
    let cache = cache.with_remote(Arc::new(storage)).unwrap();
    assert!(cache.get(KEY).unwrap().is_none());
    assert!(cache.get_or_build(KEY, |_| Ok(())).unwrap().built(), "what is built may be smaller");
    assert!(cache.verify().unwrap().is_clean());
}

#[test]
fn a_tier_that_is_none_is_refused() {
    let root = Root::new(MemoryStorage::new());
    let again = root.cache.with_remote(Arc::new(MemoryStorage::new()));
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Invalid);

    let dir = tempfile::tempdir().unwrap();
    let open = || DirCache::open(dir.path().join("a"), Options::default()).unwrap();
    assert_eq!(open().remove_remote(KEY).unwrap_err().kind(), ErrorKind::Unsupported);
    for inside in ["", "a", "a/b"] {
        let storage = LocalStorage::open(dir.path().join(inside), Durability::Process).unwrap();
        let shared = open().with_remote(Arc::new(storage));
        assert_eq!(shared.unwrap_err().kind(), ErrorKind::Invalid, "{inside:?}");
    }
}

#[test]
fn whoever_builds_the_same_key_for_two_roots_is_not_kept_waiting() {
    let storage = MemoryStorage::new();
    let (a, b) = (Root::new(storage.clone()), Root::new(storage));
    let lease = a.cache.get_or_build(KEY, |stage| {
        assert_eq!(number(b.build(2).path()), 2);
        fill(stage, 1)
    });
    assert!(lease.unwrap().built());
    assert_eq!((a.told(), b.told()), (vec![], vec![ErrorKind::Locked]));
}

#[test]
fn what_the_fleet_built_too_long_ago_is_built_again_and_replaced() {
    let storage = MemoryStorage::default();
    let (one, other) = (Root::new(storage.clone()), Root::new(storage.clone()));
    let build_for = |root: &Root, number, ttl| {
        let options = BuildOptions::default().ttl(ttl);
        root.cache.get_or_build_with(KEY, options, |stage| fill(stage, number)).unwrap()
    };
    drop(one.build(1));
    let fresh = build_for(&other, 2, Duration::from_secs(1 << 30));
    assert!(!fresh.built() && number(fresh.path()) == 1);
    drop(fresh);
    assert!(other.cache.remove(KEY).unwrap());
    let late = build_for(&other, 3, Duration::from_nanos(1));
    assert!(late.built() && other.told().is_empty());
    drop(late);
    assert!(one.cache.remove(KEY).unwrap());
    assert_eq!(number(one.cache.get(KEY).unwrap().unwrap().path()), 3);
}

#[test]
fn room_is_made_for_what_is_fetched() {
    let storage = MemoryStorage::default();
    drop(Root::new(storage.clone()).build(1));
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new(40 << 10).limit(40 << 10).background(false);
    let cache = DirCache::open(dir.path(), options).unwrap();
    let cache = cache.with_remote(Arc::new(storage)).unwrap();
    let large = |stage: &Path| {
        File::create(stage.join("f"))
            .and_then(|mut file| file.write_all(&[1; 30 << 10]))
            .map_err(failed)
    };
    drop(cache.get_or_build("large", large).unwrap());
    assert_eq!(number(cache.get(KEY).unwrap().unwrap().path()), 1);
    assert!(!cache.contains("large").unwrap());
    assert!(cache.verify().unwrap().is_clean());
}

fn failed(error: std::io::Error) -> Error {
    Error::io(error, "cannot write")
}
