//! What two versions make of the same payloads, for people and for programs.

use super::{Aspect, Cause, ChangedEvent, Found, Tally, Way};
use crate::snapshot::Change;
use crate::suite::Shown;
use crate::suite::report::{Paint, write_properties};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// How many transitions are shown for a cause, and how many names of branches.
const SHOWN: usize = 5;

/// `4,077` for 4077.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `loses` for one event, `lose` for more.
fn verb(way: Way, events: u64) -> &'static str {
    let one = way.name();
    if events == 1 {
        one
    } else {
        one.trim_end_matches('s')
    }
}

fn times(number: u64) -> String {
    match number {
        1 => "once".to_owned(),
        _ => format!("{} times", thousands(number)),
    }
}

/// The causes, the most frequent first; what is no property goes before.
fn sorted(tally: &Tally) -> Vec<(&Cause, &Found)> {
    let mut causes: Vec<(&Cause, &Found)> = tally.causes.iter().collect();
    causes.sort_by_key(|(cause, found)| {
        let is_property = matches!(cause.aspect, Aspect::Property(_));
        (is_property, std::cmp::Reverse(found.events))
    });
    causes
}

/// `37 of 4,077 events change: QID 12, SourceIp 25; 2 lose UserName`.
pub fn summary(tally: &Tally) -> String {
    let of = |way: Way| {
        let causes = sorted(tally).into_iter();
        causes.filter(move |(cause, _)| cause.way == way)
    };
    let head = format!(
        "{} of {} events change",
        thousands(tally.changed),
        thousands(tally.events)
    );
    let changes: Vec<String> = of(Way::Changes)
        .map(|(cause, found)| format!("{} {}", cause.aspect.name(), thousands(found.events)))
        .collect();
    let mut parts = Vec::new();
    if !changes.is_empty() {
        parts.push(changes.join(", "));
    }
    for way in [Way::Loses, Way::Gains] {
        for (cause, found) in of(way) {
            let verb = verb(way, found.events);
            parts.push(format!(
                "{} {verb} {}",
                thousands(found.events),
                cause.aspect.name()
            ));
        }
    }
    if parts.is_empty() {
        head
    } else {
        format!("{head}: {}", parts.join("; "))
    }
}

/// Each cause with its most frequent transitions and an example of each, then the sum.
pub fn human(tally: &Tally, shown: Shown) -> String {
    let paint = Paint(shown.colour);
    let mut out = String::new();
    for (names, what) in tally.branches.iter().zip(["new", "gone"]) {
        if names.is_empty() {
            continue;
        }
        let some: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
        let more = names.len() - some.len();
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let _ = writeln!(
            out,
            "{} branches are {what}: {}{more}",
            names.len(),
            some.join(", ")
        );
    }
    if !out.is_empty() {
        out.push('\n');
    }
    for (cause, found) in sorted(tally) {
        let heading = format!(
            "{}: {} event{} {} it",
            cause.aspect.name(),
            thousands(found.events),
            if found.events == 1 { "" } else { "s" },
            verb(cause.way, found.events)
        );
        let _ = writeln!(out, "{}", paint.bold(&heading));
        let transitions = found.transitions();
        for (old, new, seen) in transitions.iter().take(SHOWN) {
            let _ = writeln!(
                out,
                "  {}, first in {} at byte {}",
                times(seen.events),
                seen.input,
                seen.offset
            );
            let change = Change {
                what: String::new(),
                old: (*old).clone(),
                new: (*new).clone(),
                origins: Default::default(),
            };
            write_properties(&mut out, &[change], shown, "  ");
        }
        let told: u64 = transitions
            .iter()
            .take(SHOWN)
            .map(|(.., seen)| seen.events)
            .sum();
        if found.events > told {
            let _ = writeln!(
                out,
                "  and {} more in other ways",
                thousands(found.events - told)
            );
        }
        out.push('\n');
    }
    let _ = writeln!(out, "{}", summary(tally));
    out
}

/// A changed event as a line of JSON.
pub fn event_json(input: &str, offset: u64, event: &ChangedEvent) -> String {
    let changes: Vec<Value> = event
        .changes
        .iter()
        .map(|(aspect, change)| {
            json!({
                "what": aspect.name(),
                "old": change.old,
                "new": change.new,
                "oldOrigin": change.origins[0],
                "newOrigin": change.origins[1],
            })
        })
        .collect();
    let value = json!({
        "record": "event",
        "input": input,
        "offset": offset,
        "eventId": event.event_id,
        "changes": changes,
    });
    value.to_string() + "\n"
}

/// The causes and the sum, an object a line.
pub fn json(tally: &Tally) -> String {
    let mut out = String::new();
    for (cause, found) in sorted(tally) {
        let transitions: Vec<Value> = found
            .transitions()
            .into_iter()
            .map(|(old, new, seen)| {
                json!({
                    "old": old,
                    "new": new,
                    "events": seen.events,
                    "input": seen.input,
                    "offset": seen.offset,
                })
            })
            .collect();
        let value = json!({
            "record": "cause",
            "what": cause.aspect.name(),
            "isProperty": matches!(cause.aspect, Aspect::Property(_)),
            "way": cause.way.name(),
            "events": found.events,
            "transitions": transitions,
        });
        let _ = writeln!(out, "{value}");
    }
    let [new, gone] = &tally.branches;
    let value = json!({
        "record": "summary",
        "events": tally.events,
        "changed": tally.changed,
        "branchesNew": new,
        "branchesGone": gone,
        "text": summary(tally),
    });
    let _ = writeln!(out, "{value}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_tells_what_changes_and_what_is_lost() {
        let mut tally = Tally {
            events: 4077,
            changed: 37,
            ..Tally::default()
        };
        let property = |name: &str| Aspect::Property(name.to_owned());
        for (aspect, way, events) in [
            (Aspect::Qid, Way::Changes, 12),
            (property("SourceIp"), Way::Changes, 25),
            (property("UserName"), Way::Loses, 2),
            (property("HostName"), Way::Gains, 1),
        ] {
            let found = Found {
                events,
                ..Found::default()
            };
            tally.causes.insert(Cause { aspect, way }, found);
        }
        assert_eq!(
            summary(&tally),
            "37 of 4,077 events change: QID 12, SourceIp 25; 2 lose UserName; 1 gains HostName"
        );
        assert_eq!(summary(&Tally::default()), "0 of 0 events change");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }
}
