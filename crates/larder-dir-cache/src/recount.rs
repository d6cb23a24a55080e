use larder_storage::{Key, Result, lock::FileLock};
use serde::Serialize;

use crate::{
    core::Core,
    index::{Row, State},
    settle::Settled,
    tree::measure,
};

/// What [`DirCache::recount`](crate::DirCache::recount) found and put right.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Recount {
    /// How many entries there are.
    pub entries: u64,
    /// The sum of their sizes, in bytes.
    pub size: u64,
    /// Entries whose size or files were not as recorded.
    pub corrected: Vec<String>,
    /// Entries that other programs made, or that a killed process had not finished.
    pub adopted: Vec<String>,
    /// Entries whose directories were gone.
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
        for row in self.index.live()? {
            match Key::new(&row.key).and_then(|key| self.recount_one(&key)) {
                Ok(None) => {}
                Ok(Some(size)) => {
                    self.watch().tell(|observer| observer.on_size_update(&row.key, size));
                    recount.corrected.push(row.key);
                }
                Err(error) => self.watch().failed(&error, &format!("recounting {}", row.key)),
            }
        }
        let counters = self.index.counters()?;
        (recount.entries, recount.size) = (counters.entries, counters.size);
        Ok(recount)
    }

    /// Corrects one entry, and returns its size where it was wrong.
    fn recount_one(&self, key: &Key) -> Result<Option<u64>> {
        let Some(row) = self.index.find(key.as_str())? else { return Ok(None) };
        let path = self.path(key)?;
        let Some(_lease) = FileLock::try_shared(&self.lease_file(key))? else { return Ok(None) };
        if row.state != State::Live || !self.index.is_live(key.as_str())? {
            return Ok(None);
        }
        let tree = measure(&path)?;
        if tree.agrees(&row) {
            return Ok(None);
        }
        self.index.correct(key.as_str(), &tree)?;
        Ok(Some(tree.size))
    }
}

impl crate::tree::Tree {
    /// Whether it is what the index has.
    pub(crate) fn agrees(&self, row: &Row) -> bool {
        (self.size, self.files, self.listing) == (row.size, row.files, row.listing)
    }
}
