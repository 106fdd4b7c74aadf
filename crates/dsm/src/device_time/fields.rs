//! From the fields that a text gave to an instant.

use std::cmp::Ordering;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, Utc, Weekday};

use super::scan::{Found, MONTHS};
use super::zone::{Repeated, Zone};
use super::{HourWithoutMarker, MissingYear, TimeContext, TimeError};

/// The hour as it was written, already checked against its range.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hour {
    /// 0 to 23.
    OfDay(u32),
    /// 0 to 12 with an AM/PM marker; without one also up to 23 (see [`HourWithoutMarker`]).
    OfHalfDay(u32),
}

/// How the date is made of the fields. A pattern fixes this once, because it fixes which fields there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DateRule {
    /// Year, month, day of month.
    MonthDay,
    /// Year, day of year.
    DayOfYear,
    /// Year, month, week of month, day of week.
    WeekOfMonth,
    /// Year, month, the how-manieth such day of week in the month.
    WeekdayInMonth,
    /// Year or week year, week, day of week.
    Week,
}

/// How weeks are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weeks {
    pub(super) first: Weekday,
    /// The days of a year that its first week has at least.
    pub(super) minimal: u64,
}

impl Weeks {
    /// Java's weeks in the locale en-US.
    pub(super) const US: Weeks = Weeks {
        first: Weekday::Sun,
        minimal: 1,
    };
    /// ISO 8601 weeks, which Joda-Time uses.
    pub(super) const ISO: Weeks = Weeks {
        first: Weekday::Mon,
        minimal: 4,
    };

    /// The first day of the week that `day` is in.
    fn begin(self, day: NaiveDate) -> Option<NaiveDate> {
        let into = day.weekday().days_since(self.first);
        day.checked_sub_days(Days::new(u64::from(into)))
    }

    /// The first day of the first week of the year or month that begins on `day`.
    fn first_week(self, day: NaiveDate) -> Option<NaiveDate> {
        let begin = self.begin(day)?;
        let outside = u64::from(day.weekday().days_since(self.first));
        match 7 - outside >= self.minimal {
            true => Some(begin),
            false => begin.checked_add_days(Days::new(7)),
        }
    }

    /// A day of the given week, counted from 1, of what begins on `day`.
    fn day(self, day: NaiveDate, week: u32, weekday: Weekday) -> Option<NaiveDate> {
        let days = week.checked_sub(1)? * 7 + weekday.days_since(self.first);
        self.first_week(day)?
            .checked_add_days(Days::new(u64::from(days)))
    }
}

/// What a text gave.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    pub(super) before_christ: bool,
    pub(super) century: Option<Found>,
    pub(super) year: Option<Found>,
    /// The year letter takes two digits as a year near the receipt.
    pub(super) sliding: bool,
    pub(super) month: Option<Found>,
    pub(super) day: Option<Found>,
    pub(super) day_of_year: Option<Found>,
    pub(super) week: Option<Found>,
    pub(super) week_of_month: Option<Found>,
    pub(super) weekday_in_month: Option<Found>,
    pub(super) weekday: Option<Weekday>,
    pub(super) hour: Option<Hour>,
    pub(super) afternoon: Option<bool>,
    pub(super) minute: u32,
    pub(super) second: u32,
    pub(super) nanos: u32,
    pub(super) zone: Option<Zone>,
}

/// How to resolve the fields, apart from the context.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) date: DateRule,
    pub(super) weeks: Weeks,
    pub(super) repeated: Repeated,
}

/// What a text without a year leaves out of the date.
enum Missing {
    Year,
    YearAndMonth,
    Date,
}

impl Fields {
    pub(super) fn resolve(
        &self,
        rules: Rules,
        ctx: &TimeContext,
    ) -> Result<DateTime<Utc>, TimeError> {
        let zone = self.zone.unwrap_or(ctx.zone);
        let time = self.time(ctx)?;
        let instant = |date: NaiveDate| {
            zone.instant(date.and_time(time), rules.repeated)
                .ok_or_else(|| TimeError::new(0, "the date is beyond the calendar".to_owned()))
        };
        let in_year = |year: i32| instant(self.date(year, self.month, rules)?);
        let written = match (self.century, self.year) {
            (None, None) => {
                let today = zone.local(ctx.received).date();
                return self.fill_in(today, rules, ctx, instant);
            }
            (Some(century), None) => Found {
                value: century.value * 100,
                digits: 4,
                at: century.at,
            },
            (Some(century), Some(year)) if self.sliding && year.digits == 2 => Found {
                value: century.value * 100 + year.value,
                digits: 4,
                at: century.at,
            },
            (_, Some(year)) => year,
        };
        let year = i32::try_from(written.value).unwrap_or(i32::MAX);
        if self.sliding && written.digits == 2 && !self.before_christ {
            // Java's window: it begins 80 years before, to the instant, and is 100 years long.
            let start = ctx
                .received
                .checked_sub_months(Months::new(80 * 12))
                .unwrap_or(ctx.received);
            let start_year = zone.local(start).year();
            let start_in_century = start_year.rem_euclid(100);
            let early = start_year - start_in_century + year;
            return match year.cmp(&start_in_century) {
                Ordering::Less => in_year(early + 100),
                Ordering::Greater => in_year(early),
                Ordering::Equal => in_year(early)
                    .ok()
                    .filter(|&instant| instant >= start)
                    .map_or_else(|| in_year(early + 100), Ok),
            };
        }
        if !(1..=9999).contains(&year) {
            let message = format!("year {} is out of range, it is 1 to 9999", written.value);
            return Err(TimeError::new(written.at, message));
        }
        in_year(if self.before_christ { 1 - year } else { year })
    }

    /// Chooses the year, the month or the day that the text leaves out.
    fn fill_in(
        &self,
        today: NaiveDate,
        rules: Rules,
        ctx: &TimeContext,
        instant: impl Fn(NaiveDate) -> Result<DateTime<Utc>, TimeError>,
    ) -> Result<DateTime<Utc>, TimeError> {
        let missing = match rules.date {
            DateRule::MonthDay if self.month.is_none() && self.day.is_none() => Missing::Date,
            DateRule::MonthDay | DateRule::WeekOfMonth if self.month.is_none() => {
                Missing::YearAndMonth
            }
            DateRule::WeekdayInMonth if self.month.is_none() => {
                match self.weekday_in_month.is_none() {
                    true => Missing::Date,
                    false => Missing::YearAndMonth,
                }
            }
            _ => Missing::Year,
        };
        let shifted = |by: i32| -> Result<DateTime<Utc>, TimeError> {
            let beyond = || TimeError::new(0, "the date is beyond the calendar".to_owned());
            instant(match missing {
                Missing::Year => self.date(today.year() + by, self.month, rules)?,
                Missing::YearAndMonth => {
                    let index = today.year() * 12 + i32::try_from(today.month0()).unwrap_or(0) + by;
                    let month = u32::try_from(index.rem_euclid(12)).unwrap_or(0) + 1;
                    let month = Found {
                        value: month,
                        digits: 2,
                        at: 0,
                    };
                    self.date(index.div_euclid(12), Some(month), rules)?
                }
                Missing::Date => {
                    let day = today
                        .checked_add_signed(TimeDelta::days(i64::from(by)))
                        .ok_or_else(beyond)?;
                    if self.weekday.is_some_and(|weekday| day.weekday() != weekday) {
                        let message = "the day of the week is not that of the receipt";
                        return Err(TimeError::new(0, message.to_owned()));
                    }
                    day
                }
            })
        };
        if ctx.missing_year == MissingYear::Current {
            return match missing {
                Missing::Date => instant(today),
                Missing::Year | Missing::YearAndMonth => shifted(0),
            };
        }
        // As far back as there can be no such date: eight years for February 29, a month for the 31st.
        let (earliest, tolerance) = match missing {
            Missing::Year => (-8, TimeDelta::days(1)),
            Missing::YearAndMonth => (-2, TimeDelta::days(1)),
            Missing::Date => (-6, TimeDelta::hours(12)),
        };
        let limit = ctx
            .received
            .checked_add_signed(tolerance)
            .unwrap_or(ctx.received);
        (earliest..=1)
            .rev()
            .filter_map(|by| shifted(by).ok())
            .find(|&candidate| candidate <= limit)
            .ok_or_else(|| {
                let message = "no date puts the time stamp before its receipt";
                shifted(0)
                    .err()
                    .unwrap_or_else(|| TimeError::new(0, message.to_owned()))
            })
    }

    /// The date in a year. The fields below the smallest given one are the first ones, as in Java.
    fn date(&self, year: i32, month: Option<Found>, rules: Rules) -> Result<NaiveDate, TimeError> {
        let number = month.map_or(1, |month| month.value);
        self.date_in(year, number, rules)
            .ok_or_else(|| self.no_such_date(year, number, rules))
    }

    fn date_in(&self, year: i32, month: u32, rules: Rules) -> Option<NaiveDate> {
        let weekday = self.weekday.unwrap_or(rules.weeks.first);
        let value = |field: Option<Found>| field.map_or(1, |found| found.value);
        match rules.date {
            DateRule::MonthDay => NaiveDate::from_ymd_opt(year, month, value(self.day)),
            DateRule::DayOfYear => NaiveDate::from_yo_opt(year, value(self.day_of_year)),
            DateRule::WeekOfMonth => {
                let begin = NaiveDate::from_ymd_opt(year, month, 1)?;
                rules
                    .weeks
                    .day(begin, value(self.week_of_month), weekday)
                    .filter(|day| day.year() == year && day.month() == month)
            }
            DateRule::WeekdayInMonth => {
                let nth = u8::try_from(value(self.weekday_in_month)).ok()?;
                NaiveDate::from_weekday_of_month_opt(year, month, weekday, nth)
            }
            DateRule::Week => {
                let begin = NaiveDate::from_ymd_opt(year, 1, 1)?;
                let next = NaiveDate::from_ymd_opt(year.checked_add(1)?, 1, 1)?;
                let end = rules.weeks.first_week(next)?;
                rules
                    .weeks
                    .day(begin, value(self.week), weekday)
                    .filter(|&day| day < end)
            }
        }
    }

    fn no_such_date(&self, year: i32, month: u32, rules: Rules) -> TimeError {
        let name = usize::try_from(month)
            .ok()
            .and_then(|number| MONTHS.get(number.checked_sub(1)?))
            .unwrap_or(&"the month");
        let weekday = self.weekday.unwrap_or(rules.weeks.first);
        let (field, place, unit) = match rules.date {
            DateRule::MonthDay => (self.day, format!("{name} {year}"), "day".to_owned()),
            DateRule::DayOfYear => (self.day_of_year, year.to_string(), "day".to_owned()),
            DateRule::WeekOfMonth => (
                self.week_of_month,
                format!("{name} {year}"),
                format!("{weekday} in week"),
            ),
            DateRule::WeekdayInMonth => (
                self.weekday_in_month,
                format!("{name} {year}"),
                format!("{weekday} number"),
            ),
            DateRule::Week => (self.week, year.to_string(), "week".to_owned()),
        };
        let value = field.map_or(1, |found| found.value);
        let at = field
            .or(self.month)
            .or(self.year)
            .map_or(0, |found| found.at);
        TimeError::new(at, format!("{place} has no {unit} {value}"))
    }

    fn time(&self, ctx: &TimeContext) -> Result<NaiveTime, TimeError> {
        let hour = match (self.hour, self.afternoon) {
            (Some(Hour::OfDay(hour)), _) => hour,
            (Some(Hour::OfHalfDay(hour)), Some(afternoon)) => hour % 12 + 12 * u32::from(afternoon),
            (Some(Hour::OfHalfDay(hour)), None) => match ctx.hour12 {
                HourWithoutMarker::Lenient24 => hour,
                HourWithoutMarker::Strict => hour % 12,
            },
            (None, afternoon) => 12 * u32::from(afternoon.unwrap_or(false)),
        };
        NaiveTime::from_hms_nano_opt(hour, self.minute, self.second, self.nanos)
            .ok_or_else(|| TimeError::new(0, "there is no such time of day".to_owned()))
    }
}
