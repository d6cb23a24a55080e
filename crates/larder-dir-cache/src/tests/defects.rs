//! What the Python package vcti-file-cache 1.0.0 gets wrong, and does not happen here.

use super::*;
use crate::{Lfu, Lru, SizedLru};

#[test]
fn an_entry_in_use_is_not_evicted() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), disk(16) * 5 / 4);
    let held = build(&cache, "held", 16);
    drop(build(&cache, "free", 16));
    drop(build(&cache, "newest", 16));
    // Another value on the same root stands for another process: leases are locks of the file system.
    let other = open(dir.path(), disk(16) * 5 / 4);
    assert_eq!(other.evict().unwrap(), ["free"]);
    assert!(held.path().join("data").exists() && cache.snapshot().unwrap().is_over_limit);
    assert_eq!(other.remove("held").unwrap_err().kind(), ErrorKind::Locked);
    drop(held);
    assert_eq!(other.evict().unwrap(), ["held"]);
    assert_sound(&cache);
}

#[test]
fn no_access_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let caches: Vec<DirCache> = (0..4).map(|_| open(dir.path(), PLENTY)).collect();
    drop(build(&caches[0], "m", 8));
    std::thread::scope(|scope| {
        for cache in &caches {
            scope.spawn(|| {
                for _ in 0..100 {
                    drop(cache.get("m").unwrap().unwrap());
                }
            });
        }
    });
    assert_eq!(info(&caches[0], "m").access_count, 401);
}

#[test]
fn a_size_is_known_before_any_cycle() {
    let dir = tempfile::tempdir().unwrap();
    let (size, evict_above) = (disk(8), disk(8) * 3 / 2);
    let cache = open(dir.path(), evict_above);
    drop(build(&cache, "a", 8));
    assert_eq!(cache.total_size().unwrap(), size);
    drop(build(&cache, "b", 8));
    let snapshot = cache.snapshot().unwrap();
    assert!(snapshot.is_over_limit && snapshot.entry_count == 2);
    assert_eq!(snapshot.overage, 2 * size - evict_above);
}

#[test]
fn one_overage_costs_one_entry_and_no_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let options = quiet(20 * KIB).measure(Measure::Apparent);
    let cache = DirCache::open(dir.path(), options).unwrap();
    for n in 0..20 {
        drop(cache.get_or_build(&format!("empty{n}"), |_| Ok(())).unwrap());
    }
    drop(build(&cache, "old", 16));
    drop(build(&cache, "new", 16));
    assert_eq!(cache.evict().unwrap(), ["old"]);
    assert_eq!(cache.entry_count().unwrap(), 21);
}

#[test]
fn entries_do_not_nest() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    drop(build(&cache, "a/b", 8));
    for key in ["a", "a/b/c", "a/b/c/d"] {
        let error = cache.get_or_build(key, |_| panic!("refused before")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{key}");
    }
    drop(build(&cache, "a/bc", 8));
    drop(build(&cache, "a-", 8));
    assert_eq!(keys(&cache), ["a-", "a/b", "a/bc"]);
    assert_sound(&cache);
}

#[test]
fn nested_entries_of_the_package_count_once() {
    let dir = tempfile::tempdir().unwrap();
    seed_entry(dir.path(), "a", br#"{"size": 8192, "access_count": 2}"#);
    seed_entry(dir.path(), "a/b", br#"{"size": 8192, "access_count": 3}"#);
    let cache = open(dir.path(), PLENTY);
    assert_eq!(keys(&cache), ["a"]);
    assert_eq!(info(&cache, "a").access_count, 2);
    assert_sound(&cache);
}

#[test]
fn an_oversized_entry_is_refused_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), disk(1024) - 1);
    drop(build(&cache, "a", 8));
    let error = cache.get_or_build("huge", |stage| fill(stage, 1024)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full);
    assert!(cache.evict().unwrap().is_empty());
    assert_eq!(keys(&cache), ["a"]);
    assert_sound(&cache);

    // What has become larger than the whole cache is to be goes alone, or stays alone.
    for key in ["b", "c"] {
        drop(build(&cache, key, 8));
    }
    let huge = cache.model("huge").unwrap();
    fill(huge.path(), 1024).unwrap();
    drop(huge);
    cache.pin("huge").unwrap();
    for policy in [&Lru as &dyn Policy, &Lfu, &SizedLru] {
        assert!(cache.evict_with(policy).unwrap().is_empty());
    }
    cache.unpin("huge").unwrap();
    assert_eq!(cache.evict().unwrap(), ["huge"]);
    assert_eq!(keys(&cache), ["a", "b", "c"]);
}

#[test]
#[cfg(unix)]
fn sizes_are_what_the_disk_has() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    let build = |stage: &Path| -> Result<()> {
        fill(stage, 8)?;
        fs::hard_link(stage.join("data"), stage.join("again")).unwrap();
        Ok(())
    };
    drop(cache.get_or_build("linked", build).unwrap());
    assert_eq!(cache.total_size().unwrap(), disk(8));
    let build = |stage: &Path| -> Result<()> {
        File::create(stage.join("hole")).unwrap().set_len(100_000_000).unwrap();
        Ok(())
    };
    drop(cache.get_or_build("sparse", build).unwrap());
    assert!(info(&cache, "sparse").size < 1_000_000);
    assert_sound(&cache);
}

#[test]
fn malformed_metadata_is_told_and_stops_nothing() {
    let bad: [&[u8]; 11] = [
        b"[1]",
        b"null",
        b"{",
        b"",
        b"\xff\xfe\x00",
        br#"{"size": null}"#,
        br#"{"access_count": -3}"#,
        br#"{"size": 1, "access_count": 2, "larder": 7}"#,
        br#"{"size": 1, "access_count": 18446744073709551615}"#,
        br#"{"size": 1, "access_count": 1, "larder": {"format": 1, "size": 1, "files": 1, "built_at_ns": 1,
             "build_cost_ns": 18446744073709551615, "pinned": false}}"#,
        br#"{"size": 1, "access_count": 1, "larder": {"format": 0, "size": 1, "files": 1, "built_at_ns": 1,
             "build_cost_ns": null, "pinned": false}}"#,
    ];
    let dir = tempfile::tempdir().unwrap();
    for (n, text) in bad.iter().enumerate() {
        seed_entry(dir.path(), &format!("bad{n}"), text);
    }
    seed_entry(dir.path(), "good", br#"{"size": 0, "access_count": 7}"#);
    seed_entry(dir.path(), "null", br#"{"size": null, "access_count": 6}"#);
    let recorder = Arc::new(Recorder::default());
    let cache =
        DirCache::open(dir.path(), quiet(disk(8) * 21 / 2).observer(Arc::clone(&recorder) as _))
            .unwrap();
    let heard = recorder.heard();
    let errors = heard.iter().filter(|what| what.starts_with("error Corrupt adopting bad")).count();
    assert_eq!(errors, bad.len(), "{heard:?}");
    assert_eq!(cache.entry_count().unwrap(), bad.len() as u64 + 2);
    assert_eq!((info(&cache, "good").access_count, info(&cache, "null").access_count), (7, 6));
    assert_eq!(cache.verify().unwrap().problems.len(), bad.len(), "still named");
    assert_eq!(
        fs::read(dir.path().join("bad3/.cache_meta")).unwrap(),
        b"",
        "left for a person to look at"
    );
    assert_eq!(cache.run_once().unwrap().len(), 3);
}

#[test]
fn a_larder_from_the_future_is_not_adopted() {
    let dir = tempfile::tempdir().unwrap();
    seed_entry(dir.path(), "m", br#"{"size": 0, "access_count": 7, "larder": {"format": 2}}"#);
    let recorder = Arc::new(Recorder::default());
    let cache =
        DirCache::open(dir.path(), quiet(PLENTY).observer(Arc::clone(&recorder) as _)).unwrap();
    assert!(keys(&cache).is_empty());
    assert_eq!(recorder.heard(), ["error Format settling the entry m"]);
}

#[test]
fn what_a_dead_builder_left_goes_and_what_a_living_one_writes_stays() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    let stage = cache.root().join(".larder/stage");
    let dead = stage.join("0123456789abcdef0123456789abcdef");
    let lease = cache.get_or_build("m", |living| {
        fill(living, 8)?;
        // As a killed process leaves it: the lock is free, whatever process has its number now.
        fs::create_dir_all(dead.join("0")).unwrap();
        File::create(dead.with_extension("lock")).unwrap();
        drop(open(dir.path(), PLENTY));
        assert!(living.join("data").exists() && !dead.exists());
        Ok(())
    });
    assert!(lease.unwrap().path().join("data").exists());
}

/// The tests that the page of the crate names are there.
#[test]
fn each_defect_has_its_test() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests");
    let sources =
        fs::read_dir(tests).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let sources: String = sources.collect();
    let page =
        include_str!("../lib.rs").split("has a test here that shows it gone:").nth(1).unwrap();
    let rows = page.lines().skip_while(|line| !line.starts_with("//! |---")).skip(1);
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with("//! |")).collect();
    assert_eq!(rows.len(), 13);
    for row in rows {
        let names = row.trim_end_matches(" |").rsplit('|').next().unwrap();
        for name in names.split(',').map(|name| name.trim().trim_matches('`')) {
            assert!(sources.contains(&format!("]\nfn {name}()")), "{name}");
        }
    }
}
