//! What changes records: deciding about them, giving results up, and taking records up.

use std::{path::Path, time::Duration};

use larder::{
    provenance::{GcOptions, Id, Refreshed},
    storage::{Error, ErrorKind, Problem, Result},
};
use serde_json::json;

use super::{AnyStore, HELP, count, record, title};
use crate::{commands::look, output};

/// A line for each record.
fn lines(store: &AnyStore, ids: &[Id]) -> Result<String> {
    let line = |id: &Id| {
        let what = store.record(*id)?.map_or_else(String::new, |record| {
            format!("  {}  {}", output::bytes(record.payload_len), title(&record))
        });
        Ok(format!("{id}{what}\n"))
    };
    ids.iter().map(line).collect()
}

/// Invalidates the record, or says what that would do.
///
/// # Errors
/// `NotFound` where there is none; else those of the store.
pub(super) fn invalidate((store, id): (AnyStore, Id), dry_run: bool, json: bool) -> Result<()> {
    let ids = if dry_run { store.would_invalidate(id)? } else { store.invalidate(id)? };
    let doubtful = ids.get(1..).unwrap_or_default();
    if json {
        return output::json(&json!({ "dry_run": dry_run, "invalid": id, "doubtful": doubtful }));
    }
    let done = if dry_run { "would invalidate" } else { "invalidated" };
    let rest = format!("{} made from it to be doubtful", count(doubtful.len(), "record"));
    let ends = format!("{done} {id}, and declare{} {rest}\n", if dry_run { "" } else { "d" });
    output::print(&(lines(&store, &ids)? + &ends))
}

/// Gives results up, or says which it would.
///
/// # Errors
/// Those of the store.
pub(super) fn gc(
    store: &AnyStore,
    max_bytes: Option<u64>,
    max_age: Option<Duration>,
    dry_run: bool,
    json: bool,
) -> Result<()> {
    let mut options = GcOptions::default().dry_run(dry_run);
    if let Some(bytes) = max_bytes {
        options = options.max_bytes(bytes);
    }
    if let Some(age) = max_age {
        options = options.max_age(age);
    }
    let report = store.gc(&options)?;
    if json {
        let (collected, swept, bytes) = (&report.collected, report.swept, report.bytes);
        return output::json(
            &json!({ "dry_run": dry_run, "collected": collected, "swept": swept, "bytes": bytes }),
        );
    }
    let done = if dry_run { "would give up" } else { "gave up" };
    let swept = match report.swept {
        0 => String::new(),
        swept => format!(" and {} without a record", count(swept as usize, "payload")),
    };
    output::print(&format!(
        "{}{done} {}{swept}, {} in all\n",
        lines(store, &report.collected)?,
        count(report.collected.len(), "result"),
        output::bytes(report.bytes)
    ))
}

/// Says what was done to a record.
fn done(what: &str, id: Id, json: bool) -> Result<()> {
    if json { output::json(&json!({ what: id })) } else { output::print(&format!("{what} {id}\n")) }
}

/// Pins the record, or lets it go.
///
/// # Errors
/// `NotFound` where there is none; else those of the store.
pub(super) fn pin((store, id): (AnyStore, Id), pinned: bool, json: bool) -> Result<()> {
    store.pin(id, pinned)?;
    done(if pinned { "pinned" } else { "unpinned" }, id, json)
}

/// Gives the record a name.
///
/// # Errors
/// As [`pin`].
pub(super) fn tag((store, id): (AnyStore, Id), name: String, json: bool) -> Result<()> {
    store.tag(id, name)?;
    done("tagged", id, json)
}

/// Takes a name away.
///
/// # Errors
/// As [`pin`]; `NotFound` where the record has another name or none.
pub(super) fn untag((store, id): (AnyStore, Id), name: &str, json: bool) -> Result<()> {
    if !record(&store, id)?.tags.contains(name) {
        let message =
            format!("record {id} has no tag {name:?}: `larder provenance show` names its tags");
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    store.untag(id, name)?;
    done("untagged", id, json)
}

/// Notes something, or removes the note.
///
/// # Errors
/// As [`pin`].
pub(super) fn note((store, id): (AnyStore, Id), text: &str, json: bool) -> Result<()> {
    store.note(id, (!text.is_empty()).then_some(text))?;
    done("noted", id, json)
}

/// Adds what another store has.
///
/// # Errors
/// `Corrupt` where records of the other store could not be read, after the others were added; else those of the stores.
pub(super) fn merge(store: &AnyStore, other: &AnyStore, dir: &Path, json: bool) -> Result<()> {
    let merged = store.merge(other)?;
    if json {
        output::json(&merged)?;
    } else {
        let conflicts = merged.conflicts.iter().map(|id| format!("conflict  {id}\n"));
        output::print(&format!(
            "{}{}{} added, {} there already, {}\n",
            conflicts.collect::<String>(),
            listed(&merged.problems),
            merged.added,
            merged.found,
            count(merged.conflicts.len(), "conflict")
        ))?;
    }
    let help = "they are of the other store and were left out: look after them there";
    look::conclude(merged.problems.len(), dir, help)
}

/// Prints what the index took up.
///
/// # Errors
/// `Corrupt` where records could not be read.
pub(super) fn taken_up(done: &Refreshed, dir: &Path, json: bool) -> Result<()> {
    if json {
        output::json(done)?;
    } else {
        let problems = listed(&done.problems);
        output::print(&format!("{problems}{} read, {} removed\n", done.read, done.removed))?;
    }
    look::conclude(done.problems.len(), dir, HELP)
}

fn listed(problems: &[Problem]) -> String {
    let line = |it: &Problem| {
        format!("problem  {}\n", output::one_line(&format!("{}: {}", it.place, it.what)))
    };
    problems.iter().map(line).collect()
}
