//! What a cache and its leases share.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use crossbeam_channel::Sender;
use larder_storage::{
    Digest, Error, ErrorKind, Key, LocalStorage, RESERVED_SEGMENT, Result, flight::Flights,
    lock::FileLock, time::now_ns,
};

use crate::{
    Options, Snapshot,
    index::{self, Index, Row, State},
    meta,
    observer::Watch,
    remote::Remote,
    scan::{TAG, scan},
    settle::is_real_dir,
};

const TAG_TEXT: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
                        # This file marks a cache directory made by Larder: backup programs may pass it over.\n\
                        # See https://bford.info/cachedir/\n";

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) storage: LocalStorage,
    pub(crate) index: Index,
    pub(crate) flights: Flights,
    pub(crate) options: Options,
    /// The tier above, where there is one.
    pub(crate) remote: OnceLock<Remote>,
    /// When leases ended that the index does not know of yet.
    released: Mutex<BTreeMap<Key, i64>>,
    /// Asks the background thread for a cycle.
    wake: Sender<()>,
}

impl Core {
    pub(crate) fn open(root: &Path, options: Options, wake: Sender<()>) -> Result<Self> {
        options.check()?;
        let storage = LocalStorage::open(root, options.durability)?;
        let root = storage.root();
        refuse_foreign(root)?;
        if !root.join(TAG).exists() {
            storage.stage().write(&root.join(TAG), TAG_TEXT.as_bytes())?;
        }
        let index = Index::open(root, options.durability)?;
        let flights = Flights::across_processes(root.join(RESERVED_SEGMENT).join("flights"));
        let (remote, released) = (OnceLock::new(), Mutex::default());
        let core = Self { storage, index, flights, options, remote, released, wake };
        core.reconcile()?;
        Ok(core)
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.options.watch
    }

    /// The key of an entry; some are legal elsewhere and would meet the cache's own files here.
    pub(crate) fn key(text: &str) -> Result<Key> {
        let key = Key::new(text)?;
        let own = key.segments().any(|segment| meta::is_own_name(segment.as_ref()));
        if own || key.segments().next().is_some_and(|first| first.eq_ignore_ascii_case(TAG)) {
            let message =
                "has a segment that the cache keeps for its own files: choose another key";
            return Err(Error::new(ErrorKind::Invalid, message).at_key(&key));
        }
        Ok(key)
    }

    /// Where the entry lies or would lie. Two keys must not mean one directory, so no link is followed.
    pub(crate) fn path(&self, key: &Key) -> Result<PathBuf> {
        let mut path = self.storage.root().to_owned();
        for segment in key.segments() {
            path.push(segment);
            if fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
                let message = "is a symbolic link: entries and the directories above them have to be real ones";
                return Err(Error::new(ErrorKind::Invalid, message).at_path(path));
            }
        }
        Ok(path)
    }

    /// The file whose shared lock is a lease on the entry, and whose exclusive lock is the right to take it away.
    pub(crate) fn lease_file(&self, key: &Key) -> PathBuf {
        let name = Digest::of(key.as_str().as_bytes()).to_string();
        self.storage.root().join(RESERVED_SEGMENT).join("leases").join(name)
    }

    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        let counters = self.index.counters()?;
        let overage = counters.size.saturating_sub(self.options.evict_above);
        Ok(Snapshot {
            total_size: counters.size,
            entry_count: counters.entries,
            is_over_limit: overage > 0,
            overage,
        })
    }

    /// Has the background thread look, where there is one.
    pub(crate) fn wake_if_over(&self) {
        match self.snapshot() {
            Ok(snapshot) if snapshot.is_over_limit => {
                // A full channel means that it will look anyway.
                let _ = self.wake.try_send(());
            }
            Ok(_) => {}
            Err(error) => self.watch().failed(&error, "looking whether there is too much"),
        }
    }

    /// Notes the end of a lease that was `held` so long. A short one is kept in memory until somebody needs the order of
    /// accesses; of a long one the other processes would think for too long that it ended when it began.
    pub(crate) fn note_release(&self, key: &Key, held: Duration) {
        self.lock_released().insert(key.clone(), now_ns());
        if held >= self.options.interval
            && let Err(error) = self.settle_releases()
        {
            self.watch().failed(&error, &format!("recording the end of a lease on {key}"));
        }
    }

    /// Writes the noted ends of leases to the index.
    pub(crate) fn settle_releases(&self) -> Result<()> {
        let ends = std::mem::take(&mut *self.lock_released());
        if ends.is_empty() {
            return Ok(());
        }
        let written = self.index.released(ends.iter());
        if written.is_err() {
            let mut released = self.lock_released();
            let later = std::mem::replace(&mut *released, ends);
            released.extend(later);
        }
        written
    }

    fn lock_released(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, i64>> {
        // A map is whole after each statement, whatever panicked beside it.
        self.released.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the `.cache_meta` of every entry up to the index.
    pub(crate) fn sync_meta(&self) -> Result<()> {
        self.settle_releases()?;
        for key in self.index.behind()? {
            if let Err(error) = self.sync_one(&key) {
                self.watch().failed(&error, &format!("writing .cache_meta of {key}"));
            }
        }
        Ok(())
    }

    fn sync_one(&self, key: &Key) -> Result<()> {
        let path = self.path(key)?;
        // Under a lease the directory stays; without one, the file could bring a removed directory back.
        let Some(_lease) = FileLock::try_shared(&self.lease_file(key))? else { return Ok(()) };
        match self.index.find(key.as_str())? {
            Some(row) if row.state == State::Live && is_real_dir(&path)? => {
                self.write_meta(&path, &row)
            }
            _ => Ok(()),
        }
    }

    fn write_meta(&self, path: &Path, row: &Row) -> Result<()> {
        meta::write(self.storage.stage(), path, row)?;
        self.index.written(row)
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if let Err(error) = self.sync_meta() {
            self.watch().failed(&error, "writing .cache_meta at close");
        }
    }
}

/// Refuses a directory that has something in it and is no cache: it would be marked as one, and not be backed up.
///
/// Others may be making the cache meanwhile, so whether it is ours is asked after whether it is bare.
fn refuse_foreign(root: &Path) -> Result<()> {
    let reserved = root.join(RESERVED_SEGMENT);
    // An open that was killed early leaves an empty stage.
    let is_bare = holds_only(root, &[TAG, RESERVED_SEGMENT])? && holds_only(&reserved, &["stage"])?;
    if is_bare || is_ours(root) || !scan(root, &Default::default())?.unknown.is_empty() {
        return Ok(());
    }
    let message =
        "holds files and is no cache: name an empty directory, or one that does not exist";
    Err(Error::new(ErrorKind::Invalid, message).at_path(root))
}

/// Whether there is our mark, or our index or what is left of it.
fn is_ours(root: &Path) -> bool {
    let tagged = || fs::read(root.join(TAG)).is_ok_and(|text| text == TAG_TEXT.as_bytes());
    let index = |name: &OsStr| name.as_encoded_bytes().starts_with(index::FILE.as_bytes());
    let indexed = fs::read_dir(root.join(RESERVED_SEGMENT))
        .is_ok_and(|names| names.flatten().any(|child| index(&child.file_name())));
    indexed || tagged()
}

/// Whether nothing lies in the directory but what has one of these names; so it is where there is no directory.
fn holds_only(dir: &Path, names: &[&str]) -> Result<bool> {
    let failed = |error| Error::io(error, "cannot look into the directory").at_path(dir);
    if !is_real_dir(dir)? {
        return Ok(true);
    }
    for child in fs::read_dir(dir).map_err(failed)? {
        let name = child.map_err(failed)?.file_name();
        if !names.iter().any(|own| name == *own) {
            return Ok(false);
        }
    }
    Ok(true)
}
