//! What members the JSON of payloads has, for those who write key paths.

use super::said;
use crate::replay::Corpus;
use dsm::Payload;
use dsm::keypath::{Condition, Step};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How many members are told apart. A source that uses names as data would have more; the rest is passed over.
const MOST_NODES: usize = 20_000;
/// How many kinds of elements of a list are told apart, and how many values of a member.
const MOST_KINDS: usize = 64;
/// How long a name or a value may be that is offered, in bytes.
const LONGEST: usize = 200;
/// How many examples are shown.
const EXAMPLES: usize = 3;
/// JSON within a text within JSON goes no deeper.
const DEEPEST: usize = 4;

/// The members by which sources tell the elements of a list apart.
const KIND: [&str; 5] = ["@odata.type", "$type", "entityType", "type", "kind"];

/// The members of payloads.
#[derive(Debug, Default)]
pub(super) struct Members {
    root: Node,
    count: usize,
}

/// A member that may come next in a key path, or a value that a filter may compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) text: String,
    /// How often it is met.
    pub(super) count: u64,
    /// What it is: `string`, `list`, with the examples.
    pub(super) about: String,
}

#[derive(Debug, Default)]
struct Node {
    count: u64,
    types: BTreeSet<&'static str>,
    /// The short texts that it has, as far as there is room.
    values: BTreeMap<String, u64>,
    members: BTreeMap<String, Node>,
    /// Elements of a list, by their kind.
    elements: BTreeMap<Option<(&'static str, String)>, Node>,
    /// The JSON in a text.
    inner: Option<Box<Node>>,
}

impl Members {
    pub(super) fn of(corpus: &Corpus) -> Self {
        let mut members = Self::default();
        for sample in &corpus.samples {
            let payload = Payload::decode(&sample.bytes);
            if let Some(value) = json_in(payload.text()) {
                members.root.add(&value, &mut members.count, 0);
            }
        }
        members
    }

    /// The members that may follow a path; within a filter those of what it looks at. A pattern within others starts at
    /// the JSON in the value of the last of `bases`.
    pub(super) fn after(&self, bases: &[Vec<Step>], steps: &[Step], in_filter: bool) -> Vec<Next> {
        let mut next: BTreeMap<&str, (u64, Vec<&Node>)> = BTreeMap::new();
        for node in self.at(bases, steps) {
            let elements = node.elements.values().filter(|_| in_filter);
            for node in elements.chain([node]) {
                for (name, member) in &node.members {
                    let (count, nodes) = next.entry(name).or_default();
                    *count += member.count;
                    nodes.push(member);
                }
            }
        }
        let next = next.into_iter().map(|(name, (count, nodes))| Next {
            text: name.to_owned(),
            count,
            about: about(&nodes),
        });
        next.collect()
    }

    /// The values that a filter may compare a member with.
    pub(super) fn values(
        &self,
        bases: &[Vec<Step>],
        steps: &[Step],
        names: &[String],
    ) -> Vec<Next> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for node in self.at(bases, steps) {
            for node in node.elements.values().chain([node]) {
                let mut at = Some(node);
                for name in names {
                    at = at.and_then(|node| node.members.get(name));
                }
                // A list is compared element by element.
                let lists = at.iter().flat_map(|node| node.elements.values());
                for node in at.into_iter().chain(lists) {
                    for (value, count) in &node.values {
                        *counts.entry(value).or_default() += count;
                    }
                }
            }
        }
        let next = counts.into_iter().map(|(value, count)| Next {
            text: value.to_owned(),
            count,
            about: "a value in the fixtures".to_owned(),
        });
        next.collect()
    }

    fn at(&self, bases: &[Vec<Step>], steps: &[Step]) -> Vec<&Node> {
        let mut nodes = vec![&self.root];
        for base in bases {
            nodes = follow(nodes, base);
            nodes = nodes
                .into_iter()
                .filter_map(|n| n.inner.as_deref())
                .collect();
        }
        follow(nodes, steps)
    }
}

fn follow<'m>(mut nodes: Vec<&'m Node>, steps: &[Step]) -> Vec<&'m Node> {
    for step in steps {
        nodes = nodes
            .into_iter()
            .flat_map(|node| match step {
                Step::Member(name) => node.members.get(name).into_iter().collect(),
                Step::Index(_) | Step::Each => node.elements.values().collect::<Vec<_>>(),
                Step::Filter(condition) if !node.elements.is_empty() => {
                    let elements = node.elements.iter();
                    elements
                        .filter(|(kind, _)| may_hold(condition, kind.as_ref()))
                        .map(|(_, node)| node)
                        .collect()
                }
                // Of an object, or a second time, it keeps what is there.
                Step::Filter(_) => vec![node],
            })
            .collect();
    }
    nodes
}

/// Whether an element of a kind can meet a condition, as far as the kind tells.
fn may_hold(condition: &Condition, kind: Option<&(&'static str, String)>) -> bool {
    match (kind, condition.path.as_slice()) {
        (Some((member, value)), [compared]) if member == compared => {
            (*value == condition.value) == condition.equal
        }
        _ => true,
    }
}

impl Node {
    fn add(&mut self, value: &Value, count: &mut usize, depth: usize) {
        self.count += 1;
        self.types.insert(match value {
            Value::Object(_) => "object",
            Value::Array(_) => "list",
            Value::String(_) => "string",
            Value::Number(_) => "number",
            Value::Bool(_) => "boolean",
            Value::Null => "null",
        });
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    if !self.members.contains_key(name) {
                        if *count >= MOST_NODES || name.len() > LONGEST {
                            continue;
                        }
                        *count += 1;
                    }
                    let member = self.members.entry(name.clone()).or_default();
                    member.add(value, count, depth);
                }
            }
            Value::Array(elements) => {
                for element in elements {
                    let kind = kind_of(element).filter(|kind| {
                        self.elements.len() < MOST_KINDS
                            || self.elements.contains_key(&Some(kind.clone()))
                    });
                    let node = self.elements.entry(kind).or_default();
                    node.add(element, count, depth);
                }
            }
            Value::String(text) => {
                self.value(text);
                if text.starts_with(['{', '['])
                    && depth < DEEPEST
                    && let Ok(inner) = serde_json::from_str(text)
                {
                    self.inner
                        .get_or_insert_default()
                        .add(&inner, count, depth + 1);
                }
            }
            Value::Number(number) => self.value(&number.to_string()),
            Value::Bool(value) => self.value(if *value { "true" } else { "false" }),
            Value::Null => {}
        }
    }

    fn value(&mut self, text: &str) {
        if let Some(count) = self.values.get_mut(text) {
            *count += 1;
        } else if self.values.len() < MOST_KINDS && (1..=LONGEST).contains(&text.len()) {
            self.values.insert(text.to_owned(), 1);
        }
    }
}

fn kind_of(element: &Value) -> Option<(&'static str, String)> {
    KIND.iter().find_map(|member| {
        let value = element.get(member)?.as_str()?;
        (value.len() <= LONGEST).then(|| (*member, value.to_owned()))
    })
}

/// The types of a member and its most frequent values.
fn about(nodes: &[&Node]) -> String {
    let types: BTreeSet<&str> = nodes.iter().flat_map(|node| &node.types).copied().collect();
    let mut text = types.into_iter().collect::<Vec<_>>().join(" or ");
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (value, count) in nodes.iter().flat_map(|node| &node.values) {
        *counts.entry(value).or_default() += count;
    }
    let mut values: Vec<(&str, u64)> = counts.into_iter().collect();
    values.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let examples: Vec<String> = values.iter().take(EXAMPLES).map(|(v, _)| said(v)).collect();
    if !examples.is_empty() {
        text.push_str(", such as ");
        text.push_str(&examples.join(", "));
    }
    text
}

/// The JSON in a payload, a header before it passed over.
fn json_in(text: &str) -> Option<Value> {
    let start = text.find('{')?;
    let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Value>();
    values.next()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsm::keypath::json_path;

    fn members() -> Members {
        let mut corpus = Corpus::default();
        let payloads = br#"<13>host app: {"a":{"b":1},"list":[{"type":"user","name":"ann"},{"type":"host","dns":"x.example"}]}
{"a":{"b":2,"c":null},"list":[{"type":"user","name":"bo"}],"text":"{\"d\":[{\"e\":true}]}"}
"#;
        corpus.add("one", payloads).unwrap();
        Members::of(&corpus)
    }

    fn names(next: &[Next]) -> Vec<(&str, u64)> {
        next.iter().map(|n| (n.text.as_str(), n.count)).collect()
    }

    #[test]
    fn members_that_follow_a_path_come_with_type_examples_and_count() {
        let members = members();
        let steps = |path: &str| json_path(path).unwrap().steps;
        let root = members.after(&[], &[], false);
        assert_eq!(names(&root), [("a", 2), ("list", 2), ("text", 1)]);
        let of_a = members.after(&[], &steps("/\"a\""), false);
        assert_eq!(names(&of_a), [("b", 2), ("c", 1)]);
        assert_eq!(of_a[0].about, "number, such as `1`, `2`");
        assert_eq!(members.after(&[], &steps("/\"nothing\""), false), []);
    }

    #[test]
    fn a_filter_leaves_the_members_of_the_elements_that_it_takes() {
        let members = members();
        let steps = |path: &str| json_path(path).unwrap().steps;
        let users = steps("/\"list\"[?\"type\"=\"user\"]");
        assert_eq!(
            names(&members.after(&[], &users, false)),
            [("name", 2), ("type", 2)]
        );
        let list = steps("/\"list\"");
        let in_filter = members.after(&[], &list, true);
        assert_eq!(names(&in_filter), [("dns", 1), ("name", 2), ("type", 3)]);
        let values = members.values(&[], &list, &["type".to_owned()]);
        assert_eq!(names(&values), [("host", 1), ("user", 2)]);
    }

    #[test]
    fn a_pattern_within_another_starts_at_the_json_in_its_value() {
        let members = members();
        let steps = |path: &str| json_path(path).unwrap().steps;
        let base = [steps("/\"text\"")];
        assert_eq!(names(&members.after(&base, &[], false)), [("d", 1)]);
        let deeper = json_path("/\"d\"[0]/\"e\"").unwrap().steps;
        assert_eq!(
            members.after(&base, &deeper[..2], false)[0].about,
            "boolean, such as `true`"
        );
    }

    #[test]
    fn what_is_kept_of_payloads_that_use_names_as_data_is_bounded() {
        let mut corpus = Corpus::default();
        let names: Vec<String> = (0..2 * MOST_NODES).map(|i| format!("\"m{i}\":1")).collect();
        let kinds: Vec<String> = (0..200).map(|i| format!("{{\"type\":\"k{i}\"}}")).collect();
        let payload = format!("{{\"list\":[{}],{}}}", kinds.join(","), names.join(","));
        corpus.add("one", payload.as_bytes()).unwrap();
        let members = Members::of(&corpus);
        assert!(members.count <= MOST_NODES);
        assert!(members.root.members["list"].elements.len() <= MOST_KINDS + 1);
    }
}
