use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use larder_storage::{Key, Result};

use super::EmbeddingCache;
use crate::{Group, WindowRecord, record::invalid, shard::check_extra};

const BYTES_PER_SHARD: u64 = 64 << 20;

/// A row takes memory beside its embedding.
const ROWS_PER_SHARD: usize = 1 << 17;

impl EmbeddingCache {
    /// A writer that cuts any number of rows of one encoder and contig, or collection, into shards: the blocks
    /// `first_block`, `first_block + 1` and so on. The contig is any text that the rows share, such as the name of a
    /// document; rows of many short documents make up a [`Group::Collection`].
    pub fn writer(
        &self,
        encoder_id: impl Into<String>,
        group: impl Into<Group>,
        first_block: u64,
    ) -> ShardWriter<'_> {
        ShardWriter {
            cache: self,
            encoder_id: encoder_id.into(),
            group: group.into(),
            first_block,
            bytes_per_shard: BYTES_PER_SHARD,
            records: Vec::new(),
            bytes: 0,
            extra: Vec::new(),
            written: Vec::new(),
        }
    }
}

/// Writes rows as they come, in memory that does not grow with their number:
/// [`bytes_per_shard`](Self::bytes_per_shard), in other storages than a local directory twice as much, what one call is
/// given, and the caches of the index.
///
/// A shard is full with the row that brings its embeddings to `bytes_per_shard`, or with its 131,072nd; then it is
/// written as by [`EmbeddingCache::write_shard`]. So the cut depends on nothing but the rows: a job that was stopped and writes the
/// same rows once more finds the shards there, and completes them. Without [`finish`](Self::finish) the rows after the
/// last full shard are lost.
///
/// ```
/// # use larder_embedding_shards::{Dtype, Embedding, EmbeddingCache, Options, PoolType, WindowKey, WindowRecord};
/// # fn main() -> larder_storage::Result<()> {
/// # let dir = tempfile::tempdir().map_err(|e| larder_storage::Error::io(e, "cannot make a directory"))?;
/// # let cache = EmbeddingCache::open(dir.path(), Options::default())?;
/// # let key = |chunk: u8| WindowKey {
/// #     window_hash: [chunk; 32],
/// #     encoder_hash: [2; 32],
/// #     state_layer: 12,
/// #     pool_type: PoolType::GlobalMean,
/// #     pool_radius: 0,
/// #     dtype: Dtype::Fp32,
/// # };
/// # let embed = |chunk| Embedding::Fp32(vec![f32::from(chunk); 384]);
/// // Chunks of 200 words of one document.
/// let rows = (0..100).map(|chunk: u8| {
///     let start = i64::from(chunk) * 200;
///     WindowRecord::new("thesis.pdf", start, start + 200, key(chunk), embed(chunk))
/// });
/// let mut writer = cache.writer("org/model", "thesis.pdf", 0).bytes_per_shard(100_000);
/// for row in rows {
///     writer.write([row?])?;
/// }
/// assert_eq!(writer.finish()?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the last rows are written by `finish`"]
pub struct ShardWriter<'a> {
    cache: &'a EmbeddingCache,
    encoder_id: String,
    group: Group,
    first_block: u64,
    bytes_per_shard: u64,
    /// The rows of the next shard.
    records: Vec<WindowRecord>,
    /// Of their embeddings.
    bytes: u64,
    /// Their extra columns; none where they have none.
    extra: Vec<RecordBatch>,
    written: Vec<Key>,
}

impl ShardWriter<'_> {
    /// How many bytes of embeddings, as they are stored, make a shard full; 64 MiB unless set. A shard has one row at
    /// least. Set it before the first row is written.
    pub fn bytes_per_shard(mut self, bytes: u64) -> Self {
        self.bytes_per_shard = bytes;
        self
    }

    /// Adds rows, and writes the shards that become full.
    ///
    /// # Errors
    ///
    /// As [`EmbeddingCache::write_shard`]; `Invalid` also where earlier rows have extra columns. After an error the
    /// full shard is still there to be written by the next call, and the rows that were not yet taken are lost: where
    /// the cause is mended, write all rows again with a new writer.
    pub fn write(&mut self, records: impl IntoIterator<Item = WindowRecord>) -> Result<()> {
        if !self.extra.is_empty() {
            return Err(unlike());
        }
        self.write_full()?;
        for record in records {
            self.push(record)?;
        }
        Ok(())
    }

    /// As [`write`](Self::write), with extra columns as for [`EmbeddingCache::write_shard_with`]: `extra` has one row for
    /// each of these records. All rows of a shard have the same extra columns.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write) and [`EmbeddingCache::write_shard_with`]; also `Invalid` where earlier rows have other
    /// extra columns or none.
    pub fn write_with(
        &mut self,
        records: impl IntoIterator<Item = WindowRecord>,
        extra: &RecordBatch,
    ) -> Result<()> {
        let records: Vec<WindowRecord> = records.into_iter().collect();
        check_extra(extra, records.len())?;
        let before = self.extra.first().map(RecordBatch::schema_ref);
        if before.map_or(!self.records.is_empty(), |schema| schema != extra.schema_ref()) {
            return Err(unlike());
        }
        self.write_full()?;
        let mut first = 0;
        for (row, record) in records.into_iter().enumerate() {
            // Taken before the row that fills the shard.
            if self.is_filled_by(&record) {
                self.extra.push(extra.slice(first, row + 1 - first));
                first = row + 1;
            }
            self.push(record)?;
        }
        if first < extra.num_rows() {
            self.extra.push(extra.slice(first, extra.num_rows() - first));
        }
        Ok(())
    }

    /// Writes the rest, and returns the keys of all shards in their order.
    ///
    /// # Errors
    ///
    /// As [`EmbeddingCache::write_shard`].
    pub fn finish(mut self) -> Result<Vec<Key>> {
        if !self.records.is_empty() {
            self.write_shard()?;
        }
        Ok(self.written)
    }

    fn push(&mut self, record: WindowRecord) -> Result<()> {
        self.bytes += stored_bytes(&record);
        self.records.push(record);
        self.write_full()
    }

    fn is_filled_by(&self, record: &WindowRecord) -> bool {
        self.bytes + stored_bytes(record) >= self.bytes_per_shard
            || self.records.len() + 1 >= ROWS_PER_SHARD
    }

    fn write_full(&mut self) -> Result<()> {
        let is_full = self.bytes >= self.bytes_per_shard || self.records.len() >= ROWS_PER_SHARD;
        if is_full && !self.records.is_empty() { self.write_shard() } else { Ok(()) }
    }

    fn write_shard(&mut self) -> Result<()> {
        let extra = match self.extra.first() {
            Some(first) => {
                Some(concat_batches(first.schema_ref(), &self.extra).map_err(|error| {
                    invalid("the extra columns cannot be put together").with_source(error)
                })?)
            }
            None => None,
        };
        let block = self.first_block.checked_add(self.written.len() as u64);
        let block = block.ok_or_else(|| invalid("there is no block after the last one"))?;
        let Self { cache, encoder_id, group, records, .. } = &*self;
        let key = cache.write_rows(encoder_id, group.clone(), block, records, extra.as_ref())?;
        self.written.push(key);
        self.records.clear();
        self.extra.clear();
        self.bytes = 0;
        Ok(())
    }
}

fn stored_bytes(record: &WindowRecord) -> u64 {
    (record.embedding.len() * record.key.dtype.stored_width()) as u64
}

fn unlike() -> larder_storage::Error {
    invalid("earlier rows have other extra columns: give all rows the same ones, or none")
}
