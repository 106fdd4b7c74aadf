//! Patterns: compiling the letters, and reading a text with them.

use chrono::{DateTime, Utc, Weekday};

use super::fields::{DateRule, Fields, Hour, Rules, Weeks};
use super::scan::{Found, MONTHS, Scan, WEEKDAYS};
use super::zone::{self, Repeated};
use super::{DateBlanks, Dialect, FormatError, HourWithoutMarker, TimeContext, TimeError};

/// What a run of one letter stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Era,
    Century,
    Year,
    WeekYear,
    Month,
    MonthName,
    Day,
    DayOfYear,
    Week,
    WeekOfMonth,
    WeekdayInMonth,
    WeekdayName,
    WeekdayNumber,
    HalfDay,
    /// `H`
    Hour0To23,
    /// `k`
    Hour1To24,
    /// `K`
    Hour0To11,
    /// `h`
    Hour1To12,
    Minute,
    Second,
    Fraction,
    Zone,
}

impl Kind {
    /// The kind of a letter repeated `count` times, or `None` when the dialect does not know the letter.
    fn of(letter: char, count: usize, dialect: Dialect) -> Option<Kind> {
        let joda = dialect == Dialect::Joda;
        Some(match letter {
            'G' => Kind::Era,
            'C' if joda => Kind::Century,
            'y' | 'Y' => Kind::Year,
            'x' if joda => Kind::WeekYear,
            'L' if joda => return None,
            'M' | 'L' if count > 2 => Kind::MonthName,
            'M' | 'L' => Kind::Month,
            'w' => Kind::Week,
            'W' if !joda => Kind::WeekOfMonth,
            'D' => Kind::DayOfYear,
            'd' => Kind::Day,
            'F' if !joda => Kind::WeekdayInMonth,
            'E' => Kind::WeekdayName,
            'u' if !joda => Kind::WeekdayNumber,
            'e' if joda => Kind::WeekdayNumber,
            'a' => Kind::HalfDay,
            'H' => Kind::Hour0To23,
            'k' => Kind::Hour1To24,
            'K' => Kind::Hour0To11,
            'h' => Kind::Hour1To12,
            'm' => Kind::Minute,
            's' => Kind::Second,
            'S' => Kind::Fraction,
            'z' | 'Z' => Kind::Zone,
            'X' if !joda => Kind::Zone,
            _ => return None,
        })
    }

    fn is_text(self) -> bool {
        matches!(
            self,
            Kind::Era | Kind::MonthName | Kind::WeekdayName | Kind::HalfDay | Kind::Zone
        )
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Era => "the era",
            Kind::Century => "the century",
            Kind::Year => "the year",
            Kind::WeekYear => "the week year",
            Kind::Month => "the month",
            Kind::MonthName => "an English month name",
            Kind::Day => "the day of the month",
            Kind::DayOfYear => "the day of the year",
            Kind::Week => "the week of the year",
            Kind::WeekOfMonth => "the week of the month",
            Kind::WeekdayInMonth => "the number of the day of the week in the month",
            Kind::WeekdayName => "an English day name",
            Kind::WeekdayNumber => "the number of the day of the week",
            Kind::HalfDay => "AM or PM",
            Kind::Hour0To23 | Kind::Hour1To24 | Kind::Hour0To11 | Kind::Hour1To12 => "the hour",
            Kind::Minute => "the minute",
            Kind::Second => "the second",
            Kind::Fraction => "the fraction of the second",
            Kind::Zone => "the time zone",
        }
    }
}

/// A run of one letter.
#[derive(Debug, Clone, Copy)]
struct Field {
    kind: Kind,
    letter: char,
    count: usize,
    /// The digits to take when the next field is a number too, with nothing between them.
    width: Option<usize>,
}

impl Field {
    /// What the field wants, for a message: `the month (MM)`.
    fn wanted(self) -> String {
        // A pattern may repeat a letter thousands of times; a message does not.
        let letters: String = std::iter::repeat_n(self.letter, self.count.min(8)).collect();
        format!("{} ({letters})", self.kind.name())
    }
}

#[derive(Debug, Clone)]
enum Item {
    Literal(String),
    Field(Field),
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Program {
    items: Vec<Item>,
    dialect: Dialect,
    rules: Rules,
    has_marker: bool,
}

impl Program {
    pub(super) fn compile(pattern: &str, dialect: Dialect) -> Result<Program, FormatError> {
        let mut items = split(pattern, dialect)?;
        let has_week = items
            .iter()
            .any(|item| matches!(item, Item::Field(field) if field.kind == Kind::Week));
        // `Y` is the week year in SimpleDateFormat, but people write it for the year. With a week they mean it.
        if dialect == Dialect::SimpleDateFormat && has_week {
            for item in &mut items {
                if let Item::Field(field) = item
                    && field.letter == 'Y'
                {
                    field.kind = Kind::WeekYear;
                }
            }
        }
        let mut next_is_number = false;
        for item in items.iter_mut().rev() {
            match item {
                Item::Literal(_) => next_is_number = false,
                Item::Field(field) => {
                    let is_number = !field.kind.is_text();
                    field.width = (is_number && next_is_number).then_some(field.count);
                    next_is_number = is_number;
                }
            }
        }
        let kinds: Vec<Kind> = items
            .iter()
            .filter_map(|item| match item {
                Item::Field(field) => Some(field.kind),
                Item::Literal(_) => None,
            })
            .collect();
        if kinds.is_empty() {
            return Err(FormatError {
                span: 0..pattern.len(),
                message: "the date format has no field".to_owned(),
                help: Some("write letters for the fields, such as yyyy-MM-dd HH:mm:ss".to_owned()),
            });
        }
        let (weeks, repeated) = match dialect {
            Dialect::SimpleDateFormat => (Weeks::US, Repeated::Second),
            Dialect::Joda => (Weeks::ISO, Repeated::First),
        };
        Ok(Program {
            dialect,
            rules: Rules {
                date: date_rule(&kinds),
                weeks,
                repeated,
            },
            has_marker: kinds.contains(&Kind::HalfDay),
            items,
        })
    }

    pub(super) fn parse(&self, text: &str, ctx: &TimeContext) -> Result<DateTime<Utc>, TimeError> {
        let mut scan = Scan::new(text);
        let mut fields = Fields::default();
        let skips = self.dialect == Dialect::SimpleDateFormat || ctx.blanks == DateBlanks::Skipped;
        for item in &self.items {
            match item {
                Item::Literal(literal) => {
                    if !scan.literal(literal, self.dialect == Dialect::Joda) {
                        return Err(scan.expected(&format!("`{literal}`")));
                    }
                }
                Item::Field(field) if field.kind.is_text() => {
                    if skips {
                        scan.skip_blanks();
                    }
                    read_text(*field, &mut scan, &mut fields, ctx)?;
                }
                Item::Field(field) if field.kind == Kind::Fraction => {
                    let most = window(*field, skips, &mut scan)?;
                    fields.nanos = scan
                        .fraction(most)
                        .ok_or_else(|| scan.expected(&field.wanted()))?;
                }
                Item::Field(field) => {
                    let most = window(*field, skips, &mut scan)?;
                    let found = scan
                        .digits(most)
                        .ok_or_else(|| scan.expected(&field.wanted()))?;
                    self.set_number(*field, found, &mut fields, ctx)?;
                }
            }
        }
        fields.resolve(self.rules, ctx)
    }

    fn set_number(
        &self,
        field: Field,
        found: Found,
        fields: &mut Fields,
        ctx: &TimeContext,
    ) -> Result<(), TimeError> {
        let whole_day = !self.has_marker && ctx.hour12 == HourWithoutMarker::Lenient24;
        let (least, most) = match field.kind {
            Kind::Century => (0, 99),
            Kind::Month => (1, 12),
            Kind::Day => (1, 31),
            Kind::DayOfYear => (1, 366),
            Kind::Week => (1, 53),
            Kind::WeekOfMonth => (1, 6),
            Kind::WeekdayInMonth => (1, 5),
            Kind::WeekdayNumber => (1, 7),
            Kind::Hour0To11 if !whole_day => (0, 11),
            Kind::Hour1To12 if !whole_day => (0, 12),
            Kind::Hour0To23 | Kind::Hour0To11 | Kind::Hour1To12 => (0, 23),
            Kind::Hour1To24 => (0, 24),
            Kind::Minute | Kind::Second => (0, 59),
            // The years are checked when the date is made.
            _ => (0, u32::MAX),
        };
        if !(least..=most).contains(&found.value) {
            let message = format!(
                "{} is {}, but is at least {least} and at most {most}",
                field.wanted(),
                found.value
            );
            return Err(TimeError::new(found.at, message));
        }
        match field.kind {
            Kind::Century => fields.century = Some(found),
            Kind::Year | Kind::WeekYear => {
                fields.year = Some(found);
                fields.sliding = match self.dialect {
                    Dialect::SimpleDateFormat => field.count <= 2,
                    Dialect::Joda => field.count == 2,
                };
            }
            Kind::Month => fields.month = Some(found),
            Kind::Day => fields.day = Some(found),
            Kind::DayOfYear => fields.day_of_year = Some(found),
            Kind::Week => fields.week = Some(found),
            Kind::WeekOfMonth => fields.week_of_month = Some(found),
            Kind::WeekdayInMonth => fields.weekday_in_month = Some(found),
            Kind::WeekdayNumber => fields.weekday = weekday(found.value - 1),
            Kind::Hour0To23 | Kind::Hour1To24 => fields.hour = Some(Hour::OfDay(found.value % 24)),
            Kind::Hour0To11 | Kind::Hour1To12 => fields.hour = Some(Hour::OfHalfDay(found.value)),
            Kind::Minute => fields.minute = found.value,
            Kind::Second => fields.second = found.value,
            Kind::Era
            | Kind::MonthName
            | Kind::WeekdayName
            | Kind::HalfDay
            | Kind::Fraction
            | Kind::Zone => {}
        }
        Ok(())
    }
}

/// Skips the blanks before a number, if they are skipped, and returns how many digits it may have. In `yyyyMMdd` every number but the last is
/// as wide as its letters, and as in Java the blanks before it count.
fn window(field: Field, skips: bool, scan: &mut Scan<'_>) -> Result<usize, TimeError> {
    let from = scan.at();
    if let Some(width) = field.width
        && scan.rest().len() < width
    {
        return Err(scan.expected(&field.wanted()));
    }
    if skips {
        scan.skip_blanks();
    }
    let blanks = scan.at() - from;
    Ok(field
        .width
        .map_or(usize::MAX, |width| width.saturating_sub(blanks)))
}

fn read_text(
    field: Field,
    scan: &mut Scan<'_>,
    fields: &mut Fields,
    ctx: &TimeContext,
) -> Result<(), TimeError> {
    let at = scan.at();
    let read = match field.kind {
        Kind::Era => ["BCE", "BC", "CE", "AD"]
            .into_iter()
            .find(|era| scan.literal(era, true))
            .map(|era| fields.before_christ = era.starts_with('B')),
        Kind::MonthName => scan.name(&MONTHS).map(|index| {
            let value = index + 1;
            fields.month = Some(Found {
                value,
                digits: 0,
                at,
            });
        }),
        Kind::WeekdayName => scan
            .name(&WEEKDAYS)
            .map(|index| fields.weekday = weekday(index)),
        Kind::HalfDay => ["AM", "PM"]
            .into_iter()
            .find(|marker| scan.literal(marker, true))
            .map(|marker| fields.afternoon = Some(marker == "PM")),
        _ => {
            fields.zone = Some(zone::read(scan, ctx)?);
            Some(())
        }
    };
    read.ok_or_else(|| scan.expected(&field.wanted()))
}

fn weekday(from_monday: u32) -> Option<Weekday> {
    u8::try_from(from_monday)
        .ok()
        .and_then(|index| Weekday::try_from(index).ok())
}

/// Which fields make the date, by the rules of Java's `Calendar`: of the complete sets the one that was given last.
fn date_rule(kinds: &[Kind]) -> DateRule {
    let last = |wanted: &[Kind]| kinds.iter().rposition(|kind| wanted.contains(kind));
    let both = |one: Option<usize>, other: Option<usize>| one.zip(other).map(|(a, b)| a.max(b));
    if last(&[Kind::WeekYear]) > last(&[Kind::Year]) {
        return DateRule::Week;
    }
    let weekday = last(&[Kind::WeekdayName, Kind::WeekdayNumber]);
    let week = last(&[Kind::Week]);
    let week_of_month = last(&[Kind::WeekOfMonth]);
    let weekday_in_month = last(&[Kind::WeekdayInMonth]);
    let complete = [
        (last(&[Kind::Day]), DateRule::MonthDay),
        (both(week_of_month, weekday), DateRule::WeekOfMonth),
        (both(weekday_in_month, weekday), DateRule::WeekdayInMonth),
        (last(&[Kind::DayOfYear]), DateRule::DayOfYear),
        (both(week, weekday), DateRule::Week),
    ];
    // Nothing is complete: the first day of the week, or the first such day in the month, completes it.
    let partial = [
        (week, DateRule::Week),
        (weekday_in_month.max(weekday), DateRule::WeekdayInMonth),
        (week_of_month, DateRule::WeekOfMonth),
    ];
    let latest = |sets: &[(Option<usize>, DateRule)]| {
        sets.iter()
            .filter_map(|&(at, rule)| Some((at?, rule)))
            // Of two sets that share the last field, the first one in the list.
            .rev()
            .max_by_key(|&(at, _)| at)
            .map(|(_, rule)| rule)
    };
    latest(&complete)
        .or_else(|| latest(&partial))
        .unwrap_or(DateRule::MonthDay)
}

/// Splits a pattern into runs of letters and literal text.
fn split(pattern: &str, dialect: Dialect) -> Result<Vec<Item>, FormatError> {
    let mut items = Vec::new();
    let mut literal = String::new();
    let mut characters = pattern.char_indices().peekable();
    let mut quoted_from = None;
    while let Some((at, character)) = characters.next() {
        if character == '\'' {
            if characters.next_if(|&(_, next)| next == '\'').is_some() {
                literal.push('\'');
            } else {
                quoted_from = match quoted_from {
                    None => Some(at),
                    Some(_) => None,
                };
            }
        } else if quoted_from.is_some() || !character.is_ascii_alphabetic() {
            literal.push(character);
        } else {
            if !literal.is_empty() {
                items.push(Item::Literal(std::mem::take(&mut literal)));
            }
            let mut count = 1;
            while characters.next_if(|&(_, next)| next == character).is_some() {
                count += 1;
            }
            let span = at..at + count;
            let Some(kind) = Kind::of(character, count, dialect) else {
                return Err(unknown_letter(pattern, character, span, dialect));
            };
            if character == 'X' && count > 3 {
                return Err(FormatError {
                    span,
                    message: format!("`X` is written up to three times, not {count}"),
                    help: Some("XXX reads +01:00, XX reads +0100, X reads +01".to_owned()),
                });
            }
            items.push(Item::Field(Field {
                kind,
                letter: character,
                count,
                width: None,
            }));
        }
    }
    if let Some(from) = quoted_from {
        return Err(FormatError {
            span: from..pattern.len(),
            message: "the quote is not closed".to_owned(),
            help: Some("close the quoted text with ', and write '' for a quote itself".to_owned()),
        });
    }
    if !literal.is_empty() {
        items.push(Item::Literal(literal));
    }
    Ok(items)
}

fn unknown_letter(
    pattern: &str,
    letter: char,
    span: std::ops::Range<usize>,
    dialect: Dialect,
) -> FormatError {
    let remedy = match (dialect, letter) {
        (Dialect::SimpleDateFormat, 'e' | 'c') => {
            "the number of the day of the week is u, its name is EEE"
        }
        (Dialect::SimpleDateFormat, 'x') => "an offset is X, a week year is YYYY with ww",
        (Dialect::SimpleDateFormat, 'C') => "write the whole year as yyyy",
        (Dialect::Joda, 'L') => "the month is M",
        (Dialect::Joda, 'u' | 'c') => "the number of the day of the week is e, the year is yyyy",
        (Dialect::Joda, 'W' | 'F') => {
            "Joda-Time has no week of the month, only w, the week of the year"
        }
        (Dialect::Joda, 'X') => "an offset is Z, or ZZ with a colon",
        (_, 'n' | 'f' | 'A' | 'N') => "the fraction of the second is S",
        (_, 'O' | 'V' | 'v') => "an offset is Z, the name of a zone is z",
        (_, 't' | 'p' | 'b' | 'B') => "AM or PM is a",
        (_, 'i') => "the minute is mm",
        (_, 'j') => "the day of the year is D",
        (_, 'l') => "the month is MMM",
        (_, 'r' | 'g') => "the year is yyyy",
        _ => "",
    };
    let help = if remedy.is_empty() {
        let tail = pattern.get(span.start..).unwrap_or_default();
        let word: String = tail
            .chars()
            .take_while(|&c| c.is_ascii_alphabetic() && Kind::of(c, 1, dialect).is_none())
            .take(16)
            .collect();
        format!("put literal text in quotes: '{word}'")
    } else {
        remedy.to_owned()
    };
    let name = match dialect {
        Dialect::SimpleDateFormat => "SimpleDateFormat",
        Dialect::Joda => "Joda-Time",
    };
    FormatError {
        span,
        message: format!("`{letter}` is not a letter of {name}"),
        help: Some(help),
    }
}
