//! Where one payload ends and the next begins.
//!
//! A [`Splitter`] is fed with bytes in pieces of any size and hands out payloads. It recognises by itself NDJSON, JSON
//! objects that span lines, a JSON array of objects, the envelopes `{"records":[…]}` and `{"value":[…]}`, and text
//! lines; all of them may follow each other. It keeps no more than one payload in memory.
//!
//! Broken input costs as little as possible: a JSON object that never ends is handed out up to the next line that begins
//! an object, with a [`Fault`] that says where; what follows is read as usual.

use memchr::{memchr, memchr3};

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
            started: false,
        }
    }

    /// Takes the next piece of the input.
    pub fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(Frame<'_>)) {
        self.buffer.extend_from_slice(bytes);
        self.run(false, &mut sink);
        self.compact();
    }

    /// Ends the input: what is left is handed out.
    pub fn finish(&mut self, mut sink: impl FnMut(Frame<'_>)) {
        self.run(true, &mut sink);
        self.base += self.buffer.len() as u64;
        self.buffer.clear();
        self.done = 0;
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
            self.done += if last { skipped } else { line_start };
            return false;
        };
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
                    None if !last => return false,
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
                self.broken(scan.resync.unwrap_or(at), sink);
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
        self.failures += 1;
        self.fault(FaultKind::Truncated, sink);
        self.hand_out(length, sink);
        // The end of the array went with it.
        let line_start = self.done == 0 || self.buffer[self.done - 1] == b'\n';
        if line_start && self.rest().first() == Some(&b'{') {
            self.in_array = false;
            self.in_envelope = false;
        }
    }

    fn skip_value(&mut self, mut scan: Scan) -> bool {
        match scan.advance(&self.buffer[self.done..], false) {
            Progress::End(end) => {
                self.done += end;
                true
            }
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
        while self.at < bytes.len() {
            if self.in_string {
                if let Some(broken) = self.string(bytes) {
                    return broken;
                }
                continue;
            }
            let at = self.at;
            self.at += 1;
            match bytes[at] {
                b'"' => {
                    self.in_string = true;
                    if self.depth == 1 {
                        self.name = (at + 1, at + 1);
                        self.named = false;
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
                b'\n' if self.resync.is_none() => match bytes.get(self.at) {
                    Some(b'{') => self.resync = Some(self.at),
                    Some(_) => {}
                    None => {
                        self.at = at;
                        return Progress::More;
                    }
                },
                _ => {}
            }
        }
        Progress::More
    }

    /// Passes over the inside of a string; a line break in it means that the line was cut.
    fn string(&mut self, bytes: &[u8]) -> Option<Progress> {
        if self.escaped {
            self.escaped = false;
            self.at += 1;
            return None;
        }
        let Some(next) = memchr3(b'"', b'\\', b'\n', &bytes[self.at..]) else {
            self.at = bytes.len();
            return None;
        };
        self.at += next + 1;
        match bytes[self.at - 1] {
            b'"' => {
                self.in_string = false;
                if self.depth == 1 {
                    self.name.1 = self.at - 1;
                }
                None
            }
            b'\\' => {
                self.escaped = true;
                None
            }
            _ => Some(Progress::Broken(self.at)),
        }
    }
}

fn is_envelope(name: &[u8]) -> bool {
    matches!(name, b"records" | b"value")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits the input in pieces of one size; the result must not depend on the size.
    fn split_in(input: &[u8], piece: usize, framing: Framing, limit: usize) -> Vec<String> {
        let mut out = Vec::new();
        let mut sink = |frame: Frame<'_>| {
            out.push(match frame {
                Frame::Payload { bytes, offset } => {
                    assert_eq!(
                        &input[usize::try_from(offset).unwrap()..][..bytes.len()],
                        bytes
                    );
                    String::from_utf8_lossy(bytes).into_owned()
                }
                Frame::Fault(fault) => format!("!{:?}@{}", fault.kind, fault.offset),
            });
        };
        let mut splitter = Splitter::new(framing, limit);
        for chunk in input.chunks(piece) {
            splitter.push(chunk, &mut sink);
        }
        splitter.finish(&mut sink);
        out
    }

    fn split(input: &str) -> Vec<String> {
        let whole = split_in(input.as_bytes(), usize::MAX, Framing::Auto, 1000);
        for piece in [1, 2, 3, 7] {
            assert_eq!(
                split_in(input.as_bytes(), piece, Framing::Auto, 1000),
                whole,
                "pieces of {piece}"
            );
        }
        whole
    }

    #[test]
    fn ndjson_pretty_json_and_text_lines_are_told_apart() {
        assert_eq!(
            split("{\"a\":1}\n{\"b\":\"}\\\"{\"}\r\n\n{\"c\":3}"),
            ["{\"a\":1}", "{\"b\":\"}\\\"{\"}", "{\"c\":3}"]
        );
        assert_eq!(
            split("{\n  \"a\": [\n {\n}\n]\n}\n{\n}\n"),
            ["{\n  \"a\": [\n {\n}\n]\n}", "{\n}"]
        );
        assert_eq!(
            split("<13>one {x\n\n  two\nthree"),
            ["<13>one {x", "  two", "three"]
        );
        assert_eq!(split("[2026-11-23] text\n"), ["[2026-11-23] text"]);
        assert_eq!(split("{\"a\":1} and text\n"), ["{\"a\":1} and text"]);
    }

    #[test]
    fn arrays_and_envelopes_are_opened() {
        assert_eq!(
            split("[{\"a\":1},\n {\"b\":2} ]\n{\"c\":3}"),
            ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]
        );
        assert_eq!(
            split(
                "{\"@odata.context\":\"x\",\"value\":[{\"a\":[1]},{\"records\":[{}]}],\"next\":{\"value\":[{}]}}\n{\"c\":3}"
            ),
            ["{\"a\":[1]}", "{\"records\":[{}]}", "{\"c\":3}"]
        );
        assert_eq!(split("{\"records\": [ ]}"), Vec::<String>::new());
        assert_eq!(split("{\"value\":[1,2]}"), ["{\"value\":[1,2]}"]);
        assert_eq!(
            split("{\"x\":\"value\",\"y\":[{}]}"),
            ["{\"x\":\"value\",\"y\":[{}]}"]
        );
    }

    #[test]
    fn a_line_that_was_cut_costs_nothing_but_itself() {
        assert_eq!(
            split("{\"a\":1}\n{\"b\":\"cut\n{\"c\":3}\n{\"d\":[{\"e\":1},\n{\"f\":6}\n"),
            [
                "{\"a\":1}",
                "!Truncated@8",
                "{\"b\":\"cut",
                "{\"c\":3}",
                "!Truncated@26",
                "{\"d\":[{\"e\":1},",
                "{\"f\":6}",
            ]
        );
    }

    #[test]
    fn an_array_that_is_cut_gives_what_it_has() {
        assert_eq!(
            split("[{\"a\":1},{\"b\":"),
            ["{\"a\":1}", "!Truncated@9", "{\"b\":"]
        );
    }

    #[test]
    fn a_payload_over_the_limit_is_left_out_and_the_next_one_is_read() {
        let long = format!(
            "{{\"a\":\"{}\"}}\n{{\"b\":2}}\n{}\nend",
            "x".repeat(2000),
            "y".repeat(3000)
        );
        assert_eq!(
            split(&long),
            [
                "!TooLong { limit: 1000 }@0",
                "{\"b\":2}",
                "!TooLong { limit: 1000 }@2017",
                "end"
            ]
        );
    }

    #[test]
    fn memory_stays_within_the_limit() {
        let mut splitter = Splitter::new(Framing::Auto, 1000);
        splitter.push(b"{\"a\":\"", |_| {});
        for _ in 0..1000 {
            splitter.push(&[b'x'; 1000], |_| {});
            assert!(splitter.buffer.len() <= 3000);
        }
    }

    #[test]
    fn other_framings_do_not_look_into_the_text() {
        let input = b"{\"a\":\n1}\n";
        assert_eq!(split_in(input, 2, Framing::Lines, 100), ["{\"a\":", "1}"]);
        assert_eq!(split_in(input, 2, Framing::Whole, 100), ["{\"a\":\n1}"]);
    }

    #[test]
    fn utf_16_is_refused_and_a_byte_order_mark_is_passed_over() {
        assert_eq!(
            split_in(b"\xff\xfe{\0}\0", 1, Framing::Auto, 100),
            ["!Utf16@0"]
        );
        assert_eq!(split_in(b"\xef\xbb\xbf{}\n", 1, Framing::Auto, 100), ["{}"]);
    }

    #[test]
    fn many_values_that_never_end_cost_linear_time() {
        let input = "{\"a\":[\n".repeat(100_000);
        let frames = split_in(input.as_bytes(), 65536, Framing::Auto, 1 << 24);
        assert_eq!(frames.len(), 200_000);
    }
}
