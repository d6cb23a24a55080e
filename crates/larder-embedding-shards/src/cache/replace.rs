//! Shards that compaction puts in the place of others. A shard names those that it replaces, so that whoever finds it
//! completes what a killed process began: the index is switched over in one transaction, and then the old files go.

use std::collections::{HashMap, HashSet};

use larder_storage::{ErrorKind, Key, Result};

use super::EmbeddingCache;
use crate::{
    WindowKey, WindowRecord,
    index::{Replaceable, TakenOver},
    shard::{RowEntry, Shard},
};

impl EmbeddingCache {
    /// Indexes the shard at `path` unless it is indexed already, and completes what a compaction left undone; returns
    /// how many of its rows others hold. What is said to be `gone` yields its rows. The caller writes alone.
    pub(super) fn adopt_beside(&self, path: &Key, gone: &[Key]) -> Result<u64> {
        if self.index.has_shard(path)? {
            return Ok(0);
        }
        let shard = self.open_shard(path)?;
        let rows = shard.entries()?;
        if self.is_replaced(&shard, &rows)? {
            self.storage.remove(path)?;
            return Ok(0);
        }
        let replaced = self.replaceable(&shard)?;
        if !replaced.is_empty() {
            // The last look before the others go.
            self.open_whole(path)?.verify()?;
        }
        let TakenOver { taken, dropped, changed } = if gone.is_empty() && replaced.is_empty() {
            TakenOver { taken: self.index.add(&shard, rows)?, ..TakenOver::default() }
        } else {
            self.index.take_over(&shard, rows, gone, &replaced)?
        };
        self.follow_in_python(&[&dropped[..], &changed].concat())?;
        for path in &dropped {
            self.storage.remove(path)?;
        }
        for path in &changed {
            self.adopt_beside(path, gone)?;
        }
        Ok(taken)
    }

    /// The indexed shards that a shard says it replaces, as far as they are still those that it was made from.
    fn replaceable(&self, shard: &Shard) -> Result<Vec<Replaceable>> {
        let mut found = Vec::new();
        for named in shard.replaces()? {
            let path = Key::new(&named.path)?;
            if path == *shard.path() || !self.index.has_shard(&path)? {
                continue;
            }
            let Some(old) = self.readable(&path)? else { continue };
            if named.is(&old)? {
                found.push((path, old.entries()?));
            }
        }
        Ok(found)
    }

    /// Whether others that name this shard among those that they replace hold all of its rows.
    fn is_replaced(&self, shard: &Shard, rows: &[RowEntry]) -> Result<bool> {
        // Mostly the first row tells.
        let (first, all) = (rows.len().min(1), rows.len());
        Ok(all > 0
            && self.rows_moved(shard, &rows[..first])? == first
            && self.rows_moved(shard, rows)? == all)
    }

    /// How many of these rows of a shard the index finds in others that replace it.
    pub(super) fn rows_moved(&self, shard: &Shard, rows: &[RowEntry]) -> Result<usize> {
        let keys: Vec<_> = rows.iter().map(|row| row.key).collect();
        let mut replaces: HashMap<Key, bool> = HashMap::new();
        let mut moved = 0;
        for (row, found) in rows.iter().zip(self.index.find(&keys)?) {
            let Some(found) = found else { continue };
            let path = &found.shard.path;
            if path == shard.path() || row.crc.is_some() && row.crc != found.crc {
                continue;
            }
            let does = match replaces.get(path) {
                Some(does) => *does,
                None => *replaces.entry(path.clone()).or_insert(self.replaces(path, shard)?),
            };
            moved += usize::from(does);
        }
        Ok(moved)
    }

    /// Whether the shard at `path` says that it replaces this one.
    fn replaces(&self, path: &Key, old: &Shard) -> Result<bool> {
        let Some(shard) = self.readable(path)? else { return Ok(false) };
        for named in shard.replaces()? {
            if named.is(old)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The shard at `path`; `None` where it is gone or damaged.
    fn readable(&self, path: &Key) -> Result<Option<Shard>> {
        match self.open_shard(path) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => {
                Ok(None)
            }
            opened => opened.map(Some),
        }
    }

    /// Where shards that compaction made hold all of these rows, bit by bit: the paths of these shards.
    pub(super) fn compacted(&self, path: &Key, records: &[WindowRecord]) -> Result<Vec<Key>> {
        let keys: Vec<WindowKey> = records.iter().map(|record| record.key).collect();
        let first = self.index.find(&keys[..keys.len().min(1)])?.pop().flatten();
        if first.is_none_or(|found| found.shard.path == *path) {
            return Ok(Vec::new());
        }
        let found = self.index.find(&keys)?;
        let holders: HashSet<&Key> = found.iter().flatten().map(|row| &row.shard.path).collect();
        for holder in &holders {
            if self.open_shard(holder)?.replaces()?.is_empty() {
                return Ok(Vec::new());
            }
        }
        let there = self.fetch_found(&keys, &found)?;
        let all = records.iter().zip(&there).all(|(row, it)| it.as_ref() == Some(&row.embedding));
        Ok(if all { holders.into_iter().cloned().collect() } else { Vec::new() })
    }
}
