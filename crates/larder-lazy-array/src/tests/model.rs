use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Insert { key: usize, len: usize },
    Read { key: usize },
    DropGuard { at: usize },
    Write { key: usize, value: u8 },
    Offload { key: usize },
    Flush { key: usize },
    Rows { key: usize },
    Remove { key: usize },
    Get { key: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0_usize..5;
    let step = prop_oneof![
        2 => (key.clone(), 1_usize..60).prop_map(|(key, len)| Step::Insert { key, len }),
        3 => key.clone().prop_map(|key| Step::Read { key }),
        2 => (0_usize..4).prop_map(|at| Step::DropGuard { at }),
        3 => (key.clone(), 1_u8..).prop_map(|(key, value)| Step::Write { key, value }),
        1 => key.clone().prop_map(|key| Step::Offload { key }),
        1 => key.clone().prop_map(|key| Step::Flush { key }),
        1 => key.clone().prop_map(|key| Step::Rows { key }),
        1 => key.clone().prop_map(|key| Step::Remove { key }),
        1 => key.prop_map(|key| Step::Get { key }),
    ];
    prop::collection::vec(step, 1..60)
}

/// What one thread knows: the values of each key, the order of use of those in memory, and its guards.
struct Model {
    store: ArrayStore,
    limit: u64,
    arrays: HashMap<usize, (LazyArray<u8>, Vec<u8>)>,
    recent: Vec<usize>,
    guards: Vec<(usize, ReadGuard<u8>)>,
}

impl Model {
    fn run(&mut self, step: Step) {
        match step {
            Step::Insert { key, len } => self.insert(key, len),
            Step::Read { key } => self.with(key, |model, array, values| {
                let guard = array.read().unwrap();
                assert_eq!(guard.as_slice(), Some(values));
                model.guards.push((key, guard));
                model.touch(key);
            }),
            Step::DropGuard { at } if at < self.guards.len() => {
                let (key, guard) = self.guards.remove(at);
                drop(guard);
                self.touch(key);
            }
            Step::Write { key, value } if !self.pinned(key) => self.with(key, |model, array, _| {
                array.write().unwrap()[[0]] = value;
                model.arrays.entry(key).and_modify(|(_, values)| values[0] = value);
                model.touch(key);
            }),
            Step::Offload { key } => self.with(key, |model, array, _| {
                assert_eq!(array.offload().unwrap(), !model.pinned(key));
                model.recent.retain(|other| {
                    *other != key || model.guards.iter().any(|(pin, _)| *pin == key)
                });
            }),
            Step::Flush { key } => self.with(key, |model, array, _| {
                let uses = array.dirty() && !array.offloaded();
                array.flush().unwrap();
                if uses {
                    model.touch(key);
                }
            }),
            Step::Rows { key } => self.with(key, |model, array, values| {
                let resident = !array.offloaded();
                assert_eq!(array.rows(0..values.len()).unwrap().as_slice(), Some(values));
                if resident {
                    model.touch(key);
                }
            }),
            Step::Remove { key } if !self.pinned(key) => {
                let there = self.arrays.remove(&key).is_some();
                assert_eq!(self.store.remove(&format!("{key}")).unwrap(), there);
                self.recent.retain(|other| *other != key);
            }
            Step::Get { key } => {
                let found = self.store.get::<u8>(&format!("{key}")).unwrap();
                assert_eq!(found.is_some(), self.arrays.contains_key(&key));
            }
            _ => {}
        }
        self.check();
    }

    fn insert(&mut self, key: usize, len: usize) {
        let outcome = self.store.insert(&format!("{key}"), Array1::<u8>::zeros(len));
        if self.arrays.contains_key(&key) {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Conflict);
            return;
        }
        self.evict(len as u64);
        let kept = self.resident() + len as u64 <= self.limit;
        self.arrays.insert(key, (outcome.unwrap(), vec![0; len]));
        if kept {
            self.recent.push(key);
        }
    }

    fn with(&mut self, key: usize, act: impl FnOnce(&mut Self, &LazyArray<u8>, &[u8])) {
        if let Some((array, values)) = self.arrays.get(&key).cloned() {
            act(self, &array, &values);
        }
    }

    fn pinned(&self, key: usize) -> bool {
        self.guards.iter().any(|(pin, _)| *pin == key)
    }

    fn bytes(&self, key: usize) -> u64 {
        self.arrays[&key].1.len() as u64
    }

    fn resident(&self) -> u64 {
        self.recent.iter().map(|key| self.bytes(*key)).sum()
    }

    /// The array is loaded if need be, and the most recently used.
    fn touch(&mut self, key: usize) {
        if !self.recent.contains(&key) {
            let bytes = self.bytes(key);
            self.shrink(bytes);
        }
        self.recent.retain(|other| *other != key);
        self.recent.push(key);
        self.shrink(0);
    }

    /// Room for an insert.
    fn evict(&mut self, bytes: u64) {
        if bytes <= self.limit {
            self.shrink(bytes);
        }
    }

    /// Offloads the least recently used without a guard until `bytes` more fit.
    fn shrink(&mut self, bytes: u64) {
        while self.resident() + bytes > self.limit {
            let Some(at) = self.recent.iter().position(|key| !self.pinned(*key)) else { return };
            self.recent.remove(at);
        }
    }

    fn check(&self) {
        for (key, (array, _)) in &self.arrays {
            assert_eq!(!array.offloaded(), self.recent.contains(key), "key {key}");
        }
        assert_eq!(self.store.budget().resident(), self.resident());
        assert_eq!(self.store.keys().unwrap().len(), self.arrays.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_budget_does_what_the_model_does(steps in steps(), limit in 0_u64..200) {
        let (storage, store) = in_memory_with_scratch(limit);
        let mut model = Model {
            store, limit, arrays: HashMap::new(), recent: Vec::new(), guards: Vec::new(),
        };
        for step in steps {
            model.run(step);
        }
        model.guards.clear();
        model.store.flush_all().unwrap();
        let other = ArrayStore::on(storage, Options::default()).unwrap();
        for (key, (_, values)) in &model.arrays {
            let found = other.get::<u8>(&format!("{key}")).unwrap().unwrap();
            let guard = found.read().unwrap();
            prop_assert_eq!(guard.as_slice(), Some(&values[..]));
        }
        let budget = model.store.budget().clone();
        drop(model);
        prop_assert_eq!(budget.resident(), 0);
    }
}

/// The scratch directory is shared by all cases: they differ in their stage areas.
fn in_memory_with_scratch(limit: u64) -> (Arc<MemoryStorage>, ArrayStore) {
    static SCRATCH: std::sync::LazyLock<TempDir> =
        std::sync::LazyLock::new(|| tempfile::tempdir().unwrap());
    let storage = Arc::new(MemoryStorage::new());
    let options = Options::default().budget(MemoryBudget::bytes(limit)).scratch(SCRATCH.path());
    (Arc::clone(&storage), ArrayStore::on(storage, options).unwrap())
}
