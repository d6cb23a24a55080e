//! Embeddings of a `.npy` file into shards.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use larder::{
    embedding_shards::{
        Dtype, Embedding, EmbeddingCache, Group, ShardWriter, WindowKey, WindowRecord, bf16, f16,
    },
    lazy_array::{DType, Element, LazyArray},
    storage::{Error, ErrorKind, Result},
};
use serde_json::json;

use super::{
    bar, keys,
    npy::{self, Hidden},
};
use crate::{args::Put, output};

/// After so many numbers of several sources, what was read of each is written.
const PENDING_NUMBERS: usize = 1 << 26;
/// About how many numbers are read at once.
const READ_NUMBERS: usize = 1 << 20;

/// How many rows the keys name, all of which are checked before anything is made for them.
///
/// # Errors
/// `Invalid` where a key is wrong; `NotFound` or `Io` where they cannot be read.
pub(super) fn count(what: &Put) -> Result<usize> {
    if !what.file.is_file() {
        let message = "there is no such file: name a .npy file";
        return Err(Error::new(ErrorKind::NotFound, message).at_path(&what.file));
    }
    keys::read(&what.keys)?.try_fold(0, |count, window| window.map(|_| count + 1))
}

/// A file whose rows have keys.
#[derive(Debug)]
pub(super) struct Source {
    file: Hidden,
    dtype: DType,
    rows: usize,
    dim: usize,
}

impl Source {
    /// Copies the file into the stage area of the cache in `dir`.
    ///
    /// # Errors
    /// `Invalid` where the file has not two axes, or another number of rows than there are keys; `Corrupt` or `Format` where
    /// it is no sound `.npy` file; `Full` or `Io` where it cannot be read or copied.
    pub(super) fn open(dir: &Path, what: &Put, keys: usize) -> Result<Self> {
        let file = Hidden::beside(dir)?;
        let info = file.store.import_npy(npy::KEY, &what.file)?;
        let wrong = |message| Err(Error::new(ErrorKind::Invalid, message).at_path(&what.file));
        let [rows, dim] = info.shape[..] else {
            return wrong(format!("has {} axes: embeddings are the rows of two", info.shape.len()));
        };
        if rows != keys {
            return wrong(format!("has {rows} rows, and there are {keys} keys: give one for each"));
        }
        Ok(Self { file, dtype: info.dtype, rows, dim })
    }

    /// Writes all rows, and prints how many there were.
    ///
    /// # Errors
    /// Those of the cache; what was written before stays.
    pub(super) fn write(&self, cache: &EmbeddingCache, what: &Put, json: bool) -> Result<()> {
        let shards = match self.dtype {
            DType::F16 => self.write_as::<f16>(cache, what),
            DType::Bf16 => self.write_as::<bf16>(cache, what),
            DType::F32 => self.write_as::<f32>(cache, what),
            other => {
                let message = format!("has elements of type {other}: save it as f2 or f4");
                Err(Error::new(ErrorKind::Unsupported, message).at_path(&what.file))
            }
        }?;
        let rows = self.rows;
        if json {
            return output::json(&json!({ "rows": rows, "shards": shards }));
        }
        output::print(&format!("{rows} rows in {shards} shards\n"))
    }

    fn write_as<N: Number>(&self, cache: &EmbeddingCache, what: &Put) -> Result<u64> {
        let array: LazyArray<N> = self.file.store.get(npy::KEY)?.ok_or_else(|| {
            Error::new(ErrorKind::Conflict, "the copy of the file was removed").at_path(&what.file)
        })?;
        let (mut keys, bar) = (keys::read(&what.keys)?, bar(self.rows as u64, "rows"));
        let (writers, written) = Default::default();
        let mut pending = Pending { cache, what, writers, written, numbers: 0 };
        let step = (READ_NUMBERS / self.dim.max(1)).max(1);
        for start in (0..self.rows).step_by(step) {
            let rows = array.rows(start..self.rows.min(start + step))?;
            for row in rows.outer_iter() {
                let changed = || {
                    let message = "the keys were changed meanwhile";
                    Error::new(ErrorKind::Conflict, message).at_path(&what.keys)
                };
                let window = keys.next().ok_or_else(changed)??;
                let embedding = N::embedding(row.iter().copied().collect());
                pending.push(window, converted(embedding, what.dtype)?)?;
            }
            bar.inc(rows.shape()[0] as u64);
        }
        pending.finish()?;
        bar.finish_and_clear();
        Ok(pending.written.values().sum())
    }
}

/// Rows on their way into shards.
struct Pending<'a> {
    cache: &'a EmbeddingCache,
    what: &'a Put,
    /// By the name of the source, or of the collection.
    writers: BTreeMap<String, ShardWriter<'a>>,
    /// How many shards those wrote that are finished.
    written: HashMap<String, u64>,
    /// How many numbers came since they were.
    numbers: usize,
}

impl<'a> Pending<'a> {
    fn push(&mut self, window: keys::Window, embedding: Embedding) -> Result<()> {
        let Put { encoder_hash, layer, pool, radius, .. } = self.what;
        let key = WindowKey {
            window_hash: window.hash,
            encoder_hash: encoder_hash.0,
            state_layer: *layer,
            pool_type: *pool,
            pool_radius: *radius,
            dtype: embedding.dtype(),
        };
        let keys::Window { source, start, end, .. } = window;
        let numbers = embedding.len();
        let row = WindowRecord::new(source.as_str(), start, end, key, embedding)?;
        let name = self.what.collection.clone().unwrap_or(source);
        // One writer holds no more than a shard, and many may.
        if self.numbers >= PENDING_NUMBERS && !self.writers.keys().eq([&name]) {
            self.finish()?;
        }
        self.numbers += numbers;
        self.writer(name).write([row]).map_err(advised)
    }

    fn writer(&mut self, name: String) -> &mut ShardWriter<'a> {
        let written = self.written.get(&name).copied().unwrap_or_default();
        let (cache, what) = (self.cache, self.what);
        self.writers.entry(name).or_insert_with_key(|name| {
            let group = match what.collection {
                Some(_) => Group::Collection(name.clone()),
                None => Group::Contig(name.clone()),
            };
            let block = what.first_block.saturating_add(written);
            cache.writer(&what.encoder_id, group, block)
        })
    }

    /// Writes all rows that came.
    fn finish(&mut self) -> Result<()> {
        for (name, writer) in std::mem::take(&mut self.writers) {
            let shards = writer.finish().map_err(advised)?;
            *self.written.entry(name).or_default() += shards.len() as u64;
        }
        self.numbers = 0;
        Ok(())
    }
}

/// Says how to write to another block.
fn advised(error: Error) -> Error {
    if error.kind() != ErrorKind::Conflict {
        return error;
    }
    let message =
        "nothing more was written: where these rows are new, --first-block says where they go";
    Error::new(ErrorKind::Conflict, message).with_source(error)
}

/// Elements that embeddings are made of.
trait Number: Element {
    /// In the type that holds them as they are.
    fn embedding(values: Vec<Self>) -> Embedding;
}

impl Number for f16 {
    fn embedding(values: Vec<Self>) -> Embedding {
        Embedding::Fp16(values)
    }
}

impl Number for bf16 {
    fn embedding(values: Vec<Self>) -> Embedding {
        Embedding::Bf16(values)
    }
}

impl Number for f32 {
    fn embedding(values: Vec<Self>) -> Embedding {
        Embedding::Fp32(values)
    }
}

/// The same bits where no other type is asked for; else the nearest values.
fn converted(embedding: Embedding, dtype: Option<Dtype>) -> Result<Embedding> {
    match dtype {
        Some(dtype) if dtype != embedding.dtype() => {
            Embedding::from_f32(dtype, &embedding.to_f32())
        }
        _ => Ok(embedding),
    }
}
