//! What came of it, and how that is told.

use std::fmt;
use std::time::Duration;

/// What was done, and how things stood then.
#[derive(Debug, Clone)]
pub struct Event {
    /// Since the beginning.
    pub at: Duration,
    /// What was done.
    pub what: String,
    /// Records that had been produced.
    pub produced: u32,
    /// Records that had been delivered.
    pub delivered: u32,
}

/// What came of the processes of a group.
#[derive(Debug)]
pub struct GroupOutcome {
    /// What decided the records and the moments.
    pub seed: u64,
    /// Partitions of the topic.
    pub partitions: usize,
    /// What was done.
    pub events: Vec<Event>,
    /// Records that were produced, all of them different.
    pub produced: u32,
    /// Records that were delivered at least once.
    pub delivered: u32,
    /// Records that were not delivered, by the first of them.
    pub missing: Vec<String>,
    /// How often records were delivered, beyond once each.
    pub repeated: u32,
    /// How often a process was killed.
    pub kills: u32,
    /// How often the group went on without a process, by what the processes say.
    pub put_out: u32,
    /// The most events that a process has read and not acknowledged.
    pub in_memory: u32,
    /// Lines that are no record that was produced.
    pub unknown: Vec<String>,
    /// Records that came after a later one of their partition, for the first time from their process.
    pub disordered: Vec<String>,
    /// How long all of it took.
    pub took: Duration,
}

impl GroupOutcome {
    /// The most repeats that are in order.
    pub fn bound(&self) -> u32 {
        (self.kills + self.put_out) * self.in_memory
    }

    /// Whether nothing was lost, nothing invented, the order kept, and no more repeated than is in order.
    pub fn passed(&self) -> bool {
        self.missing.is_empty()
            && self.unknown.is_empty()
            && self.disordered.is_empty()
            && self.repeated <= self.bound()
    }
}

impl fmt::Display for GroupOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: {} records of the Streaming API over {} partitions, {:.0} s\n",
            self.seed,
            self.produced,
            self.partitions,
            self.took.as_secs_f64()
        )?;
        writeln!(
            f,
            "{:>7}  {:<62} {:>8} {:>9} {:>12}",
            "AT", "WHAT", "PRODUCED", "DELIVERED", "ON THEIR WAY"
        )?;
        for event in &self.events {
            writeln!(
                f,
                "{:>5.1} s  {:<62} {:>8} {:>9} {:>12}",
                event.at.as_secs_f64(),
                event.what,
                event.produced,
                event.delivered,
                event.produced.saturating_sub(event.delivered)
            )?;
        }
        writeln!(
            f,
            "\n{:<12} {:>9} {:>9} {:>8} {:>9} {:>6} {:>8} {:>12}",
            "DESTINATION",
            "PRODUCED",
            "DELIVERED",
            "MISSING",
            "REPEATED",
            "BOUND",
            "UNKNOWN",
            "OUT OF ORDER"
        )?;
        writeln!(
            f,
            "{:<12} {:>9} {:>9} {:>8} {:>9} {:>6} {:>8} {:>12}",
            "files",
            self.produced,
            self.delivered,
            self.missing.len(),
            self.repeated,
            self.bound(),
            self.unknown.len(),
            self.disordered.len()
        )?;
        write!(
            f,
            "bound: {} kills, and {} times a process was put out of its group, with at most {} events read and not \
             acknowledged each time (limits.memory_events)",
            self.kills, self.put_out, self.in_memory
        )?;
        for (title, all) in [
            ("missing", &self.missing),
            ("unknown", &self.unknown),
            ("out of order", &self.disordered),
        ] {
            if !all.is_empty() {
                let some: Vec<&str> = all.iter().take(3).map(String::as_str).collect();
                write!(f, "\n{title}: {}", some.join("; "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> GroupOutcome {
        GroupOutcome {
            seed: 1,
            partitions: 8,
            events: Vec::new(),
            produced: 100,
            delivered: 100,
            missing: Vec::new(),
            repeated: 30,
            kills: 2,
            put_out: 1,
            in_memory: 10,
            unknown: Vec::new(),
            disordered: Vec::new(),
            took: Duration::ZERO,
        }
    }

    #[test]
    fn what_is_lost_invented_disordered_or_repeated_too_often_does_not_pass() {
        assert!(outcome().passed());
        let one = || vec!["0 7".to_owned()];
        for wrong in [
            GroupOutcome {
                missing: one(),
                ..outcome()
            },
            GroupOutcome {
                unknown: one(),
                ..outcome()
            },
            GroupOutcome {
                disordered: one(),
                ..outcome()
            },
            GroupOutcome {
                repeated: 31,
                ..outcome()
            },
        ] {
            assert!(!wrong.passed(), "{wrong}");
        }
    }
}
