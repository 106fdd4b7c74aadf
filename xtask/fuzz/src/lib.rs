//! Fuzz targets: one for each thing that reads what strangers write.
//!
//! A target is a function over bytes. It panics when a promise does not hold: not only when the code under it panics, but
//! also when two ways to the same result disagree, when what was written cannot be read again, or when an input costs more
//! time or memory than its length allows. `cargo xtask fuzz` runs the targets under libFuzzer; `cargo test` runs them over
//! the corpora in `corpus/`, without an engine.

mod input;
mod limits;
mod targets;

use std::path::{Path, PathBuf};

pub use limits::{Cost, check};

/// Something that reads what strangers write.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name on the command line and below `corpus/`, in kebab-case.
    pub name: &'static str,
    /// What it feeds, and what has to hold.
    pub about: &'static str,
    /// Files and folders of the repository that are good inputs to begin with.
    pub seeds: &'static [&'static str],
    /// The longest input that the engine makes, in bytes.
    pub longest: usize,
    /// Texts that the engine may put into an input.
    pub words: &'static [&'static str],
    /// Panics when a promise does not hold.
    pub run: fn(&[u8]),
}

/// All targets, in the order in which they are listed.
pub const TARGETS: &[Target] = targets::ALL;

/// The target of this name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The folder with the corpora, one folder for each target.
pub fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}
