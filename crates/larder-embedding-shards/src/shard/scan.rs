use larder_storage::Result;
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{
        ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
    },
};

use super::{
    RowEntry, RowPlace, Shard,
    columns::Rows,
    corrupt, guarded, read_row,
    schema::{EMBEDDING, EMBEDDING_CRC, KEY, SCHEMA_VERSION},
    source::Source,
};
use crate::{Embedding, WindowKey, WindowRecord, record::invalid};

/// About how many numbers are decoded at once.
const BATCH_VALUES: i64 = 1 << 20;

impl Shard {
    /// What the index keeps of the rows, from the columns of key, schema version and checksum alone.
    pub(crate) fn entries(&self) -> Result<Vec<RowEntry>> {
        let mut columns = KEY.to_vec();
        columns.push(SCHEMA_VERSION);
        columns.extend(self.ours.then_some(EMBEDDING_CRC));
        let mut entries = Vec::new();
        self.scan(Some(&columns), None, |rows| {
            rows.check_versions()?;
            let crcs = if self.ours { Some(rows.crcs()?) } else { None };
            for (i, key) in rows.keys()?.into_iter().enumerate() {
                let (row, crc) = (entries.len() as u64, crcs.map(|crcs| crcs.value(i)));
                entries.push(RowEntry { key, row, crc, offset: None });
            }
            Ok(())
        })?;
        if entries.len() as u64 != self.rows()? {
            return Err(corrupt(self.path(), "has another number of rows than it says"));
        }
        for (entry, offset) in entries.iter_mut().zip(self.offsets().into_iter().flatten()) {
            entry.offset = Some(offset);
        }
        Ok(entries)
    }

    /// The keys and embeddings of some rows, whose numbers rise, by decoding their pages.
    pub(crate) fn decode(&self, wanted: &[u64]) -> Result<Vec<(WindowKey, Embedding)>> {
        let mut columns = KEY.to_vec();
        columns.push(EMBEDDING);
        columns.extend(self.ours.then_some(EMBEDDING_CRC));
        let mut decoded = Vec::with_capacity(wanted.len());
        self.scan(Some(&columns), Some(selection(wanted)?), |rows| {
            let keys = rows.keys()?;
            let embeddings = rows.embeddings(&keys, self.ours)?;
            if self.ours {
                rows.check_crcs(&keys, &embeddings)?;
            }
            decoded.extend(keys.into_iter().zip(embeddings));
            Ok(())
        })?;
        if decoded.len() != wanted.len() {
            return Err(super::stale(self.path()));
        }
        Ok(decoded)
    }

    /// The whole rows of some numbers, which rise, checked against their rules and checksums.
    pub(crate) fn records(&self, wanted: &[u64]) -> Result<Vec<WindowRecord>> {
        let mut records = Vec::with_capacity(wanted.len());
        self.scan(None, Some(selection(wanted)?), |rows| {
            records.extend(self.checked(&rows)?);
            Ok(())
        })?;
        if records.len() == wanted.len() { Ok(records) } else { Err(super::stale(self.path())) }
    }

    /// Whole rows, checked against their rules and, where the file is ours, their checksums.
    pub(super) fn checked(&self, rows: &Rows<'_>) -> Result<Vec<WindowRecord>> {
        let records = rows.records(self.ours)?;
        if self.ours {
            let (keys, embeddings): (Vec<_>, Vec<_>) =
                records.iter().map(|r| (r.key, r.embedding.clone())).unzip();
            rows.check_crcs(&keys, &embeddings)?;
            rows.check_sources(&records)?;
        }
        Ok(records)
    }

    /// Checks the whole file, decodes every row, checks it against every rule and checksum, and reads it by its offset as well.
    pub(crate) fn verify(&self) -> Result<Vec<RowEntry>> {
        self.verify_file()?;
        let entries = self.entries()?;
        let mut at = 0;
        self.scan(None, None, |rows| {
            let records = self.checked(&rows)?;
            for (record, entry) in records.iter().zip(entries.get(at..).unwrap_or_default()) {
                self.verify_offset(entry, &record.embedding)?;
            }
            at += records.len();
            Ok(())
        })?;
        if at == entries.len() {
            Ok(entries)
        } else {
            Err(corrupt(self.path(), "its columns differ in length"))
        }
    }

    fn verify_offset(&self, entry: &RowEntry, expected: &Embedding) -> Result<()> {
        let (Some(offset), Some(crc), Some(dim)) = (entry.offset, entry.crc, self.dim()) else {
            return Ok(());
        };
        let found =
            read_row(self.path(), &*self.reader, &entry.key, RowPlace { offset, dim, crc })?;
        if found == *expected {
            Ok(())
        } else {
            Err(corrupt(self.path(), "a row is not at its offset"))
        }
    }

    /// Decodes columns (all, without a list) of rows (all, without a selection), some at a time.
    pub(super) fn scan(
        &self,
        columns: Option<&[&str]>,
        selection: Option<RowSelection>,
        mut visit: impl FnMut(Rows<'_>) -> Result<()>,
    ) -> Result<()> {
        let path = self.path();
        guarded(path, &self.reader, |source| {
            let unreadable =
                |error| corrupt(path, "its pages cannot be decoded").with_source(error);
            let reader = self.batches(source, columns, selection);
            for batch in reader.map_err(|error| {
                unreadable(Box::<dyn std::error::Error + Send + Sync>::from(error))
            })? {
                let batch = batch.map_err(|error| unreadable(error.into()))?;
                visit(Rows { path, batch: &batch })?;
            }
            Ok(())
        })
    }

    fn batches(
        &self,
        source: Source,
        columns: Option<&[&str]>,
        selection: Option<RowSelection>,
    ) -> parquet::errors::Result<ParquetRecordBatchReader> {
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(source, self.metadata.clone());
        if let Some(columns) = columns {
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
            builder = builder.with_projection(mask);
        }
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        builder.with_batch_size(self.batch_rows()).build()
    }

    /// How many whole rows are decoded at once.
    pub(super) fn batch_rows(&self) -> usize {
        let metadata = self.metadata.metadata();
        // The embedding is by far the widest column.
        let values = metadata
            .row_groups()
            .iter()
            .flat_map(|g| g.columns())
            .map(|c| c.num_values())
            .max()
            .unwrap_or(0);
        let longest =
            metadata.row_groups().iter().map(|group| group.num_rows()).max().unwrap_or(0).max(1);
        let rows = BATCH_VALUES / (values / longest).max(1);
        usize::try_from(rows).unwrap_or(1).clamp(1, 8192)
    }
}

/// A selection of rows, whose numbers rise.
fn selection(wanted: &[u64]) -> Result<RowSelection> {
    let mut selectors = Vec::new();
    let mut next = 0;
    for &row in wanted {
        let skipped = row.checked_sub(next).and_then(|rows| usize::try_from(rows).ok());
        selectors.push(RowSelector::skip(
            skipped.ok_or_else(|| invalid("the rows to decode do not rise"))?,
        ));
        selectors.push(RowSelector::select(1));
        next = row + 1;
    }
    Ok(selectors.into())
}
