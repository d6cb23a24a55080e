//! Bringing the index up to what lies on the storage.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use larder_storage::{Entry, ErrorKind, Key, Problem, Result, time};
use serde::Serialize;

use super::Backend;
use crate::{Id, index::Object, published::Published};

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
        for entry in published.list()? {
            let entry = entry?;
            match known.remove(&entry.key) {
                Some(Known { id, object: Object::Behind }) => self.publish(&[id])?,
                Some(known) if known.object == read_at(&entry) => {}
                _ => self.read(published, &entry, &mut done)?,
            }
        }
        for (place, Known { id, object }) in known {
            if object == Object::Behind {
                self.publish(&[id])?;
                continue;
            }
            let _turn = self.turn(&place)?;
            if matches!(published.load(&place), Ok(None)) {
                self.index.change(|index| index.remove(id))?;
                done.removed += 1;
            }
        }
        Ok(done)
    }

    /// Reads all there is on the storage.
    pub(crate) fn reindex(&self) -> Result<Refreshed> {
        if !self.is_durable() {
            return Ok(Refreshed::default());
        }
        let behind = self.index.read(|view| view.behind())?;
        self.publish(&behind)?;
        self.index.change(|index| index.clear())?;
        self.refresh()
    }

    fn read(&self, published: &Published, entry: &Entry, done: &mut Refreshed) -> Result<()> {
        let _turn = self.turn(&entry.key)?;
        let row = match published.load(&entry.key) {
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Format) => {
                done.problems.push(Problem::new(&entry.key, error.chain()));
                return Ok(());
            }
            loaded => loaded?,
        };
        let Some(row) = row else { return Ok(()) };
        let is_settled =
            SystemTime::now().duration_since(entry.modified).is_ok_and(|age| age >= SETTLED_AFTER);
        let object = if is_settled { read_at(entry) } else { Object::Same(None) };
        self.take_up(&row, object)?;
        done.read += 1;
        Ok(())
    }
}

fn read_at(entry: &Entry) -> Object {
    Object::Same(Some(time::to_ns(entry.modified)))
}
