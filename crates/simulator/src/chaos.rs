//! Kills a collector at random moments, again and again, and counts what that costs.
//!
//! The program is killed with SIGKILL, so nothing in it can clean up. It collects from a [`Simulator`] and delivers to
//! files that are rotated every few moments, and to a [`Receiver`] over TCP. At the end it runs until everything is
//! delivered, and the keys of what arrived are compared with the ledger.

use crate::collector::{Collector, Running, keys_of};
use crate::group::LIMIT;
use crate::ledger::{Comparison, Ledger};
use crate::random::Random;
use crate::receiver::Receiver;
use crate::scenario::{Feed, Scenario, Service};
use crate::server::{Simulator, StartError};
use crate::stamp::Stamp;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Chaos {
    /// The program, `dsmith`.
    pub program: PathBuf,
    /// An empty folder for its configuration, state, log and output.
    pub folder: PathBuf,
    /// How often it is killed.
    pub kills: u32,
    /// Decides the moments.
    pub seed: u64,
}

/// At most so many events are sent at once. A crash repeats at most these in the files.
const BATCH: u32 = 20;

/// At most so many alerts are published for each feed before a kill.
const PUBLISHED: u32 = 60;

/// A crash repeats over TCP what its receiver has not confirmed yet, which is what there was to send, as it is confirmed
/// when nothing is left.
const ROUND: u32 = PUBLISHED * 4;

/// What the program was doing when it was killed, as far as that shows from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moments {
    /// It had asked for nothing yet.
    pub starting: u32,
    /// There was something to fetch.
    pub collecting: u32,
    /// Everything was fetched, not everything delivered.
    pub delivering: u32,
    /// Everything was delivered.
    pub idle: u32,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// What decided the alerts and the moments.
    pub seed: u64,
    /// When the program was killed.
    pub moments: Moments,
    /// What is in the files.
    pub files: Delivered,
    /// How many files there are.
    pub rotated: usize,
    /// What was received over TCP.
    pub received: Delivered,
    /// Connections that ended within a line.
    pub torn: u64,
    /// The most repeats in the files that are in order.
    pub bound: u32,
    /// The same for what was received over TCP.
    pub received_bound: u32,
    /// How long all of it took.
    pub took: Duration,
}

/// What one destination got.
#[derive(Debug)]
pub struct Delivered {
    /// How many lines.
    pub lines: usize,
    /// The lines beside the ledger.
    pub comparison: Comparison,
}

impl Delivered {
    fn new(ledger: &Ledger, lines: &[Vec<u8>]) -> Self {
        Self {
            lines: lines.len(),
            comparison: ledger.compare(keys_of(lines)),
        }
    }

    fn has_everything(&self) -> bool {
        self.comparison.missing.is_empty()
    }
}

impl Outcome {
    /// Whether nothing was lost, nothing invented, and no more repeated than is in order.
    pub fn passed(&self) -> bool {
        let of = [
            (&self.files, self.bound),
            (&self.received, self.received_bound),
        ];
        of.into_iter().all(|(delivered, bound)| {
            delivered.has_everything()
                && delivered.comparison.unknown.is_empty()
                && delivered.comparison.repeats() <= bound
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moments {
            starting,
            collecting,
            delivering,
            idle,
        } = self.moments;
        writeln!(
            f,
            "seed {}: killed {} times in {:.0} s: {starting} while it started, {collecting} while it collected, \
             {delivering} while it only delivered, {idle} while it was idle",
            self.seed,
            starting + collecting + delivering + idle,
            self.took.as_secs_f64()
        )?;
        write!(
            f,
            "{:<12} {:>9} {:>9} {:>8} {:>9} {:>6} {:>8}",
            "DESTINATION", "PRODUCED", "DELIVERED", "MISSING", "REPEATED", "BOUND", "UNKNOWN"
        )?;
        let files = format!("{} files", self.rotated);
        for (name, Delivered { lines, comparison }, bound) in [
            (files.as_str(), &self.files, self.bound),
            ("tcp", &self.received, self.received_bound),
        ] {
            write!(
                f,
                "\n{name:<12} {:>9} {lines:>9} {:>8} {:>9} {:>6} {:>8}",
                comparison.expected,
                comparison.missing.len(),
                comparison.repeats(),
                bound,
                comparison.unknown.len()
            )?;
        }
        if !self.passed() {
            write!(
                f,
                "\nfiles: {}\ntcp: {}",
                self.files.comparison, self.received.comparison
            )?;
        }
        Ok(())
    }
}

/// Why it came to no outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChaosError {
    /// Something that has to work did not.
    #[error("{0}: {1}")]
    Io(&'static str, io::Error),
    /// The simulator does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The program ended by itself.
    #[error("the program ended by itself with {status}; the end of its log:\n{log}")]
    Ended {
        /// How it ended.
        status: String,
        /// The last lines that it wrote.
        log: String,
    },
    /// The program asked for nothing after a start.
    #[error("nothing was asked for within {} s after a start; the end of the log:\n{log}", START.as_secs())]
    NothingAsked {
        /// The last lines that the program wrote.
        log: String,
    },
    /// Something that has to happen did not.
    #[error("waited for {} s {what}; the ends of the logs:\n{log}", LIMIT.as_secs())]
    Stalled {
        /// What was waited for.
        what: &'static str,
        /// The last lines that the programs wrote.
        log: String,
    },
    /// What was killed or stopped had nothing to do, so it shows nothing.
    #[error("no record was on its way when {what} was stopped, so it would show nothing")]
    NothingToDo {
        /// What was killed or stopped.
        what: String,
    },
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> ChaosError {
    move |error| ChaosError::Io(what, error)
}

/// So much time passes for the simulator from kill to kill: more than collectors reach back for late arrivals, so that a
/// start asks for what is new and not for everything so far.
const STEP: Duration = Duration::from_secs(360);

/// The longest wait for the first request after a start, and for the rest at the end.
const START: Duration = Duration::from_secs(30);
const REST: Duration = Duration::from_secs(120);

/// Between two looks at the rest.
const PAUSE: Duration = Duration::from_millis(250);

/// Where alerts are published.
const FEEDS: [(Service, &str); 4] = [
    (Service::SiemApi, "eu"),
    (Service::SiemApi, "us"),
    (Service::MdeApi, ""),
    (Service::Graph, ""),
];

/// One run of it.
struct Run {
    collector: Collector,
    simulator: Simulator,
    receiver: Receiver,
    random: Random,
    moments: Moments,
}

impl Chaos {
    /// Kills, runs to the end, and compares.
    ///
    /// # Errors
    /// If the program cannot be started or ends by itself. That alerts are missing is no error but an outcome.
    pub fn run(&self) -> Result<Outcome, ChaosError> {
        let begun = Instant::now();
        let mut run = Run {
            collector: Collector::new(&self.program, &self.folder),
            simulator: Simulator::start(Scenario {
                seed: self.seed,
                // The program's clock is that of the machine, so the simulator begins in the past.
                start: Some(Stamp::now() - STEP * (self.kills + 1)),
                feeds: vec![
                    Feed::siem("eu"),
                    Feed::siem("us"),
                    Feed::mde(),
                    Feed::graph(),
                ],
                // Several pages, and so several commits, in a round.
                mde_page: 20,
                graph_page: 20,
                ..Scenario::default()
            })?,
            receiver: Receiver::start().map_err(failed("cannot listen"))?,
            random: Random::new(&[self.seed]),
            moments: Moments::default(),
        };
        run.configure()
            .map_err(failed("cannot write the configuration"))?;
        for _ in 0..self.kills {
            run.kill_once()?;
        }
        run.finish()?;
        let ledger = run.simulator.ledger();
        let lines = run
            .collector
            .lines()
            .map_err(failed("cannot read the output"))?;
        let files = run
            .collector
            .files()
            .map_err(failed("cannot read the output"))?;
        Ok(Outcome {
            seed: self.seed,
            moments: run.moments,
            files: Delivered::new(&ledger, &lines),
            rotated: files.len(),
            received: Delivered::new(&ledger, &run.receiver.lines()),
            torn: run.receiver.torn(),
            bound: self.kills * BATCH,
            received_bound: self.kills * ROUND,
            took: begun.elapsed(),
        })
    }
}

impl Run {
    fn configure(&self) -> io::Result<()> {
        let destinations = format!(
            "[[destination]]
name = \"files\"
type = \"file\"
path = \"out/events.log\"
format = \"raw\"
rotate_size = \"50 KiB\"
batch_events = {BATCH}

[[destination]]
name = \"receiver\"
type = \"syslog\"
address = \"{}\"
transport = \"tcp\"
header = \"none\"
format = \"raw\"
batch_events = {BATCH}
",
            self.receiver.address()
        );
        self.collector.configure(&self.simulator, &destinations)
    }

    /// Starts the program, lets it work for a moment, kills it.
    fn kill_once(&mut self) -> Result<(), ChaosError> {
        self.simulator.clock().advance(STEP);
        for (service, region) in FEEDS {
            self.simulator
                .publish(service, region, self.random.below(u64::from(PUBLISHED)));
        }
        let requests = self.simulator.request_count();
        let mut running = self.start()?;
        // One in ten dies on its way up. How long that is depends on the machine and the build, so the others are
        // measured from the first request.
        if self.random.below(10) == 0 {
            std::thread::sleep(Duration::from_millis(self.random.below(60)));
        } else {
            let begun = Instant::now();
            while self.simulator.request_count() == requests {
                self.check(&mut running)?;
                if begun.elapsed() > START {
                    return Err(ChaosError::NothingAsked {
                        log: self.collector.end_of_log(),
                    });
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            // Half of them soon, while there is something to do.
            let longest = [60_000, 250_000][usize::from(self.random.below(2) == 0)];
            std::thread::sleep(Duration::from_micros(self.random.below(longest)));
        }
        self.check(&mut running)?;
        let progress = self.simulator.progress();
        let moment = if self.simulator.request_count() == requests {
            &mut self.moments.starting
        } else if progress.unserved > 0 {
            &mut self.moments.collecting
        } else if self.receiver.count() < progress.shown {
            &mut self.moments.delivering
        } else {
            &mut self.moments.idle
        };
        *moment += 1;
        running.kill().map_err(failed("cannot kill the program"))
    }

    /// Lets the program run until everything is delivered or it has had its time.
    fn finish(&self) -> Result<(), ChaosError> {
        let mut running = self.start()?;
        let begun = Instant::now();
        let mut before = None;
        while begun.elapsed() < REST {
            self.check(&mut running)?;
            std::thread::sleep(PAUSE);
            let now = (self.written()?, self.receiver.count());
            // To compare takes longer than to look whether anything still comes.
            let is_still = before.replace(now) == Some(now);
            if is_still && self.simulator.progress().unserved == 0 && self.is_complete()? {
                break;
            }
        }
        running
            .terminate()
            .map_err(failed("cannot stop the program"))?;
        let ended = running.wait(START);
        match ended.map_err(failed("cannot wait for the program"))? {
            Some(status) if status.success() => Ok(()),
            status => Err(ChaosError::Ended {
                status: status.map_or("no end".to_owned(), |status| status.to_string()),
                log: self.collector.end_of_log(),
            }),
        }
    }

    /// How many bytes the files have.
    fn written(&self) -> Result<u64, ChaosError> {
        let files = self.collector.files();
        let sizes = files.map_err(failed("cannot read the output"))?;
        // One that is renamed at this moment changes the sum, and so makes us look again.
        let size = |path: PathBuf| std::fs::metadata(path).map_or(0, |data| data.len());
        Ok(sizes.into_iter().map(size).sum())
    }

    /// Whether everything has arrived everywhere.
    fn is_complete(&self) -> Result<bool, ChaosError> {
        let ledger = self.simulator.ledger();
        let lines = self
            .collector
            .lines()
            .map_err(failed("cannot read the output"))?;
        Ok([lines, self.receiver.lines()]
            .iter()
            .all(|lines| Delivered::new(&ledger, lines).has_everything()))
    }

    fn start(&self) -> Result<Running, ChaosError> {
        self.collector
            .start(false)
            .map_err(failed("cannot start the program"))
    }

    fn check(&self, running: &mut Running) -> Result<(), ChaosError> {
        match running
            .ended()
            .map_err(failed("cannot watch the program"))?
        {
            None => Ok(()),
            Some(status) => Err(ChaosError::Ended {
                status: status.to_string(),
                log: self.collector.end_of_log(),
            }),
        }
    }
}
