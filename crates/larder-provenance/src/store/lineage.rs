//! What was made from what.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    fmt,
};

use larder_storage::Result;

use super::ProvenanceStore;
use crate::{Id, Lineage, LineageRecord, Payload, Source, backend::existing, index::Index};

/// A record that another one was made from or that was made from it, at some remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Relative {
    /// Its id. A record that was deleted has relatives still.
    pub id: Id,
    /// How many steps away it is, from 1 on, by the shortest way.
    pub distance: u64,
}

/// The ancestors or descendants of a record, the nearest first, each once: looked up as they are asked for.
///
/// An item is an error where a record is damaged or the database fails; what lies behind a damaged record is not found.
pub struct Relatives<'a> {
    index: &'a Index,
    next: fn(&Index, Id) -> Result<Vec<Id>>,
    known: HashSet<Id>,
    /// Whose neighbours are to be looked up.
    open: VecDeque<Relative>,
    /// Neighbours of the last one.
    found: VecDeque<Relative>,
}

impl<T: Payload> ProvenanceStore<T> {
    /// All that the record was made from, of all kinds: its inputs that are records, theirs, and so on.
    pub fn ancestors(&self, id: Id) -> Relatives<'_> {
        Relatives::of(&self.backend.index, parents, id)
    }

    /// All that was made from the record, of all kinds.
    pub fn descendants(&self, id: Id) -> Relatives<'_> {
        Relatives::of(&self.backend.index, children, id)
    }

    /// The record, all that it was made from, and all that was made from it, with what else went directly into that.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such record; otherwise as an item of [`ancestors`](Self::ancestors).
    pub fn lineage(&self, id: Id) -> Result<Lineage> {
        self.backend.index.read(|view| existing(view, id))?;
        let relatives = self.ancestors(id).chain(self.descendants(id));
        let ids = relatives.map(|relative| Ok(relative?.id)).collect::<Result<Vec<_>>>()?;
        self.lineage_of([id].into_iter().chain(ids))
    }

    /// These records, with the edges from all that they were made from directly, and the records at the other ends. An id
    /// that is in no record is left out: one that was deleted has relatives still.
    ///
    /// # Errors
    ///
    /// As an item of [`ancestors`](Self::ancestors).
    pub fn lineage_of(&self, ids: impl IntoIterator<Item = Id>) -> Result<Lineage> {
        let mut lineage: Lineage = self.lineage_records(ids)?.into_iter().collect();
        let known: HashSet<Id> = lineage.records.iter().map(|it| it.record.id).collect();
        let beside: BTreeSet<Id> = lineage
            .edges
            .iter()
            .filter_map(|edge| match edge.source {
                Source::Record(id) => Some(id),
                Source::Content(_) => None,
            })
            .filter(|id| !known.contains(id))
            .collect();
        lineage.records.extend(self.lineage_records(beside)?);
        Ok(lineage)
    }

    fn lineage_records(&self, ids: impl IntoIterator<Item = Id>) -> Result<Vec<LineageRecord>> {
        let mut records = Vec::new();
        for id in ids {
            let Some(record) = self.record(id)? else { continue };
            records.push(LineageRecord::new(record));
        }
        Ok(records)
    }

    /// The records that were made directly from a record or a content, in order.
    ///
    /// # Errors
    ///
    /// `Io` or `Backend` where the database fails.
    pub fn made_from(&self, source: impl Into<Source>) -> Result<Vec<Id>> {
        let source = source.into();
        self.backend.index.read(|view| view.children(&source))
    }

    /// A shortest way on which the record `to` was made from the record `from`, both included; `None` where it was not.
    ///
    /// # Errors
    ///
    /// As an item of [`ancestors`](Self::ancestors).
    pub fn path(&self, from: Id, to: Id) -> Result<Option<Vec<Id>>> {
        let (mut below, mut open) = (HashMap::from([(to, to)]), VecDeque::from([to]));
        while let Some(id) = open.pop_front() {
            if id == from {
                let way = std::iter::successors(Some(id), |id| below.get(id).copied());
                let mut way: Vec<_> = way.take_while(|id| *id != to).collect();
                way.push(to);
                return Ok(Some(way));
            }
            for parent in parents(&self.backend.index, id)? {
                below.entry(parent).or_insert_with(|| {
                    open.push_back(parent);
                    id
                });
            }
        }
        Ok(None)
    }
}

fn parents(index: &Index, id: Id) -> Result<Vec<Id>> {
    let Some(row) = index.read(|view| view.by_id(id))? else { return Ok(Vec::new()) };
    Ok(row.parents()?.into_iter().map(|(parent, _)| parent).collect())
}

fn children(index: &Index, id: Id) -> Result<Vec<Id>> {
    index.read(|view| view.children(&Source::Record(id)))
}

impl<'a> Relatives<'a> {
    fn of(index: &'a Index, next: fn(&Index, Id) -> Result<Vec<Id>>, id: Id) -> Self {
        let open = VecDeque::from([Relative { id, distance: 0 }]);
        Self { index, next, known: HashSet::from([id]), open, found: VecDeque::new() }
    }

    fn look_up(&mut self, of: Relative) -> Result<()> {
        for id in (self.next)(self.index, of.id)? {
            if self.known.insert(id) {
                self.found.push_back(Relative { id, distance: of.distance + 1 });
            }
        }
        Ok(())
    }
}

impl Iterator for Relatives<'_> {
    type Item = Result<Relative>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(relative) = self.found.pop_front() {
                self.open.push_back(relative);
                return Some(Ok(relative));
            }
            let of = self.open.pop_front()?;
            if let Err(error) = self.look_up(of) {
                return Some(Err(error));
            }
        }
    }
}

impl fmt::Debug for Relatives<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relatives").field("open", &self.open.len()).finish_non_exhaustive()
    }
}
