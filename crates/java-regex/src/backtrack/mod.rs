//! The matcher for everything that needs Java's own way of searching.
//!
//! It does in one loop with a stack of its own what Java does by recursion, and keeps three habits of Java that show in
//! the results: a capture made inside something atomic (a look-around, an atomic group, an iteration of a deterministic
//! group) stays when the match fails further on; a repeated group goes on with what follows it when an iteration is empty,
//! whatever its minimum; and a loop over a deterministic group writes its capture once more when all that follows it has
//! matched, over what later rounds of a loop around it have captured.

mod forward;
mod unwind;

use super::charset::CharSet;
use super::place::{Marks, is_inside_pair};
use super::program::{Count, Id, Program, Step};
use super::syntax::Greed;
use super::work;

/// The step budget was used up before the answer was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern took more steps on this text than the budget allows")]
pub struct BudgetExceeded;

/// A position that is not set.
const NONE: u32 = u32::MAX;

/// The most frames that a search may stack up: 40 megabytes.
const FRAMES: usize = 1 << 20;

/// What is kept from one search to the next, in frames and in words of 64 positions; more is given back.
const KEPT_FRAMES: usize = 1 << 10;
const KEPT_WORDS: usize = 1 << 13;

/// So many words that are made ready cost a step.
const WORDS_A_STEP: u64 = 8;

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
    /// How many steps the last search took.
    pub(super) steps: u64,
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

    /// Half a surrogate pair at either end of a group is left out, because UTF-8 has no form for it.
    fn leave_halves_out(&mut self, bytes: &[u8]) {
        for (start, end) in self.slots.iter_mut().filter(|slot| slot.0 != NONE) {
            if is_inside_pair(bytes, *start as usize) {
                *start += 2;
            }
            if is_inside_pair(bytes, *end as usize) {
                *end -= 2;
            }
            *end = (*end).max(*start);
        }
    }

    /// Gives back what a search needed beyond the usual.
    fn give_back(&mut self) {
        self.stack.clear();
        self.stack.shrink_to(KEPT_FRAMES);
        if self.memos.iter().map(Vec::capacity).sum::<usize>() > KEPT_WORDS {
            self.memos = Vec::new();
        }
    }

    pub(super) fn release(&mut self) {
        self.stack = Vec::new();
        self.memos = Vec::new();
    }

    /// The bytes of working memory that are kept.
    pub(super) fn kept(&self) -> usize {
        let memos = self.memos.iter().map(Vec::capacity).sum::<usize>();
        self.stack.capacity() * size_of::<Frame>() + memos * 8
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
    memory.steps = 0;
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
        last: 0,
        marks: Marks::new(),
    };
    let found = machine.search();
    let left = if found.is_err() { 0 } else { machine.left };
    let ascii = machine.ascii;
    memory.steps = budget - left;
    memory.give_back();
    if !ascii {
        memory.leave_halves_out(text.as_bytes());
    }
    found
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
    /// Where Java's matcher has noted the end of a part last.
    pub(super) last: u32,
    pub(super) marks: Marks,
}

impl Machine<'_> {
    /// Tries every place of the text until there is a match.
    fn search(&mut self) -> Result<bool, BudgetExceeded> {
        let program = self.program;
        let mut start = 0;
        loop {
            if let Some(first) = &program.first_bytes {
                let from = &self.bytes[start..];
                let skip = from.iter().position(|&byte| first[usize::from(byte)]);
                work::look(skip.unwrap_or(from.len()));
                match skip {
                    Some(skip) => start += skip,
                    None => return Ok(false),
                }
                self.spend(1)?;
            }
            if self.is_start(start)
                && let Some(end) = self.attempt(start as u32)?
            {
                self.memory.slots[0] = (start as u32, end);
                return Ok(true);
            }
            start += 1;
            if start > self.text.len() || program.anchored {
                return Ok(false);
            }
        }
    }

    /// Whether Java looks for a match here: at every character, and in the middle of a surrogate pair too unless the
    /// pattern has something that is looked for in pairs.
    #[inline]
    fn is_start(&self, pos: usize) -> bool {
        self.text.is_char_boundary(pos)
            || (!self.program.by_chars && pos >= 2 && self.bytes[pos - 2] >= 0xF0)
    }

    #[inline]
    pub(super) fn spend(&mut self, steps: u64) -> Result<(), BudgetExceeded> {
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
                        self.settle()?;
                        if self.base == NONE {
                            return Ok(Some(pos));
                        }
                        self.accept(pos)?
                    } else {
                        self.step(step, pos)?
                    }
                }
                Turn::Fail => match self.memory.stack.pop() {
                    None => return Ok(None),
                    Some(frame) => self.fail(frame)?,
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

    /// A run of characters of one set.
    #[expect(clippy::too_many_arguments, reason = "the fields of one step")]
    fn run(
        &mut self,
        id: Id,
        set: &CharSet,
        count: Count,
        greed: Greed,
        notes: bool,
        next: Id,
        pos: u32,
    ) -> Result<Turn, BudgetExceeded> {
        let mut at = pos;
        let mut done = 0;
        while done < count.min {
            match self.one(set, at) {
                Some(after) => at = after,
                None => {
                    self.note(notes && at > pos, at);
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
        self.note(notes && at > pos, at);
        self.spend(u64::from(at - pos) / 8)?;
        Ok(Turn::Go(next, at))
    }

    /// Notes the end of a part, as Java's matcher does for some kinds.
    #[inline]
    pub(super) fn note(&mut self, notes: bool, pos: u32) {
        if notes {
            self.last = pos;
        }
    }

    fn has_failed(&self, memo: usize, pos: u32) -> bool {
        let word = self.memory.memos[memo].get(pos as usize / 64);
        word.is_some_and(|word| word >> (pos % 64) & 1 == 1)
    }

    fn set_failed(&mut self, memo: usize, pos: u32) -> Result<(), BudgetExceeded> {
        let words = self.text.len() / 64 + 1;
        if self.memory.memos[memo].is_empty() {
            self.spend(words as u64 / WORDS_A_STEP)?;
            self.memory.memos[memo].resize(words, 0);
        }
        self.memory.memos[memo][pos as usize / 64] |= 1 << (pos % 64);
        Ok(())
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
