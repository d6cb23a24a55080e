use std::{ops::Range, path::PathBuf};

use larder_storage::{Error, ErrorKind, Key, Result};
use ndarray::{Array, ArrayD, IxDyn, SliceArg};

use crate::{
    Access, DType, Element, ReadGuard, WriteGuard,
    cut::Cut,
    slot::{Slot, Tracked},
    sync::Arc,
};

/// One array of an [`ArrayStore`](crate::ArrayStore): in memory while it is used, on disk when it is not.
///
/// Clones are handles on the same array. Many threads may read it at once, or one may write. Whoever holds guards of
/// several arrays and waits for more has to take them in one order everywhere, as with any lock.
#[derive(Clone, Debug)]
pub struct LazyArray<A: Element>(pub(crate) Arc<Slot<A>>);

impl<A: Element> LazyArray<A> {
    /// The key in the store; `scratch` for an array that is never published.
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
    /// published now. One of at least 64 KiB on a local disk is mapped, so that only what is used of it is read, and not
    /// checked unless [`Options::checked`](crate::Options::checked) asks for it; any other is read, and checked against
    /// its checksum.
    ///
    /// # Errors
    ///
    /// `Locked` where this thread took the array's live write guard, and would wait for itself; `Corrupt` where the file
    /// is not what was written; `NotFound` where it was removed and `Conflict` where it was replaced by an array of
    /// another shape or type; `Full` where the budget [has no room](crate::WhenPinned) or there is no memory; `Full` or
    /// `Io` where an array cannot be spilled to make room; `Io` or `Backend` where the storage fails.
    pub fn read(&self) -> Result<ReadGuard<A>> {
        self.0.read()
    }

    /// Waits until nobody else reads or writes and gives the array to edit. The published file stays as it is until
    /// [`flush`](Self::flush). Of a mapped array, memory holds the pages that are edited.
    ///
    /// # Errors
    ///
    /// `Locked` where this thread took any live guard of this array, and would wait for itself; otherwise as
    /// [`read`](Self::read).
    pub fn write(&self) -> Result<WriteGuard<A>> {
        self.0.write()
    }

    /// Waits until nobody else reads or writes and gives zeros to fill, as numpy's mode `w+` does, in place of the array,
    /// which is not loaded for it. The published file stays as it is until [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn overwrite(&self) -> Result<WriteGuard<A>> {
        self.0.overwrite()
    }

    /// A copy of the rows whose first index lies in `rows`. An array that is not in memory is not loaded: the rows
    /// are read from their place in the file, by one read where they lie together, as in C order. They are not checked
    /// against the checksum, which is one of the whole array, in its file or spilled.
    ///
    /// The file is kept open for the next rows, so that on an object store they take one request. They are those of what
    /// is published at the time; what other programs than this one do to the files is noticed a millisecond later.
    ///
    /// # Errors
    ///
    /// `Invalid` where the range is not within the first axis; otherwise as [`read`](Self::read).
    pub fn rows(&self, rows: Range<usize>) -> Result<ArrayD<A>> {
        self.0.region(&self.0.row_ranges(rows)?)
    }

    /// A copy of a slice, as ndarray's `slice` takes with `s![..]`. An array that is not in memory is not loaded: what
    /// the slice spans is read from its place in the file, unchecked as [`rows`](Self::rows) are.
    ///
    /// # Errors
    ///
    /// `Invalid` where the slice is not within the array; otherwise as [`read`](Self::read).
    pub fn slice<I: SliceArg<IxDyn>>(&self, slice: I) -> Result<Array<A, I::OutDim>> {
        let cut = Cut::new(self.shape(), slice.as_ref());
        let cut = cut.map_err(|error| error.at_key(self.key()))?;
        cut.finish(self.0.region(&cut.ranges)?)
    }

    /// Tells how the array will be read from now on. It is a hint to the kernel, for mapped arrays and for rows.
    pub fn advise(&self, access: Access) {
        self.0.advise(access);
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

    /// Brings the array into memory, as far as the budget keeps it there, as GSEGUtils' `load` does.
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
    /// `Invalid` for a [scratch array](crate::ArrayStore::scratch); otherwise as [`read`](Self::read). The edits are kept, and the old file or the new one is there.
    pub fn flush(&self) -> Result<()> {
        self.0.publish()
    }

    /// Drops the edits, but for those of a [scratch array](crate::ArrayStore::scratch), that no [`flush`](Self::flush) has published. What is read next is what is published then. Waits until
    /// nobody reads or writes.
    ///
    /// # Errors
    ///
    /// `Locked` where this thread took any live guard of this array, and would wait for itself.
    pub fn revert(&self) -> Result<()> {
        self.0.revert()
    }

    /// Whether the array may leave memory.
    pub fn cache_enabled(&self) -> bool {
        self.0.keeping().caching
    }

    /// Lets the array leave memory, as it may unless that was forbidden.
    pub fn enable_caching(&self) {
        self.0.enable_caching();
    }

    /// Brings the array into memory and keeps it there. It then counts towards the budget as an array under a guard does.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); it may leave memory then.
    pub fn disable_caching(&self) -> Result<()> {
        self.0.disable_caching()
    }

    /// Whether the array leaves memory as soon as no guard is alive.
    pub fn automatic_offloading(&self) -> bool {
        self.0.keeping().automatic
    }

    /// Whether the array leaves memory as soon as no guard is alive, from now on.
    pub fn set_automatic_offloading(&self, automatic: bool) {
        self.0.set_automatic(automatic);
    }

    /// Whether the files of the array are removed once nobody has it any more.
    pub fn purge_on_drop(&self) -> bool {
        self.0.keeping().purge
    }

    /// Has the files of the array removed once nobody has it any more: its store, handles and guards are gone. What another
    /// process has replaced by then stays, and so does an array that this process never looked at.
    pub fn enable_purge(&self) {
        self.0.set_purge(true);
    }

    /// Lets the files of the array stay, as they do unless their removal was asked for.
    pub fn disable_purge(&self) {
        self.0.set_purge(false);
    }

    /// The file of the array, where the storage is local and it is no [scratch array](crate::ArrayStore::scratch).
    pub fn cache_path(&self) -> Option<PathBuf> {
        if self.0.is_scratch() { None } else { self.0.shared.files.path(self.key()) }
    }
}
