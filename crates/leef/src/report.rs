use std::fmt;

use crate::header::HeaderField;

/// A part of an event.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Field {
    /// A field of the header.
    Header(HeaderField),
    /// The attribute with this key.
    Attribute(String),
}

impl Field {
    /// How `leefSanitized` names the field: a key as it is, a header field by
    /// [`HeaderField::mark`].
    #[must_use]
    pub fn mark(&self) -> &str {
        match self {
            Self::Header(field) => field.mark(),
            Self::Attribute(key) => key,
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(field) => write!(f, "the {field}"),
            Self::Attribute(key) => write!(f, "the attribute `{key}`"),
        }
    }
}

/// A text that stands in the event otherwise than it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// Which text.
    pub field: Field,
    /// How many of its characters were replaced, removed or encoded.
    pub substituted: usize,
    /// How many characters were cut off its end; only an event ID is ever cut.
    pub cut: usize,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.field)?;
        match (self.substituted, self.cut) {
            (n, 0) => write!(f, "{n} characters substituted"),
            (0, n) => write!(f, "{n} characters cut off"),
            (n, m) => write!(f, "{n} characters substituted, {m} cut off"),
        }
    }
}

/// The account of one written event: all that it does not carry as given.
///
/// What is not named here can be read back from the event exactly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The texts that were changed, in the order of the event.
    pub changed: Vec<Change>,
    /// The keys of the attributes that were left out because the event would
    /// have become too long, in the order given.
    pub dropped: Vec<String>,
    /// The keys that were given again, once for each time; the first value
    /// stands and the others were left out.
    pub duplicates: Vec<String>,
    /// How many bytes were written.
    pub bytes: usize,
}

impl Report {
    /// Tells whether the event carries everything exactly as it was given.
    #[must_use]
    pub fn is_lossless(&self) -> bool {
        self.changed.is_empty() && self.dropped.is_empty() && self.duplicates.is_empty()
    }
}
