//! The headers of `.npy` files.
//!
//! Source of the format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use larder_storage::{Error, ErrorKind, ReadAt, Result, crc32c};

use crate::{
    DType,
    element::Endian,
    layout::Layout,
    npy::literal::{Descr, Dict},
    payload::{self, Payload},
};

mod literal;

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Data starts at a multiple of this, as numpy's does.
const ALIGNMENT: usize = 64;
/// Where the data of a large array starts: rows of whole pages then lie in whole pages of the file.
const PAGE: usize = 4096;
/// From this many bytes of data on, an array is large: it is mapped where that can be, and laid out for it.
pub(crate) const LARGE: u64 = 64 * 1024;
/// No header of numbers needs more; numpy itself refuses headers of more than 10,000 bytes.
const MAX_HEADER: u64 = 1024 * 1024;

/// What a file says of its array; the data are known to fill the rest of the file exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) dtype: DType,
    pub(crate) endian: Endian,
    pub(crate) layout: Layout,
    pub(crate) data_start: u64,
    /// Of all bytes before the data.
    pub(crate) crc32c: u32,
}

impl Header {
    /// Reads the header of a file, versions 1.0, 2.0 and 3.0.
    pub(crate) fn read(file: &dyn ReadAt) -> Result<Self> {
        let mut start = vec![0; file.len().min(PAGE as u64) as usize];
        file.read_at(0, &mut start)?;
        let (text_start, data_start) = extent(&start)?;
        if data_start > file.len() || data_start > MAX_HEADER {
            return Err(corrupt("is cut short in its header, or the header's length is damaged"));
        }
        if data_start > start.len() as u64 {
            start.resize(data_start as usize, 0);
            file.read_at(0, &mut start)?;
        }
        start.truncate(data_start as usize);
        let header = Self::parse(&start, text_start)?;
        header.check_length(file.len())?;
        Ok(header)
    }

    /// The elements in `file`, which this is the header of.
    pub(crate) fn payload<'a>(&self, file: &'a dyn ReadAt) -> Payload<'a> {
        let part = if file.file().is_some() { payload::PART } else { payload::REMOTE_PART };
        Payload { file, start: self.data_start, endian: self.endian, part }
    }

    /// What the bytes before the data say, of which the text begins at `text_start`.
    fn parse(start: &[u8], text_start: usize) -> Result<Self> {
        let Dict { descr, fortran_order, shape } =
            literal::parse(&start[text_start..]).ok_or_else(|| corrupt("has a damaged header"))?;
        let Descr::Named(name) = descr else {
            return Err(unsupported("holds structured records".to_owned()));
        };
        let (dtype, endian) = DType::parse(&name).ok_or_else(|| match name.get(1..) {
            Some("O") => unsupported("holds Python objects, which are never read".to_owned()),
            _ => unsupported(format!("holds elements of type {name:?}")),
        })?;
        let layout = Layout::new(shape, fortran_order, dtype.size());
        let layout =
            layout.ok_or_else(|| corrupt("has a shape that overflows the address space"))?;
        Ok(Self { dtype, endian, layout, data_start: start.len() as u64, crc32c: crc32c(start) })
    }

    fn check_length(&self, found: u64) -> Result<()> {
        let expected = self.data_start + (self.layout.len() * self.dtype.size()) as u64;
        if found == expected {
            return Ok(());
        }
        let how = if found < expected { "is cut short" } else { "has bytes after its end" };
        Err(corrupt(&format!("{how}: {found} bytes where its header asks for {expected}")))
    }
}

/// The header of a new file: version 1.0, little-endian.
pub(crate) fn header(dtype: DType, layout: &Layout) -> Vec<u8> {
    let order = if layout.fortran_order { "True" } else { "False" };
    let shape: Vec<_> = layout.shape.iter().map(usize::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let mut text = format!(
        "{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': ({}{comma}), }}",
        shape.join(", ")
    );
    let large = (layout.len() * dtype.size()) as u64 >= LARGE;
    let end = (10 + text.len() + 1).next_multiple_of(if large { PAGE } else { ALIGNMENT });
    text.extend(std::iter::repeat_n(' ', end - 11 - text.len()));
    text.push('\n');
    let length = u16::try_from(text.len()).expect("32 axes fit into one page");
    [&MAGIC[..], &[1, 0], &length.to_le_bytes(), text.as_bytes()].concat()
}

/// Where the text of the header starts, and where the data do.
fn extent(start: &[u8]) -> Result<(usize, u64)> {
    if !MAGIC.starts_with(&start[..start.len().min(MAGIC.len())]) {
        return Err(Error::new(ErrorKind::Format, "is no .npy file"));
    }
    let cut = || corrupt("is cut short in its header");
    let version = start.get(6..8).ok_or_else(cut)?;
    let (text_start, length) = match version {
        [1, 0] => (10, start.get(8..10).ok_or_else(cut)?),
        [2 | 3, 0] => (12, start.get(8..12).ok_or_else(cut)?),
        [major, minor, ..] => {
            let message =
                format!("is of .npy version {major}.{minor}, unknown here: upgrade Larder");
            return Err(Error::new(ErrorKind::Format, message));
        }
        _ => return Err(cut()),
    };
    let length = length.iter().rev().fold(0, |length, byte| length << 8 | u64::from(*byte));
    Ok((text_start, text_start as u64 + length))
}

fn corrupt(message: &str) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

fn unsupported(what: String) -> Error {
    let message = format!(
        "{what}: only booleans, plain numbers of up to 64 bits and pairs of floats can be read"
    );
    Error::new(ErrorKind::Unsupported, message)
}

#[cfg(test)]
mod tests;
