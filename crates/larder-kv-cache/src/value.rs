//! Values as bytes in a row.

use std::borrow::Cow;

use larder_storage::{Bytes, Error, ErrorKind, Result, crc32c, crc32c_append};

/// The encoding of a value that is JSON text.
pub(crate) const JSON_TEXT: i64 = 0;

/// The encoding of JSON text that is one block of LZ4, behind its length as a little-endian 32-bit number.
pub(crate) const LZ4: i64 = 1;

/// The most bytes that a value may have as JSON: SQLite's limit of 10⁹ for a row, with room for the rest of it.
pub(crate) const MAX_LEN: usize = 999_990_000;

/// A value as a row holds it.
#[derive(Debug)]
pub(crate) struct Stored<'a> {
    pub(crate) encoding: i64,
    pub(crate) crc32c: i64,
    pub(crate) bytes: Cow<'a, [u8]>,
}

impl<'a> Stored<'a> {
    /// JSON text of at least `compress_from` bytes is compressed where that saves an eighth.
    pub(crate) fn pack(key: &str, json: &'a [u8], compress_from: usize) -> Self {
        let packed = (json.len() >= compress_from)
            .then(|| lz4_flex::block::compress_prepend_size(json))
            .filter(|packed| packed.len() < json.len() - json.len() / 8);
        let (encoding, bytes) = match packed {
            Some(packed) => (LZ4, Cow::Owned(packed)),
            None => (JSON_TEXT, Cow::Borrowed(json)),
        };
        Self { encoding, crc32c: i64::from(checksum(key, encoding, &bytes)), bytes }
    }

    /// The JSON text, if it is the one that was stored under `key`; `place` names the entry in the error.
    pub(crate) fn unpack(self, key: &str, place: impl Fn() -> String) -> Result<Bytes> {
        let damaged = || {
            let message =
                format!("the value of {} is damaged: set it again or invalidate it", place());
            Error::new(ErrorKind::Corrupt, message)
        };
        if self.crc32c != i64::from(checksum(key, self.encoding, &self.bytes)) {
            return Err(damaged());
        }
        match self.encoding {
            JSON_TEXT => Ok(self.bytes.into_owned().into()),
            LZ4 => decompress(&self.bytes).map(Bytes::from).ok_or_else(damaged),
            other => {
                let message = format!(
                    "the value of {} has the unknown encoding {other}: upgrade Larder",
                    place()
                );
                Err(Error::new(ErrorKind::Format, message))
            }
        }
    }
}

/// The length is looked at before memory is taken for it.
fn decompress(packed: &[u8]) -> Option<Vec<u8>> {
    let (len, block) = packed.split_first_chunk()?;
    let len = u32::from_le_bytes(*len) as usize;
    (len <= MAX_LEN).then(|| lz4_flex::block::decompress(block, len).ok())?
}

/// Covers the key too, so that no damaged index can pass one key's value for another's.
pub(crate) fn checksum(key: &str, encoding: i64, bytes: &[u8]) -> u32 {
    let head = crc32c_append(crc32c(key.as_bytes()), &encoding.to_le_bytes());
    crc32c_append(head, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_and_large_text_is_smaller() {
        for (len, encoding) in [(0, JSON_TEXT), (99, JSON_TEXT), (100, LZ4), (1 << 20, LZ4)] {
            let json = vec![b'a'; len];
            let stored = Stored::pack("k", &json, 100);
            assert_eq!(stored.encoding, encoding);
            assert!(encoding == JSON_TEXT || stored.bytes.len() < len);
            assert_eq!(stored.unpack("k", String::new).unwrap(), json);
        }
    }

    #[test]
    fn what_does_not_shrink_stays_text() {
        let mut state = 1_u32;
        let noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let json: Vec<u8> = std::iter::repeat_with(noise).take(1000).collect();
        assert_eq!(Stored::pack("k", &json, 100).encoding, JSON_TEXT);
    }

    #[test]
    fn one_flipped_bit_is_damage() {
        let json = vec![b'a'; 200];
        let flip = |change: &dyn Fn(&mut Stored<'_>)| {
            let mut stored = Stored::pack("k", &json, 100);
            change(&mut stored);
            stored.unpack("k", || "key".to_owned()).unwrap_err().kind()
        };
        for at in 0..Stored::pack("k", &json, 100).bytes.len() {
            assert_eq!(flip(&|stored| stored.bytes.to_mut()[at] ^= 1), ErrorKind::Corrupt);
        }
        assert_eq!(flip(&|stored| stored.encoding = JSON_TEXT), ErrorKind::Corrupt);
        assert_eq!(flip(&|stored| stored.crc32c = -1), ErrorKind::Corrupt);
        let other = Stored::pack("other", &json, 100).unpack("k", String::new).unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn a_length_that_cannot_be_takes_no_memory() {
        let bytes = [0xff; 40];
        assert_eq!(decompress(&bytes), None);
        assert_eq!(decompress(&bytes[..3]), None);
    }
}
