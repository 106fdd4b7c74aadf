//! A census for people and for programs.

use super::reads::Segment;
use super::{Census, MOST_MEMBERS, Reading, Seen};
use crate::explain::visible;
use crate::snapshot::table;
use crate::suite::Shown;
use crate::suite::report::Paint;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How many rows of each list are shown unless all are asked for.
const ROWS: usize = 25;

/// A path of the corpus, judged.
struct Path<'c> {
    name: &'c str,
    seen: &'c Seen,
    reading: Reading,
    is_new: bool,
}

impl Census<'_> {
    /// The paths of the corpus: those that are not read first, each kind by how often they are met.
    fn paths(&self) -> Vec<Path<'_>> {
        let mut paths: Vec<Path<'_>> = self
            .corpus
            .paths
            .iter()
            .map(|(name, seen)| {
                let reading = if seen.segments.is_empty() && !name.starts_with('/') {
                    self.reads.key(name)
                } else {
                    self.reads.path(&seen.segments)
                };
                Path {
                    name,
                    seen,
                    reading: match reading {
                        Reading::No | Reading::Compared if seen.by_regex => Reading::Regex,
                        reading => reading,
                    },
                    is_new: !self.fixtures.paths.contains_key(name),
                }
            })
            .collect();
        paths.sort_by_key(|path| (path.reading, Reverse(path.seen.count), path.name));
        paths
    }

    /// Members of enumerations that the fixtures do not have: path, member, how often.
    fn members(&self) -> Vec<(&str, &str, u64)> {
        let mut members = Vec::new();
        for (name, seen) in &self.corpus.paths {
            let Some(known) = self.fixtures.paths.get(name) else {
                continue;
            };
            let is_open = seen.has_more_values || seen.values.len() > MOST_MEMBERS;
            if is_open || !known.is_enumeration() {
                continue;
            }
            for (value, count) in &seen.values {
                let is_known =
                    known.values.contains_key(value) || self.reads.literals.contains(value);
                if !is_known {
                    members.push((name.as_str(), value.as_str(), *count));
                }
            }
        }
        members.sort_by_key(|(name, value, count)| (Reverse(*count), *name, *value));
        members
    }

    /// Kinds of elements that neither the fixtures have nor a filter names: the member that tells, the kind, and how many
    /// values such elements have.
    fn kinds(&self) -> Vec<(&str, &str, u64)> {
        let mut kinds: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for seen in self.corpus.paths.values() {
            for segment in &seen.segments {
                if let Segment::Element(Some((member, kind))) = segment {
                    *kinds.entry((member, kind)).or_default() += seen.count;
                }
            }
        }
        for seen in self.fixtures.paths.values() {
            for segment in &seen.segments {
                if let Segment::Element(Some((member, kind))) = segment {
                    kinds.remove(&(member.as_str(), kind.as_str()));
                }
            }
        }
        kinds.retain(|(_, kind), _| !self.reads.literals.contains(*kind));
        let mut kinds: Vec<_> = kinds.into_iter().map(|((m, k), n)| (m, k, n)).collect();
        kinds.sort_by_key(|(member, kind, count)| (Reverse(*count), *member, *kind));
        kinds
    }

    /// Events of the corpus without a QID: event ID, event category, how often, and whether a fixture has one.
    fn unmapped(&self) -> Vec<(&str, &str, u64, bool)> {
        let all = self.corpus.unmapped.iter();
        let mut list: Vec<_> = all
            .map(|(pair, count)| {
                let is_known = self.fixtures.unmapped.contains_key(pair);
                (pair.0.as_str(), pair.1.as_str(), *count, is_known)
            })
            .collect();
        list.sort_by_key(|(id, category, count, _)| (Reverse(*count), *id, *category));
        list
    }
}

/// What is new and what is not read, the most frequent first; all paths on request.
pub fn human(census: &Census<'_>, shown: Shown, all: bool) -> String {
    let paint = Paint(shown.colour);
    let limit = if all { usize::MAX } else { ROWS };
    let mut out = String::new();
    let mut section = |heading: &str, rows: &[[String; 5]]| {
        if rows.is_empty() {
            return;
        }
        let _ = writeln!(out, "{}", paint.bold(heading));
        let kept = rows.len().min(limit);
        table(&mut out, &rows[..kept]);
        if rows.len() > kept {
            let _ = writeln!(out, "and {} more (--all)", rows.len() - kept);
        }
        out.push('\n');
    };
    let row = |cells: [&str; 5]| cells.map(visible);
    let unmapped: Vec<_> = census
        .unmapped()
        .into_iter()
        .map(|(id, category, count, is_known)| {
            let id = if id.is_empty() { "(no event ID)" } else { id };
            let new = if is_known { "" } else { "new" };
            row([&count.to_string(), new, id, category, ""])
        })
        .collect();
    section("events without a QID", &unmapped);
    let kinds: Vec<_> = census
        .kinds()
        .into_iter()
        .map(|(member, kind, count)| row([&count.to_string(), member, kind, "", ""]))
        .collect();
    section("kinds of elements that are new (values in them)", &kinds);
    let members: Vec<_> = census
        .members()
        .into_iter()
        .map(|(path, value, count)| row([&count.to_string(), path, value, "", ""]))
        .collect();
    section("values that are new where the fixtures have few", &members);
    let paths = census.paths();
    let as_row = |path: &Path<'_>| {
        let types: Vec<&str> = path.seen.types.keys().copied().collect();
        let new = if path.is_new { "new" } else { "" };
        let examples = path.seen.examples.join(" | ");
        row([
            &path.seen.count.to_string(),
            new,
            path.name,
            &types.join(","),
            &examples,
        ])
    };
    let unread: Vec<_> = paths
        .iter()
        .filter(|path| matches!(path.reading, Reading::No | Reading::Compared))
        .map(as_row)
        .collect();
    section("not read by the mapping", &unread);
    if all {
        let read: Vec<_> = paths
            .iter()
            .filter(|path| !matches!(path.reading, Reading::No | Reading::Compared))
            .map(as_row)
            .collect();
        section("read by the mapping", &read);
    }
    let [mapped, unknown, stored] = census.corpus.events;
    let _ = writeln!(
        out,
        "{}: {} payload{}, {mapped} mapped, {unknown} unknown, {stored} stored; {} paths, {} of them not read, {} not in the fixtures",
        census.mapping.slug(),
        census.corpus.payloads,
        if census.corpus.payloads == 1 { "" } else { "s" },
        paths.len(),
        unread.len(),
        paths.iter().filter(|path| path.is_new).count(),
    );
    if census.corpus.shapeless > 0 {
        let _ = writeln!(
            out,
            "{} payloads have neither JSON nor keys",
            census.corpus.shapeless
        );
    }
    if census.corpus.beyond > 0 {
        let _ = writeln!(
            out,
            "{} values at further paths were only counted",
            census.corpus.beyond
        );
    }
    out
}

/// Everything, an object a line.
pub fn json(census: &Census<'_>) -> String {
    let mut out = String::new();
    let mut line = |value: Value| {
        let _ = writeln!(out, "{value}");
    };
    for path in census.paths() {
        line(json!({
            "record": "path",
            "path": path.name,
            "count": path.seen.count,
            "types": path.seen.types,
            "examples": path.seen.examples,
            "read": path.reading.name(),
            "isNew": path.is_new,
        }));
    }
    for (path, value, count) in census.members() {
        line(json!({ "record": "member", "path": path, "value": value, "count": count }));
    }
    for (member, kind, count) in census.kinds() {
        line(json!({ "record": "kind", "member": member, "kind": kind, "values": count }));
    }
    for (id, category, count, is_known) in census.unmapped() {
        line(json!({
            "record": "unmapped",
            "eventId": id,
            "eventCategory": category,
            "count": count,
            "isNew": !is_known,
        }));
    }
    let [mapped, unknown, stored] = census.corpus.events;
    line(json!({
        "record": "summary",
        "type": census.mapping.slug(),
        "payloads": census.corpus.payloads,
        "fixturePayloads": census.fixtures.payloads,
        "mapped": mapped,
        "unknown": unknown,
        "stored": stored,
        "shapeless": census.corpus.shapeless,
        "beyond": census.corpus.beyond,
    }));
    out
}
