//! Two snapshots of a fixture, compared event by event and property by property.

use std::collections::{BTreeMap, BTreeSet};

/// An event that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventChange {
    /// Its number in the fixture, from 1.
    pub event: usize,
    /// What became of it, in the order of the snapshot.
    pub changes: Vec<Change>,
}

/// Something about an event that is not what it was. A side that has nothing is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// A property, or one of the lines above the properties, such as `severity`.
    pub what: String,
    /// What the snapshot says.
    pub old: Option<String>,
    /// What it is now.
    pub new: Option<String>,
    /// Where a property came from, then and now: matcher and bytes. Empty for what is no property.
    pub origins: [String; 2],
}

/// An event as a snapshot has it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Recorded<'t> {
    bytes: &'t str,
    /// `status`, `event ID` and so on.
    facts: Vec<(&'t str, &'t str)>,
    /// Name, origin with bytes, value.
    properties: Vec<(&'t str, String, &'t str)>,
    /// The LEEF line, and lines about what was lost.
    rest: Vec<&'t str>,
}

/// The events that differ between two texts of a snapshot. Empty if they cannot be told apart by event, as where the old
/// text is empty or something outside of the events differs.
pub fn changes(old: &str, new: &str) -> Vec<EventChange> {
    let (old, new) = (read(old), read(new));
    if old.is_empty() {
        return Vec::new();
    }
    let mut out = Vec::new();
    let nothing = Recorded::default();
    for index in 0..old.len().max(new.len()) {
        let changes = match (old.get(index), new.get(index)) {
            (Some(old), Some(new)) => compare(old, new),
            (old, new) => {
                let side = |event: Option<&Recorded<'_>>| {
                    event.map(|event| format!("bytes {}", event.bytes))
                };
                let mut all = vec![plain("event", side(old), side(new))];
                all.extend(compare(old.unwrap_or(&nothing), new.unwrap_or(&nothing)));
                all
            }
        };
        if !changes.is_empty() {
            out.push(EventChange {
                event: index + 1,
                changes,
            });
        }
    }
    out
}

fn plain(what: &str, old: Option<String>, new: Option<String>) -> Change {
    Change {
        what: what.to_owned(),
        old,
        new,
        origins: Default::default(),
    }
}

fn compare(old: &Recorded<'_>, new: &Recorded<'_>) -> Vec<Change> {
    let mut out = Vec::new();
    let own = |text: &str| text.to_owned();
    let get = |facts: &[(&str, &str)], name: &str| {
        let found = facts.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| own(value))
    };
    for name in in_order(
        old.facts.iter().map(|(name, _)| *name),
        new.facts.iter().map(|(name, _)| *name),
    ) {
        let (before, after) = (get(&old.facts, name), get(&new.facts, name));
        if before != after {
            out.push(plain(name, before, after));
        }
    }
    let by_name = |event: &Recorded<'_>| -> BTreeMap<String, (String, String)> {
        let rows = event.properties.iter();
        rows.map(|(name, origin, value)| (own(name), (origin.clone(), own(value))))
            .collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    for name in in_order(
        old.properties.iter().map(|(name, ..)| *name),
        new.properties.iter().map(|(name, ..)| *name),
    ) {
        let (old, new) = (before.get(name), after.get(name));
        if old != new {
            let side = |side: Option<&(String, String)>| side.cloned().unzip();
            let ((old_origin, old), (new_origin, new)) = (side(old), side(new));
            out.push(Change {
                what: own(name),
                old,
                new,
                origins: [
                    old_origin.unwrap_or_default(),
                    new_origin.unwrap_or_default(),
                ],
            });
        }
    }
    // The LEEF line follows from the properties; by itself it is news.
    if out.is_empty() && old.bytes != new.bytes {
        out.push(plain("bytes", Some(own(old.bytes)), Some(own(new.bytes))));
    }
    if out.is_empty() && old.rest != new.rest {
        let text = |rest: &[&str]| Some(rest.join(" ")).filter(|text| !text.is_empty());
        out.push(plain("output", text(&old.rest), text(&new.rest)));
    }
    out
}

/// The names of both sides, each once: those of the new side in its order, then those that are gone.
fn in_order<'t>(
    old: impl Iterator<Item = &'t str>,
    new: impl Iterator<Item = &'t str>,
) -> Vec<&'t str> {
    let mut seen = BTreeSet::new();
    new.chain(old).filter(|name| seen.insert(*name)).collect()
}

/// Takes the text of a snapshot apart.
fn read(text: &str) -> Vec<Recorded<'_>> {
    let mut events: Vec<Recorded<'_>> = Vec::new();
    let mut part = 0;
    for line in text.lines() {
        if let Some((_, bytes)) = line
            .strip_prefix("== event ")
            .and_then(|rest| rest.split_once(", bytes "))
        {
            events.push(Recorded {
                bytes,
                ..Recorded::default()
            });
            part = 0;
            continue;
        }
        let Some(event) = events.last_mut() else {
            continue;
        };
        if line.is_empty() {
            part += 1;
        } else if line.starts_with("LEEF:") || line.starts_with("!!") || part > 1 {
            event.rest.push(line);
        } else if part == 0 {
            // Names are padded to 15 columns, and none is wider.
            let (name, value) = line.split_at_checked(15).unwrap_or((line, ""));
            event.facts.push((name.trim_end(), value.trim_start()));
        } else {
            event.properties.extend(property(line));
        }
    }
    events
}

/// Name, origin with bytes, and value of a row of properties. Columns are at least two blanks apart.
fn property(line: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = line.split_once("  ")?;
    let rest = rest.trim_start();
    let (origin, rest) = rest.split_once("  ").unwrap_or((rest, ""));
    let rest = rest.trim_start();
    // A value without bytes has none in its row.
    let (first, after) = rest.split_once("  ").unwrap_or((rest, ""));
    let is_range = first.split_once("..").is_some_and(|(start, end)| {
        [start, end]
            .iter()
            .all(|side| !side.is_empty() && side.bytes().all(|byte| byte.is_ascii_digit()))
    });
    if is_range {
        let origin = format!("{origin}, bytes {first}");
        Some((name, origin, after.trim_start()))
    } else {
        Some((name, origin.to_owned(), rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "Acme Door: 2 events

== event 1, bytes 0..25
status          Mapped: event ID and category are mapped
event ID        forced
severity        8

EventName  group/1/EventName/1  0..17   forced
UserName   group/1/UserName/1   20..24  bob  the builder
Note       group/1/Note/1                constant

LEEF:1.0|Acme|Door|1.0|forced|sev=8

== event 2, bytes 26..40
status          Stored: no match group found an event ID

LEEF:1.0|Acme|Door|1.0||
!! cat: 1 substituted, 0 cut
";

    fn changed(new: &str) -> Vec<(usize, String, Option<String>, Option<String>)> {
        let all = changes(OLD, new).into_iter();
        all.flat_map(|event| {
            let number = event.event;
            let changes = event.changes.into_iter();
            changes.map(move |change| (number, change.what, change.old, change.new))
        })
        .collect()
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn the_same_text_has_no_changes() {
        assert_eq!(changed(OLD), []);
    }

    #[test]
    fn each_property_that_differs_is_named_with_both_values_and_origins() {
        let new = OLD
            .replace("severity        8", "severity        9")
            .replace("sev=8", "sev=9")
            .replace(
                "UserName   group/1/UserName/1   20..24  bob  the builder\n",
                "",
            )
            .replace("EventName/1  0..17 ", "EventName/2  3..17 ");
        assert_eq!(
            changed(&new),
            [
                (1, "severity".to_owned(), some("8"), some("9")),
                (1, "EventName".to_owned(), some("forced"), some("forced")),
                (1, "UserName".to_owned(), some("bob  the builder"), None),
            ]
        );
        let origin = &changes(OLD, &new)[0].changes[1].origins;
        assert_eq!(
            *origin,
            [
                "group/1/EventName/1, bytes 0..17",
                "group/1/EventName/2, bytes 3..17"
            ]
        );
    }

    #[test]
    fn what_only_the_output_shows_and_an_event_that_is_gone_are_changes_too() {
        let new = OLD.replace("0 cut", "1 cut");
        assert_eq!(changed(&new)[0].1, "output");
        let (new, _) = OLD.split_once("\n== event 2").unwrap();
        let gone = changed(new);
        assert_eq!(gone[0], (2, "event".to_owned(), some("bytes 26..40"), None));
    }

    #[test]
    fn a_value_without_bytes_is_read_as_one() {
        let new = OLD.replace("constant", "another");
        assert_eq!(
            changed(&new),
            [(1, "Note".to_owned(), some("constant"), some("another"))]
        );
    }
}
