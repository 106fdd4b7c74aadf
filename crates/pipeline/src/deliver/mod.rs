//! From the spool to a destination: read, normalize, format, send, move the position.
//!
//! A [`Deliverer`] serves one destination and all log sources that go there, in turn. While a batch is sent, the next one
//! is made ready. The position of a log source moves after its batch was accepted and what was refused stands in the
//! dead letters. So a crash at any moment loses nothing, and repeats at most the batch that was being sent: one for each
//! destination.

mod lines;

use crate::coalesce::{Coalescer, Fate, Folded};
use crate::destination::{
    self, DeadLetter, DeadLetters, Destination, KeyOf, Outcome, Record, Refusal,
};
use crate::format::{Format, Formatter, Limit, LogSource};
use crate::metrics::{DestinationMetrics, RouteMetrics};
use crate::store::{Batch, Position, SourceId, Store, StoreError};
use crate::throttle::Throttle;
use chrono::{DateTime, TimeDelta, Utc};
use dsm::{Mapping, Normalizer, Status};
use leef::OptionsError;
use lines::{Line, Lines, Worker};
use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::Arc;

/// What a destination gets, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryOptions {
    /// The name of the destination, by which its positions are stored.
    pub name: String,
    /// The format of events.
    pub format: Format,
    /// At most so many events are sent at once. It bounds what a crash repeats.
    pub batch_events: usize,
    /// No further event joins a batch of so many bytes of payload.
    pub batch_bytes: usize,
    /// How many threads normalize.
    pub threads: usize,
    /// Whether the destination asks for labels, and what it groups events by.
    pub labels: Option<KeyOf>,
}

/// A log source that goes to the destination.
#[derive(Debug, Clone)]
pub struct Route<'m> {
    /// The log source in the store.
    pub source: SourceId,
    /// What it says about its events.
    pub log_source: LogSource,
    /// Its log source type.
    pub mapping: &'m Mapping,
    /// The longest event.
    pub limit: Limit,
    /// The EPS throttle.
    pub eps: Option<u32>,
    /// Whether equal events become one record.
    pub coalescing: bool,
    /// Where its events are counted.
    pub metrics: Arc<RouteMetrics>,
}

/// What comes after a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Another step at once.
    Again,
    /// Nothing to do before this time, or before something arrives in the spool.
    Wait(DateTime<Utc>),
    /// Nothing to do before something arrives in the spool.
    Idle,
    /// The destination is gone for good, for this reason.
    Closed(String),
}

/// Why delivery cannot begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// The state cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The options for LEEF contradict each other.
    #[error("the options for LEEF do not go together: {0}")]
    Leef(#[from] OptionsError),
    /// The stored state of a position cannot be read.
    #[error("{0}; restore the state from a copy")]
    State(#[from] crate::coalesce::StateError),
}

/// Serves one destination.
#[derive(Debug)]
pub struct Deliverer<'m> {
    store: Arc<Store>,
    options: DeliveryOptions,
    destination: Box<dyn Destination>,
    dead_letters: DeadLetters,
    lanes: Vec<Lane<'m>>,
    /// Which lane is asked first, so that each gets its turn.
    turn: usize,
    /// Batches that are ready, in the order in which they are sent; the first may have been sent already.
    ready: VecDeque<Work>,
    backoff: Backoff,
    metrics: Arc<DestinationMetrics>,
    /// Records of coalescing do not wait for the end of their window any more.
    closing: bool,
    /// How far the machine's clock is ahead of the time by which is waited.
    ahead: TimeDelta,
}

/// A route at work.
#[derive(Debug)]
struct Lane<'m> {
    route: Route<'m>,
    workers: Vec<Worker<'m>>,
    /// Room for the lines of a batch.
    parts: Vec<Lines>,
    throttle: Throttle,
    coalescer: Option<Coalescer>,
    /// The next event to read; ahead of the position by what is in `ready`.
    next: u64,
}

/// A batch on its way.
#[derive(Debug)]
struct Work {
    lane: usize,
    batch: destination::Batch,
    /// What cannot be written in the format of the destination.
    refused: VecDeque<Refused>,
    /// Where the position is when all of this is done.
    position: Position,
    counts: Counts,
    /// The destination has accepted it; only the account is still open.
    is_sent: bool,
}

#[derive(Debug)]
struct Refused {
    sequence: u64,
    reason: String,
}

/// What a batch adds to the metrics, once it is accepted.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    mapped: u64,
    unknown: u64,
    stored: u64,
    folded: u64,
    repaired: u64,
    truncated: u64,
    budget_exceeded: u64,
    refused: u64,
}

impl<'m> Deliverer<'m> {
    /// Goes on where the positions in the store are.
    ///
    /// # Errors
    /// The state cannot be used, or the format is not possible.
    pub fn new(
        store: Arc<Store>,
        options: DeliveryOptions,
        destination: Box<dyn Destination>,
        dead_letters: DeadLetters,
        routes: Vec<Route<'m>>,
        metrics: Arc<DestinationMetrics>,
    ) -> Result<Self, DeliveryError> {
        let mut lanes = Vec::new();
        for route in routes {
            lanes.push(Lane::new(route, &store, &options)?);
        }
        Ok(Self {
            store,
            options,
            destination,
            dead_letters,
            lanes,
            turn: 0,
            ready: VecDeque::new(),
            backoff: Backoff::default(),
            metrics,
            closing: false,
            ahead: TimeDelta::zero(),
        })
    }

    /// From now on records of coalescing are delivered without waiting for the end of their window.
    pub fn close_windows(&mut self) {
        self.closing = true;
    }

    /// Lets go of the destination, after the last step.
    pub fn finish(mut self) -> Box<dyn Destination> {
        self.destination.finish();
        self.destination
    }

    /// Whether everything that is in the spool was delivered.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn is_done(&self) -> Result<bool, StoreError> {
        if !self.ready.is_empty() {
            return Ok(false);
        }
        for lane in &self.lanes {
            let pending = lane.coalescer.as_ref().is_some_and(|c| !c.is_empty());
            if pending || self.store.waiting(lane.route.source, lane.next)? > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The same as [`Self::step`], where the machine's clock was set: it shows so much more than the time by which is
    /// waited. Events have their time of receipt from it.
    pub fn step_at(&mut self, now: DateTime<Utc>, ahead: TimeDelta) -> Step {
        self.ahead = ahead;
        self.step(now)
    }

    /// Does the next thing: sends a batch and makes the next one ready, or finds that there is nothing to do.
    pub fn step(&mut self, now: DateTime<Utc>) -> Step {
        if let Some(until) = self.backoff.until(now) {
            return Step::Wait(until);
        }
        let result = self
            .make_ready(now)
            .and_then(|wait| match self.ready.is_empty() {
                true => Ok(wait),
                false => self.send(now),
            });
        match result {
            Ok(step) => step,
            Err(error) => {
                let until = self.backoff.failed(now);
                self.metrics.failed(until + self.ahead, &error.to_string());
                tracing::error!(destination = %self.options.name, "delivery waits: {error}");
                Step::Wait(until)
            }
        }
    }

    /// Makes a batch ready if there is none, and otherwise says what delivery waits for.
    fn make_ready(&mut self, now: DateTime<Utc>) -> Result<Step, StoreError> {
        if !self.ready.is_empty() {
            return Ok(Step::Again);
        }
        let prepared = prepare(
            &mut self.lanes,
            &mut self.turn,
            &self.store,
            &self.options,
            Times::new(now, self.ahead),
            self.closing,
        )?;
        Ok(match prepared {
            Prepared::Work(work) => {
                self.ready.push_back(*work);
                Step::Again
            }
            Prepared::Wait(until) => Step::Wait(until),
            Prepared::Nothing => Step::Idle,
        })
    }

    /// Sends the first ready batch. The next one is made ready meanwhile.
    fn send(&mut self, now: DateTime<Utc>) -> Result<Step, StoreError> {
        let Some(mut work) = self.ready.pop_front() else {
            return Ok(Step::Idle);
        };
        let parallel = self.options.threads > 1 && self.ready.is_empty();
        let times = Times::new(now, self.ahead);
        let wall = times.wall();
        let (outcome, prepared) = if work.is_sent || work.batch.records.is_empty() {
            (Outcome::Accepted(Vec::new()), None)
        } else if parallel {
            let Self {
                lanes,
                turn,
                store,
                options,
                destination,
                closing,
                ..
            } = self;
            std::thread::scope(|scope| {
                let next = scope.spawn(|| prepare(lanes, turn, store, options, times, *closing));
                let outcome = destination.send(&work.batch, wall);
                let next = next.join().unwrap_or_else(|panic| resume_unwind(panic));
                (outcome, Some(next))
            })
        } else {
            (self.destination.send(&work.batch, wall), None)
        };
        let fault = match prepared {
            Some(Ok(Prepared::Work(next))) => {
                self.ready.push_back(*next);
                None
            }
            Some(Err(error)) => Some(error),
            _ => None,
        };
        let step = match outcome {
            Outcome::Accepted(refused) => {
                work.is_sent = true;
                work.refuse(refused);
                if let Err(error) = self.account(&mut work, wall) {
                    self.ready.push_front(work);
                    return Err(error);
                }
                self.backoff.succeeded();
                self.metrics.succeeded(wall);
                Step::Again
            }
            Outcome::Unavailable(reason) => {
                self.ready.push_front(work);
                let until = self.backoff.failed(now);
                self.metrics.failed(until + self.ahead, &reason);
                tracing::warn!(destination = %self.options.name, retry = %(until + self.ahead), "unavailable: {reason}");
                Step::Wait(until)
            }
            Outcome::Closed(reason) => {
                self.ready.push_front(work);
                self.metrics.closed(&reason);
                Step::Closed(reason)
            }
        };
        fault.map_or(Ok(step), Err)
    }

    /// What has to be durable before a batch is forgotten: what was refused, then the position.
    fn account(&mut self, work: &mut Work, now: DateTime<Utc>) -> Result<(), StoreError> {
        let Some(lane) = self.lanes.get_mut(work.lane) else {
            return Ok(());
        };
        let source = lane.route.source;
        // Each of them once, though the position may have to wait.
        while let Some(refused) = work.refused.front() {
            let batch = self.store.read(source, refused.sequence, 1, usize::MAX)?;
            if let Some(stored) = batch.first_if(refused.sequence) {
                let letter = DeadLetter {
                    log_source: &lane.route.log_source.identifier,
                    destination: &self.options.name,
                    sequence: refused.sequence,
                    received: stored.received,
                    reason: &refused.reason,
                    payload: stored.payload,
                };
                self.dead_letters
                    .add(&[letter], now)
                    .map_err(|error| StoreError::Io {
                        dir: self.store.dir().to_owned(),
                        reason: format!("a dead letter cannot be written: {error}"),
                    })?;
            }
            tracing::warn!(
                destination = %self.options.name,
                log_source = %lane.route.log_source.identifier,
                sequence = refused.sequence,
                "an event is refused for good and stands in the dead letters: {}",
                refused.reason
            );
            work.refused.pop_front();
            work.counts.refused += 1;
        }
        self.store
            .advance(source, &self.options.name, &work.position)?;
        let counts = work.counts;
        let metrics = &lane.route.metrics;
        metrics.mapped.add(counts.mapped);
        metrics.unknown.add(counts.unknown);
        metrics.stored.add(counts.stored);
        metrics.coalesced.add(counts.folded);
        metrics.repaired.add(counts.repaired);
        metrics.truncated.add(counts.truncated);
        metrics.budget_exceeded.add(counts.budget_exceeded);
        metrics.refused.add(counts.refused);
        metrics.records.add(work.batch.records.len() as u64);
        metrics.delivered(now);
        Ok(())
    }
}

impl Work {
    /// Whether there is nothing to send and nothing that was refused.
    fn is_empty(&self) -> bool {
        self.batch.records.is_empty() && self.refused.is_empty()
    }

    /// Takes events that the destination has refused to those that could not be written at all.
    fn refuse(&mut self, refused: Vec<Refusal>) {
        for Refusal { index, reason } in refused {
            if let Some(record) = self.batch.records.get(index) {
                self.refused.push_back(Refused {
                    sequence: record.sequence,
                    reason,
                });
            }
        }
    }

    fn add(&mut self, lines: &Lines, line: &Line, sequence: u64, received: DateTime<Utc>) {
        match &line.bytes {
            Ok(range) => {
                let start = self.batch.bytes.len();
                let bytes = lines.bytes.get(range.clone()).unwrap_or_default();
                self.batch.bytes.extend_from_slice(bytes);
                self.batch.records.push(Record {
                    bytes: start..self.batch.bytes.len(),
                    sequence,
                    received,
                    labels: line.labels.clone(),
                });
                self.batch.bytes.push(b'\n');
            }
            Err(reason) => self.refused.push_back(Refused {
                sequence,
                reason: reason.clone(),
            }),
        }
        self.counts.repaired += u64::from(line.written.repaired);
        self.counts.truncated += u64::from(line.written.truncated);
    }
}

/// The two times of a step.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// By which is waited.
    now: DateTime<Utc>,
    /// How far the machine's clock is ahead of it.
    ahead: TimeDelta,
}

impl Times {
    fn new(now: DateTime<Utc>, ahead: TimeDelta) -> Self {
        Self { now, ahead }
    }

    /// What the machine's clock shows.
    fn wall(self) -> DateTime<Utc> {
        self.now + self.ahead
    }
}

/// What [`prepare`] found.
enum Prepared {
    Work(Box<Work>),
    /// Events wait for the throttle, or a window for its end.
    Wait(DateTime<Utc>),
    Nothing,
}

/// Makes the next batch ready, of the first lane in turn that has one.
fn prepare(
    lanes: &mut [Lane<'_>],
    turn: &mut usize,
    store: &Store,
    options: &DeliveryOptions,
    times: Times,
    closing: bool,
) -> Result<Prepared, StoreError> {
    let mut earliest: Option<DateTime<Utc>> = None;
    for offset in 0..lanes.len() {
        let index = (*turn + offset) % lanes.len();
        let Some(lane) = lanes.get_mut(index) else {
            continue;
        };
        match lane.prepare(index, store, options, times, closing)? {
            Prepared::Work(work) => {
                *turn = index + 1;
                return Ok(Prepared::Work(work));
            }
            Prepared::Wait(until) => {
                earliest = Some(earliest.map_or(until, |earliest| earliest.min(until)));
            }
            Prepared::Nothing => {}
        }
    }
    Ok(earliest.map_or(Prepared::Nothing, Prepared::Wait))
}

impl<'m> Lane<'m> {
    fn new(
        route: Route<'m>,
        store: &Store,
        options: &DeliveryOptions,
    ) -> Result<Self, DeliveryError> {
        let position = store.position(route.source, &options.name)?;
        let mut workers = Vec::new();
        for _ in 0..options.threads.max(1) {
            workers.push(Worker {
                normalizer: Normalizer::new(route.mapping),
                formatter: Formatter::new(options.format, route.limit, route.log_source.clone())?,
                keys: route.coalescing,
                labels: options.labels.map(|key| key.targets(route.mapping)),
            });
        }
        let coalescer = Coalescer::from_state(&position.state)?;
        // Windows that are open are closed even where coalescing was switched off meanwhile.
        let coalescer = (route.coalescing || !coalescer.is_empty()).then_some(coalescer);
        Ok(Self {
            throttle: Throttle::new(route.eps),
            workers,
            parts: Vec::new(),
            coalescer,
            next: position.next,
            route,
        })
    }

    fn prepare(
        &mut self,
        index: usize,
        store: &Store,
        options: &DeliveryOptions,
        times: Times,
        closing: bool,
    ) -> Result<Prepared, StoreError> {
        let now = times.now;
        let allowance = self.throttle.allowance(now).min(options.batch_events);
        let worthwhile = self.throttle.worthwhile().min(options.batch_events);
        let held_back = allowance < worthwhile
            && store.waiting(self.route.source, self.next)? > allowance as u64;
        let batch = if held_back || allowance == 0 {
            Batch::default()
        } else {
            store.read(self.route.source, self.next, allowance, options.batch_bytes)?
        };
        let mut work = Work {
            lane: index,
            batch: destination::Batch {
                identifier: self.route.log_source.identifier.clone(),
                log_source_type: self.route.mapping.slug().to_owned(),
                ..destination::Batch::default()
            },
            refused: VecDeque::new(),
            position: Position::at(self.next),
            counts: Counts::default(),
            is_sent: false,
        };
        // Where the spool cannot be read, all of this is done again.
        let before = self.coalescer.clone();
        let mut filled = if batch.is_empty() {
            // A window is over when time has passed it, unless events wait that were received before.
            let over = match &mut self.coalescer {
                Some(coalescer) if !held_back && closing => coalescer.close_all(),
                Some(coalescer) if !held_back => coalescer.close(times.wall()),
                _ => Vec::new(),
            };
            self.add_folded(&over, store, &mut work)
        } else {
            self.add_batch(&batch, store, &mut work)
        };
        filled = filled.and_then(|()| self.add_hastened(store, &mut work));
        if batch.is_empty() && work.is_empty() && filled.is_ok() {
            return Ok(self.wait(held_back.then_some(worthwhile), times));
        }
        if let Err(error) = filled {
            self.coalescer = before;
            return Err(error);
        }
        self.throttle.take(batch.len(), now);
        self.next = batch.next().unwrap_or(self.next);
        work.position = self.position();
        Ok(Prepared::Work(Box::new(work)))
    }

    /// What the lane waits for: until so many events may pass, or for the end of a window.
    fn wait(&mut self, held_back: Option<usize>, times: Times) -> Prepared {
        let now = times.now;
        if let Some(events) = held_back {
            return Prepared::Wait(self.throttle.ready_at(events, now));
        }
        match self.coalescer.as_ref().and_then(Coalescer::next_close) {
            Some(close) => Prepared::Wait((close - times.ahead).max(now)),
            None => Prepared::Nothing,
        }
    }

    fn position(&self) -> Position {
        let mut position = Position::at(self.next);
        if let Some(coalescer) = &self.coalescer {
            position.keep = coalescer.first_pending().unwrap_or(self.next);
            position.state = coalescer.to_state();
        }
        position
    }

    fn add_batch(
        &mut self,
        batch: &Batch,
        store: &Store,
        work: &mut Work,
    ) -> Result<(), StoreError> {
        let mut parts = std::mem::take(&mut self.parts);
        lines::lines(&mut self.workers, batch, &mut parts);
        let result = self.add_lines(batch, &parts, store, work);
        self.parts = parts;
        result
    }

    fn add_lines(
        &mut self,
        batch: &Batch,
        parts: &[Lines],
        store: &Store,
        work: &mut Work,
    ) -> Result<(), StoreError> {
        let bytes = parts.iter().map(|part| part.bytes.len()).sum();
        work.batch.bytes.reserve(bytes);
        work.batch.records.reserve(batch.len());
        let pairs = parts
            .iter()
            .flat_map(|part| part.lines.iter().map(move |line| (part, line)));
        for (stored, (part, line)) in batch.iter().zip(pairs) {
            match line.status {
                Status::Mapped => work.counts.mapped += 1,
                Status::Unknown => work.counts.unknown += 1,
                Status::Stored => work.counts.stored += 1,
            }
            work.counts.budget_exceeded += u64::from(line.budget_exceeded);
            let over = match &mut self.coalescer {
                Some(coalescer) if coalescer.is_due(stored.received) => {
                    coalescer.close(stored.received)
                }
                _ => Vec::new(),
            };
            self.add_folded(&over, store, work)?;
            let fate = match (&mut self.coalescer, &line.key) {
                (Some(coalescer), Some(key)) => {
                    coalescer.take(key, stored.sequence, stored.received)
                }
                _ => Fate::Single,
            };
            match fate {
                Fate::Single => work.add(part, line, stored.sequence, stored.received),
                Fate::Folded => work.counts.folded += 1,
            }
        }
        Ok(())
    }

    /// Adds the records of windows that hold back an event that is not to be held back any longer.
    fn add_hastened(&mut self, store: &Store, work: &mut Work) -> Result<(), StoreError> {
        let hastened = store.hastened(self.route.source);
        let over = match &mut self.coalescer {
            Some(coalescer)
                if coalescer
                    .first_pending()
                    .is_some_and(|first| first < hastened) =>
            {
                coalescer.close_all()
            }
            _ => return Ok(()),
        };
        self.add_folded(&over, store, work)
    }

    /// Adds the records of windows that are over, each with the payload of its first event.
    fn add_folded(
        &mut self,
        folded: &[Folded],
        store: &Store,
        work: &mut Work,
    ) -> Result<(), StoreError> {
        for record in folded {
            let batch = store.read(self.route.source, record.sequence, 1, usize::MAX)?;
            let stored = batch.first_if(record.sequence);
            let (Some(stored), Some(worker)) = (stored, self.workers.first_mut()) else {
                continue;
            };
            let mut lines = Lines::default();
            worker.add(stored, record.count, &mut lines);
            if let Some(line) = lines.lines.first() {
                work.add(&lines, line, stored.sequence, stored.received);
            }
        }
        Ok(())
    }
}

/// When a destination that failed is tried again: after one second, then twice as long each time, up to a minute.
#[derive(Debug, Default)]
struct Backoff {
    failures: u32,
    until: Option<DateTime<Utc>>,
}

const LONGEST_PAUSE: i64 = 60_000;

impl Backoff {
    fn until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // A clock that was set back must not make the pause longer.
        let longest = now + TimeDelta::milliseconds(LONGEST_PAUSE);
        self.until.filter(|until| *until > now && *until <= longest)
    }

    fn failed(&mut self, now: DateTime<Utc>) -> DateTime<Utc> {
        let pause = (1000_i64 << self.failures.min(10)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        let until = now + TimeDelta::milliseconds(pause);
        self.until = Some(until);
        until
    }

    fn succeeded(&mut self) {
        *self = Self::default();
    }
}
