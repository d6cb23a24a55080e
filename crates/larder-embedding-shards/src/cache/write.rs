use std::collections::HashSet;

use larder_storage::{Bytes, Error, ErrorKind, Key, PutIf, Result};

use super::{EmbeddingCache, sync::removed};
use crate::{
    ShardId, WindowKey, WindowRecord,
    path::shard_path_for,
    record::invalid,
    shard::{Layout, encode},
};

impl EmbeddingCache {
    /// Writes the shard of these rows, indexes them and returns the shard's key. Rows without a time get the present
    /// one. When this returns, the shard is published whole and its rows are found by every process.
    ///
    /// A shard is immutable. Where it is there already and holds all of these keys with the same embeddings, bit by
    /// bit, nothing changes; chrom, positions and times are not compared. At
    /// [`Durability::Power`](larder_storage::Durability::Power) its bytes are published once more, because whoever
    /// published them may not have flushed them.
    ///
    /// Where [`compact`](Self::compact) has put these rows into other shards, all of them with the same embeddings,
    /// nothing changes either, and the key of a shard that has them is returned.
    ///
    /// # Errors
    ///
    /// - `Conflict`, and nothing was written, where the shard is there and lacks one of the keys or holds another
    ///   embedding for it, or where another shard holds one of the keys (and it is not as said above).
    /// - `Invalid` where there are no rows, a key comes twice, a row breaks a rule of [`WindowRecord::new`], or the
    ///   rows do not share contig, encoder hash, layer, pool, radius, dtype and length.
    /// - `Corrupt` where the shard is there and damaged, and `Format` where it is of a newer version.
    /// - `Full`, `Io` or `Backend` where the storage or the index fails. Where that is after the shard was published,
    ///   the next [`open`](Self::open) or `write_shard` of it completes the work.
    pub fn write_shard(
        &self,
        encoder_id: &str,
        contig: &str,
        stride_block: u64,
        records: &[WindowRecord],
    ) -> Result<Key> {
        let (id, dim) = check(encoder_id, contig, stride_block, records)?;
        let path = shard_path_for(&id)?;
        let unless_there = || match self.storage.open(&path)? {
            Some(_) => Ok(None),
            None => encode(records, id.dtype, dim, Layout::of(id.dtype, dim)).map(Some),
        };
        // Encoded before others are kept waiting.
        let early = unless_there()?;
        let _alone = self.write_alone()?;
        if self.index.has_shard(&path)? && self.storage.open(&path)?.is_none() {
            // Perhaps another machine has compacted it. What else is wrong stays as it is: `verify` tells.
            self.synchronise_alone()?;
        }
        let compacted = self.compacted(&path, records)?;
        if let Some(holder) = compacted.first() {
            compacted.iter().try_for_each(|path| self.flush(path))?;
            return Ok(holder.clone());
        }
        // What was there may have been moved aside meanwhile.
        let bytes = if early.is_some() { early } else { unless_there()? };
        if let Some(bytes) = bytes
            && self.publish(&path, bytes, records)?
        {
            return Ok(path);
        }
        self.adopt(&path)?;
        self.compare(&path, records)?;
        self.flush(&path)?;
        Ok(path)
    }

    /// Makes a shard as durable as if this cache had published it.
    fn flush(&self, path: &Key) -> Result<()> {
        if !self.durability.syncs() {
            return Ok(());
        }
        let object = self.storage.get(path)?.ok_or_else(|| removed(path))?;
        let same = PutIf::Version(object.version().clone());
        self.storage.put(path, object.into_bytes(), same)
    }

    /// Publishes and indexes a new shard; `false` where somebody else has published it meanwhile.
    fn publish(&self, path: &Key, bytes: Bytes, records: &[WindowRecord]) -> Result<bool> {
        let keys: Vec<WindowKey> = records.iter().map(|record| record.key).collect();
        let taken =
            self.index.find(&keys)?.into_iter().flatten().find(|found| found.shard.path != *path);
        if let Some(found) = taken {
            return Err(conflict(
                path,
                format!("a row of it is in the shard {} already", found.shard.path),
            ));
        }
        match self.storage.put(path, bytes, PutIf::Absent) {
            Err(error) if error.kind() == ErrorKind::Conflict => return Ok(false),
            put => put?,
        }
        self.adopt(path)?;
        Ok(true)
    }

    /// Checks that a shard holds all of `records`.
    fn compare(&self, path: &Key, records: &[WindowRecord]) -> Result<()> {
        let keys: Vec<WindowKey> = records.iter().map(|record| record.key).collect();
        let found = self.index.find(&keys)?;
        if !found.iter().all(|found| found.as_ref().is_some_and(|found| found.shard.path == *path))
        {
            return Err(conflict(
                path,
                "the shard is there and lacks some of these rows: write them to another block",
            ));
        }
        let embeddings = self.fetch(&keys, &found)?;
        if !records
            .iter()
            .zip(&embeddings)
            .all(|(record, there)| there.as_ref() == Some(&record.embedding))
        {
            return Err(conflict(
                path,
                "the shard is there with other embeddings for these keys: shards are immutable",
            ));
        }
        Ok(())
    }
}

fn conflict(path: &Key, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Conflict, message).at_key(path)
}

/// Checks that the rows make up one shard; returns which, and how many numbers each embedding has.
fn check(
    encoder_id: &str,
    contig: &str,
    stride_block: u64,
    records: &[WindowRecord],
) -> Result<(ShardId, usize)> {
    let Some(first) = records.first() else {
        return Err(invalid("a shard needs one row at least"));
    };
    let id_of = |key| ShardId::of(encoder_id, contig, stride_block, key);
    let (id, dim) = (id_of(&first.key), first.embedding.len());
    let mut keys = HashSet::with_capacity(records.len());
    for (i, record) in records.iter().enumerate() {
        record.check().map_err(|error| {
            invalid(format!("row {i} of the batch breaks a rule")).with_source(error)
        })?;
        let WindowKey { window_hash, .. } = record.key;
        let differs = if record.chrom != contig {
            "is of another contig than the shard"
        } else if record.key != (WindowKey { window_hash, ..first.key }) {
            "differs from the first one in encoder hash, layer, pool, radius or dtype"
        } else if record.embedding.len() != dim {
            "has an embedding of another length than the first one"
        } else if !keys.insert(window_hash) {
            "has the key of an earlier one"
        } else {
            continue;
        };
        return Err(invalid(format!(
            "row {i} of the batch {differs}: a shard holds rows that agree"
        )));
    }
    Ok((id, dim))
}
