//! A lineage in the language of Graphviz.

use std::{fmt::Write, iter};

use super::{
    Graph, Lineage,
    node::{Node, Status},
    printable,
};
use crate::State;

impl Lineage {
    /// The graph in the [DOT language](https://graphviz.org/doc/info/lang.html), from the inputs on the left to the
    /// results on the right. Equal lineages give equal texts, whatever the order of their records.
    ///
    /// The vertices are named by the id or the digest; a text never ends a string, and no escape in it has a meaning.
    ///
    /// ```
    /// use larder_provenance::Lineage;
    ///
    /// assert!(Lineage::default().to_dot().starts_with("digraph lineage {"));
    /// ```
    pub fn to_dot(&self) -> String {
        let Graph { nodes, edges } = Graph::new(self);
        let mut dot = "digraph lineage {\n  rankdir=LR;\n  \
                       node [shape=box, fontname=\"Helvetica\", fontsize=11];\n  \
                       edge [fontname=\"Helvetica\", fontsize=9];\n"
            .to_owned();
        for node in &nodes {
            let footer = node.footer();
            let label =
                quoted([Some(node.heading()), node.label(), Some(&footer)].into_iter().flatten());
            let details = node.details();
            let tip = quoted(details.iter().map(String::as_str));
            let (id, style) = (node.id(), style(node));
            let _ = writeln!(dot, "  \"{id}\" [label={label}, tooltip={tip}{style}];");
        }
        for edge in &edges {
            let label = edge.role.map(|role| format!(" [label={}]", quoted(iter::once(role))));
            let (from, to) = (nodes[edge.from].id(), nodes[edge.to].id());
            let _ = writeln!(dot, "  \"{from}\" -> \"{to}\"{};", label.unwrap_or_default());
        }
        dot + "}\n"
    }
}

fn style(node: &Node<'_>) -> &'static str {
    match node.status() {
        Status::Record(State::Live) => "",
        Status::Record(State::Doubtful) => ", style=dashed, color=\"#9a6700\"",
        Status::Record(State::Collected) => ", color=\"#9aa5b1\", fontcolor=\"#5b6773\"",
        Status::Record(State::Invalid) => ", style=bold, color=\"#d55e00\"",
        Status::Content => ", style=rounded, color=\"#0072b2\"",
        Status::Missing => ", style=dotted, fontcolor=\"#5b6773\"",
    }
}

/// Lines of text as one string. Graphviz reads entities as HTML does, and its own escapes after a backslash.
fn quoted<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<String> = lines.map(escape).collect();
    format!("\"{}\"", lines.join("\\n"))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in printable(text) {
        match character {
            '"' => escaped += "\\\"",
            '\\' => escaped += "\\\\",
            '&' => escaped += "&amp;",
            other => escaped.push(other),
        }
    }
    escaped
}
