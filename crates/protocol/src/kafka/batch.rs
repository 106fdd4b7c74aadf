//! What was read and not handed over yet: a page, and which of its payloads came from where.

use super::Form;
use super::offsets::Partition;
use super::unwrap::unwrap;
use crate::source::{Page, Run};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// Most payloads and bytes in a page, short of one record.
const PAGE_PAYLOADS: usize = 1000;
const PAGE_BYTES: usize = 1 << 20;

/// A record as the broker gives it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// Nothing where a record has no body, as one that deletes a key.
    pub(super) body: &'a [u8],
    pub(super) time: Option<DateTime<Utc>>,
}

/// Payloads that were read and not handed over yet.
#[derive(Debug, Default)]
pub(super) struct Batch {
    page: Page,
    bytes: usize,
    spans: Vec<Span>,
}

/// Payloads of consecutive records of a partition.
#[derive(Debug)]
struct Span {
    partition: Partition,
    payloads: Range<usize>,
    /// The offset behind them.
    next: i64,
}

impl Batch {
    /// Takes a record in.
    pub(super) fn take(&mut self, record: &Record<'_>, form: &Form) {
        let begin = self.page.payloads.len();
        match &form.unwrap {
            Some(tables) => {
                let unwrapped = unwrap(record.body, tables);
                self.page.heartbeats += unwrapped.heartbeats;
                self.page.filtered += unwrapped.filtered;
                self.page.malformed += u64::from(unwrapped.malformed);
                for payload in unwrapped.payloads {
                    self.push(payload, form);
                }
            }
            None if record.body.is_empty() => {}
            None => self.push(record.body.into(), form),
        }
        self.page.position = self.page.position.max(record.time);
        let end = self.page.payloads.len();
        let next = record.offset.saturating_add(1);
        match self.spans.last_mut() {
            Some(span) if span.is_of(record) => {
                span.payloads.end = end;
                span.next = next;
            }
            _ => {
                let known = self
                    .spans
                    .iter()
                    .find(|span| &*span.partition.topic == record.topic);
                let topic = known.map_or_else(
                    || Arc::from(record.topic),
                    |span| Arc::clone(&span.partition.topic),
                );
                self.spans.push(Span {
                    partition: Partition {
                        topic,
                        number: record.partition,
                    },
                    payloads: begin..end,
                    next,
                });
            }
        }
    }

    fn push(&mut self, payload: Box<[u8]>, form: &Form) {
        if !form.identifiers.is_empty()
            && let Some(identifier) = form.identifiers.identify(&payload)
        {
            self.belongs(Arc::from(identifier));
        }
        self.bytes += payload.len();
        self.page.payloads.push(payload);
    }

    /// The next payload belongs to this log source.
    fn belongs(&mut self, identifier: Arc<str>) {
        let at = self.page.payloads.len();
        match self.page.runs.last_mut() {
            Some(run) if run.payloads.end == at && run.identifier == identifier => {
                run.payloads.end = at + 1;
            }
            _ => self.page.runs.push(Run {
                payloads: at..at + 1,
                identifier,
            }),
        }
    }

    /// Whether no record is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Whether nothing more should be added.
    pub(super) fn is_full(&self) -> bool {
        self.page.payloads.len() >= PAGE_PAYLOADS
            || self.bytes >= PAGE_BYTES
            // Records without events take room too.
            || self.spans.len() >= PAGE_PAYLOADS
    }

    pub(super) fn page(&self) -> &Page {
        &self.page
    }

    /// What the page reaches up to.
    pub(super) fn offsets(&self) -> BTreeMap<Partition, i64> {
        let mut offsets = BTreeMap::new();
        for span in &self.spans {
            let next = offsets.entry(span.partition.clone()).or_insert(span.next);
            *next = span.next.max(*next);
        }
        offsets
    }

    /// Takes out what came from partitions that somebody else reads now.
    pub(super) fn remove(&mut self, partitions: &BTreeSet<Partition>) {
        if !self
            .spans
            .iter()
            .any(|span| partitions.contains(&span.partition))
        {
            return;
        }
        let old = std::mem::take(self);
        self.page.heartbeats = old.page.heartbeats;
        self.page.filtered = old.page.filtered;
        self.page.malformed = old.page.malformed;
        self.page.position = old.page.position;
        let mut payloads = old.page.payloads.into_iter().enumerate();
        let mut runs = old.page.runs.into_iter().peekable();
        for span in old.spans {
            let begin = self.page.payloads.len();
            let is_kept = !partitions.contains(&span.partition);
            for (index, payload) in payloads.by_ref().take(span.payloads.len()) {
                while runs.next_if(|run| run.payloads.end <= index).is_some() {}
                if !is_kept {
                    continue;
                }
                if let Some(run) = runs.peek().filter(|run| run.payloads.contains(&index)) {
                    self.belongs(Arc::clone(&run.identifier));
                }
                self.bytes += payload.len();
                self.page.payloads.push(payload);
            }
            if is_kept {
                self.spans.push(Span {
                    payloads: begin..self.page.payloads.len(),
                    ..span
                });
            }
        }
    }
}

impl Span {
    fn is_of(&self, record: &Record<'_>) -> bool {
        self.partition.number == record.partition && &*self.partition.topic == record.topic
    }
}

#[cfg(test)]
mod tests {
    use super::super::{IdentifierPattern, Tables};
    use super::*;

    fn record(partition: i32, offset: i64, body: &'static str) -> Record<'static> {
        Record {
            topic: "alerts",
            partition,
            offset,
            body: body.as_bytes(),
            time: DateTime::from_timestamp(offset, 0),
        }
    }

    fn form() -> Form {
        Form {
            unwrap: Some(Tables::default()),
            identifiers: IdentifierPattern::read(&["host-$1=h(\\d)"]).unwrap(),
        }
    }

    fn partition(number: i32) -> Partition {
        Partition {
            topic: "alerts".into(),
            number,
        }
    }

    fn parts(batch: &Batch) -> Vec<(Option<String>, Vec<String>)> {
        let texts = |part: &[Box<[u8]>]| {
            part.iter()
                .map(|payload| String::from_utf8_lossy(payload).into_owned())
                .collect()
        };
        batch
            .page()
            .parts()
            .map(|(identifier, part)| (identifier.map(str::to_owned), texts(part)))
            .collect()
    }

    #[test]
    fn events_keep_their_order_and_the_log_source_they_belong_to() {
        let mut batch = Batch::default();
        assert!(batch.is_empty());
        batch.take(&record(0, 4, r#"["h1","x","h2"]"#), &form());
        batch.take(&record(0, 5, r#"{"a":"h2"}"#), &form());
        batch.take(&record(1, 9, "plain"), &form());
        let some = |name: &str, texts: &[&str]| {
            (
                Some(name.to_owned()),
                texts.iter().map(|text| (*text).to_owned()).collect(),
            )
        };
        assert_eq!(
            parts(&batch),
            [
                some("host-1", &["\"h1\""]),
                (None, vec!["\"x\"".to_owned()]),
                some("host-2", &["\"h2\"", r#"{"a":"h2"}"#]),
                (None, vec!["plain".to_owned()]),
            ]
        );
        let offsets: Vec<(i32, i64)> = batch
            .offsets()
            .into_iter()
            .map(|(partition, next)| (partition.number, next))
            .collect();
        assert_eq!(offsets, [(0, 6), (1, 10)]);
        assert_eq!(batch.page().position, DateTime::from_timestamp(9, 0));
    }

    #[test]
    fn records_without_events_move_the_offset_too() {
        let mut batch = Batch::default();
        batch.take(&record(0, 7, r#"[{"type":"heartbeat"}]"#), &form());
        batch.take(&record(0, 8, ""), &Form::default());
        assert!(!batch.is_empty());
        assert_eq!(batch.page().payloads.len(), 0);
        assert_eq!(batch.page().heartbeats, 1);
        assert_eq!(batch.offsets().into_values().collect::<Vec<_>>(), [9]);
    }

    #[test]
    fn what_is_not_taken_apart_is_one_event() {
        let mut batch = Batch::default();
        batch.take(&record(0, 0, r#"[{"type":"heartbeat"}]"#), &Form::default());
        assert_eq!(
            parts(&batch),
            [(None, vec![r#"[{"type":"heartbeat"}]"#.to_owned()])]
        );
    }

    #[test]
    fn partitions_that_are_gone_are_taken_out_and_the_rest_stays_as_it_is() {
        let take = |batch: &mut Batch, numbers: &[i32]| {
            for (offset, number) in (0..).zip(numbers) {
                let body = ["[\"h1\",\"a\"]", "[]", "[\"h1\",\"h2\"]"][offset as usize % 3];
                batch.take(&record(*number, offset, body), &form());
            }
        };
        let mut batch = Batch::default();
        take(&mut batch, &[0, 1, 2, 0, 2, 2, 0, 1, 1]);
        let gone: BTreeSet<Partition> = [partition(0), partition(1)].into();
        batch.remove(&gone);
        // What is left is what would be there if nothing else had ever been read.
        let mut only = Batch::default();
        for (offset, body) in [(2, "[\"h1\",\"h2\"]"), (4, "[]"), (5, "[\"h1\",\"h2\"]")] {
            only.take(&record(2, offset, body), &form());
        }
        assert_eq!(parts(&batch), parts(&only));
        assert_eq!(batch.offsets(), only.offsets());
        assert_eq!(batch.bytes, only.bytes);
        batch.remove(&[partition(2)].into());
        assert!(batch.is_empty());
        assert!(batch.page().payloads.is_empty());
    }

    #[test]
    fn a_page_is_full_by_number_and_by_size() {
        let form = Form::default();
        let mut batch = Batch::default();
        for offset in 0..1000 {
            assert!(!batch.is_full());
            batch.take(&record(0, offset, "x"), &form);
        }
        assert!(batch.is_full());
        let mut batch = Batch::default();
        let body = "x".repeat(5 << 20);
        batch.take(
            &Record {
                body: body.as_bytes(),
                ..record(0, 0, "")
            },
            &form,
        );
        assert!(batch.is_full());
    }
}
