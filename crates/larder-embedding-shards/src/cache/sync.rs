//! Keeping the index in step with the shards.

use std::collections::HashSet;

use larder_storage::{Error, ErrorKind, Key, Problem, Result, Storage};

use super::EmbeddingCache;
use crate::{
    ReindexReport,
    path::{SHARDS, is_shard},
    shard::Shard,
};

impl EmbeddingCache {
    /// Indexes shards that are there and not in the index, drops those that are gone, and writes nothing where there
    /// are none of either; returns what went wrong.
    pub(super) fn synchronise(&self) -> Result<Vec<Problem>> {
        // Listed before the index is read: what is written meanwhile is then in the index and not in the list.
        let (listed, indexed) = (self.list()?, self.index.shards()?);
        let new: Vec<&Key> = listed.iter().filter(|path| !indexed.contains(*path)).collect();
        let listed: HashSet<&Key> = listed.iter().collect();
        let missing: Vec<Key> =
            indexed.iter().filter(|path| !listed.contains(path)).cloned().collect();
        if new.is_empty() && missing.is_empty() {
            return Ok(Vec::new());
        }
        let _alone = self.write_alone()?;
        let mut problems = self.forget_gone(missing)?;
        let adopt = |path: &Key| match self.adopt(path) {
            Ok(0) => None,
            Ok(taken) => Some(held_elsewhere(path, taken)),
            Err(error) => Some(problem(path, &error)),
        };
        problems.extend(new.into_iter().filter_map(adopt));
        Ok(problems)
    }

    fn forget_gone(&self, missing: Vec<Key>) -> Result<Vec<Problem>> {
        let mut gone = Vec::new();
        for path in missing {
            if self.storage.open(&path)?.is_none() {
                gone.push(path);
            }
        }
        if gone.is_empty() { Ok(Vec::new()) } else { self.forget(&gone) }
    }

    /// Drops shards from the index. The keys that they held go to other shards that have them too, as far as those
    /// can be read; returns what went wrong there. The caller writes alone.
    pub(super) fn forget(&self, gone: &[Key]) -> Result<Vec<Problem>> {
        let (mut heirs, mut problems) = (Vec::new(), Vec::new());
        let incomplete = self.index.incomplete()?;
        for path in incomplete.into_iter().filter(|path| !gone.contains(path)) {
            match self.open_shard(&path).and_then(|shard| shard.entries()) {
                Ok(rows) => heirs.push((path, rows)),
                Err(error) => problems.push(problem(&path, &error)),
            }
        }
        self.index.forget(gone, heirs)?;
        Ok(problems)
    }

    /// Indexes the shard at `path` unless it is indexed already; returns how many of its rows others hold. The caller
    /// writes alone.
    pub(super) fn adopt(&self, path: &Key) -> Result<u64> {
        if self.index.has_shard(path)? {
            return Ok(0);
        }
        let shard = self.open_shard(path)?;
        self.index.add(&shard, shard.entries()?)
    }

    pub(super) fn open_shard(&self, path: &Key) -> Result<Shard> {
        let reader = self.storage.open(path)?.ok_or_else(|| removed(path))?;
        Shard::open(path, reader.into())
    }

    /// The keys of all shards, sorted.
    pub(super) fn list(&self) -> Result<Vec<Key>> {
        list(&*self.storage)
    }

    /// Makes the index anew from the key columns of all shards, in one transaction: others see the old one or the new
    /// one. A shard that cannot be read is left out and reported.
    ///
    /// # Errors
    ///
    /// `Io`, `Full` or `Backend` where the shards cannot be listed or the index cannot be written: then the old one
    /// stays.
    pub fn reindex(&self) -> Result<ReindexReport> {
        let _alone = self.write_alone()?;
        self.reindex_alone()
    }

    /// As [`reindex`](Self::reindex); the caller writes alone.
    pub(super) fn reindex_alone(&self) -> Result<ReindexReport> {
        let listed = self.list()?;
        let index_path = self.index.path().to_owned();
        let mut report =
            ReindexReport { indexed_shards: 0, indexed_rows: 0, index_path, problems: Vec::new() };
        let report = self.index.replace(|add| {
            for path in &listed {
                let read = self.open_shard(path).and_then(|shard| Ok((shard.entries()?, shard)));
                let (rows, shard) = match read {
                    Ok(read) => read,
                    Err(error) => {
                        report.problems.push(problem(path, &error));
                        continue;
                    }
                };
                let count = rows.len() as u64;
                let taken = add(&shard, rows)?;
                report.indexed_shards += 1;
                report.indexed_rows += count - taken;
                report.problems.extend((taken > 0).then(|| held_elsewhere(path, taken)));
            }
            Ok(report)
        })?;
        self.handles.clear();
        Ok(report)
    }
}

/// The keys of all shards in a storage, sorted.
pub(crate) fn list(storage: &dyn Storage) -> Result<Vec<Key>> {
    let mut shards: Vec<_> = storage.keys(Some(&Key::new(SHARDS)?))?.collect::<Result<_>>()?;
    shards.retain(is_shard);
    shards.sort();
    Ok(shards)
}

pub(super) fn removed(path: &Key) -> Error {
    Error::new(ErrorKind::NotFound, "the shard was removed meanwhile").at_key(path)
}

/// An error about the shard at `path`, which it need not name again.
pub(super) fn problem(path: &Key, error: &Error) -> Problem {
    let text = error.chain().to_string();
    Problem::new(path, text.strip_prefix(&format!("{path}: ")).unwrap_or(&text))
}

fn held_elsewhere(path: &Key, taken: u64) -> Problem {
    Problem::new(
        path,
        format!("{taken} of its rows have keys that an earlier row holds, which is the one read"),
    )
}
