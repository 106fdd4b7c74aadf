//! The state on disk: the spool, the cursors of collection and the positions of delivery, in one SQLite database.
//!
//! Payloads wait in chunks, many to a row, because that costs a fraction of a row for each. The events of a log source
//! are numbered from 1 without gaps; the number is the event's *sequence*. A position is the sequence of the next event
//! that a destination has not accepted yet. A chunk is deleted when every position of its log source is behind it.
//!
//! A log source whose remote keeps what was read ([`Keeps::Remote`]) is not stored. Its events wait in memory, with
//! sequences and positions as on disk; the same functions serve both.
//!
//! The directory belongs to one process at a time. Other processes may look with [`Store::peek`].

mod check;
mod chunk;
mod file;
mod memory;
mod peek;
mod private;

pub use chunk::{Batch, Stored};
pub use file::{FORMAT, StoreError};
pub use memory::MemoryLimits;
pub use peek::{Peek, SourceRow, WaitingRow};
pub(crate) use private::create as create_private;

use chrono::{DateTime, Utc};
use chunk::Most;
use file::Opened;
use memory::{Memory, OpenPage};
use protocol::Keeps;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How much the store may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of payloads that may wait. A page that does not fit is refused, except by an empty spool.
    pub spool: u64,
    /// Bytes of the file system that collection leaves free, so that delivery can still move its positions.
    pub free: u64,
    /// What each log source may hold in memory whose remote keeps what was read.
    pub memory: MemoryLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            spool: 8 << 30,
            free: 256 << 20,
            memory: MemoryLimits::default(),
        }
    }
}

/// A log source in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(Spool);

/// Where the events of a log source wait, and which it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Spool {
    Disk(i64),
    Memory(usize),
}

impl SourceId {
    /// Who keeps its events until they are delivered.
    pub fn keeps(self) -> Keeps {
        match self.0 {
            Spool::Disk(_) => Keeps::Here,
            Spool::Memory(_) => Keeps::Remote,
        }
    }
}

/// Where delivery of a log source to a destination stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The sequence of the next event that the destination has not accepted.
    pub next: u64,
    /// The first sequence whose payload is still needed: `next`, or an earlier one whose record is not complete.
    pub keep: u64,
    /// What delivery has to know to go on, such as events that are being coalesced. Empty if nothing.
    pub state: String,
}

impl Position {
    /// A position with nothing pending.
    pub fn at(next: u64) -> Self {
        Self {
            next,
            keep: next,
            state: String::new(),
        }
    }
}

/// With less than this above what collection leaves free, a disk has little room: 64 MiB.
const SCARCE: u64 = 64 << 20;
/// The database is not behind its log by more than this: 4 MiB.
const GROWTH: u64 = 4 << 20;
/// What a page takes besides its payloads, at most: 256 KiB.
const OVERHEAD: u64 = 256 << 10;

/// Spool, cursors and positions. Shared by all threads of a run.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    limits: Mutex<Limits>,
    writer: Mutex<Connection>,
    /// Reading does not wait for a page that is being committed.
    reader: Mutex<Connection>,
    memory: Mutex<Memory>,
    /// The log sources of the configuration.
    configured: Mutex<BTreeMap<String, SourceId>>,
    /// Bytes of payloads in the spool on disk.
    bytes: AtomicU64,
    /// How many pages were accepted since the store was opened, for those who wait for events.
    pages: Mutex<u64>,
    arrived: Condvar,
    /// Held for as long as the store is open.
    _lock: file::Lock,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic of another thread left no half-done change: SQLite rolled its transaction back.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// SQLite's integers are signed; sequences and sizes stay far below the limit.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

impl Store {
    /// Opens the state in a directory, or begins one where there is none.
    ///
    /// # Errors
    /// Another process uses the directory; the state was written by a newer program, is not ours, is damaged or not whole;
    /// the directory cannot be used.
    pub fn open(dir: &Path, limits: Limits) -> Result<Self, StoreError> {
        let store = Self::open_unchecked(dir, limits)?;
        store.check()?;
        Ok(store)
    }

    /// Opens a state in which events may be missing, so that these can be given up before [`Self::check`] is called.
    ///
    /// # Errors
    /// As with [`Self::open`].
    pub fn open_unchecked(dir: &Path, limits: Limits) -> Result<Self, StoreError> {
        let Opened {
            lock,
            writer,
            reader,
        } = file::open(dir)?;
        let bytes: i64 = writer
            .query_row("SELECT coalesce(sum(bytes), 0) FROM chunk", [], |row| {
                row.get(0)
            })
            .map_err(|error| StoreError::sqlite(dir, &error))?;
        file::keep_reserve(dir, limits.free);
        Ok(Self {
            dir: dir.to_owned(),
            limits: Mutex::new(limits),
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
            memory: Mutex::default(),
            configured: Mutex::default(),
            bytes: AtomicU64::new(unsigned(bytes)),
            pages: Mutex::new(0),
            arrived: Condvar::new(),
            _lock: lock,
        })
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The limits.
    pub fn limits(&self) -> Limits {
        *locked(&self.limits)
    }

    /// Changes the limits.
    pub fn set_limits(&self, limits: Limits) {
        *locked(&self.limits) = limits;
    }

    /// Bytes of payloads in the spool on disk.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Says which log sources there are, and who keeps what each has read until it is delivered.
    ///
    /// # Errors
    /// The state cannot be read or written.
    pub fn configure<'a>(
        &self,
        sources: impl Iterator<Item = (&'a str, Keeps)>,
    ) -> Result<(), StoreError> {
        let mut configured = BTreeMap::new();
        for (identifier, keeps) in sources {
            let source = match keeps {
                Keeps::Here => self.on_disk(identifier)?,
                Keeps::Remote => SourceId(Spool::Memory(locked(&self.memory).source(identifier))),
            };
            configured.insert(identifier.to_owned(), source);
        }
        *locked(&self.configured) = configured;
        Ok(())
    }

    /// The log source of the configuration with this identifier.
    pub fn find(&self, identifier: &str) -> Option<SourceId> {
        locked(&self.configured).get(identifier).copied()
    }

    /// The log source with this identifier. One that is not configured is kept on disk, and made if there is none.
    ///
    /// # Errors
    /// The state cannot be read or written.
    pub fn source(&self, identifier: &str) -> Result<SourceId, StoreError> {
        match self.find(identifier) {
            Some(source) => Ok(source),
            None => self.on_disk(identifier),
        }
    }

    fn on_disk(&self, identifier: &str) -> Result<SourceId, StoreError> {
        self.write_without_room(|tx| {
            tx.prepare_cached(
                "INSERT INTO log_source (identifier) VALUES (?1) ON CONFLICT DO NOTHING",
            )?
            .execute([identifier])?;
            tx.prepare_cached("SELECT id FROM log_source WHERE identifier = ?1")?
                .query_row([identifier], |row| row.get(0))
        })
        .map(|id| SourceId(Spool::Disk(id)))
    }

    /// The cursor of a lane of a log source, as it was given to [`Self::accept`].
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn cursor(&self, source: SourceId, lane: &str) -> Result<Option<String>, StoreError> {
        let Spool::Disk(id) = source.0 else {
            return Ok(None);
        };
        self.read_with(|connection| {
            connection
                .prepare_cached("SELECT cursor FROM lane WHERE log_source = ?1 AND name = ?2")?
                .query_row(params![id, lane], |row| row.get(0))
                .optional()
        })
    }

    /// The cursor of a lane that is on disk, whether or not the log source is kept there now.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn stored_cursor(
        &self,
        identifier: &str,
        lane: &str,
    ) -> Result<Option<String>, StoreError> {
        self.read_with(|connection| {
            connection
                .prepare_cached(
                    "SELECT lane.cursor FROM lane JOIN log_source ON log_source.id = lane.log_source
                     WHERE log_source.identifier = ?1 AND lane.name = ?2",
                )?
                .query_row(params![identifier, lane], |row| row.get(0))
                .optional()
        })
    }

    /// Makes a page and its cursor durable in one transaction. Without a cursor the stored one stays.
    ///
    /// # Errors
    /// [`StoreError::is_pause`]: nothing was stored, and the same page may be offered again. Others: the state cannot be
    /// written.
    pub fn accept<P: AsRef<[u8]>>(
        &self,
        source: SourceId,
        lane: &str,
        payloads: &[P],
        cursor: Option<&str>,
        received: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        match source.0 {
            Spool::Disk(id) => {
                let cursor = cursor.map(|cursor| (id, lane, cursor));
                self.accept_on_disk(&[(id, payloads)], cursor, received)?;
                self.arrived(payloads.len());
                Ok(())
            }
            Spool::Memory(_) => self.take(source, lane, &[(source, payloads)], received),
        }
    }

    fn accept_on_disk<P: AsRef<[u8]>>(
        &self,
        parts: &[(i64, &[P])],
        cursor: Option<(i64, &str, &str)>,
        received: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let payloads = parts.iter().flat_map(|(_, payloads)| payloads.iter());
        let size = payloads.map(|payload| payload.as_ref().len() as u64).sum();
        let is_scarce = self.check_room(size)?;
        let added = self.write(|tx| {
            let mut added = 0;
            for (source, payloads) in parts {
                let first = next_sequence(tx, *source)?;
                added += chunk::insert(tx, *source, first, payloads, received)?;
                tx.prepare_cached("UPDATE log_source SET next_sequence = ?2 WHERE id = ?1")?
                    .execute(params![source, signed(first + payloads.len() as u64)])?;
            }
            if let Some((source, lane, cursor)) = cursor {
                tx.prepare_cached(
                    "INSERT INTO lane (log_source, name, cursor) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET cursor = excluded.cursor",
                )?
                .execute(params![source, lane, cursor])?;
            }
            Ok(added)
        })?;
        self.bytes.fetch_add(added, Ordering::Relaxed);
        self.settle(is_scarce);
        Ok(())
    }

    /// Lets the database grow while there is room, so that delivery needs none: of what is in the log and not in the
    /// database there is never more than is set aside for it.
    fn settle(&self, is_scarce: bool) {
        let writer = locked(&self.writer);
        let growth = file::growth(&self.dir, &writer).unwrap_or(0);
        if growth > GROWTH || (is_scarce && growth > 0) {
            let _reader = locked(&self.reader);
            // What cannot be done now is done by a later checkpoint; all of it is durable.
            let _ = file::checkpoint(&writer, "PASSIVE");
        }
    }

    /// Wakes those who wait for events.
    fn arrived(&self, events: usize) {
        if events > 0 {
            self.wake();
        }
    }

    /// Begins a lane whose remote keeps what is read. Returns how many pages of it were counted before its first one; all
    /// that counts pages of a lane includes these.
    pub fn begin(&self, reader: SourceId, lane: &str) -> u64 {
        match reader.0 {
            Spool::Disk(_) => 0,
            Spool::Memory(reader) => locked(&self.memory).begin(reader, lane),
        }
    }

    /// Takes over a page that a log source has read whose remote keeps it. Its payloads may belong to several log sources,
    /// in gateway use; those of one that is kept on disk are durable when this returns. Only the thread of the lane calls
    /// it.
    ///
    /// # Errors
    /// [`StoreError::is_pause`]: nothing was taken, and the same page may be offered again. Others: the state cannot be
    /// written.
    pub fn take<P: AsRef<[u8]>>(
        &self,
        reader: SourceId,
        lane: &str,
        parts: &[(SourceId, &[P])],
        received: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let Spool::Memory(reader) = reader.0 else {
            return Ok(());
        };
        let (mut disk, mut memory) = (Vec::new(), Vec::new());
        for (source, payloads) in parts {
            match source.0 {
                Spool::Disk(id) => disk.push((id, *payloads)),
                Spool::Memory(number) => memory.push((number, *payloads)),
            }
        }
        let events: usize = parts.iter().map(|(_, payloads)| payloads.len()).sum();
        let payloads = memory.iter().flat_map(|(_, payloads)| payloads.iter());
        let bytes = payloads.map(|payload| payload.as_ref().len() as u64).sum();
        // Room does not become less meanwhile: nobody else takes anything for this log source.
        let limits = locked(&self.limits).memory;
        let room = locked(&self.memory).check_room(reader, bytes, events as u64, limits);
        room.inspect_err(|_| self.wake())?;
        if !disk.is_empty() {
            self.accept_on_disk(&disk, None, received)?;
        }
        let mut held = locked(&self.memory);
        let mut ends = BTreeMap::new();
        for (source, payloads) in memory {
            ends.insert(source, held.insert(reader, source, payloads, received));
        }
        let page = OpenPage {
            // An empty page takes room too.
            events: events.max(1) as u64,
            ends: ends.into_iter().collect(),
        };
        held.open_page(reader, lane, page);
        drop(held);
        self.arrived(events);
        Ok(())
    }

    /// How many pages of a lane, from the first since it began, are delivered: every destination of every log source with
    /// payloads in them has accepted these, records of coalescing included.
    pub fn delivered(&self, reader: SourceId, lane: &str) -> u64 {
        match reader.0 {
            Spool::Disk(_) => u64::MAX,
            Spool::Memory(reader) => locked(&self.memory).delivered(reader, lane),
        }
    }

    /// The remote has confirmed so many pages of a lane, from the first since it began. From the first call on, events
    /// count against the limit until then, and not only until they are delivered.
    pub fn acknowledged(&self, reader: SourceId, lane: &str, pages: u64) {
        if let Spool::Memory(reader) = reader.0 {
            locked(&self.memory).acknowledged(reader, lane, pages);
        }
    }

    /// Asks that what a log source has read until now be delivered soon. See [`Self::hastened`].
    pub fn hasten(&self, reader: SourceId) {
        if let Spool::Memory(reader) = reader.0 {
            locked(&self.memory).hasten(reader);
            self.wake();
        }
    }

    /// The sequence before which no event of a log source is to be held back, because room is needed or somebody waits
    /// until it is delivered; 0 where nobody is in a hurry.
    pub fn hastened(&self, source: SourceId) -> u64 {
        match source.0 {
            Spool::Disk(_) => 0,
            Spool::Memory(number) => locked(&self.memory).hastened(number),
        }
    }

    /// Refuses what would go over the limits. Tells whether the disk has little room.
    fn check_room(&self, size: u64) -> Result<bool, StoreError> {
        let limits = *locked(&self.limits);
        let waiting = self.bytes();
        if waiting > 0 && waiting + size > limits.spool {
            return Err(StoreError::Full {
                waiting,
                limit: limits.spool,
            });
        }
        let Some(available) = file::available(&self.dir) else {
            return Ok(false);
        };
        let is_scarce = available < limits.free.saturating_add(SCARCE);
        if size == 0 || (!is_scarce && size <= SCARCE / 4) {
            return Ok(is_scarce);
        }
        // The page is written twice, to the log and to the database, and so is what is in the log only.
        let growth = file::growth(&self.dir, &locked(&self.writer)).unwrap_or(GROWTH);
        let reserve = match file::has_reserve(&self.dir) {
            true => 0,
            false => file::RESERVE_BYTES,
        };
        let needed = limits
            .free
            .saturating_add(2 * size + growth + reserve + OVERHEAD);
        if available < needed {
            return Err(StoreError::DiskFull {
                dir: self.dir.clone(),
                available,
            });
        }
        Ok(is_scarce)
    }

    /// Where delivery of a log source to a destination stands. A destination that the log source did not have before
    /// gets the events that arrive from now on.
    ///
    /// # Errors
    /// The state cannot be read or written.
    pub fn position(&self, source: SourceId, destination: &str) -> Result<Position, StoreError> {
        let id = match source.0 {
            Spool::Disk(id) => id,
            Spool::Memory(number) => {
                return Ok(locked(&self.memory).position(number, destination));
            }
        };
        self.write_without_room(|tx| {
            let next = signed(next_sequence(tx, id)?);
            tx.prepare_cached(
                "INSERT INTO position (log_source, destination, next, keep, state) VALUES (?1, ?2, ?3, ?3, '')
                 ON CONFLICT DO NOTHING",
            )?
            .execute(params![id, destination, next])?;
            tx.prepare_cached("SELECT next, keep, state FROM position WHERE log_source = ?1 AND destination = ?2")?
                .query_row(params![id, destination], |row| {
                    Ok(Position {
                        next: unsigned(row.get(0)?),
                        keep: unsigned(row.get(1)?),
                        state: row.get(2)?,
                    })
                })
        })
    }

    /// Moves the position of a destination, and deletes what no destination of the log source needs any more, in one
    /// transaction.
    ///
    /// # Errors
    /// The state cannot be written; the position is where it was.
    pub fn advance(
        &self,
        source: SourceId,
        destination: &str,
        position: &Position,
    ) -> Result<(), StoreError> {
        let id = match source.0 {
            Spool::Disk(id) => id,
            Spool::Memory(number) => {
                locked(&self.memory).advance(number, destination, position);
                return Ok(());
            }
        };
        let removed = self.write_without_room(|tx| {
            tx.prepare_cached(
                "UPDATE position SET next = ?3, keep = ?4, state = ?5 WHERE log_source = ?1 AND destination = ?2",
            )?
            .execute(params![
                id,
                destination,
                signed(position.next),
                signed(position.keep),
                position.state
            ])?;
            chunk::delete_delivered(tx, id)
        })?;
        self.reclaim(removed)
    }

    /// Takes deleted chunks off the account, and gives the room of a spool that has shrunk back to the file system.
    fn reclaim(&self, removed: u64) -> Result<(), StoreError> {
        if removed == 0 {
            return Ok(());
        }
        self.bytes.fetch_sub(removed, Ordering::Relaxed);
        let free = locked(&self.limits).free;
        let is_scarce = file::available(&self.dir)
            .is_some_and(|available| available < free.saturating_add(SCARCE));
        let shrunk = file::shrink(&locked(&self.writer), is_scarce)
            .map_err(|error| StoreError::sqlite(&self.dir, &error));
        file::keep_reserve(&self.dir, free);
        match shrunk {
            // The next time there may be room for it.
            Err(StoreError::DiskFull { .. }) => Ok(()),
            result => result,
        }
    }

    /// Reads waiting events in order, from a sequence on, at most so many and at least one if there is one; no further
    /// event once `max_bytes` are reached.
    ///
    /// # Errors
    /// The state cannot be read, or is damaged.
    pub fn read(
        &self,
        source: SourceId,
        from: u64,
        max_events: usize,
        max_bytes: usize,
    ) -> Result<Batch, StoreError> {
        let most = Most {
            events: max_events,
            bytes: max_bytes,
        };
        let id = match source.0 {
            Spool::Disk(id) => id,
            Spool::Memory(number) => return Ok(locked(&self.memory).read(number, from, most)),
        };
        let batch = self.read_with(|connection| chunk::read(connection, id, from, most))?;
        batch.map_err(|sequence| StoreError::Damaged {
            dir: self.dir.clone(),
            reason: format!("the chunk with event {sequence} of the spool cannot be read"),
        })
    }

    /// How many events of a log source wait from a sequence on.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn waiting(&self, source: SourceId, from: u64) -> Result<u64, StoreError> {
        let id = match source.0 {
            Spool::Disk(id) => id,
            Spool::Memory(number) => return Ok(locked(&self.memory).waiting(number, from)),
        };
        self.read_with(|connection| {
            let next: i64 = connection
                .prepare_cached("SELECT next_sequence FROM log_source WHERE id = ?1")?
                .query_row([id], |row| row.get(0))?;
            Ok(unsigned(next).saturating_sub(from))
        })
    }

    /// When the oldest waiting event of a log source, from a sequence on, was received.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn oldest(&self, source: SourceId, from: u64) -> Result<Option<DateTime<Utc>>, StoreError> {
        match source.0 {
            Spool::Disk(id) => self.read_with(|connection| chunk::received(connection, id, from)),
            Spool::Memory(number) => Ok(locked(&self.memory).oldest(number, from)),
        }
    }

    /// Gives up what waits of a log source for a destination, and the position; returns how many events. Where the remote
    /// keeps what was read and no destination is left, the remote is not told that it was delivered.
    ///
    /// # Errors
    /// The state cannot be written.
    pub fn forget(&self, source: SourceId, destination: &str) -> Result<u64, StoreError> {
        let id = match source.0 {
            Spool::Disk(id) => id,
            Spool::Memory(number) => return Ok(locked(&self.memory).forget(number, destination)),
        };
        let (waiting, removed) = self.write_without_room(|tx| {
            let next: Option<i64> = tx
                .prepare_cached(
                    "DELETE FROM position WHERE log_source = ?1 AND destination = ?2 RETURNING next",
                )?
                .query_row(params![id, destination], |row| row.get(0))
                .optional()?;
            let behind = next_sequence(tx, id)?;
            let waiting = next.map_or(0, |next| behind.saturating_sub(unsigned(next)));
            Ok((waiting, chunk::delete_delivered(tx, id)?))
        })?;
        self.reclaim(removed)?;
        Ok(waiting)
    }

    /// How many pages have arrived, to be given to [`Self::wait_for_page`]. Ask before looking for events, or a page that
    /// arrives in between is waited for.
    pub fn pages(&self) -> u64 {
        *locked(&self.pages)
    }

    /// Waits until there are more pages than the caller has seen, or the time is up.
    pub fn wait_for_page(&self, seen: u64, timeout: Duration) {
        let pages = locked(&self.pages);
        // Who waits looks again in any case.
        let _ = self
            .arrived
            .wait_timeout_while(pages, timeout, |pages| *pages == seen);
    }

    /// Wakes those who wait for a page.
    pub fn wake(&self) {
        *locked(&self.pages) += 1;
        self.arrived.notify_all();
    }

    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let mut writer = locked(&self.writer);
        let result = writer
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .and_then(|tx| {
                let value = work(&tx)?;
                tx.commit()?;
                Ok(value)
            });
        result.map_err(|error| StoreError::sqlite(&self.dir, &error))
    }

    /// Writes what delivery has to write, on a full disk too: the log begins anew in the room that it has, and where that
    /// is not enough, the room is used that was set aside.
    fn write_without_room<T>(
        &self,
        work: impl Fn(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        for attempt in 0..2 {
            match self.write(&work) {
                Err(StoreError::DiskFull { .. }) => {}
                result => return result,
            }
            if attempt == 1 && file::free_reserve(&self.dir) {
                tracing::warn!(
                    directory = %self.dir.display(),
                    "the disk is full: delivery goes on in the room that was set aside"
                );
            }
            let writer = locked(&self.writer);
            let _reader = locked(&self.reader);
            // Whether it was of use shows when writing is tried again.
            let _ = file::checkpoint(&writer, "RESTART");
        }
        self.write(&work)
    }

    fn read_with<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        work(&locked(&self.reader)).map_err(|error| StoreError::sqlite(&self.dir, &error))
    }
}

fn next_sequence(tx: &Transaction<'_>, source: i64) -> rusqlite::Result<u64> {
    tx.prepare_cached("SELECT next_sequence FROM log_source WHERE id = ?1")?
        .query_row([source], |row| row.get(0))
        .map(unsigned)
}
