//! What a mapping reads: the paths and keys that its patterns name.

use dsm::Mapping;
use dsm::keypath::{self, Condition, JsonPath, Piece, Step};
use dsm::lsx::{self, Document, PatternType};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A step of a path as it is met in payloads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Segment {
    /// A member.
    Member(String),
    /// An element of an array, by the member that tells what kind of element it is, if it has one.
    Element(Option<(String, String)>),
    /// The JSON inside a string.
    Inner,
}

/// A step of a path of the mapping.
#[derive(Debug, Clone)]
enum Want {
    Member(String),
    Element,
    Filter(Condition),
    Inner,
}

/// What the mapping does with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reading {
    /// Nothing.
    No,
    /// A filter or an autodetection rule looks at it.
    Compared,
    /// It is a part of a value that is read whole, such as an array as text.
    Part,
    /// A regular expression reads it, as far as it was seen to.
    Regex,
    /// A path or key names it.
    Yes,
}

impl Reading {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Compared => "compared",
            Self::Part => "as part",
            Self::Regex => "by regex",
            Self::Yes => "yes",
        }
    }
}

/// What the patterns of a mapping name.
#[derive(Debug, Default)]
pub(super) struct Reads {
    paths: Vec<(Vec<Want>, Reading)>,
    /// Keys of LEEF, CEF and name-value pairs.
    keys: BTreeSet<String>,
    /// By the path of an array without kinds, the member by which filters tell its elements apart.
    kinds: BTreeMap<Vec<Segment>, String>,
    /// Regular expressions over the payload.
    regexes: BTreeSet<String>,
    /// Values that filters compare with.
    pub(super) literals: BTreeSet<String>,
}

/// The member by which Microsoft's interfaces tell elements apart.
const ODATA_TYPE: &str = "@odata.type";

impl Reads {
    pub(super) fn of(mapping: &Mapping) -> Self {
        let mut reads = Self::default();
        let extension = mapping.branches().first().map(|branch| &branch.file);
        if let Some(file) = extension {
            reads.add_extension(&lsx::parse(file).0);
        }
        for rule in &mapping.manifest().rules {
            for path in &rule.keypaths {
                if let Ok(path) = keypath::json_path(&path.value) {
                    let wants = wants(&path);
                    reads.paths.push((wants, Reading::Compared));
                }
            }
        }
        reads.find_kinds();
        reads
    }

    fn add_extension(&mut self, document: &Document) {
        let by_id: HashMap<&str, &lsx::Pattern> = document
            .patterns
            .iter()
            .map(|pattern| (pattern.id.value.as_str(), pattern))
            .collect();
        for pattern in &document.patterns {
            let text = pattern.body.text.trim();
            match pattern.declared_type.as_ref().map(|kind| kind.value) {
                Some(PatternType::JsonKeypath) => {
                    for path in json_paths(text) {
                        for base in bases(pattern, &by_id) {
                            self.add(base, &path);
                        }
                    }
                }
                Some(
                    PatternType::LeefKey | PatternType::CefKey | PatternType::NameValuePairKey,
                ) => {
                    let keys = text.split(['{', '}']).map(str::trim);
                    self.keys.extend(keys.map(str::to_owned));
                }
                None | Some(PatternType::JavaPattern) if pattern.within.is_none() => {
                    self.regexes.insert(pattern.id.value.clone());
                }
                _ => {}
            }
        }
    }

    /// Whether a pattern is a regular expression over the payload.
    pub(super) fn is_regex(&self, pattern: &str) -> bool {
        self.regexes.contains(pattern)
    }

    fn add(&mut self, mut prefix: Vec<Want>, path: &JsonPath) {
        for step in &path.steps {
            if let Step::Filter(condition) = step {
                let mut compared = prefix.clone();
                compared.push(Want::Filter(condition.clone()));
                let names = condition.path.iter().cloned();
                compared.extend(names.map(Want::Member));
                // A list is compared element by element.
                let mut list = compared.clone();
                list.push(Want::Element);
                self.paths.push((compared, Reading::Compared));
                self.paths.push((list, Reading::Compared));
                self.literals.insert(condition.value.clone());
            }
            prefix.push(want(step));
        }
        self.paths.push((prefix, Reading::Yes));
    }

    /// Which member the filters of an array compare most.
    fn find_kinds(&mut self) {
        let mut counts: BTreeMap<Vec<Segment>, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
        for (wants, _) in &self.paths {
            let mut at = Vec::new();
            for want in wants {
                match want {
                    Want::Filter(condition) => {
                        if let ([member], true) = (condition.path.as_slice(), condition.equal) {
                            let of = counts.entry(at.clone()).or_default();
                            of.entry(member).or_default().insert(&condition.value);
                        }
                        // Filters that follow are on the same element.
                        if !matches!(at.last(), Some(Segment::Element(_))) {
                            at.push(Segment::Element(None));
                        }
                    }
                    Want::Element => at.push(Segment::Element(None)),
                    Want::Member(name) => at.push(Segment::Member(name.clone())),
                    Want::Inner => at.push(Segment::Inner),
                }
            }
        }
        let most = counts.into_iter().filter_map(|(at, members)| {
            let all = members.into_iter();
            let (member, _) = all.max_by_key(|(_, values)| values.len())?;
            Some((at, member.to_owned()))
        });
        self.kinds = most.collect();
    }

    /// The kind of an element of an array at a path, by the member that tells.
    pub(super) fn kind_of(
        &self,
        array: &[Segment],
        element: &serde_json::Value,
    ) -> Option<(String, String)> {
        let plain: Vec<Segment> = array.iter().map(without_kind).collect();
        let by_filter = self.kinds.get(&plain).map(String::as_str);
        [Some(ODATA_TYPE), by_filter]
            .into_iter()
            .flatten()
            .find_map(|member| {
                let value = element.get(member)?.as_str()?;
                Some((member.to_owned(), value.to_owned()))
            })
    }

    /// What is done with the value at a path.
    pub(super) fn path(&self, path: &[Segment]) -> Reading {
        let all = self.paths.iter();
        all.filter_map(|(wants, how)| match walk(wants, path, None)? {
            0 => Some(*how),
            _ if *how == Reading::Yes => Some(Reading::Part),
            _ => None,
        })
        .max()
        .unwrap_or(Reading::No)
    }

    /// What is done with the value of a key.
    pub(super) fn key(&self, key: &str) -> Reading {
        if self.keys.contains(key) {
            Reading::Yes
        } else {
            Reading::No
        }
    }
}

fn without_kind(segment: &Segment) -> Segment {
    match segment {
        Segment::Element(_) => Segment::Element(None),
        other => other.clone(),
    }
}

fn json_paths(text: &str) -> Vec<JsonPath> {
    let pieces = keypath::json_format(text).unwrap_or_default().into_iter();
    pieces
        .filter_map(|piece| match piece {
            Piece::Path(path) => Some(path),
            Piece::Literal(_) => None,
        })
        .collect()
}

/// Where the text that a pattern runs over comes from: the payload, or JSON inside a value of the payload.
fn bases(pattern: &lsx::Pattern, by_id: &HashMap<&str, &lsx::Pattern>) -> Vec<Vec<Want>> {
    let mut prefix: Vec<Vec<Want>> = vec![Vec::new()];
    let mut chain = Vec::new();
    let mut next = pattern;
    while let Some(within) = &next.within {
        let Some(base) = by_id.get(within.value.as_str()) else {
            return Vec::new();
        };
        // A circle was refused when the mapping was loaded; here it must only end.
        if chain.len() > by_id.len() {
            return Vec::new();
        }
        chain.push(*base);
        next = base;
    }
    for base in chain.into_iter().rev() {
        if base.declared_type.as_ref().map(|kind| kind.value) != Some(PatternType::JsonKeypath) {
            return Vec::new();
        }
        prefix = prefix
            .into_iter()
            .flat_map(|start| {
                let paths = json_paths(base.body.text.trim()).into_iter();
                paths.map(move |path| {
                    let mut whole = start.clone();
                    whole.extend(wants(&path));
                    whole.push(Want::Inner);
                    whole
                })
            })
            .collect();
    }
    prefix
}

fn wants(path: &JsonPath) -> Vec<Want> {
    path.steps.iter().map(want).collect()
}

fn want(step: &Step) -> Want {
    match step {
        Step::Member(name) => Want::Member(name.clone()),
        Step::Index(_) | Step::Each => Want::Element,
        Step::Filter(condition) => Want::Filter(condition.clone()),
    }
}

/// How many segments are left when all wants are met; nothing if they are not.
fn walk(wants: &[Want], path: &[Segment], element: Option<&(String, String)>) -> Option<usize> {
    let Some((want, wants)) = wants.split_first() else {
        return Some(path.len());
    };
    let (segment, rest) = match path.split_first() {
        Some((segment, rest)) => (Some(segment), rest),
        None => (None, path),
    };
    match (want, segment) {
        (Want::Member(name), Some(Segment::Member(met))) if name == met => walk(wants, rest, None),
        (Want::Element, Some(Segment::Element(kind))) => walk(wants, rest, kind.as_ref()),
        (Want::Inner, Some(Segment::Inner)) => walk(wants, rest, None),
        (Want::Filter(condition), _) => {
            // Of an array it takes elements; of an object, or a second time, it keeps what is there.
            let of_array = match segment {
                Some(Segment::Element(kind)) if may_hold(condition, kind.as_ref()) => {
                    walk(wants, rest, kind.as_ref())
                }
                _ => None,
            };
            of_array.or_else(|| {
                let keeps = may_hold(condition, element);
                keeps.then(|| walk(wants, path, element)).flatten()
            })
        }
        _ => None,
    }
}

/// Whether an element of a kind can meet a condition, as far as the kind tells.
fn may_hold(condition: &Condition, kind: Option<&(String, String)>) -> bool {
    match (kind, condition.path.as_slice()) {
        (Some((member, value)), [compared]) if member == compared => {
            (*value == condition.value) == condition.equal
        }
        _ => true,
    }
}

/// A path in the notation of key paths.
pub(super) fn display(path: &[Segment]) -> String {
    let mut out = String::new();
    for segment in path {
        match segment {
            Segment::Member(name) => {
                out.push_str("/\"");
                out.push_str(name);
                out.push('"');
            }
            Segment::Element(None) => out.push_str("[]"),
            Segment::Element(Some((member, value))) => {
                out.push_str("[?\"");
                out.push_str(member);
                out.push_str("\"=\"");
                out.push_str(value);
                out.push_str("\"]");
            }
            Segment::Inner => out.push_str(" > "),
        }
    }
    if out.is_empty() {
        out.push('/');
    }
    out
}
