use futures_util::StreamExt;
use object_store::memory::InMemory;

use super::*;
use crate::testing;

mod answers;
mod pinned;
mod server;

fn fresh(prefix: &str) -> Arc<dyn Storage> {
    Arc::new(ObjectStorage::new(Arc::new(InMemory::new()), prefix, &Options::default()).unwrap())
}

#[test]
fn keeps_the_contract() {
    testing::remote_conformance(|| fresh("a prefix/é%41"));
    testing::remote_conformance(|| fresh(""));
}

#[test]
fn hides_what_is_reserved_and_what_is_no_key() {
    let store = Arc::new(InMemory::new());
    let storage = ObjectStorage::new(store.clone(), "p", &Options::default()).unwrap();
    for path in ["p/.larder/probe/left", "p/a:b", "q/other", "p/seen"] {
        let path = Path::parse(path).unwrap();
        let raw = store.clone();
        runtime::wait(async move {
            raw.put_opts(&path, "x".into(), object_store::PutOptions::default()).await
        })
        .unwrap()
        .unwrap();
    }
    let listed: Vec<_> = storage.list(None).unwrap().map(|entry| entry.unwrap().key).collect();
    assert_eq!(listed, [Key::new("seen").unwrap()]);
}

#[test]
fn the_probe_leaves_nothing_behind() {
    let store = Arc::new(InMemory::new());
    ObjectStorage::new(store.clone(), "p", &Options::default()).unwrap();
    let left = runtime::start(async move { store.list(None).count().await }).unwrap();
    assert_eq!(left.wait().unwrap(), 0);
}

#[test]
fn refuses_names_that_grow_too_long_with_the_prefix() {
    let storage = fresh("a-prefix");
    let key = Key::new(vec!["x".repeat(255); 4].join("/")).unwrap();
    let outcome = storage.put(&key, "x".into(), PutIf::Always);
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn refuses_prefixes_that_leave_no_room_or_are_no_names() {
    for prefix in ["a//b", "a/../b", "./a", "a\nb", "a\u{0}", &"x".repeat(769)] {
        let store = Arc::new(InMemory::new());
        let error = ObjectStorage::new(store, prefix, &Options::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
        assert!(error.message().starts_with("the prefix of the store "), "{error}");
    }
    let longest = "x".repeat(768);
    fresh(&longest).put(&Key::new("x".repeat(255)).unwrap(), "x".into(), PutIf::Absent).unwrap();
}

#[test]
fn a_wrong_clock_is_told_from_wrong_credentials() {
    let refused = |code: &str| {
        let (path, source) = (String::from("a"), code.into());
        failed(object_store::Error::PermissionDenied { path, source }, "cannot get")
    };
    let (clock, key) = (refused("RequestTimeTooSkewed"), refused("SignatureDoesNotMatch"));
    assert_eq!((clock.kind(), key.kind()), (ErrorKind::Io, ErrorKind::Io));
    assert!(clock.message().contains("set its clock"), "{clock}");
    assert!(key.message().contains("credentials"), "{key}");
}

#[test]
fn shows_no_more_of_a_store_than_its_name() {
    let shown = format!("{:?}", fresh("p"));
    assert!(shown.contains("InMemory") && shown.len() < 100, "{shown}");
}

#[test]
fn is_shared_among_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<(ObjectStorage, Options)>();
}
