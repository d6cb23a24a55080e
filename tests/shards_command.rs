//! `larder shards`: what it prints and what it refuses.

use std::{
    fs,
    path::Path,
    process::{Output, Stdio},
};

use larder::{
    embedding_shards::{EmbeddingCache, Options, f16},
    lazy_array::{self, ArrayStore, Element, ndarray::Array2},
};
use serde_json::{Value, json};

use crate::{
    misuse::assert_refused,
    support::{larder, text},
};

const ENCODER: &str = "0707070707070707070707070707070707070707070707070707070707070707";

fn shards(dir: &Path, args: &[&str]) -> Output {
    let mut command = larder();
    command.arg("shards").args(args).arg("--root").arg(dir.join("root")).current_dir(dir);
    command.output().unwrap()
}

#[track_caller]
fn printed(dir: &Path, args: &[&str]) -> String {
    let output = shards(dir, args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// One JSON document a line.
fn objects(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The number in a row and column of the files.
fn number(row: usize, column: usize) -> f32 {
    row as f32 + column as f32 / 4.0
}

fn write_npy<A: Element>(dir: &Path, name: &str, array: Array2<A>) {
    let hidden = tempfile::tempdir().unwrap();
    let store = ArrayStore::open(hidden.path(), lazy_array::Options::default()).unwrap();
    store.insert("a", array).unwrap();
    store.export_npy("a", dir.join(name)).unwrap();
}

fn read_npy<A: Element>(dir: &Path, name: &str) -> Array2<A> {
    let hidden = tempfile::tempdir().unwrap();
    let store = ArrayStore::open(hidden.path(), lazy_array::Options::default()).unwrap();
    store.import_npy("a", dir.join(name)).unwrap();
    let array = store.get::<A>("a").unwrap().unwrap();
    array.rows(0..array.shape()[0]).unwrap().into_dimensionality().unwrap()
}

/// A directory with ten rows, eight of them of the source `a`, as halves and as singles, and their keys.
fn sources() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let singles = Array2::from_shape_fn((10, 3), |(row, column)| number(row, column));
    write_npy(dir.path(), "halves.npy", singles.mapv(f16::from_f32));
    // In the other order of axes, so that a row is not one piece of the file.
    let turned = Array2::from_shape_fn((3, 10), |(column, row)| number(row, column));
    write_npy(dir.path(), "singles.npy", turned.reversed_axes());
    let mut keys = "window_hash\tsource\tstart\tend\n".to_owned();
    for row in 0..10 {
        let source = if row < 8 { "a" } else { "b/c" };
        keys += &format!("{}\t{source}\t{}\t{}\n", hash(row), row * 10, row * 10 + 10);
    }
    fs::write(dir.path().join("keys.tsv"), keys).unwrap();
    dir
}

fn hash(row: usize) -> String {
    format!("{row:02x}").repeat(32)
}

const PUT: [&str; 6] =
    ["--keys", "keys.tsv", "--encoder-id", "org/model", "--encoder-hash", ENCODER];

fn put(file: &str, more: &[&str]) -> Vec<String> {
    ["put", file].iter().chain(&PUT).chain(more).map(|arg| (*arg).to_owned()).collect()
}

/// The same with what was put into it.
fn filled() -> tempfile::TempDir {
    let dir = sources();
    for file in ["halves.npy", "singles.npy"] {
        let args = put(file, &[]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        assert_eq!(printed(dir.path(), &args), "10 rows in 2 shards\n");
    }
    dir
}

#[test]
fn rows_of_a_file_are_put_and_found_by_their_hashes() {
    let dir = filled();
    let (one, two) = (hash(3), hash(9));
    let rows = objects(&printed(dir.path(), &["get", &one, &two, "--dtype", "fp32"]));
    assert_eq!(rows[0]["embedding"], json!([3, 3.25, 3.5]));
    let parts = ["source", "start", "end", "dtype"].map(|part| rows[1][part].clone());
    assert_eq!(parts, [json!("b/c"), json!(90), json!(100), json!("fp32")]);

    printed(dir.path(), &["get", &two, &one, &two, "--dtype", "fp16", "--npy", "out.npy"]);
    let expected =
        Array2::from_shape_fn((3, 3), |(row, c)| f16::from_f32(number([9, 3, 9][row], c)));
    assert_eq!(read_npy::<f16>(dir.path(), "out.npy"), expected);

    let output = shards(dir.path(), &["get", &one]);
    let both = ["several rows", "--dtype fp16", "--dtype fp32"];
    assert_refused(&output, 2, &both);
    let missing = hash(0x77);
    let output = shards(dir.path(), &["get", &one, &missing, "--layer", "0", "--dtype", "fp16"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(text(&output.stderr), format!("not there  {missing}\n"));
    assert_eq!(objects(&text(&output.stdout)).len(), 1);
    let output = shards(dir.path(), &["get", &missing, "--npy", "none.npy"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(!dir.path().join("none.npy").exists());
}

#[test]
fn the_same_again_changes_nothing_and_other_rows_are_refused() {
    let dir = filled();
    let again = |more: &[&str]| {
        let args = put("halves.npy", more);
        shards(dir.path(), &args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let before = printed(dir.path(), &["ls"]);
    assert!(again(&[]).status.success());
    assert_eq!(printed(dir.path(), &["ls"]), before);
    assert_refused(&again(&["--first-block", "7"]), 1, &["already", "--first-block"]);
    write_npy(dir.path(), "halves.npy", Array2::<f16>::zeros((10, 3)));
    assert_refused(&again(&[]), 1, &["other embeddings"]);
    assert!(again(&["--layer", "-2"]).status.success());
    assert_eq!(printed(dir.path(), &["ls"]).lines().count(), before.lines().count() + 2);
    let stored = again(&["--dtype", "bf16", "--json"]);
    let report: Value = serde_json::from_slice(&stored.stdout).unwrap();
    assert_eq!(report, json!({ "rows": 10, "shards": 2 }));
}

#[test]
fn a_scan_is_printed_or_written_to_a_file() {
    let dir = filled();
    let scan = |args: &[&str]| printed(dir.path(), &[&["scan"], args].concat());
    let lines = scan(&["--dtype", "fp32", "--positions", "15..31"]);
    let starts: Vec<_> = lines.lines().map(|line| line.split('\t').nth(1).unwrap()).collect();
    assert_eq!(starts, ["start_bp", "10", "20", "30"]);
    let columns = ["--columns", "chrom,embedding", "--source", "b/c", "--dtype", "fp16"];
    assert_eq!(scan(&columns), "chrom\tembedding\nb/c\t8,8.25,8.5\nb/c\t9,9.25,9.5\n");
    let rows = objects(&scan(&[&columns[..], &["--json"]].concat()));
    assert_eq!(rows[1], json!({ "chrom": "b/c", "embedding": [9, 9.25, 9.5] }));

    assert_eq!(scan(&["--dtype", "fp32", "--npy", "all.npy"]), "10 rows written\n");
    let expected = Array2::from_shape_fn((10, 3), |(row, column)| number(row, column));
    assert_eq!(read_npy::<f32>(dir.path(), "all.npy"), expected);
    // What a scan prints are keys for `put`.
    fs::write(dir.path().join("keys.tsv"), scan(&["--dtype", "fp32"])).unwrap();
    let args = put("all.npy", &["--layer", "1"]);
    printed(dir.path(), &args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(scan(&["--layer", "1"]).lines().count(), 11);

    assert_eq!(
        scan(&["--source", "a", "--layer", "1", "--parquet", "a.parquet"]),
        "8 rows written\n"
    );
    let copy = dir.path().join("copy");
    fs::create_dir_all(copy.join("embeddings")).unwrap();
    // Its columns are those of the Python package, so it is a shard.
    fs::copy(dir.path().join("a.parquet"), copy.join("embeddings/a.parquet")).unwrap();
    let cache = EmbeddingCache::open(&copy, Options::default()).unwrap();
    assert_eq!((cache.status().unwrap().rows, cache.skipped().len()), (8, 0));

    let mixed = shards(dir.path(), &["scan", "--npy", "mixed.npy"]);
    assert_refused(&mixed, 2, &["3 Float32", "3 Float16", "filter by dtype"]);
    assert!(!dir.path().join("mixed.npy").exists());
    let unknown = shards(dir.path(), &["scan", "--columns", "typo"]);
    assert_refused(&unknown, 2, &["no column \"typo\""]);
}

#[test]
fn a_collection_holds_the_rows_of_all_sources() {
    let dir = sources();
    let collection = ["--collection", "b/c", "--python-index"];
    let args = put("halves.npy", &collection);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    for _ in 0..2 {
        assert_eq!(printed(dir.path(), &args), "10 rows in 1 shards\n");
    }
    let listed: Value = serde_json::from_str(&printed(dir.path(), &["ls", "--json"])).unwrap();
    let path = listed[0]["path"].as_str().unwrap();
    assert!(listed.as_array().unwrap().len() == 1 && path.ends_with("/setb%2Fc_0.parquet"));
    for (source, rows) in [("a", 8), ("b/c", 2), ("d", 0)] {
        let found = printed(dir.path(), &["scan", "--source", source]);
        assert_eq!(found.lines().count(), 1 + rows, "{source}");
    }
    assert!(dir.path().join("root/shards/embeddings/index.sqlite").is_file());
    let contig = put("halves.npy", &[]);
    let contig: Vec<&str> = contig.iter().map(String::as_str).collect();
    assert_refused(&shards(dir.path(), &contig), 1, &["already"]);
}

#[test]
fn sources_in_turn_get_a_shard_each_and_a_key_in_full_is_found() {
    let dir = sources();
    let keys = fs::read_to_string(dir.path().join("keys.tsv")).unwrap();
    let turned = keys.lines().enumerate().map(|(row, line)| {
        let source = if row % 2 == 0 { "\ta\t" } else { "\tb/c\t" };
        format!("{}\n", line.replace("\ta\t", source).replace("\tb/c\t", source))
    });
    fs::write(dir.path().join("keys.tsv"), turned.collect::<String>()).unwrap();
    let args = put("singles.npy", &[]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    assert_eq!(printed(dir.path(), &args), "10 rows in 2 shards\n");
    let hash = hash(7);
    let get = ["get", &hash, "--encoder-hash", ENCODER, "--layer", "0", "--dtype", "fp32"];
    let whole = [&get[..], &["--pool", "global_mean", "--radius", "0"]].concat();
    let found = objects(&printed(dir.path(), &whole));
    assert_eq!((found.len(), &found[0]["embedding"][1]), (1, &json!(7.25)));
    assert_eq!(printed(dir.path(), &get), printed(dir.path(), &whole));
    let other = [&get[..], &["--pool", "global_mean", "--radius", "1"]].concat();
    assert_eq!(shards(dir.path(), &other).status.code(), Some(3));
}

#[test]
fn what_lies_in_a_directory_is_looked_at_there() {
    let dir = filled();
    let own = dir.path().join("root/shards");
    let look = |what: &str| {
        let mut command = larder();
        // No root is asked for.
        command
            .args(["shards", what, "--dir"])
            .arg(&own)
            .arg("--root")
            .arg(dir.path().join("none"));
        command.output().unwrap()
    };
    assert!(text(&look("status").stdout).contains("rows        20"));
    assert!(text(&look("verify").stdout).contains("No problem was found."));
    let listed: Value = serde_json::from_str(&printed(dir.path(), &["ls", "--json"])).unwrap();
    let damaged = own.join(listed[0]["path"].as_str().unwrap());
    fs::write(&damaged, "no Parquet").unwrap();
    let found = look("verify");
    assert_eq!(found.status.code(), Some(1));
    assert!(text(&found.stderr).contains("problems found: 1"), "{}", text(&found.stderr));
    let repaired = look("repair");
    assert!(text(&repaired.stdout).contains(".quarantine"), "{}", text(&repaired.stderr));
    assert!(!damaged.exists() && look("verify").status.success());
    let typo = shards(dir.path(), &["repair", "--dir", "typo"]);
    assert_refused(&typo, 2, &["typo", "no such directory"]);
    assert!(!dir.path().join("none").exists() && !dir.path().join("typo").exists());
}

#[test]
fn a_reader_that_has_seen_enough_ends_a_scan() {
    let dir = filled();
    let mut command = larder();
    command.args(["shards", "scan", "--root"]).arg(dir.path().join("root"));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn shards_are_listed_counted_and_indexed_anew() {
    let dir = filled();
    let listed: Value = serde_json::from_str(&printed(dir.path(), &["ls", "--json"])).unwrap();
    let first = listed[0]["path"].as_str().unwrap();
    assert_eq!(
        (listed.as_array().unwrap().len(), first.contains("/fp16/chra_0.parquet")),
        (4, true)
    );
    let counted = printed(dir.path(), &["stats"]);
    let lines: Vec<Vec<&str>> = counted.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines[2], [ENCODER, "0", "global_mean", "0", "fp16", "10"]);
    let counted: Value = serde_json::from_str(&printed(dir.path(), &["stats", "--json"])).unwrap();
    assert_eq!((&counted["shards"], &counted["keys"][1]["rows"]), (&json!(4), &json!(10)));
    assert_eq!(printed(dir.path(), &["reindex"]), "indexed 20 rows in 4 shards\n");
    let own = dir.path().join("root/shards");
    fs::write(own.join("embeddings/bad.parquet"), "no Parquet").unwrap();
    let output = shards(dir.path(), &["reindex", "--dir", own.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert!(out.starts_with("problem  embeddings/bad.parquet: ") && out.ends_with("4 shards\n"));
    assert!(error.contains("problems found: 1") && error.contains("repair"), "{error}");
    for args in [["scan", "--layer=0"], ["stats", "--json"]] {
        let output = shards(dir.path(), &args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1));
        assert!(!output.stdout.is_empty() && error.contains("left out"), "{error}");
    }
}

#[test]
fn what_cannot_be_put_is_refused_and_nothing_is_written() {
    let dir = sources();
    let refused = |file: &str, keys: &str, code, words: &[&str]| {
        fs::write(dir.path().join("other.csv"), keys).unwrap();
        let args =
            ["put", file, "--keys", "other.csv", "--encoder-id", "m", "--encoder-hash", ENCODER];
        assert_refused(&shards(dir.path(), &args), code, words);
        let root = dir.path().join("root");
        assert!(!root.exists() || printed(dir.path(), &["ls"]).lines().count() == 2, "{words:?}");
    };
    let keys = |count: usize| {
        let lines = (0..count).map(|row| format!("chunk {row},a,{row},{}\n", row + 1));
        format!("text,source,start,end\n{}", lines.collect::<String>())
    };
    refused("none.npy", &keys(10), 2, &["none.npy", "no such file"]);
    refused("halves.npy", "text,source,start,end\nx,a,5,5\n", 2, &["other.csv", "row 0"]);
    refused(
        "halves.npy",
        "source,start,end\na,5,6\n",
        2,
        &["row 0", "window_hash, sequence and text"],
    );
    assert!(!dir.path().join("root").exists());
    refused("halves.npy", &keys(9), 2, &["10 rows", "9 keys"]);
    fs::write(dir.path().join("text.npy"), "hello").unwrap();
    refused("text.npy", &keys(10), 1, &["text.npy", "no .npy file"]);
    write_npy(dir.path(), "doubles.npy", Array2::<f64>::zeros((10, 3)));
    refused("doubles.npy", &keys(10), 2, &["<f8", "f2 or f4"]);
    let twice = keys(10).replace("chunk 7", "chunk 6");
    refused("halves.npy", &twice, 2, &["rows 6 and 7", "same key"]);
    let none = shards(dir.path(), &["ls", "--dir", "typo"]);
    assert_refused(&none, 2, &["typo", "no such directory"]);
    assert!(!dir.path().join("typo").exists());
}

#[test]
fn shards_are_merged_removed_and_taken_on() {
    let dir = filled();
    let keys = fs::read_to_string(dir.path().join("keys.tsv")).unwrap();
    let others = keys.replace("\n0", "\nf");
    fs::write(dir.path().join("keys.tsv"), &others).unwrap();
    let more = put("halves.npy", &["--first-block", "1"]);
    printed(dir.path(), &more.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(printed(dir.path(), &["ls"]).lines().count(), 2 + 6);
    let rows = || printed(dir.path(), &["scan", "--dtype", "fp16"]);
    let before = rows();
    assert_eq!(printed(dir.path(), &["compact"]), "4 shards became 2, of 20 rows\n");
    assert_eq!(printed(dir.path(), &["ls"]).lines().count(), 2 + 4);
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&rows()), sorted(&before));
    let index = printed(dir.path(), &["export-index"]);
    assert!(index.ends_with("embeddings/index.sqlite\n") && Path::new(index.trim_end()).is_file());

    // As the Python package lays them out.
    let theirs = dir.path().join("theirs/embeddings/org__model/0/global_mean_0");
    fs::create_dir_all(&theirs).unwrap();
    let file = theirs.join("chra_0.parquet");
    let scan = ["scan", "--dtype", "fp16", "--source", "a", "--parquet", file.to_str().unwrap()];
    assert_eq!(printed(dir.path(), &scan), "16 rows written\n");
    let import = ["import", "theirs", "--dir", "taken"];
    assert_eq!(printed(dir.path(), &import), "imported 1 shards with 16 new rows\n");
    assert_eq!(printed(dir.path(), &import), "imported 1 shards with 0 new rows\n");
    assert_refused(&shards(dir.path(), &["import", "typo"]), 2, &["typo", "no such directory"]);

    assert_eq!(shards(dir.path(), &["rm"]).status.code(), Some(2));
    let remove = ["rm", "--encoder-hash", ENCODER, "--json"];
    let removed: Value = serde_json::from_str(&printed(dir.path(), &remove)).unwrap();
    assert_eq!(removed["removed"].as_array().unwrap().len(), 4);
    assert_eq!(printed(dir.path(), &["rm", "--created-before", "0"]), "removed 0 shards\n");
    assert_eq!(printed(dir.path(), &["ls"]).lines().count(), 2);
}
