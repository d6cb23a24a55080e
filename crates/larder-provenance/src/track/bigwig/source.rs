//! A file of numbers in either byte order, of which nothing is taken for granted.

use std::io::{Read, Seek, SeekFrom};

use larder_storage::{Error, ErrorKind, Result};

/// A file, to be read part by part.
pub(super) struct Source<R> {
    reader: R,
    len: u64,
    big_endian: bool,
}

/// Numbers, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl<R: Read + Seek> Source<R> {
    /// Takes the byte order from the number that the file starts with.
    pub(super) fn new(mut reader: R, magic: u32) -> Result<Self> {
        let len = reader.seek(SeekFrom::End(0)).map_err(unreadable)?;
        let mut source = Self { reader, len, big_endian: false };
        let bytes = source.part(0, len.min(4))?;
        source.big_endian = bytes == magic.to_be_bytes();
        if !source.big_endian && bytes != magic.to_le_bytes() {
            let message = "is no BigWig file: it starts with something else";
            return Err(Error::new(ErrorKind::Format, message));
        }
        Ok(source)
    }

    /// The `len` bytes at `offset`; no memory is taken for what is not there.
    pub(super) fn part(&mut self, offset: u64, len: u64) -> Result<Vec<u8>> {
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(damaged(&format!(
                "it has {} bytes, and {len} are to be found from byte {offset} on",
                self.len
            )));
        }
        let mut bytes = vec![0; len as usize];
        self.reader.seek(SeekFrom::Start(offset)).map_err(unreadable)?;
        self.reader.read_exact(&mut bytes).map_err(unreadable)?;
        Ok(bytes)
    }

    pub(super) fn fields<'a>(&self, bytes: &'a [u8]) -> Fields<'a> {
        Fields { bytes, big_endian: self.big_endian }
    }
}

impl<'a> Fields<'a> {
    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.bytes.split_at_checked(len).ok_or_else(cut_short)?;
        self.bytes = rest;
        Ok(bytes)
    }

    pub(super) fn skip(&mut self, len: usize) -> Result<()> {
        self.bytes(len).map(drop)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        self.number().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.number().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.number().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.number().map(u64::from_le_bytes)
    }

    pub(super) fn f32(&mut self) -> Result<f32> {
        self.number().map(f32::from_le_bytes)
    }

    /// The bytes of a number, the least one first.
    fn number<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (number, rest) = self.bytes.split_first_chunk().ok_or_else(cut_short)?;
        self.bytes = rest;
        let mut number = *number;
        if self.big_endian {
            number.reverse();
        }
        Ok(number)
    }
}

fn unreadable(error: std::io::Error) -> Error {
    Error::io(error, "the BigWig file cannot be read")
}

fn cut_short() -> Error {
    damaged("a part of it ends too early")
}

pub(super) fn damaged(what: &str) -> Error {
    let message = format!("the BigWig file is damaged or truncated: {what}");
    Error::new(ErrorKind::Corrupt, message)
}
