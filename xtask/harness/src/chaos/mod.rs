//! Kills a collector at random moments, again and again, does worse things to it meanwhile, and counts what that costs.
//!
//! The program is killed with SIGKILL, so nothing in it can clean up. It collects from a [`Simulator`] and delivers to
//! files that are rotated every few moments, and to a [`Receiver`] over TCP. In some turns an [`Adversary`] comes first:
//! the disk fills, the clock jumps, the receiver hangs. At the end it runs until everything is delivered, and the keys of
//! what arrived are compared with the ledger.

mod adversary;
mod machine;
mod outcome;

pub use adversary::Adversary;
pub use outcome::{Delivered, Moments, Outcome};

use crate::collector::{Collector, Running};
use crate::group::LIMIT;
use crate::receiver::Receiver;
use machine::{Disk, FakedClock, Names, RECEIVER};
use simulator::Random;
use simulator::Stamp;
use simulator::{Feed, Scenario, Service};
use simulator::{Simulator, StartError};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
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
    /// Whether there are adversaries besides SIGKILL.
    pub adversaries: bool,
    /// The library that changes the clock of a program (libfaketime), where there is one.
    pub faketime: Option<PathBuf>,
    /// How long one of twenty of those that are frozen is; the others are for a second.
    pub freeze: Duration,
}

/// At most so many events are sent at once. A crash repeats at most these in the files.
const BATCH: u32 = 20;

/// At most so many alerts are published for each feed before a kill.
const PUBLISHED: u32 = 60;

/// A crash repeats over TCP what its receiver has not confirmed yet, which is what there was to send, as it is confirmed
/// when nothing is left.
const ROUND: u32 = PUBLISHED * FEEDS.len() as u32;

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
    /// The program did not do what an adversary demands of it.
    #[error("{adversary}: {what}; the end of its log:\n{log}")]
    Beaten {
        /// What happened to the program.
        adversary: Adversary,
        /// What it should have done.
        what: String,
        /// The last lines that the program wrote.
        log: String,
    },
    /// Everything was delivered while processes were still to be killed.
    #[error(
        "all records were delivered before the last process was killed, so nothing more came: produce more of them"
    )]
    RanDry,
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

/// How long the program has to obey SIGTERM.
const END: Duration = Duration::from_secs(20);

/// How long the program gets with a damaged state to refuse it.
const REFUSAL: Duration = Duration::from_secs(2);

const DAY: i64 = 24 * 60 * 60;

/// One run of it.
struct Run {
    collector: Collector,
    simulator: Simulator,
    receiver: Receiver,
    /// Lines of receivers that are gone, and how many of their connections ended within a line.
    before: (Vec<Vec<u8>>, u64),
    random: Random,
    moments: Moments,
    others: Vec<Adversary>,
    turns: BTreeMap<Adversary, u32>,
    refused: u32,
    left_out: Vec<String>,
    disk: Option<Disk>,
    clock: Option<FakedClock>,
    names: Option<Names>,
    freeze: Duration,
}

impl Chaos {
    /// Kills, runs to the end, and compares.
    ///
    /// # Errors
    /// If the program cannot be started or ends by itself. That alerts are missing is no error but an outcome.
    pub fn run(&self) -> Result<Outcome, ChaosError> {
        let begun = Instant::now();
        let simulator = Simulator::start(Scenario {
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
        })?;
        let mut run = Run {
            collector: Collector::new(&self.program, &self.folder),
            simulator,
            receiver: Receiver::start().map_err(failed("cannot listen"))?,
            before: Default::default(),
            random: Random::new(&[self.seed]),
            moments: Moments::default(),
            others: Vec::new(),
            turns: BTreeMap::new(),
            refused: 0,
            left_out: Vec::new(),
            disk: None,
            clock: None,
            names: None,
            freeze: self.freeze,
        };
        if self.adversaries {
            run.prepare(&self.folder, self.faketime.as_deref());
        }
        run.configure(0)
            .map_err(failed("cannot write the configuration"))?;
        for _ in 0..self.kills {
            run.turn()?;
        }
        run.finish()?;
        let ledger = run.simulator.ledger();
        let files = run
            .collector
            .files()
            .map_err(failed("cannot read the output"))?;
        let [in_files, received] = run.delivered()?;
        let torn = run.before.1 + run.receiver.torn();
        Ok(Outcome {
            seed: self.seed,
            moments: run.moments,
            files: Delivered::new(&ledger, &in_files, run.bound(BATCH, &[])),
            rotated: files.len(),
            received: Delivered::new(
                &ledger,
                &received,
                run.bound(ROUND, &Adversary::OF_THE_RECEIVER),
            ),
            torn,
            took: begun.elapsed(),
            adversaries: run.turns,
            left_out: run.left_out,
            refused: run.refused,
        })
    }
}

impl Run {
    /// Makes what the adversaries need. Those whose needs cannot be met are left out.
    fn prepare(&mut self, folder: &Path, faketime: Option<&Path>) {
        let mut missing = Vec::new();
        let mut lacks = |adversaries: &[Adversary], why: String| {
            for adversary in adversaries {
                self.left_out.push(format!("{adversary}: {why}"));
            }
            missing.extend_from_slice(adversaries);
        };
        match Disk::mount(folder.join("state")) {
            Ok(disk) => self.disk = Some(disk),
            Err(error) => lacks(
                &[Adversary::FullDisk, Adversary::ReadOnlyDisk],
                format!("a small disk cannot be mounted: {error}"),
            ),
        }
        let clock = faketime.map(|library| FakedClock::new(library.to_owned(), folder));
        match clock {
            Some(Ok(clock)) => {
                self.collector.set_environment(clock.environment());
                self.clock = Some(clock);
            }
            _ => lacks(
                &[Adversary::ClockAhead, Adversary::ClockBack],
                "there is no libfaketime below the target folder; .ci/run unpacks it".to_owned(),
            ),
        }
        match Names::new(folder) {
            Ok(names) => {
                self.collector.set_before(names.before());
                self.names = Some(names);
            }
            Err(error) => lacks(
                &[Adversary::MovingReceiver],
                format!("a mount namespace cannot be made: {error}"),
            ),
        }
        let others = Adversary::OTHERS.into_iter();
        self.others = others
            .filter(|adversary| !missing.contains(adversary))
            .collect();
    }

    /// The most repeats that are in order: so many for each time that the program ended, and for each turn of these
    /// adversaries, in which what was sent may have to be sent again.
    fn bound(&self, each: u32, also: &[Adversary]) -> u32 {
        let turns = self.turns.values().sum::<u32>();
        let also = also
            .iter()
            .filter_map(|adversary| self.turns.get(adversary));
        (turns + also.sum::<u32>()) * each
    }

    fn configure(&self, variant: u64) -> io::Result<()> {
        let address = self.receiver.address();
        if let Some(names) = &self.names {
            names.receiver_is_at(address.ip())?;
        }
        let host = match &self.names {
            Some(_) => RECEIVER.to_owned(),
            None => address.ip().to_string(),
        };
        let destinations = format!(
            "{}
[[destination]]
name = \"receiver\"
type = \"syslog\"
address = \"{host}:{}\"
transport = \"tcp\"
header = \"none\"
format = \"raw\"
batch_events = {BATCH}
",
            files(50 + variant),
            address.port()
        );
        self.collector.configure(&self.simulator, &destinations)
    }

    /// Starts the program, lets it work for a moment, lets an adversary do its worst, kills it.
    fn turn(&mut self) -> Result<(), ChaosError> {
        let adversary = Adversary::choose(&mut self.random, &self.others);
        *self.turns.entry(adversary).or_default() += 1;
        self.simulator.clock().advance(STEP);
        for (service, region) in FEEDS {
            self.simulator
                .publish(service, region, self.random.below(u64::from(PUBLISHED)));
        }
        match adversary {
            Adversary::DamagedState => self.start_damaged()?,
            Adversary::ReadOnlyDisk => self.start_read_only()?,
            Adversary::SilentReceiver | Adversary::DyingReceiver => self.receiver.set_silent(true),
            _ => {}
        }
        let requests = self.simulator.request_count();
        let mut running = self.start()?;
        // One in ten dies on its way up. How long that is depends on the machine and the build, so the others are
        // measured from the first request.
        if self.random.below(10) == 0 && adversary == Adversary::Kill {
            std::thread::sleep(Duration::from_millis(self.random.below(60)));
        } else {
            self.wait_for_request(&mut running, requests)?;
            // Half of them soon, while there is something to do.
            let longest = [60_000, 250_000][usize::from(self.random.below(2) == 0)];
            self.sleep_up_to(Duration::from_micros(longest));
        }
        self.check(&mut running)?;
        let progress = self.simulator.progress();
        let moment = if self.simulator.request_count() == requests {
            &mut self.moments.starting
        } else if progress.unserved > 0 {
            &mut self.moments.collecting
        } else if self.received_count() < progress.shown {
            &mut self.moments.delivering
        } else {
            &mut self.moments.idle
        };
        *moment += 1;
        self.attack(adversary, &mut running)?;
        running.kill().map_err(failed("cannot kill the program"))?;
        self.recover(adversary)
    }

    /// What an adversary does to the running program.
    fn attack(&mut self, adversary: Adversary, running: &mut Running) -> Result<(), ChaosError> {
        const MOMENT: Duration = Duration::from_millis(300);
        match adversary {
            Adversary::Kill | Adversary::DamagedState | Adversary::ReadOnlyDisk => return Ok(()),
            Adversary::Terminate => {
                running
                    .terminate()
                    .map_err(failed("cannot stop the program"))?;
                let ended = running.wait(END);
                let ended = ended.map_err(failed("cannot wait for the program"))?;
                return match ended {
                    Some(status) if status.success() => Ok(()),
                    Some(status) => Err(self.beaten(adversary, format!("it ended with {status}"))),
                    None => Err(self.beaten(
                        adversary,
                        format!("it did not end within {} s", END.as_secs()),
                    )),
                };
            }
            Adversary::Freeze => {
                running
                    .signal("STOP")
                    .map_err(failed("cannot stop the program"))?;
                let is_long = self.random.below(20) == 0;
                std::thread::sleep(if is_long {
                    self.freeze
                } else {
                    Duration::from_secs(1)
                });
                running
                    .signal("CONT")
                    .map_err(failed("cannot wake the program"))?;
            }
            Adversary::Reload => {
                for _ in 0..=self.random.below(2) {
                    let variant = self.random.below(100);
                    self.configure(variant)
                        .map_err(failed("cannot write the configuration"))?;
                    running
                        .signal("HUP")
                        .map_err(failed("cannot signal the program"))?;
                    self.sleep_up_to(MOMENT);
                }
            }
            Adversary::FullDisk => {
                if let Some(disk) = &self.disk {
                    disk.fill().map_err(failed("cannot fill the disk"))?;
                }
            }
            Adversary::ClockAhead | Adversary::ClockBack => {
                let days = if adversary == Adversary::ClockAhead {
                    1
                } else {
                    -1
                };
                if let Some(clock) = &self.clock {
                    clock
                        .set(days * DAY)
                        .map_err(failed("cannot set the clock"))?;
                }
            }
            Adversary::SilentReceiver => {
                self.sleep_up_to(2 * MOMENT);
                self.receiver.set_silent(false);
            }
            Adversary::DyingReceiver => self.receiver_moves(None)?,
            Adversary::MovingReceiver => {
                let number = self.random.below(200);
                let address = Ipv4Addr::new(127, 0, 1, 2 + u8::try_from(number).unwrap_or(0));
                self.receiver_moves(Some(address.into()))?;
            }
        }
        self.sleep_up_to(2 * MOMENT);
        self.check(running)
    }

    /// Makes good again what an adversary has done, once the program is gone.
    fn recover(&mut self, adversary: Adversary) -> Result<(), ChaosError> {
        match adversary {
            Adversary::FullDisk => {
                if let Some(disk) = &self.disk {
                    disk.empty().map_err(failed("cannot empty the disk"))?;
                }
            }
            Adversary::ClockAhead | Adversary::ClockBack => {
                if let Some(clock) = &self.clock {
                    clock.set(0).map_err(failed("cannot set the clock"))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The receiver dies, and another one takes its place: at the same port, on another address if there is one.
    fn receiver_moves(&mut self, to: Option<IpAddr>) -> Result<(), ChaosError> {
        let address = self.receiver.address();
        let next = SocketAddr::new(to.unwrap_or(address.ip()), address.port());
        // The port is free only when the old one is gone.
        let spare = Receiver::start().map_err(failed("cannot listen"))?;
        let (lines, torn) = std::mem::replace(&mut self.receiver, spare).end();
        self.before.0.extend(lines);
        self.before.1 += torn;
        self.receiver = Receiver::start_on(next).map_err(failed("cannot listen"))?;
        if let Some(names) = &self.names {
            names
                .receiver_is_at(next.ip())
                .map_err(failed("cannot move the receiver"))?;
        }
        Ok(())
    }

    /// Starts the program with a damaged copy of the state. It has to refuse the copy, or the damage was harmless.
    fn start_damaged(&mut self) -> Result<(), ChaosError> {
        let folder = self.collector.folder().join("damaged");
        let copy = self.collector.in_folder(&folder);
        copy.configure(&self.simulator, &files(50))
            .map_err(failed("cannot write the configuration"))?;
        self.damage(&folder.join("state"))
            .map_err(failed("cannot damage a copy of the state"))?;
        let mut running = copy
            .start(false)
            .map_err(failed("cannot start the program"))?;
        let ended = running
            .wait(REFUSAL)
            .map_err(failed("cannot wait for the program"))?;
        running.kill().map_err(failed("cannot kill the program"))?;
        let log = copy.log().map_err(failed("cannot read the log"))?;
        let outcome = match ended {
            _ if log.contains("panicked") => Err("it panicked".to_owned()),
            Some(status) if status.success() => Err("it ended as if all were well".to_owned()),
            Some(_) if !log.contains("state") => {
                Err("what it said does not name the state".to_owned())
            }
            Some(_) => {
                self.refused += 1;
                Ok(())
            }
            None => Ok(()),
        };
        outcome.map_err(|what| ChaosError::Beaten {
            adversary: Adversary::DamagedState,
            what,
            log: copy.end_of_log(),
        })?;
        fs::remove_dir_all(&folder).map_err(failed("cannot remove the damaged copy"))
    }

    /// Copies the state, and cuts a file of it or flips some bits.
    fn damage(&mut self, to: &Path) -> io::Result<()> {
        fs::create_dir_all(to)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(self.collector.folder().join("state"))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                let copy = to.join(entry.file_name());
                fs::copy(entry.path(), &copy)?;
                if entry.file_name().to_string_lossy().starts_with("state.db")
                    && entry.metadata()?.len() > 0
                {
                    files.push(copy);
                }
            }
        }
        files.sort();
        if files.is_empty() {
            return Ok(());
        }
        let path = self.random.pick(&files).clone();
        let mut bytes = fs::read(&path)?;
        if self.random.below(2) == 0 {
            bytes.truncate(self.random.below(bytes.len() as u64) as usize);
        } else {
            for _ in 0..=self.random.below(8) {
                let at = self.random.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << self.random.below(8);
            }
        }
        fs::write(path, bytes)
    }

    /// Starts the program where it cannot write. It has to end with an error, and not to wait.
    fn start_read_only(&mut self) -> Result<(), ChaosError> {
        let Some(disk) = &self.disk else {
            return Ok(());
        };
        disk.remount(true)
            .map_err(failed("cannot make the disk read-only"))?;
        let mut running = self.start()?;
        let ended = running
            .wait(END)
            .map_err(failed("cannot wait for the program"))?;
        running.kill().map_err(failed("cannot kill the program"))?;
        disk.remount(false)
            .map_err(failed("cannot make the disk writable"))?;
        match ended {
            Some(status) if !status.success() => Ok(()),
            _ => Err(self.beaten(
                Adversary::ReadOnlyDisk,
                "it should have ended with an error".to_owned(),
            )),
        }
    }

    fn beaten(&self, adversary: Adversary, what: String) -> ChaosError {
        ChaosError::Beaten {
            adversary,
            what,
            log: self.collector.end_of_log(),
        }
    }

    fn wait_for_request(&self, running: &mut Running, before: u64) -> Result<(), ChaosError> {
        let begun = Instant::now();
        while self.simulator.request_count() == before {
            self.check(running)?;
            if begun.elapsed() > START {
                return Err(ChaosError::NothingAsked {
                    log: self.collector.end_of_log(),
                });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn sleep_up_to(&mut self, longest: Duration) {
        let longest = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
        std::thread::sleep(Duration::from_micros(self.random.below(longest)));
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
        let size = |path: PathBuf| fs::metadata(path).map_or(0, |data| data.len());
        Ok(sizes.into_iter().map(size).sum())
    }

    /// How many lines all receivers have read.
    fn received_count(&self) -> u64 {
        self.before.0.len() as u64 + self.receiver.count()
    }

    /// The lines in the files, and those that were received.
    fn delivered(&self) -> Result<[Vec<Vec<u8>>; 2], ChaosError> {
        let lines = self.collector.lines();
        let lines = lines.map_err(failed("cannot read the output"))?;
        let mut received = self.before.0.clone();
        received.extend(self.receiver.lines());
        Ok([lines, received])
    }

    /// Whether everything has arrived everywhere.
    fn is_complete(&self) -> Result<bool, ChaosError> {
        let ledger = self.simulator.ledger();
        Ok(self
            .delivered()?
            .iter()
            .all(|lines| Delivered::new(&ledger, lines, 0).has_everything()))
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

/// Limits for a small disk, and the destination that writes files, which are rotated at so many KiB.
fn files(rotate: u64) -> String {
    format!(
        "[limits]
free_disk = \"1 MiB\"

[[destination]]
name = \"files\"
type = \"file\"
path = \"out/events.log\"
format = \"raw\"
rotate_size = \"{rotate} KiB\"
batch_events = {BATCH}
"
    )
}
