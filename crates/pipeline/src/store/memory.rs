//! The spool in memory: for log sources whose remote keeps what was read until it is told that it was delivered.
//!
//! To delivery it is like the one on disk: events have sequences, each destination has a position, and a chunk goes when
//! every position is behind it. What it has besides is the account of pages, from which a collector learns what it may
//! tell the remote. Nothing of it outlives the process.

use super::chunk::{Batch, CHUNK_BYTES, CHUNK_EVENTS, Most};
use super::{Position, StoreError};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// How much of what one log source has read may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Bytes of payloads in memory. A page that does not fit is refused, except where nothing waits.
    pub bytes: u64,
    /// Events of pages that are not delivered, or that the remote has not confirmed; the same. They come again when the
    /// process dies.
    pub events: u64,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            events: 100_000,
        }
    }
}

/// All log sources that are kept in memory, by number.
#[derive(Debug, Default)]
pub(super) struct Memory {
    sources: Vec<Held>,
}

/// What is held of a log source.
#[derive(Debug)]
struct Held {
    identifier: String,
    next: u64,
    chunks: VecDeque<Chunk>,
    positions: BTreeMap<String, Position>,
    /// No event before this sequence is to be held back.
    hastened: u64,
    intake: Intake,
}

#[derive(Debug)]
struct Chunk {
    first: u64,
    next: u64,
    received: DateTime<Utc>,
    bytes: Arc<Vec<u8>>,
    payloads: Vec<Range<usize>>,
    /// The log source that has read it; in gateway use it may be another one.
    reader: usize,
}

/// What a log source has read, for itself and for those behind it.
#[derive(Debug, Default)]
struct Intake {
    /// Of payloads in memory.
    bytes: u64,
    lanes: BTreeMap<String, Pages>,
}

impl Intake {
    /// Events that come again when the process dies.
    fn events(&self) -> u64 {
        self.lanes.values().map(Pages::events).sum()
    }
}

/// The account of the pages of a lane.
#[derive(Debug, Default)]
struct Pages {
    delivered: u64,
    /// Those that are not.
    open: VecDeque<OpenPage>,
    /// How many pages the remote has confirmed, where the collector says so.
    acknowledged: Option<u64>,
    /// Events of the pages that are delivered and not confirmed; only where the collector says what is.
    unconfirmed: VecDeque<u64>,
    /// Something of it was given up: it is not delivered, nor is what follows.
    broken: bool,
}

impl Pages {
    fn events(&self) -> u64 {
        let open = self.open.iter().map(|page| page.events);
        open.chain(self.unconfirmed.iter().copied()).sum()
    }

    /// So many pages more are delivered.
    fn settle(&mut self, done: usize) {
        self.delivered += done as u64;
        self.unconfirmed
            .extend(self.open.drain(..done).map(|page| page.events));
        let acknowledged = self.acknowledged.unwrap_or(self.delivered);
        let unconfirmed = self.delivered.saturating_sub(acknowledged) as usize;
        let confirmed = self.unconfirmed.len().saturating_sub(unconfirmed);
        self.unconfirmed.drain(..confirmed);
    }
}

/// A page that is not delivered, or behind such a one.
#[derive(Debug)]
pub(super) struct OpenPage {
    /// How many events it has.
    pub(super) events: u64,
    /// Of each log source with payloads in it, the sequence behind the last of these.
    pub(super) ends: Vec<(usize, u64)>,
}

impl Held {
    fn new(identifier: &str) -> Self {
        Self {
            identifier: identifier.to_owned(),
            next: 1,
            chunks: VecDeque::new(),
            positions: BTreeMap::new(),
            hastened: 0,
            intake: Intake::default(),
        }
    }

    /// The first event that a destination needs; nothing without destinations, where nothing is ever delivered.
    fn keep(&self) -> Option<u64> {
        self.positions.values().map(|position| position.keep).min()
    }

    /// The first chunk with an event from a sequence on.
    fn chunk_from(&self, sequence: u64) -> usize {
        self.chunks.partition_point(|chunk| chunk.next <= sequence)
    }
}

/// What waits for a destination.
pub(super) struct Waiting<'m> {
    pub(super) source: usize,
    pub(super) identifier: &'m str,
    pub(super) destination: &'m str,
    pub(super) events: u64,
    pub(super) oldest: Option<DateTime<Utc>>,
}

impl Memory {
    /// The number of a log source; it is made if there is none.
    pub(super) fn source(&mut self, identifier: &str) -> usize {
        let mut known = self.sources.iter();
        known
            .position(|held| held.identifier == identifier)
            .unwrap_or_else(|| {
                self.sources.push(Held::new(identifier));
                self.sources.len() - 1
            })
    }

    /// A lane begins: its pages are counted from the first.
    pub(super) fn begin(&mut self, reader: usize, lane: &str) {
        if let Some(held) = self.sources.get_mut(reader) {
            held.intake.lanes.insert(lane.to_owned(), Pages::default());
        }
    }

    /// Refuses what would go over the limits, and asks for what was read to be delivered soon, so that there is room.
    pub(super) fn check_room(
        &mut self,
        reader: usize,
        bytes: u64,
        events: u64,
        limits: MemoryLimits,
    ) -> Result<(), StoreError> {
        self.settle(reader);
        let Some(held) = self.sources.get(reader) else {
            return Ok(());
        };
        let (held_bytes, held_events) = (held.intake.bytes, held.intake.events());
        let fits = held_bytes + bytes <= limits.bytes && held_events + events <= limits.events;
        if fits || held_bytes + held_events == 0 {
            return Ok(());
        }
        self.hasten(reader);
        Err(StoreError::MemoryFull {
            bytes: held_bytes,
            events: held_events,
        })
    }

    /// Adds payloads of a page that a log source has read; returns the sequence behind them.
    pub(super) fn insert<P: AsRef<[u8]>>(
        &mut self,
        reader: usize,
        source: usize,
        payloads: &[P],
        received: DateTime<Utc>,
    ) -> u64 {
        let Some(held) = self.sources.get_mut(source) else {
            return 0;
        };
        let (mut added_bytes, mut rest) = (0, payloads);
        while !rest.is_empty() {
            let (mut bytes, mut ranges) = (Vec::new(), Vec::new());
            for payload in rest.iter().take(CHUNK_EVENTS) {
                let payload = payload.as_ref();
                if !ranges.is_empty() && bytes.len() + payload.len() > CHUNK_BYTES {
                    break;
                }
                ranges.push(bytes.len()..bytes.len() + payload.len());
                bytes.extend_from_slice(payload);
            }
            bytes.shrink_to_fit();
            added_bytes += bytes.len() as u64;
            rest = &rest[ranges.len()..];
            let next = held.next + ranges.len() as u64;
            held.chunks.push_back(Chunk {
                first: std::mem::replace(&mut held.next, next),
                next,
                // To the millisecond, as on disk.
                received: DateTime::from_timestamp_millis(received.timestamp_millis())
                    .unwrap_or(received),
                bytes: Arc::new(bytes),
                payloads: ranges,
                reader,
            });
        }
        let behind = held.next;
        if let Some(held) = self.sources.get_mut(reader) {
            held.intake.bytes += added_bytes;
        }
        behind
    }

    /// Opens the account of a page.
    pub(super) fn open_page(&mut self, reader: usize, lane: &str, page: OpenPage) {
        if let Some(held) = self.sources.get_mut(reader) {
            let pages = held.intake.lanes.entry(lane.to_owned()).or_default();
            pages.open.push_back(page);
        }
    }

    /// How many pages of a lane are delivered.
    pub(super) fn delivered(&mut self, reader: usize, lane: &str) -> u64 {
        self.settle(reader);
        let held = self.sources.get(reader);
        let pages = held.and_then(|held| held.intake.lanes.get(lane));
        pages.map_or(0, |pages| pages.delivered)
    }

    /// The remote has confirmed so many pages of a lane.
    pub(super) fn acknowledged(&mut self, reader: usize, lane: &str, pages: u64) {
        if let Some(held) = self.sources.get_mut(reader) {
            let known = held.intake.lanes.entry(lane.to_owned()).or_default();
            known.acknowledged = Some(pages.max(known.acknowledged.unwrap_or(0)));
        }
    }

    /// Closes the account of pages that are delivered.
    fn settle(&mut self, reader: usize) {
        let is_behind = |(source, end): &(usize, u64)| {
            let keep = self.sources.get(*source).and_then(Held::keep);
            keep.is_some_and(|keep| keep >= *end)
        };
        let Some(held) = self.sources.get(reader) else {
            return;
        };
        let done = |pages: &Pages| {
            let open = pages.open.iter().take_while(|_| !pages.broken);
            open.take_while(|page| page.ends.iter().all(is_behind))
                .count()
        };
        let done: Vec<usize> = held.intake.lanes.values().map(done).collect();
        let Some(held) = self.sources.get_mut(reader) else {
            return;
        };
        for (pages, done) in held.intake.lanes.values_mut().zip(done) {
            pages.settle(done);
        }
    }

    /// Nothing of what a log source has read until now is to be held back.
    pub(super) fn hasten(&mut self, reader: usize) {
        for held in &mut self.sources {
            let last = held
                .chunks
                .iter()
                .rev()
                .find(|chunk| chunk.reader == reader);
            if let Some(chunk) = last {
                held.hastened = held.hastened.max(chunk.next);
            }
        }
    }

    /// The sequence before which nothing is to be held back.
    pub(super) fn hastened(&self, source: usize) -> u64 {
        self.sources.get(source).map_or(0, |held| held.hastened)
    }

    pub(super) fn position(&mut self, source: usize, destination: &str) -> Position {
        let Some(held) = self.sources.get_mut(source) else {
            return Position::at(1);
        };
        let next = held.next;
        let position = held.positions.entry(destination.to_owned());
        position.or_insert_with(|| Position::at(next)).clone()
    }

    /// Moves the position of a destination, and lets go of what no destination needs any more.
    pub(super) fn advance(&mut self, source: usize, destination: &str, position: &Position) {
        let held = self.sources.get_mut(source);
        if let Some(known) = held.and_then(|held| held.positions.get_mut(destination)) {
            known.clone_from(position);
            self.free(source);
        }
    }

    fn free(&mut self, source: usize) {
        let Some(held) = self.sources.get_mut(source) else {
            return;
        };
        let keep = held.keep().unwrap_or(0);
        let done = held.chunk_from(keep);
        for chunk in held.chunks.drain(..done).collect::<Vec<_>>() {
            self.take_off(&chunk);
        }
    }

    /// Takes a chunk off the account of who has read it.
    fn take_off(&mut self, chunk: &Chunk) {
        if let Some(reader) = self.sources.get_mut(chunk.reader) {
            let bytes = &mut reader.intake.bytes;
            *bytes = bytes.saturating_sub(chunk.bytes.len() as u64);
        }
    }

    pub(super) fn read(&self, source: usize, from: u64, most: Most) -> Batch {
        let mut batch = Batch::default();
        let Some(held) = self.sources.get(source) else {
            return batch;
        };
        for chunk in held.chunks.range(held.chunk_from(from)..) {
            if batch.is_full(most) {
                break;
            }
            let payloads = (chunk.first..chunk.next).zip(chunk.payloads.iter().cloned());
            let bytes = Arc::clone(&chunk.bytes);
            batch.add_chunk(bytes, payloads, chunk.received, from, most);
        }
        batch
    }

    pub(super) fn waiting(&self, source: usize, from: u64) -> u64 {
        let held = self.sources.get(source);
        held.map_or(0, |held| held.next.saturating_sub(from))
    }

    pub(super) fn oldest(&self, source: usize, from: u64) -> Option<DateTime<Utc>> {
        let held = self.sources.get(source)?;
        let chunk = held.chunks.get(held.chunk_from(from))?;
        Some(chunk.received)
    }

    /// Gives up what waits for a destination, and the position; returns how many events.
    ///
    /// Without any destination a log source is gone. What others have read for it is theirs then, as if it had never been
    /// configured. What it has read itself is not delivered by us, and the remote is not told that it was.
    pub(super) fn forget(&mut self, source: usize, destination: &str) -> u64 {
        let Some(held) = self.sources.get_mut(source) else {
            return 0;
        };
        let Some(position) = held.positions.remove(destination) else {
            return 0;
        };
        let waiting = held.next.saturating_sub(position.next);
        if !held.positions.is_empty() {
            self.free(source);
            return waiting;
        }
        let pages = held.intake.lanes.values_mut();
        pages.for_each(|pages| pages.broken = true);
        for chunk in std::mem::take(&mut held.chunks) {
            self.hand_back(source, chunk);
        }
        for reader in 0..self.sources.len() {
            self.close_account(reader, source);
        }
        waiting
    }

    /// Gives a chunk to the log source that has read it, unless that one is gone itself.
    fn hand_back(&mut self, source: usize, mut chunk: Chunk) {
        let reader = chunk.reader;
        let held = self.sources.get_mut(reader);
        match held.filter(|held| reader != source && !held.positions.is_empty()) {
            Some(held) => {
                let events = chunk.next - chunk.first;
                chunk.first = held.next;
                chunk.next = held.next + events;
                held.next = chunk.next;
                held.chunks.push_back(chunk);
            }
            None => self.take_off(&chunk),
        }
    }

    /// Pages that a reader has for a log source that is gone are delivered when what was handed back is.
    fn close_account(&mut self, reader: usize, gone: usize) {
        let Some(held) = self.sources.get_mut(reader).filter(|_| reader != gone) else {
            return;
        };
        let behind = held.next;
        for pages in held.intake.lanes.values_mut() {
            for end in pages.open.iter_mut().flat_map(|page| &mut page.ends) {
                if end.0 == gone {
                    *end = (reader, behind);
                }
            }
        }
    }

    /// Bytes of payloads.
    pub(super) fn bytes(&self) -> u64 {
        self.sources.iter().map(|held| held.intake.bytes).sum()
    }

    /// The log sources and how many events they have received.
    pub(super) fn received(&self) -> impl Iterator<Item = (&str, u64)> {
        let sources = self.sources.iter();
        sources.map(|held| (held.identifier.as_str(), held.next - 1))
    }

    /// What waits for each destination.
    pub(super) fn all_waiting(&self) -> impl Iterator<Item = Waiting<'_>> {
        let sources = self.sources.iter().enumerate();
        sources.flat_map(move |(source, held)| {
            let positions = held.positions.iter();
            positions.map(move |(destination, position)| Waiting {
                source,
                identifier: &held.identifier,
                destination,
                events: held.next.saturating_sub(position.next),
                oldest: self.oldest(source, position.next),
            })
        })
    }
}
