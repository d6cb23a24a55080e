//! What differs between two JSON objects.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The fields of the first object, those of nested ones with the path to them, that the second does not hold alike.
pub(super) fn changes(whole: &[u8], damaged: &[u8]) -> BTreeSet<String> {
    let read = |bytes| serde_json::from_slice::<Map<String, Value>>(bytes).unwrap();
    let mut changes = BTreeSet::new();
    compare("", &read(whole), &read(damaged), &mut changes);
    changes
}

fn compare(
    above: &str,
    whole: &Map<String, Value>,
    damaged: &Map<String, Value>,
    changes: &mut BTreeSet<String>,
) {
    for (name, value) in whole {
        match (value, damaged.get(name)) {
            (_, Some(other)) if value == other => {}
            (Value::Object(value), Some(Value::Object(other))) => {
                compare(&format!("{above}{name}."), value, other, changes);
            }
            _ => _ = changes.insert(format!("{above}{name}")),
        }
    }
}
