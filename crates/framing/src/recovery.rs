//! What becomes of a JSON value that broke off, or is longer than the limit.

use super::fault::FaultKind;
use super::lexer::{Brackets, Found};
use super::machine::State;
use super::{Array, Frame, Span, Splitter};
use memchr::memchr;

/// A part of the input that was taken for the rest of a value, and is read anew. The values in it that are not closed
/// are in [`Splitter::paused`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Region {
    /// Offset in the input.
    pub(super) end: u64,
    /// The value was too long, so those in it that are not closed may end later on.
    goes_on: bool,
}

impl Splitter {
    /// Whether the value `start` bytes from here must end on its line. Of a value that begins a line in a region it is
    /// known whether it ends. Any other value may turn out to be broken after its lines were read twice, and they are not
    /// read a third time for another one.
    pub(super) fn must_end_on_its_line(&self, start: usize) -> bool {
        let begins_a_line = self.at_line_start && start == 0;
        !begins_a_line && self.offset() + (start as u64) < self.read_twice
    }

    /// Hands out a value of one line that broke off.
    pub(super) fn broken_line(
        &mut self,
        start: usize,
        end: usize,
        sink: &mut impl FnMut(Frame<'_>),
    ) {
        self.settle(start);
        self.fault(FaultKind::Truncated, sink);
        self.leave_array();
        self.hand_out_line(end - start, sink);
        self.state = State::BETWEEN;
    }

    /// Hands out a value of several lines that broke off, up to the first line in it that begins a value.
    pub(super) fn broken(&mut self, start: usize, end: usize, sink: &mut impl FnMut(Frame<'_>)) {
        self.settle(start);
        self.fault(FaultKind::Truncated, sink);
        let length = self.enter_region(end - start, false);
        self.hand_out_line(length, sink);
        self.state = State::BETWEEN;
    }

    /// Leaves out the part of an envelope behind its array as far as [`broken`](Self::broken) would hand it out.
    pub(super) fn broken_tail(&mut self, end: usize, sink: &mut impl FnMut(Frame<'_>)) {
        self.fault(FaultKind::Unclosed, sink);
        let length = self.enter_region(end, false);
        self.consume(length, Span::Fault);
        self.state = State::BETWEEN;
    }

    /// The limit is reached and the present payload does not end. This is the only place where the limit of a JSON value
    /// is enforced.
    pub(super) fn over_limit(&mut self, sink: &mut impl FnMut(Frame<'_>)) {
        match self.state {
            // What stands before the value does not count.
            State::Value { start: start @ 1.. } => {
                self.settle(start);
                self.brackets.is_not_text();
                self.state = State::Value { start: 0 };
            }
            State::Lines { start: start @ 1.. } => {
                self.settle(start);
                self.state = State::Lines { start: 0 };
            }
            // Nor does white space in an array of payloads.
            State::Value { .. } if self.brackets.is_at_list() => {
                self.envelope(0, self.brackets.at, sink);
            }
            State::Lines { .. } | State::Tail if self.grammar.is_at_list() => {
                self.envelope(0, self.grammar.at(), sink);
            }
            State::Lines { .. } if self.grammar.first().is_some() => self.divide(sink),
            _ if self.in_pieces => self.first_piece(sink),
            State::Value { .. } => {
                let brackets = self.brackets.within();
                self.leave_out(self.brackets.at, brackets, true, sink);
            }
            _ => {
                let brackets = self.grammar.brackets();
                self.leave_out(self.grammar.at(), brackets, false, sink);
            }
        }
    }

    /// Leaves out a value that was looked at up to a position.
    fn leave_out(
        &mut self,
        at: usize,
        brackets: Brackets,
        is_line: bool,
        sink: &mut impl FnMut(Frame<'_>),
    ) {
        self.fault(FaultKind::TooLong { limit: self.limit }, sink);
        self.consume(at, Span::Fault);
        self.brackets = brackets;
        self.state = State::SkipValue { is_line };
    }

    /// Hands out the beginning of a value that is too long; the rest follows in pieces.
    fn first_piece(&mut self, sink: &mut impl FnMut(Frame<'_>)) {
        self.fault(FaultKind::InPieces { limit: self.limit }, sink);
        let is_line = matches!(self.state, State::Value { .. });
        if !is_line {
            self.brackets = self.grammar.brackets();
            self.brackets.at = self.grammar.at();
        }
        if matches!(self.state, State::Tail) {
            self.in_envelope = false;
        }
        self.state = State::LongValue { is_line };
        self.piece(sink);
    }

    /// Hands out a piece of a value that is too long and was looked at up to the limit.
    fn piece(&mut self, sink: &mut impl FnMut(Frame<'_>)) {
        let seen = self.brackets.at.clamp(1, self.limit);
        let length = whole_characters(&self.rest()[..self.rest().len().min(seen)]);
        self.brackets = self.brackets.behind(length);
        self.hand_out_line(length, sink);
    }

    /// In a value that is too long, behind the first piece. Of several lines, it ends before a line that begins with what
    /// could be a payload, as one that is left out does.
    pub(super) fn long_value(
        &mut self,
        is_line: bool,
        last: bool,
        sink: &mut impl FnMut(Frame<'_>),
    ) -> bool {
        let rest = &self.buffer[self.done..];
        let held = rest.len();
        let window = &rest[..held.min(self.limit)];
        let end = match self.brackets.advance(window, &mut self.looks) {
            Found::End(end) => end,
            Found::Cut(end) => {
                self.leave_array();
                end
            }
            Found::LineBreak(at) => match rest.get(at + 1) {
                None if !last && !is_line => return false,
                Some(byte) if !is_line && goes_on(*byte) => {
                    self.brackets.at = at + 1;
                    return true;
                }
                _ => {
                    self.leave_array();
                    at + 1
                }
            },
            _ if held >= self.limit => {
                self.piece(sink);
                return true;
            }
            _ if last => {
                self.leave_array();
                held
            }
            _ => return false,
        };
        self.hand_out_line(end, sink);
        self.state = State::BETWEEN;
        true
    }

    /// In a line that is too long, behind the first piece.
    pub(super) fn long_line(
        &mut self,
        at: usize,
        last: bool,
        sink: &mut impl FnMut(Frame<'_>),
    ) -> bool {
        let rest = &self.buffer[self.done..];
        let window = &rest[..rest.len().min(self.limit)];
        let end = memchr(b'\n', window.get(at..).unwrap_or_default());
        let seen = end.map_or(window.len(), |length| at + length + 1);
        self.looks += (seen - at.min(seen)) as u64;
        let is_full = window.len() == self.limit;
        if end.is_none() && !is_full && !last {
            self.state = State::LongLine { at: seen };
            return false;
        }
        let length = match end {
            None if is_full => whole_characters(window),
            _ => seen,
        };
        self.hand_out_line(length, sink);
        self.state = if end.is_some() || (last && self.rest().is_empty()) {
            State::BETWEEN
        } else {
            State::LongLine { at: 0 }
        };
        true
    }

    /// Reads the values in a value that is too long one by one. It may be that a line was cut and these are not part of
    /// it, and it is sure that none of them is too long.
    fn divide(&mut self, sink: &mut impl FnMut(Frame<'_>)) {
        self.fault(FaultKind::Divided { limit: self.limit }, sink);
        let length = self.enter_region(self.grammar.at(), true);
        self.hand_out_line(length, sink);
        self.state = State::BETWEEN;
    }

    pub(super) fn leave_array(&mut self) {
        if self.array == Array::Open {
            self.array = Array::Broken;
        }
    }

    /// The length of the value that begins here up to the first line in it that begins a value. What follows up to `end`
    /// becomes a region.
    fn enter_region(&mut self, end: usize, goes_on: bool) -> usize {
        self.leave_array();
        let until = self.offset() + end as u64;
        if self.region.is_some() && !self.at_line_start {
            self.read_twice = self.read_twice.max(until);
        }
        let Some(first) = self.grammar.first() else {
            return end;
        };
        let length = usize::try_from(first - self.offset()).unwrap_or(end);
        self.grammar.opens().pop_front();
        std::mem::swap(&mut self.grammar, &mut self.paused);
        self.region = Some(Region {
            end: until,
            goes_on,
        });
        length
    }

    /// In a region, goes on with a value of which it is known that it is not closed, if one begins here.
    pub(super) fn is_resumed(&mut self, sink: &mut impl FnMut(Frame<'_>)) -> bool {
        let Some(region) = self.region else {
            return false;
        };
        let offset = self.offset();
        if offset >= region.end {
            self.region = None;
            return false;
        }
        if !self.at_line_start {
            return false;
        }
        let opens_array = self.array != Array::Open && self.rest().first() == Some(&b'[');
        let opens = self.paused.opens();
        while opens.front().is_some_and(|open| open.offset < offset) {
            opens.pop_front();
        }
        let Some(open) = opens.front().copied().filter(|open| open.offset == offset) else {
            return false;
        };
        if opens_array {
            // An array of payloads that is not closed is read as any other.
            opens.pop_front();
            return false;
        }
        if region.goes_on {
            self.region = None;
            std::mem::swap(&mut self.grammar, &mut self.paused);
            self.grammar.narrow();
            self.state = State::Lines { start: 0 };
            return true;
        }
        opens.pop_front();
        self.fault(FaultKind::Truncated, sink);
        self.leave_array();
        let end = open.first.unwrap_or(region.end);
        self.hand_out_line(usize::try_from(end - offset).unwrap_or(0), sink);
        true
    }
}

/// Whether a line that begins with this byte belongs to the value before it, when that is too long.
pub(super) fn goes_on(first: u8) -> bool {
    matches!(
        first,
        b' ' | b'\t' | b'\r' | b'\n' | b'}' | b']' | b',' | b':' | b'"'
    )
}

/// The length of a text without the beginning of a UTF-8 character at its end, unless that would be nothing.
pub(super) fn whole_characters(text: &[u8]) -> usize {
    let tail = text.iter().rev().take(4);
    let continued = tail.take_while(|byte| **byte & 0xc0 == 0x80).count();
    let Some(start) = text.len().checked_sub(continued + 1) else {
        return text.len();
    };
    let wanted = match text[start] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    if continued + 1 < wanted && start > 0 {
        start
    } else {
        text.len()
    }
}
