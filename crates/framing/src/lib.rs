//! Where one payload ends and the next begins.
//!
//! A [`Splitter`] is fed with bytes in pieces of any size and hands out payloads. It recognises by itself NDJSON, JSON
//! objects that span lines, a JSON array of objects, the envelopes `{"records":[…]}` and `{"value":[…]}`, and text
//! lines; all of them may follow each other.
//!
//! How the input is cut into pieces makes no difference to what comes out. Memory and work are bounded: the splitter
//! keeps [at most a payload](Splitter::memory), and looks at no byte more than [`MAX_LOOKS`] times.
//!
//! # Where each byte goes
//! A byte of the input belongs to a payload, or to what a [`Fault`] says is left out, or it separates payloads. There
//! are no other bytes than these between payloads:
//! - white space between payloads and at the ends of lines;
//! - commas between the elements of an array, commas behind a JSON value on its line or before one, and a line with
//!   nothing but a comma between two JSON values;
//! - the brackets of an array of objects;
//! - of an envelope the member names, braces and brackets around its array, and control information (members with a
//!   name that begins with `@`, and `nextLink`). If an envelope has other members, a fault names them;
//! - a byte order mark at the beginning of the input.
//!
//! # What breaks off
//! A JSON value may span lines, so a line that was cut could take all that follows with it. It does not: a line break
//! within a string ends the value, and so does a line that begins at its first column with something that JSON does not
//! allow there. What broke off is handed out with a [`Fault`] that says where. Where the grammar cannot tell (`{"a":`,
//! and an object on the next line), the value goes on until it can, and then what begins with that object is read anew.
//!
//! # The limit
//! A payload that is longer than the limit is left out with a fault, up to its end, which is the end of the line for a
//! value of one line. If lines within a longer JSON value begin with a brace or a bracket, nothing is left out: it is
//! divided at these lines. White space does not count. A splitter that works [in pieces](Splitter::in_pieces) leaves
//! nothing out: it hands out the payload in pieces that fit, with a fault before the first one.
//!
//! # Stopping and going on
//! A caller that stores how far it has come asks for a [`Mark`] and lets a later splitter
//! [begin there](Splitter::resume). Where there is none, as in the lines of a value that broke off, it keeps the last
//! mark and leaves out what begins before the [offset](Splitter::offset) that it had reached: the same bytes behind the
//! same mark give the same frames. A fault that begins at that offset, or behind it, comes again.

mod arrays;
mod envelope;
mod fault;
mod grammar;
mod lexer;
mod machine;
mod mark;
mod recovery;

pub use fault::{Fault, FaultKind, Names};
pub use mark::Mark;

use grammar::Grammar;
use lexer::Brackets;
use machine::State;
use recovery::Region;

/// How to split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// Find out.
    #[default]
    Auto,
    /// Each line is a payload.
    Lines,
    /// Each line is a payload, and a fault says where one does not begin with a brace.
    JsonLines,
    /// JSON values, which may follow each other without line breaks; the elements of an array of any kind are payloads,
    /// and commas between values separate them. A line that is something else is a payload too, with a fault.
    Json,
    /// All of the input is one payload.
    Whole,
}

/// A piece of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A payload and where it begins in the input.
    Payload {
        /// The bytes.
        bytes: &'a [u8],
        /// Offset of the first one.
        offset: u64,
    },
    /// Something is wrong here. What could be saved of it follows as a payload.
    Fault(Fault),
}

/// The largest payload that is read unless the caller says otherwise.
pub const DEFAULT_LIMIT: usize = 16 << 20;

/// How often the splitter looks at a byte at most, on average over the input. Twice is usual: a text line that begins
/// with a brace, the first line of a JSON value that spans lines. The others are for input that breaks off.
pub const MAX_LOOKS: u64 = 6;

/// Bytes that are taken at once, so that memory does not depend on the size of the pieces.
const STEP: usize = 64 << 10;

/// Splits input into payloads.
#[derive(Debug)]
pub struct Splitter {
    framing: Framing,
    limit: usize,
    /// What exceeds the limit is handed out in pieces instead of left out.
    in_pieces: bool,
    /// Bytes that do not belong to anything yet, from `done` on.
    buffer: Vec<u8>,
    /// Offset of the first byte of the buffer in the input.
    base: u64,
    /// Everything before this index of the buffer is done with.
    done: usize,
    state: State,
    /// The first byte that is not done with begins a line.
    at_line_start: bool,
    array: Array,
    /// The array of payloads stands in an envelope.
    in_envelope: bool,
    /// Before the present value stands the bracket of an array, if this is no text.
    behind_bracket: bool,
    /// The last payload was a JSON value, and no comma followed it.
    behind_value: bool,
    brackets: Brackets,
    grammar: Grammar,
    /// The grammar at the end of the region.
    paused: Grammar,
    region: Option<Region>,
    /// Lines before this offset may have been read twice as parts of values of several lines.
    read_twice: u64,
    looks: u64,
    #[cfg(test)]
    spans: Vec<(Span, usize)>,
}

/// Whether the splitter is within an array of payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Array {
    None,
    Open,
    /// Something in it broke off, which was reported. Its closing bracket may still come.
    Broken,
}

/// What bytes of the input belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    Payload,
    /// They are left out, and a fault says so.
    Fault,
    Separator,
    Envelope,
}

impl Splitter {
    /// A splitter that leaves out payloads of more than `limit` bytes.
    pub fn new(framing: Framing, limit: usize) -> Self {
        Self {
            framing,
            limit: limit.max(1),
            in_pieces: false,
            buffer: Vec::new(),
            base: 0,
            done: 0,
            state: State::Start,
            at_line_start: true,
            array: Array::None,
            in_envelope: false,
            behind_bracket: false,
            behind_value: false,
            brackets: Brackets::default(),
            grammar: Grammar::default(),
            paused: Grammar::default(),
            region: None,
            read_twice: 0,
            looks: 0,
            #[cfg(test)]
            spans: Vec::new(),
        }
    }

    /// Hands out what exceeds the limit in pieces instead of leaving it out.
    #[must_use]
    pub fn in_pieces(mut self) -> Self {
        self.in_pieces = true;
        self
    }

    /// Takes the next piece of the input.
    pub fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(Frame<'_>)) {
        for piece in bytes.chunks(STEP) {
            self.make_room(piece.len());
            self.buffer.extend_from_slice(piece);
            self.run(false, &mut sink);
        }
    }

    /// Takes the next piece of the input from somebody who writes at most `size` bytes to where they stay, and tells how
    /// many those were.
    ///
    /// # Errors
    /// Those of `fill`; nothing was taken then.
    pub fn push_from<E>(
        &mut self,
        size: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
        mut sink: impl FnMut(Frame<'_>),
    ) -> Result<usize, E> {
        self.make_room(size);
        let end = self.buffer.len();
        self.buffer.resize(end + size, 0);
        let filled = fill(&mut self.buffer[end..]).map(|count| count.min(size));
        self.buffer
            .truncate(end + filled.as_ref().copied().unwrap_or(0));
        if filled.is_ok() {
            self.run(false, &mut sink);
        }
        filled
    }

    /// Gives away the buffer that holds the payloads of the last call, in exchange for another one, with the offset of
    /// its first byte in the input. So they can be kept, or sent to another thread, without a copy.
    pub fn take(&mut self, mut other: Vec<u8>) -> (Vec<u8>, u64) {
        other.clear();
        other.reserve_exact(self.rest().len());
        other.extend_from_slice(self.rest());
        let base = self.base;
        self.base += self.done as u64;
        self.done = 0;
        (std::mem::replace(&mut self.buffer, other), base)
    }

    /// Ends the input: what is left is handed out.
    pub fn finish(&mut self, mut sink: impl FnMut(Frame<'_>)) {
        self.run(true, &mut sink);
        debug_assert!(self.rest().is_empty(), "{self:?}");
        if self.array == Array::Open {
            self.fault(FaultKind::Unclosed, &mut sink);
        }
        self.state = State::BETWEEN;
        self.at_line_start = true;
        self.array = Array::None;
        self.in_envelope = false;
        self.region = None;
    }

    /// Takes the next piece of the input without looking at it: [`next`](Self::next) does. A caller that wants memory to
    /// stay within its bound calls `next` until it needs more, and feeds pieces of a constant size.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        self.buffer.extend_from_slice(bytes);
    }

    /// Does a little: hands out one payload at most, and the faults before it. `last` says that nothing follows what was
    /// fed, so that what is unfinished is handed out. `false` when more bytes are needed, or none are left.
    pub fn next(&mut self, last: bool, mut sink: impl FnMut(Frame<'_>)) -> bool {
        self.step(last, &mut sink)
    }

    /// How many bytes of memory the splitter holds: the limit, one and a half times what is pushed at once, and some
    /// 50 KiB at most.
    pub fn memory(&self) -> usize {
        self.buffer.capacity() + self.grammar.memory() + self.paused.memory()
    }

    /// How many times a byte was looked at so far, see [`MAX_LOOKS`].
    pub fn looks(&self) -> u64 {
        self.looks
    }

    /// Makes room for some bytes, and no more than twice what is needed: a payload may take nearly all of the limit.
    fn make_room(&mut self, size: usize) {
        if self.done > 0 {
            self.buffer.drain(..self.done);
            self.base += self.done as u64;
            self.done = 0;
        }
        let (held, capacity) = (self.buffer.len(), self.buffer.capacity());
        if held + size > capacity {
            let most = self.limit.saturating_add(size + size / 2);
            let target = (2 * capacity).min(most).max(held + size);
            self.buffer.reserve_exact(target - held);
        }
    }

    fn run(&mut self, last: bool, sink: &mut impl FnMut(Frame<'_>)) {
        while self.step(last, sink) {}
    }

    /// Bytes that were fed and do not belong to anything yet.
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.done..]
    }

    /// Offset of the first byte that does not belong to anything yet. Frames that come later do not begin before it.
    pub fn offset(&self) -> u64 {
        self.base + self.done as u64
    }

    /// The bytes from an offset up to [`offset`](Self::offset), as far as they are still there: what was done with since
    /// the last call of [`feed`](Self::feed).
    pub fn done_since(&self, offset: u64) -> &[u8] {
        let from = usize::try_from(offset.saturating_sub(self.base)).unwrap_or(self.done);
        &self.buffer[from.min(self.done)..self.done]
    }

    fn fault(&self, kind: FaultKind, sink: &mut impl FnMut(Frame<'_>)) {
        self.fault_at(0, kind, sink);
    }

    fn fault_at(&self, at: usize, kind: FaultKind, sink: &mut impl FnMut(Frame<'_>)) {
        sink(Frame::Fault(Fault {
            offset: self.offset() + at as u64,
            kind,
        }));
    }

    /// The next bytes are done with. No other place does away with bytes.
    #[inline]
    fn consume(&mut self, length: usize, span: Span) {
        #[cfg(test)]
        self.spans.push((span, length));
        let _ = span;
        self.done += length;
        if let Some(last) = length.checked_sub(1).and(self.done.checked_sub(1)) {
            self.at_line_start = self.buffer.get(last) == Some(&b'\n');
        }
    }

    /// What stands before the value that begins `start` bytes from here turns out to be no part of a text line.
    fn settle(&mut self, start: usize) {
        self.consume(start, Span::Separator);
        if std::mem::take(&mut self.behind_bracket) {
            self.array = Array::Open;
            self.in_envelope = false;
        }
    }

    /// Hands out a JSON value.
    #[inline]
    fn hand_out_value(&mut self, start: usize, end: usize, sink: &mut impl FnMut(Frame<'_>)) {
        self.settle(start);
        sink(Frame::Payload {
            bytes: &self.buffer[self.done..][..end - start],
            offset: self.offset(),
        });
        self.consume(end - start, Span::Payload);
        self.behind_value = true;
        self.state = State::BETWEEN;
    }

    /// Hands out the next bytes, which end a line or the input, unless they are blank.
    fn hand_out_line(&mut self, length: usize, sink: &mut impl FnMut(Frame<'_>)) {
        let bytes = &self.buffer[self.done..][..length];
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let end = bytes
            .iter()
            .rposition(|byte| !is_end(byte))
            .map_or(0, |last| last + 1);
        let blank = bytes[..end]
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace());
        let blank = blank.count();
        self.looks += (length - end + blank) as u64;
        let end = if blank < end {
            sink(Frame::Payload {
                bytes: &bytes[..end],
                offset: self.offset(),
            });
            end
        } else {
            0
        };
        self.consume(end, Span::Payload);
        self.consume(length - end, Span::Separator);
        self.behind_value = false;
    }
}

#[cfg(test)]
mod tests;
