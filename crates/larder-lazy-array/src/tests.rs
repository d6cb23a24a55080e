use std::{
    fs::{self, File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use half::{bf16, f16};
use larder_storage::{ErrorKind, Key, MemoryStorage, PutIf, Storage};
use ndarray::{Array1, Array2, ArrayD, IxDyn, ShapeBuilder, arr0, arr1, array};
use tempfile::TempDir;

use super::*;

mod budget;
mod damage;
mod mapped;
mod mapping;
#[cfg(target_os = "linux")]
mod mended;
mod model;
mod moments;
mod npy;
mod pinned;
mod removal;
mod rows;
mod settings;
mod slices;
mod storm;
mod threads;

fn open(dir: &Path, limit: u64) -> ArrayStore {
    ArrayStore::open(dir, Options::default().budget(MemoryBudget::bytes(limit))).unwrap()
}

fn fresh(limit: u64) -> (TempDir, ArrayStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), limit);
    (dir, store)
}

fn in_memory(limit: u64) -> (Arc<MemoryStorage>, ArrayStore) {
    let storage = Arc::new(MemoryStorage::new());
    let options = Options::default().budget(MemoryBudget::bytes(limit));
    (Arc::clone(&storage), ArrayStore::on(storage, options).unwrap())
}

fn write(path: &Path, bytes: &[u8]) {
    File::create(path).unwrap().write_all(bytes).unwrap();
}

/// The open files below `root` that have no name any more, by a name that opens them.
#[cfg(target_os = "linux")]
fn unnamed(root: &Path) -> Vec<PathBuf> {
    let open = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    let is_unnamed = |path: &PathBuf| {
        let target = fs::read_link(path).unwrap_or_default();
        target.starts_with(root) && target.to_string_lossy().ends_with("(deleted)")
    };
    open.filter(is_unnamed).collect()
}

/// The files in the stage areas.
fn staged(root: &Path) -> Vec<PathBuf> {
    let below = |dir: &Path| fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let areas = below(&root.join(".larder/stage")).filter(|path| path.is_dir());
    areas.flat_map(|area| below(&area).collect::<Vec<_>>()).collect()
}

#[test]
fn everything_can_cross_threads() {
    fn check<T: Send + Sync>() {}
    check::<ArrayStore>();
    check::<Options>();
    check::<LazyArray<f32>>();
    check::<ReadGuard<f32>>();
    check::<WriteGuard<f32>>();
    check::<MemoryBudget>();
    check::<BudgetFigures>();
    check::<ArrayInfo>();
    check::<Status>();
    check::<VerifyReport>();
    check::<DType>();
}

#[test]
fn an_array_comes_back_in_another_process() {
    let (dir, store) = fresh(1 << 20);
    let original = array![[1.5, 2.5, 3.5], [4.5, 5.5, f64::INFINITY]];
    store.insert("a/b", original.clone()).unwrap();
    let other = open(dir.path(), 1 << 20);
    let found = other.get::<f64>("a/b").unwrap().unwrap();
    assert!(found.offloaded());
    assert_eq!((found.shape(), found.bytes()), (&[2, 3][..], 48));
    assert_eq!(*found.read().unwrap(), *original.into_dyn());
    assert!(!found.offloaded());
    assert_eq!(other.keys().unwrap(), [Key::new("a/b").unwrap()]);
}

fn check_type<A: Element>(values: [A; 3]) {
    let (storage, store) = in_memory(1 << 20);
    store.insert("a", arr1(&values)).unwrap();
    let info = store.info("a").unwrap().unwrap();
    assert_eq!((info.dtype, info.bytes), (A::DTYPE, 3 * size_of::<A>() as u64));
    let other = ArrayStore::on(storage, Options::default()).unwrap();
    assert_eq!(other.get::<A>("a").unwrap().unwrap().read().unwrap().as_slice(), Some(&values[..]));
}

#[test]
fn every_type_comes_back_bit_by_bit() {
    check_type([true, false, true]);
    check_type([i8::MIN, 0, i8::MAX]);
    check_type([i16::MIN, 0, i16::MAX]);
    check_type([i32::MIN, 0, i32::MAX]);
    check_type([i64::MIN, 0, i64::MAX]);
    check_type([u8::MIN, 7, u8::MAX]);
    check_type([u16::MIN, 7, u16::MAX]);
    check_type([u32::MIN, 7, u32::MAX]);
    check_type([u64::MIN, 7, u64::MAX]);
    check_type([f16::MIN, f16::from_f32(0.1), f16::INFINITY]);
    check_type([bf16::MIN, bf16::from_f32(0.1), bf16::INFINITY]);
    check_type([f32::MIN_POSITIVE, -0.0, f32::INFINITY]);
    check_type([f64::MIN_POSITIVE, -0.0, f64::INFINITY]);
}

#[test]
fn orders_and_odd_shapes_are_kept() {
    let (storage, store) = in_memory(1 << 20);
    let fortran =
        ArrayD::from_shape_fn(IxDyn(&[3, 4, 2]).f(), |at| (at[0] * 8 + at[1] * 2 + at[2]) as i32);
    let odd = [
        arr0(7).into_dyn(),
        ArrayD::zeros(IxDyn(&[0, 5])),
        Array2::zeros((1, 4)).into_dyn(),
        fortran,
    ];
    for (at, original) in odd.iter().enumerate() {
        let key = format!("{at}");
        store.insert(&key, original.clone()).unwrap();
        let info = store.info(&key).unwrap().unwrap();
        assert_eq!((&info.shape[..], info.fortran_order), (original.shape(), at == 3));
        let other = ArrayStore::on(Arc::clone(&storage) as _, Options::default()).unwrap();
        let guard = other.get::<i32>(&key).unwrap().unwrap().read().unwrap();
        assert_eq!((*guard).to_owned(), original);
        assert_eq!(guard.strides(), original.strides());
    }
}

#[test]
fn rows_are_read_in_place_from_file_scratch_and_memory() {
    for fortran in [false, true] {
        let (_dir, store) = fresh(1 << 20);
        let shape = IxDyn(&[50, 3, 2]).set_f(fortran);
        let mut expected =
            ArrayD::from_shape_fn(shape, |at| (at[0] * 6 + at[1] * 2 + at[2]) as u16);
        let array = store.insert("a", expected.clone()).unwrap();
        let check = |expected: &ArrayD<u16>, offloaded| {
            for rows in [0..50, 0..0, 50..50, 7..8, 13..29] {
                let part = expected.slice_axis(ndarray::Axis(0), rows.clone().into());
                assert_eq!(array.rows(rows).unwrap(), part);
            }
            assert_eq!(array.offloaded(), offloaded);
        };
        check(&expected, false);
        assert!(array.offload().unwrap());
        check(&expected, true);
        array.write().unwrap()[[13, 1, 1]] = 999;
        expected[[13, 1, 1]] = 999;
        assert!(array.offload().unwrap());
        check(&expected, true);
        assert_eq!(array.rows(49..51).unwrap_err().kind(), ErrorKind::Invalid);
        #[expect(clippy::reversed_empty_ranges, reason = "bad input")]
        let reversed = array.rows(5..4);
        assert_eq!(reversed.unwrap_err().kind(), ErrorKind::Invalid);
    }
    let (_dir, store) = fresh(100);
    let scalar = store.insert("s", arr0(1_u8)).unwrap();
    assert_eq!(scalar.rows(0..1).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn edits_are_published_by_flush_and_not_before() {
    let (dir, store) = fresh(1 << 20);
    let array = store.insert("a", Array1::<i32>::zeros(100)).unwrap();
    let published =
        || open(dir.path(), 1 << 20).get::<i32>("a").unwrap().unwrap().read().unwrap().sum();
    for round in 1..4 {
        array.write().unwrap()[[round]] = 1;
        assert!(array.dirty());
        assert_eq!(published(), round as i32 - 1);
        if round == 2 {
            assert!(array.offload().unwrap());
        }
        array.flush().unwrap();
        assert!(!array.dirty());
        assert_eq!(published(), round as i32);
    }
    drop(array.write().unwrap());
    assert!(!array.dirty(), "nothing was edited");
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn what_is_done_to_the_axes_through_a_guard_is_undone() {
    let (dir, store) = fresh(1 << 20);
    for fortran in [false, true] {
        let shape = IxDyn(&[3, 3]).set_f(fortran);
        let expected = ArrayD::from_shape_fn(shape, |at| (at[0] * 3 + at[1]) as i64);
        let key = format!("{fortran}");
        let array = store.insert(&key, expected.clone()).unwrap();
        let mut guard = array.write().unwrap();
        guard.invert_axis(ndarray::Axis(0));
        guard.slice_collapse(ndarray::s![1.., ..2]);
        drop(guard);
        assert_eq!(*array.read().unwrap(), *expected);
        array.flush().unwrap();
        let found = open(dir.path(), 0).get::<i64>(&key).unwrap().unwrap();
        assert_eq!(*found.read().unwrap(), *expected);
    }
}

#[test]
fn another_type_is_refused_by_name() {
    let (_dir, store) = fresh(1 << 20);
    store.insert("a", arr1(&[1_f32])).unwrap();
    let error = store.get::<f64>("a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("<f4") && error.to_string().contains("<f8"), "{error}");
    assert_eq!(error.key().map(Key::as_str), Some("a"));
}

#[test]
fn names_with_dots_are_arrays_of_their_own() {
    let (_dir, store) = fresh(0);
    for (at, key) in ["w1", "w1.1", "w1.2", "w1.npy"].iter().enumerate() {
        store.insert(key, arr1(&[at as u8])).unwrap().write().unwrap()[[0]] += 10;
    }
    store.offload_all(Offload::Scratch).unwrap();
    store.flush_all().unwrap();
    for (at, key) in ["w1", "w1.1", "w1.2", "w1.npy"].iter().enumerate() {
        let array = store.get::<u8>(key).unwrap().unwrap();
        assert_eq!(array.read().unwrap()[[0]], at as u8 + 10);
    }
}

#[test]
fn handles_of_one_key_are_one_array() {
    let (_dir, store) = fresh(1 << 20);
    let first = store.insert("a", arr1(&[1_u8, 2])).unwrap();
    let second = store.get::<u8>("a").unwrap().unwrap();
    first.write().unwrap()[[0]] = 9;
    assert_eq!(second.read().unwrap()[[0]], 9);
    drop((first, second));
    let third = store.get::<u8>("a").unwrap().unwrap();
    assert!(third.dirty(), "the store keeps the edits");
    store.flush_all().unwrap();
    assert!(!third.dirty());
}

#[test]
fn what_another_process_replaced_is_seen_and_never_overwritten() {
    let (dir, ours) = fresh(1 << 20);
    let array = ours.insert("a", arr1(&[1_u8, 2])).unwrap();
    let theirs = open(dir.path(), 1 << 20).get::<u8>("a").unwrap().unwrap();
    theirs.write().unwrap()[[0]] = 5;
    theirs.flush().unwrap();
    assert_eq!(array.read().unwrap()[[0]], 1, "in memory");
    assert_eq!(ours.get::<u8>("a").unwrap().unwrap().read().unwrap()[[0]], 5);
    array.write().unwrap()[[1]] = 7;
    theirs.write().unwrap()[[0]] = 6;
    theirs.flush().unwrap();
    assert_eq!(array.flush().unwrap_err().kind(), ErrorKind::Conflict);
    assert!(array.dirty());
    assert_eq!(array.read().unwrap().as_slice(), Some(&[5, 7][..]));

    let third = open(dir.path(), 1 << 20);
    third.remove("a").unwrap();
    third.insert("a", arr1(&[1_u8, 2, 3])).unwrap();
    theirs.offload().unwrap();
    assert_eq!(theirs.read().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(ours.get::<u8>("a").unwrap().unwrap().shape(), [3]);
}

#[test]
fn a_replacement_that_was_killed_half_way_can_be_read_and_repeated() {
    let (storage, store) = in_memory(1 << 20);
    let (npy, meta) = (Key::new("a.npy").unwrap(), Key::new("a.meta.json").unwrap());
    let get = |key| storage.get(key).unwrap().unwrap().into_bytes();
    let array = store.insert("a", arr1(&[1_u8, 2])).unwrap();
    let old = get(&npy);
    array.write().unwrap()[[0]] = 9;
    array.flush().unwrap();
    let new = get(&npy);
    // Killed between its two steps: the new sidecar lies beside the old array.
    storage.put(&npy, old.clone(), PutIf::Always).unwrap();

    let other = ArrayStore::on(Arc::clone(&storage) as _, Options::default()).unwrap();
    let array = other.get::<u8>("a").unwrap().unwrap();
    assert_eq!(array.read().unwrap()[[0]], 1);
    array.write().unwrap()[[0]] = 9;
    array.flush().unwrap();
    assert_eq!(get(&npy), new);
    assert!(other.verify().unwrap().is_clean());

    // An insert that was killed there leaves a miss.
    storage.remove(&npy).unwrap();
    assert!(other.get::<u8>("a").unwrap().is_none() && other.keys().unwrap().is_empty());
    assert_eq!(other.verify().unwrap().incomplete, ["a"]);
    other.insert("a", arr1(&[3_u8])).unwrap();
    // And a removal that was killed leaves one as well.
    storage.remove(&meta).unwrap();
    assert!(other.get::<u8>("a").unwrap().is_none() && !other.contains("a").unwrap());
    other.insert("a", arr1(&[4_u8])).unwrap();
    assert_eq!(other.get::<u8>("a").unwrap().unwrap().read().unwrap()[[0]], 4);
    assert!(other.verify().unwrap().incomplete.is_empty());
}

const SEED_SIDECAR: &str = r#"{"schema_version": 1, "lazy_disk_cache_class": "DiskBackedNDArray", "shape": [2, 2],
"dtype": ">i2", "purge_disk_on_gc": true, "automatic_offloading": false, "enable_caching": true}"#;

/// A file of version 1.0 as numpy writes it: the text is padded so that the data start at byte 128.
fn npy_file(text: &str, data: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00v\x00".to_vec();
    bytes.extend(format!("{text:<117}\n").bytes());
    bytes.extend(data);
    bytes
}

fn seed_array() -> Vec<u8> {
    let text = "{'descr': '>i2', 'fortran_order': True, 'shape': (2, 2), }";
    npy_file(text, [0, 1, 0, 2, 0, 3, 0, 4])
}

#[test]
fn a_directory_of_the_python_package_is_read_and_edited() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("old.pkl"), b"never read");
    write(&dir.path().join("alone.npy"), &seed_array());
    write(&dir.path().join("a.npy"), &seed_array());
    write(&dir.path().join("a.meta.json"), SEED_SIDECAR.as_bytes());
    let store = open(dir.path(), 1 << 20);
    assert_eq!(store.keys().unwrap(), [Key::new("a").unwrap()]);
    for miss in ["old", "alone"] {
        assert!(store.get::<i16>(miss).unwrap().is_none());
    }
    let array = store.get::<i16>("a").unwrap().unwrap();
    assert_eq!(*array.read().unwrap(), *array![[1, 3], [2, 4]].into_dyn());
    assert_eq!(array.rows(1..2).unwrap(), array![[2, 4]].into_dyn());
    array.write().unwrap()[[0, 0]] = 5;
    array.flush().unwrap();
    let sidecar = fs::read_to_string(dir.path().join("a.meta.json")).unwrap();
    assert!(
        sidecar.contains("\"purge_disk_on_gc\": true") && sidecar.contains("\"<i2\""),
        "{sidecar}"
    );
    let other = open(dir.path(), 1 << 20);
    assert_eq!(
        *other.get::<i16>("a").unwrap().unwrap().read().unwrap(),
        *array![[5, 3], [2, 4]].into_dyn()
    );
    let report = other.verify().unwrap();
    assert!(report.is_clean());
    assert_eq!((report.arrays, &report.incomplete[..]), (1, &["alone".to_owned()][..]));
}

#[test]
fn the_files_are_as_documented() {
    let (dir, store) = fresh(1 << 20);
    store.insert("a", array![[1_i16, 2], [3, 4]].reversed_axes()).unwrap();
    let npy = fs::read(dir.path().join("a.npy")).unwrap();
    let text = "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 2), }";
    assert_eq!(npy, npy_file(text, [1, 0, 2, 0, 3, 0, 4, 0]));
    let crc = larder_storage::crc32c(&npy);
    let sidecar = fs::read_to_string(dir.path().join("a.meta.json")).unwrap();
    let expected = serde_json::json!({
        "schema_version": 1, "lazy_disk_cache_class": "DiskBackedNDArray", "shape": [2, 2], "dtype": "<i2",
        "purge_disk_on_gc": false, "automatic_offloading": false, "enable_caching": false,
        "larder": {"format_version": 1, "files": [
            {"shape": [2, 2], "dtype": "<i2", "fortran_order": true, "bytes": 136, "crc32c": crc},
        ]},
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(&sidecar).unwrap(), expected);
}

#[test]
fn status_tells_what_is_there() {
    let (_dir, store) = fresh(1 << 20);
    store.insert("a", Array1::<u8>::zeros(100)).unwrap();
    let b = store.insert("b", Array1::<u8>::zeros(28)).unwrap();
    b.write().unwrap()[[0]] = 1;
    let status = store.status().unwrap();
    assert_eq!((status.arrays, status.bytes, status.dirty), (2, 2 * 128 + 128, 1));
    assert_eq!((status.budget_limit, status.budget.resident), (1 << 20, 128));
    let json = serde_json::to_value(&status).unwrap();
    assert_eq!(json["budget"]["resident"], 128);
}
