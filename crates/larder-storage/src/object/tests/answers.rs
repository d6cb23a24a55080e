//! What is made of servers' answers, and of a client that has none.

use std::{
    error::Error as _,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    server::{self, header},
    *,
};
use crate::{Version, open_with};

fn key() -> Key {
    Key::new("object").unwrap()
}

#[test]
fn versions_that_would_be_no_condition_are_refused_before_they_are_sent() {
    let asked = Arc::new(AtomicBool::new(false));
    let seen = asked.clone();
    let storage = server::storage(move |_| {
        seen.store(true, Ordering::Relaxed);
        "200 OK\r\nETag: \"2\"\r\nContent-Length: 0\r\n\r\n".to_owned()
    });
    let odd = ["", " ", "*", " * ", "\n", "\n1", "\"1\"\n", "a\0b", "a\r\nX: b", "\"1\"\n1\n2"];
    for token in odd {
        let when = PutIf::Version(Version::from_token(token));
        let error = storage.put(&key(), "x".into(), when).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{token:?}: {error:?}");
    }
    assert!(!asked.load(Ordering::Relaxed));
    storage.put(&key(), "x".into(), PutIf::Version(Version::from_token("\"1\""))).unwrap();
    assert!(asked.load(Ordering::Relaxed));
}

#[test]
fn a_put_that_happened_although_the_server_said_no_is_a_success() {
    let there = Arc::new(Mutex::new(None));
    let storage = server::storage(move |head| {
        let mut there = there.lock().unwrap();
        if head[0].starts_with("put") {
            *there = header(head, "x-amz-meta-lardernonce").map(str::to_owned);
            return "400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_owned();
        }
        let nonce = there.as_deref().unwrap_or_default();
        format!(
            "200 OK\r\nETag: \"1\"\r\nx-amz-meta-lardernonce: {nonce}\r\nContent-Length: 1\r\n\r\n"
        )
    });
    storage.put(&key(), "x".into(), PutIf::Always).unwrap();
    storage.create(&key()).unwrap().commit(PutIf::Always).unwrap();
}

#[test]
fn a_name_that_is_no_path_is_told_by_the_listing() {
    let listing = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>x/a//b</Key>\
        <LastModified>2020-01-01T00:00:00Z</LastModified><Size>1</Size></Contents></ListBucketResult>";
    let answer = format!("200 OK\r\nContent-Length: {}\r\n\r\n{listing}", listing.len());
    let storage = server::storage(move |_| answer.clone());
    let error = storage.keys(None).unwrap().next().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Format, "{error:?}");
    assert!(
        error.message().contains("\"x/a//b\"") && error.message().contains("remove"),
        "{error}"
    );
}

#[test]
fn a_server_that_brings_back_what_was_removed_is_refused() {
    // It keeps conditions, but an update's only where there is an object.
    let tags = Arc::new(Mutex::new((0, std::collections::HashMap::new())));
    let options = server::start(move |head| {
        let (last, tags) = &mut *tags.lock().unwrap();
        let path = head[0].split(' ').nth(1).unwrap().to_owned();
        if head[0].starts_with("delete") {
            tags.remove(&path);
            return "204 No Content\r\n\r\n".to_owned();
        }
        let other = tags.get(&path).is_some_and(|tag| {
            header(head, "if-none-match").is_some()
                || header(head, "if-match").is_some_and(|named| named != tag)
        });
        if other {
            return "412 Precondition Failed\r\nContent-Length: 0\r\n\r\n".to_owned();
        }
        *last += 1;
        let tag = format!("\"{last}\"");
        tags.insert(path, tag.clone());
        format!("200 OK\r\nETag: {tag}\r\nContent-Length: 0\r\n\r\n")
    });
    let error = open_with("s3://bucket/x", &options.probe(true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.message().contains("was removed"), "{error}");
}

#[test]
fn a_client_that_panics_is_told_with_what_it_said() {
    let broken = runtime::start(async { assert_eq!(1, 2, "the client's\nreason") }).unwrap();
    let error = broken.wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Backend);
    assert!(error.message().contains("panicked"), "{error}");
    assert!(error.message().contains("the client's reason"), "{error}");
}

#[test]
fn the_cause_of_a_failure_is_in_its_line() {
    let options = server::start(|_| "not HTTP\r\n\r\n".to_owned());
    let storage = open_with("s3://bucket/x", &options).unwrap();
    let error = storage.put(&key(), "x".into(), PutIf::Absent).unwrap_err();
    let why = error.source().unwrap().to_string();
    assert_eq!(why.lines().count(), 1);
    assert!(why.contains("invalid HTTP"), "{why}");
}
