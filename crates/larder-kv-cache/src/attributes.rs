use std::time::Duration;

/// What an entry has beside its key and its value. The default lives as long as
/// [`Options::time_to_live`](crate::Options::time_to_live) says, and has no tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "attributes do nothing until a value is set with them"]
pub struct Attributes {
    /// The outer one is none where the options decide.
    time_to_live: Option<Option<Duration>>,
    pub(crate) tags: Vec<String>,
}

impl Attributes {
    /// The entry is there for this long.
    pub fn time_to_live(mut self, time: Duration) -> Self {
        self.time_to_live = Some(Some(time));
        self
    }

    /// The entry never expires.
    pub fn for_ever(mut self) -> Self {
        self.time_to_live = Some(None);
        self
    }

    /// Adds a tag: [`KvCache::clear_tag`](crate::KvCache::clear_tag) forgets all entries that have it.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// When the entry expires that is set `now`, in nanoseconds since 1970.
    pub(crate) fn expires_at(
        &self,
        default: Option<Duration>,
        now: impl FnOnce() -> i64,
    ) -> Option<i64> {
        self.time_to_live.unwrap_or(default).map(|time| after(now(), time))
    }
}

/// What is too far away is the end of time.
pub(crate) fn after(now: i64, time: Duration) -> i64 {
    now.saturating_add(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
}
