//! Collecting into the store: a log source is opened, and its lanes step until they are told to stop.

use crate::config::LogSourceConfig;
use crate::metrics::Board;
use crate::store::{SourceId, Store, StoreError};
use protocol::clock::{Clock, Stop};
use protocol::cursor::CursorError;
use protocol::driver::LaneDriver;
use protocol::http::{HttpSettings, Transport, TransportError, UreqTransport};
use protocol::secret::Secrets;
use protocol::{Collector, Cursor, Keeps, LaneId, OpenError, Page, Sink, SinkError, Source, Step};
use std::sync::Arc;

/// Puts pages into the store.
#[derive(Debug)]
pub struct StoreSink {
    store: Arc<Store>,
    source: SourceId,
    clock: Arc<dyn Clock>,
    /// Whether it has been said that the store takes nothing, so that it is said once.
    paused: bool,
}

impl StoreSink {
    /// A sink for the pages of one log source.
    pub fn new(store: Arc<Store>, source: SourceId, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            source,
            clock,
            paused: false,
        }
    }
}

impl StoreSink {
    /// A page whose remote keeps it. A part of it that belongs to a log source that is configured goes there.
    fn take(&self, lane: &LaneId, page: &Page) -> Result<(), StoreError> {
        let owner = |identifier: &str| self.store.find(identifier);
        let parts = page.parts();
        let parts: Vec<_> = parts
            .map(|(identifier, part)| (identifier.and_then(owner).unwrap_or(self.source), part))
            .collect();
        self.store
            .take(self.source, &lane.lane, &parts, self.clock.now())
    }
}

impl Sink for StoreSink {
    fn accept(&mut self, lane: &LaneId, page: &Page) -> Result<(), SinkError> {
        let accepted = match self.source.keeps() {
            Keeps::Here => self.store.accept(
                self.source,
                &lane.lane,
                &page.payloads,
                page.cursor.as_text(),
                self.clock.now(),
            ),
            Keeps::Remote => self.take(lane, page),
        };
        match accepted {
            Ok(()) => {
                if std::mem::take(&mut self.paused) {
                    tracing::info!(lane = %lane, "there is room again: collection goes on");
                }
                Ok(())
            }
            Err(error) if error.is_pause() => {
                if !std::mem::replace(&mut self.paused, true) {
                    tracing::warn!(lane = %lane, "{error}");
                }
                Err(SinkError::Full)
            }
            Err(error) => Err(SinkError::Failed(error.to_string())),
        }
    }

    fn delivered(&mut self, lane: &LaneId) -> u64 {
        self.store.delivered(self.source, &lane.lane)
    }

    fn acknowledged(&mut self, lane: &LaneId, pages: u64) {
        self.store.acknowledged(self.source, &lane.lane, pages);
    }

    fn hasten(&mut self, _lane: &LaneId) {
        self.store.hasten(self.source);
    }
}

/// A log source cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// The configuration names no protocol that exists.
    #[error("there is no such protocol")]
    Protocol,
    /// The protocol refuses.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The stored position is of no use.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// The state cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There can be no connections.
    #[error("no connections can be made: {0}")]
    Transport(#[from] TransportError),
}

/// A lane or a stream of a log source.
#[derive(Debug)]
pub struct Lane {
    /// What is stepped.
    pub collector: Box<dyn Collector>,
    /// Where its pages go.
    pub sink: StoreSink,
    /// Whether it counts a round each time that it has read everything.
    counts_rounds: bool,
}

/// What it takes to open log sources.
#[derive(Clone, Copy)]
pub struct Opener<'a> {
    /// Where pages go and cursors are.
    pub store: &'a Arc<Store>,
    /// The time.
    pub clock: &'a Arc<dyn Clock>,
    /// Who knows the secrets.
    pub secrets: &'a dyn Secrets,
    /// Makes the waits of lanes differ.
    pub seed: u64,
    /// Makes a way to servers.
    pub transport: &'a dyn Fn(HttpSettings) -> Result<Arc<dyn Transport>, TransportError>,
}

impl std::fmt::Debug for Opener<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opener")
    }
}

/// Connections of this machine.
///
/// # Errors
/// A certificate file cannot be read.
pub fn connections(settings: HttpSettings) -> Result<Arc<dyn Transport>, TransportError> {
    Ok(Arc::new(UreqTransport::new(settings)?))
}

impl Opener<'_> {
    /// The lanes of a log source, each at its stored cursor.
    ///
    /// # Errors
    /// A parameter, a secret, the stored position or the state cannot be used.
    pub fn open(&self, config: &LogSourceConfig) -> Result<Vec<Lane>, CollectError> {
        let identifier = &config.identifier.value;
        let source = self.store.source(identifier)?;
        let protocol = config.protocol.ok_or(CollectError::Protocol)?;
        let cursor = |lane: &str| -> Result<Cursor, StoreError> {
            let stored = self.store.cursor(source, lane)?;
            Ok(stored.map_or(Cursor::START, Cursor::from_text))
        };
        let lane = |collector: Box<dyn Collector>, counts_rounds: bool| Lane {
            collector,
            sink: StoreSink::new(Arc::clone(self.store), source, Arc::clone(self.clock)),
            counts_rounds,
        };
        match protocol.open(identifier, &config.parameters, self.secrets)? {
            Source::Polling(polled) => {
                let mut lanes = Vec::new();
                for (seed, polled) in (self.seed..).zip(polled) {
                    let transport = (self.transport)(polled.http.clone())?;
                    let cursor = cursor(&polled.name)?;
                    let driver = LaneDriver::new(identifier, polled, transport, cursor, seed);
                    lanes.push(lane(Box::new(driver), true));
                }
                Ok(lanes)
            }
            Source::Stream(stream) => {
                let id = LaneId {
                    log_source: identifier.clone(),
                    lane: stream.lane().to_owned(),
                };
                let cursor = cursor(&id.lane)?;
                self.store.begin(source, &id.lane);
                let counts_rounds = source.keeps() == Keeps::Remote;
                Ok(vec![lane(stream.start(id, cursor)?, counts_rounds)])
            }
        }
    }
}

impl Lane {
    /// Does the next thing.
    pub fn step(&mut self, clock: &dyn Clock) -> Step {
        self.collector.step(clock, &mut self.sink)
    }

    /// Whether it has once read everything that there was.
    pub fn has_read_all(&self) -> bool {
        let status = self.collector.status();
        if self.counts_rounds {
            status.rounds + status.rounds_failed > 0
        } else {
            !status.paused
        }
    }

    /// Steps until it is told to stop, the source has ended, or, if that is asked for, everything was read once. Then it
    /// hands over what it has received, and waits for a moment for what the remote is still to be told.
    pub fn run(mut self, clock: &dyn Clock, stop: &Stop, once: bool, board: &Board) {
        while !stop.is_set() {
            let step = self.step(clock);
            board.set_lane(self.collector.id(), self.collector.status());
            match step {
                Step::Again => {}
                Step::Finished => break,
                Step::Wait(_) if once && self.has_read_all() => break,
                Step::Wait(until) => clock.wait(until, stop),
            }
        }
        let id = self.collector.id().clone();
        self.sink.hasten(&id);
        self.collector.close(clock, &mut self.sink);
        // Where it was told to stop, the board may have forgotten it.
        if !stop.is_set() {
            board.set_lane(&id, self.collector.status());
        }
    }
}
