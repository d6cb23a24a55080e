//! Python's json, and a `LookupCache` as VmaxBuilder's package has it, on the documents that Larder keeps.

use std::{fs, path::Path, sync::Arc, thread};

use larder::kv_cache::{GeneSequenceResult, KvCache, Lookup, Options, SequenceRecord};
use larder_storage::{Durability, LocalStorage};
use serde_json::{Value, json};

use crate::support::{python, text};

/// Values of every kind that Python's json writes; `others` takes the lone surrogates, which have no form in UTF-8.
const VALUES: &str = r#"
import json, math, pathlib, sys, time
path = pathlib.Path(sys.argv[1])
values = {
    "plain": 1, "": None, "nan": math.nan, "inf": [1, -math.inf], "big": 10**30, "huge": [10**50],
    "caf\u00e9": "\u4e2d\u6587 \U0001f600", "a\"b\\c\n\0": "\x7f\u2028", "floats": [0.1, 1e300, 5e-324, -0.0, 1e22],
    "deep": {"x": [[], {}, {"y": [True, False, None]}], "": 0}, "max": [2**64 - 1, -2**63, 2**53 + 1],
}
others = {"half": "a\ud800b", "\udfff key": 1}
"#;

/// Writes them as ASCII alone, or as the text that they are.
const WRITE: &str = r#"
ascii = sys.argv[2] == "ascii"
with open(path, "w", encoding="utf-8") as file:
    json.dump(values | others if ascii else values, file, indent=2, ensure_ascii=ascii)
"#;

/// Reads what Larder left of them: all but `plain` as it was, in its order, and `ours` at the end.
const CHECK: &str = r#"
expected = values | others if sys.argv[2] == "ascii" else values
found = json.loads(path.read_text("utf-8"))
assert found.pop("ours") == {"x": [1.5, "\u4e2d"]} and found["plain"] == 2, found
expected["plain"] = 2
assert repr(found) == repr(expected), (found, expected)
"#;

/// What an export leaves out.
const CHECK_EXPORT: &str = r#"
found = json.loads(path.read_text("utf-8"))
assert repr(found) == repr({k: v for k, v in values.items() if k not in ("nan", "inf")}), found
"#;

/// The rules of the package: the suffix replaced, the whole file written to a name beside it and renamed.
const LOOKUP_CACHE: &str = r#"
import json, pathlib, sys
class LookupCache:
    def __init__(self, cache_dir, namespace):
        self.path = (pathlib.Path(cache_dir) / namespace).with_suffix(".json")
        self.values = json.loads(self.path.read_text("utf-8")) if self.path.exists() else {}
    def set(self, key, value):
        self.values[key] = value
        beside = self.path.with_suffix(".tmp")
        with open(beside, "w", encoding="utf-8") as file:
            json.dump(self.values, file, indent=2)
        beside.replace(self.path)
root = sys.argv[1]
"#;

fn run(test: &str, program: &str, args: &[&Path]) -> Option<String> {
    let output = python(test, program, args)?;
    assert!(output.status.success(), "{}", text(&output.stderr));
    Some(text(&output.stdout))
}

fn document(dir: &Path, namespace: &str) -> KvCache {
    let storage = Arc::new(LocalStorage::open(dir, Durability::Scratch).unwrap());
    KvCache::open_document(storage, namespace, Options::default()).unwrap()
}

#[test]
fn python_reads_our_document_and_we_read_pythons() {
    for mode in ["ascii", "text"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("values.json");
        let run = |program: &str, path: &Path| {
            let program = format!("{VALUES}{program}");
            run("documents of Python's json", &program, &[path, Path::new(mode)])
        };
        let Some(_) = run(WRITE, &path) else { return };
        let cache = document(dir.path(), "values");
        reads_every_value(&cache);
        let unreadable = if mode == "ascii" { 4 } else { 2 };
        let report = cache.verify().unwrap();
        assert_eq!((report.entries, report.problems.len()), (9 + unreadable as u64, unreadable));

        let (home, exported) = (tempfile::tempdir().unwrap(), dir.path().join("exported"));
        let database = KvCache::open(home.path(), "values", Options::default()).unwrap();
        let imported = database.import(&fs::read(&path).unwrap()).unwrap();
        assert_eq!((imported.entries, imported.skipped.len()), (9, unreadable), "{mode}");
        reads_every_value(&database);
        database.export(&mut fs::File::create(&exported).unwrap()).unwrap();
        run(CHECK_EXPORT, &exported);

        cache.update("plain", |n: Lookup<u8>| n.hit().unwrap() + 1).unwrap();
        cache.set("ours", &json!({"x": [1.5, "中"]})).unwrap();
        run(CHECK, &path);
    }
}

fn reads_every_value(cache: &KvCache) {
    let get = |key: &str| cache.get::<Value>(key).unwrap().hit().unwrap();
    assert_eq!(get("plain"), json!(1));
    assert_eq!(get(""), Value::Null);
    assert_eq!(get("café"), json!("中文 😀"));
    assert_eq!(get("a\"b\\c\n\0"), json!("\x7f\u{2028}"));
    assert_eq!(get("deep"), json!({"x": [[], {}, {"y": [true, false, null]}], "": 0}));
    assert_eq!(get("max"), json!([u64::MAX, i64::MIN, (1_u64 << 53) + 1]));
    assert_eq!(cache.get("big").unwrap(), Lookup::Hit(10_i128.pow(30)));
    let huge = cache.get_json("huge").unwrap().hit().unwrap();
    assert!(text(&huge).contains(&format!("1{}", "0".repeat(50))));
    let floats = cache.get::<[f64; 5]>("floats").unwrap().hit().unwrap();
    assert_eq!(floats.map(f64::to_bits), [0.1, 1e300, 5e-324, -0.0, 1e22].map(f64::to_bits));
}

#[test]
fn a_lookup_cache_of_python_and_ours_are_one() {
    let dir = tempfile::tempdir().unwrap();
    let run =
        |program: &str| run("a LookupCache", &format!("{LOOKUP_CACHE}{program}"), &[dir.path()]);
    let made = run(r#"LookupCache(root, "genes").set("b:1", {"x": [1.50, None]})
LookupCache(root, "genes").set("a", None)"#);
    let Some(_) = made else { return };
    let cache = document(dir.path(), "genes");
    assert_eq!(cache.keys().unwrap(), ["b:1", "a"]);
    assert_eq!(cache.get("a").unwrap(), Lookup::Hit(Value::Null));
    cache.set("gene", &gene()).unwrap();

    let seen = run(r#"cache = LookupCache(root, "genes")
print(json.dumps(cache.values))
cache.set("theirs", "\u00e9")"#);
    let seen: Value = serde_json::from_str(&seen.unwrap()).unwrap();
    let record = json!(
        {"sequence": "MKV", "source": "ensembl", "accession": "P1", "is_canonical": true}
    );
    let expected = json!({
        "b:1": {"x": [1.5, null]}, "a": null,
        "gene": {"gene_symbol": "BRCA2", "sequences": [record], "errors": []},
    });
    assert_eq!(seen, expected);
    assert_eq!(cache.get("theirs").unwrap(), Lookup::Hit("é".to_owned()), "seen at once");
    assert_eq!(cache.get("gene").unwrap(), Lookup::Hit(gene()));
    assert_eq!(cache.keys().unwrap(), ["b:1", "a", "gene", "theirs"]);
}

fn gene() -> GeneSequenceResult {
    let (sequence, source) = ("MKV".into(), "ensembl".into());
    let record =
        SequenceRecord { sequence, source, accession: Some("P1".into()), is_canonical: true };
    let (gene_symbol, errors) = ("BRCA2".into(), Vec::new());
    GeneSequenceResult { gene_symbol, sequences: vec![record], errors }
}

#[test]
fn namespaces_with_dots_are_one_in_python_and_two_here() {
    let dir = tempfile::tempdir().unwrap();
    let run =
        |program: &str| run("a LookupCache", &format!("{LOOKUP_CACHE}{program}"), &[dir.path()]);
    let made = run(r#"LookupCache(root, "ensembl.v1").set("a", 1)
LookupCache(root, "ensembl.v2").set("b", 2)"#);
    let Some(_) = made else { return };
    assert_eq!(document(dir.path(), "ensembl").keys().unwrap(), ["a", "b"]);
    for namespace in ["ensembl.v1", "ensembl.v2"] {
        let cache = document(dir.path(), namespace);
        assert!(cache.is_empty().unwrap());
        cache.set("name", namespace).unwrap();
    }
    let seen = run(r#"for name in ["ensembl.v1.json", "ensembl.v2.json", "ensembl"]:
    print(LookupCache(root, name).values)"#);
    let expected = "{'name': 'ensembl.v1'}\n{'name': 'ensembl.v2'}\n{'a': 1, 'b': 2}\n";
    assert_eq!(seen.unwrap(), expected);
}

#[test]
fn python_reads_a_whole_document_while_we_write() {
    let dir = tempfile::tempdir().unwrap();
    let cache = document(dir.path(), "busy");
    cache.set("n", &0).unwrap();
    let read = r#"before = reads = 0
while before < 300:
    values = LookupCache(root, "busy").values
    assert len(values) == 1 + values["n"] and values["n"] >= before, values
    before = values["n"]
    reads += 1
print(reads)"#;
    let program = format!("{LOOKUP_CACHE}{read}");
    thread::scope(|scope| {
        let reader = scope.spawn(|| run("reads while we write", &program, &[dir.path()]));
        for n in 1..=300 {
            cache.set_many([("n".to_owned(), n), (format!("key {n}"), n)]).unwrap();
        }
        if let Some(reads) = reader.join().unwrap() {
            assert!(reads.trim().parse::<u32>().unwrap() > 0);
        }
    });
}
