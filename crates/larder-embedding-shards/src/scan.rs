//! All rows that have something in common, as Arrow batches.

use std::{
    ops::{Range, RangeInclusive},
    sync::Arc,
};

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use larder_storage::{Error, ErrorKind, Key, Result, Storage};

use crate::{
    Dtype, PoolType,
    cache::list,
    record::invalid,
    shard::{Condition, Query, Selected, Shard, of_nothing, standard},
};

/// Which rows are scanned, and what of them. Unless something is set, it is all rows, with the columns of the Python
/// package's schema.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    dtype: Option<Dtype>,
    conditions: Vec<Condition>,
    columns: Option<Vec<String>>,
    batch_rows: Option<usize>,
}

impl Scan {
    /// Only rows of the encoder whose weights have this hash.
    #[must_use]
    pub fn encoder_hash(self, hash: [u8; 32]) -> Self {
        self.only(Condition::equal("encoder_hash", hash))
    }

    /// Only rows of this dtype.
    #[must_use]
    pub fn dtype(mut self, dtype: Dtype) -> Self {
        self.dtype = Some(dtype);
        self.only(Condition::equal("dtype", dtype.as_str()))
    }

    /// Only rows of this layer.
    #[must_use]
    pub fn state_layer(self, layer: i8) -> Self {
        let layer = i64::from(layer);
        self.only(Condition::within("state_layer", layer..=layer))
    }

    /// Only rows that were pooled in this way, `radius` positions to each side.
    #[must_use]
    pub fn pool(self, pool: PoolType, radius: u32) -> Self {
        let radius = i64::from(radius);
        self.only(Condition::equal("pool_type", pool.as_str()))
            .only(Condition::within("pool_radius", radius..=radius))
    }

    /// Only rows of this contig, or document.
    #[must_use]
    pub fn source(self, source: impl Into<String>) -> Self {
        self.only(Condition::equal("chrom", source.into()))
    }

    /// Only rows whose window shares a position with this range; none where the range is empty.
    #[must_use]
    pub fn positions(self, positions: Range<i64>) -> Self {
        if positions.is_empty() {
            return self.only(Condition::within("start_bp", NOTHING));
        }
        // A window of one position at least reaches past the range's start where it ends behind it.
        self.only(Condition::within("start_bp", i64::MIN..=positions.end - 1))
            .only(Condition::within("end_bp", positions.start.saturating_add(1)..=i64::MAX))
    }

    /// Only rows that were made in this range of time, in nanoseconds since 1970 in UTC.
    #[must_use]
    pub fn created(self, created: Range<i64>) -> Self {
        let range = if created.is_empty() { NOTHING } else { created.start..=created.end - 1 };
        self.only(Condition::within("created_at", range))
    }

    /// These columns alone, in this order: those of the schema, the checksums of shards that Larder wrote, and columns of
    /// one's own. Embeddings that are not asked for are not read.
    #[must_use]
    pub fn columns<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.columns = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// The most rows of a batch, one at least; unless it is set, as many as have about a million numbers, and 8,192 at
    /// most.
    #[must_use]
    pub fn batch_rows(mut self, rows: usize) -> Self {
        self.batch_rows = Some(rows);
        self
    }

    fn only(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }
}

/// A range without a number.
const NOTHING: RangeInclusive<i64> = RangeInclusive::new(1, 0);

/// The rows that [`EmbeddingCache::scan`](crate::EmbeddingCache::scan) found, as batches of one schema. An error is an
/// [`ArrowError::ExternalError`] of a [`larder_storage::Error`], and nothing comes after it.
#[derive(Debug)]
pub struct ScanReader {
    storage: Arc<dyn Storage>,
    query: Arc<Query>,
    /// All that were indexed at the beginning, sorted.
    shards: Vec<Key>,
    /// How many of them were opened.
    opened: usize,
    current: Option<Selected>,
    /// Read at once, because it has the schema.
    first: Option<RecordBatch>,
    schema: SchemaRef,
}

impl ScanReader {
    /// Begins to read `shards`, which are sorted.
    pub(crate) fn new(storage: Arc<dyn Storage>, shards: Vec<Key>, scan: Scan) -> Result<Self> {
        let Scan { dtype, conditions, columns, batch_rows } = scan;
        let columns = columns.unwrap_or_else(|| standard().map(str::to_owned).collect());
        let schema = of_nothing(&columns, dtype.unwrap_or(Dtype::Fp32)).into();
        let query = Arc::new(Query { conditions, columns, batch_rows });
        let (opened, current, first) = (0, None, None);
        let mut reader = Self { storage, query, shards, opened, current, first, schema };
        reader.first = reader.advance()?;
        if let Some(first) = &reader.first {
            reader.schema = first.schema();
        }
        Ok(reader)
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(current) = &mut self.current
                && let Some(batch) = current.next()?
            {
                return Ok(Some(batch));
            }
            self.current = None;
            let Some(path) = self.shards.get(self.opened) else { return Ok(None) };
            self.current = self.open(path)?;
            self.opened += 1;
        }
    }

    /// Opens a shard; `None` where it was removed.
    fn open(&self, path: &Key) -> Result<Option<Selected>> {
        match self.storage.open(path)? {
            Some(reader) => {
                let shard = Shard::open(path, reader.into())?;
                Ok(Some(Selected::new(shard, &self.query)))
            }
            None => self.check_removal(path).map(|()| None),
        }
    }

    /// A shard that is gone may have been rewritten into one that this scan does not know.
    fn check_removal(&self, gone: &Key) -> Result<()> {
        let now = list(&*self.storage)?;
        if now.iter().all(|path| self.shards.binary_search(path).is_ok()) {
            return Ok(());
        }
        let message = "the shard was removed and others were written, which may have its rows: open the cache anew and scan again";
        Err(Error::new(ErrorKind::Conflict, message).at_key(gone))
    }

    /// Refuses rows that do not go with those before.
    fn check(&self, batch: &RecordBatch) -> Result<()> {
        let found = batch.schema();
        let mut pairs = self.schema.fields().iter().zip(found.fields());
        let Some((before, now)) = pairs.find(|(before, now)| before != now) else { return Ok(()) };
        let message = format!(
            "its column {} is {} and that of the shards before is {}: filter by dtype or encoder, and scan each apart",
            now.name(),
            shown(now.data_type()),
            shown(before.data_type())
        );
        let path = self.opened.checked_sub(1).and_then(|last| self.shards.get(last));
        let error = invalid(message);
        Err(match path {
            Some(path) => error.at_key(path),
            None => error,
        })
    }

    fn read(&mut self) -> Result<Option<RecordBatch>> {
        if self.first.is_some() {
            return Ok(self.first.take());
        }
        let batch = self.advance()?;
        batch.iter().try_for_each(|batch| self.check(batch))?;
        Ok(batch)
    }
}

/// A type as it is told: `512 Float16` for an embedding.
fn shown(kind: &DataType) -> String {
    match kind {
        DataType::FixedSizeList(item, dim) => format!("{dim} {}", item.data_type()),
        other => other.to_string(),
    }
}

impl Iterator for ScanReader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if read.is_err() {
            (self.current, self.opened) = (None, self.shards.len());
        }
        read.map_err(|error| ArrowError::ExternalError(error.into())).transpose()
    }
}

impl RecordBatchReader for ScanReader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
