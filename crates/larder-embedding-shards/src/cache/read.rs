use std::{collections::BTreeMap, sync::Arc};

use larder_storage::{Error, ErrorKind, Result};

use super::EmbeddingCache;
use crate::{
    Embedding, WindowKey,
    handles::Handle,
    index::Found,
    shard::{RowPlace, read_row},
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
        let found = self.index.find(keys, &self.handles)?;
        self.fetch(keys, &found)
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
        Ok(self.index.find(keys, &self.handles)?.iter().map(Option::is_some).collect())
    }

    /// Reads the rows that were found for `keys`.
    pub(super) fn fetch(
        &self,
        keys: &[WindowKey],
        found: &[Option<Found>],
    ) -> Result<Vec<Option<Embedding>>> {
        let mut order: Vec<(&Found, usize)> =
            found.iter().enumerate().filter_map(|(i, found)| Some((found.as_ref()?, i))).collect();
        order.sort_by(|(a, _), (b, _)| (&a.shard.path, a.row).cmp(&(&b.shard.path, b.row)));
        let mut embeddings = vec![None; keys.len()];
        let mut rest = Vec::new();
        for (found, i) in order {
            match place(found) {
                Some(place) => {
                    let reader = found.shard.reader(&*self.storage)?;
                    embeddings[i] = Some(read_row(&found.shard.path, &**reader, &keys[i], place)?);
                }
                None => rest.push((found, i)),
            }
        }
        for of_one_shard in rest.chunk_by(|(a, _), (b, _)| Arc::ptr_eq(&a.shard, &b.shard)) {
            let wanted = of_one_shard.iter().map(|(found, i)| (*i, found.row));
            self.decode(&of_one_shard[0].0.shard, keys, wanted, &mut embeddings)?;
        }
        Ok(embeddings)
    }

    /// Decodes rows of one shard, each named by its place in `keys` and its number.
    fn decode(
        &self,
        shard: &Handle,
        keys: &[WindowKey],
        wanted: impl Iterator<Item = (usize, u64)> + Clone,
        embeddings: &mut [Option<Embedding>],
    ) -> Result<()> {
        let mut rows: Vec<u64> = wanted.clone().map(|(_, row)| row).collect();
        rows.dedup();
        let decoded = shard.shard(&*self.storage)?.decode(&rows)?;
        let decoded: BTreeMap<_, _> = rows.into_iter().zip(decoded).collect();
        for (i, row) in wanted {
            embeddings[i] = match decoded.get(&row) {
                Some((key, embedding)) if *key == keys[i] => Some(embedding.clone()),
                _ => {
                    let message =
                        "the row has another key than the index says: `reindex` mends that";
                    return Err(Error::new(ErrorKind::Corrupt, message).at_key(&shard.path));
                }
            };
        }
        Ok(())
    }
}

/// The place of a row that is read by offset.
fn place(found: &Found) -> Option<RowPlace> {
    Some(RowPlace { offset: found.offset?, dim: found.shard.dim?, crc: found.crc? })
}
