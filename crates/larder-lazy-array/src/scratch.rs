//! Edited arrays that left memory: bare elements in one file of the store that has no name, so that nothing is left of
//! it when the process ends, however it ends.

use std::{
    fs::File,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use larder_storage::{Error, ErrorKind, PublishedFile, ReadAt, Result, publish::Stage};

use crate::{
    Element,
    element::Endian,
    payload::{self, Payload},
};

mod space;

use space::{Extent, Space};

/// Where a store spills to. The file is made with the first spill.
#[derive(Debug)]
pub(crate) struct Scratch {
    stage: Stage,
    file: Mutex<Option<Arc<ScratchFile>>>,
}

#[derive(Debug)]
struct ScratchFile {
    file: File,
    space: Mutex<Space>,
}

/// Elements in the scratch file; their space is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Spilled {
    file: Arc<ScratchFile>,
    extent: Extent,
    /// What was written of the extent.
    len: u64,
    crc: u32,
}

impl Scratch {
    pub(crate) fn new(stage: Stage) -> Self {
        Self { stage, file: Mutex::default() }
    }

    pub(crate) fn write<A: Element>(&self, elements: &[A]) -> Result<Spilled> {
        let (file, len) = (self.file()?, size_of_val(elements) as u64);
        let extent = file.space().take(len);
        // From here on it is given back, also where it cannot be filled.
        let mut spilled = Spilled { file, extent, len, crc: 0 };
        spilled.file.reserve(&spilled.extent);
        let mut end = End { file: &spilled.file.file, at: spilled.extent.start };
        let written = payload::write(elements, 0, &mut end);
        spilled.crc = written.map_err(|error| Error::io(error, "cannot spill the array"))?;
        Ok(spilled)
    }

    fn file(&self) -> Result<Arc<ScratchFile>> {
        // Its one change is whole at once.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*file {
            return Ok(Arc::clone(file));
        }
        let made = ScratchFile { file: self.stage.unnamed()?, space: Mutex::default() };
        Ok(Arc::clone(file.insert(Arc::new(made))))
    }
}

impl ScratchFile {
    // Each change of it is whole before anything in it can panic.
    fn space(&self) -> MutexGuard<'_, Space> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the file system find room for an extent at once, which makes writing it faster. Where it finds none, whoever
    /// writes is told.
    #[cfg(target_os = "linux")]
    fn reserve(&self, extent: &Extent) {
        use rustix::fs::{FallocateFlags, fallocate};
        let _ =
            fallocate(&self.file, FallocateFlags::empty(), extent.start, extent.end - extent.start);
    }

    /// Nothing is done ahead.
    #[cfg(not(target_os = "linux"))]
    fn reserve(&self, _: &Extent) {}

    /// Gives the blocks of an extent back to the file system, where it takes them.
    #[cfg(target_os = "linux")]
    fn punch(&self, extent: &Extent) {
        use rustix::fs::{FallocateFlags, fallocate};
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let _ = fallocate(&self.file, flags, extent.start, extent.end - extent.start);
    }

    /// The space is used again for other arrays.
    #[cfg(not(target_os = "linux"))]
    fn punch(&self, _: &Extent) {}
}

impl Spilled {
    pub(crate) fn read<A: Element>(&self, len: usize) -> Result<Vec<A>> {
        let (elements, crc) = self.payload().read(len, 0)?;
        self.check(crc).map(|()| elements)
    }

    /// Whether that is the checksum of what was written.
    pub(crate) fn check(&self, crc: u32) -> Result<()> {
        if crc == self.crc {
            return Ok(());
        }
        let message = "the spilled array is not what was written: its edits are lost, revert them";
        Err(Error::new(ErrorKind::Corrupt, message))
    }

    pub(crate) fn payload(&self) -> Payload<'_> {
        Payload { file: self, start: 0, endian: Endian::Little, part: payload::PART }
    }
}

impl ReadAt for Spilled {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        read_exact_at(&self.file.file, buf, self.extent.start + offset)
            .map_err(|error| Error::io(error, "cannot read a spilled array"))
    }

    fn is_current(&self) -> bool {
        true
    }

    fn file(&self) -> Option<&PublishedFile> {
        None
    }
}

impl Drop for Spilled {
    fn drop(&mut self) {
        // Before the space can be taken by another array.
        self.file.punch(&self.extent);
        self.file.space().give_back(self.extent.clone());
    }
}

/// Where the next bytes go.
struct End<'a> {
    file: &'a File,
    at: u64,
}

impl io::Write for End<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = std::os::unix::fs::FileExt::write_at(self.file, buf, self.at)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn read_exact_at(file: &File, buf: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buf, at)
}

#[cfg(test)]
mod tests {
    use larder_storage::Durability;

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn space_is_given_back_to_the_disk() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(Stage::new(dir.path(), Durability::Scratch));
        let [one, two] = [1_u8, 2].map(|fill| scratch.write(&vec![fill; 300_000]).unwrap());
        let used = || 512 * scratch.file().unwrap().file.metadata().unwrap().blocks();
        assert!(used() >= 600_000);
        drop(one);
        assert!((300_000..400_000).contains(&used()));
        assert_eq!(two.read::<u8>(300_000).unwrap(), [2; 300_000]);
        drop(two);
        assert_eq!(used(), 0);
    }

    #[test]
    fn damage_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(Stage::new(dir.path(), Durability::Scratch));
        let spilled = scratch.write(&[1_u16; 1000]).unwrap();
        assert_eq!(spilled.read::<u16>(1000).unwrap(), [1; 1000]);
        let mut end = End { file: &spilled.file.file, at: 700 };
        io::Write::write_all(&mut end, &[9]).unwrap();
        assert_eq!(spilled.read::<u16>(1000).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
