//! Finding values in a text: JSON, XML, LEEF, CEF, name-value pairs, lists.
//!
//! Each submodule answers "where is the value" with byte ranges of the text; nothing is copied that need not be.

pub mod cef;
pub mod delimited;
pub mod json;
pub mod xml;

/// A byte range of a text. Payloads are far below 4 GiB; the pipeline refuses larger ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// Stands for "nothing here".
    pub(crate) const NONE: Self = Self {
        start: u32::MAX,
        end: 0,
    };

    /// A range that is known to lie inside a text of less than 4 GiB.
    pub fn new(start: usize, end: usize) -> Self {
        Self {
            start: u32::try_from(start).unwrap_or(u32::MAX),
            end: u32::try_from(end).unwrap_or(u32::MAX),
        }
    }

    /// As a range of indices.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The piece of the text, or nothing if the range does not lie in it.
    #[inline]
    pub fn of(self, text: &str) -> &str {
        text.get(self.range()).unwrap_or_default()
    }

    /// Whether there is something.
    pub(crate) fn is_some(self) -> bool {
        self.start != u32::MAX
    }
}
