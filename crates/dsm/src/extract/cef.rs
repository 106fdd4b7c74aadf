//! Reading CEF messages found anywhere in a text.

use super::Span;
use memchr::memmem;

/// A CEF message by the byte ranges of its parts.
#[derive(Debug, Default)]
pub struct Cef {
    /// The seven header fields: version, vendor, product, device version, event class id, name, severity.
    header: Vec<Span>,
    extension: Vec<(Span, Span)>,
}

/// The header words of a CEF key, in header order.
pub const HEADER_WORDS: &[&str] = &[
    "$cefversion$",
    "$vendor$",
    "$product$",
    "$version$",
    "$id$",
    "$name$",
    "$severity$",
];

impl Cef {
    /// Finds and reads the first CEF message of a text.
    pub fn read(text: &str, out: &mut Self) -> bool {
        out.header.clear();
        out.extension.clear();
        let mut from = 0;
        let mut tried = 0;
        while let Some(at) = memmem::find(&text.as_bytes()[from..], b"CEF:").map(|i| from + i) {
            // Only what begins like a header is searched for pipes, and not forever: each search may be long.
            if version_follows(&text[at + 4..]) {
                if out.header(text, at) {
                    return true;
                }
                tried += 1;
                if tried == MAX_CANDIDATES {
                    break;
                }
            }
            from = at + 4;
        }
        out.header.clear();
        false
    }

    fn header(&mut self, text: &str, at: usize) -> bool {
        self.header.clear();
        let mut start = at + 4;
        for _ in 0..6 {
            let Some(end) = unescaped(text, start, b'|') else {
                return false;
            };
            self.header.push(Span::new(start, end));
            start = end + 1;
        }
        // The severity ends at a pipe; some devices leave the pipe out when there is no extension.
        let end = unescaped(text, start, b'|').unwrap_or(text.len());
        self.header.push(Span::new(start, end));
        self.extension(text, (end + 1).min(text.len()));
        true
    }

    /// Keys are found by looking back from each unescaped `=`: a key is the word before it.
    fn extension(&mut self, text: &str, start: usize) {
        let bytes = text.as_bytes();
        let mut open: Option<(Span, usize)> = None;
        let mut at = start;
        while let Some(equals) = unescaped(text, at, b'=') {
            // A key has no `=`, so it begins after the last one; without a blank there, this `=` belongs to the value.
            let blank = bytes[at..equals]
                .iter()
                .rposition(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
            let key_start = blank.map_or(at, |i| at + i + 1);
            let key = &text[key_start..equals];
            let is_key = (blank.is_some() || at == start)
                && !key.is_empty()
                && key.bytes().all(|b| {
                    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'[' | b']')
                });
            if is_key {
                if let Some((key, value)) = open {
                    self.push(text, key, value, key_start);
                }
                open = Some((Span::new(key_start, equals), equals + 1));
            }
            at = equals + 1;
        }
        if let Some((key, value)) = open {
            self.push(text, key, value, text.len());
        }
    }

    fn push(&mut self, text: &str, key: Span, start: usize, end: usize) {
        let value = text[start..end].trim_end();
        self.extension
            .push((key, Span::new(start, start + value.len())));
    }

    /// The value of an extension key (the first one) or of a header word such as `$id$`, as it stands in the text, and
    /// whether it is a header field.
    pub fn get(&self, text: &str, key: &str) -> Option<(Span, bool)> {
        if let Some(index) = HEADER_WORDS.iter().position(|word| *word == key) {
            return self.header.get(index).map(|span| (*span, true));
        }
        self.extension
            .iter()
            .find(|(name, _)| name.of(text) == key)
            .map(|(_, value)| (*value, false))
    }
}

/// How many places that look like a header are tried in one text.
const MAX_CANDIDATES: usize = 16;

/// Whether a version number and a pipe stand here.
fn version_follows(text: &str) -> bool {
    let digits = text
        .bytes()
        .take(8)
        .take_while(|b| b.is_ascii_digit() || *b == b'.')
        .count();
    text.starts_with(|c: char| c.is_ascii_digit()) && text.as_bytes().get(digits) == Some(&b'|')
}

/// The first `byte` from `start` that no backslash protects.
fn unescaped(text: &str, start: usize, byte: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = start;
    loop {
        let next = memchr::memchr2(byte, b'\\', bytes.get(at..)?)?;
        at += next;
        if bytes[at] == byte {
            return Some(at);
        }
        at += 2;
    }
}

/// Resolves CEF's escapes: `\|` and `\\` in the header; `\=`, `\\`, `\n` and `\r` in the extension. Any other
/// backslash stays, as in Windows paths that a device forgot to escape.
pub fn unescape(value: &str, header: bool) -> std::borrow::Cow<'_, str> {
    if !value.contains('\\') {
        return value.into();
    }
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        let mut ahead = chars.clone();
        match ahead.next() {
            Some('\\') => text.push('\\'),
            Some('|') => text.push('|'),
            Some('=') if !header => text.push('='),
            Some('n') if !header => text.push('\n'),
            Some('r') if !header => text.push('\r'),
            _ => {
                text.push('\\');
                continue;
            }
        }
        chars = ahead;
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(text: &str, key: &str) -> Option<String> {
        let mut cef = Cef::default();
        if !Cef::read(text, &mut cef) {
            return None;
        }
        let (span, header) = cef.get(text, key)?;
        Some(unescape(span.of(text), header).into_owned())
    }

    const LINE: &str = r"<13>Nov 23 10:00:00 gw CEF:0|Example|Gate\|way|1.0|100|Web block|7|src=192.0.2.1 msg=a \= b and c\\d  request=https://example.com/?a\=b act=deny";

    #[test]
    fn header_words_and_keys_are_found_behind_a_syslog_header() {
        assert_eq!(get(LINE, "$product$").as_deref(), Some("Gate|way"));
        assert_eq!(get(LINE, "$id$").as_deref(), Some("100"));
        assert_eq!(get(LINE, "$severity$").as_deref(), Some("7"));
        assert_eq!(get(LINE, "src").as_deref(), Some("192.0.2.1"));
        assert_eq!(get(LINE, "msg").as_deref(), Some(r"a = b and c\d"));
        assert_eq!(
            get(LINE, "request").as_deref(),
            Some("https://example.com/?a=b")
        );
        assert_eq!(get(LINE, "act").as_deref(), Some("deny"));
        assert_eq!(get(LINE, "absent"), None);
    }

    #[test]
    fn a_text_without_the_header_is_no_message() {
        assert_eq!(get("CEF:0|a|b", "$id$"), None);
        assert_eq!(get("say CEF: hello", "$id$"), None);
        assert_eq!(get(&"CEF:\\\\".repeat(50_000), "$id$"), None);
        assert_eq!(get("CEF:0|a|b|c|d|e|1|@x=zz=c", "zz"), None);
    }

    #[test]
    fn an_unescaped_windows_path_keeps_its_backslashes() {
        let line = r"CEF:0|a|b|c|d|e|1|filePath=C:\temp\x.exe";
        assert_eq!(get(line, "filePath").as_deref(), Some(r"C:\temp\x.exe"));
    }

    #[test]
    fn equals_signs_in_a_value_belong_to_it_and_cost_no_more_than_other_bytes() {
        let line = "CEF:0|a|b|c|d|e|1|request=https://example.com/?a=1&b=2 =x act=deny";
        assert_eq!(
            get(line, "request").as_deref(),
            Some("https://example.com/?a=1&b=2 =x")
        );
        assert_eq!(get(line, "act").as_deref(), Some("deny"));
        let long = format!("CEF:0|a|b|c|d|e|1|msg={} act=deny", "=".repeat(1 << 20));
        assert_eq!(get(&long, "act").as_deref(), Some("deny"));
    }
}
