//! Many rows in one piece of memory.

use arrow_array::{Array, cast::AsArray, types::Float32Type};
use half::{bf16, f16};
use ndarray::Array2;

use super::*;

/// More than one thread reads.
const ROWS: u32 = 300;

fn of_dtype(dtype: Dtype, window: u32) -> WindowRecord {
    let values: Vec<f32> = (0..5).map(|i| window as f32 + i as f32).collect();
    let embedding = Embedding::from_f32(dtype, &values).unwrap();
    let key = WindowKey { dtype, ..key(window) };
    WindowRecord::new("1", 0, 1, key, embedding).unwrap()
}

/// Rows of one dtype in two shards, and their keys in no order.
fn filled(dtype: Dtype) -> (Fixture, Vec<WindowKey>) {
    let f = Fixture::new();
    for (block, windows) in [(0, 0..ROWS / 2), (1, ROWS / 2..ROWS)] {
        let rows: Vec<_> = windows.map(|window| of_dtype(dtype, window)).collect();
        f.cache.write_shard("enc", "1", block, &rows).unwrap();
    }
    let keys = (0..ROWS).map(|i| of_dtype(dtype, i * 7 % ROWS).key).collect();
    (f, keys)
}

fn expected(cache: &EmbeddingCache, keys: &[WindowKey]) -> Vec<Vec<f32>> {
    let rows = cache.read_many(keys).unwrap();
    rows.into_iter().map(|row| row.unwrap().to_f32()).collect()
}

fn rows<T: Copy>(matrix: &Array2<T>, widen: impl Fn(T) -> f32 + Copy) -> Vec<Vec<f32>> {
    matrix.rows().into_iter().map(|row| row.iter().map(|value| widen(*value)).collect()).collect()
}

#[test]
fn a_matrix_has_the_rows_in_the_order_asked_for() {
    for dtype in [Dtype::Fp16, Dtype::Bf16, Dtype::Fp32] {
        let (f, keys) = filled(dtype);
        let expected = expected(&f.cache, &keys);
        assert_eq!(rows(&f.cache.read_matrix::<f32>(&keys).unwrap(), |value| value), expected);
        match dtype {
            Dtype::Fp16 => {
                let matrix = f.cache.read_matrix::<f16>(&keys).unwrap();
                assert_eq!(rows(&matrix, f16::to_f32), expected);
                assert_eq!(kind(f.cache.read_matrix::<bf16>(&keys)), ErrorKind::Invalid);
            }
            Dtype::Bf16 => {
                let matrix = f.cache.read_matrix::<bf16>(&keys).unwrap();
                assert_eq!(rows(&matrix, bf16::to_f32), expected);
                assert_eq!(kind(f.cache.read_matrix::<f16>(&keys)), ErrorKind::Invalid);
            }
            Dtype::Fp32 => assert_eq!(kind(f.cache.read_matrix::<f16>(&keys)), ErrorKind::Invalid),
        }
    }
}

#[test]
fn a_matrix_of_rows_of_the_python_package_has_what_it_stored() {
    let f = Fixture::new();
    f.put(&legacy_path(0), python_shard(&records(0..5)));
    f.write(1, 5..9);
    let cache = f.open();
    let keys: Vec<_> = [7, 2, 4, 8, 0].map(key).into();
    let matrix = cache.read_matrix::<f32>(&keys).unwrap();
    assert_eq!(rows(&matrix, |value| value), expected(&cache, &keys));
    assert_eq!(cache.read_matrix::<f16>(&keys[1..3]).unwrap().dim(), (2, 4));
}

#[test]
fn what_makes_no_matrix_is_told() {
    let f = Fixture::new();
    f.write(0, 0..5);
    let wide = WindowRecord::new("1", 0, 1, key(5), crate::testing::values(7)).unwrap();
    f.cache.write_shard("enc", "1", 1, &[wide]).unwrap();
    let missing = f.cache.read_matrix::<f32>(&[key(1), key(77)]).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.to_string().contains("0000004d"), "{missing}");
    assert_eq!(kind(f.cache.read_matrix::<f32>(&[key(1), key(5)])), ErrorKind::Invalid);
    assert_eq!(f.cache.read_matrix::<f32>(&[]).unwrap().dim(), (0, 0));
}

#[test]
fn a_batch_has_nulls_for_what_is_missing() {
    let (f, keys) = filled(Dtype::Fp32);
    let missing = WindowKey { window_hash: [9; 32], ..keys[0] };
    let asked = [keys[3], missing, keys[4]];
    let batch = f.cache.read_batch(&asked).unwrap();
    let lists = batch.column_by_name("embedding").unwrap().as_fixed_size_list();
    assert_eq!((0..3).map(|i| lists.is_null(i)).collect::<Vec<_>>(), [false, true, false]);
    let values = lists.value(2);
    let expected = f.cache.read(&keys[4]).unwrap().unwrap().to_f32();
    assert_eq!(values.as_primitive::<Float32Type>().values(), &expected[..]);
    let hashes = batch.column_by_name("window_hash").unwrap().as_fixed_size_binary();
    assert_eq!(hashes.value(1), missing.window_hash);
    assert_eq!(f.cache.read_batch(&asked[1..2]).unwrap().num_rows(), 1);
    assert_eq!(f.cache.read_batch(&[]).unwrap().num_rows(), 0);
    let other = WindowKey { dtype: Dtype::Fp16, ..keys[0] };
    assert_eq!(kind(f.cache.read_batch(&[keys[0], other])), ErrorKind::Invalid);
}
