//! Taking over what another store has.

use std::{collections::HashMap, sync::Arc};

use larder_storage::{Error, ErrorKind, Problem, Result};
use serde::Serialize;

use super::ProvenanceStore;
use crate::{Id, Payload, backend::Taken, row::Row};

/// What [`merge`](ProvenanceStore::merge) did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Merged {
    /// How many records were added.
    pub added: u64,
    /// How many were there already, under whatever id.
    pub found: u64,
    /// Records of the other store whose result here is another one, which stays. What was made from them is doubtful.
    pub conflicts: Vec<Id>,
    /// Records that could not be read, or whose payloads could not.
    pub problems: Vec<Problem>,
}

impl<T: Payload> ProvenanceStore<T> {
    /// Adds the records of another store, of all kinds, with their payloads. A result that is here already keeps the id
    /// that it has here, and what was made from it names that; all others keep theirs. Tags are joined; pins and
    /// notes stay as they are here, and so does what has no payload here.
    ///
    /// # Errors
    ///
    /// `Invalid` where records of the other store are made from each other in a circle, and then nothing was added; `Full`,
    /// `Io` or `Backend` where a storage or a database fails.
    pub fn merge<U: Payload>(&self, other: &ProvenanceStore<U>) -> Result<Merged> {
        let mut merged = Merged::default();
        let mut rows = HashMap::new();
        for row in other.backend.rows() {
            match row {
                Ok(row) => _ = rows.insert(row.id, row),
                Err(damaged) => merged.problems.push(damaged.problem()?),
            }
        }
        let mut names = HashMap::new();
        for id in in_order(&rows)? {
            self.merge_one(other, &rows[&id], &mut names, &mut merged)?;
        }
        Ok(merged)
    }

    /// `names` has the ids here of what has another one there.
    fn merge_one<U: Payload>(
        &self,
        other: &ProvenanceStore<U>,
        row: &Row,
        names: &mut HashMap<Id, Id>,
        merged: &mut Merged,
    ) -> Result<()> {
        let row = renamed(row, names)?;
        let bytes = match row.state.has_payload() {
            true => other.backend.blobs.load(&row.content.payload)?,
            false => None,
        };
        if row.state.has_payload() && bytes.is_none() {
            merged.problems.push(Problem::new(row.id, "the payload is missing or damaged"));
            return Ok(());
        }
        let taken = match self.backend.take(&row, bytes.as_ref()) {
            Err(error) if error.kind() == ErrorKind::Conflict => {
                merged.problems.push(Problem::new(row.id, error.chain()));
                return Ok(());
            }
            taken => taken?,
        };
        match taken {
            Taken::Added => merged.added += 1,
            Taken::Found(ours) => {
                merged.found += 1;
                if ours.id != row.id {
                    names.insert(row.id, ours.id);
                }
                let is_other = ours.state.has_payload()
                    && row.state.has_payload()
                    && !ours.content.is_same(&row.content);
                if is_other {
                    merged.conflicts.push(row.id);
                }
                if !row.tags.is_subset(&ours.tags) {
                    self.backend.edit(ours.id, |ours| ours.tags.extend(row.tags))?;
                }
            }
        }
        Ok(())
    }
}

/// The record as it is where its inputs have other names.
fn renamed(row: &Row, names: &HashMap<Id, Id>) -> Result<Row> {
    let Some(provenance) = row.provenance()? else { return Ok(row.clone()) };
    let (made, seen) = provenance.renamed(names, &row.content.seen);
    let mut row = row.clone();
    (row.key, row.provenance) = (Some(made.digest()), Some(made.to_json()));
    row.content.seen = seen;
    Ok(row)
}

/// The ids so that each comes after those that it was made from.
fn in_order(rows: &HashMap<Id, Arc<Row>>) -> Result<Vec<Id>> {
    let (mut waits_for, mut children) =
        (HashMap::<Id, usize>::new(), HashMap::<Id, Vec<Id>>::new());
    for row in rows.values() {
        let parents = row.parents()?;
        let known = parents.iter().filter(|(parent, _)| rows.contains_key(parent));
        waits_for.insert(row.id, known.clone().count());
        known.for_each(|(parent, _)| children.entry(*parent).or_default().push(row.id));
    }
    let free = waits_for.iter().filter(|(_, count)| **count == 0).map(|(id, _)| *id);
    let mut order: Vec<_> = free.collect();
    order.sort();
    let mut next = 0;
    while let Some(id) = order.get(next).copied() {
        next += 1;
        for child in children.get(&id).into_iter().flatten() {
            if let Some(count) = waits_for.get_mut(child) {
                *count -= 1;
                if *count == 0 {
                    order.push(*child);
                }
            }
        }
    }
    match rows.keys().filter(|id| waits_for[id] > 0).min() {
        None => Ok(order),
        Some(id) => {
            let message =
                format!("record {id} is made from itself, by way of others: delete one of them");
            Err(Error::new(ErrorKind::Invalid, message))
        }
    }
}
