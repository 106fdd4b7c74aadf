//! Turns the syntax tree into the small steps that the backtracking matcher takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use memchr::memmem::Finder;

use super::charset::{CharSet, Fold};
use super::syntax::{Assertion, Greed, GroupKind, Node, Tree, UNBOUNDED, Written};

/// The index of a step.
pub(crate) type Id = u32;

/// How often something repeats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) min: u32,
    pub(crate) max: u32,
}

/// One step. A `body` ends in its own `Accept` unless it says otherwise.
#[derive(Debug)]
pub(crate) enum Step {
    /// The end of the pattern, or of a body.
    Accept,
    Set {
        set: usize,
        next: Id,
    },
    Literal {
        bytes: Box<[u8]>,
        next: Id,
    },
    Assert {
        what: Assertion,
        next: Id,
    },
    /// The end of the body of a look-behind: holds at the place of the look-behind only.
    BehindEnd {
        next: Id,
    },
    Grapheme {
        next: Id,
    },
    BackReference {
        group: usize,
        fold: Fold,
        next: Id,
    },
    Either {
        first: Id,
        second: Id,
    },
    GroupStart {
        local: usize,
        next: Id,
    },
    GroupEnd {
        local: usize,
        group: usize,
        next: Id,
    },
    SetRepeat {
        set: usize,
        count: Count,
        greed: Greed,
        /// Java's matcher notes the place of each character.
        notes: bool,
        next: Id,
    },
    /// A body that is not looked into again once it has matched. `optional`: without it is good too.
    Atomic {
        body: Id,
        optional: bool,
        next: Id,
    },
    Ahead {
        body: Id,
        negated: bool,
        next: Id,
    },
    Behind {
        body: Id,
        negated: bool,
        reach: (i32, i32),
        by_chars: bool,
        next: Id,
    },
    /// Something that is neither a character nor a group, or a possessive group. Every iteration is atomic.
    Repeat {
        body: Id,
        count: Count,
        greed: Greed,
        next: Id,
    },
    /// A group whose iterations can match in one way only.
    GroupRepeat {
        body: Id,
        count: Count,
        lazy: bool,
        group: Option<usize>,
        next: Id,
    },
    LoopStart {
        the_loop: Id,
    },
    /// The end of the body of a repeated group, which goes on here without an `Accept`. `began` is the local that holds
    /// where the iteration started; `memo`: where the body has failed before, it need not be tried again.
    Loop {
        body: Id,
        count: Count,
        lazy: bool,
        counter: usize,
        began: usize,
        memo: Option<usize>,
        next: Id,
    },
}

#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) steps: Vec<Step>,
    pub(crate) start: Id,
    pub(crate) sets: Vec<Arc<CharSet>>,
    /// How many positions and counters the loops need.
    pub(crate) locals: usize,
    pub(crate) memos: usize,
    /// The bytes that a match can start with, unless it can start with anything.
    pub(crate) first_bytes: Option<Box<[bool; 256]>>,
    /// A text without this has no match.
    pub(crate) required: Option<Finder<'static>>,
    /// A match starts at the start of the text.
    pub(crate) anchored: bool,
    /// A match does not start in the middle of a surrogate pair.
    pub(crate) by_chars: bool,
}

pub(crate) fn compile(tree: &Tree) -> Program {
    let memoize = !tree
        .root
        .any(&|node| matches!(node, Node::BackReference { .. }));
    compile_with(tree, memoize)
}

/// A program whose loops do not remember where they failed, as in Java before version 9.
pub(crate) fn compile_forgetful(tree: &Tree) -> Program {
    compile_with(tree, false)
}

fn compile_with(tree: &Tree, memoize: bool) -> Program {
    let mut compiler = Compiler {
        steps: vec![Step::Accept],
        sets: Vec::new(),
        known: BTreeMap::new(),
        locals: 0,
        memos: 0,
        memoize,
    };
    let start = compiler.node(&tree.root, 0);
    let leaks = tree.root.any(&leaks);
    Program {
        first_bytes: if leaks { None } else { first_bytes(&tree.root) },
        required: required(&tree.root).map(|literal| Finder::new(&literal).into_owned()),
        anchored: anchored(&tree.root),
        by_chars: tree.by_chars,
        steps: compiler.steps,
        start,
        sets: compiler.sets,
        locals: compiler.locals,
        memos: compiler.memos,
    }
}

struct Compiler {
    steps: Vec<Step>,
    sets: Vec<Arc<CharSet>>,
    /// The index of each of them.
    known: BTreeMap<Arc<CharSet>, usize>,
    locals: usize,
    memos: usize,
    /// Whether the loops at hand may remember where they failed.
    memoize: bool,
}

impl Compiler {
    fn push(&mut self, step: Step) -> Id {
        super::work::make(1);
        self.steps.push(step);
        (self.steps.len() - 1) as Id
    }

    fn set(&mut self, set: &Arc<CharSet>) -> usize {
        if let Some(index) = self.known.get(set) {
            return *index;
        }
        let index = self.sets.len();
        self.sets.push(Arc::clone(set));
        self.known.insert(Arc::clone(set), index);
        index
    }

    fn local(&mut self) -> usize {
        self.locals += 1;
        self.locals - 1
    }

    /// The steps of `node`, which go on at `next`.
    fn node(&mut self, node: &Node, next: Id) -> Id {
        match node {
            Node::Empty => next,
            Node::Set(set) => match set.single().and_then(char::from_u32) {
                Some(c) => self.literal(&[c], next),
                None => {
                    let set = self.set(set);
                    self.push(Step::Set { set, next })
                }
            },
            Node::Assert(what) => self.push(Step::Assert { what: *what, next }),
            Node::LineBreak => {
                let any = self.set(&super::property::escape('v', false));
                let second = self.push(Step::Set { set: any, next });
                let first = self.literal(&['\r', '\n'], next);
                self.push(Step::Either { first, second })
            }
            Node::Grapheme => self.push(Step::Grapheme { next }),
            &Node::BackReference { group, fold } => {
                self.push(Step::BackReference { group, fold, next })
            }
            Node::Concat(parts) => self.concat(parts, next),
            Node::Alternation(branches) => {
                let mut rest = None;
                for branch in branches.iter().rev() {
                    let first = self.node(branch, next);
                    rest = Some(match rest {
                        None => first,
                        Some(second) => self.push(Step::Either { first, second }),
                    });
                }
                rest.unwrap_or(next)
            }
            Node::Group { kind, body } => self.group(*kind, body, next),
            Node::Repeat {
                body,
                min,
                max,
                greed,
                written,
            } => self.repeat(
                body,
                Count {
                    min: *min,
                    max: *max,
                },
                *greed,
                *written,
                next,
            ),
        }
    }

    fn literal(&mut self, chars: &[char], next: Id) -> Id {
        let text: String = chars.iter().collect();
        self.push(Step::Literal {
            bytes: text.into_bytes().into(),
            next,
        })
    }

    fn concat(&mut self, parts: &[Node], mut next: Id) -> Id {
        let mut end = parts.len();
        while end > 0 {
            let run = parts[..end]
                .iter()
                .rev()
                .map_while(Node::single)
                .collect::<Vec<char>>();
            if run.is_empty() {
                end -= 1;
                next = self.node(&parts[end], next);
            } else {
                end -= run.len();
                next = self.literal(&run.into_iter().rev().collect::<Vec<char>>(), next);
            }
        }
        next
    }

    fn group(&mut self, kind: GroupKind, body: &Node, next: Id) -> Id {
        match kind {
            GroupKind::Plain => self.node(body, next),
            GroupKind::Capture(group) => {
                let local = self.local();
                let end = self.push(Step::GroupEnd { local, group, next });
                let next = self.node(body, end);
                self.push(Step::GroupStart { local, next })
            }
            GroupKind::Atomic => {
                let body = self.node(body, 0);
                self.push(Step::Atomic {
                    body,
                    optional: false,
                    next,
                })
            }
            GroupKind::Ahead { negated } => {
                let body = self.node(body, 0);
                self.push(Step::Ahead {
                    body,
                    negated,
                    next,
                })
            }
            GroupKind::Behind {
                negated,
                reach,
                by_chars,
            } => {
                let end = self.push(Step::BehindEnd { next: 0 });
                let body = self.node(body, end);
                self.push(Step::Behind {
                    body,
                    negated,
                    reach,
                    by_chars,
                    next,
                })
            }
        }
    }

    fn repeat(
        &mut self,
        atom: &Node,
        count: Count,
        greed: Greed,
        written: Written,
        next: Id,
    ) -> Id {
        if let Node::Set(set) = atom {
            let set = self.set(set);
            return self.push(Step::SetRepeat {
                set,
                count,
                greed,
                notes: greed != Greed::Greedy || written != Written::Symbol,
                next,
            });
        }
        let memoize = std::mem::replace(&mut self.memoize, false);
        let step = match atom {
            Node::Group {
                kind: GroupKind::Plain,
                body,
            } if greed != Greed::Possessive => {
                self.repeated_group(atom, None, body, count, greed, written, memoize, next)
            }
            Node::Group {
                kind: GroupKind::Capture(group),
                body,
            } if greed != Greed::Possessive => self.repeated_group(
                atom,
                Some(*group),
                body,
                count,
                greed,
                written,
                memoize,
                next,
            ),
            _ => {
                let body = self.node(atom, 0);
                match (written, greed) {
                    (Written::Question, Greed::Possessive) => self.push(Step::Atomic {
                        body,
                        optional: true,
                        next,
                    }),
                    (Written::Question, _) => {
                        let with = self.push(Step::Atomic {
                            body,
                            optional: false,
                            next,
                        });
                        self.choice(with, next, greed)
                    }
                    _ => self.push(Step::Repeat {
                        body,
                        count,
                        greed,
                        next,
                    }),
                }
            }
        };
        self.memoize = memoize;
        step
    }

    fn choice(&mut self, with: Id, without: Id, greed: Greed) -> Id {
        let (first, second) = if greed == Greed::Lazy {
            (without, with)
        } else {
            (with, without)
        };
        self.push(Step::Either { first, second })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one quantified group"
    )]
    fn repeated_group(
        &mut self,
        atom: &Node,
        group: Option<usize>,
        body: &Node,
        count: Count,
        greed: Greed,
        written: Written,
        memoize: bool,
        next: Id,
    ) -> Id {
        let lazy = greed == Greed::Lazy;
        if written == Written::Question {
            let with = self.node(atom, next);
            return self.choice(with, next, greed);
        }
        if body.is_deterministic() {
            let body = self.node(body, 0);
            return self.push(Step::GroupRepeat {
                body,
                count,
                lazy,
                group,
                next,
            });
        }
        let (counter, began) = (self.local(), self.local());
        let memo = (memoize && !lazy && count.max == UNBOUNDED).then(|| {
            self.memos += 1;
            self.memos - 1
        });
        let the_loop = self.push(Step::Accept);
        let end = match group {
            Some(group) => self.push(Step::GroupEnd {
                local: began,
                group,
                next: the_loop,
            }),
            None => the_loop,
        };
        let inside = self.node(body, end);
        let body = self.push(Step::GroupStart {
            local: began,
            next: inside,
        });
        self.steps[the_loop as usize] = Step::Loop {
            body,
            count,
            lazy,
            counter,
            began,
            memo,
            next,
        };
        self.push(Step::LoopStart { the_loop })
    }
}

/// Whether an attempt that fails at one place can leave a capture behind for the attempts at later places, as it does in
/// Java where a capture stands inside something that is not looked into again.
fn leaks(node: &Node) -> bool {
    match node {
        Node::Group {
            kind: GroupKind::Atomic | GroupKind::Ahead { .. } | GroupKind::Behind { .. },
            body,
        }
        | Node::Repeat {
            greed: Greed::Possessive,
            body,
            ..
        } => body.has_capture(),
        Node::Repeat { body, written, .. } => match &**body {
            Node::Group { body, .. } => {
                *written != Written::Question && body.has_capture() && body.is_deterministic()
            }
            _ => false,
        },
        _ => false,
    }
}

fn anchored(node: &Node) -> bool {
    match node {
        Node::Assert(Assertion::TextStart | Assertion::SearchStart) => true,
        Node::Concat(parts) => parts.first().is_some_and(anchored),
        Node::Alternation(branches) => branches.iter().all(anchored),
        Node::Group {
            kind: GroupKind::Capture(_) | GroupKind::Plain | GroupKind::Atomic,
            body,
        } => anchored(body),
        _ => false,
    }
}

/// The bytes that a match of `node` starts with; nothing if it can be empty.
fn first_bytes(node: &Node) -> Option<Box<[bool; 256]>> {
    let mut bytes = Box::new([false; 256]);
    add_first(node, &mut bytes)
        .then_some(bytes)
        .filter(|bytes| bytes.iter().any(|&byte| !byte))
}

/// Adds the first bytes of `node`; false if it can be empty, so that what follows counts too.
fn add_first(node: &Node, bytes: &mut [bool; 256]) -> bool {
    super::work::make(1);
    match node {
        Node::Set(set) => {
            for &(low, high) in set.ranges() {
                for c in low..=high.min(0x7F) {
                    bytes[c as usize] = true;
                }
                if high >= 0x80 {
                    let first = |c: u32| {
                        let c = char::from_u32(c).unwrap_or(if c < 0xE000 {
                            '\u{D7FF}'
                        } else {
                            '\u{10FFFF}'
                        });
                        c.encode_utf8(&mut [0; 4]).as_bytes()[0]
                    };
                    for byte in first(low.max(0x80))..=first(high) {
                        bytes[usize::from(byte)] = true;
                    }
                    // The lower half of a surrogate pair, in the middle of one.
                    if low <= 0xDFFF && high >= 0xDC00 {
                        bytes[0x80..0xC0].fill(true);
                    }
                }
            }
            true
        }
        Node::LineBreak => add_first(&Node::Set(super::property::escape('v', false)), bytes),
        Node::Concat(parts) => parts.iter().any(|part| add_first(part, bytes)),
        Node::Alternation(branches) => {
            let mut none_empty = true;
            for branch in branches {
                none_empty &= add_first(branch, bytes);
            }
            none_empty
        }
        Node::Group {
            kind: GroupKind::Capture(_) | GroupKind::Plain | GroupKind::Atomic,
            body,
        } => add_first(body, bytes),
        Node::Repeat { body, min, .. } => add_first(body, bytes) && *min > 0,
        Node::Empty | Node::Assert(_) | Node::Group { .. } => false,
        Node::BackReference { .. } => {
            bytes.fill(true);
            false
        }
        Node::Grapheme => {
            bytes.fill(true);
            true
        }
    }
}

/// The longest text that every match must hold.
fn required(node: &Node) -> Option<Vec<u8>> {
    super::work::make(1);
    let mut best = String::new();
    let mut keep = |candidate: String| {
        if candidate.len() > best.len() {
            best = candidate;
        }
    };
    match node {
        Node::Set(_) => keep(node.single().into_iter().collect()),
        Node::Concat(parts) => {
            let mut run = String::new();
            for part in parts {
                match part.single() {
                    Some(c) => run.push(c),
                    None => {
                        keep(std::mem::take(&mut run));
                        if let Some(inner) = required(part) {
                            keep(String::from_utf8(inner).unwrap_or_default());
                        }
                    }
                }
            }
            keep(run);
        }
        Node::Group {
            kind: GroupKind::Capture(_) | GroupKind::Plain | GroupKind::Atomic,
            body,
        } => {
            return required(body);
        }
        Node::Repeat { body, min, .. } if *min > 0 => return required(body),
        _ => {}
    }
    (!best.is_empty()).then(|| best.into_bytes())
}
