//! An array and its sidecar: refused by a documented error, or read, and then what is written of it is the same array.
//! Neither file is changed.
#![no_main]

use std::sync::Arc;

use larder_fuzz::{allow, split};
use larder_lazy_array::{
    ArrayInfo, ArrayStore, DType, Element, ElementWork, MemoryBudget, Options, num_complex::Complex,
};
use larder_storage::{Bytes, ErrorKind, Key, MemoryStorage, PutIf, Storage};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((array, sidecar)) = split(data) else { return };
    let storage = MemoryStorage::new();
    put(&storage, "a.npy", array);
    put(&storage, "a.meta.json", sidecar);
    let options =
        Options::default().budget(MemoryBudget::bytes(1 << 20)).scratch(std::env::temp_dir());
    let store = ArrayStore::on(Arc::new(storage.clone()), options).expect("a store");
    let kinds = [ErrorKind::Corrupt, ErrorKind::Format, ErrorKind::Unsupported];
    if let Some(info) = allow(store.info("a"), &kinds) {
        let info = info.expect("both files are there");
        info.dtype.run(Look { store: &store, storage: &storage, info: &info });
    }
    store.verify().unwrap();
    assert_eq!(get(&storage, "a.npy"), array);
    assert_eq!(get(&storage, "a.meta.json"), sidecar);
});

/// A look at the array as what it says it is.
struct Look<'a> {
    store: &'a ArrayStore,
    storage: &'a MemoryStorage,
    info: &'a ArrayInfo,
}

impl ElementWork for Look<'_> {
    type Output = ();

    fn run<A: Element>(self) {
        look::<A>(self.store, self.storage, self.info);
    }
}

fn look<A: Element>(store: &ArrayStore, storage: &MemoryStorage, info: &ArrayInfo) {
    let array = store.get::<A>("a").unwrap().expect("it has an info");
    assert_eq!((array.shape(), array.bytes()), (info.shape.as_slice(), info.bytes));
    if let Some(first) = info.shape.first() {
        allow(array.rows(0..(*first).min(2)), &[ErrorKind::Corrupt]);
    }
    let Some(whole) = allow(array.read(), &[ErrorKind::Corrupt]) else {
        assert!(!store.verify().unwrap().is_clean());
        return;
    };
    assert_eq!(whole.shape(), info.shape);
    // What no array of numpy has more of.
    let limit: &[ErrorKind] = if info.shape.len() > 32 { &[ErrorKind::Invalid] } else { &[] };
    if allow(store.insert("b", whole.to_owned()), limit).is_none() {
        return;
    }
    let (from, to) = (get(storage, "a.npy"), get(storage, "b.npy"));
    let (from, to) = (tail(&from, info), tail(&to, info));
    let complex = [Complex::<f32>::DTYPE, Complex::<f64>::DTYPE].contains(&info.dtype);
    let part = if complex { info.dtype.size() / 2 } else { info.dtype.size() };
    let swapped = || from.chunks(part).flat_map(|number| number.iter().rev());
    // Every byte but 0 is true.
    assert!(info.dtype == DType::Bool || from == to || swapped().eq(to));
}

/// The elements of a file.
fn tail<'a>(file: &'a [u8], info: &ArrayInfo) -> &'a [u8] {
    &file[file.len() - info.bytes as usize..]
}

fn put(storage: &MemoryStorage, key: &str, bytes: &[u8]) {
    storage.put(&Key::new(key).unwrap(), Bytes::copy_from_slice(bytes), PutIf::Always).unwrap();
}

fn get(storage: &MemoryStorage, key: &str) -> Bytes {
    storage.get(&Key::new(key).unwrap()).unwrap().expect("it was put").into_bytes()
}
