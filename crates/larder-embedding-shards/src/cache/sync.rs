//! Keeping the index in step with the shards.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Arc, mpsc},
    thread,
};

use larder_sqlite::Attempt;
use larder_storage::{Error, ErrorKind, Key, Problem, Result, Storage, lock::FileLock};

use super::{EmbeddingCache, compact::is_its_own_fault};
use crate::{
    ReindexReport, ShardInfo,
    index::{Entry, sorted},
    path::{SHARDS, is_shard},
    progress::Steps,
    shard::{InMemory, Shard},
};

/// What became of an indexed shard.
enum Fate {
    Same,
    Gone,
    /// Another one has its name.
    Other,
}

impl EmbeddingCache {
    /// Indexes shards that are there and not in the index, drops those that are gone, and writes nothing where there
    /// are none of either; returns what went wrong.
    pub(super) fn synchronise(&self) -> Result<Vec<Problem>> {
        self.synchronise_after(|| self.write_alone().map(Some))
    }

    /// As [`synchronise`](Self::synchronise); the caller writes alone.
    pub(super) fn synchronise_alone(&self) -> Result<Vec<Problem>> {
        self.synchronise_after(|| Ok(None))
    }

    fn synchronise_after(
        &self,
        wait: impl FnOnce() -> Result<Option<FileLock>>,
    ) -> Result<Vec<Problem>> {
        // Listed before the index is read: what is written meanwhile is then in the index and not in the list.
        let listed = self.list_with_lengths()?;
        let indexed = self.index.list()?;
        let known: HashSet<&Key> = indexed.iter().map(|(_, info)| &info.path).collect();
        let new: Vec<&Key> = listed.keys().filter(|path| !known.contains(path)).collect();
        let differs = |info: &ShardInfo| match listed.get(&info.path) {
            Some(length) => length.is_some_and(|length| length != info.bytes),
            None => true,
        };
        let suspects: Vec<&Key> =
            indexed.iter().filter_map(|(_, info)| differs(info).then_some(&info.path)).collect();
        if new.is_empty() && suspects.is_empty() {
            return Ok(Vec::new());
        }
        if self.index.is_read_only() {
            return Ok(out_of_step(new, suspects));
        }
        let _alone = wait()?;
        self.bring_into_step(new, suspects)
    }

    /// All shards; with their lengths where other machines may write to the storage and the listing tells them anyway.
    fn list_with_lengths(&self) -> Result<BTreeMap<Key, Option<u64>>> {
        if self.storage.local_root().is_some() {
            return Ok(self.list()?.into_iter().map(|path| (path, None)).collect());
        }
        let entries = self.storage.list(Some(&Key::new(SHARDS)?))?;
        let shards = entries.filter(|entry| entry.as_ref().map_or(true, |it| is_shard(&it.key)));
        shards.map(|entry| entry.map(|entry| (entry.key, Some(entry.len)))).collect()
    }

    /// Adopts new shards first, so that rows which they have in common with those that are gone are found all the time.
    fn bring_into_step(&self, new: Vec<&Key>, suspects: Vec<&Key>) -> Result<Vec<Problem>> {
        let (mut gone, mut others) = (Vec::new(), Vec::new());
        for path in suspects {
            match self.fate(path)? {
                Fate::Same => {}
                Fate::Gone => gone.push(path.clone()),
                Fate::Other => {
                    gone.push(path.clone());
                    others.push(path);
                }
            }
        }
        let adopt = |path: &Key| match self.adopt_beside(path, &gone) {
            Ok(0) => None,
            Ok(taken) => Some(held_elsewhere(path, taken)),
            // Removed since it was listed, as compaction does.
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => Some(problem(path, &error)),
        };
        let mut problems: Vec<_> = new.into_iter().filter_map(adopt).collect();
        if !gone.is_empty() {
            problems.extend(self.forget(&gone)?);
        }
        problems.extend(others.into_iter().filter_map(adopt));
        Ok(problems)
    }

    fn fate(&self, path: &Key) -> Result<Fate> {
        let indexed = self.index.identity(path)?;
        match (indexed, self.storage.open(path)?) {
            (None, _) => Ok(Fate::Same),
            (_, None) => Ok(Fate::Gone),
            (Some((_, length)), Some(reader)) if reader.len() == length => Ok(Fate::Same),
            // What cannot be read is no other shard: whoever reads it is told.
            (Some(_), Some(reader)) => match Shard::open(path, reader.into()) {
                Err(error) if is_its_own_fault(&error) => Ok(Fate::Same),
                opened => opened.map(|_| Fate::Other),
            },
        }
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
        self.follow_in_python(gone)?;
        Ok(problems)
    }

    /// Indexes the shard at `path` unless it is indexed already; returns how many of its rows others hold. The caller
    /// writes alone.
    pub(super) fn adopt(&self, path: &Key) -> Result<u64> {
        self.adopt_beside(path, &[])
    }

    pub(super) fn open_shard(&self, path: &Key) -> Result<Shard> {
        let reader = self.storage.open(path)?.ok_or_else(|| removed(path))?;
        Shard::open(path, reader.into())
    }

    /// A shard all of which will be read: where each read is a request, it is asked for once.
    pub(super) fn open_whole(&self, path: &Key) -> Result<Shard> {
        if self.storage.local_root().is_some() {
            return self.open_shard(path);
        }
        let object = self.storage.get(path)?.ok_or_else(|| removed(path))?;
        Shard::open(path, Arc::new(InMemory(object.into_bytes())))
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
    /// `Io`, `Full` or `Backend` where the shards cannot be listed or read, or the index cannot be written: then the old
    /// one stays. A shard that is damaged is no error.
    pub fn reindex(&self) -> Result<ReindexReport> {
        self.observer.watch(|steps| {
            let _alone = self.write_alone()?;
            self.reindex_alone(steps)
        })
    }

    /// As [`reindex`](Self::reindex); the caller writes alone.
    pub(super) fn reindex_alone(&self, steps: &Steps) -> Result<ReindexReport> {
        // Compactions that were killed are completed where the old index is there to tell: then nobody misses a row.
        let is_completed = match self.synchronise_alone() {
            Err(error) if error.kind() == ErrorKind::Corrupt => false,
            synchronised => synchronised.map(|_| true)?,
        };
        let listed: BTreeSet<Key> = self.list()?.into_iter().collect();
        // Shards are read ahead, which is not to add to those that are held open.
        self.handles.clear();
        let (mut unfinished, mut problems) = (Vec::new(), Vec::new());
        let (count, taken) = self.index.replace(|index| {
            let (mut count, mut done) = ((0, 0), 0);
            self.read_entries(&listed, |path, read| {
                done += 1;
                steps.report("reindex", done, listed.len());
                match read {
                    // Removed since it was listed.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) if is_its_own_fault(&error) => problems.push(problem(path, &error)),
                    // What cannot be read now may be sound: the old index stays.
                    Err(error) => return Err(error.into()),
                    Ok((_, _, true)) if !is_completed => unfinished.push(path.clone()),
                    Ok((shard, rows, _)) => {
                        count = (count.0 + 1, count.1 + rows.len() as u64);
                        index.add(&shard, rows)?;
                    }
                }
                Ok(())
            })?;
            Ok(count)
        })?;
        problems.extend(taken.iter().map(|(path, taken)| held_elsewhere(path, *taken)));
        let mut report = ReindexReport {
            indexed_shards: count.0,
            indexed_rows: count.1 - taken.iter().map(|(_, taken)| taken).sum::<u64>(),
            index_path: self.index.path().to_owned(),
            problems,
        };
        if !unfinished.is_empty() {
            let problems = self.bring_into_step(unfinished.iter().collect(), Vec::new())?;
            report.problems.extend(problems);
            report.indexed_shards = self.index.totals()?.shards;
            report.indexed_rows = self.index.rows()?;
        }
        self.handles.clear();
        if self.python.is_some() {
            self.export_python_index_alone()?;
        }
        Ok(report)
    }

    /// Reads the rows of all shards, in their order, on a thread of its own, and gives them to `take`, which is at work
    /// meanwhile.
    fn read_entries(
        &self,
        listed: &BTreeSet<Key>,
        mut take: impl FnMut(&Key, Result<Entries>) -> Attempt<()>,
    ) -> Attempt<()> {
        let read = |path: &Key| {
            let shard = self.open_shard(path)?;
            let rows = sorted(&shard.entries()?);
            let is_unfinished = replaces_any(&shard, listed)?;
            Ok((shard, rows, is_unfinished))
        };
        thread::scope(|scope| {
            // One shard is read ahead, and one waits.
            let (send, receive) = mpsc::sync_channel(1);
            scope.spawn(move || {
                for path in listed {
                    if send.send((path, read(path))).is_err() {
                        break;
                    }
                }
            });
            receive.into_iter().try_for_each(|(path, entries)| take(path, entries))
        })
    }
}

/// A shard, its rows, and whether it replaces some that are there.
type Entries = (Shard, Vec<Entry>, bool);

/// Whether a shard replaces some that are there: a compaction was killed before it came to its end.
fn replaces_any(shard: &Shard, listed: &BTreeSet<Key>) -> Result<bool> {
    let replaced = shard.replaces()?;
    Ok(replaced.iter().any(|old| old.path != shard.path().as_str() && listed.contains(&*old.path)))
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

/// What stays as it is where the index may only be read.
fn out_of_step(new: Vec<&Key>, suspects: Vec<&Key>) -> Vec<Problem> {
    let problem =
        |what| move |path| Problem::new(path, format!("{what}, and the index may not be written"));
    let new = new.into_iter().map(problem("is not in the index"));
    new.chain(suspects.into_iter().map(problem("is not as the index has it"))).collect()
}

fn held_elsewhere(path: &Key, taken: u64) -> Problem {
    Problem::new(
        path,
        format!("{taken} of its rows have keys that an earlier row holds, which is the one read"),
    )
}
