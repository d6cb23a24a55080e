//! `larder shards`: what can be done with embedding shards.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use larder::{
    embedding_shards::{self, EmbeddingCache, Options},
    layout,
    storage::{Error, ErrorKind, Progress, Result},
};

use super::{
    look::{self, Store},
    make_root,
};
use crate::{
    args::{Changed, KeyFilter, Look, Put, Shards, ShardsDir},
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
    let changed = |Changed { cache, python_index }| {
        let dir = existing(cache)?;
        Ok::<_, Error>((open_with(&dir, python_index)?, dir))
    };
    let look = |dir: &Path, what| look::run_in(dir, Store::Shards, what, look::HELP, json);
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
        Shards::Put(what) => put(root, &what, json)?,
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
        Shards::Reindex(cache) => tend::reindex(&changed(cache)?, json)?,
        Shards::Compact { cache, target_mib } => tend::compact(&changed(cache)?, target_mib, json)?,
        Shards::Rm { cache, what } => tend::remove(&changed(cache)?, what, json)?,
        Shards::ExportIndex { cache } => tend::export_index(&open(&existing(cache)?)?, json)?,
        Shards::Import { cache, from } => import(root, &cache, &from, json)?,
        Shards::Status { cache } => look(&existing(cache)?, Look::Status)?,
        Shards::Verify { cache } => look(&existing(cache)?, Look::Verify)?,
        Shards::Repair(Changed { cache, python_index }) => {
            let dir = existing(cache)?;
            let repaired = look(&dir, Look::Repair);
            if python_index {
                // Opened with it, it is brought into step.
                open_with(&dir, true)?;
            }
            repaired?;
        }
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

/// The directory of a cache that is made where it is missing.
fn made(root: &dyn Fn() -> Result<PathBuf>, cache: &ShardsDir) -> Result<PathBuf> {
    if let Some(dir) = &cache.dir {
        return Ok(dir.clone());
    }
    let root = root()?;
    make_root(&root)?;
    Ok(root.join(layout::SHARDS))
}

/// Nothing is made where the keys are wrong.
fn put(root: &dyn Fn() -> Result<PathBuf>, what: &Put, json: bool) -> Result<()> {
    let keys = put::count(what)?;
    let Changed { cache, python_index } = &what.cache;
    let dir = made(root, cache)?;
    put::Source::open(&dir, what, keys)?.write(&open_with(&dir, *python_index)?, what, json)
}

fn import(
    root: &dyn Fn() -> Result<PathBuf>,
    Changed { cache, python_index }: &Changed,
    from: &Path,
    json: bool,
) -> Result<()> {
    if !from.is_dir() {
        let message = "there is no such directory: name that of geno-lewm's cache";
        return Err(Error::new(ErrorKind::NotFound, message).at_path(from));
    }
    tend::import(&open_with(&made(root, cache)?, *python_index)?, from, json)
}

/// Opens the cache in a directory; what takes long draws a bar.
///
/// # Errors
/// Those of the cache.
pub(super) fn open(dir: &Path) -> Result<EmbeddingCache> {
    open_with(dir, false)
}

/// The same; `python_index` says whether geno-lewm's index is kept in step.
fn open_with(dir: &Path, python_index: bool) -> Result<EmbeddingCache> {
    let options = Options::default().python_index(python_index);
    EmbeddingCache::open(dir, options.progress(Arc::new(Bar(bar(0, "shards")))))
}

/// A bar over the shards of one step after the other.
struct Bar(ProgressBar);

impl Progress for Bar {
    fn report(&self, step: &str, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_message(step.to_owned());
        self.0.set_position(done);
    }
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

/// A bar over so many rows or shards, which is drawn only where somebody watches, and gone when it is dropped.
fn bar(count: u64, unit: &str) -> ProgressBar {
    let bar = ProgressBar::new(count).with_finish(ProgressFinish::AndClear);
    let template = format!("{{msg:10}} {{bar:40}} {{pos}}/{{len}} {unit}  {{elapsed}}");
    match ProgressStyle::with_template(&template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
