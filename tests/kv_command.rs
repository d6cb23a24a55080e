//! `larder kv`: what it prints, what it exits with, and what it refuses.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    process::{Output, Stdio},
};

use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    misuse::assert_refused,
    support::{larder, text},
};

mod refused;
mod store;

/// A root that is made by the first write, and directories beside it.
struct Root(TempDir);

impl Root {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("root")
    }

    /// A file beside the root.
    fn file(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// Runs `larder kv ARGS` in the directory of the root.
    fn kv(&self, args: &[&str]) -> Output {
        self.kv_with(args, "")
    }

    fn kv_with(&self, args: &[&str], input: impl AsRef<[u8]>) -> Output {
        let mut command = larder();
        command.arg("kv").args(args).arg("--root").arg(self.path()).current_dir(self.0.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Whoever reads none of it may have ended by now.
        let _ = child.stdin.take().unwrap().write_all(input.as_ref());
        child.wait_with_output().unwrap()
    }

    /// What a command prints that succeeds and warns of nothing.
    #[track_caller]
    fn printed(&self, args: &[&str]) -> String {
        self.printed_with(args, "")
    }

    #[track_caller]
    fn printed_with(&self, args: &[&str], input: &str) -> String {
        let output = self.kv_with(args, input);
        assert_eq!(text(&output.stderr), "", "{args:?}");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        text(&output.stdout)
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.printed(&[args, &["--json"]].concat())).unwrap()
    }

    #[track_caller]
    fn set(&self, namespace: &str, key: &str, value: &str) {
        assert_eq!(self.printed(&["set", namespace, key, value]), "");
    }

    #[track_caller]
    fn assert_miss(&self, namespace: &str, key: &str) {
        let output = self.kv(&["get", namespace, key]);
        assert_eq!(output.status.code(), Some(3), "{key}");
        assert_eq!((text(&output.stdout), text(&output.stderr)), Default::default(), "{key}");
    }

    #[track_caller]
    fn assert_refused(&self, args: &[&str], code: i32, words: &[&str]) {
        assert_refused(&self.kv(args), code, words);
    }
}

/// The names of what is in a directory, sorted.
fn names(dir: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| name(entry).unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_value_is_printed_as_it_was_given() {
    let root = Root::new();
    let values = [
        r#"{"b": 1,  "a": [1e2, 0.10]}"#,
        "123456789012345678901234567890",
        "-5",
        "-0.0",
        "null",
        r#""é\n""#,
        "false",
    ];
    for value in values {
        root.set("genes", "BRCA2", value);
        assert_eq!(root.printed(&["get", "genes", "BRCA2"]), format!("{value}\n"));
        assert_eq!(root.printed(&["get", "genes", "BRCA2", "--json"]), format!("{value}\n"));
    }
    root.printed_with(&["set", "genes", "BRCA2", "-"], " [1,\n 2]\n");
    assert_eq!(root.printed(&["get", "genes", "BRCA2"]), "[1,\n 2]\n");
}

#[test]
fn text_needs_no_quotes() {
    let root = Root::new();
    root.printed(&["set", "genes", "note", "--text", "a \"quoted\"\tword"]);
    assert_eq!(root.printed(&["get", "genes", "note"]), "\"a \\\"quoted\\\"\\tword\"\n");
    assert_eq!(root.printed(&["get", "genes", "note", "--text"]), "a \"quoted\"\tword\n");
    root.printed_with(&["set", "genes", "note", "--text", "-"], "two\nlines\n");
    assert_eq!(root.printed(&["get", "genes", "note"]), "\"two\\nlines\\n\"\n");
    root.set("genes", "number", "1");
    root.assert_refused(&["get", "genes", "number", "--text"], 1, &["number", "string"]);
}

#[test]
fn a_miss_has_an_exit_code_of_its_own() {
    let root = Root::new();
    root.set("genes", "BRCA2", "null");
    assert_eq!(root.printed(&["get", "genes", "BRCA2"]), "null\n");
    root.assert_miss("genes", "TP53");
    root.printed(&["set", "genes", "TP53", "1", "--ttl", "1h"]);
    assert_eq!(root.printed(&["get", "genes", "TP53"]), "1\n");
    // As if the hour had gone by.
    let database = root.path().join("kv/.larder/kv/genes.sqlite");
    let changed = Connection::open(database)
        .unwrap()
        .execute("UPDATE entry SET expires_at = expires_at - 3600000000000 WHERE key = 'TP53'", []);
    assert_eq!(changed, Ok(1));
    root.assert_miss("genes", "TP53");
    assert_eq!(root.printed(&["keys", "genes"]), "BRCA2\n");
}

#[test]
fn keys_stay_in_their_order() {
    let root = Root::new();
    for key in ["sp:b", "sp:a", "other", "", "two\nlines"] {
        root.set("genes", key, "1");
    }
    root.set("genes", "sp:b", "2");
    assert_eq!(root.printed(&["keys", "genes"]), "sp:b\nsp:a\nother\n\ntwo\nlines\n");
    assert_eq!(root.printed(&["keys", "genes", "--prefix", "sp:"]), "sp:b\nsp:a\n");
    let all = json!(["sp:b", "sp:a", "other", "", "two\nlines"]);
    assert_eq!(root.json(&["keys", "genes"]), all);
    assert_eq!(root.json(&["keys", "genes", "--prefix", "x"]), json!([]));
}

#[test]
fn hits_and_misses_of_standard_input_keep_order_and_repetitions() {
    let root = Root::new();
    root.set("genes", "a", "1");
    root.set("genes", "b", "2");
    let input = "b\nx\na\r\nb\nx";
    assert_eq!(root.printed_with(&["hits", "genes"], input), "b\na\nb\n");
    assert_eq!(root.printed_with(&["hits", "genes", "--misses"], input), "x\nx\n");
    let both = root.printed_with(&["hits", "genes", "--json"], input);
    let both: Value = serde_json::from_str(&both).unwrap();
    assert_eq!(both, json!({ "hits": ["b", "a", "b"], "misses": ["x", "x"] }));
    assert_eq!(root.printed(&["hits", "genes"]), "");
    assert_refused(&root.kv_with(&["hits", "genes"], b"a\n\xff\n"), 2, &["UTF-8"]);
}

#[test]
fn what_is_removed_is_gone() {
    let root = Root::new();
    for key in ["a", "b", "c"] {
        root.set("genes", key, "1");
    }
    let printed = root.printed(&["rm", "genes", "a", "x", "b"]);
    assert_eq!(printed, "not there  x\nremoved 2 of 3\n");
    assert_eq!(root.printed(&["keys", "genes"]), "c\n");
    assert_eq!(
        root.json(&["rm", "genes", "c", "c"]),
        json!({ "removed": ["c"], "missing": ["c"] })
    );

    root.printed(&["set", "genes", "old", "1", "--tag", "v1", "--tag", "both"]);
    root.printed(&["set", "genes", "new", "1", "--tag", "v2", "--tag", "both"]);
    assert_eq!(root.printed(&["clear", "genes", "--tag", "v1"]), "");
    assert_eq!(root.printed(&["keys", "genes"]), "new\n");
    assert_eq!(root.printed(&["clear", "genes", "--tag", "never"]), "");
    assert_eq!(root.printed(&["clear", "genes"]), "");
    assert_eq!(root.printed(&["keys", "genes"]), "");
    root.assert_miss("genes", "new");
}

#[test]
fn status_verify_and_vacuum_take_a_namespace() {
    let root = Root::new();
    let large: String = (0..100_000).map(|number| format!("{number},")).collect();
    let large = format!("[{large}0]");
    root.printed_with(&["set", "genes", "large", "-"], &large);
    root.set("other", "a", "1");
    let status = root.json(&["status", "genes"]);
    assert_eq!((&status["namespace"], &status["entries"]), (&json!("genes"), &json!(1)));
    assert_eq!(root.json(&["stats", "genes"]), status);
    assert_eq!(root.json(&["status"])["namespaces"]["genes"], status);
    let table = root.printed(&["stats", "genes"]);
    assert!(
        table.contains("genes") && table.contains("KiB") && !table.contains("other"),
        "{table}"
    );

    assert_eq!(root.json(&["verify", "genes"]), json!({ "entries": 1, "problems": [] }));
    assert!(root.printed(&["verify", "genes"]).ends_with("No problem was found.\n"));
    root.printed(&["rm", "genes", "large"]);
    let sizes = root.json(&["vacuum", "genes"]);
    assert!(sizes["bytes"].as_u64() <= sizes["bytes_before"].as_u64(), "{sizes}");
    assert!(sizes["bytes"].as_u64() < Some(100_000), "{sizes}");
    assert!(root.printed(&["vacuum", "genes"]).contains(", was "));
    assert_eq!(root.json(&["repair", "genes"]), json!({ "moved": [] }));
}

#[test]
fn a_document_goes_in_and_comes_out() {
    let root = Root::new();
    let document =
        "{\n  \"b\": {\"z\": 1,  \"a\": 12345678901234567890123},\n  \"a\": \"\\u00e9\"\n}\n";
    fs::write(root.file("in.json"), document).unwrap();
    assert_eq!(root.printed(&["import", "genes", "in.json"]), "2 imported, 0 skipped\n");
    assert_eq!(root.printed(&["export", "genes"]), document);

    fs::write(root.file("out.json"), "old").unwrap();
    assert_eq!(root.printed(&["export", "genes", "--output", "out.json"]), "2 exported\n");
    assert_eq!(fs::read_to_string(root.file("out.json")).unwrap(), document);
    let report = root.json(&["export", "genes", "--output", "again.json"]);
    assert_eq!(report, json!({ "entries": 2, "file": "again.json" }));
    let report = root.json(&["import", "copy", "again.json"]);
    assert_eq!(report, json!({ "entries": 2, "skipped": [] }));
    root.printed(&["clear", "copy"]);
    assert_eq!(root.printed(&["export", "copy"]), "{}\n");
}

#[test]
fn what_cannot_be_imported_is_named() {
    let root = Root::new();
    fs::write(root.file("odd.json"), r#"{"a": 1, "nan": NaN, "half": "\ud800", "b": 2}"#).unwrap();
    let output = root.kv(&["import", "genes", "odd.json"]);
    assert_eq!(output.status.code(), Some(1));
    let (printed, error) = (text(&output.stdout), text(&output.stderr));
    assert!(printed.ends_with("\n2 imported, 2 skipped\n"), "{printed}");
    assert!(printed.contains("nan") && printed.contains("half"), "{printed}");
    assert_eq!(error.lines().count(), 1);
    assert!(error.contains("odd.json") && error.contains("skipped: 2"), "{error}");
    assert_eq!(root.printed(&["keys", "genes"]), "a\nb\n");
}

#[test]
fn a_document_in_a_directory_is_a_cache_too() {
    let root = Root::new();
    let at = ["--document", "docs"];
    let kv = |args: &[&str]| root.printed(&[args, &at].concat());
    kv(&["set", "ensembl.v1", "a", "1"]);
    kv(&["set", "ensembl.v1", "b", "\"two\""]);
    let file = root.file("docs/ensembl.v1.json");
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\n  \"a\": 1,\n  \"b\": \"two\"\n}");
    assert_eq!(kv(&["get", "ensembl.v1", "b", "--text"]), "two\n");
    assert_eq!(kv(&["rm", "ensembl.v1", "a"]), "removed 1 of 1\n");
    assert_eq!(kv(&["keys", "ensembl.v1"]), "b\n");
    assert!(kv(&["stats", "ensembl.v1"]).contains("entries"));
    assert!(kv(&["verify", "ensembl.v1"]).contains("No problem"));
    kv(&["vacuum", "ensembl.v1"]);
    kv(&["clear", "ensembl.v1"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "{}");
    assert!(!root.path().exists(), "a document needs no root");

    let misses =
        [&["keys", "ensembl.v2"][..], &["export", "ensembl.v2"], &["verify", "ensembl.v2"]];
    for args in misses {
        root.assert_refused(&[args, &at].concat(), 2, &["docs", "ensembl.v2"]);
    }
    assert_eq!(names(&root.file("docs")), [".larder", "ensembl.v1.json"]);
    root.assert_refused(&["keys", "a", "--document", "none"], 2, &["none"]);
    assert!(!root.file("none").exists());
    let timed = ["set", "ensembl.v1", "a", "1", "--ttl", "1h"];
    root.assert_refused(&[&timed[..], &at].concat(), 2, &["time to live", "database"]);
    let url = ["set", "ensembl.v1", "a", "1", "--document", "s4://bucket/x"];
    root.assert_refused(&url, 2, &["s4://bucket/x", "s3://"]);
    assert_eq!(names(root.0.path()), ["docs"]);
}

#[test]
fn whoever_reads_only_the_head_makes_no_error() {
    let root = Root::new();
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    root.printed_with(&["set", "genes", "a", "-"], &large);
    for args in [&["get", "genes", "a"][..], &["export", "genes"]] {
        let mut command = larder();
        command.arg("kv").args(args).arg("--root").arg(root.path());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    }
}

#[test]
fn the_help_fits_a_terminal_and_tells_of_each_subcommand() {
    let help = |args: &[&str]| {
        let help = larder().arg("kv").args(args).env("COLUMNS", "80").output().unwrap();
        let help = text(&help.stdout);
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        help
    };
    let all = help(&["--help"]);
    let subcommands = [
        "get", "set", "rm", "keys", "import", "export", "hits", "status", "clear", "vacuum",
        "verify", "repair",
    ];
    for subcommand in subcommands {
        assert!(all.contains(&format!("\n  {subcommand} ")), "{subcommand}: {all}");
        assert!(help(&[subcommand, "--help"]).contains("NAMESPACE"), "{subcommand}");
    }
    let get = help(&["get", "--help"]);
    assert!(
        get.split_whitespace().collect::<Vec<_>>().join(" ").contains("exit code is 3"),
        "{get}"
    );
}
