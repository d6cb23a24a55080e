use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crossbeam_channel::bounded;
use larder_storage::{Error, ErrorKind, Result, Storage, time::now_ns};

use crate::{
    BuildOptions, EntryInfo, Lease, Options, Policy, Recount, Snapshot, Status, VerifyReport,
    build,
    core::Core,
    index::{Index, Row},
    remote::Remote,
    removal::Removal,
    worker::Worker,
};

/// A directory of directories, each built once and kept until the space is needed.
///
/// It is shared by reference or in an `Arc`. Any number of threads and processes may have the same root open.
/// Dropping it ends the background thread after one last cycle.
#[derive(Debug)]
pub struct DirCache {
    // Declared first: its last cycle comes before the rest goes.
    _worker: Option<Worker>,
    pub(crate) core: Arc<Core>,
}

impl DirCache {
    /// Opens the cache in the directory `root`, and makes it where it is missing.
    ///
    /// Entries that the Python package vcti-file-cache made are adopted, those whose directories are gone are
    /// forgotten, and what killed processes left half done is finished or removed. The files of known entries are not
    /// looked at.
    ///
    /// # Errors
    ///
    /// `Invalid` for a threshold or interval of zero, a root that is a file, and a directory that holds other things;
    /// `Conflict` where the cache is open with other settings, in this process or another;
    /// `Corrupt` or `Format` for an index that is damaged or of a newer Larder; `Io` or `Full` where the root cannot be
    /// read or written.
    pub fn open(root: impl AsRef<Path>, options: Options) -> Result<Self> {
        let (wake, woken) = bounded(1);
        let background = options.background;
        let core = Arc::new(Core::open(root.as_ref(), options, wake)?);
        let worker = background.then(|| Worker::start(Arc::clone(&core), woken)).transpose()?;
        Ok(Self { _worker: worker, core })
    }

    /// Opens the cache in the directory `root` with the settings that it was last opened with, and no background thread:
    /// for looking at a cache, and for mending it. A policy that is not one of this crate's is not known here, and the
    /// default stands in for it; where the settings are lost, nothing is too much. Writes as durably as by default.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no cache; otherwise as [`open`](Self::open).
    pub fn open_existing(root: impl AsRef<Path>) -> Result<Self> {
        let core = Core::open_existing(root.as_ref(), bounded(1).0)?;
        Ok(Self { _worker: None, core: Arc::new(core) })
    }

    /// Opens the cache in the directory that a storage stands on, as [`open`](Self::open) does.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the storage is on no local disk; otherwise as [`open`](Self::open).
    pub fn open_on(storage: &dyn Storage, options: Options) -> Result<Self> {
        let root = storage.local_root().ok_or_else(|| {
            let message =
                "entries are directories in use, which need a local disk: open the cache on one";
            Error::new(ErrorKind::Unsupported, message)
        })?;
        Self::open(root, options)
    }

    /// Moves a damaged index of the cache in `root` aside, and says where to; `None` where it is sound. The next
    /// [`open`](Self::open) makes a new one from the entries; access counts are then those of their `.cache_meta`.
    ///
    /// # Errors
    ///
    /// `Locked` where anybody has the cache open; `Format` where the database is not ours; `Io` where it cannot be
    /// read or moved.
    pub fn repair(root: impl AsRef<Path>) -> Result<Option<PathBuf>> {
        Index::repair(root.as_ref())
    }

    /// The storage whose directory the root is.
    pub fn storage(&self) -> &dyn Storage {
        &self.core.storage
    }

    /// Adds a tier above this root: `storage`, which a fleet of roots shares. What is not here is looked for there, and
    /// what is built here is published there, so that the fleet builds each entry once.
    ///
    /// [`get`](Self::get) and [`get_or_build`](Self::get_or_build) unpack what they find there into the root, check it,
    /// and publish it as if it were built, with the time that this took as its build cost, as that is what getting it back
    /// takes. All others, eviction and removal among them, are about this root alone.
    ///
    /// The storage never keeps anybody from working. Where it fails, the observer is told, the entry is built here, and is
    /// not published there. What is damaged there is told, built anew and replaced. Where an entry cannot be published
    /// there, the observer is told, and it stays here.
    ///
    /// # Errors
    ///
    /// `Invalid` where the storage lies in the root or around it, and where there is a tier above already.
    pub fn with_remote(self, storage: Arc<dyn Storage>) -> Result<Self> {
        let refuse = |message| Err(Error::new(ErrorKind::Invalid, message));
        let root = self.root();
        if storage.local_root().is_some_and(|it| it.starts_with(root) || root.starts_with(it)) {
            return refuse(
                "the remote tier shares a directory with the cache: give it another one",
            );
        }
        match self.core.remote.set(Remote::new(storage)?) {
            Ok(()) => Ok(self),
            Err(_) => refuse("the cache has a remote tier already"),
        }
    }

    /// Withdraws the entry from the tier above, so that no other root fetches it; whether it was there. Roots that have it
    /// keep it until they [`remove`](Self::remove) it. Waits for whoever builds and publishes it.
    ///
    /// # Errors
    ///
    /// `Unsupported` where there is no tier above; `Invalid` as for [`get`](Self::get); `Locked` where this thread builds
    /// it, or one that waits for this one; what the storage fails with.
    pub fn remove_remote(&self, key: &str) -> Result<bool> {
        let key = Core::key(key)?;
        let remote = self.core.remote.get().ok_or_else(|| {
            let message =
                "has no remote tier to be removed from: give the cache one with with_remote";
            Error::new(ErrorKind::Unsupported, message).at_key(&key)
        })?;
        remote.remove(&key)
    }

    /// The root, with symbolic links resolved.
    pub fn root(&self) -> &Path {
        self.core.storage.root()
    }

    /// A lease on the entry, if there is one here or in the [tier above](Self::with_remote). Counts an access.
    ///
    /// # Errors
    ///
    /// `Invalid` where `key` is no [`Key`](larder_storage::Key), has a segment that the cache keeps for itself, or leads
    /// through a symbolic link; `Io` where the lock or the index fails. Where an entry of the tier above finds no place
    /// here, as [`get_or_build`](Self::get_or_build).
    pub fn get(&self, key: &str) -> Result<Option<Lease>> {
        build::get(&self.core, &Core::key(key)?)
    }

    /// A lease on the entry, which `build` makes if there is none. Counts an access.
    ///
    /// `build` gets an empty directory to fill; what it leaves there becomes the entry, all at once, when it returns.
    /// Of all threads and processes that ask for one key, one builds and the others wait for it. Where it fails,
    /// panics or dies, nothing remains of its work, and the next one builds. It may use the cache, but not for the same
    /// key; and two builders that ask for each other's keys wait for ever.
    ///
    /// # Errors
    ///
    /// Those of `build`. `Invalid` as for [`get`](Self::get), where `key` lies above or below another entry, and where
    /// `build` made a name that starts with `.cache_meta` or replaced its directory; `Full` where the entry is larger than the whole cache may
    /// be, and then no other goes for it, or where the disk is full; `Conflict` where something that is no entry lies
    /// in its place; `Locked` where this thread builds this key already, or one that waits for this one, and where the entry has
    /// expired or is damaged while somebody has a lease on it; `Io` where files, locks or the index fail.
    pub fn get_or_build(
        &self,
        key: &str,
        build: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Lease> {
        self.get_or_build_with(key, BuildOptions::default(), build)
    }

    /// As [`get_or_build`](Self::get_or_build), with room reserved, a time to live or a pin.
    ///
    /// # Errors
    ///
    /// As [`get_or_build`](Self::get_or_build), and `Full` where the room that is reserved cannot be had within the limit,
    /// before `build` is called, or where the entry came out larger.
    pub fn get_or_build_with(
        &self,
        key: &str,
        options: BuildOptions,
        build: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Lease> {
        build::get_or_build(&self.core, &Core::key(key)?, options, build)
    }

    /// A lease on the entry, to read and to write in it: an empty one is made where there is none. Counts an access, and
    /// measures the entry when the lease is dropped.
    ///
    /// Others see what is written as it is written, and a killed writer leaves half of it: this is how vcti-file-cache
    /// works. [`get_or_build`](Self::get_or_build) publishes entries whole.
    ///
    /// # Errors
    ///
    /// As [`get_or_build`](Self::get_or_build).
    pub fn model(&self, key: &str) -> Result<Lease> {
        let key = Core::key(key)?;
        let options = BuildOptions { in_place: true, ..BuildOptions::default() };
        let lease = build::get_or_build(&self.core, &key, options, |_| Ok(()))?;
        self.core.open_in_place(&key)?;
        Ok(lease.in_place())
    }

    /// Whether there is such an entry. Counts nothing; it may be gone the next moment.
    ///
    /// # Errors
    ///
    /// `Invalid` as for [`get`](Self::get), `Io` where the index fails.
    pub fn contains(&self, key: &str) -> Result<bool> {
        let entry = self.core.index.present(Core::key(key)?.as_str())?;
        Ok(entry.is_some_and(|entry| !entry.is_expired(now_ns())))
    }

    /// Keeps the entry from eviction until it is unpinned; whether there is one. It can be removed all the same.
    ///
    /// # Errors
    ///
    /// As [`contains`](Self::contains).
    pub fn pin(&self, key: &str) -> Result<bool> {
        self.core.index.pin(Core::key(key)?.as_str(), true)
    }

    /// Lets the entry be evicted again; whether there is one.
    ///
    /// # Errors
    ///
    /// As [`contains`](Self::contains).
    pub fn unpin(&self, key: &str) -> Result<bool> {
        self.core.index.pin(Core::key(key)?.as_str(), false)
    }

    /// Removes the entry; whether there was one.
    ///
    /// # Errors
    ///
    /// `Locked` while anybody has a lease on it; `Invalid` as for [`get`](Self::get); `Io` where its directory cannot be
    /// moved away: it stays whole. Files that cannot be deleted then are told to the observer and tried again each cycle.
    pub fn remove(&self, key: &str) -> Result<bool> {
        let key = Core::key(key)?;
        match self.core.remove(&key)? {
            Removal::Done => Ok(true),
            Removal::Absent => Ok(false),
            Removal::Leased => {
                let message = "is in use: drop the leases on it, in all processes, and try again";
                Err(Error::new(ErrorKind::Locked, message).at_key(&key))
            }
        }
    }

    /// Removes all entries but those under a lease, pinned ones too; returns the keys that went, in order.
    ///
    /// # Errors
    ///
    /// As [`remove`](Self::remove), but never `Locked`; what comes after the failure stays.
    pub fn clear(&self) -> Result<Vec<String>> {
        self.core.clear()
    }

    /// What is known of each entry, ordered by key; all accesses of all processes are counted.
    ///
    /// # Errors
    ///
    /// `Io` or `Corrupt` where the index fails.
    pub fn entries(&self) -> Result<Vec<EntryInfo>> {
        self.core.count_uses()?;
        Ok(self.core.index.live()?.into_iter().map(Row::info).collect())
    }

    /// The four figures at one moment, without a look at any file.
    ///
    /// # Errors
    ///
    /// `Io` or `Corrupt` where the index fails.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.core.snapshot()
    }

    /// The sum of the sizes of all entries, in bytes.
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot).
    pub fn total_size(&self) -> Result<u64> {
        Ok(self.snapshot()?.total_size)
    }

    /// How many entries there are.
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot).
    pub fn entry_count(&self) -> Result<u64> {
        Ok(self.snapshot()?.entry_count)
    }

    /// Whether the total is above the threshold.
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot).
    pub fn is_over_limit(&self) -> Result<bool> {
        Ok(self.snapshot()?.is_over_limit)
    }

    /// By how many bytes the total is above the threshold.
    ///
    /// # Errors
    ///
    /// As [`snapshot`](Self::snapshot).
    pub fn overage(&self) -> Result<u64> {
        Ok(self.snapshot()?.overage)
    }

    /// Evicts by the cache's policy while the total is above the threshold; returns the keys that went, in order.
    ///
    /// The entry built last, those under a lease and those pinned stay, so the total may stay above.
    ///
    /// # Errors
    ///
    /// `Invalid` where the policy panicked; `Locked` from inside a policy; `Io` or `Corrupt` where the index fails. An
    /// entry that cannot be removed is told to the observer and is no error. Where some went before the failure, they
    /// are returned, and the failure is told to the observer.
    pub fn evict(&self) -> Result<Vec<String>> {
        self.evict_with(self.core.options.policy.as_ref())
    }

    /// [`evict`](Self::evict) by another policy.
    ///
    /// # Errors
    ///
    /// As [`evict`](Self::evict).
    pub fn evict_with(&self, policy: &dyn Policy) -> Result<Vec<String>> {
        self.core.evict(policy)
    }

    /// What [`evict`](Self::evict) would take if it were called now, in order. Nothing is evicted, and what the policy
    /// remembers stays as it is.
    ///
    /// # Errors
    ///
    /// `Invalid` where the policy panicked; `Io` or `Corrupt` where the index fails.
    pub fn would_evict(&self) -> Result<Vec<EntryInfo>> {
        self.would_evict_with(self.core.options.policy.as_ref())
    }

    /// [`would_evict`](Self::would_evict) by another policy.
    ///
    /// # Errors
    ///
    /// As [`would_evict`](Self::would_evict).
    pub fn would_evict_with(&self, policy: &dyn Policy) -> Result<Vec<EntryInfo>> {
        self.core.would_evict(policy)
    }

    /// Runs one cycle, as the background thread does: finishes what dead processes left, removes what has expired, evicts,
    /// and brings every `.cache_meta` up to date. Returns the keys that went.
    ///
    /// # Errors
    ///
    /// As [`evict`](Self::evict); the rest of the cycle is done all the same.
    pub fn run_once(&self) -> Result<Vec<String>> {
        self.core.cycle()
    }

    /// The figures for a status line, without a look at any file.
    ///
    /// # Errors
    ///
    /// `Io` or `Corrupt` where the index fails.
    pub fn status(&self) -> Result<Status> {
        let snapshot = self.snapshot()?;
        Ok(Status {
            entries: snapshot.entry_count,
            size: snapshot.total_size,
            evict_above: self.core.options.evict_above,
            overage: snapshot.overage,
            limit: self.core.options.limit,
            used: self.core.index.counters()?.used,
            unfinished: self.core.index.unfinished()?.len() as u64,
        })
    }

    /// Compares the files of every entry with the index, the index with its counters, and the root with both. Changes
    /// nothing, though lock files may appear. The contents of files are not checked, only their names and lengths.
    ///
    /// # Errors
    ///
    /// `Io` where the root or the index cannot be read. What is wrong in them is in the report.
    pub fn verify(&self) -> Result<VerifyReport> {
        self.core.verify()
    }

    /// Measures every entry and corrects the index, adopts entries that other programs made, and forgets those whose
    /// directories are gone. What fails for one entry is told to the observer.
    ///
    /// # Errors
    ///
    /// `Io` or `Corrupt` where the root cannot be read or the index fails.
    pub fn recount(&self) -> Result<Recount> {
        self.core.recount()
    }
}
