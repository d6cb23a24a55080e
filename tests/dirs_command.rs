//! `larder dirs`: what it prints and what it refuses, and the daemon as a process of its own.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStderr, Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use larder::{
    dir_cache::{BuildOptions, DirCache, Lru, Measure, Options},
    storage::Error,
};
use serde_json::{Value, json};

use crate::{
    misuse::assert_refused,
    support::{is_installed, larder, repository, skip, text},
};

const KIB: usize = 1024;
const DAY: Duration = Duration::from_secs(86_400);

fn dirs(dir: &Path, args: &[&str]) -> Output {
    larder().arg("dirs").args(args).args(["--dir", "cache"]).current_dir(dir).output().unwrap()
}

#[track_caller]
fn printed(dir: &Path, args: &[&str]) -> String {
    let output = dirs(dir, args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
fn json_of(dir: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&printed(dir, &[args, &["--json"]].concat())).unwrap()
}

/// What the listing has in its first column.
fn listed(dir: &Path, args: &[&str]) -> Vec<String> {
    let listing = json_of(dir, &[&["ls"], args].concat());
    let key = |entry: &Value| entry["key"].as_str().unwrap().to_owned();
    listing.as_array().unwrap().iter().map(key).collect()
}

/// Options by which only lengths count, so that the figures are the same on every file system.
fn options(evict_above: usize) -> Options {
    let options = Options::new(evict_above as u64).measure(Measure::Apparent);
    options.policy(Arc::new(Lru)).background(false)
}

fn open(dir: &Path, options: Options) -> DirCache {
    DirCache::open(dir.join("cache"), options).unwrap()
}

fn build(cache: &DirCache, key: &str, kib: usize, options: BuildOptions) {
    let built = cache.get_or_build_with(key, options, |stage| {
        let written = fs::write(stage.join("data"), vec![7; kib * KIB]);
        written.map_err(|error| Error::io(error, "cannot write"))
    });
    drop(built.unwrap());
}

/// Four entries of 2, 1, 4 and 3 KiB, above a threshold of 9; the one built first is accessed last, and the second most.
fn four() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), options(9 * KIB));
    for (key, kib) in [("b/two", 2), ("a", 1), ("d", 4)] {
        build(&cache, key, kib, BuildOptions::default());
    }
    build(&cache, "c", 3, BuildOptions::default().pinned(true).ttl(3 * DAY));
    for key in ["a", "a", "d", "b/two"] {
        drop(cache.get(key).unwrap().unwrap());
    }
    dir
}

#[test]
fn entries_are_listed_in_any_order() {
    let dir = four();
    let order = |by: &str| listed(dir.path(), &["--sort", by]);
    assert_eq!(listed(dir.path(), &[]), ["a", "b/two", "c", "d"]);
    assert_eq!(order("size"), ["d", "c", "b/two", "a"]);
    assert_eq!(order("age"), ["c", "a", "d", "b/two"]);
    assert_eq!(order("count"), ["a", "b/two", "d", "c"]);
    let listing = json_of(dir.path(), &["ls", "--sort", "cost"]);
    let costs = listing.as_array().unwrap().iter().map(|entry| entry["build_cost_s"].as_f64());
    assert!(costs.collect::<Vec<_>>().is_sorted_by(|dear, cheap| dear >= cheap), "{listing}");

    let table = printed(dir.path(), &["ls"]);
    let rows: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["key", "size", "files", "accesses", "age", "cost", "pinned", "expires"]);
    assert_eq!(rows[2][..5], ["a", "1.0", "KiB", "1", "3"]);
    assert_eq!(rows[4][7..], ["ms", "yes", "in", "2d"], "{table}");
    assert_eq!(rows[5][8..], ["-", "-"], "{table}");
    let status = json_of(dir.path(), &["status"]);
    let figures = ["entries", "size", "overage", "evict_above"].map(|figure| &status[figure]);
    assert_eq!(figures, [4, 10 * KIB, KIB, 9 * KIB], "as it was opened before");
    assert!(printed(dir.path(), &["status"]).contains("limit        none\n"));
}

#[test]
fn a_dry_run_shows_what_would_go_and_changes_nothing() {
    let dir = four();
    let before = printed(dir.path(), &["ls", "--json"]);
    // Neither the pinned entry nor the newest, which are one here.
    let shown = printed(dir.path(), &["evict", "--dry-run"]);
    assert_eq!(shown, "a  1.0 KiB\nwould evict 1 entry of 1.0 KiB\n");
    let by_count = json_of(dir.path(), &["evict", "--dry-run", "--policy", "lfu"]);
    let gone = json!([{ "key": "d", "size": 4 * KIB }]);
    assert_eq!((&by_count["evicted"], &by_count["overage"]), (&gone, &json!(0)));
    assert_eq!(printed(dir.path(), &["ls", "--json"]), before);
    assert!(dir.path().join("cache/a/data").exists());

    assert_eq!(printed(dir.path(), &["evict"]), "a  1.0 KiB\nevicted 1 entry of 1.0 KiB\n");
    assert_eq!(listed(dir.path(), &[]), ["b/two", "c", "d"]);
    assert_eq!(printed(dir.path(), &["evict"]), "evicted 0 entries of 0 B\n");
}

#[test]
fn entries_are_pinned_let_go_and_removed() {
    let dir = four();
    let done = |args: &[&str]| printed(dir.path(), args);
    assert_eq!(done(&["pin", "a", "d", "none"]), "not there  none\npinned 2 of 3\n");
    assert_eq!(json_of(dir.path(), &["evict"])["evicted"][0]["key"], "b/two");
    assert_eq!(done(&["unpin", "a"]), "unpinned 1 of 1\n");
    let pinned = |key| json_of(dir.path(), &["ls"])[key]["pinned"].clone();
    assert_eq!((pinned(0), pinned(1), pinned(2)), (json!(false), json!(true), json!(true)));
    assert_eq!(done(&["rm", "a", "none"]), "not there  none\nremoved 1 of 2\n");

    let cache = DirCache::open_existing(dir.path().join("cache")).unwrap();
    let lease = cache.get("d").unwrap().unwrap();
    for args in [&["rm", "d", "c"][..], &["rm", "--all"]] {
        let output = dirs(dir.path(), args);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stdout).starts_with("in use  d\nremoved "), "{args:?}");
        assert!(text(&output.stderr).contains("1 entry is in use"), "{args:?}");
        assert_eq!(listed(dir.path(), &[]), ["d"]);
    }
    drop(lease);
    assert_eq!(done(&["rm", "--all"]), "removed 1 entry\n");
    assert!(!dir.path().join("cache/d").exists());
}

#[test]
fn damage_is_named_and_mended() {
    let dir = four();
    assert_eq!(printed(dir.path(), &["verify"]).lines().last(), Some("No problem was found."));
    let files = dir.path().join("cache");
    fs::write(files.join("a/data"), "short").unwrap();
    let output = dirs(dir.path(), &["verify"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(said.contains("problem  dirs: a: has 1 files of 5 bytes where 1 of 1024"), "{said}");
    assert!(text(&output.stderr).contains("larder dirs recount"));
    fs::create_dir(files.join("new")).unwrap();
    fs::write(files.join("new/.cache_meta"), r#"{"size": 0, "access_count": 1}"#).unwrap();
    // An open takes on what is new, a recount what was changed.
    assert_eq!(printed(dir.path(), &["recount"]), "corrected  a\n5 entries of 9.0 KiB\n");
    printed(dir.path(), &["verify"]);

    let index = files.join(".larder/dirs.sqlite");
    let before = listed(dir.path(), &["--sort", "count"]);
    fs::write(&index, vec![0x5a; 8192]).unwrap();
    assert_refused(&dirs(dir.path(), &["ls"]), 1, &["dirs.sqlite", "repair"]);
    let moved = json_of(dir.path(), &["repair"]);
    let moved = Path::new(moved["moved"][0].as_str().unwrap());
    assert_eq!(fs::read(dir.path().join(moved)).unwrap(), vec![0x5a; 8192], "nothing is deleted");
    assert_eq!(listed(dir.path(), &["--sort", "count"]), before);
    assert_eq!(json_of(dir.path(), &["repair"]), json!({ "moved": [] }));
}

/// `larder dirs daemon` as a process, and what it has said, without the times.
struct Daemon {
    process: Child,
    said: BufReader<ChildStderr>,
    heard: Vec<String>,
}

impl Daemon {
    /// Started, and ready.
    fn start(dir: &Path, args: &[&str]) -> Self {
        let mut command = larder();
        command.args(["dirs", "daemon", "--dir", "cache"]).args(args).current_dir(dir);
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(process.stderr.take().unwrap());
        let mut daemon = Self { process, said, heard: Vec::new() };
        daemon.wait_for("ready: ");
        daemon
    }

    /// Waits for a line that begins so, unless there was one.
    #[track_caller]
    fn wait_for(&mut self, line: &str) {
        while !self.heard.iter().any(|heard| heard.starts_with(line)) {
            let mut next = String::new();
            self.said.read_line(&mut next).unwrap();
            let what = next.split_once("Z ").map(|(_, what)| what.trim_end().to_owned());
            self.heard.push(what.unwrap_or_else(|| panic!("{line}: {:?}, {next:?}", self.heard)));
        }
    }

    /// Ends it with a signal; returns all that it said.
    #[track_caller]
    fn end(mut self, signal: &str) -> Vec<String> {
        let kill = format!("kill -{signal} {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        self.wait_for(&format!("SIG{signal}: a last cycle"));
        self.wait_for("ended");
        assert_eq!(self.process.wait().unwrap().code(), Some(0), "{:?}", self.heard);
        std::mem::take(&mut self.heard)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_daemon_keeps_the_cache_below_its_size_and_ends_with_a_cycle() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), options(1 << 30));
    for key in ["a", "b", "c"] {
        build(&cache, key, 64, BuildOptions::default());
    }
    drop(cache);
    let args = ["--evict-above", "160KiB", "--policy", "lru", "--interval", "1h", "--ttl", "7d"];
    let mut daemon = Daemon::start(dir.path(), &args);
    daemon.wait_for("cycle: 2 entries, ");
    assert!(daemon.heard.contains(&"evicted a".to_owned()), "{:?}", daemon.heard);

    let cache = DirCache::open_existing(dir.path().join("cache")).unwrap();
    for _ in 0..5 {
        drop(cache.get("c").unwrap().unwrap());
    }
    build(&cache, "d", 64, BuildOptions::default());
    let accesses = || {
        let meta = fs::read(dir.path().join("cache/c/.cache_meta")).unwrap();
        serde_json::from_slice::<Value>(&meta).unwrap()["access_count"].clone()
    };
    assert_eq!(accesses(), 1, "as it was published");
    let said = daemon.end("TERM");
    assert_eq!(accesses(), 6, "{said:?}");
    assert!(said.contains(&"evicted b".to_owned()), "{said:?}");
    let listing = json_of(dir.path(), &["ls"]);
    assert!(listing[0]["expires_at"].is_null(), "it was built before: {listing}");
    assert!(listing[1]["expires_at"].is_string(), "by the settings of the daemon: {listing}");
}

#[test]
fn when_the_daemon_that_leads_is_killed_another_one_leads() {
    let dir = tempfile::tempdir().unwrap();
    let args = ["--evict-above", "1GiB", "--interval", "1s"];
    let mut first = Daemon::start(dir.path(), &args);
    first.wait_for("leads");
    let second = &mut Daemon::start(dir.path(), &args);
    let killed = Instant::now();
    drop(first);
    second.wait_for("leads");
    // One interval, and room for a machine that is busy.
    assert!(killed.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_daemon_with_other_settings_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path(), &["--evict-above", "1MB", "--limit", "2MB"]);
    let output = dirs(dir.path(), &["daemon", "--evict-above", "2MB", "--limit", "2MB"]);
    assert_refused(&output, 1, &["other settings", "evict_above 1000000 and not 2000000"]);
    // Whoever only looks takes the settings that are there.
    assert_eq!(json_of(dir.path(), &["status"])["limit"], 2_000_000);
    daemon.end("INT");
    let other = Daemon::start(dir.path(), &["--evict-above", "2MB", "--limit", "2MB"]);
    other.end("TERM");
}

#[test]
fn what_cannot_work_is_refused_and_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |args: &[&str], words: &[&str]| {
        let output = dirs(dir.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let said = text(&output.stderr);
        assert!(words.iter().all(|word| said.contains(word)), "{args:?}: {said}");
    };
    for size in ["50", "0GB", "1.5GB", "50 GB", "50G", "-1GB", "99999999TB"] {
        let argument = format!("--evict-above={size}");
        refused(&["daemon", &argument], &["--evict-above", "a whole number above 0 and B, kB"]);
    }
    for time in ["60", "0s", "1.5h", "1y"] {
        let argument = format!("--interval={time}");
        refused(&["daemon", "--evict-above=1GB", &argument], &["--interval", "such as 90s or 7d"]);
    }
    refused(&["daemon"], &["--evict-above <SIZE>"]);
    refused(&["daemon", "--evict-above=2GB", "--limit=1GB"], &["limit is below evict_above"]);
    refused(&["evict", "--policy", "fifo"], &["gdsf", "sized-lru"]);
    refused(&["rm"], &["KEY"]);
    refused(&["rm", "--all", "a"], &["--all"]);
    for args in [&["ls"][..], &["status"], &["evict"], &["pin", "a"], &["verify"], &["repair"]] {
        refused(args, &["cache", "no such directory"]);
    }
    assert!(!dir.path().join("cache").exists());
    fs::create_dir(dir.path().join("cache")).unwrap();
    for args in [&["ls"][..], &["status"], &["recount"], &["rm", "--all"], &["verify"]] {
        refused(args, &["no directory cache"]);
    }
    assert_eq!(fs::read_dir(dir.path().join("cache")).unwrap().count(), 0);
}

#[test]
fn systemd_takes_the_unit() {
    const SYSTEMD: &str = "systemd-analyze";
    if !is_installed(SYSTEMD) {
        return skip("the unit of the daemon", "no systemd-analyze");
    }
    let unit = fs::read_to_string(repository().join("docs/larder-dirs.service")).unwrap();
    let command = larder();
    let program = command.get_program().to_str().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("larder-dirs.service");
    // It has to be where the unit looks for it.
    fs::write(&path, unit.replace("/usr/local/bin/larder", program)).unwrap();
    let output = Command::new(SYSTEMD).args(["verify", "--man=no"]).arg(&path).output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success() && !said.contains("larder-dirs"), "{said}");
}
