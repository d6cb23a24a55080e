use std::{
    path::{self, Path, PathBuf},
    sync::Arc,
};

use larder_storage::{
    Durability, Error, LocalStorage, Problem, RESERVED_SEGMENT, Result, Storage, flight::Flights,
    lock::FileLock,
};

use crate::{Status, handles::Handles, index::Index};

mod embed;
mod read;
mod repair;
mod scan;
mod sync;
mod write;

pub(crate) use sync::list;

/// How a cache is opened.
#[derive(Clone, Debug)]
pub struct Options {
    durability: Durability,
    open_shards: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { durability: Durability::default(), open_shards: 256 }
    }
}

impl Options {
    /// What an acknowledged write survives. For shards on a storage of one's own it concerns the index alone.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How many shards are held open for further reads, one file each; 256 unless set, and at least one. Each thread
    /// may have one more open.
    #[must_use]
    pub fn open_shards(mut self, count: usize) -> Self {
        self.open_shards = count;
        self
    }
}

/// A cache of embeddings: immutable Parquet shards in a storage, and a local index of their rows.
#[derive(Debug)]
pub struct EmbeddingCache {
    storage: Arc<dyn Storage>,
    durability: Durability,
    index: Index,
    index_dir: PathBuf,
    handles: Handles,
    /// Whose turn it is to embed.
    flights: Flights,
    skipped: Vec<Problem>,
}

impl EmbeddingCache {
    /// Opens the cache in the directory `dir`, and makes it where it is missing.
    ///
    /// Shards that are there and not in the index (a process was killed between the two, or somebody copied them
    /// there) are indexed, and those that are gone are dropped from it.
    ///
    /// # Errors
    ///
    /// `Invalid` where `dir` is a file; `Corrupt` where the index is damaged, see
    /// [`repair_index`](Self::repair_index); `Format` where it is of a newer version; `Io` where the directory cannot
    /// be read or made. A shard that cannot be read is no error: see [`skipped`](Self::skipped).
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self> {
        let storage = LocalStorage::open(dir, options.durability)?;
        let root = storage.root().to_owned();
        Self::on(Arc::new(storage), root, options)
    }

    /// Opens a cache whose shards lie in `storage` and whose index lies in the local directory `index_dir`, as
    /// `.larder/shards.sqlite`. Several machines may share the storage, each with an index of its own.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and those of the storage.
    pub fn on(
        storage: Arc<dyn Storage>,
        index_dir: impl AsRef<Path>,
        options: Options,
    ) -> Result<Self> {
        let Options { durability, open_shards } = options;
        let index_dir = absolute(index_dir.as_ref())?;
        let index = Index::open(&index_dir, durability)?;
        let handles = Handles::new(open_shards);
        let flights =
            Flights::across_processes(index_dir.join(RESERVED_SEGMENT).join("embed-locks"));
        let mut cache =
            Self { storage, durability, index, index_dir, handles, flights, skipped: Vec::new() };
        cache.skipped = cache.synchronise()?;
        Ok(cache)
    }

    /// Moves a damaged index aside, and says where to; `None` where it is sound. The next [`open`](Self::open) makes
    /// a new one from the shards.
    ///
    /// # Errors
    ///
    /// `Locked` where anybody has the cache open; `Format` where the database is not ours; `Io` where it cannot be
    /// read or moved.
    pub fn repair_index(index_dir: impl AsRef<Path>) -> Result<Option<PathBuf>> {
        Index::repair(index_dir.as_ref())
    }

    /// What was wrong with shards that were new to the index when this cache was opened: they, or some of their rows,
    /// are not in it. [`repair`](Self::repair) moves damaged ones aside.
    pub fn skipped(&self) -> &[Problem] {
        &self.skipped
    }

    /// The figures that the index keeps; reads no shard.
    ///
    /// # Errors
    ///
    /// `Corrupt` or `Io` where the index cannot be read.
    pub fn status(&self) -> Result<Status> {
        let totals = self.index.totals()?;
        let index_path = self.index.path().to_owned();
        let skipped = self.skipped.len() as u64;
        let (shards, rows, bytes) = (totals.shards, totals.rows, totals.bytes);
        Ok(Status { shards, rows, bytes, skipped, index_path })
    }

    /// Excludes every other writer that uses this index, in any process. Readers never wait.
    fn write_alone(&self) -> Result<FileLock> {
        FileLock::exclusive(&self.index_dir.join(RESERVED_SEGMENT).join("shards.write.lock"))
    }
}

/// The same directory whatever the working directory becomes.
fn absolute(dir: &Path) -> Result<PathBuf> {
    path::absolute(dir)
        .map_err(|error| Error::io(error, "cannot tell where the index lies").at_path(dir))
}

#[cfg(test)]
mod tests;
