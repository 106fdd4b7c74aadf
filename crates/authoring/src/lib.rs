//! The mapping author's kit.
