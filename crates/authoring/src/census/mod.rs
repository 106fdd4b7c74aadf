//! What a corpus holds, beside what the fixtures have and what the mapping reads: drift of a source.

pub(crate) mod keys;
mod reads;
mod report;

pub use reads::Reading;
pub use report::{human, json};

use crate::snapshot::received;
use dsm::event::{Event, Origin};
use dsm::{Mapping, Normalizer, Payload, Status};
use reads::{Reads, Segment, display};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How many paths are told apart. A source that uses names as data would have more; the rest is only counted.
const MOST_PATHS: usize = 20_000;
/// How long the name of a path may be, in bytes.
const LONGEST_PATH: usize = 1000;
/// How many values of a path are told apart.
const MOST_VALUES: usize = 64;
/// How many examples of a path are kept, and how many characters of each.
const EXAMPLES: usize = 3;
const EXAMPLE: usize = 60;
/// How many events without a QID are told apart.
const MOST_UNMAPPED: usize = 5_000;
/// With more values than these a path is no enumeration.
const MOST_MEMBERS: usize = 48;

/// Counts what is met in the fixtures of a type and in a corpus.
#[derive(Debug)]
pub struct Census<'m> {
    mapping: &'m Mapping,
    normalizer: Normalizer<'m>,
    reads: Reads,
    fixtures: Tally,
    corpus: Tally,
    novel: BTreeSet<String>,
}

/// What was met.
#[derive(Debug, Default)]
struct Tally {
    payloads: u64,
    /// Mapped, Unknown, Stored.
    events: [u64; 3],
    /// By path or key.
    paths: BTreeMap<String, Seen>,
    /// Values at paths for which there was no room.
    beyond: u64,
    /// Event ID and event category of events without a QID.
    unmapped: BTreeMap<(String, String), u64>,
    /// Payloads without any path or key.
    shapeless: u64,
}

/// A path or a key that was met.
#[derive(Debug, Default)]
struct Seen {
    /// The steps of a JSON path; nothing for a key.
    segments: Vec<Segment>,
    count: u64,
    types: BTreeMap<&'static str, u64>,
    examples: Vec<String>,
    /// Short texts, as far as there is room.
    values: BTreeMap<String, u64>,
    has_more_values: bool,
    /// A regular expression was seen to read it.
    by_regex: bool,
}

impl Seen {
    fn add(&mut self, kind: &'static str, text: &str) {
        self.count += 1;
        *self.types.entry(kind).or_default() += 1;
        if self.examples.len() < EXAMPLES && !text.is_empty() {
            let example = crate::explain::shorten(&crate::explain::visible(text), EXAMPLE);
            if !self.examples.contains(&example) {
                self.examples.push(example);
            }
        }
        if kind != "string" {
            return;
        }
        if let Some(count) = self.values.get_mut(text) {
            *count += 1;
        } else if self.values.len() < MOST_VALUES && is_word(text) {
            self.values.insert(text.to_owned(), 1);
        } else {
            self.has_more_values = true;
        }
    }

    /// Whether the values are words from a small set, some of them met more than once.
    fn is_enumeration(&self) -> bool {
        let members = self.values.len();
        !self.has_more_values && (1..=MOST_MEMBERS).contains(&members) && {
            let strings: u64 = self.values.values().sum();
            strings > members as u64
        }
    }
}

/// Whether a text can be a member of an enumeration: a short one that begins with a letter and has no digits enough to be
/// an identifier.
fn is_word(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    text.len() <= 80
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '#')
        && digits <= 4
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | '#'))
}

impl<'m> Census<'m> {
    /// A census for a mapping.
    pub fn new(mapping: &'m Mapping) -> Self {
        Self {
            mapping,
            normalizer: Normalizer::new(mapping),
            reads: Reads::of(mapping),
            fixtures: Tally::default(),
            corpus: Tally::default(),
            novel: BTreeSet::new(),
        }
    }

    /// Counts a payload of a fixture: what is in it is known.
    pub fn fixture(&mut self, bytes: &[u8]) {
        let mut tally = std::mem::take(&mut self.fixtures);
        self.count(&mut tally, bytes);
        self.fixtures = tally;
    }

    /// Counts a payload of the corpus. If it has something that neither the fixtures nor a payload before it has, the
    /// result is a name for a fixture that is made of it.
    pub fn payload(&mut self, bytes: &[u8]) -> Option<String> {
        let mut tally = std::mem::take(&mut self.corpus);
        let met = self.count(&mut tally, bytes);
        self.corpus = tally;
        let mut first = None;
        for met in met {
            let Some(novelty) = self.novelty(met) else {
                continue;
            };
            if self.novel.len() < MOST_PATHS && self.novel.insert(novelty.clone()) {
                first.get_or_insert(novelty);
            }
        }
        first.map(|novelty| file_name(&novelty))
    }

    /// What is new about something that was met, in words.
    fn novelty(&self, met: Met) -> Option<String> {
        match met {
            Met::Value(path, text) => {
                let Some(known) = self.fixtures.paths.get(&path) else {
                    return Some(format!("path {path}"));
                };
                let text = text?;
                let is_new =
                    known.is_enumeration() && is_word(&text) && !known.values.contains_key(&text);
                is_new.then(|| format!("value {path} {text}"))
            }
            Met::Unmapped(pair) => {
                let is_new = !self.fixtures.unmapped.contains_key(&pair);
                is_new.then(|| format!("event {} {}", pair.0, pair.1))
            }
        }
    }

    fn count(&mut self, tally: &mut Tally, bytes: &[u8]) -> Vec<Met> {
        let payload = Payload::decode(bytes);
        let text = payload.text();
        let event = self.normalizer.normalize(&payload, received());
        tally.payloads += 1;
        tally.events[event.status as usize] += 1;
        let mut walk = Walk {
            reads: &self.reads,
            tally,
            path: Vec::new(),
            regex_members: self.regex_members(&event),
            met: Vec::new(),
        };
        match json_in(text) {
            Some(value) => walk.value(&value),
            None => walk.keys(text, &event),
        }
        let mut met = walk.met;
        if met.is_empty() {
            tally.shapeless += 1;
        }
        if event.status != Status::Mapped {
            let short = |text: &str| crate::explain::shorten(text, 2 * EXAMPLE);
            let id = event.event_id.as_deref().unwrap_or_default();
            let pair = (short(id), short(&event.event_category));
            let has_room = tally.unmapped.len() < MOST_UNMAPPED;
            if has_room || tally.unmapped.contains_key(&pair) {
                *tally.unmapped.entry(pair.clone()).or_default() += 1;
            }
            met.push(Met::Unmapped(pair));
        }
        met
    }

    /// The members of the payload's JSON that regular expressions over the payload read values of.
    fn regex_members(&self, event: &Event<'_>) -> BTreeSet<String> {
        let mut members = BTreeSet::new();
        for property in &event.properties {
            let Origin::Matcher {
                branch,
                span: Some(span),
            } = property.origin
            else {
                continue;
            };
            let pattern = self.mapping.pattern_of(branch);
            if pattern.is_some_and(|id| self.reads.is_regex(id))
                && let Some(member) = member_before(event.payload, span.range().end)
            {
                members.insert(member.to_owned());
            }
        }
        members
    }
}

/// Something in a payload that may be new.
#[derive(Debug)]
enum Met {
    /// A path or key, and its value if that is a text.
    Value(String, Option<String>),
    /// An event without a QID.
    Unmapped((String, String)),
}

/// A walk through one payload.
struct Walk<'c> {
    reads: &'c Reads,
    tally: &'c mut Tally,
    path: Vec<Segment>,
    regex_members: BTreeSet<String>,
    met: Vec<Met>,
}

impl Walk<'_> {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (name, value) in members {
                    self.path.push(Segment::Member(name.clone()));
                    self.value(value);
                    self.path.pop();
                }
            }
            Value::Array(elements) if !elements.is_empty() => {
                for element in elements {
                    let kind = self.reads.kind_of(&self.path, element);
                    self.path.push(Segment::Element(kind));
                    self.value(element);
                    self.path.pop();
                }
            }
            Value::String(text) => {
                self.leaf("string", text);
                let is_json = text.starts_with(['{', '[']);
                if is_json
                    && let Ok(inner @ (Value::Object(_) | Value::Array(_))) =
                        serde_json::from_str(text)
                {
                    self.path.push(Segment::Inner);
                    self.value(&inner);
                    self.path.pop();
                }
            }
            Value::Object(_) => self.leaf("object", ""),
            Value::Array(_) => self.leaf("array", ""),
            Value::Null => self.leaf("null", ""),
            Value::Bool(value) => self.leaf("boolean", if *value { "true" } else { "false" }),
            Value::Number(number) => self.leaf("number", &number.to_string()),
        }
    }

    fn leaf(&mut self, kind: &'static str, text: &str) {
        let name = display(&self.path);
        if name.len() > LONGEST_PATH {
            self.tally.beyond += 1;
            return;
        }
        let by_regex = match self.path.last() {
            Some(Segment::Member(member)) => self.regex_members.contains(member),
            _ => false,
        };
        let segments = &self.path;
        see(self.tally, &name, || segments.clone(), kind, text, by_regex);
        let value = (kind == "string").then(|| text.to_owned());
        self.met.push(Met::Value(name, value));
    }

    fn keys(&mut self, text: &str, event: &Event<'_>) {
        for (key, value) in keys::of(text) {
            if key.len() > LONGEST_PATH {
                self.tally.beyond += 1;
                continue;
            }
            let read = |property: &dsm::event::Property<'_>| {
                property.origin.span().is_some_and(|span| {
                    let span = span.range();
                    span.start < value.end && value.start < span.end
                })
            };
            let by_regex = event.properties.iter().any(read);
            let value = &text[value];
            see(self.tally, key, Vec::new, "string", value, by_regex);
            self.met
                .push(Met::Value(key.to_owned(), Some(value.to_owned())));
        }
    }
}

fn see(
    tally: &mut Tally,
    name: &str,
    segments: impl FnOnce() -> Vec<Segment>,
    kind: &'static str,
    text: &str,
    by_regex: bool,
) {
    let is_full = tally.paths.len() >= MOST_PATHS;
    if !tally.paths.contains_key(name) {
        if is_full {
            tally.beyond += 1;
            return;
        }
        let seen = Seen {
            segments: segments(),
            ..Seen::default()
        };
        tally.paths.insert(name.to_owned(), seen);
    }
    let Some(seen) = tally.paths.get_mut(name) else {
        return;
    };
    seen.add(kind, text);
    seen.by_regex |= by_regex;
}

/// The JSON in a payload, a header before it passed over.
fn json_in(text: &str) -> Option<Value> {
    let whole = text.trim_start();
    if whole.starts_with('[')
        && let Ok(value) = serde_json::from_str(whole)
    {
        return Some(value);
    }
    let start = text.find('{')?;
    let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
    match values.next() {
        Some(Ok(value @ Value::Object(_))) => Some(value),
        _ => None,
    }
}

/// The name of the member that a place in JSON belongs to: what stands before the last colon behind a quote.
fn member_before(payload: &str, end: usize) -> Option<&str> {
    let before = payload.get(..end)?;
    let mut at = before.len();
    while let Some(quote) = before[..at].rfind('"') {
        if before[quote + 1..].trim_start().starts_with(':') {
            let name = &before[..quote];
            let start = name.rfind('"')? + 1;
            return Some(&name[start..]);
        }
        at = quote;
    }
    None
}

/// `new-value-severity-critical` of what is new: words of letters and digits.
fn file_name(novelty: &str) -> String {
    let words: Vec<String> = novelty
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    // The end tells more than the beginning, which many have in common.
    let (head, tail) = words
        .split_first()
        .map_or(("", &[][..]), |(head, tail)| (head.as_str(), tail));
    let mut kept = Vec::new();
    let mut length = 0;
    for word in tail.iter().rev() {
        length += word.len() + 1;
        if length > 60 {
            break;
        }
        kept.push(word.as_str());
    }
    kept.extend([head, "new"]);
    kept.reverse();
    kept.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_for_a_fixture_is_made_of_what_is_new() {
        assert_eq!(
            file_name("value /\"severity\" Very High"),
            "new-value-severity-very-high"
        );
        let long = format!("path /\"{}\"/\"tail\"", "part/".repeat(40));
        let name = file_name(&long);
        assert!(name.len() < 80 && name.ends_with("-tail"), "{name}");
    }

    #[test]
    fn the_member_that_a_regular_expression_reads_is_found_before_the_value() {
        let text = r#"{"a" : "x:y", "category": "AdvancedHunting-DeviceInfo"}"#;
        let end = text.find("Info").unwrap();
        assert_eq!(member_before(text, end), Some("category"));
        assert_eq!(member_before(text, text.find(":y").unwrap()), Some("a"));
        assert_eq!(member_before("no json: here", 12), None);
    }

    #[test]
    fn words_are_told_from_identifiers() {
        for word in [
            "high",
            "Very High",
            "#microsoft.graph.security.deviceEvidence",
        ] {
            assert!(is_word(word), "{word}");
        }
        for other in [
            "",
            "da637551227677560813_1",
            "192.0.2.1",
            "a/b",
            &"x".repeat(90),
        ] {
            assert!(!is_word(other), "{other}");
        }
    }
}
