//! Values as JSON text that can be read back and is then the same.

use std::{cell::Cell, io};

use serde::Serialize;
use serde_json::ser::Formatter;

use crate::{Error, ErrorKind, Result};

mod finite;

/// How deep arrays and objects may nest: what serde_json reads back.
const MAX_DEPTH: u32 = 127;

/// The longest text whose memory is kept for the next one.
const MAX_SCRATCH: usize = 65_536;

thread_local! {
    /// Most texts are short, and growing their memory bit by bit would cost as much as writing them.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The JSON text of `value`, without white space.
///
/// # Errors
///
/// `Invalid` where it holds NaN or an infinity, which serde_json alone would turn into null, a map whose keys are no
/// text, or more than 127 levels of nesting, which serde_json would not read back.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    // Taken and not borrowed, because `value` may encode another one while it is encoded.
    let mut json = SCRATCH.take();
    json.clear();
    let mut writer = serde_json::Serializer::with_formatter(&mut json, Nesting(0));
    value.serialize(finite::Finite(&mut writer)).map_err(|error| {
        Error::new(ErrorKind::Invalid, "the value has no form in JSON").with_source(error)
    })?;
    if json.capacity() > MAX_SCRATCH {
        return Ok(json);
    }
    let exact = json.as_slice().to_vec();
    SCRATCH.set(json);
    Ok(exact)
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
