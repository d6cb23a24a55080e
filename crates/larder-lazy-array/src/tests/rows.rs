//! Arrays that are written and read row by row.

use num_complex::Complex;

use super::*;

#[test]
fn rows_that_are_appended_make_the_array_that_is_inserted() {
    let (dir, store) = fresh(0);
    let array = Array2::from_shape_fn((1000, 7), |(row, column)| (row * 10 + column) as f32);
    store.insert("whole", array.clone()).unwrap();
    let mut writer = store.writer::<f32>("parts", &[1000, 7]).unwrap();
    for rows in [0..1, 1..1, 1..400, 400..1000] {
        assert_eq!(writer.left(), 1000 - rows.start);
        writer.append(array.slice(ndarray::s![rows, ..])).unwrap();
        assert!(!store.contains("parts").unwrap());
    }
    let written = writer.finish().unwrap();
    assert!(written.offloaded());
    assert_eq!(*written.read().unwrap(), array.into_dyn());
    let bytes = |name: &str| fs::read(dir.path().join(name)).unwrap();
    assert_eq!(bytes("parts.npy"), bytes("whole.npy"));
    assert_eq!(bytes("parts.meta.json"), bytes("whole.meta.json"));
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn a_chunk_in_another_order_is_laid_out() {
    let (_storage, store) = in_memory(1 << 20);
    let array = array![[1, 2, 3], [4, 5, 6]];
    let mut writer = store.writer::<i32>("a", &[2, 3]).unwrap();
    writer.append(array.t().as_standard_layout().t()).unwrap();
    assert_eq!(*writer.finish().unwrap().read().unwrap(), array.into_dyn());
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_published() {
    let (dir, store) = fresh(1 << 20);
    let mut writer = store.writer::<u8>("a", &[3, 2]).unwrap();
    for shape in [&[1, 3][..], &[4, 2], &[2], &[1, 2, 1]] {
        let error = writer.append(ArrayD::zeros(shape).view()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{shape:?}");
    }
    writer.append(array![[1, 2]].view()).unwrap();
    assert_eq!(writer.finish().unwrap_err().kind(), ErrorKind::Invalid);
    assert!(!store.contains("a").unwrap() && staged(dir.path()).is_empty());
    drop(store.writer::<u8>("a", &[3, 2]).unwrap());
    assert!(staged(dir.path()).is_empty());

    for shape in [&[][..], &[1; 33], &[usize::MAX, 2]] {
        assert_eq!(store.writer::<u8>("a", shape).unwrap_err().kind(), ErrorKind::Invalid);
    }
    let writer = store.writer::<u8>("a", &[0, 2]).unwrap();
    store.insert("a", array![1_u8]).unwrap();
    assert_eq!(writer.finish().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.writer::<u8>("a", &[1]).unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn chunks_are_the_rows_in_their_order() {
    let (_dir, store) = fresh(0);
    let array = Array2::from_shape_fn((10, 3), |(row, column)| row * 3 + column).mapv(|n| n as i64);
    let kept = store.insert("a", array.clone()).unwrap();
    for len in [1, 3, 10, usize::MAX] {
        let chunks: Vec<_> = kept.chunks(len).unwrap().map(Result::unwrap).collect();
        assert_eq!(chunks.len(), 10_usize.div_ceil(len));
        let views: Vec<_> = chunks.iter().map(|chunk| chunk.view()).collect();
        assert_eq!(
            ndarray::concatenate(ndarray::Axis(0), &views).unwrap(),
            array.clone().into_dyn()
        );
    }
    assert!(kept.offloaded());
    assert_eq!(kept.chunks(0).err().unwrap().kind(), ErrorKind::Invalid);
    let scalar = store.insert("b", arr0(1_u8)).unwrap();
    assert_eq!(scalar.chunks(1).err().unwrap().kind(), ErrorKind::Invalid);
}

#[test]
fn complex_numbers_come_back_bit_for_bit() {
    let (dir, store) = fresh(0);
    let array = array![Complex::new(1.5_f32, f32::NEG_INFINITY), Complex::new(-0.0, f32::NAN)];
    store.insert("c8", array.clone()).unwrap();
    store.insert("c16", array![Complex::new(1.0_f64, 2.0)]).unwrap();
    let other = open(dir.path(), 1 << 20);
    let found = other.get::<Complex<f32>>("c8").unwrap().unwrap();
    let bits = |numbers: &[Complex<f32>]| {
        numbers.iter().flat_map(|it| [it.re.to_bits(), it.im.to_bits()]).collect::<Vec<_>>()
    };
    assert_eq!(bits(found.read().unwrap().as_slice().unwrap()), bits(array.as_slice().unwrap()));
    assert_eq!(other.info("c16").unwrap().unwrap().dtype.to_string(), "<c16");
}
