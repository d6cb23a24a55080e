//! Bringing the index up to what lies on the storage.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use larder_storage::{Entry, Error, ErrorKind, Key, Problem, Result, time};
use serde::Serialize;

use super::Backend;
use crate::{Id, index::Object, published::Published, report::damage};

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
        let mut seen = 0_u64;
        for entry in published.list()? {
            let entry = entry?;
            seen += 1;
            match known.remove(&entry.key) {
                Some(Known { id, object: Object::Behind }) => self.publish(&[id])?,
                Some(known) if known.object == read_at(&entry) => {}
                _ => self.read(published, &entry, &mut done)?,
            }
        }
        if seen == 0 {
            refuse_other_storage(&known)?;
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
        let mut rows = Vec::new();
        for entry in published.list()? {
            let place = entry?.key;
            match published.load(&place) {
                Ok(row) => rows.extend(row),
                // It is told below.
                Err(error) => _ = damage(&place, error)?,
            }
        }
        // What was added or changed since is read below.
        self.index.change(|index| {
            index.clear()?;
            for row in &rows {
                if !index.is_behind(row.id)? && index.by_id(row.id)?.is_none() {
                    index.put(row, Object::Same(None))?;
                }
            }
            Ok(())
        })?;
        self.refresh()
    }

    fn read(&self, published: &Published, entry: &Entry, done: &mut Refreshed) -> Result<()> {
        let _turn = self.turn(&entry.key)?;
        let row = match published.load(&entry.key) {
            Err(error) => {
                done.problems.push(damage(&entry.key, error)?);
                return Ok(());
            }
            Ok(row) => row,
        };
        let Some(row) = row else { return Ok(()) };
        let is_settled =
            SystemTime::now().duration_since(entry.modified).is_ok_and(|age| age >= SETTLED_AFTER);
        let object = if is_settled { read_at(entry) } else { Object::Same(None) };
        if self.take_up(&row, object)? {
            done.read += 1;
        } else {
            let what = "the record has the id of another one: remove one of the two";
            done.problems.push(Problem::new(&entry.key, what));
        }
        Ok(())
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
