//! An endless row of changes to a lookup cache, each of which follows from its number alone.

use std::sync::Arc;

use larder::kv_cache::{KvCache, Options};
use larder_storage::{Durability, LocalStorage, Result, object, open_with};

const NAMESPACE: &str = "shared";

/// Opens the cache that all workers share: a `database`, at `power`, or a `document` in the directory `place`, or a
/// document at the URL `place`.
pub(crate) fn open(engine: &str, place: &str) -> Result<KvCache> {
    let options = Options::default();
    let storage = match engine {
        "database" => return KvCache::open(place, NAMESPACE, options),
        "power" => {
            return KvCache::open(place, NAMESPACE, options.durability(Durability::Power));
        }
        "document" => Arc::new(LocalStorage::open(place, Durability::Process)?),
        // Whoever starts several of these has probed the server.
        _ => open_with(place, &object::Options::default().probe(false))?,
    };
    KvCache::open_document(storage, NAMESPACE, options)
}

/// What one change does.
#[derive(Debug)]
pub(crate) enum Change {
    /// Sets a key to so many bytes.
    Set(String, usize),
    /// Sets `MANY` at once.
    SetMany,
    Insert(String),
    Invalidate(String),
    Clear,
    /// Adds one to `sum`.
    Count,
}

/// The keys that are set at once, and the length of each value.
pub(crate) const MANY: [&str; 3] = ["many a", "many b", "many c"];
/// The length of each of their values.
pub(crate) const LEN: usize = 5000;

/// The change of this number.
pub(crate) fn change(number: u32) -> Change {
    let key = format!("key {}", number.wrapping_mul(7) % 10);
    match number % 12 {
        0 | 4 | 7 => Change::Set(key, 100),
        1 => Change::Set("large".into(), 20_000),
        2 => Change::SetMany,
        5 | 10 => Change::Invalidate(key),
        9 => Change::Insert(key),
        11 if number.is_multiple_of(5) => Change::Clear,
        _ => Change::Count,
    }
}

/// What the change of this number sets.
pub(crate) fn content(number: u32, len: usize) -> String {
    format!("{number:010} ").chars().cycle().take(len).collect()
}
