//! Device time: what a source says about when an event happened.
//!
//! [`DateFormat`] reads a text with a pattern of Java's `SimpleDateFormat` or of Joda-Time; [`recognise()`] reads the
//! forms that QRadar takes without a pattern. Both yield an instant in UTC. Nothing here reads a clock: what depends on
//! "now" depends on [`TimeContext::received`]. The work is linear in the length of the text and of the pattern.
//!
//! ```
//! use chrono::DateTime;
//! use dsm::device_time::{DateFormat, Dialect, TimeContext, recognise};
//!
//! let received = DateTime::from_timestamp(1_795_423_005, 0).unwrap_or_default();
//! let ctx = TimeContext::new(received);
//! let format = DateFormat::new("dd/MMM/YYYY:hh:mm:ss Z", Dialect::Joda)?;
//! let instant = format.parse("11/Mar/2015:15:26:00 +0100", &ctx)?;
//! assert_eq!(instant.to_rfc3339(), "2015-03-11T14:26:00+00:00");
//! assert_eq!(recognise("2015-03-11T14:26:00Z", &ctx)?, instant);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Rules
//!
//! A tag says where a rule is from: **\[D\]** IBM's documentation, **\[M\]** what is known of the product without a
//! document that says it, **\[F\]** real files and payloads, **\[J\]** the behaviour of JDK 17, **\[T\]** the
//! documentation of Joda-Time, **\[O\]** our own decision, where the others are silent or do harm. A rule that makes us
//! differ from Java says "unlike Java".
//!
//! ## Patterns
//!
//! - LEEF's `devTimeFormat` is written for `SimpleDateFormat` **\[D\]**; for `ext-data` in a log source extension IBM
//!   refers to Joda-Time's letters **\[M\]**.
//! - `SimpleDateFormat` has the letters `G y Y M L w W D d F E u a H k K h m s S z Z X`, Joda-Time
//!   `G C Y y x w e E D d M a K h H k m s S z Z`. Any other ASCII letter is an error. Literal text stands between
//!   quotes, `''` is a quote. **\[J\]** **\[T\]** A quote that is not closed is an error in both dialects, and so is a
//!   pattern without a field. **\[O\]**
//! - `MM` is a number; `MMM` and `MMMM` are English names, long or short, in any case. `Sept` is not one. So are the
//!   days for `E`, `AM` and `PM` for `a`, `AD`, `CE`, `BC` and `BCE` for `G`. **\[J\]**
//! - `YYYY` is the calendar year in both dialects, unlike Java, where it is the week year: IBM's own examples write
//!   `dd/MMM/YYYY:hh:mm:ss`. **\[M\]** Only `SimpleDateFormat` patterns with `w` have the week year, as they mean it.
//!   **\[O\]** Joda-Time has `x` for it. **\[T\]**
//! - Weeks are those of the locale en-US in `SimpleDateFormat` (from Sunday, the week of January 1 is the first)
//!   **\[J\]** and those of ISO 8601 in Joda-Time **\[T\]**.
//! - Of several ways to make a date (day of month, day of year, week and day of week) the one given last counts; a day
//!   of the week that contradicts the date is ignored. **\[J\]** The date is that of the Gregorian calendar at all
//!   times, unlike Java, which has the Julian one before 1582. **\[O\]**
//!
//! ## Text
//!
//! - `SimpleDateFormat` skips blanks and tabs before a number or a zone, so `MMM dd` reads `Mar  7` **\[J\]**; here
//!   it does before a name too, unlike Java **\[O\]**. Joda-Time skips none: `MMM d` refuses `Mar  7`, and `MMM  d`
//!   with two blanks reads it **\[T\]**; [`DateBlanks::Skipped`] skips them all the same. Literal text must be there as written **\[J\]**, in Joda-Time in any case
//!   **\[T\]**. Text after the match is ignored. **\[J\]**
//! - A number takes all digits there are, but when another number follows at once, as in `yyyyMMdd`, it takes as many
//!   as it has letters. **\[J\]** A sign before a number is refused, unlike Java. **\[O\]**
//! - Two digits for `yy` or `y` (in Joda-Time `yy` alone) are the year in the hundred years that begin 80 years before
//!   the receipt. `yyyy` reads `26` as the year 26. **\[J\]** The years 1 to 9999 are read. **\[O\]**
//! - `S` is a fraction of the second, as in Joda-Time **\[T\]**: `.5` is 500 ms, and `.1234567` is read to the last
//!   digit, up to nine; further digits are dropped. Unlike Java, where `.5` is 5 ms and `.1234567` is 20 minutes:
//!   sources write fractions. **\[F\]**
//! - A field out of its range is refused: month 13, February 30, hour 24, second 60. Unlike Java, which rolls over to
//!   the next larger field. **\[O\]** `kk` reads 0 to 24, and `h` with an AM/PM marker 0 to 12. **\[J\]**
//! - `h` and `K` without a marker are hours from 0 to 23, so 12 is noon, because IBM's examples write `hh` for 24-hour
//!   values **\[M\]**; [`HourWithoutMarker::Strict`] makes 12 midnight, as Java has it, and refuses 13.
//! - AM or PM beside `H` or `k` is ignored. **\[J\]**
//!
//! ## Zones
//!
//! - Every zone letter (`z`, `Z`, `X`, `ZZZ`) reads every form of a zone: `Z`, `UTC`, `GMT`, `UT`; offsets `+01`,
//!   `+0100`, `+01:00`, alone or behind `UTC` or `GMT`; IANA ids; abbreviations; the long names that Java writes.
//!   Unlike Java, whose `Z` refuses `+01:00` and the letter `Z`, whose `z` refuses `Europe/Berlin` and reads `UTC+1`
//!   as UTC. An offset of three digits is refused. **\[O\]**
//! - An abbreviation that the zone of the context uses itself means that zone's offset; of the others each has one
//!   fixed meaning. `IST` is India's with `Asia/Kolkata`, Ireland's with `Europe/Dublin`, and else Israel's; `CST` is
//!   China's with `Asia/Shanghai` and else North America's; `BST` is Britain's. **\[J\]** `EST` is -05:00 in July
//!   too. `VET` and `Venezuela Time` are -04:30 from 2007 to 2016, and else -04:00. **\[J\]**
//! - A text without a zone is in [`TimeContext::zone`]; QRadar takes the zone of the collector. **\[M\]**
//!   A quoted `'Z'` is literal text and says no zone. **\[J\]**
//! - A time that the zone skips when daylight saving begins is read with the offset before the gap: 02:30 is 03:30.
//!   **\[J\]** A time that it shows twice is the second one, on standard time, as in Java **\[J\]**, and in Joda-Time
//!   the first one **\[T\]**. [`recognise()`] follows Java.
//!
//! ## What the text leaves out
//!
//! - No year: the latest year that puts the stamp at most a day after the receipt, so that December's events that come
//!   in January are last year's, and a clock that is ahead on New Year's Eve is not a year behind. February 29 may go
//!   back further, to a leap year. Unlike Java, where it is 1970. [`MissingYear::Current`] takes the year of the receipt, in the zone of the stamp, whatever results.
//!   **\[O\]**
//! - Neither year nor month: the same with months. No date: the latest day that puts the stamp at most twelve hours
//!   after the receipt. **\[O\]**
//! - What is missing below the smallest given field is the first of its kind: `yyyy-MM` is midnight on the first.
//!   **\[J\]**
//!
//! ## Without a pattern
//!
//! [`recognise()`] reads, with blanks around them:
//!
//! - epochs of 10 digits (seconds), 13, 16 and 19, and of 10 digits with a fraction; **\[D\]** **\[F\]**
//! - ISO 8601: `2026-11-23T08:36:45.1234567Z`, with `T` or a blank, a fraction behind a dot or a comma, any zone or
//!   none; also without seconds, the date alone, `20261123T083645Z`, and `2026/11/23 08:36:45`; **\[F\]**
//! - the syslog stamp `Jan 13 12:33:10` **\[D\]**, also with a fraction, a zone, or the year before or behind the time:
//!   `Oct 11 2017 06:34:09 GMT+00:00` **\[F\]**, Java's `Mon Nov 23 08:36:45 UTC 2026`;
//! - the time stamp of the locale en-US: `Jan 13, 2015, 12:33:10 PM`; **\[D\]**
//! - RFC 2822, `Mon, 23 Nov 2026 08:36:45 +0000 (UTC)`, and Apache's `11/Mar/2015:05:26:00 +0100`. **\[F\]**
//!
//! A date in digits that does not begin with the year (`03/04/2015`) is refused whatever its numbers, because the same
//! source would be read in two ways; and text after the stamp is refused, because it could be a part of it. **\[O\]**

mod doubt;
mod fields;
mod pattern;
mod recognise;
mod scan;
mod zone;

use std::ops::Range;
use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use doubt::Doubt;
use pattern::Program;
pub use recognise::recognise;
pub use zone::{Zone, ZoneError};

/// Whose letters a pattern is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Java's `SimpleDateFormat`: LEEF's `devTimeFormat`.
    SimpleDateFormat,
    /// Joda-Time's `DateTimeFormat`: `ext-data` of a log source extension.
    Joda,
}

/// Which year a time stamp without a year is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MissingYear {
    /// The latest year that puts the time stamp at most a day after the receipt.
    #[default]
    NearestPast,
    /// The year of the receipt, in the zone of the time stamp.
    Current,
}

/// Whether a Joda-Time pattern skips blanks before a field. A `SimpleDateFormat` pattern always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DateBlanks {
    /// Every blank of the text is one of the pattern.
    #[default]
    Exact,
    /// Blanks and tabs before a field are skipped.
    Skipped,
}

/// What `h` and `K` mean in a pattern without an AM/PM marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HourWithoutMarker {
    /// The hour of the day, 0 to 23.
    #[default]
    Lenient24,
    /// The hour of the morning: `h` is 1 to 12, where 12 is midnight (as is 0), and `K` is 0 to 11.
    Strict,
}

/// What a time stamp does not say itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeContext {
    /// When the event was received.
    pub received: DateTime<Utc>,
    /// The zone of time stamps that name none. Its own abbreviations come before all others.
    pub zone: Zone,
    /// The year of time stamps that have none.
    pub missing_year: MissingYear,
    /// What a half-day hour means without AM or PM.
    pub hour12: HourWithoutMarker,
    /// Whether Joda-Time patterns skip blanks.
    pub blanks: DateBlanks,
}

impl TimeContext {
    /// A context in UTC with the default choices.
    #[must_use]
    pub fn new(received: DateTime<Utc>) -> TimeContext {
        TimeContext {
            received,
            zone: Zone::UTC,
            missing_year: MissingYear::default(),
            hour12: HourWithoutMarker::default(),
            blanks: DateBlanks::default(),
        }
    }
}

/// A compiled date format. A clone is cheap.
#[derive(Debug, Clone)]
pub struct DateFormat {
    pattern: Arc<str>,
    program: Arc<Program>,
}

impl DateFormat {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// When the dialect does not know a letter, a quote is not closed, or there is no field.
    pub fn new(pattern: &str, dialect: Dialect) -> Result<DateFormat, FormatError> {
        Ok(DateFormat {
            program: Arc::new(Program::compile(pattern, dialect)?),
            pattern: pattern.into(),
        })
    }

    /// Reads a time stamp at the beginning of the text; what follows it is ignored.
    ///
    /// # Errors
    ///
    /// When the text does not fit the pattern, or there is no such date or time.
    pub fn parse(&self, text: &str, ctx: &TimeContext) -> Result<DateTime<Utc>, TimeError> {
        self.program.parse(text, ctx)
    }

    /// The pattern as it was given.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}

/// A pattern that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct FormatError {
    /// The bytes of the pattern that are wrong.
    pub span: Range<usize>,
    /// What is wrong with them.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// A text that is not a time stamp of the expected form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct TimeError {
    /// The byte of the text where reading failed.
    pub at: usize,
    /// What was expected and what is there.
    pub message: String,
}

impl TimeError {
    pub(crate) fn new(at: usize, message: String) -> TimeError {
        TimeError { at, message }
    }
}
