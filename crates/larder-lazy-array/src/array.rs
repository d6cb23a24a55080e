use std::{ops::Range, sync::Arc};

use larder_storage::{Error, ErrorKind, Key, Result};
use ndarray::ArrayD;

use crate::{
    DType, Element, ReadGuard, WriteGuard,
    slot::{Slot, Tracked},
};

/// One array of an [`ArrayStore`](crate::ArrayStore): in memory while it is used, on disk when it is not.
///
/// Clones are handles on the same array. Many threads may read it at once, or one may write. Whoever holds guards of
/// several arrays and waits for more has to take them in one order everywhere, as with any lock.
#[derive(Clone, Debug)]
pub struct LazyArray<A: Element>(pub(crate) Arc<Slot<A>>);

impl<A: Element> LazyArray<A> {
    /// The key in the store.
    pub fn key(&self) -> &Key {
        &self.0.key
    }

    /// The lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        &self.0.layout.shape
    }

    /// The number of elements.
    #[expect(clippy::len_without_is_empty, reason = "as ndarray, whose shape says it")]
    pub fn len(&self) -> usize {
        self.0.layout.len()
    }

    /// The type of the elements as numpy knows it.
    pub fn dtype(&self) -> DType {
        A::DTYPE
    }

    /// The size of the elements in bytes.
    pub fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    /// Waits until nobody writes and gives the array to read, loaded if need be. What is loaded is the file that is
    /// published now, checked against its checksum.
    ///
    /// # Errors
    ///
    /// `Locked` where this thread took the array's live write guard, and would wait for itself; `Corrupt` where the file
    /// is not what was written; `NotFound` where it was removed and `Conflict` where it was replaced by an array of
    /// another shape or type; `Full` or `Io` where an array cannot be spilled to make room, or there is no memory;
    /// `Io` or `Backend` where the storage fails.
    pub fn read(&self) -> Result<ReadGuard<A>> {
        self.0.read()
    }

    /// Waits until nobody else reads or writes and gives the array to edit. The published file stays as it is until
    /// [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// `Locked` where this thread took any live guard of this array, and would wait for itself; otherwise as
    /// [`read`](Self::read).
    pub fn write(&self) -> Result<WriteGuard<A>> {
        self.0.write()
    }

    /// A copy of the rows whose first index lies in `rows`. An array that is not in memory is not loaded: the rows
    /// are read from their place in the file, in C order by one read, in Fortran order by one for each combination
    /// of the other indices. They are not checked against the checksum, which is one of the whole file.
    ///
    /// # Errors
    ///
    /// `Invalid` where the range is not within the first axis; otherwise as [`read`](Self::read).
    pub fn rows(&self, rows: Range<usize>) -> Result<ArrayD<A>> {
        self.0.rows(rows)
    }

    /// The rows in their order, `len` at a time and the rest at last, each read as [`rows`](Self::rows) does.
    ///
    /// # Errors
    ///
    /// `Invalid` where `len` is 0 or the array has no axis; the iterator's are those of [`rows`](Self::rows).
    pub fn chunks(&self, len: usize) -> Result<impl Iterator<Item = Result<ArrayD<A>>> + '_> {
        let all = self.shape().first().copied().filter(|_| len > 0).ok_or_else(|| {
            let message = "only rows of an array with an axis can be read, at least one at a time";
            Error::new(ErrorKind::Invalid, message).at_key(self.key())
        })?;
        let starts = (0..all).step_by(len);
        Ok(starts.map(move |start| self.rows(start..all.min(start.saturating_add(len)))))
    }

    /// Brings the array into memory, as far as the budget keeps it there.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn load(&self) -> Result<()> {
        self.read().map(drop)
    }

    /// Takes the array out of memory, unless a guard is alive; whether it is out now. An edited one is written to a
    /// scratch file first; any other costs no I/O.
    ///
    /// # Errors
    ///
    /// `Full` or `Io` where the scratch file cannot be written; the array is in memory then.
    pub fn offload(&self) -> Result<bool> {
        self.0.offload()
    }

    /// Whether the array is out of memory.
    pub fn offloaded(&self) -> bool {
        !self.0.is_resident()
    }

    /// Whether there are edits that no [`flush`](Self::flush) has published.
    pub fn dirty(&self) -> bool {
        self.0.is_dirty()
    }

    /// Publishes edits: a new file replaces the old one under the array's key. Nothing is written where there are
    /// none. Edits that are never flushed go with the last handle and the store.
    ///
    /// # Errors
    ///
    /// `Conflict` where another process replaced the array after it was loaded here; `NotFound` where it was removed;
    /// otherwise as [`read`](Self::read). The edits are kept, and the old file or the new one is there.
    pub fn flush(&self) -> Result<()> {
        self.0.publish()
    }
}
