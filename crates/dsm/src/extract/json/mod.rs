//! All JSON key paths of a mapping in one pass over the text.
//!
//! The paths are merged into a trie ([`Plan`]); the scanner walks the members that the trie knows and skips the rest,
//! checking the grammar on the way. What it finds are byte ranges; a string is unescaped only when somebody uses it.
//!
//! Two deviations from RFC 8259, both towards accepting what devices send: control characters inside strings are
//! taken as they are, and half a surrogate pair becomes U+FFFD.

mod found;
mod names;
mod plan;
mod scan;
mod select;
mod shape;
mod text;
mod token;

pub(crate) use found::Scalar;
pub use found::{Form, Found, Hit, JsonError, JsonErrorKind, Settings};
pub use plan::{Plan, SlotIx};
pub use text::{compact, text_of, unescape};

/// Deepest nesting that is read. Microsoft's alerts need 8; beyond this somebody is attacking the parser.
pub const MAX_DEPTH: usize = 512;

#[cfg(test)]
mod tests;
