use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeBinaryArray, FixedSizeListArray, Float16Array, Float32Array,
    Int8Array, Int32Array, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow_buffer::{Buffer, ScalarBuffer};
use arrow_schema::{DataType, Schema};
use larder_storage::{Bytes, Error, ErrorKind, Result, crc32c_append, time};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, Encoding, ZstdLevel},
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties},
    },
    schema::types::ColumnPath,
};

use super::schema::{self, EMBEDDING, EMBEDDING_CRC, SOURCE_CRC};
use crate::{Dtype, Embedding, SHARD_FORMAT_VERSION, WindowRecord, embedding::widen};

// Rows are checksummed and read as they lie in memory, which Parquet wants to be little endian.
#[cfg(target_endian = "big")]
compile_error!("larder-embedding-shards needs a little-endian machine");

/// The entry of the file's metadata that holds [`SHARD_FORMAT_VERSION`].
pub(super) const VERSION_KEY: &str = "larder.format_version";

/// How the embeddings are cut into pages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Where a page ends, to within one call of the encoder.
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

/// The Parquet file of `records`, which agree in dtype and width. Rows without a time get the present one.
pub(crate) fn encode(
    records: &[WindowRecord],
    dtype: Dtype,
    dim: usize,
    layout: Layout,
) -> Result<Bytes> {
    encode_with(records, None, &[], dtype, dim, layout)
}

/// The same with further columns and with further entries of the file's metadata.
pub(crate) fn encode_with(
    records: &[WindowRecord],
    extra: Option<&RecordBatch>,
    entries: &[(&str, String)],
    dtype: Dtype,
    dim: usize,
    layout: Layout,
) -> Result<Bytes> {
    let failed =
        |error| Error::new(ErrorKind::Backend, "the shard cannot be encoded").with_source(error);
    let width = i32::try_from(dim)
        .map_err(|error| failed(Box::new(error) as Box<dyn std::error::Error + Send + Sync>))?;
    let schema = Arc::new(schema::of(dtype, width));
    let mut file = Vec::new();
    let mut write = || -> parquet::errors::Result<()> {
        let batch = with_extra(columns(records, &schema, dtype, dim)?, extra)?;
        let properties = properties(dim, layout, entries);
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties))?;
        writer.write(&batch)?;
        writer.close().map(|_| ())
    };
    write().map_err(|error| failed(error.into()))?;
    Ok(file.into())
}

fn with_extra(
    batch: RecordBatch,
    extra: Option<&RecordBatch>,
) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let Some(extra) = extra else { return Ok(batch) };
    let fields = [batch.schema().fields().as_ref(), extra.schema().fields().as_ref()].concat();
    let columns = [batch.columns(), extra.columns()].concat();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn properties(dim: usize, layout: Layout, entries: &[(&str, String)]) -> WriterProperties {
    let mut metadata =
        vec![KeyValue::new(VERSION_KEY.to_owned(), SHARD_FORMAT_VERSION.to_string())];
    metadata.extend(entries.iter().map(|(k, v)| KeyValue::new((*k).to_owned(), v.clone())));
    let page_values = layout.page_rows.saturating_mul(dim);
    let embedding = ColumnPath::new(vec![EMBEDDING.into(), "list".into(), "element".into()]);
    let mut builder = WriterProperties::builder()
        .set_key_value_metadata(Some(metadata))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_write_batch_size(page_values.clamp(1, 16_384))
        .set_max_row_group_row_count(Some(layout.page_rows.saturating_mul(layout.group_pages)))
        .set_column_data_page_row_count_limit(embedding.clone(), layout.page_rows)
        // Only rows end a page, so that their number in a row group is known.
        .set_column_data_page_size_limit(embedding.clone(), i32::MAX as usize);
    // Random bits: neither dictionary nor compression nor statistics would gain anything.
    let hash = ColumnPath::from("window_hash");
    for column in [embedding, hash, EMBEDDING_CRC.into(), SOURCE_CRC.into()] {
        builder = builder
            .set_column_compression(column.clone(), Compression::UNCOMPRESSED)
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column.clone(), Encoding::PLAIN)
            .set_column_statistics_enabled(column, EnabledStatistics::None);
    }
    builder.build()
}

fn columns(
    records: &[WindowRecord],
    schema: &Arc<Schema>,
    dtype: Dtype,
    dim: usize,
) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let now = time::now_ns();
    let created =
        |record: &WindowRecord| if record.created_at == 0 { now } else { record.created_at };
    let text = |of: fn(&WindowRecord) -> &str| {
        Arc::new(StringArray::from_iter_values(records.iter().map(of)))
    };
    let numbers = |of: &dyn Fn(&WindowRecord) -> i64| {
        Arc::new(Int64Array::from_iter_values(records.iter().map(of)))
    };
    let hash = |of: fn(&WindowRecord) -> [u8; 32]| {
        FixedSizeBinaryArray::try_from_iter(records.iter().map(of)).map(Arc::new)
    };
    let stored = stored(records, dtype);
    let source_crcs =
        UInt32Array::from_iter_values(records.iter().map(|r| r.source_crc32c(created(r))));
    let radii =
        Int32Array::from_iter_values(records.iter().map(|r| r.key.pool_radius.cast_signed()));
    let arrays: Vec<ArrayRef> = vec![
        text(|r| &r.chrom),
        numbers(&|r| r.start_bp),
        numbers(&|r| r.end_bp),
        hash(|r| r.key.window_hash)?,
        hash(|r| r.key.encoder_hash)?,
        Arc::new(Int8Array::from_iter_values(records.iter().map(|r| r.key.state_layer))),
        text(|r| r.key.pool_type.as_str()),
        Arc::new(radii),
        text(|r| r.key.dtype.as_str()),
        embeddings(&stored, schema, dtype)?,
        Arc::new(BooleanArray::from_iter(records.iter().map(|r| Some(r.untargeted)))),
        numbers(&created),
        text(|r| r.schema_version),
        Arc::new(embedding_crcs(records, &stored, dim * dtype.stored_width())),
        Arc::new(source_crcs),
    ];
    RecordBatch::try_new(Arc::clone(schema), arrays)
}

/// The stored numbers of all rows, one after the other.
fn stored(records: &[WindowRecord], dtype: Dtype) -> Buffer {
    // Moved as integers: a float that passes through a register may lose a NaN's payload.
    let mut halves: Vec<u16> = Vec::new();
    let mut singles: Vec<u32> = Vec::new();
    for record in records {
        match &record.embedding {
            Embedding::Fp16(values) => halves.extend(values.iter().map(|value| value.to_bits())),
            Embedding::Bf16(values) => singles.extend(values.iter().copied().map(widen)),
            Embedding::Fp32(values) => singles.extend(values.iter().map(|value| value.to_bits())),
        }
    }
    if dtype == Dtype::Fp16 { Buffer::from_vec(halves) } else { Buffer::from_vec(singles) }
}

fn embeddings(
    stored: &Buffer,
    schema: &Schema,
    dtype: Dtype,
) -> Result<ArrayRef, arrow_schema::ArrowError> {
    let count = stored.len() / dtype.stored_width();
    let values: ArrayRef = if dtype == Dtype::Fp16 {
        Arc::new(Float16Array::new(ScalarBuffer::new(stored.clone(), 0, count), None))
    } else {
        Arc::new(Float32Array::new(ScalarBuffer::new(stored.clone(), 0, count), None))
    };
    match schema.field_with_name(EMBEDDING)?.data_type() {
        DataType::FixedSizeList(item, dim) => {
            Ok(Arc::new(FixedSizeListArray::try_new(Arc::clone(item), *dim, values, None)?))
        }
        other => {
            Err(arrow_schema::ArrowError::SchemaError(format!("the embedding column is a {other}")))
        }
    }
}

fn embedding_crcs(records: &[WindowRecord], stored: &Buffer, row_bytes: usize) -> UInt32Array {
    let rows = stored.as_slice().chunks_exact(row_bytes);
    UInt32Array::from_iter_values(
        records.iter().zip(rows).map(|(r, bytes)| crc32c_append(r.key.crc32c(), bytes)),
    )
}
