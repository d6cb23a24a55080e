use std::{fs::File, io};

/// Files that stay smaller are not worth a system call.
const FIRST: u64 = 1 << 20;
/// The most that is reserved at once.
const STEP: u64 = 64 << 20;

/// Room on the disk that is reserved for a growing file ahead of what is written, so that it lies in few extents and is
/// written faster. It doubles the file, and what is too much is given back in the end.
#[derive(Debug, Default)]
pub(super) struct Room {
    written: u64,
    reserved: u64,
}

impl Room {
    /// Before `more` bytes are written.
    pub(super) fn reserve(&mut self, file: &File, more: usize) {
        self.written += more as u64;
        if self.written > self.reserved.max(FIRST) {
            let start = self.reserved;
            self.reserved = self.written + self.written.min(STEP);
            allocate(file, start, self.reserved - start);
        }
    }

    /// After everything is written.
    pub(super) fn give_back(&self, file: &File) -> io::Result<()> {
        if self.reserved > self.written { file.set_len(file.metadata()?.len()) } else { Ok(()) }
    }
}

/// Whoever writes is told where there is no room, and does without where none can be reserved.
#[cfg(target_os = "linux")]
fn allocate(file: &File, start: u64, len: u64) {
    let _ = rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, start, len);
}

#[cfg(not(target_os = "linux"))]
fn allocate(_: &File, _: u64, _: u64) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{io::Write, os::unix::fs::MetadataExt};

    use super::*;
    use crate::{Durability, publish::Stage};

    #[test]
    fn a_published_file_takes_the_room_that_it_needs() {
        let dir = tempfile::tempdir().unwrap();
        let stage = Stage::new(dir.path(), Durability::Process);
        for len in [FIRST, FIRST + 1, 5 * FIRST] {
            let mut staged = stage.file().unwrap();
            (0..len / 4096).for_each(|_| staged.write_all(&[1; 4096]).unwrap());
            staged.write_all(&vec![1; (len % 4096) as usize]).unwrap();
            let target = dir.path().join(len.to_string());
            staged.publish(&target).unwrap();
            let found = target.metadata().unwrap();
            assert_eq!(found.len(), len);
            assert!(512 * found.blocks() <= len + 64 * 1024, "{} blocks", found.blocks());
        }
    }
}
