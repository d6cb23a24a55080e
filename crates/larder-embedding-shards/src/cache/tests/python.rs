//! The Python package's index beside ours.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::*;
use crate::{CompactOptions, INDEX_DB_NAME, Removal, key::hex};

fn kept() -> Options {
    Options::default().python_index(true)
}

fn open(f: &Fixture) -> EmbeddingCache {
    EmbeddingCache::open(f.dir.path(), kept()).unwrap()
}

fn index_of(f: &Fixture) -> PathBuf {
    f.dir.path().join("embeddings").join(INDEX_DB_NAME)
}

/// The shard and the row of each window, by the hash of the window.
fn rows(f: &Fixture) -> BTreeMap<String, (String, u64)> {
    let db = Connection::open(index_of(f)).unwrap();
    let mode: String = db.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "delete");
    let mut select =
        db.prepare("SELECT window_hash, shard_path, row_offset FROM window_index").unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Checks that both indexes say the same of all windows, and that these are the ones.
#[track_caller]
pub(super) fn check(f: &Fixture, cache: &EmbeddingCache, windows: impl IntoIterator<Item = u32>) {
    let keys: Vec<_> = windows.into_iter().map(key).collect();
    let found = cache.index.find(&keys).unwrap().into_iter();
    let expected = keys.iter().zip(found).map(|(key, found)| {
        let found = found.unwrap();
        (hex(&key.window_hash), (found.shard.path.to_string(), found.row))
    });
    assert_eq!(rows(f), expected.collect());
}

#[test]
fn it_follows_every_change() {
    let f = Fixture::new();
    let cache = open(&f);
    let write = |block, windows| cache.write_shard("enc", "1", block, &records(windows)).unwrap();
    write(0, 0..5);
    let second = write(1, 5..10);
    write(1, 5..10);
    check(&f, &cache, 0..10);
    cache.compact(CompactOptions::default()).unwrap();
    check(&f, &cache, 0..10);
    let third = write(9, 20..25);
    cache.remove(&Removal::Shard(third)).unwrap();
    check(&f, &cache, 0..10);
    f.put(&legacy_path(0), python_shard(&records(30..33)));
    cache.refresh().unwrap();
    check(&f, &cache, (0..10).chain(30..33));
    f.put(&second, "damaged");
    let merged = write(0, 0..5);
    f.put(&merged, "damaged");
    assert_eq!(cache.repair().unwrap().quarantined.len(), 2);
    check(&f, &cache, 30..33);
    cache.compact(CompactOptions::default()).unwrap();
    check(&f, &cache, 30..33);
    write(1, 5..10);
    cache.reindex().unwrap();
    check(&f, &cache, (5..10).chain(30..33));
}

#[test]
fn a_row_tells_what_the_package_would_have_written() {
    let f = Fixture::new();
    let row = WindowRecord { created_at: 77, ..record(3) };
    let path = open(&f).write_shard("enc", "1", 0, &[row]).unwrap();
    let db = Connection::open(index_of(&f)).unwrap();
    let found: String = db
        .query_row(
            "SELECT concat_ws('|', window_hash, encoder_hash, state_layer, pool_type, pool_radius, dtype,
                              shard_path, row_offset, created_at) FROM window_index",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let expected = format!(
        "{}|{}|3|centered_mean|128|fp32|{path}|0|77",
        hex(&key(3).window_hash),
        "05".repeat(32)
    );
    assert_eq!(found, expected);
}

#[test]
fn what_was_not_entered_is_entered_when_the_cache_is_opened() {
    let f = Fixture::new();
    drop(open(&f));
    // Written, compacted and removed without the option, as where a kill came between the two indexes.
    let first = f.write(0, 0..5);
    f.write(1, 5..10);
    check(&f, &open(&f), 0..10);
    f.cache.compact(CompactOptions::default()).unwrap();
    assert_eq!(rows(&f)[&hex(&key(0).window_hash)].0, first.as_str());
    check(&f, &open(&f), 0..10);
    let path = f.write(5, 10..12);
    drop(open(&f));
    f.cache.remove(&Removal::Shard(path)).unwrap();
    check(&f, &open(&f), 0..10);
    // As the package's own reindexing begins, and where it is killed.
    fs::remove_file(index_of(&f)).unwrap();
    check(&f, &open(&f), 0..10);
    fs::File::create(index_of(&f)).unwrap();
    check(&f, &open(&f), 0..10);
}

#[test]
fn a_block_that_was_written_anew_with_as_many_rows_is_entered_anew() {
    let f = Fixture::new();
    let cache = open(&f);
    let block = cache.write_shard("enc", "1", 0, &records(0..5)).unwrap();
    // Without the option: other rows, then the same in another order.
    let rewrite = |rows: &[WindowRecord]| {
        f.cache.remove(&Removal::Shard(block.clone())).unwrap();
        f.cache.write_shard("enc", "1", 0, rows).unwrap();
    };
    rewrite(&records(5..10));
    check(&f, &open(&f), 5..10);
    let turned: Vec<_> = records(5..10).into_iter().rev().collect();
    rewrite(&turned);
    check(&f, &open(&f), 5..10);
    rewrite(&[records(5..6), records(7..8), records(6..7), records(8..10)].concat());
    cache.write_shard("enc", "1", 1, &records(20..25)).unwrap();
    check(&f, &cache, (5..10).chain(20..25));
    // An index elsewhere, which counts from the beginning.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = EmbeddingCache::on(f.cache.storage.clone(), elsewhere.path(), kept()).unwrap();
    check(&f, &other, (5..10).chain(20..25));
}

#[test]
fn a_damaged_shard_keeps_nobody_from_opening_the_cache() {
    let f = Fixture::new();
    let damaged = f.write(0, 0..5);
    f.write(1, 5..10);
    let bytes = fs::read(f.file(&damaged)).unwrap();
    f.put(&damaged, bytes[..bytes.len() / 2].to_vec());
    let options = Options::default().python_index(true);
    let cache = EmbeddingCache::open(f.dir.path(), options).unwrap();
    assert!(cache.read(&key(7)).unwrap().is_some());
    cache.repair().unwrap();
    assert!(cache.verify().unwrap().is_clean());
}

#[test]
fn what_is_in_step_is_not_written() {
    let f = Fixture::new();
    open(&f).write_shard("enc", "1", 0, &records(0..5)).unwrap();
    let state = || {
        (fs::metadata(index_of(&f)).unwrap().modified().unwrap(), fs::read(index_of(&f)).unwrap())
    };
    let before = state();
    check(&f, &open(&f), 0..5);
    assert_eq!(state(), before);
}

#[test]
fn keys_of_a_shard_that_is_lost_go_to_their_heirs() {
    let f = Fixture::new();
    f.put(&legacy_path(0), python_shard(&records(0..10)));
    f.put(&legacy_path(1), python_shard(&records(5..20)));
    let cache = open(&f);
    check(&f, &cache, 0..20);
    cache.remove(&Removal::Shard(legacy_path(0))).unwrap();
    check(&f, &cache, 5..20);
}

#[test]
fn an_export_makes_it_anew_once() {
    let f = Fixture::new();
    f.write(0, 0..5);
    assert_eq!(
        f.cache.export_python_index().unwrap().canonicalize().unwrap(),
        index_of(&f).canonicalize().unwrap()
    );
    check(&f, &f.cache, 0..5);
    f.write(1, 5..9);
    assert_eq!(rows(&f).len(), 5, "and then it is on its own");
    f.cache.export_python_index().unwrap();
    check(&f, &f.cache, 0..9);
    assert_eq!(fs::read_dir(f.dir.path().join("embeddings")).unwrap().count(), 2);
}

#[test]
fn what_is_not_the_packages_is_never_overwritten() {
    let f = Fixture::new();
    f.write(0, 0..5);
    let foreign = |f: &Fixture| {
        let db = Connection::open(index_of(f)).unwrap();
        db.execute_batch("CREATE TABLE window_index (a); INSERT INTO window_index VALUES (1)")
            .unwrap();
    };
    let text = |f: &Fixture| {
        fs::copy(f.file(&f.cache.list().unwrap()[0]), index_of(f)).unwrap();
    };
    type Make = fn(&Fixture);
    let cases: [(Make, ErrorKind); 2] = [(foreign, ErrorKind::Format), (text, ErrorKind::Corrupt)];
    for (number, (make, expected)) in cases.into_iter().enumerate() {
        make(&f);
        let before = fs::read(index_of(&f)).unwrap();
        assert_eq!(kind(EmbeddingCache::open(f.dir.path(), kept())), expected);
        assert_eq!(fs::read(index_of(&f)).unwrap(), before);
        f.cache.export_python_index().unwrap();
        check(&f, &open(&f), 0..5);
        let dir = fs::read_dir(f.dir.path().join("embeddings")).unwrap();
        let aside: Vec<_> = dir
            .map(|it| it.unwrap().path())
            .filter(|it| it.extension().is_some_and(|it| it == "bad"))
            .collect();
        assert_eq!(aside.len(), number + 1);
        assert!(aside.iter().any(|file| fs::read(file).unwrap() == before));
        fs::remove_file(index_of(&f)).unwrap();
    }
}

#[test]
fn it_needs_a_local_directory() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Arc::new(MemoryStorage::new());
    assert_eq!(kind(EmbeddingCache::on(storage.clone(), dir.path(), kept())), ErrorKind::Invalid);
    let cache = EmbeddingCache::on(storage, dir.path(), Options::default()).unwrap();
    assert_eq!(kind(cache.export_python_index()), ErrorKind::Invalid);
}
