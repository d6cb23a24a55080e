//! Whatever serde can write, as a [`Value`].

use std::{error, fmt};

use larder_storage::{Error, ErrorKind, Result};
use serde::{Serialize, Serializer, ser};

use self::parts::{Fields, List, tagged};
use super::Value;

mod parts;
#[cfg(test)]
mod tests;

/// The value, which may nest `levels` deep.
pub(crate) fn to_value(value: &(impl Serialize + ?Sized), levels: usize) -> Result<Value> {
    let made = value.serialize(ToValue { levels });
    made.map_err(|refused| Error::new(ErrorKind::Invalid, refused.to_string()))
}

/// Why something has no value, and in which field of it.
#[derive(Debug)]
struct Refused {
    /// The names and positions from the outermost on, joined by points.
    place: String,
    why: String,
}

impl Refused {
    fn new(why: impl Into<String>) -> Self {
        Self { place: String::new(), why: why.into() }
    }

    /// The same of what holds it as `name`.
    fn within(mut self, name: impl fmt::Display) -> Self {
        let point = if self.place.is_empty() { "" } else { "." };
        self.place = format!("{name}{point}{}", self.place);
        self
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, why } = self;
        if place.is_empty() {
            f.write_str("it")?
        } else {
            write!(f, "{place:?}")?
        }
        write!(f, " cannot be a parameter: {why}")
    }
}

impl error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string().replace(['\r', '\n'], " "))
    }
}

/// Makes a value that nests no deeper than `levels`. An option and a newtype count as a level although they leave no
/// trace in the value: types can nest in themselves by these alone.
#[derive(Clone, Copy)]
struct ToValue {
    levels: usize,
}

impl ToValue {
    /// For the parts of what is at this level.
    fn deeper(self) -> Result<Self, Refused> {
        let max = Value::MAX_DEPTH;
        let deep = || Refused::new(format!("it nests more than {max} levels deep: flatten it"));
        self.levels.checked_sub(1).map(|levels| Self { levels }).ok_or_else(deep)
    }

    fn nested<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Refused> {
        value.serialize(self.deeper()?)
    }

    /// For what the variant holds: the variant itself is a map around it.
    fn within(self, variant: Option<&str>) -> Result<Self, Refused> {
        if variant.is_some() { self.deeper() } else { Ok(self) }
    }

    fn list(self, variant: Option<&'static str>) -> Result<List, Refused> {
        Ok(List::new(self.within(variant)?, variant))
    }

    fn fields(self, variant: Option<&'static str>) -> Result<Fields, Refused> {
        Ok(Fields::new(self.within(variant)?, variant))
    }
}

macro_rules! plain {
    ($($name:ident: $type:ty,)+) => {$(
        fn $name(self, value: $type) -> Result<Value, Refused> {
            Ok(value.into())
        }
    )+};
}

impl Serializer for ToValue {
    type Ok = Value;
    type Error = Refused;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = List;
    type SerializeMap = Fields;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Fields;

    plain! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_f32: f32,
        serialize_f64: f64,
        serialize_str: &str,
    }

    fn serialize_u128(self, value: u128) -> Result<Value, Refused> {
        let int = i128::try_from(value).map(Value::Int);
        int.map_err(|_| Refused::new(format!("{value} is more than {}", i128::MAX)))
    }

    fn serialize_char(self, value: char) -> Result<Value, Refused> {
        Ok(Value::Text(value.into()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Value, Refused> {
        Ok(Value::bytes(value))
    }

    fn serialize_none(self) -> Result<Value, Refused> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Refused> {
        match self.nested(value)? {
            Value::Null => Err(Refused::new("it is an option of nothing, which looks like none")),
            value => Ok(value),
        }
    }

    fn serialize_unit(self) -> Result<Value, Refused> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, Refused> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, Refused> {
        Ok(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Value, Refused> {
        self.nested(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Refused> {
        let value = self.nested(value).map_err(|refused| refused.within(variant))?;
        Ok(tagged(Some(variant), value))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List, Refused> {
        self.list(None)
    }

    fn serialize_tuple(self, _: usize) -> Result<List, Refused> {
        self.list(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List, Refused> {
        self.list(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<List, Refused> {
        self.list(Some(variant))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Fields, Refused> {
        self.fields(None)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields, Refused> {
        self.fields(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Fields, Refused> {
        self.fields(Some(variant))
    }
}
