//! What keeps the entries: the same few operations for each engine.

use std::{fmt, path::Path};

use larder_storage::{Bytes, Result};

use crate::{Lookup, Status, VerifyReport};

/// A value as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) json: Bytes,
    /// Nanoseconds since 1970, UTC.
    pub(crate) expires_at: Option<i64>,
}

/// What is done with each entry: its key and its value, both as JSON text.
pub(crate) type EachEntry<'a> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'a;

/// What is done to one key.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// A key that is there keeps its place.
    Set(Value),
    /// The key begins anew, at the end.
    SetAnew(Value),
    /// Another value, as JSON text, for an entry that is live, and else as it is.
    Revalue(Bytes),
    Remove,
    /// The value stays, and expires then.
    Expire(Option<i64>),
}

/// A value that is to be kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Value {
    pub(crate) json: Bytes,
    /// Nanoseconds since 1970, UTC.
    pub(crate) expires_at: Option<i64>,
    pub(crate) tags: Vec<String>,
}

/// What has to hold for a change to happen.
#[derive(Clone, Debug)]
pub(crate) enum When {
    Always,
    /// The key has no value.
    Absent,
    /// The key has this value, or none.
    Unchanged(Option<Bytes>),
}

/// One change, on its condition.
#[derive(Clone, Debug)]
pub(crate) struct Write<'a> {
    pub(crate) key: &'a str,
    pub(crate) change: Change,
    pub(crate) when: When,
}

impl Write<'_> {
    /// Whether it replaces what is there, whatever that is, by a live entry without tags.
    pub(crate) fn is_plain(&self, now: i64) -> bool {
        let Change::Set(value) = &self.change else { return false };
        let is_live = value.expires_at.is_none_or(|at| at > now);
        is_live && value.tags.is_empty() && matches!(self.when, When::Always)
    }
}

/// Computations that were taken on; they end when it is dropped.
pub(crate) trait Flight {
    /// Whether the key at this index of those that were asked for is to be computed here.
    fn leads(&self, index: usize) -> bool;

    /// Ends what was taken on, and waits until another one has ended of those that others compute.
    fn land(self: Box<Self>) -> Result<()>;
}

/// Keeps entries; times are nanoseconds since 1970.
pub(crate) trait Engine: fmt::Debug + Send + Sync {
    /// Where the entries lie, for people.
    fn path(&self) -> &Path;

    fn find(&self, key: &str, now: i64) -> Result<Lookup<Found>>;

    /// Looks keys up, all in one state.
    fn find_many(&self, keys: &[&str], now: i64) -> Result<Vec<Lookup<Found>>>;

    /// Whether keys have values, all in one state.
    fn contains(&self, keys: &[&str], now: i64) -> Result<Vec<bool>>;

    /// The keys that begin with `prefix`, in their order.
    fn keys(&self, prefix: &str, now: i64) -> Result<Vec<String>>;

    fn len(&self, now: i64) -> Result<u64>;

    /// Does all of it or none; for each, whether it happened: a removal of what is not there does not, nor does what
    /// loses its condition.
    fn write(&self, writes: &[Write<'_>], now: i64) -> Result<Vec<bool>>;

    /// Refuses a value that no write could keep, before it waits for a save that could then only fail.
    fn admit(&self, key: &str, value: &Value) -> Result<()>;

    /// Forgets every entry, or those of a tag.
    fn clear(&self, tag: Option<&str>) -> Result<()>;

    /// Reads what is kept anew, where it is not looked at each time.
    fn reload(&self) -> Result<()>;

    /// Gives every entry, key and value as JSON text, in order and in one state.
    fn entries(&self, now: i64, each: &mut EachEntry<'_>) -> Result<()>;

    /// Takes on the computation of those `keys` that have no value and that nobody computes.
    fn take_off<'a>(&'a self, keys: &[&str], now: i64) -> Result<Box<dyn Flight + 'a>>;

    /// Tells others what only this value knows; nothing else is asked of it afterwards.
    fn close(&self) {}

    /// How many entries this value's writes evicted.
    fn evictions(&self) -> u64;

    fn status(&self, now: i64) -> Result<Status>;

    fn verify(&self) -> Result<VerifyReport>;

    /// Gives the space of removed entries back to the file system.
    fn vacuum(&self, now: i64) -> Result<()>;
}
