//! The JSON form of a [`Value`]: readable, and lossless.
//!
//! | value | JSON |
//! |---|---|
//! | `Null`, `Bool`, `Text`, `List` | as it is |
//! | `Int` that an `i64` or `u64` holds | a number without `.` or exponent |
//! | other `Int` | `{"int": "170141183460469231731687303715884105727"}` |
//! | finite `Float` | a number with `.` or exponent, the shortest that reads back to the bit |
//! | other `Float` | `{"float": "nan"}`, `{"float": "inf"}`, `{"float": "-inf"}` |
//! | `Bytes` | `{"bytes": "00ff"}` |
//! | `Map` | `{"map": {...}}` |

use serde_json::{Map, Number, Value as Json};

use super::Value;

pub(crate) fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => int(*value),
        Value::Float(value) => {
            Number::from_f64(*value).map_or_else(|| tagged("float", name(*value)), Json::Number)
        }
        Value::Text(text) => Json::from(text.as_str()),
        Value::Bytes(bytes) => tagged("bytes", hex(bytes)),
        Value::List(values) => values.iter().map(to_json).collect(),
        Value::Map(entries) => {
            let entries: Map<_, _> =
                entries.iter().map(|(key, value)| (key.clone(), to_json(value))).collect();
            tagged("map", entries)
        }
    }
}

/// `None` where the JSON is no form that [`to_json`] writes.
pub(crate) fn from_json(json: Json) -> Option<Value> {
    match json {
        Json::Null => Some(Value::Null),
        Json::Bool(value) => Some(Value::Bool(value)),
        Json::Number(number) => from_number(&number),
        Json::String(text) => Some(Value::Text(text)),
        Json::Array(values) => {
            values.into_iter().map(from_json).collect::<Option<_>>().map(Value::List)
        }
        Json::Object(object) if object.len() == 1 => {
            let (tag, content) = object.into_iter().next()?;
            from_tagged(&tag, content)
        }
        Json::Object(_) => None,
    }
}

fn from_tagged(tag: &str, content: Json) -> Option<Value> {
    match (tag, content) {
        ("int", Json::String(text)) => text.parse().ok().map(Value::Int),
        ("float", Json::String(text)) => from_name(&text).map(Value::Float),
        ("bytes", Json::String(text)) => from_hex(&text).map(Value::Bytes),
        ("map", Json::Object(entries)) => {
            let entry = |(key, value)| Some((key, from_json(value)?));
            entries.into_iter().map(entry).collect::<Option<_>>().map(Value::Map)
        }
        _ => None,
    }
}

fn tagged(tag: &str, content: impl Into<Json>) -> Json {
    Json::Object(Map::from_iter([(tag.to_owned(), content.into())]))
}

fn int(value: i128) -> Json {
    let small =
        i64::try_from(value).map(Number::from).or_else(|_| u64::try_from(value).map(Number::from));
    small.map_or_else(|_| tagged("int", value.to_string()), Json::Number)
}

fn from_number(number: &Number) -> Option<Value> {
    let int = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    int.map(Value::Int).or_else(|| number.as_f64().map(Value::Float))
}

fn name(value: f64) -> &'static str {
    match value {
        f64::INFINITY => "inf",
        f64::NEG_INFINITY => "-inf",
        _ => "nan",
    }
}

fn from_name(name: &str) -> Option<f64> {
    match name {
        "inf" => Some(f64::INFINITY),
        "-inf" => Some(f64::NEG_INFINITY),
        "nan" => Some(f64::NAN),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}
