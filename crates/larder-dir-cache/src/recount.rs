use std::{collections::HashSet, fs, num::NonZero, panic::resume_unwind, path::PathBuf, thread};

use larder_storage::{Error, Key, Result, lock::FileLock};
use serde::Serialize;

use crate::{
    core::Core,
    index::State,
    settle::{Settled, is_absent},
    tree::measure,
};

/// More would wait for the disk.
const MOST_THREADS: usize = 8;

/// What [`DirCache::recount`](crate::DirCache::recount) found and put right.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Recount {
    /// How many entries there are.
    pub entries: u64,
    /// The sum of their sizes, in bytes.
    pub size: u64,
    /// Entries whose files were not as recorded. Where the file system only occupies another size for the same files,
    /// the size is corrected and the entry not listed.
    pub corrected: Vec<String>,
    /// Entries that other programs made, or that a killed process had not finished.
    pub adopted: Vec<String>,
    /// Entries whose directories were gone, and interrupted publications that had lost files.
    pub dropped: Vec<String>,
}

impl Core {
    pub(crate) fn recount(&self) -> Result<Recount> {
        let mut recount = Recount::default();
        for (key, settled) in self.reconcile()? {
            let list = if matches!(settled, Settled::Gone) {
                &mut recount.dropped
            } else {
                &mut recount.adopted
            };
            list.push(key.as_str().to_owned());
        }
        recount.corrected = self.recount_all(&self.index.live_keys()?);
        self.sweep_leases()?;
        let counters = self.index.counters()?;
        (recount.entries, recount.size) = (counters.entries, counters.size);
        Ok(recount)
    }

    /// Removes the lock files that dead processes left of what is no entry.
    fn sweep_leases(&self) -> Result<()> {
        let known: HashSet<PathBuf> =
            self.index.keys()?.iter().map(|key| self.lease_file(key)).collect();
        let failed = |error| Error::io(error, "cannot be looked into").at_path(self.lease_dir());
        let found = match fs::read_dir(self.lease_dir()) {
            Err(error) if is_absent(&error) => return Ok(()),
            found => found.map_err(failed)?,
        };
        for file in found {
            let file = file.map_err(failed)?.path();
            if !known.contains(&file)
                && let Some(lock) = FileLock::try_exclusive(&file)?
            {
                lock.remove()?;
            }
        }
        Ok(())
    }

    /// Corrects the entries, on all processors; returns those whose files were not as recorded.
    fn recount_all(&self, keys: &[Key]) -> Vec<String> {
        let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
        let share = keys.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            let shares: Vec<_> = keys
                .chunks(share)
                .map(|keys| {
                    scope.spawn(|| {
                        keys.iter().filter(|key| self.recount_or_tell(key)).collect::<Vec<_>>()
                    })
                })
                .collect();
            let corrected = shares
                .into_iter()
                .flat_map(|share| share.join().unwrap_or_else(|panic| resume_unwind(panic)));
            corrected.map(|key| key.as_str().to_owned()).collect()
        })
    }

    /// Corrects one entry, and tells the observer; whether its files were not as recorded.
    fn recount_or_tell(&self, key: &Key) -> bool {
        match self.recount_one(key) {
            Ok(Correction { size, files }) => {
                if let Some(size) = size {
                    self.watch().tell(|observer| observer.on_size_update(key.as_str(), size));
                }
                files
            }
            Err(error) => {
                self.watch().failed(&error, &format!("recounting {key}"));
                false
            }
        }
    }

    /// Corrects one entry.
    fn recount_one(&self, key: &Key) -> Result<Correction> {
        let none = Correction { size: None, files: false };
        let path = self.path(key)?;
        let Some(_lease) = FileLock::try_shared(&self.lease_file(key))? else { return Ok(none) };
        let Some(row) = self.index.find(key.as_str())? else { return Ok(none) };
        if row.state != State::Live {
            return Ok(none);
        }
        let tree = measure(&path, self.options.measure)?;
        let size = (tree.size != row.size).then_some(tree.size);
        let correction = Correction { size, files: !tree.has_files_of(&row) };
        if correction.size.is_some() || correction.files {
            self.index.correct(key.as_str(), &tree)?;
        }
        Ok(correction)
    }
}

/// What was wrong with an entry.
struct Correction {
    /// The right size, where it was another.
    size: Option<u64>,
    files: bool,
}
