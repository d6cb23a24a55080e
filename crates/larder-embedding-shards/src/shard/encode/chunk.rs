//! The embedding column of one row group, encoded as it is read.
//!
//! A data page of version 1 is a header in Thrift's compact protocol, then the repetition and the definition levels, each
//! after its length as a little-endian `u32`, then the values. Levels are in the hybrid of runs and bit-packed groups of
//! eight that the Parquet format describes under "Run Length Encoding / Bit-Packing Hybrid".

use std::{
    borrow::Cow,
    io::{self, Read},
    sync::{Mutex, PoisonError},
};

use larder_storage::{Bytes, crc32c_append};
use parquet::{
    basic::{Compression, Encoding, PageType},
    column::writer::ColumnCloseResult,
    errors::{ParquetError, Result},
    file::{
        metadata::{ColumnChunkMetaData, OffsetIndexBuilder, PageEncodingStats},
        reader::{ChunkReader, Length},
    },
    schema::types::ColumnDescPtr,
};

use super::RowGroup;
use crate::WindowRecord;

// Rows are checksummed and stored as they lie in memory, and Parquet wants them to be little-endian.
#[cfg(target_endian = "big")]
compile_error!("larder-embedding-shards needs a little-endian machine");

pub(super) struct Chunk<'a> {
    pages: Vec<Page<'a>>,
    row_bytes: usize,
    values: usize,
    /// Of each row that was read.
    crcs: Mutex<Vec<u32>>,
}

struct Page<'a> {
    /// What comes before the values.
    head: Vec<u8>,
    rows: &'a [WindowRecord],
}

impl<'a> Chunk<'a> {
    /// The chunk of rows that agree in dtype and width, in pages of `page_rows`.
    pub(super) fn new(records: &'a [WindowRecord], page_rows: usize) -> Result<Self> {
        let dim = records.first().map_or(0, |row| row.embedding.len());
        let row_bytes = records.first().map_or(0, |row| dim * row.key.dtype.stored_width());
        let page = |rows: &'a [WindowRecord]| {
            Ok(Page { head: head(rows.len(), dim, rows.len() * row_bytes)?, rows })
        };
        let pages = records.chunks(page_rows).map(page).collect::<Result<_>>()?;
        let crcs = Mutex::new(Vec::with_capacity(records.len()));
        Ok(Self { pages, row_bytes, values: records.len() * dim, crcs })
    }

    /// The checksums of the rows, once the chunk was written.
    pub(super) fn crcs(&self) -> Vec<u32> {
        self.crcs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn append_to(
        &self,
        group: &mut RowGroup<'_, '_>,
        column: ColumnDescPtr,
    ) -> Result<()> {
        group.append_column(&self, self.summary(column)?)
    }

    fn page_len(&self, page: &Page<'_>) -> usize {
        page.head.len() + page.rows.len() * self.row_bytes
    }

    /// What the file's metadata say of the chunk, which begins at 0 as far as it knows.
    fn summary(&self, column: ColumnDescPtr) -> Result<ColumnCloseResult> {
        let mut locations = OffsetIndexBuilder::new();
        let mut len = 0;
        for page in &self.pages {
            let page_len = self.page_len(page);
            locations.append_row_count(number(page.rows.len())?);
            locations.append_offset_and_size(len, number(page_len)?);
            len += number::<i64>(page_len)?;
        }
        let stats = PageEncodingStats {
            page_type: PageType::DATA_PAGE,
            encoding: Encoding::PLAIN,
            count: number(self.pages.len())?,
        };
        let metadata = ColumnChunkMetaData::builder(column)
            .set_compression(Compression::UNCOMPRESSED)
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE])
            .set_page_encoding_stats(vec![stats])
            .set_total_compressed_size(len)
            .set_total_uncompressed_size(len)
            .set_num_values(number(self.values)?)
            .set_data_page_offset(0)
            .build()?;
        Ok(ColumnCloseResult {
            bytes_written: number(self.len() as usize)?,
            rows_written: self.pages.iter().map(|page| page.rows.len() as u64).sum(),
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(locations.build()),
        })
    }

    /// The stored bytes of a row, whose checksum is noted.
    fn row(&self, record: &'a WindowRecord) -> Cow<'a, [u8]> {
        let bytes = record.embedding.stored();
        let crc = crc32c_append(record.key.crc32c(), &bytes);
        self.crcs.lock().unwrap_or_else(PoisonError::into_inner).push(crc);
        bytes
    }
}

impl Length for Chunk<'_> {
    fn len(&self) -> u64 {
        self.pages.iter().map(|page| self.page_len(page) as u64).sum()
    }
}

impl Length for &Chunk<'_> {
    fn len(&self) -> u64 {
        (**self).len()
    }
}

impl<'a> ChunkReader for &'a Chunk<'a> {
    type T = Pieces<'a>;

    fn get_read(&self, start: u64) -> Result<Pieces<'a>> {
        if start != 0 {
            return Err(ParquetError::General("a chunk is read from its beginning".into()));
        }
        let chunk: &'a Chunk<'a> = self;
        let pieces = chunk.pages.iter().flat_map(move |page| {
            let rows = page.rows.iter().map(|record| chunk.row(record));
            std::iter::once(Cow::from(&page.head)).chain(rows)
        });
        Ok(Pieces { rest: Box::new(pieces), piece: Cow::default(), at: 0 })
    }

    fn get_bytes(&self, _start: u64, _length: usize) -> Result<Bytes> {
        Err(ParquetError::General("a chunk is read as a stream".into()))
    }
}

/// Reads pieces of memory one after the other.
pub(super) struct Pieces<'a> {
    rest: Box<dyn Iterator<Item = Cow<'a, [u8]>> + 'a>,
    piece: Cow<'a, [u8]>,
    at: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            if self.at == self.piece.len() {
                let Some(piece) = self.rest.next() else { break };
                (self.piece, self.at) = (piece, 0);
            }
            let count = (buf.len() - filled).min(self.piece.len() - self.at);
            buf[filled..filled + count].copy_from_slice(&self.piece[self.at..self.at + count]);
            (filled, self.at) = (filled + count, self.at + count);
        }
        Ok(filled)
    }
}

/// The header and levels of a page of `rows` lists of `dim` numbers each, which take `values_len` bytes.
fn head(rows: usize, dim: usize, values_len: usize) -> Result<Vec<u8>> {
    let repetition = with_length(repetition_levels(rows, dim))?;
    // Every list and every number in it is there.
    let definition = with_length(run_of_ones(rows * dim))?;
    let levels = [repetition, definition].concat();
    let mut head = page_header(number(levels.len() + values_len)?, number(rows * dim)?);
    head.extend(levels);
    Ok(head)
}

fn page_header(len: u32, values: u32) -> Vec<u8> {
    let mut header = Vec::new();
    next_i32(&mut header, PageType::DATA_PAGE as u32);
    next_i32(&mut header, len); // uncompressed
    next_i32(&mut header, len); // compressed
    header.push(0x2c); // the field after the next, `data_page_header`: a structure
    next_i32(&mut header, values);
    next_i32(&mut header, Encoding::PLAIN as u32);
    next_i32(&mut header, Encoding::RLE as u32); // of definition levels
    next_i32(&mut header, Encoding::RLE as u32); // of repetition levels
    header.extend([0, 0]); // the ends of both structures
    header
}

/// The next field of a structure, an `i32` that is not negative.
fn next_i32(to: &mut Vec<u8>, value: u32) {
    to.push(0x15);
    // Twice the value: the lowest bit is the sign.
    put_varint(to, u64::from(value) << 1);
}

/// 0 where a list begins, and 1 where it goes on.
fn repetition_levels(rows: usize, dim: usize) -> Vec<u8> {
    let level = |i: usize| u8::from(i < rows * dim && !i.is_multiple_of(dim));
    let group = |first: usize| (0..8).fold(0, |bits, i| bits | (level(first + i) << i));
    let mut levels = Vec::new();
    if dim < 8 {
        let groups = (rows * dim).div_ceil(8);
        put_varint(&mut levels, (groups as u64) << 1 | 1);
        levels.extend((0..groups).map(|i| group(8 * i)));
        return levels;
    }
    // One group, in which the list begins, and what goes on after it as a run.
    levels.extend([1 << 1 | 1, group(0)]);
    levels.extend(if dim > 8 { run_of_ones(dim - 8) } else { Vec::new() });
    levels.repeat(rows)
}

fn run_of_ones(count: usize) -> Vec<u8> {
    let mut run = Vec::new();
    put_varint(&mut run, (count as u64) << 1);
    run.push(1);
    run
}

fn with_length(levels: Vec<u8>) -> Result<Vec<u8>> {
    Ok([&number::<u32>(levels.len())?.to_le_bytes(), &levels[..]].concat())
}

fn put_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

fn number<T: TryFrom<usize>>(count: usize) -> Result<T> {
    T::try_from(count)
        .map_err(|_| ParquetError::General(format!("{count} exceeds what a page may have")))
}
