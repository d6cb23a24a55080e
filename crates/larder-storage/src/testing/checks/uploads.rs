//! Objects that are written piece by piece.

use std::thread;

use super::{get, key, kind_of, listed, put};
use crate::{ErrorKind, PutIf, Storage, StorageExt};

pub(super) fn are_unseen_until_committed(storage: &dyn Storage) {
    let mut upload = storage.create(&key("u/v")).expect("create");
    for piece in 0..100 {
        upload.write_all(&[piece; 1000]).expect("write");
    }
    assert_eq!((get(storage, "u/v"), listed(storage, None)), (None, vec![]));
    upload.commit(PutIf::Always).expect("commit");
    assert_eq!(listed(storage, None), [("u/v".to_owned(), 100_000)]);

    let mut dropped = storage.create(&key("u/v")).expect("create");
    dropped.write_all(b"never").expect("write");
    drop(dropped);
    assert_eq!(storage.head(&key("u/v")).expect("head"), Some(100_000));
}

fn upload(storage: &dyn Storage, text: &str, bytes: &[u8], when: PutIf) -> crate::Result<()> {
    let mut upload = storage.create(&key(text)).expect("create");
    upload.write_all(bytes).expect("write");
    upload.commit(when)
}

pub(super) fn take_the_conditions_of_a_put(storage: &dyn Storage) {
    upload(storage, "a", b"one", PutIf::Absent).expect("nothing is there");
    let second = upload(storage, "a", b"second", PutIf::Absent);
    assert_eq!(kind_of(second, "an upload over an object"), ErrorKind::Conflict);
    assert_eq!(get(storage, "a").as_deref(), Some(&b"one"[..]));

    let one = storage.get(&key("a")).expect("get").expect("an object").version().clone();
    upload(storage, "a", b"two", PutIf::Version(one.clone())).expect("the version is current");
    for text in ["a", "b"] {
        let stale = upload(storage, text, b"three", PutIf::Version(one.clone()));
        assert_eq!(kind_of(stale, "an upload of an old version"), ErrorKind::Conflict, "{text}");
    }
    assert_eq!(get(storage, "a").as_deref(), Some(&b"two"[..]));
    assert_eq!(listed(storage, None), [("a".to_owned(), 3)]);
}

pub(super) fn concurrent_ones_have_one_winner(storage: &dyn Storage) {
    let outcomes = thread::scope(|scope| {
        let racers = [0, 1, 2, 3].map(|id| {
            scope.spawn(move || (id, upload(storage, "race", &[id; 1000], PutIf::Absent)))
        });
        racers.map(|racer| racer.join().expect("a racer"))
    });
    let (won, lost): (Vec<_>, Vec<_>) =
        outcomes.into_iter().partition(|(_, outcome)| outcome.is_ok());
    assert_eq!(won.len(), 1);
    for (_, outcome) in lost {
        assert_eq!(kind_of(outcome, "a lost race"), ErrorKind::Conflict);
    }
    assert_eq!(get(storage, "race").as_deref(), Some(&[won[0].0; 1000][..]));
}

pub(super) fn of_several_parts_come_back(storage: &dyn Storage) {
    let bytes: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut upload = storage.create(&key("u")).expect("create");
    upload.write_all(&bytes).expect("write");
    assert_eq!(listed(storage, None), []);
    upload.commit(PutIf::Always).expect("commit");
    assert!(get(storage, "u").is_some_and(|found| found == bytes), "20 MB come back");

    let mut dropped = storage.create(&key("u")).expect("create");
    dropped.write_all(&bytes[1..]).expect("write");
    drop(dropped);
    assert!(get(storage, "u").is_some_and(|found| found == bytes), "the object is as it was");
}

pub(super) fn of_several_parts_never_pass_over_a_condition(storage: &dyn Storage) {
    let bytes = vec![7; 20_000_000];
    put(storage, "there", "old");
    let old = storage.get(&key("there")).expect("get").expect("an object").version().clone();
    put(storage, "there", "new");
    for when in [PutIf::Absent, PutIf::Version(old)] {
        let lost = kind_of(upload(storage, "there", &bytes, when), "an upload against a condition");
        assert!(matches!(lost, ErrorKind::Conflict | ErrorKind::Unsupported), "{lost:?}");
    }
    assert_eq!(get(storage, "there").as_deref(), Some(&b"new"[..]));
    let is_there = match upload(storage, "free", &bytes, PutIf::Absent) {
        Ok(()) => Some(20_000_000),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            None
        }
    };
    assert_eq!(storage.head(&key("free")).expect("head"), is_there);
}
