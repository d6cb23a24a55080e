use std::borrow::Cow;

use bytemuck::Pod;
use half::{bf16, f16};
use larder_storage::{Error, ErrorKind, Result};

use crate::Dtype;

/// The numbers of one embedding, in the type in which they are stored.
///
/// Equality is that of the bits: a NaN equals the same NaN, and `0.0` is not `-0.0`.
#[derive(Clone, Debug)]
pub enum Embedding {
    /// Half precision.
    Fp16(Vec<f16>),
    /// Brain float.
    Bf16(Vec<bf16>),
    /// Single precision.
    Fp32(Vec<f32>),
}

impl Embedding {
    /// The most numbers that an embedding may have.
    pub const MAX_LEN: usize = 1 << 24;

    /// Rounds each value to the nearest one of `dtype`, ties to even. For [`Dtype::Fp32`] that changes nothing.
    ///
    /// # Errors
    ///
    /// `Invalid` where a finite value lies beyond the range of `dtype`: it is refused, not made infinite.
    pub fn from_f32(dtype: Dtype, values: &[f32]) -> Result<Self> {
        let rounded = match dtype {
            Dtype::Fp16 => Self::Fp16(values.iter().map(|&value| f16::from_f32(value)).collect()),
            Dtype::Bf16 => Self::Bf16(values.iter().map(|&value| bf16::from_f32(value)).collect()),
            Dtype::Fp32 => Self::Fp32(values.to_vec()),
        };
        let lost = values
            .iter()
            .zip(rounded.to_f32())
            .position(|(value, kept)| value.is_finite() != kept.is_finite());
        let Some(at) = lost else { return Ok(rounded) };
        let message = format!(
            "the value {} at {at} does not fit into {dtype}: choose a wider dtype",
            values[at]
        );
        Err(Error::new(ErrorKind::Invalid, message))
    }

    /// The values as `f32`, which holds those of all three types exactly.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Self::Fp16(values) => values.iter().map(|value| value.to_f32()).collect(),
            Self::Bf16(values) => values.iter().map(|value| value.to_f32()).collect(),
            Self::Fp32(values) => values.clone(),
        }
    }

    /// The type of the numbers.
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::Fp16(_) => Dtype::Fp16,
            Self::Bf16(_) => Dtype::Bf16,
            Self::Fp32(_) => Dtype::Fp32,
        }
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Fp16(values) => values.len(),
            Self::Bf16(values) => values.len(),
            Self::Fp32(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of a shard, little endian. Bits are moved as they are: a float that passes through a register may lose a
    /// NaN's payload.
    pub(crate) fn stored(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Fp16(values) => bytemuck::cast_slice(values).into(),
            Self::Bf16(values) => {
                let bytes = values.iter().flat_map(|value| widen(*value).to_le_bytes());
                bytes.collect::<Vec<u8>>().into()
            }
            Self::Fp32(values) => bytemuck::cast_slice(values).into(),
        }
    }

    /// `dim` numbers, whose stored bytes, little endian, `fill` writes; `None` where those are none of `dtype`.
    pub(crate) fn read(
        dtype: Dtype,
        dim: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<Option<Self>> {
        Ok(match dtype {
            Dtype::Fp16 => Some(Self::Fp16(filled(dim, fill)?)),
            Dtype::Bf16 => narrowed(&filled::<u32>(dim, fill)?).map(Self::Bf16),
            Dtype::Fp32 => Some(Self::Fp32(filled(dim, fill)?)),
        })
    }

    /// The same numbers in the type that a key names, where they are kept in half precision; `None` where one of them
    /// has no exact form in it.
    pub(crate) fn exactly(self, dtype: Dtype) -> Option<Self> {
        if self.dtype() == dtype {
            return Some(self);
        }
        let singles = self.to_f32();
        match dtype {
            Dtype::Fp16 => None,
            Dtype::Bf16 => narrowed(bytemuck::cast_slice(&singles)).map(Self::Bf16),
            Dtype::Fp32 => Some(Self::Fp32(singles)),
        }
    }
}

/// Zeros that `fill` overwrites.
pub(crate) fn filled<T: Pod>(
    count: usize,
    fill: impl FnOnce(&mut [u8]) -> Result<()>,
) -> Result<Vec<T>> {
    let mut values = bytemuck::zeroed_vec(count);
    fill(bytemuck::cast_slice_mut(&mut values))?;
    Ok(values)
}

/// The `bf16` of these bits of `f32`; `None` where one is none.
pub(crate) fn narrowed(bits: &[u32]) -> Option<Vec<bf16>> {
    bits.iter().map(|bits| narrow(*bits)).collect()
}

/// The bits of the `f32` with the same value. Done on bits, because a conversion would quieten NaNs.
fn widen(value: bf16) -> u32 {
    u32::from(value.to_bits()) << 16
}

fn narrow(bits: u32) -> Option<bf16> {
    (bits & 0xffff == 0).then(|| bf16::from_bits((bits >> 16) as u16))
}

impl PartialEq for Embedding {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fp16(a), Self::Fp16(b)) => same(a, b, |value| value.to_bits()),
            (Self::Bf16(a), Self::Bf16(b)) => same(a, b, |value| value.to_bits()),
            (Self::Fp32(a), Self::Fp32(b)) => same(a, b, |value| value.to_bits()),
            _ => false,
        }
    }
}

impl Eq for Embedding {}

fn same<T, B: PartialEq>(a: &[T], b: &[T], bits: impl Fn(&T) -> B) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| bits(a) == bits(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finite_value_is_never_made_infinite() {
        for (dtype, value) in
            [(Dtype::Fp16, 65_520.0), (Dtype::Fp16, -1e6), (Dtype::Bf16, f32::MAX)]
        {
            assert_eq!(
                Embedding::from_f32(dtype, &[0.0, value]).unwrap_err().kind(),
                ErrorKind::Invalid
            );
        }
        let kept = Embedding::from_f32(Dtype::Fp16, &[65_504.0, f32::INFINITY, f32::NAN])
            .unwrap()
            .to_f32();
        assert_eq!(kept[..2], [65_504.0, f32::INFINITY]);
        assert!(kept[2].is_nan());
        assert_eq!(Embedding::from_f32(Dtype::Fp32, &[1e6, 1e-9]).unwrap().to_f32(), [1e6, 1e-9]);
    }

    #[test]
    fn half_precision_is_widened_where_that_is_exact() {
        let halves = |value| Embedding::from_f32(Dtype::Fp16, &[value, f32::INFINITY]).unwrap();
        for value in [1.5, -0.0, 65_280.0] {
            for dtype in [Dtype::Fp16, Dtype::Bf16, Dtype::Fp32] {
                let widened = halves(value).exactly(dtype).unwrap();
                assert_eq!((widened.dtype(), widened.to_f32()), (dtype, halves(value).to_f32()));
            }
        }
        assert_eq!(halves(65_504.0).exactly(Dtype::Bf16), None, "eleven bits are set");
        assert!(halves(65_504.0).exactly(Dtype::Fp32).is_some());
    }

    #[test]
    fn equality_is_that_of_the_bits() {
        let nan = Embedding::Fp32(vec![f32::from_bits(0x7fa0_0001)]);
        assert_eq!(nan, nan.clone());
        assert_ne!(nan, Embedding::Fp32(vec![f32::NAN]));
        assert_ne!(Embedding::Fp32(vec![0.0]), Embedding::Fp32(vec![-0.0]));
        assert_ne!(Embedding::Fp16(vec![f16::ZERO]), Embedding::Bf16(vec![bf16::ZERO]));
    }

    #[test]
    fn every_bf16_survives_widening() {
        for bits in 0..=u16::MAX {
            let value = bf16::from_bits(bits);
            assert_eq!(narrow(widen(value)).map(bf16::to_bits), Some(bits));
        }
        assert_eq!(narrow(0x3f80_0001), None);
    }
}
