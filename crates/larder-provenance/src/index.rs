//! Where records are looked up: all that is known of each result but its payload.

use std::{collections::HashMap, path::Path, sync::Arc, vec};

use larder_sqlite::{Attempt, Failure};
use larder_storage::{Digest, Durability, Error, ErrorKind, Key, Problem, Result};

use crate::{Id, Source, backend::Known, report::damage, row::Row};

mod memory;
mod sqlite;

use memory::Memory;
use sqlite::Sqlite;
pub use sqlite::{APPLICATION_ID, FORMAT_VERSION, is_store, repair_index};

/// What can be asked of an index.
pub(crate) trait View {
    fn by_id(&self, id: Id) -> Attempt<Option<Arc<Row>>>;

    fn by_key(&self, kind: &str, key: &Digest) -> Attempt<Option<Arc<Row>>>;

    /// The records that were made from this, in order.
    fn children(&self, source: &Source) -> Attempt<Vec<Id>>;

    /// Whether a record has the payload.
    fn is_used(&self, payload: &Digest) -> Attempt<bool>;

    /// Up to `limit` records after the id `after`, which is empty for the first page: those of one kind that have a
    /// payload, or all.
    fn page(&self, kind: Option<&str>, after: &[u8], limit: usize) -> Attempt<Page>;

    /// Up to `limit` records of an operation, the newest first.
    fn of_operation(&self, kind: &str, operation: &str, limit: usize) -> Attempt<Vec<Arc<Row>>>;

    /// The records that have the tag, in order.
    fn tagged(&self, tag: &str) -> Attempt<Vec<Id>>;

    /// How many records of the kind have a payload.
    fn count(&self, kind: &str) -> Attempt<u64>;

    fn totals(&self) -> Attempt<Totals>;

    /// The sound records of a database, by where they lie on the storage.
    fn known(&self) -> Attempt<HashMap<Key, Known>>;

    /// The records of a database that have still to be published.
    fn behind(&self) -> Attempt<Vec<Id>>;

    fn is_behind(&self, id: Id) -> Attempt<bool>;

    /// Whether the storage has still to be read, or to its end.
    fn is_unread(&self) -> Attempt<bool>;

    /// Where the record lies on the storage, also one that is damaged in a database.
    fn place(&self, id: Id) -> Attempt<Option<Key>>;
}

/// What can be done to an index.
pub(crate) trait Change: View {
    /// Adds the record in the place of those with its id or its key.
    fn put(&mut self, row: &Row, object: Object) -> Attempt<()>;

    /// Removes the record, whatever is left of it.
    fn remove(&mut self, id: Id) -> Attempt<Option<Removed>>;

    /// Removes all records but those that have still to be published, and says that the storage is unread.
    fn clear(&mut self) -> Attempt<()>;

    /// Says that the storage was read to its end.
    fn set_read(&mut self) -> Attempt<()>;
}

/// What lies on the storage in the place of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    /// The same record. Where it was read from there: when it was published, in nanoseconds since 1970.
    Same(Option<i64>),
    /// An older one: this one has still to be published.
    Behind,
}

/// A record that is removed; what of it can be told.
#[derive(Debug)]
pub(crate) struct Removed {
    pub(crate) place: Option<Key>,
    pub(crate) payload: Option<Digest>,
}

/// Records in the order of their ids.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) rows: Vec<Result<Arc<Row>, Damaged>>,
    /// The id of the last one, as it is kept.
    pub(crate) last: Vec<u8>,
}

/// Records of an index. An item is an error where a record is damaged, which does not end the listing, or where the database
/// fails, which does.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    index: &'a Index,
    kind: Option<&'static str>,
    page: vec::IntoIter<Result<Arc<Row>, Damaged>>,
    after: Vec<u8>,
    is_done: bool,
}

impl Rows<'_> {
    const PAGE: usize = 1000;

    fn turn(&mut self) -> Result<()> {
        // Ended first, so that a failure ends it.
        self.is_done = true;
        let page = self.index.read(|view| view.page(self.kind, &self.after, Self::PAGE))?;
        self.is_done = page.rows.len() < Self::PAGE;
        (self.page, self.after) = (page.rows.into_iter(), page.last);
        Ok(())
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Arc<Row>, Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.as_slice().is_empty()
            && !self.is_done
            && let Err(error) = self.turn()
        {
            return Some(Err(Damaged { place: "database".to_owned(), error }));
        }
        self.page.next()
    }
}

/// A record that is not as it was written.
#[derive(Debug)]
pub(crate) struct Damaged {
    /// Its id.
    pub(crate) place: String,
    pub(crate) error: Error,
}

impl Damaged {
    fn new(id: &[u8]) -> Self {
        let place = match id.try_into() {
            Ok(id) => Id::from_bytes(id).to_string(),
            Err(_) => id.iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        let message = format!("record {place} is damaged in the index: `reindex` reads it again");
        Self { place, error: Error::new(ErrorKind::Corrupt, message) }
    }

    /// What to tell of it; the error itself where it was not the record but the database that failed.
    pub(crate) fn problem(self) -> Result<Problem> {
        damage(self.place, self.error)
    }
}

/// Sums over an index.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// How many records with payloads there are of each kind.
    pub(crate) kinds: Vec<(String, u64)>,
    /// How many records have none.
    pub(crate) without: u64,
    /// How many different payloads there are.
    pub(crate) payloads: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

/// An index that lives as long as this value, or a database.
#[derive(Debug)]
pub(crate) enum Index {
    Memory(Memory),
    Sqlite(Box<Sqlite>),
}

impl Index {
    pub(crate) fn in_memory() -> Self {
        Self::Memory(Memory::default())
    }

    pub(crate) fn open(dir: &Path, durability: Durability) -> Result<Self> {
        Sqlite::open(dir, durability).map(Box::new).map(Self::Sqlite)
    }

    /// Whether its directory may not be written.
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self, Self::Sqlite(sqlite) if sqlite.is_read_only())
    }

    /// Makes the best of the room that there is on a full disk.
    pub(crate) fn empty_log(&self) -> Result<()> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Sqlite(sqlite) => sqlite.empty_log(),
        }
    }

    /// Runs `work` on the records; others may change them between two questions.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&dyn View) -> Attempt<T>) -> Result<T> {
        match self {
            Self::Memory(memory) => memory.read(work).map_err(plain),
            Self::Sqlite(sqlite) => sqlite.read(work),
        }
    }

    /// The records of one kind that have a payload, or all, in the order of their ids, read in pages as they are asked for.
    pub(crate) fn rows(&self, kind: Option<&'static str>) -> Rows<'_> {
        Rows {
            index: self,
            kind,
            page: vec::IntoIter::default(),
            after: Vec::new(),
            is_done: false,
        }
    }

    /// Runs `work` while no other change can be made, in any process. Of a change that fails nothing is left in a
    /// database; in memory, what was done before stays.
    pub(crate) fn change<T>(&self, work: impl FnOnce(&mut dyn Change) -> Attempt<T>) -> Result<T> {
        match self {
            Self::Memory(memory) => memory.change(work).map_err(plain),
            Self::Sqlite(sqlite) => sqlite.change(work),
        }
    }

    /// What is wrong with the structure of the index, so that nothing in it can be relied on.
    pub(crate) fn damage(&self) -> Result<Option<String>> {
        match self {
            Self::Memory(_) => Ok(None),
            Self::Sqlite(sqlite) => sqlite.damage(),
        }
    }

    /// What is wrong between sound records.
    pub(crate) fn faults(&self) -> Result<Vec<String>> {
        match self {
            Self::Memory(_) => Ok(Vec::new()),
            Self::Sqlite(sqlite) => sqlite.faults(),
        }
    }
}

/// The failure of work in which there is no database.
fn plain(failure: Failure) -> Error {
    match failure {
        Failure::Work(error) => error,
        Failure::Sqlite(error) => {
            Error::new(ErrorKind::Backend, "the database failed").with_source(error)
        }
    }
}
