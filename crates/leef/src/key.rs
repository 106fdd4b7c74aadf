//! Attribute keys, checked once.

use crate::attribute::is_valid_key;
use crate::writer::WriteError;
use crate::{SANITIZED_KEY, TRUNCATED_KEY};
use std::borrow::Cow;
use std::fmt;

/// Words in [`KeyFilter`].
const WORDS: usize = 32;

/// A key that may stand in front of a value: an ASCII letter followed by ASCII letters and digits.
///
/// For those who write the same key into many events: what there is to check and to compute is done when it is made.
///
/// ```
/// use leef::Key;
///
/// const SOURCE: Key = Key::from_static("src");
/// assert_eq!(SOURCE.as_str(), "src");
/// assert!(Key::new("two words").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    text: Cow<'static, str>,
    pub(crate) line: Line,
    pub(crate) trace: Trace,
    is_mark: bool,
}

/// How many bytes of a key, with what stands around it, are copied at once.
const LINE: usize = 32;

/// A key as it is written: a byte in the place of the delimiter, the key, `=`, and more bytes that are of no account. To
/// copy a fixed number of bytes costs less than to copy a few of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) bytes: [u8; LINE],
    /// Up to and with `=`; nothing for a key that is too long.
    pub(crate) len: usize,
}

impl Line {
    const fn new(key: &[u8]) -> Self {
        let mut line = Self {
            bytes: [b' '; LINE],
            len: 0,
        };
        if key.len() + 2 > LINE {
            return line;
        }
        let mut at = 0;
        while at < key.len() {
            line.bytes[at + 1] = key[at];
            at += 1;
        }
        line.bytes[at + 1] = b'=';
        line.len = at + 2;
        line
    }
}

/// What can be the key of an attribute: a text, which is checked at each use, or a [`Key`].
pub trait AsKey: sealed::Sealed {}

impl AsKey for &str {}
impl AsKey for &Key {}

/// A key that is valid, and what the writer asks of it.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'k> {
    pub(crate) text: &'k str,
    pub(crate) trace: Trace,
    /// The writer itself uses the key to mark changes.
    pub(crate) is_mark: bool,
}

mod sealed {
    use super::{Checked, Key, Trace, WriteError, is_mark, is_valid_key};

    pub trait Sealed {
        fn checked(&self) -> Result<Checked<'_>, WriteError>;

        /// The key, if it was checked before and is none of the writer's own.
        #[inline]
        fn ready(&self) -> Option<&Key> {
            None
        }
    }

    impl Sealed for &str {
        fn checked(&self) -> Result<Checked<'_>, WriteError> {
            if !is_valid_key(self) {
                return Err(WriteError::InvalidKey {
                    key: (*self).to_owned(),
                });
            }
            Ok(Checked {
                text: self,
                trace: Trace::of(self.as_bytes()),
                is_mark: is_mark(self),
            })
        }
    }

    impl Sealed for &Key {
        #[inline]
        fn checked(&self) -> Result<Checked<'_>, WriteError> {
            Ok(Checked {
                text: &self.text,
                trace: self.trace,
                is_mark: self.is_mark,
            })
        }

        #[inline]
        fn ready(&self) -> Option<&Key> {
            Some(*self).filter(|key| !key.is_mark)
        }
    }
}

impl Key {
    /// Checks a key.
    ///
    /// # Errors
    ///
    /// If it is not an ASCII letter followed by ASCII letters and digits.
    pub fn new(key: impl Into<String>) -> Result<Self, WriteError> {
        let key = key.into();
        if !is_valid_key(&key) {
            return Err(WriteError::InvalidKey { key });
        }
        Ok(Self {
            trace: Trace::of(key.as_bytes()),
            is_mark: is_mark(&key),
            line: Line::new(key.as_bytes()),
            text: Cow::Owned(key),
        })
    }

    /// A key that is written in the program; meant for constants.
    ///
    /// # Panics
    ///
    /// If it is not valid, or one of the writer's own (`leefSanitized`, `leefTruncated`): in a constant, the program does
    /// not compile then.
    #[must_use]
    pub const fn from_static(key: &'static str) -> Self {
        assert!(
            is_valid_key(key),
            "not a letter followed by letters and digits"
        );
        // The two keys of the writer are the only ones that begin like this.
        assert!(!begins_like_a_mark(key.as_bytes()), "a key of the writer");
        Self {
            text: Cow::Borrowed(key),
            line: Line::new(key.as_bytes()),
            trace: Trace::of(key.as_bytes()),
            is_mark: false,
        }
    }

    /// The text of the key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

const fn begins_like_a_mark(key: &[u8]) -> bool {
    matches!(key, [b'l', b'e', b'e', b'f', b'S' | b'T', ..])
}

/// Whether the writer itself uses the key to mark changes.
fn is_mark(key: &str) -> bool {
    matches!(key, SANITIZED_KEY | TRUNCATED_KEY)
}

/// What a key leaves in a [`KeyFilter`]: three bits of one word, by a hash of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    word: u8,
    bits: u64,
}

impl Trace {
    pub(crate) const fn of(key: &[u8]) -> Self {
        // FNV-1a.
        let (mut hash, mut at) = (0xcbf2_9ce4_8422_2325_u64, 0);
        while at < key.len() {
            hash = (hash ^ key[at] as u64).wrapping_mul(0x0100_0000_01b3);
            at += 1;
        }
        Self {
            word: (hash >> 8) as u8,
            bits: 1 << (hash >> 16 & 63) | 1 << (hash >> 24 & 63) | 1 << (hash >> 32 & 63),
        }
    }
}

/// A quick no to the question whether a key was given before; a yes, which is nearly always true, has to be looked into.
#[derive(Debug, Default, Clone)]
pub(crate) struct KeyFilter([u64; WORDS]);

impl KeyFilter {
    /// Notes a key; whether it, or others that leave the same bits, were noted before.
    #[inline]
    pub(crate) fn note(&mut self, trace: Trace) -> bool {
        let word = &mut self.0[usize::from(trace.word) % WORDS];
        let seen = *word & trace.bits == trace.bits;
        *word |= trace.bits;
        seen
    }
}
