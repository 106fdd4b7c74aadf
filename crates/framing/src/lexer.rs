//! Where a JSON value ends, found by counting brackets, and the other questions about single bytes.
//!
//! A lexer is resumable: it remembers how far it has looked and never looks at a byte twice. What it has looked at is
//! added to a counter, see [`MAX_LOOKS`](super::MAX_LOOKS).

use memchr::memchr3;
use wide::u8x16;

/// What [`Brackets`] has found. Positions are relative to the start of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// More bytes are needed.
    More,
    /// The value ends before this position.
    End(usize),
    /// The value is an envelope. The first byte after the bracket of its array, white space aside, is here.
    Envelope(usize),
    /// The value goes on behind the line break at this position.
    LineBreak(usize),
    /// A string is cut off by a line break, which ends before this position.
    Cut(usize),
    /// This is no JSON but a line of text that happens to begin with a brace.
    Text,
}

/// Finds the end of a JSON value on its first line. It does not check the grammar, so it is fast, and a value with an
/// error inside keeps its extent.
#[derive(Debug, Clone, Default)]
pub(super) struct Brackets {
    /// The next byte to look at.
    pub(super) at: usize,
    depth: u64,
    in_string: bool,
    escaped: bool,
    /// Extent of the last string at depth 1.
    name: (usize, usize),
    /// A colon follows the name.
    is_named: bool,
    /// The opening brace is the last byte but white space.
    at_brace: bool,
    /// The bracket of what may be the array of an envelope is the last byte but white space.
    at_list: bool,
    may_be_text: bool,
    may_be_envelope: bool,
}

impl Brackets {
    /// Begins a value that starts with a brace, a bracket or a quote.
    pub(super) fn new(first: u8, may_be_text: bool, may_be_envelope: bool) -> Self {
        Self {
            at: 1,
            depth: u64::from(first != b'"'),
            in_string: first == b'"',
            at_brace: first == b'{' && may_be_text,
            may_be_text,
            may_be_envelope,
            ..Self::default()
        }
    }

    /// Begins inside a value, `depth` brackets deep.
    pub(super) fn inside(depth: u64, in_string: bool, escaped: bool) -> Self {
        Self {
            depth,
            in_string,
            escaped,
            ..Self::default()
        }
    }

    /// Whether only the array of the envelope is still in question.
    pub(super) fn is_at_list(&self) -> bool {
        self.at_list
    }

    /// The value turns out not to be text.
    pub(super) fn is_not_text(&mut self) {
        self.may_be_text = false;
        self.at_brace = false;
    }

    /// Goes on at the present position, and only to the end of the value.
    pub(super) fn within(&self) -> Self {
        Self::inside(self.depth, self.in_string, self.escaped)
    }

    /// The same when so many bytes of the value have been handed out, and only to the end of the value.
    pub(super) fn behind(&self, length: usize) -> Self {
        Self {
            at: self.at.saturating_sub(length),
            ..self.within()
        }
    }

    /// Looks at the bytes that it has not looked at yet. `bytes` begins with the value.
    #[inline]
    pub(super) fn advance(&mut self, bytes: &[u8], looks: &mut u64) -> Found {
        let from = self.at;
        let found = loop {
            if let Some(found) = self.resume(bytes) {
                break found;
            }
            if let Some(found) = self.run(bytes) {
                break found;
            }
        };
        *looks += (self.at - from) as u64;
        found
    }

    /// Goes on where [`run`](Self::run) stopped.
    #[inline]
    fn resume(&mut self, bytes: &[u8]) -> Option<Found> {
        if self.in_string {
            match string(bytes, &mut self.at, &mut self.escaped) {
                StringEnd::More => return Some(Found::More),
                StringEnd::LineBreak => return Some(Found::Cut(self.at)),
                StringEnd::Quote if self.depth == 0 => return Some(Found::End(self.at)),
                StringEnd::Quote => {
                    self.in_string = false;
                    if self.depth == 1 {
                        self.name.1 = self.at - 1;
                    }
                }
            }
        }
        if self.at_brace || self.at_list {
            return self.begin(bytes);
        }
        None
    }

    /// Behind the first brace, or the bracket of what may be the array of an envelope.
    #[cold]
    fn begin(&mut self, bytes: &[u8]) -> Option<Found> {
        self.skip_white_space(bytes);
        let Some(byte) = bytes.get(self.at) else {
            return Some(Found::More);
        };
        if std::mem::take(&mut self.at_list) {
            return matches!(byte, b'{' | b']').then_some(Found::Envelope(self.at));
        }
        self.at_brace = false;
        // Of the lines that begin with a brace, only these can be JSON.
        (!matches!(byte, b'"' | b'}' | b'\n')).then_some(Found::Text)
    }

    /// Goes on until the value ends, the bytes run out, or [`resume`](Self::resume) must decide.
    #[inline]
    fn run(&mut self, bytes: &[u8]) -> Option<Found> {
        // Copies, which the compiler can keep in registers.
        let (mut at, mut depth) = (self.at, self.depth);
        let (mut name, mut is_named) = (self.name, self.is_named);
        let may_be_text = self.may_be_text;
        let found = loop {
            let Some(&byte) = bytes.get(at) else {
                break Some(Found::More);
            };
            at += 1;
            match byte {
                b'"' => {
                    let start = at;
                    let mut escaped = false;
                    let end = string(bytes, &mut at, &mut escaped);
                    if depth == 1 {
                        name = (start, at - 1);
                        is_named = false;
                    }
                    match end {
                        StringEnd::Quote => {}
                        StringEnd::LineBreak => break Some(Found::Cut(at)),
                        StringEnd::More => {
                            self.in_string = true;
                            self.escaped = escaped;
                            break Some(Found::More);
                        }
                    }
                }
                b':' if depth == 1 => is_named = true,
                b'{' => depth += 1,
                b'[' => {
                    depth += 1;
                    if depth == 2
                        && is_named
                        && self.may_be_envelope
                        && is_list_of_envelope(&bytes[name.0..name.1])
                    {
                        self.at_list = true;
                        break None;
                    }
                }
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        break Some(Found::End(at));
                    }
                }
                b'\n' => {
                    at -= 1;
                    break Some(Found::LineBreak(at));
                }
                _ if may_be_text && !may_be_in_json(byte) => break Some(Found::Text),
                _ => {}
            }
        };
        (self.at, self.depth) = (at, depth);
        (self.name, self.is_named) = (name, is_named);
        found
    }

    fn skip_white_space(&mut self, bytes: &[u8]) {
        while let Some(b' ' | b'\t' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
    }
}

/// Why a string ends.
pub(super) enum StringEnd {
    /// More bytes are needed.
    More,
    Quote,
    LineBreak,
}

/// Moves `at` behind the closing quote of a string, or behind the line break that cuts it off.
#[inline(always)]
pub(super) fn string(bytes: &[u8], at: &mut usize, escaped: &mut bool) -> StringEnd {
    loop {
        if *escaped && let Some(byte) = bytes.get(*at) {
            *escaped = false;
            // JSON has no escaped line break: the line was cut behind the backslash.
            *at += usize::from(*byte != b'\n');
        }
        *at = string_break(bytes, *at);
        let Some(byte) = bytes.get(*at) else {
            return StringEnd::More;
        };
        *at += 1;
        match byte {
            b'"' => return StringEnd::Quote,
            b'\\' => *escaped = true,
            _ => return StringEnd::LineBreak,
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

/// Whether an array of this name makes an object an envelope.
pub(super) fn is_list_of_envelope(name: &[u8]) -> bool {
    matches!(name, b"records" | b"value")
}

/// Whether a member of an envelope says nothing about its payloads: control information of OData, and the address of
/// the next page.
pub(super) fn is_control_information(name: &[u8]) -> bool {
    name.starts_with(b"@") || name == b"nextLink"
}

/// Whether a byte ends a number or a literal.
pub(super) fn ends_scalar(byte: u8) -> bool {
    matches!(
        byte,
        b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' | b'{' | b'}' | b'[' | b']' | b'"'
    )
}

/// Whether a text is a number or a literal of JSON.
pub(super) fn is_scalar(text: &[u8]) -> bool {
    matches!(text, b"true" | b"false" | b"null") || is_number(text)
}

fn is_number(text: &[u8]) -> bool {
    fn digits(text: &[u8]) -> Option<&[u8]> {
        let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count > 0).then(|| &text[count..])
    }
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let whole = match text {
        [b'0', rest @ ..] => Some(rest),
        _ => digits(text),
    };
    let Some(mut rest) = whole else {
        return false;
    };
    if let [b'.', fraction @ ..] = rest {
        let Some(behind) = digits(fraction) else {
            return false;
        };
        rest = behind;
    }
    match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => {
            digits(exponent).is_some_and(<[u8]>::is_empty)
        }
        _ => false,
    }
}
