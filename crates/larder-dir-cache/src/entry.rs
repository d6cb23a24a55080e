use std::time::{Duration, SystemTime};

use serde::Serialize;

/// What is known of one entry.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EntryInfo {
    /// The key, which is also the path below the root, with `/` between its segments.
    pub key: String,
    /// What the entry occupies on the disk, in bytes.
    pub size: u64,
    /// How many files and symbolic links it has.
    pub files: u64,
    /// When it was published, or for an adopted one last accessed before.
    pub built_at: SystemTime,
    /// When a lease on it was last taken or released.
    pub last_access: SystemTime,
    /// How many leases were taken on it, the builder's among them.
    pub access_count: u64,
    /// How long its builder ran, where that is known.
    pub build_cost: Option<Duration>,
    /// Whether it is kept from eviction.
    pub pinned: bool,
    /// When it is no longer handed out, where it was given a time to live.
    pub expires_at: Option<SystemTime>,
    /// What the [`Policy`](crate::Policy) remembers of it, as of the last eviction.
    pub priority: f64,
}

impl EntryInfo {
    /// An entry of `size` bytes, never accessed since 1970; its fields may be set one by one. For tests of policies.
    pub fn new(key: impl Into<String>, size: u64) -> Self {
        Self {
            key: key.into(),
            size,
            files: 0,
            built_at: SystemTime::UNIX_EPOCH,
            last_access: SystemTime::UNIX_EPOCH,
            access_count: 0,
            build_cost: None,
            pinned: false,
            expires_at: None,
            priority: 0.0,
        }
    }

    /// The time since the last access; zero where the clock was set back.
    pub fn age(&self) -> Duration {
        self.last_access.elapsed().unwrap_or_default()
    }
}

/// The cache's figures at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// The sum of the sizes of all entries, in bytes.
    pub total_size: u64,
    /// How many entries there are.
    pub entry_count: u64,
    /// Whether the total is above the threshold.
    pub is_over_limit: bool,
    /// By how many bytes it is.
    pub overage: u64,
}

/// The figures for `larder status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// How many entries there are.
    pub entries: u64,
    /// The sum of their sizes, in bytes.
    pub size: u64,
    /// The threshold above which entries are evicted, in bytes.
    pub evict_above: u64,
    /// By how many bytes the sum is above the threshold.
    pub overage: u64,
    /// The hard limit, in bytes.
    pub limit: Option<u64>,
    /// What counts against it: the entries, what their builders may write, and what is being deleted, in bytes.
    pub used: u64,
    /// Entries that are being built, published or removed, or were when their process died.
    pub unfinished: u64,
}
