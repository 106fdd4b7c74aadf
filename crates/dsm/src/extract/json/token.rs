//! The grammar: what a token is and where a value ends.

use super::MAX_DEPTH;
use super::found::{JsonError, JsonErrorKind};
use wide::u8x16;

pub(super) type Outcome = Result<(), JsonError>;

/// A place in a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'t> {
    pub(super) bytes: &'t [u8],
    pub(super) at: usize,
    /// Members read so far: a text with one was meant to be an object.
    pub(super) members: usize,
}

/// A member name, without its quotes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) escaped: bool,
}

impl<'t> Reader<'t> {
    pub(super) fn new(bytes: &'t [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            members: 0,
        }
    }

    #[cold]
    pub(super) fn error<T>(&self, kind: JsonErrorKind) -> Result<T, JsonError> {
        Err(JsonError { at: self.at, kind })
    }

    /// Wrong byte, or none left.
    #[cold]
    pub(super) fn unexpected<T>(&self) -> Result<T, JsonError> {
        if self.at >= self.bytes.len() {
            self.error(JsonErrorKind::Truncated)
        } else {
            self.error(JsonErrorKind::Syntax)
        }
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    pub(super) fn blanks(&mut self) {
        // Devices write compact JSON, so that most of the time there is nothing to pass over.
        if self.peek().is_some_and(|byte| byte <= b' ') {
            self.more_blanks();
        }
    }

    fn more_blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Passes over an opening bracket; tells whether the closing one follows, and passes over it too.
    #[inline]
    pub(super) fn open(&mut self, close: u8) -> bool {
        self.at += 1;
        self.blanks();
        let empty = self.peek() == Some(close);
        self.at += usize::from(empty);
        empty
    }

    /// What stands between elements: passes over a comma, or the closing bracket; tells whether it was a comma.
    #[inline]
    pub(super) fn comma(&mut self, close: u8) -> Result<bool, JsonError> {
        self.blanks();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.blanks();
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ => self.unexpected(),
        }
    }

    /// A member name and its colon.
    #[inline]
    pub(super) fn name(&mut self) -> Result<Name, JsonError> {
        if self.peek() != Some(b'"') {
            return self.unexpected();
        }
        let start = self.at + 1;
        let escaped = self.string()?;
        let end = self.at - 1;
        self.blanks();
        if self.peek() != Some(b':') {
            return self.unexpected();
        }
        self.at += 1;
        self.members += 1;
        self.blanks();
        Ok(Name {
            start,
            end,
            escaped,
        })
    }

    /// Passes over a string; tells whether it holds escapes.
    #[inline]
    pub(super) fn string(&mut self) -> Result<bool, JsonError> {
        self.at = string_break(self.bytes, self.at + 1);
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(false);
        }
        self.escaped_string()?;
        Ok(true)
    }

    /// The rest of a string, from its first escape.
    fn escaped_string(&mut self) -> Outcome {
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) => {}
                None => return self.error(JsonErrorKind::Truncated),
            }
            self.at += 1;
            match self.peek() {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                Some(b'u') => {
                    self.at += 1;
                    for _ in 0..4 {
                        if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                            return self.unexpected();
                        }
                        self.at += 1;
                    }
                }
                _ => return self.unexpected(),
            }
            self.at = string_break(self.bytes, self.at);
        }
    }

    /// Passes over a value of any kind.
    #[inline]
    pub(super) fn skip(&mut self) -> Outcome {
        match self.peek() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'{' | b'[') => self.skip_nested(),
            _ => self.scalar(),
        }
    }

    /// Passes over a number, `true`, `false` or `null`.
    fn scalar(&mut self) -> Outcome {
        match self.peek() {
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.unexpected(),
        }
    }

    /// Passes over an object or an array, without recursion.
    fn skip_nested(&mut self) -> Outcome {
        // One bit for each open bracket: set for an object.
        let mut stack = [0u64; MAX_DEPTH / 64];
        let mut depth = 0usize;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.string()?;
                }
                Some(open @ (b'{' | b'[')) => {
                    if depth == MAX_DEPTH {
                        return self.error(JsonErrorKind::TooDeep);
                    }
                    let object = open == b'{';
                    let bit = 1 << (depth % 64);
                    if object {
                        stack[depth / 64] |= bit;
                    } else {
                        stack[depth / 64] &= !bit;
                    }
                    if !self.open(if object { b'}' } else { b']' }) {
                        depth += 1;
                        if object {
                            self.name()?;
                        }
                        continue;
                    }
                }
                _ => self.scalar()?,
            }
            // After a value: close what ends here, or go on to the next one.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let object = stack[(depth - 1) / 64] >> ((depth - 1) % 64) & 1 == 1;
                if self.comma(if object { b'}' } else { b']' })? {
                    if object {
                        self.name()?;
                    }
                    break;
                }
                depth -= 1;
            }
        }
    }

    pub(super) fn word(&mut self, word: &[u8]) -> Outcome {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        if word.starts_with(rest) {
            self.at = self.bytes.len();
        }
        self.unexpected()
    }

    fn number(&mut self) -> Outcome {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Outcome {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return self.unexpected();
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }
}

/// The next quote or backslash, or the end.
#[inline]
fn string_break(bytes: &[u8], mut at: usize) -> usize {
    let (quote, backslash) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        let block = u8x16::new(*chunk);
        let hits = (block.simd_eq(quote) | block.simd_eq(backslash)).to_bitmask();
        if hits != 0 {
            return at + hits.trailing_zeros() as usize;
        }
        at += 16;
    }
    last_string_break(bytes, at)
}

/// The same within the last sixteen bytes of a text.
#[cold]
fn last_string_break(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let next = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
    next.map_or(bytes.len(), |next| at + next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_string_is_found_at_any_distance() {
        for length in 0..80 {
            for (behind, expected) in [("\"", 1), ("\\", 1), ("\"\\", 1), ("", 0), ("é\"", 3)] {
                for tail in ["", ",\"more\": \"than sixteen bytes\"}"] {
                    if behind.is_empty() && !tail.is_empty() {
                        continue;
                    }
                    let text = format!("{}{behind}{tail}", "x".repeat(length));
                    let at = string_break(text.as_bytes(), 0);
                    assert_eq!(at, length + expected - usize::from(expected > 0), "{text}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_found_behind_the_end() {
        assert_eq!(string_break(b"ab", 2), 2);
        assert_eq!(string_break(b"", 0), 0);
    }
}
