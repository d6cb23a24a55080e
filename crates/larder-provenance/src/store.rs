use std::{
    borrow::Borrow,
    fmt,
    marker::PhantomData,
    path::{self, Path},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use larder_storage::{
    Digest, Durability, Error, ErrorKind, LocalStorage, MemoryStorage, RESERVED_SEGMENT, Result,
    Storage, flight::Flights,
};

use crate::{
    Encoded, Id, Payload, Provenance, Status, VerifyReport,
    blobs::{Blobs, lost},
    index::{Draft, Index, Keyed, MemoryIndex, Row, SqliteIndex},
    report,
};

mod records;
#[cfg(test)]
mod tests;

pub use records::{Outcome, Record, Records, Stored};

/// How a durable store is opened.
#[derive(Clone, Debug, Default)]
pub struct Options {
    durability: Durability,
}

impl Options {
    /// Sets what an acknowledged record survives; the default is [`Durability::Process`]. A record that another
    /// process stored survives what that one chose.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }
}

/// Results, each known by an [`Id`] and by the [`Provenance`] that made it.
///
/// A store is cheap to clone; clones share the records. [`view`](Self::view) gives the records of another kind.
pub struct ProvenanceStore<T> {
    backend: Arc<Backend>,
    payload: PhantomData<fn() -> T>,
}

#[derive(Debug)]
struct Backend {
    index: Box<dyn Index>,
    blobs: Blobs,
    flights: Flights,
    durable: bool,
}

/// A payload that was just made.
pub(crate) struct Made<T> {
    pub(crate) payload: T,
    pub(crate) encoded: Encoded,
    /// How long that took, where it was measured.
    pub(crate) cost: Option<Duration>,
}

/// What the index and the payloads say about a provenance.
enum Lookup {
    Hit(Arc<Row>, Bytes),
    /// The record is there, its payload is not or is damaged.
    Broken(Digest),
    Miss,
}

impl<T: Payload> ProvenanceStore<T> {
    /// An empty store that lives as long as its clones and views.
    pub fn in_memory() -> Self {
        Self::of(Backend {
            index: Box::new(MemoryIndex::default()),
            blobs: Blobs::new(Arc::new(MemoryStorage::new()), Durability::Scratch),
            flights: Flights::new(),
            durable: false,
        })
    }

    /// Opens the store in the local directory `dir`, and makes it where it is missing.
    ///
    /// # Errors
    ///
    /// `Invalid` where `dir` is a file; `Corrupt` where the database is damaged; `Format` where it belongs to something
    /// else or to a newer version; `Io` where the directory cannot be used.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self> {
        let storage = LocalStorage::open(dir, options.durability)?;
        let dir = storage.root().to_owned();
        Self::on(Arc::new(storage), dir, options)
    }

    /// Opens a store whose payloads lie on `storage`, and whose records lie in the local directory `index_dir`; a
    /// relative one is taken from the working directory of now.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn on(
        storage: Arc<dyn Storage>,
        index_dir: impl AsRef<Path>,
        options: Options,
    ) -> Result<Self> {
        let dir = index_dir.as_ref();
        let failed = |error| Error::io(error, "cannot tell where the records lie").at_path(dir);
        let dir = path::absolute(dir).map_err(failed)?;
        Ok(Self::of(Backend {
            index: Box::new(SqliteIndex::open(&dir, options.durability)?),
            blobs: Blobs::new(storage, options.durability),
            flights: Flights::across_processes(dir.join(RESERVED_SEGMENT).join("flights")),
            durable: true,
        }))
    }

    fn of(backend: Backend) -> Self {
        Self { backend: Arc::new(backend), payload: PhantomData }
    }

    /// The records of another kind in the same place.
    pub fn view<U: Payload>(&self) -> ProvenanceStore<U> {
        ProvenanceStore { backend: Arc::clone(&self.backend), payload: PhantomData }
    }

    /// Stores a result; returns its id. Where a result of the same provenance is there, that one's id is returned and
    /// nothing is stored, however many threads and processes try at once. Without provenance the id is always new.
    ///
    /// # Errors
    ///
    /// `Invalid` where the payload cannot be encoded or a parameter nests too deep; `Corrupt` where the record of this
    /// provenance is damaged; `Full`, `Io` or `Backend` where the storage fails.
    pub fn put(&self, payload: impl Borrow<T>, provenance: Option<Provenance>) -> Result<Id> {
        let keyed = provenance.map(Keyed::new).transpose()?;
        let broken = match &keyed {
            None => None,
            Some(keyed) => match self.look_up(&keyed.key)? {
                Lookup::Hit(row, _) => return Ok(row.id),
                Lookup::Broken(payload) => Some(payload),
                Lookup::Miss => None,
            },
        };
        Ok(self.insert(&payload.borrow().encode()?, keyed, broken, None)?.0.id)
    }

    /// The result, or `None` where no record has this id. The payload was checked against its digest.
    ///
    /// # Errors
    ///
    /// `Invalid` where the record is of another kind; `Corrupt` where it is damaged or its payload is damaged or missing;
    /// `Format` where a newer version wrote it; `Io` or `Backend` where the storage fails.
    pub fn get(&self, id: Id) -> Result<Option<Stored<T>>> {
        let mut lost_before = None;
        loop {
            let Some(row) = self.row(id)? else { return Ok(None) };
            if let Some(bytes) = self.backend.blobs.load(&row.payload)? {
                return Self::stored(&row, bytes).map(Some);
            }
            // The record may have been deleted, or its payload replaced, between the two reads.
            if lost_before.replace(row.payload) == Some(row.payload) {
                return Err(lost(&row.payload)?);
            }
        }
    }

    /// The id of the result of this provenance, if it is there with its payload intact.
    ///
    /// # Errors
    ///
    /// `Corrupt` where the record is damaged; `Io` or `Backend` where the storage fails.
    pub fn find(&self, provenance: &Provenance) -> Result<Option<Id>> {
        Ok(match self.look_up(&provenance.digest())? {
            Lookup::Hit(row, _) => Some(row.id),
            Lookup::Broken(_) | Lookup::Miss => None,
        })
    }

    /// The result of this provenance; computed and stored if it is not there or its payload is lost. Of all threads and
    /// processes that ask at once, one computes and the others wait for it; where it fails or dies, the next one computes.
    ///
    /// # Errors
    ///
    /// Those of `compute`, and then nothing was stored; `Locked` where `compute` asks for the same provenance; otherwise
    /// as [`get`](Self::get) and [`put`](Self::put).
    pub fn get_or_compute(
        &self,
        provenance: &Provenance,
        compute: impl FnOnce() -> Result<T>,
    ) -> Result<Outcome<T>> {
        self.get_or_make(provenance, || {
            let start = Instant::now();
            let payload = compute()?;
            let cost = Some(start.elapsed());
            Ok(Made { encoded: payload.encode()?, payload, cost })
        })
    }

    /// As [`get_or_compute`](Self::get_or_compute), of a payload that may have been encoded before.
    pub(crate) fn get_or_make(
        &self,
        provenance: &Provenance,
        make: impl FnOnce() -> Result<Made<T>>,
    ) -> Result<Outcome<T>> {
        let key = provenance.digest();
        if let Lookup::Hit(row, bytes) = self.look_up(&key)? {
            return Self::hit(&row, bytes);
        }
        let keyed = Keyed::new(provenance.clone())?;
        let _lease = self.backend.flights.enter(&format!("{}/{key}", T::KIND))?;
        let broken = match self.look_up(&key)? {
            Lookup::Hit(row, bytes) => return Self::hit(&row, bytes),
            Lookup::Broken(payload) => Some(payload),
            Lookup::Miss => None,
        };
        let Made { payload, encoded, cost } = make()?;
        let (row, is_ours) = self.insert(&encoded, Some(keyed), broken, cost)?;
        if is_ours {
            return Ok(Outcome { id: row.id, payload, computed: true });
        }
        // A `put` of the same provenance came first, so its result is the one that counts.
        let bytes = self.backend.blobs.load(&row.payload)?.ok_or(lost(&row.payload)?)?;
        Ok(Outcome { computed: true, ..Self::hit(&row, bytes)? })
    }

    /// Removes the record, and its payload where no other record has it; whether there was one. Its provenance is then
    /// free. Records that were made from it stay, and still name it.
    ///
    /// # Errors
    ///
    /// `Invalid` where the record is of another kind; `Io` or `Backend` where the storage fails.
    pub fn delete(&self, id: Id) -> Result<bool> {
        match self.row(id) {
            Ok(None) => return Ok(false),
            Err(error) if error.kind() != ErrorKind::Corrupt => return Err(error),
            // What is damaged can be deleted too.
            _ => {}
        }
        let (was_there, payload) = self.backend.index.delete(id)?;
        payload.map_or(Ok(()), |payload| self.reap(&payload))?;
        Ok(was_there)
    }

    /// The records of this kind without their payloads, the oldest first, read in pages as they are asked for.
    pub fn list(&self) -> Records<'_> {
        Records::new(&*self.backend.index, T::KIND)
    }

    /// How many records of this kind there are.
    ///
    /// # Errors
    ///
    /// `Io` or `Backend` where the database fails.
    pub fn len(&self) -> Result<u64> {
        self.backend.index.len(T::KIND)
    }

    /// Whether there are no records of this kind.
    ///
    /// # Errors
    ///
    /// As [`len`](Self::len).
    pub fn is_empty(&self) -> Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// The figures of the whole directory, without reading a payload.
    ///
    /// # Errors
    ///
    /// `Corrupt` where a record holds a figure that cannot be; `Io` or `Backend` where the database fails.
    pub fn status(&self) -> Result<Status> {
        let totals = self.backend.index.totals()?;
        Ok(Status {
            durable: self.backend.durable,
            records: totals.kinds.iter().map(|(_, count)| count).sum(),
            kinds: totals.kinds.into_iter().collect(),
            payloads: totals.payloads,
            payload_bytes: totals.bytes,
        })
    }

    /// Reads every record and every payload of the directory, and checks them.
    ///
    /// # Errors
    ///
    /// `Io` or `Backend` where something cannot be read. What is damaged is in the report.
    pub fn verify(&self) -> Result<VerifyReport> {
        report::verify(&*self.backend.index, &self.backend.blobs)
    }

    /// Whether there is a record of this id and kind, whatever its payload.
    pub(crate) fn has(&self, id: Id) -> Result<bool> {
        self.row(id).map(|row| row.is_some())
    }

    /// The record of this id, which has to be of this kind.
    fn row(&self, id: Id) -> Result<Option<Arc<Row>>> {
        let row = self.backend.index.by_id(id)?;
        match &row {
            Some(row) if row.kind != T::KIND => {
                let message = format!(
                    "record {id} holds a payload of kind {:?}, not {:?}",
                    row.kind,
                    T::KIND
                );
                Err(Error::new(ErrorKind::Invalid, message))
            }
            _ => Ok(row),
        }
    }

    fn look_up(&self, key: &Digest) -> Result<Lookup> {
        let Some(row) = self.backend.index.by_provenance(T::KIND, key)? else {
            return Ok(Lookup::Miss);
        };
        Ok(match self.backend.blobs.load(&row.payload)? {
            Some(bytes) => Lookup::Hit(row, bytes),
            None => Lookup::Broken(row.payload),
        })
    }

    /// Stores the payload and its record; the record that counts, and whether it has this payload.
    fn insert(
        &self,
        Encoded { bytes, summary }: &Encoded,
        provenance: Option<Keyed>,
        broken: Option<Digest>,
        cost: Option<Duration>,
    ) -> Result<(Arc<Row>, bool)> {
        let Backend { index, blobs, .. } = &*self.backend;
        let digest = Digest::of(bytes);
        blobs.store(&digest, bytes)?;
        let draft = Draft {
            kind: T::KIND,
            version: T::VERSION,
            provenance,
            payload: digest,
            payload_len: bytes.len() as u64,
            summary: summary.clone(),
            cost,
        };
        let row = index.insert(&draft, broken.as_ref(), &|| blobs.ensure(&digest, bytes))?;
        for other in broken.into_iter().chain([digest]).filter(|other| *other != row.payload) {
            // The record is there. A payload that stays, too, is harmless, and `verify` counts it.
            let _ = self.reap(&other);
        }
        let is_ours = row.payload == digest && row.summary == draft.summary;
        Ok((row, is_ours))
    }

    /// Removes the payload unless a record has it.
    fn reap(&self, payload: &Digest) -> Result<()> {
        let Backend { index, blobs, .. } = &*self.backend;
        index.if_unused(payload, &|| blobs.remove(payload))
    }

    fn hit(row: &Row, bytes: Bytes) -> Result<Outcome<T>> {
        Ok(Outcome { id: row.id, payload: Self::decode(row, bytes)?, computed: false })
    }

    fn stored(row: &Row, bytes: Bytes) -> Result<Stored<T>> {
        Ok(Stored {
            id: row.id,
            payload: Self::decode(row, bytes)?,
            kind: T::KIND,
            created_at: row.created_at(),
            provenance: row.provenance()?,
        })
    }

    fn decode(row: &Row, bytes: Bytes) -> Result<T> {
        if row.version > T::VERSION {
            let message = format!(
                "record {} has version {} of the format {:?} and this program knows {}: upgrade it",
                row.id,
                row.version,
                row.kind,
                T::VERSION
            );
            return Err(Error::new(ErrorKind::Format, message));
        }
        T::decode(Encoded { bytes, summary: row.summary.clone() }, row.version)
    }
}

impl<T> Clone for ProvenanceStore<T> {
    fn clone(&self) -> Self {
        Self { backend: Arc::clone(&self.backend), payload: PhantomData }
    }
}

impl<T> fmt::Debug for ProvenanceStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvenanceStore").field("backend", &self.backend).finish()
    }
}
