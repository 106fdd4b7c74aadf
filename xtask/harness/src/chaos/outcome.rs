//! Result of a chaos run: what was lost, and what was delivered twice.

use super::adversary::Adversary;
use crate::collector::keys_of;
use simulator::{Comparison, Ledger};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What the program was doing when it was killed, as far as that shows from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moments {
    /// It had asked for nothing yet.
    pub starting: u32,
    /// There was something to fetch.
    pub collecting: u32,
    /// Everything was fetched, not everything delivered.
    pub delivering: u32,
    /// Everything was delivered.
    pub idle: u32,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// What decided the alerts and the moments.
    pub seed: u64,
    /// When the program was killed.
    pub moments: Moments,
    /// How often each adversary had its turn.
    pub adversaries: BTreeMap<Adversary, u32>,
    /// What this machine does not let us do, and why.
    pub left_out: Vec<String>,
    /// How many damaged states were refused. The others were harmless: what was damaged was not in use.
    pub refused: u32,
    /// What is in the files.
    pub files: Delivered,
    /// How many files there are.
    pub rotated: usize,
    /// What was received over TCP.
    pub received: Delivered,
    /// Connections that ended within a line.
    pub torn: u64,
    /// How long all of it took.
    pub took: Duration,
}

/// What one destination got.
#[derive(Debug)]
pub struct Delivered {
    /// How many lines.
    pub lines: usize,
    /// The lines beside the ledger.
    pub comparison: Comparison,
    /// The most repeats that are in order.
    pub bound: u32,
}

impl Delivered {
    pub(super) fn new(ledger: &Ledger, lines: &[Vec<u8>], bound: u32) -> Self {
        Self {
            lines: lines.len(),
            comparison: ledger.compare(keys_of(lines)),
            bound,
        }
    }

    pub(super) fn has_everything(&self) -> bool {
        self.comparison.missing.is_empty()
    }

    fn is_in_order(&self) -> bool {
        self.has_everything()
            && self.comparison.unknown.is_empty()
            && self.comparison.repeats() <= self.bound
    }
}

impl Outcome {
    /// Whether nothing was lost, nothing invented, and no more repeated than is in order.
    pub fn passed(&self) -> bool {
        self.files.is_in_order() && self.received.is_in_order()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moments {
            starting,
            collecting,
            delivering,
            idle,
        } = self.moments;
        writeln!(
            f,
            "seed {}: killed {} times in {:.0} s: {starting} while it started, {collecting} while it collected, \
             {delivering} while it only delivered, {idle} while it was idle",
            self.seed,
            starting + collecting + delivering + idle,
            self.took.as_secs_f64()
        )?;
        for (adversary, times) in &self.adversaries {
            write!(f, "{times:>6} x {adversary}")?;
            if *adversary == Adversary::DamagedState {
                write!(f, " ({} refused, the rest harmless)", self.refused)?;
            }
            writeln!(f)?;
        }
        for what in &self.left_out {
            writeln!(f, "left out: {what}")?;
        }
        write!(
            f,
            "{:<12} {:>9} {:>9} {:>8} {:>9} {:>6} {:>8}",
            "DESTINATION", "PRODUCED", "DELIVERED", "MISSING", "REPEATED", "BOUND", "UNKNOWN"
        )?;
        let files = format!("{} files", self.rotated);
        for (name, delivered) in [(files.as_str(), &self.files), ("tcp", &self.received)] {
            let Delivered {
                lines,
                comparison,
                bound,
            } = delivered;
            write!(
                f,
                "\n{name:<12} {:>9} {lines:>9} {:>8} {:>9} {bound:>6} {:>8}",
                comparison.expected,
                comparison.missing.len(),
                comparison.repeats(),
                comparison.unknown.len()
            )?;
        }
        if !self.passed() {
            write!(
                f,
                "\nfiles: {}\ntcp: {}",
                self.files.comparison, self.received.comparison
            )?;
        }
        Ok(())
    }
}
