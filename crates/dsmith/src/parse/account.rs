//! What a run has to say about itself on standard error: complaints as they come, and the summary at the end.

use crate::terminal;
use dsm::Status;
use indicatif::ProgressBar;
use std::fmt::Write as _;

/// How many complaints of a kind are shown before they are only counted.
const MAX_SHOWN: u64 = 10;

/// Kinds of complaints. Each has its own limit, so that a thousand harmless ones do not hide the one that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The input is broken.
    Fault,
    /// Bytes that are not UTF-8.
    Encoding,
    /// The JSON in a payload is broken.
    Json,
    /// No mapping recognises a payload.
    Unrecognised,
    /// No event ID.
    Stored,
    /// An event could not be written in the format.
    NotWritten,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Fault,
        Self::Encoding,
        Self::Json,
        Self::Unrecognised,
        Self::Stored,
        Self::NotWritten,
    ];

    const fn plural(self) -> &'static str {
        match self {
            Self::Fault => "faults of the input",
            Self::Encoding => "payloads that are not UTF-8",
            Self::Json => "payloads with broken JSON",
            Self::Unrecognised => "payloads that were not recognised",
            Self::Stored => "Stored events",
            Self::NotWritten => "events that were not written",
        }
    }
}

/// Complaints, counted by kind.
#[derive(Debug, Default)]
pub(super) struct Complaints([u64; Kind::ALL.len()]);

impl Complaints {
    /// Shows a complaint, unless there were many of its kind.
    pub(super) fn add(&mut self, kind: Kind, progress: &ProgressBar, text: &str) {
        let count = &mut self.0[kind as usize];
        *count += 1;
        if *count <= MAX_SHOWN {
            progress.suspend(|| terminal::warning(text));
        }
    }

    pub(super) fn count(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    /// Says what was not shown.
    pub(super) fn finish(&self) {
        for kind in Kind::ALL {
            if let Some(more @ 1..) = self.count(kind).checked_sub(MAX_SHOWN) {
                terminal::warning(&format!("and {more} more {}", kind.plural()));
            }
        }
    }
}

/// Counts of events.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) mapped: u64,
    pub(super) unknown: u64,
    pub(super) stored: u64,
}

impl Counts {
    pub(super) fn add(&mut self, status: Status) {
        match status {
            Status::Mapped => self.mapped += 1,
            Status::Unknown => self.unknown += 1,
            Status::Stored => self.stored += 1,
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.mapped + self.unknown + self.stored
    }

    fn numbers(&self) -> [u64; 4] {
        [self.total(), self.mapped, self.unknown, self.stored]
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, counts| Self {
            mapped: sum.mapped + counts.mapped,
            unknown: sum.unknown + counts.unknown,
            stored: sum.stored + counts.stored,
        })
    }
}

/// A count with its noun.
pub(super) fn events(count: u64) -> String {
    if count == 1 {
        "1 event".to_owned()
    } else {
        format!("{count} events")
    }
}

/// The counts of each log source type: a sentence for one, a table for several.
pub(super) fn summary(rows: &[(&str, Counts)]) -> String {
    match rows {
        [] => "no events\n".to_owned(),
        [(name, counts)] => format!(
            "{name}: {}, {} mapped, {} unknown, {} stored\n",
            events(counts.total()),
            counts.mapped,
            counts.unknown,
            counts.stored
        ),
        _ => {
            let total = rows.iter().map(|(_, counts)| *counts).sum::<Counts>();
            let rows: Vec<(&str, [u64; 4])> = rows
                .iter()
                .map(|(name, counts)| (*name, counts.numbers()))
                .chain([("total", total.numbers())])
                .collect();
            let names = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
            // The total has the longest numbers.
            let width = total.total().to_string().len().max("unknown".len());
            let mut text = format!("{:names$}", "");
            for heading in ["events", "mapped", "unknown", "stored"] {
                let _ = write!(text, "  {heading:>width$}");
            }
            text.push('\n');
            for (name, numbers) in rows {
                let _ = write!(text, "{name:names$}");
                for number in numbers {
                    let _ = write!(text, "  {number:>width$}");
                }
                text.push('\n');
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_type_is_a_sentence_and_several_are_a_table_with_aligned_numbers() {
        let one = Counts {
            mapped: 1,
            ..Counts::default()
        };
        let many = Counts {
            mapped: 12_345_678,
            unknown: 2,
            stored: 0,
        };
        assert_eq!(summary(&[]), "no events\n");
        assert_eq!(
            summary(&[("acme", one)]),
            "acme: 1 event, 1 mapped, 0 unknown, 0 stored\n"
        );
        let table = summary(&[("acme", one), ("openssh-server", many)]);
        assert_eq!(
            table,
            "                  events    mapped   unknown    stored\n\
             acme                   1         1         0         0\n\
             openssh-server  12345680  12345678         2         0\n\
             total           12345681  12345679         2         0\n"
        );
    }
}
