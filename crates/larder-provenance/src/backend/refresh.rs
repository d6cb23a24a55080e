//! Bringing the index up to what lies on the storage.

use std::{
    collections::HashMap,
    panic::resume_unwind,
    thread,
    time::{Duration, SystemTime},
};

use larder_sqlite::Attempt;
use larder_storage::{Entry, Error, ErrorKind, Key, Problem, Result, time};
use serde::Serialize;

use super::{Backend, put_unsettled, states::state_here};
use crate::{
    Id,
    index::{Change, Object},
    published::Published,
    report::damage,
    row::Row,
};

/// What [`refresh`](crate::ProvenanceStore::refresh) did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Refreshed {
    /// How many records were read, because they are new or may have changed.
    pub read: u64,
    /// How many are gone from the storage, and so from the index.
    pub removed: u64,
    /// Records on the storage that cannot be read; the index keeps what it had of them.
    pub problems: Vec<Problem>,
}

/// An object may change again within so long and bear the same time, as storages may count in seconds.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

/// How far the clock of a storage elsewhere may be from that of this machine: those of S3 and Azure refuse who is further off.
const CLOCKS_DIFFER: Duration = Duration::from_mins(15);

/// How many requests are under way at once.
const REQUESTS: usize = 16;

/// A record in the index.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) id: Id,
    pub(crate) object: Object,
}

impl Backend {
    /// Reads what is new on the storage or may have changed.
    pub(crate) fn refresh(&self) -> Result<Refreshed> {
        let mut done = Refreshed::default();
        let Some(published) = &self.published else { return Ok(done) };
        // Before the listing: what is added meanwhile is not missed there.
        let mut known: HashMap<Key, Known> = self.index.read(|view| view.known())?;
        let (mut is_empty, mut unread) = (true, Vec::new());
        for entry in published.list()? {
            let entry = entry?;
            is_empty = false;
            match known.remove(&entry.key) {
                Some(Known { id, object: Object::Behind }) => self.publish(&[id])?,
                Some(known) if known.object == read_at(&entry) => {}
                _ => unread.push(entry),
            }
        }
        if is_empty {
            refuse_other_storage(&known)?;
        }
        for read in self.each(&unread, |entry| self.read(published, entry))? {
            match read {
                Read::Taken => done.read += 1,
                Read::Gone => {}
                Read::Wrong(problem) => done.problems.push(problem),
            }
        }
        for (place, Known { id, object }) in known {
            if object == Object::Behind {
                self.publish(&[id])?;
                continue;
            }
            let _turn = self.turn(&place)?;
            match published.load(&place) {
                Ok(None) => {
                    self.index.change(|index| index.remove(id))?;
                    done.removed += 1;
                }
                Ok(Some(_)) => {}
                Err(error) => done.problems.push(damage(&place, error)?),
            }
        }
        self.publish_behind()?;
        if self.index.read(|view| view.is_unread())? {
            self.index.change(|index| index.set_read())?;
        }
        Ok(done)
    }

    /// Reads all there is on the storage.
    pub(crate) fn reindex(&self) -> Result<Refreshed> {
        let Some(published) = &self.published else { return Ok(Refreshed::default()) };
        self.publish_behind()?;
        let entries: Vec<_> = published.list()?.collect::<Result<_>>()?;
        let rows = self.each(&entries, |entry| match published.load(&entry.key) {
            Ok(row) => Ok(row.map(|row| (row, object(published, entry)))),
            // It is told below.
            Err(error) => damage(&entry.key, error).map(|_| None),
        })?;
        let rows: Vec<(Row, Object)> = rows.into_iter().flatten().collect();
        self.index.change(|index| {
            index.clear()?;
            for (row, object) in &rows {
                if !index.is_behind(row.id)? && index.by_id(row.id)?.is_none() {
                    index.put(row, *object)?;
                }
            }
            rows.iter().try_for_each(|(row, object)| settle(index, row.id, *object))
        })?;
        // Reads what was added or changed since.
        Ok(Refreshed { read: rows.len() as u64, ..self.refresh()? })
    }

    fn read(&self, published: &Published, entry: &Entry) -> Result<Read> {
        let _turn = self.turn(&entry.key)?;
        let row = match published.load(&entry.key) {
            Err(error) => return damage(&entry.key, error).map(Read::Wrong),
            Ok(None) => return Ok(Read::Gone),
            Ok(Some(row)) => row,
        };
        if self.take_up(&row, object(published, entry))? {
            return Ok(Read::Taken);
        }
        let what = "the record has the id of another one: remove one of the two";
        Ok(Read::Wrong(Problem::new(&entry.key, what)))
    }

    /// Where records lie on the storage that the index does not have.
    pub(crate) fn unknown(&self) -> Result<Vec<Key>> {
        let Some(published) = &self.published else { return Ok(Vec::new()) };
        let known = self.index.read(|view| view.known())?;
        let places = published.list()?.map(|entry| entry.map(|entry| entry.key));
        places.filter(|place| !place.as_ref().is_ok_and(|it| known.contains_key(it))).collect()
    }

    /// Does `work` on each, on several threads where the storage is elsewhere and each waits for an answer.
    pub(super) fn each<T: Send>(
        &self,
        entries: &[Entry],
        work: impl Fn(&Entry) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let work = &work;
        if self.published.as_ref().is_none_or(Published::is_local) {
            return entries.iter().map(work).collect();
        }
        let share = entries.len().div_ceil(REQUESTS).max(1);
        thread::scope(|scope| {
            let all = move |entries: &[Entry]| entries.iter().map(work).collect::<Result<Vec<T>>>();
            let start = |entries| scope.spawn(move || all(entries));
            let workers: Vec<_> = entries.chunks(share).map(start).collect();
            let mut done = Vec::with_capacity(entries.len());
            for worker in workers {
                done.extend(worker.join().unwrap_or_else(|panic| resume_unwind(panic))?);
            }
            Ok(done)
        })
    }
}

/// What became of an object that was to be read.
enum Read {
    Taken,
    Gone,
    Wrong(Problem),
}

/// Gives a record the state that it has among those that are there, and then what was made from it.
fn settle(index: &mut dyn Change, id: Id, object: Object) -> Attempt<()> {
    let Some(row) = index.by_id(id)? else { return Ok(()) };
    let here = row.in_state(state_here(index, &row)?);
    if here != *row && !index.is_behind(id)? {
        index.put(&here, object)?;
    }
    put_unsettled(index, &here)
}

/// How an object counts that was just read.
fn object(published: &Published, entry: &Entry) -> Object {
    let differ = if published.is_local() { Duration::ZERO } else { CLOCKS_DIFFER };
    let age = SystemTime::now().duration_since(entry.modified);
    if age.is_ok_and(|age| age >= SETTLED_AFTER + differ) {
        read_at(entry)
    } else {
        Object::Same(None)
    }
}

fn read_at(entry: &Entry) -> Object {
    Object::Same(Some(time::to_ns(entry.modified)))
}

/// Refuses a storage without records that is hardly the one of this index, which would be emptied.
fn refuse_other_storage(known: &HashMap<Key, Known>) -> Result<()> {
    if known.values().all(|known| known.object == Object::Behind) {
        return Ok(());
    }
    let message = "the storage has no record and its index has some: is it the index of another storage? \
                   `reindex` makes it the index of this one";
    Err(Error::new(ErrorKind::Invalid, message))
}
