//! Arrays in use.

use std::{
    fmt, mem,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use ndarray::{ArrayD, ArrayRef, IxDyn, arr1};

use crate::{
    Element,
    slot::{Pin, Slot},
};

/// An array that is being read, from [`LazyArray::read`](crate::LazyArray::read). While it lives, the array stays in
/// memory and is not edited.
///
/// It derefs to what every owned array and view derefs to, so all of ndarray's reading methods are there; operators
/// take `guard.view()`.
#[must_use = "the array may be offloaded as soon as this is dropped"]
pub struct ReadGuard<A: Element> {
    // Dropped before the pin, so that whoever writes next has the only reference.
    array: Arc<ArrayD<A>>,
    _pin: Pin<A>,
}

impl<A: Element> ReadGuard<A> {
    pub(crate) fn new(array: Arc<ArrayD<A>>, pin: Pin<A>) -> Self {
        Self { array, _pin: pin }
    }

    pub(crate) fn array(&self) -> &ArrayD<A> {
        &self.array
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
        f.debug_tuple("ReadGuard").field(&self.array).finish()
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
    array: ArrayD<A>,
    edited: bool,
    slot: Arc<Slot<A>>,
}

impl<A: Element> WriteGuard<A> {
    pub(crate) fn new(array: ArrayD<A>, slot: Arc<Slot<A>>) -> Self {
        Self { array, edited: false, slot }
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
        let array = mem::replace(&mut self.array, arr1(&[]).into_dyn());
        self.slot.give_back(array, self.edited);
    }
}

impl<A: Element> fmt::Debug for WriteGuard<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WriteGuard").field(&self.array).finish()
    }
}
