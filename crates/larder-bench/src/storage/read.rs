use std::{fs::File, io::Read, os::unix::fs::FileExt, path::Path};

use larder_storage::{Bytes, Durability, Key, LocalStorage, PutIf, Storage};
use object_store::{ObjectStoreExt, local::LocalFileSystem, path::Path as Location};

use super::{ROUNDS, ready};
use crate::{
    Outcome,
    rounds::{Table, Work, compare},
};

pub(super) fn whole(title: &str, dir: &Path, bytes: &Bytes) -> Outcome<Table> {
    let (root, cache) = (dir.join("objects"), dir.join("cacache"));
    let storage = LocalStorage::open(&root, Durability::Process)?;
    let key = Key::new("object")?;
    storage.put(&key, bytes.clone(), PutIf::Always)?;
    cacache::write_sync(&cache, "object", bytes)?;
    let path = storage.path(&key)?;
    let store = LocalFileSystem::new_with_prefix(&root)?;
    let location = Location::from("object");

    let floor: Work<'_> = Box::new(|_| {
        let mut read = Vec::with_capacity(bytes.len());
        File::open(&path)?.read_to_end(&mut read)?;
        check(read.len(), bytes.len())
    });
    let ours: Work<'_> = Box::new(|_| {
        let object = storage.get(&key)?.ok_or("the object is gone")?;
        check(object.bytes().len(), bytes.len())
    });
    let object_store: Work<'_> = Box::new(|_| {
        let read = ready(async { store.get(&location).await?.bytes().await })??;
        check(read.len(), bytes.len())
    });
    let cacache: Work<'_> =
        Box::new(|_| check(cacache::read_sync(&cache, "object")?.len(), bytes.len()));
    let contenders = vec![
        ("bare open, read", floor),
        ("Larder", ours),
        ("object_store", object_store),
        ("cacache", cacache),
    ];
    compare(title, ROUNDS, 500, contenders)
}

/// Slices of a large object: where a reader can stay open, it does.
pub(super) fn range(dir: &Path) -> Outcome<Table> {
    const LEN: usize = 2048;
    let storage = LocalStorage::open(dir, Durability::Process)?;
    let key = Key::new("object")?;
    storage.put(&key, vec![7; 1024 * LEN].into(), PutIf::Always)?;
    let file = File::open(storage.path(&key)?)?;
    let reader = storage.open(&key)?.ok_or("the object is gone")?;
    let store = LocalFileSystem::new_with_prefix(dir)?;
    let location = Location::from("object");

    let offset = |call: usize| (call * 7919 % 1024 * LEN) as u64;
    let (mut one, mut two) = ([0; LEN], [0; LEN]);
    let floor: Work<'_> = Box::new(|call| Ok(file.read_exact_at(&mut one, offset(call))?));
    let ours: Work<'_> = Box::new(|call| Ok(reader.read_at(offset(call), &mut two)?));
    let object_store: Work<'_> = Box::new(|call| {
        let from = offset(call);
        let read = ready(store.get_range(&location, from..from + LEN as u64))??;
        check(read.len(), LEN)
    });
    let contenders =
        vec![("bare pread", floor), ("Larder, open reader", ours), ("object_store", object_store)];
    compare("read 2 KiB of 2 MiB", ROUNDS, 2000, contenders)
}

fn check(read: usize, expected: usize) -> Outcome {
    if read == expected { Ok(()) } else { Err(format!("read {read} of {expected} bytes").into()) }
}
