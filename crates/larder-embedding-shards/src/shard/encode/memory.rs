use std::io::{self, Write};

use larder_storage::{Bytes, crc32c_append};
use memmap2::MmapMut;

use crate::shard::checksum;

/// A file as it grows in memory, with its checksum.
///
/// It lies in pages of 2 MiB where the system has them: to be given 4 KiB at a time takes longer than to fill them.
pub(super) struct Memory {
    room: MmapMut,
    len: usize,
    crc: u32,
}

impl Memory {
    pub(super) fn with_capacity(capacity: usize) -> io::Result<Self> {
        Ok(Self { room: room(capacity)?, len: 0, crc: 0 })
    }

    /// The finished file, with its checksum filled in.
    pub(super) fn into_bytes(mut self) -> Bytes {
        checksum::fill_in(&mut self.room[..self.len], self.crc);
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
        self.crc = crc32c_append(self.crc, buf);
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
        assert_eq!(memory.crc, larder_storage::crc32c(&written));
        assert_eq!(memory.into_bytes(), written);
    }
}
