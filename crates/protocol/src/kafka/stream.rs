//! A log source at brokers, before it is started.

use super::collector::KafkaCollector;
use super::{Reading, probe};
use crate::Cursor;
use crate::cursor::CursorError;
use crate::probe::Probe;
use crate::source::{Collector, LaneId, Stream};

/// What is to be read, and from where.
#[derive(Debug)]
pub(super) struct Brokers(Reading);

impl Brokers {
    pub(super) fn new(reading: Reading) -> Self {
        Self(reading)
    }
}

impl Stream for Brokers {
    fn lane(&self) -> &str {
        "consumer"
    }

    fn probe(&self) -> Vec<Probe> {
        probe::probe(&self.0)
    }

    fn start(self: Box<Self>, lane: LaneId, _: Cursor) -> Result<Box<dyn Collector>, CursorError> {
        // Where to begin is known to the broker.
        Ok(Box::new(KafkaCollector::new(self.0, lane)))
    }
}
