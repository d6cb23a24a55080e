use std::{
    collections::BTreeMap,
    io,
    ops::Bound,
    path::Path,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::SystemTime,
};

use bytes::Bytes;

use crate::{
    Error, ErrorKind, Key, Result,
    publish::OBJECTS_BELOW,
    storage::{
        Entries, Entry, Keys, Object, PublishedFile, PutIf, ReadAt, Storage, Upload, check_range,
    },
};

/// Objects in memory: the reference implementation of [`Storage`], and one for tests.
///
/// Clones share the objects.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    objects: Arc<RwLock<Objects>>,
}

type Objects = BTreeMap<Key, Stored>;

#[derive(Clone, Debug)]
struct Stored {
    bytes: Bytes,
    modified: SystemTime,
}

impl MemoryStorage {
    /// An empty storage.
    pub fn new() -> Self {
        Self::default()
    }

    // A panic cannot leave the map half changed: each change is one insert or one remove.
    fn read(&self) -> RwLockReadGuard<'_, Objects> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Objects> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for MemoryStorage {
    fn get(&self, key: &Key) -> Result<Option<Object>> {
        Ok(self.read().get(key).map(|stored| Object::new(stored.bytes.clone())))
    }

    fn get_range(&self, key: &Key, offset: u64, len: usize) -> Result<Option<Bytes>> {
        let Some(Stored { bytes, .. }) = self.read().get(key).cloned() else { return Ok(None) };
        check_range(bytes.len() as u64, offset, len).map_err(|error| error.at_key(key))?;
        let start = offset as usize;
        Ok(Some(bytes.slice(start..start + len)))
    }

    fn open(&self, key: &Key) -> Result<Option<Box<dyn ReadAt>>> {
        let Some(Stored { bytes, .. }) = self.read().get(key).cloned() else { return Ok(None) };
        Ok(Some(Box::new(Pinned { storage: self.clone(), key: key.clone(), bytes })))
    }

    fn put(&self, key: &Key, bytes: Bytes, when: PutIf) -> Result<()> {
        let mut objects = self.write();
        check_condition(objects.get(key), key, &when)?;
        check_place(&objects, key)?;
        objects.insert(key.clone(), Stored { bytes, modified: SystemTime::now() });
        Ok(())
    }

    fn create(&self, key: &Key) -> Result<Box<dyn Upload>> {
        check_place(&self.read(), key)?;
        Ok(Box::new(Staged { storage: self.clone(), key: key.clone(), bytes: Vec::new() }))
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        Ok(self.write().remove(key).is_some())
    }

    fn keys(&self, prefix: Option<&Key>) -> Result<Keys<'_>> {
        Ok(Box::new(self.list(prefix)?.map(|found| found.map(|entry| entry.key))))
    }

    fn list(&self, prefix: Option<&Key>) -> Result<Entries<'_>> {
        let objects = self.read();
        let found: Vec<_> = objects
            .iter()
            .filter(|(key, _)| prefix.is_none_or(|prefix| key.is_within(prefix)))
            .map(|(key, s)| {
                Ok(Entry { key: key.clone(), len: s.bytes.len() as u64, modified: s.modified })
            })
            .collect();
        Ok(Box::new(found.into_iter()))
    }

    fn local_root(&self) -> Option<&Path> {
        None
    }
}

/// Refuses a key inside or above an object that exists.
fn check_place(objects: &Objects, key: &Key) -> Result<()> {
    let mut above = key.parent();
    while let Some(parent) = above {
        if objects.contains_key(&parent) {
            let message = format!("cannot lie inside the object '{parent}': remove that one first");
            return Err(Error::new(ErrorKind::Invalid, message).at_key(key));
        }
        above = parent.parent();
    }
    // Keys such as `a-b` sort between `a` and `a/b`, so the search starts at `a/`.
    let below = format!("{key}/");
    let next = objects.range::<str, _>((Bound::Included(below.as_str()), Bound::Unbounded)).next();
    if next.is_some_and(|(other, _)| other.as_str().starts_with(&below)) {
        return Err(Error::new(ErrorKind::Invalid, OBJECTS_BELOW).at_key(key));
    }
    Ok(())
}

fn check_condition(there: Option<&Stored>, key: &Key, when: &PutIf) -> Result<()> {
    let holds = match (when, there) {
        (PutIf::Always, _) => true,
        (PutIf::Absent, there) => there.is_none(),
        (PutIf::Version(version), there) => {
            there.is_some_and(|stored| version == Object::new(stored.bytes.clone()).version())
        }
    };
    if holds { Ok(()) } else { Err(when.lost().at_key(key)) }
}

#[derive(Debug)]
struct Pinned {
    storage: MemoryStorage,
    key: Key,
    bytes: Bytes,
}

impl ReadAt for Pinned {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        check_range(self.len(), offset, buf.len())?;
        let start = offset as usize;
        buf.copy_from_slice(&self.bytes[start..start + buf.len()]);
        Ok(())
    }

    fn is_current(&self) -> bool {
        let objects = self.storage.read();
        objects
            .get(&self.key)
            .is_some_and(|stored| stored.bytes.as_ptr_range() == self.bytes.as_ptr_range())
    }

    fn file(&self) -> Option<&PublishedFile> {
        None
    }
}

#[derive(Debug)]
struct Staged {
    storage: MemoryStorage,
    key: Key,
    bytes: Vec<u8>,
}

impl io::Write for Staged {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for Staged {
    fn commit(self: Box<Self>, when: PutIf) -> Result<()> {
        self.storage.put(&self.key, self.bytes.into(), when)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_contract() {
        crate::testing::conformance(MemoryStorage::new);
    }

    #[test]
    fn a_sibling_that_sorts_between_hides_no_child() {
        let storage = MemoryStorage::new();
        let key = |text| Key::new(text).unwrap();
        for text in ["a-b", "a/b", "a.c"] {
            storage.put(&key(text), Bytes::new(), PutIf::Always).unwrap();
        }
        assert_eq!(
            storage.put(&key("a"), Bytes::new(), PutIf::Always).unwrap_err().kind(),
            ErrorKind::Invalid
        );
    }
}
