//! What can be wrong with the input.

use std::fmt;

/// What is wrong with the input, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Offset in the input of the first byte that it concerns.
    pub offset: u64,
    /// What is wrong.
    pub kind: FaultKind,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// A JSON value does not end before the input, or the next payload, does. Its bytes follow as a payload.
    Truncated,
    /// A payload is longer than the limit. Its bytes are left out.
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A payload is longer than the limit. It follows in pieces, each of them a payload.
    InPieces {
        /// The limit in bytes.
        limit: usize,
    },
    /// A JSON value is longer than the limit, and objects or arrays begin on lines within it. The bytes before the first
    /// of these follow as a payload, and each of these is a payload.
    Divided {
        /// The limit in bytes.
        limit: usize,
    },
    /// An array or envelope of payloads is not closed. Its payloads came out.
    Unclosed,
    /// An envelope has members beside its array of payloads. These members are left out.
    Members(Names),
    /// A line is no JSON, though nothing else is expected. It follows as a payload.
    NotJson,
    /// The input is UTF-16. None of it is read.
    Utf16,
}

impl FaultKind {
    /// Whether payloads are missing or incomplete. Members of an envelope are no payloads.
    pub fn concerns_payloads(&self) -> bool {
        !matches!(self, Self::Members(_))
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => {
                f.write_str("a JSON value begins here and does not end; it is read as it is")
            }
            Self::TooLong { limit } => write!(
                f,
                "a payload of more than {limit} bytes begins here; it is left out"
            ),
            Self::InPieces { limit } => write!(
                f,
                "a payload of more than {limit} bytes begins here; it is passed on in pieces"
            ),
            Self::Divided { limit } => write!(
                f,
                "a JSON value of more than {limit} bytes begins here; the values that begin its lines are read one by one"
            ),
            Self::Unclosed => {
                f.write_str("an array of payloads breaks off here; some may be missing")
            }
            Self::Members(names) => write!(
                f,
                "an envelope of payloads has members that are left out: {names}"
            ),
            Self::NotJson => {
                f.write_str("a line that is no JSON begins here; it is passed on as it is")
            }
            Self::Utf16 => f.write_str("the input is UTF-16; convert it to UTF-8"),
        }
    }
}

/// Size of [`Names`] in bytes.
const NAMES: usize = 62;

/// Names of members, escaped so that they can be shown anywhere, as many as fit into 62 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Names {
    text: [u8; NAMES],
    length: u8,
    /// Some names did not fit.
    is_cut: bool,
}

impl Names {
    pub(super) const NONE: Self = Self {
        text: [0; NAMES],
        length: 0,
        is_cut: false,
    };

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0 && !self.is_cut
    }

    /// Adds the name of a member, as it stands between its quotes.
    pub(super) fn add(&mut self, name: &[u8]) {
        if self.is_cut {
            return;
        }
        let before = self.length;
        // A character of the escaped name takes a byte at least, so the rest of a longer name makes no difference.
        let name = String::from_utf8_lossy(&name[..name.len().min(NAMES)]);
        let separator = if before == 0 { "" } else { ", " };
        let characters = separator
            .chars()
            .chain(['"'])
            .chain(name.chars().flat_map(char::escape_debug))
            .chain(['"']);
        for character in characters {
            if !self.push(character) {
                self.length = before;
                self.is_cut = true;
                return;
            }
        }
    }

    fn push(&mut self, character: char) -> bool {
        let start = usize::from(self.length);
        let end = start + character.len_utf8();
        let Some(room) = self.text.get_mut(start..end) else {
            return false;
        };
        character.encode_utf8(room);
        self.length += u8::try_from(end - start).unwrap_or(0);
        true
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text[..usize::from(self.length)];
        f.write_str(&String::from_utf8_lossy(text))?;
        match (self.is_cut, self.length) {
            (false, _) => Ok(()),
            (true, 0) => f.write_str("a long name"),
            (true, _) => f.write_str(" and others"),
        }
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}
