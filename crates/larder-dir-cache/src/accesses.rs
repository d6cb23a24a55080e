//! How the uses of entries come to the index, and from there to their `.cache_meta`.

use std::{
    collections::HashMap,
    path::Path,
    sync::{MutexGuard, PoisonError},
};

use larder_storage::{Key, Result, lock::FileLock};

use crate::{
    core::Core,
    index::{Present, Row, State, Use},
    journal::Event,
    meta,
    settle::is_real_dir,
    tree::{measure, unknown_listing},
};

impl Core {
    /// Notes a use. Where that fails, as on a full disk, it is kept in memory: who has an entry may go on.
    pub(crate) fn note(&self, id: i64, event: Event, at_ns: i64) {
        if let Err(error) = self.journal.note(&self.index, id, event, at_ns) {
            let mut unsaved = self.lock_unsaved();
            unsaved.entry(id).or_default().add(Use::of(event, at_ns));
            drop(unsaved);
            self.watch().failed(&error, "noting an access, which is kept in memory meanwhile");
        }
    }

    /// Counts in the index what all processes have noted.
    pub(crate) fn count_uses(&self) -> Result<()> {
        let unsaved = std::mem::take(&mut *self.lock_unsaved());
        if !unsaved.is_empty()
            && let Err(error) = self.index.count(&unsaved)
        {
            let mut later = self.lock_unsaved();
            for (id, used) in unsaved {
                later.entry(id).or_default().add(used);
            }
            return Err(error);
        }
        self.journal.fold(&self.index)
    }

    fn lock_unsaved(&self) -> MutexGuard<'_, HashMap<i64, Use>> {
        // A map is whole after each statement, whatever panicked beside it.
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the `.cache_meta` of every entry up to the index.
    pub(crate) fn sync_meta(&self) -> Result<()> {
        self.count_uses()?;
        let mut written = Vec::new();
        for key in self.index.behind()? {
            match self.sync_one(&key) {
                Ok(row) => written.extend(row),
                Err(error) => {
                    self.watch().failed(&error, &format!("writing .cache_meta of {key}"));
                }
            }
        }
        self.index.written(&written)
    }

    /// Writes the `.cache_meta` of one entry; what it says.
    fn sync_one(&self, key: &Key) -> Result<Option<Row>> {
        // Under a lease the directory stays; without one, the file could bring a removed directory back.
        let Some(_lease) = FileLock::try_shared(&self.lease_file(key))? else { return Ok(None) };
        // Or an older count could be written over a newer one.
        let _alone = self.flights.enter(&format!("/meta/{key}"))?;
        let (path, is_there) = self.place(key)?;
        let row = self.index.find(key.as_str())?;
        let Some(row) = row.filter(|row| row.state == State::Live && is_there) else {
            return Ok(None);
        };
        Ok(meta::write(self.storage.stage(), &path, &row)?.then_some(row))
    }

    /// Whether the files of an entry are as they were built, where a crash of the machine since may have cost some. One
    /// whose files are not is announced to be removed.
    pub(crate) fn is_whole(&self, key: &Key, path: &Path, entry: &Present) -> Result<bool> {
        if entry.checked_boot.is_none_or(|boot| boot == self.boot) {
            return Ok(true);
        }
        let Some(row) = self.index.find(key.as_str())? else { return Ok(false) };
        if measure(path, self.options.measure)?.has_files_of(&row) {
            return self.index.checked(entry.id, self.boot);
        }
        self.index.begin_removal(key.as_str())?;
        Ok(false)
    }

    /// Lets somebody write into a published entry: nobody knows then what its files should be.
    pub(crate) fn open_in_place(&self, key: &Key) -> Result<()> {
        let unknown = unknown_listing();
        if self.index.find(key.as_str())?.is_some_and(|row| row.listing != unknown) {
            self.index.set_listing(key.as_str(), &unknown)?;
        }
        Ok(())
    }

    /// Measures an entry that was written in place.
    pub(crate) fn measure_again(&self, key: &Key, path: &Path) {
        let measured = is_real_dir(path).and_then(|is_there| {
            if !is_there {
                return Ok(());
            }
            let tree = measure(path, self.options.measure)?;
            self.index.correct(key.as_str(), &tree)?;
            self.watch().tell(|observer| observer.on_size_update(key.as_str(), tree.size));
            self.wake_if_over();
            Ok(())
        });
        if let Err(error) = measured {
            self.watch().failed(&error, &format!("measuring {key}"));
        }
    }
}
