use std::{panic::resume_unwind, thread};

use arrow_array::RecordBatch;
use larder_storage::{Error, ErrorKind, Key, PutIf, Result, Upload};

use super::{EmbeddingCache, sync::removed};
use crate::{
    Group, ShardId, ShardInfo, WindowKey, WindowRecord,
    index::{Entry, sorted},
    path::shard_path_for,
    record::invalid,
    shard::{Encoded, Layout, RowEntry, check_extra, encode_into},
};

mod whole;

use whole::Whole;

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
    ///   rows do not share contig (but for a [`Group::Collection`]), encoder hash, layer, pool, radius, dtype and length.
    /// - `Corrupt` where the shard is there and damaged, and `Format` where it is of a newer version.
    /// - `Full`, `Io` or `Backend` where the storage or the index fails. Where that is after the shard was published,
    ///   the next [`open`](Self::open) or `write_shard` of it completes the work.
    pub fn write_shard(
        &self,
        encoder_id: &str,
        group: impl Into<Group>,
        stride_block: u64,
        records: &[WindowRecord],
    ) -> Result<Key> {
        self.write_rows(encoder_id, group.into(), stride_block, records, None)
    }

    /// As [`write_shard`](Self::write_shard), with columns of your own beside those of the rows: `extra` has one row for
    /// each record, in the same order, of any Arrow type that Parquet gives back as it is (dictionaries, durations and
    /// large strings are not among them: cast them). They come after ours, compressed with zstd, for whatever program
    /// reads the file. Metadata of their fields is not kept. Where the shard is there already they are not compared, and it keeps its own.
    ///
    /// # Errors
    ///
    /// As [`write_shard`](Self::write_shard); also `Invalid` where `extra` has another number of rows than there are
    /// records, a column without a name or with a name that is taken (by one of ours or by an earlier one, whatever the
    /// case of its letters), or a type that Parquet lacks or does not give back.
    pub fn write_shard_with(
        &self,
        encoder_id: &str,
        group: impl Into<Group>,
        stride_block: u64,
        records: &[WindowRecord],
        extra: &RecordBatch,
    ) -> Result<Key> {
        check_extra(extra, records.len())?;
        self.write_rows(encoder_id, group.into(), stride_block, records, Some(extra))
    }

    pub(super) fn write_rows(
        &self,
        encoder_id: &str,
        group: Group,
        stride_block: u64,
        records: &[WindowRecord],
        extra: Option<&RecordBatch>,
    ) -> Result<Key> {
        let id = check(encoder_id, group, stride_block, records)?;
        check_distinct(records)?;
        let path = shard_path_for(&id)?;
        let prepare = || self.prepare(&path, records, extra);
        // Written before others are kept waiting.
        let mut early = if self.is_there(&path)? { None } else { Some(prepare()) };
        let _alone = self.write_alone()?;
        if self.index.has_shard(&path)? && !self.is_there(&path)? {
            // Perhaps another machine has compacted it. What else is wrong stays as it is: `verify` tells.
            self.synchronise_alone()?;
            // Keys may have gone to other shards.
            early = None;
        }
        let compacted = self.compacted(&path, records)?;
        if let Some(holder) = compacted.first() {
            compacted.iter().try_for_each(|path| self.flush(path))?;
            return Ok(holder.clone());
        }
        // What was there may have been moved aside meanwhile.
        if !self.is_there(&path)? && self.publish(early.unwrap_or_else(prepare)?)? {
            return Ok(path);
        }
        self.adopt(&path)?;
        self.compare(&path, records)?;
        // Perhaps somebody was stopped before.
        self.follow_in_python(&[])?;
        self.flush(&path)?;
        Ok(path)
    }

    /// Writes a shard out of sight, and checks meanwhile that no other one holds a row of it.
    fn prepare(
        &self,
        path: &Key,
        records: &[WindowRecord],
        extra: Option<&RecordBatch>,
    ) -> Result<Prepared> {
        let (written, free) = thread::scope(|scope| {
            let free = scope.spawn(|| {
                let rows = entries(records);
                self.check_free(path, &rows).map(|newest| (rows, newest))
            });
            let written = self.upload(path, records, extra);
            (written, free.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        // Where a key is taken, whether there was room does not matter.
        let ((mut rows, newest), (upload, Encoded { len, rows: places })) = (free?, written?);
        for row in &mut rows {
            let place = places[row.row as usize];
            (row.crc, row.offset) = (Some(place.crc), Some(place.offset));
        }
        let (path, dim) = (path.clone(), Some(records[0].embedding.len()));
        let shard = ShardInfo { path, rows: places.len() as u64, bytes: len, dim };
        Ok(Prepared { upload, shard, rows, newest })
    }

    /// Writes a shard to where nobody sees it yet.
    fn upload(
        &self,
        path: &Key,
        records: &[WindowRecord],
        extra: Option<&RecordBatch>,
    ) -> Result<(Box<dyn Upload>, Encoded)> {
        let layout = Layout::of(records[0].key.dtype, records[0].embedding.len());
        let mut upload = match self.storage.local_root() {
            Some(_) => self.storage.create(path)?,
            // Object stores take a condition with a whole object alone.
            None => Box::new(Whole::new(&self.storage, path, records, extra)?),
        };
        let encoded = encode_into(&mut upload, records, extra, &[], layout);
        Ok((upload, encoded.map_err(|error| error.at_key(path))?))
    }

    /// Checks that the index has none of `rows` in another shard; returns the newest shard from before.
    fn check_free(&self, path: &Key, rows: &[Entry]) -> Result<Option<i64>> {
        let newest = self.index.newest_shard()?;
        match self.index.find_elsewhere(rows, path)? {
            Some(found) => Err(conflict(
                path,
                format!("a row of it is in the shard {} already", found.shard.path),
            )),
            None => Ok(newest),
        }
    }

    fn is_there(&self, path: &Key) -> Result<bool> {
        Ok(self.storage.open(path)?.is_some())
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

    /// Publishes and indexes a shard that is not there; `false` where somebody else has published it meanwhile.
    fn publish(&self, prepared: Prepared) -> Result<bool> {
        let Prepared { upload, shard, rows, newest } = prepared;
        let path = &shard.path;
        if self.index.newest_shard()? != newest {
            self.check_free(path, &rows)?;
        }
        let added = thread::scope(|scope| {
            let commit = scope.spawn(|| upload.commit(PutIf::Absent));
            let published = || commit.join().unwrap_or_else(|panic| resume_unwind(panic));
            self.index.add_published(&shard, rows, published)
        });
        match added {
            Err(error) if error.kind() == ErrorKind::Conflict => return Ok(false),
            added => added?,
        }
        self.follow_in_python(&[])?;
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
        let embeddings = self.fetch_found(&keys, &found)?;
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

/// A shard that can be published.
struct Prepared {
    /// All of its bytes.
    upload: Box<dyn Upload>,
    shard: ShardInfo,
    /// In the order of the index.
    rows: Vec<Entry>,
    /// The newest shard in the index before it was searched for these keys.
    newest: Option<i64>,
}

fn conflict(path: &Key, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Conflict, message).at_key(path)
}

/// Checks that the rows make up one shard, but for keys that come twice; returns which.
fn check(
    encoder_id: &str,
    group: Group,
    stride_block: u64,
    records: &[WindowRecord],
) -> Result<ShardId> {
    let Some(first) = records.first() else {
        return Err(invalid("a shard needs one row at least"));
    };
    let dim = first.embedding.len();
    for (i, record) in records.iter().enumerate() {
        record.check().map_err(|error| {
            invalid(format!("row {i} of the batch breaks a rule")).with_source(error)
        })?;
        let WindowKey { window_hash, .. } = record.key;
        let differs = if !group.holds(&record.chrom) {
            "is of another contig than the shard, which is none of a collection"
        } else if record.key != (WindowKey { window_hash, ..first.key }) {
            "differs from the first one in encoder hash, layer, pool, radius or dtype"
        } else if record.embedding.len() != dim {
            "has an embedding of another length than the first one"
        } else {
            continue;
        };
        return Err(invalid(format!(
            "row {i} of the batch {differs}: a shard holds rows that agree"
        )));
    }
    Ok(ShardId::of(encoder_id, group, stride_block, &first.key))
}

/// The rows as the index is to have them, but for where they will be.
fn entries(records: &[WindowRecord]) -> Vec<Entry> {
    let entry = |(record, row): (&WindowRecord, u64)| RowEntry {
        key: record.key,
        row,
        crc: None,
        offset: None,
    };
    sorted(&records.iter().zip(0..).map(entry).collect::<Vec<_>>())
}

/// Checks that no key of the rows of one shard comes twice.
fn check_distinct(records: &[WindowRecord]) -> Result<()> {
    let hash = |row: usize| &records[row].key.window_hash;
    // Mostly the first bytes tell, and comparing those is quick.
    let mut order: Vec<(u64, usize)> = (0..records.len())
        .map(|row| (hash(row).first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes)), row))
        .collect();
    order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| hash(a.1).cmp(hash(b.1))));
    match order.windows(2).find(|pair| hash(pair[0].1) == hash(pair[1].1)) {
        None => Ok(()),
        Some(pair) => Err(invalid(format!(
            "rows {} and {} of the batch have the same key: give each row once",
            pair[0].1.min(pair[1].1),
            pair[0].1.max(pair[1].1)
        ))),
    }
}
