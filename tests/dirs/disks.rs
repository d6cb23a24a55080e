//! A cache on a disk that is full, and on one that may not be written.

use std::{fs::OpenOptions, io::ErrorKind::StorageFull, sync::Arc};

use super::{changes::EVICT_ABOVE, *};
use crate::faults::{Tmpfs, once_there_is_room};

/// Takes all the room that the disk of `root` has.
fn fill_up(root: &Path) -> PathBuf {
    let ballast = root.with_file_name("ballast");
    assert_eq!(fs::write(&ballast, vec![0; 16 << 20]).unwrap_err().kind(), StorageFull);
    ballast
}

#[test]
fn on_a_full_disk_entries_are_used_and_no_new_one_is_built() {
    let Some(disk) = Tmpfs::make("directories on a full disk", "8m") else { return };
    let root = disk.root();
    let heard = Arc::new(Recorder::default());
    let options = || options(PLENTY).observer(Arc::clone(&heard) as Arc<dyn Observer>);
    let cache = DirCache::open(&root, options()).unwrap();
    build(&cache, "a", 1).unwrap();
    build(&cache, "b", 2).unwrap();
    let ballast = fill_up(&root);
    for _ in 0..10 {
        let lease = cache.get("a").unwrap().expect("it is there");
        assert_eq!(number_of(lease.path()).unwrap(), 1);
    }
    for key in ["c", "deep/d"] {
        assert_eq!(kind(build(&cache, key, 3)), ErrorKind::Full);
    }
    assert_eq!(cache.get("b").unwrap().map(|lease| number_of(lease.path())), Some(Ok(2)));
    assert!(!root.join("c").exists() && !root.join("deep").exists());
    OpenOptions::new().write(true).open(&ballast).unwrap().set_len(0).unwrap();

    once_there_is_room(|| build(&cache, "c", 3));
    let counts = cache.entries().unwrap().into_iter().map(|entry| entry.access_count);
    assert_eq!(counts.collect::<Vec<_>>(), [11, 2, 1], "none is lost: {:?}", heard.heard());
    drop(cache);
    let cache = DirCache::open(&root, options()).unwrap();
    let found = numbers(&cache).into_iter().collect::<Vec<_>>();
    assert_eq!(found, [("a".to_owned(), 1), ("b".to_owned(), 2), ("c".to_owned(), 3)]);
    assert_sound(&cache, "with room again");
}

#[test]
fn on_a_full_disk_entries_are_evicted_and_make_room() {
    let Some(disk) = Tmpfs::make("evictions on a full disk", "8m") else { return };
    let root = disk.root();
    let cache = open(&root, PLENTY);
    for number in 0..20 {
        build(&cache, &number.to_string(), number).unwrap();
    }
    drop(cache);
    // It is above the threshold now, and nothing was written since.
    let cache = open(&root, 5 * EVICT_ABOVE);
    let ballast = fill_up(&root);
    assert!(cache.remove("0").unwrap());
    assert!(!cache.evict().unwrap().is_empty());
    assert!(!cache.is_over_limit().unwrap());
    fs::remove_file(ballast).unwrap();
    cache.run_once().unwrap();
    assert!(root.join(".larder/ballast").exists(), "it is taken again");
    assert_sound(&cache, "after the evictions");
}

#[test]
fn a_root_that_may_not_be_written_is_refused_and_stays_as_it_is() {
    let Some(disk) = Tmpfs::make("directories that may only be read", "8m") else { return };
    let root = disk.root();
    build(&open(&root, PLENTY), "a", 1).unwrap();
    disk.make_read_only();
    let refused = DirCache::open(&root, options(PLENTY)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Io);
    let said = refused.to_string();
    assert!(said.contains(root.to_str().unwrap()) && !said.contains('\n'), "{said}");
    assert_eq!(number_of(&root.join("a")).unwrap(), 1);
}
