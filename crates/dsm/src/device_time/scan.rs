//! A position in a text that moves over digits, names and literals, one byte at a time.

use super::TimeError;

/// The month names; the first three letters are the short name.
pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The day names, Monday first; the first three letters are the short name.
pub(super) const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// A number read from the text, and where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) value: u32,
    /// How many digits it was written with.
    pub(super) digits: usize,
    pub(super) at: usize,
}

/// A reader over one text. `at` is always on a character boundary: it moves over ASCII bytes and over whole literals.
#[derive(Debug, Clone)]
pub(super) struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scan<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Scan { text, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn seek(&mut self, at: usize) {
        self.at = at;
    }

    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.ahead(0)
    }

    pub(super) fn ahead(&self, by: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + by).copied()
    }

    pub(super) fn at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// Moves over one byte when it is the given byte, which must be ASCII.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let hit = self.peek() == Some(byte);
        self.at += usize::from(hit);
        hit
    }

    /// Moves over blanks and tabs, the only characters that Java skips before a field.
    pub(super) fn skip_blanks(&mut self) -> bool {
        let from = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        self.at > from
    }

    /// How many of the next bytes satisfy the predicate.
    pub(super) fn run(&self, predicate: impl Fn(u8) -> bool) -> usize {
        self.rest().bytes().take_while(|&b| predicate(b)).count()
    }

    /// Moves over the run of ASCII letters here and returns it.
    pub(super) fn word(&mut self) -> &'t str {
        let length = self.run(|b| b.is_ascii_alphabetic());
        let word = self.rest().get(..length).unwrap_or_default();
        self.at += length;
        word
    }

    /// Moves over a literal; `fold` ignores the case of ASCII letters.
    pub(super) fn literal(&mut self, literal: &str, fold: bool) -> bool {
        let hit = match self.rest().get(..literal.len()) {
            Some(head) if fold => head.eq_ignore_ascii_case(literal),
            Some(head) => head == literal,
            None => false,
        };
        if hit {
            self.at += literal.len();
        }
        hit
    }

    /// How many digits are here, counted no further than `most`.
    fn digits_here(&self, most: usize) -> usize {
        let head = self.rest().bytes().take(most);
        head.take_while(u8::is_ascii_digit).count()
    }

    /// Reads digits, at most `most` of them. Blanks are not skipped. A value too large for the type saturates, so that
    /// every range check refuses it.
    pub(super) fn digits(&mut self, most: usize) -> Option<Found> {
        let at = self.at;
        let digits = self.digits_here(most);
        let value = self.rest().bytes().take(digits).fold(0u32, |value, b| {
            value.saturating_mul(10).saturating_add(u32::from(b - b'0'))
        });
        self.at += digits;
        (digits > 0).then_some(Found { value, digits, at })
    }

    /// Reads digits as the fraction of a second, in nanoseconds. Digits after the ninth are read and dropped.
    pub(super) fn fraction(&mut self, most: usize) -> Option<u32> {
        let digits = self.digits_here(most);
        let mut bytes = self.rest().bytes().take(digits);
        let nanos = (0..9).fold(0u32, |nanos, _| {
            nanos * 10 + bytes.next().map_or(0, |b| u32::from(b - b'0'))
        });
        self.at += digits;
        (digits > 0).then_some(nanos)
    }

    /// Moves over the full name or else its first three letters, whatever the case; returns the index into `names`.
    pub(super) fn name(&mut self, names: &[&str]) -> Option<u32> {
        let rest = self.rest().as_bytes();
        let starts = |name: &str| {
            rest.get(..name.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
        };
        // No two names of a table share their first three letters.
        let (index, name) = (0u32..)
            .zip(names)
            .find(|(_, name)| name.get(..3).is_some_and(starts))?;
        self.at += if starts(name) { name.len() } else { 3 };
        Some(index)
    }

    /// The next few characters, for a message.
    pub(super) fn excerpt(&self) -> String {
        let mut characters = self.rest().chars();
        let head: String = characters.by_ref().take(16).collect();
        match (head.is_empty(), characters.next()) {
            (true, _) => "the end of the text".to_owned(),
            (false, None) => format!("`{}`", head.escape_debug()),
            (false, Some(_)) => format!("`{}...`", head.escape_debug()),
        }
    }

    /// An error at this position that says what was expected and what is there.
    pub(super) fn expected(&self, what: &str) -> TimeError {
        TimeError::new(
            self.at,
            format!("expected {what}, found {}", self.excerpt()),
        )
    }
}
