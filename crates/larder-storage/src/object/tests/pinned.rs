//! What a reader asks of a server, and what it makes of one that passes over the question.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{self, Receiver, Sender},
    thread,
};

use super::*;
use crate::open_with;

/// Opens an object of 8 bytes, of the version `"1"`, on a server that gives the version `current` to whoever reads,
/// whatever they ask for; the conditions of those requests come through the channel.
fn opened(current: &'static str) -> (Box<dyn ReadAt>, Receiver<Option<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tell = tell.clone();
            thread::spawn(move || serve(&stream, current, &tell));
        }
    });
    let settings = [
        ("aws_endpoint", address.as_str()),
        ("aws_access_key_id", "a"),
        ("aws_secret_access_key", "b"),
    ];
    let options = Options::default().probe(false);
    let options = settings.iter().fold(options, |all, (name, value)| all.setting(*name, *value));
    let storage = open_with("s3://bucket/x", &options).unwrap();
    (storage.open(&Key::new("object").unwrap()).unwrap().unwrap(), asked)
}

fn serve(stream: &TcpStream, current: &str, tell: &Sender<Option<String>>) -> Option<()> {
    let (mut lines, mut writer) = (BufReader::new(stream).lines(), stream);
    loop {
        let head: Vec<_> =
            lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let answer = if head.first()?.starts_with("HEAD") {
            "200 OK\r\nETag: \"1\"\r\nContent-Length: 8\r\n\r\n".to_owned()
        } else {
            let condition = head.iter().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("if-match").then(|| value.to_owned())
            });
            tell.send(condition).ok()?;
            format!(
                "206 Partial Content\r\nETag: \"{current}\"\r\nContent-Range: bytes 0-3/8\r\nContent-Length: 4\r\n\r\nbyte"
            )
        };
        write!(writer, "HTTP/1.1 {answer}").ok()?;
    }
}

#[test]
fn a_reader_asks_for_the_version_that_it_opened() {
    let (reader, asked) = opened("1");
    let mut part = [0; 4];
    reader.read_at(0, &mut part).unwrap();
    assert_eq!(&part, b"byte");
    assert_eq!(asked.recv().unwrap().as_deref(), Some("\"1\""));
}

#[test]
fn a_reader_refuses_another_version_from_a_server_that_passes_over_the_condition() {
    let (reader, _asked) = opened("2");
    let mut part = [0; 4];
    let error = reader.read_at(0, &mut part).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
    assert_eq!(part, [0; 4], "no byte of it is given");
}
