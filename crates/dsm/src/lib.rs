//! The DSM engine.
pub mod java_regex;
