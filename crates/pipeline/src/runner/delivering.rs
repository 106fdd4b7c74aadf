//! The threads that deliver.

use super::{Plan, Run, RunError};
use crate::config::DestinationConfig;
use crate::deliver::{Deliverer, DeliveryError, DeliveryOptions, Route, Step};
use crate::destination::{DeadLetters, Destination};
use crate::format::LogSource;
use crate::metrics::{Board, DestinationMetrics};
use crate::store::{SourceId, Store, StoreError};
use protocol::clock::{Clock, Stop};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// No further event joins a batch of so many bytes of payload.
const BATCH_BYTES: usize = 4 << 20;
/// A thread with nothing to do looks around after this time.
const IDLE: Duration = Duration::from_secs(1);
/// A destination that is not available so often in a row is given up when everything else is done.
const GIVE_UP: u64 = 5;

/// How delivery comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Drain {
    /// It goes on.
    No,
    /// What can be delivered now is, the rest is kept.
    Soon,
    /// Everything is delivered, unless the destination stays away.
    All,
}

impl Drain {
    fn of(number: u8) -> Self {
        match number {
            1 => Self::Soon,
            2 => Self::All,
            _ => Self::No,
        }
    }
}

/// How a thread ended.
enum End {
    Done,
    Closed(String),
}

type Ended = Result<End, DeliveryError>;

/// All destinations.
pub(super) struct Delivering {
    store: Arc<Store>,
    stop: Stop,
    drain: Arc<AtomicU8>,
    threads: Vec<(String, JoinHandle<Ended>)>,
    closed: Option<String>,
}

impl Delivering {
    pub(super) fn start(
        run: &Run<'_>,
        plan: &Arc<Plan>,
        destinations: Vec<Box<dyn Destination>>,
    ) -> Result<Self, RunError> {
        let mut delivering = Self {
            store: Arc::clone(&run.store),
            stop: Stop::new(),
            drain: Arc::default(),
            threads: Vec::new(),
            closed: None,
        };
        run.board.retain_destinations(|name| {
            let mut known = plan.config.destinations.iter();
            known.any(|destination| destination.name.value == name)
        });
        for (index, destination) in destinations.into_iter().enumerate() {
            let thread = Thread {
                plan: Arc::clone(plan),
                index,
                store: Arc::clone(&run.store),
                board: Arc::clone(&run.board),
                clock: Arc::clone(&run.clock),
                stop: delivering.stop.clone(),
                drain: Arc::clone(&delivering.drain),
            };
            let name = plan.config.destinations[index].name.value.clone();
            let handle = thread::Builder::new()
                .name(format!("deliver {name}"))
                .spawn(move || thread.run(destination))
                .map_err(RunError::Thread)?;
            delivering.threads.push((name, handle));
        }
        Ok(delivering)
    }

    /// Looks after the threads that have ended.
    pub(super) fn check(&mut self) -> Result<(), RunError> {
        let ended: Vec<_> = self
            .threads
            .extract_if(.., |(_, thread)| thread.is_finished())
            .collect();
        for (name, thread) in ended {
            match thread.join() {
                Ok(Ok(End::Done)) => {}
                Ok(Ok(End::Closed(reason))) => self.closed = Some(reason),
                Ok(Err(error)) => return Err(RunError::Delivery { name, error }),
                Err(_) => return Err(RunError::Panicked(format!("destination {name}"))),
            }
        }
        Ok(())
    }

    /// Why a destination is gone for good.
    pub(super) fn closed(&self) -> Option<String> {
        self.closed.clone()
    }

    /// Asks the threads to come to their end.
    pub(super) fn drain(&self, drain: Drain) {
        self.drain.store(drain as u8, Ordering::Relaxed);
        self.store.wake();
    }

    /// Whether all have ended.
    pub(super) fn is_done(&self) -> bool {
        self.threads.iter().all(|(_, thread)| thread.is_finished())
    }

    /// Ends the threads after the batch that each of them is sending.
    pub(super) fn stop(&mut self) -> Result<(), RunError> {
        self.stop.set();
        self.store.wake();
        while !self.is_done() {
            thread::sleep(super::TICK);
            self.store.wake();
        }
        self.check()
    }
}

/// The thread of one destination.
struct Thread {
    plan: Arc<Plan>,
    index: usize,
    store: Arc<Store>,
    board: Arc<Board>,
    clock: Arc<dyn Clock>,
    stop: Stop,
    drain: Arc<AtomicU8>,
}

impl Thread {
    fn run(self, mut destination: Box<dyn Destination>) -> Ended {
        destination.stop_with(&self.stop);
        let Some(config) = self.plan.config.destinations.get(self.index) else {
            return Ok(End::Done);
        };
        let metrics = self.board.destination(&config.name.value);
        let mut deliverer = self.deliverer(config, destination, Arc::clone(&metrics))?;
        let end = self.deliver(&mut deliverer, &metrics)?;
        deliverer.finish();
        Ok(end)
    }

    fn deliverer(
        &self,
        config: &DestinationConfig,
        destination: Box<dyn Destination>,
        metrics: Arc<DestinationMetrics>,
    ) -> Result<Deliverer<'_>, DeliveryError> {
        let name = &config.name.value;
        let threads = match self.plan.config.threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let options = DeliveryOptions {
            name: name.clone(),
            format: config.format,
            batch_events: config.batch_events,
            batch_bytes: BATCH_BYTES,
            threads,
            labels: config.labels(),
        };
        let dead_letters = self.store.dir().join(format!("dead-letters/{name}.ndjson"));
        Deliverer::new(
            Arc::clone(&self.store),
            options,
            destination,
            DeadLetters::new(dead_letters),
            self.routes(config)?,
            metrics,
        )
    }

    fn routes(&self, config: &DestinationConfig) -> Result<Vec<Route<'_>>, DeliveryError> {
        let name = &config.name.value;
        let mut routes = Vec::new();
        for source in &self.plan.config.log_sources {
            let identifier = &source.identifier.value;
            let slug = &source.log_source_type.value;
            let mapping = self.plan.mappings.mapping(slug);
            let (true, Some(mapping)) = (source.destinations.contains(name), mapping) else {
                continue;
            };
            for spool in self.spools(identifier, name)? {
                routes.push(Route {
                    source: spool,
                    log_source: LogSource {
                        identifier: identifier.clone(),
                        credibility: source.credibility,
                        store_payload: source.store_payload,
                    },
                    mapping,
                    limit: config.limit_for(identifier),
                    eps: source.eps(),
                    coalescing: source.coalescing,
                    metrics: self.board.route(identifier, name),
                });
            }
        }
        Ok(routes)
    }

    /// Where events of a log source wait: in its spool, and on disk what is left from a time when it was kept there.
    fn spools(&self, identifier: &str, destination: &str) -> Result<Vec<SourceId>, StoreError> {
        let mut spools = vec![self.store.source(identifier)?];
        let rows = self.store.look()?.waiting;
        spools.extend(
            rows.iter()
                .filter(|row| row.identifier == identifier && row.destination == destination)
                .filter(|row| row.events > 0 && row.source != spools[0])
                .map(|row| row.source)
                .collect::<Vec<_>>(),
        );
        Ok(spools)
    }

    fn deliver(&self, deliverer: &mut Deliverer<'_>, metrics: &DestinationMetrics) -> Ended {
        let mut failures_before = None;
        while !self.stop.is_set() {
            let drain = Drain::of(self.drain.load(Ordering::Relaxed));
            if drain == Drain::All {
                deliverer.close_windows();
            }
            // Asked before looking, so that what arrives meanwhile is not waited for.
            let seen = self.store.pages();
            let step = deliverer.step(self.clock.now());
            let wait = match step {
                Step::Again => continue,
                Step::Closed(reason) => return Ok(End::Closed(reason)),
                Step::Idle => IDLE,
                Step::Wait(until) => (until - self.clock.now())
                    .to_std()
                    .unwrap_or_default()
                    .min(IDLE),
            };
            match drain {
                Drain::No => {}
                Drain::Soon => return Ok(End::Done),
                Drain::All => {
                    let failures = metrics.status().failures;
                    let before = *failures_before.get_or_insert(failures);
                    if failures - before >= GIVE_UP || deliverer.is_done()? {
                        return Ok(End::Done);
                    }
                }
            }
            self.store.wait_for_page(seen, wait);
        }
        Ok(End::Done)
    }
}
