use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

fn keys(windows: Range<u32>) -> Vec<WindowKey> {
    windows.map(key).collect()
}

/// The rows of these keys, of which [`key`] made each.
fn embed(missing: &[WindowKey]) -> Result<Vec<WindowRecord>> {
    let all = records(0..200).into_iter();
    Ok(all.filter(|record| missing.contains(&record.key)).rev().collect())
}

#[test]
fn only_what_is_missing_is_embedded_and_then_it_is_there() {
    let place = Fixture::new();
    place.write(4, 10..20);
    let ask = |windows: Range<u32>| {
        let mut asked = Vec::new();
        let found = place.cache.read_or_embed("enc", "1", &keys(windows.clone()), |missing| {
            asked.extend_from_slice(missing);
            embed(missing)
        });
        let expected: Vec<_> = windows.map(|window| record(window).embedding).collect();
        assert_eq!(found.unwrap(), expected);
        asked
    };
    assert_eq!(ask(5..25), [keys(5..10), keys(20..25)].concat());
    assert_eq!(ask(5..25), []);
    assert_eq!(ask(0..5), keys(0..5));
    assert_eq!(place.open().status().unwrap().shards, 3);
    // A key that is asked for twice is embedded once.
    let twice = [key(40), key(40)];
    let found = place.cache.read_or_embed("enc", "1", &twice, |missing| {
        assert_eq!(missing, &twice[..1]);
        embed(missing)
    });
    assert_eq!(found.unwrap().len(), 2);
    assert!(place.cache.verify().unwrap().is_clean());
}

#[test]
fn what_is_not_asked_for_or_missing_is_refused_and_nothing_written() {
    let place = Fixture::new();
    let ask = |rows: Result<Vec<WindowRecord>>| {
        let mut rows = Some(rows);
        kind(place.cache.read_or_embed("enc", "1", &keys(0..3), |_| rows.take().unwrap()))
    };
    for rows in [records(0..2), records(0..4), records(1..4), Vec::new()] {
        assert_eq!(ask(Ok(rows)), ErrorKind::Invalid);
    }
    let twice = [records(0..3), records(0..1)].concat();
    assert_eq!(ask(Ok(twice)), ErrorKind::Invalid);
    assert_eq!(
        ask(Err(Error::new(larder_storage::ErrorKind::Backend, "no encoder"))),
        ErrorKind::Backend
    );
    let nested = place.cache.read_or_embed("enc", "1", &keys(0..1), |missing| {
        place.cache.read_or_embed("enc", "1", missing, embed).map(|_| Vec::new())
    });
    assert_eq!(kind(nested), ErrorKind::Locked);
    assert_eq!(place.cache.status().unwrap().shards, 0);
}

#[test]
fn keys_of_two_encoders_are_refused_before_anything_is_embedded() {
    let place = Fixture::new();
    let other = WindowKey { encoder_hash: [6; 32], ..key(1) };
    let far = WindowKey { pool_radius: 1 << 31, ..key(0) };
    for keys in [&[key(0), other][..], &[far]] {
        let asked = place.cache.read_or_embed("enc", "1", keys, |_| panic!("embedded"));
        assert_eq!(kind(asked), ErrorKind::Invalid);
    }
}

#[test]
fn what_one_call_made_stays_where_the_next_one_fails() {
    let place = Fixture::new();
    let options = Options::default().embedded_rows(4);
    let cache = EmbeddingCache::open(place.dir.path(), options).unwrap();
    let mut calls = 0;
    let failed = cache.read_or_embed("enc", "1", &keys(0..10), |missing| {
        calls += 1;
        assert!(missing.len() <= 4);
        if calls == 3 { Err(Error::new(ErrorKind::Backend, "no encoder")) } else { embed(missing) }
    });
    assert_eq!((kind(failed), calls), (ErrorKind::Backend, 3));
    assert_eq!(cache.status().unwrap().rows, 8);
    let found = cache.read_or_embed("enc", "1", &keys(0..10), |missing| {
        assert_eq!(missing, keys(8..10));
        embed(missing)
    });
    assert_eq!(found.unwrap().len(), 10);
}

#[test]
fn embeddings_are_not_lost_where_their_block_is_taken() {
    let block = |number| shard_path_for(&ShardId::of("enc", "1", number, &key(0))).unwrap();
    // By what cannot be read, by another machine's rows, by the same rows, and by some of them.
    for taken in [None, Some(50..60), Some(0..3), Some(1..7)] {
        let (storage, dirs) =
            (Arc::new(MemoryStorage::new()), [(); 2].map(|()| tempfile::tempdir()));
        let [mine, theirs] = dirs.map(|dir| {
            let dir = dir.unwrap();
            (EmbeddingCache::on(storage.clone(), dir.path(), Options::default()).unwrap(), dir)
        });
        let found = mine.0.read_or_embed("enc", "1", &keys(0..3), |missing| {
            match &taken {
                Some(windows) => {
                    let rows = records(windows.clone());
                    theirs.0.write_shard("enc", "1", 0, &rows).map(drop)?;
                }
                None => storage.put(&block(0), "no Parquet".into(), PutIf::Absent)?,
            }
            embed(missing)
        });
        let expected: Vec<_> = (0..3).map(|window| record(window).embedding).collect();
        assert_eq!(found.unwrap(), expected, "{taken:?}");
        assert_eq!(mine.0.read_many(&keys(0..3)).unwrap().iter().flatten().count(), 3);
    }
}

#[test]
fn compaction_leaves_the_blocks_of_those_who_embed_alone() {
    let place = Fixture::new();
    place.write(0, 10..20);
    place.write(1, 20..30);
    place.cache.compact(crate::CompactOptions::default()).unwrap();
    place.cache.read_or_embed("enc", "1", &keys(0..3), embed).unwrap();
    let paths = place.cache.list().unwrap();
    assert!(paths.iter().any(|path| path.as_str().ends_with("chr1_0.parquet")), "{paths:?}");
}

#[test]
fn nothing_is_embedded_twice_among_threads_and_caches() {
    let place = Fixture::new();
    let other = place.open();
    let embedded = AtomicU32::new(0);
    thread::scope(|scope| {
        for me in 0..8_u32 {
            let cache = if me % 2 == 0 { &place.cache } else { &other };
            let embedded = &embedded;
            scope.spawn(move || {
                let windows = me * 10..me * 10 + 60;
                let found = cache.read_or_embed("enc", "1", &keys(windows.clone()), |missing| {
                    embedded.fetch_add(missing.len() as u32, Ordering::SeqCst);
                    embed(missing)
                });
                let expected: Vec<_> = windows.map(|window| record(window).embedding).collect();
                assert_eq!(found.unwrap(), expected);
            });
        }
    });
    assert_eq!(embedded.into_inner(), 130);
    assert!(place.cache.verify().unwrap().is_clean());
}
