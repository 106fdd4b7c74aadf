//! Metrics in Prometheus' text format, and health, over HTTP.

use crate::metrics::{Board, DestinationState};
use crate::store::{Store, StoreError};
use chrono::{DateTime, Utc};
use protocol::clock::{Clock, Stop};
use protocol::status::{GapReason, RetryReason, State};
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// Collects the lines of one metric after the other.
#[derive(Default)]
struct Text(String);

impl Text {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a String does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            let text = text
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            let _ = write!(self.0, "{label}=\"{text}\"");
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }
}

/// All metrics.
///
/// # Errors
/// The state cannot be read.
pub fn metrics(board: &Board, store: &Store, now: DateTime<Utc>) -> Result<String, StoreError> {
    let mut text = Text::default();
    lanes(&mut text, board, now);
    group(&mut text, board);
    routes(&mut text, board);
    destinations(&mut text, board);
    let peek = store.look()?;
    text.metric(
        "dsmith_spool_bytes",
        "gauge",
        "Bytes of payloads that wait for delivery in the spool on disk.",
    );
    text.sample("dsmith_spool_bytes", &[], peek.bytes);
    text.metric(
        "dsmith_memory_bytes",
        "gauge",
        "Bytes of payloads that wait for delivery in memory, because their remotes keep them.",
    );
    text.sample("dsmith_memory_bytes", &[], peek.memory_bytes);
    text.metric(
        "dsmith_waiting_events",
        "gauge",
        "Events that wait for a destination.",
    );
    for row in &peek.waiting {
        let labels = [
            ("log_source", row.identifier.as_str()),
            ("destination", row.destination.as_str()),
        ];
        text.sample("dsmith_waiting_events", &labels, row.events);
    }
    text.metric(
        "dsmith_oldest_waiting_seconds",
        "gauge",
        "How long the oldest event has been waiting for a destination; 0 if none waits.",
    );
    for row in &peek.waiting {
        let labels = [
            ("log_source", row.identifier.as_str()),
            ("destination", row.destination.as_str()),
        ];
        let age = row
            .oldest
            .filter(|_| row.events > 0)
            .map_or(0, |oldest| (now - oldest).num_seconds().max(0));
        text.sample("dsmith_oldest_waiting_seconds", &labels, age);
    }
    Ok(text.0)
}

/// A state as a number: the worse, the higher.
fn number_of(state: State) -> i64 {
    match state {
        State::NotAvailable => 0,
        State::Ok => 1,
        State::Warn => 2,
        State::Error => 3,
    }
}

fn group(text: &mut Text, board: &Board) {
    let Some(status) = board.group() else {
        return;
    };
    text.metric(
        "dsmith_group_state",
        "gauge",
        "How this process stands with the group that divides log sources: 0 not available, 1 OK, 2 WARN, 3 ERROR.",
    );
    let labels = [("group", status.name.as_str())];
    text.sample("dsmith_group_state", &labels, number_of(status.state));
}

fn lanes(text: &mut Text, board: &Board, now: DateTime<Utc>) {
    let lanes = board.lanes();
    let mut each =
        |name: &str, kind, help, value: &dyn Fn(&protocol::status::LaneStatus) -> Option<i64>| {
            text.metric(name, kind, help);
            for (id, status) in &lanes {
                if let Some(value) = value(status) {
                    let labels = [
                        ("log_source", id.log_source.as_str()),
                        ("lane", id.lane.as_str()),
                    ];
                    text.sample(name, &labels, value);
                }
            }
        };
    let count = |number: u64| Some(i64::try_from(number).unwrap_or(i64::MAX));
    each(
        "dsmith_payloads_total",
        "counter",
        "Payloads that were taken in.",
        &|s| count(s.payloads),
    );
    each(
        "dsmith_duplicates_total",
        "counter",
        "Payloads that had been read before and were dropped.",
        &|s| count(s.duplicates),
    );
    each(
        "dsmith_heartbeats_total",
        "counter",
        "Elements that said only that the sender is there and were dropped.",
        &|s| count(s.heartbeats),
    );
    each(
        "dsmith_filtered_total",
        "counter",
        "Elements that the log source does not want and that were dropped.",
        &|s| count(s.filtered),
    );
    each(
        "dsmith_malformed_total",
        "counter",
        "Elements that were not what the source promises. All but damaged records were passed on as they are.",
        &|s| count(s.malformed),
    );
    each(
        "dsmith_requests_total",
        "counter",
        "Requests that were sent.",
        &|s| count(s.requests),
    );
    each(
        "dsmith_lane_state",
        "gauge",
        "0 not available, 1 OK, 2 WARN, 3 ERROR.",
        &|s| Some(number_of(s.state)),
    );
    each(
        "dsmith_collection_paused",
        "gauge",
        "1 while collection waits because no more may wait for delivery.",
        &|s| Some(i64::from(s.paused)),
    );
    each(
        "dsmith_last_success_timestamp_seconds",
        "gauge",
        "When everything was last read that there was.",
        &|s| s.last_success.map(|time| time.timestamp()),
    );
    each(
        "dsmith_lag_seconds",
        "gauge",
        "How far the newest time stamp that the source has shown lies behind.",
        &|s| s.position.map(|time| (now - time).num_seconds().max(0)),
    );
    text.metric(
        "dsmith_retries_total",
        "counter",
        "Requests that were repeated, by reason.",
    );
    for (id, status) in &lanes {
        for reason in RetryReason::ALL {
            let labels = [
                ("log_source", id.log_source.as_str()),
                ("lane", id.lane.as_str()),
                ("reason", reason.as_str()),
            ];
            text.sample("dsmith_retries_total", &labels, status.retries(reason));
        }
    }
    text.metric(
        "dsmith_gaps_total",
        "counter",
        "How often input was gone, or may have been, before it could be read, by reason.",
    );
    for (id, status) in &lanes {
        for reason in GapReason::ALL {
            let labels = [
                ("log_source", id.log_source.as_str()),
                ("lane", id.lane.as_str()),
                ("reason", reason.as_str()),
            ];
            text.sample("dsmith_gaps_total", &labels, status.gaps(reason));
        }
    }
}

fn routes(text: &mut Text, board: &Board) {
    let routes = board.routes();
    text.metric(
        "dsmith_events_total",
        "counter",
        "Events that a destination has accepted, by their status.",
    );
    for (source, destination, counts) in &routes {
        for (status, counter) in [
            ("mapped", &counts.mapped),
            ("unknown", &counts.unknown),
            ("stored", &counts.stored),
        ] {
            let labels = [
                ("log_source", source.as_str()),
                ("destination", destination.as_str()),
                ("status", status),
            ];
            text.sample("dsmith_events_total", &labels, counter.get());
        }
    }
    type Pick = fn(&crate::metrics::RouteMetrics) -> &crate::metrics::Counter;
    let counters: [(&str, &str, Pick); 6] = [
        (
            "dsmith_records_total",
            "Records that were sent; fewer than events where events are coalesced.",
            |c| &c.records,
        ),
        (
            "dsmith_coalesced_events_total",
            "Events that were folded into a record.",
            |c| &c.coalesced,
        ),
        (
            "dsmith_repaired_events_total",
            "Events with characters that the format cannot carry.",
            |c| &c.repaired,
        ),
        (
            "dsmith_truncated_events_total",
            "Events that were shortened to the limit of the destination.",
            |c| &c.truncated,
        ),
        (
            "dsmith_budget_exceeded_total",
            "Patterns that used up their step budget.",
            |c| &c.budget_exceeded,
        ),
        (
            "dsmith_dead_letters_total",
            "Events that were refused for good.",
            |c| &c.refused,
        ),
    ];
    for (name, help, pick) in counters {
        text.metric(name, "counter", help);
        for (source, destination, counts) in &routes {
            let labels = [
                ("log_source", source.as_str()),
                ("destination", destination.as_str()),
            ];
            text.sample(name, &labels, pick(counts).get());
        }
    }
}

fn destinations(text: &mut Text, board: &Board) {
    let destinations = board.destinations();
    text.metric(
        "dsmith_destination_up",
        "gauge",
        "1 if the last batch was accepted.",
    );
    for (name, status) in &destinations {
        let up = u8::from(status.state == DestinationState::Ok);
        text.sample("dsmith_destination_up", &[("destination", name)], up);
    }
    text.metric(
        "dsmith_destination_failures_total",
        "counter",
        "How often a batch was not accepted.",
    );
    for (name, status) in &destinations {
        text.sample(
            "dsmith_destination_failures_total",
            &[("destination", name)],
            status.failures,
        );
    }
}

/// What keeps the run from being ready; nothing if it is.
pub fn not_ready(board: &Board) -> Vec<String> {
    let lanes = board.lanes().into_iter();
    let lanes = lanes
        .filter(|(_, status)| status.state == State::Error || status.paused)
        .map(|(id, status)| format!("{id}: {}", status.message));
    let destinations = board.destinations().into_iter();
    let destinations = destinations
        .filter(|(_, status)| {
            matches!(
                status.state,
                DestinationState::Unavailable | DestinationState::Closed
            )
        })
        .map(|(name, status)| format!("{name}: {}", status.message));
    let group = board.group().into_iter();
    let group = group
        .filter(|status| status.state == State::Error)
        .map(|status| format!("group {}: {}", status.name, status.message));
    lanes.chain(group).chain(destinations).collect()
}

/// Serves metrics and health.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    board: Arc<Board>,
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
}

/// A client may take this long.
const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST_REQUEST: usize = 8192;

impl Server {
    /// Listens at an address.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn bind(
        address: SocketAddr,
        board: Arc<Board>,
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            board,
            store,
            clock,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers one request after the other until it is told to stop.
    pub fn run(&self, stop: &Stop) {
        while !stop.is_set() {
            match self.listener.accept() {
                // Whoever asked and went away is not our concern.
                Ok((stream, _)) => drop(self.answer(stream)),
                Err(_) => {
                    stop.wait(Duration::from_millis(50));
                }
            }
        }
    }

    fn answer(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let path = read_path(&mut stream)?;
        let (status, body) = match path.as_deref() {
            Some("/metrics") => match metrics(&self.board, &self.store, self.clock.now()) {
                Ok(text) => ("200 OK", text),
                Err(error) => ("500 Internal Server Error", format!("{error}\n")),
            },
            Some("/healthz") => ("200 OK", "ok\n".to_owned()),
            Some("/readyz") => {
                let reasons = not_ready(&self.board);
                if reasons.is_empty() {
                    ("200 OK", "ready\n".to_owned())
                } else {
                    ("503 Service Unavailable", reasons.join("\n") + "\n")
                }
            }
            Some(_) => (
                "404 Not Found",
                "see /metrics, /healthz, /readyz\n".to_owned(),
            ),
            None => ("400 Bad Request", "only GET is understood\n".to_owned()),
        };
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }
}

/// The path of a GET request without its query; nothing if it is another request or too long.
fn read_path(stream: &mut TcpStream) -> io::Result<Option<String>> {
    let mut request = Vec::new();
    let mut part = [0; 1024];
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(&request) {
            Ok(httparse::Status::Complete(_)) => {
                let path = parsed.path.filter(|_| parsed.method == Some("GET"));
                let path = path.map(|path| path.split('?').next().unwrap_or(path).to_owned());
                return Ok(path);
            }
            Ok(httparse::Status::Partial) if request.len() < LONGEST_REQUEST => {}
            _ => return Ok(None),
        }
        match stream.read(&mut part)? {
            0 => return Ok(None),
            count => request.extend_from_slice(&part[..count]),
        }
    }
}
