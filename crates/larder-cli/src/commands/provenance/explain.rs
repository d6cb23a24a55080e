//! Why a result is not found.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read},
    path::Path,
};

use larder::{
    provenance::{Difference, Explanation, Id, Provenance, Value},
    storage::{Error, ErrorKind, Result},
};
use serde_json::json;

use super::{AnyStore, is_unreadable, name, record, title};
use crate::{args::WhyMiss, output};

/// Prints why the result is not found, a line for each thing that is otherwise.
///
/// # Errors
/// `Format` where the provenance cannot be read; `Invalid` where the record that is named has none; else those of the
/// store.
pub(super) fn run(store: &AnyStore, what: &WhyMiss, json: bool) -> Result<()> {
    let (kinds, provenance) = match (&what.like, &what.provenance) {
        (Some(like), _) => asked_like(store, like)?,
        (None, Some(file)) => (kinds(store, what.kind.as_deref())?, read(file)?),
        (None, None) => return Err(invalid("name a provenance, or a record that it is like")),
    };
    let set = |made: Provenance, (name, text): &(String, String)| {
        Ok::<_, Error>(made.param(name.as_str(), parameter(text)?))
    };
    let provenance = what.params.iter().try_fold(provenance, set)?;
    let mut nearest = Explanation::Unknown;
    for kind in &kinds {
        let found = store.explain_miss_of(kind, &provenance)?;
        if rank(&found) < rank(&nearest) {
            nearest = found;
        }
    }
    if json {
        return output::json(&value(&nearest));
    }
    output::print(&text(store, &nearest)?)
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

/// The kind and the provenance of a record.
fn asked_like(store: &AnyStore, like: &str) -> Result<(BTreeSet<String>, Provenance)> {
    let record = record(store, name::find(store, like)?)?;
    let bare = || invalid(format!("record {} has no provenance: name another one", record.id));
    Ok((BTreeSet::from([record.kind]), record.provenance.ok_or_else(bare)?))
}

/// A value in the JSON form of a provenance; what is no JSON is a text.
fn parameter(text: &str) -> Result<Value> {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else {
        return Ok(Value::from(text));
    };
    let form = json!({ "format": 1, "operation": "", "ordered": true, "inputs": [], "params": { "value": value } });
    let read = Provenance::from_json(&form.to_string()).map_err(|error| {
        invalid(format!(
            "{text} is no parameter: an object has one member, such as {{\"map\": {{..}}}}"
        ))
        .with_source(error)
    })?;
    Ok(read.params()["value"].clone())
}

/// This kind, or every one that a record is of.
fn kinds(store: &AnyStore, kind: Option<&str>) -> Result<BTreeSet<String>> {
    if let Some(kind) = kind {
        return Ok(BTreeSet::from([kind.to_owned()]));
    }
    let mut kinds = BTreeSet::new();
    for record in store.records() {
        match record {
            // It says nothing of its kind.
            Err(error) if is_unreadable(&error) => {}
            record => _ = kinds.insert(record?.kind),
        }
    }
    Ok(kinds)
}

fn read(file: &Path) -> Result<Provenance> {
    let failed = |error| Error::io(error, "cannot read the provenance").at_path(file);
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        io::stdin().read_to_end(&mut bytes).map_err(failed)?;
    } else {
        bytes = fs::read(file).map_err(failed)?;
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        Error::new(ErrorKind::Format, "is not UTF-8, as JSON has to be").with_source(error)
    });
    text.and_then(|text| Provenance::from_json(&text)).map_err(|error| error.at_path(file))
}

/// The less, the nearer it comes to the result.
fn rank(explanation: &Explanation) -> (u8, usize) {
    match explanation {
        Explanation::Hit(_) => (0, 0),
        Explanation::Differs { differences, .. } => (2, differences.len()),
        Explanation::Unknown => (3, 0),
        _ => (1, 0),
    }
}

/// The head, and a line for each thing that is otherwise.
fn text(store: &AnyStore, explanation: &Explanation) -> Result<String> {
    let named = |id: Id| Ok::<_, Error>(format!("{id}  {}", title(&record(store, id)?)));
    Ok(match explanation {
        Explanation::Differs { nearest, differences } => {
            let lines =
                differences.iter().map(|it| format!("  {}\n", output::one_line(&it.to_string())));
            let head = "no record has this provenance\nnearest  ";
            let asked = "from what was asked for to what that one has:";
            format!("{head}{}\n{asked}\n{}", named(*nearest)?, lines.collect::<String>())
        }
        Explanation::Doubtful { id, inputs } => {
            let lines = inputs.iter().map(|input| {
                let state = store.record(*input)?.map(|it| format!("{}  {}", it.state, title(&it)));
                Ok(format!("  {input}  {}\n", state.as_deref().unwrap_or("not there")))
            });
            let lines = lines.collect::<Result<String>>()?;
            format!("doubtful  {}\ninputs that are not as they were:\n{lines}", named(*id)?)
        }
        other => format!("{other}\n"),
    })
}

fn value(explanation: &Explanation) -> serde_json::Value {
    let (what, id, inputs, differences): (_, _, &[Id], &[Difference]) = match explanation {
        Explanation::Hit(id) => ("hit", Some(id), &[], &[]),
        Explanation::Lost(id) => ("lost", Some(id), &[], &[]),
        Explanation::Collected(id) => ("collected", Some(id), &[], &[]),
        Explanation::Invalid(id) => ("invalid", Some(id), &[], &[]),
        Explanation::Doubtful { id, inputs } => ("doubtful", Some(id), inputs, &[]),
        Explanation::Differs { nearest, differences } => {
            ("differs", Some(nearest), &[], differences)
        }
        _ => ("unknown", None, &[], &[]),
    };
    let differences: Vec<String> = differences.iter().map(ToString::to_string).collect();
    json!({ "explanation": what, "record": id, "inputs": inputs, "differences": differences })
}
