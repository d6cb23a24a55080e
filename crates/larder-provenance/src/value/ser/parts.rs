//! Values that are made of others: lists, maps and structs, alone or as what a variant holds.

use std::collections::{BTreeMap, btree_map::Entry};

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::{Refused, ToValue};
use crate::{Value, value::json::to_json};

/// The value, in a map under the name of the variant that holds it.
pub(super) fn tagged(variant: Option<&str>, value: Value) -> Value {
    match variant {
        Some(variant) => Value::map([(variant, value)]),
        None => value,
    }
}

/// A list that is being made.
pub(super) struct List {
    at: ToValue,
    variant: Option<&'static str>,
    values: Vec<Value>,
}

impl List {
    pub(super) fn new(at: ToValue, variant: Option<&'static str>) -> Self {
        Self { at, variant, values: Vec::new() }
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let position = self.values.len();
        let value = self.at.nested(value).map_err(|refused| refused.within(position))?;
        self.values.push(value);
        Ok(())
    }

    fn finish(self) -> Value {
        tagged(self.variant, Value::List(self.values))
    }
}

/// A map or a struct that is being made.
pub(super) struct Fields {
    at: ToValue,
    variant: Option<&'static str>,
    /// The name of the entry whose value comes next.
    name: Option<String>,
    entries: BTreeMap<String, Value>,
}

impl Fields {
    pub(super) fn new(at: ToValue, variant: Option<&'static str>) -> Self {
        Self { at, variant, name: None, entries: BTreeMap::new() }
    }

    fn insert<T: Serialize + ?Sized>(&mut self, name: String, value: &T) -> Result<(), Refused> {
        let value = self.at.nested(value).map_err(|refused| refused.within(&name))?;
        match self.entries.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(value);
                Ok(())
            }
            Entry::Occupied(entry) => {
                Err(Refused::new("this name is there twice").within(entry.key()))
            }
        }
    }

    fn finish(self) -> Value {
        tagged(self.variant, Value::Map(self.entries))
    }
}

impl SerializeMap for Fields {
    type Ok = Value;
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        match self.at.nested(key)? {
            Value::Text(name) => self.name = Some(name),
            other => {
                let shown = to_json(&other);
                return Err(Refused::new(format!("the name {shown} in a map is not a text")));
            }
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let name = self.name.take();
        self.insert(name.ok_or_else(|| Refused::new("a map has a value without a name"))?, value)
    }

    fn end(self) -> Result<Value, Refused> {
        Ok(self.finish())
    }
}

macro_rules! parts {
    ($($type:ident: $trait:ident, $add:ident($($name:ident)?) => $as:ident;)+) => {$(
        impl $trait for $type {
            type Ok = Value;
            type Error = Refused;

            fn $add<T: Serialize + ?Sized>(
                &mut self,
                $($name: &'static str,)?
                value: &T,
            ) -> Result<(), Refused> {
                self.$as($($name.to_owned(),)? value)
            }

            fn end(self) -> Result<Value, Refused> {
                Ok(self.finish())
            }
        }
    )+};
}

parts! {
    List: SerializeSeq, serialize_element() => push;
    List: SerializeTuple, serialize_element() => push;
    List: SerializeTupleStruct, serialize_field() => push;
    List: SerializeTupleVariant, serialize_field() => push;
    Fields: SerializeStruct, serialize_field(name) => insert;
    Fields: SerializeStructVariant, serialize_field(name) => insert;
}
