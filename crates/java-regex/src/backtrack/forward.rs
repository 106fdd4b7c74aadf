//! Going on: what a step of the program does at a place of the text.

use super::{BudgetExceeded, Frame, Machine, NONE, Rounds, Turn, rounds};
use crate::program::{Count, Id, Step};
use crate::syntax::Greed;
use crate::work;

impl Machine<'_> {
    pub(super) fn step(&mut self, id: Id, pos: u32) -> Result<Turn, BudgetExceeded> {
        let program = self.program;
        Ok(match program.steps[id as usize] {
            Step::Accept => Turn::Fail,
            Step::Set { set, next } => match self.one(&program.sets[set], pos) {
                Some(after) => Turn::Go(next, after),
                None => Turn::Fail,
            },
            Step::Literal { ref bytes, next } => {
                work::look(bytes.len());
                self.spend_on(bytes.len())?;
                if self.bytes[pos as usize..].starts_with(bytes) {
                    Turn::Go(next, pos + bytes.len() as u32)
                } else {
                    Turn::Fail
                }
            }
            Step::Assert { what, next } => {
                let holds = self.holds(what, pos)?;
                self.when(holds, next, pos)
            }
            Step::Grapheme { next } => match self.cluster_end(pos)? {
                Some(end) => Turn::Go(next, end),
                None => Turn::Fail,
            },
            Step::BehindEnd { next } => {
                let place = match self.memory.stack.get(self.base as usize) {
                    Some(Frame::Body { rounds, .. }) => rounds.pos,
                    _ => NONE,
                };
                self.when(place == pos, next, pos)
            }
            Step::BackReference { group, fold, next } => match self.repeat_of(group, fold, pos)? {
                Some(after) => Turn::Go(next, after),
                None => Turn::Fail,
            },
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
                notes,
                next,
            } => self.run(id, &program.sets[set], count, greed, notes, next, pos)?,
            Step::Atomic { body, .. } | Step::Ahead { body, .. } => {
                self.body(id, body, rounds(pos, 0), pos)
            }
            Step::Behind {
                reach,
                negated,
                by_chars,
                next,
                ..
            } => match self.starts_behind(reach, by_chars, pos)? {
                // `count` is where the body starts, `floor` where it may start at the least.
                Some((nearest, farthest)) => self.behind(
                    id,
                    Rounds {
                        count: nearest,
                        floor: farthest,
                        ..rounds(pos, 0)
                    },
                ),
                None => self.when(negated, next, pos),
            },
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

    pub(super) fn when(&self, holds: bool, next: Id, pos: u32) -> Turn {
        if holds {
            Turn::Go(next, pos)
        } else {
            Turn::Fail
        }
    }

    pub(super) fn behind(&mut self, id: Id, rounds: Rounds) -> Turn {
        match self.program.steps[id as usize] {
            Step::Behind { body, .. } => self.body(id, body, rounds, rounds.count),
            _ => Turn::Fail,
        }
    }

    /// A repetition of something that is neither a character nor a group, beyond its minimum.
    #[expect(clippy::too_many_arguments, reason = "the fields of one step")]
    pub(super) fn repeat_on(
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
    pub(super) fn rounds_on(&mut self, id: Id, pos: u32, done: u32) -> Turn {
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

    /// Starts the body of `step`.
    pub(super) fn body(&mut self, step: Id, body: Id, rounds: Rounds, at: u32) -> Turn {
        let outer = self.base;
        self.base = self.memory.stack.len() as u32;
        self.push(Frame::Body {
            step,
            outer,
            rounds,
        });
        Turn::Go(body, at)
    }
}
