//! The threads that collect.

use super::{Missing, RunError};
use crate::collect::{CollectError, Lane, LaneEnd, Opener};
use crate::config::{Config, LogSourceConfig};
use crate::group::{Ledger, Ownership, Shares};
use crate::metrics::{Board, NO_LANE};
use chrono::TimeDelta;
use protocol::clock::Stop;
use protocol::secret::Secret;
use protocol::status::{GapReason, LaneStatus, State};
use protocol::{LaneId, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// All log sources that collect.
pub(super) struct Collecting<'a> {
    opener: Opener<'a>,
    board: Arc<Board>,
    /// With `--once`, how long a lane may get no further.
    once: Option<Duration>,
    slots: Vec<Slot>,
    /// Log sources that are to collect. One without a slot of its own starts when its predecessor has ended, because a
    /// lane is never run twice at a time; when it can be opened; and, if it is shared, while the group wants it to.
    wanted: Vec<LogSourceConfig>,
    shares: Option<Arc<Shares>>,
    /// Log sources that could not be opened, by identifier.
    refused: BTreeMap<String, Refused>,
    /// How the lanes came to their end that have.
    ends: BTreeMap<LaneId, LaneEnd>,
}

/// A log source that collects, or comes to its end.
struct Slot {
    config: LogSourceConfig,
    /// What its secrets were when it was opened: another one in the same place is a change too.
    secrets: Vec<Option<Secret>>,
    stop: Stop,
    threads: Vec<JoinHandle<(LaneId, LaneEnd)>>,
    /// Of a shared log source: since which assignment it collects, and how far each lane has been delivered.
    assignment: Option<u64>,
    ledgers: Vec<Arc<Ledger>>,
}

/// A log source that could not be opened.
struct Refused {
    reason: String,
    since: Instant,
    attempts: u32,
    again: Instant,
}

/// The pause after the first attempt to open a log source; it doubles with each one.
const PAUSE: Duration = Duration::from_secs(1);

/// Its longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is said of log sources without lanes.
const OPENING: &str = "it is about to be opened";
const DISABLED: &str = "it has `enabled = false`";

impl<'a> Collecting<'a> {
    pub(super) fn new(
        opener: Opener<'a>,
        board: Arc<Board>,
        once: Option<Duration>,
        shares: Option<Arc<Shares>>,
    ) -> Self {
        Self {
            opener,
            board,
            once,
            slots: Vec::new(),
            wanted: Vec::new(),
            shares,
            refused: BTreeMap::new(),
            ends: BTreeMap::new(),
        }
    }

    /// Starts the log sources of a configuration. What the check of the configuration finds too refuses all of them;
    /// what is wrong with the state of a single log source concerns that one only, which is opened again and again. The
    /// shared ones start when they are assigned; that they can be opened is looked at now.
    pub(super) fn start(&mut self, config: &Config) -> Result<(), RunError> {
        let mut opened = Vec::new();
        let mut refused = Vec::new();
        for source in config.log_sources.iter().filter(|source| source.enabled) {
            let lanes = match self.opener.open(source) {
                Ok(lanes) => lanes,
                Err(error) if error.is_of_configuration() => return Err(failed(source, error)),
                Err(error) => {
                    refused.push((source, error));
                    continue;
                }
            };
            if self.once.is_some() && lanes.iter().any(Lane::is_endless) {
                return Err(RunError::OnceEndless {
                    identifier: source.identifier.value.clone(),
                });
            }
            opened.push((source, lanes));
        }
        self.want(config);
        for (source, lanes) in opened {
            if !source.is_shared {
                self.spawn(source, lanes, None)?;
            }
        }
        for (source, error) in refused {
            self.refuse(source, error);
        }
        Ok(())
    }

    /// Remembers which log sources are to collect, and shows all of them.
    fn want(&mut self, config: &Config) {
        let now = self.opener.clock.wall();
        self.board.retain_log_sources(|identifier| {
            let mut sources = config.log_sources.iter();
            sources.any(|source| source.identifier.value == identifier)
        });
        let (wanted, disabled): (Vec<_>, Vec<_>) = config
            .log_sources
            .iter()
            .cloned()
            .partition(|source| source.enabled);
        for source in disabled {
            let identifier = &source.identifier.value;
            // One that still ends shows its lanes until it has.
            if !self.is_busy(identifier) {
                let status = idle(DISABLED);
                self.board.set_without_lanes(identifier, status, now);
            }
        }
        for source in &wanted {
            let identifier = &source.identifier.value;
            let shown = self.board.lanes();
            if !shown.iter().any(|(id, _)| id.log_source == *identifier) {
                self.board.set_without_lanes(identifier, idle(OPENING), now);
            }
        }
        self.wanted = wanted;
        // A mended secret or file is found at once.
        self.refused.clear();
    }

    fn spawn(
        &mut self,
        source: &LogSourceConfig,
        lanes: Vec<Lane>,
        assignment: Option<u64>,
    ) -> Result<(), RunError> {
        let stop = Stop::new();
        let mut threads = Vec::new();
        let mut ledgers = Vec::new();
        let now = self.opener.clock.wall();
        let identifier = &source.identifier.value;
        let ids: Vec<LaneId> = lanes
            .iter()
            .map(|lane| lane.collector.id().clone())
            .collect();
        if ids.is_empty() {
            let status = idle("it collects nothing by itself: another log source reads for it");
            self.board.set_without_lanes(identifier, status, now);
        } else {
            self.board.begin_lanes(identifier, &ids, now);
        }
        let once = self.once.map(|patience| {
            // Longer than any run.
            TimeDelta::from_std(patience).unwrap_or(TimeDelta::days(36_500))
        });
        for lane in lanes {
            let id = lane.collector.id().clone();
            ledgers.extend(lane.ledger.clone());
            let clock = Arc::clone(self.opener.clock);
            let (stop, board) = (stop.clone(), Arc::clone(&self.board));
            let thread = thread::Builder::new()
                .name(format!("collect {id}"))
                .spawn(move || (id, lane.run(&*clock, &stop, once, &board)))
                .map_err(RunError::Thread)?;
            threads.push(thread);
        }
        tracing::info!(
            log_source = %identifier,
            protocol = source.protocol.map(Protocol::name),
            lanes = threads.len(),
            "collecting"
        );
        self.refused.remove(identifier);
        self.slots.push(Slot {
            config: source.clone(),
            secrets: self.secrets(source),
            stop,
            threads,
            assignment,
            ledgers,
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

    /// Stops what is not in a configuration in the same form; what is new starts with the next ticks.
    pub(super) fn apply(&mut self, config: &Config) {
        for slot in &self.slots {
            let mut enabled = config.log_sources.iter().filter(|source| source.enabled);
            let is_same = |source: &LogSourceConfig| {
                source.collects_like(&slot.config)
                    && source.is_shared == slot.config.is_shared
                    && self.secrets(source) == slot.secrets
            };
            if !enabled.any(is_same) {
                slot.stop.set();
            }
        }
        self.want(config);
    }

    /// Whether a log source has a slot, be it only to end.
    fn is_busy(&self, identifier: &str) -> bool {
        let is_its = |slot: &Slot| slot.config.identifier.value == identifier;
        self.slots.iter().any(is_its)
    }

    /// Looks after the threads: those that have ended, and those that can begin.
    pub(super) fn tick(&mut self) -> Result<(), RunError> {
        self.settle()?;
        let is_gone = |slot: &mut Slot| slot.threads.is_empty() && slot.stop.is_set();
        let gone: Vec<Slot> = self.slots.extract_if(.., is_gone).collect();
        for slot in gone {
            let identifier = &slot.config.identifier.value;
            self.ends.retain(|id, _| id.log_source != *identifier);
            let mut wanted = self.wanted.iter();
            let status = match wanted.any(|source| source.identifier.value == *identifier) {
                true => idle(OPENING),
                false => idle(DISABLED),
            };
            // One that is no longer in the configuration is no longer on the board either.
            let shown = self.board.lanes();
            if shown.iter().any(|(id, _)| id.log_source == *identifier) {
                let now = self.opener.clock.wall();
                self.board.set_without_lanes(identifier, status, now);
            }
        }
        let busy: BTreeSet<&str> = self
            .slots
            .iter()
            .map(|slot| slot.config.identifier.value.as_str())
            .collect();
        let is_busy = |source: &&LogSourceConfig| busy.contains(source.identifier.value.as_str());
        let free: Vec<LogSourceConfig> = self
            .wanted
            .iter()
            .filter(|source| !is_busy(source))
            .cloned()
            .collect();
        for source in &free {
            self.begin(source)?;
        }
        Ok(())
    }

    /// Takes in what is to be known of threads that have ended, and starts none.
    pub(super) fn settle(&mut self) -> Result<(), RunError> {
        for slot in &mut self.slots {
            let ended: Vec<JoinHandle<_>> = slot
                .threads
                .extract_if(.., |thread| thread.is_finished())
                .collect();
            for thread in ended {
                let name = thread.thread().name().unwrap_or_default().to_owned();
                let (id, end) = thread.join().map_err(|_| RunError::Panicked(name))?;
                self.ends.insert(id, end);
            }
        }
        self.share();
        Ok(())
    }

    /// Starts a log source that has no slot, if it is to collect now.
    fn begin(&mut self, source: &LogSourceConfig) -> Result<(), RunError> {
        let identifier = &source.identifier.value;
        let assignment = match (&self.shares, source.is_shared) {
            (Some(shares), true) => match shares.ownership(identifier) {
                Ownership::Ours(assignment) => Some(assignment),
                Ownership::Leaving(_) | Ownership::Others => {
                    let status = idle(
                        "not this process: another one of the group collects for it, or is about to",
                    );
                    let now = self.opener.clock.wall();
                    self.board.set_without_lanes(identifier, status, now);
                    return Ok(());
                }
            },
            _ => None,
        };
        let refused = self.refused.get(identifier);
        if refused.is_some_and(|refused| Instant::now() < refused.again) {
            return Ok(());
        }
        let shares = self.shares.clone();
        let position = |lane: &LaneId| shares.as_ref()?.position(lane);
        match self.opener.open_at(source, &position) {
            Ok(lanes) => self.spawn(source, lanes, assignment)?,
            Err(error) => self.refuse(source, error),
        }
        Ok(())
    }

    /// Remembers that a log source cannot be opened, shows it, and says so where that is news.
    fn refuse(&mut self, source: &LogSourceConfig, error: CollectError) {
        let identifier = &source.identifier.value;
        let reason = error.to_string();
        let instant = Instant::now();
        let refused = self
            .refused
            .entry(identifier.clone())
            .or_insert_with(|| Refused {
                reason: String::new(),
                since: instant,
                attempts: 0,
                again: instant,
            });
        let pause = PAUSE * 2_u32.saturating_pow(refused.attempts.min(16));
        refused.attempts = refused.attempts.saturating_add(1);
        refused.again = instant + pause.min(LONGEST_PAUSE);
        if refused.reason != reason {
            refused.reason.clone_from(&reason);
            tracing::error!(
                "{}; nothing is collected for it until it can be opened, which is tried again and again",
                failed(source, error)
            );
        }
        let now = self.opener.clock.wall();
        let mut status = LaneStatus::default();
        status.state = State::Error;
        status.message = format!("it cannot be opened: {reason}");
        status.remedy =
            Some("mend it, and it is opened within a minute; SIGHUP tries at once".to_owned());
        status.since = Some(now);
        self.board.set_without_lanes(identifier, status, now);
    }

    /// Passes on how far shared log sources have been delivered, and stops those that the group wants others to have.
    fn share(&mut self) {
        let Some(shares) = self.shares.clone() else {
            return;
        };
        for slot in &self.slots {
            let Some(assignment) = slot.assignment else {
                continue;
            };
            for ledger in &slot.ledgers {
                if let Some(cursor) = ledger.reached() {
                    shares.reached(ledger.lane(), assignment, cursor);
                }
            }
            if shares.ownership(&slot.config.identifier.value) != Ownership::Ours(assignment) {
                slot.stop.set();
            }
        }
        let is_at_work = |slot: &&Slot| slot.assignment.is_some() && !slot.threads.is_empty();
        let busy = self.slots.iter().filter(is_at_work);
        shares.quiet_except(busy.map(|slot| slot.config.identifier.value.as_str()));
    }

    /// Whether every source has ended, or is not waited for any longer because it cannot be opened.
    pub(super) fn is_done(&self) -> bool {
        let is_given_up = |identifier: &str| {
            let refused = self.refused.get(identifier);
            refused.is_some_and(|refused| {
                refused.since.elapsed() >= self.once.unwrap_or(Duration::MAX)
            })
        };
        let has_begun = |source: &LogSourceConfig| {
            let identifier = &source.identifier.value;
            let current =
                |slot: &Slot| slot.config.identifier.value == *identifier && !slot.stop.is_set();
            self.slots.iter().any(current) || is_given_up(identifier)
        };
        self.slots.iter().all(|slot| slot.threads.is_empty()) && self.wanted.iter().all(has_begun)
    }

    /// What was not read to its end, and why.
    pub(super) fn missing(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        let shown = self.board.lanes();
        for source in &self.wanted {
            let identifier = &source.identifier.value;
            for (id, status) in shown.iter().filter(|(id, _)| id.log_source == *identifier) {
                missing.extend(gaps(id, status));
                let why = match self.ends.get(id) {
                    Some(LaneEnd::CaughtUp) => continue,
                    Some(LaneEnd::Behind(reason)) => reason.clone(),
                    // A gateway reads for it.
                    None if id.lane == NO_LANE && self.is_busy(identifier) => continue,
                    None if id.lane == NO_LANE => status.message.clone(),
                    Some(LaneEnd::Stopped) | None => {
                        "the run was ended before everything was read".to_owned()
                    }
                };
                missing.push(Missing {
                    log_source: identifier.clone(),
                    part: id.lane.clone(),
                    what: "not read to its end".to_owned(),
                    why,
                });
            }
        }
        missing
    }

    /// Nothing is started any more, and all that collects is told to stop.
    pub(super) fn stop(&mut self) {
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

/// What a lane found to be gone, or not to be readable, although it has read everything else.
fn gaps(id: &LaneId, status: &LaneStatus) -> Option<Missing> {
    let count = status.all_gaps();
    let reasons = GapReason::ALL.into_iter();
    let reasons: Vec<&str> = reasons
        .filter(|reason| status.gaps(*reason) > 0)
        .map(GapReason::as_str)
        .collect();
    let last = status.last_gap.as_deref().unwrap_or_default();
    (count > 0).then(|| Missing {
        log_source: id.log_source.clone(),
        part: id.lane.clone(),
        what: match count {
            1 => format!("1 gap ({})", reasons.join(", ")),
            _ => format!("{count} gaps ({})", reasons.join(", ")),
        },
        why: match count {
            1 => last.to_owned(),
            _ => format!("the last one: {last}; the log has a warning for each"),
        },
    })
}

/// How a log source is doing that has no lanes, and need not.
fn idle(message: &str) -> LaneStatus {
    let mut status = LaneStatus::default();
    message.clone_into(&mut status.message);
    status
}

fn failed(source: &LogSourceConfig, error: CollectError) -> RunError {
    RunError::Collect {
        identifier: source.identifier.value.clone(),
        error,
    }
}
