//! `larder shards`: what can be done with embedding shards.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use indicatif::{ProgressBar, ProgressStyle};
use larder::{
    embedding_shards::{self, EmbeddingCache, Options},
    layout,
    storage::{Error, ErrorKind, Result},
};

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
mod tend;
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
        Shards::Ls { cache } => {
            let dir = existing(cache)?;
            let cache = open(&dir)?;
            list(&cache, json)?;
            check(&cache, &dir)?;
        }
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
        Shards::Reindex { cache } => tend::reindex(&existing(cache)?, json)?,
        Shards::Compact { cache, target_mib } => {
            tend::compact(&existing(cache)?, target_mib, json)?
        }
        Shards::Rm { cache, what } => tend::remove(&existing(cache)?, what, json)?,
        Shards::ExportIndex { cache } => tend::export_index(&existing(cache)?, json)?,
        Shards::Import { cache, from } => {
            if !from.is_dir() {
                let message = "there is no such directory: name that of geno-lewm's cache";
                return Err(Error::new(ErrorKind::NotFound, message).at_path(from));
            }
            let dir = cache.dir.map_or_else(|| made(&root()?), Ok)?;
            tend::import(&dir, &from, json)?;
        }
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

fn list(cache: &EmbeddingCache, json: bool) -> Result<()> {
    let shards = cache.shards()?;
    if json {
        return output::json(&shards);
    }
    let mut table = Table::new(["path", "rows", "numbers", "bytes"]);
    for shard in shards {
        let dim = shard.dim.map_or_else(|| "-".to_owned(), |dim| dim.to_string());
        let (path, rows) = (output::one_line(shard.path.as_str()), shard.rows.to_string());
        table.row([path, rows, dim, output::bytes(shard.bytes)]);
    }
    output::print(&table.render())
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
