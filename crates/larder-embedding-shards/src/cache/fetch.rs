//! Reading rows whose places the index told.

use std::{num::NonZero, sync::Arc, thread};

use larder_storage::{Error, ErrorKind, Key, Result};

use super::EmbeddingCache;
use crate::{
    Embedding, Verify, WindowKey,
    handles::{Handle, gone},
    index::{Found, Indexed},
    shard::{RowPlace, Shard, check_row, misread, not_of_dtype},
};

/// How many rows of a local disk make it worth to start a thread.
const ROWS_PER_THREAD: usize = 1024;

/// How many requests are under way at once where the storage is not a local disk.
const REQUESTS: usize = 16;

/// Where a row goes.
pub(super) trait Target: Send {
    /// Takes a row of `dim` numbers of the shard at `path`, whose stored bytes `fill` writes.
    fn fill(
        self,
        path: &Key,
        key: &WindowKey,
        dim: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<()>;

    /// Takes a row that was decoded.
    fn set(self, key: &WindowKey, embedding: Embedding) -> Result<()>;
}

/// A row that is wanted.
pub(super) struct Wanted<'a, T> {
    pub(super) key: &'a WindowKey,
    pub(super) found: &'a Found,
    pub(super) target: T,
}

impl EmbeddingCache {
    /// Reads rows in the order in which they lie in the shards, on several threads where there are many.
    pub(super) fn fetch<T: Target>(&self, mut wanted: Vec<Wanted<'_, T>>) -> Result<()> {
        wanted.sort_by_key(|row| (row.found.shard.id, row.found.row));
        let threads = self.threads(wanted.len());
        if threads <= 1 {
            return self.fetch_in_order(wanted);
        }
        let share = wanted.len().div_ceil(threads);
        thread::scope(|scope| {
            let mut workers = Vec::new();
            while !wanted.is_empty() {
                let rest = wanted.split_off(wanted.len().saturating_sub(share));
                if wanted.is_empty() {
                    // This thread takes part.
                    self.fetch_in_order(rest)?;
                } else {
                    workers.push(scope.spawn(|| self.fetch_in_order(rest)));
                }
            }
            workers.into_iter().try_for_each(|worker| {
                worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        })
    }

    pub(super) fn threads(&self, rows: usize) -> usize {
        if self.storage.local_root().is_none() {
            return rows.min(REQUESTS);
        }
        let most = || thread::available_parallelism().map_or(1, NonZero::get);
        if rows < 2 * ROWS_PER_THREAD { 1 } else { most().min(rows / ROWS_PER_THREAD) }
    }

    fn fetch_in_order<T: Target>(&self, wanted: Vec<Wanted<'_, T>>) -> Result<()> {
        let mut rows = wanted.into_iter().peekable();
        while let Some(first) = rows.next() {
            let shard = &*first.found.shard;
            let mut of_one = vec![first];
            while let Some(row) = rows.next_if(|row| row.found.shard.id == shard.id) {
                of_one.push(row);
            }
            self.fetch_from(shard, of_one)?;
        }
        Ok(())
    }

    /// Reads rows of one shard.
    fn fetch_from<T: Target>(&self, shard: &Indexed, rows: Vec<Wanted<'_, T>>) -> Result<()> {
        let handle = self.handle(shard, rows.len())?;
        let mut rest = Vec::new();
        for row in rows {
            match place(row.found) {
                Some(place) => row.target.fill(&shard.path, row.key, place.dim, |bytes| {
                    self.read_bytes(shard, handle.as_deref(), place.offset, bytes)?;
                    self.check(shard, row.key, row.found.row, place.crc, bytes)
                })?,
                None => rest.push(row),
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        let handle = self.handles.open(&*self.storage, shard)?;
        decode(handle.shard(shard)?, rest)
    }

    /// What a shard's rows are read through; `None` where each is a request of its own.
    fn handle(&self, shard: &Indexed, rows: usize) -> Result<Option<Arc<Handle>>> {
        if self.storage.local_root().is_none() {
            // To open an object is a request, too.
            return Ok(None);
        }
        if rows == 1 {
            return self.handles.open_for_row(&*self.storage, shard);
        }
        self.handles.open(&*self.storage, shard).map(Some)
    }

    fn read_bytes(
        &self,
        shard: &Indexed,
        handle: Option<&Handle>,
        offset: u64,
        bytes: &mut [u8],
    ) -> Result<()> {
        if let Some(handle) = handle {
            return handle
                .reader
                .read_at(offset, bytes)
                .map_err(|error| misread(&shard.path, error));
        }
        let range = self.storage.get_range(&shard.path, offset, bytes.len());
        let range = range.map_err(|error| misread(&shard.path, error))?;
        bytes.copy_from_slice(&range.ok_or_else(|| gone(&shard.path))?);
        Ok(())
    }

    /// Checks the bytes of a row as the options say.
    fn check(
        &self,
        shard: &Indexed,
        key: &WindowKey,
        row: u64,
        crc: u32,
        bytes: &[u8],
    ) -> Result<()> {
        match self.verify {
            Verify::Off => Ok(()),
            Verify::FirstTouch if shard.checked.contains(row) => Ok(()),
            Verify::FirstTouch => {
                check_row(&shard.path, key, crc, bytes)?;
                shard.checked.insert(row);
                Ok(())
            }
            Verify::Always => check_row(&shard.path, key, crc, bytes),
        }
    }
}

/// Decodes rows of one shard, in their order.
fn decode<T: Target>(shard: &Shard, wanted: Vec<Wanted<'_, T>>) -> Result<()> {
    let mut rows: Vec<u64> = wanted.iter().map(|row| row.found.row).collect();
    rows.dedup();
    let decoded = shard.decode(&rows)?;
    let mut decoded = rows.iter().zip(decoded).peekable();
    for Wanted { key, found, target } in wanted {
        while decoded.next_if(|(row, _)| **row < found.row).is_some() {}
        match decoded.peek() {
            Some((_, (there, embedding))) if there == key => target.set(key, embedding.clone())?,
            _ => return Err(other_key(shard.path())),
        }
    }
    Ok(())
}

pub(super) fn other_key(path: &Key) -> Error {
    let message = "the row has another key than the index says: `reindex` mends that";
    Error::new(ErrorKind::Corrupt, message).at_key(path)
}

/// The place of a row that is read by offset.
fn place(found: &Found) -> Option<RowPlace> {
    Some(RowPlace { offset: found.offset?, dim: found.shard.dim?, crc: found.crc? })
}

impl Target for &mut Option<Embedding> {
    fn fill(
        self,
        path: &Key,
        key: &WindowKey,
        dim: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let read = Embedding::read(key.dtype, dim, fill)?;
        *self = Some(read.ok_or_else(|| not_of_dtype(path, key.dtype))?);
        Ok(())
    }

    fn set(self, _: &WindowKey, embedding: Embedding) -> Result<()> {
        *self = Some(embedding);
        Ok(())
    }
}
