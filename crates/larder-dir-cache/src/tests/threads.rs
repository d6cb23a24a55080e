use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::*;

#[test]
fn eight_threads_and_one_cold_key_make_one_build() {
    let dir = tempfile::tempdir().unwrap();
    // Two values, as in two processes.
    let caches = [open(dir.path(), PLENTY), open(dir.path(), PLENTY)];
    let (builds, start) = (AtomicU32::new(0), Barrier::new(8));
    thread::scope(|scope| {
        for n in 0..8 {
            let (cache, builds, start) = (&caches[n % 2], &builds, &start);
            scope.spawn(move || {
                start.wait();
                let lease = cache.get_or_build("a/cold", |stage| {
                    builds.fetch_add(1, Ordering::SeqCst);
                    fill(stage, 8)
                });
                assert!(lease.unwrap().path().join("data").exists());
            });
        }
    });
    assert_eq!(builds.into_inner(), 1);
    assert_eq!(info(&caches[0], "a/cold").access_count, 8);
    assert_sound(&caches[1]);
}

#[test]
fn a_builder_that_panics_hands_over() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    let (first, start) = (AtomicBool::new(true), Barrier::new(4));
    let built: u32 = thread::scope(|scope| {
        let work = || {
            start.wait();
            let lease = cache.get_or_build("m", |stage| {
                assert!(!first.swap(false, Ordering::SeqCst), "a builder that panics on purpose");
                fill(stage, 8)
            });
            lease.unwrap().built()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| u32::from(thread.join().is_ok_and(|built| built))).sum()
    });
    assert_eq!(built, 1);
    assert_sound(&cache);
}

#[test]
fn readers_never_miss_a_file_under_an_evictor_that_is_always_over() {
    let dir = tempfile::tempdir().unwrap();
    let (caches, done) =
        ([open(dir.path(), 3 * disk(8)), open(dir.path(), 3 * disk(8))], AtomicBool::new(false));
    thread::scope(|scope| {
        let evictor = scope.spawn(|| {
            let mut gone = 0;
            while !done.load(Ordering::SeqCst) {
                gone += caches[1].evict().unwrap().len();
            }
            gone
        });
        let read = |seed: u64| {
            for round in 0..60 {
                let key = format!("k{}", (seed * 7 + round * 5) % 6);
                let lease = caches[0].get_or_build(&key, |stage| fill(stage, 8)).unwrap();
                assert_eq!(fs::metadata(lease.path().join("data")).unwrap().len(), 8 * KIB);
            }
        };
        let readers: Vec<_> = (0..4).map(|seed| scope.spawn(move || read(seed))).collect();
        let outcomes: Vec<_> = readers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::SeqCst);
        assert!(evictor.join().unwrap() > 0);
        assert!(outcomes.iter().all(Result::is_ok));
    });
    assert_sound(&caches[0]);
}

/// Tells of each cycle over a channel, so that a test waits for it and for nothing else.
struct Cycles(Sender<(u64, u64)>);

impl Observer for Cycles {
    fn on_cycle_complete(&self, total_size: u64, entry_count: u64) {
        self.0.send((total_size, entry_count)).unwrap();
    }
}

fn in_background(root: &Path, interval: Duration) -> (DirCache, Receiver<(u64, u64)>) {
    let (sender, cycles) = unbounded();
    let options =
        Options::new(disk(16) * 5 / 4).interval(interval).observer(Arc::new(Cycles(sender)));
    (DirCache::open(root, options).unwrap(), cycles)
}

#[test]
fn a_cycle_runs_at_once_when_needed_and_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (cache, cycles) = in_background(dir.path(), Duration::MAX);
    assert_eq!(cycles.recv().unwrap(), (0, 0), "at once");
    drop(build(&cache, "a", 16));
    drop(build(&cache, "b", 16));
    assert_eq!(
        cycles.recv().unwrap(),
        (disk(16), 1),
        "because the second build passed the threshold"
    );
    assert_eq!(keys(&cache), ["b"]);
    drop(cache);
    assert_eq!(cycles.recv().unwrap(), (disk(16), 1), "at the end");
    assert!(cycles.recv().is_err(), "and the observer is gone with the thread");
}

#[test]
fn cycles_come_each_interval() {
    let dir = tempfile::tempdir().unwrap();
    let (cache, cycles) = in_background(dir.path(), Duration::from_millis(1));
    for _ in 0..5 {
        cycles.recv().unwrap();
    }
    drop(cache);
}

#[test]
fn one_of_all_who_have_a_cache_open_leads() {
    let dir = tempfile::tempdir().unwrap();
    let interval = Duration::from_millis(1);
    let (first, of_first) = in_background(dir.path(), interval);
    of_first.recv().unwrap();
    let (second, of_second) = in_background(dir.path(), interval);
    for _ in 0..20 {
        of_first.recv().unwrap();
    }
    assert!(of_second.is_empty());
    drop(first);
    of_second.recv().unwrap();
    drop(second);
}

#[test]
fn an_observer_may_hold_the_last_handle() {
    struct Holder(Mutex<Option<DirCache>>, Sender<()>);
    impl Observer for Holder {
        fn on_cycle_complete(&self, _total_size: u64, _entry_count: u64) {
            if self.0.lock().unwrap().take().is_some() {
                self.1.send(()).unwrap();
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let (sender, dropped) = unbounded();
    let holder = Arc::new(Holder(Mutex::new(None), sender));
    let options =
        Options::new(PLENTY).interval(Duration::from_millis(1)).observer(Arc::clone(&holder) as _);
    let cache = DirCache::open(dir.path(), options).unwrap();
    *holder.0.lock().unwrap() = Some(cache);
    dropped.recv().unwrap();
}
