//! Other programs open what Larder wrote and Larder opens what they wrote, and both see the same.

use std::path::Path;

use serde_json::Value;

use crate::support::{python, text};

mod arrays;
mod dirs;
mod lineage;
mod queries;
mod shards;
mod tour;

/// Runs a Python program and returns the JSON that it printed; `None` where `test` is skipped.
fn run(test: &str, program: &str, args: &[&Path]) -> Option<Value> {
    let output = python(test, program, args)?;
    assert!(output.status.success(), "{}", text(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn hex(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A hash from its hexadecimal digits.
fn hash(value: &Value) -> [u8; 32] {
    let digits = value.as_str().unwrap();
    std::array::from_fn(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap())
}
