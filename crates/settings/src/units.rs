//! Numbers with a unit: intervals as QRadar writes them, and sizes.

use std::time::Duration;

/// Letters of intervals, in seconds.
const INTERVALS: [(char, u64); 3] = [('D', 86_400), ('H', 3600), ('M', 60)];

/// Units of sizes, in bytes.
const SIZES: &[(&str, u64)] = &[
    ("", 1),
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

/// Reads `5M`, `2H`, `1D`; small letters are taken too.
#[must_use]
pub(crate) fn parse_interval(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit = text.chars().next_back()?;
    let (_, seconds) = INTERVALS
        .into_iter()
        .find(|(letter, _)| letter.eq_ignore_ascii_case(&unit))?;
    let number = &text[..text.len() - 1];
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds = number.parse::<u64>().ok()?.checked_mul(seconds)?;
    // Upper bound: what 64 signed bits of milliseconds can hold.
    (seconds <= i64::MAX as u64 / 1000).then_some(Duration::from_secs(seconds))
}

/// Writes a number of seconds in the largest unit that fits.
#[must_use]
pub(crate) fn format_interval(seconds: u64) -> String {
    INTERVALS
        .into_iter()
        .find(|(_, unit)| seconds != 0 && seconds.is_multiple_of(*unit))
        .map_or_else(
            || format!("{seconds} seconds"),
            |(letter, unit)| format!("{}{letter}", seconds / unit),
        )
}

/// Reads a number of bytes: `1048576`, `512 MiB`, `2GB`. The largest is `i64::MAX`.
#[must_use]
pub(crate) fn parse_size(text: &str) -> Option<i64> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim().to_ascii_lowercase();
    let (_, factor) = SIZES.iter().find(|(name, _)| *name == unit)?;
    i64::try_from(number.parse::<u64>().ok()?.checked_mul(*factor)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_minutes_hours_and_days() {
        let seconds = |text| parse_interval(text).map(|interval| interval.as_secs());
        assert_eq!(seconds("5M"), Some(300));
        assert_eq!(seconds(" 2h "), Some(7200));
        assert_eq!(seconds("1D"), Some(86_400));
        assert_eq!(seconds("0M"), Some(0));
        for text in [
            "",
            "M",
            "5",
            "5S",
            "-5M",
            "5 M",
            "+5M",
            "5.5M",
            "99999999999999999999D",
            "9223372036854775807D",
            "5µ",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn intervals_are_written_in_the_largest_unit_that_fits() {
        for (seconds, text) in [
            (300, "5M"),
            (3600, "1H"),
            (5400, "90M"),
            (172_800, "2D"),
            (90, "90 seconds"),
        ] {
            assert_eq!(format_interval(seconds), text);
        }
    }

    #[test]
    fn sizes_are_read_with_and_without_units() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("512 MiB", 512 << 20),
            ("2GB", 2_000_000_000),
            (" 1 kib ", 1024),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5 GiB", "1 parsec", "99999999999 TiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
