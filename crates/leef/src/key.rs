//! Attribute keys, checked once.

use crate::attribute::is_valid_key;
use crate::writer::WriteError;
use crate::{SANITIZED_KEY, TRUNCATED_KEY};
use std::borrow::Cow;
use std::fmt;

/// Places in [`KeyFilter`].
const BITS: usize = 2048;

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
    pub(crate) bit: u16,
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
    /// Its place in a [`KeyFilter`].
    pub(crate) bit: u16,
    /// The writer itself uses the key to mark changes.
    pub(crate) is_mark: bool,
}

mod sealed {
    use super::{Checked, Key, WriteError, bit, is_mark, is_valid_key};

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
                bit: bit(self.as_bytes()),
                is_mark: is_mark(self),
            })
        }
    }

    impl Sealed for &Key {
        #[inline]
        fn checked(&self) -> Result<Checked<'_>, WriteError> {
            Ok(Checked {
                text: &self.text,
                bit: self.bit,
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
            bit: bit(key.as_bytes()),
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
            bit: bit(key.as_bytes()),
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

/// The place of a key in a [`KeyFilter`]: a hash (FNV-1a), so that few keys of an event share one.
pub(crate) const fn bit(key: &[u8]) -> u16 {
    let (mut hash, mut at) = (0x811c_9dc5_u32, 0);
    while at < key.len() {
        hash = (hash ^ key[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    // The upper bits depend on all of the key.
    (hash >> 21) as u16
}

/// A quick no to the question whether a key was given before; a yes has to be looked into.
#[derive(Debug, Default, Clone)]
pub(crate) struct KeyFilter([u64; BITS / 64]);

impl KeyFilter {
    /// Whether a key with this [`bit`] may have been noted.
    #[inline]
    pub(crate) fn has(&self, bit: u16) -> bool {
        let bit = usize::from(bit) % BITS;
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }

    /// Notes a key by its [`bit`]; whether it, or another that shares its bit, was noted before.
    #[inline]
    pub(crate) fn note(&mut self, bit: u16) -> bool {
        let seen = self.has(bit);
        let bit = usize::from(bit) % BITS;
        self.0[bit / 64] |= 1 << (bit % 64);
        seen
    }
}
