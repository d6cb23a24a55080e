//! The array, in memory and as everybody keeps it.

use std::{
    fs::{self, File},
    hint::black_box,
    io::Write,
    path::{Path, PathBuf},
};

use larder_lazy_array::{ArrayStore, LazyArray, Options};
use larder_storage::Durability;
use ndarray::{Array2, ArrayView1};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};

use super::{COLUMNS, MIB, ROW};
use crate::{
    Outcome,
    directories::Directories,
    peer::Interpreter,
    random::draw,
    rounds::{Turn, each},
};

/// The name of the array, wherever it needs one.
pub(super) const NAME: &str = "array";

/// How many rows are timed as one.
const ROWS: usize = 4000;

pub(super) struct Shelf<'a> {
    pub(super) dirs: &'a Directories,
    pub(super) python: Option<Interpreter>,
    /// The packages in Python with their versions.
    pub(super) versions: String,
    pub(super) array: Array2<f32>,
    /// The elements as they lie in the files.
    pub(super) bytes: Vec<u8>,
    /// Where the files are.
    dir: PathBuf,
}

impl<'a> Shelf<'a> {
    pub(super) fn fill(dirs: &'a Directories, rows: usize) -> Outcome<Self> {
        let element = |index: u32| (index.wrapping_mul(0x9e37_79b1) >> 8) as f32;
        let elements: Vec<f32> = (0..(rows * COLUMNS) as u32).map(element).collect();
        let bytes = elements.iter().flat_map(|element| element.to_le_bytes()).collect();
        let array = Array2::from_shape_vec((rows, COLUMNS), elements)?;
        let (dir, versions) = (dirs.next()?, String::new());
        let mut shelf = Self { dirs, python: None, versions, array, bytes, dir };
        shelf.write()?;
        shelf.python = Interpreter::start("array/peer.py")?;
        if let Some(python) = &shelf.python {
            let request = json!({ "request": "hello", "source": shelf.npy(), "dir": dirs.next()? });
            shelf.versions = python.ask(&request)?;
        }
        dirs.settle()?;
        Ok(shelf)
    }

    fn write(&self) -> Outcome {
        File::create(self.bare())?.write_all(&self.bytes)?;
        ndarray_npy::write_npy(self.npy(), &self.array)?;
        self.write_safetensors(&self.safetensors())?;
        fs::create_dir(self.larder())?;
        store(&self.larder(), Durability::Scratch)?.insert(NAME, self.array.clone())?;
        Ok(())
    }

    pub(super) fn write_safetensors(&self, path: &Path) -> Outcome {
        let tensor = TensorView::new(Dtype::F32, self.array.shape().to_vec(), &self.bytes)?;
        Ok(safetensors::serialize_to_file([(NAME, tensor)], None, path)?)
    }

    /// Nothing but the elements.
    pub(super) fn bare(&self) -> PathBuf {
        self.dir.join("bare")
    }

    pub(super) fn npy(&self) -> PathBuf {
        self.dir.join("array.npy")
    }

    pub(super) fn safetensors(&self) -> PathBuf {
        self.dir.join("array.safetensors")
    }

    /// The directory of Larder's store.
    pub(super) fn larder(&self) -> PathBuf {
        self.dir.join("larder")
    }

    /// Larder's array, which is not in memory.
    pub(super) fn stored(&self) -> Outcome<LazyArray<f32>> {
        get(&self.larder(), Durability::Scratch)
    }

    pub(super) fn rows(&self) -> usize {
        self.array.nrows()
    }

    pub(super) fn row(&self, row: usize) -> ArrayView1<'_, f32> {
        self.array.row(row)
    }

    pub(super) fn row_bytes(&self, row: usize) -> &[u8] {
        &self.bytes[row * ROW..][..ROW]
    }

    /// The size of the array, for titles.
    pub(super) fn size(&self) -> String {
        format!("{} MiB", self.bytes.len() / MIB)
    }

    /// A contender in Rust at random rows, whose result on one of them is checked before it is timed.
    pub(super) fn at_rows<'s, T>(
        &'s self,
        mut work: impl FnMut(usize) -> Outcome<T> + 's,
        is_right: impl Fn(&T, usize) -> bool + 's,
    ) -> Turn<'s> {
        Box::new(move |round| {
            let rows = draw(ROWS, self.rows(), round);
            if round == 0 && !is_right(&work(rows[0])?, rows[0]) {
                return Err(format!("row {} is another one", rows[0]).into());
            }
            each(ROWS, &rows, |row| {
                black_box(work(*row)?);
                Ok(())
            })
        })
    }

    /// A contender in Python, by its request of a round. None where there is no Python.
    pub(super) fn remote<'s>(
        &'s self,
        name: &'s str,
        request: impl Fn(usize) -> Value + 's,
    ) -> Option<(&'s str, Turn<'s>)> {
        let python = self.python.as_ref()?;
        Some((name, Box::new(move |round| python.time(&request(round)))))
    }

    /// A contender in Python at the same random rows as those in Rust, or the first `limit` of them.
    pub(super) fn remote_at_rows<'s>(
        &'s self,
        name: &'s str,
        kind: &'s str,
        work: &'s str,
        limit: usize,
    ) -> Option<(&'s str, Turn<'s>)> {
        self.remote(name, move |round| {
            let mut rows = draw(ROWS, self.rows(), round);
            rows.truncate(limit);
            json!({ "request": "rows", "kind": kind, "work": work, "numbers": rows })
        })
    }
}

/// A store of Larder's with memory for the whole array.
pub(super) fn store(dir: &Path, durability: Durability) -> Outcome<ArrayStore> {
    Ok(ArrayStore::open(dir, Options::default().durability(durability))?)
}

/// The array in a store that is opened for it.
pub(super) fn get(dir: &Path, durability: Durability) -> Outcome<LazyArray<f32>> {
    Ok(store(dir, durability)?.get(NAME)?.ok_or("the array is gone")?)
}
