use larder_storage::testing::CountingStorage;
use ndarray::{Axis, NewAxis, s};

use super::*;

#[test]
fn a_slice_is_that_of_the_array_wherever_the_array_is() {
    for fortran in [false, true] {
        let (_dir, store) = fresh(1 << 20);
        let shape = IxDyn(&[40, 9, 11]).set_f(fortran);
        let mut expected =
            ArrayD::from_shape_fn(shape, |at| (at[0] * 99 + at[1] * 11 + at[2]) as u16);
        let array = store.insert("a", expected.clone()).unwrap();
        let check = |expected: &ArrayD<u16>, offloaded| {
            let view = expected.view();
            assert_eq!(array.slice(s![5..9, 3, ..;2]).unwrap(), view.slice(s![5..9, 3, ..;2]));
            assert_eq!(array.slice(s![.., .., -1]).unwrap(), view.slice(s![.., .., -1]));
            assert_eq!(
                array.slice(s![-3.., ..;-2, 1..1]).unwrap(),
                view.slice(s![-3.., ..;-2, 1..1])
            );
            assert_eq!(
                array.slice(s![7, NewAxis, 2..5, ..]).unwrap(),
                view.slice(s![7, NewAxis, 2..5, ..])
            );
            assert_eq!(array.slice(s![7, 8, 10]).unwrap(), view.slice(s![7, 8, 10]));
            assert_eq!(array.offloaded(), offloaded);
        };
        check(&expected, false);
        assert!(array.offload().unwrap());
        check(&expected, true);
        array.write().unwrap()[[7, 8, 10]] = 5;
        expected[[7, 8, 10]] = 5;
        assert!(array.offload().unwrap());
        check(&expected, true);
    }
}

#[test]
fn a_slice_beyond_the_array_is_told() {
    let (_dir, store) = fresh(0);
    let array = store.insert("a", Array2::<u8>::zeros((4, 5))).unwrap();
    for wrong in [s![4, 0], s![-5, 0], s![0, 5]] {
        assert_eq!(array.slice(wrong).unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(array.slice(s![..5, 0]).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(array.slice(s![..]).unwrap_err().kind(), ErrorKind::Invalid);
    let error = array.slice(s![2.., 3..9]).unwrap_err();
    assert_eq!(error.to_string(), "a: 3..9 is asked for, and axis 1 has 5");
    assert_eq!(array.slice(s![4.., ..]).unwrap().len(), 0);
}

#[test]
fn a_column_is_read_in_large_parts_and_a_block_without_its_surroundings() {
    let storage = Arc::new(CountingStorage::new(MemoryStorage::new()));
    let store = ArrayStore::on(
        Arc::clone(&storage) as _,
        Options::default().budget(MemoryBudget::bytes(0)),
    )
    .unwrap();
    let narrow = store.insert("narrow", Array2::<u8>::ones((500_000, 4))).unwrap();
    let wide = store.insert("wide", Array2::<u8>::ones((4, 9_000_000))).unwrap();
    drop((narrow.rows(0..1).unwrap(), wide.rows(0..1).unwrap()));
    let reads = || (storage.counts().reads, storage.counts().bytes_read);
    let before = reads();
    assert_eq!(narrow.slice(s![.., 2]).unwrap().len(), 500_000);
    let column = reads();
    assert!(column.0 - before.0 <= 8, "one read for each large part");
    assert_eq!(wide.slice(s![.., 7..9]).unwrap().sum_axis(Axis(0)).len(), 2);
    let block = reads();
    assert_eq!((block.0 - column.0, block.1 - column.1), (4, 8));
}
