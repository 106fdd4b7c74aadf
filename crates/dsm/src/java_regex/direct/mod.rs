//! A lean matcher for short texts and the patterns that people write.
//!
//! It takes what the linear engine takes, goes back like the backtracking one, and knows at nearly every fork which way
//! is the only one, so that it hardly ever has to: `\S+ ` need not give back, because no blank is in `\S`. Engines that
//! guard against every pattern pay for that at each byte. This one counts its steps instead, and gives up when they are
//! many for a text of that length; then the other engines are asked. So the time remains in proportion to the text.

mod compile;
mod first;
mod run;

use memchr::memmem::Finder;

use super::charset::CharSet;
use super::syntax::{Assertion, Node, Tree};
use first::Lead;
use std::sync::Arc;

pub(super) use first::First;
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
    entry: Id,
    start: Start,
    begins: First,
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
    /// How what comes next begins, and the whole text with which it does, if it is always the same.
    follow: First,
    text: Option<Box<[u8]>>,
    next: Id,
}

/// The pattern in this form, if it fits. Whether the linear engine takes it is for the caller to know.
pub(super) fn build(tree: &Tree, is_anchored: bool) -> Option<Direct> {
    compile::compile(tree.parts(), is_anchored, First::ANYTHING)
}

/// A part of a sequence, behind which comes something that begins with `after`.
pub(super) fn part(parts: &[Node], after: First) -> Option<Direct> {
    compile::compile(parts, true, after)
}

impl Direct {
    /// How a match begins.
    pub(super) fn begins(&self) -> First {
        self.begins
    }
}
