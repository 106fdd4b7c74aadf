//! The syntax tree of a Java pattern, and the faults of one.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::charset::{CharSet, Fold};

/// Why a pattern cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyntaxErrorKind {
    /// Java refuses the pattern.
    Invalid,
    /// Java takes the pattern, but it holds something that cannot be honoured here exactly as Java does.
    Unsupported,
}

/// A fault in a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Whether Java would refuse it too.
    pub kind: SyntaxErrorKind,
    /// The bytes of the pattern that are at fault.
    pub span: Range<usize>,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to write instead, where that is known.
    pub help: Option<String>,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, " ({help})")?;
        }
        Ok(())
    }
}

impl std::error::Error for SyntaxError {}

/// Whether a repetition gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Greed {
    Greedy,
    Lazy,
    Possessive,
}

/// How a repetition was written. `(a)*` and `(a){0,2147483647}` mean the same, but Java measures them differently in a
/// look-behind; and it treats `(a)?` differently from other groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Written {
    /// `?`, `{0,1}`
    Question,
    /// `*`, `+`, `{n,}`
    Symbol,
    /// `{n}`, `{n,m}`
    Braces,
}

/// A place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Assertion {
    /// `\A`, and `^` without `m`
    TextStart,
    /// `\z`
    TextEnd,
    /// `\G` of the first search
    SearchStart,
    /// `(?m)^`
    LineStart { unix: bool },
    /// `$`, and `\Z` with `multiline` off
    LineEnd { unix: bool, multiline: bool },
    /// `\b`, `\B`
    Word { negated: bool, unicode: bool },
    /// `\b{g}`
    Cluster,
}

/// What a pair of parentheses does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GroupKind {
    Capture(usize),
    Plain,
    Atomic,
    Ahead {
        negated: bool,
    },
    /// `reach`: how many characters before the place the group may start, least and most, as Java counts them;
    /// `by_chars`: a surrogate pair is one of them, otherwise two.
    Behind {
        negated: bool,
        reach: (i32, i32),
        by_chars: bool,
    },
}

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    /// Nothing: what Java makes of the text before a quantifier that has nothing to repeat, as in `a{2}{3}`.
    Empty,
    /// One character.
    Set(Arc<CharSet>),
    Assert(Assertion),
    /// `\R`
    LineBreak,
    /// `\X`
    Grapheme,
    BackReference {
        group: usize,
        fold: Fold,
    },
    Group {
        kind: GroupKind,
        body: Box<Node>,
    },
    Repeat {
        body: Box<Node>,
        min: u32,
        max: u32,
        greed: Greed,
        written: Written,
    },
    Concat(Vec<Node>),
    Alternation(Vec<Node>),
}

/// The repetition count that stands for "any number".
pub(crate) const UNBOUNDED: u32 = i32::MAX as u32;

/// A whole pattern.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) root: Node,
    /// Capturing groups, without group 0.
    pub(crate) groups: usize,
    pub(crate) names: BTreeMap<String, usize>,
    /// Java looks for the start of a match at whole characters only. Otherwise it also tries the middle of each surrogate
    /// pair.
    pub(crate) by_chars: bool,
}

impl Tree {
    /// The pattern as a sequence.
    pub(crate) fn parts(&self) -> &[Node] {
        match &self.root {
            Node::Concat(parts) => parts,
            other => std::slice::from_ref(other),
        }
    }
}

impl Node {
    /// The character, if it is one and only that.
    pub(crate) fn single(&self) -> Option<char> {
        match self {
            Node::Set(set) => set.single().and_then(char::from_u32),
            _ => None,
        }
    }

    /// The nodes directly inside.
    pub(crate) fn children(&self) -> &[Node] {
        match self {
            Node::Group { body, .. } | Node::Repeat { body, .. } => std::slice::from_ref(body),
            Node::Concat(parts) | Node::Alternation(parts) => parts,
            _ => &[],
        }
    }

    /// Whether this node or one inside has the property.
    pub(crate) fn any(&self, is: &dyn Fn(&Node) -> bool) -> bool {
        super::work::make(1);
        is(self) || self.children().iter().any(|child| child.any(is))
    }

    pub(crate) fn has_capture(&self) -> bool {
        self.any(&|node| {
            matches!(
                node,
                Node::Group {
                    kind: GroupKind::Capture(_),
                    ..
                }
            )
        })
    }

    /// Whether Java calls the node deterministic, and so repeats a group of it with a loop that does not look back into
    /// the iterations.
    pub(crate) fn is_deterministic(&self) -> bool {
        super::work::make(1);
        match self {
            Node::Alternation(_)
            | Node::Grapheme
            | Node::Repeat {
                written: Written::Question,
                ..
            } => false,
            Node::Group {
                kind: GroupKind::Ahead { .. } | GroupKind::Behind { .. },
                ..
            } => true,
            Node::Repeat { body, min, max, .. } => min == max && body.is_deterministic(),
            _ => self.children().iter().all(Node::is_deterministic),
        }
    }
}
