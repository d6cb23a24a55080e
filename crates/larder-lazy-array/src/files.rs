//! The published arrays: pairs of `<key>.npy` and `<key>.meta.json` on a storage.
//!
//! Two objects cannot be replaced by one rename. So the sidecar goes first and names the checksum of the new file and
//! of the old one, then the array goes: between the two, a reader accepts either. A sidecar alone is a miss, and so is
//! an array alone. Writers of one key exclude each other by a lease: among processes where the storage is local.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

use larder_storage::{
    Error, ErrorKind, Key, PutIf, RESERVED_SEGMENT, ReadAt, Result, Storage, StorageExt, Upload,
    Version, crc32c, crc32c_append,
    flight::{self, Flights, Lease},
};
use quick_cache::sync::Cache;

use crate::{
    Access, ArrayConfig, Element,
    element::{DType, Endian},
    layout::Layout,
    memory::Memory,
    npy::{self, Header},
    origin::{FileId, Origin, Seen},
    payload::{self, Payload},
    sidecar::{Sidecar, Stamp},
};

const ARRAY: &str = ".npy";
const SIDECAR: &str = ".meta.json";
/// Each further round needs another replacement at just the wrong moment.
const ROUNDS: usize = 100;
/// How often that is believed of an error which may also mean that it was replaced before.
const CONFLICTS: usize = 5;
/// From this many bytes on, elements are mapped; fewer are as quickly read, and checked by the way.
const MAPPED: u64 = 64 * 1024;
/// How many arrays are kept open to read rows of.
const READERS: usize = 64;

pub(crate) struct Files {
    storage: Arc<dyn Storage>,
    leases: Flights,
    readers: Cache<Key, Arc<Opened>>,
}

/// An array's file alone, pinned to one version.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) header: Header,
    pub(crate) file: Box<dyn ReadAt>,
}

/// A published array, open, with a header that fits its sidecar.
pub(crate) struct Pair {
    pub(crate) header: Header,
    sidecar: Sidecar,
    file: Box<dyn ReadAt>,
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
        Ok(Self { storage, leases, readers: Cache::new(READERS) })
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
        if let Some(opened) = self.readers.get(key).filter(|opened| opened.file.is_current()) {
            return Ok(Some(opened));
        }
        self.close(key);
        let Some(file) = self.storage.open(&key.with_suffix(ARRAY)?)? else { return Ok(None) };
        let header = Header::read(&*file).map_err(|error| place(error, key))?;
        file.file().inspect(|file| access.announce(file.file()));
        let opened = Arc::new(Opened { header, file });
        self.readers.insert(key.clone(), Arc::clone(&opened));
        Ok(Some(opened))
    }

    /// The next reader is a new one.
    pub(crate) fn close(&self, key: &Key) {
        self.readers.remove(key);
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
        upload.commit().inspect_err(|_| {
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
        self.storage.head(&key.with_suffix(ARRAY)?)?.ok_or_else(gone)?;
        let base = self.base(key, &sidecar, origin)?.ok_or_else(gone)?;
        let (upload, stamp) = self.stage::<A>(key, layout, write)?;
        let json = sidecar.replaced(stamp.clone(), base).json()?;
        lease.check()?;
        // Its answer may be lost, and then this is what is there.
        origin.attempt = Some(stamp.clone());
        self.storage.put(&key.with_suffix(SIDECAR)?, json.into(), PutIf::Version(version))?;
        upload.commit()?;
        self.close(key);
        Ok(stamp)
    }

    /// The file that is published, which has to be the one that the edits start from.
    fn base(&self, key: &Key, sidecar: &Sidecar, origin: &Origin) -> Result<Option<Stamp>> {
        if let Some(stamp) = &origin.stamp
            && sidecar.newest() == Some(stamp)
        {
            return Ok(Some(stamp.clone()));
        }
        // What was mapped was not checked, and must not be published as sound. And a replacement that was killed
        // between its two steps leaves the old file there.
        let still = self.with(key, |pair| {
            let found = pair.checksum()?;
            let known = [&origin.stamp, &origin.attempt].into_iter().flatten();
            let same = known.clone().any(|stamp| *stamp == found)
                || (origin.stamp.is_none() && pair.seen().is(origin));
            Ok(same.then_some(found))
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
        upload.write_all(&header).map_err(|error| unwritten(error).at_key(key))?;
        Ok(Staged { upload, crc: crc32c(&header), header: header.len() as u64 })
    }

    /// Removes the sidecar, then the array: whatever stays behind is a miss. Both are tried. The caller has the lease.
    pub(crate) fn remove(&self, key: &Key) -> Result<bool> {
        self.close(key);
        let (sidecar_key, array_key) = (key.with_suffix(SIDECAR)?, key.with_suffix(ARRAY)?);
        // What is refused, as a link that leads out of the directory is, is refused before anything is removed.
        if self.storage.local_root().is_some() {
            self.storage.head(&sidecar_key)?;
            self.storage.head(&array_key)?;
        }
        let sidecar = self.storage.remove(&sidecar_key);
        let array = self.storage.remove(&array_key);
        match (sidecar, array) {
            (Ok(sidecar), Ok(array)) => Ok(sidecar && array),
            (Err(sidecar), Ok(_)) => Err(survives(sidecar, key, SIDECAR)),
            (Ok(_), Err(array)) => Err(survives(array, key, ARRAY)),
            (Err(_), Err(array)) => Err(survives(array, key, "{.meta.json,.npy}")),
        }
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

/// An array that is being written out of sight.
pub(crate) struct Staged {
    upload: Box<dyn Upload>,
    crc: u32,
    /// The length of the header.
    header: u64,
}

impl Staged {
    /// Writes the next elements in the order of the file.
    pub(crate) fn append<A: Element>(&mut self, elements: &[A]) -> Result<()> {
        self.crc = payload::write(elements, self.crc, &mut self.upload).map_err(unwritten)?;
        Ok(())
    }

    /// Writes the first `len` elements of another file, and returns the CRC-32C of what was read.
    pub(crate) fn copy<A: Element>(&mut self, from: &Payload<'_>, len: usize) -> Result<u32> {
        let step = from.part::<A>();
        let mut raw = payload::zeroed::<A>(step.min(len))?;
        let mut crc = 0;
        for start in (0..len).step_by(step) {
            let part = &mut raw[..step.min(len - start)];
            from.fill::<A>(start, part)?;
            crc = payload::write_raw::<A>(part, crc, &mut io::sink()).map_err(unwritten)?;
            self.crc =
                payload::write_raw::<A>(part, self.crc, &mut self.upload).map_err(unwritten)?;
        }
        Ok(crc)
    }

    /// What was written, which has to be all elements of the layout.
    pub(crate) fn end<A: Element>(self, layout: &Layout) -> (Box<dyn Upload>, Stamp) {
        let bytes = self.header + layout.bytes::<A>();
        (self.upload, Stamp::new(A::DTYPE, layout, bytes, self.crc))
    }
}

fn survives(error: Error, key: &Key, which: &str) -> Error {
    let message = format!("cannot remove all of the array, {key}{which} is left: remove it again");
    Error::new(error.kind(), message).with_source(error)
}

fn unwritten(error: io::Error) -> Error {
    Error::io(error, "cannot write the array")
}

impl Pair {
    fn new(sidecar: Sidecar, file: Box<dyn ReadAt>) -> Result<Self> {
        let header = Header::read(&*file)?;
        if !sidecar.fits(&header, file.len()) {
            let message = "the array is not the one that its sidecar describes";
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(Self { header, sidecar, file })
    }

    /// Brings the elements into memory: large ones by mapping them, unchecked unless that is asked for, all others by
    /// reading and checking them.
    pub(crate) fn load<A: Element>(&self, checked: bool) -> Result<(Memory<A>, Origin)> {
        let file = self.id();
        if let Some(memory) = self.map() {
            let stamp = if checked { Some(self.checksum()?) } else { None };
            return Ok((memory, Origin { stamp, file, attempt: None }));
        }
        let (elements, stamp) = self.read()?;
        Ok((Memory::heap(elements), Origin { stamp: Some(stamp), file, attempt: None }))
    }

    /// `None` where the elements are better read, or have to be.
    fn map<A: Element>(&self) -> Option<Memory<A>> {
        let Header { endian, data_start, ref layout, .. } = self.header;
        let file = self.file.file()?;
        let fits = endian == Endian::NATIVE && layout.bytes::<A>() >= MAPPED;
        fits.then(|| Memory::map(file, data_start, layout.len()))??.ok()
    }

    /// Which file this is, as far as that is known without reading it.
    pub(crate) fn origin(&self) -> Result<Origin> {
        let file = self.id();
        // Without a file there is its stamp, which has to be looked for where the sidecar names several.
        let stamp = match (&file, self.sidecar.only_fit(&self.header, self.file.len())) {
            (Some(_), _) => None,
            (None, Some(stamp)) => Some(stamp.clone()),
            (None, None) => Some(self.checksum()?),
        };
        Ok(Origin { stamp, file, attempt: None })
    }

    fn id(&self) -> Option<FileId> {
        FileId::of(self.file.file()?.file())
    }

    pub(crate) fn seen(&self) -> Seen {
        Seen { newest: self.sidecar.newest().cloned(), file: self.id() }
    }

    /// Reads the whole array and checks it.
    fn read<A: Element>(&self) -> Result<(Vec<A>, Stamp)> {
        let (elements, crc) =
            self.header.payload(&*self.file).read(self.header.layout.len(), self.header_crc()?)?;
        Ok((elements, self.stamp(crc)?))
    }

    /// Reads and checks the whole file, and keeps nothing of it.
    pub(crate) fn checksum(&self) -> Result<Stamp> {
        self.checked(&mut |_| Ok(()))
    }

    /// Gives the whole file part by part, and says in the end whether it was sound.
    pub(crate) fn checked(&self, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<Stamp> {
        let mut crc = 0;
        let mut buffer = vec![0; self.file.len().min(1 << 20) as usize];
        let mut at = 0;
        while at < self.file.len() {
            let part = &mut buffer[..(self.file.len() - at).min(1 << 20) as usize];
            self.file.read_at(at, part)?;
            crc = crc32c_append(crc, part);
            each(part)?;
            at += part.len() as u64;
        }
        self.stamp(crc)
    }

    pub(crate) fn check_dtype(&self, expected: DType) -> Result<()> {
        let found = self.header.dtype;
        if found == expected {
            return Ok(());
        }
        let message = format!("holds elements of type {found}, not {expected}");
        Err(Error::new(ErrorKind::Invalid, message))
    }

    fn header_crc(&self) -> Result<u32> {
        let mut header = vec![0; self.header.data_start as usize];
        self.file.read_at(0, &mut header)?;
        Ok(crc32c(&header))
    }

    fn stamp(&self, crc: u32) -> Result<Stamp> {
        if self.sidecar.accepts(self.file.len(), crc) {
            return Ok(Stamp::new(self.header.dtype, &self.header.layout, self.file.len(), crc));
        }
        let message = "the array's checksum is not the one in its sidecar";
        Err(Error::new(ErrorKind::Corrupt, message))
    }
}

/// Names the key where the error does not say a place yet.
pub(crate) fn place(error: Error, key: &Key) -> Error {
    if error.path().is_some() || error.key().is_some() { error } else { error.at_key(key) }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("storage", &self.storage).finish_non_exhaustive()
    }
}
