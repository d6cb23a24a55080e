//! Elements on their way to a file and back, in parts that stay in the processor's cache.

use std::io::{self, Write};

use bytemuck::cast_slice;
use larder_storage::{Error, ErrorKind, ReadAt, Result, crc32c_append};

use crate::{Element, element::Endian};

/// What is read from a file at once, in bytes.
pub(crate) const PART: usize = 256 * 1024;
/// What one request asks for where reads may be requests.
pub(crate) const REMOTE_PART: usize = 8 * 1024 * 1024;

/// Writes `elements` in little-endian order and returns `crc` continued over their bytes.
pub(crate) fn write<A: Element>(
    elements: &[A],
    mut crc: u32,
    out: &mut dyn Write,
) -> io::Result<u32> {
    for part in elements.chunks(PART / size_of::<A>()) {
        crc = write_raw::<A>(cast_slice(part), crc, out)?;
    }
    Ok(crc)
}

/// As [`write`], with elements as they are read.
pub(crate) fn write_raw<A: Element>(
    raw: &[A::Raw],
    crc: u32,
    out: &mut dyn Write,
) -> io::Result<u32> {
    let mut turned = Vec::new();
    if Endian::NATIVE == Endian::Big {
        turned.extend_from_slice(raw);
        A::swap(&mut turned);
    }
    let bytes = cast_slice(if turned.is_empty() { raw } else { &turned });
    out.write_all(bytes)?;
    Ok(crc32c_append(crc, bytes))
}

/// Elements that lie in a file, from a given byte to its end.
pub(crate) struct Payload<'a> {
    pub(crate) file: &'a dyn ReadAt,
    pub(crate) start: u64,
    pub(crate) endian: Endian,
    /// How many bytes are read at once where neighbours are wanted.
    pub(crate) part: usize,
}

impl Payload<'_> {
    /// Reads the first `len` elements, and returns `crc` continued over their bytes.
    pub(crate) fn read<A: Element>(&self, len: usize, mut crc: u32) -> Result<(Vec<A>, u32)> {
        let mut raw = zeroed::<A>(len)?;
        let step = self.part::<A>();
        for (number, part) in raw.chunks_mut(step).enumerate() {
            let bytes = bytemuck::cast_slice_mut(part);
            self.file.read_at(self.place::<A>(number * step), bytes)?;
            crc = crc32c_append(crc, bytes);
            self.turn::<A>(part);
        }
        Ok((A::from_raw(raw), crc))
    }

    /// Fills `raw` with the elements from the one at `start` on, in the order of the file.
    pub(crate) fn fill<A: Element>(&self, start: usize, raw: &mut [A::Raw]) -> Result<()> {
        self.file.read_at(self.place::<A>(start), bytemuck::cast_slice_mut(raw))?;
        self.turn::<A>(raw);
        Ok(())
    }

    /// How many elements are read at once where neighbours are wanted.
    pub(crate) fn part<A>(&self) -> usize {
        self.part / size_of::<A>()
    }

    fn place<A>(&self, element: usize) -> u64 {
        self.start + (element * size_of::<A>()) as u64
    }

    fn turn<A: Element>(&self, raw: &mut [A::Raw]) {
        if self.endian != Endian::NATIVE {
            A::swap(raw);
        }
    }
}

/// Room for elements that are about to be read.
pub(crate) fn zeroed<A: Element>(len: usize) -> Result<Vec<A::Raw>> {
    bytemuck::allocation::try_zeroed_vec(len).map_err(|()| {
        let message = format!("no memory for {len} elements of {} bytes", size_of::<A>());
        Error::new(ErrorKind::Full, message)
    })
}
