//! The element types, and how their bytes lie in a file.

use std::{fmt, marker::PhantomData};

use half::{bf16, f16};
use num_complex::Complex;
use serde::{Serialize, Serializer};

/// The type of an array's elements. [`Display`](fmt::Display) and JSON write it as numpy does, such as `<f8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "each one is the Rust type of that name, and a pair of floats is complex"
)]
pub enum DType {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    Bf16,
    F32,
    F64,
    Complex32,
    Complex64,
}

/// Every type with its numpy name. That of bf16 is the one under which numpy keeps the type of `ml_dtypes`.
const NAMES: [(DType, &str); 15] = [
    (DType::Bool, "|b1"),
    (DType::I8, "|i1"),
    (DType::I16, "<i2"),
    (DType::I32, "<i4"),
    (DType::I64, "<i8"),
    (DType::U8, "|u1"),
    (DType::U16, "<u2"),
    (DType::U32, "<u4"),
    (DType::U64, "<u8"),
    (DType::F16, "<f2"),
    (DType::Bf16, "<V2"),
    (DType::F32, "<f4"),
    (DType::F64, "<f8"),
    (DType::Complex32, "<c8"),
    (DType::Complex64, "<c16"),
];

impl DType {
    /// The name in the `descr` field of a `.npy` header, as numpy's `dtype.str` gives it.
    pub fn descr(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// The size of one element in bytes.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::F16 | Self::Bf16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 | Self::Complex32 => 8,
            Self::Complex64 => 16,
        }
    }

    /// Does `work` for the elements of this type.
    pub fn run<W: ElementWork>(self, work: W) -> W::Output {
        match self {
            Self::Bool => work.run::<bool>(),
            Self::I8 => work.run::<i8>(),
            Self::I16 => work.run::<i16>(),
            Self::I32 => work.run::<i32>(),
            Self::I64 => work.run::<i64>(),
            Self::U8 => work.run::<u8>(),
            Self::U16 => work.run::<u16>(),
            Self::U32 => work.run::<u32>(),
            Self::U64 => work.run::<u64>(),
            Self::F16 => work.run::<f16>(),
            Self::Bf16 => work.run::<bf16>(),
            Self::F32 => work.run::<f32>(),
            Self::F64 => work.run::<f64>(),
            Self::Complex32 => work.run::<Complex<f32>>(),
            Self::Complex64 => work.run::<Complex<f64>>(),
        }
    }

    /// Reads a numpy name in either byte order.
    pub(crate) fn parse(descr: &str) -> Option<(Self, Endian)> {
        let kind = descr.get(1..)?;
        let (dtype, _) = NAMES.into_iter().find(|(_, name)| name[1..] == *kind)?;
        let orderless = dtype.size() == 1 || dtype == Self::Bf16;
        match descr.as_bytes()[0] {
            b'<' => Some((dtype, Endian::Little)),
            b'|' if orderless => Some((dtype, Endian::Little)),
            b'>' if dtype != Self::Bf16 => Some((dtype, Endian::Big)),
            _ => None,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.descr())
    }
}

impl Serialize for DType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.descr())
    }
}

/// The byte order of a file; what is written is little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endian {
    Little,
    Big,
}

impl Endian {
    /// That of this machine.
    pub(crate) const NATIVE: Self =
        if cfg!(target_endian = "little") { Self::Little } else { Self::Big };
}

/// A type that an array can hold: `bool`, `i8` to `i64`, `u8` to `u64`, [`f16`](half::f16),
/// [`bf16`](half::bf16), `f32`, `f64`, and [`Complex`] of `f32` or `f64`.
///
/// A `bool` is read as numpy reads it: every byte but zero is true.
pub trait Element:
    Copy + PartialEq + fmt::Debug + fmt::Display + Send + Sync + sealed::Codec + 'static
{
    /// The type as numpy knows it.
    const DTYPE: DType;
}

/// Work on elements of a type that is known only when it runs, for [`DType::run`].
pub trait ElementWork {
    /// What it comes to.
    type Output;

    /// Does it for elements of type `A`.
    fn run<A: Element>(self) -> Self::Output;
}

pub(crate) mod sealed {
    use std::marker::PhantomData;

    use bytemuck::{NoUninit, Pod, Zeroable};

    /// Elements to bytes and back.
    pub trait Codec: NoUninit + Zeroable {
        /// An element as it is read: all bytes are one.
        type Raw: Pod;

        /// Whether all bytes are an element, so that a file can be mapped.
        const MAPS: bool;

        /// The elements that were read.
        fn from_raw(raw: Vec<Self::Raw>) -> Vec<Self>;

        /// Turns the bytes of each element round.
        fn swap(raw: &mut [Self::Raw]);
    }

    pub(super) const fn all_bytes_are_one<A: Pod>(_: PhantomData<A>) -> bool {
        true
    }
}

macro_rules! plain {
    ($($element:ty => $dtype:ident, $swap:expr;)*) => {$(
        impl Element for $element {
            const DTYPE: DType = DType::$dtype;
        }

        impl sealed::Codec for $element {
            type Raw = Self;

            const MAPS: bool = sealed::all_bytes_are_one(PhantomData::<Self>);

            fn from_raw(raw: Vec<Self>) -> Vec<Self> {
                raw
            }

            fn swap(raw: &mut [Self]) {
                let swap: fn(Self) -> Self = $swap;
                raw.iter_mut().for_each(|element| *element = swap(*element));
            }
        }
    )*};
}

macro_rules! numbers {
    ($($number:ty => $dtype:ident,)*) => {
        plain! {$($number => $dtype, |number| Self::from_le_bytes(number.to_be_bytes());)*}
    };
}

numbers! {
    i8 => I8,
    i16 => I16,
    i32 => I32,
    i64 => I64,
    u8 => U8,
    u16 => U16,
    u32 => U32,
    u64 => U64,
    f16 => F16,
    bf16 => Bf16,
    f32 => F32,
    f64 => F64,
}

macro_rules! pairs {
    ($($part:ty => $dtype:ident,)*) => {
        plain! {$(Complex<$part> => $dtype, |pair| {
            let swap = |part: $part| <$part>::from_le_bytes(part.to_be_bytes());
            Self::new(swap(pair.re), swap(pair.im))
        };)*}
    };
}

// The real part comes first.
pairs! {
    f32 => Complex32,
    f64 => Complex64,
}

impl Element for bool {
    const DTYPE: DType = DType::Bool;
}

impl sealed::Codec for bool {
    type Raw = u8;

    const MAPS: bool = false;

    fn from_raw(raw: Vec<u8>) -> Vec<Self> {
        raw.into_iter().map(|byte| byte != 0).collect()
    }

    fn swap(_: &mut [u8]) {}
}

#[cfg(test)]
mod tests {
    use super::{sealed::Codec, *};

    #[test]
    fn names_are_in_the_order_of_the_types_and_come_back() {
        for (dtype, name) in NAMES {
            assert_eq!(dtype.descr(), name);
            assert_eq!(DType::parse(name), Some((dtype, Endian::Little)));
            assert!(name.ends_with(&dtype.size().to_string()));
        }
    }

    #[test]
    fn reads_the_other_names_of_numpy_and_nothing_else() {
        assert_eq!(DType::parse(">f8"), Some((DType::F64, Endian::Big)));
        assert_eq!(DType::parse("|V2"), Some((DType::Bf16, Endian::Little)));
        for name in
            ["", "<", "f8", "|f8", "=f8", "<f16", "<c32", "|O", ">V2", "<U4", "é8", "<M8[ns]"]
        {
            assert_eq!(DType::parse(name), None, "{name:?}");
        }
    }

    #[test]
    fn bytes_turn_round_within_each_part() {
        let mut numbers = [0x0102_u16, 0x0304];
        u16::swap(&mut numbers);
        assert_eq!(numbers, [0x0201, 0x0403]);
        let mut pairs = [Complex::new(f64::from_bits(1), f64::from_bits(2))];
        Complex::<f64>::swap(&mut pairs);
        let swapped = [pairs[0].re.to_bits(), pairs[0].im.to_bits()];
        assert_eq!(swapped, [1_u64.swap_bytes(), 2_u64.swap_bytes()]);
        assert_eq!(bool::from_raw(vec![0, 1, 2]), [false, true, true]);
    }
}
