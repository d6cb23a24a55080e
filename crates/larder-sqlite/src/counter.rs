//! A number that processes share through a file.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicU64, Ordering},
};

use memmap2::{MmapOptions, MmapRaw};

/// The first eight bytes of a file, little-endian, in memory that is shared by all who map it: it is read and written
/// without a system call. As with SQLite's own `-shm`, who cuts the file short ends the processes that use it.
#[derive(Debug)]
pub(crate) struct Counter(MmapRaw);

impl Counter {
    /// How many bytes of the file it is.
    pub(crate) const LEN: u64 = size_of::<u64>() as u64;

    /// A new file begins at 0; the caller keeps others from mapping it meanwhile.
    pub(crate) fn map(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() < Self::LEN {
            // Written and not only made longer, so that the block is there before memory stands for it.
            file.write_all_at(&0_u64.to_le_bytes(), 0)?;
        }
        Ok(Self(MmapOptions::new().len(size_of::<u64>()).map_raw(file)?))
    }

    pub(crate) fn get(&self) -> u64 {
        u64::from_le(self.shared().load(Ordering::SeqCst))
    }

    pub(crate) fn set(&self, count: u64) {
        self.shared().store(count.to_le(), Ordering::SeqCst);
    }

    #[expect(unsafe_code, reason = "nothing else makes an atomic of memory that processes share")]
    fn shared(&self) -> &AtomicU64 {
        // SAFETY: the mapping begins at a page, so it is aligned; it has eight bytes that can be read and written as
        // long as `self` lives; and Larder touches them through atomics alone once the file is mapped anywhere.
        unsafe { AtomicU64::from_ptr(self.0.as_mut_ptr().cast()) }
    }
}
