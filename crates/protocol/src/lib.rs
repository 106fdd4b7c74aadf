//! Collecting: log source protocols as plugins, and the driver that runs them.
//!
//! A [`Protocol`] declares its parameters as [keys](settings::Key) and opens a [`Source`] for a log source. What comes out of
//! a source are [`Page`]s: raw payloads together with the [`Cursor`] that belongs behind them. A [`Sink`] makes both
//! durable in one step. Nothing here knows what a payload means.
//!
//! # Who does what
//! A plugin does not sleep, retry, store or throttle, and it opens no connection: it makes the next request from a cursor
//! and reads a response ([`Poll`]). The [`driver`] does the rest. Everything in which time plays a role is a state machine
//! that is stepped ([`Collector::step`]) with a [`clock::Clock`], so that tests run a day in seconds.
//!
//! # Adding a protocol
//! A folder in `protocols/` and a line in [`protocols::REGISTRY`].

pub mod clock;
pub mod cloud;
pub mod cursor;
pub mod driver;
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
mod json;
pub mod kafka;
pub mod oauth;
pub mod probe;
pub mod protocols;
pub mod reference;
pub mod secret;
mod source;
mod stamp;
pub mod status;
pub mod trust;

pub use cursor::Cursor;
pub use source::{
    Collector, Deprecation, Keeps, Lane, LaneId, Notice, OpenError, Page, Poll, Progress, Protocol,
    RateLimit, ReadError, Run, Sink, SinkError, Source, Step, Stream, check_identifier,
};
