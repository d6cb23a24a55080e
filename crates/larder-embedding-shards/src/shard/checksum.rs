//! The checksum of the whole file: it covers what has none of its own.

use std::ops::Range;

use larder_storage::{Result, crc32c_append};

use super::{Shard, corrupt};

/// The entry of the file's metadata that holds the CRC-32C of the file, in 8 hexadecimal digits, taken with
/// [`BLANK`] in their place.
pub(super) const FILE_CRC_KEY: &str = "larder.file_crc32c";

/// What the digits are counted as.
pub(super) const BLANK: &str = "00000000";

const PIECE: u64 = 1 << 20;

/// Writes the checksum of a file into it, where it has [`BLANK`] so far.
pub(super) fn fill_in(file: &mut [u8], crc: u32) {
    if let Some(at) = place(file) {
        file[at..at + BLANK.len()].copy_from_slice(format!("{crc:08x}").as_bytes());
    }
}

/// Where the digits lie in a file, or in the end of one.
fn place(end: &[u8]) -> Option<usize> {
    // A value follows its key in Thrift's compact protocol: the next field, bytes, and how many.
    let before = [FILE_CRC_KEY.as_bytes(), &[0x18, BLANK.len() as u8]].concat();
    let at = end.windows(before.len()).rposition(|found| found == before)? + before.len();
    (at + BLANK.len() <= end.len()).then_some(at)
}

impl Shard {
    /// Checks the file against its checksum, where it has it: older ones do not.
    pub(super) fn verify_file(&self) -> Result<()> {
        let metadata = self.metadata.metadata().file_metadata();
        let mut pairs = metadata.key_value_metadata().into_iter().flatten();
        let Some(pair) = pairs.find(|pair| pair.key == FILE_CRC_KEY) else { return Ok(()) };
        let wrong = || corrupt(&self.path, "the file does not match its checksum");
        let digits = self.digits()?.ok_or_else(wrong)?;
        let crc = self.append_crc(0, 0..digits)?;
        let crc = crc32c_append(crc, BLANK.as_bytes());
        let crc = self.append_crc(crc, digits + BLANK.len() as u64..self.len())?;
        let same = pair.value.as_deref() == Some(&format!("{crc:08x}"));
        if same { Ok(()) } else { Err(wrong()) }
    }

    /// Where the digits of the checksum lie: in the metadata, which are the last thing in the file but for their length
    /// and the magic number.
    fn digits(&self) -> Result<Option<u64>> {
        let Some(end) = self.len().checked_sub(8) else { return Ok(None) };
        let mut length = [0; 4];
        self.reader.read_at(end, &mut length)?;
        let length = u64::from(u32::from_le_bytes(length)).min(end);
        let mut metadata = vec![0; length as usize];
        self.reader.read_at(end - length, &mut metadata)?;
        Ok(place(&metadata).map(|at| end - length + at as u64))
    }

    fn append_crc(&self, mut crc: u32, bytes: Range<u64>) -> Result<u32> {
        let mut at = bytes.start;
        while at < bytes.end {
            let mut piece = vec![0; (bytes.end - at).min(PIECE) as usize];
            self.reader.read_at(at, &mut piece)?;
            crc = crc32c_append(crc, &piece);
            at += piece.len() as u64;
        }
        Ok(crc)
    }
}
