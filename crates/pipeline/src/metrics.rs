//! What is counted while a run goes on.

use chrono::{DateTime, Utc};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

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
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
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
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
