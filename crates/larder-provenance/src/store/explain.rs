//! Why a result is not there.

use std::{collections::BTreeMap, fmt, sync::Arc};

use larder_sqlite::Attempt;
use larder_storage::Result;

use super::ProvenanceStore;
use crate::{Difference, Id, Payload, Provenance, State, backend::Lookup, index::View, row::Row};

/// What [`explain_miss`](ProvenanceStore::explain_miss) says. `Display` writes it as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Explanation {
    /// It is no miss: this record has the result.
    Hit(Id),
    /// The record is there; its payload is missing or damaged.
    Lost(Id),
    /// The record is there; its payload was given up to free space.
    Collected(Id),
    /// The record was invalidated.
    Invalid(Id),
    /// Something that the record was made from is not there any more, or not as it was.
    Doubtful {
        /// The record.
        id: Id,
        /// Which of its inputs are not as they were.
        inputs: Vec<Id>,
    },
    /// There is no record of this provenance.
    Differs {
        /// The record whose provenance differs least, and of several such the newest.
        nearest: Id,
        /// All that it has otherwise, from what was asked for to what is there.
        differences: Vec<Difference>,
    },
    /// There is no record of this operation, and none that has an input in common.
    Unknown,
}

/// How many records are looked at, from the newest on.
const LOOKED_AT: usize = 1000;

impl<T: Payload> ProvenanceStore<T> {
    /// Says why [`find`](Self::find) finds nothing: which component of the provenance no record has, or what became of the
    /// record. The nearest record is looked for among the newest 1,000 of the operation and, where it has none, of those
    /// that were made from one of the inputs.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub fn explain_miss(&self, provenance: &Provenance) -> Result<Explanation> {
        self.explain_miss_of(T::KIND, provenance)
    }

    /// As [`explain_miss`](Self::explain_miss), for results of another kind.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub fn explain_miss_of(&self, kind: &str, provenance: &Provenance) -> Result<Explanation> {
        let row = match self.backend.look_up(kind, &provenance.digest())? {
            Lookup::Hit(row, _) => return Ok(Explanation::Hit(row.id)),
            Lookup::Stale(row) => row,
            Lookup::Miss => return self.nearest(kind, provenance),
        };
        Ok(match row.state {
            State::Live => Explanation::Lost(row.id),
            State::Collected => Explanation::Collected(row.id),
            State::Invalid => Explanation::Invalid(row.id),
            State::Doubtful => Explanation::Doubtful {
                id: row.id,
                inputs: self.backend.index.read(|view| changed(view, &row))?,
            },
        })
    }

    fn nearest(&self, kind: &str, provenance: &Provenance) -> Result<Explanation> {
        let rows = self.backend.index.read(|view| {
            let rows = view.of_operation(kind, provenance.operation(), LOOKED_AT)?;
            if rows.is_empty() { relatives(view, kind, provenance) } else { Ok(rows) }
        })?;
        let mut nearest: Option<(Id, Vec<Difference>)> = None;
        for row in rows {
            let Some(other) = row.provenance()? else { continue };
            let differences = provenance.differences(&other);
            if nearest.as_ref().is_none_or(|(_, least)| differences.len() < least.len()) {
                nearest = Some((row.id, differences));
            }
        }
        Ok(nearest.map_or(Explanation::Unknown, |(nearest, differences)| Explanation::Differs {
            nearest,
            differences,
        }))
    }
}

/// The inputs that are not as they were when the record was made.
fn changed(view: &dyn View, row: &Row) -> Attempt<Vec<Id>> {
    let mut changed = Vec::new();
    for (id, seen) in row.parents()? {
        let parent = view.by_id(id)?;
        let is_as_it_was =
            parent.is_some_and(|it| it.state.is_sound() && Some(it.content.payload) == seen);
        if !is_as_it_was {
            changed.push(id);
        }
    }
    Ok(changed)
}

/// Records of the kind that have an input in common, the newest first.
fn relatives(view: &dyn View, kind: &str, provenance: &Provenance) -> Attempt<Vec<Arc<Row>>> {
    let mut rows = BTreeMap::new();
    for input in provenance.inputs() {
        for id in view.children(input.source())?.into_iter().rev().take(LOOKED_AT) {
            rows.extend(view.by_id(id)?.filter(|row| row.kind == kind).map(|row| (id, row)));
        }
    }
    Ok(rows.into_values().rev().take(LOOKED_AT).collect())
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hit(id) => write!(f, "it is there: record {id}"),
            Self::Lost(id) => write!(f, "the payload of record {id} is missing or damaged"),
            Self::Collected(id) => {
                write!(f, "the payload of record {id} was given up to free space")
            }
            Self::Invalid(id) => write!(f, "record {id} was invalidated"),
            Self::Doubtful { id, inputs } => {
                write!(f, "inputs of record {id} are not as they were: ")?;
                list(f, inputs)
            }
            Self::Differs { nearest, differences } => {
                write!(f, "no record has this provenance; the nearest, {nearest}, differs in ")?;
                list(f, differences)
            }
            Self::Unknown => f.write_str("no record is of this operation or has an input of it"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    items.iter().enumerate().try_for_each(|(index, item)| {
        let comma = if index == 0 { "" } else { ", " };
        write!(f, "{comma}{item}")
    })
}
