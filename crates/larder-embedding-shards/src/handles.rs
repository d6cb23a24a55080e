//! Shards that were opened before, so that a warm read opens nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use larder_storage::{Error, ErrorKind, Key, ReadAt, Result, Storage};

use crate::shard::Shard;

/// A shard as the index knows it, opened when it is first read.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) path: Key,
    length: u64,
    /// How many numbers each embedding has, in shards that are read by offset.
    pub(crate) dim: Option<usize>,
    reader: OnceLock<Arc<dyn ReadAt>>,
    shard: OnceLock<Shard>,
}

impl Handle {
    pub(crate) fn new(path: Key, length: u64, dim: Option<usize>) -> Self {
        Self { path, length, dim, reader: OnceLock::new(), shard: OnceLock::new() }
    }

    /// The shard's bytes, which are those that were indexed as far as their number tells.
    pub(crate) fn reader(&self, storage: &dyn Storage) -> Result<&Arc<dyn ReadAt>> {
        if let Some(reader) = self.reader.get() {
            return Ok(reader);
        }
        let gone = || {
            Error::new(ErrorKind::NotFound, "the shard is gone: `reindex` forgets it")
                .at_key(&self.path)
        };
        let reader = storage.open(&self.path)?.ok_or_else(gone)?;
        if reader.len() != self.length {
            let message = format!(
                "the shard has {} bytes and had {} when it was indexed: `repair` or `reindex` mends that",
                reader.len(),
                self.length
            );
            return Err(Error::new(ErrorKind::Corrupt, message).at_key(&self.path));
        }
        Ok(self.reader.get_or_init(|| reader.into()))
    }

    /// The shard with its metadata read, for what cannot be read by offset.
    pub(crate) fn shard(&self, storage: &dyn Storage) -> Result<&Shard> {
        if let Some(shard) = self.shard.get() {
            return Ok(shard);
        }
        let shard = Shard::open(&self.path, Arc::clone(self.reader(storage)?))?;
        Ok(self.shard.get_or_init(|| shard))
    }
}

/// The handles of at most `limit` shards, by the shards' ids in the index.
#[derive(Debug)]
pub(crate) struct Handles {
    limit: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    handles: HashMap<i64, (Arc<Handle>, u64)>,
    clock: u64,
}

impl Handles {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), held: Mutex::default() }
    }

    /// The handle of the shard `id`. Where a new one exceeds the limit, the least recently used one goes.
    pub(crate) fn get<E>(
        &self,
        id: i64,
        make: impl FnOnce() -> Result<Handle, E>,
    ) -> Result<Arc<Handle>, E> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clock += 1;
        let now = held.clock;
        if let Some((handle, used)) = held.handles.get_mut(&id) {
            *used = now;
            return Ok(Arc::clone(handle));
        }
        let handle = Arc::new(make()?);
        if held.handles.len() >= self.limit {
            let oldest = held.handles.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id);
            oldest.and_then(|oldest| held.handles.remove(&oldest));
        }
        held.handles.insert(id, (Arc::clone(&handle), now));
        Ok(handle)
    }

    /// Closes all that nobody is reading.
    pub(crate) fn clear(&self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).handles.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_ones_used_last() {
        let handles = Handles::new(2);
        let get = |id: i64| {
            let mut made = false;
            let make = || {
                made = true;
                Ok::<_, Error>(Handle::new(Key::new(format!("{id}"))?, 0, None))
            };
            handles.get(id, make).unwrap();
            made
        };
        assert_eq!([1, 2, 1, 3, 1, 2, 1].map(get), [true, true, false, true, false, true, false]);
        handles.clear();
        assert!(get(1));
    }
}
