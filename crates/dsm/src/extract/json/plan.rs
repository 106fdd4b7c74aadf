//! The merged paths: a trie, with what filters need at the nodes that they apply to.

use super::found::{Found, Hit};
use crate::keypath::{Condition, JsonPath, Step};
use crate::lsx::Hits as HitsMode;
use std::collections::{HashMap, HashSet};

/// Enough for any mapping; a limit on what hostile filters can multiply.
const MAX_MERGED_NODES: usize = 100_000;

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
    pub(super) known: HashMap<(JsonPath, HitsMode), SlotIx>,
    /// A path begins with a position or a fan-out, so the root may be an array.
    pub(super) array_root: bool,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) members: Members,
    pub(super) indexes: Vec<(usize, NodeIx)>,
    pub(super) captures: Vec<SlotIx>,
    pub(super) select: Option<Box<Select>>,
}

impl Node {
    pub(super) fn is_leaf(&self) -> bool {
        self.members.names.is_empty() && self.indexes.is_empty() && self.select.is_none()
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
    /// Values that conditions compare, by their path from the element.
    pub(super) tested: HashMap<Vec<String>, SlotIx>,
    /// Values that are wanted, by their path from the element.
    pub(super) wanted: HashMap<(Vec<Step>, HitsMode), SlotIx>,
    pub(super) commits: Vec<Commit>,
    pub(super) dispatch: Dispatch,
}

/// Which commits can apply to an element: most of them ask one member (such as `@odata.type`) for one value.
#[derive(Debug, Default, Clone)]
pub(super) struct Dispatch {
    /// The slot of that member, and the commits for each of its values.
    pub(super) by_value: Option<(SlotIx, HashMap<String, Vec<usize>>)>,
    /// The commits that have to be looked at in any case.
    pub(super) always: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub(super) conditions: Vec<Test>,
    pub(super) from: SlotIx,
    pub(super) to: SlotIx,
}

#[derive(Debug, Clone)]
pub(super) struct Test {
    pub(super) slot: SlotIx,
    pub(super) equal: bool,
    pub(super) value: String,
}

/// Member names of one object.
#[derive(Debug, Default)]
pub(super) struct Members {
    pub(super) names: Vec<(Box<str>, NodeIx)>,
    /// Open-addressed table, a power of two in size and at most a quarter full: the index of a name plus one (0 is
    /// empty) and some more bits of its hash, so that hardly any other name is compared.
    table: Vec<(u32, u16)>,
}

impl Members {
    /// Names of one object often begin alike (`InitiatingProcess…`) and differ in length and at the end.
    #[inline]
    fn hash(name: &[u8]) -> u64 {
        let end = match name.last_chunk::<8>() {
            Some(chunk) => u64::from_le_bytes(*chunk),
            None => name
                .iter()
                .fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        let mixed = (end ^ (name.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))
            .wrapping_mul(0xD6E8_FEB8_6659_FD93);
        mixed ^ mixed >> 32
    }

    /// Index of a name.
    #[inline]
    pub(super) fn get(&self, name: &[u8]) -> Option<usize> {
        let mask = self.table.len().checked_sub(1)?;
        let hash = Self::hash(name);
        let (mut at, tag) = Self::split(hash);
        loop {
            let (index, known) = self.table[at & mask];
            if index == 0 {
                return None;
            }
            let index = index as usize - 1;
            if known == tag && self.names[index].0.as_bytes() == name {
                return Some(index);
            }
            at += 1;
        }
    }

    /// Where the search in the table begins, and the bits that are kept in it.
    #[inline]
    fn split(hash: u64) -> (usize, u16) {
        ((hash & 0xffff_ffff) as usize, (hash >> 48) as u16)
    }

    pub(super) fn insert(&mut self, name: &str, node: NodeIx) {
        self.names.push((name.into(), node));
        let size = (self.names.len() * 4).next_power_of_two();
        self.table = vec![(0, 0); size];
        for (index, (name, _)) in self.names.iter().enumerate() {
            let (mut at, tag) = Self::split(Self::hash(name.as_bytes()));
            while self.table[at & (size - 1)].0 != 0 {
                at += 1;
            }
            // Each name takes bytes of a file of at most 64 MiB.
            let entry = u32::try_from(index + 1).unwrap_or(u32::MAX);
            self.table[at & (size - 1)] = (entry, tag);
        }
    }
}

impl Dispatch {
    pub(super) fn of(commits: &[Commit]) -> Self {
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
    pub(super) fn key(&self) -> Option<&Test> {
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
        let slot = self.new_slot(mode, NOBODY);
        self.insert(0, &path.steps, slot, mode);
        self.known.insert((path.clone(), mode), slot);
        slot
    }

    /// Whether no path was added.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn new_slot(&mut self, mode: HitsMode, owner: usize) -> SlotIx {
        self.slots.push(mode);
        self.owner.push(owner);
        self.slots.len() - 1
    }

    fn new_owner(&mut self) -> usize {
        self.owners += 1;
        self.owners
    }

    pub(super) fn new_node(&mut self) -> NodeIx {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    pub(super) fn member(&mut self, node: NodeIx, name: &str) -> NodeIx {
        let members = &self.nodes[node].members;
        if let Some(index) = members.get(name.as_bytes()) {
            return members.names[index].1;
        }
        let child = self.new_node();
        self.nodes[node].members.insert(name, child);
        child
    }

    pub(super) fn insert(&mut self, node: NodeIx, steps: &[Step], slot: SlotIx, mode: HitsMode) {
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

    pub(super) fn insert_select(
        &mut self,
        node: NodeIx,
        steps: &[Step],
        slot: SlotIx,
        mode: HitsMode,
    ) {
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
            let slot = match select.tested.get(&condition.path) {
                Some(known) => *known,
                None => {
                    let slot = self.new_slot(HitsMode::First, select.owners[0]);
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
        // Merging makes further nodes, which may need it too; the list grows while it is gone through.
        let mut node = 0;
        while node < self.nodes.len() {
            if let Some(select) = &mut self.nodes[node].select {
                select.dispatch = Dispatch::of(&select.commits);
                let element = select.element;
                // Beyond the limit an object is walked twice, which is slower and gives the same.
                let merged = (!self.nodes[node].members.names.is_empty()
                    && self.nodes.len() < MAX_MERGED_NODES)
                    .then(|| self.merge(node, element, true));
                if let Some(select) = &mut self.nodes[node].select {
                    select.merged = merged;
                }
            }
            node += 1;
        }
    }

    /// A node that does what both do. At the top, `a` is an object that filters apply to and `b` their element: what is
    /// captured of the object itself, and the filters, stay with `a`.
    fn merge(&mut self, a: NodeIx, b: NodeIx, top: bool) -> NodeIx {
        let node = self.new_node();
        let mut captures = self.nodes[b].captures.clone();
        let mut select = self.nodes[b].select.clone();
        if !top {
            captures.extend_from_slice(&self.nodes[a].captures);
            select = match (self.nodes[a].select.clone(), select) {
                (Some(first), Some(second)) => Some(Box::new(Select {
                    element: self.merge(first.element, second.element, false),
                    commits: [&first.commits[..], &second.commits[..]].concat(),
                    owners: [&first.owners[..], &second.owners[..]].concat(),
                    ..Select::default()
                })),
                (first, second) => first.or(second),
            };
        }
        self.nodes[node].captures = captures;
        self.nodes[node].select = select;
        let own = self.nodes[a].members.names.clone();
        let other = self.nodes[b].members.names.clone();
        for (name, child) in &own {
            let child = match other.iter().find(|(n, _)| n == name) {
                Some((_, second)) => self.merge(*child, *second, false),
                None => *child,
            };
            self.nodes[node].members.insert(name, child);
        }
        for (name, child) in &other {
            if !own.iter().any(|(n, _)| n == name) {
                self.nodes[node].members.insert(name, *child);
            }
        }
        let mut indexes = self.nodes[a].indexes.clone();
        for (index, second) in self.nodes[b].indexes.clone() {
            match indexes.iter_mut().find(|(known, _)| *known == index) {
                Some((_, child)) => *child = self.merge(*child, second, false),
                None => indexes.push((index, second)),
            }
        }
        self.nodes[node].indexes = indexes;
        node
    }

    /// Forgets what was found in a value, because a member of the same name replaces it.
    pub(super) fn empty(&self, node: NodeIx, found: &mut Found) {
        let node = &self.nodes[node];
        for &slot in &node.captures {
            found.first[slot] = Hit::NONE;
        }
        let children = node.members.names.iter().map(|(_, child)| *child);
        for child in children.chain(node.indexes.iter().map(|(_, child)| *child)) {
            self.empty(child, found);
        }
        if let Some(select) = &node.select {
            // A slot has further hits only if it has a first one, so that most of the time nothing is to be done.
            let filled: HashSet<SlotIx> = select
                .commits
                .iter()
                .map(|commit| commit.to)
                .filter(|slot| found.first[*slot].is_some())
                .collect();
            if !filled.is_empty() {
                found.more.retain(|(slot, _)| !filled.contains(slot));
            }
            for commit in &select.commits {
                found.first[commit.to] = Hit::NONE;
            }
        }
    }
}
