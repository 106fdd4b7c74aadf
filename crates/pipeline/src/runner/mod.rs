//! A run: threads that collect, threads that deliver, and one that looks after them.
//!
//! Each lane of a log source has a thread, and so has each destination. They know nothing of each other: all that passes
//! between them is in the store. A configuration is applied by stopping what has changed and starting it anew; a lane
//! whose parameters are the same goes on undisturbed.

mod collecting;
mod delivering;

use crate::collect::{CollectError, Opener, connections};
use crate::config::Config;
use crate::deliver::DeliveryError;
use crate::exposition::Server;
use crate::metrics::Board;
use crate::status::{Rates, Status};
use crate::store::{Store, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use collecting::Collecting;
use delivering::{Delivering, Drain};
use dsm::Mapping;
use protocol::LaneId;
use protocol::clock::{Clock, Stop};
use protocol::secret::Secrets;
use protocol::status::LaneStatus;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

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
    /// Read everything that there is once, deliver it, and end.
    pub once: bool,
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
    /// Events wait for what the configuration no longer has.
    #[error(
        "{events} events of log source `{log_source}` wait for the destination `{destination}`, and the configuration no \
         longer sends them there: put it back until they are delivered, or give them up with `--forget {log_source}/{destination}`"
    )]
    Orphaned {
        /// The log source.
        log_source: String,
        /// The destination.
        destination: String,
        /// How many events wait.
        events: u64,
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

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Report {
    /// How the lanes were doing.
    pub lanes: Vec<(LaneId, LaneStatus)>,
    /// How many events wait, for any destination.
    pub waiting: u64,
    /// Why a destination is gone for good, if that ended the run.
    pub closed: Option<String>,
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

impl Run<'_> {
    /// Runs a plan until it is told to end or, if that was asked for, everything was read once and delivered.
    /// `next_plan` reads the configuration again and gives nothing if it has errors.
    ///
    /// # Errors
    /// It cannot begin, or a part of the program has failed.
    pub fn run(
        &self,
        plan: Plan,
        next_plan: &mut dyn FnMut() -> Option<Plan>,
    ) -> Result<Report, RunError> {
        check_routes(&self.store, &plan.config)?;
        let metrics = plan.config.metrics;
        let stop_server = Stop::new();
        self.serve(metrics, &stop_server)?;
        let result = self.supervise(Arc::new(plan), next_plan);
        stop_server.set();
        result
    }

    fn serve(&self, address: Option<SocketAddr>, stop: &Stop) -> Result<(), RunError> {
        let Some(address) = address else {
            return Ok(());
        };
        let (board, store) = (Arc::clone(&self.board), Arc::clone(&self.store));
        let server = Server::bind(address, board, store, Arc::clone(&self.clock))
            .map_err(|error| RunError::Metrics { address, error })?;
        tracing::info!(%address, "metrics are served");
        let stop = stop.clone();
        thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || server.run(&stop))
            .map_err(RunError::Thread)?;
        Ok(())
    }

    fn supervise(
        &self,
        mut plan: Arc<Plan>,
        next_plan: &mut dyn FnMut() -> Option<Plan>,
    ) -> Result<Report, RunError> {
        let opener = Opener {
            store: &self.store,
            clock: &self.clock,
            secrets: self.secrets,
            seed: self.options.seed,
            transport: &connections,
        };
        let mut collecting = Collecting::new(opener, Arc::clone(&self.board), self.options.once);
        let mut delivering = Delivering::start(self, &plan)?;
        collecting.start(&plan.config)?;
        let mut status = StatusFile::default();
        let mut closed = None;
        loop {
            collecting.tick()?;
            delivering.check()?;
            status.write(self);
            if self.signals.terminate.load(Ordering::Relaxed) {
                tracing::info!("ending: collection stops, delivery goes on for a moment");
                break;
            }
            if let Some(reason) = delivering.closed() {
                tracing::error!("ending: {reason}");
                closed = Some(reason);
                break;
            }
            if self.options.once && collecting.is_done() {
                break;
            }
            if self.signals.reload.swap(false, Ordering::Relaxed)
                && let Some(next) = self.accept(&plan, next_plan)
            {
                delivering.stop()?;
                plan = Arc::new(next);
                delivering = Delivering::start(self, &plan)?;
                collecting.apply(&plan.config);
                tracing::info!("the new configuration is in force");
            }
            thread::sleep(TICK);
        }
        collecting.stop();
        let ending_early = closed.is_some() || self.signals.terminate.load(Ordering::Relaxed);
        if ending_early {
            collecting.wait(self.options.drain);
        }
        let drain = if ending_early {
            Drain::Soon
        } else {
            Drain::All
        };
        let after = self.finish(&mut delivering, drain, &mut status)?;
        status.last = None;
        status.write(self);
        Ok(Report {
            lanes: self.board.lanes(),
            waiting: self
                .store
                .look()?
                .waiting
                .iter()
                .map(|row| row.events)
                .sum(),
            closed: closed.or(after),
        })
    }

    /// Lets delivery come to its end.
    fn finish(
        &self,
        delivering: &mut Delivering,
        drain: Drain,
        status: &mut StatusFile,
    ) -> Result<Option<String>, RunError> {
        delivering.drain(drain);
        let deadline =
            self.clock.now() + TimeDelta::from_std(self.options.drain).unwrap_or(TimeDelta::zero());
        while !delivering.is_done() {
            delivering.check()?;
            status.write(self);
            let told = self.signals.terminate.load(Ordering::Relaxed);
            if (drain == Drain::Soon || told) && self.clock.now() >= deadline {
                break;
            }
            thread::sleep(TICK);
        }
        let closed = delivering.closed();
        delivering.stop()?;
        Ok(closed)
    }

    /// A plan that can take the place of the one that runs.
    fn accept(&self, old: &Plan, next_plan: &mut dyn FnMut() -> Option<Plan>) -> Option<Plan> {
        let next = next_plan()?;
        if next.config.state_directory != old.config.state_directory
            || next.config.metrics != old.config.metrics
        {
            tracing::error!(
                "the old configuration stays in force: `state_directory` and `metrics` change only with a restart"
            );
            return None;
        }
        if let Err(error) = check_routes(&self.store, &next.config) {
            tracing::error!("the old configuration stays in force: {error}");
            return None;
        }
        self.store.set_limits(next.config.limits);
        Some(next)
    }
}

/// Refuses a configuration that leaves waiting events without a destination, and makes a position for each route before
/// anything is collected.
fn check_routes(store: &Store, config: &Config) -> Result<(), RunError> {
    let has_route = |identifier: &str, destination: &str| {
        config.log_sources.iter().any(|source| {
            source.identifier.value == identifier
                && source.destinations.iter().any(|name| name == destination)
        })
    };
    for row in store.look()?.waiting {
        if has_route(&row.identifier, &row.destination) {
            continue;
        }
        if row.events > 0 {
            return Err(RunError::Orphaned {
                log_source: row.identifier,
                destination: row.destination,
                events: row.events,
            });
        }
        // A position that never moves again would keep everything that arrives.
        store.forget(store.source(&row.identifier)?, &row.destination)?;
    }
    for source in &config.log_sources {
        let id = store.source(&source.identifier.value)?;
        for destination in &source.destinations {
            store.position(id, destination)?;
        }
    }
    Ok(())
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
        let status = Status::of(&run.board, &mut self.rates, now);
        if let Err(error) = status.write(run.store.dir()) {
            // It is for looking only.
            tracing::warn!("the status cannot be written: {error}");
        }
    }
}
