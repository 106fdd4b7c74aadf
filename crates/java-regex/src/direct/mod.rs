//! A lean matcher for short texts and the patterns that people write.
//!
//! It takes what the linear engine takes, goes back like the backtracking one, and knows at nearly every fork which way
//! is the only one, so that it hardly ever has to: `\S+ ` need not give back, because no blank is in `\S`. Engines that
//! guard against every pattern pay for that at each byte. This one counts its steps instead, and gives up when they are
//! many for a text of that length; then the other engines are asked. So the time remains in proportion to the text.
//!
//! What no other engine takes in linear time, a pattern with look-arounds above all, is searched once more with a memo of
//! the places where a part has failed, or where it led to the end of a look-around, so that nothing is tried twice there.

mod compile;
mod first;
mod memo;
mod run;

use memchr::memmem::Finder;

use super::charset::CharSet;
use super::syntax::{Assertion, GroupKind, Node, Tree};
use first::Lead;
use std::sync::Arc;

pub(super) use first::First;
#[cfg(test)]
pub(super) use run::{ALLOWANCE, MEMO_ALLOWANCE};
pub(super) use run::{Memory, Outcome};

/// The index of a step.
type Id = u32;

/// Longer ones are left to the linear engine.
const MAX_STEPS: usize = 1024;

/// A pattern for this matcher.
#[derive(Debug)]
pub(super) struct Direct {
    steps: Vec<Step>,
    classes: Vec<Class>,
    looks: Vec<Look>,
    /// By step, its row in a memo; only forks and runs have one.
    rows: Vec<u32>,
    row_count: usize,
    entry: Id,
    start: Start,
    begins: First,
}

/// A look-around. Its body ends in the first step, as the pattern does.
#[derive(Debug)]
struct Look {
    entry: Id,
    /// For a look-behind, how many characters before the place its body starts, least and most.
    behind: Option<(u32, u32)>,
    negated: bool,
    /// There are capturing groups inside. Such a look-ahead is a part of every match, and so are its groups.
    captures: bool,
}

/// Where matches can begin.
#[derive(Debug)]
enum Start {
    /// At the start of the text.
    Text,
    /// Where this text stands.
    Literal(Box<Finder<'static>>),
    /// Where one of these bytes stands.
    First(First),
    Anywhere,
}

#[derive(Debug)]
struct Class {
    set: Arc<CharSet>,
    leads: [Lead; 256],
    /// The bytes at which a run can end, if it is quicker to search for them.
    stops: Box<[u8]>,
}

#[derive(Debug)]
enum Step {
    Match,
    Byte {
        byte: u8,
        next: Id,
    },
    Literal {
        text: Box<[u8]>,
        next: Id,
    },
    /// So many characters, one of each class.
    Each {
        classes: Box<[usize]>,
        next: Id,
    },
    Run(Run),
    Either {
        first: Id,
        second: Id,
        begins: (First, First),
    },
    /// Notes the place as one end of a group.
    Save {
        slot: usize,
        next: Id,
    },
    Assert {
        what: Assertion,
        next: Id,
    },
    Look {
        look: usize,
        next: Id,
    },
}

/// A run of characters of one class.
#[derive(Debug)]
struct Run {
    class: usize,
    min: u32,
    max: u32,
    lazy: bool,
    /// What comes next cannot begin with a character of the class, so that giving some back is of no use.
    is_sharp: bool,
    /// How what comes next begins, and the text with which it does, or the beginning of that, if it is always the same.
    follow: First,
    text: Option<Box<[u8]>>,
    next: Id,
}

/// The pattern in this form, if it fits. Whether the linear engine takes it is for the caller to know.
pub(super) fn build(tree: &Tree, is_anchored: bool) -> Option<Direct> {
    if !has_certain_captures(&tree.root) {
        return None;
    }
    compile::compile(tree.parts(), is_anchored, First::ANYTHING)
}

/// A part of a sequence, behind which comes something that begins with `after`.
pub(super) fn part(parts: &[Node], after: First) -> Option<Direct> {
    compile::compile(parts, true, after)
}

/// Whether every match runs through all groups that stand in look-arounds. Java keeps what such a group has captured in an
/// attempt that failed, so that it could show in a match that does not run through it.
fn has_certain_captures(node: &Node) -> bool {
    let certain = |parts: &[Node]| parts.iter().all(has_certain_captures);
    match node {
        Node::Concat(parts) => certain(parts),
        Node::Group { kind, body } => match kind {
            GroupKind::Capture(_) | GroupKind::Plain => has_certain_captures(body),
            GroupKind::Ahead { negated: false } => always_captures(body),
            _ => !node.has_capture(),
        },
        other => !other.any(&|node| {
            let is_look = matches!(
                node,
                Node::Group {
                    kind: GroupKind::Ahead { .. } | GroupKind::Behind { .. },
                    ..
                }
            );
            is_look && node.has_capture()
        }),
    }
}

/// Whether every match of the node runs through all of its groups.
fn always_captures(node: &Node) -> bool {
    match node {
        Node::Concat(parts) => parts.iter().all(always_captures),
        Node::Group {
            kind: GroupKind::Capture(_) | GroupKind::Plain,
            body,
        } => always_captures(body),
        other => !other.has_capture(),
    }
}

impl Direct {
    /// Whether there are look-arounds.
    pub(super) fn has_looks(&self) -> bool {
        !self.looks.is_empty()
    }

    /// How a match begins.
    pub(super) fn begins(&self) -> First {
        self.begins
    }
}
