use std::path::PathBuf;

use larder_storage::Problem;
use serde::Serialize;

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
