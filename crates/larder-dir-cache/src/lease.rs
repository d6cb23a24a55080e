use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use larder_storage::{Key, Result, lock::FileLock, time::now_ns};

use crate::{core::Core, settle::is_real_dir};

/// The right to use one entry. While it lives, no process evicts or removes the entry; when it is dropped, or its
/// process dies, it ends at once.
///
/// It may outlive the [`DirCache`](crate::DirCache) that gave it.
#[must_use = "the entry may be evicted as soon as this is dropped"]
#[derive(Debug)]
pub struct Lease {
    core: Arc<Core>,
    key: Key,
    path: PathBuf,
    built: bool,
    since: Instant,
    _lock: FileLock,
}

impl Lease {
    /// The entry's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The entry's key.
    pub fn key(&self) -> &str {
        self.key.as_str()
    }

    /// Whether the call that gave this lease built the entry; otherwise it was there, or was fetched.
    pub fn built(&self) -> bool {
        self.built
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.core.note_release(&self.key, self.since.elapsed());
    }
}

/// Takes a lease on an entry that is there.
pub(crate) fn take(core: &Arc<Core>, key: &Key) -> Result<Option<Lease>> {
    // A miss has to leave no lock file behind, so the index is asked first.
    if !core.index.is_live(key.as_str())? {
        return Ok(None);
    }
    match Claim::new(core, key)?.redeem()? {
        Redeemed::Lease(lease) => Ok(Some(lease)),
        Redeemed::Nothing(_) => Ok(None),
    }
}

/// A shared lock on the lease file of a key that need not be an entry yet. One that becomes no lease leaves no file.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    lock: FileLock,
    // Declared last: it settles the key when the lock is free.
    tidy: Tidy<'a>,
}

/// What has become of a claim.
#[derive(Debug)]
pub(crate) enum Redeemed<'a> {
    Lease(Lease),
    Nothing(Claim<'a>),
}

impl<'a> Claim<'a> {
    /// Waits for whoever removes the entry.
    pub(crate) fn new(core: &'a Arc<Core>, key: &'a Key) -> Result<Self> {
        let lock = FileLock::shared(&core.lease_file(key))?;
        Ok(Self { lock, tidy: Tidy { core, key, due: true } })
    }

    /// Counts an access and makes a lease of the claim, if the entry is there.
    pub(crate) fn redeem(self) -> Result<Redeemed<'a>> {
        let (core, key) = (self.tidy.core, self.tidy.key);
        let path = core.path(key)?;
        let found = is_real_dir(&path)? && core.index.touch(key.as_str(), now_ns())?;
        Ok(if found { Redeemed::Lease(self.lease(path, false)) } else { Redeemed::Nothing(self) })
    }

    /// Makes a lease of the claim on what was built under it.
    pub(crate) fn built(self, path: PathBuf) -> Lease {
        self.lease(path, true)
    }

    /// Makes a lease of the claim on what was fetched under it.
    pub(crate) fn fetched(self, path: PathBuf) -> Lease {
        self.lease(path, false)
    }

    fn lease(self, path: PathBuf, built: bool) -> Lease {
        let Self { lock, mut tidy } = self;
        tidy.due = false;
        let (core, key) = (Arc::clone(tidy.core), tidy.key.clone());
        Lease { core, key, path, built, since: Instant::now(), _lock: lock }
    }
}

/// Settles a key on which no lease came about.
#[derive(Debug)]
struct Tidy<'a> {
    core: &'a Arc<Core>,
    key: &'a Key,
    due: bool,
}

impl Drop for Tidy<'_> {
    fn drop(&mut self) {
        if self.due {
            // What cannot be settled now is settled by a cycle or the next open.
            let _ = self.core.settle(self.key);
        }
    }
}
