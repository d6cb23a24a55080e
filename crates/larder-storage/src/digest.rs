use std::{fmt, str::FromStr};

use crate::{Error, ErrorKind};

/// A BLAKE3 digest of 32 bytes: the content address and key hash of the workspace.
///
/// `Display` writes 64 lowercase hexadecimal digits and [`FromStr`] reads them.
/// Source of the algorithm: <https://github.com/BLAKE3-team/BLAKE3-specs>.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The digest as bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong =
            || Error::new(ErrorKind::Invalid, "a digest is 64 lowercase hexadecimal digits");
        let hash = blake3::Hash::from_hex(text).map_err(|error| wrong().with_source(error))?;
        // An address has one spelling.
        if text.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return Err(wrong());
        }
        Ok(Self(*hash.as_bytes()))
    }
}

/// The CRC-32C (Castagnoli) checksum of `bytes`: guards stored bytes against bit rot, at hardware speed.
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// The CRC-32C of two runs of bytes, one after the other, from that of each and the length of the second.
pub fn crc32c_combine(first: u32, second: u32, len_of_second: usize) -> u32 {
    crc32c::crc32c_combine(first, second, len_of_second)
}

/// Continues a CRC-32C over further bytes: `crc32c_append(crc32c(a), b)` is the checksum of `a` followed by `b`.
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_published_vectors() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c_append(crc32c(b"1234"), b"56789"), 0xe306_9283);
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(empty.parse::<Digest>().unwrap(), Digest::of(b""));
    }

    #[test]
    fn refuses_what_is_no_digest() {
        for text in ["", "af", "zz1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"] {
            assert_eq!(text.parse::<Digest>().unwrap_err().kind(), ErrorKind::Invalid);
        }
    }
}
