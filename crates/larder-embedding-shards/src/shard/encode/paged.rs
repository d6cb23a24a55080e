use std::io::{self, Write};

use larder_storage::crc32c_append;

use crate::shard::checksum;

/// How much is put together before it is written: many rows, and no more than stays in a processor's own cache.
const PAGE: usize = 256 << 10;

/// A file on its way out, with its checksum.
///
/// All of it goes through one page of memory: to be given new memory for a whole file takes longer than to fill it.
pub(super) struct Paged<'w> {
    out: &'w mut (dyn Write + Send),
    page: Vec<u8>,
    /// Of all that was written to `out`.
    crc: u32,
    /// Whether all that comes is kept in the page.
    is_end: bool,
}

impl<'w> Paged<'w> {
    pub(super) fn new(out: &'w mut (dyn Write + Send)) -> Self {
        Self { out, page: Vec::with_capacity(PAGE), crc: 0, is_end: false }
    }

    /// Takes what comes now for the end of the file, which has the checksum of all of it.
    pub(super) fn hold_end(&mut self) -> io::Result<()> {
        self.pass_on()?;
        self.is_end = true;
        Ok(())
    }

    /// Writes the end of the file, with the checksum filled in.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        let crc = crc32c_append(self.crc, &self.page);
        checksum::fill_in(&mut self.page, crc);
        self.pass_on()
    }

    fn pass_on(&mut self) -> io::Result<()> {
        self.crc = crc32c_append(self.crc, &self.page);
        self.out.write_all(&self.page)?;
        self.page.clear();
        Ok(())
    }
}

impl Write for Paged<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if !self.is_end && self.page.len() + buf.len() > PAGE {
            self.pass_on()?;
        }
        self.page.extend_from_slice(buf);
        Ok(buf.len())
    }

    /// Does nothing: a page is written when it is full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use larder_storage::crc32c;

    use super::*;

    #[test]
    fn what_goes_on_in_pages_is_what_was_written() {
        let written: Vec<u8> = (0..=255).cycle().take(3 * PAGE + 7).collect();
        for piece in [1000, PAGE - 1, PAGE, PAGE + 1] {
            let mut out = Vec::new();
            let mut paged = Paged::new(&mut out);
            written.chunks(piece).for_each(|piece| paged.write_all(piece).unwrap());
            paged.hold_end().unwrap();
            assert_eq!(paged.crc, crc32c(&written));
            paged.write_all(b"the end").unwrap();
            paged.finish().unwrap();
            assert_eq!(out, [&written[..], b"the end"].concat());
        }
    }
}
