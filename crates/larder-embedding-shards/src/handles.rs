//! Shards that were opened before, so that a warm read opens nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use larder_storage::{Error, ErrorKind, Key, ReadAt, Result, Storage};

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
        let reader = storage.open(&indexed.path)?.ok_or_else(|| gone(&indexed.path))?;
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

pub(crate) fn gone(path: &Key) -> Error {
    let message = "the shard is gone: `refresh` brings the index into step";
    Error::new(ErrorKind::NotFound, message).at_key(path)
}

/// The handles of at most `limit` shards, by the shards' ids in the index.
#[derive(Debug)]
pub(crate) struct Handles {
    limit: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    places: HashMap<i64, usize>,
    slots: Vec<Slot>,
    /// The slot that is looked at next when one is to be freed.
    hand: usize,
    misses: u64,
}

#[derive(Debug)]
struct Slot {
    id: i64,
    handle: Arc<Handle>,
    /// Whether it was used since the hand passed.
    is_used: bool,
}

/// Where no more handles may be held, this many reads of a row of other shards go past them for each one that is let in:
/// to open a shard for one row costs more than the row.
const PASSING: u64 = 8;

impl Handles {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), held: Mutex::default() }
    }

    /// The handle of a shard, to be dropped before that of another one is asked for: then no more are open than the
    /// limit and one for each thread. Where a new one exceeds the limit, one that was not used for a while goes.
    pub(crate) fn open(&self, storage: &dyn Storage, indexed: &Indexed) -> Result<Arc<Handle>> {
        if let Some(handle) = self.held().find(indexed.id) {
            return Ok(handle);
        }
        // Opened without the lock: the storage may be slow.
        let handle = Arc::new(Handle::open(storage, indexed)?);
        Ok(self.held().keep(indexed.id, handle, self.limit))
    }

    /// As [`open`](Self::open) for a single row; `None` where that is not worth the handle of another shard.
    pub(crate) fn open_for_row(
        &self,
        storage: &dyn Storage,
        indexed: &Indexed,
    ) -> Result<Option<Arc<Handle>>> {
        {
            let mut held = self.held();
            if let Some(handle) = held.find(indexed.id) {
                return Ok(Some(handle));
            }
            if held.slots.len() >= self.limit {
                held.misses += 1;
                if !held.misses.is_multiple_of(PASSING) {
                    return Ok(None);
                }
            }
        }
        self.open(storage, indexed).map(Some)
    }

    /// Closes all that nobody is reading.
    pub(crate) fn clear(&self) {
        *self.held() = Held::default();
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn find(&mut self, id: i64) -> Option<Arc<Handle>> {
        let slot = self.slots.get_mut(*self.places.get(&id)?)?;
        slot.is_used = true;
        Some(Arc::clone(&slot.handle))
    }

    /// Holds a new handle, unless another thread was quicker, whose handle is then returned.
    fn keep(&mut self, id: i64, new: Arc<Handle>, limit: usize) -> Arc<Handle> {
        if let Some(handle) = self.find(id) {
            return handle;
        }
        let slot = Slot { id, handle: Arc::clone(&new), is_used: true };
        if self.slots.len() < limit {
            self.places.insert(id, self.slots.len());
            self.slots.push(slot);
        } else {
            let free = self.pass();
            self.places.remove(&self.slots[free].id);
            self.places.insert(id, free);
            self.slots[free] = slot;
        }
        new
    }

    /// The first slot that was not used since the hand passed it last.
    fn pass(&mut self) -> usize {
        loop {
            let at = self.hand;
            self.hand = (at + 1) % self.slots.len();
            if !std::mem::take(&mut self.slots[at].is_used) {
                return at;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use larder_storage::PutIf;

    use super::*;
    use crate::{checked::Checked, testing::WatchedStorage};

    /// Whether shards are opened when each is asked for.
    fn opens(handles: &Handles, storage: &WatchedStorage, id: i64, for_row: bool) -> bool {
        let path = Key::new(format!("{id}")).unwrap();
        storage.put(&path, "".into(), PutIf::Always).unwrap();
        storage.reset();
        let indexed = Indexed { id, path, length: 0, dim: None, checked: Checked::new(0) };
        if for_row {
            handles.open_for_row(storage, &indexed).unwrap();
        } else {
            handles.open(storage, &indexed).unwrap();
        }
        storage.opened() == 1
    }

    #[test]
    fn keeps_what_is_used_and_no_more_than_allowed() {
        let (handles, storage) = (Handles::new(2), WatchedStorage::default());
        let mut opens = |id| opens(&handles, &storage, id, false);
        assert_eq!([1, 2, 1, 2].map(&mut opens), [true, true, false, false]);
        assert!(opens(3), "the hand passes both, and the first one goes");
        assert_eq!([2, 3].map(&mut opens), [false, false]);
        assert!(opens(1));
        handles.clear();
        assert!([1, 2].map(opens).iter().all(|opened| *opened));
        assert_eq!(storage.most_open(), 2);
    }

    #[test]
    fn single_rows_of_many_shards_do_not_drive_the_others_out() {
        let (handles, storage) = (Handles::new(4), WatchedStorage::default());
        let opened = (0..84).filter(|id| opens(&handles, &storage, *id, true)).count();
        assert_eq!(opened, 4 + 80 / PASSING as usize);
    }
}
