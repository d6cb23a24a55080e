//! What a cache and its leases share.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::{self, Metadata},
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock},
};

use crossbeam_channel::Sender;
use larder_storage::{
    Digest, Durability, Error, ErrorKind, Key, LocalStorage, RESERVED_SEGMENT, Result,
    flight::Flights, publish::Ballast,
};

use crate::{
    Options, Snapshot, boot,
    index::{self, Index, Use},
    journal::Journal,
    meta,
    observer::Watch,
    remote::Remote,
    scan::{TAG, scan},
    settings::{self, Agreement, Settings},
    settle::{is_absent, is_real_dir},
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
    pub(crate) journal: Journal,
    pub(crate) ballast: Ballast,
    /// Uses that could not be noted, by the numbers of their entries.
    pub(crate) unsaved: Mutex<HashMap<i64, Use>>,
    pub(crate) boot: i64,
    _agreement: Agreement,
    /// Asks the background thread for a cycle.
    wake: Sender<()>,
}

impl Core {
    pub(crate) fn open(root: &Path, options: Options, wake: Sender<()>) -> Result<Self> {
        options.check()?;
        let storage = LocalStorage::open(root, options.durability)?;
        refuse_foreign(storage.root())?;
        let tag = storage.root().join(TAG);
        if !tag.exists() {
            storage.stage().write(&tag, TAG_TEXT.as_bytes())?;
        }
        let index = Index::open(storage.root(), options.durability)?;
        Self::new(storage, index, Some(options), wake)
    }

    /// Opens a cache that is there, with the settings that it has.
    pub(crate) fn open_existing(root: &Path, wake: Sender<()>) -> Result<Self> {
        if !is_ours(root)? {
            let message = "is no directory cache: name the root of one";
            return Err(Error::new(ErrorKind::NotFound, message).at_path(root));
        }
        let storage = LocalStorage::open(root, Durability::default())?;
        let index = Index::open(storage.root(), Durability::default())?;
        Self::new(storage, index, None, wake)
    }

    fn new(
        storage: LocalStorage,
        index: Index,
        options: Option<Options>,
        wake: Sender<()>,
    ) -> Result<Self> {
        let reserved = storage.root().join(RESERVED_SEGMENT);
        let settings = options.as_ref().map(Settings::of);
        let (agreement, recorded) = settings::agree(&reserved, &index, settings.as_ref())
            .map_err(|error| error.at_path(storage.root()))?;
        // Whose settings are lost evicts nothing.
        let recorded = || recorded.map_or_else(|| Options::new(u64::MAX), |it| it.options());
        let options = options.unwrap_or_else(recorded);
        let core = Self {
            flights: Flights::across_processes(reserved.join("flights")),
            journal: Journal::new(reserved.join("accesses")),
            ballast: Ballast::new(storage.root(), options.durability),
            boot: boot::current(),
            remote: OnceLock::new(),
            unsaved: Mutex::default(),
            _agreement: agreement,
            storage,
            index,
            options,
            wake,
        };
        core.make_trash_dir()?;
        core.ballast.take()?;
        core.empty_trash()?;
        if let Some(most) = core.strays()?.into_iter().max() {
            // It cannot be deleted, and its name is not to be taken twice.
            core.index.number_above(most)?;
        }
        core.reconcile()?;
        core.journal.sweep(&core.index)?;
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
        self.place(key).map(|(path, _)| path)
    }

    /// Where the entry lies or would lie, and whether there is a directory. A disk that does not answer has not lost it.
    pub(crate) fn place(&self, key: &Key) -> Result<(PathBuf, bool)> {
        let path = self.storage.root().join(key.as_str());
        if is_plain_dir(&path) { Ok((path, true)) } else { self.place_by_segments(key) }
    }

    fn place_by_segments(&self, key: &Key) -> Result<(PathBuf, bool)> {
        let mut path = self.storage.root().to_owned();
        let mut found: Option<Metadata> = None;
        for segment in key.segments() {
            path.push(segment);
            found = match fs::symlink_metadata(&path) {
                Err(error) if is_absent(&error) => None,
                found => Some(
                    found.map_err(|error| Error::io(error, "cannot be examined").at_path(&path))?,
                ),
            };
            if found.as_ref().is_some_and(Metadata::is_symlink) {
                let message = "is a symbolic link: entries and the directories above them have to be real ones";
                return Err(Error::new(ErrorKind::Invalid, message).at_path(path));
            }
        }
        Ok((path, found.is_some_and(|found| found.is_dir())))
    }

    /// The file whose shared lock is a lease on the entry, and whose exclusive lock is the right to take it away.
    pub(crate) fn lease_file(&self, key: &Key) -> PathBuf {
        self.lease_dir().join(Digest::of(key.as_str().as_bytes()).to_string())
    }

    pub(crate) fn lease_dir(&self) -> PathBuf {
        self.storage.root().join(RESERVED_SEGMENT).join("leases")
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
}

impl Drop for Core {
    fn drop(&mut self) {
        self.journal.end();
        // Where another process leads, it does so within an interval.
        let synced = self.try_lead().and_then(|lead| match lead {
            Some(_lead) => self.sync_meta(),
            None => self.count_uses(),
        });
        if let Err(error) = synced {
            self.watch().failed(&error, "writing .cache_meta at close");
        }
    }
}

/// Whether there is a directory and no link on the way to it, where the kernel can tell that in one call.
#[cfg(target_os = "linux")]
fn is_plain_dir(path: &Path) -> bool {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn is_plain_dir(_path: &Path) -> bool {
    false
}

/// What an open or a build leaves in the reserved directory that was killed early, or whose root was removed meanwhile.
const OWN: &[&str] = &[
    "stage",
    "leases",
    "flights",
    "accesses",
    "trash",
    "locks",
    "ballast",
    "opening.lock",
    "settings.lock",
    "leader.lock",
];

/// Refuses a directory that has something in it and is no cache: it would be marked as one, and not be backed up.
///
/// Others may be making the cache meanwhile, so whether it is ours is asked after whether it is bare.
fn refuse_foreign(root: &Path) -> Result<()> {
    let reserved = root.join(RESERVED_SEGMENT);
    let is_bare = holds_only(root, &[TAG, RESERVED_SEGMENT])? && holds_only(&reserved, OWN)?;
    if is_bare || is_ours(root)? || !scan(root, &Default::default())?.unknown.is_empty() {
        return Ok(());
    }
    let message =
        "holds files and is no cache: name an empty directory, or one that does not exist";
    Err(Error::new(ErrorKind::Invalid, message).at_path(root))
}

/// Whether there is our mark, or our index or what is left of it.
fn is_ours(root: &Path) -> Result<bool> {
    let reserved = root.join(RESERVED_SEGMENT);
    let names = match fs::read_dir(&reserved) {
        Err(error) if is_absent(&error) => None,
        names => Some(names.map_err(|error| {
            Error::io(error, "cannot look into the directory").at_path(&reserved)
        })?),
    };
    let is_index = |name: &OsStr| name.as_encoded_bytes().starts_with(index::FILE.as_bytes());
    let indexed = names.is_some_and(|mut names| {
        names.any(|child| child.is_ok_and(|child| is_index(&child.file_name())))
    });
    let tagged = || fs::read(root.join(TAG)).is_ok_and(|text| text == TAG_TEXT.as_bytes());
    Ok(indexed || tagged())
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
