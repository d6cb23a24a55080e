//! Whether what is there can be relied on.

use std::{collections::HashSet, sync::Arc};

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

/// The state of a record of another store among those that are here.
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
