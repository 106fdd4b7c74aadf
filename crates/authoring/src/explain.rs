//! One event, explained: each property, where it came from, and which candidates failed before it.

use dsm::engine::{Attempt, Trace};
use dsm::event::{Event, Origin, Property, canonical};
use std::fmt::Write as _;

/// How many characters of the payload are shown on each side of a value.
const CONTEXT: usize = 36;
/// How many characters of a value are shown.
const MAX_VALUE: usize = 100;

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

/// The account of an event as text.
pub fn explain(event: &Event<'_>, trace: &Trace, colour: bool) -> String {
    let style = Style::new(colour);
    let mut out = String::new();
    for (name, value) in facts(event) {
        let Style { bold, reset, .. } = style;
        let _ = writeln!(out, "{bold}{name:<15}{reset} {value}");
    }
    for property in &event.properties {
        out.push('\n');
        explain_property(&mut out, event, property, trace, style);
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
) {
    let Style {
        bold, dim, reset, ..
    } = style;
    let mapping = event.mapping();
    let name = mapping.target_name(property.target);
    let value = shorten(&visible(&canonical(property)), MAX_VALUE);
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
            excerpt(out, event.payload, span.range(), style);
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
fn excerpt(out: &mut String, payload: &str, range: std::ops::Range<usize>, style: Style) {
    let Style {
        dim, mark, reset, ..
    } = style;
    let before: Vec<char> = payload[..range.start].chars().rev().take(CONTEXT).collect();
    let before = visible(&before.into_iter().rev().collect::<String>());
    let value = shorten(&visible(&payload[range.clone()]), MAX_VALUE);
    let after = visible(
        &payload[range.end..]
            .chars()
            .take(CONTEXT)
            .collect::<String>(),
    );
    let _ = writeln!(
        out,
        "  {dim}|{reset} {dim}{before}{reset}{mark}{value}{reset}{dim}{after}{reset}"
    );
    let width = value.chars().count().max(1);
    let _ = writeln!(
        out,
        "  {dim}|{reset} {}{mark}{}{reset}",
        " ".repeat(before.chars().count()),
        "^".repeat(width)
    );
}

/// Text without anything that would move the cursor: control characters become their pictures.
pub fn visible(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
            '\u{7f}' => '\u{2421}',
            // Line breaks and direction marks of Unicode, which terminals and editors obey too.
            '\u{80}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => '\u{fffd}',
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
