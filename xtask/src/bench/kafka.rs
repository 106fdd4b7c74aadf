//! `cargo xtask bench kafka`: what reading from a broker costs beside reading from a file, and what a second process
//! gains.
//!
//! The same records lie in a file and in a topic of a broker of others. `dsmith run` delivers them as LEEF to a file: one
//! process from the file, one from the topic, and two that share the topic. The ways take turns for some rounds. A group
//! needs seconds until it has divided the partitions, so a way is measured from the moment when a tenth of all events is
//! delivered and every process has begun, until nine tenths are; the size of the output tells how many that is.

use super::{Kind, Work, build, put_tables};
use crate::chaos::{NO_BROKER, target};
use crate::delivery::median;
use crate::{say, tell};
use anyhow::{Context, bail};
use clap::Args;
use harness::{Broker, BrokerPrograms, Collector, Running};
use measure::corpus::Corpus;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
pub(crate) struct KafkaArgs {
    /// Records that are delivered in each way and round.
    #[arg(long, value_name = "N", default_value_t = 450_000)]
    records: u64,
    /// Put the table into the marked block of this document.
    #[arg(long, value_name = "FILE")]
    doc: Option<PathBuf>,
}

/// Rounds, in each of which every way has its turn; medians are shown.
const ROUNDS: usize = 3;

/// Different records; they repeat after that. A multiple of what is in an envelope.
const DIFFERENT: usize = 3000;

const PARTITIONS: u32 = 8;

const TOPIC: &str = "events";

/// The shares of the events that are delivered when measuring begins and ends. At the end partitions run dry one by one.
const FROM: f64 = 0.1;
const TO: f64 = 0.9;

/// The longest that a way may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Between two looks at the outputs.
const PAUSE: Duration = Duration::from_millis(5);

/// The block of the document.
const BLOCK: &str = "kafka";

/// What an event hub is reached with; the broker asks for no password.
const CONNECTION: &str = "Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=listen;SharedAccessKey=aW52ZW50ZWQtZm9yLXRlc3Rz;EntityPath=events";

/// Produces the lines of a file, each to the next partition.
const PRODUCE: &str = r#"
import sys
from confluent_kafka import Producer
address, topic, partitions, path = sys.argv[1:]
producer = Producer({"bootstrap.servers": address, "queue.buffering.max.kbytes": 200000})
failed = []
with open(path, "rb") as lines:
    for number, line in enumerate(lines):
        while len(producer) > 1000:
            producer.poll(0.01)
        producer.produce(topic, line.rstrip(b"\n"), partition=number % int(partitions),
                         callback=lambda error, message: failed.append(error) if error else None)
left = producer.flush(60)
sys.exit(f"{left} left, {failed[:1]}" if left or failed else 0)
"#;

const WAYS: usize = 5;

/// Where records come from, how many processes read them, and whether each batch is forced to the disk. Where it is, the
/// disk may be what limits both one process and two.
#[derive(Clone, Copy)]
enum Way {
    File,
    Broker { processes: usize, synced: bool },
}

impl Way {
    const ALL: [Self; WAYS] = [
        Self::File,
        Self::Broker {
            processes: 1,
            synced: true,
        },
        Self::Broker {
            processes: 2,
            synced: true,
        },
        Self::Broker {
            processes: 1,
            synced: false,
        },
        Self::Broker {
            processes: 2,
            synced: false,
        },
    ];

    fn name(self) -> String {
        let Self::Broker { processes, synced } = self else {
            return "file to file, 1 process".to_owned();
        };
        let plural = if processes == 1 { "" } else { "es" };
        let synced = if synced { "" } else { ", not synced" };
        format!("broker to file, {processes} process{plural}{synced}")
    }

    fn processes(self) -> usize {
        match self {
            Self::File => 1,
            Self::Broker { processes, .. } => processes,
        }
    }
}

/// What the measured part of a way took.
#[derive(Clone, Copy)]
struct Took {
    events: f64,
    wall: Duration,
    /// Of all processes of dsmith.
    processor: Duration,
    broker: Duration,
    /// The most that a process ever had, in kilobytes.
    peak: u64,
}

impl Took {
    fn per_second(&self) -> f64 {
        self.events / self.wall.as_secs_f64()
    }

    fn micros(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.events
    }

    fn cores(&self) -> f64 {
        self.processor.as_secs_f64() / self.wall.as_secs_f64()
    }

    fn broker_cores(&self) -> f64 {
        self.broker.as_secs_f64() / self.wall.as_secs_f64()
    }
}

/// How things stood at a moment.
#[derive(Clone)]
struct Sample {
    at: Instant,
    /// What each process had delivered, in bytes.
    bytes: Vec<u64>,
    processor: Duration,
    broker: Duration,
}

impl Sample {
    fn delivered(&self) -> u64 {
        self.bytes.iter().sum()
    }
}

struct Bench {
    dsmith: PathBuf,
    folder: tempfile::TempDir,
    broker: Broker,
    records: u64,
    /// What all records are in the output, in bytes.
    size: u64,
}

pub(super) fn run(args: &KafkaArgs) -> anyhow::Result<bool> {
    let Some(programs) = BrokerPrograms::find(&target()) else {
        bail!(NO_BROKER);
    };
    tell("building\n");
    let dsmith = build("dsmith", Kind::Bin, "dsmith", &["kafka"])?;
    let work = Work::new(&dsmith)?;
    let folder = tempfile::tempdir_in(work.file("")).context("cannot make a temporary folder")?;
    let records = args.records.next_multiple_of(DIFFERENT as u64);
    let broker = Broker::start(&programs, &folder.path().join("broker.log"))
        .context("cannot start the broker")?;
    let mut bench = Bench {
        dsmith,
        folder,
        broker,
        records,
        size: 0,
    };
    tell("producing\n");
    let each = bench.prepare(&programs)?;
    let mut rounds: Vec<[Took; WAYS]> = Vec::new();
    for round in 0..ROUNDS {
        let mut took = Vec::new();
        for way in Way::ALL {
            tell(&format!("round {}, {}\n", round + 1, way.name()));
            took.push(bench.measure(way, round)?);
        }
        rounds.extend(<[Took; WAYS]>::try_from(took));
    }
    let text = format!(
        "{records} records of the Streaming API, {each} bytes each, 50 in a message, 8 partitions, nothing compressed;\n\
         LEEF 1.0, the file synced for each batch of 500, except where it says not; {ROUNDS} rounds, medians\n\n{}",
        table(&rounds)
    );
    say(&text)?;
    if let Some(path) = &args.doc {
        put_tables(path, &[(BLOCK, text)])?;
    }
    Ok(true)
}

impl Bench {
    /// Puts the records into the file and the topic, delivers them once, so that the size of the output is known, and
    /// returns how many bytes a record has.
    fn prepare(&mut self, programs: &BrokerPrograms) -> anyhow::Result<usize> {
        let corpus = Corpus::streaming(DIFFERENT);
        let envelopes = Corpus::wire(&corpus.payloads, true);
        let path = self.folder.path().join("records");
        let mut file = fs::File::create(&path)?;
        for _ in 0..self.records / DIFFERENT as u64 {
            file.write_all(&envelopes)
                .context("cannot write the records")?;
        }
        drop(file);
        self.broker
            .topic(TOPIC, PARTITIONS)
            .context("cannot make the topic")?;
        let partitions = PARTITIONS.to_string();
        let arguments = [
            &self.broker.address(),
            TOPIC,
            &partitions,
            &path.to_string_lossy(),
        ];
        let produced = programs.script(PRODUCE, &arguments).output()?;
        if !produced.status.success() {
            bail!(
                "cannot produce: {}",
                String::from_utf8_lossy(&produced.stderr)
            );
        }
        tell("delivering once\n");
        let collector = self.collector(Way::File, "once")?;
        let mut running = collector.start(true)?;
        let ended = running.wait(LIMIT)?;
        let output = output(&collector);
        if !ended.is_some_and(|status| status.success()) {
            bail!("dsmith did not end well: {}", collector.log()?);
        }
        let lines = BufReader::new(fs::File::open(&output)?).split(b'\n');
        let lines = lines.count() as u64;
        if lines != self.records {
            bail!(
                "{lines} events were delivered of {} records in a file",
                self.records
            );
        }
        self.size = fs::metadata(&output)?.len();
        fs::remove_dir_all(collector.folder())?;
        Ok(corpus.bytes() / DIFFERENT)
    }

    /// A folder with a configuration. The name is that of the group too.
    fn collector(&self, way: Way, name: &str) -> anyhow::Result<Collector> {
        let folder = self.folder.path().join(name);
        let group = name.split('.').next().unwrap_or(name);
        let source = match way {
            Way::File => "protocol = \"file\"
destinations = [\"file\"]

[log_source.parameters]
path = \"../records\"
format = \"json\"
mode = \"once\"
eps_throttle = 1000000"
                .to_owned(),
            Way::Broker { .. } => format!(
                "protocol = \"microsoft-azure-event-hubs\"
destinations = [\"file\"]

[log_source.parameters]
event_hub_connection_string = {{ file = \"event-hub\" }}
endpoint_override = \"{}\"
consumer_group = \"{group}\"
session_timeout_ms = 6000
heartbeat_interval_ms = 1000
eps_throttle = 1000000",
                self.broker.address()
            ),
        };
        let sync = match way {
            Way::Broker { synced: false, .. } => "never",
            _ => "batch",
        };
        let text = format!(
            "state_directory = \"state\"

[[destination]]
name = \"file\"
type = \"file\"
path = \"out/events.leef\"
sync = \"{sync}\"

[[log_source]]
identifier = \"streamed\"
type = \"microsoft-365-defender\"
{source}
"
        );
        fs::create_dir_all(folder.join("out"))?;
        fs::write(folder.join("dsmith.toml"), text)?;
        fs::write(folder.join("event-hub"), CONNECTION)?;
        Ok(Collector::new(&self.dsmith, folder))
    }

    /// Delivers everything once more.
    fn measure(&self, way: Way, round: usize) -> anyhow::Result<Took> {
        let mut collectors = Vec::new();
        for process in 0..way.processes() {
            let name = format!("{}.{process}", way.name().replace([',', ' '], "-"));
            let name = format!("{round}-{name}");
            collectors.push(self.collector(way, &name)?);
        }
        let mut running = Vec::new();
        for collector in &collectors {
            running.push(collector.start(false).context("cannot start dsmith")?);
        }
        let begun = Instant::now();
        let mut samples = Vec::new();
        loop {
            let sample = self.sample(&collectors, &running)?;
            let delivered = sample.delivered();
            samples.push(sample);
            if delivered >= self.size {
                break;
            }
            for (collector, running) in collectors.iter().zip(&mut running) {
                if running.ended()?.is_some() || begun.elapsed() > LIMIT {
                    bail!(
                        "{} did not come to its end: {}",
                        way.name(),
                        collector.log()?
                    );
                }
            }
            std::thread::sleep(PAUSE);
        }
        let mut peak = 0;
        for running in &running {
            peak = peak.max(memory_peak(running.id())?);
        }
        for (collector, running) in collectors.iter().zip(&mut running) {
            running.terminate()?;
            running.wait(LIMIT)?;
            fs::remove_dir_all(collector.folder())?;
        }
        self.took(way, &samples, peak)
    }

    /// The part of it that counts.
    fn took(&self, way: Way, samples: &[Sample], peak: u64) -> anyhow::Result<Took> {
        let all = self.size as f64;
        let last = samples.last().map_or(0, Sample::delivered);
        if last != self.size {
            bail!(
                "{}: {last} bytes were delivered, and {} from the file",
                way.name(),
                self.size
            );
        }
        let is_at = |sample: &Sample, share: f64| sample.delivered() as f64 >= all * share;
        let has_begun =
            |sample: &&Sample| is_at(sample, FROM) && sample.bytes.iter().all(|bytes| *bytes > 0);
        let from = samples.iter().find(has_begun);
        let to = samples.iter().find(|sample| is_at(sample, TO));
        let (Some(from), Some(to)) = (from, to) else {
            bail!("{}: not every process took part", way.name());
        };
        let share = to.delivered().saturating_sub(from.delivered()) as f64 / all;
        if share < 0.3 {
            bail!(
                "{}: only {:.0} % were left when every process had begun",
                way.name(),
                share * 100.0
            );
        }
        Ok(Took {
            events: share * self.records as f64,
            wall: to.at - from.at,
            processor: to.processor.saturating_sub(from.processor),
            broker: to.broker.saturating_sub(from.broker),
            peak,
        })
    }

    fn sample(&self, collectors: &[Collector], running: &[Running]) -> anyhow::Result<Sample> {
        let mut processor = Duration::ZERO;
        for running in running {
            processor += processor_time(running.id())?;
        }
        let size = |collector: &Collector| fs::metadata(output(collector)).map_or(0, |it| it.len());
        Ok(Sample {
            at: Instant::now(),
            bytes: collectors.iter().map(size).collect(),
            processor,
            broker: processor_time(self.broker.id())?,
        })
    }
}

fn output(collector: &Collector) -> PathBuf {
    collector.output().join("events.leef")
}

/// The processor time of a process.
fn processor_time(id: u32) -> anyhow::Result<Duration> {
    let text = proc_file(id, "stat")?;
    // The name of the program may hold anything; it ends with the last bracket.
    let fields = text.rsplit(") ").next().unwrap_or_default();
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<u64>().ok());
    let (Some(user), Some(system)) = (ticks(), ticks()) else {
        bail!("the system does not tell the processor time");
    };
    let second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64(
        (user + system) as f64 / second as f64,
    ))
}

/// The most resident memory of a process so far, in kilobytes.
fn memory_peak(id: u32) -> anyhow::Result<u64> {
    let text = proc_file(id, "status")?;
    let peak = text.lines().find_map(|line| {
        let rest = line.strip_prefix("VmHWM:")?;
        rest.trim().trim_end_matches(" kB").parse().ok()
    });
    peak.context("the system does not tell the memory")
}

fn proc_file(id: u32, name: &str) -> anyhow::Result<String> {
    let path = Path::new("/proc").join(id.to_string()).join(name);
    fs::read_to_string(&path).with_context(|| {
        format!(
            "cannot read {}: what a process uses is known on Linux only, while it runs",
            path.display()
        )
    })
}

fn table(rounds: &[[Took; WAYS]]) -> String {
    let median = |of: &dyn Fn(&[Took; WAYS]) -> f64| median(rounds.iter().map(of));
    let mut text = format!(
        "{:<40} {:>9} {:>13} {:>6} {:>13} {:>8}\n",
        "", "EVENTS/S", "CPU US/EVENT", "CORES", "BROKER CORES", "PEAK MB"
    );
    for (index, way) in Way::ALL.into_iter().enumerate() {
        let _ = writeln!(
            text,
            "{:<40} {:>9.0} {:>13.1} {:>6.2} {:>13.2} {:>8.0}",
            way.name(),
            median(&|round| round[index].per_second()),
            median(&|round| round[index].micros()),
            median(&|round| round[index].cores()),
            median(&|round| round[index].broker_cores()),
            median(&|round| round[index].peak as f64 / 1000.0),
        );
    }
    let _ = writeln!(
        text,
        "\nbroker to file, to file to file:  {:.2} by the clock, {:.2} by processor time\n\
         two processes to one:             {:.2} by the clock, {:.2} by processor time\n\
         two processes to one, not synced: {:.2} by the clock, {:.2} by processor time\n\
         ratios of events for the same time, median of the rounds; above 1 is better",
        median(&|[file, one, ..]| one.per_second() / file.per_second()),
        median(&|[file, one, ..]| file.micros() / one.micros()),
        median(&|[_, one, two, ..]| two.per_second() / one.per_second()),
        median(&|[_, one, two, ..]| one.micros() / two.micros()),
        median(&|[.., one, two]| two.per_second() / one.per_second()),
        median(&|[.., one, two]| one.micros() / two.micros()),
    );
    text
}
