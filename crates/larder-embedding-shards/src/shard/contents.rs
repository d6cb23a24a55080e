use arrow_array::{BooleanArray, RecordBatch};
use arrow_schema::{ArrowError, Fields};
use arrow_select::{concat::concat_batches, filter::filter_record_batch};
use larder_storage::{Error, ErrorKind, Result};

use super::{Shard, schema};
use crate::WindowRecord;

/// All rows of one or more shards.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) records: Vec<WindowRecord>,
    /// The columns that are none of ours, of the same rows; empty where there are none.
    extra: Vec<RecordBatch>,
}

impl Contents {
    /// Appends rows with the same further columns.
    pub(crate) fn append(&mut self, other: Self) {
        self.records.extend(other.records);
        self.extra.extend(other.extra);
    }

    /// The columns that are none of ours.
    pub(crate) fn extra(&self) -> Result<Option<RecordBatch>> {
        let Some(first) = self.extra.first() else { return Ok(None) };
        concat_batches(first.schema_ref(), &self.extra).map(Some).map_err(failed)
    }

    /// Keeps some of the rows; `kept` has an entry for each.
    pub(crate) fn retain(&mut self, kept: &[bool]) -> Result<()> {
        let mut each = kept.iter();
        self.records.retain(|_| each.next().is_some_and(|kept| *kept));
        if let Some(extra) = self.extra()? {
            let kept = BooleanArray::from(kept.to_vec());
            self.extra = vec![filter_record_batch(&extra, &kept).map_err(failed)?];
        }
        Ok(())
    }
}

impl Shard {
    /// All rows, checked against their rules and checksums.
    pub(crate) fn contents(&self) -> Result<Contents> {
        let mut contents = Contents::default();
        self.scan(None, None, |rows| {
            contents.records.extend(self.checked(&rows)?);
            contents.extra.extend(extra(rows.batch)?);
            Ok(())
        })?;
        Ok(contents)
    }

    /// The columns that are none of ours.
    pub(crate) fn extra_fields(&self) -> Fields {
        let fields = self.metadata.schema().fields().iter();
        fields.filter(|field| !schema::is_known(field.name())).cloned().collect()
    }

    /// When each row was made, in nanoseconds since 1970 in UTC.
    pub(crate) fn created(&self) -> Result<Vec<i64>> {
        let mut created = Vec::new();
        self.scan(Some(&["created_at"]), None, |rows| {
            created.extend_from_slice(rows.created()?.values());
            Ok(())
        })?;
        Ok(created)
    }
}

/// The columns of a batch that are none of ours.
fn extra(batch: &RecordBatch) -> Result<Option<RecordBatch>> {
    let schema = batch.schema();
    let names = schema.fields().iter().enumerate();
    let columns: Vec<usize> =
        names.filter(|(_, field)| !schema::is_known(field.name())).map(|(i, _)| i).collect();
    if columns.is_empty() {
        return Ok(None);
    }
    batch.project(&columns).map(Some).map_err(failed)
}

fn failed(error: ArrowError) -> Error {
    Error::new(ErrorKind::Backend, "further columns cannot be joined").with_source(error)
}
