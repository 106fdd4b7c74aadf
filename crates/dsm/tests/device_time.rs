//! Device time against the table of cases, the JDK and properties.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "the helpers of tests may panic as the tests themselves"
)]

#[path = "../../java-regex/tests/java/jdk.rs"]
mod jdk;

use std::io::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use dsm::device_time::{
    DateBlanks, DateFormat, Dialect, Doubt, FormatError, HourWithoutMarker, MissingYear,
    TimeContext, TimeError, Zone, recognise,
};

const CASES: &str = include_str!("java/time-cases.tsv");

struct Case<'a> {
    line: usize,
    dialect: &'a str,
    pattern: String,
    text: String,
    ctx: TimeContext,
    java: &'a str,
    ours: &'a str,
    reason: &'a str,
}

fn cases() -> Vec<Case<'static>> {
    let rows = CASES.lines().enumerate();
    rows.filter(|(_, line)| !line.starts_with('#') && !line.starts_with("dialect\t"))
        .map(|(index, line)| {
            let row: Vec<&str> = line.split('\t').collect();
            let [dialect, pattern, text, received, zone, java, ours, reason] = row[..] else {
                panic!("line {}: not eight columns", index + 1);
            };
            Case {
                line: index + 1,
                dialect,
                pattern: pattern.replace("\\t", "\t"),
                text: text.replace("\\t", "\t"),
                ctx: TimeContext {
                    zone: zone.parse().unwrap(),
                    ..TimeContext::new(received.parse().unwrap())
                },
                java,
                ours,
                reason,
            }
        })
        .collect()
}

/// As Java's `Instant.toString` writes it.
fn written(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn outcome(case: &Case<'_>) -> String {
    let dialect = match case.dialect {
        "sdf" => Dialect::SimpleDateFormat,
        "joda" => Dialect::Joda,
        _ => {
            return recognise(&case.text, &case.ctx).map_or("error".to_owned(), written);
        }
    };
    match DateFormat::new(&case.pattern, dialect) {
        Err(_) => "bad pattern".to_owned(),
        Ok(format) => format
            .parse(&case.text, &case.ctx)
            .map_or("error".to_owned(), written),
    }
}

#[test]
fn every_row_of_the_table_holds() {
    let cases = cases();
    assert!(cases.len() >= 150, "{} rows", cases.len());
    let mut faults = Vec::new();
    for case in &cases {
        let expected = if case.ours == "=" {
            case.java
        } else {
            case.ours
        };
        let actual = outcome(case);
        if actual != expected {
            faults.push(format!(
                "line {}: `{}` `{}`: expected {expected}, is {actual}",
                case.line, case.pattern, case.text
            ));
        }
        if case.dialect == "sdf" && (case.ours == "=") != case.reason.is_empty() {
            faults.push(format!("line {}: a difference has a reason", case.line));
        }
        if case.ours == case.java {
            faults.push(format!("line {}: write = for what Java does", case.line));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_java_column_is_what_the_jdk_says() {
    let Some(mut java) = jdk::oracle("TimeOracle.java") else {
        return;
    };
    let mut child = java.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        let writing = scope.spawn(move || stdin.write_all(CASES.as_bytes()));
        let output = child.wait_with_output().unwrap();
        writing.join().unwrap().unwrap();
        output
    });
    assert!(output.status.success(), "the oracle failed");
    let fresh = String::from_utf8(output.stdout).unwrap();
    for (index, (fresh, committed)) in fresh.lines().zip(CASES.lines()).enumerate() {
        assert_eq!(fresh, committed, "line {} of time-cases.tsv", index + 1);
    }
    assert_eq!(fresh.lines().count(), CASES.lines().count());
}

fn at(received: &str) -> TimeContext {
    TimeContext::new(received.parse().unwrap())
}

fn now() -> TimeContext {
    at("2026-11-23T08:36:45Z")
}

fn sdf(pattern: &str) -> DateFormat {
    DateFormat::new(pattern, Dialect::SimpleDateFormat).unwrap()
}

fn refused(pattern: &str, dialect: Dialect) -> FormatError {
    DateFormat::new(pattern, dialect).unwrap_err()
}

fn failure(pattern: &str, text: &str) -> TimeError {
    sdf(pattern).parse(text, &now()).unwrap_err()
}

#[test]
fn a_format_is_shared_between_threads_and_keeps_its_pattern() {
    fn shared<T: Send + Sync + Clone + std::fmt::Debug>() {}
    shared::<DateFormat>();
    assert_eq!(sdf("yyyy-MM-dd'T'").pattern(), "yyyy-MM-dd'T'");
}

#[test]
fn an_unknown_letter_is_named_with_its_span_and_a_remedy() {
    let error = refused("yyyy-MM-ddTHH:mm", Dialect::SimpleDateFormat);
    assert_eq!(error.span, 10..11);
    assert_eq!(error.message, "`T` is not a letter of SimpleDateFormat");
    assert_eq!(error.help.unwrap(), "put literal text in quotes: 'T'");

    let error = refused("HH:mm:ss.ffff", Dialect::Joda);
    assert_eq!(error.span, 9..13);
    assert_eq!(error.help.unwrap(), "the fraction of the second is S");

    let error = refused("xxxx-ww-e", Dialect::SimpleDateFormat);
    assert_eq!(error.span, 0..4);
    assert_eq!(
        error.help.unwrap(),
        "an offset is X, a week year is YYYY with ww"
    );

    let error = refused("HH:mmX", Dialect::Joda);
    assert_eq!(error.help.unwrap(), "an offset is Z, or ZZ with a colon");
}

#[test]
fn a_span_counts_bytes_where_the_pattern_is_not_ascii() {
    let error = refused("yyyy年MM月ii", Dialect::SimpleDateFormat);
    assert_eq!(error.span, 12..14);
}

#[test]
fn an_open_quote_is_refused_with_the_span_of_what_it_quotes() {
    let error = refused("yyyy-MM-dd'T", Dialect::Joda);
    assert_eq!(error.span, 10..12);
    assert_eq!(error.message, "the quote is not closed");
}

#[test]
fn every_letter_is_either_read_or_refused_by_name() {
    for (dialect, letters) in [
        (Dialect::SimpleDateFormat, "DEFGHKLMSWXYZadhkmsuwyz"),
        (Dialect::Joda, "CDEGHKMSYZadehkmswxyz"),
    ] {
        let known: String = ('A'..='Z')
            .chain('a'..='z')
            .filter(|letter| DateFormat::new(&letter.to_string(), dialect).is_ok())
            .collect();
        assert_eq!(known, letters);
    }
}

#[test]
fn an_error_says_where_and_what_was_expected() {
    let error = failure("yyyy-MM-dd HH:mm", "2026-11-23 x8:36");
    assert_eq!(error.at, 11);
    assert_eq!(error.message, "expected the hour (HH), found `x8:36`");

    let error = failure("yyyy-MM-dd HH:mm", "2026-11-23T08:36");
    assert_eq!(
        (error.at, error.message.as_str()),
        (10, "expected ` `, found `T08:36`")
    );

    let error = failure("MMM dd", "Sept 13 12:33:10 is no month");
    assert_eq!(error.at, 3);
    assert_eq!(error.message, "expected ` `, found `t 13 12:33:10 is...`");

    let error = failure("yyyy-MM-dd HH", "2026-11-23 ");
    assert_eq!(error.at, 11);
    assert_eq!(
        error.message,
        "expected the hour (HH), found the end of the text"
    );
}

#[test]
fn a_field_out_of_range_is_named_where_it_stands() {
    let error = failure("yyyy-MM-dd", "2026- 13-01");
    assert_eq!(error.at, 6);
    assert_eq!(
        error.message,
        "the month (MM) is 13, but is at least 1 and at most 12"
    );
    let error = failure("yyyy-MM-dd", "2026-02-30");
    assert_eq!(error.at, 8);
    assert_eq!(error.message, "February 2026 has no day 30");
    let error = failure("yyyy-MM-dd HH:mm:ss", "99999999999999999999-02-30 10:10:10");
    assert_eq!(error.at, 0);
}

#[test]
fn a_text_of_other_characters_is_refused_on_a_character_boundary() {
    for text in ["é", "2026-é", "2026-11-23 08:36 é", "２０２６-11-23"] {
        let error = failure("yyyy-MM-dd HH:mm z", text);
        assert!(text.is_char_boundary(error.at), "{text}: {error:?}");
    }
}

#[test]
fn letters_that_mean_something_else_than_their_place_says_are_found() {
    let meant = |pattern: &str, dialect: Dialect| {
        let doubts: Vec<Doubt> = DateFormat::doubts(pattern, dialect);
        DateFormat::as_meant(pattern, &doubts)
    };
    for (wrong, right) in [
        ("yyyy-MM-DD", "yyyy-MM-dd"),
        ("YYYY-MM-DD HH:MM:SS", "YYYY-MM-dd HH:mm:ss"),
        ("yyyy-mm-dd HH:MM", "yyyy-MM-dd HH:mm"),
        ("dd/mm/yyyy hh:mm a", "dd/MM/yyyy hh:mm a"),
        ("mm/dd/yyyy", "MM/dd/yyyy"),
        ("yyyymmddHHMMSS", "yyyyMMddHHmmss"),
        ("yyyy-MM-dd'T'HH:mm:ss.sss", "yyyy-MM-dd'T'HH:mm:ss.SSS"),
        ("HH:mm:SS dd.MM.yyyy", "HH:mm:ss dd.MM.yyyy"),
        ("MMM DD HH:mm:ss", "MMM dd HH:mm:ss"),
        ("EEE, DD MMM yyyy kk:MM", "EEE, dd MMM yyyy kk:mm"),
    ] {
        assert_eq!(meant(wrong, Dialect::Joda), right);
        assert_eq!(
            meant(right, Dialect::Joda),
            right,
            "the right one is left alone"
        );
    }
    for (wrong, right) in [("YYYY-MM-dd", "yyyy-MM-dd"), ("uuuu-MM-dd", "yyyy-MM-dd")] {
        assert_eq!(meant(wrong, Dialect::SimpleDateFormat), right);
    }
    for fine in [
        "yyyy-DDD HH:mm",
        "yyyyDDD",
        "HH:mm:ss.SSS",
        "mm:ss",
        "ss.SSS",
        "mm:ss.SS",
        "MMM d HH:mm:ss",
        "'DD' yyyy-MM-dd 'mm'",
        "dd/MMM/YYYY:hh:mm:ss Z",
        "H'h' m'min' d.M.yyyy",
        "xxxx-ww-e",
        "yyyy-MM-dd D",
    ] {
        assert_eq!(meant(fine, Dialect::Joda), fine);
    }
    assert_eq!(
        meant("YYYY-'W'ww-u", Dialect::SimpleDateFormat),
        "YYYY-'W'ww-u"
    );
    // Read by Joda-Time as it stands, the first one is the 23rd of January.
    let wrong = DateFormat::new("yyyy-MM-DD", Dialect::Joda).unwrap();
    let read = wrong.parse("2026-11-23", &now()).map(written);
    assert_eq!(read.unwrap(), "2026-01-23T00:00:00Z");
    assert!(DateFormat::unpadded_day("MMM d HH:mm:ss").is_some());
    for fine in [
        "MMM  d HH:mm:ss",
        "MMM d yyyy",
        "d MMM HH:mm",
        "MMM/d HH:mm",
        "MM d HH:mm",
    ] {
        assert_eq!(DateFormat::unpadded_day(fine), None, "{fine}");
    }
}

#[test]
fn a_joda_format_takes_blanks_to_the_letter() {
    let read = |format: &str, text: &str, blanks: DateBlanks| {
        let ctx = TimeContext { blanks, ..now() };
        let format = DateFormat::new(format, Dialect::Joda).unwrap();
        format.parse(text, &ctx).map(written)
    };
    let exact = |format: &str, text: &str| read(format, text, DateBlanks::Exact);
    for (format, text) in [
        ("MMM d yyyy HH:mm:ss", "Mar  4 2026 10:00:00"),
        ("MMM dd yyyy HH:mm:ss", "Mar  4 2026 10:00:00"),
        ("MMM  d yyyy HH:mm:ss", "Mar 14 2026 10:00:00"),
        ("yyyy-MM-dd H:mm", "2026-03-04  7:30"),
        ("yyyy-MM-dd HH:mm z", "2026-03-04 07:30  UTC"),
        ("MMM d yyyy", " Mar 4 2026"),
        ("EEE MMM d yyyy", "Wed  Mar 4 2026"),
    ] {
        assert!(exact(format, text).is_err(), "{format} {text}");
        let sdf = DateFormat::new(format, Dialect::SimpleDateFormat).unwrap();
        if !format.contains("  ") {
            assert!(
                read(format, text, DateBlanks::Skipped).is_ok(),
                "{format} {text}"
            );
            assert!(sdf.parse(text, &now()).is_ok(), "{format} {text}");
        }
    }
    let fourth = "2026-03-04T10:00:00Z";
    for (format, text) in [
        ("MMM d yyyy HH:mm:ss", "Mar 4 2026 10:00:00"),
        ("MMM  d yyyy HH:mm:ss", "Mar  4 2026 10:00:00"),
        ("MMM dd yyyy HH:mm:ss", "Mar 04 2026 10:00:00"),
    ] {
        assert_eq!(exact(format, text).unwrap(), fourth, "{format} {text}");
    }
}

#[test]
fn a_half_day_hour_without_a_marker_is_of_the_whole_day_unless_strict() {
    let format = sdf("yyyy-MM-dd hh:mm");
    let lenient = now();
    let strict = TimeContext {
        hour12: HourWithoutMarker::Strict,
        ..lenient
    };
    let read = |text: &str, ctx: &TimeContext| format.parse(text, ctx).map(written);
    assert_eq!(
        read("2026-11-23 13:36", &lenient).unwrap(),
        "2026-11-23T13:36:00Z"
    );
    assert_eq!(
        read("2026-11-23 12:36", &lenient).unwrap(),
        "2026-11-23T12:36:00Z"
    );
    assert_eq!(
        read("2026-11-23 12:36", &strict).unwrap(),
        "2026-11-23T00:36:00Z"
    );
    assert_eq!(read("2026-11-23 13:36", &strict).unwrap_err().at, 11);
}

#[test]
fn a_missing_year_is_that_of_the_receipt_when_the_context_says_so() {
    let ctx = TimeContext {
        missing_year: MissingYear::Current,
        ..at("2026-01-02T00:00:00Z")
    };
    let format = sdf("MMM dd HH:mm:ss");
    let december = format.parse("Dec 31 10:00:00", &ctx).unwrap();
    assert_eq!(written(december), "2026-12-31T10:00:00Z");
    let tokyo = TimeContext {
        zone: "Asia/Tokyo".parse().unwrap(),
        missing_year: MissingYear::Current,
        ..at("2025-12-31T16:00:00Z")
    };
    let january = format.parse("Jan  1 01:00:00", &tokyo).unwrap();
    assert_eq!(written(january), "2025-12-31T16:00:00Z");
}

#[test]
fn a_missing_year_rolls_back_only_beyond_a_day() {
    let format = sdf("MMM dd HH:mm:ss");
    let ctx = now();
    let on_the_edge = format.parse("Nov 24 08:36:45", &ctx).unwrap();
    assert_eq!(written(on_the_edge), "2026-11-24T08:36:45Z");
    let beyond = format.parse("Nov 24 08:36:46", &ctx).unwrap();
    assert_eq!(written(beyond), "2025-11-24T08:36:46Z");
}

#[test]
fn a_zone_is_read_from_utc_an_offset_or_an_iana_id() {
    let shown = |name: &str| name.parse::<Zone>().map(|zone| zone.to_string());
    assert_eq!(shown("UTC").unwrap(), "UTC");
    assert_eq!(shown("Z").unwrap(), "UTC");
    assert_eq!(shown("+02:00").unwrap(), "+02:00");
    assert_eq!(shown("-0330").unwrap(), "-03:30");
    assert_eq!(shown("GMT+2").unwrap(), "+02:00");
    assert_eq!(shown("europe/berlin").unwrap(), "Europe/Berlin");
    for wrong in ["", "+", "+25:00", "+02:00x", "CEST", "Mars/Olympus", "é"] {
        assert!(shown(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_unknown_zone_gets_the_nearest_name() {
    let error = "Berlin".parse::<Zone>().unwrap_err();
    assert_eq!(error.to_string(), "unknown time zone `Berlin`");
    assert_eq!(error.help, "did you mean `Europe/Berlin`?");
    let error = "CEST".parse::<Zone>().unwrap_err();
    assert!(error.help.contains("Europe/Berlin"));
}

#[test]
fn an_ambiguous_date_is_refused_with_the_advice_to_give_a_pattern() {
    for text in ["03/04/2015", "03/04/2015 12:33:10", "3.4.15", "23-11-2026"] {
        let error = recognise(text, &now()).unwrap_err();
        assert_eq!(error.at, 0);
        assert!(
            error.message.contains("dd/MM/yyyy or MM/dd/yyyy"),
            "{error}"
        );
    }
}

#[test]
fn what_follows_a_recognised_stamp_is_refused_where_it_begins() {
    let error = recognise("Jan 13 12:33:10 host sshd[1]", &now()).unwrap_err();
    assert_eq!(error.at, 16);
    let error = recognise("2026-11-23 08:36:45 [1]", &now()).unwrap_err();
    assert_eq!(error.at, 20);
    assert!(error.message.contains("follows the time stamp"), "{error}");
}

mod properties {
    use super::*;
    use chrono::Datelike as _;
    use proptest::prelude::*;

    fn dialect() -> impl Strategy<Value = Dialect> {
        prop_oneof![Just(Dialect::SimpleDateFormat), Just(Dialect::Joda)]
    }

    fn zone() -> impl Strategy<Value = Zone> {
        let names = [
            "UTC",
            "+14:00",
            "-23:59",
            "Europe/Berlin",
            "Pacific/Apia",
            "Australia/Lord_Howe",
        ];
        proptest::sample::select(names.to_vec()).prop_map(|name| name.parse().unwrap())
    }

    /// Any context, those at the ends of the calendar among them.
    fn context() -> impl Strategy<Value = TimeContext> {
        let received = prop_oneof![
            Just(DateTime::<Utc>::MIN_UTC),
            Just(DateTime::<Utc>::MAX_UTC),
            (-70_000_000_000i64..300_000_000_000)
                .prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap()),
        ];
        (received, zone(), any::<bool>(), any::<bool>()).prop_map(
            |(received, zone, current, strict)| TimeContext {
                received,
                zone,
                missing_year: match current {
                    true => MissingYear::Current,
                    false => MissingYear::NearestPast,
                },
                hour12: match strict {
                    true => HourWithoutMarker::Strict,
                    false => HourWithoutMarker::Lenient24,
                },
                blanks: match current != strict {
                    true => DateBlanks::Skipped,
                    false => DateBlanks::Exact,
                },
            },
        )
    }

    /// Texts close to time stamps.
    const STAMPS: &str = "([0-9]{1,4}|[-/.:, TZ+'()]|Jan|feb|Mon|AM|pm|BC|UTC|GMT|CET|EST5EDT|Europe/|Berlin|é|[a-z]){0,24}";
    const PATTERNS: &str = "([GCyYxMLwWDdFEeuaHkKhmsSzZX]{1,5}|[-/.:, ]|''|'T'|é){0,14}";

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_pattern_and_no_text_panics(
            pattern in prop_oneof![any::<String>(), PATTERNS],
            text in prop_oneof![any::<String>(), STAMPS],
            dialect in dialect(),
            ctx in context(),
        ) {
            match DateFormat::new(&pattern, dialect) {
                Ok(format) => {
                    if let Err(error) = format.parse(&text, &ctx) {
                        prop_assert!(text.is_char_boundary(error.at));
                    }
                }
                Err(error) => prop_assert!(pattern.get(error.span).is_some()),
            }
        }

        #[test]
        fn no_text_panics_without_a_pattern(
            text in prop_oneof![any::<String>(), STAMPS],
            ctx in context(),
        ) {
            if let Err(error) = recognise(&text, &ctx) {
                prop_assert!(text.is_char_boundary(error.at));
            }
        }

        #[test]
        fn an_iso_stamp_is_recognised_to_the_digit(
            seconds in -62_135_596_800i64..253_402_300_799,
            nanos in 0u32..1_000_000_000,
            digits in 1usize..=9,
        ) {
            let cut = nanos - nanos % 10u32.pow(9 - u32::try_from(digits).unwrap());
            let instant = DateTime::from_timestamp(seconds, cut).unwrap();
            let fraction = &format!("{nanos:09}")[..digits];
            let body = format!("{}.{fraction}", instant.format("%Y-%m-%dT%H:%M:%S"));
            // The fast path, and the general one, which takes the offset in another form.
            prop_assert_eq!(recognise(&format!("{body}Z"), &now()), Ok(instant));
            prop_assert_eq!(recognise(&format!("{body}+00:00"), &now()), Ok(instant));
        }

        #[test]
        fn the_fast_path_and_the_general_path_agree_on_what_is_no_date(
            text in "[0-9]{4}-[0-4][0-9]-[0-4][0-9]T[0-3][0-9]:[0-7][0-9]:[0-7][0-9](\\.[0-9]{1,12})?",
        ) {
            let fast = recognise(&format!("{text}Z"), &now()).ok();
            let general = recognise(&format!("{text} Z"), &now()).ok();
            prop_assert_eq!(fast, general);
        }

        #[test]
        fn an_instant_survives_writing_and_reading_in_any_zone(
            seconds in 0i64..4_000_000_000,
            offset in -1439i32..=1439,
        ) {
            let instant = DateTime::from_timestamp(seconds, 0).unwrap();
            let zone = chrono::FixedOffset::east_opt(offset * 60).unwrap();
            let text = instant.with_timezone(&zone).format("%d/%b/%Y:%H:%M:%S %:z").to_string();
            prop_assert_eq!(recognise(&text, &now()), Ok(instant));
            prop_assert_eq!(sdf("dd/MMM/yyyy:HH:mm:ss Z").parse(&text, &now()), Ok(instant));
        }

        #[test]
        fn a_missing_year_never_puts_a_stamp_more_than_a_day_ahead(
            received in 0i64..4_000_000_000,
            stamp in 0i64..4_000_000_000,
            zone in zone(),
        ) {
            let stamp = DateTime::from_timestamp(stamp, 0).unwrap();
            let ctx = TimeContext {
                zone,
                ..TimeContext::new(DateTime::from_timestamp(received, 0).unwrap())
            };
            let text = stamp.format("%b %e %H:%M:%S").to_string();
            let read = recognise(&text, &ctx).unwrap();
            let ahead = read - ctx.received;
            prop_assert!(ahead <= chrono::TimeDelta::days(1), "{} {}", text, read);
            let years = if (stamp.month(), stamp.day()) == (2, 29) { 8 } else { 1 };
            prop_assert!(ahead > chrono::TimeDelta::days(-366 * years - 1), "{} {}", text, read);
        }
    }
}
