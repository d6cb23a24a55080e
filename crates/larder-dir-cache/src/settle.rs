//! How the index and the disk are brought together again after a process died, or somebody else was at work.
//!
//! | row | directory | what is done |
//! |---|---|---|
//! | publishing | there, with the files that were built | marked with `.cache_meta`, made live |
//! | publishing | there, with other files | removed with its row: a power cut has damaged it |
//! | publishing or live | gone | the row is deleted |
//! | removing | there or gone | the removal goes on |
//! | reserved | | the builder's stage is swept, and the row deleted |
//! | none | marked with `.cache_meta` | adopted |
//! | live | there | nothing |
//! | none | unmarked or gone | nothing |
//!
//! The row says `publishing` before the directory is renamed to its place, and `removing` before it is renamed away, so
//! there is no moment at which a kill leaves something that the table does not know.

use std::{fs, io, path::Path};

use larder_storage::{Error, ErrorKind, Key, Result, lock::FileLock, publish::Stage};

use crate::{
    core::Core,
    index::{Row, State},
    meta,
    tree::measure,
};

/// What settling one key has done.
#[derive(Debug)]
pub(crate) enum Settled {
    Unchanged,
    /// It is an entry now, of so many bytes.
    Entered(u64),
    /// It is an entry now, of so many bytes, although its `.cache_meta` is damaged.
    EnteredDamaged(u64, Error),
    /// It is no entry any more.
    Gone,
}

impl Core {
    /// Settles all that the index and the disk disagree about. What cannot be settled is told to the observer.
    pub(crate) fn reconcile(&self) -> Result<Vec<(Key, Settled)>> {
        let known = self.index.keys()?;
        let scan = crate::scan::scan(self.storage.root(), &known)?;
        for error in &scan.unread {
            self.watch().failed(error, "looking for entries");
        }
        let missing = known.into_iter().filter(|key| !scan.seen.contains(key));
        let unfinished = self.index.unfinished()?;
        Ok(self.settle_all(missing.chain(unfinished).chain(scan.unknown)))
    }

    /// Settles what dead processes left unfinished.
    pub(crate) fn recover(&self) -> Result<()> {
        self.settle_all(self.index.unfinished()?.into_iter());
        Ok(())
    }

    fn settle_all(&self, keys: impl Iterator<Item = Key>) -> Vec<(Key, Settled)> {
        let mut changed = Vec::new();
        for key in keys {
            match self.settle(&key) {
                Ok(Settled::Unchanged) => {}
                Ok(settled) => {
                    self.tell_settled(&key, &settled);
                    changed.push((key, settled));
                }
                Err(error) => self.watch().failed(&error, &format!("settling the entry {key}")),
            }
        }
        changed
    }

    /// Tells the observer, when no lock is held any more.
    pub(crate) fn tell_settled(&self, key: &Key, settled: &Settled) {
        if let Settled::EnteredDamaged(_, error) = settled {
            self.watch()
                .failed(error, &format!("adopting {key}, whose accesses are counted from 0"));
        }
        if let Settled::Entered(size) | Settled::EnteredDamaged(size, _) = settled {
            self.watch().tell(|observer| observer.on_size_update(key.as_str(), *size));
        }
    }

    /// Settles one key, unless somebody uses, builds or removes it just now.
    pub(crate) fn settle(&self, key: &Key) -> Result<Settled> {
        match FileLock::try_exclusive(&self.lease_file(key))? {
            Some(lock) => self.settle_alone(key, lock),
            None => Ok(Settled::Unchanged),
        }
    }

    /// Settles one key for whoever holds its lease exclusively.
    pub(crate) fn settle_alone(&self, key: &Key, lock: FileLock) -> Result<Settled> {
        let removing = self.index.find(key.as_str())?.filter(|row| row.state == State::Removing);
        let settled = match removing {
            Some(row) => self.take_away(row.id, key, &self.path(key)?).map(|()| Settled::Gone)?,
            None => self.settle_held(key)?,
        };
        if self.index.find(key.as_str())?.is_none() {
            lock.remove()?;
        }
        Ok(settled)
    }

    /// Removes what dead builders wrote, which takes room until then.
    fn sweep_stage(&self) {
        if let Err(error) = Stage::sweep(self.storage.root()) {
            self.watch().failed(&error, "removing what dead builders left");
        }
    }

    /// Settles one key for whoever holds its lease together with its flight, or exclusively: then no builder and no remover
    /// of it is alive.
    pub(crate) fn settle_held(&self, key: &Key) -> Result<Settled> {
        let path = self.path(key)?;
        let there = is_real_dir(&path)?;
        match self.index.find(key.as_str())? {
            // Others may hold leases on it, who came before it was found damaged.
            Some(row) if row.state == State::Removing => Ok(Settled::Unchanged),
            Some(row) if row.state == State::Reserved => {
                self.sweep_stage();
                self.index.unreserve(key.as_str())?;
                self.settle_held(key)
            }
            Some(row) if !there => {
                if row.state == State::Publishing {
                    self.sweep_stage();
                }
                self.index.delete(key.as_str()).map(|_| Settled::Gone)
            }
            Some(row) if row.state == State::Publishing => self.finish_interrupted(key, &path, row),
            None if there && meta::marks(&path) => self.adopt(key, &path),
            _ => Ok(Settled::Unchanged),
        }
    }

    /// Completes what was renamed to its place, if it still has the files that it was built with.
    fn finish_interrupted(&self, key: &Key, path: &Path, row: Row) -> Result<Settled> {
        let tree = measure(path, self.options.measure)?;
        if !tree.has_files_of(&row) {
            if row.checked_boot.is_none_or(|boot| boot == self.boot) {
                // No power cut can have done that, so it is somebody else's.
                self.index.delete(key.as_str())?;
                return self.settle_held(key);
            }
            return self.take_away(row.id, key, path).map(|()| Settled::Gone);
        }
        self.index.correct(&row.key, &tree)?;
        let row = Row { size: tree.size, ..row };
        self.finish(path, &row).map(|()| Settled::Entered(row.size))
    }

    /// The last step of publication: the mark, then the index.
    pub(crate) fn finish(&self, path: &Path, row: &Row) -> Result<()> {
        if meta::write(self.storage.stage(), path, row)? {
            return self.index.publish(row).map(|_| ());
        }
        let message = "was removed by another program when it was just built: try again";
        Err(Error::new(ErrorKind::Conflict, message).at_path(path))
    }

    /// Makes an entry of a directory that another program, or a Larder whose index is lost, marked as one.
    fn adopt(&self, key: &Key, path: &Path) -> Result<Settled> {
        let (meta, damage) = match meta::read(path) {
            Ok(meta) => (Some(meta), None),
            Err(error) if error.kind() == ErrorKind::Corrupt => (None, Some(error)),
            Err(error) => return Err(error),
        };
        let tree = measure(path, self.options.measure)?;
        let last_access_ns =
            meta.as_ref().map_or_else(|| meta::last_access_ns(path), |meta| meta.last_access_ns);
        let access_count = meta.as_ref().map_or(0, |meta| meta.access_count);
        let ours = meta.and_then(|meta| meta.ours);
        let row = Row {
            id: 0,
            key: key.as_str().to_owned(),
            state: State::Live,
            size: tree.size,
            files: tree.files,
            listing: tree.listing,
            built_at_ns: ours.as_ref().map_or(last_access_ns, |ours| ours.built_at_ns),
            last_access_ns,
            access_count,
            // What `.cache_meta` says is left as it is until the entry is used.
            meta_count: i64::try_from(access_count).unwrap_or(i64::MAX),
            build_cost_ns: ours.as_ref().and_then(|ours| ours.build_cost_ns),
            pinned: ours.as_ref().is_some_and(|ours| ours.pinned),
            expires_at_ns: ours.and_then(|ours| ours.expires_at_ns),
            priority: 0.0,
            checked_boot: Some(self.boot),
        };
        // It is there in any case, whatever the limit.
        self.index.insert(key, &row, None)?;
        Ok(match damage {
            Some(error) => Settled::EnteredDamaged(row.size, error),
            None => Settled::Entered(row.size),
        })
    }

    /// Moves the directory of a row that says `removing` or `publishing` into the trash, and then the row. Where the
    /// directory cannot be moved, the one stays a live entry, and the other is settled again later.
    pub(crate) fn move_away(&self, id: i64, key: &Key, path: &Path) -> Result<()> {
        // Unmarked first, so that the trash holds nothing that the Python package takes for an entry.
        let moved = meta::remove(path).and_then(|()| self.move_to_trash(key, id));
        if moved.is_err() && is_real_dir(path)? {
            self.index.abandon_removal(key.as_str())?;
        } else {
            self.index.throw_away(key.as_str())?;
            self.prune(path);
        }
        moved.map(|_| ())
    }

    /// Moves the directory of a row into the trash and deletes it there.
    pub(crate) fn take_away(&self, id: i64, key: &Key, path: &Path) -> Result<()> {
        self.move_away(id, key, path)?;
        self.delete_trash(id).map(|_| ())
    }

    /// Removes the directories above `path` that held only it, so that their names are free for entries.
    fn prune(&self, path: &Path) {
        for dir in path.ancestors().skip(1).take_while(|above| *above != self.storage.root()) {
            if fs::remove_dir(dir).is_err() {
                break;
            }
        }
    }
}

/// Whether there is a directory, and no link to one. A disk that does not answer has not lost it.
pub(crate) fn is_real_dir(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(found.is_dir()),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(Error::io(error, "cannot be examined").at_path(path)),
    }
}

/// Whether an error says that there is nothing of that name.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Removes a directory that holds nothing but such directories; does nothing where there is anything else.
pub(crate) fn remove_if_hollow(path: &Path) -> Result<()> {
    let failed = |error| Error::io(error, "cannot clear the empty directory").at_path(path);
    if is_hollow(path).map_err(failed)? { remove_empty(path).map_err(failed) } else { Ok(()) }
}

/// Removes directories alone: another program may have made a file in one by now.
fn remove_empty(dir: &Path) -> io::Result<()> {
    for child in fs::read_dir(dir)? {
        let child = child?;
        if child.file_type()?.is_dir() {
            remove_empty(&child.path())?;
        }
    }
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty && !is_absent(&error) => {
            Err(error)
        }
        _ => Ok(()),
    }
}

fn is_hollow(dir: &Path) -> io::Result<bool> {
    for child in fs::read_dir(dir)? {
        let child = child?;
        if !child.file_type()?.is_dir() || !is_hollow(&child.path())? {
            return Ok(false);
        }
    }
    Ok(true)
}
