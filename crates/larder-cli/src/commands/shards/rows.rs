//! What a scan finds, as text or as a file.

use std::{
    io::{self, Write},
    path::Path,
};

use arrow_array::{
    ArrowPrimitiveType, RecordBatch, RecordBatchReader,
    cast::AsArray,
    types::{Float16Type, Float32Type},
};
use arrow_schema::DataType;
use indicatif::ProgressBar;
use larder::{
    embedding_shards::{self, EmbeddingCache, ScanReader},
    lazy_array::{ArrayWriter, Element},
    storage::{Durability, Error, ErrorKind, Result, publish::Stage},
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};
use serde_json::{Value, json};

use super::{bar, cell, npy, own, scan};
use crate::{args::Scan, output};

const EMBEDDING: &str = "embedding";
/// What is printed unless something else is asked for.
const NARROW: [&str; 12] = [
    "chrom",
    "start_bp",
    "end_bp",
    "window_hash",
    "encoder_hash",
    "state_layer",
    "pool_type",
    "pool_radius",
    "dtype",
    "untargeted",
    "created_at",
    "schema_version",
];

/// Prints or writes what was asked for.
///
/// # Errors
/// Those of the scan; `Io` or `Full` where a file cannot be written.
pub(super) fn run(cache: &EmbeddingCache, what: Scan, json: bool) -> Result<()> {
    let Scan { key, source, positions, created, columns, parquet, npy, .. } = what;
    let mut scan = scan(&key);
    if let Some(source) = source {
        scan = scan.source(source);
    }
    if let Some(positions) = positions {
        scan = scan.positions(positions);
    }
    if let Some(created) = created {
        scan = scan.created(created);
    }
    if let Some(file) = npy {
        return to_npy(cache, &scan, &file, json);
    }
    match (parquet, columns) {
        (Some(file), None) => to_parquet(cache, scan, &file, json),
        (Some(file), Some(names)) => to_parquet(cache, scan.columns(names), &file, json),
        (None, None) => print(cache, scan.columns(NARROW), json),
        (None, Some(names)) => print(cache, scan.columns(names), json),
    }
}

/// A line for each row: JSON objects, or a table between tabs under a line of names.
fn print(cache: &EmbeddingCache, scan: embedding_shards::Scan, json: bool) -> Result<()> {
    let reader = cache.scan(scan)?;
    let schema = reader.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut out = io::stdout().lock();
    let head = if json { Vec::new() } else { lines([names.clone()])? };
    let mut go_on = shown(&mut out, &head)?;
    for batch in reader {
        if !go_on {
            break;
        }
        let batch = batch.map_err(own)?;
        let cells = (0..batch.num_rows()).map(|row| cells(&batch, row));
        let cells: Vec<Vec<Value>> = cells.collect::<Result<_>>()?;
        let text = if json {
            cells.into_iter().flat_map(|row| object(&names, row)).collect()
        } else {
            lines(cells.iter().map(|row| row.iter().map(cell::text)))?
        };
        go_on = shown(&mut out, &text)?;
    }
    Ok(())
}

fn cells(batch: &RecordBatch, row: usize) -> Result<Vec<Value>> {
    batch.columns().iter().map(|column| cell::value(column, row)).collect()
}

fn object(names: &[&str], cells: Vec<Value>) -> Vec<u8> {
    let pairs = names.iter().map(|name| (*name).to_owned()).zip(cells);
    format!("{}\n", Value::Object(pairs.collect())).into_bytes()
}

/// Rows of a table, cells that hold a tab or the end of a line in quotes.
fn lines<R: IntoIterator<Item: AsRef<[u8]>>>(rows: impl IntoIterator<Item = R>) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().delimiter(b'\t').from_writer(Vec::new());
    let failed = |error| Error::new(ErrorKind::Io, "cannot print the rows").with_source(error);
    for row in rows {
        writer.write_record(row).map_err(|error| failed(error.into()))?;
    }
    writer.into_inner().map_err(|error| {
        failed(Box::<dyn std::error::Error + Send + Sync>::from(error.to_string()))
    })
}

/// Prints; `false` where whoever reads has seen enough, as `head` does.
fn shown(out: &mut impl Write, text: &[u8]) -> Result<bool> {
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        printed => printed.map(|()| true).map_err(|e| Error::io(e, "cannot print the rows")),
    }
}

/// Writes the rows to a Parquet file, with the columns that they have.
fn to_parquet(
    cache: &EmbeddingCache,
    scan: embedding_shards::Scan,
    file: &Path,
    json: bool,
) -> Result<()> {
    let dir = npy::directory(file)?;
    let reader = cache.scan(scan)?;
    let failed = |error| unwritten(error).at_path(file);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let stage = Stage::new(&dir, Durability::Process);
    let (mut staged, bar) = (stage.file()?, bar(cache.status()?.rows, "rows"));
    let mut writer =
        ArrowWriter::try_new(&mut staged, reader.schema(), Some(properties)).map_err(failed)?;
    let mut rows = 0;
    for batch in reader {
        let batch = batch.map_err(own)?;
        writer.write(&batch).map_err(failed)?;
        rows += batch.num_rows() as u64;
        bar.set_position(rows);
    }
    writer.close().map_err(failed)?;
    staged.publish(&dir.join(file.file_name().unwrap_or_default()))?;
    bar.finish_and_clear();
    written(rows, file, json)
}

/// The error of the file where that is what failed.
fn unwritten(error: ParquetError) -> Error {
    const MESSAGE: &str = "cannot write the rows";
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) => Error::io(*source, MESSAGE),
            Err(source) => Error::new(ErrorKind::Backend, MESSAGE).with_source(source),
        },
        error => Error::new(ErrorKind::Backend, MESSAGE).with_source(error),
    }
}

fn written(rows: u64, file: &Path, json: bool) -> Result<()> {
    if json {
        return output::json(&json!({ "rows": rows, "file": file }));
    }
    output::print(&format!("{rows} rows written\n"))
}

/// Writes the embeddings to a `.npy` file, whose header says first how many there are: so they are counted before.
fn to_npy(
    cache: &EmbeddingCache,
    scan: &embedding_shards::Scan,
    file: &Path,
    json: bool,
) -> Result<()> {
    let none: [&str; 0] = [];
    let mut rows = 0;
    for batch in cache.scan(scan.clone().columns(none))? {
        rows += batch.map_err(own)?.num_rows();
    }
    let reader = cache.scan(scan.clone().columns([EMBEDDING]))?;
    let schema = reader.schema();
    let DataType::FixedSizeList(item, dim) = schema.field(0).data_type() else {
        return Err(Error::new(ErrorKind::Corrupt, "the embeddings are no lists"));
    };
    let dim = usize::try_from(*dim).unwrap_or_default();
    let (halves, bar) = (item.data_type() == &DataType::Float16, bar(rows as u64, "rows"));
    if halves {
        npy::write(file, rows, dim, |writer| fill::<Float16Type>(writer, reader, dim, &bar))?;
    } else {
        npy::write(file, rows, dim, |writer| fill::<Float32Type>(writer, reader, dim, &bar))?;
    }
    bar.finish_and_clear();
    written(rows as u64, file, json)
}

fn fill<T: ArrowPrimitiveType<Native: Element>>(
    writer: &mut ArrayWriter<'_, T::Native>,
    reader: ScanReader,
    dim: usize,
    bar: &ProgressBar,
) -> Result<()> {
    for batch in reader {
        let batch = batch.map_err(own)?;
        let lists = batch.column(0).as_fixed_size_list();
        npy::append(writer, lists.values().as_primitive::<T>().values(), dim)?;
        bar.inc(batch.num_rows() as u64);
    }
    Ok(())
}
