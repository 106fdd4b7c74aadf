//! From the text of a JSON value to what it stands for.

use memchr::memchr;
use std::borrow::Cow;
use wide::u8x16;

/// The text of a value as it stands in a document: strings without quotes and escapes, `null` as nothing, numbers and
/// booleans as they are, objects and arrays as compact JSON.
pub fn text_of(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes() {
        [] | b"null" => None,
        [b'"', .., b'"'] => Some(unescape(&raw[1..raw.len() - 1])),
        [b'{' | b'[', ..] => Some(compact(raw)),
        _ => Some(Cow::Borrowed(raw)),
    }
}

/// A string's content with its escapes resolved.
pub fn unescape(inner: &str) -> Cow<'_, str> {
    let Some(first) = memchr(b'\\', inner.as_bytes()) else {
        return Cow::Borrowed(inner);
    };
    let bytes = inner.as_bytes();
    let mut text = String::with_capacity(inner.len());
    let mut copied = 0;
    let mut at = first;
    loop {
        text.push_str(&inner[copied..at]);
        let behind = if let Some(b'\\' | b'"' | b'/') = bytes.get(at + 1) {
            // What is escaped stands for itself and is copied with what follows.
            copied = at + 1;
            at + 2
        } else {
            let (character, length) = escape(&inner[at..]);
            text.push(character);
            copied = at + length;
            copied
        };
        match next_backslash(&bytes[behind..]) {
            Some(next) => at = behind + next,
            None => break,
        }
    }
    text.push_str(&inner[copied..]);
    Cow::Owned(text)
}

/// The next backslash, which is most often near: a path has one behind each name.
#[inline]
fn next_backslash(bytes: &[u8]) -> Option<usize> {
    let backslash = u8x16::splat(b'\\');
    if let Some(chunk) = bytes.first_chunk::<16>() {
        let hits = u8x16::new(*chunk).simd_eq(backslash).to_bitmask();
        if hits != 0 {
            return Some(hits.trailing_zeros() as usize);
        }
    }
    memchr(b'\\', bytes)
}

/// The character of the escape that the text begins with, and the length of the escape.
fn escape(text: &str) -> (char, usize) {
    let simple = match text.as_bytes().get(1) {
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => return unicode_escape(text),
        Some(byte) if byte.is_ascii() => char::from(*byte),
        _ => return ('\\', 1),
    };
    (simple, 2)
}

fn unicode_escape(text: &str) -> (char, usize) {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    };
    let Some(high) = unit(0) else {
        return ('\u{fffd}', text.len().min(2));
    };
    if let 0xD800..=0xDBFF = high
        && let Some(low @ 0xDC00..=0xDFFF) = unit(6)
    {
        let point = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        return (char::from_u32(point).unwrap_or('\u{fffd}'), 12);
    }
    (char::from_u32(high).unwrap_or('\u{fffd}'), 6)
}

/// JSON text without the white space between its tokens.
pub fn compact(raw: &str) -> Cow<'_, str> {
    let mut text: Option<String> = None;
    let mut copied = 0;
    let bytes = raw.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += 1 + usize::from(bytes[at] == b'\\');
                }
                at += 1;
            }
            b' ' | b'\n' | b'\t' | b'\r' => {
                let text = text.get_or_insert_with(|| String::with_capacity(raw.len()));
                text.push_str(&raw[copied..at]);
                at += 1;
                copied = at;
            }
            _ => at += 1,
        }
    }
    match text {
        Some(mut text) => {
            text.push_str(&raw[copied..]);
            Cow::Owned(text)
        }
        None => Cow::Borrowed(raw),
    }
}
