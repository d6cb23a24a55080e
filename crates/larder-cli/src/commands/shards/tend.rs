//! Looking after shards: each prints a report, and fails where the report has problems.

use std::path::{Path, PathBuf};

use larder::{
    embedding_shards::{CompactOptions, EmbeddingCache, Removal},
    storage::{Error, ErrorKind, Key, Problem, Result},
};
use serde::Serialize;
use serde_json::json;

use super::look;
use crate::{args::Removed, output};

/// A cache and its directory.
type Place = (EmbeddingCache, PathBuf);

/// Makes the index anew.
///
/// # Errors
/// `Corrupt` where shards are left out, which are printed; else those of the cache.
pub(super) fn reindex((cache, dir): &Place, json: bool) -> Result<()> {
    let report = cache.reindex()?;
    let done = format!("indexed {} rows in {} shards", report.indexed_rows, report.indexed_shards);
    let help = "`larder shards repair` moves damaged shards aside";
    show(dir, &report, &report.problems, &done, help, json)
}

/// Merges small shards.
///
/// # Errors
/// As [`reindex`].
pub(super) fn compact((cache, dir): &Place, target_mib: u64, json: bool) -> Result<()> {
    let options = CompactOptions::default().target_bytes(target_mib << 20);
    let report = cache.compact(options)?;
    let (replaced, written, rows) = (report.replaced, report.written, report.rows);
    let done = format!("{replaced} shards became {written}, of {rows} rows");
    show(dir, &report, &report.problems, &done, "these shards stay as they are", json)
}

/// Removes whole shards.
///
/// # Errors
/// As [`reindex`].
pub(super) fn remove((cache, dir): &Place, what: Removed, json: bool) -> Result<()> {
    let report = cache.remove(&removal(what)?)?;
    let done = format!("removed {} shards", report.removed.len());
    show(dir, &report, &report.kept, &done, "these shards were kept", json)
}

fn removal(what: Removed) -> Result<Removal> {
    match what {
        Removed { encoder_hash: Some(hash), .. } => Ok(Removal::EncoderHash(hash.0)),
        Removed { encoder_id: Some(name), .. } => Ok(Removal::EncoderId(name)),
        Removed { created_before: Some(time), .. } => Ok(Removal::CreatedBefore(time)),
        Removed { shard: Some(path), .. } => Ok(Removal::Shard(Key::new(path)?)),
        _ => Err(Error::new(ErrorKind::Invalid, "say which shards to remove")),
    }
}

/// Writes the index of the Python package.
///
/// # Errors
/// Those of the cache.
pub(super) fn export_index(cache: &EmbeddingCache, json: bool) -> Result<()> {
    let index = cache.export_python_index()?;
    if json {
        return output::json(&json!({ "index_path": index }));
    }
    output::print(&format!("{}\n", index.display()))
}

/// Takes on the shards of a cache of the Python package.
///
/// # Errors
/// As [`reindex`].
pub(super) fn import(cache: &EmbeddingCache, from: &Path, json: bool) -> Result<()> {
    let report = cache.import_python(from)?;
    let done = format!("imported {} shards with {} new rows", report.shards, report.rows);
    show(from, &report, &report.problems, &done, "these shards were left out", json)
}

fn show(
    place: &Path,
    report: &impl Serialize,
    problems: &[Problem],
    done: &str,
    help: &str,
    json: bool,
) -> Result<()> {
    if json {
        output::json(report)?;
    } else {
        let lines = problems.iter().map(|problem| {
            let line = format!("{}: {}", problem.place, problem.what);
            format!("problem  {}\n", output::one_line(&line))
        });
        let lines: String = lines.collect();
        output::print(&format!("{lines}{done}\n"))?;
    }
    look::conclude(problems.len(), place, help)
}
