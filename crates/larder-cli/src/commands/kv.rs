//! `larder kv`: what can be done with a lookup cache.

use std::{
    io::{self, Read},
    path::PathBuf,
    process::ExitCode,
};

use larder::{
    kv_cache::{Attributes, KvCache},
    storage::{Error, ErrorKind, Result},
};
use serde_json::{Value, json, value::RawValue};

use crate::{
    args::{Cache, Kv, Look, Set},
    output,
};

use place::Place;

mod place;
mod report;
mod transfer;

/// The exit code of a `get` that found nothing.
const MISS: u8 = 3;

/// Does what was asked. `root` is not asked for where a document is named.
///
/// # Errors
/// `NotFound` where a namespace has to be there and is not; else those of the cache.
pub(super) fn run(root: &dyn Fn() -> Result<PathBuf>, what: Kv, json: bool) -> Result<ExitCode> {
    let place = |cache: Cache| Place::new(root, cache.namespace, cache.document);
    let existing = |cache| place(cache)?.existing();
    match what {
        Kv::Get { cache, key, text } => return get(&existing(cache)?, &key, text),
        Kv::Set(Set { cache, key, value, text, ttl, tag }) => {
            let value = value_of(value, text)?;
            let attributes = tag.into_iter().fold(Attributes::default(), Attributes::tag);
            let attributes = match ttl {
                Some(time) => attributes.time_to_live(time),
                None => attributes,
            };
            check_key(&key)?;
            place(cache)?.open()?.set_with(&key, &value, &attributes)?;
        }
        Kv::Rm { cache, keys } => remove(&place(cache)?, &keys, json)?,
        Kv::Keys { cache, prefix } => keys(&existing(cache)?.keys_with_prefix(&prefix)?, json)?,
        Kv::Import { cache, file } => transfer::import(&place(cache)?, &file, json)?,
        Kv::Export { cache, output: None } => transfer::export(&existing(cache)?)?,
        Kv::Export { cache, output: Some(file) } => {
            transfer::export_to(&existing(cache)?, &file, json)?;
        }
        Kv::Hits { cache, misses } => hits(&existing(cache)?, misses, json)?,
        Kv::Clear { cache, tag: None } => existing(cache)?.clear()?,
        Kv::Clear { cache, tag: Some(tag) } => existing(cache)?.clear_tag(&tag)?,
        Kv::Vacuum { cache } => vacuum(&existing(cache)?, json)?,
        Kv::Status(cache) => report::run(root, cache, Look::Status, json)?,
        Kv::Verify(cache) => report::run(root, cache, Look::Verify, json)?,
        Kv::Repair(cache) => report::run(root, cache, Look::Repair, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses what no cache would take, before one is made for it.
fn check_key(key: &str) -> Result<()> {
    if key.len() <= KvCache::MAX_KEY_LEN {
        return Ok(());
    }
    let (shown, limit) = (key.chars().take(40).collect::<String>(), KvCache::MAX_KEY_LEN);
    let message = format!("the key {shown:?} is longer than {limit} bytes: hash it first");
    Err(Error::new(ErrorKind::Invalid, message))
}

fn get(cache: &KvCache, key: &str, text: bool) -> Result<ExitCode> {
    let found = if text {
        cache.get::<String>(key)?.hit()
    } else {
        cache.get::<Box<RawValue>>(key)?.hit().map(|json| json.get().to_owned())
    };
    let Some(value) = found else { return Ok(ExitCode::from(MISS)) };
    output::print(&format!("{value}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// The value on the command line or on standard input, spelled as it is there.
fn value_of(value: String, text: bool) -> Result<Box<RawValue>> {
    let value = if value == "-" { read_input()? } else { value };
    let spelled = if text { Value::from(value).to_string() } else { value };
    // A raw value may hold numbers and depths that nothing could read back.
    serde_json::from_str::<Value>(&spelled).and_then(|_| serde_json::from_str(&spelled)).map_err(
        |error| {
            let message = "the value is no JSON: put a string in double quotes, or give --text";
            Error::new(ErrorKind::Invalid, message).with_source(error)
        },
    )
}

fn read_input() -> Result<String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => {
            Error::new(ErrorKind::Invalid, "standard input is no UTF-8 text")
        }
        _ => Error::io(error, "cannot read standard input"),
    })?;
    Ok(text)
}

fn remove(place: &Place, keys: &[String], json: bool) -> Result<()> {
    let cache = place.existing_unsaved()?;
    let (mut removed, mut missing) = (Vec::new(), Vec::new());
    for key in keys {
        if cache.invalidate(key)? { &mut removed } else { &mut missing }.push(key);
    }
    cache.save()?;
    output::removed(&removed, &missing, json)
}

fn keys(keys: &[String], json: bool) -> Result<()> {
    if json {
        return output::json(&keys);
    }
    output::print(&keys.iter().map(|key| format!("{key}\n")).collect::<String>())
}

fn hits(cache: &KvCache, misses: bool, json: bool) -> Result<()> {
    let input = read_input()?;
    let (there, not_there) = cache.hits_and_misses(&input.lines().collect::<Vec<_>>())?;
    if json {
        return output::json(&json!({ "hits": there, "misses": not_there }));
    }
    keys(if misses { &not_there } else { &there }, false)
}

fn vacuum(cache: &KvCache, json: bool) -> Result<()> {
    let before = cache.status()?.bytes;
    cache.vacuum()?;
    let after = cache.status()?.bytes;
    if json {
        return output::json(&json!({ "bytes_before": before, "bytes": after }));
    }
    output::print(&format!("{}, was {}\n", output::bytes(after), output::bytes(before)))
}
