//! Finds where the entries of a JSON object begin and end, without decoding them.
//!
//! It takes what Python's `json` takes: JSON, and NaN, Infinity and -Infinity as numbers. Nesting costs no stack.

use std::{fmt, ops::Range};

use super::damage::Damage;

mod token;

/// How deep arrays and objects may nest in a value: what serde_json reads.
const MAX_DEPTH: usize = 127;

/// Why serde_json cannot read what is sound JSON in Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Surrogate,
    NotFinite,
    OutOfRange,
    Depth,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Surrogate => f.write_str("has half of a surrogate pair, which is no text"),
            Self::NotFinite => f.write_str("has NaN or an infinity, which JSON has no number for"),
            Self::OutOfRange => f.write_str("has a number beyond the range of f64"),
            Self::Depth => write!(f, "nests deeper than {MAX_DEPTH} levels"),
        }
    }
}

/// Where an entry is in the text.
#[derive(Debug)]
pub(super) struct Entry {
    /// With its quotes.
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
    /// What is wrong with the value.
    pub(super) trouble: Option<Trouble>,
}

/// The entries of the object that `text` is; `None` where it is another value.
pub(super) fn document(text: &str) -> Result<Option<Vec<Entry>>, Damage> {
    let mut scanner = Scanner::new(text);
    scanner.skip_space();
    let entries = if scanner.eat(b'{') {
        Some(scanner.entries()?)
    } else {
        scanner.value()?;
        None
    };
    scanner.skip_space();
    scanner.end()?;
    Ok(entries)
}

/// Checks that `text` is one value, with no white space around it.
pub(super) fn value(text: &str) -> Result<Option<Trouble>, Damage> {
    let mut scanner = Scanner::new(text);
    let trouble = scanner.value()?;
    scanner.end()?;
    Ok(trouble)
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// What closes the arrays and objects that are open in a value.
    open: Vec<u8>,
    /// The first trouble in a value.
    trouble: Option<Trouble>,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, open: Vec::new(), trouble: None }
    }

    /// What follows the opening brace of the whole document.
    fn entries(&mut self) -> Result<Vec<Entry>, Damage> {
        let mut entries = Vec::new();
        self.skip_space();
        if self.eat(b'}') {
            return Ok(entries);
        }
        loop {
            entries.push(self.entry()?);
            self.skip_space();
            if self.eat(b'}') {
                return Ok(entries);
            }
            self.expect(b',', "',' or '}'")?;
            self.skip_space();
        }
    }

    fn entry(&mut self) -> Result<Entry, Damage> {
        let start = self.at;
        self.string("a key in double quotes")?;
        let key = start..self.at;
        self.colon()?;
        let start = self.at;
        let trouble = self.value()?;
        Ok(Entry { key, value: start..self.at, trouble })
    }

    fn value(&mut self) -> Result<Option<Trouble>, Damage> {
        self.trouble = None;
        while self.item()? {}
        Ok(self.trouble)
    }

    /// Scans up to the next item inside of the value, and tells whether there is one.
    fn item(&mut self) -> Result<bool, Damage> {
        let is_entered = match self.peek() {
            Some(b'{') => self.enter(b'}')?,
            Some(b'[') => self.enter(b']')?,
            _ => {
                self.scalar()?;
                false
            }
        };
        if is_entered { Ok(true) } else { self.leave() }
    }

    /// Opens an array or object, and tells whether there is anything in it.
    fn enter(&mut self, close: u8) -> Result<bool, Damage> {
        self.at += 1;
        if self.open.len() == MAX_DEPTH {
            self.note(Trouble::Depth);
        }
        self.skip_space();
        if self.eat(close) {
            return Ok(false);
        }
        self.open.push(close);
        self.member(close)?;
        Ok(true)
    }

    /// Closes what ends after an item, and tells whether another item follows.
    fn leave(&mut self) -> Result<bool, Damage> {
        while let Some(&close) = self.open.last() {
            self.skip_space();
            if self.eat(b',') {
                self.skip_space();
                self.member(close)?;
                return Ok(true);
            }
            self.expect(close, if close == b'}' { "',' or '}'" } else { "',' or ']'" })?;
            self.open.pop();
        }
        Ok(false)
    }

    /// What stands before an item in an object: its key.
    fn member(&mut self, close: u8) -> Result<(), Damage> {
        if close == b'}' {
            self.string("a key in double quotes")?;
            self.colon()?;
        }
        Ok(())
    }

    fn colon(&mut self) -> Result<(), Damage> {
        self.skip_space();
        self.expect(b':', "':'")?;
        self.skip_space();
        Ok(())
    }
}
