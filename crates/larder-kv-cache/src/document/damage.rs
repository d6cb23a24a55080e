use std::str;

use larder_storage::{Error, ErrorKind};

/// Where a text stops being JSON.
#[derive(Debug)]
pub(super) struct Damage {
    /// The number of sound bytes before.
    at: usize,
    expected: &'static str,
}

impl Damage {
    pub(super) fn new(at: usize, expected: &'static str) -> Self {
        Self { at, expected }
    }

    pub(super) fn in_document(&self, bytes: &[u8]) -> Error {
        let what = self.describe(bytes);
        let message =
            format!("the document is damaged: {what}: mend it, or let `repair` put it aside");
        Error::new(ErrorKind::Corrupt, message)
    }

    pub(super) fn in_value(&self, json: &str) -> Error {
        Error::new(ErrorKind::Invalid, self.describe(json.as_bytes()))
    }

    fn describe(&self, bytes: &[u8]) -> String {
        let (before, after) = bytes.split_at(self.at);
        let (line, column) = position(before);
        let (expected, found) = (self.expected, found(after));
        format!(
            "expected {expected}, found {found} at line {line}, column {column} (byte {})",
            self.at
        )
    }
}

/// The line and the column, in characters and counted from 1, after a sound text.
fn position(before: &[u8]) -> (usize, usize) {
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let lines = before[..line_start].iter().filter(|&&byte| byte == b'\n').count();
    let is_start = |byte: &&u8| **byte & 0b1100_0000 != 0b1000_0000;
    let chars = before[line_start..].iter().filter(is_start).count();
    (lines + 1, chars + 1)
}

fn found(after: &[u8]) -> String {
    let Some(byte) = after.first() else {
        return "the end".to_owned();
    };
    let first = after[..after.len().min(4)].utf8_chunks().next();
    match first.and_then(|chunk| chunk.valid().chars().next()) {
        Some(c) => format!("{c:?}"),
        None => format!("the byte 0x{byte:02x}"),
    }
}
