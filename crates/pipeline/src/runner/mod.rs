//! A run: threads that collect, threads that deliver, and one that looks after them.
//!
//! Each lane of a log source has a thread, and so has each destination. They know nothing of each other: all that passes
//! between them is in the store. A configuration is applied by stopping what has changed and starting it anew; a lane
//! whose parameters are the same goes on undisturbed.

mod collecting;
mod delivering;

use crate::collect::{CollectError, Opener, connections};
use crate::config::{Config, Orphan};
use crate::deliver::DeliveryError;
use crate::destination::Destination;
use crate::exposition::{RunPages, Server};
use crate::group::{GroupError, TakingPart};
use crate::metrics::Board;
use crate::status::{Rates, Status, aligned};
use crate::store::{Store, StoreError, WaitingRow};
use chrono::{DateTime, TimeDelta, Utc};
use collecting::Collecting;
use delivering::{Delivering, Drain};
use dsm::Mapping;
use protocol::clock::{Clock, ClockWatch, Stop};
use protocol::secret::Secrets;
use protocol::status::LaneStatus;
use protocol::{Keeps, LaneId, OpenError};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Who knows the mappings.
pub trait Mappings: Send + Sync {
    /// The mapping of a log source type.
    fn mapping(&self, slug: &str) -> Option<&Mapping>;
}

/// A configuration without errors, with the mappings that it needs.
pub struct Plan {
    /// The configuration.
    pub config: Config,
    /// The mappings.
    pub mappings: Box<dyn Mappings>,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// What may be asked of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunOptions {
    /// Read everything that there is once, deliver it, and end. A lane or a destination that gets no further for so long
    /// is given up.
    pub once: Option<Duration>,
    /// How long delivery may go on after the run was told to end.
    pub drain: Duration,
    /// Makes the waits of lanes differ.
    pub seed: u64,
}

/// What the outside asks for while a run goes on.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// End: collect no more, deliver what can be delivered soon, keep the rest.
    pub terminate: Arc<AtomicBool>,
    /// Read the configuration again.
    pub reload: Arc<AtomicBool>,
}

impl Signals {
    /// SIGTERM and SIGINT end the run, and end the process at once when they come a second time: the state is as safe
    /// then as after any other crash. SIGHUP reads the configuration again.
    ///
    /// # Errors
    /// The system refuses.
    pub fn of_process() -> io::Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        use signal_hook::flag;
        let signals = Self::default();
        for signal in [SIGTERM, SIGINT] {
            flag::register_conditional_shutdown(signal, 1, Arc::clone(&signals.terminate))?;
            flag::register(signal, Arc::clone(&signals.terminate))?;
        }
        flag::register(SIGHUP, Arc::clone(&signals.reload))?;
        Ok(signals)
    }
}

/// Why a run cannot begin, or had to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The state cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A log source cannot be opened.
    #[error("log source `{identifier}`: {error}")]
    Collect {
        /// Its identifier.
        identifier: String,
        /// Why not.
        error: CollectError,
    },
    /// A destination cannot be served.
    #[error("destination `{name}`: {error}")]
    Delivery {
        /// Its name.
        name: String,
        /// Why not.
        error: DeliveryError,
    },
    /// A destination cannot be opened.
    #[error("destination `{name}`: {error}")]
    Destination {
        /// Its name.
        name: String,
        /// Why not.
        error: OpenError,
    },
    /// Events wait for what the configuration no longer has.
    #[error(transparent)]
    Orphaned(#[from] Orphan),
    /// The process cannot take part in its group.
    #[error("the group: {0}")]
    Group(#[from] GroupError),
    /// A member of a group never comes to an end.
    #[error(
        "with `[group]` there is no end at which a run could stop by itself: other processes may have the log sources; \
         remove it, or run without --once"
    )]
    GroupOnce,
    /// A listener never comes to an end.
    #[error(
        "log source `{identifier}` listens for what others send, so there is no end at which a run could stop by itself: \
         run without --once, or give the log source `enabled = false`"
    )]
    OnceEndless {
        /// Its identifier.
        identifier: String,
    },
    /// Metrics cannot be served.
    #[error("cannot serve metrics at {address}: {error}")]
    Metrics {
        /// The address.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// A thread has ended by a fault in this program.
    #[error(
        "the thread of {0} has failed, which is a fault of this program; nothing is lost: start it again"
    )]
    Panicked(String),
    /// The system has no more threads.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

impl RunError {
    /// Whether what was asked for on the command line does not go with the configuration.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::GroupOnce | Self::OnceEndless { .. })
    }
}

/// Reads the configuration again; nothing if it has errors, which it has reported.
pub type Loader = Arc<dyn Fn() -> Option<Plan> + Send + Sync>;

/// Something that was there and was not read, or not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Identifier of the log source.
    pub log_source: String,
    /// The lane, or the destination.
    pub part: String,
    /// What is missing.
    pub what: String,
    /// Why, and what to do about it.
    pub why: String,
}

/// What is missing, as a table for people.
pub fn table_of(missing: &[Missing]) -> String {
    let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
    let mut rows = vec![row(["LOG SOURCE", "LANE OR DESTINATION", "MISSING", "WHY"])];
    rows.extend(
        missing
            .iter()
            .map(|one| row([&one.log_source, &one.part, &one.what, &one.why])),
    );
    aligned(&rows)
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Report {
    /// How the lanes were doing.
    pub lanes: Vec<(LaneId, LaneStatus)>,
    /// How many events wait in the spool, for any destination.
    pub waiting: u64,
    /// How many events were read and not delivered that their remotes give again.
    pub undelivered: u64,
    /// Why a destination is gone for good, if that ended the run.
    pub closed: Option<String>,
    /// What was there and was not read, or not delivered. It is complete only for a run with `--once`.
    pub missing: Vec<Missing>,
}

/// What a run is made of.
#[derive(Clone)]
pub struct Run<'a> {
    /// Where everything is kept.
    pub store: Arc<Store>,
    /// What is known of it.
    pub board: Arc<Board>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who knows the secrets.
    pub secrets: &'a dyn Secrets,
    /// What was asked for.
    pub options: RunOptions,
    /// What is asked for meanwhile.
    pub signals: Signals,
}

impl std::fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Run")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

const TICK: Duration = Duration::from_millis(50);
const STATUS_EVERY: TimeDelta = TimeDelta::seconds(2);

/// How long the threads that collect may take to end.
const COLLECTING_ENDS: Duration = Duration::from_secs(10);

/// How long threads that deliver may take to end after what they were sending was given up.
const DELIVERING_ENDS: Duration = Duration::from_secs(1);

/// With `--once`, how long after its patience a run waits for a thread that shows no sign of life. It is longer than any
/// request or connection may take.
const NO_SIGN_OF_LIFE: Duration = Duration::from_secs(240);

impl Run<'_> {
    /// Runs a plan until it is told to end or, if that was asked for, everything was read once and delivered.
    ///
    /// Told to end, it takes no longer than ten seconds for collecting, ten more for its group, [`RunOptions::drain`] for
    /// delivery, and a second. A thread that hangs for longer is left behind; what it was sending is delivered again by
    /// the next run.
    ///
    /// # Errors
    /// It cannot begin, or a part of the program has failed.
    pub fn run(&self, plan: Plan, loader: &Loader) -> Result<Report, RunError> {
        let destinations = self.open(&plan.config)?;
        check_routes(&self.store, &plan.config)?;
        let metrics = plan.config.metrics;
        let stop_server = Stop::new();
        self.serve(metrics, &stop_server)?;
        let result = self.supervise(Arc::new(plan), destinations, loader);
        stop_server.set();
        result
    }

    /// Takes part in the group, if there is one.
    fn group(&self, config: &Config) -> Result<Option<TakingPart>, RunError> {
        let Some(options) = &config.group else {
            return Ok(None);
        };
        if self.options.once.is_some() {
            return Err(RunError::GroupOnce);
        }
        let part = TakingPart::begin(&options.value, self.secrets, &self.clock)?;
        Ok(Some(part))
    }

    fn serve(&self, address: Option<SocketAddr>, stop: &Stop) -> Result<(), RunError> {
        let Some(address) = address else {
            return Ok(());
        };
        let pages = RunPages {
            board: Arc::clone(&self.board),
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
        };
        let server = Server::bind(address, Arc::new(pages))
            .map_err(|error| RunError::Metrics { address, error })?;
        tracing::info!(%address, "metrics are served");
        let stop = stop.clone();
        thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || {
                if let Err(error) = server.run(&stop) {
                    tracing::error!("metrics are not served any more: {error}");
                }
            })
            .map_err(RunError::Thread)?;
        Ok(())
    }

    fn is_told_to_end(&self) -> bool {
        self.signals.terminate.load(Ordering::Relaxed)
    }

    fn supervise(
        &self,
        mut plan: Arc<Plan>,
        destinations: Vec<Box<dyn Destination>>,
        loader: &Loader,
    ) -> Result<Report, RunError> {
        let opener = Opener {
            store: &self.store,
            clock: &self.clock,
            secrets: self.secrets,
            seed: self.options.seed,
            transport: &connections,
        };
        let mut group = self.group(&plan.config)?;
        let shares = group.as_ref().map(|group| Arc::clone(&group.shares));
        let (board, once) = (Arc::clone(&self.board), self.options.once);
        let mut collecting = Collecting::new(opener, board, once, shares);
        // Before anything is delivered, so that a run that is refused does nothing.
        collecting.start(&plan.config)?;
        let mut delivering = Delivering::start(self, &plan, destinations)?;
        let mut status = StatusFile::default();
        let mut reload = Reload::default();
        let mut life = SignsOfLife::default();
        let mut watch = ClockWatch::default();
        let mut closed = None;
        loop {
            if let Some(jump) = watch.look(&*self.clock) {
                report_jump(jump);
            }
            collecting.tick()?;
            delivering.check()?;
            if let Some(group) = &group {
                self.board.set_group(group.shares.status());
                if group.has_failed() {
                    return Err(RunError::Panicked("group".to_owned()));
                }
            }
            status.write(self);
            if self.is_told_to_end() {
                tracing::info!("ending: collection stops, delivery goes on for a moment");
                break;
            }
            if let Some(reason) = delivering.closed() {
                tracing::error!("ending: {reason}");
                closed = Some(reason);
                break;
            }
            if let Some(patience) = once
                && (collecting.is_done()
                    || life.are_missing(&self.board, patience.saturating_add(NO_SIGN_OF_LIFE)))
            {
                break;
            }
            if let Some(next) = reload.next(&self.signals.reload, loader)
                && let Some((next, destinations)) = self.accept(&plan, next)
            {
                plan = Arc::new(next);
                delivering.replace(&plan, destinations)?;
                collecting.apply(&plan.config);
                tracing::info!("the new configuration is in force");
            }
            thread::sleep(TICK);
        }
        collecting.stop();
        let ending_early = closed.is_some() || self.is_told_to_end();
        if ending_early {
            collecting.wait(COLLECTING_ENDS);
        }
        collecting.settle()?;
        if let Some(group) = &mut group {
            // The others go on from what was delivered until now.
            group.end();
        }
        let drain = if ending_early {
            Drain::Soon
        } else {
            Drain::All
        };
        let after = self.finish(&mut delivering, drain, &mut status)?;
        status.last = None;
        status.write(self);
        let rows = self.store.look()?.waiting;
        let waiting = |keeps: Keeps| {
            let rows = rows.iter().filter(|row| row.source.keeps() == keeps);
            rows.map(|row| row.events).sum()
        };
        let mut missing = collecting.missing();
        missing.extend(self.undelivered(&rows));
        Ok(Report {
            lanes: self.board.lanes(),
            waiting: waiting(Keeps::Here),
            undelivered: waiting(Keeps::Remote),
            closed: closed.or(after),
            missing,
        })
    }

    /// What was read and has not been delivered.
    fn undelivered(&self, rows: &[WaitingRow]) -> Vec<Missing> {
        let destinations = self.board.destinations();
        let waiting = rows.iter().filter(|row| row.events > 0).map(|row| {
            let mut named = destinations.iter();
            let status = named.find(|(name, _)| *name == row.destination);
            let message = status.map_or("", |(_, status)| &status.message);
            let kept = match row.source.keeps() {
                Keeps::Here => "they wait in the spool, and the next run delivers them",
                Keeps::Remote => "where they come from they are kept for the next run",
            };
            Missing {
                log_source: row.identifier.clone(),
                part: row.destination.clone(),
                what: format!("{} not delivered", counted(row.events)),
                why: match message {
                    "" => kept.to_owned(),
                    message => format!("{message}; {kept}"),
                },
            }
        });
        let routes = self.board.routes().into_iter();
        let refused = routes.filter_map(|(log_source, part, counts)| {
            let refused = counts.refused.get();
            (refused > 0).then(|| Missing {
                log_source,
                what: format!("{} refused for good", counted(refused)),
                why: format!(
                    "see dead-letters/{part}.ndjson in the state directory for the reason of each"
                ),
                part,
            })
        });
        waiting.chain(refused).collect()
    }

    /// Lets delivery come to its end.
    fn finish(
        &self,
        delivering: &mut Delivering,
        drain: Drain,
        status: &mut StatusFile,
    ) -> Result<Option<String>, RunError> {
        delivering.drain(drain);
        let begun = Instant::now();
        let mut life = SignsOfLife::default();
        while !delivering.is_done() {
            delivering.check()?;
            status.write(self);
            let is_ending = drain == Drain::Soon || self.is_told_to_end();
            if is_ending && begun.elapsed() >= self.options.drain {
                break;
            }
            if let Some(patience) = self.options.once
                && life.are_missing(&self.board, patience.saturating_add(NO_SIGN_OF_LIFE))
            {
                break;
            }
            thread::sleep(TICK);
        }
        let closed = delivering.closed();
        delivering.stop(DELIVERING_ENDS)?;
        Ok(closed)
    }

    /// The destinations of a configuration, in its order.
    fn open(&self, config: &Config) -> Result<Vec<Box<dyn Destination>>, RunError> {
        let destinations = config.destinations.iter();
        destinations
            .map(|destination| {
                destination
                    .open(self.secrets)
                    .map_err(|error| RunError::Destination {
                        name: destination.name.value.clone(),
                        error,
                    })
            })
            .collect()
    }

    /// Whether a plan can take the place of the one that runs: it, and its destinations.
    fn accept(&self, old: &Plan, next: Plan) -> Option<(Plan, Vec<Box<dyn Destination>>)> {
        let group = |plan: &Plan| plan.config.group.as_ref().map(|group| group.value.clone());
        if next.config.state_directory != old.config.state_directory
            || next.config.metrics != old.config.metrics
            || group(&next) != group(old)
        {
            tracing::error!(
                "the old configuration stays in force: `state_directory`, `metrics` and `group` change only with a restart"
            );
            return None;
        }
        let opened = self.open(&next.config).and_then(|destinations| {
            check_routes(&self.store, &next.config)?;
            Ok(destinations)
        });
        match opened {
            Ok(destinations) => {
                self.store.set_limits(next.config.limits);
                Some((next, destinations))
            }
            Err(error) => {
                tracing::error!("the old configuration stays in force: {error}");
                None
            }
        }
    }
}

/// Refuses a configuration that leaves waiting events without a destination, and makes a position for each route before
/// anything is collected.
fn check_routes(store: &Store, config: &Config) -> Result<(), RunError> {
    let rows = store.look()?.waiting;
    if let Some(orphan) = config.orphans(&rows).into_iter().next() {
        return Err(orphan.into());
    }
    let (known, unknown): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| config.delivers(row));
    let sources = config.log_sources.iter();
    store.configure(sources.map(|source| (source.identifier.value.as_str(), source.keeps())))?;
    for source in &config.log_sources {
        let id = store.source(&source.identifier.value)?;
        for destination in &source.destinations {
            store.position(id, destination)?;
        }
    }
    for row in unknown {
        // A position that never moves again would keep everything that arrives.
        let given_up = store.forget(row.source, &row.destination)?;
        if given_up > 0 {
            tracing::warn!(
                log_source = row.identifier,
                destination = row.destination,
                events = given_up,
                "what waited in memory is not delivered there any more; a remote that was not told otherwise keeps it"
            );
        }
    }
    // A log source that is not kept on disk any more has nothing left there once it was delivered.
    for row in known {
        let now = store.source(&row.identifier)?;
        if row.events == 0 && row.source != now {
            store.forget(row.source, &row.destination)?;
        }
    }
    Ok(())
}

fn counted(events: u64) -> String {
    match events {
        1 => "1 event".to_owned(),
        _ => format!("{events} events"),
    }
}

/// Reads the configuration again, in a thread of its own: neither a slow loader nor one that fails holds up the run.
#[derive(Debug, Default)]
struct Reload(Option<JoinHandle<Option<Plan>>>);

impl Reload {
    /// A plan that was loaded, if there is one. Begins to load when that is asked for.
    fn next(&mut self, asked: &AtomicBool, loader: &Loader) -> Option<Plan> {
        if let Some(thread) = self.0.take_if(|thread| thread.is_finished()) {
            return thread.join().unwrap_or_else(|_| {
                tracing::error!(
                    "the old configuration stays in force: reading the new one has failed by a fault of this program; \
                     undo what was changed last in the configuration or a mapping, and report it"
                );
                None
            });
        }
        if self.0.is_some() || !asked.swap(false, Ordering::Relaxed) {
            return None;
        }
        let loader = Arc::clone(loader);
        // A panic ends this thread only.
        let thread = thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || loader());
        match thread {
            Ok(thread) => self.0 = Some(thread),
            Err(error) => tracing::error!(
                "the old configuration stays in force: cannot start a thread: {error}; send SIGHUP again"
            ),
        }
        None
    }
}

/// Notices that nothing in a run has moved for a long time, because a thread hangs where no time limit reaches it.
#[derive(Debug, Default)]
struct SignsOfLife {
    /// What was counted, and when that changed last.
    last: Option<(u64, Instant)>,
}

impl SignsOfLife {
    /// Whether nothing has moved for so long.
    fn are_missing(&mut self, board: &Board, limit: Duration) -> bool {
        let lanes = board.lanes().into_iter();
        let lanes = lanes.map(|(_, status)| {
            status.payloads
                + status.requests
                + status.duplicates
                + status.rounds
                + u64::from(status.failures)
        });
        let routes = board.routes().into_iter();
        let routes = routes.map(|(_, _, counts)| counts.events() + counts.refused.get());
        let failures = board.destinations().into_iter();
        let failures = failures.map(|(_, status)| status.failures);
        let counted = lanes
            .chain(routes)
            .chain(failures)
            .fold(0, u64::wrapping_add);
        match self.last {
            Some((before, since)) if before == counted => since.elapsed() >= limit,
            _ => {
                self.last = Some((counted, Instant::now()));
                false
            }
        }
    }
}

/// Says that somebody has set the clock of the machine. Nobody waits by it; what is said is for who reads time stamps.
fn report_jump(jump: TimeDelta) {
    let direction = if jump < TimeDelta::zero() {
        "back"
    } else {
        "forward"
    };
    tracing::warn!(
        seconds = jump.num_seconds(),
        "the clock of this machine was set {direction} by {} seconds: collection and delivery go on as before; events get \
         their time of receipt from the clock as it is now",
        jump.num_seconds().abs()
    );
}

/// Writes the status every few seconds.
#[derive(Debug, Default)]
struct StatusFile {
    rates: Rates,
    last: Option<DateTime<Utc>>,
}

impl StatusFile {
    fn write(&mut self, run: &Run<'_>) {
        let now = run.clock.now();
        if self
            .last
            .is_some_and(|last| (now - last).abs() < STATUS_EVERY)
        {
            return;
        }
        self.last = Some(now);
        let waiting = run.store.look_at_memory();
        let status = Status::of(&run.board, &waiting, &mut self.rates, run.clock.wall());
        if let Err(error) = status.write(run.store.dir()) {
            // It is for looking only.
            tracing::warn!("the status cannot be written: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Limits;
    use dsm::diagnostic::SourceFile;
    use std::path::Path;

    /// A configuration with a log source `hub` of this protocol that goes to these destinations.
    fn config(protocol: &str, destinations: &[&str]) -> Config {
        let mut text = "state_directory = \"state\"\n".to_owned();
        for name in destinations {
            text += &format!("[[destination]]\nname = \"{name}\"\ntype = \"stdout\"\n");
        }
        let parameters = match protocol {
            "file" => "\n[log_source.parameters]\npath = \"alerts.json\"\nformat = \"json\"",
            _ => "",
        };
        text += &format!(
            "[[log_source]]\nidentifier = \"hub\"\ntype = \"example-vpn\"\nprotocol = \"{protocol}\"\n\
             destinations = {destinations:?}{parameters}\n"
        );
        let file = SourceFile::new("dsmith.toml", text);
        let (config, findings) = crate::config::read(&file, Path::new("/"));
        assert!(!findings.has_errors(), "{findings:?}");
        config
    }

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits {
            free: 0,
            ..Limits::default()
        };
        let store = Store::open(dir.path(), limits).unwrap();
        (dir, store)
    }

    fn accept(store: &Store, events: usize) {
        let source = store.source("hub").unwrap();
        let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        store
            .accept(source, "all", &vec!["x"; events], None, now)
            .unwrap();
    }

    /// Destination, who keeps it, how many events wait.
    fn waiting(store: &Store) -> Vec<(String, Keeps, u64)> {
        let rows = store.look().unwrap().waiting.into_iter();
        rows.map(|row| (row.destination, row.source.keeps(), row.events))
            .collect()
    }

    #[test]
    fn a_destination_for_which_events_wait_on_disk_or_in_memory_is_not_taken_away() {
        for protocol in ["gateway", "file"] {
            let (_dir, store) = store();
            check_routes(&store, &config(protocol, &["out", "old"])).unwrap();
            accept(&store, 3);
            let changed = check_routes(&store, &config(protocol, &["out"]));
            assert!(changed.is_err(), "{protocol}");
            assert_eq!(waiting(&store).len(), 2);
            let source = store.source("hub").unwrap();
            let all = crate::store::Position::at(4);
            store.advance(source, "old", &all).unwrap();
            check_routes(&store, &config(protocol, &["out"])).unwrap();
            assert_eq!(waiting(&store).len(), 1);
        }
    }

    #[test]
    fn what_is_left_on_disk_of_a_log_source_that_now_waits_in_memory_is_delivered_too() {
        let (_dir, store) = store();
        check_routes(&store, &config("file", &["out"])).unwrap();
        accept(&store, 3);
        check_routes(&store, &config("gateway", &["out"])).unwrap();
        accept(&store, 2);
        let out = "out".to_owned();
        let disk = (out.clone(), Keeps::Here, 3);
        assert_eq!(waiting(&store), [disk, (out.clone(), Keeps::Remote, 2)]);
        let left = store.look().unwrap().waiting[0].source;
        store
            .advance(left, "out", &crate::store::Position::at(4))
            .unwrap();
        check_routes(&store, &config("gateway", &["out"])).unwrap();
        assert_eq!(waiting(&store), [(out, Keeps::Remote, 2)]);
    }

    #[test]
    fn a_run_in_which_nothing_moves_shows_no_sign_of_life() {
        let board = Board::default();
        let id = LaneId {
            log_source: "hub".to_owned(),
            lane: "eu".to_owned(),
        };
        board.begin_lanes("hub", std::slice::from_ref(&id), DateTime::UNIX_EPOCH);
        let mut status = LaneStatus::default();
        let mut life = SignsOfLife::default();
        // The first look is a beginning.
        assert!(!life.are_missing(&board, Duration::ZERO));
        assert!(life.are_missing(&board, Duration::ZERO));
        assert!(!life.are_missing(&board, Duration::from_secs(3600)));
        status.requests = 1;
        board.set_lane(&id, &status);
        assert!(!life.are_missing(&board, Duration::ZERO));
        board.route("hub", "out").mapped.add(1);
        assert!(!life.are_missing(&board, Duration::ZERO));
        board
            .destination("out")
            .failed(DateTime::UNIX_EPOCH, "away");
        assert!(!life.are_missing(&board, Duration::ZERO));
        assert!(life.are_missing(&board, Duration::ZERO));
    }

    #[test]
    fn what_is_in_memory_of_a_log_source_that_is_now_kept_on_disk_is_let_go() {
        let (_dir, store) = store();
        check_routes(&store, &config("gateway", &["out"])).unwrap();
        accept(&store, 3);
        check_routes(&store, &config("file", &["out"])).unwrap();
        assert_eq!(waiting(&store), [("out".to_owned(), Keeps::Here, 0)]);
        assert_eq!(store.look().unwrap().memory_bytes, 0);
        accept(&store, 1);
        assert_eq!(waiting(&store), [("out".to_owned(), Keeps::Here, 1)]);
    }
}
