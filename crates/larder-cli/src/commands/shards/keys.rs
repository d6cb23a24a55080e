//! The table that says what each row of a `.npy` file is of.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use larder::{
    embedding_shards::{text_hash, window_hash},
    storage::{Error, ErrorKind, Result},
};
use serde::Deserialize;

use crate::args;

/// One line as it is written.
#[derive(Debug, Deserialize)]
struct Line {
    window_hash: Option<String>,
    sequence: Option<String>,
    text: Option<String>,
    #[serde(alias = "chrom")]
    source: String,
    #[serde(alias = "start_bp")]
    start: i64,
    #[serde(alias = "end_bp")]
    end: i64,
}

/// What a row is of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) hash: [u8; 32],
    pub(super) source: String,
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Line {
    fn window(self) -> Result<Window> {
        let Self { window_hash: hash, sequence, text, source, start, end } = self;
        let hash = match (hash, sequence, text) {
            (Some(hash), None, None) => args::hash(&hash).map_err(invalid)?.0,
            (None, Some(letters), None) => window_hash(letters),
            (None, None, Some(text)) => text_hash(text),
            _ => return Err(invalid("has to have one of window_hash, sequence and text")),
        };
        if source.is_empty() || end <= start {
            return Err(invalid("needs a source, and an end behind its start"));
        }
        Ok(Window { hash, source, start, end })
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

/// The windows of a file, line by line.
///
/// # Errors
/// `NotFound` or `Io` where the file cannot be read. A line that names no window is `Invalid`.
pub(super) fn read(file: &Path) -> Result<impl Iterator<Item = Result<Window>>> {
    let opened =
        File::open(file).map_err(|error| Error::io(error, "cannot read the keys").at_path(file))?;
    let lines: Box<dyn Iterator<Item = Result<Line>>> =
        match file.extension().and_then(|e| e.to_str()) {
            Some("json" | "jsonl" | "ndjson") => Box::new(objects(opened)),
            Some("csv") => Box::new(table(opened, b',')),
            _ => Box::new(table(opened, b'\t')),
        };
    let path = file.to_owned();
    Ok(lines.enumerate().map(move |(number, line)| {
        line.and_then(Line::window).map_err(|error| {
            let message = format!("the key of row {number} is wrong: {}", error.chain());
            Error::new(error.kind(), message).at_path(&path)
        })
    }))
}

fn objects(file: File) -> impl Iterator<Item = Result<Line>> {
    BufReader::new(file).lines().map(|line| {
        let line = line.map_err(|error| Error::io(error, "cannot read on"))?;
        serde_json::from_str(&line).map_err(|error| invalid("is no such object").with_source(error))
    })
}

fn table(file: File, delimiter: u8) -> impl Iterator<Item = Result<Line>> {
    let reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(file);
    reader
        .into_deserialize()
        .map(|line| line.map_err(|error| invalid("is no such line").with_source(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn windows(name: &str, content: &str) -> Vec<Result<Window>> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(name);
        larder::storage::publish::Stage::new(dir.path(), larder::storage::Durability::Scratch)
            .write(&file, content.as_bytes())
            .unwrap();
        read(&file).unwrap().collect()
    }

    #[test]
    fn three_forms_say_the_same() {
        let hash = "CD".repeat(32);
        let expected = || Window { hash: [0xcd; 32], source: "a, b".into(), start: -1, end: 7 };
        for (name, content) in [
            ("keys.tsv", format!("end\twindow_hash\tsource\tstart\n7\t{hash}\ta, b\t-1\n")),
            (
                "keys",
                format!("chrom\tstart_bp\tend_bp\twindow_hash\tmore\na, b\t-1\t7\t{hash}\tx\n"),
            ),
            ("keys.csv", format!("source,start,end,window_hash\n\"a, b\",-1,7,{hash}\n")),
            (
                "keys.jsonl",
                format!(
                    "{{\"source\": \"a, b\", \"start\": -1, \"end\": 7, \"window_hash\": \"{hash}\"}}\n"
                ),
            ),
        ] {
            let found = windows(name, &content);
            assert_eq!(found.len(), 1);
            assert_eq!(*found[0].as_ref().unwrap(), expected(), "{name}");
        }
    }

    #[test]
    fn what_is_hashed_is_hashed_as_it_is_named() {
        let of = |name: &str| {
            windows("keys.csv", &format!("{name},source,start,end\nacgt,1,0,4\n"))
                .remove(0)
                .unwrap()
                .hash
        };
        assert_eq!(of("text"), text_hash("acgt"));
        assert_eq!(of("sequence"), text_hash("ACGT"));
    }

    #[test]
    fn a_line_that_names_no_window_is_told_by_its_row() {
        for content in [
            "text,source,start,end\na,1,0,4\nb,1,5,5\n",
            "text,source,start,end\na,1,0,4\nb,1,x,5\n",
            "text,source,start,end\na,1,0,4\nb,,4,5\n",
            "text,window_hash,source,start,end\na,,1,0,4\na,b,1,0,4\n",
        ] {
            let mut found = windows("keys.csv", content);
            let error = found.remove(1).unwrap_err();
            assert!(found[0].is_ok() && error.kind() == ErrorKind::Invalid);
            assert!(error.message().contains("row 1"), "{error}");
        }
    }
}
