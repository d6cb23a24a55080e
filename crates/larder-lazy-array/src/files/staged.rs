use std::io;

use larder_storage::{Error, Result, Upload, crc32c, crc32c_combine};

use crate::{
    Element,
    layout::Layout,
    payload::{self, Payload},
    sidecar::Stamp,
};

/// An array that is being written out of sight.
pub(crate) struct Staged {
    upload: Box<dyn Upload>,
    crc: u32,
    /// The length of the header.
    header: u64,
}

impl Staged {
    /// What begins with this header, which is written already.
    pub(super) fn new(upload: Box<dyn Upload>, header: &[u8]) -> Self {
        Self { upload, crc: crc32c(header), header: header.len() as u64 }
    }

    /// Writes the next elements in the order of the file.
    pub(crate) fn append<A: Element>(&mut self, elements: &[A]) -> Result<()> {
        self.crc = payload::write(elements, self.crc, &mut self.upload).map_err(unwritten)?;
        Ok(())
    }

    /// Writes the first `len` elements of another file, and returns the CRC-32C of what was read.
    pub(crate) fn copy<A: Element>(&mut self, from: &Payload<'_>, len: usize) -> Result<u32> {
        let step = from.part::<A>();
        let mut raw = payload::zeroed::<A>(step.min(len))?;
        let mut crc = 0;
        for start in (0..len).step_by(step) {
            let part = &mut raw[..step.min(len - start)];
            from.fill::<A>(start, part)?;
            crc = payload::write_raw::<A>(part, crc, &mut self.upload).map_err(unwritten)?;
        }
        self.crc = crc32c_combine(self.crc, crc, len * size_of::<A>());
        Ok(crc)
    }

    /// What was written, which has to be all elements of the layout.
    pub(crate) fn end<A: Element>(self, layout: &Layout) -> (Box<dyn Upload>, Stamp) {
        let bytes = self.header + layout.bytes::<A>();
        (self.upload, Stamp::new(A::DTYPE, layout, bytes, self.crc))
    }
}

pub(super) fn unwritten(error: io::Error) -> Error {
    Error::io(error, "cannot write the array")
}
