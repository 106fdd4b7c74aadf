//! What is counted while a run goes on.

use crate::group::GroupStatus;
use chrono::{DateTime, TimeDelta, Utc};
use protocol::LaneId;
use protocol::status::{LaneStatus, State};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts of one log source at one destination, of what was accepted there.
#[derive(Debug, Default)]
pub struct RouteMetrics {
    /// Events with a QID.
    pub mapped: Counter,
    /// Events without a QID for their event ID and category.
    pub unknown: Counter,
    /// Events without an event ID.
    pub stored: Counter,
    /// Events that were folded into a record.
    pub coalesced: Counter,
    /// Records that were sent: events that are not folded, and records that stand for several.
    pub records: Counter,
    /// Events with characters that the format cannot carry.
    pub repaired: Counter,
    /// Events that were too long.
    pub truncated: Counter,
    /// Patterns that used up their budget.
    pub budget_exceeded: Counter,
    /// Events that were refused for good.
    pub refused: Counter,
    /// Milliseconds since the epoch; 0 is never.
    last_delivered: AtomicI64,
}

impl RouteMetrics {
    /// Remembers when something was accepted.
    pub fn delivered(&self, now: DateTime<Utc>) {
        self.last_delivered
            .store(now.timestamp_millis(), Ordering::Relaxed);
    }

    /// When something was last accepted.
    pub fn last_delivered(&self) -> Option<DateTime<Utc>> {
        match self.last_delivered.load(Ordering::Relaxed) {
            0 => None,
            millis => DateTime::from_timestamp_millis(millis),
        }
    }

    /// Events that were accepted, folded ones included.
    pub fn events(&self) -> u64 {
        self.mapped.get() + self.unknown.get() + self.stored.get()
    }
}

/// How a destination is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DestinationState {
    /// Nothing has been sent yet.
    #[default]
    NotAvailable,
    /// The last batch was accepted.
    Ok,
    /// The last batch was not accepted; it is tried again.
    Unavailable,
    /// It is gone for good.
    Closed,
}

/// What is known of a destination.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DestinationStatus {
    /// Its state.
    pub state: DestinationState,
    /// What went wrong, if something did.
    pub message: String,
    /// When a batch was last accepted.
    pub last_success: Option<DateTime<Utc>>,
    /// When it is tried again.
    pub next_try: Option<DateTime<Utc>>,
    /// How often it was not available.
    pub failures: u64,
}

/// How a destination is doing, shared.
#[derive(Debug, Default)]
pub struct DestinationMetrics(Mutex<DestinationStatus>);

impl DestinationMetrics {
    /// What is known of it.
    pub fn status(&self) -> DestinationStatus {
        locked(&self.0).clone()
    }

    pub(crate) fn succeeded(&self, now: DateTime<Utc>) {
        self.change(|status| {
            status.state = DestinationState::Ok;
            status.message.clear();
            status.last_success = Some(now);
            status.next_try = None;
        });
    }

    pub(crate) fn failed(&self, until: DateTime<Utc>, reason: &str) {
        self.change(|status| {
            status.state = DestinationState::Unavailable;
            reason.clone_into(&mut status.message);
            status.next_try = Some(until);
            status.failures += 1;
        });
    }

    pub(crate) fn closed(&self, reason: &str) {
        self.change(|status| {
            status.state = DestinationState::Closed;
            reason.clone_into(&mut status.message);
            status.next_try = None;
        });
    }

    fn change(&self, change: impl FnOnce(&mut DestinationStatus)) {
        change(&mut locked(&self.0));
    }
}

/// The lane of a log source that has no lanes at the moment, such as one that cannot be opened.
pub const NO_LANE: &str = "-";

/// A lane on the board.
#[derive(Debug, Clone)]
struct Row {
    status: LaneStatus,
    /// When it was started, or the log source configured.
    begun: DateTime<Utc>,
}

/// Everything that is known of a run, shared by its threads. It outlives a change of the configuration, so that counters
/// never go back. Each log source of the configuration has at least one row: its lanes, or one with the lane [`NO_LANE`].
#[derive(Debug, Default)]
pub struct Board {
    lanes: Mutex<BTreeMap<LaneId, Row>>,
    routes: Mutex<BTreeMap<(String, String), Arc<RouteMetrics>>>,
    destinations: Mutex<BTreeMap<String, Arc<DestinationMetrics>>>,
    group: Mutex<Option<GroupStatus>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Board {
    /// These are the lanes of a log source now, and nothing is known of them yet.
    pub fn begin_lanes(&self, log_source: &str, ids: &[LaneId], now: DateTime<Utc>) {
        let mut lanes = locked(&self.lanes);
        lanes.retain(|id, _| id.log_source != log_source);
        lanes.extend(ids.iter().map(|id| {
            let status = LaneStatus::default();
            (id.clone(), Row { status, begun: now })
        }));
    }

    /// A log source has no lanes now. The age of its last success counts from the first time that this was said.
    pub fn set_without_lanes(&self, log_source: &str, status: LaneStatus, now: DateTime<Utc>) {
        let mut lanes = locked(&self.lanes);
        lanes.retain(|id, _| id.log_source != log_source || id.lane == NO_LANE);
        let id = LaneId {
            log_source: log_source.to_owned(),
            lane: NO_LANE.to_owned(),
        };
        match lanes.get_mut(&id) {
            Some(row) => row.status = status,
            None => {
                lanes.insert(id, Row { status, begun: now });
            }
        }
    }

    /// Remembers how a lane is doing, unless its log source has other lanes now, or is gone.
    pub fn set_lane(&self, id: &LaneId, status: &LaneStatus) {
        if let Some(row) = locked(&self.lanes).get_mut(id) {
            row.status.clone_from(status);
        }
    }

    /// Forgets the lanes of log sources that are not configured any more.
    pub fn retain_log_sources(&self, keep: impl Fn(&str) -> bool) {
        locked(&self.lanes).retain(|id, _| keep(&id.log_source));
    }

    /// How the lanes are doing.
    pub fn lanes(&self) -> Vec<(LaneId, LaneStatus)> {
        let lanes = locked(&self.lanes);
        lanes
            .iter()
            .map(|(id, row)| (id.clone(), row.status.clone()))
            .collect()
    }

    /// For how long each lane has not been at the end of what there was to read: since its last success, or since it was
    /// started. There is none for a log source that does not collect by itself, nor for a lane that has come to its end.
    pub fn success_ages(&self, now: DateTime<Utc>) -> Vec<(LaneId, TimeDelta)> {
        let lanes = locked(&self.lanes);
        lanes
            .iter()
            .filter(|(id, row)| id.lane != NO_LANE || row.status.state != State::NotAvailable)
            .filter(|(_, row)| row.status.next_step.is_some() || row.status.rounds == 0)
            .map(|(id, row)| {
                let since = row.status.last_success.unwrap_or(row.begun);
                (id.clone(), (now - since).max(TimeDelta::zero()))
            })
            .collect()
    }

    /// The counts of a log source at a destination.
    pub fn route(&self, log_source: &str, destination: &str) -> Arc<RouteMetrics> {
        let key = (log_source.to_owned(), destination.to_owned());
        Arc::clone(locked(&self.routes).entry(key).or_default())
    }

    /// All of them: log source, destination, counts.
    pub fn routes(&self) -> Vec<(String, String, Arc<RouteMetrics>)> {
        let routes = locked(&self.routes);
        routes
            .iter()
            .map(|((source, destination), metrics)| {
                (source.clone(), destination.clone(), Arc::clone(metrics))
            })
            .collect()
    }

    /// How a destination is doing.
    pub fn destination(&self, name: &str) -> Arc<DestinationMetrics> {
        Arc::clone(
            locked(&self.destinations)
                .entry(name.to_owned())
                .or_default(),
        )
    }

    /// Forgets destinations that no longer exist.
    pub fn retain_destinations(&self, keep: impl Fn(&str) -> bool) {
        locked(&self.destinations).retain(|name, _| keep(name));
    }

    /// Remembers how the group is doing.
    pub fn set_group(&self, status: GroupStatus) {
        *locked(&self.group) = Some(status);
    }

    /// How the group is doing, if there is one.
    pub fn group(&self) -> Option<GroupStatus> {
        locked(&self.group).clone()
    }

    /// How the destinations are doing.
    pub fn destinations(&self) -> Vec<(String, DestinationStatus)> {
        let destinations = locked(&self.destinations);
        destinations
            .iter()
            .map(|(name, metrics)| (name.clone(), metrics.status()))
            .collect()
    }
}
