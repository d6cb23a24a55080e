//! Servers that speak as much of S3's protocol as a test needs.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use super::*;
use crate::open_with;

/// Settings for a server that gives each request, by the lines of its head in lower case, what `answer` says.
pub(super) fn start(answer: impl Fn(&[String]) -> String + Clone + Send + 'static) -> Options {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || serve(&stream, &answer));
        }
    });
    Options::default()
        .setting("aws_endpoint", address)
        .setting("aws_access_key_id", "a")
        .setting("aws_secret_access_key", "b")
        .probe(false)
}

/// The storage on such a server, below the prefix `x`.
pub(super) fn storage(
    answer: impl Fn(&[String]) -> String + Clone + Send + 'static,
) -> Arc<dyn Storage> {
    open_with("s3://bucket/x", &start(answer)).unwrap()
}

pub(super) fn header<'a>(head: &'a [String], name: &str) -> Option<&'a str> {
    head.iter()
        .find_map(|line| line.split_once(": ").filter(|(found, _)| *found == name))
        .map(|(_, value)| value)
}

fn serve(stream: &TcpStream, answer: &impl Fn(&[String]) -> String) -> Option<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    loop {
        let head: Vec<_> = reader
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .map(|line| line.to_ascii_lowercase())
            .collect();
        let length = header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
        reader.read_exact(&mut vec![0; length]).ok()?;
        if head.is_empty() {
            return None;
        }
        write!(writer, "HTTP/1.1 {}", answer(&head)).ok()?;
    }
}
