//! `larder array`: what it prints and what it refuses.

use std::{fs, path::Path, process::Output};

use larder::lazy_array::{ArrayStore, Options, ndarray::Array2};
use serde_json::{Value, json};

use crate::{
    misuse::assert_refused,
    support::{larder, text},
};

fn array(dir: &Path, args: &[&str]) -> Output {
    let mut command = larder();
    command.arg("array").args(args).arg("--root").arg(dir.join("root")).current_dir(dir);
    command.output().unwrap()
}

#[track_caller]
fn printed(dir: &Path, args: &[&str]) -> String {
    let output = array(dir, args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// A directory with arrays as a store of one's own has them.
fn arrays() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = ArrayStore::open(dir.path().join("own"), Options::default()).unwrap();
    let halves = Array2::from_shape_fn((4, 3), |(row, column)| row as f32 + column as f32 / 2.0);
    store.insert("chr1/gc", halves.clone()).unwrap();
    store.insert("turned", halves.reversed_axes()).unwrap();
    dir
}

#[test]
fn arrays_are_listed_shown_and_read_in_rows() {
    let dir = arrays();
    let own = |args: &[&str]| printed(dir.path(), &[args, &["--dir", "own"]].concat());
    let lines = [
        "key      dtype     shape  bytes",
        "───────  ─────  ────────  ─────",
        "chr1/gc    <f4    (4, 3)   48 B",
        "turned     <f4  (3, 4) F   48 B",
    ];
    assert_eq!(own(&["ls"]).lines().collect::<Vec<_>>(), lines);
    assert_eq!(own(&["ls", "chr1/"]).lines().count(), 3);
    assert_eq!(own(&["info", "chr1/gc"]), "chr1/gc  <f4  (4, 3)  48 B\n");
    assert_eq!(own(&["rows", "chr1/gc", "1..3"]), "1\t1.5\t2\n2\t2.5\t3\n");
    assert_eq!(own(&["rows", "turned", "0..0"]), "");
    let rows: Value = serde_json::from_str(&own(&["rows", "chr1/gc", "0..1", "--json"])).unwrap();
    assert_eq!(rows, json!([[0, 0.5, 1]]));
    let all: Value = serde_json::from_str(&own(&["ls", "--json"])).unwrap();
    assert_eq!(all["turned"]["fortran_order"], json!(true));
}

#[test]
fn arrays_go_out_and_in_and_away() {
    let dir = arrays();
    let done = |args: &[&str]| printed(dir.path(), args);
    done(&["export", "chr1/gc", "out.npy", "--dir", "own"]);
    let bytes = |name: &str| fs::read(dir.path().join(name)).unwrap();
    assert_eq!(bytes("out.npy"), bytes("own/chr1/gc.npy"));
    done(&["import", "out.npy", "chr1/gc"]);
    assert_eq!(done(&["rows", "chr1/gc", "3..4"]), "3\t3.5\t4\n");
    assert!(done(&["verify"]).contains("No problem"));
    assert_eq!(done(&["purge", "chr1/gc", "none"]), "not there  none\nremoved 1 of 2\n");
    assert_eq!(done(&["ls"]).lines().count(), 2, "the head");
}

#[test]
fn what_is_not_there_is_named_and_nothing_is_made() {
    let dir = arrays();
    let refused = |args: &[&str], code, words: &[&str]| {
        assert_refused(&array(dir.path(), args), code, words);
    };
    let own = ["--dir", "own"];
    for args in [&["info", "no"][..], &["rows", "no", "0..1"], &["export", "no", "out.npy"]] {
        refused(&[args, &own].concat(), 2, &["no array \"no\"", "larder array ls"]);
    }
    refused(&["ls", "--dir", "typo"], 2, &["typo", "no such directory"]);
    refused(&["ls"], 2, &["root"]);
    refused(&["rows", "chr1/gc", "2..9", "--dir", "own"], 2, &["2..9", "4"]);
    refused(&["import", "no.npy", "a", "--dir", "own"], 2, &["no.npy"]);
    refused(&["import", "own/chr1/gc.npy", "turned", "--dir", "own"], 1, &["exists already"]);
    fs::write(dir.path().join("text.npy"), "hello").unwrap();
    refused(&["import", "text.npy", "a", "--dir", "own"], 1, &["text.npy", "no .npy file"]);
    refused(&["export", "chr1/gc", "none/out.npy", "--dir", "own"], 2, &["none", "make it first"]);
    assert!(!dir.path().join("root").exists() && !dir.path().join("typo").exists());
}
