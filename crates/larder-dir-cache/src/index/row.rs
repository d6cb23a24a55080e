use std::time::Duration;

use larder_storage::{Digest, time::from_ns};
use rusqlite::types::Type;

use super::digest;
use crate::EntryInfo;

/// Where an entry is in its life, as the index has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// About to be renamed to its place, or just renamed.
    Publishing = 0,
    /// In its place, and usable.
    Live = 1,
    /// About to be renamed away, or just renamed.
    Removing = 2,
    /// Being built; its size is what the builder may write.
    Reserved = 3,
}

/// One entry in the index.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Never that of another entry, now or later; 0 before it is in the index.
    pub(crate) id: i64,
    pub(crate) key: String,
    pub(crate) state: State,
    pub(crate) size: u64,
    pub(crate) files: u64,
    pub(crate) listing: Digest,
    pub(crate) built_at_ns: i64,
    pub(crate) last_access_ns: i64,
    pub(crate) access_count: u64,
    /// The count that `.cache_meta` has; -1 where it lacks something else.
    pub(crate) meta_count: i64,
    pub(crate) build_cost_ns: Option<u64>,
    pub(crate) pinned: bool,
    pub(crate) expires_at_ns: Option<i64>,
    pub(crate) priority: f64,
    /// The boot of the machine in which its files were last known to be whole; None where they survive power cuts.
    pub(crate) checked_boot: Option<i64>,
}

/// The columns in the order of [`Row::parse`].
pub(super) const COLUMNS: &str = "id, key, state, size, files, listing, built_at_ns, last_access_ns, access_count, \
                                  meta_count, build_cost_ns, pinned, expires_at_ns, priority, checked_boot";

impl Row {
    pub(super) fn parse(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let listing: Vec<u8> = row.get(5)?;
        let wrong_listing =
            || rusqlite::Error::FromSqlConversionFailure(5, Type::Blob, "not 32 bytes".into());
        Ok(Self {
            id: row.get(0)?,
            key: row.get(1)?,
            state: match row.get(2)? {
                0_i64 => State::Publishing,
                1 => State::Live,
                2 => State::Removing,
                3 => State::Reserved,
                other => return Err(rusqlite::Error::IntegralValueOutOfRange(2, other)),
            },
            size: row.get(3)?,
            files: row.get(4)?,
            listing: digest(&listing).ok_or_else(wrong_listing)?,
            built_at_ns: row.get(6)?,
            last_access_ns: row.get(7)?,
            access_count: row.get(8)?,
            meta_count: row.get(9)?,
            build_cost_ns: row.get(10)?,
            pinned: row.get(11)?,
            expires_at_ns: row.get(12)?,
            priority: row.get(13)?,
            checked_boot: row.get(14)?,
        })
    }

    pub(crate) fn info(self) -> EntryInfo {
        EntryInfo {
            size: self.size,
            files: self.files,
            built_at: from_ns(self.built_at_ns),
            last_access: from_ns(self.last_access_ns),
            access_count: self.access_count,
            build_cost: self.build_cost_ns.map(Duration::from_nanos),
            pinned: self.pinned,
            expires_at: self.expires_at_ns.map(from_ns),
            priority: self.priority,
            key: self.key,
        }
    }
}
