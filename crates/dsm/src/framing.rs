//! Where one payload ends and the next begins.
//!
//! A [`Splitter`] is fed with bytes in pieces of any size and hands out payloads. It recognises by itself NDJSON, JSON
//! objects that span lines, a JSON array of objects, the envelopes `{"records":[…]}` and `{"value":[…]}`, and text
//! lines; all of them may follow each other. It keeps no more than one payload in memory.
//!
//! Broken input costs as little as possible: a JSON object that never ends is handed out up to the next line that begins
//! an object or cannot be JSON, with a [`Fault`] that says where; what follows is read as usual.

use memchr::{memchr, memchr3};
use wide::u8x16;

/// How to split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// Find out.
    #[default]
    Auto,
    /// Each line is a payload.
    Lines,
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

/// What is wrong with the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Offset of the payload that it concerns.
    pub offset: u64,
    /// What is wrong.
    pub kind: FaultKind,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// A JSON value does not end before the input, or the next value, does.
    Truncated,
    /// The payload is longer than the limit; it is left out.
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// An array of payloads is not closed before the input ends; whole ones came out.
    Unclosed,
    /// The input is UTF-16; none of it is read.
    Utf16,
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Truncated => {
                f.write_str("a JSON value begins here and does not end; it is read as it is")
            }
            Self::TooLong { limit } => {
                write!(
                    f,
                    "a payload of more than {limit} bytes begins here; it is left out"
                )
            }
            Self::Unclosed => {
                f.write_str("the input ends here within an array of payloads; some may be missing")
            }
            Self::Utf16 => f.write_str("the input is UTF-16; convert it to UTF-8"),
        }
    }
}

/// The largest payload that is read unless the caller says otherwise.
pub const DEFAULT_LIMIT: usize = 16 << 20;

/// After so many objects that span lines and never end, an object is expected to end on its line.
const MAX_FAILURES: u32 = 16;

/// Splits input into payloads.
#[derive(Debug)]
pub struct Splitter {
    framing: Framing,
    limit: usize,
    /// Bytes not yet handed out.
    buffer: Vec<u8>,
    /// Offset of the first byte of the buffer in the input.
    base: u64,
    /// Everything before this index of the buffer is done with.
    done: usize,
    state: State,
    /// How many arrays that hold payloads are open: 0 or 1.
    in_array: bool,
    /// The array stands in an envelope whose end is still to come.
    in_envelope: bool,
    failures: u32,
    /// The last value broke off, and that was said.
    cut: bool,
    /// Where the line after it begins.
    broke_at: Option<u64>,
    started: bool,
}

#[derive(Debug)]
enum State {
    /// Between payloads.
    Between,
    /// In a line of text.
    Line,
    /// In a JSON value.
    Value(Scan),
    /// Passing over what is too long, or over the rest of an envelope; nothing is kept.
    SkipValue(Scan),
    SkipLine,
    SkipAll,
}

/// How far a JSON value was looked at.
#[derive(Debug, Clone, Default)]
struct Scan {
    /// Next byte to look at, relative to the start of the value.
    at: usize,
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// Start of the last string at depth 1, and its end.
    name: (usize, usize),
    /// The name is followed by a colon.
    named: bool,
    /// First place after the start where a line begins with a brace.
    resync: Option<usize>,
    /// A line break was seen.
    spans_lines: bool,
    /// The value began as an envelope candidate: an object that is not itself in an array.
    top: bool,
}

enum Progress {
    /// More bytes are needed.
    More,
    /// The value ends before this offset.
    End(usize),
    /// The value is an envelope whose array begins before this offset.
    Envelope(usize),
    /// The value breaks off here.
    Broken(usize),
    /// This is no JSON but a line of text that happens to begin with a brace.
    Text,
}

impl Splitter {
    /// A splitter that leaves out payloads of more than `limit` bytes.
    pub fn new(framing: Framing, limit: usize) -> Self {
        Self {
            framing,
            limit: limit.max(1),
            buffer: Vec::new(),
            base: 0,
            done: 0,
            state: State::Between,
            in_array: false,
            in_envelope: false,
            failures: 0,
            cut: false,
            broke_at: None,
            started: false,
        }
    }

    /// Takes the next piece of the input.
    pub fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(Frame<'_>)) {
        self.compact();
        self.buffer.extend_from_slice(bytes);
        self.run(false, &mut sink);
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
        self.compact();
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
        other.extend_from_slice(self.rest());
        let base = self.base;
        self.base += self.done as u64;
        self.done = 0;
        (std::mem::replace(&mut self.buffer, other), base)
    }

    /// Ends the input: what is left is handed out.
    pub fn finish(&mut self, mut sink: impl FnMut(Frame<'_>)) {
        self.run(true, &mut sink);
        if self.in_array && !self.cut {
            self.done = self.buffer.len();
            self.fault(FaultKind::Unclosed, &mut sink);
        }
        self.done = self.buffer.len();
        self.state = State::Between;
        self.in_array = false;
        self.in_envelope = false;
    }

    fn compact(&mut self) {
        if self.done > 0 {
            self.buffer.drain(..self.done);
            self.base += self.done as u64;
            self.done = 0;
        }
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.done..]
    }

    fn offset(&self) -> u64 {
        self.base + self.done as u64
    }

    fn run(&mut self, last: bool, sink: &mut impl FnMut(Frame<'_>)) {
        if !self.started {
            if self.buffer.len() < 3 && !last {
                return;
            }
            self.started = true;
            if self.buffer.starts_with(b"\xef\xbb\xbf") {
                self.done = 3;
            } else if self.buffer.starts_with(b"\xff\xfe") || self.buffer.starts_with(b"\xfe\xff") {
                self.fault(FaultKind::Utf16, sink);
                self.state = State::SkipAll;
            }
        }
        while self.step(last, sink) {}
    }

    /// One state transition; `false` when more bytes are needed or the input is used up.
    fn step(&mut self, last: bool, sink: &mut impl FnMut(Frame<'_>)) -> bool {
        match std::mem::replace(&mut self.state, State::Between) {
            State::Between => self.between(last),
            State::Line => self.line(last, sink),
            State::Value(scan) => self.value(scan, last, sink),
            State::SkipValue(scan) => self.skip_value(scan),
            State::SkipLine => self.skip_line(),
            State::SkipAll => {
                self.done = self.buffer.len();
                self.state = State::SkipAll;
                false
            }
        }
    }

    fn fault(&self, kind: FaultKind, sink: &mut impl FnMut(Frame<'_>)) {
        sink(Frame::Fault(Fault {
            offset: self.offset(),
            kind,
        }));
    }

    /// Hands out the next `length` bytes without white space at their end.
    fn hand_out(&mut self, length: usize, sink: &mut impl FnMut(Frame<'_>)) {
        let bytes = &self.buffer[self.done..self.done + length];
        let end = bytes
            .iter()
            .rposition(|byte| !matches!(byte, b'\r' | b'\n'))
            .map_or(0, |i| i + 1);
        if bytes[..end].iter().any(|byte| !byte.is_ascii_whitespace()) {
            sink(Frame::Payload {
                bytes: &bytes[..end],
                offset: self.offset(),
            });
            self.cut = false;
        }
        self.done += length;
    }

    fn between(&mut self, last: bool) -> bool {
        if self.framing == Framing::Whole {
            self.state = State::Line;
            return !self.rest().is_empty();
        }
        if self.framing == Framing::Lines {
            self.state = State::Line;
            return !self.rest().is_empty();
        }
        let skipped = self
            .rest()
            .iter()
            .position(|byte| !(byte.is_ascii_whitespace() || *byte == b','))
            .unwrap_or(self.rest().len());
        // A text line may begin with blanks; only separators of JSON values and empty lines are passed over.
        let blanks = &self.rest()[..skipped];
        let line_start = blanks
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |i| i + 1);
        let Some(&first) = self.rest().get(skipped) else {
            if !last && skipped - line_start > self.limit {
                // Blanks are worth no more memory than payloads.
                self.done += line_start;
                self.state = State::Line;
                return true;
            }
            self.done += if last { skipped } else { line_start };
            return false;
        };
        if self.broke_at.take() == Some(self.offset() + skipped as u64) && first == b'{' {
            // The end of the array went with the value that broke off.
            self.in_array = false;
            self.in_envelope = false;
        }
        match first {
            b'{' => {
                self.done += skipped;
                self.state = State::Value(Scan {
                    top: !self.in_array,
                    ..Scan::default()
                });
            }
            b'[' if !self.in_array => {
                let after = self.rest()[skipped + 1..]
                    .iter()
                    .find(|byte| !byte.is_ascii_whitespace());
                match after {
                    None if !last && self.rest().len() <= self.limit => return false,
                    Some(b'{' | b']') => {
                        self.done += skipped + 1;
                        self.in_array = true;
                    }
                    _ => {
                        self.done += line_start;
                        self.state = State::Line;
                    }
                }
            }
            b']' if self.in_array => {
                self.done += skipped + 1;
                self.in_array = false;
                if std::mem::take(&mut self.in_envelope) {
                    self.state = State::SkipValue(Scan {
                        depth: 1,
                        ..Scan::default()
                    });
                }
            }
            _ => {
                self.done += line_start;
                self.state = State::Line;
            }
        }
        true
    }

    fn line(&mut self, last: bool, sink: &mut impl FnMut(Frame<'_>)) -> bool {
        let newline = match self.framing {
            Framing::Whole => None,
            _ => memchr(b'\n', self.rest()),
        };
        let length = match newline {
            Some(at) => at + 1,
            None if last => self.rest().len(),
            None => {
                if self.rest().len() <= self.limit {
                    self.state = State::Line;
                    return false;
                }
                self.rest().len()
            }
        };
        if length > self.limit.saturating_add(1) || (newline.is_none() && length > self.limit) {
            self.fault(FaultKind::TooLong { limit: self.limit }, sink);
            self.done += length;
            self.state = match (newline, self.framing) {
                (Some(_), _) => State::Between,
                (None, Framing::Whole) => State::SkipAll,
                (None, _) => State::SkipLine,
            };
            return newline.is_some();
        }
        self.hand_out(length, sink);
        !self.rest().is_empty()
    }

    fn skip_line(&mut self) -> bool {
        match memchr(b'\n', self.rest()) {
            Some(at) => {
                self.done += at + 1;
                true
            }
            None => {
                self.done = self.buffer.len();
                self.state = State::SkipLine;
                false
            }
        }
    }

    fn value(&mut self, mut scan: Scan, last: bool, sink: &mut impl FnMut(Frame<'_>)) -> bool {
        let one_line = self.failures >= MAX_FAILURES;
        match scan.advance(&self.buffer[self.done..], one_line) {
            Progress::End(end) => return self.value_end(end, scan, last, sink),
            Progress::Envelope(start) => {
                self.done += start;
                self.in_array = true;
                self.in_envelope = true;
                return true;
            }
            Progress::Broken(at) => {
                // Only what is looked at again costs time.
                self.failures += u32::from(scan.resync.is_some());
                self.broken(scan.resync.unwrap_or(at), sink);
                return true;
            }
            Progress::Text => {
                self.state = State::Line;
                return true;
            }
            Progress::More => {}
        }
        if self.rest().len() > self.limit {
            self.fault(FaultKind::TooLong { limit: self.limit }, sink);
            if let Some(resync) = scan.resync {
                self.done += resync;
                return true;
            }
            scan.top = false;
            self.done += scan.at;
            scan.at = 0;
            self.state = State::SkipValue(scan);
            return false;
        }
        if last {
            let length = scan.resync.unwrap_or(self.rest().len());
            self.failures += 1;
            self.broken(length, sink);
            return !self.rest().is_empty();
        }
        self.state = State::Value(scan);
        false
    }

    /// A whole value: what follows it on the line decides whether it is one payload or the beginning of a text.
    fn value_end(
        &mut self,
        end: usize,
        mut scan: Scan,
        last: bool,
        sink: &mut impl FnMut(Frame<'_>),
    ) -> bool {
        let next = self.rest()[end..]
            .iter()
            .find(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
        match next {
            None if !last && !self.in_array => {
                scan.at = end;
                scan.depth = 0;
                self.state = State::Value(scan);
                return false;
            }
            None | Some(b'\n' | b'{' | b'[' | b',' | b']') => {}
            Some(_) if self.in_array => {}
            Some(_) => {
                self.state = State::Line;
                return true;
            }
        }
        if end > self.limit {
            self.fault(FaultKind::TooLong { limit: self.limit }, sink);
            self.done += end;
        } else {
            self.hand_out(end, sink);
        }
        true
    }

    fn broken(&mut self, length: usize, sink: &mut impl FnMut(Frame<'_>)) {
        // The line break at the end is not handed out.
        if length > self.limit.saturating_add(1) {
            self.fault(FaultKind::TooLong { limit: self.limit }, sink);
            self.done += length;
        } else {
            self.fault(FaultKind::Truncated, sink);
            self.hand_out(length, sink);
        }
        self.cut = true;
        if self.buffer[..self.done].ends_with(b"\n") {
            self.broke_at = Some(self.offset());
        }
    }

    fn skip_value(&mut self, mut scan: Scan) -> bool {
        match scan.advance(&self.buffer[self.done..], false) {
            Progress::End(end) => {
                self.done += end;
                true
            }
            // A value that is passed over does not begin a line of text.
            Progress::Text => true,
            Progress::Broken(at) | Progress::Envelope(at) => {
                self.done += scan.resync.unwrap_or(at);
                true
            }
            Progress::More => {
                if let Some(resync) = scan.resync {
                    self.done += resync;
                    return true;
                }
                self.done += scan.at;
                scan.at = 0;
                self.state = State::SkipValue(scan);
                false
            }
        }
    }
}

impl Scan {
    /// Looks at the bytes that were not looked at yet.
    fn advance(&mut self, bytes: &[u8], one_line: bool) -> Progress {
        if self.at > 0 && self.depth == 0 && !self.in_string {
            return Progress::End(self.at);
        }
        if self.in_string
            && let Some(broken) = self.string(bytes)
        {
            return broken;
        }
        while let Some(&byte) = bytes.get(self.at) {
            let at = self.at;
            self.at += 1;
            match byte {
                b'"' => {
                    self.in_string = true;
                    if self.depth == 1 {
                        self.name = (at + 1, at + 1);
                        self.named = false;
                    }
                    if let Some(broken) = self.string(bytes) {
                        return broken;
                    }
                }
                b':' if self.depth == 1 => self.named = true,
                b'{' => self.depth += 1,
                b'[' => {
                    if self.top
                        && self.depth == 1
                        && self.named
                        && is_envelope(&bytes[self.name.0..self.name.1])
                    {
                        match bytes[self.at..]
                            .iter()
                            .find(|byte| !byte.is_ascii_whitespace())
                        {
                            None => {
                                self.at = at;
                                return Progress::More;
                            }
                            Some(b'{' | b']') => return Progress::Envelope(self.at),
                            Some(_) => {}
                        }
                    }
                    self.depth += 1;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Progress::End(self.at);
                    }
                }
                b'\n' if one_line => return Progress::Broken(self.at),
                b'\n' => match bytes.get(self.at) {
                    Some(b'{') => {
                        self.spans_lines = true;
                        self.resync.get_or_insert(self.at);
                    }
                    // As with a syslog line behind a JSON line that was cut.
                    Some(byte) if !may_begin_token(*byte) => return Progress::Broken(self.at),
                    Some(_) => self.spans_lines = true,
                    None => {
                        self.at = at;
                        return Progress::More;
                    }
                },
                _ if self.top && !self.spans_lines && !may_be_in_json(byte) => {
                    return Progress::Text;
                }
                _ => {}
            }
        }
        Progress::More
    }

    /// Passes over the rest of a string, if it is there; a line break in it means that the line was cut.
    #[inline(always)]
    fn string(&mut self, bytes: &[u8]) -> Option<Progress> {
        loop {
            if self.escaped && self.at < bytes.len() {
                self.escaped = false;
                self.at += 1;
            }
            self.at = string_break(bytes, self.at);
            let byte = bytes.get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => {
                    self.in_string = false;
                    if self.depth == 1 {
                        self.name.1 = self.at - 1;
                    }
                    return None;
                }
                b'\\' => self.escaped = true,
                _ => return Some(Progress::Broken(self.at)),
            }
        }
    }
}

/// The next quote, backslash or line break, or the end. Most strings are short, so the search stands here itself.
#[inline(always)]
fn string_break(bytes: &[u8], mut at: usize) -> usize {
    let [quote, backslash, line] = [b'"', b'\\', b'\n'].map(u8x16::splat);
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        let block = u8x16::new(*chunk);
        let hits = block.simd_eq(quote) | block.simd_eq(backslash) | block.simd_eq(line);
        let hits = hits.to_bitmask();
        if hits != 0 {
            return at + hits.trailing_zeros() as usize;
        }
        at += 16;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + memchr3(b'"', b'\\', b'\n', rest).unwrap_or(rest.len())
}

/// Whether a line within a JSON value, but not within a string, can begin with this byte.
fn may_begin_token(byte: u8) -> bool {
    may_be_in_json(byte) && (!byte.is_ascii_alphabetic() || matches!(byte, b't' | b'f' | b'n'))
}

/// Whether this byte can stand in JSON outside strings: brackets, separators, blanks, numbers, `true`, `false`, `null`.
fn may_be_in_json(byte: u8) -> bool {
    matches!(
        byte,
        b'{' | b'}' | b'[' | b']' | b',' | b':' | b'"' | b' ' | b'\t' | b'\r' | b'\n' | b'0'
            ..=b'9'
                | b'+'
                | b'-'
                | b'.'
                | b'E'
                | b't'
                | b'r'
                | b'u'
                | b'e'
                | b'f'
                | b'a'
                | b'l'
                | b's'
                | b'n'
    )
}

fn is_envelope(name: &[u8]) -> bool {
    matches!(name, b"records" | b"value")
}

#[cfg(test)]
mod tests;
