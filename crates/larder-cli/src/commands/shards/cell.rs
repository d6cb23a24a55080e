//! The cells of Arrow columns as JSON, and as text between tabs.

use std::fmt::Display;

use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType,
    cast::AsArray,
    types::{
        Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
        UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
};
use arrow_schema::DataType;
use larder::storage::{Error, ErrorKind, Result};
use serde_json::Value;

/// A number as short as its type allows; one that is not finite as text.
pub(super) fn number(value: impl Display) -> Value {
    let text = value.to_string();
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// The value in a row of a column.
///
/// # Errors
/// `Unsupported` where the column has a type that is neither text, bytes, a number, a truth value nor a list of these.
pub(super) fn value(array: &ArrayRef, row: usize) -> Result<Value> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).into(),
        DataType::Binary => hex(array.as_binary::<i32>().value(row)),
        DataType::FixedSizeBinary(_) => hex(array.as_fixed_size_binary().value(row)),
        DataType::Int8 => primitive::<Int8Type>(array, row),
        DataType::Int16 => primitive::<Int16Type>(array, row),
        DataType::Int32 => primitive::<Int32Type>(array, row),
        DataType::Int64 => primitive::<Int64Type>(array, row),
        DataType::UInt8 => primitive::<UInt8Type>(array, row),
        DataType::UInt16 => primitive::<UInt16Type>(array, row),
        DataType::UInt32 => primitive::<UInt32Type>(array, row),
        DataType::UInt64 => primitive::<UInt64Type>(array, row),
        DataType::Float16 => primitive::<Float16Type>(array, row),
        DataType::Float32 => primitive::<Float32Type>(array, row),
        DataType::Float64 => primitive::<Float64Type>(array, row),
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(row))?,
        DataType::List(_) => list(&array.as_list::<i32>().value(row))?,
        other => {
            let message = format!(
                "a column of type {other} cannot be printed: leave it out, or write --parquet"
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
    })
}

fn primitive<T: ArrowPrimitiveType<Native: Display>>(array: &ArrayRef, row: usize) -> Value {
    number(array.as_primitive::<T>().value(row))
}

fn list(items: &ArrayRef) -> Result<Value> {
    (0..items.len()).map(|item| value(items, item)).collect()
}

fn hex(bytes: &[u8]) -> Value {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// A value in a table: text as it is, nothing for null, the items of a list between commas.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
