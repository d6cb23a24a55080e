//! JSON documents in and out.

use std::{
    error::Error as _,
    fs,
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use larder::{
    kv_cache::{ImportReport, KvCache, Options},
    storage::{Bytes, Error, ErrorKind, Key, MemoryStorage, PutIf, Result, Storage},
};
use serde_json::json;

use super::{check_key, place::Place};
use crate::output;

/// Sets every entry of the document `file`, and prints which were left out.
///
/// # Errors
/// `NotFound` where there is no such file; `Corrupt` where it is damaged; `Format` where it is no JSON object, or where entries
/// were left out; else those of the cache.
pub(super) fn import(place: &Place, file: &Path, json: bool) -> Result<()> {
    if file.is_dir() {
        return Err(Error::new(ErrorKind::Invalid, "is a directory: name a file").at_path(file));
    }
    let read = fs::read(file).map_err(|error| Error::io(error, "cannot read the document"));
    let document = Bytes::from(read.map_err(|error| error.at_path(file))?);
    check(&document).map_err(|error| error.at_path(file))?;
    let report = place.open()?.import(&document)?;
    if json {
        output::json(&report)?;
    } else {
        output::print(&shown(&report))?;
    }
    match report.skipped.len() {
        0 => Ok(()),
        count => {
            let message = format!("entries skipped: {count}; the others were imported");
            Err(Error::new(ErrorKind::Format, message).at_path(file))
        }
    }
}

/// Refuses a document that cannot be read, or a key in it that no cache takes, before a cache is made for it.
fn check(document: &Bytes) -> Result<()> {
    let storage = MemoryStorage::new();
    storage.put(&Key::new("check.json")?, document.clone(), PutIf::Always)?;
    let held = KvCache::open_document(Arc::new(storage), "check", Options::default())?;
    held.keys()?.iter().try_for_each(|key| check_key(key))
}

fn shown(report: &ImportReport) -> String {
    let skipped = report.skipped.iter().map(|problem| {
        let (place, what) = (&problem.place, &problem.what);
        format!("skipped  {}\n", output::one_line(&format!("{place}: {what}")))
    });
    let imported = format!("{} imported, {} skipped\n", report.entries, report.skipped.len());
    skipped.chain([imported]).collect()
}

/// Writes the document to standard output.
///
/// # Errors
/// Those of the cache; `Io` or `Full` where it cannot be written.
pub(super) fn export(cache: &KvCache) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = cache.export(&mut out).and_then(|_| {
        let ended = out.write_all(b"\n").and_then(|()| out.flush());
        ended.map_err(|error| Error::io(error, "cannot write the document"))
    });
    match written {
        // Whoever reads has seen enough, as `head` does.
        Err(error) if is_broken_pipe(&error) => Ok(()),
        written => written,
    }
}

fn is_broken_pipe(error: &Error) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Writes the document to `file`: what was there stays until it is whole.
///
/// # Errors
/// `Invalid` where `file` is something else than a file; `NotFound` where its directory is not there; else as [`export`].
pub(super) fn export_to(cache: &KvCache, file: &Path, json: bool) -> Result<()> {
    let (stage, target) = output::stage(file)?;
    let mut staged = stage.file()?;
    let entries = cache.export(&mut staged)?;
    staged
        .write_all(b"\n")
        .map_err(|error| Error::io(error, "cannot write the document").at_path(file))?;
    staged.publish(&target)?;
    if json {
        return output::json(&json!({ "entries": entries, "file": file }));
    }
    output::print(&format!("{entries} exported\n"))
}
