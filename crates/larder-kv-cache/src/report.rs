use std::path::PathBuf;

use larder_storage::Problem;
use serde::Serialize;

/// The figures of a cache. To count the entries takes time in proportion to their number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The namespace.
    pub namespace: String,
    /// The database's file, or the document: its file or, where the storage has none, its key.
    pub path: PathBuf,
    /// The saved entries.
    pub entries: u64,
    /// The keys whose writes are held in memory, and that [`save`](crate::KvCache::save) would save.
    pub unsaved: u64,
    /// The entries that were cleared or have expired, and whose space is not free yet.
    pub dead: u64,
    /// The size of the database in bytes.
    pub bytes: u64,
    /// The part of `bytes` that is free for new entries.
    pub free_bytes: u64,
}

/// What [`verify`](crate::KvCache::verify) found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The entries that were read.
    pub entries: u64,
    /// What is wrong, in the order of the entries; the place is the key of an entry, or the database's file.
    pub problems: Vec<Problem>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}
