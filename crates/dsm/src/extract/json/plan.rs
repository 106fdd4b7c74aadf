//! The merged paths: a trie, with what filters need at the nodes that they apply to.

use super::found::{Found, Hit};
use super::names::Names;
use super::select::{Commit, Commits, Test, Tested, TestedIx};
use crate::keypath::{Condition, JsonPath, Step};
use crate::lsx::Hits as HitsMode;
use memchr::memmem::{self, Finder};
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

/// Enough for any mapping; a limit on what hostile filters can multiply.
const MAX_MERGED_NODES: usize = 100_000;

/// Looking for more names than this costs as much as a scan.
const MAX_NEEDLES: usize = 16;

/// The owner of slots that belong to the whole document.
const NOBODY: usize = 0;

pub(super) type NodeIx = usize;
/// Where the value of one path is found after [`Plan::scan`].
pub type SlotIx = usize;

/// The merged paths.
#[derive(Debug, Default)]
pub struct Plan {
    pub(super) nodes: Vec<Node>,
    /// Whether the slot collects all hits or keeps the first.
    pub(super) slots: Vec<HitsMode>,
    /// The select whose elements a slot belongs to; it is emptied after each.
    pub(super) owner: Vec<usize>,
    owners: usize,
    /// What becomes of the value of each slot at the end of its element.
    commits: Vec<Commits>,
    /// The values that conditions compare.
    pub(super) tested: Vec<Tested>,
    known: HashMap<(JsonPath, HitsMode), SlotIx>,
    /// A path begins with a position or a fan-out, so the root may be an array.
    pub(super) array_root: bool,
    /// Tells plans apart.
    pub(super) fingerprint: u64,
    /// Names without one of which the document has nothing for any path; nothing where that cannot be said.
    needles: Option<Vec<Finder<'static>>>,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    /// Names of members.
    pub(super) members: Names,
    /// Their nodes, in the same order.
    pub(super) children: Vec<Child>,
    /// The elements of an array that are asked for, in their order.
    pub(super) indexes: Vec<(usize, NodeIx)>,
    /// Where the value goes: slots of the document, and slots of the element around it.
    pub(super) captures: Vec<SlotIx>,
    pub(super) element_captures: Vec<SlotIx>,
    pub(super) select: Option<Box<Select>>,
}

/// What a member is asked for. Small, because the scan reads one for each member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Child {
    node: u32,
    only: u32,
}

impl Child {
    /// For a member that nobody asks for.
    pub(super) const NONE: Self = Self {
        node: u32::MAX,
        only: u32::MAX,
    };

    pub(super) fn new(node: NodeIx, only: Option<SlotIx>) -> Self {
        // There are fewer of both than a mapping has bytes.
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            node: small(node),
            only: only.map_or(u32::MAX, small),
        }
    }

    #[inline(always)]
    pub(super) fn is_none(self) -> bool {
        self.node == u32::MAX
    }

    /// The node of the member.
    #[inline(always)]
    pub(super) fn node(self) -> NodeIx {
        self.node as usize
    }

    /// The slot of the document that alone wants the value, if there is just one: a scalar needs nothing else of the node.
    #[inline(always)]
    pub(super) fn only(self) -> Option<SlotIx> {
        (self.only != u32::MAX).then_some(self.only as usize)
    }
}

impl Node {
    fn add(&mut self, name: &str, node: NodeIx) {
        self.members.add(name);
        self.children.push(Child::new(node, None));
    }

    /// The members with their nodes.
    fn named(&self) -> Vec<(String, NodeIx)> {
        let names = self.members.iter().map(str::to_owned);
        names
            .zip(self.children.iter().map(|child| child.node()))
            .collect()
    }

    fn only(&self) -> Option<SlotIx> {
        match self.captures[..] {
            [slot] if self.element_captures.is_empty() => Some(slot),
            _ => None,
        }
    }

    pub(super) fn is_leaf(&self) -> bool {
        self.children.is_empty() && self.indexes.is_empty() && self.select.is_none()
    }
}

/// What is done with each element of an array (or with an object, as if it were the only element).
#[derive(Debug, Default, Clone)]
pub(super) struct Select {
    pub(super) element: NodeIx,
    /// Whose slots are those of an element: its own, or those of the selects that it was merged from.
    pub(super) owners: Vec<usize>,
    /// For objects: the members of the node and of the element in one, so that one walk serves both.
    pub(super) merged: Option<NodeIx>,
    /// The values of an element that conditions compare.
    pub(super) tested: Vec<TestedIx>,
    /// Where the values of an element go on to.
    targets: Vec<SlotIx>,
    /// For building: the values that conditions compare, by their path from the element.
    tested_paths: HashMap<Vec<String>, TestedIx>,
    /// For building: values that are wanted, by their path from the element.
    wanted: HashMap<(Vec<Step>, HitsMode), SlotIx>,
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
        let slot = self.new_slot(mode, NOBODY);
        let state = foldhash::quality::FixedState::with_seed(self.fingerprint);
        self.fingerprint = state.hash_one((path, mode));
        self.insert(0, &path.steps, slot, mode);
        self.known.insert((path.clone(), mode), slot);
        slot
    }

    /// Whether no path was added.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether a text can have anything for one of the paths, by a look that costs much less than a scan. The text may
    /// stand in a JSON string, with its escapes.
    pub(crate) fn may_find_in(&self, text: &[u8]) -> bool {
        let Some(needles) = &self.needles else {
            return true;
        };
        // Any character may hide behind this escape.
        memmem::find(text, b"\\u").is_some()
            || needles.iter().any(|needle| needle.find(text).is_some())
    }

    /// The names of the members that all paths begin with, if they are few.
    fn needles(&self) -> Option<Vec<Finder<'static>>> {
        let root = self.nodes.first()?;
        let is_plain = |name: &str| {
            let needs_escape = |c: char| matches!(c, '"' | '\\') || c.is_control();
            !name.is_empty() && !name.contains(needs_escape)
        };
        let members_only = root.select.is_none() && root.indexes.is_empty();
        let has_captures = !root.captures.is_empty() || !root.element_captures.is_empty();
        let names: Vec<&str> = root.members.iter().collect();
        if !members_only || has_captures || names.len() > MAX_NEEDLES {
            return None;
        }
        names.iter().all(|name| is_plain(name)).then(|| {
            let finders = names.iter().map(|name| Finder::new(name.as_bytes()));
            finders.map(Finder::into_owned).collect()
        })
    }

    /// What becomes of the value of a slot at the end of its element.
    #[inline]
    pub(super) fn commits_from(&self, slot: SlotIx) -> &Commits {
        &self.commits[slot]
    }

    fn new_slot(&mut self, mode: HitsMode, owner: usize) -> SlotIx {
        self.slots.push(mode);
        self.owner.push(owner);
        self.commits.push(Commits::default());
        self.slots.len() - 1
    }

    /// Whether a slot belongs to elements and not to the document.
    pub(super) fn is_in_element(&self, slot: SlotIx) -> bool {
        self.owner[slot] != NOBODY
    }

    fn capture(&mut self, node: NodeIx, slot: SlotIx) {
        if self.is_in_element(slot) {
            self.nodes[node].element_captures.push(slot);
        } else {
            self.nodes[node].captures.push(slot);
        }
    }

    fn new_owner(&mut self) -> usize {
        self.owners += 1;
        self.owners
    }

    fn new_node(&mut self) -> NodeIx {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    fn member(&mut self, node: NodeIx, name: &str) -> NodeIx {
        if let Some(index) = self.nodes[node].members.get(name.as_bytes()) {
            return self.nodes[node].children[index].node();
        }
        let child = self.new_node();
        self.nodes[node].add(name, child);
        child
    }

    /// A path has few steps ([`crate::keypath::MAX_STEPS`]), so that the recursion at each filter is not deep.
    fn insert(&mut self, mut node: NodeIx, mut steps: &[Step], slot: SlotIx, mode: HitsMode) {
        loop {
            crate::steps::count(1);
            node = match steps.first() {
                None => return self.capture(node, slot),
                Some(Step::Member(name)) => self.member(node, name),
                Some(Step::Index(index)) => self.position(node, *index),
                Some(Step::Each | Step::Filter(_)) => {
                    return self.insert_select(node, steps, slot, mode);
                }
            };
            steps = &steps[1..];
        }
    }

    fn position(&mut self, node: NodeIx, index: usize) -> NodeIx {
        let indexes = &self.nodes[node].indexes;
        match indexes.binary_search_by_key(&index, |(known, _)| *known) {
            Ok(at) => indexes[at].1,
            Err(at) => {
                let child = self.new_node();
                self.nodes[node].indexes.insert(at, (index, child));
                child
            }
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
                owners: vec![self.new_owner()],
                ..Select::default()
            })
        });
        let key = (rest.to_vec(), mode);
        let from = match select.wanted.get(&key) {
            Some(known) => *known,
            None => {
                let slot = self.new_slot(mode, select.owners[0]);
                self.insert(select.element, rest, slot, mode);
                select.wanted.insert(key, slot);
                slot
            }
        };
        let mut tests = Vec::new();
        for condition in conditions {
            let tested = match select.tested_paths.get(&condition.path) {
                Some(known) => *known,
                None => {
                    let tested = self.new_tested(&select, &condition.path);
                    select.tested_paths.insert(condition.path.clone(), tested);
                    select.tested.push(tested);
                    tested
                }
            };
            tests.push(Test {
                tested,
                equal: condition.equal,
                text: self.tested[tested].texts.add(&condition.value),
            });
        }
        self.commits[from].all.push(Commit {
            conditions: tests,
            to: slot,
        });
        select.targets.push(slot);
        self.nodes[node].select = Some(select);
    }

    fn new_tested(&mut self, select: &Select, path: &[String]) -> TestedIx {
        let slot = self.new_slot(HitsMode::First, select.owners[0]);
        let mut at = select.element;
        for name in path {
            at = self.member(at, name);
        }
        self.capture(at, slot);
        self.tested.push(Tested {
            slot,
            texts: Names::default(),
            empty: None,
        });
        self.tested.len() - 1
    }

    /// To be called once after the last path was added: prepares the walk over objects that filters apply to.
    pub fn finish(&mut self) {
        for tested in &mut self.tested {
            tested.empty = tested.texts.get(b"");
        }
        for commits in &mut self.commits {
            commits.finish(&self.tested);
        }
        // Merging makes further nodes, which may need it too; the list grows while it is gone through.
        let mut node = 0;
        while node < self.nodes.len() {
            if let Some(select) = &self.nodes[node].select {
                let element = select.element;
                // Beyond the limit an object is walked twice, which is slower and gives the same.
                let merged = (!self.nodes[node].children.is_empty()
                    && self.nodes.len() < MAX_MERGED_NODES)
                    .then(|| self.merge(node, element, true));
                if let Some(select) = &mut self.nodes[node].select {
                    select.merged = merged;
                }
            }
            node += 1;
        }
        self.needles = self.needles();
        let only: Vec<Option<SlotIx>> = self.nodes.iter().map(Node::only).collect();
        for node in &mut self.nodes {
            for child in &mut node.children {
                *child = Child::new(child.node(), only[child.node()]);
            }
        }
    }

    /// A node that does what both do. At the top, `a` is an object that filters apply to and `b` their element: what is
    /// captured of the object itself, and the filters, stay with `a`.
    fn merge(&mut self, a: NodeIx, b: NodeIx, top: bool) -> NodeIx {
        let node = self.new_node();
        let mut captures = self.nodes[b].captures.clone();
        let mut element_captures = self.nodes[b].element_captures.clone();
        let mut select = self.nodes[b].select.clone();
        if !top {
            captures.extend_from_slice(&self.nodes[a].captures);
            element_captures.extend_from_slice(&self.nodes[a].element_captures);
            select = match (self.nodes[a].select.clone(), select) {
                (Some(first), Some(second)) => Some(Box::new(Select {
                    element: self.merge(first.element, second.element, false),
                    owners: [&first.owners[..], &second.owners[..]].concat(),
                    tested: [&first.tested[..], &second.tested[..]].concat(),
                    targets: [&first.targets[..], &second.targets[..]].concat(),
                    ..Select::default()
                })),
                (first, second) => first.or(second),
            };
        }
        self.nodes[node].captures = captures;
        self.nodes[node].element_captures = element_captures;
        self.nodes[node].select = select;
        let own = self.nodes[a].named();
        let other = self.nodes[b].named();
        crate::steps::count(own.len() + other.len());
        let mut beside: HashMap<&str, NodeIx> = other
            .iter()
            .map(|(name, child)| (name.as_str(), *child))
            .collect();
        for (name, child) in &own {
            let child = match beside.remove(name.as_str()) {
                Some(second) => self.merge(*child, second, false),
                None => *child,
            };
            self.nodes[node].add(name, child);
        }
        for (name, child) in &other {
            if beside.contains_key(name.as_str()) {
                self.nodes[node].add(name, *child);
            }
        }
        let mut indexes = self.nodes[a].indexes.clone();
        for (index, second) in self.nodes[b].indexes.clone() {
            match indexes.binary_search_by_key(&index, |(known, _)| *known) {
                Ok(at) => indexes[at].1 = self.merge(indexes[at].1, second, false),
                Err(at) => indexes.insert(at, (index, second)),
            }
        }
        self.nodes[node].indexes = indexes;
        node
    }

    /// Forgets what was found in a value, because a member of the same name replaces it.
    pub(super) fn empty(&self, node: NodeIx, found: &mut Found) {
        let node = &self.nodes[node];
        for &slot in node.captures.iter().chain(&node.element_captures) {
            found.first[slot] = Hit::NONE;
        }
        let children = node.children.iter().map(|child| child.node());
        for child in children.chain(node.indexes.iter().map(|(_, child)| *child)) {
            self.empty(child, found);
        }
        if let Some(select) = &node.select {
            // A slot has further hits only if it has a first one, so that most of the time nothing is to be done.
            let targets = select.targets.iter().copied();
            let filled: HashSet<SlotIx> = targets
                .filter(|slot| found.first[*slot].is_some())
                .collect();
            if !filled.is_empty() {
                found.more.retain(|(slot, _)| !filled.contains(slot));
            }
            for &slot in &select.targets {
                found.first[slot] = Hit::NONE;
            }
        }
    }
}
