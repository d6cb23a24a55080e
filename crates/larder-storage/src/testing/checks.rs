//! What every storage has to do, each in a function that is given a new, empty one.

use std::thread;

use super::increment;
use crate::{Bytes, ErrorKind, Key, Object, PutIf, ReadAt, Storage, StorageExt, Version};

mod uploads;

pub(super) const CHECKS: &[fn(&dyn Storage)] = &[
    a_miss_is_no_error,
    put_get_remove,
    empty_and_large_objects,
    put_if_absent,
    put_if_version,
    versions_follow_content,
    concurrent_creates_have_one_winner,
    concurrent_increments_lose_nothing,
    puts_and_removes_of_neighbours_never_fail,
    readers_refuse_ranges_beyond_the_end,
    uploads::are_unseen_until_committed,
    uploads::take_the_conditions_of_a_put,
    uploads::concurrent_ones_have_one_winner,
    lists_by_whole_segments,
    listing_sees_no_half_written_object,
    keys_are_never_folded,
    encoded_keys_come_back,
];

pub(super) const LOCAL_CHECKS: &[fn(&dyn Storage)] =
    &[readers_stay_on_their_version, keys_inside_and_above_objects_exclude_each_other];

pub(super) const REMOTE_CHECKS: &[fn(&dyn Storage)] = &[
    readers_never_leave_their_version,
    keys_inside_and_above_objects_harm_none,
    uploads::of_several_parts_come_back,
    uploads::of_several_parts_never_pass_over_a_condition,
];

fn key(text: &str) -> Key {
    Key::new(text).expect("a legal key")
}

fn get(storage: &dyn Storage, text: &str) -> Option<Bytes> {
    storage.get(&key(text)).expect("get").map(Object::into_bytes)
}

fn put(storage: &dyn Storage, text: &str, bytes: &'static str) {
    storage.put(&key(text), bytes.into(), PutIf::Always).expect("put");
}

/// What lies at or below a prefix, with lengths; both ways to list agree on it.
fn listed(storage: &dyn Storage, prefix: Option<&str>) -> Vec<(String, u64)> {
    let found = entries(storage, prefix);
    let keys = storage.keys(prefix.map(key).as_ref()).expect("keys");
    let mut named: Vec<_> = keys.map(|key| key.expect("a key").to_string()).collect();
    named.sort();
    assert!(found.iter().map(|(name, _)| name).eq(&named), "two listings: {found:?}, {named:?}");
    found
}

fn entries(storage: &dyn Storage, prefix: Option<&str>) -> Vec<(String, u64)> {
    let entries = storage.list(prefix.map(key).as_ref()).expect("list");
    let mut found: Vec<_> =
        entries.map(|entry| entry.expect("entry")).map(|e| (e.key.to_string(), e.len)).collect();
    found.sort();
    found
}

fn kind_of<T>(outcome: crate::Result<T>, what: &str) -> ErrorKind {
    outcome.err().unwrap_or_else(|| panic!("{what} succeeded")).kind()
}

fn read(reader: &dyn ReadAt) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(reader.len()).expect("a length that fits")];
    reader.read_at(0, &mut bytes).expect("read_at");
    bytes
}

fn a_miss_is_no_error(storage: &dyn Storage) {
    let nothing = key("not/there");
    assert!(storage.get(&nothing).expect("get of nothing").is_none());
    for len in [0, 1] {
        let range = storage.get_range(&nothing, 0, len);
        assert!(range.expect("a range of nothing").is_none());
    }
    assert!(storage.open(&nothing).expect("open of nothing").is_none());
    assert!(storage.head(&nothing).expect("head of nothing").is_none());
    assert!(!storage.remove(&nothing).expect("remove of nothing"));
    assert_eq!(listed(storage, Some("not")), []);
}

fn put_get_remove(storage: &dyn Storage) {
    put(storage, "a/b", "one");
    put(storage, "a/b", "two");
    assert_eq!(get(storage, "a/b").as_deref(), Some(&b"two"[..]));
    assert_eq!(storage.get_range(&key("a/b"), 1, 2).expect("range").as_deref(), Some(&b"wo"[..]));
    assert_eq!(storage.head(&key("a/b")).expect("head"), Some(3));
    assert!(storage.get(&key("a")).expect("get of a directory").is_none());
    assert!(storage.open(&key("a")).expect("open of a directory").is_none());
    assert!(!storage.remove(&key("a")).expect("remove of a directory"));
    assert!(storage.remove(&key("a/b")).expect("remove"));
    assert!(!storage.remove(&key("a/b")).expect("second remove"));
    assert_eq!(get(storage, "a/b"), None);
}

fn empty_and_large_objects(storage: &dyn Storage) {
    put(storage, "empty", "");
    assert_eq!(get(storage, "empty").as_deref(), Some(&b""[..]));
    assert_eq!(storage.open(&key("empty")).expect("open").map(|reader| reader.len()), Some(0));
    let large: Bytes = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    storage.put(&key("large"), large.clone(), PutIf::Always).expect("put");
    assert!(get(storage, "large") == Some(large), "12 MB come back");
}

fn put_if_absent(storage: &dyn Storage) {
    storage.put(&key("a"), "first".into(), PutIf::Absent).expect("nothing is there");
    let second = storage.put(&key("a"), "second".into(), PutIf::Absent);
    assert_eq!(kind_of(second, "a create over an object"), ErrorKind::Conflict);
    assert_eq!(get(storage, "a").as_deref(), Some(&b"first"[..]));
}

fn put_if_version(storage: &dyn Storage) {
    put(storage, "a", "one");
    let one = storage.get(&key("a")).expect("get").expect("an object").version().clone();
    storage
        .put(&key("a"), "two".into(), PutIf::Version(one.clone()))
        .expect("the version is current");
    let stale = storage.put(&key("a"), "three".into(), PutIf::Version(one.clone()));
    assert_eq!(kind_of(stale, "an update of an old version"), ErrorKind::Conflict);
    for text in ["b", "a/b"] {
        let gone = storage.put(&key(text), "new".into(), PutIf::Version(one.clone()));
        assert_eq!(kind_of(gone, "an update of nothing"), ErrorKind::Conflict);
    }
    assert_eq!(get(storage, "a").as_deref(), Some(&b"two"[..]));
    assert_eq!(get(storage, "b"), None);
}

fn versions_follow_content(storage: &dyn Storage) {
    let version = |text| -> Version {
        storage.get(&key(text)).expect("get").expect("an object").version().clone()
    };
    put(storage, "a", "one");
    let one = version("a");
    assert_eq!(version("a"), one, "reading changes nothing");
    put(storage, "a", "two");
    assert_ne!(version("a"), one, "equal versions mean equal bytes");
}

fn concurrent_creates_have_one_winner(storage: &dyn Storage) {
    for round in 0..20 {
        let place = key(&format!("race/{round}"));
        let won = thread::scope(|scope| {
            let create = |id: u8| {
                storage.put(&place, vec![id].into(), PutIf::Absent).map_err(|error| error.kind())
            };
            let racers: Vec<_> = (0..4).map(|id| scope.spawn(move || (id, create(id)))).collect();
            let outcomes: Vec<_> =
                racers.into_iter().map(|racer| racer.join().expect("a racer")).collect();
            let lost =
                outcomes.iter().filter(|(_, outcome)| *outcome == Err(ErrorKind::Conflict)).count();
            assert_eq!(lost, 3, "all but one get a conflict");
            outcomes.into_iter().find(|(_, outcome)| outcome.is_ok()).map(|(id, _)| id)
        });
        assert_eq!(
            get(storage, place.as_str()).map(|bytes| bytes[0]),
            won,
            "the winner's bytes are there"
        );
    }
}

fn concurrent_increments_lose_nothing(storage: &dyn Storage) {
    put(storage, "counter", "0");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..25).for_each(|_| increment(storage, &key("counter"))));
        }
    });
    assert_eq!(get(storage, "counter").as_deref(), Some(&b"100"[..]));
}

/// What is removed may take its place's directories along, from under those who put beside it.
fn puts_and_removes_of_neighbours_never_fail(storage: &dyn Storage) {
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let place = key(&format!("x/y/z/{thread}"));
                for _ in 0..100 {
                    storage.put(&place, "x".into(), PutIf::Always).expect("a put beside a remove");
                    assert!(storage.remove(&place).expect("a remove beside a put"));
                }
            });
        }
    });
    assert_eq!(listed(storage, None), []);
}

fn readers_stay_on_their_version(storage: &dyn Storage) {
    put(storage, "a", "old bytes");
    let reader = storage.open(&key("a")).expect("open").expect("an object");
    put(storage, "a", "new");
    assert_eq!(read(&*reader), b"old bytes");
    storage.remove(&key("a")).expect("remove");
    assert_eq!(read(&*reader), b"old bytes");
}

fn readers_never_leave_their_version(storage: &dyn Storage) {
    put(storage, "a", "old bytes");
    let reader = storage.open(&key("a")).expect("open").expect("an object");
    assert_eq!(read(&*reader), b"old bytes");
    assert!(reader.is_current());
    let reread = || {
        let mut bytes = [0; 9];
        let current = reader.is_current();
        match reader.read_at(0, &mut bytes) {
            Ok(()) => {
                assert_eq!(&bytes, b"old bytes");
                assert!(!current, "a reader that does not fail says that it is out of date");
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
    };
    put(storage, "a", "new bytes");
    reread();
    storage.remove(&key("a")).expect("remove");
    reread();
}

fn readers_refuse_ranges_beyond_the_end(storage: &dyn Storage) {
    put(storage, "a", "12345");
    let reader = storage.open(&key("a")).expect("open").expect("an object");
    for (offset, len) in [(0, 6), (5, 1), (6, 0), (u64::MAX, 1), (u64::MAX, 0)] {
        assert_eq!(
            kind_of(reader.read_at(offset, &mut vec![0; len]), "a read beyond the end"),
            ErrorKind::Invalid
        );
        assert_eq!(
            kind_of(storage.get_range(&key("a"), offset, len), "a range beyond the end"),
            ErrorKind::Invalid
        );
    }
    reader.read_at(5, &mut []).expect("nothing, at the end");
}

fn keys_inside_and_above_objects_exclude_each_other(storage: &dyn Storage) {
    put(storage, "a/b", "x");
    for text in ["a", "a/b/c", "a/b/c/d"] {
        let outcome = storage.put(&key(text), "y".into(), PutIf::Always);
        assert_eq!(
            kind_of(outcome, "a put above or inside an object"),
            ErrorKind::Invalid,
            "{text}"
        );
        assert_eq!(get(storage, text), None);
        let upload = storage.create(&key(text)).and_then(|upload| upload.commit(PutIf::Always));
        assert_eq!(
            kind_of(upload, "an upload above or inside an object"),
            ErrorKind::Invalid,
            "{text}"
        );
    }
    assert_eq!(listed(storage, None), [("a/b".to_owned(), 1)]);
}

fn keys_inside_and_above_objects_harm_none(storage: &dyn Storage) {
    put(storage, "a/b", "x");
    for text in ["a", "a/b/c"] {
        match storage.put(&key(text), "y".into(), PutIf::Always) {
            Ok(()) => assert_eq!(get(storage, text).as_deref(), Some(&b"y"[..])),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid, "{error}"),
        }
        assert_eq!(get(storage, "a/b").as_deref(), Some(&b"x"[..]));
    }
}

fn lists_by_whole_segments(storage: &dyn Storage) {
    for text in ["a/1", "a/2/x", "ab/3", "a-b/4", "c"] {
        put(storage, text, "12");
    }
    let named =
        |names: &[&str]| -> Vec<_> { names.iter().map(|name| ((*name).to_owned(), 2)).collect() };
    assert_eq!(listed(storage, None), named(&["a-b/4", "a/1", "a/2/x", "ab/3", "c"]));
    assert_eq!(listed(storage, Some("a")), named(&["a/1", "a/2/x"]));
    assert_eq!(listed(storage, Some("a/2")), named(&["a/2/x"]));
    assert_eq!(listed(storage, Some("c")), named(&["c"]));
    assert_eq!(listed(storage, Some("b")), []);
    assert_eq!(listed(storage, Some("c/d")), []);
}

fn listing_sees_no_half_written_object(storage: &dyn Storage) {
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for round in 0..50_u8 {
                let bytes = vec![round; 10_000];
                storage.put(&key("a/b"), bytes.into(), PutIf::Always).expect("put");
            }
        });
        while !writer.is_finished() {
            assert!(
                entries(storage, None).iter().all(|found| *found == ("a/b".to_owned(), 10_000))
            );
            if let Some(bytes) = get(storage, "a/b") {
                assert!(
                    bytes.len() == 10_000 && bytes.iter().all(|byte| *byte == bytes[0]),
                    "one version, whole"
                );
            }
        }
    });
}

fn keys_are_never_folded(storage: &dyn Storage) {
    let spellings = ["\u{e9}", "e\u{301}", "x y", "(a),b", ".hidden", "%41"];
    for text in spellings {
        storage.put(&key(text), text.to_owned().into(), PutIf::Absent).expect("a key of its own");
    }
    for text in spellings {
        assert_eq!(get(storage, text).as_deref(), Some(text.as_bytes()));
    }
}

fn encoded_keys_come_back(storage: &dyn Storage) {
    let texts = ["", "a/b", "..", "CON", "http://x?y=z", "100 %", "\u{0}"];
    for text in texts {
        let encoded = Key::encode(text).expect("a short text");
        storage.put(&encoded, Bytes::new(), PutIf::Absent).expect("put");
    }
    let mut found: Vec<_> =
        listed(storage, None).iter().filter_map(|(name, _)| Key::decode(name)).collect();
    found.sort();
    let mut expected = texts.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(found, expected);
}
