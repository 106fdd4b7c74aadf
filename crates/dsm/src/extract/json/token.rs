//! The grammar: what a token is and where a value ends.
//!
//! Everything here takes a position and gives the next one, and what every member of an object goes through is inlined
//! whatever its size, so that positions stay in registers.

use super::MAX_DEPTH;
use super::found::{JsonError, JsonErrorKind};
use wide::u8x16;

/// A one in each byte.
const ONES: u64 = u64::MAX / 0xff;

/// The position behind what was read.
pub(super) type Outcome = Result<usize, JsonError>;

/// A text that is read as JSON.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'t> {
    pub(super) bytes: &'t [u8],
}

/// A member name, without its quotes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) escaped: bool,
    /// Where the value begins.
    pub(super) value: usize,
}

/// What stands between elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Between {
    /// A comma; the next element begins here.
    Comma(usize),
    /// The closing bracket; this is behind it.
    Close(usize),
}

#[cold]
pub(super) fn error<T>(at: usize, kind: JsonErrorKind) -> Result<T, JsonError> {
    Err(JsonError { at, kind })
}

impl Text<'_> {
    /// Wrong byte, or none left.
    #[cold]
    fn unexpected<T>(self, at: usize) -> Result<T, JsonError> {
        if at >= self.bytes.len() {
            error(at, JsonErrorKind::Truncated)
        } else {
            error(at, JsonErrorKind::Syntax)
        }
    }

    #[inline(always)]
    pub(super) fn byte(self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    #[inline(always)]
    pub(super) fn blanks(self, at: usize) -> usize {
        // Devices write compact JSON, so that most of the time there is nothing to pass over.
        match self.byte(at) {
            Some(0..=b' ') => self.more_blanks(at),
            _ => at,
        }
    }

    fn more_blanks(self, mut at: usize) -> usize {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.byte(at) {
            at += 1;
        }
        at
    }

    /// The first thing behind an opening bracket: an element, or the closing bracket.
    #[inline(always)]
    pub(super) fn open(self, at: usize, close: u8) -> Between {
        let at = self.blanks(at + 1);
        if self.byte(at) == Some(close) {
            Between::Close(at + 1)
        } else {
            Between::Comma(at)
        }
    }

    /// What stands behind an element: a comma, or the closing bracket.
    #[inline(always)]
    pub(super) fn between(self, at: usize, close: u8) -> Result<Between, JsonError> {
        Ok(match self.behind(at, close)? {
            Between::Comma(at) => Between::Comma(self.blanks(at)),
            end @ Between::Close(_) => end,
        })
    }

    /// The same, with the position right behind the comma.
    #[inline(always)]
    pub(super) fn behind(self, at: usize, close: u8) -> Result<Between, JsonError> {
        match self.byte(at) {
            Some(b',') => Ok(Between::Comma(at + 1)),
            Some(byte) if byte == close => Ok(Between::Close(at + 1)),
            Some(b' ' | b'\n' | b'\t' | b'\r') => self.behind(self.more_blanks(at), close),
            _ => self.unexpected(at),
        }
    }

    /// A member name and its colon.
    #[inline(always)]
    pub(super) fn name(self, at: usize) -> Result<Name, JsonError> {
        if self.byte(at) != Some(b'"') {
            return self.unexpected(at);
        }
        let (behind, escaped) = self.string(at)?;
        let colon = self.blanks(behind);
        if self.byte(colon) != Some(b':') {
            return self.unexpected(colon);
        }
        Ok(Name {
            start: at + 1,
            end: behind - 1,
            escaped,
            value: self.blanks(colon + 1),
        })
    }

    /// The end of a string, and whether it holds escapes.
    #[inline(always)]
    pub(super) fn string(self, at: usize) -> Result<(usize, bool), JsonError> {
        let end = self.string_break(at + 1);
        if self.byte(end) == Some(b'"') {
            return Ok((end + 1, false));
        }
        Ok((self.escaped_string(end)?, true))
    }

    /// The end of a string, from its first escape.
    fn escaped_string(self, mut at: usize) -> Outcome {
        loop {
            match self.byte(at) {
                Some(b'"') => return Ok(at + 1),
                Some(_) => {}
                None => return error(at, JsonErrorKind::Truncated),
            }
            at += 1;
            match self.byte(at) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at += 1,
                Some(b'u') => {
                    at += 1;
                    for _ in 0..4 {
                        if !self.byte(at).is_some_and(|byte| byte.is_ascii_hexdigit()) {
                            return self.unexpected(at);
                        }
                        at += 1;
                    }
                }
                _ => return self.unexpected(at),
            }
            at = self.string_break(at);
        }
    }

    /// The next quote or backslash, or the end.
    #[inline(always)]
    fn string_break(self, mut at: usize) -> usize {
        let (quote, backslash) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
        while let Some(chunk) = self
            .bytes
            .get(at..)
            .and_then(|rest| rest.first_chunk::<16>())
        {
            let block = u8x16::new(*chunk);
            let hits = (block.simd_eq(quote) | block.simd_eq(backslash)).to_bitmask();
            if hits != 0 {
                return at + hits.trailing_zeros() as usize;
            }
            at += 16;
        }
        self.last_string_break(at)
    }

    /// The same within the last sixteen bytes of a text, or within all of a shorter one.
    #[inline(never)]
    fn last_string_break(self, at: usize) -> usize {
        let (quote, backslash) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
        let len = self.bytes.len();
        if let Some(chunk) = self.bytes.last_chunk::<16>() {
            let block = u8x16::new(*chunk);
            let hits = (block.simd_eq(quote) | block.simd_eq(backslash)).to_bitmask();
            // What lies before is not asked for.
            let hits = hits
                .checked_shr(16 - (len - at.min(len)) as u32)
                .unwrap_or(0);
            return match hits {
                0 => len,
                hits => at + hits.trailing_zeros() as usize,
            };
        }
        let rest = self.bytes.get(at..).unwrap_or_default();
        let next = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
        next.map_or(len, |next| at + next)
    }

    /// The end of a value of any kind within so many open brackets. Notes whether a member was read.
    #[inline(always)]
    pub(super) fn skip(self, at: usize, around: usize, has_members: &mut bool) -> Outcome {
        match self.byte(at) {
            Some(b'"') => Ok(self.string(at)?.0),
            Some(b'{' | b'[') => self.skip_nested(at, around, has_members),
            _ => self.scalar(at),
        }
    }

    /// The end of a number, `true`, `false` or `null`.
    pub(super) fn scalar(self, at: usize) -> Outcome {
        match self.byte(at) {
            Some(b't') => self.word(at, b"true"),
            Some(b'f') => self.word(at, b"false"),
            Some(b'n') => self.word(at, b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(at),
            _ => self.unexpected(at),
        }
    }

    /// The end of an object or an array, without recursion.
    fn skip_nested(self, mut at: usize, around: usize, has_members: &mut bool) -> Outcome {
        let most = MAX_DEPTH.saturating_sub(around);
        // One bit for each open bracket: set for an object.
        let mut stack = [0u64; MAX_DEPTH / 64];
        let mut depth = 0usize;
        loop {
            at = match self.byte(at) {
                Some(b'"') => self.string(at)?.0,
                Some(open @ (b'{' | b'[')) => {
                    if depth == most {
                        return error(at, JsonErrorKind::TooDeep);
                    }
                    let object = open == b'{';
                    let bit = 1 << (depth % 64);
                    if object {
                        stack[depth / 64] |= bit;
                    } else {
                        stack[depth / 64] &= !bit;
                    }
                    match self.open(at, if object { b'}' } else { b']' }) {
                        Between::Comma(next) => {
                            depth += 1;
                            at = self.element_of(next, object, has_members)?;
                            continue;
                        }
                        Between::Close(behind) => behind,
                    }
                }
                _ => self.scalar(at)?,
            };
            // After a value: close what ends here, or go on to the next one.
            loop {
                if depth == 0 {
                    return Ok(at);
                }
                let object = stack[(depth - 1) / 64] >> ((depth - 1) % 64) & 1 == 1;
                match self.between(at, if object { b'}' } else { b']' })? {
                    Between::Comma(next) => {
                        at = self.element_of(next, object, has_members)?;
                        break;
                    }
                    Between::Close(behind) => {
                        at = behind;
                        depth -= 1;
                    }
                }
            }
        }
    }

    /// Where the value of an element begins: in an object behind its name.
    #[inline(always)]
    fn element_of(self, at: usize, object: bool, has_members: &mut bool) -> Outcome {
        if !object {
            return Ok(at);
        }
        let name = self.name(at)?;
        *has_members = true;
        Ok(name.value)
    }

    fn word(self, at: usize, word: &[u8]) -> Outcome {
        let rest = &self.bytes[at..];
        if rest.starts_with(word) {
            Ok(at + word.len())
        } else if word.starts_with(rest) {
            error(self.bytes.len(), JsonErrorKind::Truncated)
        } else {
            self.unexpected(at)
        }
    }

    fn number(self, mut at: usize) -> Outcome {
        if self.byte(at) == Some(b'-') {
            at += 1;
        }
        if self.byte(at) == Some(b'0') {
            at += 1;
        } else {
            at = self.digits(at)?;
        }
        if self.byte(at) == Some(b'.') {
            at = self.digits(at + 1)?;
        }
        if let Some(b'e' | b'E') = self.byte(at) {
            at += 1;
            if let Some(b'+' | b'-') = self.byte(at) {
                at += 1;
            }
            at = self.digits(at)?;
        }
        Ok(at)
    }

    fn digits(self, mut at: usize) -> Outcome {
        if !self.byte(at).is_some_and(|byte| byte.is_ascii_digit()) {
            return self.unexpected(at);
        }
        loop {
            // Eight bytes less the digit zero: what is no digit then has a bit above the fourth, or is too large.
            let rest = self.bytes.get(at..).unwrap_or_default();
            let Some(chunk) = rest.first_chunk::<8>() else {
                let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
                return Ok(at + digits.count());
            };
            let bytes = u64::from_le_bytes(*chunk) ^ (ONES * u64::from(b'0'));
            let others = (bytes | (bytes.wrapping_add(ONES * 6))) & (ONES * 0xf0);
            if others != 0 {
                // A carry can only come from a byte that is no digit, so that the first one is right.
                return Ok(at + others.trailing_zeros() as usize / 8);
            }
            at += 8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(text: &str) -> Text<'_> {
        Text {
            bytes: text.as_bytes(),
        }
    }

    #[test]
    fn the_end_of_a_string_is_found_at_any_distance() {
        for length in 0..80 {
            for behind in ["\"", "\\", "\"\\", ""] {
                for tail in ["", ",\"more\": \"than sixteen bytes\"}"] {
                    if behind.is_empty() && !tail.is_empty() {
                        continue;
                    }
                    let text = format!("{}{behind}{tail}", "é".repeat(length));
                    assert_eq!(text_of(&text).string_break(0), 2 * length, "{text}");
                }
            }
        }
    }

    #[test]
    fn digits_end_at_the_first_byte_that_is_none() {
        for count in 1..20 {
            for other in 0..=u8::MAX {
                let mut text = vec![b'7'; count];
                text.extend([other, b'5', 0xff, b'9', b'9', b'9', b'9', b'9', b'9', b'9']);
                let end = Text { bytes: &text }.digits(0).unwrap();
                let expected = count + usize::from(other.is_ascii_digit()) * 2;
                assert_eq!(end, expected, "{count} {other}");
                let end = Text {
                    bytes: &text[..=count],
                }
                .digits(0);
                let expected = count + usize::from(other.is_ascii_digit());
                assert_eq!(end.unwrap(), expected, "{count} {other}");
            }
        }
    }

    #[test]
    fn nothing_is_found_behind_the_end() {
        assert_eq!(text_of("ab").string_break(2), 2);
        assert_eq!(text_of("").string_break(0), 0);
        assert_eq!(text_of("").string_break(1), 0);
    }
}
