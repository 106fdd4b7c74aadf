//! Payloads in chunks: many payloads in one row, each behind its length.

use super::{signed, unsigned};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::ops::Range;
use std::sync::Arc;

/// A chunk ends when it has this many bytes; one payload may be larger.
pub(super) const CHUNK_BYTES: usize = 256 << 10;
/// A chunk has at most so many payloads, so that reading a few does not mean reading very many.
pub(super) const CHUNK_EVENTS: usize = 4096;

/// Events of one log source, in order.
#[derive(Debug, Default)]
pub struct Batch {
    chunks: Vec<Arc<Vec<u8>>>,
    events: Vec<Place>,
    /// Bytes of the events.
    size: usize,
}

/// How much is read at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

#[derive(Debug)]
struct Place {
    sequence: u64,
    received: DateTime<Utc>,
    chunk: usize,
    bytes: Range<usize>,
}

/// A payload that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored<'b> {
    /// Its number among the events of its log source.
    pub sequence: u64,
    /// When it was received, to the millisecond.
    pub received: DateTime<Utc>,
    /// Its bytes.
    pub payload: &'b [u8],
}

impl Batch {
    /// How many events there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The event at an index.
    pub fn get(&self, index: usize) -> Option<Stored<'_>> {
        let place = self.events.get(index)?;
        Some(Stored {
            sequence: place.sequence,
            received: place.received,
            payload: self.chunks.get(place.chunk)?.get(place.bytes.clone())?,
        })
    }

    /// The first event, if it is the one with this sequence: what was given up is not there any more.
    pub fn first_if(&self, sequence: u64) -> Option<Stored<'_>> {
        self.get(0).filter(|stored| stored.sequence == sequence)
    }

    /// The events.
    pub fn iter(&self) -> impl Iterator<Item = Stored<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Keeps the first events only.
    pub fn truncate(&mut self, len: usize) {
        self.events.truncate(len);
    }

    /// Whether no further event is wanted.
    pub(super) fn is_full(&self, most: Most) -> bool {
        self.len() >= most.events || (self.size >= most.bytes && !self.is_empty())
    }

    /// Adds the events of a chunk from a sequence on, as far as they are wanted.
    pub(super) fn add_chunk(
        &mut self,
        bytes: Arc<Vec<u8>>,
        payloads: impl Iterator<Item = (u64, Range<usize>)>,
        received: DateTime<Utc>,
        from: u64,
        most: Most,
    ) {
        for (sequence, bytes) in payloads.skip_while(|(sequence, _)| *sequence < from) {
            if self.is_full(most) {
                break;
            }
            self.size += bytes.len();
            self.events.push(Place {
                sequence,
                received,
                chunk: self.chunks.len(),
                bytes,
            });
        }
        self.chunks.push(bytes);
    }

    /// The sequence behind the last event.
    pub fn next(&self) -> Option<u64> {
        self.events.last().map(|place| place.sequence + 1)
    }
}

/// Appends payloads to the spool; returns the bytes that they count for.
pub(super) fn insert<P: AsRef<[u8]>>(
    tx: &Transaction<'_>,
    source: i64,
    first: u64,
    payloads: &[P],
    received: DateTime<Utc>,
) -> rusqlite::Result<u64> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO chunk (log_source, first, next, received, bytes, payloads) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let mut total = 0;
    let mut sequence = first;
    let mut rest = payloads;
    while !rest.is_empty() {
        let mut bytes = Vec::new();
        let mut count = 0;
        for payload in rest.iter().take(CHUNK_EVENTS) {
            let payload = payload.as_ref();
            if count > 0 && bytes.len() + payload.len() > CHUNK_BYTES {
                break;
            }
            let length = u32::try_from(payload.len())
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(payload);
            count += 1;
        }
        let next = sequence + count as u64;
        statement.execute(params![
            source,
            signed(sequence),
            signed(next),
            received.timestamp_millis(),
            signed(bytes.len() as u64),
            bytes
        ])?;
        total += bytes.len() as u64;
        sequence = next;
        rest = &rest[count..];
    }
    Ok(total)
}

/// Reads events in order; the inner error is the first sequence of a chunk that is damaged.
pub(super) fn read(
    connection: &Connection,
    source: i64,
    from: u64,
    most: Most,
) -> rusqlite::Result<Result<Batch, u64>> {
    let mut statement = connection.prepare_cached(
        "SELECT first, next, received, payloads FROM chunk WHERE log_source = ?1 AND next > ?2 ORDER BY next",
    )?;
    let mut rows = statement.query(params![source, signed(from)])?;
    let mut batch = Batch::default();
    while !batch.is_full(most)
        && let Some(row) = rows.next()?
    {
        let (first, next) = (unsigned(row.get(0)?), unsigned(row.get(1)?));
        let received: i64 = row.get(2)?;
        let bytes: Vec<u8> = row.get(3)?;
        let Some(received) = DateTime::from_timestamp_millis(received) else {
            return Ok(Err(first));
        };
        let Some(ranges) = ranges(&bytes, next.saturating_sub(first)) else {
            return Ok(Err(first));
        };
        let payloads = (first..next).zip(ranges);
        batch.add_chunk(Arc::new(bytes), payloads, received, from, most);
    }
    Ok(Ok(batch))
}

/// Where the payloads of a chunk are, if it has as many as it should.
fn ranges(bytes: &[u8], count: u64) -> Option<Vec<Range<usize>>> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes.get(at..at + 4)?;
        let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
        let range = at + 4..at.checked_add(4)?.checked_add(length)?;
        bytes.get(range.clone())?;
        at = range.end;
        ranges.push(range);
    }
    (ranges.len() as u64 == count).then_some(ranges)
}

/// When the first event from a sequence on was received.
pub(super) fn received(
    connection: &Connection,
    source: i64,
    from: u64,
) -> rusqlite::Result<Option<DateTime<Utc>>> {
    connection
        .prepare_cached(
            "SELECT received FROM chunk WHERE log_source = ?1 AND next > ?2 ORDER BY next LIMIT 1",
        )?
        .query_row(params![source, signed(from)], |row| row.get(0))
        .optional()
        .map(|millis| millis.and_then(DateTime::from_timestamp_millis))
}

/// Deletes the chunks of a log source that every position is behind, all of them where there is no position; returns the bytes that they counted for.
pub(super) fn delete_delivered(tx: &Transaction<'_>, source: i64) -> rusqlite::Result<u64> {
    let removed: i64 = tx
        .prepare_cached(
            "SELECT coalesce(sum(bytes), 0) FROM chunk
             WHERE log_source = ?1 AND next <= (SELECT coalesce(min(keep), 9223372036854775807) FROM position WHERE log_source = ?1)",
        )?
        .query_row([source], |row| row.get(0))?;
    if removed > 0 {
        tx.prepare_cached(
            "DELETE FROM chunk
             WHERE log_source = ?1 AND next <= (SELECT coalesce(min(keep), 9223372036854775807) FROM position WHERE log_source = ?1)",
        )?
        .execute([source])?;
    }
    Ok(unsigned(removed))
}
