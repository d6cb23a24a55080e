//! One-dimensional `.npy` arrays of little-endian `f32`, version 1.0 of the format.
//!
//! Source: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use bytes::Bytes;

/// The magic, the version, the length of the dictionary, and the dictionary, padded to a multiple of 64 bytes.
fn header(count: usize) -> Vec<u8> {
    const PREFIX: usize = 10;
    let mut dict = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({count},), }}");
    let unpadded = PREFIX + dict.len() + 1;
    dict.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    dict.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    // A dictionary with one number has fewer than 128 bytes.
    header.extend((dict.len() as u16).to_le_bytes());
    header.extend(dict.as_bytes());
    header
}

pub(super) fn write<'a>(arrays: impl Iterator<Item = &'a [f32]> + Clone) -> Bytes {
    let count = arrays.clone().map(<[f32]>::len).sum();
    let mut bytes = header(count);
    bytes.reserve_exact(count * size_of::<f32>());
    for value in arrays.flatten() {
        bytes.extend(value.to_le_bytes());
    }
    bytes.into()
}

/// The values of an array that has `count` of them and that [`write`] wrote; `None` where it is anything else.
pub(super) fn read(bytes: &[u8], count: usize) -> Option<Vec<f32>> {
    let (values, rest) = bytes.strip_prefix(header(count).as_slice())?.as_chunks::<4>();
    (values.len() == count && rest.is_empty())
        .then(|| values.iter().copied().map(f32::from_le_bytes).collect())
}
