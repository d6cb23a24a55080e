use std::io::{self, Write};

use arrow_array::RecordBatch;
use larder_storage::{Bytes, Error, Result};
use memmap2::MmapMut;

use crate::WindowRecord;

/// A file as it grows in memory.
///
/// It lies in pages of 2 MiB where the system has them: to be given 4 KiB at a time takes longer than to fill them.
#[derive(Debug)]
pub(crate) struct Memory {
    room: MmapMut,
    len: usize,
}

impl Memory {
    /// With room for the shard of these rows, so that it is not moved while it grows.
    ///
    /// # Errors
    ///
    /// `Io` where there is no memory.
    pub(crate) fn for_shard(records: &[WindowRecord], extra: Option<&RecordBatch>) -> Result<Self> {
        let row_bytes =
            records.first().map_or(0, |row| row.embedding.len() * row.key.dtype.stored_width());
        let metadata = (records.len() * 96) + (1 << 16);
        let extra = extra.map_or(0, RecordBatch::get_array_memory_size);
        Self::with_capacity(records.len() * row_bytes + metadata + extra)
            .map_err(|error| Error::io(error, "there is no memory for the shard"))
    }

    fn with_capacity(capacity: usize) -> io::Result<Self> {
        Ok(Self { room: room(capacity)?, len: 0 })
    }

    /// The finished file.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self.room).slice(..self.len)
    }
}

fn room(len: usize) -> io::Result<MmapMut> {
    let room = MmapMut::map_anon(len.max(1))?;
    // Without large pages it is slower, and no less right.
    #[cfg(target_os = "linux")]
    room.advise(memmap2::Advice::HugePage).ok();
    Ok(room)
}

impl Write for Memory {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let end = self.len + buf.len();
        if end > self.room.len() {
            let mut larger = room(2 * end)?;
            larger[..self.len].copy_from_slice(&self.room[..self.len]);
            self.room = larger;
        }
        self.room[self.len..end].copy_from_slice(buf);
        self.len = end;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_beyond_its_capacity() {
        let mut memory = Memory::with_capacity(0).unwrap();
        let written: Vec<u8> = (0..=255).collect();
        for piece in written.chunks(3) {
            memory.write_all(piece).unwrap();
        }
        assert_eq!(memory.into_bytes(), written);
    }
}
