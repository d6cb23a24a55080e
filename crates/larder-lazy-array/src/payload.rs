//! Elements on their way to a file and back, through a buffer that stays in the processor's cache.

use std::{
    io::{self, Write},
    ops::Range,
};

use larder_storage::{Error, ErrorKind, ReadAt, Result, crc32c_append};

use crate::{Element, element::Endian, layout::Layout};

const BUFFER: usize = 256 * 1024;

/// Writes `elements` in little-endian order and returns `crc` continued over their bytes.
pub(crate) fn write<A: Element>(
    elements: &[A],
    mut crc: u32,
    out: &mut dyn Write,
) -> io::Result<u32> {
    let mut buffer = vec![0; BUFFER.min(size_of_val(elements))];
    for chunk in elements.chunks(BUFFER / size_of::<A>()) {
        let bytes = &mut buffer[..size_of_val(chunk)];
        A::encode(chunk, bytes);
        crc = crc32c_append(crc, bytes);
        out.write_all(bytes)?;
    }
    Ok(crc)
}

/// Elements that lie in a file, from a given byte to its end.
pub(crate) struct Payload<'a> {
    pub(crate) file: &'a dyn ReadAt,
    pub(crate) start: u64,
    pub(crate) endian: Endian,
}

impl Payload<'_> {
    /// Reads `len` elements, and returns `crc` continued over their bytes.
    pub(crate) fn read<A: Element>(&self, len: usize, mut crc: u32) -> Result<(Vec<A>, u32)> {
        let mut elements = reserve(len)?;
        let mut at = self.start;
        let mut left = len * size_of::<A>();
        let mut buffer = vec![0; BUFFER.min(left)];
        while left > 0 {
            let bytes = &mut buffer[..BUFFER.min(left)];
            self.file.read_at(at, bytes)?;
            crc = crc32c_append(crc, bytes);
            A::decode(bytes, self.endian, &mut elements);
            at += bytes.len() as u64;
            left -= bytes.len();
        }
        Ok((elements, crc))
    }

    /// Reads the elements whose first index lies in `rows`: one read in C order, and in Fortran order one for each
    /// combination of the other indices.
    pub(crate) fn rows<A: Element>(&self, layout: &Layout, rows: &Range<usize>) -> Result<Vec<A>> {
        let others: usize = layout.shape[1..].iter().product();
        if !layout.fortran_order {
            return self.part(rows.start * others, rows.len() * others);
        }
        let mut elements = reserve(rows.len() * others)?;
        for column in 0..others {
            elements.extend(self.part::<A>(column * layout.shape[0] + rows.start, rows.len())?);
        }
        Ok(elements)
    }

    /// Reads `len` elements from the one at `start` on, in the order of the file.
    pub(crate) fn part<A: Element>(&self, start: usize, len: usize) -> Result<Vec<A>> {
        Ok(self.at::<A>(start).read(len, 0)?.0)
    }

    fn at<A>(&self, element: usize) -> Self {
        Self { start: self.start + (element * size_of::<A>()) as u64, ..*self }
    }
}

fn reserve<A>(len: usize) -> Result<Vec<A>> {
    let mut elements = Vec::new();
    elements.try_reserve_exact(len).map_err(|error| {
        let message = format!("no memory for {len} elements of {} bytes", size_of::<A>());
        Error::new(ErrorKind::Full, message).with_source(error)
    })?;
    Ok(elements)
}
