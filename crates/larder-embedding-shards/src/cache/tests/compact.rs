//! Merging shards, and rewriting those of the Python package.

use super::{super::compact::FIRST_BLOCK, *};
use crate::{
    CompactOptions, CompactReport,
    shard::{Layout, encode, encode_with},
};

/// Shards of four rows with 16 bytes of embedding each.
fn four(f: &Fixture, blocks: Range<u64>) -> Vec<Key> {
    blocks.map(|block| f.write(block, block as u32 * 4..block as u32 * 4 + 4)).collect()
}

pub(super) fn compact(cache: &EmbeddingCache) -> CompactReport {
    let report = cache.compact(CompactOptions::default()).unwrap();
    assert_eq!(cache.verify().unwrap().problems, []);
    report
}

pub(super) fn figures(report: &CompactReport) -> (u64, u64, u64, usize) {
    (report.replaced, report.written, report.rows, report.problems.len())
}

fn block(number: u64) -> Key {
    shard_path_for(&ShardId::of("enc", "1", number, &key(0))).unwrap()
}

fn merged(number: u64) -> Key {
    block(FIRST_BLOCK + number)
}

fn all_there(cache: &EmbeddingCache, windows: Range<u32>) {
    for window in windows {
        let found = cache.read_record(&key(window)).unwrap().unwrap();
        let expected = record(window);
        assert_eq!((&found.embedding, found.start_bp), (&expected.embedding, expected.start_bp));
        assert!(found.created_at > 0);
    }
}

#[test]
fn small_shards_become_one_that_comes_last() {
    let f = Fixture::new();
    let old = four(&f, 0..5);
    let before = f.cache.read_record(&key(13)).unwrap();
    assert_eq!(figures(&compact(&f.cache)), (5, 1, 20, 0));
    for cache in [&f.cache, &f.open()] {
        assert_eq!(cache.list().unwrap(), [merged(0)]);
        all_there(cache, 0..20);
        assert_eq!(cache.read_record(&key(13)).unwrap(), before, "times and places are kept");
    }
    assert!(old.iter().all(|path| !f.file(path).exists()));
    let infos = f.cache.shards().unwrap();
    let [only] = &infos[..] else { panic!("{infos:?}") };
    assert_eq!((&only.path, only.rows, only.dim), (&merged(0), 20, Some(4)));
    assert!(
        only.is_read_by_offset() && only.bytes == fs::metadata(f.file(&merged(0))).unwrap().len()
    );
    assert_eq!(compact(&f.cache), CompactReport::default(), "there is nothing left to do");
}

#[test]
fn a_shard_is_filled_up_to_the_target_and_large_ones_are_left_alone() {
    let f = Fixture::new();
    four(&f, 0..5);
    let large = f.write(9, 100..110);
    let report = f.cache.compact(CompactOptions::default().target_bytes(160)).unwrap();
    assert_eq!(figures(&report), (4, 2, 16, 0));
    assert_eq!(f.cache.list().unwrap(), [merged(0), merged(1), block(4), large]);
    all_there(&f.cache, 0..20);
    assert!(f.cache.verify().unwrap().is_clean());
}

#[test]
fn what_differs_stays_apart() {
    let f = Fixture::new();
    four(&f, 0..1);
    let others = [
        WindowKey { encoder_hash: [6; 32], ..key(50) },
        WindowKey { state_layer: 4, ..key(50) },
        WindowKey { pool_radius: 1, ..key(50) },
        WindowKey { dtype: Dtype::Bf16, ..key(50) },
    ];
    for key in others {
        let embedding = Embedding::from_f32(key.dtype, &[1.0; 4]).unwrap();
        let row = WindowRecord::new("1", 0, 1, key, embedding).unwrap();
        f.cache.write_shard("enc", "1", 0, &[row]).unwrap();
    }
    let wide = WindowRecord::new("1", 0, 1, key(60), Embedding::Fp32(vec![1.0; 5])).unwrap();
    f.cache.write_shard("enc", "1", 1, &[wide]).unwrap();
    f.cache.write_shard("other", "1", 0, &records(70..71)).unwrap();
    let contig: Vec<_> =
        records(80..81).into_iter().map(|r| WindowRecord { chrom: "2".into(), ..r }).collect();
    f.cache.write_shard("enc", "2", 0, &contig).unwrap();
    assert_eq!(compact(&f.cache), CompactReport::default());
    assert_eq!(f.cache.list().unwrap().len(), 8);
}

#[test]
fn writing_what_was_merged_away_again_is_nothing_and_other_rows_are_conflicts() {
    let f = Fixture::new();
    four(&f, 0..3);
    compact(&f.cache);
    let before = fs::read(f.file(&merged(0))).unwrap();
    for cache in [&f.cache, &f.open()] {
        for windows in [0..4, 4..8, 5..6, 2..9] {
            let written = cache.write_shard("enc", "1", 1, &records(windows)).unwrap();
            assert_eq!(written, merged(0));
        }
        let mut changed = records(0..4);
        changed[3].embedding = Embedding::Fp32(vec![0.5; 4]);
        assert_eq!(kind(cache.write_shard("enc", "1", 0, &changed)), ErrorKind::Conflict);
        assert_eq!(kind(cache.write_shard("enc", "1", 0, &records(10..13))), ErrorKind::Conflict);
    }
    assert_eq!(
        (f.cache.list().unwrap(), fs::read(f.file(&merged(0))).unwrap()),
        (vec![merged(0)], before)
    );
    // The block is free for others, and so is the next one.
    f.write(0, 40..42);
    f.write(3, 42..44);
    assert_eq!(figures(&compact(&f.cache)), (3, 1, 16, 0));
    all_there(&f.cache, 40..44);
    assert_eq!(f.write(0, 0..4), merged(1), "merged twice");
}

/// How far a compaction came that was killed after it had published what it made.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// The index has the old shards.
    Published,
    /// The index has the new one, and as many of the old files are gone.
    Switched(usize),
    /// The same, and the index is lost.
    Lost(usize),
}

#[test]
fn what_a_killed_compaction_left_is_completed() {
    let (f, done) = (Fixture::new(), Fixture::new());
    let old =
        four(&f, 0..3).into_iter().map(|path| (path.clone(), fs::read(f.file(&path)).unwrap()));
    let old: Vec<(Key, Vec<u8>)> = old.collect();
    old.iter().for_each(|(path, bytes)| done.put(path, bytes.clone()));
    assert_eq!(figures(&compact(&done.open())), (3, 1, 12, 0));
    let bytes = fs::read(done.file(&merged(0))).unwrap();
    let by: [fn(&EmbeddingCache) -> Vec<Problem>; 4] = [
        |cache| cache.refresh().unwrap(),
        |cache| cache.reindex().unwrap().problems,
        |cache| cache.compact(CompactOptions::default()).unwrap().problems,
        |cache| cache.repair().unwrap().reindex.problems,
    ];
    let moments = [
        Moment::Published,
        Moment::Switched(0),
        Moment::Switched(2),
        Moment::Lost(0),
        Moment::Lost(1),
    ];
    for (moment, complete) in moments.into_iter().flat_map(|it| by.map(|by| (it, by))) {
        let f = Fixture::new();
        let put = |(path, bytes): &(Key, Vec<u8>)| f.put(path, bytes.clone());
        if let Moment::Published = moment {
            old.iter().for_each(put);
            assert_eq!(f.cache.refresh().unwrap(), []);
        }
        f.put(&merged(0), bytes.clone());
        if let Moment::Switched(gone) = moment {
            assert_eq!(f.cache.refresh().unwrap(), []);
            old[gone..].iter().for_each(put);
        }
        if let Moment::Lost(gone) = moment {
            old[gone..].iter().for_each(put);
        }
        assert_eq!(complete(&f.cache), [], "{moment:?}");
        assert_eq!(f.cache.list().unwrap(), [merged(0)], "{moment:?}");
        assert_eq!(f.cache.verify().unwrap().problems, []);
        let status = f.cache.status().unwrap();
        assert_eq!((status.shards, status.rows, f.cache.index.rows().unwrap()), (1, 12, 12));
        all_there(&f.cache, 0..12);
    }
}

#[test]
fn a_shard_that_came_later_is_not_taken_for_the_one_that_was_merged() {
    let f = Fixture::new();
    four(&f, 0..2);
    compact(&f.cache);
    let bytes = fs::read(f.file(&merged(0))).unwrap();
    let other = Fixture::new();
    let mut rows = records(0..4);
    rows[2].embedding = Embedding::Fp32(vec![7.0; 4]);
    let path = other.cache.write_shard("enc", "1", 0, &rows).unwrap();
    let later = fs::read(other.file(&path)).unwrap();
    for order in [[(&path, &later), (&merged(0), &bytes)], [(&merged(0), &bytes), (&path, &later)]]
    {
        let f = Fixture::new();
        for (path, bytes) in order {
            f.put(path, bytes.clone());
            f.cache.refresh().unwrap();
        }
        assert_eq!(fs::read(f.file(&path)).unwrap(), later, "it stays");
        all_there(&f.cache, 4..8);
        let cache = f.open();
        let report = cache.compact(CompactOptions::default()).unwrap();
        assert_eq!((report.replaced, report.problems.len()), (0, 1), "{report:?}");
    }
}

/// As where the index is of another machine's time, or somebody copied a shard there.
#[test]
fn other_rows_in_the_place_of_a_merged_shard_are_kept() {
    let (f, done) = (Fixture::new(), Fixture::new());
    for path in four(&f, 0..2) {
        done.put(&path, fs::read(f.file(&path)).unwrap());
    }
    compact(&done.open());
    let other = Fixture::new();
    let path = other.write(0, 60..67);
    f.put(&path, fs::read(other.file(&path)).unwrap());
    f.put(&merged(0), fs::read(done.file(&merged(0))).unwrap());
    assert_eq!(f.cache.refresh().unwrap(), []);
    assert_eq!(f.cache.list().unwrap(), [path, merged(0)]);
    all_there(&f.cache, 0..8);
    all_there(&f.cache, 60..67);
    assert!(f.cache.verify().unwrap().is_clean());
}

#[test]
fn a_merged_shard_that_is_damaged_replaces_nothing() {
    let (f, done) = (Fixture::new(), Fixture::new());
    for path in four(&f, 0..2) {
        done.put(&path, fs::read(f.file(&path)).unwrap());
    }
    compact(&done.open());
    done.damage(&merged(0), 5);
    f.put(&merged(0), fs::read(done.file(&merged(0))).unwrap());
    assert_eq!(f.cache.refresh().unwrap().len(), 1);
    all_there(&f.cache, 0..8);
    assert_eq!(f.cache.list().unwrap().len(), 3);
    assert_eq!(f.cache.repair().unwrap().quarantined.len(), 1);
    assert_eq!(figures(&compact(&f.cache)), (2, 1, 8, 0));
}

#[test]
fn a_merged_shard_that_is_not_read_back_as_it_was_written_goes() {
    let (dir, storage) = (tempfile::tempdir().unwrap(), Arc::new(WatchedStorage::default()));
    let cache = EmbeddingCache::on(storage.clone(), dir.path(), Options::default()).unwrap();
    let write = |block, windows| cache.write_shard("enc", "1", block, &records(windows)).unwrap();
    let old = [write(0, 0..4), write(1, 4..8)];
    storage.spoil_next_put();
    assert_eq!(kind(cache.compact(CompactOptions::default())), ErrorKind::Corrupt);
    assert_eq!(cache.list().unwrap(), old);
    all_there(&cache, 0..8);
    assert_eq!(figures(&compact(&cache)), (2, 1, 8, 0));
}

#[test]
fn damaged_shards_stay_and_the_others_are_merged() {
    let f = Fixture::new();
    let paths = four(&f, 0..4);
    f.damage(&paths[1], 6);
    let report = f.cache.compact(CompactOptions::default()).unwrap();
    assert_eq!(figures(&report), (3, 1, 12, 1));
    assert_eq!(report.problems[0].place, paths[1].as_str());
    assert_eq!(f.cache.list().unwrap(), [paths[1].clone(), merged(0)]);
    all_there(&f.cache, 8..16);
}

#[test]
fn shards_that_hold_different_numbers_for_a_key_stay_and_compaction_ends() {
    let storage = Arc::new(MemoryStorage::new());
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let [a, b] = [0, 1]
        .map(|i| EmbeddingCache::on(storage.clone(), dirs[i].path(), Options::default()).unwrap());
    a.write_shard("enc", "1", 0, &records(0..4)).unwrap();
    let other = WindowRecord { embedding: record(99).embedding, ..record(0) };
    b.write_shard("enc", "1", 1, &[other, record(20)]).unwrap();
    a.write_shard("enc", "1", 2, &records(8..12)).unwrap();
    for cache in [&a, &b] {
        cache.refresh().unwrap();
        let before = cache.read(&key(0)).unwrap();
        for _ in 0..3 {
            cache.compact(CompactOptions::default()).unwrap();
            assert!(cache.list().unwrap().len() <= 3, "{:?}", cache.list());
        }
        assert_eq!(cache.read(&key(0)).unwrap(), before);
        let there = (1..4).chain(8..12).chain([20]).map(key).collect::<Vec<_>>();
        assert!(cache.contains_many(&there).unwrap().iter().all(|there| *there));
    }
}

#[test]
fn rows_that_are_removed_while_a_compaction_lies_unfinished_stay_removed() {
    let f = Fixture::new();
    let old = four(&f, 0..2);
    let elsewhere = Fixture::new();
    four(&elsewhere, 0..2);
    compact(&elsewhere.cache);
    // As a kill leaves it that comes before the index is switched over.
    f.put(&merged(0), fs::read(elsewhere.file(&merged(0))).unwrap());
    for path in old.iter().chain([&merged(0)]) {
        f.cache.remove(&crate::Removal::Shard(path.clone())).unwrap();
    }
    assert_eq!(f.open().status().unwrap().rows, 0);
}

#[test]
fn a_key_that_a_shard_of_another_group_holds_with_other_numbers_keeps_its_shard() {
    let f = Fixture::new();
    four(&f, 1..3);
    // Of another contig, with another embedding for a key of the shard that is copied to the block before.
    let elsewhere = Fixture::new();
    let copied = elsewhere.write(0, 100..104);
    let other = WindowRecord { chrom: "2".into(), embedding: record(7).embedding, ..record(101) };
    f.cache.write_shard("enc", "2", 0, &[other]).unwrap();
    fs::copy(elsewhere.file(&copied), f.file(&copied)).unwrap();
    let cache = f.open();
    assert_eq!(cache.skipped().len(), 1);
    for _ in 0..2 {
        let report = cache.compact(CompactOptions::default()).unwrap();
        assert!(report.problems.iter().any(|found| found.place == copied.as_str()), "{report:?}");
        assert_eq!(
            cache.list().unwrap().len(),
            3,
            "the copy, the other contig, and what was merged"
        );
    }
    assert_eq!(cache.read(&key(101)).unwrap(), Some(record(7).embedding));
    assert_eq!(cache.read(&key(103)).unwrap(), Some(record(103).embedding));
    all_there(&cache, 4..12);
}

#[test]
fn further_columns_are_carried_over() {
    use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
    let f = Fixture::new();
    let with = |block: u64, windows: Range<u32>, name: &str| {
        let notes = windows
            .clone()
            .map(|window| window.is_multiple_of(2).then(|| format!("note {window}")));
        let notes: ArrayRef = Arc::new(StringArray::from_iter(notes));
        let extra = RecordBatch::try_from_iter_with_nullable([(name, notes, true)]).unwrap();
        let rows: Vec<_> =
            records(windows).into_iter().map(WindowRecord::with_created_at).collect();
        let layout = Layout::of(Dtype::Fp32, 4);
        f.put(&self::block(block), encode(&rows, Some(&extra), layout).unwrap());
    };
    with(0, 0..4, "note");
    with(1, 4..8, "other");
    with(2, 8..12, "note");
    // One row of it is in block 2 as well.
    with(3, 11..14, "note");
    f.write(4, 20..24);
    let cache = f.open();
    let report = cache.compact(CompactOptions::default()).unwrap();
    assert_eq!(figures(&report), (3, 1, 10, 0));
    assert_eq!(cache.list().unwrap(), [block(1), merged(0), block(4)]);
    let merged = cache.open_shard(&merged(0)).unwrap().contents().unwrap();
    let notes = merged.extra().unwrap().unwrap();
    let notes = notes.column(0).as_any().downcast_ref::<StringArray>().unwrap().clone();
    let expected: Vec<_> = (0..4)
        .chain(8..14)
        .map(|w: u32| w.is_multiple_of(2).then(|| format!("note {w}")))
        .collect();
    assert_eq!(notes.len(), merged.records.len());
    assert_eq!(notes.iter().map(|note| note.map(str::to_owned)).collect::<Vec<_>>(), expected);
    assert!(cache.verify().unwrap().is_clean());
}

#[test]
fn rows_are_found_while_another_cache_compacts() {
    let f = Fixture::new();
    let other = f.open();
    thread::scope(|scope| {
        let compacting = scope.spawn(|| {
            for round in 0..20 {
                four(&f, round * 3..round * 3 + 2);
                compact(&f.cache);
            }
        });
        while !compacting.is_finished() {
            let there = other.contains_many(&[key(0), key(4)]).unwrap();
            match other.read(&key(0)) {
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}"),
                Ok(found) => assert!(!there[0] || found == Some(record(0).embedding)),
            }
        }
    });
    all_there(&other, 0..8);
}

#[test]
fn encoding_is_the_same_with_and_without_further_entries() {
    let (rows, layout) = (records(0..3), Layout::of(Dtype::Fp32, 4));
    let rows: Vec<_> = rows.into_iter().map(WindowRecord::with_created_at).collect();
    let plain = encode(&rows, None, layout).unwrap();
    assert_eq!(plain, encode_with(&rows, None, &[], layout).unwrap());
}
