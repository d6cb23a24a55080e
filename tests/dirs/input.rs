//! What a cache meets that nobody would wish for: files that cannot be deleted, metadata that is none, a clock that was
//! set back.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{changes::EVICT_ABOVE, *};
use crate::support::not_possible;

/// A file or directory that may not be changed, as long as this lives.
struct Immutable(PathBuf);

impl Immutable {
    fn make(test: &str, path: PathBuf) -> Option<Self> {
        match Command::new("chattr").arg("+i").arg(&path).output() {
            Ok(output) if output.status.success() => Some(Self(path)),
            _ => {
                not_possible(test, "chattr +i needs root and a file system that knows it");
                None
            }
        }
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        let _ = Command::new("chattr").arg("-i").arg(&self.0).output();
    }
}

/// A cache of an entry that something keeps from being deleted, and who hears of that.
fn stubborn(root: &Path) -> (DirCache, Arc<Recorder>) {
    let heard = Arc::new(Recorder::default());
    let options = options(PLENTY).observer(Arc::clone(&heard) as Arc<dyn Observer>);
    let cache = DirCache::open(root, options).unwrap();
    build(&cache, "a", 1).unwrap();
    (cache, heard)
}

#[test]
fn files_that_cannot_be_deleted_are_told_and_tried_again_until_they_can() {
    let dir = tempfile::tempdir().unwrap();
    let (cache, heard) = stubborn(dir.path());
    let size = cache.status().unwrap().size;
    let file = dir.path().join("a/deep/three");
    let Some(_held) = Immutable::make("files that cannot be deleted", file) else { return };
    assert!(cache.remove("a").unwrap());
    assert_eq!(heard.heard().len(), 1, "it is told");
    assert!(cache.get("a").unwrap().is_none() && !dir.path().join("a").exists());
    build(&cache, "a", 2).unwrap();
    cache.run_once().unwrap();
    let told = heard.heard();
    assert!(told.len() == 1 && told[0].contains("deleting"), "each cycle tells it: {told:?}");
    let status = cache.status().unwrap();
    assert_eq!(
        (status.size, status.used),
        (size, 2 * size),
        "what is left counts until it is gone"
    );

    // It lies elsewhere by now.
    drop(Immutable(trash(dir.path())[0].join("deep/three")));
    cache.run_once().unwrap();
    assert_eq!(heard.heard(), [] as [&str; 0]);
    assert_eq!(numbers(&cache), BTreeMap::from([("a".to_owned(), 2)]));
    assert_sound(&cache, "when all can be deleted");
}

#[test]
fn an_entry_that_cannot_be_moved_away_stays_one() {
    let dir = tempfile::tempdir().unwrap();
    let (cache, heard) = stubborn(dir.path());
    let place = dir.path().join("a");
    let Some(held) = Immutable::make("an entry that cannot be moved", place) else { return };
    assert_eq!(kind(cache.remove("a")), ErrorKind::Io);
    assert_eq!(cache.get("a").unwrap().map(|lease| number_of(lease.path())), Some(Ok(1)));
    assert!(cache.verify().unwrap().is_clean());
    drop(held);
    cache.run_once().unwrap();
    heard.heard();
    assert_sound(&cache, "kept");
    assert!(cache.remove("a").unwrap() && numbers(&cache).is_empty());
    assert_sound(&cache, "removed");
}

#[test]
fn metadata_that_is_none_is_told_and_keeps_nothing_from_being_evicted() {
    let dir = tempfile::tempdir().unwrap();
    let bad: [&[u8]; 5] =
        [b"[1, 2]", b"\xff\xfe\x00\x80", b"{\"size\": 1,", b"", b"{\"access_count\": -1}"];
    for (number, meta) in bad.iter().enumerate() {
        let entry = dir.path().join(format!("bad/{number}"));
        fs::create_dir_all(&entry).unwrap();
        fill(&entry, 7).unwrap();
        fs::write(entry.join(".cache_meta"), meta).unwrap();
    }
    for number in 0..100 {
        let entry = dir.path().join(format!("good/{number}"));
        fs::create_dir_all(&entry).unwrap();
        fill(&entry, number).unwrap();
        let meta = format!(r#"{{"size": 14011, "access_count": {number}}}"#);
        fs::write(entry.join(".cache_meta"), meta).unwrap();
    }
    let heard = Arc::new(Recorder::default());
    let options = options(EVICT_ABOVE).observer(Arc::clone(&heard) as Arc<dyn Observer>);
    let cache = DirCache::open(dir.path(), options).unwrap();
    let told = heard.heard();
    assert_eq!(told.len(), bad.len(), "{told:?}");
    assert!(told.iter().all(|said| said.contains("adopting bad/")), "{told:?}");
    assert_eq!(numbers(&cache).len(), 105);
    let counts: u64 = cache.entries().unwrap().iter().map(|entry| entry.access_count).sum();
    assert_eq!(counts, (0..100).sum::<u64>(), "the damaged ones count from 0");
    assert_eq!(cache.run_once().unwrap().len(), 104, "one is below the threshold");
    assert_eq!(heard.heard(), [] as [&str; 0]);
    assert_eq!(cache.clear().unwrap().len(), 1);
    assert_sound(&cache, "after the eviction");
}

#[test]
fn entries_of_a_time_to_come_are_evicted_like_others() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    (0..6).for_each(|number| build(&cache, &number.to_string(), number).unwrap());
    drop(cache);
    // As if the clock had been years ahead.
    let index = rusqlite::Connection::open(dir.path().join(".larder/dirs.sqlite")).unwrap();
    let later = "UPDATE entry SET built_at_ns = built_at_ns + 1000000000000000000,
                 last_access_ns = last_access_ns + 1000000000000000000 WHERE key < '3'";
    assert_eq!(index.execute(later, []).unwrap(), 3);
    drop(index);

    let cache = open(dir.path(), EVICT_ABOVE);
    let entries = cache.entries().unwrap();
    assert!(entries[0].last_access > SystemTime::now() && entries[0].age() == Duration::ZERO);
    assert_eq!(cache.get("0").unwrap().map(|lease| number_of(lease.path())), Some(Ok(0)));
    build(&cache, "new", 9).unwrap();
    let gone = cache.run_once().unwrap();
    assert_eq!(gone.len(), 6, "{gone:?}");
    assert!(!cache.is_over_limit().unwrap());
    assert_sound(&cache, "after the eviction");
}
