//! The package's `read_embedding` on an index that we keep in step for it, and the import of a cache that it wrote.

use larder::embedding_shards::{CompactOptions, Group, Removal};
use tempfile::TempDir;

use super::*;

/// A cache that the package and we write to in turn, and what it holds.
struct Shared {
    dir: TempDir,
    rows: Vec<Value>,
}

impl Shared {
    /// With four shards of the package, each number of which has an exact form in every dtype.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let rows = python(&WRITE.replace("65504.0", "65280.0"), &[dir.path()])?;
        Some(Self { dir, rows: rows.as_array().unwrap().clone() })
    }

    fn open(&self) -> EmbeddingCache {
        EmbeddingCache::open(self.dir.path(), Options::default().python_index(true)).unwrap()
    }

    fn write(&mut self, cache: &EmbeddingCache, dtype: Dtype, group: impl Into<Group>, first: u8) {
        let group = group.into();
        let mut records = records(dtype, group.name(), first);
        if matches!(group, Group::Collection(_)) {
            records[0].chrom = "a source of its own".into();
        }
        cache.write_shard("org/model", group, 0, &records).unwrap();
        self.rows.extend(records.iter().map(row));
    }

    /// Checks that the package and we find every row.
    #[track_caller]
    fn check(&self, cache: &EmbeddingCache) {
        let keys = self.dir.path().join("keys.json");
        std::fs::write(&keys, Value::from(self.rows.clone()).to_string()).unwrap();
        let found = python(READ, &[self.dir.path(), &keys]).unwrap();
        let bits_of = |row: &Value| row["bits"].clone();
        assert_eq!(found, Value::from_iter(self.rows.iter().map(bits_of)));
        for row in &self.rows {
            assert_eq!(bits(&cache.read(&key(row)).unwrap().unwrap()), row["bits"]);
        }
        assert!(cache.verify().unwrap().is_clean());
    }
}

#[test]
fn the_package_finds_every_row_in_the_index_that_is_kept_for_it() {
    let Some(mut shared) = Shared::new() else { return };
    let cache = shared.open();
    shared.write(&cache, Dtype::Fp16, "1", 100);
    shared.write(&cache, Dtype::Fp32, Group::Collection("a/b".into()), 140);
    shared.check(&cache);

    let report = cache.compact(CompactOptions::default()).unwrap();
    // Each of the package's four shards has rows of three dtypes.
    assert_eq!((report.replaced, report.written, report.rows), (4, 12, 36), "{report:?}");
    assert_eq!(report.problems, []);
    shared.check(&cache);

    let removed = cache.remove(&Removal::EncoderHash([9; 32])).unwrap();
    assert_eq!((removed.removed.len(), removed.kept.len()), (2, 0));
    shared.rows.truncate(36);
    shared.check(&cache);

    shared.write(&cache, Dtype::Bf16, "é", 120);
    let report = python(REPAIR, &[shared.dir.path()]).unwrap();
    assert_eq!(report, json!({"checked": 13, "quarantined": 0, "shards": 13, "rows": 56}));
    shared.check(&cache);
    shared.write(&cache, Dtype::Fp32, "2", 160);
    shared.check(&cache);
    drop(cache);
    shared.check(&shared.open());
}

#[test]
fn what_is_damaged_or_exported_is_right_in_the_packages_index() {
    let Some(mut shared) = Shared::new() else { return };
    let cache = open(shared.dir.path());
    shared.write(&cache, Dtype::Fp32, "1", 100);
    cache.export_python_index().unwrap();
    shared.check(&cache);
    drop(cache);

    let cache = shared.open();
    let ours = cache.shards().unwrap().into_iter().find(|info| info.is_read_by_offset()).unwrap();
    std::fs::write(shared.dir.path().join(ours.path.as_str()), "damaged").unwrap();
    assert_eq!(cache.repair().unwrap().quarantined.len(), 1);
    let mut lost = shared.rows.split_off(36);
    shared.check(&cache);
    std::mem::swap(&mut shared.rows, &mut lost);
    let keys = shared.dir.path().join("keys.json");
    std::fs::write(&keys, Value::from(shared.rows.clone()).to_string()).unwrap();
    let found = python(READ, &[shared.dir.path(), &keys]).unwrap();
    assert!(found.as_array().unwrap().iter().all(Value::is_null));
}

#[test]
fn a_cache_of_the_package_is_imported_whole() {
    let Some(mut theirs) = Shared::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let ours = Shared { dir, rows: std::mem::take(&mut theirs.rows) };
    let cache = ours.open();
    for rows in [36, 0] {
        let report = cache.import_python(theirs.dir.path()).unwrap();
        assert_eq!((report.shards, report.rows, report.problems), (4, rows, vec![]));
    }
    assert!(cache.shards().unwrap().iter().all(|info| info.is_read_by_offset()));
    ours.check(&cache);
}

#[test]
fn what_has_no_exact_form_is_not_imported_and_stays_where_it_is() {
    let theirs = tempfile::tempdir().unwrap();
    if python(WRITE, &[theirs.path()]).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let report = open(dir.path()).import_python(theirs.path()).unwrap();
    assert_eq!((report.shards, report.rows, report.problems.len()), (0, 0, 4));
    let cache = open(theirs.path());
    let report = cache.compact(CompactOptions::default()).unwrap();
    assert_eq!((report.replaced, report.written, report.problems.len()), (0, 0, 4));
    assert_eq!(cache.status().unwrap().rows, 36);
}
