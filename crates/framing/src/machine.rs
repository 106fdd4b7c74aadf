//! The state machine: what the next bytes are.

use super::fault::FaultKind;
use super::grammar;
use super::lexer::{Brackets, Found};
use super::recovery::{goes_on, whole_characters};
use super::{Array, Frame, Framing, Span, Splitter};
use memchr::memchr;

/// Positions are relative to the first byte that is not done with.
#[derive(Debug, Clone, Copy)]
pub(super) enum State {
    /// A byte order mark may come.
    Start,
    /// Between payloads. There are only blanks and this many commas before `at`.
    Between { at: usize, commas: usize },
    /// In a line of text, whose end is not before `at`.
    Line { at: usize },
    /// Behind a bracket that may open an array of payloads. There is only white space before `at`, with a line break at
    /// `line_break`.
    Bracket {
        at: usize,
        line_break: Option<usize>,
    },
    /// In the first line of a JSON value that begins at `start`. [`Splitter::brackets`] knows more.
    Value { start: usize },
    /// In a JSON value of several lines that begins at `start`. [`Splitter::grammar`] knows more.
    Lines { start: usize },
    /// Behind a JSON value from `start` to `end`: what follows on the line decides whether this is text. There are only
    /// blanks and commas before `at`, and the bracket that closes the array if `is_closed`.
    Behind {
        start: usize,
        end: usize,
        at: usize,
        is_closed: bool,
    },
    /// In a number or a literal in an array of payloads that begins at `start`.
    Scalar { start: usize, at: usize },
    /// In an envelope behind its array.
    Tail,
    /// In a JSON value that is left out; it ends on this line if `is_line`.
    SkipValue { is_line: bool },
    /// In a line that is left out.
    SkipLine,
    /// Behind the first piece of a JSON value that is too long; it ends on this line if `is_line`.
    LongValue { is_line: bool },
    /// Behind the first piece of a line that is too long. The line does not end before `at`.
    LongLine { at: usize },
    /// In the rest of the input, which is left out.
    SkipAll,
}

impl State {
    pub(super) const BETWEEN: Self = Self::Between { at: 0, commas: 0 };
}

impl Splitter {
    /// One state transition; `false` when more bytes are needed or the input is used up.
    #[inline]
    pub(super) fn step(&mut self, last: bool, sink: &mut impl FnMut(Frame<'_>)) -> bool {
        match self.state {
            State::Start => self.start(last, sink),
            State::Between { at, commas } => self.between(at, commas, last, sink),
            State::Line { at } => self.line(at, last, sink),
            State::Bracket { at, line_break } => self.bracket(at, line_break, last, sink),
            State::Value { start } => self.value(start, last, sink),
            State::Lines { start } => self.lines(start, last, sink),
            State::Behind {
                start,
                end,
                at,
                is_closed,
            } => self.behind((start, end), at, is_closed, last, sink),
            State::Scalar { start, at } => self.scalar(start, at, last, sink),
            State::Tail => self.tail(last, sink),
            State::SkipValue { is_line } => self.skip_value(is_line, last),
            State::SkipLine => self.skip_line(),
            State::LongValue { is_line } => self.long_value(is_line, last, sink),
            State::LongLine { at } => self.long_line(at, last, sink),
            State::SkipAll => {
                self.consume(self.rest().len(), Span::Fault);
                false
            }
        }
    }

    fn start(&mut self, last: bool, sink: &mut impl FnMut(Frame<'_>)) -> bool {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        let rest = self.rest();
        let undecided = rest.is_empty() || MARK.starts_with(rest) && rest != MARK;
        if (undecided || matches!(rest, [0xff | 0xfe])) && !last {
            return false;
        }
        let is_marked = rest.starts_with(MARK);
        let is_utf16 = matches!(rest, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
        self.state = if is_utf16 {
            State::SkipAll
        } else {
            State::BETWEEN
        };
        if is_marked {
            self.consume(MARK.len(), Span::Separator);
            self.at_line_start = true;
        } else if is_utf16 {
            self.fault(FaultKind::Utf16, sink);
        }
        true
    }

    fn between(
        &mut self,
        mut at: usize,
        mut commas: usize,
        last: bool,
        sink: &mut impl FnMut(Frame<'_>),
    ) -> bool {
        let is_json = self.framing == Framing::Json;
        if self.framing != Framing::Auto && !is_json {
            self.state = State::Line { at: 0 };
            return !self.rest().is_empty();
        }
        if self.region.is_some() && at == 0 && self.is_resumed(sink) {
            return true;
        }
        let from = at;
        let (byte, is_end) = loop {
            match self.buffer.get(self.done + at) {
                Some(b' ' | b'\t' | b'\r' | b'\x0c') => at += 1,
                Some(b',') => {
                    at += 1;
                    commas += 1;
                }
                Some(b'\n') => break (None, true),
                Some(byte) => break (Some(*byte), false),
                None => break (None, last),
            }
            if at >= self.limit {
                break (None, false);
            }
        };
        self.looks += (at - from) as u64 + 1;
        // Commas are no text where a JSON value could be the next thing.
        let is_text = !is_json
            && self.at_line_start
            && self.array != Array::Open
            && commas > usize::from(self.behind_value);
        let is_at_break = self.rest().get(at) == Some(&b'\n');
        match byte {
            Some(byte) => {
                if !self.at_line_start || (is_json && at > 0) {
                    self.behind_value &= commas == 0;
                    self.consume(at, Span::Separator);
                    at = 0;
                }
                self.begin(byte, at, sink)
            }
            None if is_text && (is_end || at >= self.limit) => {
                self.state = State::Line { at };
                true
            }
            None if is_end => {
                self.behind_value &= commas == 0;
                self.consume(at + usize::from(is_at_break), Span::Separator);
                self.state = State::BETWEEN;
                is_at_break
            }
            // A text line may begin with blanks, so they are kept as long as a payload could be.
            None if at >= self.limit || !self.at_line_start || (is_json && at > 0) => {
                self.behind_value &= commas == 0;
                self.consume(at, Span::Separator);
                self.state = State::BETWEEN;
                !self.rest().is_empty()
            }
            None => {
                self.state = State::Between { at, commas };
                false
            }
        }
    }

    /// A payload begins, or an array of payloads ends, with a byte at a position.
    fn begin(&mut self, byte: u8, at: usize, sink: &mut impl FnMut(Frame<'_>)) -> bool {
        let in_array = self.array == Array::Open || self.framing == Framing::Json;
        match byte {
            b'{' => self.begin_value(byte, at),
            b'[' if self.array == Array::Open => self.begin_value(byte, at),
            b'"' if in_array => self.begin_value(byte, at),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' if in_array => {
                self.state = State::Scalar { start: at, at };
            }
            b'[' => {
                self.state = State::Bracket {
                    at: at + 1,
                    line_break: None,
                };
            }
            b']' if self.array != Array::None => {
                self.consume(at + 1, Span::Separator);
                self.array = Array::None;
                self.state = State::BETWEEN;
                if self.in_envelope {
                    self.grammar.begin_tail(self.offset());
                    self.state = State::Tail;
                }
            }
            _ => self.begin_line(at, sink),
        }
        true
    }

    pub(super) fn begin_value(&mut self, first: u8, start: usize) {
        let is_element = self.array == Array::Open && !self.behind_bracket;
        self.brackets = Brackets::new(
            first,
            self.at_line_start && !is_element && self.framing == Framing::Auto,
            !is_element && !self.behind_bracket,
        );
        self.state = State::Value { start };
    }

    /// No JSON begins at a position. So this is a line of text, and ends the array of payloads before it.
    pub(super) fn begin_line(&mut self, at: usize, sink: &mut impl FnMut(Frame<'_>)) {
        if self.array == Array::Open {
            self.fault_at(at, FaultKind::Unclosed, sink);
            self.array = Array::Broken;
        }
        self.behind_bracket = false;
        self.state = State::Line { at };
    }

    fn value(&mut self, start: usize, last: bool, sink: &mut impl FnMut(Frame<'_>)) -> bool {
        let rest = &self.buffer[self.done..];
        let held = rest.len();
        let is_full = held >= self.limit;
        let bytes = rest[..held.min(self.limit)]
            .get(start..)
            .unwrap_or_default();
        match self.brackets.advance(bytes, &mut self.looks) {
            Found::End(length) => return self.value_end(start, start + length, last, sink),
            Found::Envelope(at) => self.envelope(start, start + at, sink),
            Found::Cut(at) => self.broken_line(start, start + at, sink),
            Found::Text => self.begin_line(start + self.brackets.at, sink),
            Found::LineBreak(at) if self.must_end_on_its_line(start) => {
                self.begin_line(start + at, sink);
            }
            Found::LineBreak(_) => {
                let may_be_envelope = self.array != Array::Open && !self.behind_bracket;
                let origin = self.offset() + start as u64;
                self.grammar.begin(bytes[0], origin, may_be_envelope);
                self.state = State::Lines { start };
            }
            Found::More if is_full => self.over_limit(sink),
            Found::More if last => self.broken_line(start, held, sink),
            Found::More => return false,
        }
        true
    }

    /// Behind a value of one line. If it begins the line, what follows decides whether the line is text.
    #[inline]
    pub(super) fn value_end(
        &mut self,
        start: usize,
        end: usize,
        last: bool,
        sink: &mut impl FnMut(Frame<'_>),
    ) -> bool {
        if self.at_line_start && self.framing == Framing::Auto {
            return self.behind((start, end), end, false, last, sink);
        }
        self.hand_out_value(start, end, sink);
        true
    }

    fn behind(
        &mut self,
        (start, end): (usize, usize),
        mut at: usize,
        mut is_closed: bool,
        last: bool,
        sink: &mut impl FnMut(Frame<'_>),
    ) -> bool {
        let from = at;
        let is_text = loop {
            match self.buffer.get(self.done + at) {
                Some(b',') if self.behind_bracket && !is_closed => break false,
                Some(b' ' | b'\t' | b'\r' | b',') => {}
                Some(b']') if self.behind_bracket && !is_closed => is_closed = true,
                Some(b'\n' | b'{' | b'[' | b']') => break false,
                Some(_) => break true,
                None if last => break false,
                None => {
                    self.looks += (at - from) as u64;
                    self.state = State::Behind {
                        start,
                        end,
                        at,
                        is_closed,
                    };
                    return false;
                }
            }
            at += 1;
            if at >= self.limit {
                break false;
            }
        };
        self.looks += (at - from) as u64 + 1;
        if is_text {
            self.begin_line(at, sink);
        } else if start == end {
            // An array without elements.
            self.behind_bracket = false;
            self.consume(end + 1, Span::Separator);
            self.state = State::BETWEEN;
        } else {
            self.hand_out_value(start, end, sink);
        }
        true
    }

    fn lines(&mut self, start: usize, last: bool, sink: &mut impl FnMut(Frame<'_>)) -> bool {
        let rest = &self.buffer[self.done..];
        let held = rest.len();
        let is_full = held >= self.limit;
        let bytes = rest[..held.min(self.limit)]
            .get(start..)
            .unwrap_or_default();
        match self.grammar.advance(bytes, &mut self.looks) {
            grammar::Found::End(length) => self.hand_out_value(start, start + length, sink),
            grammar::Found::Envelope(at) => self.envelope(start, start + at, sink),
            grammar::Found::Broken(at) => self.broken(start, start + at, sink),
            grammar::Found::More if is_full => self.over_limit(sink),
            grammar::Found::More if last => self.broken(start, held, sink),
            grammar::Found::More => return false,
        }
        true
    }

    fn line(&mut self, at: usize, last: bool, sink: &mut impl FnMut(Frame<'_>)) -> bool {
        // What ends the line does not count: three bytes more are too much.
        let most = self.limit.saturating_add(3);
        let rest = &self.buffer[self.done..];
        let window = &rest[..rest.len().min(most)];
        let tail = window.get(at..).unwrap_or_default();
        let is_whole = self.framing == Framing::Whole;
        let end = if is_whole { None } else { memchr(b'\n', tail) };
        let length = end.map_or(window.len(), |length| at + length + 1);
        self.looks += (length - at.min(length)) as u64;
        if end.is_none() && !last && length < most {
            self.state = State::Line { at: length };
            return false;
        }
        let text = &window[..length];
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.len() <= self.limit {
            let is_expected = match self.framing {
                Framing::Json => false,
                Framing::JsonLines => matches!(text.trim_ascii_start().first(), None | Some(b'{')),
                _ => true,
            };
            if !is_expected {
                self.fault(FaultKind::NotJson, sink);
            }
            self.hand_out_line(length, sink);
            self.state = State::BETWEEN;
            return true;
        }
        if self.in_pieces {
            let length = whole_characters(&window[..self.limit]);
            self.fault(FaultKind::InPieces { limit: self.limit }, sink);
            self.hand_out_line(length, sink);
            self.state = State::LongLine { at: 0 };
            return true;
        }
        self.fault(FaultKind::TooLong { limit: self.limit }, sink);
        self.consume(length, Span::Fault);
        self.state = match end {
            Some(_) => State::BETWEEN,
            None if is_whole => State::SkipAll,
            None => State::SkipLine,
        };
        true
    }

    fn skip_line(&mut self) -> bool {
        let rest = self.rest();
        let end = memchr(b'\n', rest);
        let length = end.map_or(rest.len(), |end| end + 1);
        self.looks += length as u64;
        self.consume(length, Span::Fault);
        if end.is_some() {
            self.state = State::BETWEEN;
        }
        end.is_some()
    }

    /// Passes over a value that is left out. If it has several lines, it ends before a line that begins with what could
    /// be a payload.
    fn skip_value(&mut self, is_line: bool, last: bool) -> bool {
        let rest = &self.buffer[self.done..];
        // Where it ends or goes on, and whether it has ended.
        let (length, is_end) = match self.brackets.advance(rest, &mut self.looks) {
            Found::End(end) => (end, true),
            Found::Cut(end) => {
                self.leave_array();
                (end, true)
            }
            Found::LineBreak(at) => match rest.get(at + 1) {
                None if !last && !is_line => {
                    self.consume(at, Span::Fault);
                    self.brackets = self.brackets.within();
                    return false;
                }
                Some(byte) if !is_line && goes_on(*byte) => (at + 1, false),
                _ => {
                    self.leave_array();
                    (at + 1, true)
                }
            },
            _ => (rest.len(), false),
        };
        self.consume(length, Span::Fault);
        self.brackets = self.brackets.within();
        if is_end {
            self.state = State::BETWEEN;
        }
        !self.rest().is_empty()
    }
}
