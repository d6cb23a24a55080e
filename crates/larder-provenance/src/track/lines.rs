//! Lines of BED and bedGraph: columns between tabs or spaces, among lines that are for people or browsers.
//!
//! Source: <https://genome.ucsc.edu/FAQ/FAQformat.html> and <https://samtools.github.io/hts-specs/BEDv1.pdf>.

use std::{fmt, io::BufRead, ops::Range};

use larder_storage::{Error, Result};

use super::{Chroms, check_place, invalid};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A text, line by line.
pub(super) struct Lines<R> {
    reader: R,
    number: usize,
    text: Vec<u8>,
}

/// A line that has columns.
pub(super) struct Line<'a> {
    /// Counted from 1.
    pub(super) number: usize,
    columns: Vec<&'a str>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, number: 0, text: Vec::new() }
    }

    /// The next line that has columns; those that are empty, start with `#`, or are of a browser are passed over.
    pub(super) fn next(&mut self) -> Result<Option<Line<'_>>> {
        loop {
            if !self.read()? {
                return Ok(None);
            }
            if !is_passed_over(&self.text) {
                break;
            }
        }
        let number = self.number;
        let text = str::from_utf8(&self.text).map_err(|error| {
            invalid(format!("line {number} is not UTF-8: is this text?")).with_source(error)
        })?;
        let columns = match text.contains('\t') {
            true => text.split('\t').collect(),
            false => text.split_ascii_whitespace().collect(),
        };
        Ok(Some(Line { number, columns }))
    }

    /// Reads a line, without what ends it; whether there was one.
    fn read(&mut self) -> Result<bool> {
        self.number += 1;
        self.text.clear();
        let read = self.reader.read_until(b'\n', &mut self.text);
        let failed = |error| Error::io(error, format!("line {} cannot be read", self.number));
        let is_there = read.map_err(failed)? > 0;
        self.text.truncate(self.text.trim_ascii_end().len());
        if self.number == 1 && self.text.starts_with(BYTE_ORDER_MARK) {
            self.text.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(is_there)
    }
}

fn is_passed_over(line: &[u8]) -> bool {
    let mut words = line.trim_ascii_start().split(u8::is_ascii_whitespace);
    let first = words.next().unwrap_or_default();
    matches!(first, b"" | b"track" | b"browser") || first.starts_with(b"#")
}

impl<'a> Line<'a> {
    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// The column, from 0 on, unless it is not there or says with a dot that there is nothing.
    pub(super) fn column(&self, index: usize) -> Option<&'a str> {
        self.columns.get(index).copied().filter(|column| !matches!(*column, "" | "."))
    }

    /// The chromosome and the bases of the first three columns.
    pub(super) fn place(&self, chroms: &Chroms) -> Result<(&'a str, Range<u64>)> {
        let &[chrom, start, end, ..] = self.columns.as_slice() else {
            return Err(self.wrong(
                "has no three columns: a chromosome, a start and an end, between tabs or spaces",
            ));
        };
        if chrom.is_empty() || chrom.contains(char::is_whitespace) {
            return Err(self.wrong(format_args!("has {chrom:?} where a chromosome is to be named")));
        }
        let bases = self.position("start", start)?..self.position("end", end)?;
        check_place("line", self.number, chrom, bases.clone(), chroms)?;
        Ok((chrom, bases))
    }

    fn position(&self, name: &str, text: &str) -> Result<u64> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_plain).ok_or_else(|| {
            self.wrong(format_args!("has the {name} {text:?}, which is no position from 0 on"))
        })
    }

    /// The number that a column has.
    pub(super) fn number(&self, name: &str, text: &str) -> Result<f64> {
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| {
            self.wrong(format_args!("has the {name} {text:?}, which is no finite number"))
        })
    }

    pub(super) fn wrong(&self, what: impl fmt::Display) -> Error {
        invalid(format!("line {} {what}", self.number))
    }
}

/// Checks that the name of a chromosome can be the first column of a line between tabs.
pub(super) fn check_chrom(chrom: &str) -> Result<()> {
    let is_cut = chrom.contains(|c: char| c.is_whitespace() || c.is_control());
    if is_cut || is_passed_over(chrom.as_bytes()) {
        return Err(invalid(format!(
            "no line can hold the name {chrom:?} of a chromosome: it is empty, has white space or starts a comment"
        )));
    }
    Ok(())
}

/// A number in as few digits as read back to the same bits.
pub(super) struct Shortest<T>(pub(super) T);

impl<T: Copy + Into<f64> + fmt::Display + fmt::LowerExp> fmt::Display for Shortest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.into().abs();
        if size != 0.0 && !(1e-5..1e16).contains(&size) {
            fmt::LowerExp::fmt(&self.0, f)
        } else {
            fmt::Display::fmt(&self.0, f)
        }
    }
}
