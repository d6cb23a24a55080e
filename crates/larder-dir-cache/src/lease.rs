use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_storage::{Error, ErrorKind, Key, Result, lock::FileLock, time::now_ns};

use crate::{core::Core, index::Present, journal::Event};

/// The end of a shorter lease tells nothing new of when its entry was used, so it is not noted.
const BRIEF_NS: i64 = 100_000_000;

/// The right to use one entry. While it lives, no process evicts or removes the entry; when it is dropped, or its
/// process dies, it ends at once.
///
/// Taking it is an access. So is its end where it was held for 0.1 s or longer, which moves
/// [`last_access`](crate::EntryInfo::last_access) and counts no second time.
///
/// It may outlive the [`DirCache`](crate::DirCache) that gave it.
#[must_use = "the entry may be evicted as soon as this is dropped"]
#[derive(Debug)]
pub struct Lease {
    core: Arc<Core>,
    key: Key,
    id: i64,
    path: PathBuf,
    built: bool,
    pub(crate) taken_ns: i64,
    /// Whether the holder may write into the entry, so that it is measured in the end.
    in_place: bool,
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

    /// Whether the directory is still there. It is, unless another program removed it.
    pub fn exists(&self) -> bool {
        self.path.is_dir()
    }

    /// Lets the holder write into the entry.
    pub(crate) fn in_place(mut self) -> Self {
        self.in_place = true;
        self
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.in_place {
            self.core.measure_again(&self.key, &self.path);
        }
        let now_ns = now_ns();
        if now_ns.saturating_sub(self.taken_ns) >= BRIEF_NS {
            self.core.note(self.id, Event::Release, now_ns);
        }
    }
}

/// Takes a lease on an entry that is there.
pub(crate) fn take(core: &Arc<Core>, key: &Key) -> Result<Option<Lease>> {
    let file = core.lease_file(key);
    let lock = match FileLock::shared_existing(&file)? {
        Some(lock) => lock,
        // A miss has to leave no lock file behind, so the index is asked first.
        None if core.index.present(key.as_str())?.is_none() => return Ok(None),
        None => FileLock::shared(&file)?,
    };
    match Claim::holding(core, key, lock).redeem(now_ns())? {
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
        Ok(Self::holding(core, key, FileLock::shared(&core.lease_file(key))?))
    }

    fn holding(core: &'a Arc<Core>, key: &'a Key, lock: FileLock) -> Self {
        Self { lock, tidy: Tidy { core, key, due: true } }
    }

    /// Counts an access and makes a lease of the claim, if the entry is there, whole, and not expired at `now_ns`.
    pub(crate) fn redeem(self, now_ns: i64) -> Result<Redeemed<'a>> {
        let (core, key) = (self.tidy.core, self.tidy.key);
        let Some(entry) = core.index.present(key.as_str())? else {
            return Ok(Redeemed::Nothing(self));
        };
        let (path, is_there) = core.place(key)?;
        if !is_there || entry.is_expired(now_ns) || !core.is_whole(key, &path, &entry)? {
            return Ok(Redeemed::Nothing(self));
        }
        core.note(entry.id, Event::Access, now_ns);
        Ok(Redeemed::Lease(self.lease(entry.id, path, false)))
    }

    /// The claim, when what is left of the entry is gone, which takes that nobody has a lease on it.
    pub(crate) fn after_removal(self) -> Result<Self> {
        let Self { lock, mut tidy } = self;
        tidy.due = false;
        let (core, key) = (tidy.core, tidy.key);
        drop((lock, tidy));
        if core.finish_removal(key)? {
            return Self::new(core, key);
        }
        let message =
            "is damaged and still in use: drop the leases on it, in all processes, and try again";
        Err(Error::new(ErrorKind::Locked, message).at_key(key))
    }

    /// Makes a lease of the claim on what is there; `built` tells whether it was built under the claim.
    pub(crate) fn lease(self, id: i64, path: PathBuf, built: bool) -> Lease {
        let Self { lock, mut tidy } = self;
        tidy.due = false;
        let (core, key) = (Arc::clone(tidy.core), tidy.key.clone());
        let taken_ns = now_ns();
        Lease { core, key, id, path, built, taken_ns, in_place: false, _lock: lock }
    }
}

impl Present {
    pub(crate) fn is_expired(&self, now_ns: i64) -> bool {
        self.expires_at_ns.is_some_and(|end_ns| end_ns <= now_ns)
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
