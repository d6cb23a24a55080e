use std::path::PathBuf;

use larder_storage::{Key, Problem};
use serde::{Serialize, Serializer};

/// Figures of a cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// How many shards are indexed.
    pub shards: u64,
    /// How many rows they have.
    pub rows: u64,
    /// Their length in bytes.
    pub bytes: u64,
    /// How many shards were found in part or not at all readable when the cache was opened.
    pub skipped: u64,
    /// Where the index lies.
    pub index_path: PathBuf,
}

/// What [`reindex`](crate::EmbeddingCache::reindex) did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReindexReport {
    /// How many shards are indexed.
    pub indexed_shards: u64,
    /// How many rows are indexed.
    pub indexed_rows: u64,
    /// Where the index lies.
    pub index_path: PathBuf,
    /// The shards that could not be indexed, or not with all of their rows.
    pub problems: Vec<Problem>,
}

/// What [`repair`](crate::EmbeddingCache::repair) did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RepairReport {
    /// How many shards were checked.
    pub checked_shards: u64,
    /// Where the damaged ones were put: keys in the storage.
    pub quarantined: Vec<String>,
    /// The new index.
    pub reindex: ReindexReport,
}

/// What [`verify`](crate::EmbeddingCache::verify) found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// How many shards were checked.
    pub shards: u64,
    /// How many rows the sound ones have.
    pub rows: u64,
    /// All that is wrong; empty where nothing is.
    pub problems: Vec<Problem>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

/// What the index says of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ShardInfo {
    /// Where it lies in the storage.
    #[serde(serialize_with = "as_text")]
    pub path: Key,
    /// How many rows it has.
    pub rows: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// How many numbers each embedding has; `None` in shards of the Python package, whose pages are decoded.
    pub dim: Option<usize>,
}

impl ShardInfo {
    /// Whether a row is one positioned read.
    pub fn is_read_by_offset(&self) -> bool {
        self.dim.is_some()
    }
}

fn as_text<S: Serializer>(key: &Key, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}

/// What [`compact`](crate::EmbeddingCache::compact) did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CompactReport {
    /// How many shards were replaced by others.
    pub replaced: u64,
    /// How many shards were written in their place.
    pub written: u64,
    /// How many rows these have.
    pub rows: u64,
    /// The shards that stay as they are because something is wrong with them, and those that the index lacks.
    pub problems: Vec<Problem>,
}

/// What [`remove`](crate::EmbeddingCache::remove) did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RemoveReport {
    /// The shards that were removed: keys in the storage.
    pub removed: Vec<String>,
    /// The shards that stay although some of their rows match, or they cannot be read.
    pub kept: Vec<Problem>,
}

/// What [`import_python`](crate::EmbeddingCache::import_python) did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// How many shards are in this cache now, with all of their rows.
    pub shards: u64,
    /// How many of their rows were not there before.
    pub rows: u64,
    /// The shards that are left out, each with the reason.
    pub problems: Vec<Problem>,
}
