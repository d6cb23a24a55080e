//! The listing of records.

use std::iter;

use larder::{provenance::Record, storage::Result};
use serde_json::json;

use super::{AnyStore, is_unreadable, show, title};
use crate::output;

/// Which records are listed.
pub(super) struct Only {
    pub(super) kind: Option<String>,
    pub(super) tag: Option<String>,
    pub(super) all: bool,
}

impl Only {
    fn has(&self, record: &Record) -> bool {
        let is_there = record.state.has_payload();
        (self.all || is_there) && self.kind.as_ref().is_none_or(|kind| *kind == record.kind)
    }
}

/// How many lines are printed at once.
const LINES: usize = 1000;

/// Prints the records as they are read; returns how many of them are damaged.
///
/// # Errors
/// Those of the store.
pub(super) fn run(store: &AnyStore, only: &Only, json: bool) -> Result<usize> {
    let mut text = if json { String::new() } else { head() };
    let (mut lines, mut damaged) = (0, 0);
    for record in records(store, only)? {
        let record = match record {
            Err(error) if is_unreadable(&error) => {
                eprintln!("problem  {}", error.chain());
                damaged += 1;
                continue;
            }
            record => record?,
        };
        if !only.has(&record) {
            continue;
        }
        text += &if json { format!("{}\n", json!(show::value(&record))) } else { line(&record) };
        lines += 1;
        if lines % LINES == 0 {
            output::print(&std::mem::take(&mut text))?;
        }
    }
    output::print(&text)?;
    Ok(damaged)
}

fn records<'a>(
    store: &'a AnyStore,
    only: &Only,
) -> Result<Box<dyn Iterator<Item = Result<Record>> + 'a>> {
    let Some(tag) = &only.tag else { return Ok(Box::new(store.records())) };
    let ids = store.tagged(tag)?;
    Ok(Box::new(ids.into_iter().filter_map(|id| store.record(id).transpose())))
}

/// Columns of one width, since lines are printed before the last record is read.
fn columns(cells: [&str; 6]) -> String {
    let [id, created, state, size, kind, operation] = cells;
    format!("{id:<36}  {created:<20}  {state:<9}  {size:>10}  {kind:<8}  {operation}\n")
}

fn head() -> String {
    let rules = [36, 20, 9, 10, 8, 9].map(|width| iter::repeat_n('─', width).collect::<String>());
    columns(["id", "created", "state", "size", "kind", "operation"])
        + &columns(rules.each_ref().map(String::as_str))
}

fn line(record: &Record) -> String {
    columns([
        &record.id.to_string(),
        &output::utc(record.created_at),
        record.state.as_str(),
        &output::bytes(record.payload_len),
        &output::one_line(&record.kind),
        &title(record),
    ])
}
