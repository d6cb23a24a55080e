//! The five stores under one root.

use std::{
    fs,
    path::{Path, PathBuf},
};

#[cfg(feature = "dir-cache")]
use larder_dir_cache::DirCache;
#[cfg(feature = "embedding-shards")]
use larder_embedding_shards::EmbeddingCache;
#[cfg(feature = "kv-cache")]
use larder_kv_cache::KvCache;
#[cfg(feature = "lazy-array")]
use larder_lazy_array::{ArrayStore, MemoryBudget};
#[cfg(feature = "provenance")]
use larder_provenance::{GenomeStore, Payload, ProvenanceStore, TrackStore};
use larder_storage::{Durability, Error, ErrorKind, Result, default_root, publish::Stage};

use crate::{layout, marker};

/// How the stores of a root are opened.
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until a root is opened with them"]
pub struct Options {
    durability: Durability,
    #[cfg(feature = "lazy-array")]
    budget: MemoryBudget,
    #[cfg(feature = "dir-cache")]
    dirs: larder_dir_cache::Options,
}

impl Options {
    /// What an acknowledged write to any of the stores survives.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How much memory the arrays share.
    #[cfg(feature = "lazy-array")]
    pub fn budget(mut self, budget: MemoryBudget) -> Self {
        self.budget = budget;
        self
    }

    /// How directories are evicted; the durability is that of this value.
    #[cfg(feature = "dir-cache")]
    pub fn dirs(mut self, dirs: larder_dir_cache::Options) -> Self {
        self.dirs = dirs;
        self
    }
}

/// The five stores under one root.
///
/// ```text
/// <root>/larder.json   the marker and the version of this layout
/// <root>/kv/           a database for each namespace
/// <root>/arrays/       .npy files and their sidecars
/// <root>/shards/       Parquet shards and their index
/// <root>/dirs/         cached directories and their index
/// <root>/provenance/   records of what made what, and payloads
/// ```
#[derive(Debug)]
pub struct Larder {
    root: PathBuf,
    #[cfg(feature = "kv-cache")]
    durability: Durability,
    #[cfg(feature = "lazy-array")]
    arrays: ArrayStore,
    #[cfg(feature = "embedding-shards")]
    shards: EmbeddingCache,
    #[cfg(feature = "dir-cache")]
    dirs: DirCache,
    #[cfg(feature = "provenance")]
    tracks: TrackStore,
    #[cfg(feature = "provenance")]
    genomes: GenomeStore,
}

impl Larder {
    /// Opens the stores under `root` with default options, and makes what is missing.
    ///
    /// # Errors
    ///
    /// As [`open_with`](Self::open_with).
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(root, Options::default())
    }

    /// Opens the stores under [`default_root`].
    ///
    /// # Errors
    ///
    /// `Invalid` where no variable names a default; otherwise as [`open_with`](Self::open_with).
    pub fn open_default() -> Result<Self> {
        Self::open(default_root()?)
    }

    /// Whether `root` is a root of Larder; false where there is nothing, or an empty directory.
    ///
    /// # Errors
    ///
    /// `Invalid` where it is a file, or a directory that holds something else; `Format` where it is of a newer version;
    /// `Io` where it cannot be read.
    pub fn is_root(root: impl AsRef<Path>) -> Result<bool> {
        marker::check(root.as_ref())
    }

    /// Opens the stores under a root that has to be there, and makes no new one.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is none; otherwise as [`open_with`](Self::open_with).
    pub fn open_existing(root: impl AsRef<Path>, options: Options) -> Result<Self> {
        let root = root.as_ref();
        if !marker::check(root)? {
            let message = "there is no Larder root here: name the directory of one";
            return Err(Error::new(ErrorKind::NotFound, message).at_path(root));
        }
        Self::open_with(root, options)
    }

    /// Opens the stores under `root`, and makes what is missing.
    ///
    /// # Errors
    ///
    /// `Invalid` where `root` is a file, or a directory that holds something else; `Format` where it is of a newer
    /// version; `Corrupt` where a database in it is damaged; `Io` where it cannot be read or written.
    pub fn open_with(root: impl AsRef<Path>, options: Options) -> Result<Self> {
        let root = root.as_ref();
        if marker::check(root)? {
            // What a kill while the marker was made left, unless the root may only be read.
            let _ = Stage::sweep(root);
        } else {
            marker::create(root, options.durability)?;
        }
        let failed = |error| Error::io(error, "cannot open the root").at_path(root);
        let root = fs::canonicalize(root).map_err(failed)?;
        Self::open_stores(root, options)
    }

    fn open_stores(root: PathBuf, options: Options) -> Result<Self> {
        let durability = options.durability;
        #[cfg(feature = "provenance")]
        let tracks = TrackStore::open(
            root.join(layout::PROVENANCE),
            larder_provenance::Options::default().durability(durability),
        )?;
        Ok(Self {
            #[cfg(feature = "kv-cache")]
            durability,
            #[cfg(feature = "lazy-array")]
            arrays: ArrayStore::open(
                root.join(layout::ARRAYS),
                larder_lazy_array::Options::default().durability(durability).budget(options.budget),
            )?,
            #[cfg(feature = "embedding-shards")]
            shards: EmbeddingCache::open(
                root.join(layout::SHARDS),
                larder_embedding_shards::Options::default().durability(durability),
            )?,
            #[cfg(feature = "dir-cache")]
            dirs: DirCache::open(root.join(layout::DIRS), options.dirs.durability(durability))?,
            #[cfg(feature = "provenance")]
            genomes: GenomeStore::new(tracks.store().view()),
            #[cfg(feature = "provenance")]
            tracks,
            root,
        })
    }

    /// The root, with symbolic links resolved.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The lookup cache of a namespace, under `kv/`. Each call opens its database, which takes a millisecond: keep
    /// what you get.
    ///
    /// # Errors
    ///
    /// As [`KvCache::open`].
    #[cfg(feature = "kv-cache")]
    pub fn kv(&self, namespace: &str) -> Result<KvCache> {
        let options = larder_kv_cache::Options::default().durability(self.durability);
        KvCache::open(self.root.join(layout::KV), namespace, options)
    }

    /// The namespaces that there are, in order.
    ///
    /// # Errors
    ///
    /// As [`KvCache::namespaces`].
    #[cfg(feature = "kv-cache")]
    pub fn kv_namespaces(&self) -> Result<Vec<String>> {
        KvCache::namespaces(self.root.join(layout::KV))
    }

    /// The arrays, under `arrays/`.
    #[cfg(feature = "lazy-array")]
    pub fn arrays(&self) -> &ArrayStore {
        &self.arrays
    }

    /// The embeddings, under `shards/`.
    #[cfg(feature = "embedding-shards")]
    pub fn shards(&self) -> &EmbeddingCache {
        &self.shards
    }

    /// The cached directories, under `dirs/`.
    #[cfg(feature = "dir-cache")]
    pub fn dirs(&self) -> &DirCache {
        &self.dirs
    }

    /// The tracks, under `provenance/`.
    #[cfg(feature = "provenance")]
    pub fn tracks(&self) -> &TrackStore {
        &self.tracks
    }

    /// Results of any other kind, under `provenance/` as well.
    #[cfg(feature = "provenance")]
    pub fn provenance<T: Payload>(&self) -> ProvenanceStore<T> {
        self.tracks.store().view()
    }

    /// The genomes, under `provenance/`.
    #[cfg(feature = "provenance")]
    pub fn genomes(&self) -> &GenomeStore {
        &self.genomes
    }
}

#[cfg(test)]
mod tests;
