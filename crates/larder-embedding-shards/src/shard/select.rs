//! The wanted rows and columns of a shard, batch after batch.

use std::{sync::Arc, vec};

use arrow_array::{
    Array, ArrayRef, FixedSizeListArray, ListArray, RecordBatch, RecordBatchOptions,
    cast::AsArray,
    types::{Float16Type, Float32Type},
};
use arrow_schema::{DataType, Field, FieldRef, Schema};
use larder_storage::{Error, ErrorKind, Result, crc32c_append};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{
        ArrowPredicate, ArrowPredicateFn, ParquetRecordBatchReader,
        ParquetRecordBatchReaderBuilder, RowFilter, RowSelectionPolicy,
    },
};

use super::{
    Shard,
    columns::Rows,
    corrupt,
    filter::Condition,
    schema::{self, EMBEDDING, EMBEDDING_CRC, KEY, SCHEMA_VERSION},
    source::Source,
    watched,
};
use crate::{Embedding, record::invalid};

/// How many rows without embeddings are decoded at once.
const NARROW_ROWS: usize = 8192;

/// Which rows are read, and what of them.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// All of them hold for a row that is read.
    pub(crate) conditions: Vec<Condition>,
    /// By name, in the order in which they are returned.
    pub(crate) columns: Vec<String>,
    /// The most rows of a batch.
    pub(crate) batch_rows: Option<usize>,
}

impl Query {
    fn has_embedding(&self) -> bool {
        self.columns.iter().any(|name| name == EMBEDDING)
    }
}

/// A shard that is read from its beginning to its end, one row group after the other.
#[derive(Debug)]
pub(crate) struct Selected {
    shard: Shard,
    query: Arc<Query>,
    source: Source,
    /// Those that are still to be read.
    groups: vec::IntoIter<usize>,
    batches: Option<ParquetRecordBatchReader>,
}

impl Selected {
    pub(crate) fn new(shard: Shard, query: &Arc<Query>) -> Self {
        let groups = shard.metadata.metadata().row_groups().iter().enumerate();
        let may_hold = |condition: &Condition, group| condition.may_hold(group);
        let groups: Vec<usize> = groups
            .filter(|(_, group)| query.conditions.iter().all(|c| may_hold(c, group)))
            .map(|(index, _)| index)
            .collect();
        let (source, groups) = (Source::new(Arc::clone(&shard.reader)), groups.into_iter());
        Self { shard, query: Arc::clone(query), source, groups, batches: None }
    }

    /// The next rows; never none of them.
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(decoded) = self.decode()? {
                return self.batch(&decoded).map(Some);
            }
            let Some(group) = self.groups.next() else { return Ok(None) };
            self.batches = Some(self.open(group)?);
        }
    }

    fn decode(&mut self) -> Result<Option<RecordBatch>> {
        let Some(batches) = &mut self.batches else { return Ok(None) };
        let path = self.shard.path();
        watched(path, &self.source, || {
            let decoded = batches.find(|batch| !batch.as_ref().is_ok_and(|b| b.num_rows() == 0));
            decoded.transpose().map_err(|error| self.shard.unreadable(error))
        })
    }

    /// Begins to read a row group: its conditions are decided, and what they let through is still to be decoded.
    fn open(&self, group: usize) -> Result<ParquetRecordBatchReader> {
        let Query { conditions, columns, batch_rows } = &*self.query;
        let has_embedding = self.query.has_embedding();
        let mut decoded: Vec<&str> = columns.iter().map(String::as_str).collect();
        decoded.push(SCHEMA_VERSION);
        if has_embedding && self.shard.ours {
            decoded.extend(KEY.into_iter().chain([EMBEDDING_CRC]));
        }
        let mask = self.mask(&decoded)?;
        let conditions = conditions.iter().map(|c| self.predicate(c)).collect::<Result<_>>()?;
        let rows = if has_embedding { self.shard.batch_rows() } else { NARROW_ROWS };
        let metadata = self.shard.metadata.clone();
        watched(self.shard.path(), &self.source, || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(self.source.clone(), metadata)
                .with_row_groups(vec![group])
                .with_projection(mask)
                .with_row_filter(RowFilter::new(conditions))
                // Otherwise rows between those that are wanted may be decoded as well.
                .with_row_selection_policy(RowSelectionPolicy::Selectors)
                .with_batch_size(batch_rows.unwrap_or(rows).max(1))
                .build()
                .map_err(|error| self.shard.unreadable(error))
        })
    }

    fn predicate(&self, condition: &Condition) -> Result<Box<dyn ArrowPredicate>> {
        let (mask, condition) = (self.mask(&[condition.column])?, condition.clone());
        let holds = move |batch: RecordBatch| condition.holds(batch.column(0));
        Ok(Box::new(ArrowPredicateFn::new(mask, holds)))
    }

    /// The columns with these names, whatever is in a name.
    fn mask(&self, names: &[&str]) -> Result<ProjectionMask> {
        let found = self.shard.metadata.schema();
        let index = |name: &&str| {
            found.index_of(name).map_err(|_| {
                let message = format!(
                    "has no column {name:?}, which the scan asks for: leave it out, or filter by what has it"
                );
                invalid(message).at_key(self.shard.path())
            })
        };
        let indexes = names.iter().map(index).collect::<Result<Vec<_>>>()?;
        Ok(ProjectionMask::roots(self.shard.metadata.parquet_schema(), indexes))
    }

    /// The columns that were asked for, checked.
    fn batch(&self, decoded: &RecordBatch) -> Result<RecordBatch> {
        let rows = Rows { path: self.shard.path(), batch: decoded };
        rows.check_versions()?;
        let column = |name: &String| match name.as_str() {
            EMBEDDING => self.embeddings(&rows),
            name => {
                let array = rows.any(name)?;
                let field = Field::new(name, array.data_type().clone(), !schema::is_known(name));
                Ok((Arc::new(field), Arc::clone(array)))
            }
        };
        let columns = self.query.columns.iter().map(column).collect::<Result<Vec<_>>>()?;
        let (fields, arrays): (Vec<FieldRef>, Vec<ArrayRef>) = columns.into_iter().unzip();
        let count = RecordBatchOptions::new().with_row_count(Some(decoded.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &count)
            .map_err(|error| corrupt(self.shard.path(), "breaks a rule").with_source(error))
    }

    /// The embeddings as lists of one width, those of our own shards checked against their checksums.
    fn embeddings(&self, rows: &Rows<'_>) -> Result<(FieldRef, ArrayRef)> {
        let lists: &ListArray = rows.column(EMBEDDING)?;
        let dim = usize::try_from(lists.value_length(0)).unwrap_or_default();
        if let Some(other) = lists.offsets().lengths().find(|length| *length != dim) {
            return Err(self.widths(dim, other));
        }
        let start = usize::try_from(lists.value_offsets()[0]).unwrap_or_default();
        let values = lists.values().slice(start, rows.len() * dim);
        if values.null_count() > 0 || !(1..=Embedding::MAX_LEN).contains(&dim) {
            return Err(corrupt(
                rows.path,
                "has an embedding that is empty, too long or has nulls",
            ));
        }
        if self.shard.ours {
            self.check(rows, &values)?;
        }
        let item = Arc::new(Field::new("element", values.data_type().clone(), false));
        let kind = DataType::FixedSizeList(Arc::clone(&item), dim as i32);
        let array = FixedSizeListArray::try_new(item, dim as i32, values, None)
            .map_err(|error| corrupt(rows.path, "breaks a rule").with_source(error))?;
        Ok((Arc::new(Field::new(EMBEDDING, kind, false)), Arc::new(array)))
    }

    fn check(&self, rows: &Rows<'_>, values: &ArrayRef) -> Result<()> {
        let bytes = if values.data_type() == &DataType::Float16 {
            values.as_primitive::<Float16Type>().values().inner()
        } else {
            values.as_primitive::<Float32Type>().values().inner()
        };
        let stored = bytes.chunks_exact(bytes.len() / rows.len());
        let (keys, crcs) = (rows.keys()?, rows.crcs()?.values());
        let mut found = keys.iter().zip(stored).map(|(key, row)| crc32c_append(key.crc32c(), row));
        if found.by_ref().eq(crcs.iter().copied()) {
            Ok(())
        } else {
            Err(corrupt(rows.path, "a row does not match its checksum"))
        }
    }

    fn widths(&self, one: usize, other: usize) -> Error {
        let message = format!(
            "has embeddings of {one} and of {other} numbers: filter by dtype or encoder, and scan each apart"
        );
        Error::new(ErrorKind::Invalid, message).at_key(self.shard.path())
    }
}

impl Shard {
    fn unreadable(&self, error: impl std::error::Error + Send + Sync + 'static) -> Error {
        corrupt(&self.path, "its pages cannot be decoded").with_source(error)
    }
}
