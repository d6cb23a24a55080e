//! One shard: a Parquet file of rows that share encoder, layer, pool, dtype and width.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use larder_storage::{Error, ErrorKind, Key, ReadAt, Result, crc32c_append};
use parquet::{
    arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions},
    basic::Compression,
    file::metadata::{PageIndexPolicy, ParquetMetaData},
};

use crate::{Dtype, Embedding, SHARD_FORMAT_VERSION, ShardInfo, WindowKey};

mod checksum;
mod columns;
mod contents;
mod encode;
mod filter;
mod offsets;
mod replaced;
mod scan;
mod schema;
mod select;
mod source;

pub(crate) use contents::Contents;
#[cfg(test)]
pub(crate) use encode::encode;
pub(crate) use encode::{Encoded, Layout, Memory, check_extra, encode_into, encode_with};
pub(crate) use filter::Condition;
pub(crate) use replaced::{REPLACES_KEY, Replaced};
pub(crate) use schema::{of_nothing, standard};
pub(crate) use select::{Query, Selected};
pub(crate) use source::InMemory;
use source::Source;

/// What the index keeps of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowEntry {
    pub(crate) key: WindowKey,
    pub(crate) row: u64,
    /// Of the key and the stored bytes; `None` in shards of the Python package.
    pub(crate) crc: Option<u32>,
    /// Where the stored bytes begin in the file, if that can be computed.
    pub(crate) offset: Option<u64>,
}

/// An opened shard: its metadata is read, and its columns are those that belong there.
#[derive(Debug)]
pub(crate) struct Shard {
    path: Key,
    reader: Arc<dyn ReadAt>,
    metadata: ArrowReaderMetadata,
    /// Whether Larder wrote it: then it has checksums, and may be read by offset.
    ours: bool,
}

impl Shard {
    pub(crate) fn open(path: &Key, reader: Arc<dyn ReadAt>) -> Result<Self> {
        let metadata = guarded(path, &reader, |source| {
            // The schema that the writer's Arrow library left is ignored, so that all shards decode to the same types.
            let options = ArrowReaderOptions::new()
                .with_skip_arrow_metadata(true)
                .with_offset_index_policy(PageIndexPolicy::Optional);
            ArrowReaderMetadata::load(&source, options)
                .map_err(|error| corrupt(path, "is no readable Parquet file").with_source(error))
        })?;
        let ours = format_version(path, metadata.metadata())?.is_some();
        if ours != schema::has_checksums(metadata.schema()) {
            return Err(corrupt(path, "has checksums or a shard format version, and not both"));
        }
        schema::check(path, metadata.schema(), ours)?;
        check_codecs(path, metadata.metadata())?;
        Ok(Self { path: path.clone(), reader, metadata, ours })
    }

    pub(crate) fn path(&self) -> &Key {
        &self.path
    }

    /// The length of the file in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.reader.len()
    }

    pub(crate) fn rows(&self) -> Result<u64> {
        let rows = self.metadata.metadata().file_metadata().num_rows();
        u64::try_from(rows).map_err(|_| corrupt(&self.path, "has a negative number of rows"))
    }

    /// What the index says of it, of which it has `rows`.
    pub(crate) fn info(&self, rows: usize) -> ShardInfo {
        let (path, rows) = (self.path.clone(), rows as u64);
        ShardInfo { path, rows, bytes: self.len(), dim: self.dim() }
    }

    /// Whether Larder wrote it.
    pub(crate) fn is_ours(&self) -> bool {
        self.ours
    }

    /// How many numbers each embedding has, where its shape says so.
    pub(crate) fn dim(&self) -> Option<usize> {
        self.ours.then(|| offsets::shape(self.metadata.metadata())).flatten().map(|shape| shape.dim)
    }

    /// Where the bytes of each row begin, if that can be computed.
    fn offsets(&self) -> Option<Vec<u64>> {
        self.ours.then(|| offsets::rows(self.metadata.metadata(), self.len())).flatten()
    }
}

/// Reads and checks one row at a known place.
pub(crate) fn read_row(
    path: &Key,
    reader: &dyn ReadAt,
    key: &WindowKey,
    at: RowPlace,
) -> Result<Embedding> {
    let read = Embedding::read(key.dtype, at.dim, |bytes| {
        reader.read_at(at.offset, bytes).map_err(|error| misread(path, error))?;
        check_row(path, key, at.crc, bytes)
    })?;
    read.ok_or_else(|| not_of_dtype(path, key.dtype))
}

/// Checks the bytes of a row against the checksum of its key and them.
pub(crate) fn check_row(path: &Key, key: &WindowKey, crc: u32, bytes: &[u8]) -> Result<()> {
    if crc32c_append(key.crc32c(), bytes) == crc { Ok(()) } else { Err(stale(path)) }
}

/// Why a row could not be read: where it lies outside of the shard, the index is wrong.
pub(crate) fn misread(path: &Key, error: Error) -> Error {
    if error.kind() == ErrorKind::Invalid { stale(path).with_source(error) } else { error }
}

/// The place of a row, and the checksum of its key and bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowPlace {
    pub(crate) offset: u64,
    pub(crate) dim: usize,
    pub(crate) crc: u32,
}

/// Runs a decoder over bytes that may be anything. It may panic on damaged ones; that is the file's fault.
fn guarded<T>(
    path: &Key,
    reader: &Arc<dyn ReadAt>,
    work: impl FnOnce(Source) -> Result<T>,
) -> Result<T> {
    let source = Source::new(Arc::clone(reader));
    watched(path, &source, || work(source.clone()))
}

/// The same for a decoder that goes on reading from `source`.
fn watched<T>(path: &Key, source: &Source, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let outcome = catch_unwind(AssertUnwindSafe(work));
    if let Some(error) = source.failure() {
        return Err(error.at_key(path));
    }
    outcome.unwrap_or_else(|_| Err(corrupt(path, "cannot be decoded")))
}

/// The version of our format that the file names, if it names one.
fn format_version(path: &Key, metadata: &ParquetMetaData) -> Result<Option<u32>> {
    let pairs = metadata.file_metadata().key_value_metadata().into_iter().flatten();
    let Some(pair) = pairs.into_iter().find(|pair| pair.key == encode::VERSION_KEY) else {
        return Ok(None);
    };
    match pair.value.as_deref().map(str::parse::<u32>) {
        Some(Ok(version @ 1..=SHARD_FORMAT_VERSION)) => Ok(Some(version)),
        Some(Ok(version)) if version > SHARD_FORMAT_VERSION => {
            let message = format!(
                "has shard format {version} and this Larder knows {SHARD_FORMAT_VERSION}: upgrade Larder"
            );
            Err(Error::new(ErrorKind::Format, message).at_key(path))
        }
        _ => Err(corrupt(path, "has no legible shard format version")),
    }
}

fn check_codecs(path: &Key, metadata: &ParquetMetaData) -> Result<()> {
    let mut codecs = metadata
        .row_groups()
        .iter()
        .flat_map(|group| group.columns())
        .map(|column| column.compression());
    match codecs.find(|codec| !matches!(codec, Compression::UNCOMPRESSED | Compression::ZSTD(_))) {
        Some(codec) => {
            let message =
                format!("is compressed with {codec}: rewrite it with zstd or uncompressed");
            Err(Error::new(ErrorKind::Unsupported, message).at_key(path))
        }
        None => Ok(()),
    }
}

fn corrupt(path: &Key, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, message).at_key(path)
}

fn stale(path: &Key) -> Error {
    corrupt(
        path,
        "the row is damaged, or is not where the index says: `verify` tells, `repair` or `reindex` mends",
    )
}

pub(crate) fn not_of_dtype(path: &Key, dtype: Dtype) -> Error {
    corrupt(path, format!("the row holds a number that is no {dtype}"))
}

#[cfg(test)]
mod tests;
