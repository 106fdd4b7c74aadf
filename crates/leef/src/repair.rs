use std::fmt;

use crate::header::Version;

/// Something that a reader had to supply, overlook or guess.
///
/// Positions are byte offsets into the line that was read. In
/// [`Mode::Strict`](crate::Mode::Strict) the first one that
/// [breaks the grammar](Self::breaks_grammar) is the error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// Something other than a blank stands right before `LEEF:`.
    NoBlankBeforeHeader {
        /// Where `LEEF:` begins.
        at: usize,
    },
    /// The header says `LEEF:0`, `LEEF:1` or `LEEF:2`.
    OddVersion {
        /// The version as written.
        found: String,
        /// The version that it was read as.
        read_as: Version,
    },
    /// The event ID is empty.
    EmptyEventId {
        /// Where it should be.
        at: usize,
    },
    /// The last field of the header has no `|` after it.
    NoLastPipe {
        /// Where the `|` should be.
        at: usize,
    },
    /// LEEF 2.0 without the delimiter field; TAB was assumed.
    DelimiterMissing {
        /// Where it should be.
        at: usize,
    },
    /// LEEF 2.0 with an empty delimiter field, which means TAB.
    DelimiterEmpty {
        /// Where it is.
        at: usize,
    },
    /// LEEF 2.0 declares a delimiter that cannot be one; TAB was assumed.
    DelimiterUnusable {
        /// The field as written.
        found: String,
    },
    /// No TAB separates the attributes, so another separator was assumed.
    SeparatorGuessed {
        /// The separator: a blank stands for any number of blanks.
        separator: char,
    },
    /// Blanks between the header and the first key were skipped.
    BlankAfterHeader {
        /// Where they begin.
        at: usize,
    },
    /// Blanks before or after a key were skipped.
    BlankAroundKey {
        /// The key without them.
        key: String,
        /// Where the key begins.
        at: usize,
    },
    /// A key holds blanks or control characters; it was kept.
    BlankInKey {
        /// The key.
        key: String,
        /// Where it begins.
        at: usize,
    },
    /// Delimiters without an attribute between or after them were skipped.
    EmptyPairs {
        /// How many.
        count: usize,
        /// Where the first attribute is missing.
        at: usize,
    },
    /// Texts between delimiters are no `key=value`; they were taken for a part
    /// of the value before them, together with the delimiters.
    Joined {
        /// The key of that value.
        key: String,
        /// How many texts in a row.
        count: usize,
        /// Where the first begins.
        at: usize,
    },
    /// A text before the first attribute is no `key=value`; it was left out.
    Skipped {
        /// Where the text begins.
        at: usize,
        /// How many bytes it has.
        len: usize,
    },
    /// A key occurs again; its first value was kept and this one left out.
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it occurs again.
        at: usize,
    },
    /// A line break ends the line; it was left out.
    LineBreakAtEnd {
        /// Where it begins.
        at: usize,
    },
    /// A line break stands within the line; it was kept.
    LineBreakInside {
        /// Where the first one is.
        at: usize,
    },
}

impl Repair {
    /// Tells whether the line is outside the grammar here. If not, it says in
    /// an unusual way something that the grammar allows.
    #[must_use]
    pub fn breaks_grammar(&self) -> bool {
        !matches!(
            self,
            Self::DelimiterMissing { .. } | Self::DelimiterEmpty { .. }
        )
    }

    /// What is wrong, without what was done about it.
    pub(crate) fn fault(&self) -> String {
        match self {
            Self::NoBlankBeforeHeader { at } => {
                format!("no blank before `LEEF:` at byte {at}")
            }
            Self::OddVersion { found, .. } => format!("version {found:?} instead of 1.0 or 2.0"),
            Self::EmptyEventId { at } => format!("empty event ID at byte {at}"),
            Self::NoLastPipe { at } => format!("no `|` after the header at byte {at}"),
            Self::DelimiterMissing { at } => format!("no delimiter field at byte {at}"),
            Self::DelimiterEmpty { at } => format!("empty delimiter field at byte {at}"),
            Self::DelimiterUnusable { found } => format!("unusable delimiter {found:?}"),
            Self::SeparatorGuessed { separator } => {
                format!("attributes separated by {separator:?} undeclared")
            }
            Self::BlankAfterHeader { at } => format!("blank after the header at byte {at}"),
            Self::BlankAroundKey { key, at } => {
                format!("blank around the key {key:?} at byte {at}")
            }
            Self::BlankInKey { key, at } => format!("blank in the key {key:?} at byte {at}"),
            Self::EmptyPairs { count: 1, at } => {
                format!("delimiter without attribute at byte {at}")
            }
            Self::EmptyPairs { count, at } => {
                format!("{count} delimiters without attribute, the first at byte {at}")
            }
            Self::Joined { at, .. } | Self::Skipped { at, .. } => {
                format!("text without `key=` at byte {at}")
            }
            Self::DuplicateKey { key, at } => format!("key {key:?} again at byte {at}"),
            Self::LineBreakAtEnd { at } => format!("line break at the end, byte {at}"),
            Self::LineBreakInside { at } => format!("line break within the event at byte {at}"),
        }
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fault())?;
        match self {
            Self::NoBlankBeforeHeader { .. } | Self::EmptyEventId { .. } => {
                f.write_str(": accepted")
            }
            Self::OddVersion { read_as, .. } => write!(f, ": read as {read_as}"),
            Self::NoLastPipe { .. } => f.write_str(": supplied"),
            Self::DelimiterMissing { .. }
            | Self::DelimiterEmpty { .. }
            | Self::DelimiterUnusable { .. } => f.write_str(": TAB assumed"),
            Self::SeparatorGuessed { .. } => f.write_str(": guessed"),
            Self::BlankAfterHeader { .. }
            | Self::BlankAroundKey { .. }
            | Self::EmptyPairs { .. } => f.write_str(": skipped"),
            Self::BlankInKey { .. } | Self::LineBreakInside { .. } => f.write_str(": kept"),
            Self::Joined { key, .. } => write!(f, ": taken for a part of the value of {key:?}"),
            Self::Skipped { len, .. } => write!(f, ": {len} bytes left out"),
            Self::DuplicateKey { .. } => f.write_str(": first value kept"),
            Self::LineBreakAtEnd { .. } => f.write_str(": left out"),
        }
    }
}
