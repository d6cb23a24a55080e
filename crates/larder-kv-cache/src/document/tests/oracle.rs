//! The document against serde_json, on sound texts and on damaged ones.

use std::fmt;

use proptest::sample::Index;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value as Json, value::RawValue};

use super::*;

/// An object as serde_json reads it, with each value as it is spelled.
#[derive(Debug)]
struct Pairs(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Pairs, M::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

impl Pairs {
    /// With one value for each key, as Python has it.
    fn merged(&self) -> Vec<(&str, &str)> {
        let mut merged: Vec<(&str, &str)> = Vec::new();
        for (key, value) in &self.0 {
            match merged.iter_mut().find(|pair| pair.0 == key) {
                Some(pair) => pair.1 = value.get(),
                None => merged.push((key, value.get())),
            }
        }
        merged
    }
}

/// Holds whatever bytes against serde_json's reading of them.
fn agree(bytes: &[u8]) {
    let document = match Document::parse(bytes) {
        Ok(document) => document,
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Format), "{error}");
            let theirs = serde_json::from_slice::<Pairs>(bytes);
            return assert!(theirs.is_err(), "{error}: {theirs:?}");
        }
    };
    match serde_json::from_slice::<Pairs>(bytes) {
        Ok(theirs) => assert_eq!(pairs(&document), theirs.merged()),
        Err(error) => assert!(has_python_only(bytes), "{error}"),
    }
    let is_unread = |slot: &&Slot| {
        slot.key.name.is_none() || serde_json::from_str::<Json>(&slot.value.json).is_err()
    };
    assert_eq!(document.unreadable().count(), document.live().filter(is_unread).count());
    let again = Document::parse(&document.to_bytes()).unwrap();
    assert_eq!(pairs(&again), pairs(&document));
    assert_eq!(again.len(), document.len());
    assert_eq!(again.to_bytes(), document.to_bytes());
}

/// Whether serde_json has a reason to refuse what Python takes.
fn has_python_only(bytes: &[u8]) -> bool {
    let text = str::from_utf8(bytes).unwrap();
    ["NaN", "Infinity", "\\ud", "\\uD"].iter().any(|part| text.contains(part))
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
            prop::collection::vec((any::<String>(), inner), 0..5)
                .prop_map(|pairs| Json::Object(pairs.into_iter().collect())),
        ]
    })
}

/// The text of an object, indented or not.
fn object() -> impl Strategy<Value = String> {
    (prop::collection::btree_map(any::<String>(), json(), 0..8), any::<bool>()).prop_map(
        |(pairs, is_pretty)| {
            let object = Json::Object(pairs.into_iter().collect());
            if is_pretty { format!("{object:#}") } else { object.to_string() }
        },
    )
}

/// What breaks a text, and what Python alone takes.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let fragments: &[&str] = &[
        "",
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\",
        "\\u",
        "\\ud800",
        "\\udc00",
        "\\u00e9",
        "\n",
        " ",
        "NaN",
        "-Infinity",
        "null",
        "0",
        "-",
        ".",
        "e",
        "1e400",
        "1e-400",
        "\"k\": 1,",
        "[[]]",
        "é",
        "\u{feff}",
        "\0",
        "99999999999999999999999999999999999999999",
    ];
    prop_oneof![
        4 => prop::sample::select(fragments).prop_map(|fragment| fragment.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..3),
    ]
}

/// Puts a fragment in the place of up to three bytes.
fn mutate(bytes: &mut Vec<u8>, place: Index, removed: usize, fragment: Vec<u8>) {
    let start = place.index(bytes.len() + 1);
    let end = bytes.len().min(start + removed);
    bytes.splice(start..end, fragment);
}

fn scanned(bytes: &[u8]) -> Option<Vec<scan::Entry>> {
    scan::document(str::from_utf8(bytes).ok()?).ok()?
}

proptest! {
    #[test]
    fn reads_what_serde_json_writes(text in object()) {
        let theirs: serde_json::Map<String, Json> = serde_json::from_str(&text).unwrap();
        let document = parse(&text);
        prop_assert_eq!(document.unreadable().count(), 0);
        prop_assert_eq!(document.len(), theirs.len());
        for ((key, json), (their_key, their_value)) in document.entries().zip(&theirs) {
            prop_assert_eq!(key, their_key);
            prop_assert_eq!(&serde_json::from_str::<Json>(json).unwrap(), their_value);
        }
        agree(text.as_bytes());
    }

    #[test]
    fn a_pretty_object_is_written_again_byte_for_byte(
        pairs in prop::collection::btree_map(any::<String>(), json(), 0..8),
    ) {
        let pretty = serde_json::to_string_pretty(&pairs).unwrap();
        prop_assert_eq!(text(&parse(&pretty)), pretty);
    }

    /// Whatever one byte becomes: the document is refused, or the other entries are as they were.
    #[test]
    fn one_changed_byte_is_told_or_touches_one_entry(text in object(), place: Index, byte: u8) {
        let mut bytes = text.clone().into_bytes();
        let at = place.index(bytes.len());
        bytes[at] = byte;
        agree(&bytes);
        if let Some(after) = scanned(&bytes) {
            let before = scanned(text.as_bytes()).unwrap();
            prop_assert_eq!(before.len(), after.len());
            for (old, new) in before.iter().zip(&after) {
                prop_assert_eq!(&old.key, &new.key);
                let is_touched = (old.key.start..=old.value.end).contains(&at);
                prop_assert!(is_touched || old.value == new.value);
            }
        }
    }

    #[test]
    fn agrees_with_serde_json_on_mutated_documents(
        text in prop_oneof![object(), Just(PYTHON.to_owned())],
        mutations in prop::collection::vec((any::<Index>(), 0_usize..4, fragment()), 1..4),
    ) {
        let mut bytes = text.into_bytes();
        for (place, removed, fragment) in mutations {
            mutate(&mut bytes, place, removed, fragment);
        }
        agree(&bytes);
    }

    #[test]
    fn agrees_with_serde_json_on_words_of_json(
        words in prop::collection::vec(fragment(), 0..20),
        is_wrapped: bool,
    ) {
        let words = words.concat();
        agree(&if is_wrapped { [b"{\"a\": ", &words[..], b"}"].concat() } else { words });
    }

    #[test]
    fn agrees_with_serde_json_on_numbers(number in "-?[0-9]{1,3}(0{0,400})(\\.0{0,400}[0-9]{0,20})?([eE][-+]?[0-9]{1,12})?") {
        agree(format!("{{\"a\": {number}}}").as_bytes());
    }
}
