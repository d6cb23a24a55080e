//! Whether what is there can be relied on.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use larder_sqlite::Attempt;
use larder_storage::{Digest, Error, ErrorKind, Result};

use super::{Backend, put_all};
use crate::{Id, Provenance, Source, State, index::View, row::Row};

impl Backend {
    /// The record, if its payload can be relied on.
    pub(crate) fn settled(&self, row: &Arc<Row>) -> Result<Option<Arc<Row>>> {
        match row.state {
            State::Live => return Ok(Some(Arc::clone(row))),
            State::Doubtful => {}
            State::Collected | State::Invalid => return Ok(None),
        }
        if self.is_shared() {
            // Another machine may have given an input another payload.
            let parents = row.parents()?.into_iter().map(|(parent, _)| parent);
            parents.chain([row.id]).try_for_each(|id| self.reread(id))?;
        }
        if self.index.read(|view| undoubted(view, row))?.is_empty() {
            return Ok(None);
        }
        if self.index.is_read_only() {
            return Ok(Some(Arc::new(row.in_state(State::Live))));
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
}

/// The state that a record can have among those that are here.
pub(super) fn state_here(view: &dyn View, row: &Row) -> Attempt<State> {
    for (parent, seen) in row.parents()? {
        let Some(parent) = view.by_id(parent)? else { continue };
        if !parent.state.is_sound() || Some(parent.content.payload) != seen {
            return Ok(row.state.doubted());
        }
    }
    Ok(row.state)
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
    Ok(if has_circle(&live)? { Vec::new() } else { live })
}

/// Whether records are made from each other in a circle, and so would vouch for themselves.
fn has_circle(rows: &[Row]) -> Result<bool> {
    let known: HashSet<Id> = rows.iter().map(|row| row.id).collect();
    let (mut children, mut waits_for) = (HashMap::<Id, Vec<Id>>::new(), HashMap::new());
    for row in rows {
        let parents = row.parents()?.into_iter().map(|(id, _)| id);
        let parents: HashSet<_> = parents.filter(|id| known.contains(id)).collect();
        waits_for.insert(row.id, parents.len());
        parents.into_iter().for_each(|id| children.entry(id).or_default().push(row.id));
    }
    let free = waits_for.iter().filter(|(_, count)| **count == 0);
    let mut free: Vec<_> = free.map(|(id, _)| *id).collect();
    while let Some(id) = free.pop() {
        waits_for.remove(&id);
        for child in children.remove(&id).unwrap_or_default() {
            if let Some(count) = waits_for.get_mut(&child) {
                *count -= 1;
                free.extend((*count == 0).then_some(child));
            }
        }
    }
    Ok(!waits_for.is_empty())
}

/// What was made from the record and is sound no more, as it is then.
pub(super) fn unsettled(view: &dyn View, row: &Row) -> Attempt<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for child in view.children(&Source::Record(row.id))? {
        let Some(child) = view.by_id(child)? else { continue };
        let state = state_here(view, &child)?;
        if state != child.state {
            rows.extend(doubted(view, child.id)?);
            rows.push(child.in_state(state));
        }
    }
    Ok(rows)
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
