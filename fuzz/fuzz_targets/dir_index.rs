//! The index of a directory cache, with other values in its rows: every look gives an answer or `Corrupt`, and changes
//! neither the index nor the files.
#![no_main]

use std::{
    fs,
    sync::{LazyLock, Mutex},
};

use larder_dir_cache::{DirCache, Options};
use larder_fuzz::{Rows, allow, changes};
use larder_storage::{Durability, ErrorKind};
use libfuzzer_sys::fuzz_target;

const COLUMNS: &[&str] = &[
    "entry.key",
    "entry.state",
    "entry.size",
    "entry.files",
    "entry.listing",
    "entry.built_at_ns",
    "entry.last_access_ns",
    "entry.access_count",
    "entry.meta_count",
    "entry.build_cost_ns",
    "entry.pinned",
    "fact.name",
    "fact.value",
];

static FIXTURE: LazyLock<(DirCache, Mutex<Rows>)> = LazyLock::new(|| {
    let root = tempfile::tempdir().unwrap().keep();
    let options = Options::default().background(false).durability(Durability::Scratch);
    let cache = DirCache::open(&root, options).unwrap();
    let build = |dir: &std::path::Path| Ok(fs::write(dir.join("f"), "kept").unwrap());
    drop(cache.get_or_build("a/b", build).unwrap());
    cache.run_once().unwrap();
    let rows = Rows::open(&root.join(".larder/dirs.sqlite"), COLUMNS);
    (cache, Mutex::new(rows))
});

fuzz_target!(|data: &[u8]| {
    let (cache, rows) = &*FIXTURE;
    let rows = rows.lock().unwrap();
    if !rows.change(&changes(data)) {
        return;
    }
    let corrupt = &[ErrorKind::Corrupt];
    for entry in allow(cache.entries(), corrupt).unwrap_or_default() {
        let _ = entry.age();
    }
    allow(cache.snapshot(), corrupt);
    allow(cache.status(), corrupt);
    allow(cache.contains("a/b"), corrupt);
    allow(cache.verify(), &[]);
    assert_eq!(fs::read(cache.root().join("a/b/f")).unwrap(), b"kept");
    rows.restore();
    let report = cache.verify().unwrap();
    assert!(report.is_clean(), "{report:?}");
});
