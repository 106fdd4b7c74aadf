//! Intervals as QRadar writes them: a number and `M`, `H` or `D`.

use chrono::TimeDelta;

const UNITS: [(char, i64); 3] = [('D', 86_400), ('H', 3600), ('M', 60)];

/// Reads `5M`, `2H`, `1D`; small letters are taken too.
pub fn parse_interval(text: &str) -> Option<TimeDelta> {
    let text = text.trim();
    let unit = text.chars().next_back()?;
    let (_, seconds) = UNITS
        .into_iter()
        .find(|(letter, _)| letter.eq_ignore_ascii_case(&unit))?;
    let number = &text[..text.len() - 1];
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: i64 = number.parse().ok()?;
    TimeDelta::try_seconds(number.checked_mul(seconds)?)
}

/// Writes a number of seconds in the largest unit that fits.
pub fn format_interval(seconds: i64) -> String {
    UNITS
        .into_iter()
        .find(|(_, unit)| seconds != 0 && seconds % unit == 0)
        .map_or_else(
            || format!("{seconds} seconds"),
            |(letter, unit)| format!("{}{letter}", seconds / unit),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_minutes_hours_and_days() {
        let seconds = |text| parse_interval(text).map(|interval| interval.num_seconds());
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
}
