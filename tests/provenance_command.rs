//! `larder provenance`: what it prints, what it changes and what it refuses.

use std::{
    fs,
    io::Write,
    iter,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use larder::provenance::{Id, Json, Options, Provenance, ProvenanceStore};
use serde_json::{Value, json};

use crate::{
    misuse::assert_refused,
    support::{self, larder, text},
};

mod graphs;
mod misses;

fn provenance(dir: &Path, args: &[&str]) -> Output {
    let mut command = larder();
    command.arg("provenance").args(args).args(["--dir", "store"]).current_dir(dir);
    command.output().unwrap()
}

#[track_caller]
fn printed(dir: &Path, args: &[&str]) -> String {
    let output = provenance(dir, args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
fn json_of(dir: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&printed(dir, &[args, &["--json"]].concat())).unwrap()
}

type Store = ProvenanceStore<Vec<u8>>;

fn open(dir: &Path) -> Store {
    Store::open(dir.join("store"), Options::default()).unwrap()
}

/// `reads`, which nothing is known of; `sorted` and `filtered` from it; `joined` from both, which is JSON.
struct Family {
    dir: tempfile::TempDir,
    reads: Id,
    sorted: Id,
    filtered: Id,
    joined: Id,
}

impl Family {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let reads = store.put(vec![1; 1000], None).unwrap();
        let sorted = store.put(vec![2; 2048], Some(sort(reads))).unwrap();
        let filter = Provenance::new("filter").input(reads).param("least", 0.5);
        let filtered = store.put(vec![3; 500], Some(filter)).unwrap();
        let join = Provenance::new("join").input_as("left", sorted).input_as("right", filtered);
        let joined = store.view::<Json<u32>>().put(Json(7), Some(join)).unwrap();
        Self { dir, reads, sorted, filtered, joined }
    }

    #[track_caller]
    fn printed(&self, args: &[&str]) -> String {
        printed(self.dir.path(), args)
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        json_of(self.dir.path(), args)
    }

    #[track_caller]
    fn refused(&self, args: &[&str], words: &[&str]) {
        assert_refused(&provenance(self.dir.path(), args), 2, words);
    }

    fn states(&self) -> [String; 4] {
        [self.reads, self.sorted, self.filtered, self.joined]
            .map(|id| self.json(&["show", &id.to_string()])["state"].as_str().unwrap().to_owned())
    }

    /// The ids that the listing has, in its order.
    fn listed(&self, args: &[&str]) -> Vec<Id> {
        let lines = self.printed(&[&["ls", "--json"], args].concat());
        let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.map(|record| record["id"].as_str().unwrap().parse().unwrap()).collect()
    }
}

fn sort(reads: Id) -> Provenance {
    let made = Provenance::new("sort").version("2").input(reads).param("stable", true);
    made.param("window", 500).recorded("threads", 8).environment("cpu", "avx2").salt("again")
}

/// The last digits of an id, which tell apart what was stored at once.
fn end(id: Id) -> String {
    id.to_string()[24..].to_owned()
}

#[test]
fn results_are_listed_from_the_oldest_on() {
    let family = Family::new();
    let Family { reads, sorted, filtered, joined, .. } = family;
    assert_eq!(family.listed(&[]), [reads, sorted, filtered, joined]);
    assert_eq!(family.listed(&["--kind", "json"]), [joined]);
    family.printed(&["tag", &end(sorted), "release 1"]);
    family.printed(&["tag", &end(reads), "release 1"]);
    assert_eq!(family.listed(&["--tag", "release 1"]), [reads, sorted]);
    family.printed(&["invalidate", &end(sorted)]);
    assert_eq!(family.listed(&[]), [reads, filtered, joined]);
    assert_eq!(family.listed(&["--all"]), [reads, sorted, filtered, joined]);

    let table = family.printed(&["ls", "--all"]);
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["id", "created", "state", "size", "kind", "operation"]);
    assert_eq!(rows[2][2..], ["live", "1000", "B", "bytes", "-"], "{table}");
    assert_eq!(rows[3][2..], ["invalid", "2.0", "KiB", "bytes", "sort"], "{table}");
    assert_eq!(rows[5][2..], ["doubtful", "1", "B", "json", "join"], "{table}");
    assert_eq!(rows[5][0], joined.to_string());
}

#[test]
fn a_record_is_shown_whole() {
    let family = Family::new();
    let (dir, id) = (family.dir.path(), family.sorted.to_string());
    for args in [["tag", &id, "release"], ["tag", &id, "a"], ["note", &id, "look\nhere"]] {
        family.printed(&args);
    }
    let shown = family.printed(&["show", &id]);
    let lines: Vec<_> = shown.lines().map(|line| line.split_once("  ").unwrap()).collect();
    let said = |name: &str| {
        let found = lines.iter().find(|(it, _)| *it == name);
        found.unwrap_or_else(|| panic!("{name}: {shown}")).1.trim_start()
    };
    assert_eq!([said("id"), said("kind"), said("state")], [id.as_str(), "bytes", "live"]);
    assert_eq!([said("size"), said("tags")], ["2.0 KiB (2048 bytes)", "a, release"]);
    assert_eq!(said("note"), "look\\nhere", "a line stays one");
    assert_eq!([said("operation"), said("version"), said("salt")], ["sort", "2", "again"]);
    assert_eq!(said("inputs"), format!("{}  live  -", family.reads));
    assert_eq!(said("environment"), "cpu = \"avx2\"");
    assert_eq!([said("parameters"), said("recorded")], ["stable = true", "threads = 8"]);
    assert!(shown.contains("\n             window = 500\n"), "{shown}");
    assert_eq!(said("key"), sort(family.reads).digest().to_string());

    let value = family.json(&["show", &id]);
    let read = Provenance::from_json(&value["provenance"].to_string()).unwrap();
    assert_eq!(read, sort(family.reads), "it can be asked for again");
    assert_eq!((&value["size"], &value["tags"]), (&json!(2048), &json!(["a", "release"])));
    assert_eq!(provenance(dir, &["show", &id, "--payload"]).stdout, vec![2; 2048]);
    assert_eq!(family.printed(&["show", &end(family.joined), "--payload"]), "7", "of any kind");
    assert!(family.printed(&["show", &end(family.reads)]).contains("made by  not known\n"));

    family.printed(&["note", &id, ""]);
    family.printed(&["untag", &id, "a"]);
    let value = family.json(&["show", &id]);
    assert_eq!((&value["note"], &value["tags"]), (&Value::Null, &json!(["release"])));
    family.refused(&["untag", &id, "a"], &["has no tag \"a\""]);
}

#[test]
fn a_record_is_named_by_a_part_of_its_id_or_by_a_tag() {
    // The first digits are of the minute, which may end between two records.
    let is_of_one_minute = |it: &Family| it.reads.to_string()[..8] == it.joined.to_string()[..8];
    let family = iter::repeat_with(Family::new).find(is_of_one_minute).unwrap();
    let id = family.joined.to_string();
    family.printed(&["tag", &id, "last"]);
    for name in [&id, &id.to_uppercase(), &id.replace('-', ""), &id[..30], &id[26..], "@last"] {
        assert_eq!(family.json(&["show", name])["id"], id.as_str(), "{name}");
    }
    family.refused(&["show", &id[29..]], &["no name of a record", "at least 8 digits"]);
    family.refused(&["show", "release 1"], &["no name of a record", "@TAG"]);
    family.refused(&["show", "00000000"], &["no record has an id that begins", "ls --all"]);
    family.refused(&["show", "@none"], &["no record has the tag \"none\""]);
    family.refused(&["show", "00000000-0000-0000-0000-000000000000"], &["there is no record 0000"]);
    family.refused(&["show", &id[..8]], &["4 records have an id that begins", "name one"]);
    family.printed(&["tag", &family.reads.to_string(), "last"]);
    family.refused(&["show", "@last"], &["2 records have the tag", &id]);
}

#[test]
fn what_is_invalid_makes_doubtful_what_was_made_from_it() {
    let family = Family::new();
    let id = family.sorted.to_string();
    let dry = family.printed(&["invalidate", &id, "--dry-run"]);
    assert_eq!(family.states(), ["live"; 4]);
    assert!(dry.ends_with(&format!(
        "would invalidate {id}, and declare 1 record made from it to be doubtful\n"
    )));
    assert_eq!(dry.lines().next().unwrap(), format!("{id}  2.0 KiB  sort"));
    let done = family.json(&["invalidate", &id]);
    let doubtful = json!([family.joined.to_string()]);
    assert_eq!(done, json!({ "dry_run": false, "invalid": id, "doubtful": doubtful }));
    assert_eq!(family.states(), ["live", "invalid", "live", "doubtful"]);
    family.refused(&["show", &id, "--payload"], &["is invalid", "compute it anew"]);
}

#[test]
fn results_are_given_up_unless_they_are_pinned() {
    let family = Family::new();
    let Family { sorted, filtered, joined, .. } = family;
    assert_eq!(family.printed(&["gc"]), "gave up 0 results, 0 B in all\n");
    assert_eq!(family.printed(&["gc", "--max-age", "1d"]), "gave up 0 results, 0 B in all\n");
    assert_eq!(family.printed(&["pin", &end(sorted)]), format!("pinned {sorted}\n"));
    let gc = ["gc", "--max-bytes", "1B", "--dry-run"];
    let expected = format!("{filtered}  500 B  filter\n{joined}  1 B  join\n");
    assert_eq!(family.printed(&gc), expected.clone() + "would give up 2 results, 501 B in all\n");
    assert_eq!(family.states(), ["live"; 4]);
    assert_eq!(family.json(&["unpin", &end(sorted)]), json!({ "unpinned": sorted.to_string() }));
    let collected = family.json(&["gc", "--max-bytes", "1kB"]);
    let ids = [sorted, filtered, joined].map(|id| id.to_string());
    assert_eq!((&collected["collected"], &collected["bytes"]), (&json!(ids), &json!(2549)));
    assert_eq!(family.states(), ["live", "collected", "collected", "collected"]);
    assert_eq!(family.json(&["status"])["without_payload"], 3);
}

#[test]
fn stores_are_merged() {
    let (ours, theirs) = (Family::new(), Family::new());
    let place = theirs.dir.path().join("store");
    // Records without provenance are others, and so is all that was made from them.
    let said = ours.printed(&["merge", place.to_str().unwrap()]);
    assert_eq!(said, "4 added, 0 there already, 0 conflicts\n");
    let again = ours.json(&["merge", place.to_str().unwrap()]);
    assert_eq!(again, json!({ "added": 0, "found": 4, "conflicts": [], "problems": [] }));
    assert_eq!(ours.listed(&[]).len(), 8);
    assert_eq!(ours.printed(&["show", &theirs.joined.to_string(), "--payload"]), "7");

    fs::remove_dir_all(place.join("blobs")).unwrap();
    let empty = tempfile::tempdir().unwrap();
    drop(open(empty.path()));
    let output = provenance(empty.path(), &["merge", place.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("the payload is missing or damaged\n0 added"));
    assert!(text(&output.stderr).contains("look after them there"));
}

#[test]
fn damage_is_named_and_mended() {
    let family = Family::new();
    let dir = family.dir.path();
    assert!(family.printed(&["verify"]).ends_with("No problem was found.\n"));
    let index = dir.join("store/.larder/provenance.sqlite");
    fs::write(&index, vec![0x5a; 8192]).unwrap();
    assert_refused(&provenance(dir, &["ls"]), 1, &["provenance.sqlite", "repair"]);
    let moved = family.json(&["repair"]);
    let moved = dir.join(moved["moved"][0].as_str().unwrap());
    assert_eq!(fs::read(moved).unwrap(), vec![0x5a; 8192], "nothing is deleted");
    assert_eq!(family.states(), ["live"; 4]);

    let published = walk(&dir.join("store/records"));
    fs::write(&published[0], "no record").unwrap();
    for args in ["verify", "reindex"] {
        let output = provenance(dir, &[args]);
        assert_eq!(output.status.code(), Some(1), "{args}");
        assert!(text(&output.stdout).contains("problem  "), "{args}: {}", text(&output.stdout));
        assert!(text(&output.stderr).contains("larder provenance reindex"), "{args}");
    }
    assert_eq!(family.listed(&[]).len(), 3);
    fs::remove_file(&published[0]).unwrap();
    assert_eq!(family.json(&["refresh"])["removed"], 0);
    fs::remove_file(&published[1]).unwrap();
    assert_eq!(family.json(&["refresh"])["removed"], 1);
    assert_eq!(family.printed(&["reindex"]), "2 read, 0 removed\n");
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

#[test]
fn a_store_that_is_not_there_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let id = "00000000-0000-0000-0000-000000000000";
    let asked: [&[&str]; 12] = [
        &["ls"],
        &["show", id],
        &["lineage", id],
        &["why-miss", "--like", id],
        &["invalidate", id],
        &["gc"],
        &["pin", id],
        &["export", "-o", "all.json"],
        &["merge", "elsewhere"],
        &["verify"],
        &["repair"],
        &["reindex"],
    ];
    for args in asked {
        let words = ["store: there is no provenance store here", "`provenance` under a root"];
        assert_refused(&provenance(dir.path(), args), 2, &words);
    }
    let output = larder().args(["provenance", "ls", "--root", "none"]).current_dir(&dir).output();
    assert_refused(&output.unwrap(), 2, &["none: there is no Larder root here"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let family = Family::new();
    family.refused(&["merge", "elsewhere"], &["elsewhere: there is no provenance store here"]);
    assert!(!family.dir.path().join("elsewhere").exists());
}

#[test]
fn the_tour_is_known_from_its_root() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    support::json(&root, &["tour"]);
    let output = larder().args(["provenance", "ls", "--root"]).arg(&root).output().unwrap();
    let table = text(&output.stdout);
    for operation in
        ["import genome \"gi|9626243|ref|NC_001416.1|\"", "gc_skew", "open_reading_frames"]
    {
        assert!(table.contains(operation), "{table}");
    }
}
