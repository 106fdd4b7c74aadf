//! The threads that collect.

use super::RunError;
use crate::collect::{CollectError, Lane, Opener};
use crate::config::{Config, LogSourceConfig};
use crate::group::{Ownership, Reached, Shares};
use crate::metrics::Board;
use protocol::clock::Stop;
use protocol::secret::Secret;
use protocol::{LaneId, Protocol};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// All log sources that collect.
pub(super) struct Collecting<'a> {
    opener: Opener<'a>,
    board: Arc<Board>,
    once: bool,
    slots: Vec<Slot>,
    /// Log sources that start when their predecessors have ended: a lane is never run twice at a time.
    pending: Vec<LogSourceConfig>,
    /// Log sources that this process collects for only while the group wants it to.
    shared: Vec<LogSourceConfig>,
    shares: Option<Arc<Shares>>,
    /// When a shared log source that could not be opened is tried again.
    open_again: Option<Instant>,
}

/// A log source that collects, or comes to its end.
struct Slot {
    config: LogSourceConfig,
    /// What its secrets were when it was opened: another one in the same place is a change too.
    secrets: Vec<Option<Secret>>,
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
    /// Of a shared log source: since which assignment it collects, and how far each lane has been delivered.
    assignment: Option<u64>,
    reached: Vec<(LaneId, Arc<Reached>)>,
}

/// How long to wait before a shared log source that could not be opened is tried again.
const PAUSE: Duration = Duration::from_secs(30);

impl<'a> Collecting<'a> {
    pub(super) fn new(
        opener: Opener<'a>,
        board: Arc<Board>,
        once: bool,
        shares: Option<Arc<Shares>>,
    ) -> Self {
        Self {
            opener,
            board,
            once,
            slots: Vec::new(),
            pending: Vec::new(),
            shared: Vec::new(),
            shares,
            open_again: None,
        }
    }

    /// Starts the log sources of a configuration, all or none. The shared ones start when they are assigned; that they can
    /// be opened is looked at now.
    pub(super) fn start(&mut self, config: &Config) -> Result<(), RunError> {
        let mut opened = Vec::new();
        for source in config.log_sources.iter().filter(|source| source.enabled) {
            let lanes = self
                .opener
                .open(source)
                .map_err(|error| failed(source, error))?;
            opened.push((source, lanes));
        }
        for (source, lanes) in opened {
            if source.is_shared {
                self.shared.push(source.clone());
            } else {
                self.spawn(source, lanes, None)?;
            }
        }
        Ok(())
    }

    fn spawn(
        &mut self,
        source: &LogSourceConfig,
        lanes: Vec<Lane>,
        assignment: Option<u64>,
    ) -> Result<(), RunError> {
        let stop = Stop::new();
        let mut threads = Vec::new();
        let mut reached = Vec::new();
        for lane in lanes {
            let id = lane.collector.id();
            reached.extend(lane.reached.clone().map(|reached| (id.clone(), reached)));
            let id = id.to_string();
            let clock = Arc::clone(self.opener.clock);
            let (stop, board, once) = (stop.clone(), Arc::clone(&self.board), self.once);
            let thread = thread::Builder::new()
                .name(format!("collect {id}"))
                .spawn(move || lane.run(&*clock, &stop, once, &board))
                .map_err(RunError::Thread)?;
            threads.push(thread);
        }
        tracing::info!(
            log_source = %source.identifier.value,
            protocol = source.protocol.map(Protocol::name),
            lanes = threads.len(),
            "collecting"
        );
        self.slots.push(Slot {
            config: source.clone(),
            secrets: self.secrets(source),
            stop,
            threads,
            assignment,
            reached,
        });
        Ok(())
    }

    /// The secrets of a log source, as far as they can be had.
    fn secrets(&self, source: &LogSourceConfig) -> Vec<Option<Secret>> {
        source
            .secrets()
            .map(|(_, reference)| self.opener.secrets.resolve(reference).ok())
            .collect()
    }

    /// Stops what is not in a configuration in the same form, and starts what is new.
    pub(super) fn apply(&mut self, config: &Config) {
        let wanted: Vec<&LogSourceConfig> = config
            .log_sources
            .iter()
            .filter(|source| source.enabled)
            .collect();
        for slot in &self.slots {
            let is_same = |source: &&LogSourceConfig| {
                source.collects_like(&slot.config) && self.secrets(source) == slot.secrets
            };
            if wanted.iter().find(|source| is_same(source)).is_none() {
                slot.stop.set();
            }
        }
        let (shared, alone): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|source| source.is_shared);
        self.shared = shared.into_iter().cloned().collect();
        self.open_again = None;
        self.pending = alone
            .into_iter()
            .filter(|source| {
                let same = |slot: &&Slot| slot.config.collects_like(source) && !slot.stop.is_set();
                self.slots.iter().find(same).is_none()
            })
            .cloned()
            .collect();
        let identifiers: Vec<String> = config
            .log_sources
            .iter()
            .filter(|source| source.enabled)
            .map(|source| source.identifier.value.clone())
            .collect();
        self.board
            .retain_lanes(|id| identifiers.contains(&id.log_source));
    }

    /// Looks after the threads: those that have ended, and those that can begin.
    pub(super) fn tick(&mut self) -> Result<(), RunError> {
        for slot in &mut self.slots {
            let ended: Vec<JoinHandle<()>> = slot
                .threads
                .extract_if(.., |thread| thread.is_finished())
                .collect();
            for thread in ended {
                let name = thread.thread().name().unwrap_or_default().to_owned();
                thread.join().map_err(|_| RunError::Panicked(name))?;
            }
        }
        self.share()?;
        self.slots
            .retain(|slot| !slot.threads.is_empty() || !slot.stop.is_set());
        let slots = &self.slots;
        let free = |source: &mut LogSourceConfig| {
            let identifier = &source.identifier.value;
            !slots
                .iter()
                .any(|slot| slot.config.identifier.value == *identifier)
        };
        let ready: Vec<LogSourceConfig> = self.pending.extract_if(.., free).collect();
        for source in ready {
            match self.opener.open(&source) {
                Ok(lanes) => self.spawn(&source, lanes, None)?,
                Err(error) => tracing::error!("{}", failed(&source, error)),
            }
        }
        Ok(())
    }

    /// Starts and stops shared log sources as the group wants it, and passes on how far they have been delivered.
    fn share(&mut self) -> Result<(), RunError> {
        let Some(shares) = self.shares.clone() else {
            return Ok(());
        };
        for slot in &self.slots {
            let Some(assignment) = slot.assignment else {
                continue;
            };
            for (lane, reached) in &slot.reached {
                if let Some(cursor) = reached.take() {
                    shares.reached(lane, assignment, cursor);
                }
            }
            if shares.ownership(&slot.config.identifier.value) != Ownership::Ours(assignment) {
                slot.stop.set();
            }
            if slot.stop.is_set() && slot.threads.is_empty() {
                let identifier = &slot.config.identifier.value;
                self.board.retain_lanes(|id| id.log_source != *identifier);
            }
        }
        let is_at_work = |slot: &&Slot| slot.assignment.is_some() && !slot.threads.is_empty();
        let busy = self.slots.iter().filter(is_at_work);
        shares.quiet_except(busy.map(|slot| slot.config.identifier.value.as_str()));
        if self.open_again.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        self.open_again = None;
        for source in self.shared.clone() {
            let identifier = &source.identifier.value;
            let is_there = |slot: &Slot| slot.config.identifier.value == *identifier;
            let Ownership::Ours(assignment) = shares.ownership(identifier) else {
                continue;
            };
            if self.slots.iter().any(is_there) {
                continue;
            }
            match self.opener.open_at(&source, &|lane| shares.position(lane)) {
                Ok(lanes) => self.spawn(&source, lanes, Some(assignment))?,
                Err(error) => {
                    tracing::error!("{}", failed(&source, error));
                    self.open_again = Some(Instant::now() + PAUSE);
                }
            }
        }
        Ok(())
    }

    /// Whether every source has ended.
    pub(super) fn is_done(&self) -> bool {
        self.slots.iter().all(|slot| slot.threads.is_empty())
    }

    /// Nothing is started any more, and all that collects is told to stop.
    pub(super) fn stop(&mut self) {
        self.shared.clear();
        self.pending.clear();
        for slot in &self.slots {
            slot.stop.set();
        }
    }

    /// Waits for the threads. One that waits for an answer is left behind: what it reads now was never promised.
    pub(super) fn wait(&mut self, at_most: Duration) {
        let deadline = Instant::now() + at_most;
        let running = |slot: &Slot| slot.threads.iter().any(|thread| !thread.is_finished());
        while self.slots.iter().any(running) && Instant::now() < deadline {
            thread::sleep(super::TICK);
        }
    }
}

fn failed(source: &LogSourceConfig, error: CollectError) -> RunError {
    RunError::Collect {
        identifier: source.identifier.value.clone(),
        error,
    }
}
