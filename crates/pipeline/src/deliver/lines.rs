//! Payloads to lines: normalized and formatted on several threads, in the order of the payloads.

use crate::destination::Labels;
use crate::format::{Formatter, Written};
use crate::store::{Batch, Stored};
use dsm::field::Field;
use dsm::{Event, Normalizer, Payload, Status, Target, event::canonical};
use std::fmt::Write as _;
use std::ops::Range;

/// Below so many events a thread costs more than it saves.
const EVENTS_PER_THREAD: usize = 32;

/// One thread's tools.
#[derive(Debug)]
pub(super) struct Worker<'m> {
    pub(super) normalizer: Normalizer<'m>,
    pub(super) formatter: Formatter,
    /// Whether the key of coalescing is wanted.
    pub(super) keys: bool,
    /// Where labels are wanted, the properties that one of which groups events.
    pub(super) labels: Option<Vec<Target>>,
}

/// What became of one event.
#[derive(Debug)]
pub(super) struct Line {
    /// Its bytes without the line feed that follows, or why it cannot be written.
    pub(super) bytes: Result<Range<usize>, String>,
    pub(super) written: Written,
    pub(super) status: Status,
    /// How many patterns used up their budget on it.
    pub(super) budget_exceeded: u32,
    /// What it has in common with events that are the same to coalescing; nothing if it never is coalesced.
    pub(super) key: Option<String>,
    pub(super) labels: Option<Labels>,
}

/// The lines of consecutive events.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: Vec<Line>,
}

impl Worker<'_> {
    /// Normalizes one event that stands for so many, and appends its line.
    pub(super) fn add(&mut self, stored: Stored<'_>, count: u64, out: &mut Lines) {
        let payload = Payload::decode(stored.payload);
        let mut event = self.normalizer.normalize(&payload, stored.received);
        event.event_count = count;
        let key = self.keys.then(|| key(&event)).flatten();
        let labels = self.labels.as_ref().map(|targets| labels(&event, targets));
        let (status, budget_exceeded) = (event.status, event.budget_exceeded);
        let start = out.bytes.len();
        let result = self
            .formatter
            .write(&mut event, stored.payload, &mut out.bytes);
        self.normalizer.recycle(event);
        let bytes = start..out.bytes.len();
        let (bytes, written) = match result {
            Ok(written) => {
                out.bytes.push(b'\n');
                (Ok(bytes), written)
            }
            Err(reason) => (Err(reason), Written::default()),
        };
        out.lines.push(Line {
            bytes,
            written,
            status,
            budget_exceeded,
            key,
            labels,
        });
    }
}

fn labels(event: &Event<'_>, targets: &[Target]) -> Labels {
    let mut values = targets.iter().filter_map(|target| event.get(*target));
    Labels {
        status: event.status,
        qid: event.qid.as_ref().map(|(record, _)| record.qid),
        key: values.next().map(|property| canonical(property).into()),
    }
}

/// QRadar's key: QID, source IP, destination IP, destination port, user name. Where there is no QID, event ID and
/// category stand for it. A stored event has none of these, and only its payload tells it from another.
fn key(event: &Event<'_>) -> Option<String> {
    let mut key = match (&event.qid, event.status) {
        (_, Status::Stored) => return None,
        (Some((record, _)), _) => record.qid.to_string(),
        (None, _) => format!(
            "{}\u{1f}{}",
            event.event_id.as_deref().unwrap_or_default(),
            event.event_category
        ),
    };
    for fields in [
        [Field::SourceIp, Field::SourceIpv6],
        [Field::DestinationIp, Field::DestinationIpv6],
        [Field::DestinationPort, Field::DestinationPort],
        [Field::UserName, Field::UserName],
    ] {
        let property = fields.iter().find_map(|field| event.field(*field));
        let value = property.map(canonical).unwrap_or_default();
        // Writing into a String does not fail.
        let _ = write!(key, "\u{1f}{value}");
    }
    Some(key)
}

/// Writes the lines of a batch into parts that follow each other. What is in the parts is overwritten; their room is
/// used again.
pub(super) fn lines(workers: &mut [Worker<'_>], batch: &Batch, parts: &mut Vec<Lines>) {
    let threads = workers.len().min(batch.len() / EVENTS_PER_THREAD).max(1);
    let share = batch.len().div_ceil(threads).max(1);
    let run = |worker: &mut Worker<'_>, from: usize, out: &mut Lines| {
        out.bytes.clear();
        out.lines.clear();
        for stored in (from..batch.len().min(from + share)).filter_map(|index| batch.get(index)) {
            worker.add(stored, 1, out);
        }
    };
    parts.resize_with(threads, Lines::default);
    let run = &run;
    std::thread::scope(|scope| {
        let mut shares = workers.iter_mut().zip(parts.iter_mut()).enumerate();
        // The first share is this thread's own.
        let own = shares.next();
        for (index, (worker, part)) in shares {
            scope.spawn(move || run(worker, index * share, part));
        }
        if let Some((_, (worker, part))) = own {
            run(worker, 0, part);
        }
    });
}
