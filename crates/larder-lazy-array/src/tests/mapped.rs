//! Arrays that are large enough to be mapped.

use super::*;

const LEN: usize = 100_000;

fn numbers() -> Array1<u32> {
    (0..LEN as u32).collect()
}

/// A store with a published array, and a new one on the same directory that has never seen it.
fn published() -> (TempDir, ArrayStore) {
    let (dir, store) = fresh(0);
    store.insert("a", numbers()).unwrap();
    let other = open(dir.path(), 1 << 20);
    (dir, other)
}

#[test]
fn edits_of_a_mapped_array_reach_the_file_by_flush_alone() {
    let (dir, store) = published();
    let file = || fs::read(dir.path().join("a.npy")).unwrap();
    let original = file();
    let array = store.get::<u32>("a").unwrap().unwrap();
    assert_eq!(*array.read().unwrap(), *numbers().into_dyn());
    array.write().unwrap()[[7]] = 1_000_000;
    assert_eq!((array.read().unwrap()[[7]], array.read().unwrap()[[8]]), (1_000_000, 8));
    assert!(array.offload().unwrap());
    assert_eq!((array.read().unwrap()[[7]], array.read().unwrap()[[8]]), (1_000_000, 8));
    assert_eq!(file(), original);
    array.flush().unwrap();
    let other = open(dir.path(), 1 << 20).get::<u32>("a").unwrap().unwrap();
    assert_eq!((other.read().unwrap()[[7]], other.read().unwrap()[[8]]), (1_000_000, 8));
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn a_mapped_array_goes_on_as_it_was_while_others_replace_or_remove_it() {
    let (dir, store) = published();
    let guard = store.get::<u32>("a").unwrap().unwrap().read().unwrap();
    let other = open(dir.path(), 1 << 20);
    let theirs = other.get::<u32>("a").unwrap().unwrap();
    theirs.write().unwrap().fill(5);
    theirs.flush().unwrap();
    assert_eq!(*guard, *numbers().into_dyn());
    other.remove("a").unwrap();
    assert_eq!(*guard, *numbers().into_dyn());
}

#[test]
fn edits_that_start_from_a_replaced_file_are_told() {
    let (dir, store) = published();
    let ours = store.get::<u32>("a").unwrap().unwrap();
    let theirs = open(dir.path(), 1 << 20).get::<u32>("a").unwrap().unwrap();
    for array in [&ours, &theirs] {
        array.write().unwrap()[[0]] += 1;
    }
    theirs.flush().unwrap();
    assert_eq!(ours.flush().unwrap_err().kind(), ErrorKind::Conflict);

    // Now the sidecar names two files, so which one is mapped is known by the file alone.
    let [one, two] = [(); 2].map(|()| open(dir.path(), 1 << 20).get::<u32>("a").unwrap().unwrap());
    for array in [&one, &two] {
        array.write().unwrap()[[1]] += 1;
    }
    two.flush().unwrap();
    two.write().unwrap()[[1]] += 1;
    two.flush().unwrap();
    assert_eq!(one.flush().unwrap_err().kind(), ErrorKind::Conflict);
    assert!(one.dirty());
    one.revert().unwrap();
    assert_eq!((one.dirty(), one.read().unwrap()[[1]]), (false, 3));
    one.write().unwrap()[[1]] += 0;
    one.flush().unwrap();
    let found = open(dir.path(), 1 << 20).get::<u32>("a").unwrap().unwrap();
    assert_eq!(found.rows(0..2).unwrap().as_slice(), Some(&[1, 3][..]));
}

#[test]
fn a_mapped_array_of_the_python_package_can_be_edited_and_published() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("{{'descr': '<u4', 'fortran_order': False, 'shape': ({LEN},), }}");
    let npy = npy_file(&text, (0..LEN as u32).flat_map(u32::to_le_bytes));
    let sidecar = format!(
        r#"{{"schema_version": 1, "lazy_disk_cache_class": "DiskBackedNDArray", "shape": [{LEN}], "dtype": "<u4",
        "purge_disk_on_gc": true, "automatic_offloading": false, "enable_caching": true}}"#
    );
    write(&dir.path().join("a.npy"), &npy);
    write(&dir.path().join("a.meta.json"), sidecar.as_bytes());
    let store = open(dir.path(), 1 << 20);
    let array = store.get::<u32>("a").unwrap().unwrap();
    assert!(!array.purge_on_drop(), "whoever reads it does not remove it");
    array.write().unwrap()[[3]] = 9;
    array.flush().unwrap();
    drop((array, store));
    let store = open(dir.path(), 1 << 20);
    assert_eq!(
        store.get::<u32>("a").unwrap().unwrap().rows(2..5).unwrap().as_slice(),
        Some(&[2, 9, 4][..])
    );
    assert!(store.verify().unwrap().is_clean());
}

#[test]
fn the_other_byte_order_is_read_and_not_mapped() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("{{'descr': '>u4', 'fortran_order': False, 'shape': ({LEN},), }}");
    let npy = npy_file(&text, (0..LEN as u32).flat_map(u32::to_be_bytes));
    let sidecar = format!(
        r#"{{"schema_version": 1, "lazy_disk_cache_class": "DiskBackedNDArray", "shape": [{LEN}], "dtype": ">u4"}}"#
    );
    write(&dir.path().join("a.npy"), &npy);
    write(&dir.path().join("a.meta.json"), sidecar.as_bytes());
    let array = open(dir.path(), 1 << 20).get::<u32>("a").unwrap().unwrap();
    assert_eq!(*array.read().unwrap(), *numbers().into_dyn());
    assert_eq!(array.rows(5..7).unwrap().as_slice(), Some(&[5, 6][..]));
}

#[test]
fn what_is_mapped_is_checked_where_that_is_asked_for() {
    let (dir, store) = published();
    let path = dir.path().join("a.npy");
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::End(-10)).unwrap();
    file.write_all(&[255]).unwrap();
    assert!(store.get::<u32>("a").unwrap().unwrap().read().is_ok());
    let options = Options::default().checked(true);
    let checked = ArrayStore::open(dir.path(), options).unwrap();
    let array = checked.get::<u32>("a").unwrap().unwrap();
    assert_eq!(array.read().unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!((checked.budget().resident(), store.verify().unwrap().problems.len()), (0, 1));
}

#[test]
fn orders_types_and_lengths_are_those_of_the_array() {
    let (dir, store) = fresh(0);
    let fortran = ArrayD::from_shape_fn(IxDyn(&[300, 500]).f(), |at| (at[0] * 500 + at[1]) as f64);
    store.insert("f", fortran.clone()).unwrap();
    let bools = Array1::from_shape_fn(LEN, |at| at % 3 == 0);
    store.insert("b", bools.clone()).unwrap();
    let other = open(dir.path(), 1 << 30);
    let found = other.get::<f64>("f").unwrap().unwrap().read().unwrap();
    assert_eq!((&*found, found.strides()), (&*fortran, fortran.strides()));
    let found = other.get::<bool>("b").unwrap().unwrap();
    assert_eq!(*found.read().unwrap(), *bools.into_dyn());
    found.write().unwrap()[[1]] = true;
    found.flush().unwrap();
    assert!(other.verify().unwrap().is_clean());
}

#[test]
fn every_hint_leaves_the_array_as_it_is() {
    let (_dir, store) = published();
    let array = store.get::<u32>("a").unwrap().unwrap();
    for access in [Access::Random, Access::Sequential, Access::Once, Access::Normal] {
        array.advise(access);
        assert_eq!(array.rows(5..7).unwrap().as_slice(), Some(&[5, 6][..]));
        assert_eq!(array.chunks(999).unwrap().map(|rows| rows.unwrap().len()).sum::<usize>(), LEN);
        array.load().unwrap();
        array.advise(access);
        assert_eq!(*array.read().unwrap(), *numbers().into_dyn());
        assert!(array.offload().unwrap());
    }
}

#[test]
fn zeros_take_the_place_of_an_array_that_is_not_loaded_for_it() {
    let (dir, store) = published();
    let array = store.get::<u32>("a").unwrap().unwrap();
    array.overwrite().unwrap()[[3]] = 1;
    assert_eq!((store.budget().loads(), array.read().unwrap().sum()), (0, 1));
    let published =
        |at| open(dir.path(), 0).get::<u32>("a").unwrap().unwrap().rows(at..at + 1).unwrap()[[0]];
    assert_eq!(published(3), 3);
    array.flush().unwrap();
    assert_eq!((published(3), published(4)), (1, 0));
    // In memory, spilled, and of an array that was removed.
    drop(array.overwrite().unwrap());
    assert!(array.dirty());
    array.offload().unwrap();
    array.overwrite().unwrap()[[1]] = 7;
    assert_eq!(array.read().unwrap().sum(), 7);
    assert_eq!(store.budget().resident(), 4 * LEN as u64);
    let reading = array.read().unwrap();
    assert_eq!(array.overwrite().unwrap_err().kind(), ErrorKind::Locked);
    drop(reading);
    store.remove("a").unwrap();
    array.offload().unwrap();
    assert_eq!(array.overwrite().unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_spilled_array_is_published_without_being_loaded() {
    let (dir, store) = published();
    let array = store.get::<u32>("a").unwrap().unwrap();
    array.write().unwrap()[[3]] = 9;
    assert!(array.offload().unwrap());
    let loads = store.budget().loads();
    array.flush().unwrap();
    assert_eq!((store.budget().loads(), array.dirty(), array.offloaded()), (loads, false, true));
    assert_eq!(open(dir.path(), 0).get::<u32>("a").unwrap().unwrap().read().unwrap()[[3]], 9);
    assert!(store.verify().unwrap().is_clean());
}
