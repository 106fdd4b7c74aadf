//! From the syntax tree to steps, from the end to the beginning.

use super::first::{First, leads, stops};
use super::{Class, Direct, Id, Look, MAX_STEPS, Run, Start, Step};
use crate::charset::CharSet;
use crate::syntax::{Assertion, Greed, GroupKind, Node, UNBOUNDED};
use memchr::memmem::Finder;
use std::sync::Arc;

/// The steps of a sequence, behind which comes something that begins with `after`.
pub(super) fn compile(parts: &[Node], is_anchored: bool, after: First) -> Option<Direct> {
    let mut compiler = Compiler {
        steps: vec![Step::Match],
        classes: Vec::new(),
        looks: Vec::new(),
    };
    let entry = compiler.concat(parts, 0)?;
    let Compiler {
        mut steps,
        classes,
        looks,
    } = compiler;
    let begins = Begins::of(&steps, &classes, after);
    let texts: Vec<Option<Box<[u8]>>> = (0..steps.len())
        .map(|id| Some(literal(&steps, id as Id, MAX_PREFIX)?.into()))
        .collect();
    let mut row_count = 0;
    let rows = steps.iter().map(|step| {
        row_count += u32::from(matches!(step, Step::Either { .. } | Step::Run(_)));
        row_count.saturating_sub(1)
    });
    let rows = rows.collect();
    for step in &mut steps {
        match step {
            Step::Either {
                first,
                second,
                begins: known,
            } => *known = (begins.at(*first), begins.at(*second)),
            Step::Run(run) => {
                run.follow = begins.at(run.next);
                let inside = First::of(&classes[run.class].set);
                run.text = texts[run.next as usize].clone();
                run.is_sharp = inside.and(run.follow) == First::NOTHING;
            }
            _ => {}
        }
    }
    let begins = begins.at(entry);
    let start = match begins {
        _ if is_anchored => Start::Text,
        first if first.end => Start::Anywhere,
        first => match literal(&steps, entry, MAX_START) {
            Some(text) => Start::Literal(Box::new(Finder::new(text).into_owned())),
            None => Start::First(first),
        },
    };
    Some(Direct {
        steps,
        classes,
        looks,
        rows,
        row_count: row_count as usize,
        entry,
        start,
        begins,
    })
}

/// So much is compared of the text behind a run at each place where the run could end, and so much is searched for to find
/// the start of a match. Both are done often, and a longer text does not spare more.
const MAX_PREFIX: usize = 16;
const MAX_START: usize = 64;

/// A look-behind that may reach further back is left to the backtracking engine.
const MAX_BEHIND: u32 = 255;

/// The text that every match begins with, up to so many bytes.
fn literal(steps: &[Step], mut at: Id, most: usize) -> Option<&[u8]> {
    loop {
        match &steps[at as usize] {
            Step::Byte { byte, .. } => return Some(std::slice::from_ref(byte)),
            Step::Literal { text, .. } => return Some(&text[..text.len().min(most)]),
            Step::Save { next, .. } | Step::Assert { next, .. } | Step::Look { next, .. } => {
                at = *next;
            }
            _ => return None,
        }
    }
}

/// Characters are compared as one text if there are so many.
const MIN_TEXT: usize = 4;

/// A longer run is a step of its own.
const MAX_EACH: u32 = 16;

struct Compiler {
    steps: Vec<Step>,
    classes: Vec<Class>,
    looks: Vec<Look>,
}

impl Compiler {
    fn push(&mut self, step: Step) -> Option<Id> {
        crate::work::make(1 + self.classes.len());
        self.steps.push(step);
        let fits = self.steps.len() <= MAX_STEPS && self.classes.len() <= MAX_STEPS;
        fits.then(|| (self.steps.len() - 1) as Id)
    }

    fn class(&mut self, set: &Arc<CharSet>) -> usize {
        let known = self.classes.iter().position(|class| class.set == *set);
        known.unwrap_or_else(|| {
            let leads = leads(set);
            self.classes.push(Class {
                set: Arc::clone(set),
                leads,
                stops: stops(&leads),
            });
            self.classes.len() - 1
        })
    }

    fn literal(&mut self, text: &str, next: Id) -> Option<Id> {
        self.push(match *text.as_bytes() {
            [byte] => Step::Byte { byte, next },
            ref text => Step::Literal {
                text: text.into(),
                next,
            },
        })
    }

    fn each(&mut self, parts: &[Node], next: Id) -> Option<Id> {
        let sets = parts.iter().filter_map(each).flatten();
        let classes = sets.map(|set| self.class(set)).collect();
        self.push(Step::Each { classes, next })
    }

    /// A sequence; characters that stand side by side are one step.
    fn concat(&mut self, parts: &[Node], mut next: Id) -> Option<Id> {
        let mut parts = parts;
        while let Some((last, rest)) = parts.split_last() {
            let text = parts.iter().rev().map_while(Node::single).count();
            let fixed = parts.iter().rev().map_while(each).count();
            let run = if text == fixed || text >= MIN_TEXT {
                text
            } else {
                // Up to a text that is worth a step of its own.
                let ends = (1..=fixed).map(|end| &parts[..parts.len() - end]);
                let is_text = |parts: &[Node]| {
                    let text = parts.iter().rev().map_while(Node::single);
                    text.take(MIN_TEXT).count() >= MIN_TEXT
                };
                1 + ends
                    .take(fixed - 1)
                    .take_while(|parts| !is_text(parts))
                    .count()
            };
            if run == 0 {
                next = self.node(last, next)?;
                parts = rest;
                continue;
            }
            let (rest, run) = parts.split_at(parts.len() - run);
            next = if run.iter().all(|part| part.single().is_some()) {
                self.literal(
                    &run.iter().filter_map(Node::single).collect::<String>(),
                    next,
                )?
            } else {
                self.each(run, next)?
            };
            parts = rest;
        }
        Some(next)
    }

    fn either(&mut self, first: Id, second: Id) -> Option<Id> {
        self.push(Step::Either {
            first,
            second,
            begins: (First::ANYTHING, First::ANYTHING),
        })
    }

    fn node(&mut self, node: &Node, next: Id) -> Option<Id> {
        crate::work::make(1);
        match node {
            Node::Empty => Some(next),
            Node::Set(_) => self.concat(std::slice::from_ref(node), next),
            Node::Assert(what) if *what != Assertion::Cluster => {
                self.push(Step::Assert { what: *what, next })
            }
            Node::LineBreak => {
                let any = Node::Set(crate::property::escape('v', false));
                let any = self.node(&any, next)?;
                let pair = self.literal("\r\n", next)?;
                self.either(pair, any)
            }
            Node::Concat(parts) => self.concat(parts, next),
            Node::Alternation(branches) => {
                let mut rest = None;
                for branch in branches.iter().rev() {
                    let first = self.node(branch, next)?;
                    rest = Some(match rest {
                        None => first,
                        Some(second) => self.either(first, second)?,
                    });
                }
                Some(rest.unwrap_or(next))
            }
            Node::Group { kind, body } => match kind {
                GroupKind::Plain => self.node(body, next),
                GroupKind::Capture(group) => {
                    let slot = 2 * group;
                    let next = self.push(Step::Save {
                        slot: slot + 1,
                        next,
                    })?;
                    let next = self.node(body, next)?;
                    self.push(Step::Save { slot, next })
                }
                GroupKind::Ahead { negated } => self.look(body, *negated, None, next),
                GroupKind::Behind { negated, reach, .. } => {
                    let least = u32::try_from(reach.0).ok()?;
                    let most = u32::try_from(reach.1).ok()?;
                    if most > MAX_BEHIND {
                        return None;
                    }
                    self.look(body, *negated, Some((least, most)), next)
                }
                GroupKind::Atomic => None,
            },
            Node::Repeat {
                body,
                min,
                max,
                greed,
                ..
            } => self.repeat(body, *min, *max, *greed, next),
            Node::Assert(_) | Node::Grapheme | Node::BackReference { .. } => None,
        }
    }

    fn look(
        &mut self,
        body: &Node,
        negated: bool,
        behind: Option<(u32, u32)>,
        next: Id,
    ) -> Option<Id> {
        let entry = self.node(body, 0)?;
        self.looks.push(Look {
            entry,
            behind,
            negated,
            captures: body.has_capture(),
        });
        let look = self.looks.len() - 1;
        self.push(Step::Look { look, next })
    }

    fn repeat(&mut self, body: &Node, min: u32, max: u32, greed: Greed, next: Id) -> Option<Id> {
        let lazy = match greed {
            Greed::Greedy => false,
            Greed::Lazy => true,
            Greed::Possessive => return None,
        };
        if max == 0 {
            return Some(next);
        }
        if let Node::Set(set) = body {
            let class = self.class(set);
            return self.push(Step::Run(Run {
                class,
                min,
                max,
                lazy,
                is_sharp: false,
                follow: First::ANYTHING,
                text: None,
                next,
            }));
        }
        if matches!(body, Node::Empty) {
            return Some(next);
        }
        if max > 1 && matches!(body, Node::Assert(_)) {
            return None;
        }
        let fork = |this: &mut Self, with: Id| {
            if lazy {
                this.either(next, with)
            } else {
                this.either(with, next)
            }
        };
        let (mut entry, required) = if max >= UNBOUNDED {
            // The loop comes back to a fork that is made before the body.
            let place = self.push(Step::Match)?;
            let inside = self.node(body, place)?;
            let begins = (First::ANYTHING, First::ANYTHING);
            let (first, second) = if lazy { (next, inside) } else { (inside, next) };
            self.steps[place as usize] = Step::Either {
                first,
                second,
                begins,
            };
            if min > 0 {
                (inside, min - 1)
            } else {
                (place, 0)
            }
        } else {
            let mut entry = next;
            for _ in min..max {
                let inside = self.node(body, entry)?;
                if inside == entry {
                    break;
                }
                entry = fork(self, inside)?;
            }
            (entry, min)
        };
        for _ in 0..required {
            let inside = self.node(body, entry)?;
            // There is nothing in it, however often.
            if inside == entry {
                break;
            }
            entry = inside;
        }
        Some(entry)
    }
}

/// The sets of a part that is always of so many characters.
fn each(part: &Node) -> Option<impl Iterator<Item = &Arc<CharSet>>> {
    let (set, count) = match part {
        Node::Set(set) => (set, 1),
        // What is of one length gives nothing back, however greedy.
        Node::Repeat { body, min, max, .. } if min == max && (1..=MAX_EACH).contains(min) => {
            match body.as_ref() {
                Node::Set(set) => (set, *min),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(std::iter::repeat_n(set, count as usize))
}

/// How each step can begin.
struct Begins(Vec<First>);

impl Begins {
    fn of(steps: &[Step], classes: &[Class], after: First) -> Begins {
        let mut known = vec![None; steps.len()];
        // The first step is the end of the pattern.
        known[0] = Some(after);
        for id in 0..steps.len() {
            visit(id as Id, steps, classes, &mut known);
        }
        Begins(
            known
                .into_iter()
                .map(|first| first.unwrap_or(First::ANYTHING))
                .collect(),
        )
    }

    fn at(&self, id: Id) -> First {
        self.0[id as usize]
    }
}

fn visit(id: Id, steps: &[Step], classes: &[Class], known: &mut [Option<First>]) -> First {
    if let Some(first) = known[id as usize] {
        return first;
    }
    // Until it is known. A loop whose body can be empty does not get here.
    known[id as usize] = Some(First::ANYTHING);
    let first = match &steps[id as usize] {
        // Only the first step, and that is known.
        Step::Match => First::ANYTHING,
        Step::Byte { byte, .. } => First::byte(*byte),
        Step::Literal { text, .. } => First::byte(text[0]),
        Step::Each { classes: each, .. } => First::of(&classes[each[0]].set),
        Step::Run(run) => {
            let inside = First::of(&classes[run.class].set);
            if run.min > 0 {
                inside
            } else {
                inside.or(visit(run.next, steps, classes, known))
            }
        }
        Step::Either { first, second, .. } => {
            let first = visit(*first, steps, classes, known);
            first.or(visit(*second, steps, classes, known))
        }
        Step::Save { next, .. } | Step::Look { next, .. } => visit(*next, steps, classes, known),
        Step::Assert { what, next } => {
            let next = visit(*next, steps, classes, known);
            match what {
                Assertion::TextEnd => next.and(First::END),
                Assertion::LineEnd { .. } => {
                    let mut ends = First::END;
                    // The first bytes of all line terminators.
                    for byte in [b'\n', b'\r', 0xC2, 0xE2] {
                        ends.add(byte);
                    }
                    next.and(ends)
                }
                _ => next,
            }
        }
    };
    known[id as usize] = Some(first);
    first
}
