//! `larder shards`: what can be done with embedding shards.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use indicatif::{ProgressBar, ProgressStyle};
use larder::{
    embedding_shards::{self, EmbeddingCache, Options},
    layout,
    storage::{Durability, Entry, Error, ErrorKind, Key, LocalStorage, Result, Storage},
};
use serde_json::json;

use super::{
    look::{self, Store},
    make_root,
};
use crate::{
    args::{KeyFilter, Shards, ShardsDir},
    output::{self, Table},
};

mod cell;
mod get;
mod keys;
mod npy;
mod put;
mod rows;
mod variant;

/// Does what was asked. `root` is not asked for where a directory is named.
///
/// # Errors
/// `NotFound` where the cache is not there; else those of the cache.
pub(super) fn run(
    root: &dyn Fn() -> Result<PathBuf>,
    what: Shards,
    json: bool,
) -> Result<ExitCode> {
    let existing = |cache: ShardsDir| existing(root, cache);
    match what {
        Shards::Ls { cache } => list(&existing(cache)?, json)?,
        Shards::Get(what) => {
            return get::run(
                &open(&existing(what.cache)?)?,
                &what.key,
                &what.hashes,
                what.npy.as_deref(),
            );
        }
        Shards::Put(what) => {
            let keys = put::count(&what)?;
            let dir = what.cache.dir.clone().map_or_else(|| made(&root()?), Ok)?;
            let source = put::Source::open(&dir, &what, keys)?;
            source.write(&open(&dir)?, &what, json)?;
        }
        Shards::Scan(mut what) => {
            let dir = existing(std::mem::replace(&mut what.cache, ShardsDir { dir: None }))?;
            let cache = open(&dir)?;
            rows::run(&cache, what, json)?;
            check(&cache, &dir)?;
        }
        Shards::Stats { cache } => {
            let dir = existing(cache)?;
            let cache = open(&dir)?;
            variant::show(&cache, json)?;
            check(&cache, &dir)?;
        }
        Shards::Reindex { cache } => reindex(&existing(cache)?, json)?,
        Shards::Look(what) => look::run(&root()?, &[Store::Shards], what, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The directory of the cache that is there; one that was mistyped is not made.
fn existing(root: &dyn Fn() -> Result<PathBuf>, cache: ShardsDir) -> Result<PathBuf> {
    match cache.dir {
        Some(dir) if dir.is_dir() => Ok(dir),
        Some(dir) => {
            let message = "there is no such directory: name one that has shards";
            Err(Error::new(ErrorKind::NotFound, message).at_path(dir))
        }
        None => {
            let root = root()?;
            look::check_root(&root)?;
            Ok(root.join(layout::SHARDS))
        }
    }
}

fn made(root: &Path) -> Result<PathBuf> {
    make_root(root)?;
    Ok(root.join(layout::SHARDS))
}

fn open(dir: &Path) -> Result<EmbeddingCache> {
    EmbeddingCache::open(dir, Options::default())
}

/// Fails where rows may be missing from what was printed, because shards could not be indexed.
fn check(cache: &EmbeddingCache, dir: &Path) -> Result<()> {
    look::conclude(
        cache.skipped().len(),
        dir,
        "shards that cannot be indexed are left out: `larder shards verify` names them",
    )
}

fn list(dir: &Path, json: bool) -> Result<()> {
    let storage = LocalStorage::open(dir, Durability::default())?;
    let listed = storage.list(Some(&Key::new("embeddings")?))?;
    let mut shards = listed.collect::<Result<Vec<Entry>>>()?;
    shards.retain(|shard| {
        let key = &shard.key;
        key.name().ends_with(".parquet") && key.segments().nth(1) != Some(".quarantine")
    });
    shards.sort_by(|a, b| a.key.cmp(&b.key));
    if json {
        let shards = shards.iter().map(|s| json!({ "path": s.key.as_str(), "bytes": s.len }));
        return output::json(&shards.collect::<Vec<_>>());
    }
    let mut table = Table::new(["path", "bytes"]);
    for shard in shards {
        table.row([output::one_line(shard.key.as_str()), output::bytes(shard.len)]);
    }
    output::print(&table.render())
}

fn reindex(dir: &Path, json: bool) -> Result<()> {
    let report = open(dir)?.reindex()?;
    if json {
        output::json(&report)?;
    } else {
        let problems = report.problems.iter().map(|problem| {
            let line = format!("{}: {}", problem.place, problem.what);
            format!("problem  {}\n", output::one_line(&line))
        });
        let (shards, rows) = (report.indexed_shards, report.indexed_rows);
        let text: String = problems.collect();
        output::print(&format!("{text}indexed {rows} rows in {shards} shards\n"))?;
    }
    look::conclude(report.problems.len(), dir, "`larder shards repair` moves damaged shards aside")
}

/// The scan of all rows that a filter lets through.
fn scan(key: &KeyFilter) -> embedding_shards::Scan {
    let mut scan = embedding_shards::Scan::default();
    if let Some(hash) = key.encoder_hash {
        scan = scan.encoder_hash(hash.0);
    }
    if let Some(layer) = key.layer {
        scan = scan.state_layer(layer);
    }
    if let (Some(pool), Some(radius)) = (key.pool, key.radius) {
        scan = scan.pool(pool, radius);
    }
    match key.dtype {
        Some(dtype) => scan.dtype(dtype),
        None => scan,
    }
}

/// An error of a scan as the cache gave it.
fn own(error: arrow_schema::ArrowError) -> Error {
    let failed =
        |error| Error::new(ErrorKind::Backend, "the rows cannot be read").with_source(error);
    match error {
        arrow_schema::ArrowError::ExternalError(error) => match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(error) => failed(error),
        },
        error => failed(error.into()),
    }
}

/// A bar over so many rows, which is drawn only where somebody watches.
fn bar(rows: u64) -> ProgressBar {
    let bar = ProgressBar::new(rows);
    if let Ok(style) = ProgressStyle::with_template("{msg:10} {bar:40} {pos}/{len} rows  {elapsed}")
    {
        bar.set_style(style);
    }
    bar
}
