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
pub struct Counter(MmapRaw);

impl Counter {
    /// How many bytes of the file it is.
    pub const LEN: u64 = size_of::<u64>() as u64;

    /// Maps a file, which begins at 0 where it is new; the caller keeps others from mapping it meanwhile.
    ///
    /// # Errors
    ///
    /// Where the file cannot be made long enough or be mapped.
    pub fn map(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() < Self::LEN {
            // Written and not only made longer, so that the block is there before memory stands for it.
            file.write_all_at(&0_u64.to_le_bytes(), 0)?;
        }
        Ok(Self(MmapOptions::new().len(size_of::<u64>()).map_raw(file)?))
    }

    /// The number.
    pub fn get(&self) -> u64 {
        u64::from_le(self.shared().load(Ordering::SeqCst))
    }

    /// Makes it this number, whatever it is.
    pub fn set(&self, count: u64) {
        self.shared().store(count.to_le(), Ordering::SeqCst);
    }

    /// Adds one.
    pub fn raise(&self) {
        let next = |count| Some(u64::from_le(count).wrapping_add(1).to_le());
        // It is never refused.
        let _ = self.shared().fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
    }

    #[expect(unsafe_code, reason = "nothing else makes an atomic of memory that processes share")]
    fn shared(&self) -> &AtomicU64 {
        // SAFETY: the mapping begins at a page, so it is aligned; it has eight bytes that can be read and written as
        // long as `self` lives; and Larder touches them through atomics alone once the file is mapped anywhere.
        unsafe { AtomicU64::from_ptr(self.0.as_mut_ptr().cast()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_who_map_a_file_see_one_number() {
        let file = tempfile::tempfile().unwrap();
        let [one, two] = [(); 2].map(|()| Counter::map(&file).unwrap());
        assert_eq!(one.get(), 0);
        one.set(u64::MAX - 1);
        std::thread::scope(|scope| {
            for counter in [&one, &two] {
                scope.spawn(|| (0..1000).for_each(|_| counter.raise()));
            }
        });
        assert_eq!((one.get(), two.get()), (1998, 1998));
        drop((one, two));
        assert_eq!(Counter::map(&file).unwrap().get(), 1998);
    }
}
