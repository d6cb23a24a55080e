//! Both engines against the simplest thing that behaves like them: a list of entries.

use std::time::Duration;

use larder_storage::Result;

use super::*;
use crate::Attributes;

mod database;
mod document;
mod faults;
mod list;

use list::Model;

const KEYS: [&str; 7] = ["", "a", "b", "a:b", "\0", "é", "z"];
const TAGS: [&str; 2] = ["red", "blue"];

type Key = &'static str;
type Value = Option<String>;

/// What is asked of one value of the cache.
#[derive(Clone, Debug)]
enum Op {
    Get(Key),
    GetMany(Vec<Key>),
    Set(Key, Value),
    /// With a time to live in seconds, and tags.
    SetWith(Key, Value, Option<u64>, Vec<&'static str>),
    SetMany(Vec<(Key, Value)>),
    Insert(Key, Value),
    /// Lengthens the value by one.
    Update(Key),
    Touch(Key, Option<u64>),
    Invalidate(Key),
    Clear,
    ClearTag(&'static str),
    Compute(Vec<Key>),
    /// Exports everything, clears and imports it again.
    RoundTrip,
}

#[derive(Clone, Debug)]
enum Step {
    /// By the first of two values of the cache, or by the second.
    Do(usize, Op),
    /// Seconds go by.
    Pass(u64),
    Save,
    Reopen,
}

/// What an operation gives.
#[derive(Debug, PartialEq)]
enum Answer {
    Done,
    Was(bool),
    Found(Vec<Option<Value>>),
    Values(Vec<Value>),
}

fn key() -> impl Strategy<Value = Key> {
    prop::sample::select(&KEYS[..])
}

/// Mostly short; some are compressed, and some are larger than a cap.
fn value() -> impl Strategy<Value = Value> {
    let text = |len: std::ops::Range<usize>| len.prop_map(|len| Some("x".repeat(len)));
    prop_oneof![1 => Just(None), 8 => text(0..40), 1 => text(200..260)]
}

fn op() -> impl Strategy<Value = Op> {
    let keys = || prop::collection::vec(key(), 0..5);
    let seconds = || prop::option::of(1..6_u64);
    let tags = prop::sample::subsequence(&TAGS[..], 0..=2);
    prop_oneof![
        6 => key().prop_map(Op::Get),
        2 => keys().prop_map(Op::GetMany),
        8 => (key(), value()).prop_map(|(key, value)| Op::Set(key, value)),
        5 => (key(), value(), seconds(), tags)
            .prop_map(|(key, value, seconds, tags)| Op::SetWith(key, value, seconds, tags)),
        3 => prop::collection::vec((key(), value()), 0..5).prop_map(Op::SetMany),
        3 => (key(), value()).prop_map(|(key, value)| Op::Insert(key, value)),
        3 => key().prop_map(Op::Update),
        2 => (key(), seconds()).prop_map(|(key, seconds)| Op::Touch(key, seconds)),
        4 => key().prop_map(Op::Invalidate),
        1 => Just(Op::Clear),
        1 => prop::sample::select(&TAGS[..]).prop_map(Op::ClearTag),
        2 => keys().prop_map(Op::Compute),
        1 => Just(Op::RoundTrip),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => (0..2_usize, op()).prop_map(|(by, op)| Step::Do(by, op)),
        2 => (1..4_u64).prop_map(Step::Pass),
        1 => Just(Step::Save),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 0..40)
}

fn perform(cache: &KvCache, op: &Op) -> Result<Answer> {
    let done = |()| Answer::Done;
    let found = |lookup: Lookup<Value>| lookup.hit();
    match op {
        Op::Get(key) => Ok(Answer::Found(vec![found(cache.get(key)?)])),
        Op::GetMany(keys) => {
            Ok(Answer::Found(cache.get_many(keys)?.into_iter().map(found).collect()))
        }
        Op::Set(key, value) => cache.set(key, value).map(done),
        Op::SetWith(key, value, seconds, tags) => {
            let attributes = tags.iter().fold(Attributes::default(), |all, tag| all.tag(*tag));
            let attributes = match seconds {
                Some(seconds) => attributes.time_to_live(Duration::from_secs(*seconds)),
                None => attributes,
            };
            cache.set_with(key, value, &attributes).map(done)
        }
        Op::SetMany(items) => cache.set_many(items.iter().cloned()).map(done),
        Op::Insert(key, value) => cache.insert_if_absent(key, value).map(Answer::Was),
        Op::Update(key) => {
            cache.update(key, |value| longer(found(value))).map(|value| Answer::Values(vec![value]))
        }
        Op::Touch(key, seconds) => {
            cache.touch(key, seconds.map(Duration::from_secs)).map(Answer::Was)
        }
        Op::Invalidate(key) => cache.invalidate(key).map(Answer::Was),
        Op::Clear => cache.clear().map(done),
        Op::ClearTag(tag) => cache.clear_tag(tag).map(done),
        Op::Compute(keys) => {
            let compute = |missing: &[&str]| Ok(missing.iter().map(|key| computed(key)).collect());
            cache.get_or_compute_many(keys, compute).map(Answer::Values)
        }
        Op::RoundTrip => {
            let mut document = Vec::new();
            cache.export(&mut document)?;
            cache.clear()?;
            cache.import(&document).map(|_| Answer::Done)
        }
    }
}

/// What an update makes of a value.
fn longer(value: Option<Value>) -> Value {
    Some(value.flatten().unwrap_or_default() + "u")
}

/// What is computed for a key.
fn computed(key: &str) -> Value {
    Some(key.to_uppercase())
}

/// Compares all that can be seen without a use of any value being counted.
fn agree(cache: &KvCache, model: &Model) {
    let keys = model.keys();
    assert_eq!(cache.keys().unwrap(), keys);
    assert_eq!((cache.len().unwrap(), cache.is_empty().unwrap()), (keys.len(), keys.is_empty()));
    let with_a: Vec<_> = keys.iter().copied().filter(|key| key.starts_with('a')).collect();
    assert_eq!(cache.keys_with_prefix("a").unwrap(), with_a);
    let (hits, misses): (Vec<&str>, Vec<&str>) =
        KEYS.iter().partition(|key| model.get(key).is_some());
    let split = cache.hits_and_misses(&KEYS).unwrap();
    assert!(split.0 == hits && split.1 == misses, "{split:?}: {hits:?}");
    assert!(KEYS.iter().all(|key| cache.contains(key).unwrap() == hits.contains(key)));
}

/// Compares every value, which counts as a use of it.
fn agree_on_values(cache: &KvCache, model: &Model) {
    let expected = KEYS.map(|key| model.get(key));
    let found = |lookup: Lookup<Value>| lookup.hit();
    assert_eq!(KEYS.map(|key| found(cache.get(key).unwrap())), expected);
    let many: Vec<_> = cache.get_many(&KEYS).unwrap().into_iter().map(found).collect();
    assert_eq!(many, expected);
}

/// Compares every value with what is exported, which counts no use, but saves what is unsaved.
fn agree_on_export(cache: &KvCache, model: &Model) {
    let mut document = Vec::new();
    cache.export(&mut document).unwrap();
    let document = crate::document::Document::parse(&document).unwrap();
    let entries = document.entries().map(|(key, json)| (key.to_owned(), json.to_owned()));
    let live =
        model.live().map(|(key, value)| (key.to_owned(), serde_json::to_string(value).unwrap()));
    assert_eq!(entries.collect::<Vec<_>>(), live.collect::<Vec<_>>());
}
