use std::{
    any::Any,
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use larder_storage::Result;

use super::{
    Chroms, PlacedTrack, Track, TrackLabel, TrackType,
    format::{Listed, ShapeName},
};
use crate::{
    Id, Options, Outcome, Provenance, ProvenanceStore, Stored, payload::from_json, row::Row,
};

/// Something that is kept alive with a track, such as an open file that it was read from.
pub type Handle = Arc<dyn Any + Send + Sync>;

/// Tracks by id and by provenance.
///
/// ```
/// use larder_provenance::{Chroms, Interval, IntervalTrack, Provenance, TrackStore};
/// use larder_storage::Digest;
///
/// let store = TrackStore::in_memory();
/// let chroms = Chroms::from([("chr1".to_owned(), 1000)]);
/// let gene = Interval { chrom: "chr1".to_owned(), start: 100, end: 400, ..Interval::default() };
/// let track = IntervalTrack { label: "genes".into(), intervals: vec![gene] };
/// let made = Provenance::new("genes").input(Digest::of(b"genome"));
///
/// let id = store.put(track.clone(), chroms.clone(), Some(made.clone()))?;
/// assert_eq!(store.put(track, chroms, Some(made))?, id);
/// assert_eq!(store.get(id)?.unwrap().track.label().as_str(), "genes");
/// # Ok::<_, larder_storage::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TrackStore {
    store: ProvenanceStore<PlacedTrack>,
    handles: Arc<Mutex<HashMap<Id, Handle>>>,
}

/// A track of a [`TrackStore`], with all that is known of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredTrack {
    /// Its id.
    pub id: Id,
    /// The track itself.
    pub track: Track,
    /// Whether it is of features or of numbers.
    pub track_type: TrackType,
    /// The chromosomes that it lies on.
    pub chroms: Chroms,
    /// When it was stored first.
    pub created_at: SystemTime,
    /// What made it, where that is known.
    pub provenance: Option<Provenance>,
    /// What is kept alive with it, where something was given to this store.
    pub handle: Option<Handle>,
}

/// What a listing says of a track, without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrackRecord {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub label: TrackLabel,
    /// Whether it is of features or of numbers.
    pub track_type: TrackType,
    /// The chromosomes that it lies on.
    pub chroms: Chroms,
    /// When it was stored first.
    pub created_at: SystemTime,
    row: Arc<Row>,
}

impl TrackRecord {
    /// What made it, where that is known.
    ///
    /// # Errors
    ///
    /// `Format` where a newer version wrote it.
    pub fn provenance(&self) -> Result<Option<Provenance>> {
        self.row.provenance()
    }
}

impl TrackStore {
    /// An empty store that lives as long as its clones.
    pub fn in_memory() -> Self {
        Self::new(ProvenanceStore::in_memory())
    }

    /// Opens the store in the local directory `dir`, and makes it where it is missing.
    ///
    /// # Errors
    ///
    /// As [`ProvenanceStore::open`].
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self> {
        ProvenanceStore::open(dir, options).map(Self::new)
    }

    /// The tracks of a store that is open already, such as a [view](ProvenanceStore::view) of another one.
    pub fn new(store: ProvenanceStore<PlacedTrack>) -> Self {
        Self { store, handles: Arc::default() }
    }

    /// The store underneath.
    pub fn store(&self) -> &ProvenanceStore<PlacedTrack> {
        &self.store
    }

    /// Stores a track; returns its id. Where a track of the same provenance is there, that one's id is returned.
    /// Without chromosomes the track is not checked against any.
    ///
    /// # Errors
    ///
    /// `Invalid` as [`Track::check`]; otherwise as [`ProvenanceStore::put`].
    pub fn put(
        &self,
        track: impl Into<Track>,
        chroms: Chroms,
        provenance: Option<Provenance>,
    ) -> Result<Id> {
        let placed = PlacedTrack { track: track.into(), chroms };
        self.store.put(placed, provenance)
    }

    /// As [`put`](Self::put), and keeps `handle` alive until the track is deleted through this store or the last clone
    /// of the store goes. Where the track has a handle already, that one stays.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub fn put_with_handle(
        &self,
        track: impl Into<Track>,
        chroms: Chroms,
        provenance: Option<Provenance>,
        handle: Handle,
    ) -> Result<Id> {
        let id = self.put(track, chroms, provenance)?;
        let mut handles = self.handles();
        // Whoever deletes the track takes the handle afterwards, under the same lock, so it may be gone only before.
        if self.store.has(id)? {
            // The clone goes under the lock, the handle itself after it: what its drop does is not ours to know.
            handles.entry(id).or_insert_with(|| Arc::clone(&handle));
        }
        Ok(id)
    }

    /// The track, or `None` where there is none of this id.
    ///
    /// # Errors
    ///
    /// As [`ProvenanceStore::get`].
    pub fn get(&self, id: Id) -> Result<Option<StoredTrack>> {
        let stored = self.store.get(id)?;
        Ok(stored.map(|Stored { id, payload, created_at, provenance, .. }| StoredTrack {
            id,
            track_type: payload.track.track_type(),
            track: payload.track,
            chroms: payload.chroms,
            created_at,
            provenance,
            handle: self.handles().get(&id).cloned(),
        }))
    }

    /// The id of the track of this provenance, if it is there, intact.
    ///
    /// # Errors
    ///
    /// As [`ProvenanceStore::find`].
    pub fn find(&self, provenance: &Provenance) -> Result<Option<Id>> {
        self.store.find(provenance)
    }

    /// The track of this provenance, computed once if it is not there.
    ///
    /// # Errors
    ///
    /// As [`ProvenanceStore::get_or_compute`].
    pub fn get_or_compute(
        &self,
        provenance: &Provenance,
        compute: impl FnOnce() -> Result<PlacedTrack>,
    ) -> Result<Outcome<PlacedTrack>> {
        self.store.get_or_compute(provenance, compute)
    }

    /// Removes the track and drops its handle; whether there was one. Its provenance is then free.
    ///
    /// # Errors
    ///
    /// As [`ProvenanceStore::delete`].
    pub fn delete(&self, id: Id) -> Result<bool> {
        let deleted = self.store.delete(id)?;
        let handle = self.handles().remove(&id);
        drop(handle);
        Ok(deleted)
    }

    /// All tracks without their values, the oldest first.
    pub fn list_all(&self) -> impl Iterator<Item = Result<TrackRecord>> + '_ {
        self.store.rows().map(|row| row.and_then(TrackRecord::try_from))
    }

    fn handles(&self) -> MutexGuard<'_, HashMap<Id, Handle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TryFrom<Arc<Row>> for TrackRecord {
    type Error = larder_storage::Error;

    fn try_from(row: Arc<Row>) -> Result<Self> {
        let Listed { label, chroms, shape } = from_json(row.content.summary.as_bytes())?;
        let track_type = match shape {
            ShapeName::Interval => TrackType::Interval,
            ShapeName::Signal | ShapeName::Runs => TrackType::Signal,
        };
        let (id, created_at) = (row.id, row.created_at());
        let chroms = Chroms::from_iter(chroms);
        Ok(Self { id, label: label.into(), track_type, chroms, created_at, row })
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::IntervalTrack;

    #[test]
    fn a_track_that_is_deleted_while_it_is_put_keeps_no_handle() {
        let (store, handle) = (TrackStore::in_memory(), Arc::new(7_u8));
        let made = Provenance::new("op");
        thread::scope(|scope| {
            let handles = store.handles();
            let put = scope.spawn(|| {
                let (track, chroms) = (IntervalTrack::default(), Chroms::new());
                store.put_with_handle(track, chroms, Some(made.clone()), handle.clone())
            });
            let id = loop {
                if let Some(id) = store.find(&made).unwrap() {
                    break id;
                }
                thread::yield_now();
            };
            assert!(store.store().delete(id).unwrap());
            drop(handles);
            assert_eq!(put.join().unwrap().unwrap(), id);
        });
        assert_eq!(Arc::strong_count(&handle), 1);
    }
}
