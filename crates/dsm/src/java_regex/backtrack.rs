//! The matcher for everything that needs Java's own way of searching.
//!
//! It does in one loop with a stack of its own what Java does by recursion, and keeps three habits of Java that show in
//! the results: a capture made inside something atomic (a look-around, an atomic group, an iteration of a deterministic
//! group) stays when the match fails further on; a repeated group goes on with what follows it when an iteration is empty,
//! whatever its minimum; and a loop over a deterministic group writes its capture once more when all that follows it has
//! matched, over what later rounds of a loop around it have captured.

use super::charset::CharSet;
use super::program::{Count, Id, Program, Step};
use super::syntax::Greed;

/// The step budget was used up before the answer was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern took more steps on this text than the budget allows")]
pub struct BudgetExceeded;

/// A position that is not set.
const NONE: u32 = u32::MAX;

/// The most frames that a search may stack up: 40 megabytes.
const FRAMES: usize = 1 << 20;

/// Where a round of a deterministic group stands.
#[derive(Clone, Copy, Debug)]
struct Rounds {
    /// The position, and how many rounds lead to it.
    pos: u32,
    count: u32,
    /// The length of a round in UTF-16 units, zero before the first. Java starts anew when it changes.
    width: u32,
    /// The count below which it does not go back, and the capture that holds there.
    floor: u32,
    saved: (u32, u32),
}

#[derive(Clone, Copy, Debug)]
enum Frame {
    /// Go on at another step.
    Resume { step: Id, pos: u32 },
    /// Put a capture back.
    Slot { group: u32, old: (u32, u32) },
    /// Put a counter or position of a loop back.
    Local { index: u32, old: u32 },
    /// A body is running for `step`.
    Body {
        step: Id,
        outer: u32,
        rounds: Rounds,
    },
    /// A greedy run of characters can give back down to `low`.
    GiveBack { step: Id, pos: u32, low: u32 },
    /// A lazy repetition can take one more.
    More { step: Id, pos: u32, count: u32 },
    /// A greedy loop over a deterministic group can go back a round.
    RoundBack { step: Id, rounds: Rounds },
    /// The same, while the loop runs anew with rounds of another length.
    RoundNested { step: Id, rounds: Rounds },
    /// The body of a loop has failed here.
    Failed { memo: u32, pos: u32 },
}

/// The working memory of searches; reuse it from one search to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    slots: Vec<(u32, u32)>,
    locals: Vec<u32>,
    stack: Vec<Frame>,
    memos: Vec<Vec<u64>>,
}

impl Memory {
    /// Takes over the groups of a search by other means.
    pub(super) fn set(
        &mut self,
        found: bool,
        groups: usize,
        group: impl Fn(usize) -> Option<(usize, usize)>,
    ) {
        self.slots.clear();
        if found {
            self.slots.extend((0..groups).map(|index| {
                group(index).map_or((NONE, NONE), |(start, end)| (start as u32, end as u32))
            }));
        }
    }

    pub(super) fn get(&self, group: usize) -> Option<(usize, usize)> {
        let &(start, end) = self.slots.get(group)?;
        (start != NONE).then_some((start as usize, end as usize))
    }
}

/// Like `Matcher.find()` on a fresh matcher.
pub(super) fn find(
    program: &Program,
    groups: usize,
    text: &str,
    memory: &mut Memory,
    budget: u64,
) -> Result<bool, BudgetExceeded> {
    memory.slots.clear();
    memory.slots.resize(groups + 1, (NONE, NONE));
    if text.len() >= NONE as usize / 2 {
        return Err(BudgetExceeded);
    }
    if let Some(required) = &program.required
        && required.find(text.as_bytes()).is_none()
    {
        return Ok(false);
    }
    memory.locals.clear();
    memory.locals.resize(program.locals, 0);
    memory.memos.iter_mut().for_each(Vec::clear);
    memory.memos.resize(program.memos, Vec::new());
    let mut machine = Machine {
        program,
        text,
        bytes: text.as_bytes(),
        ascii: text.is_ascii(),
        memory,
        base: NONE,
        left: budget,
    };
    let mut start = 0;
    loop {
        if let Some(first) = &program.first_bytes {
            let from = &machine.bytes[start..];
            match from.iter().position(|&byte| first[usize::from(byte)]) {
                Some(skip) => start += skip,
                None => return Ok(false),
            }
            machine.spend(1)?;
        }
        if text.is_char_boundary(start)
            && let Some(end) = machine.attempt(start as u32)?
        {
            machine.memory.slots[0] = (start as u32, end);
            return Ok(true);
        }
        start += 1;
        if start > text.len() || program.anchored {
            return Ok(false);
        }
    }
}

/// What to do next.
enum Turn {
    Go(Id, u32),
    Fail,
}

pub(super) struct Machine<'a> {
    program: &'a Program,
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) ascii: bool,
    pub(super) memory: &'a mut Memory,
    /// The innermost `Body` frame.
    base: u32,
    left: u64,
}

impl Machine<'_> {
    fn spend(&mut self, steps: u64) -> Result<(), BudgetExceeded> {
        self.left = self.left.checked_sub(steps).ok_or(BudgetExceeded)?;
        Ok(())
    }

    fn attempt(&mut self, start: u32) -> Result<Option<u32>, BudgetExceeded> {
        self.memory.stack.clear();
        self.base = NONE;
        let mut turn = Turn::Go(self.program.start, start);
        loop {
            self.spend(1)?;
            if self.memory.stack.len() > FRAMES {
                return Err(BudgetExceeded);
            }
            turn = match turn {
                Turn::Go(step, pos) => {
                    if matches!(self.program.steps[step as usize], Step::Accept) {
                        self.settle();
                        if self.base == NONE {
                            return Ok(Some(pos));
                        }
                        self.accept(pos)
                    } else {
                        self.step(step, pos)?
                    }
                }
                Turn::Fail => match self.memory.stack.pop() {
                    None => return Ok(None),
                    Some(frame) => self.fail(frame),
                },
            };
        }
    }

    fn push(&mut self, frame: Frame) {
        self.memory.stack.push(frame);
    }

    fn slot(&self, group: Option<usize>) -> (u32, u32) {
        group.map_or((NONE, NONE), |group| self.memory.slots[group])
    }

    fn set_slot(&mut self, group: Option<usize>, value: (u32, u32)) {
        if let Some(group) = group {
            self.memory.slots[group] = value;
        }
    }

    fn set_local(&mut self, index: usize, value: u32) {
        let old = std::mem::replace(&mut self.memory.locals[index], value);
        self.push(Frame::Local {
            index: index as u32,
            old,
        });
    }

    /// Starts the body of `step`.
    fn body(&mut self, step: Id, body: Id, rounds: Rounds, at: u32) -> Turn {
        let outer = self.base;
        self.base = self.memory.stack.len() as u32;
        self.push(Frame::Body {
            step,
            outer,
            rounds,
        });
        Turn::Go(body, at)
    }

    fn step(&mut self, id: Id, pos: u32) -> Result<Turn, BudgetExceeded> {
        let program = self.program;
        Ok(match program.steps[id as usize] {
            Step::Accept => Turn::Fail,
            Step::Set { set, next } => match self.one(&program.sets[set], pos) {
                Some(after) => Turn::Go(next, after),
                None => Turn::Fail,
            },
            Step::Literal { ref bytes, next } => {
                if self.bytes[pos as usize..].starts_with(bytes) {
                    Turn::Go(next, pos + bytes.len() as u32)
                } else {
                    Turn::Fail
                }
            }
            Step::Assert { what, next } => self.when(self.holds(what, pos as usize), next, pos),
            Step::BehindEnd { next } => {
                let place = match self.memory.stack.get(self.base as usize) {
                    Some(Frame::Body { rounds, .. }) => rounds.pos,
                    _ => NONE,
                };
                self.when(place == pos, next, pos)
            }
            Step::BackReference { group, fold, next } => {
                self.spend(
                    self.memory
                        .get(group)
                        .map_or(0, |(start, end)| (end - start) as u64 / 8),
                )?;
                match self.repeat_of(group, fold, pos) {
                    Some(after) => Turn::Go(next, after),
                    None => Turn::Fail,
                }
            }
            Step::Either { first, second } => {
                self.push(Frame::Resume { step: second, pos });
                Turn::Go(first, pos)
            }
            Step::GroupStart { local, next } => {
                self.set_local(local, pos);
                Turn::Go(next, pos)
            }
            Step::GroupEnd { local, group, next } => {
                let start = self.memory.locals[local];
                let old = std::mem::replace(&mut self.memory.slots[group], (start, pos));
                self.push(Frame::Slot {
                    group: group as u32,
                    old,
                });
                Turn::Go(next, pos)
            }
            Step::SetRepeat {
                set,
                count,
                greed,
                next,
            } => self.run(id, &program.sets[set], count, greed, next, pos)?,
            Step::Atomic { body, .. } | Step::Ahead { body, .. } => {
                self.body(id, body, rounds(pos, 0), pos)
            }
            Step::Behind {
                reach,
                negated,
                next,
                ..
            } => {
                let farthest = self.farthest(reach.1, pos);
                let nearest = u32::try_from(reach.0)
                    .ok()
                    .and_then(|least| self.back_chars(pos, least));
                match (nearest, farthest) {
                    // `count` is where the body starts, `floor` where it may start at the least.
                    (Some(at), Some(low)) if at >= low => self.behind(
                        id,
                        Rounds {
                            count: at,
                            floor: low,
                            ..rounds(pos, 0)
                        },
                    ),
                    _ => self.when(negated, next, pos),
                }
            }
            Step::Repeat {
                body,
                count,
                greed,
                next,
            } => {
                if count.min > 0 {
                    self.body(id, body, rounds(pos, 0), pos)
                } else {
                    self.repeat_on(id, body, count, greed, next, pos, 0)
                }
            }
            Step::GroupRepeat {
                body, count, group, ..
            } => {
                if let Some(group) = group {
                    let old = self.memory.slots[group];
                    self.push(Frame::Slot {
                        group: group as u32,
                        old,
                    });
                }
                if count.min > 0 {
                    self.body(id, body, rounds(pos, 0), pos)
                } else {
                    self.rounds_on(id, pos, 0)
                }
            }
            Step::LoopStart { the_loop } => {
                let Step::Loop {
                    body,
                    count,
                    lazy,
                    counter,
                    next,
                    ..
                } = program.steps[the_loop as usize]
                else {
                    return Ok(Turn::Fail);
                };
                if count.min == 0 && count.max == 0 {
                    return Ok(Turn::Go(next, pos));
                }
                if count.min == 0 && lazy {
                    self.push(Frame::More {
                        step: id,
                        pos,
                        count: 0,
                    });
                    return Ok(Turn::Go(next, pos));
                }
                if count.min == 0 {
                    self.push(Frame::Resume { step: next, pos });
                }
                self.set_local(counter, 1);
                Turn::Go(body, pos)
            }
            Step::Loop {
                body,
                count,
                lazy,
                counter,
                began,
                memo,
                next,
            } => {
                let done = self.memory.locals[counter];
                // An empty iteration ends the loop, whatever the minimum.
                if pos <= self.memory.locals[began] || (done >= count.min && done >= count.max) {
                    return Ok(Turn::Go(next, pos));
                }
                if done >= count.min {
                    if lazy {
                        self.push(Frame::More {
                            step: id,
                            pos,
                            count: done,
                        });
                        return Ok(Turn::Go(next, pos));
                    }
                    if let Some(memo) = memo {
                        if self.has_failed(memo, pos) {
                            return Ok(Turn::Go(next, pos));
                        }
                        self.push(Frame::Resume { step: next, pos });
                        self.push(Frame::Failed {
                            memo: memo as u32,
                            pos,
                        });
                    } else {
                        self.push(Frame::Resume { step: next, pos });
                    }
                }
                self.set_local(counter, done + 1);
                Turn::Go(body, pos)
            }
        })
    }

    fn when(&self, holds: bool, next: Id, pos: u32) -> Turn {
        if holds {
            Turn::Go(next, pos)
        } else {
            Turn::Fail
        }
    }

    /// A body has matched up to `last`.
    fn accept(&mut self, last: u32) -> Turn {
        let at = self.base as usize;
        self.memory.stack.truncate(at + 1);
        let Some(Frame::Body {
            step,
            outer,
            rounds,
        }) = self.memory.stack.pop()
        else {
            return Turn::Fail;
        };
        self.base = outer;
        match self.program.steps[step as usize] {
            Step::Atomic { next, .. } => Turn::Go(next, last),
            Step::Ahead { negated, next, .. } | Step::Behind { negated, next, .. } => {
                self.when(!negated, next, rounds.pos)
            }
            Step::Repeat {
                body,
                count,
                greed,
                next,
            } => {
                let done = rounds.count + 1;
                if done < count.min {
                    self.body(
                        step,
                        body,
                        Rounds {
                            pos: last,
                            count: done,
                            ..rounds
                        },
                        last,
                    )
                } else if done > count.min && last == rounds.pos {
                    // An empty round beyond the minimum. A greedy loop has already stacked up going on from here.
                    if greed == Greed::Possessive {
                        Turn::Go(next, last)
                    } else {
                        Turn::Fail
                    }
                } else {
                    self.repeat_on(step, body, count, greed, next, last, done)
                }
            }
            Step::GroupRepeat {
                body,
                count,
                lazy,
                group,
                next,
            } => {
                let done = rounds.count + 1;
                if done <= count.min {
                    self.set_slot(group, (rounds.pos, last));
                    return if done < count.min {
                        self.body(
                            step,
                            body,
                            Rounds {
                                pos: last,
                                count: done,
                                ..rounds
                            },
                            last,
                        )
                    } else {
                        self.rounds_on(step, last, done)
                    };
                }
                if lazy {
                    if last == rounds.pos {
                        return Turn::Fail;
                    }
                    self.set_slot(group, (rounds.pos, last));
                    return self.rounds_on(step, last, done);
                }
                let width = self.utf16(rounds.pos, last);
                if rounds.width == 0 && width == 0 {
                    return Turn::Go(next, last);
                }
                if rounds.width != 0 && rounds.width != width {
                    self.push(Frame::RoundNested { step, rounds });
                    return self.rounds_on(step, rounds.pos, rounds.count);
                }
                self.set_slot(group, (rounds.pos, last));
                let rounds = Rounds {
                    pos: last,
                    count: done,
                    width,
                    ..rounds
                };
                if done >= count.max {
                    self.rounds_done(step, rounds, next)
                } else {
                    self.body(step, body, rounds, last)
                }
            }
            _ => Turn::Fail,
        }
    }

    /// What a frame says to do when what came after it has failed.
    fn fail(&mut self, frame: Frame) -> Turn {
        match frame {
            Frame::Resume { step, pos } => Turn::Go(step, pos),
            Frame::Slot { group, old } => {
                self.memory.slots[group as usize] = old;
                Turn::Fail
            }
            Frame::Local { index, old } => {
                self.memory.locals[index as usize] = old;
                Turn::Fail
            }
            Frame::Failed { memo, pos } => {
                self.set_failed(memo as usize, pos);
                Turn::Fail
            }
            Frame::GiveBack { step, pos, low } => {
                let Step::SetRepeat { next, .. } = self.program.steps[step as usize] else {
                    return Turn::Fail;
                };
                let pos = self.back_char(pos);
                if pos > low {
                    self.push(Frame::GiveBack { step, pos, low });
                }
                Turn::Go(next, pos)
            }
            Frame::More {
                step,
                pos,
                count: done,
            } => match self.program.steps[step as usize] {
                Step::SetRepeat {
                    set, count, next, ..
                } => match self.one(&self.program.sets[set], pos) {
                    Some(after) => {
                        if done + 1 < count.max {
                            self.push(Frame::More {
                                step,
                                pos: after,
                                count: done + 1,
                            });
                        }
                        Turn::Go(next, after)
                    }
                    None => Turn::Fail,
                },
                Step::Repeat { body, count, .. } | Step::GroupRepeat { body, count, .. } => {
                    if done >= count.max {
                        return Turn::Fail;
                    }
                    self.body(step, body, rounds(pos, done), pos)
                }
                Step::LoopStart { the_loop } => match self.program.steps[the_loop as usize] {
                    Step::Loop { body, counter, .. } => {
                        self.set_local(counter, 1);
                        Turn::Go(body, pos)
                    }
                    _ => Turn::Fail,
                },
                Step::Loop { body, counter, .. } => {
                    self.set_local(counter, done + 1);
                    Turn::Go(body, pos)
                }
                _ => Turn::Fail,
            },
            Frame::RoundBack { step, rounds } | Frame::RoundNested { step, rounds } => {
                let Step::GroupRepeat { group, next, .. } = self.program.steps[step as usize]
                else {
                    return Turn::Fail;
                };
                let pos = self.back_units(rounds.pos, rounds.width);
                let rounds = Rounds {
                    pos,
                    count: rounds.count - 1,
                    ..rounds
                };
                if rounds.count > rounds.floor {
                    self.set_slot(group, (self.back_units(pos, rounds.width), pos));
                    self.push(Frame::RoundBack { step, rounds });
                } else {
                    self.set_slot(group, rounds.saved);
                }
                Turn::Go(next, pos)
            }
            Frame::Body {
                step,
                outer,
                rounds,
            } => {
                self.base = outer;
                match self.program.steps[step as usize] {
                    Step::Atomic { optional, next, .. } => self.when(optional, next, rounds.pos),
                    Step::Ahead { negated, next, .. } => self.when(negated, next, rounds.pos),
                    Step::Behind { negated, next, .. } => {
                        if rounds.count <= rounds.floor {
                            return self.when(negated, next, rounds.pos);
                        }
                        self.behind(
                            step,
                            Rounds {
                                count: self.back_char(rounds.count),
                                ..rounds
                            },
                        )
                    }
                    Step::Repeat {
                        count, greed, next, ..
                    } => self.when(
                        greed == Greed::Possessive && rounds.count >= count.min,
                        next,
                        rounds.pos,
                    ),
                    Step::GroupRepeat {
                        count, lazy, next, ..
                    } => {
                        if rounds.count < count.min || lazy {
                            Turn::Fail
                        } else if rounds.width == 0 {
                            Turn::Go(next, rounds.pos)
                        } else {
                            self.rounds_done(step, rounds, next)
                        }
                    }
                    _ => Turn::Fail,
                }
            }
        }
    }

    /// Before the answer leaves a body or the pattern: the loops over deterministic groups write their captures again,
    /// the innermost first.
    fn settle(&mut self) {
        let from = if self.base == NONE {
            0
        } else {
            self.base as usize
        };
        for index in (from..self.memory.stack.len()).rev() {
            if let Frame::RoundBack { step, rounds } = self.memory.stack[index]
                && let Step::GroupRepeat {
                    group: Some(group), ..
                } = self.program.steps[step as usize]
            {
                self.memory.slots[group] = (self.back_units(rounds.pos, rounds.width), rounds.pos);
            }
        }
    }

    fn behind(&mut self, id: Id, rounds: Rounds) -> Turn {
        match self.program.steps[id as usize] {
            Step::Behind { body, .. } => self.body(id, body, rounds, rounds.count),
            _ => Turn::Fail,
        }
    }

    /// A repetition of something that is neither a character nor a group, beyond its minimum.
    #[expect(clippy::too_many_arguments, reason = "the fields of one step")]
    fn repeat_on(
        &mut self,
        id: Id,
        body: Id,
        count: Count,
        greed: Greed,
        next: Id,
        pos: u32,
        done: u32,
    ) -> Turn {
        if greed == Greed::Lazy {
            self.push(Frame::More {
                step: id,
                pos,
                count: done,
            });
            return Turn::Go(next, pos);
        }
        if done >= count.max {
            return Turn::Go(next, pos);
        }
        if greed == Greed::Greedy {
            self.push(Frame::Resume { step: next, pos });
        }
        self.body(id, body, rounds(pos, done), pos)
    }

    /// A loop over a deterministic group, beyond its minimum.
    fn rounds_on(&mut self, id: Id, pos: u32, done: u32) -> Turn {
        let Step::GroupRepeat {
            body,
            count,
            lazy,
            group,
            next,
        } = self.program.steps[id as usize]
        else {
            return Turn::Fail;
        };
        if lazy {
            self.push(Frame::More {
                step: id,
                pos,
                count: done,
            });
            return Turn::Go(next, pos);
        }
        if done >= count.max {
            return Turn::Go(next, pos);
        }
        let rounds = Rounds {
            floor: done,
            saved: self.slot(group),
            ..rounds(pos, done)
        };
        self.body(id, body, rounds, pos)
    }

    fn rounds_done(&mut self, step: Id, rounds: Rounds, next: Id) -> Turn {
        self.push(Frame::RoundBack { step, rounds });
        Turn::Go(next, rounds.pos)
    }

    /// A run of characters of one set.
    fn run(
        &mut self,
        id: Id,
        set: &CharSet,
        count: Count,
        greed: Greed,
        next: Id,
        pos: u32,
    ) -> Result<Turn, BudgetExceeded> {
        let mut at = pos;
        let mut done = 0;
        while done < count.min {
            match self.one(set, at) {
                Some(after) => at = after,
                None => {
                    self.spend(u64::from(at - pos) / 8)?;
                    return Ok(Turn::Fail);
                }
            }
            done += 1;
        }
        let low = at;
        if greed == Greed::Lazy {
            if done < count.max {
                self.push(Frame::More {
                    step: id,
                    pos: at,
                    count: done,
                });
            }
        } else {
            while done < count.max {
                match self.one(set, at) {
                    Some(after) => at = after,
                    None => break,
                }
                done += 1;
            }
            if greed == Greed::Greedy && at > low {
                self.push(Frame::GiveBack {
                    step: id,
                    pos: at,
                    low,
                });
            }
        }
        self.spend(u64::from(at - pos) / 8)?;
        Ok(Turn::Go(next, at))
    }

    fn has_failed(&self, memo: usize, pos: u32) -> bool {
        let word = self.memory.memos[memo].get(pos as usize / 64);
        word.is_some_and(|word| word >> (pos % 64) & 1 == 1)
    }

    fn set_failed(&mut self, memo: usize, pos: u32) {
        let words = self.text.len() / 64 + 1;
        let bits = &mut self.memory.memos[memo];
        if bits.is_empty() {
            bits.resize(words, 0);
        }
        bits[pos as usize / 64] |= 1 << (pos % 64);
    }
}

fn rounds(pos: u32, count: u32) -> Rounds {
    Rounds {
        pos,
        count,
        width: 0,
        floor: 0,
        saved: (NONE, NONE),
    }
}
