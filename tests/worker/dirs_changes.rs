//! Directories that tell who wrote them, and an endless row of changes of a cache of them, each of which follows from its
//! number alone.

#![expect(
    clippy::disallowed_methods,
    reason = "builders and users of entries write as other programs do"
)]

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use larder::dir_cache::{DirCache, EntryInfo, Lru, Options, Policy};
use larder_storage::{Durability, Error, Result};

/// One entry fits, and two do not, whether the blocks of the file system have 1 KiB or 4.
pub(crate) const EVICT_ABOVE: u64 = 80_000;
/// The files of an entry and their lengths.
const FILES: [(&str, usize); 4] =
    [("one", 10), ("two", 29_000), ("deep/three", 15_000), ("deep/er/four", 1)];
/// The file that a model is, and its length: two of these are above the threshold, too.
pub(crate) const MODEL: (&str, usize) = ("model", 40_000);

pub(crate) fn content(number: u32, len: usize) -> Vec<u8> {
    number.to_le_bytes().into_iter().cycle().take(len).collect()
}

/// Writes the files of an entry.
pub(crate) fn fill(dir: &Path, number: u32) -> Result<()> {
    let write = || {
        fs::create_dir_all(dir.join("deep/er"))?;
        FILES.iter().try_for_each(|(name, len)| fs::write(dir.join(name), content(number, *len)))
    };
    write().map_err(|error| Error::io(error, "cannot write the files").at_path(dir))
}

/// Who wrote an entry; fails where it is not whole, or has other files.
pub(crate) fn number_of(dir: &Path) -> std::result::Result<u32, String> {
    let read = |name: &str| {
        let path = dir.join(name);
        fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let first = read(FILES[0].0)?.first_chunk().copied().ok_or("the first file is empty")?;
    let number = u32::from_le_bytes(first);
    for (name, len) in FILES {
        if read(name)? != content(number, len) {
            return Err(format!("{}/{name} is not that of {number}", dir.display()));
        }
    }
    let names = fs::read_dir(dir).map_err(|error| error.to_string())?;
    let names: BTreeSet<_> = names.flatten().map(|found| found.file_name()).collect();
    let strangers: Vec<_> = names
        .iter()
        .filter(|name| !["one", "two", "deep", ".cache_meta"].iter().any(|own| **name == *own))
        .collect();
    if strangers.is_empty() { Ok(number) } else { Err(format!("also has {strangers:?}")) }
}

/// Options without a background thread.
pub(crate) fn options(evict_above: u64) -> Options {
    Options::new(evict_above).policy(Arc::new(Lru)).background(false)
}

/// A cache that evicts only what it is told to, one entry at a time.
pub(crate) fn open_to_change(root: &Path, durability: Durability) -> Result<DirCache> {
    let options = options(EVICT_ABOVE).policy(Arc::new(Only(None)));
    DirCache::open(root, options.durability(durability))
}

/// Evicts this one and no other.
#[derive(Debug)]
pub(crate) struct Only(pub(crate) Option<String>);

impl Policy for Only {
    fn victims(&self, _entries: &[EntryInfo], _bytes_needed: u64) -> Vec<String> {
        self.0.iter().cloned().collect()
    }
}

/// What is done to a cache.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Builds the entry, where it is not there.
    Build(String),
    Get(String),
    Remove(String),
    Evict(String),
    Pin(String, bool),
    /// Writes in place.
    Model(String),
    /// A cycle.
    Cycle,
}

/// The change of this number.
pub(crate) fn change(number: u32) -> Change {
    let key = ["a", "b/c", "b/d", "x/y/z", "e"][(number / 3 * 7 % 5) as usize].to_owned();
    match number % 13 {
        0 | 3 | 6 | 9 => Change::Build(key),
        1 => Change::Get(key),
        2 | 7 | 10 => Change::Evict(key),
        4 => Change::Remove(key),
        5 => Change::Pin(key, number.is_multiple_of(2)),
        8 => Change::Model(format!("models/{}", number % 2)),
        11 => Change::Evict(format!("models/{}", number / 13 % 2)),
        _ => Change::Cycle,
    }
}
