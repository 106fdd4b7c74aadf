//! What a run of the suite says to people and to programs.

use super::{FixtureOutcome, Outcome, Verdict};
use crate::explain::{first_columns, visible};
use crate::render::{self, Format};
use crate::snapshot::{Change, EventChange, table};
use dsm::diagnostic::{Code, Diagnostic, Diagnostics, Severity};
use serde_json::{Value, json};
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr;

/// How a report is shown.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// With the colours of a terminal.
    pub colour: bool,
    /// How many columns a line may have.
    pub width: usize,
}

/// The run for people: what differs by event and property, other findings, a line for each type, the sum.
pub fn report(outcome: &Outcome, shown: Shown) -> String {
    let mut out = String::new();
    for fixture in &outcome.fixtures {
        difference(&mut out, fixture, &outcome.findings, shown);
    }
    for path in &outcome.written {
        let _ = writeln!(out, "wrote {}", path.display());
    }
    let mut findings = outcome.findings.clone();
    // Already shown above.
    findings
        .retain(|finding| !matches!(finding.code, Code::SnapshotDiffers | Code::SnapshotMissing));
    out.push_str(&render::render(&findings, Format::Human, shown.colour));
    let rows: Vec<[String; 4]> = outcome
        .types
        .iter()
        .map(|of_type| {
            [
                of_type.slug.clone(),
                count(of_type.fixtures, "fixture"),
                count(of_type.events, "event"),
                of_type.reached.map_or_else(String::new, |(reached, all)| {
                    format!("{reached} of {all} branches reached")
                }),
            ]
        })
        .collect();
    table(&mut out, &rows);
    let summary = render::summary(&outcome.findings).unwrap_or_else(|| "no findings".to_owned());
    let _ = writeln!(out, "{}{summary}", tally(outcome));
    let is_open =
        |fixture: &FixtureOutcome| fixture.difference.as_ref().is_some_and(|d| !d.is_accepted);
    if outcome.fixtures.iter().any(is_open) {
        out.push_str("what changed is meant? dsmith test --accept writes the snapshots; read and commit them\n");
    }
    out
}

/// `1 fixture changed, 2 new: ` or nothing.
fn tally(outcome: &Outcome) -> String {
    let of = |verdict| {
        let all = outcome.fixtures.iter();
        all.filter(|fixture| fixture.verdict == verdict).count()
    };
    let parts: Vec<String> = [
        (of(Verdict::Changed), "changed"),
        (of(Verdict::New), "new"),
        (of(Verdict::Broken), "broken"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    if parts.is_empty() {
        return String::new();
    }
    let all = count(outcome.fixtures.len(), "fixture");
    format!("{all}, of these {}: ", parts.join(", "))
}

pub(crate) fn count(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

fn difference(out: &mut String, fixture: &FixtureOutcome, findings: &Diagnostics, shown: Shown) {
    let Some(difference) = &fixture.difference else {
        return;
    };
    let paint = Paint(shown.colour);
    let (code, what) = match fixture.verdict {
        Verdict::New => (Code::SnapshotMissing, "has no snapshot"),
        _ => (Code::SnapshotDiffers, "changed"),
    };
    let label = if difference.is_accepted {
        paint.bold("accepted")
    } else {
        paint.red(&format!("error[{code}]"))
    };
    let _ = writeln!(out, "{label}: {} {what}", fixture.path.display());
    if fixture.verdict == Verdict::New && !difference.is_accepted {
        let events = count(fixture.events, "event");
        let _ = writeln!(
            out,
            "  it gives {events}; dsmith test --accept writes {}",
            difference.snapshot.display()
        );
    } else if difference.events.is_empty() {
        for line in difference.diff.lines() {
            let line = match line.as_bytes().first() {
                Some(b'-') => paint.red(line),
                Some(b'+') => paint.green(line),
                _ => line.to_owned(),
            };
            let _ = writeln!(out, "  {line}");
        }
    }
    write_changes(out, &difference.events, shown, "  ");
    let snapshot = difference.snapshot.display().to_string();
    let of_this = |finding: &&Diagnostic| {
        finding
            .labels
            .first()
            .is_some_and(|label| label.file.name == snapshot)
    };
    for label in findings
        .iter()
        .filter(of_this)
        .flat_map(|finding| &finding.labels[1..])
    {
        let (line, _) = label.file.line_column(label.span.start);
        let _ = writeln!(out, "  {}: {}:{line}", label.text, label.file.name);
    }
    out.push('\n');
}

/// Each event with what became of it, two lines for each change.
pub(crate) fn write_changes(out: &mut String, events: &[EventChange], shown: Shown, indent: &str) {
    for event in events {
        let _ = writeln!(out, "{indent}event {}", event.event);
        write_properties(out, &event.changes, shown, &format!("{indent}  "));
    }
}

/// The changes of an event, aligned: the name, then what was and what is.
pub(crate) fn write_properties(out: &mut String, changes: &[Change], shown: Shown, indent: &str) {
    let paint = Paint(shown.colour);
    let widest = changes.iter().map(|change| change.what.width()).max();
    let column = widest.unwrap_or(0);
    let room = shown
        .width
        .saturating_sub(indent.len() + column + 4)
        .max(30);
    for change in changes {
        let (old, new) = cut(
            &visible(change.old.as_deref().unwrap_or_default()),
            &visible(change.new.as_deref().unwrap_or_default()),
            room,
        );
        let same_text = change.old.is_some() && change.old == change.new;
        let sides = [
            ('-', &change.old, old, &change.origins[0]),
            ('+', &change.new, new, &change.origins[1]),
        ];
        let mut name = change.what.as_str();
        for (sign, value, text, origin) in sides {
            if value.is_none() && !same_text {
                continue;
            }
            let mut line = format!("{sign} {text}");
            let moved = change.origins[0] != change.origins[1];
            if moved && !origin.is_empty() {
                let note = format!("  ({origin})");
                if text.width() + note.width() <= room || same_text {
                    line.push_str(&note);
                }
            }
            let line = if sign == '-' {
                paint.red(&line)
            } else {
                paint.green(&line)
            };
            let pad = " ".repeat(column.saturating_sub(name.width()));
            let _ = writeln!(out, "{indent}{name}{pad}  {line}");
            name = "";
        }
    }
}

/// Two texts so that both fit, and what differs is in sight: a long common beginning is left out.
fn cut(old: &str, new: &str, room: usize) -> (String, String) {
    if old.width() <= room && new.width() <= room {
        return (old.to_owned(), new.to_owned());
    }
    let mut common: Vec<char> = Vec::new();
    for (a, b) in old.chars().zip(new.chars()) {
        if a != b {
            break;
        }
        common.push(a);
    }
    // Some of what is the same says where one is.
    let skip = common.len().saturating_sub(room / 4);
    let side = |text: &str| {
        let rest: String = text.chars().skip(skip).collect();
        let head = if skip > 0 { "…" } else { "" };
        let shown = first_columns(&rest, room.saturating_sub(2));
        let tail = if shown.len() < rest.len() { "…" } else { "" };
        format!("{head}{shown}{tail}")
    };
    (side(old), side(new))
}

/// The run for programs: an object a line, `record` says of what.
pub fn report_json(outcome: &Outcome) -> String {
    let mut out = String::new();
    let mut line = |value: Value| {
        let _ = writeln!(out, "{value}");
    };
    for fixture in &outcome.fixtures {
        let accepted = fixture.difference.as_ref().is_some_and(|d| d.is_accepted);
        let events = fixture.difference.iter().flat_map(|d| &d.events);
        line(json!({
            "record": "fixture",
            "type": fixture.slug,
            "name": fixture.name,
            "verdict": match fixture.verdict {
                Verdict::Same => "same",
                Verdict::Changed => "changed",
                Verdict::New => "new",
                Verdict::Broken => "broken",
            },
            "accepted": accepted,
            "events": fixture.events,
            "changes": events.flat_map(as_json).collect::<Vec<_>>(),
        }));
    }
    for finding in render::render(&outcome.findings, Format::Json, false).lines() {
        if let Ok(mut value) = serde_json::from_str::<Value>(finding) {
            value["record"] = json!("finding");
            line(value);
        }
    }
    for of_type in &outcome.types {
        line(json!({
            "record": "type",
            "type": of_type.slug,
            "fixtures": of_type.fixtures,
            "events": of_type.events,
            "branchesReached": of_type.reached.map(|(reached, _)| reached),
            "branches": of_type.reached.map(|(_, all)| all),
        }));
    }
    line(json!({
        "record": "summary",
        "passed": outcome.passed(),
        "fixtures": outcome.fixtures.len(),
        "errors": outcome.findings.count(Severity::Error),
        "warnings": outcome.findings.count(Severity::Warning),
        "written": outcome.written.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
    }));
    out
}

fn as_json(event: &EventChange) -> impl Iterator<Item = Value> + '_ {
    event.changes.iter().map(|change| {
        json!({
            "event": event.event,
            "what": change.what,
            "old": change.old,
            "new": change.new,
            "oldOrigin": change.origins[0],
            "newOrigin": change.origins[1],
        })
    })
}

/// The colours of a terminal, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(what: &str, old: Option<&str>, new: Option<&str>, origins: [&str; 2]) -> Change {
        Change {
            what: what.to_owned(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
            origins: origins.map(str::to_owned),
        }
    }

    #[test]
    fn changes_are_aligned_and_tell_both_sides() {
        let changes = [
            change("severity", Some("8"), Some("9"), ["", ""]),
            change(
                "User",
                None,
                Some("bob"),
                ["", "group/1/User/2, bytes 3..6"],
            ),
            change(
                "Host",
                Some("pc"),
                Some("pc"),
                ["a, bytes 1..3", "b, bytes 1..3"],
            ),
        ];
        let mut out = String::new();
        let shown = Shown {
            colour: false,
            width: 80,
        };
        write_properties(&mut out, &changes, shown, "  ");
        assert_eq!(
            out,
            "  severity  - 8\n            + 9\n  User      + bob  (group/1/User/2, bytes 3..6)\n  Host      - pc  (a, bytes 1..3)\n            + pc  (b, bytes 1..3)\n"
        );
    }

    #[test]
    fn of_a_long_value_the_part_that_differs_is_shown() {
        let old = format!("{}OLD{}", "x".repeat(500), "y".repeat(500));
        let new = format!("{}NEW{}", "x".repeat(500), "y".repeat(500));
        let (old, new) = cut(&old, &new, 40);
        assert!(old.contains("OLD") && new.contains("NEW"), "{old}\n{new}");
        assert!(old.width() <= 40 && new.width() <= 40, "{old}\n{new}");
    }
}
