use std::collections::HashSet;

use larder_storage::{Error, ErrorKind, Key, Result};

use super::EmbeddingCache;
use crate::{Embedding, ShardId, WindowKey, WindowRecord, path::shard_path_for, record::invalid};

impl EmbeddingCache {
    /// The embeddings of `keys` in the same order, of which `embed` makes those that are missing: it is given their keys,
    /// each once, and returns a row for each, in any order. These are published as a shard of their own, in the first
    /// block of `contig` that comes after all that are there.
    ///
    /// Of all threads and processes with this index that ask for rows of one encoder (its name, hash, layer, pool and
    /// dtype) and contig, one embeds at a time, and the next one looks again what is missing: nothing is embedded twice.
    /// No lock is held meanwhile but the right to do so. Where other machines may write to the storage, because it is no
    /// local directory, their shards are looked for before anything is embedded; two machines that embed at the same
    /// time may do so twice.
    ///
    /// # Errors
    ///
    /// What `embed` fails with; `Invalid` where what it returns is not a row for each missing key, or the missing keys differ in
    /// more than their windows; `Locked` where this thread is embedding for the same encoder and contig already; otherwise
    /// as [`read`](Self::read) and [`write_shard`](Self::write_shard).
    pub fn read_or_embed(
        &self,
        encoder_id: &str,
        contig: &str,
        keys: &[WindowKey],
        embed: impl FnOnce(&[WindowKey]) -> Result<Vec<WindowRecord>>,
    ) -> Result<Vec<Embedding>> {
        if let Some(first) = self.missing(keys)?.first() {
            let id = ShardId::of(encoder_id, contig, 0, first);
            let _embedding = self.flights.enter(shard_path_for(&id)?.as_str())?;
            if self.storage.local_root().is_none() {
                // Another machine may have made them. What is wrong with its shards is told by `refresh`.
                self.refresh()?;
            }
            // Whoever was here before may have made them.
            let missing = self.missing(keys)?;
            if !missing.is_empty() {
                let records = embed(&missing)?;
                check(&missing, &records)?;
                self.write_shard(encoder_id, contig, self.next_block(id)?, &records)?;
            }
        }
        let found = self.read_many(keys)?.into_iter();
        found.map(|embedding| embedding.ok_or_else(gone)).collect()
    }

    /// Those of `keys` that have no embedding, each once.
    fn missing(&self, keys: &[WindowKey]) -> Result<Vec<WindowKey>> {
        let there = self.contains_many(keys)?;
        let mut seen = HashSet::new();
        let missing = keys.iter().zip(there).filter(|(key, there)| !there && seen.insert(**key));
        Ok(missing.map(|(key, _)| *key).collect())
    }

    /// The number after those of all indexed blocks of the same encoder and contig.
    pub(super) fn next_block(&self, id: ShardId) -> Result<u64> {
        let first = shard_path_for(&id)?;
        let stem = first.as_str().strip_suffix("0.parquet").unwrap_or_default();
        let block = |path: &Key| -> Option<u64> {
            path.as_str().strip_prefix(stem)?.strip_suffix(".parquet")?.parse().ok()
        };
        let last = self.index.shards()?.iter().filter_map(block).max();
        last.map_or(Ok(0), |last| {
            last.checked_add(1).ok_or_else(|| invalid("the last block of the contig is taken"))
        })
    }
}

/// Whether there is a row for each missing key, and no other one. That none comes twice is checked when they are written.
fn check(missing: &[WindowKey], records: &[WindowRecord]) -> Result<()> {
    let made: HashSet<_> = records.iter().map(|record| record.key).collect();
    if made.len() == missing.len() && missing.iter().all(|key| made.contains(key)) {
        return Ok(());
    }
    Err(invalid(format!(
        "rows of {} keys were asked for and of {} came: return one for each missing key, and no other",
        missing.len(),
        made.len()
    )))
}

fn gone() -> Error {
    Error::new(ErrorKind::NotFound, "a shard was removed while it was read: ask again")
}
