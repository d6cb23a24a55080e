//! Lineages, for people and for other programs.

use std::path::Path;

use larder::{
    provenance::{Id, Lineage, Relative},
    storage::Result,
};
use serde_json::json;

use super::{AnyStore, count, name, record, tree};
use crate::{
    args::{Graph, LineageFormat, LineageOf},
    output,
};

/// Shows the lineage of a record.
///
/// # Errors
/// `NotFound` where there is no such record; `Io` or `Full` where the file cannot be written; else those of the store.
pub(super) fn lineage((store, id): (AnyStore, Id), what: &LineageOf, json: bool) -> Result<()> {
    record(&store, id)?;
    let format = match what.format {
        None if json => LineageFormat::Json,
        format => format.unwrap_or(LineageFormat::Text),
    };
    let lineage = related(&store, id, !what.down, !what.up)?;
    let text = match format {
        LineageFormat::Text => tree::render(&lineage, id, !what.down, !what.up),
        LineageFormat::Json => drawn(&lineage, Graph::ProvJson),
        LineageFormat::Dot => drawn(&lineage, Graph::Dot),
        LineageFormat::Svg => drawn(&lineage, Graph::Svg),
    };
    match &what.output {
        Some(file) => output::file(file, text.as_bytes()),
        None => output::print(&text),
    }
}

/// Writes the lineage of these records, or of all.
///
/// # Errors
/// As [`lineage`].
pub(super) fn export(
    store: &AnyStore,
    names: &[String],
    file: &Path,
    format: Graph,
    json: bool,
) -> Result<()> {
    let mut ids = Vec::new();
    for name in names {
        let id = record(store, name::find(store, name)?)?.id;
        ids.extend(related(store, id, true, true)?.records.iter().map(|it| it.record.id));
    }
    if names.is_empty() {
        for record in store.records() {
            ids.push(record?.id);
        }
    }
    ids.sort();
    ids.dedup();
    let lineage = store.lineage_of(ids)?;
    output::file(file, drawn(&lineage, format).as_bytes())?;
    let records = lineage.records.len();
    if json {
        return output::json(&json!({ "records": records, "file": file }));
    }
    output::print(&format!("exported {}\n", count(records, "record")))
}

/// The record with what it was made from and what was made from it, as far as that is asked for.
fn related(store: &AnyStore, id: Id, up: bool, down: bool) -> Result<Lineage> {
    let ids = |relatives: &mut dyn Iterator<Item = Result<Relative>>| {
        relatives.map(|relative| Ok(relative?.id)).collect::<Result<Vec<_>>>()
    };
    let mut found = vec![id];
    if up {
        found.extend(ids(&mut store.ancestors(id))?);
    }
    if down {
        found.extend(ids(&mut store.descendants(id))?);
    }
    store.lineage_of(found)
}

fn drawn(lineage: &Lineage, format: Graph) -> String {
    match format {
        Graph::ProvJson => lineage.to_prov_json(),
        Graph::Dot => lineage.to_dot(),
        Graph::Svg => lineage.to_svg(),
    }
}
