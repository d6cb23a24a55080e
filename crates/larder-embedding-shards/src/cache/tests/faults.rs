//! Random histories in which an operation of the storage goes wrong: what is left is what was there before the call or
//! what it was to do, and whoever opens the cache next finds it in order.

use std::collections::BTreeSet;

use larder_storage::{
    Durability, LocalStorage,
    testing::{Fault, FaultStorage},
};

use super::*;
use crate::{CompactOptions, Removal};

/// More than any history writes.
const WINDOWS: u32 = 12;

/// One call on a cache.
#[derive(Clone, Debug)]
enum Step {
    Write { block: u64, start: u32, count: u32 },
    Compact,
    Remove(usize),
    Reindex,
    Refresh,
}

fn steps() -> impl Strategy<Value = Vec<(Step, u64, Fault)>> {
    let write = (0..9_u64, 0..WINDOWS - 3, 1..4_u32);
    let step = prop_oneof![
        6 => write.prop_map(|(block, start, count)| Step::Write { block, start, count }),
        3 => Just(Step::Compact),
        1 => (0..3_usize).prop_map(Step::Remove),
        1 => Just(Step::Reindex),
        1 => Just(Step::Refresh),
    ];
    let fault = proptest::sample::select(Fault::ALL.to_vec());
    // A write takes some twenty operations of the storage, merging a few shards some hundreds.
    let nth = prop_oneof![1..60_u64, 60..600_u64];
    proptest::collection::vec((step, nth, fault), 1..16)
}

fn open(dir: &TempDir, storage: Arc<dyn Storage>) -> Result<EmbeddingCache> {
    EmbeddingCache::on(storage, dir.path(), Options::default().durability(Durability::Scratch))
}

/// Does a step, and says which windows it is to add and which to take away.
fn carry_out(cache: &EmbeddingCache, step: &Step) -> (Result<()>, Range<u32>, BTreeSet<u32>) {
    let (mut added, mut gone) = (0..0, BTreeSet::new());
    let done = match *step {
        Step::Write { block, start, count } => {
            added = start..start + count;
            cache.write_shard("enc", "1", block, &records(added.clone())).map(drop)
        }
        Step::Compact => cache.compact(CompactOptions::default()).map(drop),
        Step::Remove(which) => cache.shards().and_then(|shards| {
            let Some(info) = shards.get(which) else { return Ok(()) };
            let found = cache.index.find(&(0..WINDOWS).map(key).collect::<Vec<_>>())?;
            let of_it = |found: &Option<_>| matches!(found, Some(crate::index::Found { shard, .. }) if shard.path == info.path);
            gone.extend((0..).zip(&found).filter(|(_, found)| of_it(found)).map(|(window, _)| window));
            cache.remove(&Removal::Shard(info.path.clone())).map(drop)
        }),
        Step::Reindex => cache.reindex().map(drop),
        Step::Refresh => cache.refresh().map(drop),
    };
    (done, added, gone)
}

/// What is left in the stage area of a local storage.
fn staged(dir: &TempDir) -> usize {
    let areas = std::fs::read_dir(dir.path().join(".larder/stage")).into_iter().flatten();
    let areas = areas.map(|area| area.unwrap().path()).filter(|area| area.is_dir());
    areas.map(|area| std::fs::read_dir(area).unwrap().count()).sum()
}

#[test]
fn a_shard_that_goes_straight_to_its_file_is_there_whole_or_not_at_all() {
    for fault in Fault::ALL {
        for nth in 1.. {
            let dir = tempfile::tempdir().unwrap();
            let local = LocalStorage::open(dir.path(), Durability::Scratch).unwrap();
            let storage = Arc::new(FaultStorage::new(local, nth, fault));
            let cache = open(&dir, storage.clone());
            let written = cache.and_then(|cache| cache.write_shard("enc", "1", 0, &records(0..3)));
            assert_eq!(staged(&dir), 0, "{fault:?} at {nth}");

            let cache = EmbeddingCache::open(dir.path(), Options::default()).unwrap();
            let found = windows(&cache).len();
            assert_eq!(cache.verify().unwrap().problems, []);
            match written {
                Ok(_) => assert_eq!(found, 3, "{fault:?} at {nth}"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
                    assert!(found == 0 || found == 3, "{fault:?} at {nth}: {found} rows");
                }
            }
            if !storage.was_hit() {
                break;
            }
        }
    }
}

/// The windows that a cache has, each with the one embedding that there is of it.
fn windows(cache: &EmbeddingCache) -> BTreeSet<u32> {
    let read = |window: &u32| {
        let found = cache.read(&key(*window)).unwrap();
        found.inspect(|found| assert_eq!(*found, record(*window).embedding)).is_some()
    };
    (0..WINDOWS).filter(read).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_storage_that_fails_anywhere_loses_nothing(steps in steps()) {
        let (dir, mut storage, mut model) = (tempfile::tempdir().unwrap(), MemoryStorage::new(), BTreeSet::new());
        for (step, nth, fault) in steps {
            let faulty = Arc::new(FaultStorage::new(storage, nth, fault));
            let outcome = open(&dir, faulty.clone()).map(|cache| carry_out(&cache, &step));
            let faulty = Arc::into_inner(faulty).unwrap();
            let was_hit = faulty.was_hit();
            storage = faulty.into_inner();

            let sound = Arc::new(storage);
            let cache = open(&dir, sound.clone()).unwrap();
            let found = windows(&cache);
            prop_assert_eq!(cache.skipped(), []);
            prop_assert_eq!(cache.verify().unwrap().problems, vec![], "after {:?}", step);
            drop(cache);
            storage = Arc::into_inner(sound).unwrap();
            if let Ok((done, added, gone)) = outcome {
                let after: BTreeSet<u32> = model.iter().copied().chain(added).filter(|it| !gone.contains(it)).collect();
                match done {
                    Ok(()) => prop_assert_eq!(&found, &after, "{:?}", step),
                    Err(error) => {
                        prop_assert!(was_hit || error.kind() == ErrorKind::Conflict, "{:?}", error);
                        prop_assert!(found == model || found == after, "{:?}: {:?}", step, error);
                    }
                }
            } else {
                prop_assert_eq!(&found, &model);
            }
            model = found;
        }
    }
}
