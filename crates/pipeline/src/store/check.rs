//! Whether the state has everything that it should have.
//!
//! The events of a log source are numbered without gaps. Chunks have all those from the first one that a destination still
//! needs to the last one that was received; SQLite notices a damaged page, but not that rows are gone.
//!
//! What is missing can be given up. That is noted in a table of its own, which a state without gaps does not have, and
//! which programs that do not know it pass over.

use super::{Store, StoreError, signed, unsigned};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;

/// Ranges of events that are missing and were given up.
const GIVEN_UP: &str = "CREATE TABLE IF NOT EXISTS given_up (
    log_source INTEGER NOT NULL, first INTEGER NOT NULL, next INTEGER NOT NULL)";

/// A log source, and what its chunks have to cover.
struct Source {
    identifier: String,
    /// The sequence that the next event gets.
    next: u64,
    /// The first event that a destination still needs.
    needed: Option<u64>,
    /// The sequence up to which everything needed was found.
    reached: Option<u64>,
    /// The ranges that were not found, both ends included.
    gaps: Vec<(u64, u64)>,
    /// What cannot be, whatever is missing.
    fault: Option<&'static str>,
}

impl Store {
    /// Looks for events that are missing from the spool on disk. It reads an index and no payload.
    ///
    /// # Errors
    /// [`StoreError::Incomplete`]: something is missing. Others: the state cannot be read.
    pub fn check(&self) -> Result<(), StoreError> {
        self.read_with(look)?.into_result(&self.dir)
    }

    /// Gives up the events that are missing, and only these; returns how many of each log source.
    ///
    /// # Errors
    /// What is wrong is more than that events are missing, or the state cannot be written.
    pub fn forget_missing(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let found = self.read_with(look)?;
        if found.is_contradictory() {
            found.into_result(&self.dir)?;
            return Ok(Vec::new());
        }
        self.write_without_room(|tx| {
            tx.execute_batch(GIVEN_UP)?;
            for (id, source) in &found.sources {
                for (first, last) in &source.gaps {
                    if last + 1 < source.next {
                        tx.execute(
                            "INSERT INTO given_up (log_source, first, next) VALUES (?1, ?2, ?3)",
                            params![id, signed(*first), signed(last + 1)],
                        )?;
                        continue;
                    }
                    // Nothing is behind them: their numbers are given out again, or they would wait for ever.
                    tx.execute(
                        "UPDATE log_source SET next_sequence = ?2 WHERE id = ?1",
                        params![id, signed(*first)],
                    )?;
                    tx.execute(
                        "UPDATE position SET next = min(next, ?2), keep = min(keep, ?2), state = ''
                         WHERE log_source = ?1 AND next > ?2",
                        params![id, signed(*first)],
                    )?;
                }
            }
            Ok(())
        })?;
        let given_up = found
            .sources
            .into_values()
            .filter(|source| source.missing_events() > 0);
        Ok(given_up
            .map(|source| (source.identifier.clone(), source.missing_events()))
            .collect())
    }
}

/// What was found.
struct Found {
    sources: BTreeMap<i64, Source>,
    /// Events of log sources that are not there.
    strays: u64,
}

impl Found {
    /// Whether something cannot be, whatever is missing.
    fn is_contradictory(&self) -> bool {
        self.strays > 0 || self.sources.values().any(|source| source.fault.is_some())
    }

    fn into_result(self, dir: &std::path::Path) -> Result<(), StoreError> {
        let mut missing: Vec<String> = self.sources.values().filter_map(Source::missing).collect();
        if self.strays > 0 {
            missing.push(format!("{} events belong to no log source", self.strays));
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(StoreError::Incomplete {
            dir: dir.to_owned(),
            missing: missing.join(", "),
            can_be_given_up: !self.is_contradictory(),
        })
    }
}

fn look(connection: &Connection) -> rusqlite::Result<Found> {
    let tx = connection.unchecked_transaction()?;
    let mut sources: BTreeMap<i64, Source> = BTreeMap::new();
    let mut statement = tx.prepare("SELECT id, identifier, next_sequence FROM log_source")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let source = Source {
            identifier: row.get(1)?,
            next: unsigned(row.get(2)?),
            needed: None,
            reached: None,
            gaps: Vec::new(),
            fault: None,
        };
        sources.insert(row.get::<_, i64>(0)?, source);
    }
    let mut strays = 0_u64;
    let mut statement = tx.prepare("SELECT log_source, next, keep FROM position")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Some(source) = sources.get_mut(&row.get::<_, i64>(0)?) else {
            continue;
        };
        let (next, keep) = (unsigned(row.get(1)?), unsigned(row.get(2)?));
        if keep > next || next > source.next {
            source.fault = Some("a position is beyond the last event");
        }
        source.needed = Some(source.needed.map_or(keep, |needed| needed.min(keep)));
    }
    let has_given_up = tx
        .query_row(
            "SELECT 1 FROM sqlite_schema WHERE name = 'given_up'",
            [],
            |_| Ok(()),
        )
        .optional()?
        .is_some();
    let mut statement = tx.prepare(if has_given_up {
        "SELECT log_source, first, next FROM chunk UNION ALL SELECT log_source, first, next FROM given_up ORDER BY 1, 3"
    } else {
        "SELECT log_source, first, next FROM chunk ORDER BY log_source, next"
    })?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (first, next) = (unsigned(row.get(1)?), unsigned(row.get(2)?));
        match sources.get_mut(&row.get::<_, i64>(0)?) {
            Some(source) => source.take(first, next),
            None => strays += next.saturating_sub(first),
        }
    }
    for source in sources.values_mut() {
        source.finish();
    }
    Ok(Found { sources, strays })
}

impl Source {
    /// The next chunk.
    fn take(&mut self, first: u64, next: u64) {
        if first >= next || self.reached.is_some_and(|reached| first < reached) {
            self.fault = Some("events are there twice");
        }
        // What lies before it is needed by nobody.
        let from = self.needed.unwrap_or(first);
        let wanted = self.reached.map_or(from, |reached| reached.max(from));
        if first > wanted {
            self.gaps.push((wanted, first - 1));
        }
        self.reached = Some(next);
    }

    /// There are no more chunks.
    fn finish(&mut self) {
        // Without a destination nothing is needed.
        let Some(wanted) = self.reached.max(self.needed) else {
            return;
        };
        if wanted < self.next {
            self.gaps.push((wanted, self.next - 1));
        } else if wanted > self.next {
            self.fault
                .get_or_insert("there are events beyond the last one");
        }
    }

    fn missing_events(&self) -> u64 {
        self.gaps.iter().map(|(first, last)| last - first + 1).sum()
    }

    fn missing(&self) -> Option<String> {
        let identifier = &self.identifier;
        if let Some(fault) = self.fault {
            return Some(format!("of `{identifier}` {fault}"));
        }
        let events = self.missing_events();
        let (first, _) = self.gaps.first()?;
        let (_, last) = self.gaps.last()?;
        let more = match self.gaps.len() {
            1 => String::new(),
            ranges => format!(" in {ranges} ranges"),
        };
        Some(format!(
            "of `{identifier}` {events} ({first} to {last}{more})"
        ))
    }
}
