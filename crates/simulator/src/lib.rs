//! Microsoft's side on loopback, for tests and the demo: the token endpoint of Entra ID, the legacy SIEM REST API of
//! Defender for Endpoint, its successor `/api/alerts`, and `alerts_v2` of Microsoft Graph.
//!
//! A [`Scenario`] says who may sign in, which alerts there are, how time passes, and what goes wrong. The same scenario
//! gives the same alerts. The simulator keeps a [`Ledger`] of what it has shown and served, so that a test can compare
//! sets: what a collector delivered with what there was.
//!
//! ```
//! use simulator::{Feed, Scenario, Simulator};
//! use std::time::Duration;
//!
//! let scenario = Scenario {
//!     feeds: vec![Feed::siem("eu").backlog(500, Duration::from_secs(3600))],
//!     ..Scenario::default()
//! };
//! let simulator = Simulator::start(scenario).unwrap();
//! assert!(simulator.url().starts_with("http://127.0.0.1:"));
//! assert_eq!(simulator.ledger().records.len(), 500);
//! ```
//!
//! Everything in the alerts is invented; addresses and names are those reserved for documentation.

mod alert;
mod clock;
mod entra;
mod fault;
mod feed;
mod http;
mod ledger;
mod odata;
mod random;
mod scenario;
mod server;
mod service;
mod stamp;

pub use alert::{TENANT, alerts, key_of};
pub use clock::{Clock, Pace};
pub use fault::{Fault, RetryAfter, Rule};
pub use ledger::{Comparison, Ledger, Record};
pub use random::Random;
pub use scenario::{Client, Feed, Order, Scenario, ScenarioError, Service, parse_duration};
pub use server::{Answered, Exchanged, Progress, Simulator, StartError};
pub use stamp::Stamp;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; a thread that died within has left nothing half done that the others could not live with.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
