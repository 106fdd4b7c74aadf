//! Looking at a state that another process may be using.

use super::{SourceId, Spool, Store, StoreError, file, locked, unsigned};
use chrono::{DateTime, Utc};
use rusqlite::Connection;
use std::path::Path;

/// A log source in the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow {
    /// Its identifier.
    pub identifier: String,
    /// How many events it has received.
    pub received: u64,
}

/// What waits for a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingRow {
    /// The log source.
    pub source: SourceId,
    /// Identifier of the log source.
    pub identifier: String,
    /// The destination.
    pub destination: String,
    /// How many events wait.
    pub events: u64,
    /// When the oldest of them was received.
    pub oldest: Option<DateTime<Utc>>,
}

/// The state as it is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peek {
    /// The process that uses the state, if one does.
    pub process: Option<String>,
    /// The log sources, by identifier.
    pub sources: Vec<SourceRow>,
    /// What waits.
    pub waiting: Vec<WaitingRow>,
    /// Bytes of payloads in the spool on disk.
    pub bytes: u64,
    /// Bytes of payloads in memory, of log sources whose remotes keep them; another process does not see them.
    pub memory_bytes: u64,
}

impl Store {
    /// Reads the state in a directory, whoever uses it.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn peek(dir: &Path) -> Result<Peek, StoreError> {
        let connection = file::open_to_read(dir)?;
        let mut peek = look(&connection).map_err(|error| StoreError::sqlite(dir, &error))?;
        peek.process = file::holder(dir);
        Ok(peek)
    }

    /// The same of the open store, with what waits in memory.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn look(&self) -> Result<Peek, StoreError> {
        let mut peek = self.read_with(look)?;
        let memory = self.look_at_memory();
        peek.sources.extend(memory.sources);
        peek.waiting.extend(memory.waiting);
        peek.memory_bytes = memory.memory_bytes;
        Ok(peek)
    }

    /// What waits in memory, and nothing else.
    pub fn look_at_memory(&self) -> Peek {
        let memory = locked(&self.memory);
        let sources = memory.received().map(|(identifier, received)| SourceRow {
            identifier: identifier.to_owned(),
            received,
        });
        let waiting = memory.all_waiting().map(|row| WaitingRow {
            source: SourceId(Spool::Memory(row.source)),
            identifier: row.identifier.to_owned(),
            destination: row.destination.to_owned(),
            events: row.events,
            oldest: row.oldest,
        });
        Peek {
            process: None,
            sources: sources.collect(),
            waiting: waiting.collect(),
            bytes: 0,
            memory_bytes: memory.bytes(),
        }
    }
}

fn look(connection: &Connection) -> rusqlite::Result<Peek> {
    // One transaction, so that all of it is of the same moment.
    let tx = connection.unchecked_transaction()?;
    let sources = tx
        .prepare_cached("SELECT identifier, next_sequence - 1 FROM log_source ORDER BY identifier")?
        .query_map([], |row| {
            Ok(SourceRow {
                identifier: row.get(0)?,
                received: unsigned(row.get(1)?),
            })
        })?
        .collect::<Result<_, _>>()?;
    let waiting = tx
        .prepare_cached(
            "SELECT identifier, destination, next_sequence - position.next,
                 (SELECT received FROM chunk WHERE chunk.log_source = position.log_source
                  AND chunk.next > position.next ORDER BY chunk.next LIMIT 1), log_source.id
             FROM position JOIN log_source ON id = log_source ORDER BY identifier, destination",
        )?
        .query_map([], |row| {
            let oldest: Option<i64> = row.get(3)?;
            Ok(WaitingRow {
                source: SourceId(Spool::Disk(row.get(4)?)),
                identifier: row.get(0)?,
                destination: row.get(1)?,
                events: unsigned(row.get(2)?),
                oldest: oldest.and_then(DateTime::from_timestamp_millis),
            })
        })?
        .collect::<Result<_, _>>()?;
    let bytes: i64 = tx.query_row("SELECT coalesce(sum(bytes), 0) FROM chunk", [], |row| {
        row.get(0)
    })?;
    Ok(Peek {
        process: None,
        sources,
        waiting,
        bytes: unsigned(bytes),
        memory_bytes: 0,
    })
}
