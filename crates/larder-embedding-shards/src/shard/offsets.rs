//! Where the bytes of a row lie in an ordinary Parquet file.
//!
//! In an uncompressed, plain-encoded data page without nulls the values are the last thing, so with `n` rows in the
//! page, row `i` of them begins `(n - i) * row_bytes` before the page's end.

use std::ops::Range;

use parquet::{
    basic::{Compression, Encoding, Type},
    file::{
        metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData},
        page_index::offset_index::PageLocation,
    },
};

use super::schema::EMBEDDING;
use crate::Embedding;

/// What the embedding column's metadata says of its rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    column: usize,
    pub(super) dim: usize,
    width: u64,
}

/// The shape that all row groups share; `None` where the metadata does not show one.
pub(super) fn shape(metadata: &ParquetMetaData) -> Option<Shape> {
    let columns = metadata.file_metadata().schema_descr().columns();
    let column = columns
        .iter()
        .position(|column| column.path().parts().first().is_some_and(|p| p == EMBEDDING))?;
    let leaf = &columns[column];
    let width = match (leaf.physical_type(), leaf.type_length()) {
        (Type::FLOAT, _) => 4,
        (Type::FIXED_LEN_BYTE_ARRAY, 2) => 2,
        _ => return None,
    };
    // One level each: the list repeats, and neither it nor its items can be null.
    if (leaf.max_def_level(), leaf.max_rep_level()) != (1, 1) {
        return None;
    }
    let first = metadata.row_groups().first()?;
    let rows = first.num_rows();
    let values = first.column(column).num_values();
    let dim = usize::try_from(values.checked_div(rows)?).ok()?;
    if !(1..=Embedding::MAX_LEN).contains(&dim) {
        return None;
    }
    let shape = Shape { column, dim, width };
    metadata.row_groups().iter().all(|group| shape.fits(group)).then_some(shape)
}

impl Shape {
    fn fits(&self, group: &RowGroupMetaData) -> bool {
        let dim = i64::try_from(self.dim).ok();
        let expected = dim.and_then(|dim| group.num_rows().checked_mul(dim));
        expected == Some(group.column(self.column).num_values())
    }

    fn row_bytes(&self) -> Option<u64> {
        (self.dim as u64).checked_mul(self.width)
    }
}

/// Where the bytes of each row begin, if the file of `len` bytes is laid out for that.
pub(super) fn rows(metadata: &ParquetMetaData, len: u64) -> Option<Vec<u64>> {
    let shape = shape(metadata)?;
    let row_bytes = shape.row_bytes()?;
    let mut offsets = Vec::new();
    for (index, group) in metadata.row_groups().iter().enumerate() {
        if !is_plain(group.column(shape.column)) {
            return None;
        }
        let page_index = metadata.page_index_for_row_group(index);
        let pages = page_index.page_locations(shape.column)?;
        let rows = u64::try_from(group.num_rows()).ok()?;
        for (page, numbers) in pages.iter().zip(row_ranges(pages, rows)?) {
            let (start, count) =
                tail(page, numbers.end.checked_sub(numbers.start)?, row_bytes, len)?;
            offsets.extend((0..count).map(|row| start + row * row_bytes));
        }
    }
    Some(offsets)
}

/// Whether the values of a column chunk are stored as they are.
fn is_plain(chunk: &ColumnChunkMetaData) -> bool {
    chunk.compression() == Compression::UNCOMPRESSED
        && chunk.dictionary_page_offset().is_none()
        && chunk.page_encoding_stats_mask().is_none_or(|data| data.is_only(Encoding::PLAIN))
        // The levels are run-length encoded; floats cannot be.
        && chunk.encodings().all(|encoding| matches!(encoding, Encoding::PLAIN | Encoding::RLE))
}

/// The rows of each page, which together are all `rows` of the row group.
fn row_ranges(pages: &[PageLocation], rows: u64) -> Option<Vec<Range<u64>>> {
    let mut starts = pages
        .iter()
        .map(|page| u64::try_from(page.first_row_index).ok())
        .collect::<Option<Vec<_>>>()?;
    if starts.first().is_some_and(|first| *first != 0) {
        return None;
    }
    starts.push(rows);
    Some(starts.windows(2).map(|pair| pair[0]..pair[1]).collect())
}

/// Where the values of a page with `count` rows begin, and `count` itself.
fn tail(page: &PageLocation, count: u64, row_bytes: u64, len: u64) -> Option<(u64, u64)> {
    let size = u64::try_from(page.compressed_page_size).ok()?;
    let end = u64::try_from(page.offset).ok()?.checked_add(size).filter(|end| *end <= len)?;
    let values = count.checked_mul(row_bytes).filter(|values| *values < size)?;
    Some((end - values, count))
}
