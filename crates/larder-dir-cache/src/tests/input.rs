use super::*;

#[test]
fn keys_that_would_leave_the_cache_or_meet_its_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    let cache = open(&root, PLENTY);
    drop(build(&cache, "a", 8));
    for key in [
        "",
        "..",
        "a/..",
        "/etc",
        "/",
        "a//b",
        ".larder",
        "x/.larder/y",
        ".cache_meta",
        "b/.cache_meta.1.2.tmp",
        "CACHEDIR.TAG",
        "cachedir.tag/x",
        "c:\\x",
        "nul",
    ] {
        assert_eq!(cache.get(key).unwrap_err().kind(), ErrorKind::Invalid, "{key:?}");
        assert_eq!(cache.contains(key).unwrap_err().kind(), ErrorKind::Invalid, "{key:?}");
        assert_eq!(cache.remove(key).unwrap_err().kind(), ErrorKind::Invalid, "{key:?}");
        let built = cache.get_or_build(key, |_| panic!("refused before"));
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Invalid, "{key:?}");
    }
    assert_eq!(keys(&cache), ["a"]);
    assert_sound(&cache);
}

#[test]
#[cfg(unix)]
fn links_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    seed_entry(&outside, "m", br#"{"size": 0, "access_count": 1}"#);
    let cache = open(&root, PLENTY);
    drop(build(&cache, "real", 8));
    std::os::unix::fs::symlink(&outside, root.join("out")).unwrap();
    std::os::unix::fs::symlink(root.join("real"), root.join("alias")).unwrap();
    for key in ["out/m", "out", "alias", "alias/x"] {
        let built = cache.get_or_build(key, |_| panic!("refused before"));
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Invalid, "{key}");
    }
    assert!(cache.recount().unwrap().adopted.is_empty());
    assert!(outside.join("m/data").exists());
}

#[test]
fn a_builder_that_fails_or_panics_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    let failed = cache.get_or_build("a/b", |stage| {
        fill(stage, 8)?;
        Err(Error::new(ErrorKind::NotFound, "no input"))
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::NotFound);
    std::thread::scope(|scope| {
        let builder = scope
            .spawn(|| cache.get_or_build("a/b", |_| panic!("a builder that panics on purpose")));
        assert!(builder.join().is_err());
    });
    assert!(!dir.path().join("a").exists() && keys(&cache).is_empty());
    assert_eq!((count_files(&cache, "leases"), count_files(&cache, "flights")), (0, 0));
    assert_sound(&cache);
    assert!(build(&cache, "a/b", 8).built());
}

#[test]
fn a_builder_may_not_write_the_metadata() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    for name in [".cache_meta", "deep/.cache_meta.x"] {
        let built = cache.get_or_build("m", |stage| {
            fs::create_dir(stage.join("deep")).unwrap();
            File::create(stage.join(name)).unwrap();
            Ok(())
        });
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Invalid, "{name}");
    }
    assert_sound(&cache);
}

#[test]
fn a_builder_that_asks_for_its_own_key_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    let lease = cache.get_or_build("m", |stage| {
        let inner = cache.get_or_build("m", |_| panic!("it is being built"));
        assert_eq!(inner.unwrap_err().kind(), ErrorKind::Locked);
        assert!(cache.get("m")?.is_none());
        drop(build(&cache, "part", 8));
        fill(stage, 8)
    });
    assert!(lease.unwrap().built());
    assert_eq!(keys(&cache), ["m", "part"]);
}

#[test]
fn what_is_in_the_way_is_named_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    fs::create_dir_all(dir.path().join("mine/deep")).unwrap();
    fill(&dir.path().join("mine/deep"), 8).unwrap();
    File::create(dir.path().join("file")).unwrap();
    fs::create_dir_all(dir.path().join("hollow/a/b")).unwrap();
    for key in ["mine", "mine/deep", "file", "file/x"] {
        let error = cache.get_or_build(key, |_| panic!("refused before")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{key}: {error:?}");
    }
    assert!(dir.path().join("mine/deep/data").exists());
    assert!(build(&cache, "hollow", 8).built(), "empty directories are in nobody's way");
    let places: Vec<String> =
        cache.verify().unwrap().problems.into_iter().map(|problem| problem.place).collect();
    let root = cache.root().display().to_string();
    assert_eq!(places, [root.clone(), format!("{root}/mine/deep")]);
}

#[test]
fn an_entry_that_the_package_made_meanwhile_is_adopted_by_who_wants_to_build() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), PLENTY);
    seed_entry(dir.path(), "m", br#"{"size": 0, "access_count": 3}"#);
    seed_entry(dir.path(), "n", br#"{"size": 0, "access_count": 3}"#);
    assert_eq!(cache.verify().unwrap().problems.len(), 2);
    assert!(!build(&cache, "m", 8).built());
    assert_eq!(info(&cache, "m").access_count, 4);
    let inside = cache.get_or_build("n/x", |_| panic!("refused before"));
    assert_eq!(inside.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(cache.recount().unwrap().adopted, ["n"]);
    assert_sound(&cache);
}

#[test]
fn roots_that_are_none_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    File::create(&file).unwrap();
    let home = dir.path().join("home");
    fs::create_dir_all(home.join("thesis")).unwrap();
    fill(&home.join("thesis"), 8).unwrap();
    // Another store keeps its database there, and wants it backed up.
    let other = dir.path().join("other");
    fs::create_dir_all(other.join(".larder")).unwrap();
    File::create(other.join(".larder/kv.sqlite")).unwrap();
    for root in [&file, &home, &other] {
        let error = DirCache::open(root, quiet(PLENTY)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    }
    for root in [&home, &other] {
        assert_eq!(fs::read_dir(root).unwrap().count(), 1, "nothing was written there");
    }
}

#[test]
fn options_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    for options in [Options::new(0), Options::default().interval(std::time::Duration::ZERO)] {
        assert_eq!(DirCache::open(&root, options).unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert!(!root.exists());
}

#[test]
fn an_index_from_the_future_or_damaged_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    drop(build(&open(dir.path(), PLENTY), "m", 8));
    let path = dir.path().join(".larder/dirs.sqlite");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", crate::FORMAT_VERSION + 1).unwrap();
    drop(db);
    assert_eq!(DirCache::open(dir.path(), quiet(PLENTY)).unwrap_err().kind(), ErrorKind::Format);

    File::options().write(true).open(&path).unwrap().write_all(&[0xa5; 100]).unwrap();
    assert_eq!(DirCache::open(dir.path(), quiet(PLENTY)).unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(dir.path().join("m/data").exists());
}

#[test]
fn a_cache_whose_first_open_was_killed_or_whose_index_was_lost_is_no_stranger() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join(".larder/stage")).unwrap();
    drop(open(dir.path(), PLENTY));
    for file in ["dirs.sqlite", "dirs.sqlite.lock", "dirs.sqlite-wal", "dirs.sqlite-shm"] {
        let _ = fs::remove_file(dir.path().join(".larder").join(file));
    }
    fs::create_dir_all(dir.path().join(".larder/leases")).unwrap();
    assert_sound(&open(dir.path(), PLENTY));
}

#[test]
fn values_that_cannot_be_in_the_index_are_damage_and_named() {
    let odd = [
        "UPDATE entry SET build_cost_ns = -5",
        "UPDATE entry SET state = 7",
        "UPDATE entry SET key = '../m'",
        "UPDATE fact SET value = value + 1",
        "UPDATE fact SET value = -9 WHERE name = 'size'",
    ];
    for odd in odd {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path(), PLENTY);
        drop(build(&cache, "m", 8));
        cache.run_once().unwrap();
        let db = rusqlite::Connection::open(dir.path().join(".larder/dirs.sqlite")).unwrap();
        db.execute_batch(&format!("PRAGMA ignore_check_constraints = 1; {odd}")).unwrap();
        let report = cache.verify().unwrap();
        assert!(!report.is_clean(), "{odd}");
        if odd.contains("build_cost") {
            assert_eq!(cache.entries().unwrap_err().kind(), ErrorKind::Corrupt);
            assert_eq!(report.problems[0].place, "m");
        }
    }
}

#[test]
fn a_place_that_cannot_be_examined_is_not_gone() {
    let dir = tempfile::tempdir().unwrap();
    let too_long = dir.path().join("x".repeat(300));
    assert!(crate::settle::is_real_dir(&too_long).is_err());
    File::create(dir.path().join("file")).unwrap();
    for (name, there) in [("", true), ("none", false), ("file", false), ("file/x", false)] {
        assert_eq!(crate::settle::is_real_dir(&dir.path().join(name)).unwrap(), there, "{name:?}");
    }
}
