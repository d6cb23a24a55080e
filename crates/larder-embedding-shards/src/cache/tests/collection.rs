//! Shards that hold rows of many sources.

use std::collections::BTreeSet;

use arrow_array::cast::AsArray;

use super::{
    super::compact::FIRST_BLOCK,
    compact::{compact, figures},
    *,
};
use crate::{CompactOptions, Group, Removal, Scan};

const SOURCES: [&str; 4] = ["1", "a/b", "é", "thesis.pdf"];

fn essays() -> Group {
    Group::Collection("1".into())
}

fn path(group: impl Into<Group>, block: u64) -> Key {
    shard_path_for(&ShardId::of("enc", group, block, &key(0))).unwrap()
}

/// Rows of several sources in turn.
fn mixed(windows: Range<u32>) -> Vec<WindowRecord> {
    let source = |window: u32| SOURCES[window as usize % SOURCES.len()].to_owned();
    windows.map(|window| WindowRecord { chrom: source(window), ..record(window) }).collect()
}

/// The hashes of the windows of a source.
fn scanned(cache: &EmbeddingCache, source: &str) -> BTreeSet<Vec<u8>> {
    let scan = Scan::default().source(source).columns(["window_hash"]);
    let batches: Vec<_> = cache.scan(scan).unwrap().map(|batch| batch.unwrap()).collect();
    let hashes = batches.iter().flat_map(|batch| batch["window_hash"].as_fixed_size_binary());
    hashes.map(|hash| hash.unwrap().to_vec()).collect()
}

/// Checks that these rows, and no others, are found by their keys and by their sources.
#[track_caller]
fn check(cache: &EmbeddingCache, rows: &[WindowRecord]) {
    for row in rows {
        let found = cache.read_record(&row.key).unwrap().unwrap();
        assert_eq!(WindowRecord { created_at: 0, ..found }, *row);
    }
    for source in SOURCES {
        let of = rows.iter().filter(|row| row.chrom == source);
        assert_eq!(
            scanned(cache, source),
            of.map(|row| row.key.window_hash.to_vec()).collect(),
            "{source}"
        );
    }
    assert_eq!(cache.status().unwrap().rows, rows.len() as u64);
    assert_eq!(cache.verify().unwrap().problems, []);
}

#[test]
fn rows_of_many_sources_lie_beside_those_of_a_contig_of_the_same_name() {
    let f = Fixture::new();
    assert_eq!(kind(f.cache.write_shard("enc", "1", 0, &mixed(0..8))), ErrorKind::Invalid);
    assert_eq!(f.cache.write_shard("enc", essays(), 0, &mixed(0..8)).unwrap(), path(essays(), 0));
    assert_eq!(f.cache.write_shard("enc", essays(), 0, &mixed(2..5)).unwrap(), path(essays(), 0));
    assert_eq!(f.write(0, 20..22), path("1", 0));
    let held = f.cache.write_shard("enc", "1", 1, &records(3..4));
    assert_eq!(kind(held), ErrorKind::Conflict, "a key has one place in all groups");
    check(&f.open(), &[mixed(0..8), records(20..22)].concat());
}

#[test]
fn a_collection_is_compacted_by_itself() {
    let f = Fixture::new();
    for block in 0..3 {
        f.write(block, block as u32 * 4..block as u32 * 4 + 4);
        let windows = 100 + block as u32 * 4..104 + block as u32 * 4;
        f.cache.write_shard("enc", essays(), block, &mixed(windows)).unwrap();
    }
    // The package does not keep contigs apart; what becomes of its shards does.
    f.put(&legacy_path(0), python_shard(&mixed(200..208)));
    f.cache.refresh().unwrap();
    let report = compact(&f.cache);
    assert_eq!(figures(&report), (1 + 6, SOURCES.len() as u64 + 2, 8 + 24, 0));
    let listed = f.cache.list().unwrap();
    assert!(
        listed.contains(&path("1", FIRST_BLOCK)) && listed.contains(&path(essays(), FIRST_BLOCK))
    );
    assert_eq!(listed.len(), 2 + SOURCES.len());
    check(&f.open(), &[records(0..12), mixed(100..112), mixed(200..208)].concat());
    let again = f.cache.write_shard("enc", essays(), 0, &mixed(100..104)).unwrap();
    assert_eq!(again, path(essays(), FIRST_BLOCK));
}

#[test]
fn a_collection_is_streamed_embedded_repaired_removed_and_told_to_the_package() {
    let f = Fixture::new();
    let options = Options::default().python_index(true);
    let cache = EmbeddingCache::open(f.dir.path(), options).unwrap();
    let mut writer = cache.writer("enc", essays(), 0).bytes_per_shard(10 * 16);
    writer.write(mixed(0..25)).unwrap();
    assert_eq!(writer.finish().unwrap(), [0, 1, 2].map(|block| path(essays(), block)));
    let keys: Vec<_> = (20..30).map(key).collect();
    let embed = |missing: &[WindowKey]| {
        assert_eq!(missing, &keys[5..]);
        Ok(mixed(25..30))
    };
    cache.read_or_embed("enc", essays(), &keys, embed).unwrap();
    check(&cache, &mixed(0..30));
    super::python::check(&f, &cache, 0..30);

    f.damage(&path(essays(), 1), 13);
    let report = cache.repair().unwrap();
    assert!(report.quarantined[0].ends_with("/fp32/set1_1.parquet"), "{report:?}");
    check(&cache, &[mixed(0..10), mixed(20..30)].concat());
    super::python::check(&f, &cache, (0..10).chain(20..30));
    assert_eq!(cache.reindex().unwrap().problems, []);
    let removed = cache.remove(&Removal::EncoderId("enc".into())).unwrap();
    assert_eq!((removed.removed.len(), removed.kept), (3, vec![]));
    check(&cache, &[]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_row_is_found_by_its_key_and_its_source_wherever_it_is_moved(
        shards in proptest::collection::vec((0..3_usize, 1..7_u32), 1..9),
        target in 1..400_u64,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let cache = EmbeddingCache::on(Arc::new(MemoryStorage::new()), dir.path(), Options::default()).unwrap();
        let mut all = Vec::new();
        for (block, (group, count)) in shards.into_iter().enumerate() {
            let first = block as u32 * 10;
            let (group, rows) = match group {
                0 => (Group::from("1"), records(first..first + count)),
                1 => (essays(), mixed(first..first + count)),
                _ => (Group::Collection("1_0".into()), mixed(first..first + count)),
            };
            cache.write_shard("enc", group, block as u64, &rows).unwrap();
            all.extend(rows);
        }
        check(&cache, &all);
        let report = cache.compact(CompactOptions::default().target_bytes(target)).unwrap();
        prop_assert_eq!(report.problems, []);
        check(&cache, &all);
        prop_assert_eq!(cache.reindex().unwrap().problems, []);
        check(&cache, &all);
    }
}
