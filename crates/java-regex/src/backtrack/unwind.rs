//! Going back: what is done with what was left for later, when a part matched and when it did not.

use super::{BudgetExceeded, Frame, Machine, NONE, Rounds, Turn, rounds};
use crate::program::{Id, Step};
use crate::syntax::Greed;

impl Machine<'_> {
    /// A body has matched up to `last`.
    pub(super) fn accept(&mut self, last: u32) -> Result<Turn, BudgetExceeded> {
        let at = self.base as usize;
        self.memory.stack.truncate(at + 1);
        let Some(Frame::Body {
            step,
            outer,
            rounds,
        }) = self.memory.stack.pop()
        else {
            return Ok(Turn::Fail);
        };
        self.base = outer;
        let is_behind = matches!(self.program.steps[step as usize], Step::Behind { .. });
        self.note(!is_behind, last);
        Ok(match self.program.steps[step as usize] {
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
                    return Ok(if done < count.min {
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
                    });
                }
                if lazy {
                    if last == rounds.pos {
                        return Ok(Turn::Fail);
                    }
                    self.set_slot(group, (rounds.pos, last));
                    return Ok(self.rounds_on(step, last, done));
                }
                let width = self.utf16(rounds.pos, last)?;
                if rounds.width == 0 && width == 0 {
                    return Ok(Turn::Go(next, last));
                }
                if rounds.width != 0 && rounds.width != width {
                    self.push(Frame::RoundNested { step, rounds });
                    return Ok(self.rounds_on(step, rounds.pos, rounds.count));
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
        })
    }

    /// What a frame says to do when what came after it has failed.
    pub(super) fn fail(&mut self, frame: Frame) -> Result<Turn, BudgetExceeded> {
        Ok(match frame {
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
                self.set_failed(memo as usize, pos)?;
                Turn::Fail
            }
            Frame::GiveBack { step, pos, low } => {
                let Step::SetRepeat { next, .. } = self.program.steps[step as usize] else {
                    return Ok(Turn::Fail);
                };
                // Not back to the upper half of a pair, when the run began with the lower half.
                let pos = self.back_char(pos).max(low);
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
                        self.note(true, after);
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
                        return Ok(Turn::Fail);
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
                    return Ok(Turn::Fail);
                };
                let pos = self.back_units(rounds.pos, rounds.width)?;
                let rounds = Rounds {
                    pos,
                    count: rounds.count - 1,
                    ..rounds
                };
                if rounds.count > rounds.floor {
                    let start = self.back_units(pos, rounds.width)?;
                    self.set_slot(group, (start, pos));
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
                    Step::Behind {
                        negated,
                        by_chars,
                        next,
                        ..
                    } => {
                        if rounds.count <= rounds.floor {
                            return Ok(self.when(negated, next, rounds.pos));
                        }
                        let before = if by_chars {
                            self.back_char(rounds.count)
                        } else {
                            self.back_unit(rounds.count)
                        };
                        self.behind(
                            step,
                            Rounds {
                                count: before,
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
        })
    }

    /// Before the answer leaves a body or the pattern: the loops over deterministic groups write their captures again,
    /// the innermost first.
    pub(super) fn settle(&mut self) -> Result<(), BudgetExceeded> {
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
                let start = self.back_units(rounds.pos, rounds.width)?;
                self.memory.slots[group] = (start, rounds.pos);
            }
        }
        Ok(())
    }

    pub(super) fn rounds_done(&mut self, step: Id, rounds: Rounds, next: Id) -> Turn {
        self.push(Frame::RoundBack { step, rounds });
        Turn::Go(next, rounds.pos)
    }
}
