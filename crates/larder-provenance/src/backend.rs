//! What all stores on one directory share: the records in the index and on the storage, and their payloads.

use std::{collections::HashSet, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use larder_sqlite::Attempt;
use larder_storage::{
    Digest, Durability, Error, ErrorKind, Key, MemoryStorage, RESERVED_SEGMENT, Result, Storage,
    flight::{self, Flights},
};

use crate::{
    Encoded, Id, Provenance, Source, State,
    blobs::Blobs,
    index::{Change, Index, Object, Removed, Rows, View},
    published::{First, Published},
    row::{Content, Keyed, Row, place_of},
};

mod refresh;

pub(crate) use refresh::Known;
pub use refresh::Refreshed;

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
    /// Whether others with an index of their own may use the payloads.
    pub(crate) is_shared: bool,
}

/// What is known of a provenance.
pub(crate) enum Lookup {
    Hit(Arc<Row>, Bytes),
    /// There is a record, but no payload that can be relied on.
    Stale(Arc<Row>),
    Miss,
}

/// What became of a record of another store.
pub(crate) enum Taken {
    Added,
    /// This one is here already.
    Found(Arc<Row>),
}

/// What a caller stores.
pub(crate) struct Draft<'a> {
    pub(crate) kind: &'static str,
    pub(crate) version: u32,
    pub(crate) encoded: &'a Encoded,
    pub(crate) seen: Vec<Option<Digest>>,
    pub(crate) cost: Option<Duration>,
}

impl Backend {
    pub(crate) fn in_memory() -> Self {
        Self::with_payloads(Arc::new(MemoryStorage::new()))
    }

    pub(crate) fn with_payloads(storage: Arc<dyn Storage>) -> Self {
        Self {
            index: Index::in_memory(),
            blobs: Blobs::new(storage, Durability::Scratch, false),
            published: None,
            flights: Flights::new(),
            turns: Flights::new(),
            is_shared: false,
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
        let is_shared = storage.local_root() != Some(dir);
        let backend = Self {
            index: Index::open(dir, durability)?,
            blobs: Blobs::new(Arc::clone(&storage), durability, is_shared),
            published: Some(Published::new(storage)),
            flights,
            turns: Flights::across_processes(flights_in(dir)),
            is_shared,
        };
        // A new index, or one that was moved aside.
        if backend.index.read(|view| view.page(None, &[], 1))?.rows.is_empty() {
            backend.refresh()?;
        }
        let behind = backend.index.read(|view| view.behind())?;
        backend.publish(&behind)?;
        Ok(backend)
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
            // Another machine may have it anew.
            Lookup::Stale(row) if self.is_shared => match self.adopt(kind, key)? {
                Some(found) if found != row => self.judge(found),
                _ => Ok(Lookup::Stale(row)),
            },
            judged => Ok(judged),
        }
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
        if self.find_published(kind, key)?.is_none() {
            return Ok(None);
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

    /// Puts a record of the storage into the index, unless there is a newer one.
    fn take_up(&self, row: &Row, object: Object) -> Result<()> {
        self.index.change(|index| {
            let is_newer_here = index.behind()?.contains(&row.id);
            if is_newer_here { Ok(()) } else { index.put(row, object) }
        })
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
    fn turn(&self, place: &Key) -> Result<flight::Lease<'_>> {
        self.turns.enter(place.as_str())
    }

    /// The record, if its payload can be relied on.
    pub(crate) fn settled(&self, row: &Arc<Row>) -> Result<Option<Arc<Row>>> {
        match row.state {
            State::Live => return Ok(Some(Arc::clone(row))),
            State::Doubtful => {}
            State::Collected | State::Invalid => return Ok(None),
        }
        let live = self.index.change(|index| {
            let live = undoubted(index, row)?;
            put_all(index, &live)?;
            Ok(live)
        })?;
        self.publish(live.iter().map(|row| &row.id))?;
        Ok(live.into_iter().find(|live| live.id == row.id).map(Arc::new))
    }

    /// Of each input that is a record the payload that it has now.
    ///
    /// # Errors
    ///
    /// `NotFound` where one is not there, or is to be computed anew.
    pub(crate) fn seen(&self, provenance: &Provenance) -> Result<Vec<Option<Digest>>> {
        let seen = provenance.inputs().iter().map(|input| match input.source() {
            Source::Content(_) => Ok(None),
            Source::Record(id) => self.payload_of(*id, provenance.operation()).map(Some),
        });
        seen.collect()
    }

    fn payload_of(&self, id: Id, operation: &str) -> Result<Digest> {
        let missing = |what| {
            let message = format!("input {id} of {operation:?} {what}");
            Err(Error::new(ErrorKind::NotFound, message))
        };
        match self.index.read(|view| view.by_id(id))? {
            None => missing(
                "is no record of this store: store it first, or name it by the digest of its content",
            ),
            Some(row) if row.state.is_sound() => Ok(row.content.payload),
            Some(row) => match self.settled(&row)? {
                Some(row) => Ok(row.content.payload),
                None => missing("was invalidated: compute it anew first"),
            },
        }
    }

    /// Stores a result, in the place of the one of the record `stale`; returns its record.
    ///
    /// # Errors
    ///
    /// `NonDeterministic` where the provenance has another result already.
    pub(crate) fn keep(
        &self,
        draft: Draft<'_>,
        keyed: Option<&Keyed>,
        stale: Option<&Row>,
    ) -> Result<Arc<Row>> {
        let Encoded { bytes, summary } = draft.encoded;
        let payload = Digest::of(bytes);
        self.blobs.store(&payload, bytes)?;
        let content = Content {
            version: draft.version,
            payload,
            payload_len: bytes.len() as u64,
            summary: summary.clone(),
            cost_ns: draft.cost.map(|cost| u64::try_from(cost.as_nanos()).unwrap_or(u64::MAX)),
            seen: draft.seen,
        };
        let kept = match keyed {
            None => self.add(Row::new(draft.kind, None, content), bytes),
            Some(keyed) => self.keep_once(draft.kind, keyed, content, stale, bytes),
        };
        if !kept.as_ref().is_ok_and(|row| row.content.payload == payload) {
            // What is left is harmless, and `verify` counts it.
            let _ = self.reap(&payload);
        }
        kept
    }

    fn keep_once(
        &self,
        kind: &'static str,
        keyed: &Keyed,
        content: Content,
        stale: Option<&Row>,
        bytes: &Bytes,
    ) -> Result<Arc<Row>> {
        let turn = self.turn(&place_of(kind, &keyed.key)?)?;
        loop {
            let known = match self.indexed(kind, &keyed.key)? {
                None => self.adopt_in_turn(kind, &keyed.key)?,
                known => known,
            };
            let Some(known) = known else {
                let row = Row::new(kind, Some(keyed), content.clone());
                match self.published.as_ref().map_or(Ok(First::Ours), |it| it.create(&row))? {
                    First::Ours => return self.enter(row, Some(bytes)),
                    First::Theirs(theirs) => self.take_up(&theirs, Object::Same(None))?,
                }
                continue;
            };
            if known.state == State::Live && stale != Some(&*known) {
                let is_same = content.is_same(&known.content);
                return if is_same { Ok(known) } else { Err(non_deterministic(&known, keyed)) };
            }
            if let Some((row, changed)) = self.replace(&known, content.clone(), bytes)? {
                drop(turn);
                self.publish(&changed)?;
                return Ok(row);
            }
        }
    }

    /// Adds a record that has no provenance.
    fn add(&self, row: Row, bytes: &Bytes) -> Result<Arc<Row>> {
        let _turn = self.turn(&row.place()?)?;
        self.published.as_ref().map_or(Ok(()), |published| published.replace(&row))?;
        self.enter(row, Some(bytes))
    }

    /// Puts a record that is on the storage into the index.
    fn enter(&self, row: Row, bytes: Option<&Bytes>) -> Result<Arc<Row>> {
        self.index.change(|index| {
            bytes.map_or(Ok(()), |bytes| self.ensure(&row, bytes))?;
            index.put(&row, Object::Same(None))
        })?;
        Ok(Arc::new(row))
    }

    /// Gives a record another content; `None` where it is not as it was any more. What was made from another payload
    /// is doubtful then. Returns also all that is to be published.
    fn replace(
        &self,
        known: &Row,
        content: Content,
        bytes: &Bytes,
    ) -> Result<Option<(Arc<Row>, Vec<Id>)>> {
        let row = known.with(content);
        let changes_payload = row.content.payload != known.content.payload;
        let doubtful = self.index.change(|index| {
            if index.by_id(row.id)?.as_deref() != Some(known) {
                return Ok(None);
            }
            self.ensure(&row, bytes)?;
            let doubtful = if changes_payload { doubted(index, row.id)? } else { Vec::new() };
            put_all(index, &doubtful)?;
            index.put(&row, Object::Behind)?;
            Ok(Some(doubtful))
        })?;
        if changes_payload && doubtful.is_some() {
            // What is left is harmless, and `verify` counts it.
            let _ = self.reap(&known.content.payload);
        }
        let ids = |rows: Vec<Row>| rows.iter().map(|row| row.id).chain([row.id]).collect();
        Ok(doubtful.map(ids).map(|ids| (Arc::new(row), ids)))
    }

    /// Adds a record of another store with its payload, unless it is here.
    pub(crate) fn take(&self, row: &Row, bytes: Option<&Bytes>) -> Result<Taken> {
        if let Some(bytes) = bytes {
            self.blobs.store(&row.content.payload, bytes)?;
        }
        let taken = self.take_in_turn(row, bytes);
        if !matches!(taken, Ok(Taken::Added)) {
            // What is left is harmless, and `verify` counts it.
            let _ = self.reap(&row.content.payload);
        }
        taken
    }

    fn take_in_turn(&self, row: &Row, bytes: Option<&Bytes>) -> Result<Taken> {
        let _turn = self.turn(&row.place()?)?;
        let by_key = match &row.key {
            Some(key) => match self.indexed(&row.kind, key)? {
                None => self.adopt_in_turn(&row.kind, key)?,
                known => known,
            },
            None => None,
        };
        let known =
            by_key.map_or_else(|| self.index.read(|view| view.by_id(row.id)), |it| Ok(Some(it)));
        if let Some(known) = known? {
            return Ok(Taken::Found(known));
        }
        let row = row.in_state(self.index.read(|view| state_here(view, row))?);
        match self.published.as_ref().map_or(Ok(First::Ours), |it| it.create(&row))? {
            First::Ours => self.enter(row, bytes).map(|_| Taken::Added),
            First::Theirs(theirs) => {
                self.take_up(&theirs, Object::Same(None))?;
                Ok(Taken::Found(Arc::new(theirs)))
            }
        }
    }

    /// Writes the payload where somebody has removed it, as long as no record had it.
    fn ensure(&self, row: &Row, bytes: &Bytes) -> Result<()> {
        if self.is_shared { Ok(()) } else { self.blobs.ensure(&row.content.payload, bytes) }
    }

    /// Changes a record.
    pub(crate) fn edit(&self, id: Id, change: impl FnOnce(&mut Row)) -> Result<()> {
        self.index.change(|index| {
            let mut row = Row::clone(&*existing(index, id)?);
            change(&mut row);
            index.put(&row, Object::Behind)
        })?;
        self.publish([&id])
    }

    /// Publishes what the index has of these records. Whoever comes last publishes what was changed last.
    pub(crate) fn publish<'a>(&self, ids: impl IntoIterator<Item = &'a Id>) -> Result<()> {
        let Some(published) = &self.published else { return Ok(()) };
        for id in ids {
            let now = || self.index.read(|view| view.by_id(*id));
            let Some(row) = now()? else { continue };
            let _turn = self.turn(&row.place()?)?;
            let Some(row) = now()? else { continue };
            published.replace(&row)?;
            self.index.change(|index| match index.by_id(*id)? {
                Some(now) if now == row => index.put(&row, Object::Same(None)),
                _ => Ok(()),
            })?;
        }
        Ok(())
    }

    /// Removes the payload unless a record has it, or may have it that another index knows.
    pub(crate) fn reap(&self, payload: &Digest) -> Result<()> {
        if self.is_shared {
            return Ok(());
        }
        self.index.change(|index| {
            if !index.is_used(payload)? {
                self.blobs.remove(payload)?;
            }
            Ok(())
        })
    }

    /// Removes a payload that no record has, however it came there.
    pub(crate) fn sweep(&self, payload: &Digest) -> Result<()> {
        if self.is_shared { self.blobs.remove(payload) } else { self.reap(payload) }
    }

    /// Removes a record that has to be of this kind, or is damaged; whether there was one.
    pub(crate) fn delete(&self, id: Id, row: Option<&Row>) -> Result<bool> {
        let place = row.map(Row::place).transpose()?;
        let _turn = place.map(|place| self.turn(&place)).transpose()?;
        let Some(Removed { place, payload }) = self.index.change(|index| index.remove(id))? else {
            return Ok(false);
        };
        if let (Some(published), Some(place)) = (&self.published, &place) {
            published.remove(place)?;
        }
        payload.map_or(Ok(()), |payload| self.reap(&payload))?;
        Ok(true)
    }
}

/// The state of a record of another store among those that are here.
fn state_here(view: &dyn View, row: &Row) -> Attempt<State> {
    for (parent, seen) in row.parents()? {
        let Some(parent) = view.by_id(parent)? else { continue };
        if !parent.state.is_sound() || Some(parent.content.payload) != seen {
            return Ok(row.state.doubted());
        }
    }
    Ok(row.state)
}

/// The record, which has to be there.
pub(crate) fn existing(view: &dyn View, id: Id) -> Attempt<Arc<Row>> {
    let missing = || Error::new(ErrorKind::NotFound, format!("there is no record {id}"));
    Ok(view.by_id(id)?.ok_or_else(missing)?)
}

/// Puts records into the index that are to be published.
pub(crate) fn put_all(index: &mut dyn Change, rows: &[Row]) -> Attempt<()> {
    rows.iter().try_for_each(|row| index.put(row, Object::Behind))
}

/// The doubtful records that are live after all if `row` is, itself among them; none if it is not.
fn undoubted(view: &dyn View, row: &Row) -> Attempt<Vec<Row>> {
    let (mut live, mut known) = (Vec::new(), HashSet::from([row.id]));
    let mut open = vec![view.by_id(row.id)?];
    while let Some(row) = open.pop() {
        let Some(row) = row.filter(|row| row.state == State::Doubtful) else {
            return Ok(Vec::new());
        };
        for (id, seen) in row.parents()? {
            let parent = view.by_id(id)?;
            match &parent {
                Some(parent) if Some(parent.content.payload) != seen => return Ok(Vec::new()),
                Some(parent) if parent.state.is_sound() => {}
                _ if known.insert(id) => open.push(parent),
                _ => {}
            }
        }
        live.push(row.in_state(State::Live));
    }
    Ok(live)
}

/// What was made from the record, at any remove, as it is where the record is to be computed anew.
pub(crate) fn doubted(view: &dyn View, id: Id) -> Attempt<Vec<Row>> {
    let (mut rows, mut known, mut open) = (Vec::new(), HashSet::from([id]), vec![id]);
    while let Some(id) = open.pop() {
        for child in view.children(&Source::Record(id))? {
            let Some(row) = view.by_id(child)? else { continue };
            if row.state.is_sound() && known.insert(child) {
                rows.push(row.in_state(row.state.doubted()));
                open.push(child);
            }
        }
    }
    Ok(rows)
}

fn non_deterministic(row: &Row, keyed: &Keyed) -> Error {
    let message = format!(
        "{:?} gave another result than record {} has, which is of the same provenance: name what differs in it, \
         or invalidate the record",
        keyed.provenance.operation(),
        row.id
    );
    Error::new(ErrorKind::NonDeterministic, message)
}
