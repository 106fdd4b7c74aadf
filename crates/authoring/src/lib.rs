//! The mapping author's kit: load folders, check them, run their fixtures, explain events, render findings.
//!
//! `dsmith` and `cargo xtask` are thin fronts to this crate. Everything that touches the file system on behalf of an
//! author is here; what a mapping means is in `dsm`.

pub mod anonymize;
pub mod census;
pub mod compare;
pub mod corpus;
pub mod coverage;
pub mod explain;
pub mod export;
pub mod folder;
pub mod git;
pub mod import;
pub mod input;
pub mod language;
pub mod lint;
mod markup;
pub mod reference;
pub mod render;
pub mod replay;
pub mod rewrite;
pub mod scaffold;
pub mod schema;
pub mod snapshot;
pub mod suite;
