//! Shards that were opened before, so that a warm read opens nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use larder_storage::{Error, ErrorKind, ReadAt, Result, Storage};

use crate::{index::Indexed, shard::Shard};

/// An open shard.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) reader: Arc<dyn ReadAt>,
    shard: OnceLock<Shard>,
}

impl Handle {
    /// Opens the shard's bytes, which are those that were indexed as far as their number tells.
    fn open(storage: &dyn Storage, indexed: &Indexed) -> Result<Self> {
        let reader = storage.open(&indexed.path)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "the shard is gone: `reindex` forgets it")
                .at_key(&indexed.path)
        })?;
        if reader.len() != indexed.length {
            let message = format!(
                "the shard has {} bytes and had {} when it was indexed: `repair` or `reindex` mends that",
                reader.len(),
                indexed.length
            );
            return Err(Error::new(ErrorKind::Corrupt, message).at_key(&indexed.path));
        }
        Ok(Self { reader: reader.into(), shard: OnceLock::new() })
    }

    /// The shard with its metadata read, for what cannot be read by offset.
    pub(crate) fn shard(&self, indexed: &Indexed) -> Result<&Shard> {
        if let Some(shard) = self.shard.get() {
            return Ok(shard);
        }
        let shard = Shard::open(&indexed.path, Arc::clone(&self.reader))?;
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

    /// The handle of a shard, to be dropped before that of another one is asked for: then no more are open than the
    /// limit and one for each thread. Where a new one exceeds the limit, the least recently used one goes.
    pub(crate) fn open(&self, storage: &dyn Storage, indexed: &Indexed) -> Result<Arc<Handle>> {
        if let Some(handle) = self.held().find(indexed.id) {
            return Ok(handle);
        }
        // Opened without the lock: the storage may be slow.
        let handle = Arc::new(Handle::open(storage, indexed)?);
        Ok(self.held().keep(indexed.id, handle, self.limit))
    }

    /// Closes all that nobody is reading.
    pub(crate) fn clear(&self) {
        self.held().handles.clear();
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn find(&mut self, id: i64) -> Option<Arc<Handle>> {
        self.clock += 1;
        let (handle, used) = self.handles.get_mut(&id)?;
        *used = self.clock;
        Some(Arc::clone(handle))
    }

    /// Holds a new handle, unless another thread was quicker, whose handle is then returned.
    fn keep(&mut self, id: i64, new: Arc<Handle>, limit: usize) -> Arc<Handle> {
        if let Some(handle) = self.find(id) {
            return handle;
        }
        if self.handles.len() >= limit {
            let oldest = self.handles.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id);
            oldest.and_then(|oldest| self.handles.remove(&oldest));
        }
        self.handles.insert(id, (Arc::clone(&new), self.clock));
        new
    }
}

#[cfg(test)]
mod tests {
    use larder_storage::{Key, PutIf};

    use super::*;
    use crate::testing::WatchedStorage;

    #[test]
    fn keeps_the_ones_used_last() {
        let (handles, storage) = (Handles::new(2), WatchedStorage::default());
        let opens = |id: i64| {
            let path = Key::new(format!("{id}")).unwrap();
            storage.put(&path, "".into(), PutIf::Always).unwrap();
            storage.reset();
            handles.open(&storage, &Indexed { id, path, length: 0, dim: None }).unwrap();
            storage.opened() == 1
        };
        assert_eq!([1, 2, 1, 3, 1, 2, 1].map(opens), [true, true, false, true, false, true, false]);
        handles.clear();
        assert!(opens(1));
    }
}
