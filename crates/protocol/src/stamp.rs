//! Time stamps of sources: texts with up to seven fraction digits, which have to come back as they were.

use chrono::{DateTime, Datelike, NaiveDateTime, Utc};

/// Reads an ISO 8601 time stamp with any number of fraction digits; without a zone it is UTC. `None` also for years
/// that no source has, because a stamp far in the future would move a position there.
pub(crate) fn parse(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let time = match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.to_utc(),
        Err(_) => NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
            .ok()?
            .and_utc(),
    };
    (1970..=9998).contains(&time.year()).then_some(time)
}

/// Writes a time stamp the way Microsoft's interfaces do: seven fraction digits and `Z`. What is finer is cut off, so
/// a lower bound never moves up.
pub(crate) fn format(time: DateTime<Utc>) -> String {
    let ticks = time.timestamp_subsec_nanos() / 100;
    format!("{}.{ticks:07}Z", time.format("%Y-%m-%dT%H:%M:%S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_keep_all_seven_digits_and_compare_by_time() {
        for text in [
            "2020-09-30T14:11:44.0779765Z",
            "2020-09-30T14:11:44.0000001Z",
        ] {
            assert_eq!(format(parse(text).unwrap()), text);
        }
        let order = [
            "2016-09-12T00:00:00",
            "2016-09-12T00:00:00.1Z",
            "2016-09-12T00:00:00.10001Z",
            "2016-09-12T02:00:00.2+02:00",
            "2016-09-12T00:00:00.9999999Z",
            "2016-09-12T00:00:01Z",
        ];
        assert!(order.windows(2).all(|pair| parse(pair[0]) < parse(pair[1])));
        assert_eq!(
            parse("2016-09-12T02:00:00.2+02:00"),
            parse("2016-09-12T00:00:00.2000000Z")
        );
    }

    #[test]
    fn what_is_no_time_of_any_source_is_not_read() {
        for text in [
            "",
            "yesterday",
            "2020-13-01T00:00:00Z",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "+12020-01-01T00:00:00Z",
            "2020-09-30",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
