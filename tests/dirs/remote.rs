//! A remote tier on real servers: the fleet builds each entry once, whatever happens to a builder or to an archive.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use larder::{
    dir_cache::{DirCache, Observer, Options},
    storage::{Error, ErrorKind, Key, PutIf, Result, Storage},
};
use tempfile::TempDir;

use crate::{
    servers::{Server, on_each_server},
    support::{skip, text},
    workers::Worker,
};

const KEY: &str = "mesh/1";
/// More than one piece of a fetch and one part of an upload.
const LARGE: usize = 17 << 20;

/// Keeps what it is told of errors.
#[derive(Default)]
struct Told(Mutex<Vec<ErrorKind>>);

impl Observer for Told {
    fn on_error(&self, error: &Error, _context: &str) {
        self.0.lock().unwrap().push(error.kind());
    }
}

/// One root of a fleet, in this process.
struct Root {
    _dir: TempDir,
    cache: DirCache,
    told: Arc<Told>,
}

impl Root {
    fn new(storage: &Arc<dyn Storage>) -> Self {
        let (dir, told) = (tempfile::tempdir().unwrap(), Arc::new(Told::default()));
        let options = Options::default().observer(Arc::clone(&told) as _);
        let cache = DirCache::open(dir.path(), options).unwrap();
        Self { _dir: dir, cache: cache.with_remote(Arc::clone(storage)).unwrap(), told }
    }

    /// What the files of the entry hold, and whether it was built for that.
    fn build(&self, number: u8) -> (u8, bool) {
        let lease = self.cache.get_or_build(KEY, |stage| fill(stage, number)).unwrap();
        let large = fs::read(lease.path().join("deep/large")).unwrap();
        let expected = bytes(large[0]);
        assert!(large == expected && fs::read(lease.path().join("link")).unwrap() == expected);
        (large[0], lease.built())
    }

    fn told(&self) -> Vec<ErrorKind> {
        self.told.0.lock().unwrap().drain(..).collect()
    }
}

fn bytes(number: u8) -> Vec<u8> {
    (0..LARGE).map(|n| (n % 251) as u8 ^ number).collect()
}

fn fill(stage: &Path, number: u8) -> Result<()> {
    fs::create_dir(stage.join("deep")).unwrap();
    fs::write(stage.join("deep/large"), bytes(number)).unwrap();
    std::os::unix::fs::symlink("deep/large", stage.join("link")).unwrap();
    Ok(())
}

fn archives(storage: &dyn Storage) -> Vec<Key> {
    let dirs = Key::new("dirs").unwrap();
    let keys = storage.keys(Some(&dirs)).unwrap().map(Result::unwrap);
    keys.filter(|key| key.as_str().ends_with(".tar")).collect()
}

#[test]
fn what_one_root_builds_another_fetches_and_what_is_damaged_is_replaced() {
    on_each_server("a remote tier of directories", |server| {
        let storage = server.open("dirs-remote");
        let (a, b, c) = (Root::new(&storage), Root::new(&storage), Root::new(&storage));
        assert_eq!((a.build(1), b.build(2)), ((1, true), (1, false)));

        let [at] = &archives(&*storage)[..] else { panic!("one archive") };
        let mut damaged = storage.get(at).unwrap().unwrap().into_bytes().to_vec();
        damaged[LARGE / 2] ^= 1;
        for damaged in [damaged.clone(), damaged[..LARGE / 2].to_vec()] {
            let [at] = &archives(&*storage)[..] else { panic!("one archive") };
            storage.put(at, damaged.into(), PutIf::Always).unwrap();
            let (d, e) = (Root::new(&storage), Root::new(&storage));
            assert_eq!((d.build(3), d.told()), ((3, true), vec![ErrorKind::Corrupt]));
            assert_eq!((e.build(4), e.told()), ((3, false), vec![]));
        }
        assert_eq!((archives(&*storage).len(), c.build(5)), (1, (3, false)));

        assert!(a.cache.remove_remote(KEY).unwrap() && archives(&*storage).is_empty());
        assert_eq!(Root::new(&storage).build(6), (6, true));
        assert_eq!([a.told(), b.told(), c.told()], [vec![], vec![], vec![]]);
    });
}

#[test]
fn the_tar_of_the_system_reads_an_archive() {
    if Command::new("tar").arg("--version").output().is_err() {
        return skip("archives of directories", "there is no tar");
    }
    let dir = tempfile::tempdir().unwrap();
    let storage = larder_storage::open(&format!("file://{}/remote", dir.path().display())).unwrap();
    assert!(Root::new(&storage).build(1).1);
    let at = dir.path().join("remote").join(archives(&*storage)[0].as_str());
    let run = |args: &[&str]| {
        let mut tar = Command::new("tar");
        let output = tar.current_dir(dir.path()).args(args).arg("-f").arg(&at).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(run(&["-t"]), "deep/\ndeep/large\nlink\n");
    run(&["-x"]);
    assert!(fs::read(dir.path().join("link")).unwrap() == bytes(1));
}

/// The processes of a fleet on one server, each with a root of its own.
struct Fleet<'a> {
    server: &'a Server,
    url: String,
    dir: TempDir,
}

impl<'a> Fleet<'a> {
    fn new(server: &'a Server, prefix: &str) -> Self {
        server.open(prefix);
        Self { server, url: server.url(prefix), dir: tempfile::tempdir().unwrap() }
    }

    fn root(&self, number: u32) -> PathBuf {
        self.dir.path().join(number.to_string())
    }

    fn start(&self, number: u32) -> Worker {
        let mut command =
            Worker::command(&["dirs-remote", &self.url, self.root(number).to_str().unwrap()]);
        let settings = self.server.settings().into_iter();
        Worker::start(command.envs(settings.map(|(name, value)| (name.to_uppercase(), value))))
    }

    /// Waits for the ends of these, of whom one has built; its number, the place in `workers`.
    fn one_builds(&self, mut workers: Vec<Worker>) -> usize {
        for worker in &mut workers {
            worker.expect("waiting");
            worker.let_go();
        }
        let said: Vec<_> = thread::scope(|scope| {
            let ends: Vec<_> =
                workers.into_iter().map(|worker| scope.spawn(move || worker.rest())).collect();
            ends.into_iter().map(|end| end.join().unwrap()).collect()
        });
        let builders = said.iter().filter(|said| said.starts_with("building\n")).count();
        assert_eq!(builders, 1, "{}: {said:?}", self.server.name());
        let ends: Vec<_> = said.iter().filter_map(|said| said.lines().last()).collect();
        assert!(ends.len() == said.len() && ends.iter().all(|end| *end == ends[0]), "{said:?}");
        said.iter().position(|said| said.starts_with("building\n")).unwrap()
    }
}

#[test]
fn four_processes_with_roots_of_their_own_build_a_cold_key_once() {
    on_each_server("one build in a fleet", |server| {
        let fleet = Fleet::new(server, "dirs-fleet");
        fleet.one_builds((0..4).map(|number| fleet.start(number)).collect());
    });
}

#[test]
fn one_of_three_processes_builds_what_a_killed_one_was_building() {
    on_each_server("a builder of a fleet that is killed", |server| {
        let fleet = Fleet::new(server, "dirs-killed");
        let mut first = fleet.start(0);
        first.expect("waiting");
        first.expect("building");
        let others = (1..4).map(|number| fleet.start(number)).collect();
        first.kill();
        let builder = fleet.one_builds(others);
        // The root of the killed one is as good as new.
        let mut again = fleet.start(0);
        again.expect("waiting");
        let of = fleet.root(u32::try_from(builder).unwrap() + 1);
        assert_eq!(again.rest(), format!("has that of {}\n", of.display()));
    });
}
