//! Opening, verifying, repairing: what happens when something is wrong.

use super::*;

#[test]
fn what_cannot_be_read_for_a_moment_is_not_forgotten() {
    let (dir, storage) = (tempfile::tempdir().unwrap(), Arc::new(WatchedStorage::default()));
    let cache = EmbeddingCache::on(storage.clone(), dir.path(), Options::default()).unwrap();
    for block in 0..3 {
        let first = block as u32 * 5;
        cache.write_shard("enc", "1", block, &records(first..first + 5)).unwrap();
    }
    storage.let_reads_fail(true);
    assert_eq!(kind(cache.reindex()), ErrorKind::Backend);
    assert_eq!(kind(cache.repair()), ErrorKind::Backend);
    storage.let_reads_fail(false);
    assert_eq!((cache.status().unwrap().rows, cache.list().unwrap().len()), (15, 3));
    assert!(cache.verify().unwrap().is_clean());
}

#[test]
fn opening_brings_the_index_into_step() {
    let f = Fixture::new();
    let (kept, lost) = (f.write(0, 0..5), f.write(1, 5..10));
    let bytes = fs::read(f.file(&kept)).unwrap();
    f.cache.index.forget(std::slice::from_ref(&kept), Vec::new()).unwrap();
    f.cache.storage.remove(&lost).unwrap();
    assert!(!f.cache.contains(&key(0)).unwrap());
    let opened = f.open();
    assert_eq!(opened.contains_many(&[key(0), key(5)]).unwrap(), [true, false]);
    assert!(opened.skipped().is_empty());
    assert_eq!(fs::read(f.file(&kept)).unwrap(), bytes);
}

#[test]
fn opening_and_reading_write_nothing() {
    let f = Fixture::new();
    f.write(0, 0..5);
    let data_version = |cache: &EmbeddingCache| {
        fs::metadata(cache.index.path().with_extension("sqlite-wal")).unwrap().len()
    };
    let (before, opened) = (data_version(&f.cache), f.open());
    opened.read_many(&[key(0), key(77)]).unwrap();
    opened.verify().unwrap();
    assert_eq!(data_version(&f.cache), before);
}

#[test]
fn a_damaged_shard_does_not_keep_the_cache_from_opening() {
    let f = Fixture::new();
    f.write(0, 0..5);
    let bad = Key::new("embeddings/enc/bad.parquet").unwrap();
    f.put(&bad, "PAR1 but no more");
    let opened = f.open();
    assert_eq!(opened.skipped().len(), 1);
    assert_eq!(opened.skipped()[0].place, bad.as_str());
    assert_eq!(opened.read(&key(4)).unwrap(), Some(record(4).embedding));
    let report = opened.reindex().unwrap();
    assert_eq!((report.indexed_shards, report.indexed_rows, report.problems.len()), (1, 5, 1));
    assert_eq!(opened.read(&key(4)).unwrap(), Some(record(4).embedding));
}

#[test]
fn a_shard_that_is_gone_is_an_error_until_it_is_forgotten_or_written_again() {
    let f = Fixture::new();
    let path = f.write(0, 0..5);
    f.cache.storage.remove(&path).unwrap();
    assert_eq!(kind(f.cache.read(&key(0))), ErrorKind::NotFound);
    assert_eq!(f.cache.verify().unwrap().problems.len(), 1);
    f.write(0, 2..9);
    assert_eq!(f.cache.read(&key(8)).unwrap(), Some(record(8).embedding));
    assert_eq!(f.cache.read(&key(0)).unwrap(), None);
    f.cache.storage.remove(&path).unwrap();
    f.cache.reindex().unwrap();
    assert_eq!(f.cache.read(&key(8)).unwrap(), None);
}

#[test]
fn damage_is_found_named_and_moved_aside() {
    let f = Fixture::new();
    let (bad, good) = (f.write(0, 0..5), f.write(1, 5..10));
    f.damage(&bad, 3);
    let cache = f.open();
    assert_eq!(cache.read(&key(2)).unwrap(), Some(record(2).embedding));
    assert_eq!(kind(cache.read(&key(3))), ErrorKind::Corrupt);
    let verified = cache.verify().unwrap();
    assert_eq!(
        verified.problems.iter().map(|p| p.place.as_str()).collect::<Vec<_>>(),
        [bad.as_str()]
    );
    let bytes = fs::read(f.file(&bad)).unwrap();
    let report = cache.repair().unwrap();
    assert_eq!((report.checked_shards, report.reindex.indexed_rows), (2, 5));
    let aside = Key::new(&report.quarantined[0]).unwrap();
    assert_eq!(aside.as_str(), bad.as_str().replacen("embeddings/", "embeddings/.quarantine/", 1));
    assert_eq!(fs::read(f.file(&aside)).unwrap(), bytes);
    assert_eq!(cache.read_many(&[key(3), key(7)]).unwrap(), [None, Some(record(7).embedding)]);
    assert_eq!(cache.list().unwrap(), [good]);
    assert_eq!(cache.verify().unwrap().problems, []);

    // The same once more: the taken name is left alone.
    f.write(0, 0..5);
    f.damage(&bad, 1);
    let again = Key::new(&cache.repair().unwrap().quarantined[0]).unwrap();
    assert!(again.as_str().starts_with(&format!("{aside}.")) && again.as_str().ends_with(".bad"));
    assert_eq!(fs::read(f.file(&aside)).unwrap(), bytes);
}

#[test]
fn a_shard_replaced_behind_our_back_is_noticed() {
    let f = Fixture::new();
    let path = f.write(0, 0..5);
    let other = Fixture::new();
    let same_size: Vec<_> = records(0..5).into_iter().rev().collect();
    other.cache.write_shard("enc", "1", 0, &same_size).unwrap();
    f.put(&path, fs::read(other.file(&path)).unwrap());
    let opened = f.open();
    assert_eq!(kind(opened.read(&key(0))), ErrorKind::Corrupt);
    assert_eq!(opened.verify().unwrap().problems.len(), 1);
    opened.reindex().unwrap();
    assert_eq!(opened.read(&key(0)).unwrap(), Some(record(0).embedding));
    f.put(&path, "short");
    assert_eq!(kind(f.open().read(&key(0))), ErrorKind::Corrupt);
}

#[test]
fn shards_of_the_python_package_are_read_where_they_lie() {
    let f = Fixture::new();
    let (path, file) = (legacy_path(0), python_shard(&records(0..30)));
    f.put(&path, file.clone());
    f.write(9, 30..40);
    let cache = f.open();
    assert!(cache.skipped().is_empty());
    let half = |w| Embedding::from_f32(Dtype::Fp16, &record(w).embedding.to_f32()).unwrap();
    let asked = [29, 0, 35, 0].map(key);
    let expected = [half(29), half(0), record(35).embedding, half(0)].map(Some);
    assert_eq!(cache.read_many(&asked).unwrap(), expected);
    let report = cache.reindex().unwrap();
    assert_eq!((report.indexed_shards, report.indexed_rows, report.problems), (2, 40, vec![]));
    assert_eq!(cache.read(&key(7)).unwrap(), Some(half(7)));
    assert_eq!(cache.verify().unwrap().problems, []);
    assert_eq!(kind(cache.write_shard("enc", "1", 1, &records(0..1))), ErrorKind::Conflict);
    assert_eq!(fs::read(f.file(&path)).unwrap(), file);
}

#[test]
fn a_stale_row_number_in_a_python_shard_is_noticed() {
    let f = Fixture::new();
    f.put(&legacy_path(0), python_shard(&records(0..10)));
    let cache = f.open();
    f.put(&legacy_path(0), python_shard(&records(0..10).into_iter().rev().collect::<Vec<_>>()));
    assert_eq!(kind(cache.read(&key(0))), ErrorKind::Corrupt);
}

#[test]
fn keys_that_two_shards_hold_are_reported_and_read_from_one() {
    let f = Fixture::new();
    f.put(&legacy_path(0), python_shard(&records(0..10)));
    f.put(&legacy_path(1), python_shard(&records(5..20)));
    let cache = f.open();
    assert_eq!(cache.skipped().len(), 1);
    let report = cache.reindex().unwrap();
    assert_eq!((report.indexed_shards, report.indexed_rows, report.problems.len()), (2, 20, 1));
    assert!(report.problems[0].what.starts_with("5 of its rows"), "{:?}", report.problems);
    assert!(
        cache.read_many(&(0..20).map(key).collect::<Vec<_>>()).unwrap().iter().all(Option::is_some)
    );
}

#[test]
fn a_damaged_index_is_moved_aside_and_made_again() {
    let f = Fixture::new();
    f.write(0, 0..5);
    let Fixture { dir, cache } = f;
    let index = cache.index.path().to_owned();
    assert_eq!(kind(EmbeddingCache::repair_index(&dir)), ErrorKind::Locked);
    drop(cache);
    assert_eq!(EmbeddingCache::repair_index(&dir).unwrap(), None);
    fs::File::options().write(true).open(&index).unwrap().set_len(100).unwrap();
    assert_eq!(kind(EmbeddingCache::open(&dir, Options::default())), ErrorKind::Corrupt);
    assert!(EmbeddingCache::repair_index(&dir).unwrap().unwrap().exists());
    let cache = EmbeddingCache::open(&dir, Options::default()).unwrap();
    assert_eq!(cache.read(&key(4)).unwrap(), Some(record(4).embedding));
}

#[test]
fn rows_that_a_lost_shard_held_are_found_in_the_other_that_has_them() {
    let f = Fixture::new();
    f.put(&legacy_path(0), python_shard(&records(0..10)));
    f.put(&legacy_path(1), python_shard(&records(5..20)));
    drop(f.open());
    f.cache.storage.remove(&legacy_path(0)).unwrap();
    let cache = f.open();
    assert_eq!(cache.skipped(), []);
    let keys: Vec<_> = (0..20).map(key).collect();
    let expected: Vec<_> = (0..20).map(|window| window >= 5).collect();
    assert_eq!(cache.contains_many(&keys).unwrap(), expected);
    assert!(cache.read_many(&keys[5..]).unwrap().iter().all(Option::is_some));
    assert!(cache.verify().unwrap().is_clean());
}

#[test]
fn an_heir_that_cannot_be_read_is_reported_when_another_shard_is_lost() {
    let f = Fixture::new();
    f.put(&legacy_path(0), python_shard(&records(0..10)));
    f.put(&legacy_path(1), python_shard(&records(5..20)));
    drop(f.open());
    f.cache.storage.remove(&legacy_path(0)).unwrap();
    f.put(&legacy_path(1), "damaged");
    let cache = f.open();
    assert_eq!(cache.skipped().len(), 1);
    assert_eq!(cache.skipped()[0].place, legacy_path(1).as_str());
    assert_eq!(cache.contains_many(&[key(0), key(7)]).unwrap(), [false, false]);
}

#[test]
fn rows_of_a_future_schema_are_neither_indexed_nor_served() {
    let f = Fixture::new();
    let future = python_shard_with(&records(0..3), |columns| {
        columns[12].1 = Arc::new(arrow_array::StringArray::from(vec!["1.0.0", "1.0.0", "2.0.0"]));
    });
    f.put(&legacy_path(0), future);
    let cache = f.open();
    assert_eq!(cache.skipped().len(), 1);
    assert_eq!(cache.read(&key(0)).unwrap(), None);
    assert_eq!(cache.reindex().unwrap().indexed_rows, 0);
    let report = cache.repair().unwrap();
    assert_eq!((report.quarantined.len(), report.reindex.problems.len()), (0, 1));
}

#[test]
fn an_index_that_holds_what_cannot_be_is_corrupt_and_made_anew() {
    for change in [
        "shard SET dim = 2305843009213693952",
        "shard SET dim = 0",
        "shard SET dim = -4",
        "shard SET length = -1",
        "shard SET path = '/'",
        "embedding SET row_number = -1",
        "embedding SET crc32c = -1",
        "embedding SET byte_offset = -1",
        "embedding SET byte_offset = 9223372036854775807",
        "embedding SET row_number = 9223372036854775807, byte_offset = NULL",
    ] {
        let f = Fixture::new();
        f.write(0, 0..5);
        let db = rusqlite::Connection::open(f.cache.index.path()).unwrap();
        assert!(db.execute(&format!("UPDATE {change}"), []).unwrap() > 0);
        assert_eq!(kind(f.cache.read(&key(3))), ErrorKind::Corrupt, "{change}");
        assert_eq!(kind(f.cache.read_many(&[key(0), key(1)])), ErrorKind::Corrupt, "{change}");
        assert!(!f.cache.verify().unwrap().is_clean(), "{change}");
        f.cache.reindex().unwrap();
        assert_eq!(f.cache.read(&key(3)).unwrap(), Some(record(3).embedding), "{change}");
    }
}
