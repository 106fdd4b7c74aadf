//! What drives the built `dsmith` from outside: for its tests, for `cargo xtask chaos` and for measurements.
//!
//! A [`Collector`] is the program in a folder of its own; a [`Receiver`] is the other end of a delivery; a [`Broker`] is
//! one of others that speaks Kafka's protocol; an [`Editor`] speaks to the language server. [`Chaos`] kills a run and
//! damages what is around it, [`GroupChaos`] does so with a consumer group; both compare what was delivered with what
//! there was.

mod broker;
mod chaos;
mod collector;
mod editor;
mod group;
mod receiver;
mod stream;

pub use broker::{Broker, BrokerPrograms};
pub use chaos::{Adversary, Chaos, ChaosError, Delivered, Moments, Outcome};
pub use collector::{Collector, Running, keys_of};
pub use editor::Editor;
pub use group::{Event, GroupChaos, GroupOutcome};
pub use receiver::Receiver;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; a thread that died within has left nothing half done that the others could not live with.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
