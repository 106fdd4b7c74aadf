//! Points in time as Microsoft's interfaces write them: UTC, in steps of 100 nanoseconds, without trailing zeros.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use std::fmt;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime};

/// A point in time: 100-nanosecond steps since 1970-01-01T00:00:00Z.
///
/// It is written with up to seven digits of a second and without trailing zeros, so texts of different length can mean
/// neighbouring points. Comparing the texts instead of the points is a mistake that a client shall be able to make here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(i64);

/// Steps in a second.
const SECOND: i64 = 10_000_000;
/// Steps between 0001-01-01, where .NET begins to count, and 1970-01-01.
const DOT_NET_EPOCH: i64 = 62_135_596_800 * SECOND;

impl Stamp {
    /// The time of the machine.
    pub fn now() -> Self {
        Self::from(DateTime::<Utc>::from(SystemTime::now()))
    }

    /// Reads what a client may write: a date and a time with 0 to 9 digits of a second, with or without an offset.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Some(Self::from(time.to_utc()));
        }
        NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
            .ok()
            .map(|time| Self::from(time.and_utc()))
    }

    /// Whole seconds since 1970.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(SECOND)
    }

    /// Steps since the year 1, as they stand in identifiers of alerts.
    pub fn dot_net_ticks(self) -> i64 {
        self.0 + DOT_NET_EPOCH
    }

    /// Steps since 1970.
    pub fn ticks(self) -> i64 {
        self.0
    }

    /// The reverse of [`Stamp::ticks`].
    pub fn from_ticks(ticks: i64) -> Self {
        Self(ticks)
    }

    /// How much later this is than another point; nothing if it is earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0 - earlier.0).unwrap_or(0) * 100)
    }

    /// The form of HTTP headers, cut to whole seconds.
    pub fn http_date(self) -> String {
        self.time().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    /// The same point for chrono.
    pub fn time(self) -> DateTime<Utc> {
        let nanos = u32::try_from(self.0.rem_euclid(SECOND) * 100).unwrap_or(0);
        DateTime::from_timestamp(self.seconds(), nanos).unwrap_or_default()
    }
}

fn steps(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos() / 100).unwrap_or(i64::MAX)
}

impl Add<Duration> for Stamp {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(steps(duration)))
    }
}

impl Sub<Duration> for Stamp {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(steps(duration)))
    }
}

impl From<DateTime<Utc>> for Stamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.timestamp() * SECOND + i64::from(time.timestamp_subsec_nanos() / 100))
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.time().to_rfc3339_opts(SecondsFormat::Secs, true);
        let fraction = format!("{:07}", self.0.rem_euclid(SECOND));
        let digits = fraction.trim_end_matches('0');
        let whole = whole.trim_end_matches('Z');
        if digits.is_empty() {
            write!(f, "{whole}Z")
        } else {
            write!(f, "{whole}.{digits}Z")
        }
    }
}

impl serde::Serialize for Stamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Stamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format_args!(
                "`{text}` is no time such as 2026-03-02T08:00:00Z"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_written_without_trailing_zeros() {
        for text in [
            "2026-03-02T08:00:00Z",
            "2026-03-02T08:00:00.5Z",
            "2026-03-02T08:00:00.0000001Z",
            "2026-03-02T08:00:00.35743Z",
            "1969-12-31T23:59:59.9999999Z",
        ] {
            assert_eq!(Stamp::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn stamps_are_read_with_and_without_offset() {
        let expected = Stamp::parse("2016-09-12T00:00:00Z").unwrap();
        assert_eq!(Stamp::parse("2016-09-12T00:00:00.000"), Some(expected));
        assert_eq!(Stamp::parse("2016-09-12T02:00:00+02:00"), Some(expected));
        assert_eq!(Stamp::parse("yesterday"), None);
    }

    #[test]
    fn identifiers_count_from_the_year_one() {
        let stamp = Stamp::parse("2020-09-30T14:11:08.1685665Z").unwrap();
        assert_eq!(stamp.dot_net_ticks(), 637_370_718_681_685_665);
    }

    #[test]
    fn headers_hold_whole_seconds() {
        let stamp = Stamp::parse("2026-03-02T08:00:00.9Z").unwrap();
        assert_eq!(stamp.http_date(), "Mon, 02 Mar 2026 08:00:00 GMT");
    }
}
