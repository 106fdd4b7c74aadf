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
    /// An envelope has members beside its payloads.
    Members,
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
    const ALL: [Self; 7] = [
        Self::Fault,
        Self::Members,
        Self::Encoding,
        Self::Json,
        Self::Unrecognised,
        Self::Stored,
        Self::NotWritten,
    ];

    const fn plural(self) -> &'static str {
        match self {
            Self::Fault => "faults of the input",
            Self::Members => "envelopes with members that are left out",
            Self::Encoding => "payloads that are not UTF-8",
            Self::Json => "payloads with broken JSON",
            Self::Unrecognised => "payloads that were not recognised",
            Self::Stored => "Stored events",
            Self::NotWritten => "events that were not written",
        }
    }
}

/// Complaints, counted by kind, and those that are to be shown, in order.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    counts: [u64; Kind::ALL.len()],
    shown: Vec<(Kind, String)>,
}

impl Complaints {
    /// Notes a complaint, with its words unless there were many of its kind.
    pub(super) fn add(&mut self, kind: Kind, text: impl FnOnce() -> String) {
        let count = &mut self.counts[kind as usize];
        *count += 1;
        if *count <= MAX_SHOWN {
            self.shown.push((kind, text()));
        }
    }

    fn count(&self, kind: Kind) -> u64 {
        self.counts[kind as usize]
    }

    /// Adds what comes next in the input, and shows what there have not been too many of.
    fn show(&mut self, next: Self, progress: &ProgressBar) {
        let mut so_far = self.counts;
        for (kind, text) in next.shown {
            so_far[kind as usize] += 1;
            if so_far[kind as usize] <= MAX_SHOWN {
                progress.suspend(|| terminal::warning(&text));
            }
        }
        for (sum, count) in self.counts.iter_mut().zip(next.counts) {
            *sum += count;
        }
    }

    /// Says what was not shown.
    fn finish(&self) {
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

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.mapped += other.mapped;
        self.unknown += other.unknown;
        self.stored += other.stored;
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut sum, counts| {
            sum += counts;
            sum
        })
    }
}

/// What came of the input, or of a piece of it.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// By slug; nothing stands for payloads that no mapping recognises.
    types: Vec<(Option<String>, Counts)>,
    pub(super) complaints: Complaints,
    /// Payloads.
    pub(super) seen: u64,
    /// Inputs that could not be read, or not to their end.
    pub(super) unread: u64,
    pub(super) sanitized: u64,
    pub(super) truncated: u64,
    pub(super) over_budget: u64,
    /// The status of the event that was explained.
    pub(super) explained: Option<Status>,
}

impl Account {
    /// The counts of a type.
    pub(super) fn counts(&mut self, slug: Option<&str>) -> &mut Counts {
        let known = self
            .types
            .iter()
            .position(|(known, _)| known.as_deref() == slug);
        let index = known.unwrap_or_else(|| {
            self.types
                .push((slug.map(str::to_owned), Counts::default()));
            self.types.len() - 1
        });
        &mut self.types[index].1
    }

    /// Adds the account of what comes next in the input, and shows its complaints.
    pub(super) fn add(&mut self, next: Self, progress: &ProgressBar) {
        for (slug, counts) in next.types {
            *self.counts(slug.as_deref()) += counts;
        }
        self.complaints.show(next.complaints, progress);
        self.seen += next.seen;
        self.unread += next.unread;
        self.sanitized += next.sanitized;
        self.truncated += next.truncated;
        self.over_budget += next.over_budget;
        self.explained = self.explained.or(next.explained);
    }

    /// Says what was not said yet.
    pub(super) fn finish(&self) {
        self.complaints.finish();
    }

    /// Whether no mapping recognises some of the payloads.
    pub(super) fn is_some_unrecognised(&self) -> bool {
        self.types.iter().any(|(slug, _)| slug.is_none())
    }

    /// Whether something of the input is missing in the output, or did not come in whole.
    pub(super) fn is_incomplete(&self) -> bool {
        self.unread > 0
            || [Kind::Fault, Kind::Json, Kind::NotWritten]
                .iter()
                .any(|kind| self.complaints.count(*kind) > 0)
    }

    /// Whether all events that were asked for are mapped.
    pub(super) fn is_all_mapped(&self) -> bool {
        match self.explained {
            Some(status) => status == Status::Mapped,
            None => self
                .types
                .iter()
                .all(|(_, counts)| counts.mapped == counts.total()),
        }
    }

    /// What there is to say at the end: counts, and what was not as it should be.
    pub(super) fn summary(&self) -> String {
        let mut rows: Vec<(&str, Counts)> = self
            .types
            .iter()
            .map(|(slug, counts)| (slug.as_deref().unwrap_or("not recognised"), *counts))
            .collect();
        // What was not recognised comes last.
        rows.sort_by_key(|(name, _)| (*name == "not recognised", *name));
        let mut text = table(&rows);
        let complaints = &self.complaints;
        for (count, one, many) in [
            (
                self.unread,
                "input was not read, or not to its end",
                "inputs were not read, or not to their end",
            ),
            (
                complaints.count(Kind::Fault),
                "fault in the input",
                "faults in the input",
            ),
            (
                complaints.count(Kind::Members),
                "envelope with members that are left out",
                "envelopes with members that are left out",
            ),
            (
                complaints.count(Kind::Json),
                "payload with broken JSON",
                "payloads with broken JSON",
            ),
            (
                complaints.count(Kind::NotWritten),
                "event was not written",
                "events were not written",
            ),
            (
                self.sanitized,
                "event with characters that LEEF cannot carry (see leefSanitized)",
                "events with characters that LEEF cannot carry (see leefSanitized)",
            ),
            (
                self.truncated,
                "event shortened to the size limit (see leefTruncated)",
                "events shortened to the size limit (see leefTruncated)",
            ),
            (
                self.over_budget,
                "event with a pattern that used up its step budget",
                "events with patterns that used up their step budget",
            ),
        ] {
            match count {
                0 => {}
                1 => text.push_str(&format!("1 {one}\n")),
                _ => text.push_str(&format!("{count} {many}\n")),
            }
        }
        text
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
fn table(rows: &[(&str, Counts)]) -> String {
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
        assert_eq!(table(&[]), "no events\n");
        assert_eq!(
            table(&[("acme", one)]),
            "acme: 1 event, 1 mapped, 0 unknown, 0 stored\n"
        );
        let several = table(&[("acme", one), ("openssh-server", many)]);
        assert_eq!(
            several,
            "                  events    mapped   unknown    stored\n\
             acme                   1         1         0         0\n\
             openssh-server  12345680  12345678         2         0\n\
             total           12345681  12345679         2         0\n"
        );
    }
}
