//! Removing whole shards.

use super::*;
use crate::{Removal, RemoveReport};

fn remove(cache: &EmbeddingCache, removal: Removal) -> RemoveReport {
    let report = cache.remove(&removal).unwrap();
    assert_eq!(cache.verify().unwrap().problems, []);
    report
}

fn made_at(windows: Range<u32>, times: Range<i64>) -> Vec<WindowRecord> {
    let rows = records(windows).into_iter().zip(times);
    rows.map(|(row, created_at)| WindowRecord { created_at, ..row }).collect()
}

#[test]
fn shards_go_by_their_weights_and_by_their_encoder() {
    let f = Fixture::new();
    let newer = |window| WindowKey { encoder_hash: [6; 32], ..key(window) };
    let old = f.write(0, 0..4);
    let row = WindowRecord::new("1", 0, 1, newer(1), Embedding::Fp32(vec![1.0])).unwrap();
    let new = f.cache.write_shard("enc", "1", 0, &[row]).unwrap();
    let other = f.cache.write_shard("a/b", "1", 0, &records(10..14)).unwrap();
    f.put(&legacy_path(0), python_shard(&records(20..24)));
    let mut mixed = records(30..34);
    mixed[2].key = newer(32);
    f.put(&legacy_path(1), python_shard(&mixed));
    let cache = f.open();

    let report = remove(&cache, Removal::EncoderHash([6; 32]));
    assert_eq!(report.removed, [new.as_str()]);
    let [kept] = &report.kept[..] else { panic!("{report:?}") };
    assert_eq!((kept.place.as_str(), &kept.what[..10]), (legacy_path(1).as_str(), "1 of its 4"));
    assert_eq!(cache.contains_many(&[newer(1), newer(32), key(0)]).unwrap(), [false, true, true]);

    assert_eq!(remove(&cache, Removal::EncoderId("a/b".into())).removed, [other.as_str()]);
    let theirs = [legacy_path(0), legacy_path(1)].map(|path| path.to_string());
    assert_eq!(remove(&cache, Removal::EncoderId("a__b".into())).removed, theirs);
    assert_eq!(remove(&cache, Removal::EncoderId("none".into())), RemoveReport::default());
    assert_eq!(cache.list().unwrap(), [old]);
    assert_eq!(f.open().status().unwrap().rows, 4);
}

#[test]
fn shards_go_by_age() {
    let f = Fixture::new();
    let write =
        |block, rows: &[WindowRecord]| f.cache.write_shard("enc", "1", block, rows).unwrap();
    let (old, both) = (write(0, &made_at(0..3, 5..8)), write(1, &made_at(3..6, 7..10)));
    write(2, &made_at(6..9, 10..13));
    assert_eq!(remove(&f.cache, Removal::CreatedBefore(5)), RemoveReport::default());
    let report = remove(&f.cache, Removal::CreatedBefore(9));
    assert_eq!(report.removed, [old.as_str()]);
    assert_eq!(report.kept.iter().map(|it| &*it.place).collect::<Vec<_>>(), [both.as_str()]);
    let there: Vec<_> = f.cache.contains_many(&(0..9).map(key).collect::<Vec<_>>()).unwrap();
    assert_eq!(there, [[false; 3], [true; 3], [true; 3]].concat());
}

#[test]
fn a_shard_goes_by_its_name_whatever_is_in_it() {
    let f = Fixture::new();
    let (one, damaged) = (f.write(0, 0..4), f.write(1, 4..8));
    f.put(&damaged, "PAR1 but no more");
    let cache = f.open();
    let named = |path: &Key| cache.remove(&Removal::Shard(path.clone()));
    assert_eq!(named(&one).unwrap().removed, [one.as_str()]);
    assert_eq!(named(&one).unwrap(), RemoveReport::default());
    let kept = cache.remove(&Removal::CreatedBefore(i64::MAX)).unwrap().kept;
    assert_eq!(kept.iter().map(|it| &*it.place).collect::<Vec<_>>(), [damaged.as_str()]);
    assert_eq!(named(&damaged).unwrap().removed, [damaged.as_str()]);
    for text in ["embeddings/index.sqlite", "embeddings/.quarantine/a.parquet", "other/a.parquet"] {
        assert_eq!(kind(named(&Key::new(text).unwrap())), ErrorKind::Invalid, "{text}");
    }
    assert_eq!(cache.status().unwrap().rows, 0);
}

#[test]
fn keys_that_another_shard_holds_are_found_there() {
    let f = Fixture::new();
    f.put(&legacy_path(0), python_shard(&records(0..10)));
    f.put(&legacy_path(1), python_shard(&records(5..20)));
    let cache = f.open();
    remove(&cache, Removal::Shard(legacy_path(0)));
    let there = cache.contains_many(&[key(4), key(5), key(19)]).unwrap();
    assert_eq!(there, [false, true, true]);
    assert!(cache.read(&key(7)).unwrap().is_some());
}
