//! Where a message ends in a stream: RFC 6587.

/// How messages are told from each other in a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Message by message: counted if it begins with a number and `<`, else up to the end of the line.
    Auto,
    /// Up to the end of the line.
    Newline,
    /// A number before each message says how many bytes it has.
    OctetCounting,
}

/// Messages with a count of more than this are none.
const MAX_COUNT_DIGITS: usize = 8;

/// Cuts the bytes of one connection into messages.
#[derive(Debug)]
pub(crate) struct Decoder {
    framing: Framing,
    max_payload: usize,
    buffer: Vec<u8>,
    /// How many bytes of a counted message are still to come.
    counted: usize,
    /// Where the last search for the end of a line stopped.
    searched: usize,
}

/// The stream has lost its framing: whoever sends does not count.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lost;

impl Decoder {
    pub(crate) fn new(framing: Framing, max_payload: usize) -> Self {
        Self {
            framing,
            max_payload,
            buffer: Vec::new(),
            counted: 0,
            searched: 0,
        }
    }

    /// Takes bytes and hands out whole messages. A message over the limit comes in pieces.
    pub(crate) fn push(&mut self, bytes: &[u8], messages: &mut Vec<Box<[u8]>>) -> Result<(), Lost> {
        self.buffer.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            let rest = &self.buffer[at..];
            if self.counted > 0 {
                let piece = self.counted.min(self.max_payload);
                if rest.len() < piece {
                    break;
                }
                add(&rest[..piece], messages);
                self.counted -= piece;
                at += piece;
                continue;
            }
            match self.count(rest) {
                Count::Here { digits, count } => {
                    self.counted = count;
                    at += digits + 1;
                    self.searched = 0;
                    continue;
                }
                Count::Unfinished => break,
                Count::None if self.framing == Framing::OctetCounting => {
                    self.buffer.drain(..at);
                    return Err(Lost);
                }
                Count::None => {}
            }
            let window = rest.len().min(self.max_payload);
            let from = self.searched.min(window);
            match rest[from..window].iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    add(&rest[..from + end], messages);
                    at += from + end + 1;
                }
                None if window == self.max_payload => {
                    add(&rest[..window], messages);
                    at += window;
                }
                None => {
                    self.searched = window;
                    break;
                }
            }
            self.searched = 0;
        }
        self.buffer.drain(..at);
        Ok(())
    }

    /// The connection has ended: what is left is a message too.
    pub(crate) fn finish(self, messages: &mut Vec<Box<[u8]>>) {
        add(&self.buffer, messages);
    }

    fn count(&self, rest: &[u8]) -> Count {
        if self.framing == Framing::Newline {
            return Count::None;
        }
        let is_forced = self.framing == Framing::OctetCounting;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > MAX_COUNT_DIGITS || rest.first() == Some(&b'0') {
            return Count::None;
        }
        let sure = if is_forced { digits + 1 } else { digits + 2 };
        if rest.len() < sure {
            // An empty rest or some digits may become a count.
            let is_open = rest.len() == digits || rest.get(digits) == Some(&b' ');
            return if is_open {
                Count::Unfinished
            } else {
                Count::None
            };
        }
        let is_count =
            digits > 0 && rest[digits] == b' ' && (is_forced || rest[digits + 1] == b'<');
        let count = std::str::from_utf8(&rest[..digits])
            .ok()
            .and_then(|count| count.parse().ok());
        match count {
            Some(count) if is_count => Count::Here { digits, count },
            _ => Count::None,
        }
    }
}

enum Count {
    /// A count of so many digits; a blank follows.
    Here { digits: usize, count: usize },
    /// No count.
    None,
    /// It may become one.
    Unfinished,
}

/// A message without what ends it; one that holds nothing is none.
pub(crate) fn add(message: &[u8], messages: &mut Vec<Box<[u8]>>) {
    let end = message
        .iter()
        .rposition(|byte| !matches!(byte, b'\r' | b'\n' | 0))
        .map_or(0, |last| last + 1);
    if end > 0 {
        messages.push(message[..end].into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(framing: Framing, text: &[u8], piece: usize) -> Result<Vec<String>, Lost> {
        let mut decoder = Decoder::new(framing, 32);
        let mut messages = Vec::new();
        for bytes in text.chunks(piece) {
            decoder.push(bytes, &mut messages)?;
        }
        decoder.finish(&mut messages);
        Ok(messages
            .iter()
            .map(|message| String::from_utf8_lossy(message).into_owned())
            .collect())
    }

    fn every_way(framing: Framing, text: &str, expected: &[&str]) {
        for piece in [1, 2, 3, 5, 1000] {
            assert_eq!(
                decode(framing, text.as_bytes(), piece).unwrap(),
                expected,
                "pieces of {piece}"
            );
        }
    }

    #[test]
    fn messages_may_be_counted_or_end_with_the_line() {
        every_way(
            Framing::Auto,
            "<13>a b\n<14>c\r\n\n<15>d",
            &["<13>a b", "<14>c", "<15>d"],
        );
        every_way(
            Framing::Auto,
            "7 <13>a\nb6 <14>cd<15>e\n5 <16>f",
            &["<13>a\nb", "<14>cd", "<15>e", "<16>f"],
        );
        every_way(Framing::OctetCounting, "3 a\nb1 c", &["a\nb", "c"]);
    }

    #[test]
    fn a_line_that_begins_with_a_number_is_no_counted_one() {
        every_way(
            Framing::Auto,
            "17 bottles\n2026-11-20 x\n5\n007 <a\n",
            &["17 bottles", "2026-11-20 x", "5", "007 <a"],
        );
        every_way(Framing::Newline, "7 <13>a\nb", &["7 <13>a", "b"]);
    }

    #[test]
    fn a_message_over_the_limit_comes_in_pieces_and_the_next_one_is_whole() {
        let long = "x".repeat(70);
        every_way(
            Framing::Auto,
            &format!("<1>{long}\n<2>b\n"),
            &[
                &format!("<1>{}", &long[..29]),
                &long[..32],
                &long[..9],
                "<2>b",
            ],
        );
        every_way(
            Framing::Auto,
            &format!("73 <1>{long}6 <2>bcd"),
            &[
                &format!("<1>{}", &long[..29]),
                &long[..32],
                &long[..9],
                "<2>bcd",
            ],
        );
    }

    #[test]
    fn a_stream_that_does_not_count_is_lost_where_it_has_to() {
        for text in ["<13>a\n", "0 <13>a", "x", "999999999 <"] {
            assert_eq!(
                decode(Framing::OctetCounting, text.as_bytes(), 100),
                Err(Lost),
                "{text}"
            );
        }
    }
}
