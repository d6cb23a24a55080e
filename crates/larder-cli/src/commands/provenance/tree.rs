//! A lineage as text: trees whose branches are indented by their distance.

use std::collections::{HashMap, HashSet};

use larder::provenance::{Id, Lineage, LineageEdge, LineageRecord, Source};

use super::title;
use crate::output::{self, one_line};

/// The record, below it what it was made from, and what was made from it.
pub(super) fn render(lineage: &Lineage, id: Id, up: bool, down: bool) -> String {
    let tree = Tree::new(lineage);
    let mut text = tree.name(Source::Record(id), None) + "\n";
    if up {
        text += &tree.branches("made from", &tree.inputs, id, |edge| edge.source);
    }
    if down {
        text += &tree.branches("made into", &tree.results, id, |edge| Source::Record(edge.child));
    }
    text
}

type Edges<'a> = HashMap<Source, Vec<&'a LineageEdge>>;

struct Tree<'a> {
    records: HashMap<Id, &'a LineageRecord>,
    /// By what was made.
    inputs: Edges<'a>,
    /// By what it was made from.
    results: Edges<'a>,
}

impl<'a> Tree<'a> {
    fn new(lineage: &'a Lineage) -> Self {
        let (mut inputs, mut results) = (Edges::new(), Edges::new());
        for edge in &lineage.edges {
            inputs.entry(Source::Record(edge.child)).or_default().push(edge);
            results.entry(edge.source).or_default().push(edge);
        }
        let records = lineage.records.iter().map(|it| (it.record.id, it)).collect();
        Self { records, inputs, results }
    }

    /// What lies behind the record in one direction. What is below a branch is shown once, where it comes first.
    fn branches(
        &self,
        head: &str,
        edges: &Edges<'a>,
        id: Id,
        end: fn(&LineageEdge) -> Source,
    ) -> String {
        let next = |of: Source, depth| {
            let edges = edges.get(&of).into_iter().flatten().rev();
            edges.map(move |edge| (depth, *edge))
        };
        let mut open: Vec<(usize, &LineageEdge)> = next(Source::Record(id), 1).collect();
        let mut shown = HashSet::from([Source::Record(id)]);
        let mut text = if open.is_empty() { String::new() } else { format!("{head}\n") };
        while let Some((depth, edge)) = open.pop() {
            let at = end(edge);
            text += &"  ".repeat(depth);
            text += &self.name(at, edge.role.as_deref());
            if shown.insert(at) {
                open.extend(next(at, depth + 1));
            } else if edges.contains_key(&at) {
                text += "  (see above)";
            }
            text.push('\n');
        }
        text
    }

    fn name(&self, source: Source, role: Option<&str>) -> String {
        let what = match source {
            Source::Content(digest) => format!("content {digest}"),
            Source::Record(id) => match self.records.get(&id) {
                None => format!("{id}  not there"),
                Some(LineageRecord { record, .. }) => {
                    let (kind, size) = (one_line(&record.kind), output::bytes(record.payload_len));
                    format!("{id}  {}  {kind}  {size}  {}", record.state, title(record))
                }
            },
        };
        role.map_or_else(|| what.clone(), |role| format!("{} = {what}", one_line(role)))
    }
}
