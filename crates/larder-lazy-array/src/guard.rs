//! Arrays in use.

use std::{
    fmt, mem,
    ops::{Deref, DerefMut},
};

use ndarray::{ArrayRef, IxDyn};

use crate::{
    Element,
    layout::Layout,
    memory::{Edited, Memory, Shown},
    slot::{Pin, Slot},
    sync::Arc,
};

/// An array that is being read, from [`LazyArray::read`](crate::LazyArray::read). While it lives, the array stays in
/// memory and is not edited.
///
/// It derefs to what every owned array and view derefs to, so all of ndarray's reading methods are there; operators
/// take `guard.view()`.
#[must_use = "the array may be offloaded as soon as this is dropped"]
pub struct ReadGuard<A: Element> {
    // Dropped before the pin, so that whoever writes next has the only reference.
    array: Shown<A>,
    _pin: Pin<A>,
}

impl<A: Element> ReadGuard<A> {
    pub(crate) fn new(array: Shown<A>, pin: Pin<A>) -> Self {
        Self { array, _pin: pin }
    }

    /// The elements in the order of the file.
    pub(crate) fn elements(&self) -> &[A] {
        self.array.elements()
    }
}

impl<A: Element> Deref for ReadGuard<A> {
    type Target = ArrayRef<A, IxDyn>;

    fn deref(&self) -> &Self::Target {
        &self.array
    }
}

impl<A: Element> fmt::Debug for ReadGuard<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadGuard").field(&&**self).finish()
    }
}

/// An array that is being edited, from [`LazyArray::write`](crate::LazyArray::write). While it lives, nobody else
/// reads or edits the array.
///
/// It derefs as [`ReadGuard`] does. The first mutable use marks the array as edited; edits are published by
/// [`LazyArray::flush`](crate::LazyArray::flush). Elements are edited, the shape is not: axes that are turned
/// round or narrowed in place are as before once the guard is dropped.
#[must_use = "the array may be offloaded as soon as this is dropped"]
pub struct WriteGuard<A: Element> {
    array: Edited<A>,
    edited: bool,
    slot: Arc<Slot<A>>,
}

impl<A: Element> WriteGuard<A> {
    pub(crate) fn new(array: Edited<A>, slot: Arc<Slot<A>>) -> Self {
        Self { array, edited: false, slot }
    }

    /// What it lends is to be published, whether it is touched or not.
    pub(crate) fn mark_edited(&mut self) {
        self.edited = true;
    }
}

impl<A: Element> Deref for WriteGuard<A> {
    type Target = ArrayRef<A, IxDyn>;

    fn deref(&self) -> &Self::Target {
        &self.array
    }
}

impl<A: Element> DerefMut for WriteGuard<A> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.edited = true;
        &mut self.array
    }
}

impl<A: Element> Drop for WriteGuard<A> {
    fn drop(&mut self) {
        let nothing = Layout { shape: vec![0], fortran_order: false };
        let nothing = Edited::new(Memory::heap(Vec::new()), &nothing);
        let array = mem::replace(&mut self.array, nothing);
        self.slot.give_back(Some(array.into_memory()), self.edited);
    }
}

impl<A: Element> fmt::Debug for WriteGuard<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WriteGuard").field(&&**self).finish()
    }
}
