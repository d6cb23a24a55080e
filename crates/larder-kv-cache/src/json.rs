//! Values as JSON text: what can be written can be read back, and is the same.

use std::io;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Result, ser::Formatter};

mod finite;

/// How deep arrays and objects may nest: what serde_json reads back.
const MAX_DEPTH: u32 = 127;

/// The JSON text of `value`, without white space.
///
/// Refuses NaN and the infinities, which serde_json alone would turn into null, and what nests too deep to be read.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    let mut json = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(&mut json, Nesting(0));
    value.serialize(finite::Finite(&mut writer))?;
    Ok(json)
}

pub(crate) fn decode<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    serde_json::from_slice(json)
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
