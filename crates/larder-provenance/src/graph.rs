//! What came from what, as a graph, and the forms in which other programs read it.

use std::collections::BTreeMap;

use crate::{Id, Input, Provenance, Record, Source};

mod dot;
mod layout;
mod node;
mod prov;
mod svg;
#[cfg(test)]
mod tests;

pub use prov::PROV_NAMESPACE;

use node::Node;

/// Records, and what each was made from.
///
/// ```
/// use larder_provenance::{Lineage, LineageRecord, Provenance, ProvenanceStore};
///
/// let store = ProvenanceStore::<Vec<u8>>::in_memory();
/// let reads = store.put(b"ACGT".to_vec(), None)?;
/// let count = Provenance::new("count").input_as("reads", reads).param("base", "G");
/// store.put(b"1".to_vec(), Some(count))?;
///
/// let records = store.list().map(|record| Ok(LineageRecord::new(record?)));
/// let lineage: Lineage = records.collect::<larder_storage::Result<_>>()?;
/// assert_eq!((lineage.records.len(), lineage.edges.len()), (2, 1));
/// assert_eq!(lineage.edges[0].role.as_deref(), Some("reads"));
/// # Ok::<_, larder_storage::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lineage {
    /// The records, in any order. The exports order them by id, and take the first of several that have one id.
    pub records: Vec<LineageRecord>,
    /// The edges; for one child, in the order of its inputs. What they name need not be among the records.
    pub edges: Vec<LineageEdge>,
}

/// A record of a [`Lineage`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LineageRecord {
    /// The record.
    pub record: Record,
    /// What people call it, where it has a name.
    pub label: Option<String>,
}

/// One input of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LineageEdge {
    /// The record that was made.
    pub child: Id,
    /// What went into it.
    pub source: Source,
    /// The part that the input played, where it was named.
    pub role: Option<String>,
}

impl LineageRecord {
    /// A record whose label is the text `label` or `name` of its summary, as tracks and genomes have it.
    pub fn new(record: Record) -> Self {
        let summary: serde_json::Value = serde_json::from_str(&record.summary).unwrap_or_default();
        let label = ["label", "name"].iter().find_map(|member| summary[member].as_str());
        Self { label: label.filter(|label| !label.is_empty()).map(str::to_owned), record }
    }
}

impl LineageEdge {
    /// An edge from an input to the record that was made from it.
    pub fn new(child: Id, input: &Input) -> Self {
        Self { child, source: *input.source(), role: input.role().map(str::to_owned) }
    }
}

/// With an edge for each input that the provenance of a record names.
impl FromIterator<LineageRecord> for Lineage {
    fn from_iter<I: IntoIterator<Item = LineageRecord>>(records: I) -> Self {
        let records: Vec<LineageRecord> = records.into_iter().collect();
        let mut edges = Vec::new();
        for LineageRecord { record, .. } in &records {
            let inputs = record.provenance.as_ref().map_or(&[][..], Provenance::inputs);
            edges.extend(inputs.iter().map(|input| LineageEdge::new(record.id, input)));
        }
        Self { records, edges }
    }
}

/// A lineage whose vertices are counted, in an order that depends on nothing but what it holds.
struct Graph<'a> {
    nodes: Vec<Node<'a>>,
    edges: Vec<Edge<'a>>,
}

/// An edge between two nodes, told by their places.
#[derive(Clone, Copy)]
struct Edge<'a> {
    from: usize,
    to: usize,
    role: Option<&'a str>,
}

impl<'a> Graph<'a> {
    fn new(lineage: &'a Lineage) -> Self {
        let mut known: BTreeMap<Source, Option<&LineageRecord>> = BTreeMap::new();
        for record in &lineage.records {
            known.entry(Source::Record(record.record.id)).or_insert(Some(record));
        }
        for edge in &lineage.edges {
            for end in [edge.source, Source::Record(edge.child)] {
                known.entry(end).or_default();
            }
        }
        let places: BTreeMap<Source, usize> = known.keys().copied().zip(0..).collect();
        let place = |edge: &'a LineageEdge| Edge {
            from: places[&edge.source],
            to: places[&Source::Record(edge.child)],
            role: edge.role.as_deref(),
        };
        let mut edges: Vec<_> = lineage.edges.iter().map(place).collect();
        edges.sort_by_key(|edge| edge.to);
        let nodes = known.into_iter().map(|(source, record)| Node { source, record }).collect();
        Self { nodes, edges }
    }
}

/// The text without what XML does not allow or a line cannot show, which becomes U+FFFD.
fn printable(text: &str) -> impl Iterator<Item = char> {
    let replace = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(move |c| if replace(c) { '\u{fffd}' } else { c })
}
