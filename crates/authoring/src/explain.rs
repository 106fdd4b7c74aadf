//! One event, explained: each property, where it came from, and which candidates failed before it.

use dsm::engine::{Attempt, Trace};
use dsm::event::{Event, Origin, Property, canonical};
use std::fmt::Write as _;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many columns of the payload are shown on each side of a value, where there is room.
const CONTEXT: usize = 36;
/// Narrower than this no terminal is taken to be.
const MIN_WIDTH: usize = 60;

/// The styles of a terminal, or none.
#[derive(Debug, Clone, Copy)]
struct Style {
    bold: &'static str,
    dim: &'static str,
    mark: &'static str,
    reset: &'static str,
}

impl Style {
    fn new(colour: bool) -> Self {
        if colour {
            Self {
                bold: "\x1b[1m",
                dim: "\x1b[2m",
                mark: "\x1b[1;32m",
                reset: "\x1b[0m",
            }
        } else {
            Self {
                bold: "",
                dim: "",
                mark: "",
                reset: "",
            }
        }
    }
}

/// The account of an event as text, in lines of at most so many columns as far as identifiers allow it.
pub fn explain(event: &Event<'_>, trace: &Trace, colour: bool, width: usize) -> String {
    let style = Style::new(colour);
    let width = width.max(MIN_WIDTH);
    let mut out = String::new();
    for (name, value) in facts(event) {
        let Style { bold, reset, .. } = style;
        let _ = writeln!(out, "{bold}{name:<15}{reset} {value}");
    }
    for property in &event.properties {
        out.push('\n');
        explain_property(&mut out, event, property, trace, style, width);
    }
    unfilled(&mut out, event, trace, style);
    out
}

/// What an event is, as names and texts.
pub fn facts(event: &Event<'_>) -> Vec<(&'static str, String)> {
    let mapping = event.mapping();
    let branch = |index: usize| mapping.branches()[index].id.clone();
    let mut facts = vec![
        ("log source type", mapping.manifest().name.clone()),
        ("status", format!("{}: {}", event.status, event.reason)),
        (
            "event ID",
            event
                .event_id
                .as_deref()
                .map_or_else(|| "-".to_owned(), visible),
        ),
        (
            "event category",
            if event.event_category.is_empty() {
                "-".to_owned()
            } else {
                visible(&event.event_category)
            },
        ),
    ];
    if let Some((record, mapped)) = event.qid {
        facts.push(("QID", format!("{} {}", record.qid, record.name)));
        if !record.description.is_empty() {
            facts.push(("description", record.description.clone()));
        }
        facts.push(("event mapping", branch(mapping.mapping_branch(mapped))));
    }
    let category = event.category;
    facts.push((
        "severity",
        event
            .severity
            .map_or_else(|| "-".to_owned(), |severity| severity.to_string()),
    ));
    facts.push((
        "low level",
        format!("{} {}", category.low_id, category.low_name),
    ));
    facts.push((
        "high level",
        format!("{} {}", category.high_id, category.high_name),
    ));
    let identity = match event.identity {
        Some(identity) => format!("sent for {}", identity.address),
        None => "not sent".to_owned(),
    };
    facts.push((
        "identity",
        format!("{}, {identity}", event.send_identity.name()),
    ));
    if let Some(group) = event.group {
        facts.push(("match group", branch(group)));
    }
    if let Some(event_match) = event.event_match {
        facts.push(("event match", branch(event_match)));
    }
    if event.budget_exceeded > 0 {
        facts.push(("over budget", format!("{} patterns", event.budget_exceeded)));
    }
    facts
}

/// Where a value came from, as a branch or as words.
pub fn origin(event: &Event<'_>, property: &Property<'_>) -> String {
    match property.origin {
        Origin::Matcher { branch, .. } => event.mapping().branches()[branch].id.clone(),
        Origin::SyslogHeader { .. } => "syslog header".to_owned(),
    }
}

fn explain_property(
    out: &mut String,
    event: &Event<'_>,
    property: &Property<'_>,
    trace: &Trace,
    style: Style,
    width: usize,
) {
    let Style {
        bold, dim, reset, ..
    } = style;
    let mapping = event.mapping();
    let name = mapping.target_name(property.target);
    let value = visible(&canonical(property));
    let room = width.saturating_sub(name.width() + 3).max(MIN_WIDTH / 2);
    let value = if value.width() > room {
        let note = format!(" ({} characters)", value.chars().count());
        fit(&value, room - note.len()) + &note
    } else {
        value
    };
    let _ = writeln!(out, "{bold}{name}{reset} = {value}");
    let mut from = origin(event, property);
    if let Origin::Matcher { branch, .. } = property.origin
        && let Some(pattern) = mapping.pattern_of(branch)
    {
        let _ = write!(from, ", pattern {pattern}");
    }
    match property.origin.span() {
        Some(span) => {
            let _ = writeln!(
                out,
                "  {dim}from {from}, bytes {}..{}{reset}",
                span.start, span.end
            );
            excerpt(out, event.payload, span.range(), style, width);
        }
        None => {
            let _ = writeln!(out, "  {dim}from {from}{reset}");
        }
    }
    let failed: Vec<&Attempt> = trace
        .attempts
        .iter()
        .filter(|attempt| attempt.target == property.target && attempt.failed.is_some())
        .collect();
    attempts(out, event, &failed, style);
}

fn attempts(out: &mut String, event: &Event<'_>, failed: &[&Attempt], style: Style) {
    let Style { dim, reset, .. } = style;
    let mapping = event.mapping();
    for attempt in failed {
        let Some(reason) = &attempt.failed else {
            continue;
        };
        let id = &mapping.branches()[attempt.branch].id;
        let pattern = mapping.pattern_of(attempt.branch).unwrap_or_default();
        let reason = visible(&reason.to_string());
        let _ = writeln!(out, "  {dim}not {id}, pattern {pattern}: {reason}{reset}");
    }
}

/// Properties that matchers were tried for in vain.
fn unfilled(out: &mut String, event: &Event<'_>, trace: &Trace, style: Style) {
    let Style { bold, reset, .. } = style;
    let mut targets: Vec<_> = trace
        .attempts
        .iter()
        .map(|attempt| attempt.target)
        .filter(|target| event.get(*target).is_none())
        .collect();
    targets.sort_unstable();
    targets.dedup();
    for target in targets {
        let _ = writeln!(
            out,
            "\n{bold}{}{reset} has no value",
            event.mapping().target_name(target)
        );
        let failed: Vec<&Attempt> = trace
            .attempts
            .iter()
            .filter(|a| a.target == target)
            .collect();
        attempts(out, event, &failed, style);
    }
}

/// The payload around a range, with the range underlined.
fn excerpt(
    out: &mut String,
    payload: &str,
    range: std::ops::Range<usize>,
    style: Style,
    width: usize,
) {
    let Style {
        dim, mark, reset, ..
    } = style;
    let room = width - 4;
    let value = fit(&one_line(&payload[range.clone()]), room * 5 / 8);
    let underline = value.width().max(1);
    let side = CONTEXT.min((room - underline) / 2);
    // Indentation takes up columns only until it is folded.
    let before: Vec<char> = payload[..range.start]
        .chars()
        .rev()
        .take(4 * side)
        .collect();
    let before = last_columns(&one_line(&before.iter().rev().collect::<String>()), side);
    let after: String = payload[range.end..].chars().take(4 * side).collect();
    let after = first_columns(&one_line(&after), side).to_owned();
    let _ = writeln!(
        out,
        "  {dim}|{reset} {dim}{before}{reset}{mark}{value}{reset}{dim}{after}{reset}"
    );
    let _ = writeln!(
        out,
        "  {dim}|{reset} {}{mark}{}{reset}",
        " ".repeat(before.width()),
        "^".repeat(underline)
    );
}

/// Visible text; a line break and the indentation behind it become one sign.
fn one_line(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut after_break = false;
    for c in text.chars() {
        match c {
            '\r' => {}
            '\n' => {
                if !after_break {
                    folded.push(c);
                }
                after_break = true;
            }
            ' ' | '\t' if after_break => {}
            _ => {
                after_break = false;
                folded.push(c);
            }
        }
    }
    visible(&folded)
}

/// As much of the beginning of a text as fits into so many columns.
pub(crate) fn first_columns(text: &str, columns: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > columns {
            return &text[..at];
        }
    }
    text
}

/// As much of the end of a text as fits into so many columns.
fn last_columns(text: &str, columns: usize) -> String {
    let mut used = 0;
    for (at, c) in text.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used > columns {
            return text[at + c.len_utf8()..].to_owned();
        }
    }
    text.to_owned()
}

/// A text of at most so many columns; the middle of a wider one is left out.
pub fn fit(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let tail = columns / 4;
    let head = columns.saturating_sub(tail + 1);
    format!("{}…{}", first_columns(text, head), last_columns(text, tail))
}

/// A text in exactly so many columns: cut, or filled with blanks.
pub fn cell(text: &str, columns: usize) -> String {
    let used = text.width();
    if used <= columns {
        return format!("{text}{}", " ".repeat(columns - used));
    }
    let head = first_columns(text, columns.saturating_sub(1));
    // A wide character that does not fit leaves a column empty.
    let rest = columns.saturating_sub(head.width() + 1);
    format!("{head}…{}", " ".repeat(rest))
}

/// Text without anything that would move the cursor: control characters become their pictures.
pub fn visible(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
            '\u{7f}' => '\u{2421}',
            // Line breaks and direction marks of Unicode, which terminals and editors obey too.
            _ if leef::control::is_control(c) => '\u{fffd}',
            _ => c,
        })
        .collect()
}

/// A text of at most so many characters; the middle is left out of a longer one.
pub fn shorten(text: &str, limit: usize) -> String {
    let count = text.chars().count();
    if count <= limit {
        return text.to_owned();
    }
    let head: String = text.chars().take(limit - limit / 4).collect();
    let tail: String = text.chars().skip(count - limit / 4).collect();
    format!("{head}...{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_its_width_on_the_screen_whatever_the_script() {
        for text in [
            "",
            "abc",
            "abcdefgh",
            "日本語",
            "日本語テキスト",
            "e\u{301}a",
            "aé日🎉🎉",
        ] {
            assert_eq!(cell(text, 6).width(), 6, "{text}");
        }
        assert_eq!(cell("日本語テキスト", 6), "日本… ");
    }

    #[test]
    fn a_wide_text_loses_its_middle() {
        assert_eq!(fit("abcdefghijklmnop", 9), "abcdef…op");
        assert!(fit("日本語テキスト日本語テキスト", 9).width() <= 9);
        assert_eq!(fit("short", 9), "short");
    }

    #[test]
    fn an_excerpt_underlines_the_value_below_wide_characters_and_within_the_width() {
        let payload = format!(
            "{{\n      \"日本\": \"値値\",\n      \"x\": \"{}\"}}",
            "y".repeat(500)
        );
        let start = payload.find('値').unwrap();
        let mut out = String::new();
        excerpt(&mut out, &payload, start..start + 6, Style::new(false), 60);
        let lines: Vec<&str> = out.lines().collect();
        let text = lines[0].split_once('値').unwrap().0;
        let blanks = lines[1].split_once('^').unwrap().0;
        assert_eq!(text.width(), blanks.width());
        assert_eq!(lines[1].matches('^').count(), 4);
        assert!(lines[0].width() <= 60, "{}", lines[0]);
        assert!(lines[0].contains("{␊\"日本\": \""), "{}", lines[0]);

        let mut out = String::new();
        excerpt(&mut out, &payload, 0..payload.len(), Style::new(false), 60);
        assert!(out.lines().all(|line| line.width() <= 60), "{out}");
    }

    #[test]
    fn nothing_in_a_payload_moves_the_cursor() {
        assert_eq!(visible("a\x1b[2Jb\u{202e}c\r\n"), "a␛[2Jb\u{fffd}c␍␊");
    }
}
