//! Hands a pattern to the linear-time engine, where that engine gives Java's result for certain.
//!
//! What decides is not whether the engine can express a construct but whether every capture comes out as in Java. A few
//! assertions are taken over under a condition on the text; a text that does not meet it goes to the backtracking matcher.

use std::fmt;

use regex_automata::meta;
use regex_syntax::hir::{Capture, Class, ClassUnicode, ClassUnicodeRange, Hir, Look, Repetition};

use super::charset::{CharSet, Union};
use super::syntax::{Assertion, Greed, GroupKind, Node, Tree, UNBOUNDED, Written};

/// Why a pattern needs the backtracking engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reason {
    /// `(?=…)`, `(?!…)`, `(?<=…)`, `(?<!…)`
    LookAround,
    /// `\1`, `\k<name>`
    BackReference,
    /// `(?>…)`
    AtomicGroup,
    /// `a*+`, `a++`, `a?+`, `a{1,2}+`
    PossessiveQuantifier,
    /// `\G`
    SearchStart,
    /// A repeated part that can match nothing, as in `(a*)*`.
    RepeatedEmpty,
    /// A capturing group in a repetition of the kind whose captures Java keeps by rules of its own, as in `((a)b)*`.
    RepeatedCapture,
    /// `\R` in a repetition, where Java never gives back half of `\r\n`.
    RepeatedLineBreak,
    /// `\X`, `\b{g}`
    Grapheme,
    /// The linear engine would need too much memory, as for `\w{1000}{1000}`, or all patterns of the mapping together do
    /// ([`Room`](super::Room)).
    TooLarge,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::LookAround => "a look-around",
            Reason::BackReference => "a back-reference",
            Reason::AtomicGroup => "an atomic group",
            Reason::PossessiveQuantifier => "a possessive quantifier",
            Reason::SearchStart => r"the anchor \G",
            Reason::RepeatedEmpty => "a repetition of something that can match nothing",
            Reason::RepeatedCapture => "a capturing group inside a repeated group",
            Reason::RepeatedLineBreak => r"a repeated \R",
            Reason::Grapheme => "grapheme clusters",
            Reason::TooLarge => "its size",
        })
    }
}

/// What must hold of a text for the linear engine's result to be Java's.
#[derive(Clone, Copy, Debug, Default)]
struct Needs {
    /// For `\b`, which knows all letters: the text is ASCII.
    ascii: bool,
    /// For `$`, which matches before a last line terminator too: the text does not end in one.
    open_end: bool,
    /// For `(?m)`: the text is not empty, is ASCII, has no `\r` and does not end in `\n`.
    plain_lines: bool,
}

/// A pattern in the linear engine.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    pub(crate) regex: meta::Regex,
    needs: Needs,
    /// About how many states it has.
    states: u64,
    /// The memory that it takes.
    pub(crate) bytes: usize,
}

/// An engine of so many states does not take long for each byte of a text, whatever the text.
const FEW_STATES: u64 = 1024;

/// The most states times bytes of the text: in the worst case so much is done, in about a second.
const MAX_WORK: u64 = 1 << 28;

impl Linear {
    /// Whether the linear engine gives Java's result on this text.
    pub(crate) fn takes(&self, text: &str) -> bool {
        let Needs {
            ascii,
            open_end,
            plain_lines,
        } = self.needs;
        let is_quick =
            self.states <= FEW_STATES || self.states.saturating_mul(text.len() as u64) <= MAX_WORK;
        let ends = |c: char| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
        is_quick
            && (!ascii || text.is_ascii())
            && (!open_end || !text.ends_with(ends))
            && (!plain_lines
                || (!text.is_empty()
                    && !text.ends_with('\n')
                    && text.is_ascii()
                    && memchr::memchr(b'\r', text.as_bytes()).is_none()))
    }
}

/// The pattern in the linear engine, or why not.
pub(crate) fn build(tree: &Tree) -> Result<Linear, Vec<Reason>> {
    let mut translator = Translator {
        needs: Needs::default(),
        reasons: Vec::new(),
        weight: 0,
    };
    let hir = translator.node(&tree.root, false);
    let Translator {
        needs, mut reasons, ..
    } = translator;
    if !reasons.is_empty() {
        reasons.sort_unstable();
        reasons.dedup();
        return Err(reasons);
    }
    let config = meta::Config::new()
        .nfa_size_limit(Some(2 << 20))
        .hybrid_cache_capacity(1 << 20);
    let regex = meta::Builder::new()
        .configure(config)
        .build_from_hir(&hir)
        .map_err(|_| vec![Reason::TooLarge])?;
    Ok(Linear {
        bytes: regex.memory_usage(),
        regex,
        needs,
        states: states(&tree.root),
    })
}

/// About how many states a node becomes: what is repeated is there as often as it is counted.
fn states(node: &Node) -> u64 {
    let all = |parts: &[Node]| {
        let parts = parts.iter().map(states);
        parts.fold(1, u64::saturating_add)
    };
    match node {
        Node::Set(set) => match set.ranges() {
            [.., (_, high)] if *high >= 0x80 => 4 + set.ranges().len() as u64,
            _ => 1,
        },
        Node::Concat(parts) | Node::Alternation(parts) => all(parts),
        Node::Group { body, .. } => states(body).saturating_add(2),
        Node::Repeat { body, min, max, .. } => {
            let count = if *max == UNBOUNDED { *min } else { *max };
            states(body).saturating_mul(u64::from(count.max(1)))
        }
        _ => 1,
    }
}

/// The most parts of a pattern, where a class counts with its ranges. More of them do not fit into the memory of the linear
/// engine, and are not worth the time to find that out.
const MAX_WEIGHT: usize = 100_000;

struct Translator {
    needs: Needs,
    reasons: Vec<Reason>,
    weight: usize,
}

impl Translator {
    fn refuse(&mut self, reason: Reason) -> Hir {
        self.reasons.push(reason);
        Hir::empty()
    }

    /// `repeated`: some repetition is around the node.
    fn node(&mut self, node: &Node, repeated: bool) -> Hir {
        super::work::make(1);
        self.weight += match node {
            Node::Set(set) => set.ranges().len(),
            _ => 1,
        };
        if self.weight > MAX_WEIGHT {
            return self.refuse(Reason::TooLarge);
        }
        match node {
            Node::Empty => Hir::empty(),
            Node::Set(set) => class(set),
            Node::Grapheme => self.refuse(Reason::Grapheme),
            Node::Assert(what) => self.assertion(*what),
            Node::LineBreak if repeated => self.refuse(Reason::RepeatedLineBreak),
            Node::LineBreak => {
                let any = class(&super::property::escape('v', false));
                Hir::alternation(vec![Hir::literal(*b"\r\n"), any])
            }
            Node::BackReference { .. } => self.refuse(Reason::BackReference),
            Node::Concat(parts) => {
                Hir::concat(parts.iter().map(|part| self.node(part, repeated)).collect())
            }
            Node::Alternation(branches) => self.alternation(branches, repeated),
            Node::Group { kind, body } => match kind {
                GroupKind::Plain => self.node(body, repeated),
                GroupKind::Capture(group) => {
                    let sub = Box::new(self.node(body, repeated));
                    Hir::capture(Capture {
                        index: *group as u32,
                        name: None,
                        sub,
                    })
                }
                GroupKind::Atomic => self.refuse(Reason::AtomicGroup),
                GroupKind::Ahead { .. } | GroupKind::Behind { .. } => {
                    // Whether what is inside can be had in linear time is asked too.
                    self.node(body, repeated);
                    self.refuse(Reason::LookAround)
                }
            },
            Node::Repeat {
                greed: Greed::Possessive,
                ..
            } => self.refuse(Reason::PossessiveQuantifier),
            Node::Repeat {
                body,
                min,
                max,
                greed,
                written,
            } => {
                let (min, max) = (*min, *max);
                if max == 0 {
                    return Hir::empty();
                }
                let again = repeated || max > 1;
                let sub = self.node(body, again || matches!(**body, Node::LineBreak));
                if max > 1 && can_be_empty(body) && !matches!(**body, Node::Empty | Node::Assert(_))
                {
                    return self.refuse(Reason::RepeatedEmpty);
                }
                if let Node::Group { kind, body } = &**body {
                    let kept = match kind {
                        GroupKind::Capture(_) => repeated || body.has_capture(),
                        _ => body.has_capture(),
                    };
                    if *written != Written::Question && kept && body.is_deterministic() {
                        return self.refuse(Reason::RepeatedCapture);
                    }
                }
                if matches!(**body, Node::Empty) {
                    return Hir::empty();
                }
                Hir::repetition(Repetition {
                    min,
                    max: (max != UNBOUNDED).then_some(max),
                    greedy: *greed == Greed::Greedy,
                    sub: Box::new(sub),
                })
            }
        }
    }

    /// Neighbours that are one character each become one class: the library would join them one after the other, each time
    /// with all that came before.
    fn alternation(&mut self, branches: &[Node], repeated: bool) -> Hir {
        let is_set = |node: &Node| matches!(node, Node::Set(_));
        let neighbours = branches.chunk_by(|a, b| is_set(a) && is_set(b));
        let branches = neighbours.map(|branches| {
            if let [one] = branches {
                return self.node(one, repeated);
            }
            let mut union = Union::default();
            for branch in branches {
                if let Node::Set(set) = branch {
                    self.weight += set.ranges().len();
                    union.add(set);
                }
            }
            class(&union.finish())
        });
        Hir::alternation(branches.collect())
    }

    fn assertion(&mut self, what: Assertion) -> Hir {
        Hir::look(match what {
            Assertion::TextStart => Look::Start,
            Assertion::TextEnd => Look::End,
            Assertion::SearchStart => return self.refuse(Reason::SearchStart),
            Assertion::Cluster => return self.refuse(Reason::Grapheme),
            Assertion::LineStart { .. } => {
                self.needs.plain_lines = true;
                Look::StartLF
            }
            Assertion::LineEnd {
                multiline: true, ..
            } => {
                self.needs.plain_lines = true;
                Look::EndLF
            }
            Assertion::LineEnd {
                multiline: false, ..
            } => {
                self.needs.open_end = true;
                Look::End
            }
            Assertion::Word { negated, .. } => {
                self.needs.ascii = true;
                if negated {
                    Look::WordAsciiNegate
                } else {
                    Look::WordAscii
                }
            }
        })
    }
}

fn can_be_empty(node: &Node) -> bool {
    super::work::make(1);
    match node {
        Node::Set(_) | Node::LineBreak | Node::Grapheme => false,
        Node::Empty
        | Node::Assert(_)
        | Node::BackReference { .. }
        | Node::Group {
            kind: GroupKind::Ahead { .. } | GroupKind::Behind { .. },
            ..
        } => true,
        Node::Group { body, .. } => can_be_empty(body),
        Node::Concat(parts) => parts.iter().all(can_be_empty),
        Node::Alternation(branches) => branches.iter().any(can_be_empty),
        Node::Repeat { body, min, .. } => *min == 0 || can_be_empty(body),
    }
}

/// A set without the surrogates, which no text holds.
fn class(set: &CharSet) -> Hir {
    let ranges = set
        .ranges()
        .iter()
        .flat_map(|&(low, high)| [(low, high.min(0xD7FF)), (low.max(0xE000), high)]);
    let ranges = ranges
        .filter(|(low, high)| low <= high)
        .filter_map(|(low, high)| {
            Some(ClassUnicodeRange::new(
                char::from_u32(low)?,
                char::from_u32(high)?,
            ))
        });
    Hir::class(Class::Unicode(ClassUnicode::new(ranges)))
}
