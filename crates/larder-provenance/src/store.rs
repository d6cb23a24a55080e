use std::{
    borrow::Borrow,
    fmt,
    marker::PhantomData,
    path::{self, Path},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use larder_storage::{Durability, Error, ErrorKind, LocalStorage, Result, Storage};

use crate::{
    Encoded, Id, Payload, Provenance, RepairReport, Status, VerifyReport,
    backend::{Backend, Draft, Lookup, Refreshed},
    blobs::lost,
    report,
    row::{Keyed, Row},
};

mod explain;
mod lineage;
mod merge;
mod records;
#[cfg(test)]
mod tests;
mod upkeep;

pub use explain::Explanation;
pub use lineage::{Relative, Relatives};
pub use merge::Merged;
pub use records::{Outcome, Record, Records, Stored};
pub use upkeep::{GcOptions, GcReport};

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

/// A payload that was just made.
pub(crate) struct Made<T> {
    pub(crate) payload: T,
    pub(crate) encoded: Encoded,
    /// How long that took, where it was measured.
    pub(crate) cost: Option<Duration>,
}

impl<T: Payload> ProvenanceStore<T> {
    /// An empty store that lives as long as its clones and views.
    pub fn in_memory() -> Self {
        Self::of(Backend::in_memory())
    }

    /// Opens the store in the local directory `dir`, and makes it where it is missing. One that may not be written, and that
    /// was closed by everybody who wrote to it, is opened for reading.
    ///
    /// # Errors
    ///
    /// `Invalid` where `dir` is a file; `Corrupt` where the database is damaged, which [`repair_index`](crate::repair_index)
    /// moves aside; `Format` where it belongs to something else or to a newer version; `Io` where the directory cannot be used.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self> {
        let storage = LocalStorage::open(dir, options.durability)?;
        let dir = storage.root().to_owned();
        Self::on(Arc::new(storage), dir, options)
    }

    /// Opens a store whose records and payloads lie on `storage`, with an index of them in the local directory
    /// `index_dir`; a relative one is taken from the working directory of now. A new index is made from what is there.
    ///
    /// A local storage whose index lies elsewhere is marked as shared, for good.
    ///
    /// Any number of machines may have the storage open, each with an index of its own. A result that another one stored
    /// is found where it is asked for; in listings and lineages it is after a [`refresh`](Self::refresh).
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); `Backend` where the storage fails.
    pub fn on(
        storage: Arc<dyn Storage>,
        index_dir: impl AsRef<Path>,
        options: Options,
    ) -> Result<Self> {
        let dir = index_dir.as_ref();
        let failed = |error| Error::io(error, "cannot tell where the index lies").at_path(dir);
        let dir = path::absolute(dir).map_err(failed)?;
        Backend::open(storage, &dir, options.durability).map(Self::of)
    }

    fn of(backend: Backend) -> Self {
        Self { backend: Arc::new(backend), payload: PhantomData }
    }

    /// The records of another kind in the same place.
    pub fn view<U: Payload>(&self) -> ProvenanceStore<U> {
        ProvenanceStore { backend: Arc::clone(&self.backend), payload: PhantomData }
    }

    /// Stores a result; returns its id. Where the same result of the same provenance is there, that one's id is returned
    /// and nothing is stored, however many threads and processes try at once. Without provenance the id is always new.
    ///
    /// The result counts as made from the inputs as they are now: where one may come out otherwise during the work,
    /// [`get_or_compute`](Self::get_or_compute) knows how it was before.
    ///
    /// # Errors
    ///
    /// `NonDeterministic` where another result of the same provenance is there, which stays; `NotFound` where the
    /// provenance names a record as an input that is not there or was invalidated; `Invalid` where the payload cannot be
    /// encoded or a parameter nests too deep; `Full`, `Io` or `Backend` where the storage fails.
    pub fn put(&self, payload: impl Borrow<T>, provenance: Option<Provenance>) -> Result<Id> {
        let encoded = payload.borrow().encode()?;
        let Some(provenance) = provenance else {
            return self.backend.keep(Self::draft(&encoded), None, None).map(|row| row.id);
        };
        let keyed = Keyed::new(provenance)?;
        let stale = match self.backend.look_up(T::KIND, &keyed.key)? {
            // A lost payload is not compared.
            Lookup::Stale(row) => Some(row),
            Lookup::Hit(..) | Lookup::Miss => None,
        };
        let seen = self.backend.seen(&keyed.provenance)?;
        let draft = Draft { seen, ..Self::draft(&encoded) };
        self.backend.keep(draft, Some(&keyed), stale.as_deref()).map(|row| row.id)
    }

    /// The result, or `None` where no record has this id, or its payload was [collected](crate::State::Collected), or
    /// it is [invalid or doubtful](Self::invalidate). The payload was checked against its digest.
    ///
    /// # Errors
    ///
    /// `Invalid` where the record is of another kind; `Corrupt` where it is damaged or its payload is damaged or missing;
    /// `Format` where a newer version wrote it; `Io` or `Backend` where the storage fails.
    pub fn get(&self, id: Id) -> Result<Option<Stored<T>>> {
        let found = self.load(|| self.row(id))?;
        found.map(|(row, bytes)| Self::stored(&row, bytes)).transpose()
    }

    /// The bytes of a result of whatever kind, otherwise as [`get`](Self::get).
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn bytes(&self, id: Id) -> Result<Option<Bytes>> {
        let found = self.load(|| self.backend.index.read(|view| view.by_id(id)))?;
        Ok(found.map(|(_, bytes)| bytes))
    }

    /// The id of the result of this provenance, if it is there with its payload intact.
    ///
    /// # Errors
    ///
    /// `Io` or `Backend` where the storage fails.
    pub fn find(&self, provenance: &Provenance) -> Result<Option<Id>> {
        Ok(match self.backend.look_up(T::KIND, &provenance.digest())? {
            Lookup::Hit(row, _) => Some(row.id),
            Lookup::Stale(_) | Lookup::Miss => None,
        })
    }

    /// The result of this provenance; computed and stored if it is not there, or its payload is lost, was collected or
    /// was invalidated: then it keeps its id. Of all threads and processes that ask at once, one computes and the others
    /// wait for it; where it fails or dies, the next one computes.
    ///
    /// # Errors
    ///
    /// Those of `compute`, and then nothing was stored; `Locked` where `compute` asks for the same provenance, or for one whose
    /// work waits for this; otherwise as [`get`](Self::get) and [`put`](Self::put).
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
        if let Lookup::Hit(row, bytes) = self.backend.look_up(T::KIND, &key)? {
            return Self::hit(&row, bytes);
        }
        let keyed = Keyed::new(provenance.clone())?;
        let _lease = self.backend.flights.enter(&format!("{}/{key}", T::KIND))?;
        let stale = match self.backend.look_up(T::KIND, &key)? {
            Lookup::Hit(row, bytes) => return Self::hit(&row, bytes),
            Lookup::Stale(row) => Some(row),
            Lookup::Miss => None,
        };
        // Before it is computed: an input that changes meanwhile is noticed.
        let seen = self.backend.seen(provenance)?;
        let Made { payload, encoded, cost } = make()?;
        let draft = Draft { seen, cost, ..Self::draft(&encoded) };
        let row = self.backend.keep(draft, Some(&keyed), stale.as_deref())?;
        Ok(Outcome { id: row.id, payload, computed: true })
    }

    /// Removes the record, and its payload where no other record has it; whether there was one. Its provenance is then
    /// free. Records that were made from it stay, and still name it. On a storage that others may share, the payload
    /// stays until [`gc`](Self::gc).
    ///
    /// # Errors
    ///
    /// `Invalid` where the record is of another kind; `Io` or `Backend` where the storage fails.
    pub fn delete(&self, id: Id) -> Result<bool> {
        match self.row(id) {
            Ok(None) => Ok(false),
            Ok(Some(_)) => self.backend.delete(id),
            // What is damaged can be deleted too.
            Err(error) if error.kind() == ErrorKind::Corrupt => self.backend.delete(id),
            Err(error) => Err(error),
        }
    }

    /// The records of this kind that have a payload, without it, the oldest first, read in pages as they are asked for.
    pub fn list(&self) -> Records<'_> {
        Records(self.backend.index.rows(Some(T::KIND)))
    }

    /// The records of all kinds, also those without a payload, as [`list`](Self::list) gives them.
    pub fn records(&self) -> Records<'_> {
        Records(self.backend.rows())
    }

    /// The record of this id without its payload, of whatever kind and state.
    ///
    /// # Errors
    ///
    /// `Corrupt` where it is damaged; `Io` or `Backend` where the database fails.
    pub fn record(&self, id: Id) -> Result<Option<Record>> {
        let row = self.backend.index.read(|view| view.by_id(id))?;
        row.map(|row| Record::of(&row)).transpose()
    }

    /// How many records of this kind have a payload.
    ///
    /// # Errors
    ///
    /// `Io` or `Backend` where the database fails.
    pub fn len(&self) -> Result<u64> {
        self.backend.index.read(|view| view.count(T::KIND))
    }

    /// Whether there are none.
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
        let totals = self.backend.index.read(|view| view.totals())?;
        Ok(Status {
            durable: self.backend.is_durable(),
            records: totals.kinds.iter().map(|(_, count)| count).sum(),
            without_payload: totals.without,
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
        report::verify(&self.backend)
    }

    /// Moves what is damaged out of the way: reads every record and every payload on the storage, and copies the damaged ones
    /// below `quarantine` before they go. A damaged record that the index still has is written anew; a result without its
    /// payload, or without its record, is computed anew where it is asked for. Then the index is made anew. Records of a newer
    /// version stay where they are, and are told; one that is gone from the storage is gone, as for
    /// [`refresh`](Self::refresh).
    ///
    /// Where others have an index elsewhere, what they write anew just between the last look at it and its removal, an instant
    /// later, goes too.
    ///
    /// # Errors
    ///
    /// As [`reindex`](Self::reindex); `Full` where there is no room for the copies.
    pub fn repair(&self) -> Result<RepairReport> {
        self.backend.repair()
    }

    /// Takes up what others have changed on the storage: records that are new, changed or gone, in one listing.
    ///
    /// # Errors
    ///
    /// `Io` or `Backend` where the storage or the database fails. Records that cannot be read are in the report.
    pub fn refresh(&self) -> Result<Refreshed> {
        self.backend.refresh()
    }

    /// Makes the index anew from the records on the storage, so that nothing that is damaged in it stays. Whoever has the
    /// storage open through this index finds records only where they are asked for by provenance meanwhile.
    ///
    /// # Errors
    ///
    /// As [`refresh`](Self::refresh).
    pub fn reindex(&self) -> Result<Refreshed> {
        self.backend.reindex()
    }

    /// The records of this kind that have a payload.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Result<Arc<Row>>> {
        self.backend.index.rows(Some(T::KIND)).map(|row| row.map_err(|damaged| damaged.error))
    }

    /// Whether there is a record of this id and kind, whatever its payload.
    pub(crate) fn has(&self, id: Id) -> Result<bool> {
        self.row(id).map(|row| row.is_some())
    }

    /// The record of this id, which has to be of this kind.
    fn row(&self, id: Id) -> Result<Option<Arc<Row>>> {
        let row = self.backend.index.read(|view| view.by_id(id))?;
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

    /// A record as it is found, with its payload, if this can be relied on.
    fn load(
        &self,
        find: impl Fn() -> Result<Option<Arc<Row>>>,
    ) -> Result<Option<(Arc<Row>, Bytes)>> {
        let mut lost_before = None;
        loop {
            let Some(row) = find()? else { return Ok(None) };
            let Some(row) = self.backend.settled(&row)? else { return Ok(None) };
            let payload = row.content.payload;
            if let Some(bytes) = self.backend.blobs.load(&payload)? {
                return Ok(Some((row, bytes)));
            }
            // The record may have been deleted, or its payload replaced, between the two reads.
            if lost_before.replace(payload) == Some(payload) {
                return Err(lost(&payload)?);
            }
        }
    }

    /// What is stored of a payload that was not computed here.
    fn draft(encoded: &Encoded) -> Draft<'_> {
        Draft { kind: T::KIND, version: T::VERSION, encoded, seen: Vec::new(), cost: None }
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
        let version = row.content.version;
        if version > T::VERSION {
            let message = format!(
                "record {} has version {version} of the format {:?} and this program knows {}: upgrade it",
                row.id,
                row.kind,
                T::VERSION
            );
            return Err(Error::new(ErrorKind::Format, message));
        }
        T::decode(Encoded { bytes, summary: row.content.summary.clone() }, version)
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
