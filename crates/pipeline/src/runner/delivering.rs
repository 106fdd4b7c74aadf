//! The threads that deliver.

use super::{Plan, Run, RunError};
use crate::config::DestinationConfig;
use crate::deliver::{Deliverer, DeliveryError, DeliveryOptions, Route, Step};
use crate::destination::{DeadLetters, Destination};
use crate::format::LogSource;
use crate::metrics::{Board, DestinationMetrics, DestinationState};
use crate::store::{SourceId, Store, StoreError};
use protocol::clock::{Clock, Stop};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// No further event joins a batch of so many bytes of payload.
const BATCH_BYTES: usize = 4 << 20;
/// A thread with nothing to do looks around after this time.
const IDLE: Duration = Duration::from_secs(1);

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
    board: Arc<Board>,
    clock: Arc<dyn Clock>,
    drain: Arc<AtomicU8>,
    /// How long a destination may accept nothing when everything is to be delivered.
    patience: Duration,
    running: Vec<Running>,
    /// Destinations that begin when those that run have ended which have their name or write to the same place.
    pending: Vec<Pending>,
    closed: Option<String>,
}

/// A destination at work, or on its way to the end.
struct Running {
    config: DestinationConfig,
    stop: Stop,
    thread: JoinHandle<Ended>,
}

/// A destination that has not begun.
struct Pending {
    plan: Arc<Plan>,
    index: usize,
    destination: Box<dyn Destination>,
}

impl Pending {
    fn config(&self) -> Option<&DestinationConfig> {
        self.plan.config.destinations.get(self.index)
    }
}

impl Delivering {
    pub(super) fn start(
        run: &Run<'_>,
        plan: &Arc<Plan>,
        destinations: Vec<Box<dyn Destination>>,
    ) -> Result<Self, RunError> {
        let mut delivering = Self {
            store: Arc::clone(&run.store),
            board: Arc::clone(&run.board),
            clock: Arc::clone(&run.clock),
            drain: Arc::default(),
            patience: run.options.once.unwrap_or(run.options.drain),
            running: Vec::new(),
            pending: Vec::new(),
            closed: None,
        };
        delivering.replace(plan, destinations)?;
        Ok(delivering)
    }

    /// Ends the destinations after the batch that each of them is sending, and begins those of another plan. It does not
    /// wait for any of them.
    pub(super) fn replace(
        &mut self,
        plan: &Arc<Plan>,
        destinations: Vec<Box<dyn Destination>>,
    ) -> Result<(), RunError> {
        for running in &self.running {
            running.stop.set();
        }
        self.store.wake();
        self.board.retain_destinations(|name| {
            let mut known = plan.config.destinations.iter();
            known.any(|destination| destination.name.value == name)
        });
        let pending = destinations.into_iter().enumerate();
        let pending = pending.map(|(index, destination)| Pending {
            plan: Arc::clone(plan),
            index,
            destination,
        });
        self.pending = pending.collect();
        self.check()
    }

    /// Begins with what nobody stands in the way of.
    fn begin(&mut self) -> Result<(), RunError> {
        let running = &self.running;
        let is_free = |pending: &mut Pending| {
            pending.config().is_none_or(|new| {
                let is_in_its_way = |old: &Running| {
                    old.config.name.value == new.name.value || old.config.target == new.target
                };
                !running
                    .iter()
                    .any(|old| old.stop.is_set() && is_in_its_way(old))
            })
        };
        let free: Vec<Pending> = self.pending.extract_if(.., is_free).collect();
        for pending in free {
            let Some(config) = pending.config().cloned() else {
                continue;
            };
            let stop = Stop::new();
            let thread = Thread {
                plan: pending.plan,
                index: pending.index,
                store: Arc::clone(&self.store),
                board: Arc::clone(&self.board),
                clock: Arc::clone(&self.clock),
                stop: stop.clone(),
                drain: Arc::clone(&self.drain),
                patience: self.patience,
            };
            let thread = thread::Builder::new()
                .name(format!("deliver {}", config.name.value))
                .spawn(move || thread.run(pending.destination))
                .map_err(RunError::Thread)?;
            self.running.push(Running {
                config,
                stop,
                thread,
            });
        }
        Ok(())
    }

    /// Looks after the threads: those that have ended, and those that can begin.
    pub(super) fn check(&mut self) -> Result<(), RunError> {
        let is_over = |running: &mut Running| running.thread.is_finished();
        let ended: Vec<_> = self.running.extract_if(.., is_over).collect();
        for running in ended {
            let name = running.config.name.value;
            match running.thread.join() {
                Ok(Ok(End::Done)) => {}
                // One that was replaced is missed by nobody.
                Ok(Ok(End::Closed(_))) if running.stop.is_set() => {}
                Ok(Ok(End::Closed(reason))) => self.closed = Some(reason),
                Ok(Err(error)) => return Err(RunError::Delivery { name, error }),
                Err(_) => return Err(RunError::Panicked(format!("destination {name}"))),
            }
        }
        self.begin()
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
        let is_over = |running: &Running| running.thread.is_finished();
        self.pending.is_empty() && self.running.iter().all(is_over)
    }

    /// Ends the threads after the batch that each of them is sending. One that takes longer is left behind: the position
    /// does not move over what it is sending, so the next run delivers that again.
    pub(super) fn stop(&mut self, at_most: Duration) -> Result<(), RunError> {
        self.pending.clear();
        for running in &self.running {
            running.stop.set();
        }
        let deadline = Instant::now() + at_most;
        while !self.is_done() && Instant::now() < deadline {
            self.store.wake();
            thread::sleep(super::TICK);
        }
        self.check()?;
        for running in &self.running {
            tracing::warn!(
                destination = %running.config.name.value,
                "it does not come to an end with what it is sending and is left behind; the next run delivers that again"
            );
        }
        Ok(())
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
    patience: Duration,
}

impl Thread {
    fn run(self, destination: Box<dyn Destination>) -> Ended {
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
        // When it last got further.
        let mut moved = Instant::now();
        while !self.stop.is_set() {
            let drain = Drain::of(self.drain.load(Ordering::Relaxed));
            if drain == Drain::All {
                deliverer.close_windows();
            }
            // Asked before looking, so that what arrives meanwhile is not waited for.
            let seen = self.store.pages();
            let step = deliverer.step_at(self.clock.now(), self.clock.set_by());
            let wait = match step {
                Step::Again => {
                    moved = Instant::now();
                    continue;
                }
                Step::Closed(reason) => return Ok(End::Closed(reason)),
                Step::Idle => IDLE,
                Step::Wait(until) => (until - self.clock.now()).to_std().unwrap_or_default(),
            };
            // A throttle is waited for, however long it takes.
            let is_away = metrics.status().state == DestinationState::Unavailable;
            if !is_away {
                moved = Instant::now();
            }
            match drain {
                Drain::No => {}
                Drain::Soon => return Ok(End::Done),
                Drain::All => {
                    let is_over = is_away && moved.elapsed() + wait >= self.patience;
                    if is_over || deliverer.is_done()? {
                        return Ok(End::Done);
                    }
                }
            }
            self.store.wait_for_page(seen, wait.min(IDLE));
        }
        Ok(End::Done)
    }
}
