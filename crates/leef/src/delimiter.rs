//! The character between attributes.

use std::fmt;

use thiserror::Error;

/// A character that a [`Writer`](crate::Writer) may put between attributes.
///
/// The format allows any character. This type leaves out those that cannot
/// work or that make events hard to read back:
///
/// - `=` and ASCII letters and digits, of which pairs and keys are made;
/// - `|`, which ends the header field that would declare it;
/// - blanks, because values are full of them and because a blank is what
///   [`Substitution::Space`](crate::Substitution::Space) writes;
/// - control characters other than TAB.
///
/// A reader takes more than this, see [`crate::read`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Delimiter(char);

impl Delimiter {
    /// TAB: the only delimiter of LEEF 1.0 and the default of 2.0.
    pub const TAB: Self = Self('\t');
    /// `^`: the one that most examples of LEEF 2.0 use.
    pub const CARET: Self = Self('^');

    /// Accepts a character as a delimiter.
    ///
    /// # Errors
    ///
    /// If it is one of the characters that the type leaves out.
    pub fn new(character: char) -> Result<Self, DelimiterError> {
        let unusable = character != '\t'
            && (character.is_control()
                || character.is_whitespace()
                || character.is_ascii_alphanumeric()
                || matches!(character, '=' | '|'));
        if unusable {
            Err(DelimiterError { character })
        } else {
            Ok(Self(character))
        }
    }

    /// The character itself.
    #[must_use]
    pub fn as_char(self) -> char {
        self.0
    }
}

impl Default for Delimiter {
    fn default() -> Self {
        Self::TAB
    }
}

impl TryFrom<char> for Delimiter {
    type Error = DelimiterError;

    fn try_from(character: char) -> Result<Self, Self::Error> {
        Self::new(character)
    }
}

impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A character cannot be written between attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "{character:?} cannot separate attributes: use TAB, `^` or another printable character that is not a letter, digit, blank, `=` or `|`"
)]
#[non_exhaustive]
pub struct DelimiterError {
    /// The character that was asked for.
    pub character: char,
}

/// What the text of the sixth header field of LEEF 2.0 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declared {
    /// Nothing: TAB by default.
    Empty,
    Character(char),
    /// A declaration, but not one that attributes can be separated with.
    Unusable,
    /// Too long for a declaration: an attribute, or part of one.
    NotADeclaration,
}

/// Reads the sixth header field: one character, or `x` or `0x` and one to
/// four hexadecimal digits that name a code point. A single `x` or `0` is
/// itself.
pub(crate) fn declared(field: &str) -> Declared {
    let mut characters = field.chars();
    let character = match (characters.next(), characters.next()) {
        (None, _) => return Declared::Empty,
        (Some(only), None) => Some(only),
        _ => {
            let digits = ["0x", "0X", "x", "X"]
                .iter()
                .find_map(|prefix| field.strip_prefix(prefix));
            match digits {
                Some(digits)
                    if (1..=4).contains(&digits.len())
                        && digits.bytes().all(|b| b.is_ascii_hexdigit()) =>
                {
                    u32::from_str_radix(digits, 16)
                        .ok()
                        .and_then(char::from_u32)
                }
                _ => return Declared::NotADeclaration,
            }
        }
    };
    match character {
        None | Some('=' | '\r' | '\n') => Declared::Unusable,
        Some(character) => Declared::Character(character),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_caret_is_read() {
        for field in ["^", "x5E", "x5e", "0x5E", "X5e", "0X5E", "x005E", "0x05e"] {
            assert_eq!(declared(field), Declared::Character('^'), "{field}");
        }
        assert_eq!(declared("x9"), Declared::Character('\t'));
        assert_eq!(declared("0x0009"), Declared::Character('\t'));
        assert_eq!(declared("x7c"), Declared::Character('|'));
        assert_eq!(declared("xa6"), Declared::Character('¦'));
        assert_eq!(declared("¦"), Declared::Character('¦'));
    }

    #[test]
    fn a_single_x_or_zero_is_itself() {
        assert_eq!(declared("x"), Declared::Character('x'));
        assert_eq!(declared("0"), Declared::Character('0'));
    }

    #[test]
    fn what_is_longer_than_a_declaration_is_none() {
        for field in ["0x", "x12345", "xyz", "src=192.0.2.1", "^^", "x=", "5E"] {
            assert_eq!(declared(field), Declared::NotADeclaration, "{field}");
        }
        assert_eq!(declared(""), Declared::Empty);
    }

    #[test]
    fn a_declaration_may_be_useless() {
        for field in ["=", "x3D", "x0A", "xD", "xD800", "0xDFFF"] {
            assert_eq!(declared(field), Declared::Unusable, "{field}");
        }
    }

    #[test]
    fn a_writer_is_kept_from_ambiguous_delimiters() {
        for good in ['\t', '^', '¦', '~', ',', '-', '\\', '%'] {
            assert!(Delimiter::new(good).is_ok(), "{good:?}");
        }
        for bad in [
            '=', '|', ' ', 'x', '0', '\n', '\r', '\0', '\u{85}', '\u{2028}', '\u{a0}',
        ] {
            assert!(Delimiter::new(bad).is_err(), "{bad:?}");
        }
    }
}
