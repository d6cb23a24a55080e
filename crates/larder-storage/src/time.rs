//! Points in time as nanoseconds since 1970 in UTC, as databases and sidecars hold them.

use std::time::{Duration, SystemTime};

/// Now.
pub fn now_ns() -> i64 {
    to_ns(SystemTime::now())
}

/// Times before 1970 become 1970, and those after 2262 become 2262.
pub fn to_ns(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The time that [`to_ns`] gave; negative numbers, which it never gives, count as 1970.
pub fn from_ns(ns: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(ns).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_and_never_overflows() {
        let now = SystemTime::now();
        assert_eq!(to_ns(from_ns(to_ns(now))), to_ns(now));
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!((to_ns(before), from_ns(-1)), (0, SystemTime::UNIX_EPOCH));
        let late = SystemTime::UNIX_EPOCH + Duration::from_secs(20_000_000_000);
        assert_eq!(to_ns(late), i64::MAX);
    }
}
