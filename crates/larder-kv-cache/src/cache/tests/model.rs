//! The cache against the simplest thing that behaves like it: a list of pairs.

use super::*;

const KEYS: [&str; 7] = ["", "a", "b", "a:b", "\0", "é", "z"];

#[derive(Clone, Debug)]
enum Op {
    Set(&'static str, Option<i64>),
    SetMany(Vec<(&'static str, Option<i64>)>),
    Invalidate(&'static str),
    Clear,
    Save,
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    let key = || prop::sample::select(&KEYS[..]);
    let entry = || (key(), any::<Option<i64>>());
    prop_oneof![
        8 => entry().prop_map(|(key, value)| Op::Set(key, value)),
        3 => prop::collection::vec(entry(), 0..6).prop_map(Op::SetMany),
        4 => key().prop_map(Op::Invalidate),
        1 => Just(Op::Clear),
        2 => Just(Op::Save),
        1 => Just(Op::Reopen),
    ]
}

#[derive(Default)]
struct Model(Vec<(&'static str, Option<i64>)>);

impl Model {
    fn get(&self, key: &str) -> Lookup<Option<i64>> {
        self.0
            .iter()
            .find(|entry| entry.0 == key)
            .map_or(Lookup::Miss, |entry| Lookup::Hit(entry.1))
    }

    fn set(&mut self, key: &'static str, value: Option<i64>) {
        match self.0.iter_mut().find(|entry| entry.0 == key) {
            Some(entry) => entry.1 = value,
            None => self.0.push((key, value)),
        }
    }

    fn invalidate(&mut self, key: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|entry| entry.0 != key);
        self.0.len() < before
    }

    fn keys(&self) -> Vec<&'static str> {
        self.0.iter().map(|entry| entry.0).collect()
    }
}

fn agree(cache: &KvCache, model: &Model) {
    assert_eq!(cache.keys().unwrap(), model.keys());
    assert_eq!(cache.len().unwrap(), model.0.len());
    assert_eq!(cache.is_empty().unwrap(), model.0.is_empty());
    let expected = KEYS.map(|key| model.get(key));
    assert_eq!(cache.get_many(&KEYS).unwrap(), expected);
    let (hits, misses): (Vec<&str>, Vec<&str>) =
        KEYS.iter().partition(|key| model.get(key) != Lookup::Miss);
    let split = cache.hits_and_misses(&KEYS).unwrap();
    assert_eq!(
        (
            split.0.iter().map(String::as_str).collect(),
            split.1.iter().map(String::as_str).collect()
        ),
        (hits, misses)
    );
    for (key, value) in KEYS.iter().zip(expected) {
        assert_eq!(cache.get(key).unwrap(), value);
        assert_eq!(cache.contains(key).unwrap(), value != Lookup::Miss);
    }
}

fn run(options: Options, ops: Vec<Op>) {
    let dir = tempdir().unwrap();
    let open = || KvCache::open(dir.path(), "model", options.clone()).unwrap();
    let (mut cache, mut model) = (open(), Model::default());
    for op in ops {
        match op {
            Op::Set(key, value) => {
                cache.set(key, &value).unwrap();
                model.set(key, value);
            }
            Op::SetMany(items) => {
                cache.set_many(items.iter().copied()).unwrap();
                items.into_iter().for_each(|(key, value)| model.set(key, value));
            }
            Op::Invalidate(key) => {
                assert_eq!(cache.invalidate(key).unwrap(), model.invalidate(key))
            }
            Op::Clear => {
                cache.clear().unwrap();
                model.0.clear();
            }
            Op::Save => cache.save().unwrap(),
            Op::Reopen => {
                drop(cache);
                cache = open();
            }
        }
        agree(&cache, &model);
    }
    assert!(cache.verify().unwrap().is_clean());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn behaves_as_an_ordered_map(ops in prop::collection::vec(op(), 0..40), autosave: bool) {
        run(Options::default().durability(Durability::Scratch).autosave(autosave), ops);
    }
}
