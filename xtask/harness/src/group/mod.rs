//! Kills and starves the processes of a consumer group while records flow, and counts what that costs.
//!
//! A client of others produces records of the Streaming API into a broker of others. Processes of a group deliver them as
//! LEEF into files, each into its own. Another one joins, some are killed with SIGKILL in the middle of the work and
//! others started, and the broker stops for a while. At the end what was produced is compared with what is in the files.
//!
//! Records are produced at a pace, and each act has its share of them, so that there is always more to come. Before a
//! kill or a stop more are produced at once than can be delivered at once. How many were on their way is a part of the outcome, and
//! a kill of a process that has nothing to do is an error.

mod member;
mod outcome;
mod producer;

pub use outcome::{Event, GroupOutcome};

use crate::broker::{Broker, BrokerPrograms};
use crate::chaos::ChaosError;
use crate::stream::{Id, MOST, Stream};
use member::{Account, Member};
use producer::Producer;
use simulator::Random;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What is to be done.
#[derive(Debug, Clone)]
pub struct GroupChaos {
    /// The program, `dsmith` with the feature `kafka`.
    pub program: PathBuf,
    /// The broker and the client of others.
    pub programs: BrokerPrograms,
    /// An empty folder for configurations, state, logs and output.
    pub folder: PathBuf,
    /// How many records are produced.
    pub records: u32,
    /// How often a process is killed.
    pub kills: u32,
    /// Decides the records and the moments.
    pub seed: u64,
}

const PARTITIONS: usize = 8;

const TOPIC: &str = "events";

/// The most events that a process may have read and not acknowledged: few, so that the bound says something.
const IN_MEMORY: u32 = 2000;

/// The name of each output.
const OUTPUT: &str = "events.leef";

/// All records are produced in so long, apart from those that are produced at once before a kill.
const PACE: Duration = Duration::from_secs(60);

/// How long the broker stops. It is longer than the session of a process lasts.
const FREEZE: Duration = Duration::from_secs(10);

/// The longest wait for anything, and for the rest at the end.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Of all records so many in a thousand may be produced until the third process has joined, while the broker stops, and
/// before a kill at once. The rest is for the time after kills: at least half of what a kill has.
const JOINING: u32 = 250;
const FREEZING: u32 = 250;
const BURST: u32 = 80;

/// How often more is produced at once before a kill, until there is something on its way.
const BURSTS: u32 = 10;

/// So many in a thousand more are produced where everything is delivered and a process has not delivered anything yet:
/// others may have read what was there before it was given its partitions.
const MORE: u32 = 2;

/// One run of it.
struct Run<'c> {
    chaos: &'c GroupChaos,
    broker: Broker,
    producer: Producer,
    members: Vec<Member>,
    account: Account,
    random: Random,
    events: Vec<Event>,
    kills: u32,
    begun: Instant,
    /// When records were last granted at the pace, and how many may be produced at it for now.
    paced: Instant,
    cap: u32,
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> ChaosError {
    move |error| ChaosError::Io(what, error)
}

impl GroupChaos {
    /// Does it, runs to the end, and compares.
    ///
    /// # Errors
    /// If a program cannot be started, ends by itself, or does nothing, or if a process had nothing to do when it was
    /// killed. That records are missing is no error but an outcome.
    pub fn run(&self) -> Result<GroupOutcome, ChaosError> {
        let mut run = self.begin()?;
        run.join()?;
        let left = 1000 - JOINING - FREEZING;
        for kill in 0..self.kills {
            run.kill(left / self.kills.max(1))?;
            if kill == 0 {
                run.freeze()?;
            }
        }
        run.finish()?;
        run.outcome()
    }

    fn begin(&self) -> Result<Run<'_>, ChaosError> {
        let broker = Broker::start(&self.programs, &self.folder.join("broker.log"))
            .map_err(failed("cannot start the broker"))?;
        broker
            .topic(TOPIC, PARTITIONS as u32)
            .map_err(failed("cannot make the topic"))?;
        let mut stream = Stream::new(self.seed, PARTITIONS);
        let (records, folder) = (self.records, &self.folder);
        let producer =
            Producer::start(&self.programs, &broker, TOPIC, &mut stream, records, folder)
                .map_err(failed("cannot start the producer"))?;
        let now = Instant::now();
        Ok(Run {
            chaos: self,
            broker,
            producer,
            members: Vec::new(),
            account: Account::new(self.seed, stream.records()),
            random: Random::new(&[self.seed, 2]),
            events: Vec::new(),
            kills: 0,
            begun: now,
            paced: now,
            cap: 0,
        })
    }
}

impl Run<'_> {
    /// Two processes share the partitions, and a third one joins them.
    fn join(&mut self) -> Result<(), ChaosError> {
        for index in 0..2 {
            self.enter()?;
            self.note(format!("process {} starts", index + 1))?;
        }
        self.allow(JOINING / 2);
        self.until_all_deliver()?;
        self.allow(JOINING - JOINING / 2);
        let newcomer = self.enter()?;
        self.note(format!("{} joins them", self.members[newcomer].name))?;
        self.until_all_deliver()
    }

    /// Kills a process in the middle of its work, and starts one: in turns in the folder of the killed one, and in a
    /// folder of its own. Then both it and the others work.
    fn kill(&mut self, per_mille: u32) -> Result<(), ChaosError> {
        let alive: Vec<usize> = (0..self.members.len())
            .filter(|index| self.members[*index].running.is_some())
            .collect();
        let victim = *self.random.pick(&alive);
        let at_once = BURST.min(per_mille / 2);
        let burst = self.producer.granted() + self.share(at_once);
        self.grant(burst)?;
        self.allow(per_mille - at_once);
        for _ in 0..BURSTS {
            let size = self.members[victim].size();
            self.until(
                "until a process delivers",
                Duration::from_millis(1),
                |run| run.members[victim].size() > size,
            )?;
            std::thread::sleep(Duration::from_millis(self.random.below(20)));
            self.look()?;
            if self.producer.confirmed() > self.account.distinct + MOST {
                break;
            }
            // It was quicker than the producer.
            let more = self.producer.granted() + self.share(MORE);
            self.grant(more)?;
        }
        if let Some(mut running) = self.members[victim].running.take() {
            running.kill().map_err(failed("cannot kill the program"))?;
        }
        self.kills += 1;
        let confirmed = self.producer.confirmed();
        let is_to_return = self.kills % 2 == 1;
        let name = self.members[victim].name.clone();
        let what = format!("{name} is killed");
        self.note(what)?;
        // What the broker had before the last look and nobody had delivered at it.
        if confirmed <= self.account.distinct {
            return Err(ChaosError::NothingToDo { what: name });
        }
        if is_to_return {
            self.members[victim]
                .start()
                .map_err(failed("cannot start the program"))?;
            self.note(format!("{name} starts again, with its state"))?;
        } else {
            let newcomer = self.enter()?;
            let what = format!("{} starts in its place", self.members[newcomer].name);
            self.note(what)?;
        }
        self.until_all_deliver()
    }

    /// Stops the broker for a while.
    fn freeze(&mut self) -> Result<(), ChaosError> {
        let burst = self.producer.granted() + self.share(BURST);
        self.grant(burst)?;
        self.allow(FREEZING - BURST);
        self.until_all_deliver()?;
        let (begun, before) = (Instant::now(), self.producer.produced());
        self.broker
            .freeze()
            .map_err(failed("cannot stop the broker"))?;
        self.note("the broker stops".to_owned())?;
        while begun.elapsed() < FREEZE {
            self.look()?;
            std::thread::sleep(PAUSE);
        }
        let produced = self.producer.produced().saturating_sub(before);
        let took = begun.elapsed().as_secs_f64();
        self.note(format!(
            "the broker goes on, {took:.0} s and {produced} records later"
        ))?;
        self.broker
            .thaw()
            .map_err(failed("cannot let the broker go on"))?;
        if produced == 0 {
            let what = "the broker".to_owned();
            return Err(ChaosError::NothingToDo { what });
        }
        self.until_all_deliver()
    }

    /// Lets everything be produced and delivered, or waits for as long as is reasonable, and ends the processes.
    fn finish(&mut self) -> Result<(), ChaosError> {
        self.grant(self.chaos.records)?;
        let begun = Instant::now();
        let mut is_produced = false;
        while begun.elapsed() < LIMIT && !(is_produced && self.is_complete()) {
            self.look()?;
            is_produced = is_produced
                || self
                    .producer
                    .has_ended(&self.chaos.folder)
                    .map_err(failed("not everything was produced"))?;
            std::thread::sleep(PAUSE);
        }
        if !is_produced {
            return Err(self.stalled("until everything is produced"));
        }
        self.note("everything is delivered, or time is up".to_owned())?;
        for index in 0..self.members.len() {
            let Some(mut running) = self.members[index].running.take() else {
                continue;
            };
            running
                .terminate()
                .map_err(failed("cannot stop the program"))?;
            let ended = running.wait(LIMIT);
            match ended.map_err(failed("cannot wait for the program"))? {
                Some(status) if status.success() => {}
                status => {
                    return Err(ChaosError::Ended {
                        status: status.map_or("no end".to_owned(), |status| status.to_string()),
                        log: self.members[index].collector.end_of_log(),
                    });
                }
            }
        }
        self.note("the processes have ended".to_owned())
    }

    fn is_complete(&self) -> bool {
        self.account.distinct == self.chaos.records
    }

    fn outcome(self) -> Result<GroupOutcome, ChaosError> {
        let mut put_out = 0;
        for member in &self.members {
            put_out += member.put_out().map_err(failed("cannot read a log"))?;
        }
        let text = |id: &Id| format!("partition {} record {}", id.partition, id.number);
        Ok(GroupOutcome {
            seed: self.chaos.seed,
            partitions: PARTITIONS,
            produced: self.chaos.records,
            delivered: self.account.distinct,
            missing: self.account.missing().map(|id| text(&id)).collect(),
            repeated: self.account.repeats(),
            kills: self.kills,
            put_out,
            in_memory: IN_MEMORY,
            disordered: self.account.disordered.iter().map(text).collect(),
            unknown: self.account.unknown,
            events: self.events,
            took: self.begun.elapsed(),
        })
    }

    /// Starts a process in a folder of its own; returns its place among the members.
    fn enter(&mut self) -> Result<usize, ChaosError> {
        let index = self.members.len();
        let folder = self.chaos.folder.join(format!("process-{}", index + 1));
        let name = format!("process {}", index + 1);
        let mut member = Member::new(name, &self.chaos.program, folder, PARTITIONS)
            .and_then(|member| {
                let folder = member.collector.folder();
                fs::write(folder.join("dsmith.toml"), self.configuration())?;
                fs::write(folder.join("event-hub"), CONNECTION)?;
                Ok(member)
            })
            .map_err(failed("cannot write a configuration"))?;
        member.start().map_err(failed("cannot start the program"))?;
        self.members.push(member);
        Ok(index)
    }

    fn configuration(&self) -> String {
        format!(
            "state_directory = \"state\"

[limits]
memory_events = {IN_MEMORY}

[[destination]]
name = \"file\"
type = \"file\"
path = \"out/{OUTPUT}\"
batch_events = 100

[[log_source]]
identifier = \"streamed\"
type = \"microsoft-365-defender\"
protocol = \"microsoft-azure-event-hubs\"
destinations = [\"file\"]

[log_source.parameters]
event_hub_connection_string = {{ file = \"event-hub\" }}
endpoint_override = \"{}\"
consumer_group = \"chaos\"
session_timeout_ms = 6000
heartbeat_interval_ms = 1000
eps_throttle = 1000000
",
            self.broker.address()
        )
    }

    /// Writes down what was done, and how things stand.
    fn note(&mut self, what: String) -> Result<(), ChaosError> {
        let produced = self.producer.produced();
        self.look()?;
        self.events.push(Event {
            at: self.begun.elapsed(),
            what,
            produced,
            delivered: self.account.distinct,
        });
        Ok(())
    }

    /// So many in a thousand of all records.
    fn share(&self, per_mille: u32) -> u32 {
        (u64::from(self.chaos.records) * u64::from(per_mille) / 1000) as u32
    }

    /// From now on so many in a thousand of the records may be produced, at the pace.
    fn allow(&mut self, per_mille: u32) {
        self.cap = self.cap.max(self.producer.granted()) + self.share(per_mille);
    }

    /// Whether everything that may be produced for now is delivered: there may be less left than a message has.
    fn is_dry(&self) -> bool {
        let granted = self.producer.granted();
        granted >= self.cap && self.account.distinct + MOST > granted
    }

    fn grant(&mut self, records: u32) -> Result<(), ChaosError> {
        self.producer
            .grant(records)
            .map_err(failed("the producer takes nothing"))
    }

    /// Lets records be produced at the pace, counts what was delivered, and looks whether all processes are there.
    fn look(&mut self) -> Result<(), ChaosError> {
        let due =
            f64::from(self.chaos.records) * self.paced.elapsed().as_secs_f64() / PACE.as_secs_f64();
        if due >= 1.0 {
            self.paced = Instant::now();
            let granted = self.producer.granted();
            if granted < self.cap {
                self.grant((granted + due as u32).min(self.cap))?;
            }
        }
        for member in &mut self.members {
            member
                .count(&mut self.account)
                .map_err(failed("cannot read the output"))?;
            let Some(running) = &mut member.running else {
                continue;
            };
            let ended = running.ended();
            if let Some(status) = ended.map_err(failed("cannot watch the program"))? {
                return Err(ChaosError::Ended {
                    status: status.to_string(),
                    log: member.collector.end_of_log(),
                });
            }
        }
        Ok(())
    }

    /// Waits until every process has delivered something more. Who has nothing to deliver gets something.
    fn until_all_deliver(&mut self) -> Result<(), ChaosError> {
        let sizes: Vec<u64> = self.members.iter().map(Member::size).collect();
        let all_have = |run: &Self| {
            let members = run.members.iter().zip(&sizes);
            members
                .filter(|(member, _)| member.running.is_some())
                .all(|(member, size)| member.size() > *size)
        };
        let begun = Instant::now();
        while !all_have(self) {
            if self.is_dry() {
                if self.producer.granted() >= self.chaos.records {
                    return Err(ChaosError::RanDry);
                }
                self.allow(MORE);
            }
            if begun.elapsed() > LIMIT {
                return Err(self.stalled("until every process delivers"));
            }
            self.look()?;
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn until(
        &mut self,
        what: &'static str,
        pause: Duration,
        is_so: impl Fn(&Self) -> bool,
    ) -> Result<(), ChaosError> {
        let begun = Instant::now();
        while !is_so(self) {
            if begun.elapsed() > LIMIT {
                return Err(self.stalled(what));
            }
            self.look()?;
            std::thread::sleep(pause);
        }
        Ok(())
    }

    fn stalled(&self, what: &'static str) -> ChaosError {
        let logs = self.members.iter().map(|member| {
            let log = member.collector.end_of_log();
            format!("{}:\n{log}\n", member.name)
        });
        ChaosError::Stalled {
            what,
            log: logs.collect(),
        }
    }
}

/// What an event hub is reached with; the broker asks for no password.
const CONNECTION: &str = "Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=listen;SharedAccessKey=aW52ZW50ZWQtZm9yLXRlc3Rz;EntityPath=events";
