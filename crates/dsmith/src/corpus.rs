//! Payloads that somebody names for a command to look through.

use crate::{UsageError, terminal};
use authoring::corpus::{self, Input};
use authoring::input::Item;
use indicatif::ProgressBar;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

/// The inputs of a command, and what happened while they were read.
pub(crate) struct Corpus {
    inputs: Vec<Input>,
    /// Something could not be read, or was broken; the rest was read.
    pub(crate) is_incomplete: bool,
    /// Something could not be read at all.
    pub(crate) is_unread: bool,
}

/// How many faults are told one by one.
const TOLD: u64 = 5;

impl Corpus {
    /// What the paths lead to; `-` is standard input. What cannot be listed is complained about.
    pub(crate) fn of(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let listing = corpus::inputs(paths);
        for (path, error) in &listing.refused {
            terminal::error(&format!("{}: {error}", path.display()));
        }
        for path in &listing.empty {
            terminal::warning(&format!("{}: the folder holds no files", path.display()));
        }
        let stdin = listing.inputs.iter().any(|i| matches!(i, Input::Stdin));
        if stdin && io::stdin().is_terminal() {
            return Err(UsageError("`-` reads standard input: pipe payloads in".to_owned()).into());
        }
        Ok(Self {
            inputs: listing.inputs,
            is_incomplete: !listing.refused.is_empty(),
            is_unread: !listing.refused.is_empty(),
        })
    }

    /// Hands out each payload with the name of its input and its offset there. Faults of the input are complained about.
    pub(crate) fn read(&mut self, mut each: impl FnMut(&str, u64, &[u8])) {
        let progress = self.progress();
        let mut faults = 0;
        let unread = corpus::read(
            &self.inputs,
            |bytes| progress.inc(bytes),
            |name, item| match item {
                Item::Payload(bytes, offset) => each(name, offset, bytes),
                Item::Fault(fault) => {
                    faults += 1;
                    if faults <= TOLD {
                        let text = format!("{name}: byte {}: {}", fault.offset, fault.kind);
                        progress.suspend(|| terminal::error(&text));
                    }
                }
            },
        );
        progress.finish_and_clear();
        if faults > TOLD {
            terminal::error(&format!("and {} more faults of the input", faults - TOLD));
        }
        for error in &unread {
            terminal::error(error);
        }
        self.is_unread |= !unread.is_empty();
        self.is_incomplete |= faults > 0 || self.is_unread;
    }

    fn progress(&self) -> ProgressBar {
        let total: Option<u64> = self.inputs.iter().map(Input::size).sum();
        match total {
            Some(total @ 1..) => {
                let bar = terminal::progress(
                    "{bytes:>10} of {total_bytes} {wide_bar} {bytes_per_sec}, {eta} left",
                );
                bar.set_length(total);
                bar
            }
            _ => terminal::progress("{bytes} read, {bytes_per_sec}"),
        }
    }
}
