use std::collections::BTreeMap;

use larder_storage::{Error, ErrorKind, Result};
use serde::Serialize;

pub(crate) mod json;
mod ser;

/// A parameter: what a result was computed with, typed, so that no two different values ever look the same.
///
/// Equality is that of the [encoding](crate::encoding): an integer is never a float, all NaNs are one value, `-0.0`
/// is not `0.0`, and texts are compared byte by byte. Integers of every Rust type that holds the same number agree.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing; not the same as a parameter that is absent.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A floating-point number; an `f32` is widened, which is exact.
    Float(f64),
    /// Unicode text, never normalised.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Values in an order that matters.
    List(Vec<Value>),
    /// Values by name, in an order that does not matter.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// The deepest that lists and maps of a stored parameter may nest.
    pub const MAX_DEPTH: usize = 32;

    /// The value of anything that serde can write, exactly:
    ///
    /// | in serde | value |
    /// |---|---|
    /// | whole numbers | `Int` |
    /// | `f32` and `f64`, NaN and infinities too | `Float` |
    /// | texts, `char`, unit variants | `Text` |
    /// | bytes, as the crate `serde_bytes` writes them | `Bytes` |
    /// | sequences, a `Vec<u8>` too, tuples, tuple structs | `List` |
    /// | structs, and maps whose keys are texts | `Map` |
    /// | `None`, `()`, unit structs | `Null` |
    /// | `Some` and newtypes | what they hold |
    /// | other variants | a `Map` of their name to what they hold |
    ///
    /// A hash set is a list in another order each time: a `BTreeSet` has one.
    ///
    /// ```
    /// use larder_provenance::Value;
    ///
    /// let settings = [("window", (500, 0.1)), ("step", (10, 1.0))].map(|(name, value)| (name.to_owned(), value));
    /// let value = Value::of(&std::collections::HashMap::from(settings))?;
    /// let list = |int, float| Value::List(vec![Value::Int(int), Value::Float(float)]);
    /// assert_eq!(value, Value::map([("step", list(10, 1.0)), ("window", list(500, 0.1))]));
    /// # Ok::<_, larder_storage::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Invalid`, with the name of the field, where it holds something that has no value of its own: a whole number
    /// beyond [`i128`], a map with a key that is no text or that is there twice, `Some` of what is `Null`, which looks
    /// like `None`; where it nests deeper than [`MAX_DEPTH`](Self::MAX_DEPTH), in which `Some` and newtypes count, too;
    /// and where its own `Serialize` fails.
    pub fn of(value: &(impl Serialize + ?Sized)) -> Result<Self> {
        ser::to_value(value, Self::MAX_DEPTH)
    }

    /// The entries of what serde writes as a map or a struct, each of which may nest as deep as a value.
    pub(crate) fn entries_of(value: &(impl Serialize + ?Sized)) -> Result<BTreeMap<String, Self>> {
        match ser::to_value(value, Self::MAX_DEPTH + 1)? {
            Self::Map(entries) => Ok(entries),
            other => {
                let shown = json::to_json(&other);
                let message = format!("{shown} cannot be parameters: give a struct or a map");
                Err(Error::new(ErrorKind::Invalid, message))
            }
        }
    }

    /// Bytes, which differ from a list of small integers.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Bytes(bytes.into())
    }

    /// The values, in this order.
    pub fn list<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }

    /// The values by name; of equal names the last one stays.
    pub fn map<K: Into<String>, V: Into<Value>>(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// Whether the value nests deeper than `levels`.
    pub(crate) fn is_deeper_than(&self, levels: usize) -> bool {
        let below = |value: &Self| levels == 0 || value.is_deeper_than(levels - 1);
        match self {
            Self::List(values) => values.iter().any(below),
            Self::Map(entries) => entries.values().any(below),
            _ => false,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => bits(*a) == bits(*b),
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

/// The bits of a float as they are compared and hashed: those of IEEE 754, with one pattern for every NaN.
pub(crate) fn bits(value: f64) -> u64 {
    const NAN: u64 = 0x7ff8_0000_0000_0000;
    if value.is_nan() { NAN } else { value.to_bits() }
}

macro_rules! from {
    ($($variant:ident: $($from:ty),+;)+) => {$($(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )+)+};
}

from! {
    Bool: bool;
    Int: i8, i16, i32, i64, i128, u8, u16, u32, u64;
    Float: f32, f64;
    Text: String, &str;
    List: Vec<Value>;
    Map: BTreeMap<String, Value>;
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Int(value as i128)
    }
}

impl<V: Into<Value>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_not_equal() {
        let distinct = [
            Value::Null,
            false.into(),
            0.into(),
            0.0.into(),
            (-0.0).into(),
            "".into(),
            "0".into(),
            Value::bytes(""),
            Value::bytes("0"),
            Value::List(vec![]),
            Value::map([("", Value::Null)]),
            f64::NAN.into(),
            f64::INFINITY.into(),
            u64::MAX.into(),
            (u64::MAX as f64).into(),
            "e\u{301}".into(),
            "\u{e9}".into(),
            Value::list([Value::list([1])]),
            Value::list([1]),
            Value::list([0_u8]),
            Value::bytes([0]),
        ];
        for (i, a) in distinct.iter().enumerate() {
            for (j, b) in distinct.iter().enumerate() {
                assert_eq!(a == b, i == j, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn integers_of_all_types_and_all_nans_agree() {
        assert_eq!(Value::from(7_u8), Value::from(7_i64));
        assert_eq!(Value::from(7_usize), Value::from(7_u64));
        assert_eq!(Value::from(f64::NAN), Value::from(f64::from_bits(0xfff8_0000_0000_0001)));
        assert_eq!(Value::from(None::<u8>), Value::Null);
    }

    #[test]
    fn depth_counts_what_is_nested() {
        let nest = |levels| (0..levels).fold(Value::Null, |value, _| Value::list([value]));
        assert!(!nest(32).is_deeper_than(32));
        assert!(nest(33).is_deeper_than(32));
        assert!(!Value::map([("a", 1)]).is_deeper_than(1));
    }
}
