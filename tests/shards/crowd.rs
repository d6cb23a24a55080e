//! Many processes at one cache.

use std::{collections::BTreeMap, ops::Range};

use larder_storage::Durability;

use super::{
    changes::{batch, open, windows, write},
    numbers, start,
};

#[test]
fn eight_processes_that_write_overlapping_batches_write_each_key_once() {
    const ROUNDS: u32 = 60;
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), Durability::Process).unwrap();
    let mut workers: Vec<_> = (0..8).map(|id| start("write", dir.path(), id)).collect();
    let (mut rows, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        workers.iter_mut().for_each(|worker| worker.order(&round.to_string()));
        let mut expected = BTreeMap::new();
        for (id, worker) in (0..).zip(&mut workers) {
            match &*worker.hear() {
                "written" => hold_to(&mut expected, batch(round, id)),
                "conflict" => refused += 1,
                said => panic!("process {id} in round {round}: {said:?}"),
            }
        }
        let all = 100 * round..100 * round + 20;
        let found: BTreeMap<_, _> = all.clone().zip(numbers(&cache, all)).collect();
        let found: BTreeMap<_, _> =
            found.into_iter().filter_map(|(at, n)| Some((at, n?))).collect();
        assert_eq!(found, expected, "round {round}");
        rows += found.len() as u64;
    }
    workers.into_iter().for_each(|worker| assert_eq!(worker.rest(), ""));
    assert!(refused >= 3 * ROUNDS, "three of a round contradict the others at least: {refused}");
    let report = cache.verify().unwrap();
    assert!(report.is_clean() && report.rows == rows, "{rows} rows: {report:?}");
    let report = cache.reindex().unwrap();
    assert_eq!((report.indexed_rows, report.problems), (rows, vec![]), "each key is in one shard");
}

/// Notes what was acknowledged, which may not contradict what others were told.
fn hold_to(expected: &mut BTreeMap<u32, u32>, (_, windows, number): (u32, Range<u32>, u32)) {
    for window in windows {
        let before = expected.insert(window, number);
        assert!(
            before.is_none_or(|before| before == number),
            "window {window} is acknowledged twice"
        );
    }
}

#[test]
fn four_processes_find_each_of_200_shards_as_soon_as_it_is_written() {
    const SHARDS: u32 = 200;
    let dir = tempfile::tempdir().unwrap();
    let cache = open(dir.path(), Durability::Process).unwrap();
    let mut readers: Vec<_> = (0..4).map(|id| start("watch", dir.path(), id)).collect();
    for block in 0..SHARDS {
        write(&cache, block, windows(block, block), block).unwrap();
        readers.iter_mut().for_each(|reader| reader.order(&block.to_string()));
    }
    for reader in readers {
        let ahead: u32 = reader.rest().trim_end().parse().unwrap();
        assert!(ahead > 1, "nothing was written while it was read");
    }
    let report = cache.verify().unwrap();
    assert!(report.is_clean() && report.shards == u64::from(SHARDS), "{report:?}");
}
