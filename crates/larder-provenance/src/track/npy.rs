//! One-dimensional `.npy` arrays, version 1.0 of the format. `descr` is the type of an element, as a Python literal.
//!
//! Source: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use bytes::Bytes;

/// The magic, the version, the length of the dictionary, and the dictionary, padded to a multiple of 64 bytes.
fn header(descr: &str, count: usize) -> Vec<u8> {
    const PREFIX: usize = 10;
    let mut dict = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': ({count},), }}");
    let unpadded = PREFIX + dict.len() + 1;
    dict.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    dict.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    // A dictionary with one number and one of our types has fewer than 256 bytes.
    header.extend((dict.len() as u16).to_le_bytes());
    header.extend(dict.as_bytes());
    header
}

/// An array of `count` elements, given as their bytes.
pub(super) fn write<const N: usize>(
    descr: &str,
    count: usize,
    elements: impl Iterator<Item = [u8; N]>,
) -> Bytes {
    let mut bytes = header(descr, count);
    bytes.reserve_exact(count * N);
    elements.for_each(|element| bytes.extend(element));
    bytes.into()
}

/// The elements of an array that has `count` of them and that [`write`] wrote; `None` where it is anything else.
pub(super) fn read<'a, const N: usize>(
    bytes: &'a [u8],
    descr: &str,
    count: usize,
) -> Option<&'a [[u8; N]]> {
    let (elements, rest) = bytes.strip_prefix(header(descr, count).as_slice())?.as_chunks::<N>();
    (elements.len() == count && rest.is_empty()).then_some(elements)
}
