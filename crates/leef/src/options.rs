use thiserror::Error;

use crate::delimiter::Delimiter;
use crate::header::Version;

/// What becomes of characters that the format cannot carry.
///
/// LEEF has no escapes. What cannot be carried is, everywhere: the characters
/// of [`control`](crate::control), TAB, CR, LF and NUL among them; in the header
/// also `|`; in a value also the delimiter.
/// A backslash is an ordinary character, and so is `=` in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Substitution {
    /// Each such character becomes one blank.
    #[default]
    Space,
    /// Each such character is left out.
    Drop,
    /// Each byte of such a character becomes `%` and two upper-case
    /// hexadecimal digits, and in a text where this happens `%` itself becomes
    /// `%25`. A text without such a character stays as it is, `%` included.
    /// So percent-decoding the fields that the [`Report`](crate::Report) names, and only
    /// those, gives back exactly what they were.
    Percent,
    /// The event is refused. So is one with a key given twice, or an event ID
    /// that is too long.
    Fail,
}

/// How events are written.
///
/// The default, LEEF 1.0 with TAB, is the form that every reader takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterOptions {
    /// The version of the format.
    pub version: Version,
    /// What stands between attributes; LEEF 1.0 allows only TAB. LEEF 2.0
    /// declares it in the header, always as the character itself, because few
    /// readers understand all of the hexadecimal spellings.
    pub delimiter: Delimiter,
    /// What becomes of characters that the format cannot carry.
    pub substitution: Substitution,
    /// The most bytes an event may have, not counting what the buffer held
    /// before it. Attributes that do not fit are left out whole; give the
    /// important ones first.
    pub max_bytes: Option<usize>,
    /// Whether an event says of itself that it was changed: by the attributes
    /// `leefSanitized` (the changed fields, separated by commas, or by
    /// semicolons if the comma is the delimiter) and `leefTruncated=true`
    /// (attributes were left out for length). They count towards
    /// [`max_bytes`](Self::max_bytes), and the caller cannot use their keys.
    pub mark_changes: bool,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            version: Version::V1_0,
            delimiter: Delimiter::TAB,
            substitution: Substitution::Space,
            max_bytes: None,
            mark_changes: true,
        }
    }
}

impl WriterOptions {
    /// Refuses options that contradict each other.
    pub(crate) fn check(&self) -> Result<(), OptionsError> {
        let Self { delimiter, .. } = *self;
        if self.version == Version::V1_0 && delimiter != Delimiter::TAB {
            return Err(OptionsError::DelimiterNeedsVersion2 { delimiter });
        }
        if self.substitution == Substitution::Percent && delimiter.as_char() == '%' {
            return Err(OptionsError::PercentDelimiter);
        }
        Ok(())
    }
}

/// Options contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// LEEF 1.0 cannot declare a delimiter.
    #[error(
        "LEEF 1.0 separates attributes by TAB only, not by {delimiter}: choose LEEF 2.0 or TAB"
    )]
    DelimiterNeedsVersion2 {
        /// The delimiter that was asked for.
        delimiter: Delimiter,
    },
    /// Percent signs would separate attributes and encode characters.
    #[error("`%` cannot be the delimiter while substitution writes it: choose another of the two")]
    PercentDelimiter,
}
