//! Time stamps without a pattern.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::fields::{DateRule, Fields, Hour, Rules, Weeks};
use super::scan::{Found, MONTHS, Scan, WEEKDAYS};
use super::zone::{self, Repeated};
use super::{TimeContext, TimeError};

const RULES: Rules = Rules {
    date: DateRule::MonthDay,
    weeks: Weeks::ISO,
    repeated: Repeated::Second,
};

const HELP: &str = "give a date format";

/// Reads a time stamp in one of the forms that need no pattern; see the module's documentation for the list.
///
/// The text is the whole value: apart from blanks around it and a comment in parentheses behind it, nothing may follow
/// the time stamp. What could be read in two ways is refused.
pub fn recognise(text: &str, ctx: &TimeContext) -> Result<DateTime<Utc>, TimeError> {
    if let Some(instant) = iso_utc(text.as_bytes()) {
        return Ok(instant);
    }
    let mut scan = Scan::new(text);
    scan.skip_blanks();
    match scan.peek() {
        Some(b'0'..=b'9') => from_digits(&mut scan, ctx),
        Some(byte) if byte.is_ascii_alphabetic() => from_word(&mut scan, ctx),
        _ => Err(scan.expected("a time stamp")),
    }
}

/// The fast path: `2026-11-23T08:36:45Z`, with up to nine fraction digits. Anything else, right or wrong, is `None`.
fn iso_utc(bytes: &[u8]) -> Option<DateTime<Utc>> {
    let (stamp, fraction) = bytes.strip_suffix(b"Z")?.split_at_checked(19)?;
    let number = |at: usize, digits: usize| {
        stamp
            .get(at..at + digits)?
            .iter()
            .try_fold(0u32, |value, b| {
                b.is_ascii_digit().then(|| value * 10 + u32::from(b - b'0'))
            })
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|&(at, mark)| stamp.get(at) != Some(&mark)) {
        return None;
    }
    let nanos = match fraction {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
            let mut nanos = 0u32;
            for at in 0..9 {
                let digit = digits.get(at).copied().unwrap_or(b'0');
                if !digit.is_ascii_digit() {
                    return None;
                }
                nanos = nanos * 10 + u32::from(digit - b'0');
            }
            nanos
        }
        _ => return None,
    };
    let year = i32::try_from(number(0, 4)?).ok().filter(|&year| year > 0)?;
    let date = NaiveDate::from_ymd_opt(year, number(5, 2)?, number(8, 2)?)?;
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    let time = NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)?;
    Some(date.and_time(time).and_utc())
}

/// Everything that begins with a digit. The length of the first number and what follows it tell the forms apart.
fn from_digits(scan: &mut Scan<'_>, ctx: &TimeContext) -> Result<DateTime<Utc>, TimeError> {
    let length = scan.run(|b| b.is_ascii_digit());
    match (length, scan.ahead(length), scan.ahead(length + 1)) {
        (4, Some(b'-' | b'/'), _) => year_first(scan, ctx),
        (8, Some(b'T' | b't'), _) => basic_iso(scan, ctx),
        (1 | 2, Some(b' ' | b'-' | b'/'), Some(next)) if next.is_ascii_alphabetic() => {
            day_first(scan, Fields::default(), ctx)
        }
        (1 | 2, Some(b'/' | b'-' | b'.'), Some(b'0'..=b'9')) => Err(ambiguous(scan)),
        (10, Some(b'.'), Some(b'0'..=b'9')) | (_, None | Some(b' ' | b'\t'), _) => {
            epoch(scan, length)
        }
        _ => Err(unknown(scan)),
    }
}

fn ambiguous(scan: &Scan<'_>) -> TimeError {
    let length = scan.run(|b| b.is_ascii_digit() || matches!(b, b'/' | b'-' | b'.'));
    let date = scan.rest().get(..length.min(24)).unwrap_or_default();
    let message = format!(
        "`{date}` does not say which number is the day and which the month; {HELP}, such as dd/MM/yyyy or MM/dd/yyyy"
    );
    TimeError::new(scan.at(), message)
}

fn unknown(scan: &Scan<'_>) -> TimeError {
    let message = format!("no known form of a time stamp: {}; {HELP}", scan.excerpt());
    TimeError::new(scan.at(), message)
}

/// An epoch; its length says its unit.
fn epoch(scan: &mut Scan<'_>, length: usize) -> Result<DateTime<Utc>, TimeError> {
    let at = scan.at();
    let digits = scan.rest().get(..length).unwrap_or_default();
    let unit = match length {
        10 => 1_000_000_000,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        14 => {
            let message = "14 digits are not an epoch; give a date format, such as yyyyMMddHHmmss";
            return Err(TimeError::new(at, message.to_owned()));
        }
        _ => {
            let message = format!(
                "an epoch has 10 digits (seconds), 13 (milliseconds), 16 (microseconds) or 19 (nanoseconds), not {length}"
            );
            return Err(TimeError::new(at, message));
        }
    };
    scan.seek(at + length);
    let fraction = match length == 10 && scan.eat(b'.') {
        true => scan.fraction(usize::MAX).unwrap_or(0),
        false => 0,
    };
    end(scan)?;
    // Nineteen digits fit in an i128 with room for the unit.
    let count: i128 = digits.parse().map_err(|_| unknown(scan))?;
    let nanos = count * unit + i128::from(fraction);
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).ok();
    let rest = u32::try_from(nanos.rem_euclid(1_000_000_000)).ok();
    seconds
        .zip(rest)
        .and_then(|(seconds, nanos)| DateTime::from_timestamp(seconds, nanos))
        .ok_or_else(|| TimeError::new(at, "the epoch is beyond the calendar".to_owned()))
}

/// ISO 8601 and its cousins: `2026-11-23T08:36:45.123+01:00`, `2026/11/23 08:36:45`, `2026-11-23`.
fn year_first(scan: &mut Scan<'_>, ctx: &TimeContext) -> Result<DateTime<Utc>, TimeError> {
    let mut fields = Fields {
        year: scan.digits(4),
        ..Fields::default()
    };
    let separator = scan.peek().unwrap_or(b'-');
    scan.eat(separator);
    fields.month = Some(two_digits(scan, "the month", 1, 12)?);
    if !scan.eat(separator) {
        return Err(scan.expected(&format!("`{}`", char::from(separator))));
    }
    fields.day = Some(two_digits(scan, "the day of the month", 1, 31)?);
    let separated = scan.eat(b'T') || scan.eat(b't') || scan.skip_blanks();
    if !separated || scan.at_end() {
        end(scan)?;
        return fields.resolve(RULES, ctx);
    }
    clock(scan, &mut fields)?;
    finish(scan, fields, ctx)
}

/// `20261123T083645.123Z`.
fn basic_iso(scan: &mut Scan<'_>, ctx: &TimeContext) -> Result<DateTime<Utc>, TimeError> {
    let mut fields = Fields {
        year: scan.digits(4),
        ..Fields::default()
    };
    fields.month = Some(two_digits(scan, "the month", 1, 12)?);
    fields.day = Some(two_digits(scan, "the day of the month", 1, 31)?);
    scan.seek(scan.at() + 1);
    fields.hour = Some(Hour::OfDay(two_digits(scan, "the hour", 0, 23)?.value));
    fields.minute = two_digits(scan, "the minute", 0, 59)?.value;
    fields.second = two_digits(scan, "the second", 0, 59)?.value;
    fraction(scan, &mut fields);
    finish(scan, fields, ctx)
}

/// `23 Nov 2026 08:36:45 +0000`, `11/Mar/2015:05:26:00 +0100`, `23-Nov-2026 08:36:45`.
fn day_first(
    scan: &mut Scan<'_>,
    mut fields: Fields,
    ctx: &TimeContext,
) -> Result<DateTime<Utc>, TimeError> {
    fields.day = Some(number(scan, "the day of the month", 1, 31)?);
    let separator = scan
        .peek()
        .filter(|mark| matches!(mark, b'-' | b'/'))
        .unwrap_or(b' ');
    separate(scan, separator)?;
    fields.month = Some(month(scan)?);
    separate(scan, separator)?;
    fields.year = Some(four_digits(scan)?);
    if !(scan.eat(b':') || scan.skip_blanks()) {
        return Err(scan.expected("the time of day"));
    }
    clock(scan, &mut fields)?;
    finish(scan, fields, ctx)
}

/// Everything that begins with a name: a month, or a day of the week with any form of date behind it.
fn from_word(scan: &mut Scan<'_>, ctx: &TimeContext) -> Result<DateTime<Utc>, TimeError> {
    let mut fields = Fields::default();
    let at = scan.at();
    if name(scan.word(), &WEEKDAYS).is_some() {
        scan.eat(b',');
        scan.skip_blanks();
        if scan.peek().is_some_and(|b| b.is_ascii_digit()) {
            return day_first(scan, fields, ctx);
        }
    } else {
        scan.seek(at);
    }
    fields.month = Some(month(scan)?);
    separate(scan, b' ')?;
    fields.day = Some(number(scan, "the day of the month", 1, 31)?);
    let comma = scan.eat(b',');
    if !scan.skip_blanks() && !comma {
        return Err(scan.expected("the time of day"));
    }
    // Four digits are the year, unless a colon makes them an hour.
    let length = scan.run(|b| b.is_ascii_digit());
    if scan.ahead(length) != Some(b':') {
        fields.year = Some(four_digits(scan)?);
        let comma = scan.eat(b',');
        if !scan.skip_blanks() && !comma {
            return Err(scan.expected("the time of day"));
        }
    }
    clock(scan, &mut fields)?;
    finish(scan, fields, ctx)
}

/// What may follow the time of day: a zone, and the year if it has not been given.
fn finish(
    scan: &mut Scan<'_>,
    mut fields: Fields,
    ctx: &TimeContext,
) -> Result<DateTime<Utc>, TimeError> {
    loop {
        scan.skip_blanks();
        match scan.peek() {
            Some(b'0'..=b'9') if fields.year.is_none() => {
                fields.year = Some(four_digits(scan)?);
            }
            Some(byte)
                if fields.zone.is_none()
                    && (byte.is_ascii_alphabetic() || matches!(byte, b'+' | b'-')) =>
            {
                fields.zone = Some(zone::read(scan, ctx)?);
            }
            _ => break,
        }
    }
    end(scan)?;
    fields.resolve(RULES, ctx)
}

/// Nothing more, or a comment in parentheses as mail headers and JavaScript write it.
fn end(scan: &mut Scan<'_>) -> Result<(), TimeError> {
    scan.skip_blanks();
    let rest = scan.rest().trim_end_matches([' ', '\t', '\r', '\n']);
    if rest.is_empty() || (rest.starts_with('(') && rest.ends_with(')')) {
        return Ok(());
    }
    let message = format!(
        "{} follows the time stamp; cut it off or {HELP}",
        scan.excerpt()
    );
    Err(TimeError::new(scan.at(), message))
}

/// `08:36`, `08:36:45`, `08:36:45.123`, `8:36:45 AM`.
fn clock(scan: &mut Scan<'_>, fields: &mut Fields) -> Result<(), TimeError> {
    let hour = number(scan, "the hour", 0, 23)?;
    if !scan.eat(b':') {
        return Err(scan.expected("`:` and the minute"));
    }
    fields.minute = two_digits(scan, "the minute", 0, 59)?.value;
    if scan.eat(b':') {
        fields.second = two_digits(scan, "the second", 0, 59)?.value;
        fraction(scan, fields);
    }
    fields.hour = Some(Hour::OfDay(hour.value));
    let after = scan.at();
    scan.skip_blanks();
    let word = scan.word();
    match ["AM", "PM"]
        .iter()
        .position(|m| word.eq_ignore_ascii_case(m))
    {
        Some(_) if hour.value > 12 => {
            let message = format!("hour {} has an AM or PM behind it", hour.value);
            return Err(TimeError::new(hour.at, message));
        }
        Some(half) => {
            fields.hour = Some(Hour::OfHalfDay(hour.value));
            fields.afternoon = Some(half == 1);
        }
        None => scan.seek(after),
    }
    Ok(())
}

/// The fraction of the second, behind a dot or a comma.
fn fraction(scan: &mut Scan<'_>, fields: &mut Fields) {
    let digit_follows = scan.ahead(1).is_some_and(|b| b.is_ascii_digit());
    if digit_follows && (scan.eat(b'.') || scan.eat(b',')) {
        fields.nanos = scan.fraction(usize::MAX).unwrap_or(0);
    }
}

fn number(scan: &mut Scan<'_>, what: &str, least: u32, most: u32) -> Result<Found, TimeError> {
    let found = scan.digits(2).ok_or_else(|| scan.expected(what))?;
    if (least..=most).contains(&found.value) {
        return Ok(found);
    }
    let message = format!(
        "{what} is {}, but is at least {least} and at most {most}",
        found.value
    );
    Err(TimeError::new(found.at, message))
}

fn two_digits(scan: &mut Scan<'_>, what: &str, least: u32, most: u32) -> Result<Found, TimeError> {
    match scan.run(|b| b.is_ascii_digit()) {
        0 | 1 => Err(scan.expected(&format!("{what} in two digits"))),
        _ => number(scan, what, least, most),
    }
}

fn four_digits(scan: &mut Scan<'_>) -> Result<Found, TimeError> {
    match scan.run(|b| b.is_ascii_digit()) {
        4 => scan.digits(4),
        _ => None,
    }
    .ok_or_else(|| scan.expected("the year in four digits"))
}

fn separate(scan: &mut Scan<'_>, separator: u8) -> Result<(), TimeError> {
    let separated = match separator {
        b' ' => scan.skip_blanks(),
        _ => scan.eat(separator),
    };
    match separated {
        true => Ok(()),
        false => Err(scan.expected(&format!("`{}`", char::from(separator)))),
    }
}

fn month(scan: &mut Scan<'_>) -> Result<Found, TimeError> {
    let at = scan.at();
    match name(scan.word(), &MONTHS) {
        Some(index) => Ok(Found {
            value: index + 1,
            digits: 0,
            at,
        }),
        None => {
            scan.seek(at);
            Err(scan.expected("an English month name"))
        }
    }
}

/// The index of a whole word among the names or their first three letters.
fn name(word: &str, names: &[&str]) -> Option<u32> {
    let mut scan = Scan::new(word);
    scan.name(names).filter(|_| scan.at_end())
}
