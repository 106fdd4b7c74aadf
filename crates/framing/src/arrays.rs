//! Arrays of payloads, and the envelopes around them.

use super::envelope::members;
use super::fault::FaultKind;
use super::machine::State;
use super::{Array, Frame, Framing, Span, Splitter, grammar, lexer};

impl Splitter {
    /// Whether what follows a bracket is an array of payloads: an object, or nothing.
    pub(super) fn bracket(
        &mut self,
        mut at: usize,
        mut line_break: Option<usize>,
        last: bool,
        sink: &mut impl FnMut(Frame<'_>),
    ) -> bool {
        let from = at;
        let byte = loop {
            if at >= self.limit {
                break None;
            }
            match self.buffer.get(self.done + at) {
                Some(b'\n') => line_break = line_break.or(Some(at)),
                Some(b' ' | b'\t' | b'\r') => {}
                byte => break byte,
            }
            at += 1;
        };
        self.looks += (at - from) as u64 + 1;
        let is_json = self.framing == Framing::Json;
        let may_be_text = self.at_line_start && line_break.is_none() && !is_json;
        match byte {
            Some(b'{') if may_be_text => {
                self.behind_bracket = true;
                self.begin_value(b'{', at);
            }
            Some(b']') if may_be_text => {
                self.behind_bracket = true;
                self.state = State::Behind {
                    start: at,
                    end: at,
                    at: at + 1,
                    is_closed: true,
                };
            }
            Some(b'{' | b']') => self.open_array(at),
            Some(b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') if is_json => {
                self.open_array(at);
            }
            None if at >= self.limit => self.open_array(at),
            None if !last => {
                self.state = State::Bracket { at, line_break };
                return false;
            }
            _ => self.begin_line(line_break.unwrap_or(at), sink),
        }
        true
    }

    fn open_array(&mut self, at: usize) {
        self.behind_bracket = true;
        self.settle(at);
        self.state = State::BETWEEN;
    }

    pub(super) fn scalar(
        &mut self,
        start: usize,
        mut at: usize,
        last: bool,
        sink: &mut impl FnMut(Frame<'_>),
    ) -> bool {
        let rest = &self.buffer[self.done..];
        let window = &rest[..rest.len().min(self.limit)];
        let from = at;
        let end = window.get(at..).unwrap_or_default();
        let end = end.iter().position(|byte| lexer::ends_scalar(*byte));
        at = end.map_or(window.len().max(at), |length| at + length);
        self.looks += (at - from) as u64;
        let is_over = end.is_none() && rest.len() >= self.limit;
        if end.is_none() && !is_over && !last {
            self.state = State::Scalar { start, at };
            return false;
        }
        self.looks += (at - start) as u64;
        if !is_over && lexer::is_scalar(&rest[start..at]) {
            return self.value_end(start, at, last, sink);
        }
        self.begin_line(start, sink);
        true
    }

    /// An array of payloads in an envelope begins. The envelope, or its part behind an array of payloads, begins at
    /// `start`; the first element or the end of the array is at `end`.
    pub(super) fn envelope(&mut self, start: usize, end: usize, sink: &mut impl FnMut(Frame<'_>)) {
        self.settle(start);
        let depth = u64::from(matches!(self.state, State::Tail));
        self.leave_members_out(end - start, depth, true, sink);
        self.array = Array::Open;
        self.in_envelope = true;
        self.state = State::BETWEEN;
    }

    fn leave_members_out(
        &mut self,
        length: usize,
        depth: u64,
        is_before_list: bool,
        sink: &mut impl FnMut(Frame<'_>),
    ) {
        let part = &self.buffer[self.done..][..length];
        let names = members(part, depth, is_before_list, &mut self.looks);
        if !names.is_empty() {
            self.fault(FaultKind::Members(names), sink);
        }
        self.consume(length, Span::Envelope);
    }

    pub(super) fn tail(&mut self, last: bool, sink: &mut impl FnMut(Frame<'_>)) -> bool {
        let rest = &self.buffer[self.done..];
        let held = rest.len();
        let is_full = held >= self.limit;
        let bytes = &rest[..held.min(self.limit)];
        match self.grammar.advance(bytes, &mut self.looks) {
            grammar::Found::End(end) => {
                self.leave_members_out(end, 1, false, sink);
                self.in_envelope = false;
                self.state = State::BETWEEN;
            }
            grammar::Found::Envelope(at) => self.envelope(0, at, sink),
            grammar::Found::Broken(at) => self.broken_tail(at, sink),
            grammar::Found::More if is_full => self.over_limit(sink),
            grammar::Found::More if last => self.broken_tail(held, sink),
            grammar::Found::More => return false,
        }
        true
    }
}
