//! The document against the simplest thing that behaves like it: a list of pairs.

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Set(&'static str, u8),
    Remove(&'static str),
    Clear,
    Reparse,
}

fn op() -> impl Strategy<Value = Op> {
    let key = || prop::sample::select(&["", "a", "b", "a\"b", "\0", "é", "z", "\u{1f600}"][..]);
    prop_oneof![
        8 => (key(), any::<u8>()).prop_map(|(key, value)| Op::Set(key, value)),
        6 => key().prop_map(Op::Remove),
        1 => Just(Op::Clear),
        1 => Just(Op::Reparse),
    ]
}

#[derive(Default)]
struct Model(Vec<(&'static str, String)>);

impl Model {
    fn set(&mut self, key: &'static str, json: String) {
        match self.0.iter_mut().find(|entry| entry.0 == key) {
            Some(entry) => entry.1 = json,
            None => self.0.push((key, json)),
        }
    }

    fn remove(&mut self, key: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|entry| entry.0 != key);
        self.0.len() < before
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(key, json)| (*key, json.as_str())).collect()
    }
}

fn run(ops: Vec<Op>) {
    let (mut document, mut model) = (Document::default(), Model::default());
    for op in ops {
        match op {
            Op::Set(key, value) => {
                let json = format!("[{value}]");
                document.set(key, &json).unwrap();
                model.set(key, json);
            }
            Op::Remove(key) => assert_eq!(document.remove(key), model.remove(key)),
            Op::Clear => {
                document.clear();
                model.0.clear();
            }
            Op::Reparse => document = Document::parse(&document.to_bytes()).unwrap(),
        }
        assert_eq!(pairs(&document), model.pairs());
        assert_eq!(document.len(), model.0.len());
        for (key, json) in &model.0 {
            assert_eq!(document.get(key), Some(json.as_str()));
        }
    }
}

proptest! {
    #[test]
    fn behaves_as_a_list_of_pairs(ops in prop::collection::vec(op(), 0..60)) {
        run(ops);
    }
}

/// Emptying a document from the front would take minutes if each removal moved the entries behind it.
#[test]
fn removals_give_their_places_back_and_stay_cheap() {
    let key = |n: u32| format!("key {n}");
    let mut document = Document::default();
    (0..200_000).for_each(|n| document.set(&key(n), "1").unwrap());
    assert!((0..199_999).all(|n| document.remove(&key(n))));
    assert_eq!(pairs(&document), [("key 199999", "1")]);
    assert!(document.slots.len() <= 2, "{} slots for one entry", document.slots.len());
}
