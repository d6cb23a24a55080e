//! The embeddings as everybody keeps them.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
};

use larder_embedding_shards::{EmbeddingCache, Options, WindowKey};
use serde_json::{Value, json};

use super::{
    FEW_ROWS, SHARD_ROWS,
    blobs::Blobs,
    data::{CONTIG, Data, ENCODER},
};
use crate::{Outcome, directories::Directories, peer::Interpreter, rounds::Turn};

pub(super) struct Shelf<'a> {
    pub(super) dirs: &'a Directories,
    pub(super) data: &'a Data,
    pub(super) python: Option<Interpreter>,
    /// The packages in Python with their versions.
    pub(super) versions: String,
    /// Of each row.
    pub(super) keys: Vec<WindowKey>,
    /// Where the files are.
    dir: PathBuf,
}

impl<'a> Shelf<'a> {
    pub(super) fn fill(dirs: &'a Directories, data: &'a Data) -> Outcome<Self> {
        eprintln!("filling with {}", data.name);
        let keys = (0..data.rows).map(|row| data.key(row)).collect();
        let (dir, versions) = (dirs.next()?, String::new());
        let mut shelf = Self { dirs, data, python: None, versions, keys, dir };
        shelf.write()?;
        shelf.python = Interpreter::start("shards/peer.py")?;
        if let Some(python) = &shelf.python {
            shelf.versions = python.ask(&json!({
                "request": "hello", "source": shelf.bare(), "hashes": shelf.hashes(), "dtype": data.dtype.as_str(),
                "dim": data.dim, "dir": dirs.next()?, "few": FEW_ROWS,
            }))?;
        }
        dirs.settle()?;
        Ok(shelf)
    }

    fn write(&self) -> Outcome {
        let mut bare = BufWriter::new(File::create(self.bare())?);
        (0..self.data.rows).try_for_each(|row| bare.write_all(&self.data.row(row)))?;
        bare.flush()?;
        let hashes: Vec<u8> = self.keys.iter().flat_map(|key| key.window_hash).collect();
        File::create(self.hashes())?.write_all(&hashes)?;
        Blobs::fill(&self.blobs(), self.data, &self.keys)?;
        let cache = self.larder()?;
        for (block, first) in (0..self.data.rows).step_by(SHARD_ROWS).enumerate() {
            let rows = first..self.data.rows.min(first + SHARD_ROWS);
            cache.write_shard(ENCODER, CONTIG, block as u64, &self.data.records(rows)?)?;
        }
        Ok(())
    }

    /// Nothing but the numbers.
    pub(super) fn bare(&self) -> PathBuf {
        self.dir.join("bare")
    }

    /// Nothing but the window's hashes.
    fn hashes(&self) -> PathBuf {
        self.dir.join("hashes")
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.dir.join("blobs.sqlite")
    }

    /// Larder's cache, as it is by default.
    pub(super) fn larder(&self) -> Outcome<EmbeddingCache> {
        Ok(EmbeddingCache::open(self.dir.join("larder"), Options::default())?)
    }

    /// How many rows are written at once.
    pub(super) fn written(&self) -> usize {
        self.data.rows.min(SHARD_ROWS)
    }

    /// A contender in Python, by its request of a round; its times are multiplied by `scale`. None where there is no
    /// Python.
    pub(super) fn remote<'s>(
        &'s self,
        name: &'s str,
        scale: f64,
        request: impl Fn(usize) -> Value + 's,
    ) -> Option<(&'s str, Turn<'s>)> {
        let python = self.python.as_ref()?;
        Some((name, Box::new(move |round| Ok(scaled(python.time(&request(round))?, scale)))))
    }
}

/// Times that are told for more or fewer rows than they were taken of.
pub(super) fn scaled(took: Vec<f64>, scale: f64) -> Vec<f64> {
    took.into_iter().map(|seconds| seconds * scale).collect()
}
