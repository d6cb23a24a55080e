//! The published arrays: pairs of `<key>.npy` and `<key>.meta.json` on a storage.
//!
//! Two objects cannot be replaced by one rename. So the sidecar goes first and names the checksum of the new file and
//! of the old one, then the array goes: between the two, a reader accepts either. A sidecar alone is a miss, and so is
//! an array alone. Writers of one key exclude each other by a lease: among processes where the storage is local.

use std::{
    collections::BTreeMap,
    fmt,
    io::Write,
    panic,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use larder_storage::{
    Error, ErrorKind, Key, PutIf, RESERVED_SEGMENT, ReadAt, Result, Storage, StorageExt, Upload,
    Version,
    flight::{self, Flights, Lease},
    publish,
};
use quick_cache::sync::Cache;

use crate::{
    Access, ArrayConfig, Element,
    changes::{Changes, LastLook},
    layout::Layout,
    npy::{self, Header},
    origin::Origin,
    sidecar::{Sidecar, Stamp},
};

const ARRAY: &str = ".npy";
const SIDECAR: &str = ".meta.json";
/// Each further round needs another replacement at just the wrong moment.
const ROUNDS: usize = 100;
/// How often that is believed of an error which may also mean that it was replaced before.
const CONFLICTS: usize = 5;
/// From this many bytes on, a file that was replaced is closed by a thread of its own.
const SLOW_TO_CLOSE: u64 = 16 << 20;
/// How many arrays are kept open to read rows of.
const READERS: usize = 64;

mod pair;
mod staged;

pub(crate) use pair::Pair;
pub(crate) use staged::Staged;

pub(crate) struct Files {
    storage: Arc<dyn Storage>,
    leases: Flights,
    readers: Cache<Key, Arc<Opened>>,
    changes: Changes,
}

/// An array's file alone, pinned to one version.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) header: Header,
    pub(crate) file: Box<dyn ReadAt>,
    last_look: LastLook,
}

/// What is there of one key.
#[derive(Default)]
pub(crate) struct Found {
    /// The length of the array's file.
    pub(crate) array: Option<u64>,
    pub(crate) sidecar: bool,
}

impl Found {
    /// Whether this is an array.
    pub(crate) fn is_pair(&self) -> bool {
        self.array.is_some() && self.sidecar
    }
}

impl Files {
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Result<Self> {
        let leases = match storage.local_root() {
            Some(root) => {
                Flights::across_processes(root.join(RESERVED_SEGMENT).join("array-locks"))
            }
            None => Flights::on(Arc::clone(&storage), flight::Options::default())?,
        };
        let changes = Changes::of(&*storage);
        Ok(Self { storage, leases, readers: Cache::new(READERS), changes })
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    /// Where the array's file is, on a local storage.
    pub(crate) fn path(&self, key: &Key) -> Option<PathBuf> {
        let root = self.storage.local_root()?;
        Some(root.join(key.with_suffix(ARRAY).ok()?.as_str()))
    }

    /// Runs `attempt` on the pair of `key`, and again where it failed because the pair was replaced meanwhile.
    pub(crate) fn with<T>(
        &self,
        key: &Key,
        attempt: impl Fn(&Pair) -> Result<T>,
    ) -> Result<Option<T>> {
        for round in 0..ROUNDS {
            let Some((sidecar, version)) = self.sidecar(key)? else { return Ok(None) };
            let Some(file) = self.storage.open(&key.with_suffix(ARRAY)?)? else { return Ok(None) };
            let outcome = Pair::new(sidecar?, file).and_then(|pair| attempt(&pair));
            match outcome.map_err(|error| place(error, key)) {
                // Replaced while it was read, on a storage that keeps no version without a name.
                Err(error) if error.kind() == ErrorKind::Conflict && round < CONFLICTS => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    if self.sidecar(key)?.is_some_and(|(_, now)| now == version) {
                        return Err(error);
                    }
                }
                outcome => return outcome.map(Some),
            }
        }
        Err(Error::new(ErrorKind::Conflict, "is replaced over and over: try again").at_key(key))
    }

    fn sidecar(&self, key: &Key) -> Result<Option<(Result<Sidecar>, Version)>> {
        let key = key.with_suffix(SIDECAR)?;
        let Some(object) = self.storage.get(&key)? else { return Ok(None) };
        Ok(Some((Sidecar::parse(&key, object.bytes()), object.version().clone())))
    }

    /// The array's file alone, as it is published now, without a look at its sidecar: for reads that are not checked
    /// against it. It is kept open for the next one.
    pub(crate) fn reader(&self, key: &Key, access: Access) -> Result<Option<Arc<Opened>>> {
        let is_current = |opened: &Arc<Opened>| {
            opened.last_look.is_current(&self.changes, || opened.file.is_current())
        };
        if let Some(opened) = self.readers.get(key).filter(is_current) {
            return Ok(Some(opened));
        }
        self.close(key);
        let Some(file) = self.storage.open(&key.with_suffix(ARRAY)?)? else { return Ok(None) };
        let header = Header::read(&*file).map_err(|error| place(error, key))?;
        file.file().inspect(|file| access.announce(file.file()));
        let opened = Arc::new(Opened { header, file, last_look: LastLook::default() });
        self.readers.insert(key.clone(), Arc::clone(&opened));
        Ok(Some(opened))
    }

    /// The next reader is a new one.
    pub(crate) fn close(&self, key: &Key) {
        self.readers.remove(key);
    }

    /// What is published under the key has changed: readers look again, here and in other processes.
    fn changed(&self, key: &Key) {
        self.changes.raise();
        self.close(key);
    }

    /// Whether both objects are there, whatever they hold.
    pub(crate) fn contains(&self, key: &Key) -> Result<bool> {
        Ok(self.storage.head(&key.with_suffix(SIDECAR)?)?.is_some()
            && self.storage.head(&key.with_suffix(ARRAY)?)?.is_some())
    }

    /// The right to change what is published under `key`.
    pub(crate) fn lease(&self, key: &Key) -> Result<Lease<'_>> {
        self.leases.enter(key.as_str())
    }

    /// As [`lease`](Self::lease), without waiting for it.
    pub(crate) fn try_lease(&self, key: &Key) -> Result<Lease<'_>> {
        self.leases.try_enter(key.as_str())?.ok_or_else(|| {
            let message = "is being published by another process or thread: try again";
            Error::new(ErrorKind::Locked, message).at_key(key)
        })
    }

    /// The right to build the array of `key`, beside the right to publish it.
    pub(crate) fn build(&self, key: &Key) -> Result<Lease<'_>> {
        // No key ends in a slash, so this is the name of no other lease.
        self.leases.enter(&format!("{key}/"))
    }

    pub(crate) fn refuse_existing(&self, key: &Key) -> Result<()> {
        if self.contains(key)? {
            let message = "exists already: remove it first, or edit it";
            return Err(Error::new(ErrorKind::Conflict, message).at_key(key));
        }
        Ok(())
    }

    /// Publishes what was written out of sight as a new array. The caller has the lease, and there is no array yet.
    pub(crate) fn publish(
        &self,
        key: &Key,
        upload: Box<dyn Upload>,
        stamp: &Stamp,
        config: &ArrayConfig,
        lease: &Lease<'_>,
    ) -> Result<()> {
        let array_key = key.with_suffix(ARRAY)?;
        let sidecar_key = key.with_suffix(SIDECAR)?;
        let left_over = self.storage.get(&sidecar_key)?;
        let condition = match &left_over {
            Some(sidecar) => PutIf::Version(sidecar.version().clone()),
            None => PutIf::Absent,
        };
        let json = Sidecar::new(stamp.clone(), config).json()?;
        lease.check()?;
        // An array alone, which would soon lie beside a sidecar that does not name it.
        self.storage.remove(&array_key)?;
        self.storage.put(&sidecar_key, json.into(), condition)?;
        let committed = upload.commit(PutIf::Always);
        // A lone array may have been there.
        self.changed(key);
        committed.inspect_err(|_| {
            // What cannot be removed either is told as incomplete, and is a miss.
            let _ = self.storage.remove(&sidecar_key);
        })
    }

    /// Replaces the array that the edits start from. The caller has the lease.
    pub(crate) fn replace<A: Element>(
        &self,
        key: &Key,
        layout: &Layout,
        origin: &mut Origin,
        lease: &Lease<'_>,
        write: impl FnOnce(&mut Staged) -> Result<()>,
    ) -> Result<Stamp> {
        let gone = || Error::new(ErrorKind::NotFound, "was removed meanwhile").at_key(key);
        let (sidecar, version) = self.sidecar(key)?.ok_or_else(gone)?;
        let sidecar = sidecar?;
        let old = self.storage.open(&key.with_suffix(ARRAY)?)?.ok_or_else(gone)?;
        let (base, staged) = match &origin.stamp {
            Some(stamp) if sidecar.newest() == Some(stamp) => {
                (Ok(Some(stamp.clone())), self.stage::<A>(key, layout, write))
            }
            // It has to be read, which goes on beside the writing.
            _ => thread::scope(|scope| {
                let base = scope.spawn(|| self.base(key, origin));
                let staged = self.stage::<A>(key, layout, write);
                (base.join().unwrap_or_else(|panic| panic::resume_unwind(panic)), staged)
            }),
        };
        let (base, (upload, stamp)) = (base?.ok_or_else(gone)?, staged?);
        let json = sidecar.replaced(stamp.clone(), base).json()?;
        lease.check()?;
        // Its answer may be lost, and then this is what is there.
        origin.attempt = Some(stamp.clone());
        self.storage.put(&key.with_suffix(SIDECAR)?, json.into(), PutIf::Version(version))?;
        let committed = upload.commit(PutIf::Always);
        // Also where that is not known.
        self.changed(key);
        let_go(old);
        committed.map(|()| stamp)
    }

    /// The file that is published, which has to be the one that the edits start from. It is read and checked: what was
    /// mapped was not, and must not be published as sound; and a replacement that was killed between its two steps leaves
    /// the old file there.
    fn base(&self, key: &Key, origin: &Origin) -> Result<Option<Stamp>> {
        let still = self.with(key, |pair| {
            let mapped = origin.stamp.is_none() && pair.seen().is(origin);
            let mut known = [&origin.stamp, &origin.attempt].into_iter().flatten().peekable();
            if !mapped && known.peek().is_none() {
                return Ok(None);
            }
            let found = pair.checksum()?;
            Ok((mapped || known.any(|stamp| *stamp == found)).then_some(found))
        })?;
        let replaced = || {
            let message = "was replaced meanwhile: the edits here start from an older array";
            Error::new(ErrorKind::Conflict, message).at_key(key)
        };
        still.map(|still| still.ok_or_else(replaced)).transpose()
    }

    /// Writes an array out of sight; nobody sees it before the upload is committed.
    pub(crate) fn stage<A: Element>(
        &self,
        key: &Key,
        layout: &Layout,
        write: impl FnOnce(&mut Staged) -> Result<()>,
    ) -> Result<(Box<dyn Upload>, Stamp)> {
        let mut staged = self.begin::<A>(key, layout)?;
        write(&mut staged).map_err(|error| place(error, key))?;
        Ok(staged.end::<A>(layout))
    }

    /// Begins to write an array out of sight.
    pub(crate) fn begin<A: Element>(&self, key: &Key, layout: &Layout) -> Result<Staged> {
        let header = npy::header(A::DTYPE, layout);
        let mut upload = self.storage.create(&key.with_suffix(ARRAY)?)?;
        upload.write_all(&header).map_err(|error| staged::unwritten(error).at_key(key))?;
        Ok(Staged::new(upload, &header))
    }

    /// Removes the sidecar, then the array: whatever stays behind is a miss. Both are tried. The caller has the lease.
    pub(crate) fn remove(&self, key: &Key) -> Result<bool> {
        let (sidecar_key, array_key) = (key.with_suffix(SIDECAR)?, key.with_suffix(ARRAY)?);
        // What is refused, as a link that leads out of the directory is, is refused before anything is removed.
        if self.storage.local_root().is_some() {
            self.storage.head(&sidecar_key)?;
            self.storage.head(&array_key)?;
        }
        let sidecar = self.storage.remove(&sidecar_key);
        let array = self.storage.remove(&array_key);
        self.changed(key);
        match (sidecar, array) {
            (Ok(sidecar), Ok(array)) => Ok(sidecar && array),
            (Err(sidecar), Ok(_)) => Err(survives(sidecar, key, SIDECAR)),
            (Ok(_), Err(array)) => Err(survives(array, key, ARRAY)),
            (Err(_), Err(array)) => Err(survives(array, key, "{.meta.json,.npy}")),
        }
    }

    /// Moves both files of a key from `root` to the same place below `aside`, the sidecar first. The caller has the lease.
    pub(crate) fn set_aside(&self, key: &Key, root: &Path, aside: &Path) -> Result<()> {
        for suffix in [SIDECAR, ARRAY] {
            let name = key.with_suffix(suffix)?;
            publish::set_aside(&root.join(name.as_str()), &aside.join(name.as_str()))?;
        }
        self.changed(key);
        Ok(())
    }

    /// Removes an array that is still what `origin` says, unless somebody works on it.
    pub(crate) fn purge_own(&self, key: &Key, origin: &Origin) -> Result<()> {
        let Some(_lease) = self.leases.try_enter(key.as_str())? else { return Ok(()) };
        match self.with(key, |pair| Ok(pair.seen().is(origin)))? {
            Some(true) => self.remove(key).map(drop),
            _ => Ok(()),
        }
    }

    /// What is there, by key.
    pub(crate) fn list(&self) -> Result<BTreeMap<Key, Found>> {
        let mut all: BTreeMap<Key, Found> = BTreeMap::new();
        for entry in self.storage.list(None)? {
            let entry = entry?;
            let name = entry.key.as_str();
            if let Some(Ok(key)) = name.strip_suffix(SIDECAR).map(Key::new) {
                all.entry(key).or_default().sidecar = true;
            } else if let Some(Ok(key)) = name.strip_suffix(ARRAY).map(Key::new) {
                all.entry(key).or_default().array = Some(entry.len);
            }
        }
        Ok(all)
    }
}

fn survives(error: Error, key: &Key, which: &str) -> Error {
    let message = format!("cannot remove all of the array, {key}{which} is left: remove it again");
    Error::new(error.kind(), message).with_source(error)
}

/// Names the key where the error does not say a place yet.
pub(crate) fn place(error: Error, key: &Key) -> Error {
    if error.path().is_some() || error.key().is_some() { error } else { error.at_key(key) }
}

/// Closes a file that was replaced. The room of a large one takes longer to give back than anybody has to wait.
fn let_go(file: Box<dyn ReadAt>) {
    if file.len() >= SLOW_TO_CLOSE && file.file().is_some() {
        // Where there is no thread, it is closed here.
        let _ = thread::Builder::new().name("larder-close".to_owned()).spawn(move || drop(file));
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("storage", &self.storage).finish_non_exhaustive()
    }
}
