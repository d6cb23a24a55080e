use proptest::prelude::*;

use larder_storage::PublishedFile;

use super::*;

#[derive(Debug)]
struct Bytes(Vec<u8>);

impl ReadAt for Bytes {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let rest = &self.0[offset as usize..];
        buf.copy_from_slice(&rest[..buf.len()]);
        Ok(())
    }

    fn is_current(&self) -> bool {
        true
    }

    fn file(&self) -> Option<&PublishedFile> {
        None
    }
}

fn file(version: u8, text: &str, data: usize) -> Bytes {
    let length = text.len() as u32;
    let mut bytes = [&MAGIC[..], &[version, 0]].concat();
    match version {
        1 => bytes.extend((length as u16).to_le_bytes()),
        _ => bytes.extend(length.to_le_bytes()),
    }
    bytes.extend(text.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    Bytes(bytes)
}

fn read(text: &str, data: usize) -> Result<Header> {
    Header::read(&file(1, text, data))
}

fn kind(text: &str, data: usize) -> ErrorKind {
    read(text, data).expect_err(text).kind()
}

#[test]
fn writes_what_numpy_writes() {
    let layout = Layout { shape: vec![2, 3], fortran_order: true };
    let expected =
        "\u{93}NUMPY\u{1}\0v\0{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3), }";
    let header = header(DType::F64, &layout);
    let latin1: String = header.iter().map(|byte| char::from(*byte)).collect();
    assert_eq!(latin1.trim_end(), expected);
    assert_eq!((header.len(), header.last()), (128, Some(&b'\n')));
}

#[test]
fn large_data_start_at_a_page() {
    let layout = |rows| Layout { shape: vec![rows, 1024], fortran_order: false };
    assert_eq!(header(DType::U8, &layout(63)).len(), 128);
    assert_eq!(header(DType::U8, &layout(64)).len(), 4096);
}

#[test]
fn reads_every_version_key_order_and_spelling() {
    let text = "{\"shape\":( 2L , 3 ) ,'fortran_order':False,'descr':'>i2'}";
    for version in [1, 2, 3] {
        let found = Header::read(&file(version, text, 12)).unwrap();
        assert_eq!((found.dtype, found.endian), (DType::I16, Endian::Big));
        assert_eq!(found.layout, Layout { shape: vec![2, 3], fortran_order: false });
    }
    let long = text.to_owned() + &" ".repeat(9000) + "\n";
    assert_eq!(read(&long, 12).unwrap().data_start, 10 + long.len() as u64);
    let scalar = "{'descr': '|b1', 'fortran_order': False, 'shape': (), }";
    assert_eq!(read(scalar, 1).unwrap().layout.len(), 1);
    let empty = "{'descr': '<f4', 'fortran_order': True, 'shape': (0, 5), }";
    assert_eq!(read(empty, 0).unwrap().layout.shape, [0, 5]);
}

#[test]
fn says_what_is_wrong() {
    let with =
        |descr, shape| format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}");
    assert_eq!(kind(&with("'<f8'", "(2,)"), 15), ErrorKind::Corrupt);
    assert_eq!(kind(&with("'<f8'", "(2,)"), 17), ErrorKind::Corrupt);
    assert_eq!(kind(&with("'|O'", "(2,)"), 16), ErrorKind::Unsupported);
    assert_eq!(kind(&with("[('a', '<f8')]", "(2,)"), 16), ErrorKind::Unsupported);
    assert_eq!(kind(&with("'<c32'", "(2,)"), 16), ErrorKind::Unsupported);
    let huge = "(9223372036854775807, 2)";
    assert_eq!(kind(&with("'<f8'", huge), 16), ErrorKind::Corrupt);
    assert_eq!(kind(&with("'<f8'", "(99999999999999999999,)"), 16), ErrorKind::Corrupt);
    for shape in ["(2)", "(,)", "(2,,)", "2", "(-2,)", "(2,", "(2 2)", "(2.0,)"] {
        assert_eq!(kind(&with("'<f8'", shape), 16), ErrorKind::Corrupt, "{shape}");
    }
    for text in ["", "{}", "{'descr': '<f8'}", "{'descr': '<f8', 'descr': '<f8', }", "[1]"] {
        assert_eq!(kind(text, 0), ErrorKind::Corrupt, "{text}");
    }
}

#[test]
fn tells_foreign_from_future_from_cut() {
    let kind = |bytes: &[u8]| Header::read(&Bytes(bytes.to_vec())).unwrap_err().kind();
    assert_eq!(kind(b""), ErrorKind::Corrupt);
    assert_eq!(kind(b"PK\x03\x04 something else"), ErrorKind::Format);
    assert_eq!(kind(b"\x93NUMPY\x04\x00v\x00"), ErrorKind::Format);
    assert_eq!(kind(b"\x93NUMPY"), ErrorKind::Corrupt);
    assert_eq!(kind(b"\x93NUMPY\x01\x00v"), ErrorKind::Corrupt);
    assert_eq!(kind(b"\x93NUMPY\x01\x00v\x00{'descr'"), ErrorKind::Corrupt);
    assert_eq!(kind(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr'"), ErrorKind::Corrupt);
}

fn layouts() -> impl Strategy<Value = Layout> {
    (prop::collection::vec(0_usize..5, 0..6), any::<bool>())
        .prop_map(|(shape, fortran_order)| Layout { shape, fortran_order })
}

proptest! {
    #[test]
    fn headers_come_back(layout in layouts()) {
        let mut bytes = header(DType::I16, &layout);
        prop_assert_eq!(bytes.len() % ALIGNMENT, 0);
        let (data_start, crc32c) = (bytes.len() as u64, crc32c(&bytes));
        bytes.resize(bytes.len() + layout.len() * 2, 0);
        let found = Header::read(&Bytes(bytes)).unwrap();
        let (dtype, endian) = (DType::I16, Endian::Little);
        prop_assert_eq!(found, Header { dtype, endian, layout, data_start, crc32c });
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Header::read(&Bytes([&MAGIC[..], &bytes].concat()));
    }

    #[test]
    fn no_mutation_panics_or_reads_past_the_end(
        layout in layouts(),
        edits in prop::collection::vec((0_usize..128, any::<u8>()), 1..4),
        cut in 0_usize..200,
    ) {
        let mut bytes = header(DType::U8, &layout);
        bytes.resize(bytes.len() + layout.len(), 0);
        for (at, byte) in edits {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        let length = bytes.len() as u64;
        if let Ok(found) = Header::read(&Bytes(bytes)) {
            prop_assert_eq!(found.data_start + (found.layout.len() * found.dtype.size()) as u64, length);
        }
    }
}
