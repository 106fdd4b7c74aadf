//! Whether the state has everything that it should have.
//!
//! The events of a log source are numbered without gaps. Chunks have all those from the first one that a destination still
//! needs to the last one that was received; SQLite notices a damaged page, but not that rows are gone.

use super::{Store, StoreError, unsigned};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// A log source, and what its chunks have to cover.
struct Source {
    identifier: String,
    /// The sequence that the next event gets.
    next: u64,
    /// What each destination still needs, by its name.
    needed: Vec<(String, u64)>,
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
        let (missing, routes) = self.read_with(look)?;
        if missing.is_empty() {
            return Ok(());
        }
        Err(StoreError::Incomplete {
            dir: self.dir.clone(),
            missing: missing.join(", "),
            routes,
        })
    }
}

fn look(connection: &Connection) -> rusqlite::Result<(Vec<String>, Vec<String>)> {
    let tx = connection.unchecked_transaction()?;
    let mut sources = BTreeMap::new();
    let mut statement = tx.prepare("SELECT id, identifier, next_sequence FROM log_source")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let source = Source {
            identifier: row.get(1)?,
            next: unsigned(row.get(2)?),
            needed: Vec::new(),
            reached: None,
            gaps: Vec::new(),
            fault: None,
        };
        sources.insert(row.get::<_, i64>(0)?, source);
    }
    let mut missing = Vec::new();
    let mut strays = 0_u64;
    let mut statement = tx.prepare("SELECT log_source, destination, next, keep FROM position")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Some(source) = sources.get_mut(&row.get::<_, i64>(0)?) else {
            continue;
        };
        let (next, keep) = (unsigned(row.get(2)?), unsigned(row.get(3)?));
        if keep > next || next > source.next {
            source.fault = Some("a position is beyond the last event");
        }
        source.needed.push((row.get(1)?, keep));
    }
    let mut statement =
        tx.prepare("SELECT log_source, first, next FROM chunk ORDER BY log_source, next")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (first, next) = (unsigned(row.get(1)?), unsigned(row.get(2)?));
        match sources.get_mut(&row.get::<_, i64>(0)?) {
            Some(source) => source.take(first, next),
            None => strays += next.saturating_sub(first),
        }
    }
    let mut routes = Vec::new();
    for source in sources.values_mut() {
        source.finish();
        if let Some(text) = source.missing() {
            missing.push(text);
            routes.extend(source.routes());
        }
    }
    if strays > 0 {
        missing.push(format!("{strays} events belong to no log source"));
    }
    Ok((missing, routes))
}

impl Source {
    /// From where on events are needed, if a destination needs any.
    fn from(&self) -> Option<u64> {
        self.needed.iter().map(|(_, keep)| *keep).min()
    }

    /// The next chunk.
    fn take(&mut self, first: u64, next: u64) {
        if first >= next || self.reached.is_some_and(|reached| first < reached) {
            self.fault = Some("events are there twice");
        }
        // What lies before it is needed by nobody.
        let from = self.from().unwrap_or(first);
        let wanted = self.reached.map_or(from, |reached| reached.max(from));
        if first > wanted {
            self.gaps.push((wanted, first - 1));
        }
        self.reached = Some(next);
    }

    /// There are no more chunks.
    fn finish(&mut self) {
        // Without a destination nothing is needed.
        let Some(wanted) = self.reached.max(self.from()) else {
            return;
        };
        if wanted < self.next {
            self.gaps.push((wanted, self.next - 1));
        } else if wanted > self.next {
            self.fault
                .get_or_insert("there are events beyond the last one");
        }
    }

    fn missing(&self) -> Option<String> {
        let identifier = &self.identifier;
        if let Some(fault) = self.fault {
            return Some(format!("of `{identifier}` {fault}"));
        }
        let events: u64 = self.gaps.iter().map(|(first, last)| last - first + 1).sum();
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

    /// The routes that wait for what is missing.
    fn routes(&self) -> impl Iterator<Item = String> {
        let end = self.gaps.last().map_or(self.next, |(_, last)| last + 1);
        let is_damaged = self.fault.is_some();
        self.needed
            .iter()
            .filter(move |(_, keep)| is_damaged || *keep < end)
            .map(|(destination, _)| format!("{}/{destination}", self.identifier))
    }
}
