use larder_storage::{ErrorKind, Result};

use super::{
    EmbeddingCache,
    fetch::{Wanted, other_key},
};
use crate::{Embedding, WindowKey, WindowRecord, index::Found};

impl EmbeddingCache {
    /// The embedding of `key`, or `None` where there is none. Writes nothing.
    ///
    /// A row of a shard that Larder wrote is one positioned read, and its bytes are checked against the checksum that
    /// binds them to the key. Of a shard of the Python package the pages are decoded and the row's key is checked;
    /// it holds `float16` numbers whatever the key's dtype, and so does the embedding returned.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the row is damaged or not where the index says; `NotFound` where the index has the key but the
    /// shard is gone; `Io` or `Backend` where the index or the storage fails.
    pub fn read(&self, key: &WindowKey) -> Result<Option<Embedding>> {
        Ok(self.read_many(std::slice::from_ref(key))?.pop().flatten())
    }

    /// The embeddings of `keys` in the same order, as [`read`](Self::read) gives them, all from one state of the
    /// index. They are read in the order in which they lie in the shards, on several threads where there are many.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_many(&self, keys: &[WindowKey]) -> Result<Vec<Option<Embedding>>> {
        self.look_up(keys, |found| self.fetch_found(keys, found))
    }

    /// The whole row of `key`, or `None` where there is none, checked against its checksums. Its page of each column is
    /// decoded. Of a shard of the Python package the embedding is of `float16` numbers, as [`read`](Self::read) says.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_record(&self, key: &WindowKey) -> Result<Option<WindowRecord>> {
        self.look_up(std::slice::from_ref(key), |found| {
            let Some(Some(found)) = found.first() else { return Ok(None) };
            let handle = self.handles.open(&*self.storage, &found.shard)?;
            let record = handle.shard(&found.shard)?.records(&[found.row])?.pop();
            match record {
                Some(record) if record.key == *key => Ok(Some(record)),
                _ => Err(other_key(&found.shard.path)),
            }
        })
    }

    /// Whether there is an embedding of `key`, by the index alone.
    ///
    /// # Errors
    ///
    /// `Corrupt` or `Io` where the index cannot be read.
    pub fn contains(&self, key: &WindowKey) -> Result<bool> {
        Ok(self.index.find_one(key)?.is_some())
    }

    /// [`contains`](Self::contains) of each of `keys`, all from one state of the index.
    ///
    /// # Errors
    ///
    /// As [`contains`](Self::contains).
    pub fn contains_many(&self, keys: &[WindowKey]) -> Result<Vec<bool>> {
        Ok(self.index.find(keys)?.iter().map(Option::is_some).collect())
    }

    /// Reads the rows that were found for `keys`.
    pub(super) fn fetch_found(
        &self,
        keys: &[WindowKey],
        found: &[Option<Found>],
    ) -> Result<Vec<Option<Embedding>>> {
        let mut embeddings = vec![None; keys.len()];
        self.fetch(wanted(keys, found, embeddings.iter_mut()))?;
        Ok(embeddings)
    }

    /// Looks keys up and reads their rows with `read`. Somebody may move rows, or write their shard anew, between the two:
    /// then it is done again.
    pub(super) fn look_up<T>(
        &self,
        keys: &[WindowKey],
        read: impl Fn(&[Option<Found>]) -> Result<T>,
    ) -> Result<T> {
        let mut found = self.index.find(keys)?;
        loop {
            let error = match read(&found) {
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => {
                    error
                }
                outcome => return outcome,
            };
            let now = self.index.find(keys)?;
            let shard = |found: &Option<Found>| found.as_ref().map(|found| found.shard.id);
            if now.iter().map(shard).eq(found.iter().map(shard)) {
                return Err(error);
            }
            found = now;
        }
    }
}

/// The rows that were found, each with the target of its key.
pub(super) fn wanted<'a, T>(
    keys: &'a [WindowKey],
    found: &'a [Option<Found>],
    targets: impl Iterator<Item = T>,
) -> Vec<Wanted<'a, T>> {
    let all = keys.iter().zip(found).zip(targets);
    all.filter_map(|((key, found), target)| Some(Wanted { key, found: found.as_ref()?, target }))
        .collect()
}
