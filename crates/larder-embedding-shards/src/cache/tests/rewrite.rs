//! Rewriting shards of the Python package.

use super::{
    super::compact::FIRST_BLOCK,
    compact::{compact, figures},
    *,
};

#[test]
fn a_shard_of_the_python_package_is_rewritten_with_the_dtypes_of_its_keys() {
    let f = Fixture::new();
    let mut rows = records(0..30);
    for (i, row) in rows.iter_mut().enumerate() {
        row.key.dtype = [Dtype::Fp16, Dtype::Bf16, Dtype::Fp32][i % 3];
        row.embedding =
            Embedding::from_f32(row.key.dtype, &[i as f32 / 2.0, -0.0, f32::INFINITY]).unwrap();
    }
    f.put(&legacy_path(4), python_shard(&rows[..20]));
    f.put(&legacy_path(5), python_shard(&rows[20..]));
    let cache = f.open();
    assert_eq!(figures(&compact(&cache)), (2 + 6, 6 + 3, 30 + 30, 0));
    let path = |dtype, block| {
        shard_path_for(&ShardId::of("a__b", "1", block, &WindowKey { dtype, ..key(0) })).unwrap()
    };
    let paths = [Dtype::Bf16, Dtype::Fp16, Dtype::Fp32].map(|dtype| path(dtype, FIRST_BLOCK));
    assert_eq!(cache.list().unwrap(), paths);
    for row in &rows {
        assert_eq!(cache.read(&row.key).unwrap().as_ref(), Some(&row.embedding));
    }
    assert!(cache.shards().unwrap().iter().all(|info| info.is_read_by_offset()));
    cache.write_shard("a__b", "1", 0, std::slice::from_ref(&rows[2])).unwrap();
}

#[test]
fn a_shard_of_the_python_package_that_has_no_exact_form_stays() {
    let f = Fixture::new();
    let bf16 = |window, value| {
        let key = WindowKey { dtype: Dtype::Bf16, ..key(window) };
        let embedding = Embedding::from_f32(Dtype::Bf16, &[1.0]).unwrap();
        let row = WindowRecord::new("1", 0, 1, key, embedding).unwrap();
        // What the package rounds to half precision.
        WindowRecord { embedding: Embedding::Fp32(vec![value]), ..row }
    };
    f.put(&legacy_path(0), python_shard(&[bf16(0, 1.5), bf16(1, 1.0009766)]));
    f.put(&Key::new("embeddings/elsewhere.parquet").unwrap(), python_shard(&records(5..9)));
    let cache = f.open();
    let report = compact(&cache);
    assert_eq!(figures(&report), (0, 0, 0, 2));
    assert!(report.problems[0].what.contains("no bf16"), "{report:?}");
    assert!(report.problems[1].what.contains("its path"), "{report:?}");
    assert!(cache.contains(&key(7)).unwrap());
}

#[test]
fn a_half_rewritten_shard_of_the_python_package_is_completed() {
    let f = Fixture::new();
    let mut rows = records(0..10);
    rows[5..].iter_mut().for_each(|row| row.key.dtype = Dtype::Bf16);
    rows[5..]
        .iter_mut()
        .for_each(|row| row.embedding = Embedding::from_f32(Dtype::Bf16, &[2.0; 4]).unwrap());
    let file = python_shard(&rows);
    f.put(&legacy_path(0), file.clone());
    compact(&f.open());
    let done = f.cache.list().unwrap();
    let halves: Vec<_> = done.iter().map(|path| fs::read(f.file(path)).unwrap()).collect();
    for first in [0, 1] {
        let f = Fixture::new();
        f.put(&legacy_path(0), file.clone());
        f.cache.refresh().unwrap();
        f.put(&done[first], halves[first].clone());
        let cache = f.open();
        assert_eq!((cache.skipped(), cache.list().unwrap().len()), (&[][..], 2));
        assert_eq!(cache.verify().unwrap().problems, []);
        assert_eq!(figures(&compact(&cache)), (1, 1, 5, 0));
        assert_eq!(cache.list().unwrap(), done);
        assert!(
            rows.iter().all(|row| cache.read(&row.key).unwrap().as_ref() == Some(&row.embedding))
        );
        // Another file of the same name is another shard.
        f.put(&legacy_path(0), python_shard(&records(0..3)));
        assert_eq!(f.open().skipped().len(), 1);
        assert!(f.file(&legacy_path(0)).exists());
    }
}
