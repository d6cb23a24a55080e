use std::{
    io::{self, Write},
    sync::Arc,
};

use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeBinaryArray, Int8Array, Int32Array, Int64Array, RecordBatch,
    StringArray, UInt32Array,
};
use arrow_schema::{ArrowError, FieldRef, Schema};
use larder_storage::{Bytes, Error, ErrorKind, Result, time};
use parquet::{
    arrow::{
        ArrowWriter,
        arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves},
    },
    basic::{Compression, Encoding, ZstdLevel},
    errors::{ParquetError, Result as ParquetResult},
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
};

use self::{chunk::Chunk, paged::Paged};
pub(crate) use self::{extra::check_extra, memory::Memory};
use super::{
    RowPlace,
    checksum::{BLANK, FILE_CRC_KEY},
    offsets,
    schema::{self, EMBEDDING, EMBEDDING_CRC, SOURCE_CRC},
};
use crate::{Dtype, SHARD_FORMAT_VERSION, WindowRecord, record::invalid};

mod chunk;
mod extra;
mod memory;
mod paged;

/// The entry of the file's metadata that holds [`SHARD_FORMAT_VERSION`].
pub(super) const VERSION_KEY: &str = "larder.format_version";

/// How the embeddings are cut into pages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// How many rows each page has but the last one of a row group.
    pub(crate) page_rows: usize,
    /// A reader handles all pages of a row group at once, so these are few.
    pub(crate) group_pages: usize,
}

impl Layout {
    /// Pages of about 1 MiB, and 64 of them in a row group.
    pub(crate) fn of(dtype: Dtype, dim: usize) -> Self {
        let row_bytes = (dim * dtype.stored_width()).max(1);
        Self { page_rows: ((1 << 20) / row_bytes).clamp(1, 8192), group_pages: 64 }
    }
}

/// The Parquet file of `records`, which agree in dtype and width. Rows without a time get the present one. The columns
/// of `extra`, which has one row for each record, come after ours.
///
/// # Errors
///
/// `Invalid` where there are no records, and where `extra` has another number of rows, a column without a name, with
/// one of ours or with one that it has twice, or a type that Parquet lacks.
#[cfg(test)]
pub(crate) fn encode(
    records: &[WindowRecord],
    extra: Option<&RecordBatch>,
    layout: Layout,
) -> Result<Bytes> {
    encode_with(records, extra, &[], layout)
}

/// The same with further entries of the file's metadata.
pub(crate) fn encode_with(
    records: &[WindowRecord],
    extra: Option<&RecordBatch>,
    entries: &[(&str, String)],
    layout: Layout,
) -> Result<Bytes> {
    let mut file = Memory::for_shard(records, extra)?;
    encode_into(&mut file, records, extra, entries, layout)?;
    Ok(file.into_bytes())
}

/// What is known of a shard that was just encoded.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// The length of the file in bytes.
    pub(crate) len: u64,
    /// Where each row is.
    pub(crate) rows: Vec<RowPlace>,
}

/// Writes the same to `out`, from its beginning to its end, in memory that does not grow with the embeddings.
///
/// # Errors
///
/// As [`encode`]; also those of `out`, of the kind that it gives them.
pub(crate) fn encode_into(
    out: &mut (dyn Write + Send),
    records: &[WindowRecord],
    extra: Option<&RecordBatch>,
    entries: &[(&str, String)],
    layout: Layout,
) -> Result<Encoded> {
    let Some(first) = records.first() else {
        return Err(invalid("a shard needs one row at least"));
    };
    let dim = i32::try_from(first.embedding.len())
        .map_err(|error| invalid("an embedding is too long").with_source(error))?;
    let mut fields = schema::of(first.key.dtype, dim).fields().to_vec();
    if let Some(extra) = extra {
        check_extra(extra, records.len())?;
        fields.extend_from_slice(extra.schema_ref().fields());
    }
    let schema = Arc::new(Schema::new(fields));
    write(Paged::new(out), &schema, records, extra, entries, layout)
        .map_err(|error| failed(error, extra.is_some()))
}

fn failed(error: ParquetError, has_extra: bool) -> Error {
    let source = match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => return Error::io(*error, "the shard cannot be written"),
            Err(source) => ParquetError::External(source),
        },
        error => error,
    };
    if has_extra {
        return invalid("the extra columns cannot be written as Parquet").with_source(source);
    }
    Error::new(ErrorKind::Backend, "the shard cannot be encoded").with_source(source)
}

fn write(
    out: Paged<'_>,
    schema: &Arc<Schema>,
    records: &[WindowRecord],
    extra: Option<&RecordBatch>,
    entries: &[(&str, String)],
    layout: Layout,
) -> ParquetResult<Encoded> {
    let writer = ArrowWriter::try_new(out, Arc::clone(schema), Some(properties(entries)))?;
    let (mut file, factory) = writer.into_serialized_writer()?;
    let (now, mut crcs) = (time::now_ns(), Vec::with_capacity(records.len()));
    let group_rows = layout.page_rows.saturating_mul(layout.group_pages);
    for (number, records) in records.chunks(group_rows).enumerate() {
        let extra = extra.map(|extra| extra.slice(number * group_rows, records.len()));
        let chunk = Chunk::new(records, layout.page_rows)?;
        let group = Group { chunk, records, extra, now };
        group.write(number, &mut file, &factory, schema)?;
        crcs.extend(group.chunk.crcs());
    }
    file.flush()?;
    file.inner_mut().hold_end()?;
    let metadata = file.finish()?;
    file.inner_mut().finish()?;
    let len = file.bytes_written() as u64;
    let dim = records.first().map_or(0, |record| record.embedding.len());
    let offsets = offsets::rows(&metadata, len).filter(|offsets| offsets.len() == crcs.len());
    let offsets = offsets.ok_or_else(|| ParquetError::General("the rows have no place".into()))?;
    let rows = offsets.into_iter().zip(crcs);
    Ok(Encoded { len, rows: rows.map(|(offset, crc)| RowPlace { offset, dim, crc }).collect() })
}

fn properties(entries: &[(&str, String)]) -> WriterProperties {
    let mut metadata =
        vec![KeyValue::new(VERSION_KEY.to_owned(), SHARD_FORMAT_VERSION.to_string())];
    metadata.extend(entries.iter().map(|(k, v)| KeyValue::new((*k).to_owned(), v.clone())));
    metadata.push(KeyValue::new(FILE_CRC_KEY.to_owned(), BLANK.to_owned()));
    let mut builder = WriterProperties::builder()
        .set_key_value_metadata(Some(metadata))
        .set_max_row_group_row_count(None)
        .set_compression(Compression::ZSTD(ZstdLevel::default()));
    // Mostly all different, but close to the one before.
    for column in ["start_bp", "end_bp", "created_at"] {
        builder = builder
            .set_column_dictionary_enabled(column.into(), false)
            .set_column_encoding(column.into(), Encoding::DELTA_BINARY_PACKED);
    }
    // Random bits: neither dictionary nor compression nor statistics would gain anything.
    for column in ["window_hash", EMBEDDING_CRC, SOURCE_CRC] {
        builder = builder
            .set_column_compression(column.into(), Compression::UNCOMPRESSED)
            .set_column_dictionary_enabled(column.into(), false)
            .set_column_encoding(column.into(), Encoding::PLAIN)
            .set_column_statistics_enabled(column.into(), EnabledStatistics::None);
    }
    builder.build()
}

/// The rows of one row group.
struct Group<'a> {
    chunk: Chunk<'a>,
    records: &'a [WindowRecord],
    extra: Option<RecordBatch>,
    /// The time of the rows that have none.
    now: i64,
}

type RowGroup<'a, 'w> = SerializedRowGroupWriter<'a, Paged<'w>>;

impl Group<'_> {
    fn write(
        &self,
        number: usize,
        file: &mut SerializedFileWriter<Paged<'_>>,
        factory: &ArrowRowGroupWriterFactory,
        schema: &Schema,
    ) -> ParquetResult<()> {
        let mut writers = factory.create_column_writers(number)?.into_iter();
        let before = schema.index_of(EMBEDDING)?;
        let embedding = file.schema_descr().column(before);
        let mut group = file.next_row_group()?;
        let (first, rest) = schema.fields().split_at(before);
        append(&mut group, &mut writers, first, self.before_embedding()?)?;
        // The library would encode value by value what lies there already as it is stored.
        writers.next();
        self.chunk.append_to(&mut group, embedding)?;
        append(&mut group, &mut writers, &rest[1..], self.after_embedding()?)?;
        group.close().map(|_| ())
    }

    fn before_embedding(&self) -> Result<Vec<ArrayRef>, ArrowError> {
        let numbers = |of: fn(&WindowRecord) -> i64| {
            Arc::new(Int64Array::from_iter_values(self.records.iter().map(of)))
        };
        let hash = |of: fn(&WindowRecord) -> [u8; 32]| {
            FixedSizeBinaryArray::try_from_iter(self.records.iter().map(of)).map(Arc::new)
        };
        let layers = Int8Array::from_iter_values(self.records.iter().map(|r| r.key.state_layer));
        let radii = self.records.iter().map(|r| r.key.pool_radius.cast_signed());
        Ok(vec![
            self.text(|r| &r.chrom),
            numbers(|r| r.start_bp),
            numbers(|r| r.end_bp),
            hash(|r| r.key.window_hash)?,
            hash(|r| r.key.encoder_hash)?,
            Arc::new(layers),
            self.text(|r| r.key.pool_type.as_str()),
            Arc::new(Int32Array::from_iter_values(radii)),
            self.text(|r| r.key.dtype.as_str()),
        ])
    }

    /// The columns after the embedding, whose checksums are known when it is written.
    fn after_embedding(&self) -> Result<Vec<ArrayRef>, ArrowError> {
        let created = |r: &WindowRecord| if r.created_at == 0 { self.now } else { r.created_at };
        let untargeted = self.records.iter().map(|r| Some(r.untargeted));
        let sources = self.records.iter().map(|r| r.source_crc32c(created(r)));
        let ours: [ArrayRef; 5] = [
            Arc::new(BooleanArray::from_iter(untargeted)),
            Arc::new(Int64Array::from_iter_values(self.records.iter().map(created))),
            self.text(|r| r.schema_version),
            Arc::new(UInt32Array::from(self.chunk.crcs())),
            Arc::new(UInt32Array::from_iter_values(sources)),
        ];
        let extra = self.extra.iter().flat_map(|extra| extra.columns());
        Ok(ours.into_iter().chain(extra.cloned()).collect())
    }

    fn text(&self, of: fn(&WindowRecord) -> &str) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(self.records.iter().map(of)))
    }
}

/// Appends whole columns to a row group.
fn append(
    group: &mut RowGroup<'_, '_>,
    writers: &mut impl Iterator<Item = ArrowColumnWriter>,
    fields: &[FieldRef],
    columns: Vec<ArrayRef>,
) -> ParquetResult<()> {
    for (field, column) in fields.iter().zip(&columns) {
        for leaf in compute_leaves(field, column)? {
            let mut writer = writers
                .next()
                .ok_or_else(|| ParquetError::General("a column has no writer".into()))?;
            writer.write(&leaf)?;
            writer.close()?.append_to_row_group(group)?;
        }
    }
    Ok(())
}
