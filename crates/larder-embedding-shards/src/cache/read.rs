use std::collections::BTreeMap;

use larder_storage::{Error, ErrorKind, Key, Result};

use super::EmbeddingCache;
use crate::{
    Embedding, WindowKey, WindowRecord,
    index::{Found, Indexed},
    shard::{RowPlace, Shard, read_row},
};

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
    /// index. They are read in the order in which they lie in the shards.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_many(&self, keys: &[WindowKey]) -> Result<Vec<Option<Embedding>>> {
        let found = self.index.find(keys)?;
        self.fetch(keys, &found)
    }

    /// The whole row of `key`, or `None` where there is none, checked against its checksums. Its page of each column is
    /// decoded. Of a shard of the Python package the embedding is of `float16` numbers, as [`read`](Self::read) says.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_record(&self, key: &WindowKey) -> Result<Option<WindowRecord>> {
        let found = self.index.find(std::slice::from_ref(key))?.pop().flatten();
        let Some(found) = found else { return Ok(None) };
        let handle = self.handles.open(&*self.storage, &found.shard)?;
        let record = handle.shard(&found.shard)?.records(&[found.row])?.pop();
        match record {
            Some(record) if record.key == *key => Ok(Some(record)),
            _ => Err(other_key(&found.shard.path)),
        }
    }

    /// Whether there is an embedding of `key`, by the index alone.
    ///
    /// # Errors
    ///
    /// `Corrupt` or `Io` where the index cannot be read.
    pub fn contains(&self, key: &WindowKey) -> Result<bool> {
        Ok(self.contains_many(std::slice::from_ref(key))?.contains(&true))
    }

    /// [`contains`](Self::contains) of each of `keys`, all from one state of the index.
    ///
    /// # Errors
    ///
    /// As [`contains`](Self::contains).
    pub fn contains_many(&self, keys: &[WindowKey]) -> Result<Vec<bool>> {
        Ok(self.index.find(keys)?.iter().map(Option::is_some).collect())
    }

    /// Reads the rows that were found for `keys`, shard by shard.
    pub(super) fn fetch(
        &self,
        keys: &[WindowKey],
        found: &[Option<Found>],
    ) -> Result<Vec<Option<Embedding>>> {
        let mut order: Vec<(&Found, usize)> =
            found.iter().enumerate().filter_map(|(i, found)| Some((found.as_ref()?, i))).collect();
        order.sort_by_key(|(found, _)| (found.shard.id, found.row));
        let mut embeddings = vec![None; keys.len()];
        for of_one_shard in order.chunk_by(|(a, _), (b, _)| a.shard.id == b.shard.id) {
            self.fetch_from(&of_one_shard[0].0.shard, keys, of_one_shard, &mut embeddings)?;
        }
        Ok(embeddings)
    }

    /// Reads rows of one shard, each with its place in `keys`.
    fn fetch_from(
        &self,
        indexed: &Indexed,
        keys: &[WindowKey],
        rows: &[(&Found, usize)],
        embeddings: &mut [Option<Embedding>],
    ) -> Result<()> {
        let handle = self.handles.open(&*self.storage, indexed)?;
        let mut rest = Vec::new();
        for &(found, i) in rows {
            match place(found) {
                Some(place) => {
                    let read = read_row(&indexed.path, &*handle.reader, &keys[i], place)?;
                    embeddings[i] = Some(read);
                }
                None => rest.push((found.row, i)),
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        decode(handle.shard(indexed)?, keys, &rest, embeddings)
    }
}

/// Decodes rows of one shard, whose numbers rise, each with its place in `keys`.
fn decode(
    shard: &Shard,
    keys: &[WindowKey],
    wanted: &[(u64, usize)],
    embeddings: &mut [Option<Embedding>],
) -> Result<()> {
    let mut rows: Vec<u64> = wanted.iter().map(|(row, _)| *row).collect();
    rows.dedup();
    let decoded = shard.decode(&rows)?;
    let decoded: BTreeMap<_, _> = rows.into_iter().zip(decoded).collect();
    for &(row, i) in wanted {
        embeddings[i] = match decoded.get(&row) {
            Some((key, embedding)) if *key == keys[i] => Some(embedding.clone()),
            _ => return Err(other_key(shard.path())),
        };
    }
    Ok(())
}

fn other_key(path: &Key) -> Error {
    let message = "the row has another key than the index says: `reindex` mends that";
    Error::new(ErrorKind::Corrupt, message).at_key(path)
}

/// The place of a row that is read by offset.
fn place(found: &Found) -> Option<RowPlace> {
    Some(RowPlace { offset: found.offset?, dim: found.shard.dim?, crc: found.crc? })
}
