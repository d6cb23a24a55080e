use std::{
    collections::BTreeSet,
    fmt,
    time::{Duration, SystemTime},
};

use larder_storage::{Digest, Result, time};

use crate::{Id, Provenance, State, index::Rows, row::Row};

/// A result with its payload.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stored<T> {
    /// Its id.
    pub id: Id,
    /// The result itself.
    pub payload: T,
    /// The kind of payload, as [`Payload::KIND`](crate::Payload::KIND).
    pub kind: &'static str,
    /// When the record was made.
    pub created_at: SystemTime,
    /// What made it, where that is known.
    pub provenance: Option<Provenance>,
}

/// What [`ProvenanceStore::get_or_compute`](crate::ProvenanceStore::get_or_compute) gives.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outcome<T> {
    /// The id of the result.
    pub id: Id,
    /// The result.
    pub payload: T,
    /// Whether it was computed now, by this caller.
    pub computed: bool,
}

/// A result without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Its id.
    pub id: Id,
    /// The kind of payload, as [`Payload::KIND`](crate::Payload::KIND).
    pub kind: String,
    /// When the record was made.
    pub created_at: SystemTime,
    /// Whether its payload is there and can be relied on.
    pub state: State,
    /// When it last got a payload.
    pub stored_at: SystemTime,
    /// How long computing it took, where that was measured.
    pub cost: Option<Duration>,
    /// Whether [`gc`](crate::ProvenanceStore::gc) has to leave it.
    pub pinned: bool,
    /// What people called it.
    pub tags: BTreeSet<String>,
    /// What somebody noted about it.
    pub note: Option<String>,
    /// What made it, where that is known.
    pub provenance: Option<Provenance>,
    /// The BLAKE3 digest of the payload's bytes.
    pub payload: Digest,
    /// How many these are.
    pub payload_len: u64,
    /// What the record says about the payload, as in [`Encoded::summary`](crate::Encoded::summary).
    pub summary: String,
}

impl Record {
    pub(crate) fn of(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.id,
            kind: row.kind.to_string(),
            created_at: row.created_at(),
            state: row.state,
            stored_at: time::from_ns(row.stored_at),
            cost: row.cost(),
            pinned: row.pinned,
            tags: row.tags.clone(),
            note: row.note.clone(),
            provenance: row.provenance()?,
            payload: row.content.payload,
            payload_len: row.content.payload_len,
            summary: row.content.summary.clone(),
        })
    }
}

/// The records of one kind, the oldest first; from [`ProvenanceStore::list`](crate::ProvenanceStore::list).
///
/// Records that are stored or deleted meanwhile may be listed or not. An item is an error of kind `Corrupt` where that
/// record is damaged, and of kind `Io` or `Backend` where the database fails, which ends the listing.
pub struct Records<'a>(pub(super) Rows<'a>);

impl Iterator for Records<'_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|row| Record::of(&*row.map_err(|damaged| damaged.error)?))
    }
}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Records")
    }
}
