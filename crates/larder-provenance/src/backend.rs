//! What all stores on one directory share: the records in the index and on the storage, and their payloads.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use larder_sqlite::Attempt;
use larder_storage::{
    Digest, Durability, Error, ErrorKind, Key, MemoryStorage, RESERVED_SEGMENT, Result, Storage,
    flight::{self, Flights},
    publish::Ballast,
};

use crate::{
    Id,
    blobs::Blobs,
    index::{Change, Index, Object, Removed, Rows, View},
    published::Published,
    row::{Row, place_of},
};

mod keep;
mod refresh;
mod repair;
mod sharing;
mod states;

pub(crate) use keep::{Draft, Taken};
pub(crate) use refresh::Known;
pub use refresh::Refreshed;
pub use repair::RepairReport;
pub(crate) use sharing::Sharing;
pub(crate) use states::doubted;
use states::{state_here, unsettled};

#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) index: Index,
    pub(crate) blobs: Blobs,
    /// The records on the storage; `None` where the index is in memory.
    pub(crate) published: Option<Published>,
    /// Who computes what.
    pub(crate) flights: Flights,
    /// Who changes the record of which provenance.
    turns: Flights,
    sharing: Arc<Sharing>,
    /// Of the index, where it is no memory.
    ballast: Option<Ballast>,
}

/// What is known of a provenance.
pub(crate) enum Lookup {
    Hit(Arc<Row>, Bytes),
    /// There is a record, but no payload that can be relied on.
    Stale(Arc<Row>),
    Miss,
}

impl Backend {
    pub(crate) fn in_memory() -> Self {
        Self::with_payloads(Arc::new(MemoryStorage::new()))
    }

    pub(crate) fn with_payloads(storage: Arc<dyn Storage>) -> Self {
        let sharing = Arc::default();
        Self {
            index: Index::in_memory(),
            blobs: Blobs::new(storage, Durability::Scratch, Arc::clone(&sharing)),
            published: None,
            flights: Flights::new(),
            turns: Flights::new(),
            sharing,
            ballast: None,
        }
    }

    pub(crate) fn open(
        storage: Arc<dyn Storage>,
        dir: &Path,
        durability: Durability,
    ) -> Result<Self> {
        let flights_in = |dir: &Path| dir.join(RESERVED_SEGMENT).join("flights");
        let flights = match storage.local_root() {
            Some(root) => Flights::across_processes(flights_in(root)),
            None => Flights::on(Arc::clone(&storage), flight::Options::default())?,
        };
        let ballast = Ballast::new(dir, durability);
        let index = ballast.spend(|| Ok(()), || Index::open(dir, durability))?;
        let sharing = Arc::new(Sharing::of(&*storage, dir, durability)?);
        let backend = Self {
            index,
            blobs: Blobs::new(Arc::clone(&storage), durability, Arc::clone(&sharing)),
            published: Some(Published::new(storage)),
            flights,
            turns: Flights::across_processes(flights_in(dir)),
            sharing,
            ballast: Some(ballast),
        };
        // A new index, one that was moved aside, or one that was being made anew.
        let is_unread = backend.index.read(|view| view.is_unread())?;
        match (backend.index.is_read_only(), is_unread) {
            (true, true) => return Err(half_made().at_path(dir)),
            (true, false) => return Ok(backend),
            (false, true) => _ = backend.refresh()?,
            (false, false) => {}
        }
        match backend.making_room(|| backend.publish_behind()) {
            // It waits until there is room; somebody has to open the store to make some.
            Err(error) if error.kind() == ErrorKind::Full => {}
            published => published?,
        }
        backend.take_ballast()?;
        Ok(backend)
    }

    /// Whether others with an index of their own may use what is on the storage.
    pub(crate) fn is_shared(&self) -> bool {
        self.sharing.is_shared()
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.published.is_some()
    }

    /// All records.
    pub(crate) fn rows(&self) -> Rows<'_> {
        self.index.rows(None)
    }

    pub(crate) fn look_up(&self, kind: &str, key: &Digest) -> Result<Lookup> {
        let row = match self.indexed(kind, key)? {
            Some(row) => row,
            None => match self.adopt(kind, key)? {
                Some(row) => row,
                None => return Ok(Lookup::Miss),
            },
        };
        match self.judge(row)? {
            // It may have got another payload meanwhile, or have it anew from another machine.
            Lookup::Stale(row) => match self.read_again(kind, key)? {
                Some(found) if found != row => self.judge(found),
                _ => Ok(Lookup::Stale(row)),
            },
            judged => Ok(judged),
        }
    }

    fn read_again(&self, kind: &str, key: &Digest) -> Result<Option<Arc<Row>>> {
        if self.is_shared() { self.adopt(kind, key) } else { self.indexed(kind, key) }
    }

    fn judge(&self, row: Arc<Row>) -> Result<Lookup> {
        let Some(row) = self.settled(&row)? else { return Ok(Lookup::Stale(row)) };
        Ok(match self.blobs.load(&row.content.payload)? {
            Some(bytes) => Lookup::Hit(row, bytes),
            None => Lookup::Stale(row),
        })
    }

    /// The record in the index. One that is damaged there is none: it is read again from the storage.
    fn indexed(&self, kind: &str, key: &Digest) -> Result<Option<Arc<Row>>> {
        match self.index.read(|view| view.by_key(kind, key)) {
            Err(error) if error.kind() == ErrorKind::Corrupt && self.published.is_some() => {
                Ok(None)
            }
            found => found,
        }
    }

    /// Takes up a record that is on the storage, and another one or none in the index.
    fn adopt(&self, kind: &str, key: &Digest) -> Result<Option<Arc<Row>>> {
        let Some(row) = self.find_published(kind, key)? else { return Ok(None) };
        if self.index.is_read_only() {
            let state = self.index.read(|view| state_here(view, &row))?;
            return Ok(Some(Arc::new(row.in_state(state))));
        }
        // It may just be deleted.
        let _turn = self.turn(&place_of(kind, key)?)?;
        self.adopt_in_turn(kind, key)
    }

    fn adopt_in_turn(&self, kind: &str, key: &Digest) -> Result<Option<Arc<Row>>> {
        let Some(row) = self.find_published(kind, key)? else { return Ok(None) };
        self.take_up(&row, Object::Same(None))?;
        self.indexed(kind, key)
    }

    /// The record, wherever it is; whoever asks has its turn.
    fn known(&self, kind: &str, key: &Digest) -> Result<Option<Arc<Row>>> {
        match self.indexed(kind, key)? {
            None => self.adopt_in_turn(kind, key),
            known => Ok(known),
        }
    }

    /// Puts a record of the storage into the index, unless there is a newer one, in the state that it has among those that
    /// are there; whether it was taken, which one is not that has the id of another.
    fn take_up(&self, row: &Row, object: Object) -> Result<bool> {
        let place = row.place()?;
        self.index.change(|index| {
            if index.is_behind(row.id)? {
                return Ok(true);
            }
            // One that is damaged in the index is read again.
            if let Ok(Some(known)) = index.by_id(row.id)
                && known.place()? != place
            {
                return Ok(false);
            }
            let here = row.in_state(state_here(index, row)?);
            index.put(&here, object)?;
            put_unsettled(index, &here)?;
            Ok(true)
        })
    }

    /// Whether the index has a record as it was found on the storage, in the state that it has among the others.
    pub(crate) fn agrees(&self, row: &Row, found: &Row) -> Result<bool> {
        let state = self.index.read(|view| state_here(view, found))?;
        Ok(found == row || found.in_state(state) == *row)
    }

    /// Publishes all that has still to be.
    fn publish_behind(&self) -> Result<()> {
        let behind = self.index.read(|view| view.behind())?;
        self.publish(&behind)
    }

    /// One that is damaged is none: it is written anew with its result.
    fn find_published(&self, kind: &str, key: &Digest) -> Result<Option<Row>> {
        let Some(published) = &self.published else { return Ok(None) };
        match published.find(kind, key) {
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
            found => found,
        }
    }

    /// The right to change the record that lies there.
    pub(crate) fn turn(&self, place: &Key) -> Result<flight::Lease<'_>> {
        self.turns.enter(place.as_str())
    }

    /// Changes a record.
    pub(crate) fn edit(&self, id: Id, change: impl FnOnce(&mut Row)) -> Result<()> {
        self.reread(id)?;
        self.index.change(|index| {
            let mut row = Row::clone(&*existing(index, id)?);
            change(&mut row);
            index.put(&row, Object::Behind)
        })?;
        self.publish([&id])
    }

    /// Takes up what another machine did to the record.
    pub(crate) fn reread(&self, id: Id) -> Result<()> {
        let (Some(published), true) = (&self.published, self.is_shared()) else { return Ok(()) };
        if self.index.is_read_only() {
            return Ok(());
        }
        let Some(place) = self.index.read(|view| view.place(id))? else { return Ok(()) };
        let _turn = self.turn(&place)?;
        match published.load(&place)? {
            Some(row) => self.take_up(&row, Object::Same(None)).map(drop),
            None => self.index.change(|index| index.remove(id)).map(drop),
        }
    }

    /// Publishes what the index has of these records. Whoever comes last publishes what was changed last.
    pub(crate) fn publish<'a>(&self, ids: impl IntoIterator<Item = &'a Id>) -> Result<()> {
        let Some(published) = &self.published else { return Ok(()) };
        for id in ids {
            let now = || match self.index.read(|view| view.by_id(*id)) {
                // `verify` tells it, and `reindex` reads what the storage has.
                Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
                found => found,
            };
            let Some(row) = now()? else { continue };
            let _turn = self.turn(&row.place()?)?;
            let Some(row) = now()? else { continue };
            let newest =
                if self.is_shared() { newest(published, &row)? } else { Some(row.clone()) };
            if let Some(newest) = &newest {
                published.replace(newest)?;
            }
            self.index.change(|index| match (index.by_id(*id)?, &newest) {
                (Some(now), Some(newest)) if now == row => index.put(newest, Object::Same(None)),
                (Some(now), None) if now == row => index.remove(*id).map(drop),
                _ => Ok(()),
            })?;
        }
        Ok(())
    }

    /// Removes the payload unless a record has it, or may have it that another index knows.
    pub(crate) fn reap(&self, payload: &Digest) -> Result<()> {
        if self.is_shared() {
            return Ok(());
        }
        self.index.change(|index| {
            // Others may have come while this waited. Whose records are not all read may be used by any.
            if !self.is_shared() && !index.is_used(payload)? && !index.is_unread()? {
                self.blobs.remove(payload)?;
            }
            Ok(())
        })
    }

    /// Keeps room in which something can be removed from the index of a full disk.
    pub(crate) fn take_ballast(&self) -> Result<()> {
        self.ballast.as_ref().map_or(Ok(()), Ballast::take)
    }

    /// Does what makes room, or what has to be done before.
    pub(crate) fn making_room<T>(&self, work: impl Fn() -> Result<T>) -> Result<T> {
        match &self.ballast {
            Some(ballast) => ballast.spend(|| self.index.empty_log(), work),
            None => work(),
        }
    }

    /// Removes a record, be it damaged; whether there was one.
    pub(crate) fn delete(&self, id: Id) -> Result<bool> {
        let place = self.index.read(|view| view.place(id))?;
        let turn = || place.as_ref().map(|place| self.turn(place)).transpose();
        let _turn = self.making_room(turn)?;
        let removed = self.making_room(|| self.index.change(|index| index.remove(id)))?;
        let Some(Removed { place, payload }) = removed else { return Ok(false) };
        if let (Some(published), Some(place)) = (&self.published, &place) {
            published.remove(place)?;
        }
        payload.map_or(Ok(()), |payload| self.reap(&payload))?;
        Ok(true)
    }
}

fn half_made() -> Error {
    let message = "the index of the records is not complete, and may not be written: open the store once where it may, or with \
                   an index elsewhere";
    Error::new(ErrorKind::Io, message)
}

/// The record, or the one that another machine has given a payload since; `None` where it has deleted it.
fn newest(published: &Published, row: &Arc<Row>) -> Result<Option<Arc<Row>>> {
    Ok(match published.load(&row.place()?) {
        Ok(Some(theirs)) if theirs.stored_at > row.stored_at => Some(Arc::new(theirs)),
        Ok(None) => None,
        Err(error) if error.kind() != ErrorKind::Corrupt => return Err(error),
        _ => Some(Arc::clone(row)),
    })
}

/// The record, which has to be there.
pub(crate) fn existing(view: &dyn View, id: Id) -> Attempt<Arc<Row>> {
    let missing = || Error::new(ErrorKind::NotFound, format!("there is no record {id}"));
    Ok(view.by_id(id)?.ok_or_else(missing)?)
}

/// Puts what was made from the record into the index in the states that it has now. What follows from other records is not
/// published: the object may say more that was not read yet.
fn put_unsettled(index: &mut dyn Change, row: &Row) -> Attempt<()> {
    for row in unsettled(index, row)? {
        let is_ahead = index.is_behind(row.id)?;
        index.put(&row, if is_ahead { Object::Behind } else { Object::Same(None) })?;
    }
    Ok(())
}

/// Puts records into the index that are to be published.
pub(crate) fn put_all(index: &mut dyn Change, rows: &[Row]) -> Attempt<()> {
    rows.iter().try_for_each(|row| index.put(row, Object::Behind))
}
