use std::fs::{self, File};

use super::*;
use crate::MARKER;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Larder>();
    shared::<Options>();
}

#[test]
fn lays_out_what_is_documented() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("deep/root");
    let larder = Larder::open(&root).unwrap();
    larder.kv("a/b").unwrap();
    assert_eq!(
        names(&root),
        [".larder", "arrays", "dirs", "kv", "larder.json", "provenance", "shards"]
    );
    assert_eq!(
        fs::read_to_string(root.join(MARKER)).unwrap(),
        "{\"format\": \"larder\", \"version\": 1}\n"
    );
    assert_eq!(larder.kv_namespaces().unwrap(), ["a/b"]);
    drop(larder);
    Larder::open_existing(&root, Options::default()).unwrap();
}

#[test]
fn what_a_kill_left_beside_the_marker_is_swept() {
    let root = tempfile::tempdir().unwrap();
    Larder::open(root.path()).unwrap();
    let left = root.path().join(".larder/stage/dead.lock");
    File::create(&left).unwrap();
    Larder::open(root.path()).unwrap();
    assert!(!left.exists());
}

#[test]
fn of_those_who_open_a_new_root_at_once_none_fails() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let root = dir.path().join(round.to_string());
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    Larder::open(&root).unwrap();
                });
            }
        });
    }
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    File::create(dir.path().join("precious")).unwrap();
    assert_eq!(Larder::open(dir.path()).unwrap_err().kind(), ErrorKind::Invalid);
    let file = dir.path().join("precious");
    for place in [file.clone(), file.join("below")] {
        assert_eq!(Larder::open(&place).unwrap_err().kind(), ErrorKind::Invalid, "{place:?}");
    }
    assert_eq!(names(dir.path()), ["precious"]);
}

#[test]
fn nothing_is_made_where_something_has_to_be() {
    let dir = tempfile::tempdir().unwrap();
    for place in [dir.path().to_owned(), dir.path().join("missing")] {
        let error = Larder::open_existing(&place, Options::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    assert_eq!(names(dir.path()), [] as [&str; 0]);
}

#[test]
fn a_kill_before_the_marker_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join(".larder/stage")).unwrap();
    Larder::open(dir.path()).unwrap();
}

#[test]
fn a_newer_or_damaged_marker_is_refused() {
    for (text, word) in [
        ("{\"format\": \"larder\", \"version\": 2}", "upgrade"),
        ("{\"format\": \"pantry\", \"version\": 1}", "another"),
        ("{", "another"),
        ("", "another"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut marker = File::create(dir.path().join(MARKER)).unwrap();
        std::io::Write::write_all(&mut marker, text.as_bytes()).unwrap();
        let error = Larder::open(dir.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
        assert!(error.to_string().contains(word) && error.to_string().contains(MARKER), "{error}");
        assert_eq!(names(dir.path()), [MARKER]);
    }
}

#[test]
fn a_view_shares_the_records() {
    let dir = tempfile::tempdir().unwrap();
    let larder = Larder::open(dir.path().join("root")).unwrap();
    let id = larder.provenance::<Vec<u8>>().put(b"bytes".to_vec(), None).unwrap();
    assert_eq!(
        larder.provenance::<Vec<u8>>().get(id).unwrap().map(|it| it.payload),
        Some(b"bytes".to_vec())
    );
    assert_eq!(larder.tracks().list_all().count(), 0);
}
