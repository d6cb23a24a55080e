//! `larder dirs`: what can be done with cached directories.

use std::{
    cmp::Reverse,
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use larder::{
    dir_cache::{DirCache, EntryInfo, Gdsf, Lfu, Lru, Policy, SizedLru},
    layout,
    storage::{Error, ErrorKind, Result},
};
use serde_json::{Value, json};

use super::{
    look::{self, Store},
    make_root,
};
use crate::{
    args::{CacheDir, Dirs, Look, PolicyName, Sort},
    output::{self, Table},
};

mod daemon;

/// What helps where files or the index are not as they should be.
const HELP: &str = "`larder dirs recount` takes entries as they are, `larder dirs repair` moves a damaged index aside";

/// Does what was asked. `root` is not asked for where a directory is named.
///
/// # Errors
/// `NotFound` where the cache is not there; else those of the cache.
pub(super) fn run(root: &dyn Fn() -> Result<PathBuf>, what: Dirs, json: bool) -> Result<()> {
    let dir = |cache: CacheDir| existing(root, cache);
    let open = |cache: CacheDir| DirCache::open_existing(dir(cache)?);
    let look = |cache: CacheDir, what| look::run_in(&dir(cache)?, Store::Dirs, what, HELP, json);
    match what {
        Dirs::Ls { cache, sort } => list(&open(cache)?, sort, json),
        Dirs::Status { cache } => look(cache, Look::Status),
        Dirs::Evict { cache, policy, dry_run } => evict(&open(cache)?, policy, dry_run, json),
        Dirs::Pin { cache, keys } => pin(&open(cache)?, &keys, true, json),
        Dirs::Unpin { cache, keys } => pin(&open(cache)?, &keys, false, json),
        Dirs::Rm { cache, all: true, .. } => clear(&open(cache)?, json),
        Dirs::Rm { cache, keys, .. } => remove(&open(cache)?, &keys, json),
        Dirs::Verify { cache } => look(cache, Look::Verify),
        Dirs::Repair { cache } => look(cache, Look::Repair),
        Dirs::Recount { cache } => recount(&open(cache)?, json),
        Dirs::Daemon(what) => {
            let dir = what.cache.dir.clone().map_or_else(|| made(&root()?), Ok)?;
            daemon::run(&dir, &what)
        }
    }
}

/// The directory of the cache that is there; one that was mistyped is not made.
fn existing(root: &dyn Fn() -> Result<PathBuf>, cache: CacheDir) -> Result<PathBuf> {
    match cache.dir {
        Some(dir) if dir.is_dir() => Ok(dir),
        Some(dir) => {
            let message = "there is no such directory: name that of a directory cache";
            Err(Error::new(ErrorKind::NotFound, message).at_path(dir))
        }
        None => {
            let root = root()?;
            look::check_root(&root)?;
            Ok(root.join(layout::DIRS))
        }
    }
}

fn made(root: &Path) -> Result<PathBuf> {
    make_root(root)?;
    Ok(root.join(layout::DIRS))
}

fn policy(name: PolicyName) -> Arc<dyn Policy> {
    match name {
        PolicyName::Gdsf => Arc::new(Gdsf),
        PolicyName::Lru => Arc::new(Lru),
        PolicyName::Lfu => Arc::new(Lfu),
        PolicyName::SizedLru => Arc::new(SizedLru),
    }
}

fn list(cache: &DirCache, sort: Sort, json: bool) -> Result<()> {
    let mut entries = cache.entries()?;
    match sort {
        // So they come.
        Sort::Key => {}
        Sort::Size => entries.sort_by_key(|entry| Reverse(entry.size)),
        Sort::Age => entries.sort_by_key(|entry| entry.last_access),
        Sort::Cost => entries.sort_by_key(|entry| Reverse(entry.build_cost)),
        Sort::Count => entries.sort_by_key(|entry| Reverse(entry.access_count)),
    }
    if json {
        return output::json(&entries.iter().map(value).collect::<Vec<_>>());
    }
    let mut table =
        Table::new(["key", "size", "files", "accesses", "age", "cost", "pinned", "expires"]);
    for entry in entries {
        table.row([
            output::one_line(&entry.key),
            output::bytes(entry.size),
            entry.files.to_string(),
            entry.access_count.to_string(),
            output::span(entry.age()),
            entry.build_cost.map_or_else(none, |cost| output::millis(cost.as_secs_f64() * 1e3)),
            if entry.pinned { "yes".to_owned() } else { none() },
            entry.expires_at.map_or_else(none, until),
        ]);
    }
    output::print(&table.render())
}

fn none() -> String {
    "-".to_owned()
}

fn until(time: SystemTime) -> String {
    match time.duration_since(SystemTime::now()) {
        Ok(left) if left > Duration::ZERO => format!("in {}", output::span(left)),
        _ => "over".to_owned(),
    }
}

fn value(entry: &EntryInfo) -> Value {
    json!({
        "key": entry.key,
        "size": entry.size,
        "files": entry.files,
        "built_at": output::utc(entry.built_at),
        "last_access": output::utc(entry.last_access),
        "access_count": entry.access_count,
        "build_cost_s": entry.build_cost.map(|cost| cost.as_secs_f64()),
        "pinned": entry.pinned,
        "expires_at": entry.expires_at.map(output::utc),
    })
}

fn evict(cache: &DirCache, name: Option<PolicyName>, dry_run: bool, json: bool) -> Result<()> {
    let policy = name.map(policy);
    let gone = match (policy.as_deref(), dry_run) {
        (Some(policy), true) => sizes(cache.would_evict_with(policy)?),
        (None, true) => sizes(cache.would_evict()?),
        (policy, false) => evict_now(cache, policy)?,
    };
    let freed: u64 = gone.iter().map(|(_, size)| size).sum();
    let overage = cache.overage()?.saturating_sub(if dry_run { freed } else { 0 });
    if json {
        let gone: Vec<_> =
            gone.iter().map(|(key, size)| json!({ "key": key, "size": size })).collect();
        return output::json(
            &json!({ "dry_run": dry_run, "evicted": gone, "freed": freed, "overage": overage }),
        );
    }
    let lines = gone
        .iter()
        .map(|(key, size)| format!("{}  {}\n", output::one_line(key), output::bytes(*size)));
    let mut text: String = lines.collect();
    let done = if dry_run { "would evict" } else { "evicted" };
    text.push_str(&format!("{done} {} of {}\n", count(gone.len() as u64), output::bytes(freed)));
    if overage > 0 {
        text.push_str(&format!(
            "{} above the threshold all the same: the rest is in use, pinned, empty or the newest\n",
            output::bytes(overage)
        ));
    }
    output::print(&text)
}

fn sizes(entries: Vec<EntryInfo>) -> Vec<(String, u64)> {
    entries.into_iter().map(|entry| (entry.key, entry.size)).collect()
}

/// What went, with the sizes of before.
fn evict_now(cache: &DirCache, policy: Option<&dyn Policy>) -> Result<Vec<(String, u64)>> {
    let before: HashMap<String, u64> = sizes(cache.entries()?).into_iter().collect();
    let gone = policy.map_or_else(|| cache.evict(), |policy| cache.evict_with(policy))?;
    let sized = |key: String| (before.get(&key).copied().unwrap_or_default(), key);
    Ok(gone.into_iter().map(sized).map(|(size, key)| (key, size)).collect())
}

fn count(entries: u64) -> String {
    if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") }
}

fn pin(cache: &DirCache, keys: &[String], pinned: bool, json: bool) -> Result<()> {
    let (mut done, mut missing) = (Vec::new(), Vec::new());
    for key in keys {
        let found = if pinned { cache.pin(key)? } else { cache.unpin(key)? };
        if found { &mut done } else { &mut missing }.push(key);
    }
    let what = if pinned { "pinned" } else { "unpinned" };
    if json {
        return output::json(&json!({ what: done, "missing": missing }));
    }
    let lines: String = missing.iter().map(|key| line("not there", key)).collect();
    output::print(&format!("{lines}{what} {} of {}\n", done.len(), keys.len()))
}

fn line(what: &str, key: &str) -> String {
    format!("{what}  {}\n", output::one_line(key))
}

fn clear(cache: &DirCache, json: bool) -> Result<()> {
    let gone = cache.clear()?;
    let kept: Vec<String> = cache.entries()?.into_iter().map(|entry| entry.key).collect();
    if json {
        output::json(&json!({ "removed": gone, "in_use": kept }))?;
    } else {
        let lines: String = kept.iter().map(|key| line("in use", key)).collect();
        output::print(&format!("{lines}removed {}\n", count(gone.len() as u64)))?;
    }
    conclude(cache, kept.len())
}

fn remove(cache: &DirCache, keys: &[String], json: bool) -> Result<()> {
    let (mut removed, mut missing, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    for key in keys {
        match cache.remove(key) {
            Ok(true) => removed.push(key),
            Ok(false) => missing.push(key),
            Err(error) if error.kind() == ErrorKind::Locked => kept.push(key),
            Err(error) => return Err(error),
        }
    }
    if json {
        output::json(&json!({ "removed": removed, "missing": missing, "in_use": kept }))?;
    } else {
        let missing = missing.iter().map(|key| line("not there", key));
        let lines: String = missing.chain(kept.iter().map(|key| line("in use", key))).collect();
        output::print(&format!("{lines}removed {} of {}\n", removed.len(), keys.len()))?;
    }
    conclude(cache, kept.len())
}

/// Fails where something was in use and stayed.
fn conclude(cache: &DirCache, kept: usize) -> Result<()> {
    if kept == 0 {
        return Ok(());
    }
    let message = format!(
        "{} in use: end the programs that have leases, and try again",
        if kept == 1 { "1 entry is".to_owned() } else { format!("{kept} entries are") }
    );
    Err(Error::new(ErrorKind::Locked, message).at_path(cache.root()))
}

fn recount(cache: &DirCache, json: bool) -> Result<()> {
    let recount = cache.recount()?;
    if json {
        return output::json(&recount);
    }
    let lists = [
        ("corrected", &recount.corrected),
        ("adopted", &recount.adopted),
        ("forgotten", &recount.dropped),
    ];
    let lines =
        lists.into_iter().flat_map(|(what, keys)| keys.iter().map(move |key| line(what, key)));
    let lines: String = lines.collect();
    output::print(&format!(
        "{lines}{} of {}\n",
        count(recount.entries),
        output::bytes(recount.size)
    ))
}
