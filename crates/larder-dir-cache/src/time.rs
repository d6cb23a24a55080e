//! Points in time as nanoseconds since 1970, as the index holds them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) fn now_ns() -> i64 {
    to_ns(SystemTime::now())
}

/// Times before 1970 become 1970, and those after 2262 become 2262.
pub(crate) fn to_ns(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

pub(crate) fn from_ns(ns: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(u64::try_from(ns).unwrap_or(0))
}
