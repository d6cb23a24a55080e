//! A number that processes share through a file.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicU64, Ordering},
};

use memmap2::{MmapOptions, MmapRaw};

const LEN: usize = size_of::<u64>();

/// The first eight bytes of a file, little-endian, in memory that is shared by all who map it: it is read and written
/// without a system call. As with SQLite's own `-shm`, who cuts the file short ends the processes that use it.
#[derive(Debug)]
pub(crate) struct Counter(MmapRaw);

impl Counter {
    /// The caller keeps others from doing the same meanwhile. A new file begins at 0.
    pub(crate) fn map(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() < LEN as u64 {
            // Written and not only made longer, so that the block is there before memory stands for it.
            file.write_all_at(&[0; LEN], 0)?;
        }
        Ok(Self(MmapOptions::new().len(LEN).map_raw(file)?))
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
