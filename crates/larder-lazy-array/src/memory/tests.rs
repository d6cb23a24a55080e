//! These run under Miri but for those of maps, which Miri does not know.

use ndarray::{Axis, s};

use super::*;

fn layout(shape: &[usize], fortran_order: bool) -> Layout {
    Layout { shape: shape.to_vec(), fortran_order }
}

#[test]
fn a_vector_stays_where_it_was_and_goes_with_its_memory() {
    let mut elements = Vec::with_capacity(10);
    elements.extend([1_u32, 2, 3]);
    let place = elements.as_ptr();
    let memory = Memory::heap(elements);
    assert_eq!((memory.elements().as_ptr(), memory.elements()), (place, &[1, 2, 3][..]));
    let writable = memory.writable().unwrap();
    assert_eq!(writable.elements().as_ptr(), place);
    assert!(Memory::<f64>::heap(Vec::new()).elements().is_empty());
}

#[test]
fn what_is_shown_outlives_other_owners() {
    let memory = Arc::new(Memory::heap(vec![1_i16, 2, 3, 4, 5, 6]));
    let shown = Shown::new(Arc::clone(&memory), &layout(&[2, 3], true));
    let again = Shown::new(memory, &layout(&[6], false));
    assert_eq!(shown[[1, 2]], 6);
    assert!(shown.index_axis(Axis(0), 0).iter().eq(&[1, 3, 5]));
    drop(shown);
    assert_eq!(again.sum(), 21);
}

#[test]
fn edits_are_in_the_memory_whatever_is_done_to_the_axes() {
    let mut edited = Edited::new(Memory::heap(vec![0_u8; 6]), &layout(&[2, 3], false));
    edited[[1, 2]] = 7;
    edited.fill(7);
    edited.invert_axis(Axis(0));
    edited.slice_collapse(s![1.., ..2]);
    edited[[0, 0]] = 9;
    let memory = edited.into_memory();
    assert_eq!(memory.elements(), [9, 7, 7, 7, 7, 7]);
}

#[test]
fn memory_crosses_threads() {
    let memory = Arc::new(Memory::heap(vec![1_u64; 10]));
    let sums = std::thread::scope(|scope| {
        let sum = || {
            let shown = Shown::new(Arc::clone(&memory), &layout(&[10], false));
            scope.spawn(move || shown.sum())
        };
        [sum(), sum()].map(|thread| thread.join().unwrap())
    });
    assert_eq!(sums, [10, 10]);
}

#[cfg(not(miri))]
mod maps {
    use std::fs;

    use larder_storage::{Bytes, Durability, Key, LocalStorage, PutIf, ReadAt, Storage};
    use tempfile::TempDir;

    use super::*;

    /// A published file of these bytes.
    fn publish(bytes: &[u8]) -> (TempDir, Box<dyn ReadAt>) {
        let dir = tempfile::tempdir().unwrap();
        let storage = LocalStorage::open(dir.path(), Durability::Scratch).unwrap();
        let key = Key::new("a").unwrap();
        storage.put(&key, Bytes::copy_from_slice(bytes), PutIf::Absent).unwrap();
        let reader = storage.open(&key).unwrap().unwrap();
        (dir, reader)
    }

    #[test]
    fn a_map_shows_the_file_and_edits_never_reach_it() {
        let original: Vec<u8> = (0..=255).cycle().take(20_000).collect();
        let (dir, reader) = publish(&original);
        let map = || Memory::<u16>::map(reader.file().unwrap(), 64, 9000).unwrap().unwrap();
        let expected = u16::from_le_bytes([original[64], original[65]]);
        let memory = map();
        assert_eq!((memory.elements()[0], memory.elements().len()), (expected, 9000));
        let shown = Shown::new(Arc::new(memory), &layout(&[90, 100], false));
        assert_eq!(shown[[0, 0]], expected);
        drop(shown);

        for access in [Access::Normal, Access::Random, Access::Sequential, Access::Once] {
            let memory = map();
            memory.advise(access).unwrap();
            let mut edited = Edited::new(memory.writable().unwrap(), &layout(&[9000], false));
            edited[[8999]] = 1;
            let memory = edited.into_memory();
            memory.advise(access).unwrap();
            assert_eq!(memory.elements()[8999], 1);
        }
        assert_eq!(fs::read(dir.path().join("a")).unwrap(), original);
    }

    #[test]
    fn what_cannot_be_shown_in_place_is_not_mapped() {
        let (_dir, reader) = publish(&[0; 1000]);
        let file = reader.file().unwrap();
        assert!(Memory::<bool>::map(file, 0, 10).is_none());
        assert!(Memory::<u8>::map(file, 0, 0).is_none());
        assert!(Memory::<f64>::map(file, 4, 1).is_none());
        assert!(Memory::<f32>::map(file, 4, 1).is_some());
    }

    #[test]
    fn a_map_outlives_the_name_and_the_handle_of_its_file() {
        let (dir, reader) = publish(&[7; 5000]);
        let memory = Memory::<u8>::map(reader.file().unwrap(), 0, 5000).unwrap().unwrap();
        drop(reader);
        fs::remove_file(dir.path().join("a")).unwrap();
        assert!(memory.elements().iter().all(|byte| *byte == 7));
    }
}
