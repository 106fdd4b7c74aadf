//! Where a JSON value of several lines ends, and on which of its lines it may have broken off.
//!
//! Log files hold JSON lines that were cut, and what follows such a line is not part of it. A lexer that only counts
//! brackets would take everything up to the limit for the rest of the value. So this one knows the grammar: a line that
//! begins at its first column with something that JSON does not allow there ends the value that broke off before it.
//!
//! That leaves lines that begin with a brace or a bracket where a value is allowed, as behind `{"a":`. These are noted
//! ([`Open`]). If the value turns out to be broken, reading begins again with the first of them, and what is noted tells
//! which of them are broken too. So no byte is looked at again and again, however many values are nested.

use super::lexer::{self, StringEnd};
use std::collections::VecDeque;

/// Brackets nested deeper than this are only counted.
const MAX_DEPTH: usize = 512;

/// What [`Grammar`] has found. Positions are relative to the start of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// More bytes are needed.
    More,
    /// The value ends before this position.
    End(usize),
    /// The value is an envelope. The first byte after the bracket of its array, white space aside, is here.
    Envelope(usize),
    /// The value broke off before this position, which is the start of a line.
    Broken(usize),
}

/// What the grammar allows next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Expect {
    #[default]
    Value,
    ValueOrEnd,
    Name,
    NameOrEnd,
    Colon,
    CommaOrEnd,
    /// Unknown since an error. Brackets are counted on.
    Anything,
}

impl Expect {
    fn allows(self, byte: u8) -> bool {
        match byte {
            b'"' => self.is_value() || self.is_name(),
            b',' => self == Self::CommaOrEnd,
            b':' => self == Self::Colon,
            b'{' | b'[' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => self.is_value(),
            _ => false,
        }
    }

    fn is_value(self) -> bool {
        matches!(self, Self::Value | Self::ValueOrEnd)
    }

    fn is_name(self) -> bool {
        matches!(self, Self::Name | Self::NameOrEnd)
    }
}

/// A value that is not closed yet and begins a line, or is the outermost one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open {
    /// Offset in the input.
    pub(super) offset: u64,
    /// Brackets around it.
    depth: u64,
    /// Offset of the first value within it that begins a line, closed or not.
    pub(super) first: Option<u64>,
}

/// Reads a JSON value of several lines.
#[derive(Debug, Default)]
pub(super) struct Grammar {
    /// The next byte to look at.
    at: usize,
    /// Bytes of numbers and literals, which are looked at a second time.
    looked_again: u64,
    /// Offset of the value in the input.
    origin: u64,
    depth: u64,
    /// For each bracket whether it is an array, lowest bits first.
    arrays: [u64; MAX_DEPTH / 64],
    expect: Expect,
    in_string: bool,
    escaped: bool,
    /// Start of a number or literal.
    scalar: Option<usize>,
    /// Start of the present line, if an error in it means that the value broke off before it.
    line: Option<usize>,
    /// Extent of the last name at depth 1.
    name: (usize, usize),
    may_be_envelope: bool,
    /// The bracket of what may be the array of an envelope is the last byte but white space.
    at_list: bool,
    /// From the outermost to the innermost.
    opens: VecDeque<Open>,
}

impl Grammar {
    /// Begins a value that starts with a brace or a bracket.
    pub(super) fn begin(&mut self, first: u8, origin: u64, may_be_envelope: bool) {
        self.reset(origin, may_be_envelope);
        self.at = 1;
        self.push(first);
    }

    /// Begins behind the array of an envelope.
    pub(super) fn begin_tail(&mut self, origin: u64) {
        self.reset(origin, true);
        self.push(b'{');
        self.expect = Expect::CommaOrEnd;
    }

    fn reset(&mut self, origin: u64, may_be_envelope: bool) {
        let mut opens = std::mem::take(&mut self.opens);
        opens.clear();
        opens.push_back(Open {
            offset: origin,
            depth: 0,
            first: None,
        });
        *self = Self {
            origin,
            may_be_envelope,
            opens,
            ..Self::default()
        };
    }

    /// The values that are not closed, the outermost one first.
    pub(super) fn opens(&mut self) -> &mut VecDeque<Open> {
        &mut self.opens
    }

    /// Bytes of memory besides its own size.
    pub(super) fn memory(&self) -> usize {
        self.opens.capacity() * size_of::<Open>()
    }

    /// Offset of the first value that begins a line within the present one.
    pub(super) fn first(&self) -> Option<u64> {
        self.opens.front().and_then(|open| open.first)
    }

    /// Goes on with the outermost of the values that are not closed; what was around it has been handed out.
    pub(super) fn narrow(&mut self) {
        if let Some(open) = self.opens.front() {
            let gone = usize::try_from(open.offset - self.origin).unwrap_or(0);
            self.origin = open.offset;
            self.at = self.at.saturating_sub(gone);
            self.scalar = self.scalar.map(|at| at.saturating_sub(gone));
            self.line = self.line.and_then(|at| at.checked_sub(gone));
            self.may_be_envelope = false;
            self.at_list = false;
        }
    }

    /// Whether only the array of the envelope is still in question.
    pub(super) fn is_at_list(&self) -> bool {
        self.at_list
    }

    /// The position up to which the value was looked at.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Goes on by counting brackets only.
    pub(super) fn brackets(&self) -> lexer::Brackets {
        let around = self.opens.front().map_or(0, |open| open.depth);
        lexer::Brackets::inside(self.depth - around, self.in_string, self.escaped)
    }

    /// Looks at the bytes that it has not looked at yet. `bytes` begins with the value.
    pub(super) fn advance(&mut self, bytes: &[u8], looks: &mut u64) -> Found {
        let from = self.at;
        let found = self.run(bytes);
        *looks += (self.at - from) as u64 + std::mem::take(&mut self.looked_again);
        found
    }

    fn run(&mut self, bytes: &[u8]) -> Found {
        let mut found = if self.in_string {
            self.string(bytes)
        } else if self.scalar.is_some() {
            self.scalar(bytes)
        } else if self.at_list {
            self.list(bytes)
        } else {
            None
        };
        loop {
            if let Some(found) = found {
                return found;
            }
            let Some(&byte) = bytes.get(self.at) else {
                return Found::More;
            };
            found = match byte {
                b' ' | b'\t' | b'\r' => {
                    self.at += 1;
                    None
                }
                b'\n' => self.line_break(bytes),
                b'"' => self.quote(bytes),
                b'{' | b'[' => self.open(byte, bytes),
                b'}' | b']' => self.close(byte),
                b',' | b':' => self.separator(byte),
                _ => {
                    self.scalar = Some(self.at);
                    self.scalar(bytes)
                }
            };
        }
    }

    fn line_break(&mut self, bytes: &[u8]) -> Option<Found> {
        let Some(&first) = bytes.get(self.at + 1) else {
            return Some(Found::More);
        };
        self.at += 1;
        self.begin_line(first)
    }

    /// The first byte of a line decides whether the line belongs to the value.
    fn begin_line(&mut self, first: u8) -> Option<Found> {
        self.line = None;
        match first {
            // Indented lines, empty ones and closing brackets belong to the value whatever was wrong before.
            b' ' | b'\t' | b'\r' | b'\n' | b'}' | b']' => None,
            _ if self.expect.allows(first) => {
                self.line = Some(self.at);
                None
            }
            _ => Some(Found::Broken(self.at)),
        }
    }

    /// Something that the grammar does not allow. It breaks the value off before the line that it stands on, or is
    /// passed over.
    fn error(&mut self) -> Option<Found> {
        if self.expect == Expect::Anything {
            return None;
        }
        self.expect = Expect::Anything;
        let line = self.line?;
        let offset = self.origin + line as u64;
        while self.opens.back().is_some_and(|open| open.offset >= offset) {
            self.opens.pop_back();
        }
        if let Some(open) = self.opens.back_mut() {
            open.first = open.first.filter(|first| *first < offset);
        }
        Some(Found::Broken(line))
    }

    fn quote(&mut self, bytes: &[u8]) -> Option<Found> {
        let expect = self.expect;
        if expect.is_name() {
            self.expect = Expect::Colon;
        } else if expect.is_value() {
            self.expect = Expect::CommaOrEnd;
        } else if let Some(broken) = self.error() {
            return Some(broken);
        }
        self.at += 1;
        self.in_string = true;
        if self.depth == 1 {
            self.name = (self.at, self.at);
        }
        self.string(bytes)
    }

    fn string(&mut self, bytes: &[u8]) -> Option<Found> {
        match lexer::string(bytes, &mut self.at, &mut self.escaped) {
            StringEnd::More => Some(Found::More),
            StringEnd::LineBreak => Some(Found::Broken(self.at)),
            StringEnd::Quote => {
                self.in_string = false;
                if self.depth == 1 {
                    self.name.1 = self.at - 1;
                }
                None
            }
        }
    }

    fn scalar(&mut self, bytes: &[u8]) -> Option<Found> {
        let rest = bytes.get(self.at..).unwrap_or_default();
        let Some(length) = rest.iter().position(|byte| lexer::ends_scalar(*byte)) else {
            self.at += rest.len();
            return Some(Found::More);
        };
        self.at += length;
        let text = &bytes[self.scalar.take().unwrap_or(self.at)..self.at];
        self.looked_again += text.len() as u64;
        if self.expect.is_value() && lexer::is_scalar(text) {
            self.expect = Expect::CommaOrEnd;
            return None;
        }
        self.error()
    }

    fn separator(&mut self, byte: u8) -> Option<Found> {
        if !self.expect.allows(byte) {
            if let Some(broken) = self.error() {
                return Some(broken);
            }
        } else if byte == b':' || self.is_in_array() {
            self.expect = Expect::Value;
        } else {
            self.expect = Expect::Name;
        }
        self.at += 1;
        None
    }

    fn open(&mut self, byte: u8, bytes: &[u8]) -> Option<Found> {
        if !self.expect.is_value() {
            if let Some(broken) = self.error() {
                return Some(broken);
            }
        } else if self.line == Some(self.at) {
            let offset = self.origin + self.at as u64;
            if let Some(around) = self.opens.back_mut() {
                around.first.get_or_insert(offset);
            }
            self.opens.push_back(Open {
                offset,
                depth: self.depth,
                first: None,
            });
        }
        self.at_list = byte == b'['
            && self.may_be_envelope
            && self.depth == 1
            && self.expect == Expect::Value
            && lexer::is_list_of_envelope(&bytes[self.name.0..self.name.1]);
        self.at += 1;
        self.push(byte);
        if self.at_list { self.list(bytes) } else { None }
    }

    /// What follows the bracket of what may be the array of an envelope.
    #[cold]
    fn list(&mut self, bytes: &[u8]) -> Option<Found> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = bytes.get(self.at) {
            self.at += 1;
        }
        let Some(&byte) = bytes.get(self.at) else {
            return Some(Found::More);
        };
        self.at_list = false;
        match byte {
            b'{' | b']' => Some(Found::Envelope(self.at)),
            _ if bytes[self.at - 1] == b'\n' => self.begin_line(byte),
            _ => None,
        }
    }

    fn push(&mut self, byte: u8) {
        let place = usize::try_from(self.depth).unwrap_or(usize::MAX);
        self.depth += 1;
        match self.arrays.get_mut(place / 64) {
            None => self.expect = Expect::Anything,
            Some(_) if self.expect == Expect::Anything => {}
            Some(word) if byte == b'[' => {
                *word |= 1 << (place % 64);
                self.expect = Expect::ValueOrEnd;
            }
            Some(word) => {
                *word &= !(1 << (place % 64));
                self.expect = Expect::NameOrEnd;
            }
        }
    }

    fn is_in_array(&self) -> bool {
        let place = usize::try_from(self.depth.saturating_sub(1)).unwrap_or(usize::MAX);
        let word = self.arrays.get(place / 64);
        word.is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    fn close(&mut self, byte: u8) -> Option<Found> {
        // A comma before the bracket is a common slip and no sign of a cut.
        let fits = match self.expect {
            Expect::Colon | Expect::Anything => false,
            Expect::Name | Expect::NameOrEnd => byte == b'}',
            Expect::Value | Expect::ValueOrEnd => byte == b']' && self.is_in_array(),
            Expect::CommaOrEnd => self.is_in_array() == (byte == b']'),
        };
        if fits {
            self.expect = Expect::CommaOrEnd;
        } else if let Some(broken) = self.error() {
            return Some(broken);
        }
        self.at += 1;
        self.depth = self.depth.saturating_sub(1);
        let depth = self.depth;
        while self.opens.back().is_some_and(|open| open.depth >= depth) {
            self.opens.pop_back();
        }
        self.opens.is_empty().then_some(Found::End(self.at))
    }
}
