use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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
        let read = || {
            let (pairs, rest) = text.as_bytes().as_chunks::<2>();
            let pairs: &[_; 32] = pairs.try_into().ok()?;
            let (mut bytes, mut all) = ([0; 32], 0);
            for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
                let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
                all |= high | low;
                *byte = high << 4 | low;
            }
            (all < 16 && rest.is_empty()).then_some(Self(bytes))
        };
        read().ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "a digest is 64 lowercase hexadecimal digits")
        })
    }
}

/// The value of each hexadecimal digit, in lower case only, as an address has one spelling; 255 of what is none. Digits and
/// letters come without order, which branches between them would wait for.
const DIGITS: [u8; 256] = {
    let (mut values, mut value) = ([u8::MAX; 256], 0);
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        value += 1;
    }
    values
};

impl Serialize for Digest {
    /// As `Display` writes it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = Digest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 lowercase hexadecimal digits")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Digest, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Text)
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
        let sound = Digest::of(b"").to_string();
        let wrong = [
            "".to_owned(),
            "af".to_owned(),
            sound.replacen("af", "zz", 1),
            sound.to_uppercase(),
            format!("{sound}0"),
            format!("{sound}00"),
            sound.replacen("af", "é", 1),
        ];
        for text in wrong {
            assert_eq!(text.parse::<Digest>().unwrap_err().kind(), ErrorKind::Invalid, "{text}");
            assert!(serde_json::from_value::<Digest>(text.into()).is_err());
        }
        let json = serde_json::to_value(Digest::of(b"")).unwrap();
        assert_eq!(json, sound);
        assert_eq!(serde_json::from_value::<Digest>(json).unwrap(), Digest::of(b""));
    }
}
