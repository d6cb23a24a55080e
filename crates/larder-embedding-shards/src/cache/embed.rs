use std::{collections::HashSet, ops::Range};

use larder_storage::{Error, ErrorKind, Key, Result};

use super::{
    EmbeddingCache,
    compact::{FIRST_BLOCK, is_its_own_fault},
};
use crate::{
    Embedding, Group, ShardId, WindowKey, WindowRecord, path::shard_path_for, record::invalid,
};

impl EmbeddingCache {
    /// The embeddings of `keys` in the same order, of which `embed` makes those that are missing, some at a time
    /// ([`Options::embedded_rows`](crate::Options::embedded_rows)): it is given their keys, each once, and returns a row
    /// for each, in any order. What one call makes is published as a shard of its own before the next call, in the first
    /// block of `group` that comes after all that are there, so what was embedded is not lost where a later call fails.
    ///
    /// Of all threads and processes with this index that ask for rows of one encoder (its name, hash, layer, pool and
    /// dtype) and group, one embeds at a time, and the next one looks again what is missing: nothing is embedded twice.
    /// No lock is held meanwhile but the right to do so. Where other machines may write to the storage, because it is no
    /// local directory, their shards are looked for before anything is embedded; two machines that embed at the same
    /// time may do so twice, and the rows of one of them are kept.
    ///
    /// # Errors
    ///
    /// What `embed` fails with; `Invalid` where what it returns is not a row for each key, or, before it is called, where
    /// the missing keys differ in more than their windows; `Locked` where this thread is embedding for the same encoder
    /// and group already, or one that waits for this one; otherwise as [`read`](Self::read) and [`write_shard`](Self::write_shard).
    pub fn read_or_embed(
        &self,
        encoder_id: &str,
        group: impl Into<Group>,
        keys: &[WindowKey],
        mut embed: impl FnMut(&[WindowKey]) -> Result<Vec<WindowRecord>>,
    ) -> Result<Vec<Embedding>> {
        if let Some(first) = self.missing(keys)?.first() {
            let id = ShardId::of(encoder_id, group, 0, first);
            let _embedding = self.flights.enter(shard_path_for(&id)?.as_str())?;
            if self.storage.local_root().is_none() {
                // Another machine may have made them. What is wrong with its shards is told by `refresh`.
                self.refresh()?;
            }
            // Whoever was here before may have made them.
            let missing = self.missing(keys)?;
            check_alike(&missing)?;
            for missing in missing.chunks(self.embedded_rows) {
                let records = embed(missing)?;
                check(missing, &records)?;
                self.write_next(&id, records)?;
            }
        }
        let found = self.read_many(keys)?.into_iter();
        found.map(|embedding| embedding.ok_or_else(gone)).collect()
    }

    /// Writes rows to the first block that takes them: another machine may be quicker, and a block may be there that
    /// cannot be read. Rows that are there by then are not written again.
    fn write_next(&self, id: &ShardId, mut records: Vec<WindowRecord>) -> Result<()> {
        let mut id = ShardId { stride_block: self.next_block(id, 0..FIRST_BLOCK)?, ..id.clone() };
        while !records.is_empty() {
            let error = match self.write_rows(
                &id.encoder_id,
                id.group.clone(),
                id.stride_block,
                &records,
                None,
            ) {
                Err(error) if is_its_own_fault(&error) => error,
                written => return written.map(drop),
            };
            let keys: Vec<WindowKey> = records.iter().map(|record| record.key).collect();
            let mut there = self.contains_many(&keys)?.into_iter();
            let before = records.len();
            records.retain(|_| there.next() == Some(false));
            if self.storage.open(&shard_path_for(&id)?)?.is_some() {
                id.stride_block += 1;
            } else if records.len() == before {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Those of `keys` that have no embedding, each once.
    fn missing(&self, keys: &[WindowKey]) -> Result<Vec<WindowKey>> {
        let there = self.contains_many(keys)?;
        let mut seen = HashSet::new();
        let missing = keys.iter().zip(there).filter(|(key, there)| !there && seen.insert(**key));
        Ok(missing.map(|(key, _)| *key).collect())
    }

    /// The number after those of all indexed blocks of the same encoder and group, among these.
    pub(super) fn next_block(&self, id: &ShardId, among: Range<u64>) -> Result<u64> {
        let first = shard_path_for(&ShardId { stride_block: 0, ..id.clone() })?;
        let stem = first.as_str().strip_suffix("0.parquet").unwrap_or_default();
        let block = |path: &Key| -> Option<u64> {
            path.as_str().strip_prefix(stem)?.strip_suffix(".parquet")?.parse().ok()
        };
        let last =
            self.index.shards()?.iter().filter_map(block).filter(|it| among.contains(it)).max();
        let next = last.map_or(among.start, |last| last + 1);
        if next < among.end {
            Ok(next)
        } else {
            Err(invalid("the last block of the contig or collection is taken"))
        }
    }
}

/// Whether the keys belong in one shard.
fn check_alike(missing: &[WindowKey]) -> Result<()> {
    let Some(first) = missing.first() else { return Ok(()) };
    if first.pool_radius > i32::MAX as u32 {
        return Err(invalid(format!(
            "the pool radius {} is above {}",
            first.pool_radius,
            i32::MAX
        )));
    }
    let is_alike = |key: &WindowKey| *key == WindowKey { window_hash: key.window_hash, ..*first };
    if missing.iter().all(is_alike) {
        return Ok(());
    }
    Err(invalid(
        "the missing keys differ in more than their windows: ask for those of one encoder, layer, pool and dtype at a time",
    ))
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
