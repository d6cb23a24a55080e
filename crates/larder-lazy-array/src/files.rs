//! The published arrays: pairs of `<key>.npy` and `<key>.meta.json` on a storage.
//!
//! Two objects cannot be replaced by one rename. So the sidecar goes first and names the checksum of the new file and
//! of the old one, then the array goes: between the two, a reader accepts either. A sidecar alone is a miss, and so is
//! an array alone. Writers of one key exclude each other by a lease: among processes where the storage is local.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::Arc,
};

use larder_storage::{
    Error, ErrorKind, Key, PutIf, RESERVED_SEGMENT, ReadAt, Result, Storage, StorageExt, Upload,
    Version, crc32c, crc32c_append,
    flight::{Flights, Lease},
};
use ndarray::ArrayD;

use crate::{
    Element,
    element::DType,
    layout::{self, Layout},
    npy::{self, Header},
    payload,
    sidecar::{Sidecar, Stamp},
};

const ARRAY: &str = ".npy";
const SIDECAR: &str = ".meta.json";
/// Each further round needs another replacement at just the wrong moment.
const ROUNDS: usize = 100;

#[derive(Debug)]
pub(crate) struct Files {
    storage: Arc<dyn Storage>,
    leases: Flights,
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
    pub(crate) fn new(storage: Arc<dyn Storage>) -> Self {
        let leases = match storage.local_root() {
            Some(root) => {
                Flights::across_processes(root.join(RESERVED_SEGMENT).join("array-locks"))
            }
            None => Flights::new(),
        };
        Self { storage, leases }
    }

    /// Runs `attempt` on the pair of `key`, and again where it failed because the pair was replaced meanwhile.
    pub(crate) fn with<T>(
        &self,
        key: &Key,
        attempt: impl Fn(&Pair) -> Result<T>,
    ) -> Result<Option<T>> {
        for _ in 0..ROUNDS {
            let Some((sidecar, version)) = self.sidecar(key)? else { return Ok(None) };
            let Some(file) = self.storage.open(&key.with_suffix(ARRAY)?)? else { return Ok(None) };
            let outcome = Pair::new(sidecar?, file).and_then(|pair| attempt(&pair));
            match outcome.map_err(|error| place(error, key)) {
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

    /// The array's file alone, without a look at its sidecar: for reads that are not checked against it.
    pub(crate) fn open(&self, key: &Key) -> Result<Option<(Header, Box<dyn ReadAt>)>> {
        let Some(file) = self.storage.open(&key.with_suffix(ARRAY)?)? else { return Ok(None) };
        let header = Header::read(&*file).map_err(|error| place(error, key))?;
        Ok(Some((header, file)))
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

    pub(crate) fn refuse_existing(&self, key: &Key) -> Result<()> {
        if self.contains(key)? {
            let message = "exists already: remove it first, or edit it";
            return Err(Error::new(ErrorKind::Conflict, message).at_key(key));
        }
        Ok(())
    }

    /// Publishes a new array. The caller has the lease, and there is no array yet.
    pub(crate) fn insert<A: Element>(
        &self,
        key: &Key,
        array: &ArrayD<A>,
        layout: &Layout,
    ) -> Result<Stamp> {
        let (upload, stamp) = self.stage(key, array, layout)?;
        self.publish(key, upload, &stamp)?;
        Ok(stamp)
    }

    /// Publishes what was written out of sight as a new array. The caller has the lease, and there is no array yet.
    pub(crate) fn publish(&self, key: &Key, upload: Box<dyn Upload>, stamp: &Stamp) -> Result<()> {
        let array_key = key.with_suffix(ARRAY)?;
        let sidecar_key = key.with_suffix(SIDECAR)?;
        let left_over = self.storage.get(&sidecar_key)?;
        let condition = match &left_over {
            Some(sidecar) => PutIf::Version(sidecar.version().clone()),
            None => PutIf::Absent,
        };
        // An array alone, which would soon lie beside a sidecar that does not name it.
        self.storage.remove(&array_key)?;
        let json = Sidecar::new(stamp.clone()).json()?;
        self.storage.put(&sidecar_key, json.into(), condition)?;
        upload.commit()
    }

    /// Replaces the array that `base` is the file of. The caller has the lease.
    pub(crate) fn replace<A: Element>(
        &self,
        key: &Key,
        array: &ArrayD<A>,
        layout: &Layout,
        base: &Stamp,
    ) -> Result<Stamp> {
        let gone = || Error::new(ErrorKind::NotFound, "was removed meanwhile").at_key(key);
        let (sidecar, version) = self.sidecar(key)?.ok_or_else(gone)?;
        let sidecar = sidecar?;
        if sidecar.newest() != Some(base) && !self.is_still(key, base)?.ok_or_else(gone)? {
            let message = "was replaced meanwhile: the edits here start from an older array";
            return Err(Error::new(ErrorKind::Conflict, message).at_key(key));
        }
        let (upload, stamp) = self.stage(key, array, layout)?;
        let json = sidecar.replaced(stamp.clone(), base.clone()).json()?;
        self.storage.put(&key.with_suffix(SIDECAR)?, json.into(), PutIf::Version(version))?;
        upload.commit()?;
        Ok(stamp)
    }

    /// Whether the file of `key` is `stamp`: so after a replacement that was killed between its two steps.
    fn is_still(&self, key: &Key, stamp: &Stamp) -> Result<Option<bool>> {
        self.with(key, |pair| Ok(pair.checksum()? == *stamp))
    }

    /// Writes an array out of sight; nobody sees it before the upload is committed.
    fn stage<A: Element>(
        &self,
        key: &Key,
        array: &ArrayD<A>,
        layout: &Layout,
    ) -> Result<(Box<dyn Upload>, Stamp)> {
        let mut staged = self.begin::<A>(key, layout)?;
        staged.append(layout::elements(array)).map_err(|error| error.at_key(key))?;
        Ok(staged.end::<A>(layout))
    }

    /// Begins to write an array out of sight.
    pub(crate) fn begin<A: Element>(&self, key: &Key, layout: &Layout) -> Result<Staged> {
        let header = npy::header(A::DTYPE, layout);
        let mut upload = self.storage.create(&key.with_suffix(ARRAY)?)?;
        upload.write_all(&header).map_err(|error| unwritten(error).at_key(key))?;
        Ok(Staged { upload, crc: crc32c(&header), header: header.len() as u64 })
    }

    /// Removes the sidecar, then the array: whatever stays behind is a miss. The caller has the lease.
    pub(crate) fn remove(&self, key: &Key) -> Result<bool> {
        let sidecar = self.storage.remove(&key.with_suffix(SIDECAR)?)?;
        let array = self.storage.remove(&key.with_suffix(ARRAY)?)?;
        Ok(sidecar && array)
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

    /// What was written, which has to be all elements of the layout.
    pub(crate) fn end<A: Element>(self, layout: &Layout) -> (Box<dyn Upload>, Stamp) {
        let bytes = self.header + layout.bytes::<A>();
        (self.upload, Stamp::new(A::DTYPE, layout, bytes, self.crc))
    }
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

    /// Reads the whole array and checks it.
    pub(crate) fn read<A: Element>(&self) -> Result<(Vec<A>, Stamp)> {
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

    /// The file that was published last, where the sidecar says so.
    pub(crate) fn newest(&self) -> Option<&Stamp> {
        self.sidecar.newest()
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
fn place(error: Error, key: &Key) -> Error {
    if error.path().is_some() || error.key().is_some() { error } else { error.at_key(key) }
}
