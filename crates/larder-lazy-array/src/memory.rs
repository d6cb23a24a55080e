//! Elements in memory: on the heap, or in a private map of their file. The one module with unsafe code.
//!
//! # Why it is sound
//!
//! - [`Memory`] owns its elements and never moves them: they are a vector that was taken apart, or a map. It keeps
//!   nothing but a raw pointer to them, so nothing else claims to be their only owner.
//! - Elements are mapped only where all bytes are one ([`Codec::MAPS`]), in the byte order of this machine, from a place
//!   that is aligned for them, and as many as the file holds.
//! - A map is private: what is written into it never reaches the file. Only a [`PublishedFile`] is mapped, which is never
//!   written in place, so nothing else changes what the map shows. Whoever cuts a published file short underneath breaks that contract, and
//!   is answered by the kernel with a signal, as for any mapped file; reads that are not mapped are an error then.
//! - [`Shown`] and [`Edited`] keep a view beside the memory that it is of. The view never leaves them but by reference, as
//!   an [`ArrayRef`], which has no size, so that no two can be swapped.

#![expect(unsafe_code, reason = "elements that lie in a mapped file are shown where they are")]

use std::{
    fmt,
    fs::File,
    io,
    mem::{self, ManuallyDrop},
    ops::{Deref, DerefMut},
    ptr::NonNull,
    slice,
    sync::Arc,
};

use larder_storage::PublishedFile;
use memmap2::{Advice, Mmap, MmapMut, MmapOptions};
use ndarray::{ArrayRef, ArrayView, ArrayViewMut, IxDyn, ShapeBuilder};

#[cfg(doc)]
use crate::element::sealed::Codec;
use crate::{Access, Element, layout::Layout};

/// Elements, one after the other, of which this is the owner.
pub(crate) struct Memory<A> {
    start: NonNull<A>,
    len: usize,
    owner: Owner,
}

enum Owner {
    /// A vector of this capacity that was taken apart.
    Heap(usize),
    /// A file, mapped to be read.
    File(Mmap),
    /// A file, mapped to be read and written without changing it.
    Copy(MmapMut),
}

// SAFETY: it owns its elements, as a vector does.
unsafe impl<A: Send> Send for Memory<A> {}
// SAFETY: shared, it gives them out to be read alone, as a vector does.
unsafe impl<A: Sync> Sync for Memory<A> {}

impl<A: Element> Memory<A> {
    /// What is in a vector, without a copy.
    pub(crate) fn heap(elements: Vec<A>) -> Self {
        let mut elements = ManuallyDrop::new(elements);
        let start = NonNull::new(elements.as_mut_ptr()).unwrap_or(NonNull::dangling());
        Self { start, len: elements.len(), owner: Owner::Heap(elements.capacity()) }
    }

    /// The `len` elements that lie in `file` from byte `start` on, in the byte order of this machine; `None` where such
    /// elements cannot be mapped.
    pub(crate) fn map(file: &PublishedFile, start: u64, len: usize) -> Option<io::Result<Self>> {
        let aligned = start.is_multiple_of(align_of::<A>() as u64);
        (A::MAPS && len > 0 && aligned).then(|| Self::map_aligned(file.file(), start, len))
    }

    fn map_aligned(file: &File, start: u64, len: usize) -> io::Result<Self> {
        let mut options = MmapOptions::new();
        options.offset(start).len(len * size_of::<A>());
        // SAFETY: published files are not changed (see above), and a private map does not change them.
        let map = unsafe { options.map_copy_read_only(file) }?;
        let start = NonNull::new(map.as_ptr().cast_mut()).ok_or(io::ErrorKind::InvalidData)?.cast();
        Ok(Self { start, len, owner: Owner::File(map) })
    }

    pub(crate) fn elements(&self) -> &[A] {
        // SAFETY: they are initialised, aligned, owned and not written to while this is borrowed.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// The same elements, to be written as well.
    pub(crate) fn writable(self) -> io::Result<Self> {
        if !matches!(self.owner, Owner::File(_)) {
            return Ok(self);
        }
        let mut mapped = ManuallyDrop::new(self);
        let len = mapped.len;
        let Owner::File(map) = mem::replace(&mut mapped.owner, Owner::Heap(0)) else {
            unreachable!("it was looked at above");
        };
        let mut map = map.make_mut()?;
        let start = NonNull::new(map.as_mut_ptr()).ok_or(io::ErrorKind::InvalidData)?.cast();
        Ok(Self { start, len, owner: Owner::Copy(map) })
    }

    /// Tells the kernel how mapped elements will be read.
    pub(crate) fn advise(&self, access: Access) -> io::Result<()> {
        let advice = match access {
            Access::Normal => Advice::Normal,
            Access::Random => Advice::Random,
            Access::Sequential | Access::Once => Advice::Sequential,
        };
        match &self.owner {
            Owner::Heap(_) => Ok(()),
            Owner::File(map) => map.advise(advice),
            Owner::Copy(map) => map.advise(advice),
        }
    }
}

impl<A> Drop for Memory<A> {
    fn drop(&mut self) {
        if let Owner::Heap(capacity) = self.owner {
            // SAFETY: this is the vector that `heap` took apart.
            drop(unsafe { Vec::from_raw_parts(self.start.as_ptr(), self.len, capacity) });
        }
    }
}

impl<A> fmt::Debug for Memory<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("len", &self.len).finish_non_exhaustive()
    }
}

/// Shared elements, as an array to read.
pub(crate) struct Shown<A: Element> {
    view: ArrayView<'static, A, IxDyn>,
    // Declared last: the view goes first.
    memory: Arc<Memory<A>>,
}

impl<A: Element> Shown<A> {
    /// The layout has as many elements as the memory.
    pub(crate) fn new(memory: Arc<Memory<A>>, layout: &Layout) -> Self {
        // SAFETY: the elements stay where they are, and unchanged, while the memory is shared, and that is kept beside
        // the view, which is never given out but by reference.
        let elements = unsafe { slice::from_raw_parts(memory.start.as_ptr(), memory.len) };
        let shape = IxDyn(&layout.shape).set_f(layout.fortran_order);
        let view = ArrayView::from_shape(shape, elements);
        Self { view: view.expect("as many elements as the shape has"), memory }
    }

    pub(crate) fn elements(&self) -> &[A] {
        self.memory.elements()
    }
}

impl<A: Element> Deref for Shown<A> {
    type Target = ArrayRef<A, IxDyn>;

    fn deref(&self) -> &Self::Target {
        &self.view
    }
}

/// Elements of one's own, as an array to edit.
pub(crate) struct Edited<A: Element> {
    view: ArrayViewMut<'static, A, IxDyn>,
    memory: Memory<A>,
}

impl<A: Element> Edited<A> {
    /// The memory is [writable](Memory::writable), and the layout has as many elements.
    pub(crate) fn new(memory: Memory<A>, layout: &Layout) -> Self {
        debug_assert!(!matches!(memory.owner, Owner::File(_)), "it can be written");
        // SAFETY: the elements are those of `memory` alone, which lies beside the view and does not touch them.
        let elements = unsafe { slice::from_raw_parts_mut(memory.start.as_ptr(), memory.len) };
        let shape = IxDyn(&layout.shape).set_f(layout.fortran_order);
        let view = ArrayViewMut::from_shape(shape, elements);
        Self { view: view.expect("as many elements as the shape has"), memory }
    }

    /// The elements, whatever was done to the axes of the view.
    pub(crate) fn into_memory(self) -> Memory<A> {
        self.memory
    }
}

impl<A: Element> Deref for Edited<A> {
    type Target = ArrayRef<A, IxDyn>;

    fn deref(&self) -> &Self::Target {
        &self.view
    }
}

impl<A: Element> DerefMut for Edited<A> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.view
    }
}

#[cfg(test)]
mod tests;
