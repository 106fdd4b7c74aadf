//! Where a payload ends in a file.

use crate::json::{self, Outline, SplitError};

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Ndjson,
    Json,
    Text,
}

/// Takes payloads from the front of what has been read of a file.
#[derive(Debug)]
pub(super) struct Framing {
    format: Format,
    max_payload: usize,
    /// Whether the place is within a list of payloads.
    pub(super) in_list: bool,
    /// Whether the rest of the line is no JSON.
    is_broken: bool,
}

/// What is at the front.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// Payloads, and how many bytes they took. There are none where only white space was.
    Payloads {
        payloads: Vec<Box<[u8]>>,
        bytes: usize,
        malformed: u64,
    },
    /// The end has not been read yet.
    Unfinished,
}

impl Framing {
    pub(super) fn new(format: Format, max_payload: usize, in_list: bool) -> Self {
        Self {
            format,
            max_payload,
            in_list,
            is_broken: false,
        }
    }

    /// Begins elsewhere, within a list or not.
    pub(super) fn restart(&mut self, in_list: bool) {
        self.in_list = in_list;
        self.is_broken = false;
    }

    /// What `text` begins with; `is_end` says that nothing follows it. `text` is not empty.
    pub(super) fn front(&mut self, text: &[u8], is_end: bool) -> Front {
        match self.format {
            Format::Ndjson | Format::Text => self.line(text, is_end),
            Format::Json => self.value(text, is_end),
        }
    }

    fn line(&self, text: &[u8], is_end: bool) -> Front {
        let end = memchr::memchr(b'\n', &text[..text.len().min(self.max_payload)]);
        let (line, bytes) = match end {
            Some(end) => (&text[..end], end + 1),
            None if text.len() >= self.max_payload => (&text[..self.max_payload], self.max_payload),
            None if is_end => (text, text.len()),
            None => return Front::Unfinished,
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let is_blank = line.iter().all(u8::is_ascii_whitespace);
        let is_object = line.trim_ascii_start().starts_with(b"{");
        Front::Payloads {
            payloads: if is_blank {
                Vec::new()
            } else {
                vec![line.into()]
            },
            bytes,
            malformed: u64::from(!is_blank && self.format == Format::Ndjson && !is_object),
        }
    }

    fn value(&mut self, text: &[u8], is_end: bool) -> Front {
        if self.is_broken {
            return self.broken(text, is_end);
        }
        let is_filler = |byte: &u8| byte.is_ascii_whitespace() || *byte == b',';
        let filler = text.iter().take_while(|byte| is_filler(byte)).count();
        let filler = if text.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            filler
        };
        if filler > 0 {
            return nothing(filler);
        }
        match text.first() {
            Some(b'[') if !self.in_list => {
                self.in_list = true;
                return nothing(1);
            }
            Some(b']') if self.in_list => {
                self.in_list = false;
                return nothing(1);
            }
            _ => {}
        }
        let room = text.len() < self.max_payload && !is_end;
        match json::end_of_value(text) {
            Err(SplitError::Truncated) if room => Front::Unfinished,
            // A number or a word at the end of what was read may go on.
            Ok(end)
                if end == text.len()
                    && room
                    && !matches!(text.last(), Some(b'}' | b']' | b'"')) =>
            {
                Front::Unfinished
            }
            Ok(end) if end <= self.max_payload && is_value(&text[..end]) => Front::Payloads {
                payloads: elements(&text[..end], self.in_list),
                bytes: end,
                malformed: 0,
            },
            _ => {
                self.is_broken = true;
                self.broken(text, is_end)
            }
        }
    }

    /// What is no JSON is passed on up to the end of the line; with the next one reading begins again.
    fn broken(&mut self, text: &[u8], is_end: bool) -> Front {
        let end = memchr::memchr(b'\n', &text[..text.len().min(self.max_payload)]);
        if end.is_none() && !is_end && text.len() < self.max_payload {
            return Front::Unfinished;
        }
        self.is_broken = end.is_none();
        let bytes = end.unwrap_or(text.len().min(self.max_payload));
        let piece = text[..bytes].trim_ascii_end();
        Front::Payloads {
            payloads: (!piece.is_empty())
                .then(|| piece.into())
                .into_iter()
                .collect(),
            bytes: bytes + usize::from(end.is_some()),
            malformed: u64::from(!piece.is_empty()),
        }
    }
}

/// Whether a text with fitting brackets is a value. What is wrong within an object is for others to find.
fn is_value(text: &[u8]) -> bool {
    matches!(text.first(), Some(b'{' | b'[' | b'"'))
        || serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

fn nothing(bytes: usize) -> Front {
    Front::Payloads {
        payloads: Vec::new(),
        bytes,
        malformed: 0,
    }
}

/// The payloads in a value: those of an envelope, or the value itself.
fn elements(value: &[u8], in_list: bool) -> Vec<Box<[u8]>> {
    let mut list = None;
    if !in_list && value.starts_with(b"{") {
        let visited = json::visit_members::<SplitError>(value, |name, member| {
            if matches!(name.as_ref(), "value" | "records")
                && let Outline::Array(elements) = json::outline(member)?
                && elements.iter().all(|element| element.starts_with(b"{"))
            {
                list = Some(elements);
            }
            Ok(())
        });
        if visited.is_err() {
            list = None;
        }
    }
    match list {
        Some(elements) => elements.into_iter().map(json::payload).collect(),
        None => vec![json::payload(value)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All payloads of a text that is read in pieces of this size.
    fn split(format: Format, text: &str, piece: usize) -> (Vec<String>, u64) {
        let mut framing = Framing::new(format, 64, false);
        let (mut buffer, mut payloads, mut malformed) = (Vec::new(), Vec::new(), 0);
        let mut rest = text.as_bytes();
        loop {
            let taken = rest.len().min(piece);
            buffer.extend_from_slice(&rest[..taken]);
            rest = &rest[taken..];
            while !buffer.is_empty() {
                match framing.front(&buffer, rest.is_empty()) {
                    Front::Unfinished => break,
                    Front::Payloads {
                        payloads: found,
                        bytes,
                        malformed: odd,
                    } => {
                        assert!(bytes > 0);
                        payloads.extend(
                            found
                                .iter()
                                .map(|payload| String::from_utf8_lossy(payload).into_owned()),
                        );
                        malformed += odd;
                        buffer.drain(..bytes);
                    }
                }
            }
            if rest.is_empty() {
                assert!(buffer.is_empty(), "{buffer:?}");
                return (payloads, malformed);
            }
        }
    }

    fn every_way(format: Format, text: &str, expected: &[&str], malformed: u64) {
        for piece in [1, 2, 3, 7, 1000] {
            let (found, odd) = split(format, text, piece);
            assert_eq!(found, expected, "pieces of {piece}");
            assert_eq!(odd, malformed, "pieces of {piece}");
        }
    }

    #[test]
    fn lines_are_payloads_whatever_their_ends() {
        every_way(
            Format::Text,
            "\u{feff}one\r\n\n  \ntwo\nthree",
            &["one", "two", "three"],
            0,
        );
        every_way(
            Format::Ndjson,
            "{\"a\":1}\n oops\n{\"b\":2}",
            &["{\"a\":1}", " oops", "{\"b\":2}"],
            1,
        );
    }

    #[test]
    fn a_line_over_the_limit_is_passed_on_in_pieces() {
        let long = "x".repeat(150);
        every_way(
            Format::Text,
            &format!("{long}\nend\n"),
            &[&long[..64], &long[..64], &long[..22], "end"],
            0,
        );
    }

    #[test]
    fn json_may_be_lists_envelopes_and_values_over_lines() {
        every_way(
            Format::Json,
            "[{\"a\":1},\n {\"b\":[\n2]}]\n{\"value\":[{\"c\":3},{\"d\":4}],\"n\":1} {\"value\":[1]}\n7 \"x\"",
            &[
                "{\"a\":1}",
                "{\"b\":[2]}",
                "{\"c\":3}",
                "{\"d\":4}",
                "{\"value\":[1]}",
                "7",
                "\"x\"",
            ],
            0,
        );
    }

    #[test]
    fn what_is_no_json_is_passed_on_by_lines_and_the_rest_is_read() {
        every_way(
            Format::Json,
            "oops: <b>\n{\"a\":1}\n}\n{\"b\":2}",
            &["oops: <b>", "{\"a\":1}", "}", "{\"b\":2}"],
            2,
        );
        let (found, odd) = split(
            Format::Json,
            &format!("{{\"a\":\"{}\"}}\n{{\"b\":1}}", "y".repeat(100)),
            16,
        );
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(odd > 0);
        assert_eq!(found.last().unwrap(), "{\"b\":1}");
        every_way(Format::Json, "{\"a\":1", &["{\"a\":1"], 1);
    }
}
