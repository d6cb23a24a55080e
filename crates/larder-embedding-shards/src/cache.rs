use std::{
    path::{self, Path, PathBuf},
    sync::Arc,
};

use larder_storage::{
    Durability, Error, LocalStorage, Problem, Progress, RESERVED_SEGMENT, Result, Storage,
    flight::Flights, lock::FileLock,
};

use crate::{
    Status, handles::Handles, index::Index, progress::Observer, python_index::PythonIndex,
};

mod compact;
mod embed;
mod fetch;
mod import;
mod matrix;
mod python;
mod read;
mod remove;
mod repair;
mod replace;
mod scan;
mod shards;
mod sync;
mod write;
mod writer;

pub use compact::CompactOptions;
pub use remove::Removal;
pub use writer::ShardWriter;

pub(crate) use sync::list;

/// How a cache is opened.
#[derive(Clone, Debug)]
pub struct Options {
    durability: Durability,
    open_shards: usize,
    verify: Verify,
    embedded_rows: usize,
    python_index: bool,
    observer: Observer,
}

/// When the bytes of a row that is read are checked against the checksum that binds them to their key. Rows that have
/// to be decoded always are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Never: damage and a stale index are not seen. [`EmbeddingCache::verify`] finds them.
    Off,
    /// When a row is first read through this cache.
    FirstTouch,
    /// Whenever it is read.
    #[default]
    Always,
}

impl Default for Options {
    fn default() -> Self {
        let (durability, verify) = (Durability::default(), Verify::default());
        let (open_shards, embedded_rows) = (256, 1024);
        let (python_index, observer) = (false, Observer::default());
        Self { durability, open_shards, verify, embedded_rows, python_index, observer }
    }
}

impl Options {
    /// What an acknowledged write survives. For shards on a storage of one's own it concerns the index alone.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// When rows are checked as they are read; always unless set.
    #[must_use]
    pub fn verify(mut self, verify: Verify) -> Self {
        self.verify = verify;
        self
    }

    /// How many rows at most [`read_or_embed`](EmbeddingCache::read_or_embed) asks for at once; 1,024 unless set, and at
    /// least one.
    #[must_use]
    pub fn embedded_rows(mut self, count: usize) -> Self {
        self.embedded_rows = count.max(1);
        self
    }

    /// How many shards are held open for further reads, one file each; 256 unless set, and at least one. Each thread
    /// may have one more open.
    #[must_use]
    pub fn open_shards(mut self, count: usize) -> Self {
        self.open_shards = count;
        self
    }

    /// Whether the index of the Python package, `embeddings/index.sqlite`, is kept in step, so that its
    /// `read_embedding` finds every row; `false` unless set, and for local directories alone. What a cache without this
    /// option writes is entered there when one with it is opened the next time.
    #[must_use]
    pub fn python_index(mut self, is_kept: bool) -> Self {
        self.python_index = is_kept;
        self
    }

    /// Who hears, from a thread of its own, how many shards [`compact`](EmbeddingCache::compact),
    /// [`import_python`](EmbeddingCache::import_python), [`reindex`](EmbeddingCache::reindex),
    /// [`repair`](EmbeddingCache::repair) and [`verify`](EmbeddingCache::verify) are through with; nobody unless set.
    #[must_use]
    pub fn progress(mut self, observer: Arc<dyn Progress>) -> Self {
        self.observer = Observer(Some(observer));
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
    verify: Verify,
    embedded_rows: usize,
    /// Whose turn it is to embed.
    flights: Flights,
    /// The Python package's index, where it is kept in step.
    python: Option<PythonIndex>,
    observer: Observer,
    skipped: Vec<Problem>,
}

impl EmbeddingCache {
    /// Opens the cache in the directory `dir`, and makes it where it is missing.
    ///
    /// Shards that are there and not in the index (a process was killed between the two, or somebody copied them
    /// there) are indexed, and those that are gone are dropped from it.
    ///
    /// A directory that may not be written is opened for reading, as long as nobody else writes to it: whoever wrote last
    /// has to have closed the cache. Where there is no index in it, [`on`](Self::on) makes one elsewhere.
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
    /// As [`open`](Self::open), and those of the storage; `Invalid` where the Python package's index is asked for and
    /// the storage is no local directory.
    pub fn on(
        storage: Arc<dyn Storage>,
        index_dir: impl AsRef<Path>,
        options: Options,
    ) -> Result<Self> {
        let Options { durability, open_shards, verify, embedded_rows, python_index, observer } =
            options;
        let python = python_index.then(|| PythonIndex::of(&*storage, durability)).transpose()?;
        let index_dir = absolute(index_dir.as_ref())?;
        let index = Index::open(&index_dir, durability)?;
        let handles = Handles::new(open_shards);
        let flights =
            Flights::across_processes(index_dir.join(RESERVED_SEGMENT).join("embed-locks"));
        let skipped = Vec::new();
        let mut cache = Self {
            storage,
            durability,
            index,
            index_dir,
            handles,
            verify,
            embedded_rows,
            flights,
            python,
            observer,
            skipped,
        };
        cache.skipped = cache.synchronise()?;
        cache.mend_python_index()?;
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
