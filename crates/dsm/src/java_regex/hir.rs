//! Hands a pattern to the linear-time engine, where that engine gives Java's result for certain.
//!
//! What decides is not whether the engine can express a construct but whether every capture comes out as in Java. A few
//! assertions are taken over under a condition on the text; a text that does not meet it goes to the backtracking matcher.

use std::fmt;

use regex_automata::meta;
use regex_syntax::hir::{Capture, Class, ClassUnicode, ClassUnicodeRange, Hir, Look, Repetition};

use super::charset::CharSet;
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
    /// The linear engine would need too much memory, as for `\w{1000}{1000}`.
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
pub(super) struct Linear {
    pub(super) regex: meta::Regex,
    needs: Needs,
}

impl Linear {
    /// Whether the linear engine gives Java's result on this text.
    pub(super) fn takes(&self, text: &str) -> bool {
        let Needs {
            ascii,
            open_end,
            plain_lines,
        } = self.needs;
        let ends = |c: char| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
        (!ascii || text.is_ascii())
            && (!open_end || !text.ends_with(ends))
            && (!plain_lines
                || (!text.is_empty()
                    && !text.ends_with('\n')
                    && text.is_ascii()
                    && memchr::memchr(b'\r', text.as_bytes()).is_none()))
    }
}

/// The pattern in the linear engine, or why not.
pub(super) fn build(tree: &Tree) -> Result<Linear, Vec<Reason>> {
    let mut translator = Translator {
        needs: Needs::default(),
        reasons: Vec::new(),
    };
    let hir = translator.node(&tree.root, false);
    let Translator { needs, mut reasons } = translator;
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
    Ok(Linear { regex, needs })
}

struct Translator {
    needs: Needs,
    reasons: Vec<Reason>,
}

impl Translator {
    fn refuse(&mut self, reason: Reason) -> Hir {
        self.reasons.push(reason);
        Hir::empty()
    }

    /// `repeated`: some repetition is around the node.
    fn node(&mut self, node: &Node, repeated: bool) -> Hir {
        match node {
            Node::Empty => Hir::empty(),
            Node::Set(set) => class(set),
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
            Node::Alternation(branches) => Hir::alternation(
                branches
                    .iter()
                    .map(|branch| self.node(branch, repeated))
                    .collect(),
            ),
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

    fn assertion(&mut self, what: Assertion) -> Hir {
        Hir::look(match what {
            Assertion::TextStart => Look::Start,
            Assertion::TextEnd => Look::End,
            Assertion::SearchStart => return self.refuse(Reason::SearchStart),
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
    match node {
        Node::Set(_) | Node::LineBreak => false,
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
