use larder_storage::{Problem, Result};

use super::EmbeddingCache;
use crate::ShardInfo;

impl EmbeddingCache {
    /// All shards, sorted by path, by the index alone.
    ///
    /// # Errors
    ///
    /// `Corrupt` or `Io` where the index cannot be read.
    pub fn shards(&self) -> Result<Vec<ShardInfo>> {
        Ok(self.index.list()?.into_iter().map(|(_, info)| info).collect())
    }

    /// Brings the index into step with the storage, as [`open`](Self::open) does, so that what other machines wrote to
    /// the same storage is found. Returns what is wrong with shards that are new to the index: they, or some of their
    /// rows, are not in it. Where nothing is new this is one listing.
    ///
    /// # Errors
    ///
    /// `Io` or `Backend` where the shards cannot be listed; `Corrupt`, `Full` or `Io` where the index cannot be read or
    /// written.
    pub fn refresh(&self) -> Result<Vec<Problem>> {
        self.synchronise()
    }
}
