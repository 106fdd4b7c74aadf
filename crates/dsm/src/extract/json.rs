//! All JSON key paths of a mapping in one pass over the text.
//!
//! The paths are merged into a trie ([`Plan`]); the scanner walks the members that the trie knows and skips the rest,
//! checking the grammar on the way. What it finds are byte ranges; a string is unescaped only when somebody uses it.
//!
//! Two deviations from RFC 8259, both towards accepting what devices send: control characters inside strings are
//! taken as they are, and half a surrogate pair becomes U+FFFD.

use super::Span;
use crate::keypath::{Condition, JsonPath, Step};
use crate::lsx::Hits as HitsMode;
use crate::options::{BrokenJson, DuplicateJsonKey};
use memchr::{memchr, memchr2};
use std::borrow::Cow;
use std::collections::HashMap;

/// Deepest nesting that is read. Microsoft's alerts need 8; beyond this somebody is attacking the parser.
pub const MAX_DEPTH: usize = 512;

/// How many places that look like the start of an object are tried in one text.
const MAX_CANDIDATES: usize = 64;

type NodeIx = usize;
/// Where the value of one path is found after [`Plan::scan`].
pub type SlotIx = usize;

/// The merged paths.
#[derive(Debug, Default)]
pub struct Plan {
    nodes: Vec<Node>,
    /// Whether the slot collects all hits or keeps the first.
    slots: Vec<HitsMode>,
    /// Whether the slot belongs to one element of an array and is emptied before the next.
    local: Vec<bool>,
    known: HashMap<(JsonPath, HitsMode), SlotIx>,
    /// A path begins with a position or a fan-out, so the root may be an array.
    array_root: bool,
}

#[derive(Debug, Default)]
struct Node {
    members: Members,
    indexes: Vec<(usize, NodeIx)>,
    captures: Vec<SlotIx>,
    select: Option<Box<Select>>,
}

impl Node {
    fn is_leaf(&self) -> bool {
        self.members.names.is_empty() && self.indexes.is_empty() && self.select.is_none()
    }
}

/// What is done with each element of an array (or with an object, as if it were the only element).
#[derive(Debug, Default)]
struct Select {
    element: NodeIx,
    /// For objects: the members of the node and of the element in one, so that one walk serves both.
    merged: Option<NodeIx>,
    /// Values that conditions compare, by their path from the element.
    tested: HashMap<Vec<String>, SlotIx>,
    /// Values that are wanted, by their path from the element.
    wanted: HashMap<(Vec<Step>, HitsMode), SlotIx>,
    commits: Vec<Commit>,
    dispatch: Dispatch,
}

/// Which commits can apply to an element: most of them ask one member (such as `@odata.type`) for one value.
#[derive(Debug, Default)]
struct Dispatch {
    /// The slot of that member, and the commits for each of its values.
    by_value: Option<(SlotIx, HashMap<String, Vec<usize>>)>,
    /// The commits that have to be looked at in any case.
    always: Vec<usize>,
}

#[derive(Debug)]
struct Commit {
    conditions: Vec<Test>,
    from: SlotIx,
    to: SlotIx,
}

#[derive(Debug)]
struct Test {
    slot: SlotIx,
    equal: bool,
    value: String,
}

/// Which members of an object have come by.
#[derive(Debug, Default)]
struct Seen([u64; 4]);

impl Seen {
    /// Notes a member; whether it had come by before. Plans with more members on one object do not notice.
    fn again(&mut self, member: usize) -> bool {
        let Some(word) = self.0.get_mut(member / 64) else {
            return false;
        };
        let bit = 1 << (member % 64);
        let again = *word & bit != 0;
        *word |= bit;
        again
    }
}

/// Member names of one object, found by length and outer bytes first.
#[derive(Debug, Default)]
struct Members {
    names: Vec<(Box<str>, NodeIx)>,
    /// Open-addressed table of indexes into `names`, a power of two in size; 0 is empty.
    table: Vec<u16>,
}

impl Members {
    fn hash(name: &[u8]) -> usize {
        let outer = match name {
            [] => 0,
            [first, .., last] => usize::from(*first) << 5 ^ usize::from(*last),
            [only] => usize::from(*only),
        };
        let middle = name.get(name.len() / 2).copied().map_or(0, usize::from);
        (outer ^ middle << 2).wrapping_mul(0x9E37_79B1) ^ name.len().wrapping_mul(0x85EB_CA6B)
    }

    /// Index of a name.
    fn get(&self, name: &[u8]) -> Option<usize> {
        let mask = self.table.len().checked_sub(1)?;
        let mut at = Self::hash(name) & mask;
        loop {
            match self.table[at] {
                0 => return None,
                index => {
                    let index = usize::from(index) - 1;
                    if self.names[index].0.as_bytes() == name {
                        return Some(index);
                    }
                }
            }
            at = (at + 1) & mask;
        }
    }

    fn insert(&mut self, name: &str, node: NodeIx) {
        self.names.push((name.into(), node));
        let size = (self.names.len() * 4).next_power_of_two();
        self.table = vec![0; size];
        for (index, (name, _)) in self.names.iter().enumerate() {
            let mut at = Self::hash(name.as_bytes()) & (size - 1);
            while self.table[at] != 0 {
                at = (at + 1) & (size - 1);
            }
            // The loader refuses extensions with more than 65,534 paths long before this.
            self.table[at] = u16::try_from(index + 1).unwrap_or(u16::MAX);
        }
    }
}

impl Dispatch {
    fn of(commits: &[Commit]) -> Self {
        let mut counts: HashMap<SlotIx, usize> = HashMap::new();
        for test in commits.iter().filter_map(Commit::key) {
            *counts.entry(test.slot).or_default() += 1;
        }
        let slot = counts
            .into_iter()
            .max_by_key(|(slot, count)| (*count, *slot))
            .map(|(slot, _)| slot);
        let mut by_value: HashMap<String, Vec<usize>> = HashMap::new();
        let mut always = Vec::new();
        for (index, commit) in commits.iter().enumerate() {
            match commit.key() {
                Some(test) if Some(test.slot) == slot => {
                    by_value.entry(test.value.clone()).or_default().push(index);
                }
                _ => always.push(index),
            }
        }
        Self {
            by_value: slot.map(|slot| (slot, by_value)),
            always,
        }
    }
}

impl Commit {
    /// The condition by which the commit can be found.
    fn key(&self) -> Option<&Test> {
        self.conditions
            .first()
            .filter(|test| test.equal && !test.value.is_empty())
    }
}

impl Plan {
    /// Adds a path and tells where its value will be. The same path twice shares one slot.
    pub fn add(&mut self, path: &JsonPath, mode: HitsMode) -> SlotIx {
        if let Some(slot) = self.known.get(&(path.clone(), mode)) {
            return *slot;
        }
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        self.array_root |= !matches!(path.steps.first(), Some(Step::Member(_)));
        let slot = self.new_slot(mode, false);
        self.insert(0, &path.steps, slot, mode);
        self.known.insert((path.clone(), mode), slot);
        slot
    }

    /// Whether no path was added.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn new_slot(&mut self, mode: HitsMode, local: bool) -> SlotIx {
        self.slots.push(mode);
        self.local.push(local);
        self.slots.len() - 1
    }

    fn new_node(&mut self) -> NodeIx {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    fn member(&mut self, node: NodeIx, name: &str) -> NodeIx {
        let members = &self.nodes[node].members;
        if let Some(index) = members.get(name.as_bytes()) {
            return members.names[index].1;
        }
        let child = self.new_node();
        self.nodes[node].members.insert(name, child);
        child
    }

    fn insert(&mut self, node: NodeIx, steps: &[Step], slot: SlotIx, mode: HitsMode) {
        match steps {
            [] => self.nodes[node].captures.push(slot),
            [Step::Member(name), rest @ ..] => {
                let child = self.member(node, name);
                self.insert(child, rest, slot, mode);
            }
            [Step::Index(index), rest @ ..] => {
                let found = self.nodes[node].indexes.iter().find(|(i, _)| i == index);
                let child = match found {
                    Some((_, child)) => *child,
                    None => {
                        let child = self.new_node();
                        self.nodes[node].indexes.push((*index, child));
                        child
                    }
                };
                self.insert(child, rest, slot, mode);
            }
            [Step::Each | Step::Filter(_), ..] => self.insert_select(node, steps, slot, mode),
        }
    }

    fn insert_select(&mut self, node: NodeIx, steps: &[Step], slot: SlotIx, mode: HitsMode) {
        let conditions: Vec<&Condition> = steps
            .iter()
            .map_while(|step| match step {
                Step::Filter(condition) => Some(Some(condition)),
                Step::Each => Some(None),
                _ => None,
            })
            .flatten()
            .collect();
        let rest = steps
            .iter()
            .position(|step| !matches!(step, Step::Each | Step::Filter(_)))
            .map_or(&steps[steps.len()..], |at| &steps[at..]);
        let mut select = self.nodes[node].select.take().unwrap_or_else(|| {
            Box::new(Select {
                element: self.new_node(),
                ..Select::default()
            })
        });
        let key = (rest.to_vec(), mode);
        let from = match select.wanted.get(&key) {
            Some(known) => *known,
            None => {
                let slot = self.new_slot(mode, true);
                self.insert(select.element, rest, slot, mode);
                select.wanted.insert(key, slot);
                slot
            }
        };
        let mut tests = Vec::new();
        for condition in conditions {
            let slot = match select.tested.get(&condition.path) {
                Some(known) => *known,
                None => {
                    let slot = self.new_slot(HitsMode::First, true);
                    let mut at = select.element;
                    for name in &condition.path {
                        at = self.member(at, name);
                    }
                    self.nodes[at].captures.push(slot);
                    select.tested.insert(condition.path.clone(), slot);
                    slot
                }
            };
            tests.push(Test {
                slot,
                equal: condition.equal,
                value: condition.value.clone(),
            });
        }
        select.commits.push(Commit {
            conditions: tests,
            from,
            to: slot,
        });
        self.nodes[node].select = Some(select);
    }

    /// To be called once after the last path was added: prepares the walk over objects that filters apply to.
    pub fn finish(&mut self) {
        for node in 0..self.nodes.len() {
            let Some(select) = &mut self.nodes[node].select else {
                continue;
            };
            select.dispatch = Dispatch::of(&select.commits);
            let element = select.element;
            if self.nodes[node].members.names.is_empty() {
                continue;
            }
            let merged = self.merge(node, element, true);
            if let Some(select) = &mut self.nodes[node].select {
                select.merged = merged;
            }
        }
    }

    /// A node that does what both do; none where both filter, which two walks must serve.
    fn merge(&mut self, a: NodeIx, b: NodeIx, top: bool) -> Option<NodeIx> {
        if self.nodes[b].select.is_some() || (!top && self.nodes[a].select.is_some()) {
            return None;
        }
        let node = self.new_node();
        let captures = [&self.nodes[a].captures[..], &self.nodes[b].captures[..]].concat();
        // The captures of the object itself are taken by the node, not by the element walk.
        self.nodes[node].captures = if top {
            self.nodes[b].captures.clone()
        } else {
            captures
        };
        let own: Vec<(Box<str>, NodeIx)> = self.nodes[a].members.names.clone();
        let other: Vec<(Box<str>, NodeIx)> = self.nodes[b].members.names.clone();
        for (name, child) in &own {
            let both = other.iter().find(|(n, _)| n == name).map(|(_, node)| *node);
            let child = match both {
                Some(second) => self.merge(*child, second, false)?,
                None => *child,
            };
            self.nodes[node].members.insert(name, child);
        }
        for (name, child) in &other {
            if !own.iter().any(|(n, _)| n == name) {
                self.nodes[node].members.insert(name, *child);
            }
        }
        let indexes = [&self.nodes[a].indexes[..], &self.nodes[b].indexes[..]].concat();
        let mut positions: Vec<usize> = indexes.iter().map(|(index, _)| *index).collect();
        positions.sort_unstable();
        if positions.windows(2).any(|pair| pair[0] == pair[1]) {
            return None;
        }
        self.nodes[node].indexes = indexes;
        Some(node)
    }

    /// Looks for a JSON document in the text and walks it once. `found` is overwritten.
    ///
    /// # Errors
    /// There is no JSON in the text, or it is broken; nothing is found then.
    pub fn scan(
        &self,
        text: &str,
        settings: &Settings,
        found: &mut Found,
    ) -> Result<Span, JsonError> {
        found.clear(self.slots.len());
        let bytes = text.as_bytes();
        let mut at = 0;
        let mut first_error = None;
        for _ in 0..MAX_CANDIDATES {
            let Some(start) = self.candidate(bytes, at) else {
                break;
            };
            let mut scanner = Scanner {
                plan: self,
                settings,
                bytes,
                at: start,
                members: 0,
            };
            match scanner.value(0, found) {
                Ok(()) => return Ok(Span::new(start, scanner.at)),
                Err(error) => {
                    found.clear(self.slots.len());
                    let members = scanner.members;
                    first_error.get_or_insert(error);
                    if members > 0 && settings.broken == BrokenJson::NoData {
                        break;
                    }
                    at = start + 1;
                }
            }
        }
        Err(first_error.unwrap_or(JsonError {
            at: 0,
            kind: JsonErrorKind::Absent,
        }))
    }

    /// Forgets what was found in a value, because a member of the same name replaces it.
    fn empty(&self, node: NodeIx, found: &mut Found) {
        let node = &self.nodes[node];
        for &slot in &node.captures {
            found.first[slot] = Hit::NONE;
        }
        let children = node.members.names.iter().map(|(_, child)| *child);
        for child in children.chain(node.indexes.iter().map(|(_, child)| *child)) {
            self.empty(child, found);
        }
        if let Some(select) = &node.select {
            for commit in &select.commits {
                found.first[commit.to] = Hit::NONE;
                found.more.retain(|(slot, _)| *slot != commit.to);
            }
        }
    }

    /// The next place where an object (or array, if paths want one) may begin.
    fn candidate(&self, bytes: &[u8], mut at: usize) -> Option<usize> {
        loop {
            let rest = bytes.get(at..)?;
            let start = at
                + if self.array_root {
                    memchr2(b'{', b'[', rest)?
                } else {
                    memchr(b'{', rest)?
                };
            let next = bytes[start + 1..]
                .iter()
                .find(|byte| !byte.is_ascii_whitespace());
            let plausible = match bytes[start] {
                b'{' => matches!(next, Some(b'"' | b'}')),
                _ => matches!(
                    next,
                    Some(b'"' | b'{' | b'[' | b']' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')
                ),
            };
            if plausible {
                return Some(start);
            }
            at = start + 1;
        }
    }
}

/// The options that matter here.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// Which of two members of the same name wins.
    pub duplicates: DuplicateJsonKey,
    /// What a broken document gives.
    pub broken: BrokenJson,
}

/// A value that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// Where it stands; quotes belong to a string.
    pub span: Span,
    /// What it is, as far as reading it depends on it.
    pub form: Form,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A string whose text is what stands between the quotes.
    Plain,
    /// A string with escapes.
    Escaped,
    /// `null`.
    Null,
    /// A number, a boolean, an object or an array.
    Other,
}

impl Hit {
    const NONE: Self = Self {
        span: Span::NONE,
        form: Form::Other,
    };

    fn is_some(self) -> bool {
        self.span.is_some()
    }

    /// Neither null nor the empty string.
    fn is_data(self) -> bool {
        match self.form {
            Form::Null => false,
            Form::Plain => self.span.end - self.span.start > 2,
            Form::Escaped | Form::Other => true,
        }
    }
}

/// The ranges found by a scan, reusable between texts.
#[derive(Debug, Default)]
pub struct Found {
    first: Vec<Hit>,
    more: Vec<(SlotIx, Hit)>,
    /// Slots that are filled, so that emptying them costs no more than filling them did.
    filled: Vec<SlotIx>,
    /// Hits of one element on their way out of it.
    passing: Vec<(SlotIx, Hit)>,
}

impl Found {
    fn clear(&mut self, slots: usize) {
        if self.first.len() == slots {
            for slot in self.filled.drain(..) {
                self.first[slot] = Hit::NONE;
            }
        } else {
            self.filled.clear();
            self.first.clear();
            self.first.resize(slots, Hit::NONE);
        }
        self.more.clear();
        self.passing.clear();
    }

    /// The first (for most paths the only) value, as it stands in the text.
    pub fn get(&self, slot: SlotIx) -> Option<Hit> {
        self.first.get(slot).copied().filter(|hit| hit.is_some())
    }

    /// All values of a slot in document order.
    pub fn all(&self, slot: SlotIx) -> impl Iterator<Item = Hit> + '_ {
        let more = self
            .more
            .iter()
            .filter(move |(s, _)| *s == slot)
            .map(|(_, hit)| *hit);
        self.get(slot).into_iter().chain(more)
    }

    fn set(&mut self, slot: SlotIx, hit: Hit) {
        if !self.first[slot].is_some() {
            self.filled.push(slot);
        }
        self.first[slot] = hit;
    }

    fn push(&mut self, slot: SlotIx, hit: Hit) {
        if self.first[slot].is_some() {
            self.more.push((slot, hit));
        } else {
            self.set(slot, hit);
        }
    }
}

/// Why no value could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonError {
    /// Byte offset in the text.
    pub at: usize,
    /// What is wrong there.
    pub kind: JsonErrorKind,
}

/// What is wrong with the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// There is none.
    Absent,
    /// It ends in the middle.
    Truncated,
    /// It breaks the grammar.
    Syntax,
    /// It nests deeper than [`MAX_DEPTH`].
    TooDeep,
}

impl std::fmt::Display for JsonError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = self.at;
        match self.kind {
            JsonErrorKind::Absent => f.write_str("no JSON object in the text"),
            JsonErrorKind::Truncated => write!(f, "the JSON object is truncated at byte {at}"),
            JsonErrorKind::Syntax => write!(f, "the JSON object is not valid at byte {at}"),
            JsonErrorKind::TooDeep => {
                write!(
                    f,
                    "the JSON object nests deeper than {MAX_DEPTH} levels at byte {at}"
                )
            }
        }
    }
}

type Outcome = Result<(), JsonError>;

struct Scanner<'t> {
    plan: &'t Plan,
    settings: &'t Settings,
    bytes: &'t [u8],
    at: usize,
    /// Members read so far: a text with one was meant to be an object.
    members: usize,
}

impl<'t> Scanner<'t> {
    fn error<T>(&self, kind: JsonErrorKind) -> Result<T, JsonError> {
        Err(JsonError { at: self.at, kind })
    }

    /// Wrong byte, or none left.
    fn unexpected<T>(&self) -> Result<T, JsonError> {
        if self.at >= self.bytes.len() {
            self.error(JsonErrorKind::Truncated)
        } else {
            self.error(JsonErrorKind::Syntax)
        }
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// A value that the plan has an interest in. The recursion is as deep as the longest path.
    fn value(&mut self, node: NodeIx, found: &mut Found) -> Outcome {
        let plan = self.plan;
        let this = &plan.nodes[node];
        let start = self.at;
        let form = match self.peek() {
            Some(b'"') => {
                if self.string()? {
                    Form::Escaped
                } else {
                    Form::Plain
                }
            }
            Some(b'n') => {
                self.word(b"null")?;
                Form::Null
            }
            Some(b'{') if !this.is_leaf() => {
                match &this.select {
                    // A filter on an object: the object is its own only element.
                    Some(select) => match select.merged {
                        Some(merged) => self.element(select, merged, found)?,
                        None => {
                            if !this.members.names.is_empty() {
                                self.object(node, found)?;
                                self.at = start;
                            }
                            self.element(select, select.element, found)?;
                        }
                    },
                    None => self.object(node, found)?,
                }
                Form::Other
            }
            Some(b'[') if !this.is_leaf() => {
                self.array(node, found)?;
                Form::Other
            }
            _ => {
                self.skip()?;
                Form::Other
            }
        };
        if !this.captures.is_empty() {
            let span = Span::new(start, self.at);
            for &slot in &this.captures {
                found.set(slot, Hit { span, form });
            }
        }
        Ok(())
    }

    fn object(&mut self, node: NodeIx, found: &mut Found) -> Outcome {
        let plan = self.plan;
        let members = &plan.nodes[node].members;
        let mut seen = Seen::default();
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return self.unexpected();
            }
            let start = self.at + 1;
            let escaped = self.string()?;
            let name = &self.bytes[start..self.at - 1];
            self.blanks();
            if self.peek() != Some(b':') {
                return self.unexpected();
            }
            self.at += 1;
            self.members += 1;
            self.blanks();
            let member = if escaped {
                let name = String::from_utf8_lossy(name);
                members.get(unescape(&name).as_bytes())
            } else {
                members.get(name)
            };
            match member {
                Some(member) if seen.again(member) => {
                    let child = members.names[member].1;
                    if self.settings.duplicates == DuplicateJsonKey::First {
                        self.skip()?;
                    } else {
                        plan.empty(child, found);
                        self.value(child, found)?;
                    }
                }
                Some(member) => self.value(members.names[member].1, found)?,
                None => self.skip()?,
            }
            self.blanks();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.blanks();
                }
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.unexpected(),
            }
        }
    }

    fn array(&mut self, node: NodeIx, found: &mut Found) -> Outcome {
        let plan = self.plan;
        let this = &plan.nodes[node];
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        let mut index = 0;
        loop {
            let start = self.at;
            let wanted = this
                .indexes
                .iter()
                .find(|(i, _)| *i == index)
                .map(|(_, node)| *node);
            if let Some(child) = wanted {
                self.value(child, found)?;
            }
            if let Some(select) = &this.select {
                self.at = start;
                self.element(select, select.element, found)?;
            } else if wanted.is_none() {
                self.skip()?;
            }
            index += 1;
            self.blanks();
            match self.peek() {
                Some(b',') => {
                    self.at += 1;
                    self.blanks();
                }
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.unexpected(),
            }
        }
    }

    /// One element of an array that filters apply to.
    fn element(&mut self, select: &Select, walk: NodeIx, found: &mut Found) -> Outcome {
        // Everything that the walk fills from here on belongs to this element, except slots of the object around it.
        let (filled, more) = (found.filled.len(), found.more.len());
        self.value(walk, found)?;
        let passing = found.passing.len();
        match self.dispatched(select, found) {
            Some(commits) => {
                for &index in commits.iter().chain(&select.dispatch.always) {
                    self.commit(&select.commits[index], found);
                }
            }
            None => {
                for commit in &select.commits {
                    self.commit(commit, found);
                }
            }
        }
        let mut kept = filled;
        for at in filled..found.filled.len() {
            let slot = found.filled[at];
            if self.plan.local[slot] {
                found.first[slot] = Hit::NONE;
            } else {
                found.filled[kept] = slot;
                kept += 1;
            }
        }
        found.filled.truncate(kept);
        found.more.truncate(more);
        for at in passing..found.passing.len() {
            let (slot, hit) = found.passing[at];
            if self.plan.slots[slot] == HitsMode::Joined || !found.first[slot].is_some() {
                found.push(slot, hit);
            }
        }
        found.passing.truncate(passing);
        Ok(())
    }

    /// The commits for the value that decides among them; none if all have to be looked at.
    fn dispatched<'s>(&self, select: &'s Select, found: &Found) -> Option<&'s [usize]> {
        let (slot, by_value) = select.dispatch.by_value.as_ref()?;
        let Some(hit) = found.get(*slot) else {
            return Some(&[]);
        };
        let commits = match &self.bytes[hit.span.range()] {
            [b'"', inner @ .., b'"'] if memchr(b'\\', inner).is_none() => {
                by_value.get(std::str::from_utf8(inner).ok()?)
            }
            // A list may hold several of the values; that is rare enough to be left to the slow way.
            [b'[', ..] => return None,
            raw => {
                let text = String::from_utf8_lossy(raw);
                text_of(&text).and_then(|text| by_value.get(text.as_ref()))
            }
        };
        Some(commits.map_or(&[], Vec::as_slice))
    }

    fn commit(&self, commit: &Commit, found: &mut Found) {
        if !found.first[commit.from].is_some() {
            return;
        }
        let all = self.plan.slots[commit.to] == HitsMode::Joined;
        if !all && found.first[commit.to].is_some() {
            return;
        }
        if !commit.conditions.iter().all(|test| self.holds(test, found)) {
            return;
        }
        let first = found.first[commit.from];
        if first.is_data() {
            found.passing.push((commit.to, first));
            if !all {
                return;
            }
        }
        for at in 0..found.more.len() {
            let (slot, hit) = found.more[at];
            if slot == commit.from && hit.is_data() {
                found.passing.push((commit.to, hit));
                if !all {
                    return;
                }
            }
        }
    }

    fn holds(&self, test: &Test, found: &Found) -> bool {
        let value = found
            .get(test.slot)
            .map_or(&b""[..], |hit| &self.bytes[hit.span.range()]);
        let equal = if value.first() == Some(&b'[') {
            let text = String::from_utf8_lossy(value);
            elements(&text).any(|element| text_of(element).as_deref() == Some(test.value.as_str()))
        } else {
            match value {
                [b'"', inner @ .., b'"'] if memchr(b'\\', inner).is_none() => {
                    inner == test.value.as_bytes()
                }
                b"null" => test.value.is_empty(),
                _ => {
                    let text = String::from_utf8_lossy(value);
                    text_of(&text).as_deref().unwrap_or_default() == test.value
                }
            }
        };
        equal == test.equal
    }

    /// Passes over a string; tells whether it holds escapes.
    fn string(&mut self) -> Result<bool, JsonError> {
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at = string_break(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(_) => {}
                None => return self.error(JsonErrorKind::Truncated),
            }
            escaped = true;
            self.at += 1;
            match self.peek() {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                Some(b'u') => {
                    self.at += 1;
                    for _ in 0..4 {
                        if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                            return self.unexpected();
                        }
                        self.at += 1;
                    }
                }
                _ => return self.unexpected(),
            }
        }
    }

    /// Passes over a value of any kind, without recursion.
    fn skip(&mut self) -> Outcome {
        // One bit for each open bracket: set for an object.
        let mut stack = [0u64; MAX_DEPTH / 64];
        let mut depth = 0usize;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.string()?;
                }
                Some(open @ (b'{' | b'[')) => {
                    if depth == MAX_DEPTH {
                        return self.error(JsonErrorKind::TooDeep);
                    }
                    let bit = 1 << (depth % 64);
                    self.at += 1;
                    self.blanks();
                    if open == b'{' {
                        stack[depth / 64] |= bit;
                        depth += 1;
                        if self.peek() == Some(b'}') {
                            self.at += 1;
                            depth -= 1;
                        } else {
                            self.name()?;
                            continue;
                        }
                    } else {
                        stack[depth / 64] &= !bit;
                        depth += 1;
                        if self.peek() == Some(b']') {
                            self.at += 1;
                            depth -= 1;
                        } else {
                            continue;
                        }
                    }
                }
                Some(b't') => self.word(b"true")?,
                Some(b'f') => self.word(b"false")?,
                Some(b'n') => self.word(b"null")?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                _ => return self.unexpected(),
            }
            // After a value: close what ends here, or go on to the next one.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let object = stack[(depth - 1) / 64] >> ((depth - 1) % 64) & 1 == 1;
                self.blanks();
                match (self.peek(), object) {
                    (Some(b','), true) => {
                        self.at += 1;
                        self.blanks();
                        self.name()?;
                        break;
                    }
                    (Some(b','), false) => {
                        self.at += 1;
                        self.blanks();
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        self.at += 1;
                        depth -= 1;
                    }
                    _ => return self.unexpected(),
                }
            }
        }
    }

    /// A member name and its colon.
    fn name(&mut self) -> Outcome {
        if self.peek() != Some(b'"') {
            return self.unexpected();
        }
        self.string()?;
        self.blanks();
        if self.peek() != Some(b':') {
            return self.unexpected();
        }
        self.at += 1;
        self.members += 1;
        self.blanks();
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Outcome {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        if word.starts_with(rest) {
            self.at = self.bytes.len();
        }
        self.unexpected()
    }

    fn number(&mut self) -> Outcome {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Outcome {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return self.unexpected();
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }
}

/// The next quote or backslash, or the end.
///
/// Eight bytes at a time: most strings are too short for a vector search to pay off, which takes over for long ones.
#[inline]
fn string_break(bytes: &[u8], start: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let mut at = start;
    for _ in 0..8 {
        let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) else {
            break;
        };
        let word = u64::from_le_bytes(*chunk);
        let hits = zero(word ^ (ONES * b'"' as u64)) | zero(word ^ (ONES * b'\\' as u64));
        if hits != 0 {
            // The lowest hit is exact; higher ones may be the carry of it.
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    memchr2(b'"', b'\\', &bytes[at..]).map_or(bytes.len(), |next| at + next)
}

/// The elements of an array that a scan has already passed over, as they stand in the text.
fn elements(array: &str) -> impl Iterator<Item = &str> {
    let plan = Plan::default();
    let settings = Settings::default();
    let mut at = 1;
    std::iter::from_fn(move || {
        let mut scanner = Scanner {
            plan: &plan,
            settings: &settings,
            bytes: array.as_bytes(),
            at,
            members: 0,
        };
        scanner.blanks();
        if scanner.peek() == Some(b',') {
            scanner.at += 1;
            scanner.blanks();
        }
        let start = scanner.at;
        scanner.skip().ok()?;
        at = scanner.at;
        array.get(start..at)
    })
}

/// The text of a value as it stands in a document: strings without quotes and escapes, `null` as nothing, numbers and
/// booleans as they are, objects and arrays as compact JSON.
pub fn text_of(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes() {
        [] | b"null" => None,
        [b'"', .., b'"'] => Some(unescape(&raw[1..raw.len() - 1])),
        [b'{' | b'[', ..] => Some(compact(raw)),
        _ => Some(Cow::Borrowed(raw)),
    }
}

/// A string's content with its escapes resolved.
pub fn unescape(inner: &str) -> Cow<'_, str> {
    let Some(first) = memchr(b'\\', inner.as_bytes()) else {
        return Cow::Borrowed(inner);
    };
    let mut text = String::with_capacity(inner.len());
    text.push_str(&inner[..first]);
    let mut rest = &inner[first..];
    while let Some(at) = memchr(b'\\', rest.as_bytes()) {
        text.push_str(&rest[..at]);
        let (character, length) = escape(&rest[at..]);
        text.push(character);
        rest = &rest[at + length..];
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// The character of the escape that the text begins with, and the length of the escape.
fn escape(text: &str) -> (char, usize) {
    let simple = match text.as_bytes().get(1) {
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => return unicode_escape(text),
        Some(byte) if byte.is_ascii() => char::from(*byte),
        _ => return ('\\', 1),
    };
    (simple, 2)
}

fn unicode_escape(text: &str) -> (char, usize) {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    };
    let Some(high) = unit(0) else {
        return ('\u{fffd}', text.len().min(2));
    };
    if let 0xD800..=0xDBFF = high
        && let Some(low @ 0xDC00..=0xDFFF) = unit(6)
    {
        let point = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        return (char::from_u32(point).unwrap_or('\u{fffd}'), 12);
    }
    (char::from_u32(high).unwrap_or('\u{fffd}'), 6)
}

/// JSON text without the white space between its tokens.
pub fn compact(raw: &str) -> Cow<'_, str> {
    let mut text: Option<String> = None;
    let mut copied = 0;
    let bytes = raw.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += 1 + usize::from(bytes[at] == b'\\');
                }
                at += 1;
            }
            b' ' | b'\n' | b'\t' | b'\r' => {
                let text = text.get_or_insert_with(|| String::with_capacity(raw.len()));
                text.push_str(&raw[copied..at]);
                at += 1;
                copied = at;
            }
            _ => at += 1,
        }
    }
    match text {
        Some(mut text) => {
            text.push_str(&raw[copied..]);
            Cow::Owned(text)
        }
        None => Cow::Borrowed(raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keypath::json_path;

    fn all(
        text: &str,
        path: &str,
        mode: HitsMode,
        settings: Settings,
    ) -> Result<Vec<String>, JsonError> {
        let mut plan = Plan::default();
        let slot = plan.add(&json_path(path).unwrap(), mode);
        plan.add(&json_path(r#"/"sub"/"k""#).unwrap(), mode);
        plan.add(&json_path(r#"/"e"[0]/"v""#).unwrap(), mode);
        plan.finish();
        let mut found = Found::default();
        plan.scan(text, &settings, &mut found)?;
        Ok(found
            .all(slot)
            .map(|hit| text_of(hit.span.of(text)).map_or("<null>".into(), Cow::into_owned))
            .collect())
    }

    fn get(text: &str, path: &str) -> Option<String> {
        all(text, path, HitsMode::First, Settings::default())
            .ok()?
            .into_iter()
            .next()
    }

    #[test]
    fn scalars_become_their_text() {
        let text = r#"x {"s":"a\"b\u00e9\ud83d\ude00\ud800!", "n": -1.50e3, "b":true, "z":null, "o":{ "k" : [1, "a b"] }} y"#;
        assert_eq!(get(text, r#"/"s""#).as_deref(), Some("a\"bé😀\u{fffd}!"));
        assert_eq!(get(text, r#"/"n""#).as_deref(), Some("-1.50e3"));
        assert_eq!(get(text, r#"/"b""#).as_deref(), Some("true"));
        assert_eq!(get(text, r#"/"z""#).as_deref(), Some("<null>"));
        assert_eq!(get(text, r#"/"o""#).as_deref(), Some(r#"{"k":[1,"a b"]}"#));
        assert_eq!(get(text, r#"/"o"/"k"[1]"#).as_deref(), Some("a b"));
        assert_eq!(get(text, r#"/"o"/"k"[]"#).as_deref(), Some(r#"[1,"a b"]"#));
        assert_eq!(get(text, r#"/"o"/"missing""#), None);
    }

    #[test]
    fn an_escaped_member_name_is_the_same_name() {
        assert_eq!(get(r#"{"\u0061":1}"#, r#"/"a""#).as_deref(), Some("1"));
    }

    #[test]
    fn filters_select_elements_whatever_the_order_of_members() {
        let text = r#"{"e":[{"v":"0"},{"t":"x","v":""},{"v":"1","t":"x"},{"t":"y","v":"2"},{"t":"x","v":"3"},7,null]}"#;
        let path = r#"/"e"[?"t"="x"]/"v""#;
        let joined = |path| all(text, path, HitsMode::Joined, Settings::default()).unwrap();
        assert_eq!(get(text, path).as_deref(), Some("1"));
        assert_eq!(joined(path), ["1", "3"]);
        assert_eq!(joined(r#"/"e"[?"t"!="x"]/"v""#), ["0", "2"]);
        assert_eq!(joined(r#"/"e"[?"t"!=""][?"v"!="1"]/"v""#), ["2", "3"]);
        assert_eq!(joined(r#"/"e"[]/"v""#), ["0", "1", "2", "3"]);
    }

    #[test]
    fn a_filter_on_an_object_keeps_or_drops_it() {
        let text = r#"{"kind":"a","name":"n","sub":{"k":"v","x":1}}"#;
        assert_eq!(get(text, r#"/[?"kind"="a"]/"name""#).as_deref(), Some("n"));
        assert_eq!(get(text, r#"/[?"kind"="b"]/"name""#), None);
        assert_eq!(get(text, r#"/"sub"[?"k"="v"]/"x""#).as_deref(), Some("1"));
    }

    #[test]
    fn a_filter_on_a_list_of_texts_asks_for_any_of_them() {
        let text = r#"{"e":[{"roles":["a","source"],"ip":"1"},{"roles":[],"ip":"2"}]}"#;
        assert_eq!(
            get(text, r#"/"e"[?"roles"="source"]/"ip""#).as_deref(),
            Some("1")
        );
        assert_eq!(
            get(text, r#"/"e"[?"roles"!="source"]/"ip""#).as_deref(),
            Some("2")
        );
    }

    #[test]
    fn filters_nest() {
        let text = r#"{"e":[{"t":"m","f":[{"n":""},{"n":"p"}]},{"t":"m","f":[{"n":"q"}]}]}"#;
        let path = r#"/"e"[?"t"="m"]/"f"[]/"n""#;
        assert_eq!(
            all(text, path, HitsMode::Joined, Settings::default()).unwrap(),
            ["p", "q"]
        );
        assert_eq!(get(text, path).as_deref(), Some("p"));
    }

    #[test]
    fn scalars_of_an_array_can_be_joined() {
        let text = r#"{"t":["T1059","T1003"]}"#;
        let path = r#"/"t"[]"#;
        let mut path = json_path(path).unwrap();
        path.steps.push(Step::Each);
        let mut plan = Plan::default();
        let slot = plan.add(&path, HitsMode::Joined);
        plan.finish();
        let mut found = Found::default();
        plan.scan(text, &Settings::default(), &mut found).unwrap();
        assert_eq!(found.all(slot).count(), 2);
    }

    #[test]
    fn the_object_is_found_behind_a_header_and_braces_that_are_none() {
        assert_eq!(
            get("<13>host {x} {\"a\":\"1\"} tail", r#"/"a""#).as_deref(),
            Some("1")
        );
        assert_eq!(get("[{\"a\":1}]", r#"/[0]/"a""#).as_deref(), Some("1"));
    }

    #[test]
    fn a_truncated_or_broken_object_gives_nothing_unless_asked() {
        let nested = Settings {
            broken: BrokenJson::NestedObject,
            ..Settings::default()
        };
        for text in [
            r#"{"x":{"a":"1"},"b"#,
            r#"{"x":{"a":"1"} "b":2}"#,
            r#"{"x":tru,"y":{"a":"1"}}"#,
        ] {
            let none = all(text, r#"/"a""#, HitsMode::First, Settings::default());
            assert!(none.is_err(), "{text}");
            let some = all(text, r#"/"a""#, HitsMode::First, nested).unwrap();
            assert_eq!(some, ["1"], "{text}");
        }
    }

    #[test]
    fn the_kind_and_place_of_a_fault_are_told() {
        let fault =
            |text: &str| all(text, r#"/"a""#, HitsMode::First, Settings::default()).unwrap_err();
        assert_eq!(fault("no").kind, JsonErrorKind::Absent);
        assert_eq!(
            fault(r#"{"a":"b"#),
            JsonError {
                at: 7,
                kind: JsonErrorKind::Truncated
            }
        );
        assert_eq!(
            fault(r#"{"a":01}"#),
            JsonError {
                at: 6,
                kind: JsonErrorKind::Syntax
            }
        );
        assert_eq!(
            fault(r#"{"a":1,}"#),
            JsonError {
                at: 7,
                kind: JsonErrorKind::Syntax
            }
        );
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(fault(&deep).kind, JsonErrorKind::TooDeep);
    }

    #[test]
    fn many_opening_braces_cost_no_more_than_a_bounded_number_of_tries() {
        let text = "{\"a\":".repeat(20_000);
        let nested = Settings {
            broken: BrokenJson::NestedObject,
            ..Settings::default()
        };
        assert!(all(&text, r#"/"b""#, HitsMode::First, nested).is_err());
    }

    #[test]
    fn the_last_of_two_equal_names_wins_unless_asked() {
        let text = r#"{"a":1,"a":2}"#;
        assert_eq!(get(text, r#"/"a""#).as_deref(), Some("2"));
        let first = Settings {
            duplicates: DuplicateJsonKey::First,
            ..Settings::default()
        };
        assert_eq!(all(text, r#"/"a""#, HitsMode::First, first).unwrap(), ["1"]);
    }
}
