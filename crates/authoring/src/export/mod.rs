//! Mappings in the forms that QRadar takes.

mod lower;

pub use lower::{Way, ways};
