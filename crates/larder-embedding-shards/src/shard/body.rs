//! The checksum of all row groups: it covers columns that have none of their own.

use larder_storage::{Result, crc32c_append};

use super::{Shard, corrupt};

/// The entry of the file's metadata that holds the CRC-32C of all bytes of the row groups, in 8 hexadecimal digits.
pub(super) const BODY_CRC_KEY: &str = "larder.body_crc32c";

/// Where the row groups begin: after the magic number.
pub(super) const START: usize = 4;

const PIECE: u64 = 1 << 20;

pub(super) fn crc_text(crc: u32) -> String {
    format!("{crc:08x}")
}

impl Shard {
    /// Checks the row groups against their checksum, where the file has it: older ones do not.
    pub(super) fn verify_body(&self) -> Result<()> {
        let metadata = self.metadata.metadata();
        let mut pairs = metadata.file_metadata().key_value_metadata().into_iter().flatten();
        let Some(pair) = pairs.find(|pair| pair.key == BODY_CRC_KEY) else { return Ok(()) };
        let mut crc = 0;
        let (mut at, end) = (START as u64, self.body_end()?);
        while at < end {
            let mut piece = vec![0; (end - at).min(PIECE) as usize];
            self.reader.read_at(at, &mut piece)?;
            crc = crc32c_append(crc, &piece);
            at += piece.len() as u64;
        }
        if pair.value.as_deref() == Some(&crc_text(crc)) {
            Ok(())
        } else {
            Err(corrupt(&self.path, "its row groups do not match their checksum"))
        }
    }

    /// Where the last column chunk ends.
    fn body_end(&self) -> Result<u64> {
        let chunks =
            self.metadata.metadata().row_groups().iter().flat_map(|group| group.columns());
        let end = |chunk: &parquet::file::metadata::ColumnChunkMetaData| {
            let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
            u64::try_from(start.checked_add(chunk.compressed_size())?).ok()
        };
        let ends = chunks.map(end).collect::<Option<Vec<_>>>();
        let last = ends.map(|ends| ends.into_iter().max().unwrap_or(START as u64));
        last.filter(|end| *end <= self.len())
            .ok_or_else(|| corrupt(&self.path, "a column lies outside the file"))
    }
}
