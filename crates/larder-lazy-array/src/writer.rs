use std::{fmt, marker::PhantomData};

use larder_storage::{Error, ErrorKind, Key, Result};
use ndarray::{ArrayView, Dimension};

use crate::{
    ArrayStore, Element, LazyArray,
    files::{self, Staged},
    layout::{self, Layout},
};

/// A new array that is written row by row and never held in memory, from [`ArrayStore::writer`]. Nobody sees it before
/// [`finish`](Self::finish); dropping it leaves nothing.
#[must_use = "nothing is published before `finish`"]
pub struct ArrayWriter<'a, A: Element> {
    store: &'a ArrayStore,
    key: Key,
    layout: Layout,
    staged: Staged,
    /// How many rows are still to come.
    left: usize,
    /// Whether a part was not written.
    broken: bool,
    element: PhantomData<A>,
}

impl<'a, A: Element> ArrayWriter<'a, A> {
    pub(crate) fn begin(store: &'a ArrayStore, key: Key, shape: &[usize]) -> Result<Self> {
        let begin = || {
            let (layout, left) = (layout::of_rows::<A>(shape)?, shape[0]);
            store.files().refuse_existing(&key)?;
            store.admit(&key, A::DTYPE, &layout)?;
            let staged = store.files().begin::<A>(&key, &layout)?;
            Ok((layout, left, staged))
        };
        let (layout, left, staged) = begin().map_err(|error| files::place(error, &key))?;
        Ok(Self { store, key, layout, staged, left, broken: false, element: PhantomData })
    }

    /// Writes the next rows: `chunk` has the shape of the array but for its first axis.
    ///
    /// # Errors
    ///
    /// `Invalid` where the chunk has another shape or more rows than are left, and then nothing of it was written;
    /// `Full`, `Io` or `Backend` where the storage fails: then the array cannot be finished any more.
    pub fn append<D: Dimension>(&mut self, chunk: ArrayView<'_, A, D>) -> Result<()> {
        if self.broken {
            let message = "an earlier part of the array could not be written: begin again";
            return Err(Error::new(ErrorKind::Io, message).at_key(&self.key));
        }
        let rows = self.rows_of(chunk.shape())?;
        let written = match chunk.as_slice() {
            Some(elements) => self.staged.append(elements),
            None => self.staged.append(&chunk.iter().copied().collect::<Vec<A>>()),
        };
        if let Err(error) = written {
            self.broken = true;
            return Err(error.at_key(&self.key));
        }
        self.left -= rows;
        Ok(())
    }

    /// How many rows are still to come.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Publishes the array. It is not in memory.
    ///
    /// # Errors
    ///
    /// `Invalid` where rows are missing; `Conflict` where the key has got an array meanwhile; otherwise as
    /// [`ArrayStore::insert`]. Nothing is published then.
    pub fn finish(self) -> Result<LazyArray<A>> {
        if self.left > 0 {
            let message = format!("{} rows were not written: append them first", self.left);
            return Err(Error::new(ErrorKind::Invalid, message).at_key(&self.key));
        }
        let (upload, stamp) = self.staged.end::<A>(&self.layout);
        self.store.publish(self.key, self.layout, upload, stamp)
    }

    /// How many rows a chunk of this shape has.
    fn rows_of(&self, shape: &[usize]) -> Result<usize> {
        match shape {
            [rows, rest @ ..] if *rest == self.layout.shape[1..] && *rows <= self.left => Ok(*rows),
            _ => {
                let message = format!(
                    "a chunk of shape {shape:?} does not fit: {} rows of shape {:?} are left",
                    self.left,
                    &self.layout.shape[1..]
                );
                Err(Error::new(ErrorKind::Invalid, message).at_key(&self.key))
            }
        }
    }
}

impl<A: Element> fmt::Debug for ArrayWriter<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArrayWriter")
            .field("key", &self.key)
            .field("layout", &self.layout)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
