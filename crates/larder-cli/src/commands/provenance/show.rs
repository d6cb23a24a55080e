//! All that is known of one record.

use std::io::{self, Write};

use larder::{
    provenance::{Id, Input, Provenance, Record, Source},
    storage::{Error, ErrorKind, Result},
};
use serde_json::{Value, json};

use super::{AnyStore, record, title};
use crate::output::{self, one_line};

/// Prints the record.
///
/// # Errors
/// `NotFound` where there is none; else those of the store.
pub(super) fn run((store, id): (AnyStore, Id), json: bool) -> Result<()> {
    let record = record(&store, id)?;
    if json {
        return output::json(&value(&record));
    }
    let mut lines = Lines(facts(&record));
    if let Some(provenance) = &record.provenance {
        lines.0.extend(made(provenance));
        lines.add("inputs", inputs(&store, provenance)?);
        for (what, values) in
            [("environment", "environment"), ("parameters", "params"), ("recorded", "recorded")]
        {
            lines.add(what, values_of(&form(provenance)[values]));
        }
    }
    output::print(&lines.text())
}

/// Writes the bytes of the result to standard output.
///
/// # Errors
/// `NotFound` where there is no such record or it has no result now; else those of the store.
pub(super) fn payload((store, id): (AnyStore, Id)) -> Result<()> {
    let Some(bytes) = store.bytes(id)? else {
        let state = record(&store, id)?.state;
        let message =
            format!("record {id} is {state}, so its result is not there: compute it anew");
        return Err(Error::new(ErrorKind::NotFound, message));
    };
    let mut out = io::stdout().lock();
    match out.write_all(&bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::io(error, "cannot write the result"))
        }
        // Whoever reads has seen enough, as `head` does.
        _ => Ok(()),
    }
}

/// The record for programs.
pub(super) fn value(record: &Record) -> Value {
    let provenance = record.provenance.as_ref();
    json!({
        "id": record.id,
        "kind": record.kind,
        "state": record.state,
        "created_at": output::utc(record.created_at),
        "stored_at": output::utc(record.stored_at),
        "cost_s": record.cost.map(|cost| cost.as_secs_f64()),
        "pinned": record.pinned,
        "tags": record.tags,
        "note": record.note,
        "key": provenance.map(|provenance| provenance.digest().to_string()),
        "provenance": provenance.map(form),
        "payload": record.payload.to_string(),
        "size": record.payload_len,
        "summary": summary(record),
    })
}

/// The JSON form as it is read again.
fn form(provenance: &Provenance) -> Value {
    serde_json::from_str(&provenance.to_json()).unwrap_or_default()
}

fn summary(record: &Record) -> Value {
    serde_json::from_str(&record.summary).unwrap_or_default()
}

/// Names and what they stand for, in lines; those without a name go below the one before.
struct Lines(Vec<(&'static str, String)>);

impl Lines {
    fn add(&mut self, name: &'static str, values: Vec<String>) {
        let names = std::iter::once(name).chain(std::iter::repeat(""));
        self.0.extend(names.zip(values));
    }

    fn text(&self) -> String {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        self.0.iter().map(|(name, value)| format!("{name:width$}  {}\n", one_line(value))).collect()
    }
}

fn facts(record: &Record) -> Vec<(&'static str, String)> {
    let is_there = record.state.has_payload();
    let size = format!("{} ({} bytes)", output::bytes(record.payload_len), record.payload_len);
    let mut facts = vec![
        ("id", record.id.to_string()),
        ("kind", record.kind.clone()),
        ("state", record.state.to_string()),
        ("created", output::utc(record.created_at)),
        ("stored", output::utc(record.stored_at)),
        ("size", if is_there { size } else { format!("{size}, not there now") }),
        ("digest", record.payload.to_string()),
    ];
    let mut add = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    add("cost", record.cost.map(|cost| output::millis(cost.as_secs_f64() * 1e3)));
    add("summary", (record.summary != "{}").then(|| record.summary.clone()));
    add("pinned", record.pinned.then(|| "yes".to_owned()));
    add("tags", (!record.tags.is_empty()).then(|| Vec::from_iter(record.tags.clone()).join(", ")));
    add("note", record.note.clone());
    add("made by", record.provenance.is_none().then(|| "not known".to_owned()));
    facts
}

fn made(provenance: &Provenance) -> Vec<(&'static str, String)> {
    let mut made = vec![("operation", provenance.operation().to_owned())];
    made.extend(provenance.code_version().map(|version| ("version", version.to_owned())));
    made.extend(provenance.salt_text().map(|salt| ("salt", salt.to_owned())));
    made.push(("key", provenance.digest().to_string()));
    made
}

fn inputs(store: &AnyStore, provenance: &Provenance) -> Result<Vec<String>> {
    let mut inputs =
        provenance.inputs().iter().map(|it| input(store, it)).collect::<Result<Vec<_>>>()?;
    if !provenance.is_ordered() {
        inputs.push("(in any order)".to_owned());
    }
    Ok(inputs)
}

fn input(store: &AnyStore, input: &Input) -> Result<String> {
    let what = match input.source() {
        Source::Content(digest) => format!("content {digest}"),
        Source::Record(id) => match store.record(*id)? {
            Some(record) => format!("{id}  {}  {}", record.state, title(&record)),
            None => format!("{id}  not there"),
        },
    };
    Ok(input.role().map_or_else(|| what.clone(), |role| format!("{role} = {what}")))
}

fn values_of(values: &Value) -> Vec<String> {
    let values = values.as_object().into_iter().flatten();
    values.map(|(name, value)| format!("{name} = {value}")).collect()
}
