use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use larder_storage::{Bytes, Durability, Key, LocalStorage, PutIf, Storage};
use object_store::{ObjectStoreExt, local::LocalFileSystem, path::Path as Location};

use super::{ROUNDS, ready};
use crate::{
    Outcome,
    rounds::{Table, Work, compare},
};

/// The name of a call: one of its own, or one of eight.
fn name(call: usize, fresh: bool) -> String {
    if fresh { format!("o{call}") } else { format!("o{}", call % 8) }
}

pub(super) fn unflushed(title: &str, dir: &Path, bytes: &Bytes, fresh: bool) -> Outcome<Table> {
    let root = |name: &str| dir.join(name);
    let cache = root("cacache");
    let contenders = vec![
        ("bare write, rename", bare(&root("bare"), bytes, fresh, false)?),
        ("Larder, Scratch", ours(&root("scratch"), bytes, fresh, Durability::Scratch)?),
        ("Larder, Process", ours(&root("process"), bytes, fresh, Durability::Process)?),
        ("object_store", object_store(&root("object_store"), bytes, fresh, false)?),
        (
            "cacache",
            Box::new(|call| {
                cacache::write_sync(&cache, name(call, fresh), bytes)?;
                Ok(())
            }),
        ),
    ];
    compare(title, ROUNDS, 40, contenders)
}

pub(super) fn flushed(title: &str, dir: &Path, bytes: &Bytes, fresh: bool) -> Outcome<Table> {
    let root = |name: &str| dir.join(name);
    let contenders = vec![
        ("bare write, fsync, rename, fsync", bare(&root("bare"), bytes, fresh, true)?),
        ("Larder, Power", ours(&root("power"), bytes, fresh, Durability::Power)?),
        ("object_store with fsync", object_store(&root("object_store"), bytes, fresh, true)?),
    ];
    compare(title, ROUNDS, 4, contenders)
}

fn ours<'a>(
    root: &Path,
    bytes: &'a Bytes,
    fresh: bool,
    durability: Durability,
) -> Outcome<Work<'a>> {
    let storage = LocalStorage::open(root, durability)?;
    Ok(Box::new(move |call| {
        Ok(storage.put(&Key::new(name(call, fresh))?, bytes.clone(), PutIf::Always)?)
    }))
}

fn object_store<'a>(root: &Path, bytes: &'a Bytes, fresh: bool, fsync: bool) -> Outcome<Work<'a>> {
    fs::create_dir(root)?;
    let store = LocalFileSystem::new_with_prefix(root)?.with_fsync(fsync);
    Ok(Box::new(move |call| {
        ready(store.put(&Location::from(name(call, fresh)), bytes.clone().into()))??;
        Ok(())
    }))
}

fn bare<'a>(root: &Path, bytes: &'a [u8], fresh: bool, flush: bool) -> Outcome<Work<'a>> {
    fs::create_dir(root)?;
    let root = root.to_owned();
    Ok(Box::new(move |call| {
        let stage = root.join("stage");
        let mut file = File::create(&stage)?;
        file.write_all(bytes)?;
        if flush {
            file.sync_all()?;
        }
        drop(file);
        fs::rename(&stage, root.join(name(call, fresh)))?;
        if flush {
            File::open(&root)?.sync_all()?;
        }
        Ok(())
    }))
}
