//! Metrics in Prometheus' text format, and health, over HTTP.

mod server;

pub use server::{Pages, Server};

use crate::metrics::{Board, DestinationState, NO_LANE};
use crate::store::{Store, StoreError};
use chrono::{DateTime, Utc};
use protocol::clock::Clock;
use protocol::status::{GapReason, RetryReason, State};
use std::fmt::Write as _;
use std::sync::Arc;

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
        "dsmith_spool_limit_bytes",
        "gauge",
        "The bytes of payloads at which collection pauses.",
    );
    text.sample("dsmith_spool_limit_bytes", &[], store.limits().spool);
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
    text.metric(
        "dsmith_last_success_age_seconds",
        "gauge",
        "Seconds since everything was last read that there was, or since the lane was started.",
    );
    for (id, age) in board.success_ages(now) {
        let labels = [
            ("log_source", id.log_source.as_str()),
            ("lane", id.lane.as_str()),
        ];
        text.sample(
            "dsmith_last_success_age_seconds",
            &labels,
            age.num_seconds(),
        );
    }
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
    let lanes = lanes.filter_map(|(id, status)| {
        let is_untried = status.state == State::NotAvailable && id.lane != NO_LANE;
        if status.state == State::Error || status.paused {
            Some(format!("{id}: {}", status.message))
        } else if is_untried && status.message.is_empty() {
            Some(format!("{id}: nothing has been tried yet"))
        } else if is_untried {
            Some(format!("{id}: {}", status.message))
        } else {
            None
        }
    });
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

/// What a run has to say about itself.
#[derive(Debug)]
pub struct RunPages {
    /// How lanes and destinations are doing.
    pub board: Arc<Board>,
    /// What waits.
    pub store: Arc<Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Pages for RunPages {
    fn metrics(&self) -> Result<String, String> {
        metrics(&self.board, &self.store, self.clock.wall()).map_err(|error| error.to_string())
    }

    fn not_ready(&self) -> Vec<String> {
        not_ready(&self.board)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Limits;
    use chrono::TimeDelta;
    use protocol::LaneId;
    use protocol::status::LaneStatus;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).unwrap()
    }

    fn lane(name: &str) -> LaneId {
        LaneId {
            log_source: "alpha".to_owned(),
            lane: name.to_owned(),
        }
    }

    /// The metrics of a board with an empty store.
    fn text(board: &Board) -> String {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits {
            spool: 4096,
            ..Limits::default()
        };
        let store = Store::open(dir.path(), limits).unwrap();
        metrics(board, &store, now()).unwrap()
    }

    #[test]
    fn an_idle_tenant_is_no_alarm_and_a_lane_that_never_succeeded_is_one() {
        let board = Board::default();
        let hours = |hours| now() - TimeDelta::hours(hours);
        board.begin_lanes("alpha", &[lane("eu"), lane("us"), lane("file")], hours(3));
        // A file that was read once, and is over.
        let mut finished = LaneStatus::default();
        finished.rounds = 1;
        finished.last_success = Some(hours(2));
        board.set_lane(&lane("file"), &finished);
        let mut idle = LaneStatus::default();
        idle.state = State::Ok;
        idle.last_success = Some(now() - TimeDelta::seconds(20));
        // The newest alert is days old.
        idle.position = Some(hours(50));
        board.set_lane(&lane("eu"), &idle);
        let mut hopeless = LaneStatus::default();
        hopeless.state = State::Warn;
        board.set_lane(&lane("us"), &hopeless);
        let text = text(&board);
        for line in [
            "dsmith_last_success_age_seconds{log_source=\"alpha\",lane=\"eu\"} 20\n",
            "dsmith_last_success_age_seconds{log_source=\"alpha\",lane=\"us\"} 10800\n",
            "dsmith_spool_limit_bytes 4096\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert!(
            !text.contains("age_seconds{log_source=\"alpha\",lane=\"file\"}"),
            "{text}"
        );
        assert!(!text.contains("dsmith_lag_seconds"), "{text}");
    }

    #[test]
    fn each_metric_has_a_name_and_labels_that_prometheus_takes() {
        let board = Board::default();
        let odd = LaneId {
            log_source: "a\\b \"c\"".to_owned(),
            lane: "x/y".to_owned(),
        };
        board.begin_lanes(&odd.log_source, std::slice::from_ref(&odd), now());
        let text = text(&board);
        assert!(
            text.contains(r#"dsmith_lane_state{log_source="a\\b \"c\"",lane="x/y"} 0"#),
            "{text}"
        );
        let mut kind = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                kind = rest;
            } else if !line.starts_with('#') {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert!(line.starts_with(name), "{line} under {name}");
                let is_word = |c: char| c.is_ascii_lowercase() || c == '_';
                assert!(name.starts_with("dsmith_") && name.chars().all(is_word));
                assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
            }
        }
    }
}
