//! How a run is doing, as a file in the state directory and as a table for people.

use crate::metrics::{Board, DestinationState, NO_LANE};
use crate::store::{Peek, Store, StoreError, WaitingRow};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use protocol::Keeps;
use protocol::status::State;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write as _};
use std::path::Path;

/// The name of the file.
const FILE: &str = "status.json";

/// What the running process writes every few seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// When it was written.
    pub time: DateTime<Utc>,
    /// The lanes of the log sources.
    pub lanes: Vec<LaneRow>,
    /// The destinations.
    pub destinations: Vec<DestinationRow>,
    /// What waits in memory, because its remote keeps it.
    #[serde(default)]
    pub memory: Vec<MemoryRow>,
    /// Bytes of payloads in memory.
    #[serde(default)]
    pub memory_bytes: u64,
    /// What has become of events since the process began.
    #[serde(default)]
    pub routes: Vec<RouteRow>,
    /// The group that divides log sources, if there is one.
    #[serde(default)]
    pub group: Option<GroupRow>,
}

/// How this process stands with its group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupRow {
    /// Its name.
    pub name: String,
    /// The state, as that of a lane.
    pub state: String,
    /// What there is to say.
    pub message: String,
    /// What somebody can do about it.
    pub remedy: Option<String>,
}

/// What has become of the events of a log source at a destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteRow {
    /// Identifier of the log source.
    pub log_source: String,
    /// The destination.
    pub destination: String,
    /// Events that were accepted.
    pub events: u64,
    /// Events that were refused for good.
    pub refused: u64,
}

/// What waits in memory for a destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryRow {
    /// Identifier of the log source.
    pub log_source: String,
    /// The destination.
    pub destination: String,
    /// How many events wait.
    pub events: u64,
    /// When the oldest of them was received.
    pub oldest: Option<DateTime<Utc>>,
}

/// A lane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LaneRow {
    /// Identifier of the log source.
    pub log_source: String,
    /// Name of the lane.
    pub lane: String,
    /// The state, as QRadar names it.
    pub state: String,
    /// What happened last.
    pub message: String,
    /// What somebody can do about it.
    pub remedy: Option<String>,
    /// When everything was last read that there was.
    pub last_success: Option<DateTime<Utc>>,
    /// The newest time stamp that the source has shown.
    pub position: Option<DateTime<Utc>>,
    /// Payloads in the last minute, for each second.
    pub rate: f64,
    /// Elements that were not what the source promises.
    #[serde(default)]
    pub malformed: u64,
    /// How often input was gone, or may have been, before it could be read.
    #[serde(default)]
    pub gaps: u64,
}

/// A destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DestinationRow {
    /// Its name.
    pub name: String,
    /// The state.
    pub state: String,
    /// What went wrong.
    pub message: String,
    /// When a batch was last accepted.
    pub last_success: Option<DateTime<Utc>>,
}

/// The rates of lanes over the last minute.
#[derive(Debug, Default)]
pub struct Rates(BTreeMap<(String, String), VecDeque<Sample>>);

/// How many payloads there were at a time.
type Sample = (DateTime<Utc>, u64);

impl Rates {
    /// Payloads for each second since the oldest sample of the last minute.
    fn sample(&mut self, log_source: &str, lane: &str, now: DateTime<Utc>, total: u64) -> f64 {
        let key = (log_source.to_owned(), lane.to_owned());
        let samples = self.0.entry(key).or_default();
        while samples
            .front()
            .is_some_and(|(time, seen)| now - *time > TimeDelta::seconds(60) || *seen > total)
        {
            samples.pop_front();
        }
        samples.push_back((now, total));
        let Some((since, before)) = samples.front() else {
            return 0.0;
        };
        let seconds = (now - *since).num_milliseconds().max(1000) as f64 / 1000.0;
        (total - before) as f64 / seconds
    }
}

impl MemoryRow {
    fn of(rows: &[WaitingRow]) -> Vec<Self> {
        let in_memory = rows
            .iter()
            .filter(|row| row.source.keeps() == Keeps::Remote);
        in_memory
            .map(|row| Self {
                log_source: row.identifier.clone(),
                destination: row.destination.clone(),
                events: row.events,
                oldest: row.oldest,
            })
            .collect()
    }
}

impl Status {
    /// What the board says now, and what waits in memory.
    pub fn of(board: &Board, waiting: &Peek, rates: &mut Rates, now: DateTime<Utc>) -> Self {
        let lanes = board.lanes().into_iter().map(|(id, status)| LaneRow {
            rate: rates.sample(&id.log_source, &id.lane, now, status.payloads),
            gaps: status.all_gaps(),
            log_source: id.log_source,
            lane: id.lane,
            state: status.state.as_str().to_owned(),
            message: status.message,
            remedy: status.remedy,
            last_success: status.last_success,
            position: status.position,
            malformed: status.malformed,
        });
        let destinations = board.destinations().into_iter();
        let destinations = destinations.map(|(name, status)| DestinationRow {
            name,
            state: match status.state {
                DestinationState::NotAvailable => State::NotAvailable.as_str(),
                DestinationState::Ok => State::Ok.as_str(),
                DestinationState::Unavailable => State::Warn.as_str(),
                DestinationState::Closed => State::Error.as_str(),
            }
            .to_owned(),
            message: status.message,
            last_success: status.last_success,
        });
        let routes = board.routes().into_iter();
        let routes = routes.map(|(log_source, destination, counts)| RouteRow {
            log_source,
            destination,
            events: counts.events(),
            refused: counts.refused.get(),
        });
        Self {
            time: now,
            lanes: lanes.collect(),
            destinations: destinations.collect(),
            memory: MemoryRow::of(&waiting.waiting),
            memory_bytes: waiting.memory_bytes,
            routes: routes.collect(),
            group: board.group().map(|group| GroupRow {
                name: group.name,
                state: group.state.as_str().to_owned(),
                message: group.message,
                remedy: group.remedy,
            }),
        }
    }

    /// Events of a log source that the destination with the most of them has accepted.
    fn delivered(&self, log_source: &str) -> u64 {
        let routes = self.routes.iter();
        let routes = routes.filter(|route| route.log_source == log_source);
        routes.map(|route| route.events).max().unwrap_or_default()
    }

    /// Events of a log source that a destination has refused for good.
    fn refused(&self, log_source: &str, destination: &str) -> u64 {
        let mut routes = self.routes.iter();
        let route =
            routes.find(|route| route.log_source == log_source && route.destination == destination);
        route.map_or(0, |route| route.refused)
    }

    /// Writes it into the state directory, in one piece.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        let new = dir.join(format!("{FILE}.new"));
        let mut file = crate::store::create_private(&new)?;
        file.set_len(0)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        std::fs::rename(new, dir.join(FILE))
    }

    /// Reads what was last written; nothing if there is none that can be read.
    pub fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(dir.join(FILE)).ok()?).ok()
    }
}

/// A log source that the configuration names.
#[derive(Debug, Clone, Copy)]
pub struct KnownLogSource<'a> {
    /// Its identifier.
    pub identifier: &'a str,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Whether another log source reads for it.
    pub behind_gateway: bool,
    /// Whether one process of a group collects for it at a time.
    pub shared: bool,
}

/// The status of what runs, or last ran, with a state directory.
#[derive(Debug)]
pub struct Overview {
    peek: Peek,
    status: Option<Status>,
    /// Rows of log sources that have no lanes.
    idle: Vec<Vec<String>>,
}

impl Overview {
    /// Reads it.
    ///
    /// # Errors
    /// There is no state, or it cannot be read.
    pub fn read(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            peek: Store::peek(dir)?,
            status: Status::read(dir),
            idle: Vec::new(),
        })
    }

    /// Adds log sources that have no lanes, so that none is missing.
    #[must_use]
    pub fn with_log_sources<'a>(mut self, known: impl Iterator<Item = KnownLogSource<'a>>) -> Self {
        let is_idle =
            |lane: &LaneRow| lane.lane == NO_LANE && lane.state == State::NotAvailable.as_str();
        for source in known {
            if let Some(status) = &mut self.status {
                // More is said of it below.
                let is_its = |lane: &LaneRow| lane.log_source == source.identifier;
                status.lanes.retain(|lane| !(is_its(lane) && is_idle(lane)));
                if status.lanes.iter().any(is_its) {
                    continue;
                }
            }
            let status = self.status.as_ref();
            let delivered = status.map_or(0, |status| status.delivered(source.identifier));
            let is_live = self.peek.process.is_some();
            let (state, message) = match (source.enabled, source.behind_gateway) {
                (false, _) => ("DISABLED", "it has `enabled = false`".to_owned()),
                (true, false) if source.shared && is_live => (
                    State::NotAvailable.as_str(),
                    "not this process: another one of the group collects for it, or is about to"
                        .to_owned(),
                ),
                (true, false) => (
                    State::NotAvailable.as_str(),
                    "it has not collected yet".to_owned(),
                ),
                (true, true) => (
                    match delivered {
                        0 => State::NotAvailable.as_str(),
                        _ => State::Ok.as_str(),
                    },
                    format!("a gateway log source reads for it: {delivered} delivered"),
                ),
            };
            let identifier = source.identifier;
            self.idle
                .push(row(&[identifier, "-", state, "-", "-", "-", &message]));
        }
        self
    }

    /// The tables, for people.
    pub fn table(&self, now: DateTime<Utc>) -> String {
        let mut out = match (&self.peek.process, &self.status) {
            (Some(process), _) => format!("running, process {process}\n"),
            (None, Some(status)) => format!("not running since {}\n", stamp(Some(status.time))),
            (None, None) => "not running\n".to_owned(),
        };
        let live = self.status.as_ref().filter(|_| self.peek.process.is_some());
        if let Some(group) = live.and_then(|status| status.group.as_ref()) {
            let remedy = group.remedy.as_ref();
            let remedy = remedy.map_or_else(String::new, |remedy| format!(": {remedy}"));
            let (name, state, message) = (&group.name, &group.state, &group.message);
            out.push_str(&format!("group {name}  {state}  {message}{remedy}\n"));
        }
        let lanes = self.status.iter().flat_map(|status| &status.lanes);
        let mut rows = vec![row(&[
            "LOG SOURCE",
            "LANE",
            "STATE",
            "LAST SUCCESS",
            "AGO",
            "EVENTS/S",
            "MESSAGE",
        ])];
        for lane in lanes {
            let remedy = lane.remedy.as_ref();
            let remedy = remedy.map_or_else(String::new, |remedy| format!(": {remedy}"));
            let malformed = match lane.malformed {
                0 => String::new(),
                count => format!("; {count} malformed so far"),
            };
            let gaps = match lane.gaps {
                0 => String::new(),
                1 => "; 1 gap so far".to_owned(),
                count => format!("; {count} gaps so far"),
            };
            rows.push(vec![
                lane.log_source.clone(),
                lane.lane.clone(),
                lane.state.clone(),
                stamp(lane.last_success),
                age(lane.last_success, now),
                format!("{:.1}", lane.rate),
                format!("{}{remedy}{malformed}{gaps}", lane.message),
            ]);
        }
        rows.extend(self.idle.iter().cloned());
        out.push('\n');
        out.push_str(&aligned(&rows));
        let mut rows = vec![row(&[
            "LOG SOURCE",
            "DESTINATION",
            "STATE",
            "WAITING",
            "OLDEST",
            "LAST SUCCESS",
            "MESSAGE",
        ])];
        let memory = self.status.iter().flat_map(|status| &status.memory);
        // Nothing is left in memory of a process that has ended.
        let memory = memory.map(|row| MemoryRow {
            events: live.map_or(0, |_| row.events),
            ..row.clone()
        });
        let on_disk = self.peek.waiting.iter().map(|row| MemoryRow {
            log_source: row.identifier.clone(),
            destination: row.destination.clone(),
            events: row.events,
            oldest: row.oldest,
        });
        for waiting in on_disk.chain(memory) {
            let destination = self.status.iter().flat_map(|status| &status.destinations);
            let destination = destination
                .clone()
                .find(|destination| destination.name == waiting.destination);
            let text = |pick: fn(&DestinationRow) -> String| {
                destination.map_or_else(|| "-".to_owned(), pick)
            };
            let refused = self.status.as_ref().map_or(0, |status| {
                status.refused(&waiting.log_source, &waiting.destination)
            });
            let message = destination.map_or("-", |destination| &destination.message);
            let message = match (refused, message) {
                (0, message) => message.to_owned(),
                (refused, message) => {
                    let told = format!(
                        "{refused} refused for good: see dead-letters/{}.ndjson",
                        waiting.destination
                    );
                    match message {
                        "" => told,
                        message => format!("{message}; {told}"),
                    }
                }
            };
            rows.push(vec![
                waiting.log_source,
                waiting.destination.clone(),
                text(|destination| destination.state.clone()),
                waiting.events.to_string(),
                age(waiting.oldest.filter(|_| waiting.events > 0), now),
                text(|destination| stamp(destination.last_success)),
                message,
            ]);
        }
        out.push('\n');
        out.push_str(&aligned(&rows));
        out.push_str(&format!("\n{} bytes wait in the spool\n", self.peek.bytes));
        if let Some(status) = live.filter(|status| !status.memory.is_empty()) {
            out.push_str(&format!(
                "{} bytes wait in memory; their remotes keep them until they are delivered\n",
                status.memory_bytes
            ));
        }
        out
    }
}

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

fn stamp(time: Option<DateTime<Utc>>) -> String {
    time.map_or_else(
        || "-".to_owned(),
        |time| time.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}

/// How long ago, in the largest unit that says enough.
fn age(time: Option<DateTime<Utc>>, now: DateTime<Utc>) -> String {
    let Some(time) = time else {
        return "-".to_owned();
    };
    match (now - time).num_seconds().max(0) {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7200 => format!("{}m", seconds / 60),
        seconds @ 7200..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// Columns as wide as their widest cell; the last one is not padded. What a server said is one line and harmless.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let clean = |cell: &String| -> String {
        cell.chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect()
    };
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(clean).collect())
        .collect();
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            let missing = width + 2 - cell.chars().count();
            line.extend(std::iter::repeat_n(' ', missing));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Limits, Position};

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn the_rate_is_that_of_the_last_minute() {
        let mut rates = Rates::default();
        let mut rate = |second, total| rates.sample("a", "eu", at(second), total);
        assert_eq!(rate(0, 100), 0.0);
        assert_eq!(rate(10, 200), 10.0);
        assert_eq!(rate(60, 700), 10.0);
        assert_eq!(rate(120, 700), 0.0);
        // A restarted lane counts from the beginning.
        assert_eq!(rate(130, 5), 0.0);
    }

    #[test]
    fn the_table_shows_state_and_message_and_what_waits_since_when() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(
            dir.path(),
            Limits {
                spool: 1 << 20,
                free: 0,
                ..Limits::default()
            },
        )
        .unwrap();
        let source = store.source("contoso-defender").unwrap();
        store.position(source, "qradar").unwrap();
        store.position(source, "archive").unwrap();
        store
            .accept(source, "eu", &["a", "b"], None, at(-300))
            .unwrap();
        store.advance(source, "archive", &Position::at(3)).unwrap();
        let status = Status {
            time: at(0),
            lanes: vec![LaneRow {
                log_source: "contoso-defender".to_owned(),
                lane: "eu".to_owned(),
                state: "ERROR".to_owned(),
                message: "403\nforbidden".to_owned(),
                remedy: Some("grant the permission".to_owned()),
                last_success: Some(at(-3600)),
                position: None,
                rate: 1.25,
                malformed: 2,
                gaps: 3,
            }],
            destinations: vec![DestinationRow {
                name: "qradar".to_owned(),
                state: "WARN".to_owned(),
                message: "cannot connect".to_owned(),
                last_success: None,
            }],
            memory: vec![MemoryRow {
                log_source: "contoso-hub".to_owned(),
                destination: "qradar".to_owned(),
                events: 7,
                oldest: Some(at(-10)),
            }],
            memory_bytes: 700,
            routes: vec![RouteRow {
                log_source: "contoso-hub".to_owned(),
                destination: "qradar".to_owned(),
                events: 40,
                refused: 3,
            }],
            group: Some(GroupRow {
                name: "collectors".to_owned(),
                state: "OK".to_owned(),
                message: "8 of 16 partitions of dsmith-log-sources".to_owned(),
                remedy: None,
            }),
        };
        status.write(dir.path()).unwrap();
        assert_eq!(Status::read(dir.path()), Some(status));
        let table = Overview::read(dir.path()).unwrap().table(at(0));
        let process = std::process::id();
        assert_eq!(
            table,
            format!(
                "running, process {process}\n\
                 group collectors  OK  8 of 16 partitions of dsmith-log-sources\n\
                 \n\
                 LOG SOURCE        LANE  STATE  LAST SUCCESS          AGO  EVENTS/S  MESSAGE\n\
                 contoso-defender  eu    ERROR  2026-09-21T13:13:20Z  60m  1.2       403 forbidden: grant the permission; 2 malformed so far; 3 gaps so far\n\
                 \n\
                 LOG SOURCE        DESTINATION  STATE  WAITING  OLDEST  LAST SUCCESS  MESSAGE\n\
                 contoso-defender  archive      -      0        -       -             -\n\
                 contoso-defender  qradar       WARN   2        5m      -             cannot connect\n\
                 contoso-hub       qradar       WARN   7        10s     -             cannot connect; 3 refused for good: see dead-letters/qradar.ndjson\n\
                 \n\
                 10 bytes wait in the spool\n\
                 700 bytes wait in memory; their remotes keep them until they are delivered\n"
            )
        );
    }
    #[test]
    fn a_log_source_without_lanes_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let _process = Store::open(dir.path(), Limits::default()).unwrap();
        let status = Status {
            time: at(0),
            lanes: Vec::new(),
            destinations: Vec::new(),
            memory: Vec::new(),
            memory_bytes: 0,
            routes: [("firewall", "a", 5), ("firewall", "b", 7)]
                .map(|(log_source, destination, events)| RouteRow {
                    log_source: log_source.to_owned(),
                    destination: destination.to_owned(),
                    events,
                    refused: 0,
                })
                .into(),
            group: None,
        };
        status.write(dir.path()).unwrap();
        let known = [
            ("defender", true, false, false),
            ("off", false, true, false),
            ("firewall", true, true, false),
            ("vpn", true, true, false),
            ("graph", true, false, true),
        ];
        let known = known.map(
            |(identifier, enabled, behind_gateway, shared)| KnownLogSource {
                identifier,
                enabled,
                behind_gateway,
                shared,
            },
        );
        let table = Overview::read(dir.path())
            .unwrap()
            .with_log_sources(known.into_iter())
            .table(at(0));
        for line in [
            "defender    -     N/A       -             -    -         it has not collected yet\n",
            "off         -     DISABLED  -             -    -         it has `enabled = false`\n",
            "firewall    -     OK        -             -    -         a gateway log source reads for it: 7 delivered\n",
            "vpn         -     N/A       -             -    -         a gateway log source reads for it: 0 delivered\n",
            "graph       -     N/A       -             -    -         not this process: another one of the group collects for it, or is about to\n",
        ] {
            assert!(table.contains(line), "{table}");
        }
    }
}
