use std::{collections::HashSet, panic::resume_unwind, sync::Arc, thread};

use arrow_array::RecordBatch;
use larder_storage::{Bytes, Error, ErrorKind, Key, PutIf, Result};

use super::{EmbeddingCache, sync::removed};
use crate::{
    ShardId, WindowKey, WindowRecord,
    path::shard_path_for,
    record::invalid,
    shard::{InMemory, Layout, Shard, check_extra, encode},
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
    /// # Errors
    ///
    /// - `Conflict`, and nothing was written, where the shard is there and lacks one of the keys or holds another
    ///   embedding for it, or where another shard holds one of the keys.
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
        self.write_rows(encoder_id, contig, stride_block, records, None)
    }

    /// As [`write_shard`](Self::write_shard), with columns of your own beside those of the rows: `extra` has one row for
    /// each record, in the same order, of any Arrow type that Parquet has. They come after ours, compressed with zstd,
    /// for whatever program reads the file. Where the shard is there already they are not compared, and it keeps its own.
    ///
    /// # Errors
    ///
    /// As [`write_shard`](Self::write_shard); also `Invalid` where `extra` has another number of rows than there are
    /// records, a column without a name or with a name that is taken (by one of ours or by an earlier one, whatever the
    /// case of its letters), or a type that Parquet lacks.
    pub fn write_shard_with(
        &self,
        encoder_id: &str,
        contig: &str,
        stride_block: u64,
        records: &[WindowRecord],
        extra: &RecordBatch,
    ) -> Result<Key> {
        check_extra(extra, records.len())?;
        self.write_rows(encoder_id, contig, stride_block, records, Some(extra))
    }

    pub(super) fn write_rows(
        &self,
        encoder_id: &str,
        contig: &str,
        stride_block: u64,
        records: &[WindowRecord],
        extra: Option<&RecordBatch>,
    ) -> Result<Key> {
        let (id, dim) = check(encoder_id, contig, stride_block, records)?;
        let path = shard_path_for(&id)?;
        let file = || encode(records, extra, Layout::of(id.dtype, dim));
        // Encoded before others are kept waiting.
        let early = if self.is_there(&path)? { None } else { Some(file()?) };
        let _alone = self.write_alone()?;
        // What was there may have been moved aside meanwhile.
        if !self.is_there(&path)? && self.publish(&path, early.map_or_else(file, Ok)?, records)? {
            return Ok(path);
        }
        self.adopt(&path)?;
        self.compare(&path, records)?;
        if self.durability.syncs() {
            self.publish_again(&path)?;
        }
        Ok(path)
    }

    fn is_there(&self, path: &Key) -> Result<bool> {
        Ok(self.storage.open(path)?.is_some())
    }

    /// Makes a shard as durable as if this cache had published it.
    fn publish_again(&self, path: &Key) -> Result<()> {
        let object = self.storage.get(path)?.ok_or_else(|| removed(path))?;
        let same = PutIf::Version(object.version().clone());
        self.storage.put(path, object.into_bytes(), same)
    }

    /// Publishes and indexes a shard that is not there; `false` where somebody else has published it meanwhile.
    fn publish(&self, path: &Key, bytes: Bytes, records: &[WindowRecord]) -> Result<bool> {
        if self.index.has_shard(path)? {
            // An heir that cannot be read stays as it is in the index: `verify` tells.
            self.forget(std::slice::from_ref(path))?;
        }
        let keys: Vec<WindowKey> = records.iter().map(|record| record.key).collect();
        if let Some(found) = self.index.find(&keys)?.into_iter().flatten().next() {
            return Err(conflict(
                path,
                format!("a row of it is in the shard {} already", found.shard.path),
            ));
        }
        let shard = Shard::open(path, Arc::new(InMemory(bytes.clone())))?;
        let mut rows = shard.entries_of(keys.into_iter())?;
        rows.sort_unstable_by_key(|row| row.key.window_hash);
        let added = thread::scope(|scope| {
            let put = scope.spawn(|| self.storage.put(path, bytes, PutIf::Absent));
            let published = || put.join().unwrap_or_else(|panic| resume_unwind(panic));
            self.index.add_published(&shard, rows, published)
        });
        match added {
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(false),
            added => added.map(|()| true),
        }
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
