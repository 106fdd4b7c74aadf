//! What holds for every event and for every line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;

use leef::{
    Delimiter, Header, HeaderField, Message, Mode, ReadOptions, Repair, Report, Substitution,
    Version, WriteError, Writer, WriterOptions, lint, read, read_with,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// An event as it is given to the writer.
#[derive(Debug, Clone)]
struct Event {
    header: [String; 4],
    attributes: Vec<(String, String)>,
}

impl Event {
    fn header(&self, version: Version) -> Header<'_> {
        let [vendor, product, product_version, event_id] = &self.header;
        Header {
            version,
            vendor,
            product,
            product_version,
            event_id,
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// The attributes that a writer keeps, and the keys that it refuses.
    fn first_values(&self) -> (Vec<(&str, &str)>, Vec<&str>) {
        let mut first: Vec<(&str, &str)> = Vec::new();
        let mut again = Vec::new();
        for (key, value) in self.pairs() {
            if first.iter().any(|(k, _)| *k == key) {
                again.push(key);
            } else {
                first.push((key, value));
            }
        }
        (first, again)
    }
}

fn write(options: WriterOptions, event: &Event) -> Result<(String, Report), WriteError> {
    let mut writer = Writer::new(options).unwrap();
    let mut buffer = b"kept".to_vec();
    let result = (|| {
        let mut writing = writer.event(&mut buffer, &event.header(options.version))?;
        for (key, value) in event.pairs() {
            writing.attribute(key, value)?;
        }
        writing.finish()
    })();
    let text = String::from_utf8(buffer).expect("the output is UTF-8");
    let text = text.strip_prefix("kept").expect("the prefix stays");
    match result {
        Ok(report) => Ok((text.to_owned(), report)),
        Err(error) => {
            assert_eq!(text, "");
            Err(error)
        }
    }
}

const BREAKS: [char; 9] = [
    '\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}',
];

fn version_and_delimiter() -> impl Strategy<Value = (Version, Delimiter)> {
    prop_oneof![
        Just((Version::V1_0, Delimiter::TAB)),
        select(vec!['\t', '^', ',', '-', '~', '\\', '¦', '€', '😀'])
            .prop_map(|character| (Version::V2_0, Delimiter::new(character).unwrap())),
    ]
}

/// Text in which everything that matters to the format is frequent.
fn nasty_text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => select("|\t\r\n\0=^,-~\\¦€😀%\u{85}\u{2028}\u{2029}\u{2027}§ x7C\u{1b}\u{7f}".chars().collect::<Vec<_>>()),
        3 => proptest::char::range('a', 'z'),
        1 => any::<char>(),
    ];
    vec(character, 0..12).prop_map(String::from_iter)
}

fn long_or_nasty_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => nasty_text(),
        1 => (nasty_text(), 1..80_usize).prop_map(|(text, times)| text.repeat(times)),
    ]
}

fn nasty_event() -> impl Strategy<Value = Event> {
    let key = select(vec![
        "a", "b", "src", "usrName", "msg", "Cat", "k1", "k2", "k3", "devTime",
    ]);
    (
        (
            nasty_text(),
            nasty_text(),
            nasty_text(),
            long_or_nasty_text(),
        ),
        vec((key.prop_map(str::to_owned), nasty_text()), 0..12),
    )
        .prop_map(|(header, attributes)| Event {
            header: header.into(),
            attributes,
        })
}

/// An event that is mostly good, for a delimiter.
fn good_event(delimiter: char) -> impl Strategy<Value = Event> {
    let text = move |least| {
        let character = prop_oneof![
            3 => proptest::char::range(' ', '~'),
            1 => any::<char>(),
            1 => select("=\\|^¦§%’é漢😀".chars().collect::<Vec<_>>()),
        ];
        let carried = move |c: char| match c {
            '\0'..='\u{1f}' => '-',
            c if c == delimiter || BREAKS.contains(&c) => '_',
            c => c,
        };
        vec(character.prop_map(carried), least..20)
            .prop_map(move |text| String::from_iter(text).replace(delimiter, "_"))
    };
    let header = move |least| text(least).prop_map(|t| format!("e{}", t.replace('|', "")));
    let value = prop_oneof![
        text(0),
        select(vec!["", " ", " x = y ", r"C:\temp\new", "a|b=c", "%0A"])
            .prop_map(move |t| t.replace(delimiter, "")),
    ];
    let attribute = prop_oneof![
        4 => ("[A-Za-z][A-Za-z0-9]{0,8}", value),
        1 => (Just("src".to_owned()), any::<std::net::IpAddr>().prop_map(|ip| ip.to_string())),
        1 => (Just("srcPort".to_owned()), any::<u16>().prop_map(|n| n.to_string())),
        1 => (Just("sev".to_owned()), (1..=10_u8).prop_map(|n| n.to_string())),
        1 => (Just("devTime".to_owned()), Just("1767225600000".to_owned())),
    ];
    (
        [header(0), header(0), header(0), header(1)],
        vec(attribute, 0..10),
    )
        .prop_map(|(header, mut attributes): (_, Vec<(String, String)>)| {
            let mut seen = HashSet::new();
            attributes.retain(|(key, _)| seen.insert(key.clone()));
            Event { header, attributes }
        })
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let digits = std::str::from_utf8(&after[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Checks that one text came through as its report says.
fn check_text(
    policy: Substitution,
    mark: &str,
    given: &str,
    found: &str,
    report: &Report,
) -> Result<(), TestCaseError> {
    let change = report.changed.iter().find(|c| c.field.mark() == mark);
    prop_assert_eq!(change.is_some(), given != found, "{}: {:?}", mark, given);
    let Some(change) = change else {
        return Ok(());
    };
    prop_assert!(change.substituted + change.cut > 0);
    prop_assert!(change.cut == 0 || mark == "headerEventId");
    let length = given.chars().count();
    let kept: String = given.chars().take(length - change.cut).collect();
    match policy {
        Substitution::Space => {
            prop_assert_eq!(found.chars().count(), kept.chars().count());
            let differing = found.chars().zip(kept.chars()).filter(|(f, k)| f != k);
            prop_assert_eq!(differing.count(), change.substituted);
        }
        Substitution::Drop => {
            prop_assert_eq!(
                found.chars().count() + change.substituted,
                kept.chars().count()
            );
        }
        Substitution::Percent if change.substituted > 0 => {
            prop_assert_eq!(percent_decode(found), kept);
        }
        Substitution::Percent => prop_assert_eq!(found, kept),
        Substitution::Fail => prop_assert!(false, "changed under Fail"),
    }
    Ok(())
}

/// Checks a written event against what was given and what was reported.
fn check_account(
    options: WriterOptions,
    event: &Event,
    text: &str,
    report: &Report,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(report.bytes, text.len());
    prop_assert!(!text.contains(BREAKS), "{:?}", text);
    prop_assert!(!text.contains('\0'));
    let message = read(text, Mode::Strict).map_err(|e| TestCaseError::fail(e.to_string()))?;
    prop_assert_eq!(&message.repairs, &[]);
    prop_assert_eq!(message.header.version, options.version);
    prop_assert_eq!(message.delimiter, options.delimiter.as_char());

    let given = event.header(options.version);
    for field in HeaderField::ALL {
        let (given, found) = (given.get(field), message.header.get(field));
        check_text(options.substitution, field.mark(), given, found, report)?;
    }
    prop_assert!(message.header.event_id.chars().count() <= 255);

    let (first, again) = event.first_values();
    prop_assert_eq!(&report.duplicates, &again);
    let (dropped, kept): (Vec<_>, Vec<_>) = first
        .into_iter()
        .partition(|(key, _)| report.dropped.iter().any(|k| k == key));
    let dropped: Vec<&str> = dropped.into_iter().map(|(key, _)| key).collect();
    prop_assert_eq!(&report.dropped, &dropped);

    let mut found: Vec<_> = message
        .attributes
        .iter()
        .map(|a| (a.key, a.value))
        .collect();
    if options.mark_changes {
        if !report.dropped.is_empty() {
            prop_assert_eq!(found.pop(), Some(("leefTruncated", "true")));
        }
        if !report.changed.is_empty() {
            let names: Vec<_> = report.changed.iter().map(|c| c.field.mark()).collect();
            let comma = options.delimiter.as_char() == ',';
            let names = names.join(if comma { ";" } else { "," });
            prop_assert_eq!(found.pop(), Some(("leefSanitized", names.as_str())));
        }
    }
    prop_assert_eq!(found.len(), kept.len());
    for ((key, given), (found_key, found)) in kept.into_iter().zip(found) {
        prop_assert_eq!(key, found_key);
        check_text(options.substitution, key, given, found, report)?;
    }
    for change in &report.changed {
        prop_assert!(!report.dropped.iter().any(|key| key == change.field.mark()));
    }
    Ok(())
}

/// Whether no event may hold this character: control characters, line ends of Unicode, marks of the direction of writing.
fn is_forbidden(c: char) -> bool {
    let is_control = matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}');
    let is_mark = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    is_control || is_mark || BREAKS.contains(&c)
}

fn needs_no_change(event: &Event, delimiter: char) -> bool {
    let bad = is_forbidden;
    event.first_values().1.is_empty()
        && event
            .header
            .iter()
            .all(|t| !t.contains(|c| bad(c) || c == '|'))
        && event.header[3].chars().count() <= 255
        && event
            .pairs()
            .all(|(_, v)| !v.contains(|c| bad(c) || c == delimiter))
}

fn check_message(line: &str, message: &Message<'_>) -> Result<(), TestCaseError> {
    prop_assert!(line.starts_with(message.prefix));
    for field in HeaderField::ALL {
        let range = message.header_range(field);
        prop_assert_eq!(line.get(range), Some(message.header.get(field)));
    }
    let mut after = 0;
    for (at, attribute) in message.attributes.iter().enumerate() {
        prop_assert_eq!(line.get(attribute.key_range.clone()), Some(attribute.key));
        prop_assert_eq!(
            line.get(attribute.value_range.clone()),
            Some(attribute.value)
        );
        prop_assert!(after <= attribute.key_range.start);
        prop_assert!(attribute.key_range.end < attribute.value_range.start);
        prop_assert!(!attribute.key.is_empty());
        after = attribute.value_range.end;
        let first = message
            .attributes
            .iter()
            .position(|a| a.key == attribute.key);
        prop_assert_eq!(first, Some(at));
    }
    for repair in &message.repairs {
        prop_assert!(!repair.to_string().is_empty());
    }
    Ok(())
}

/// Reads a line in every way and checks what has to hold among the ways.
fn check_line(line: &str) -> Result<(), TestCaseError> {
    for separator in ['\t', ' ', '|', '^', '¦', '\u{2028}'] {
        for mode in [Mode::Strict, Mode::Lenient] {
            let options = ReadOptions {
                separator: Some(separator),
                max_prefix: None,
                ..ReadOptions::new(mode)
            };
            if let Ok(message) = read_with(line, &options) {
                check_message(line, &message)?;
            }
        }
    }
    let strict = read(line, Mode::Strict);
    let lenient = read(line, Mode::Lenient);
    match &lenient {
        Ok(message) => {
            check_message(line, message)?;
            let declared_blank = message.delimiter == ' ';
            if !declared_blank && !message.repairs.iter().any(Repair::breaks_grammar) {
                prop_assert_eq!(&strict, &lenient);
            }
        }
        Err(_) => prop_assert!(strict.is_err()),
    }
    if let Ok(message) = &strict {
        check_message(line, message)?;
        prop_assert!(!message.repairs.iter().any(Repair::breaks_grammar));
    }
    Ok(())
}

/// Lines that look like LEEF for as long as possible.
fn almost_leef() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        select(vec![
            "|", "|", "\t", "^", "=", "=", " ", "LEEF:", "x5E|", "0x", "xa6", "¦", "§", "a=1",
            "src=", "k", "\r", "\n", "\u{2028}", "\\", "x7C|", "|a=1|b=2", " a=1 b=2", "|  ",
        ])
        .prop_map(str::to_owned),
        nasty_text(),
    ];
    let start = select(vec![
        "LEEF:1.0|V|P|1|E|",
        "LEEF:2.0|V|P|1|E|",
        "LEEF:2.0|V|P|1|E|^|",
        "LEEF:2.0|V|P|1|E|xa6|",
        "LEEF:2.0|V|P|1|E| |",
        "<13>Jan 18 11:07:53 host LEEF:1|V|P|",
        "é LEEF:0|",
        "",
    ]);
    (start, vec(token, 0..16)).prop_map(|(start, tokens)| format!("{start}{}", tokens.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn what_passes_the_lint_is_read_back_exactly(
        (version, delimiter, event) in version_and_delimiter().prop_flat_map(|(version, delimiter)| {
            (Just(version), Just(delimiter), good_event(delimiter.as_char()))
        }),
        policy in select(vec![
            Substitution::Space, Substitution::Drop, Substitution::Percent, Substitution::Fail,
        ]),
    ) {
        let header = event.header(version);
        prop_assume!(lint::check(&header, event.pairs(), delimiter.as_char()).is_empty());
        let options = WriterOptions { version, delimiter, substitution: policy, ..Default::default() };
        let (text, report) = write(options, &event).unwrap();
        prop_assert!(report.is_lossless());
        let message = read(&text, Mode::Strict).unwrap();
        prop_assert_eq!(message.header, header);
        let found: Vec<_> = message.attributes.iter().map(|a| (a.key, a.value)).collect();
        prop_assert_eq!(found, event.pairs().collect::<Vec<_>>());
        prop_assert!(lint::check_message(&message).is_empty());
    }

    #[test]
    fn the_reported_loss_is_the_real_loss(
        (version, delimiter) in version_and_delimiter(),
        event in nasty_event(),
        substitution in select(vec![Substitution::Space, Substitution::Drop, Substitution::Percent]),
        mark_changes in any::<bool>(),
    ) {
        let options = WriterOptions { version, delimiter, substitution, max_bytes: None, mark_changes };
        match write(options, &event) {
            Ok((text, report)) => check_account(options, &event, &text, &report)?,
            Err(error) => {
                prop_assert_eq!(error, WriteError::EmptyEventId);
                let printable = event.header[3].contains(|c| c != '|' && !is_forbidden(c));
                prop_assert!(!printable);
            }
        }
    }

    #[test]
    fn fail_writes_an_event_exactly_or_not_at_all(
        (version, delimiter) in version_and_delimiter(),
        mut event in prop_oneof![nasty_event(), good_event('^')],
    ) {
        event.header[3].insert(0, 'e');
        let options = WriterOptions {
            version, delimiter, substitution: Substitution::Fail, ..Default::default()
        };
        let result = write(options, &event);
        prop_assert_eq!(result.is_ok(), needs_no_change(&event, delimiter.as_char()));
        if let Ok((text, report)) = result {
            prop_assert!(report.is_lossless());
            check_account(options, &event, &text, &report)?;
        }
    }

    #[test]
    fn no_event_is_longer_than_allowed(
        (version, delimiter) in version_and_delimiter(),
        mut event in nasty_event(),
        substitution in select(vec![Substitution::Space, Substitution::Drop, Substitution::Percent]),
        mark_changes in any::<bool>(),
        limit in 0..250_usize,
    ) {
        event.header[3].insert(0, 'e');
        let unlimited = WriterOptions { version, delimiter, substitution, max_bytes: None, mark_changes };
        let options = WriterOptions { max_bytes: Some(limit), ..unlimited };
        let (whole, _) = write(unlimited, &event).unwrap();
        match write(options, &event) {
            Ok((text, report)) => {
                prop_assert!(text.len() <= limit);
                check_account(options, &event, &text, &report)?;
                prop_assert_eq!(report.dropped.is_empty(), whole.len() <= limit);
                if report.dropped.is_empty() {
                    prop_assert_eq!(text, whole);
                }
            }
            Err(WriteError::TooLong { needed, limit: reported }) => {
                prop_assert_eq!(reported, limit);
                prop_assert!(needed > limit);
                prop_assert!(whole.len() > limit);
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }

    #[test]
    fn reading_never_panics_on_text(line in any::<String>()) {
        check_line(&line)?;
    }

    #[test]
    fn reading_never_panics_on_bytes(bytes in vec(any::<u8>(), 0..200), start in option::of(Just("LEEF:1.0|"))) {
        let line = format!("{}{}", start.unwrap_or_default(), String::from_utf8_lossy(&bytes));
        check_line(&line)?;
    }

    #[test]
    fn reading_never_panics_on_what_looks_like_leef(line in almost_leef()) {
        check_line(&line)?;
    }

    #[test]
    fn reading_never_panics_on_a_truncated_event(
        (version, delimiter) in version_and_delimiter(),
        mut event in nasty_event(),
    ) {
        event.header[3].insert(0, 'e');
        let options = WriterOptions { version, delimiter, ..Default::default() };
        let (text, _) = write(options, &event).unwrap();
        for (end, _) in text.char_indices() {
            let line = &text[..end];
            for mode in [Mode::Strict, Mode::Lenient] {
                if let Ok(message) = read(line, mode) {
                    check_message(line, &message)?;
                }
            }
        }
    }
}
