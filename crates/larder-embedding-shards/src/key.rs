use std::{fmt, str::FromStr};

use larder_storage::{Digest, Error, ErrorKind, Result, crc32c};
use sha2::{Digest as _, Sha256};

/// The type of an embedding's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dtype {
    /// IEEE 754 half precision: 16 bits, 11 of them significant.
    Fp16,
    /// Brain float: the upper half of an `f32`, 8 significant bits.
    Bf16,
    /// IEEE 754 single precision.
    Fp32,
}

impl Dtype {
    /// The name in a shard's `dtype` column: `fp16`, `bf16` or `fp32`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fp16 => "fp16",
            Self::Bf16 => "bf16",
            Self::Fp32 => "fp32",
        }
    }

    /// Bytes per number in a shard. Parquet has no `bf16`, so that is widened to `f32`, which is exact.
    pub(crate) fn stored_width(self) -> usize {
        match self {
            Self::Fp16 => 2,
            Self::Bf16 | Self::Fp32 => 4,
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Fp16 => 0,
            Self::Bf16 => 1,
            Self::Fp32 => 2,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Dtype {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "fp16" => Ok(Self::Fp16),
            "bf16" => Ok(Self::Bf16),
            "fp32" => Ok(Self::Fp32),
            _ => Err(unknown("dtype", text, "fp16, bf16 or fp32")),
        }
    }
}

/// How the states of an encoder were pooled into one embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PoolType {
    /// The mean over `pool_radius` positions to each side of the centre.
    CenteredMean,
    /// The mean over all positions.
    GlobalMean,
    /// A mean weighted by attention.
    Attention,
}

impl PoolType {
    /// The name in a shard's `pool_type` column: `centered_mean`, `global_mean` or `attention`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CenteredMean => "centered_mean",
            Self::GlobalMean => "global_mean",
            Self::Attention => "attention",
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::CenteredMean => 0,
            Self::GlobalMean => 1,
            Self::Attention => 2,
        }
    }
}

impl fmt::Display for PoolType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PoolType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "centered_mean" => Ok(Self::CenteredMean),
            "global_mean" => Ok(Self::GlobalMean),
            "attention" => Ok(Self::Attention),
            _ => Err(unknown("pool type", text, "centered_mean, global_mean or attention")),
        }
    }
}

fn unknown(what: &str, text: &str, known: &str) -> Error {
    let shown: String = text.chars().take(40).collect();
    Error::new(ErrorKind::Invalid, format!("the {what} {shown:?} is not one of {known}"))
}

/// What an embedding is of: its content address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowKey {
    /// The hash of the content that was embedded; for a genome window the SHA-256 of its uppercase letters.
    pub window_hash: [u8; 32],
    /// The hash of the encoder's weights.
    pub encoder_hash: [u8; 32],
    /// The layer whose states were pooled; negative ones count from the last.
    pub state_layer: i8,
    /// How they were pooled.
    pub pool_type: PoolType,
    /// How far the pool reaches to each side, in positions; at most `i32::MAX`.
    pub pool_radius: u32,
    /// The type of the embedding's numbers.
    pub dtype: Dtype,
}

impl WindowKey {
    /// The length of [`to_bytes`](Self::to_bytes).
    pub const LEN: usize = 71;

    /// The canonical form, one for each key and sorted by encoder first: `encoder_hash` (32 bytes), `state_layer`
    /// (1, two's complement), pool type (1: 0 centered_mean, 1 global_mean, 2 attention), `pool_radius` (4, big
    /// endian), dtype (1: 0 fp16, 1 bf16, 2 fp32), `window_hash` (32).
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..32].copy_from_slice(&self.encoder_hash);
        bytes[32..33].copy_from_slice(&self.state_layer.to_be_bytes());
        bytes[33] = self.pool_type.code();
        bytes[34..38].copy_from_slice(&self.pool_radius.to_be_bytes());
        bytes[38] = self.dtype.code();
        bytes[39..].copy_from_slice(&self.window_hash);
        bytes
    }

    /// What the index knows the key by.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// The checksum that further bytes of a row are appended to.
    pub(crate) fn crc32c(&self) -> u32 {
        crc32c(&self.to_bytes())
    }
}

/// The hash of a genome's window: the SHA-256 of its letters in upper case, as the Python package has it.
pub fn window_hash(letters: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(letters.as_ref().to_ascii_uppercase()).into()
}

/// The hash of any other content, such as a piece of text or a file's bytes: its SHA-256.
pub fn text_hash(text: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Lowercase hexadecimal digits.
pub(crate) fn hex(bytes: &[u8; 32]) -> String {
    larder_storage::Digest::from(*bytes).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> impl Strategy<Value = WindowKey> {
        let pools = prop_oneof![
            Just(PoolType::CenteredMean),
            Just(PoolType::GlobalMean),
            Just(PoolType::Attention)
        ];
        let dtypes = prop_oneof![Just(Dtype::Fp16), Just(Dtype::Bf16), Just(Dtype::Fp32)];
        (0..3_u8, 0..3_u8, -2..3_i8, pools, prop_oneof![0..300_u32, Just(i32::MAX as u32)], dtypes)
            .prop_map(|(window, encoder, state_layer, pool_type, pool_radius, dtype)| WindowKey {
                window_hash: [window; 32],
                encoder_hash: [encoder; 32],
                state_layer,
                pool_type,
                pool_radius,
                dtype,
            })
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_injective(a in keys(), b in keys()) {
            prop_assert_eq!(a == b, a.to_bytes() == b.to_bytes());
        }
    }

    #[test]
    fn the_canonical_form_is_laid_out_as_documented() {
        let key = WindowKey {
            window_hash: [7; 32],
            encoder_hash: [9; 32],
            state_layer: -1,
            pool_type: PoolType::Attention,
            pool_radius: 0x0102_0304,
            dtype: Dtype::Fp32,
        };
        let expected = [&[9_u8; 32][..], &[0xff, 2, 1, 2, 3, 4, 2], &[7; 32]].concat();
        assert_eq!(key.to_bytes(), *expected);
    }

    #[test]
    fn hashes_are_those_of_the_python_package() {
        let acgt = "1dff3e84fe7877e0673b69bbddcf40124e396e3f9943dd890c91b6a09adb9af0";
        assert_eq!(window_hash("acgt"), window_hash("ACGT"));
        assert_eq!(window_hash("acgt"), text_hash("ACGT"));
        assert_ne!(text_hash("acgt"), text_hash("ACGT"));
        assert_eq!(hex(&text_hash("ACGT")), acgt);
    }

    #[test]
    fn names_come_back_and_others_are_refused() {
        for dtype in [Dtype::Fp16, Dtype::Bf16, Dtype::Fp32] {
            assert_eq!(dtype.as_str().parse::<Dtype>().unwrap(), dtype);
        }
        for pool in [PoolType::CenteredMean, PoolType::GlobalMean, PoolType::Attention] {
            assert_eq!(pool.as_str().parse::<PoolType>().unwrap(), pool);
        }
        assert_eq!("float32".parse::<Dtype>().unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!("max".parse::<PoolType>().unwrap_err().kind(), ErrorKind::Invalid);
    }
}
