//! The header `Retry-After`.

use chrono::{DateTime, TimeDelta, Utc};

/// How long a server asks us to wait: whole seconds, seconds with a fraction (Microsoft Graph sends `2.128`), or a date.
///
/// A date in the past means no wait. `None` where the value cannot be read.
pub fn retry_after(value: &str, now: DateTime<Utc>) -> Option<TimeDelta> {
    let value = value.trim();
    if value.starts_with(|c: char| c.is_ascii_digit()) {
        let number = value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let seconds: f64 = if number {
            value.parse().ok()?
        } else {
            return None;
        };
        // A wait that no clock holds is as good as the longest one.
        let milliseconds = (seconds * 1000.0).ceil().min(1e15);
        return TimeDelta::try_milliseconds(milliseconds as i64);
    }
    let date: DateTime<Utc> = httpdate::parse_http_date(value).ok()?.into();
    Some((date - now).max(TimeDelta::zero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(value: &str) -> Option<f64> {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = DateTime::from_timestamp(784_111_777, 0).unwrap();
        retry_after(value, now).map(|wait| wait.num_milliseconds() as f64 / 1000.0)
    }

    #[test]
    fn seconds_may_be_whole_or_have_a_fraction() {
        assert_eq!(seconds("120"), Some(120.0));
        assert_eq!(seconds(" 0 "), Some(0.0));
        assert_eq!(seconds("2.128"), Some(2.128));
        assert_eq!(seconds("0.0001"), Some(0.001), "never too early");
    }

    #[test]
    fn dates_may_have_each_of_the_three_forms_of_http() {
        for date in [
            "Sun, 06 Nov 1994 08:49:57 GMT",
            "Sunday, 06-Nov-94 08:49:57 GMT",
            "Sun Nov  6 08:49:57 1994",
        ] {
            assert_eq!(seconds(date), Some(20.0), "{date}");
        }
        assert_eq!(seconds("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0.0));
    }

    #[test]
    fn what_cannot_be_read_is_no_wait_of_zero() {
        for value in [
            "", "soon", "-1", "1,5", "1e9", "0x10", "1.2.3", "NaN", "inf",
        ] {
            assert_eq!(seconds(value), None, "{value}");
        }
        assert!(seconds(&"9".repeat(400)).unwrap() > 1e11);
    }
}
