//! What a cycle costs where there is nothing to do.

use super::*;
use crate::{faults::traced, support::text};

/// Makes so many entries as another program would, each of one file.
fn make(root: &Path, count: u32) {
    for number in 0..count {
        let entry = root.join(format!("{}/{number}", number % 100));
        fs::create_dir_all(&entry).unwrap();
        fs::write(entry.join("data"), "x").unwrap();
        fs::write(entry.join(".cache_meta"), r#"{"size": 1, "access_count": 0}"#).unwrap();
    }
}

/// The system calls of an idle cycle that name a file or read a directory; `None` where nothing can be traced.
fn calls(count: u32) -> Option<Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let (root, trace) = (dir.path().join("root"), dir.path().join("trace"));
    make(&root, count);
    drop(open(&root, PLENTY));
    let options = ["-o", trace.to_str().unwrap(), "-e", "trace=file,getdents64", "-s", "200"];
    let work = ["dirs", "idle", root.to_str().unwrap(), "0"];
    let output = traced("an idle cycle", &options, work)?;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let trace = fs::read_to_string(trace).unwrap();
    let cycle = trace.split("\"/begin\"").nth(1).unwrap().split("\"/end\"").next().unwrap();
    let cache = open(&root, PLENTY);
    assert_eq!(cache.entry_count().unwrap(), u64::from(count));
    // Without the rests of the lines of the two marks.
    let lines: Vec<_> = cycle.lines().map(str::to_owned).collect();
    Some(lines[1..lines.len() - 1].to_vec())
}

#[test]
fn an_idle_cycle_looks_at_no_entry_however_many_there_are() {
    let Some(few) = calls(100) else { return };
    let many = calls(10_000).unwrap();
    for call in few.iter().chain(&many) {
        assert!(call.contains("/.larder"), "looks beyond its own: {call}");
    }
    assert!(many.len() <= few.len(), "{} calls, and {} of few: {many:#?}", many.len(), few.len());
}
