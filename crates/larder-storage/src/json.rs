//! Values as JSON text that can be read back and is then the same.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

use crate::{Error, ErrorKind, Result};

mod finite;

/// How deep arrays and objects may nest: what serde_json reads back.
const MAX_DEPTH: u32 = 127;

/// The JSON text of `value`, without white space.
///
/// # Errors
///
/// `Invalid` where it holds NaN or an infinity, which serde_json alone would turn into null, a map whose keys are no
/// text, or more than 127 levels of nesting, which serde_json would not read back.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    let mut json = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(&mut json, Nesting(0));
    value.serialize(finite::Finite(&mut writer)).map_err(|error| {
        Error::new(ErrorKind::Invalid, "the value has no form in JSON").with_source(error)
    })?;
    Ok(json)
}

/// Writes compact JSON, as the trait does by itself, and counts what is open.
struct Nesting(u32);

impl Nesting {
    fn enter(&mut self) -> io::Result<()> {
        self.0 += 1;
        if self.0 > MAX_DEPTH {
            return Err(io::Error::other(format!("nests deeper than {MAX_DEPTH} levels")));
        }
        Ok(())
    }
}

impl Formatter for Nesting {
    fn begin_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter()?;
        writer.write_all(b"[")
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0 -= 1;
        writer.write_all(b"]")
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter()?;
        writer.write_all(b"{")
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0 -= 1;
        writer.write_all(b"}")
    }
}

#[cfg(test)]
mod tests;
