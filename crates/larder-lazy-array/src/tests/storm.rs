//! Threads with guards on a few arrays and little room, while one operation of the storage fails.

use std::{
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    thread,
};

use larder_storage::{
    Durability, LocalStorage, Result,
    testing::{Fault, FaultStorage},
};
use proptest::prelude::*;

use super::*;

const ARRAYS: usize = 3;
/// Elements of each array.
const LEN: usize = 8;

#[derive(Clone, Copy, Debug)]
enum Step {
    Add,
    Read,
    Rows,
    Offload,
    Flush,
    Get,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        4 => Just(Step::Add),
        2 => Just(Step::Read),
        1 => Just(Step::Rows),
        2 => Just(Step::Offload),
        2 => Just(Step::Flush),
        1 => Just(Step::Get),
    ];
    prop::collection::vec((0..ARRAYS, step), 1..25)
}

/// What the threads know together.
struct Storm {
    store: ArrayStore,
    arrays: Vec<LazyArray<u64>>,
    /// How often each array was added to.
    added: [AtomicU64; ARRAYS],
    failed: AtomicU32,
}

impl Storm {
    fn run(&self, (key, step): (usize, Step)) {
        if self.step(key, step).is_err() {
            self.failed.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn step(&self, key: usize, step: Step) -> Result<()> {
        let array = &self.arrays[key];
        match step {
            Step::Add => {
                let mut guard = array.write()?;
                *guard += 1;
                self.added[key].fetch_add(1, Ordering::SeqCst);
            }
            Step::Read => {
                let guard = array.read()?;
                assert!(guard.iter().all(|element| *element == guard[[0]]), "{guard:?}");
            }
            Step::Rows => {
                let rows = array.rows(0..LEN)?;
                assert!(rows.iter().all(|element| *element == rows[[0]]), "{rows}");
            }
            Step::Offload => drop(array.offload()?),
            Step::Flush => array.flush()?,
            Step::Get => drop(self.store.get::<u64>(array.key().as_str())?),
        }
        Ok(())
    }

    fn check(&self, limit: u64) {
        for (array, added) in self.arrays.iter().zip(&self.added) {
            // The fault may be still to come.
            let guard = array.read().or_else(|_| array.read()).unwrap();
            let added = added.load(Ordering::SeqCst);
            assert!(guard.iter().all(|element| *element == added), "{guard:?}, added {added}");
        }
        assert!(self.store.budget().resident() <= limit);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_no_edit_is_lost_and_the_budget_is_kept(
        threads in prop::collection::vec(steps(), 3),
        limit in 0_u64..(ARRAYS * LEN * 8 + 10) as u64,
        nth in 0_u64..150,
        answers in any::<bool>(),
    ) {
        let (dir, setup) = fresh(0);
        for key in 0..ARRAYS {
            setup.insert(&key.to_string(), Array1::<u64>::zeros(LEN)).unwrap();
        }
        drop(setup);
        let fault = if answers { Fault::LoseAnswer } else { Fault::Fail };
        let storage = LocalStorage::open(dir.path(), Durability::Scratch).unwrap();
        let storage = FaultStorage::new(storage, nth, fault);
        let options = Options::default().budget(MemoryBudget::bytes(limit));
        let store = ArrayStore::on(Arc::new(storage), options).unwrap();
        let get = |key: usize| store.get(&key.to_string());
        let arrays = (0..ARRAYS).map(|key| get(key).or_else(|_| get(key)).unwrap().unwrap());
        let arrays = arrays.collect();
        let storm = Storm { arrays, added: Default::default(), failed: AtomicU32::new(0), store };
        thread::scope(|scope| {
            for steps in threads {
                let storm = &storm;
                scope.spawn(move || steps.into_iter().for_each(|step| storm.run(step)));
            }
        });
        prop_assert!(storm.failed.load(Ordering::SeqCst) <= 1, "one operation failed");
        let flushed = storm.store.flush_all().or_else(|_| storm.store.flush_all());
        prop_assert!(flushed.is_ok(), "{flushed:?}");
        storm.check(limit);
        let published = open(dir.path(), 1 << 20);
        for (key, added) in storm.added.iter().enumerate() {
            let array = published.get::<u64>(&key.to_string()).unwrap().unwrap();
            prop_assert_eq!(array.read().unwrap()[[0]], added.load(Ordering::SeqCst));
        }
        prop_assert!(published.verify().unwrap().is_clean());
        let budget = storm.store.budget().clone();
        drop(storm);
        prop_assert_eq!(budget.resident(), 0);
    }
}
