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
    Digest, Error, ErrorKind, Key, LocalStorage, RESERVED_SEGMENT, Result, flight::Flights,
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
        let settings = Settings::of(&options);
        Self::new(storage, index, options, &settings, wake)
    }

    /// Opens a cache that is there, with the settings that it has.
    pub(crate) fn open_existing(root: &Path, wake: Sender<()>) -> Result<Self> {
        if !is_ours(root) {
            let message = "is no directory cache: name the root of one";
            return Err(Error::new(ErrorKind::NotFound, message).at_path(root));
        }
        let defaults = Options::default();
        let storage = LocalStorage::open(root, defaults.durability)?;
        let index = Index::open(storage.root(), defaults.durability)?;
        let settings = Settings::recorded(&index)?.unwrap_or_else(|| Settings::of(&defaults));
        Self::new(storage, index, settings.options(), &settings, wake)
    }

    fn new(
        storage: LocalStorage,
        index: Index,
        options: Options,
        settings: &Settings,
        wake: Sender<()>,
    ) -> Result<Self> {
        let reserved = storage.root().join(RESERVED_SEGMENT);
        let agreement = settings::agree(&reserved, &index, settings)
            .map_err(|error| error.at_path(storage.root()))?;
        let core = Self {
            flights: Flights::across_processes(reserved.join("flights")),
            journal: Journal::new(reserved.join("accesses")),
            boot: boot::current(),
            remote: OnceLock::new(),
            unsaved: Mutex::default(),
            _agreement: agreement,
            storage,
            index,
            options,
            wake,
        };
        core.reconcile()?;
        core.journal.sweep(&core.index)?;
        core.empty_trash()?;
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
}

impl Drop for Core {
    fn drop(&mut self) {
        self.journal.end();
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
pub(crate) fn is_ours(root: &Path) -> bool {
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
