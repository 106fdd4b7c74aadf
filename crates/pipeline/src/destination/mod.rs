//! Where events go.
//!
//! A destination takes a batch and says what became of it. It keeps no position: a batch that it did not accept comes
//! again, whole. When to try again is the business of delivery, so a destination opens its file or connection when it is
//! given a batch, and lets it go when something is wrong with it.
//!
//! A destination whose receiver answers later says [`Outcome::Sent`]: the batch is on its way. [`Destination::poll`] tells
//! when it counts as accepted, or that everything on its way is lost and has to be sent again.

mod dead_letter;
mod file;
mod kafka;
mod stream;
mod syslog;

pub use dead_letter::{DeadLetter, DeadLetters};
pub use file::{FileDestination, FileOptions, Period, Sync};
pub use kafka::{KafkaBrokers, KafkaOptions, KafkaSasl, KafkaTls};
pub use stream::StreamDestination;
pub use syslog::{
    Confirm, Framing, Header, SyslogDestination, SyslogOptions, TlsFiles, Transport, check_tls,
    host,
};

use chrono::{DateTime, Utc};
use dsm::{Mapping, Status, Target};
use protocol::clock::Stop;
use std::ops::Range;

/// Events of one log source that are sent together, each a line.
#[derive(Debug, Default)]
pub struct Batch {
    /// Identifier of the log source.
    pub identifier: String,
    /// Its log source type.
    pub log_source_type: String,
    /// The events, each followed by a line feed.
    pub bytes: Vec<u8>,
    /// Where they are.
    pub records: Vec<Record>,
}

/// An event of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its bytes, without the line feed.
    pub bytes: Range<usize>,
    /// Its number among the events of its log source.
    pub sequence: u64,
    /// When it was received.
    pub received: DateTime<Utc>,
    /// What else is known of it, for a destination that asks.
    pub labels: Option<Labels>,
}

/// What is known of an event besides its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// What became of it.
    pub status: Status,
    /// Its QID, where it has one.
    pub qid: Option<u32>,
    /// What it is grouped by, where it has such a thing.
    pub key: Option<Box<str>>,
}

/// What events are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyOf {
    /// Nothing.
    #[default]
    None,
    /// The alert that they belong to.
    AlertId,
    /// The device that they are about.
    Device,
    /// The tenant that they come from.
    Tenant,
}

impl KeyOf {
    /// The custom properties in which a mapping has it, the best one first.
    const fn properties(self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::AlertId => &["Alert ID"],
            Self::Device => &["Device ID", "Device Name"],
            Self::Tenant => &["Tenant ID"],
        }
    }

    /// Where it is in the events of a mapping.
    pub fn targets(self, mapping: &Mapping) -> Vec<Target> {
        let declared = mapping.custom_properties();
        let names = self.properties().iter();
        names
            .filter_map(|name| declared.iter().position(|property| property.name == *name))
            .map(Target::Custom)
            .collect()
    }
}

impl Batch {
    /// The bytes of an event.
    pub fn line(&self, record: &Record) -> &[u8] {
        self.bytes.get(record.bytes.clone()).unwrap_or_default()
    }
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All of it was accepted, except events that will never be.
    Accepted(Vec<Refusal>),
    /// It is on its way. It counts as accepted when [`Destination::poll`] says so.
    Sent,
    /// None of it counts as accepted, nor does anything before it that is still on its way; all of that has to be sent
    /// again later. Some of it may have arrived.
    Unavailable(String),
    /// The destination is gone for good, as a pipe whose reader has ended.
    Closed(String),
}

/// An event that a destination refuses for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its index in the batch.
    pub index: usize,
    /// Why.
    pub reason: String,
}

/// How far a destination has come with the batches that are on their way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// So many batches more, the oldest that are on their way, count as accepted.
    pub confirmed: usize,
    /// What it does with the rest.
    pub standing: Standing,
}

/// What a destination does with the batches that are on their way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Standing {
    /// It takes another batch.
    #[default]
    Ready,
    /// It takes no other batch before it has got further with these.
    Busy,
    /// The same, and nothing has moved for a while, for this reason. Said once in each such while.
    Stalled(String),
    /// They are lost and have to be sent again, for this reason.
    Broken(String),
}

/// How soon batches that are on their way are to be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// More follow.
    Flowing,
    /// Nothing is left to be sent for now.
    Idle,
    /// Somebody waits for it.
    Hurry,
}

/// Something that takes events.
pub trait Destination: Send + std::fmt::Debug {
    /// Sends a batch. When it is accepted, it is as safe as the destination makes it.
    fn send(&mut self, batch: &Batch, now: DateTime<Utc>) -> Outcome;

    /// Looks after the batches that are on their way. It waits a fraction of a second at most.
    fn poll(&mut self, _urgency: Urgency) -> Progress {
        Progress::default()
    }

    /// From now on everything that takes long ends early when this is set.
    fn stop_with(&mut self, _stop: &Stop) {}

    /// Lets go of what is open, after everything was sent. It waits for a few seconds until what is on its way is
    /// confirmed, and tells how many batches were.
    fn finish(&mut self) -> usize {
        0
    }
}
