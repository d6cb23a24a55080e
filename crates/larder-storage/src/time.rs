//! Points in time as nanoseconds since 1970 in UTC, as databases and sidecars hold them, and as text.

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

/// The time in UTC, as RFC 3339 has it, with this many digits of a second, at most 9: `2026-01-31T23:59:59Z` with none.
/// Times before 1970 become 1970.
pub fn utc(time: SystemTime, digits: usize) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if digits > 0 {
        text += &format!(".{:09}", since.subsec_nanos())[..=digits.min(9)];
    }
    text + "Z"
}

/// Year, month and day of the Gregorian calendar, so many days after 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    // Years are counted from March, so that the leap day comes last, in eras of 400 of them from the year 0.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let leap_days = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let is_next_year = month >= 10;
    let month = if is_next_year { month - 9 } else { month + 3 };
    (400 * era + year_of_era + u64::from(is_next_year), month, day)
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

    #[test]
    fn times_are_those_of_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(utc(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), 0), text);
        }
        let short = SystemTime::UNIX_EPOCH + Duration::from_nanos(12_345_678);
        assert_eq!(utc(short, 3), "1970-01-01T00:00:00.012Z");
        assert_eq!(utc(short, 99), "1970-01-01T00:00:00.012345678Z");
    }
}
