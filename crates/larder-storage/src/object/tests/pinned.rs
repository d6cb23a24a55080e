//! What a reader asks of a server, and what it makes of one that passes over the question.

use std::sync::mpsc::{self, Receiver};

use super::{
    server::{self, header},
    *,
};

/// An object of 8 bytes, of the version `opened`, on a server that gives the version `current` to whoever reads,
/// whatever they ask for; the conditions of those requests come through the channel.
fn object(
    opened: &'static str,
    current: &'static str,
) -> (Arc<dyn Storage>, Receiver<Option<String>>) {
    let (tell, asked) = mpsc::channel();
    let storage = server::storage(move |head| {
        if head[0].starts_with("head") {
            return format!("200 OK\r\nETag: {opened}\r\nContent-Length: 8\r\n\r\n");
        }
        let _ = tell.send(header(head, "if-match").map(str::to_owned));
        format!(
            "206 Partial Content\r\nETag: {current}\r\nContent-Range: bytes 0-3/8\r\nContent-Length: 4\r\n\r\nbyte"
        )
    });
    (storage, asked)
}

fn key() -> Key {
    Key::new("object").unwrap()
}

#[test]
fn a_reader_asks_for_the_version_that_it_opened() {
    let (storage, asked) = object("\"1\"", "\"1\"");
    let reader = storage.open(&key()).unwrap().unwrap();
    let mut part = [0; 4];
    reader.read_at(0, &mut part).unwrap();
    assert_eq!(&part, b"byte");
    assert_eq!(asked.recv().unwrap().as_deref(), Some("\"1\""));
}

#[test]
fn a_reader_refuses_another_version_from_a_server_that_passes_over_the_condition() {
    let (storage, _asked) = object("\"1\"", "\"2\"");
    let reader = storage.open(&key()).unwrap().unwrap();
    let mut part = [0; 4];
    let error = reader.read_at(0, &mut part).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
    assert_eq!(part, [0; 4], "no byte of it is given");
}

#[test]
fn versions_that_no_condition_holds_of_are_not_read_part_by_part() {
    let (storage, _asked) = object("W/\"1\"", "W/\"1\"");
    let error = storage.open(&key()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert_eq!(storage.get_range(&key(), 0, 4).unwrap().unwrap(), "byte");
    assert_eq!(storage.get_range(&key(), 8, 0).unwrap().unwrap(), "");
    let error = storage.get_range(&key(), 8, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
}
