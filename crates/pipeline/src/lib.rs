//! Running log sources so that nothing is lost: what a protocol fetched waits in a durable spool until each destination
//! of the log source has accepted it.
//!
//! ```text
//! protocol ── page, cursor ──> store ──> normalize, format ──> destination
//!                                ^                                  │
//!                                └──────── position moves <─────────┘
//! ```
//!
//! - A page and its cursor become durable in one transaction ([`store`]), so a crash neither loses nor repeats what was
//!   fetched.
//! - Each destination of a log source has a position of its own. It moves after the destination has accepted a batch,
//!   so a crash repeats at most one batch for each destination and loses nothing.

pub mod coalesce;
pub mod collect;
pub mod config;
pub mod deliver;
pub mod destination;
pub mod exposition;
pub mod format;
pub mod group;
pub mod metrics;
pub mod runner;
pub mod status;
pub mod store;
pub mod throttle;
