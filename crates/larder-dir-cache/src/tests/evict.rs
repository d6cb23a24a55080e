use super::*;
use crate::Gdsf;

/// Answers with what it was made with, or panics.
#[derive(Debug)]
struct Fixed(Option<Vec<String>>);

impl Policy for Fixed {
    fn victims(&self, _entries: &[EntryInfo], _bytes_needed: u64) -> Vec<String> {
        self.0.clone().expect("a policy that panics on purpose")
    }
}

/// Names one entry at a time, so that it has to be asked again.
#[derive(Debug)]
struct Shy;

impl Policy for Shy {
    fn victims(&self, entries: &[EntryInfo], _bytes_needed: u64) -> Vec<String> {
        entries.iter().take(1).map(|entry| entry.key.clone()).collect()
    }
}

fn three(root: &Path) -> DirCache {
    let cache = open(root, disk(16) * 5 / 2);
    for key in ["a", "b", "c"] {
        drop(build(&cache, key, 16));
    }
    cache
}

#[test]
fn evicts_by_last_access_until_below() {
    let dir = tempfile::tempdir().unwrap();
    let cache = three(dir.path());
    drop(cache.get("a").unwrap());
    assert_eq!(cache.evict().unwrap(), ["b"]);
    assert!(cache.evict().unwrap().is_empty());
    assert_eq!(keys(&cache), ["a", "c"]);
    assert!(!dir.path().join("b").exists());
    assert_sound(&cache);
}

#[test]
fn the_end_of_a_lease_is_an_access() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), disk(16) * 5 / 2);
    let long = build(&cache, "a", 16);
    drop(build(&cache, "b", 16));
    drop(build(&cache, "c", 16));
    drop_late(long);
    assert_eq!(cache.evict().unwrap(), ["b"]);
}

#[test]
fn a_policy_that_names_strangers_hurts_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let cache = three(dir.path());
    let strange =
        ["", "..", "/etc", "nobody", "c", ".larder", "a", "a"].map(str::to_owned).to_vec();
    assert_eq!(
        cache.evict_with(&Fixed(Some(strange))).unwrap(),
        ["a"],
        "c is the newest, so it was not offered"
    );
    assert!(cache.evict_with(&Fixed(Some(Vec::new()))).unwrap().is_empty());
    assert_sound(&cache);
}

#[test]
fn a_policy_that_panics_is_an_error_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let cache = three(dir.path());
    assert_eq!(cache.evict_with(&Fixed(None)).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(cache.evict().unwrap(), ["a"]);
    assert_sound(&cache);
}

#[test]
fn what_went_before_a_policy_failed_is_told() {
    #[derive(Debug)]
    struct Once(Mutex<Option<String>>);
    impl Policy for Once {
        fn victims(&self, _entries: &[EntryInfo], _bytes_needed: u64) -> Vec<String> {
            vec![self.0.lock().unwrap().take().expect("a policy that panics on purpose")]
        }
    }
    let dir = tempfile::tempdir().unwrap();
    drop(three(dir.path()));
    let recorder = Arc::new(Recorder::default());
    let options = quiet(disk(16)).observer(Arc::clone(&recorder) as _);
    let cache = DirCache::open(dir.path(), options).unwrap();
    assert_eq!(cache.evict_with(&Once(Mutex::new(Some("a".to_owned())))).unwrap(), ["a"]);
    assert_eq!(recorder.heard(), ["evict a", "error Invalid evicting more"]);
}

#[test]
fn a_policy_that_fails_leaves_the_rest_of_the_cycle_to_be_done() {
    let dir = tempfile::tempdir().unwrap();
    let cache = three(dir.path());
    drop(cache.get("a").unwrap().unwrap());
    drop(cache);
    let recorder = Arc::new(Recorder::default());
    let options = quiet(disk(16)).policy(Arc::new(Fixed(None)));
    let cache = DirCache::open(dir.path(), options.observer(Arc::clone(&recorder) as _)).unwrap();
    drop(cache.get("b").unwrap().unwrap());
    assert_eq!(cache.run_once().unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(meta(&cache, "b")["access_count"], 2);
    assert_eq!(recorder.heard(), [format!("cycle {} 3", 3 * disk(16))]);
}

#[test]
fn a_policy_that_evicts_from_inside_is_told_so() {
    #[derive(Debug)]
    struct Inside(Mutex<Option<Arc<DirCache>>>);
    impl Policy for Inside {
        fn victims(&self, _entries: &[EntryInfo], _bytes_needed: u64) -> Vec<String> {
            let cache = self.0.lock().unwrap().take().unwrap();
            assert_eq!(cache.evict_with(&Lru).unwrap_err().kind(), ErrorKind::Locked);
            vec!["b".to_owned()]
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let cache = Arc::new(three(dir.path()));
    let inside = Inside(Mutex::new(Some(Arc::clone(&cache))));
    assert_eq!(cache.evict_with(&inside).unwrap(), ["b"]);
}

#[test]
fn many_leased_entries_cost_few_questions() {
    #[derive(Debug, Default)]
    struct Counting(Mutex<u32>);
    impl Policy for Counting {
        fn victims(&self, entries: &[EntryInfo], bytes_needed: u64) -> Vec<String> {
            *self.0.lock().unwrap() += 1;
            Lru.victims(entries, bytes_needed)
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), 64 * disk(4));
    let held: Vec<Lease> = (0..64).map(|n| build(&cache, &format!("{n:02}"), 4)).collect();
    drop(build(&cache, "free", 4));
    drop(build(&cache, "newest", 4));
    let counting = Counting::default();
    assert_eq!(cache.evict_with(&counting).unwrap(), ["free"]);
    let asked = counting.0.into_inner().unwrap();
    assert!(asked <= 8, "asked {asked} times");
    drop(held);
}

#[test]
fn the_observer_hears_all_and_may_panic() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Arc::new(Recorder::default());
    let size = disk(16);
    let options = quiet(size * 5 / 4).observer(Arc::clone(&recorder) as _);
    let cache = DirCache::open(dir.path(), options).unwrap();
    drop(build(&cache, "a", 16));
    drop(build(&cache, "b", 16));
    assert_eq!(cache.run_once().unwrap(), ["a"]);
    let expected = [
        format!("size a {size}"),
        format!("size b {size}"),
        "evict a".into(),
        format!("cycle {size} 1"),
    ];
    assert_eq!(recorder.heard(), expected);

    struct Panics;
    impl Observer for Panics {
        fn on_evict(&self, _key: &str) {
            panic!("an observer that panics on purpose");
        }
        fn on_cycle_complete(&self, _total_size: u64, _entry_count: u64) {
            panic!("an observer that panics on purpose");
        }
    }
    let other = DirCache::open(dir.path(), quiet(size * 5 / 4).observer(Arc::new(Panics))).unwrap();
    drop(build(&other, "c", 16));
    assert_eq!(other.run_once().unwrap(), ["b"]);
    assert_sound(&other);
}

#[test]
fn what_cannot_be_removed_stays_an_entry_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    drop(three(dir.path()));
    let recorder = Arc::new(Recorder::default());
    let options = quiet(disk(16) * 5 / 2).observer(Arc::clone(&recorder) as _);
    let cache = DirCache::open(dir.path(), options).unwrap();
    // Where trash would go, there is a file.
    let trash = cache.root().join(".larder/trash");
    fs::remove_dir(&trash).unwrap();
    File::create(&trash).unwrap();

    assert!(cache.evict().unwrap().is_empty());
    let heard = recorder.heard();
    assert!(heard.len() == 2 && heard.iter().all(|what| what.contains("evicting")), "{heard:?}");
    assert_eq!((keys(&cache).len(), cache.total_size().unwrap()), (3, 3 * disk(16)));
    assert!(
        !dir.path().join("a/.cache_meta").exists(),
        "unmarked before it would have gone to the trash"
    );

    fs::remove_file(&trash).unwrap();
    cache.core.sync_meta().unwrap();
    assert_eq!(meta(&cache, "a")["access_count"], 1);
    assert_sound(&cache);
    assert_eq!(cache.evict().unwrap(), ["a"]);
}

#[test]
fn what_would_go_goes_and_nothing_did_before() {
    let dir = tempfile::tempdir().unwrap();
    let cache = DirCache::open(dir.path(), quiet(disk(16) * 5 / 2).policy(Arc::new(Gdsf))).unwrap();
    let held = build(&cache, "held", 16);
    for key in ["a", "b", "c", "pinned", "newest"] {
        drop(build(&cache, key, 16));
    }
    cache.pin("pinned").unwrap();
    drop(cache.get("a").unwrap());
    for policy in [&Gdsf as &dyn Policy, &Lru, &Shy] {
        let index = || (cache.core.index.floor().unwrap(), cache.core.index.live().unwrap());
        cache.entries().unwrap();
        let before = format!("{:?}", index());
        let gone = cache.would_evict_with(policy).unwrap();
        let gone: Vec<&str> = gone.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(gone.len(), 3, "{policy:?}: {gone:?}");
        assert_eq!(format!("{:?}", index()), before, "{policy:?}");
    }
    drop(cache.get("b").unwrap());
    let would: Vec<String> = cache.would_evict().unwrap().into_iter().map(|it| it.key).collect();
    assert_eq!(cache.evict().unwrap(), would);
    assert!(held.exists() && cache.contains("pinned").unwrap());
    drop_late(held);
    cache.unpin("pinned").unwrap();
    assert_eq!(cache.would_evict_with(&Lru).unwrap()[0].key, "pinned");
}
