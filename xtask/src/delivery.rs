//! `cargo xtask bench pipeline`: what durable delivery costs beside normalizing alone.
//!
//! A spool is filled with alerts. The same alerts are then normalized and written as LEEF with nothing else around
//! (the engine alone), delivered from the spool to a file that is synced, and delivered over TCP to a receiver on
//! loopback. Each is measured by the clock and by the processor time of this process, the receiver's included. What is
//! left waits while the memory is read.

use crate::bench::put_tables;
use crate::say;
use anyhow::{Context, bail};
use authoring::folder;
use authoring::render::{self, Format as RenderFormat};
use chrono::{DateTime, Utc};
use clap::Args;
use dsm::{Mapping, Normalizer, Payload};
use harness::Receiver;
use leef::WriterOptions;
use pipeline::deliver::{Deliverer, DeliveryOptions, Route, Step};
use pipeline::destination::{
    Confirm, DeadLetters, Destination, FileDestination, FileOptions, Framing, Header, Sync,
    SyslogDestination, SyslogOptions, Transport,
};
use pipeline::format::{Format, Formatter, Limit, LogSource};
use pipeline::metrics::{DestinationMetrics, RouteMetrics};
use pipeline::store::{Limits, Store};
use rustix::time::{ClockId, clock_gettime};
use simulator::{Service, alerts};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

#[derive(Debug, Args)]
pub(crate) struct DeliveryArgs {
    /// Events that wait while the memory is read.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    waiting: u64,
    /// Events that are delivered in each way.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    delivered: u64,
    /// Put the table into the marked block of this document.
    #[arg(long, value_name = "FILE")]
    doc: Option<PathBuf>,
}

/// Rounds, in each of which every way has its turn; medians are shown.
const ROUNDS: u64 = 5;

/// The least that a way may have of the engine's speed, by processor time: it costs at most as much again.
const GOAL: f64 = 0.5;

/// Different payloads; they repeat after that.
const DIFFERENT: usize = 3000;

/// Payloads in a page that is committed to the spool.
const PAGE: usize = 1000;

/// What a piece of work took.
#[derive(Clone, Copy)]
struct Took {
    events: u64,
    wall: Duration,
    processor: Duration,
}

impl Took {
    fn measure(events: u64, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Self> {
        let (begun, used) = (Instant::now(), processor_time());
        work()?;
        Ok(Self {
            events,
            wall: begun.elapsed(),
            processor: processor_time().saturating_sub(used),
        })
    }

    fn per_second(&self) -> f64 {
        self.events as f64 / self.wall.as_secs_f64()
    }

    fn micros(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.events as f64
    }
}

/// A way that events take, with what each round took.
struct Row {
    name: String,
    rounds: Vec<Took>,
}

pub(crate) fn run(args: &DeliveryArgs) -> anyhow::Result<bool> {
    if cfg!(debug_assertions) {
        // Times of an unoptimised build say nothing.
        let mut command = Command::new("cargo");
        command
            .args(["run", "--release", "--quiet", "--package", "xtask", "--"])
            .args(["bench", "pipeline", "--waiting", &args.waiting.to_string()])
            .args(["--delivered", &args.delivered.to_string()]);
        if let Some(doc) = &args.doc {
            command.arg("--doc").arg(doc);
        }
        let status = command.status().context("cannot start cargo")?;
        return Ok(status.success());
    }
    if args.delivered < ROUNDS {
        bail!("--delivered is less than the {ROUNDS} rounds that are measured");
    }
    let folder = Path::new("dsm-mappings/microsoft-365-defender");
    let (mapping, findings) = folder::load(folder);
    let Some(mapping) = mapping else {
        bail!(
            "{} cannot be used\n{}",
            folder.display(),
            render::render(&findings, RenderFormat::Human, false)
        );
    };
    let payloads = payloads();
    let bytes = payloads.iter().map(Vec::len).sum::<usize>() / payloads.len();
    let bench = Bench {
        mapping,
        payloads,
        folder: tempfile::tempdir().context("cannot make a temporary folder")?,
    };
    let (rows, memory) = bench.run(args)?;
    let text = format!(
        "{} alerts of {bytes} bytes on average, LEEF 1.0, file and position synced for each batch of {BATCH}, {ROUNDS} rounds\n\n\
         {}\nmemory with {} events waiting ({:.1} GB in the spool): {} MB\n",
        args.delivered,
        table(&rows),
        args.waiting,
        memory.spool as f64 / 1e9,
        memory.peak / 1000
    );
    say(&text)?;
    if let Some(path) = &args.doc {
        put_tables(path, &[(BLOCK, text)])?;
    }
    Ok(true)
}

/// The block of the document.
const BLOCK: &str = "delivery";

/// Events that are sent at once.
const BATCH: usize = 500;

/// Alerts of the three interfaces, in turn.
fn payloads() -> Vec<Vec<u8>> {
    let services = [Service::SiemApi, Service::MdeApi, Service::Graph];
    let mut streams = services.map(|service| alerts(service, 1));
    (0..DIFFERENT)
        .filter_map(|number| streams[number % 3].next())
        .collect()
}

struct Memory {
    /// Kilobytes, at most so far.
    peak: u64,
    /// Bytes.
    spool: u64,
}

struct Bench {
    mapping: Mapping,
    payloads: Vec<Vec<u8>>,
    folder: tempfile::TempDir,
}

/// A destination with what delivers to it.
struct Way<'b> {
    deliverer: Deliverer<'b>,
    metrics: Arc<RouteMetrics>,
    /// The other end, where it is not a file.
    receiver: Option<Receiver>,
    row: Row,
}

impl Way<'_> {
    /// Delivers the next so many events.
    fn deliver(&mut self, events: u64) -> anyhow::Result<()> {
        let until = self.metrics.events() + events;
        let took = Took::measure(events, || {
            while self.metrics.events() < until {
                match self.deliverer.step(now()) {
                    Step::Again => {}
                    Step::Idle if self.metrics.events() >= until => {}
                    // Until the receiver has confirmed what is on its way.
                    Step::Wait(_) if self.receiver.is_some() => {
                        std::thread::sleep(Duration::from_micros(100));
                    }
                    other => bail!("delivery stands still: {other:?}"),
                }
            }
            while self
                .receiver
                .as_ref()
                .is_some_and(|receiver| receiver.count() < until)
            {
                std::thread::sleep(Duration::from_micros(100));
            }
            Ok(())
        })?;
        self.row.rounds.push(took);
        Ok(())
    }
}

impl Bench {
    fn run(&self, args: &DeliveryArgs) -> anyhow::Result<(Vec<Row>, Memory)> {
        let limits = Limits {
            spool: u64::MAX / 4,
            free: 0,
            ..Limits::default()
        };
        let store = Arc::new(Store::open(&self.folder.path().join("state"), limits)?);
        let mut threads = vec![
            1,
            std::thread::available_parallelism().map_or(1, usize::from),
        ];
        threads.dedup();
        let mut ways = Vec::new();
        for (file, threads) in [true, false]
            .into_iter()
            .flat_map(|file| threads.iter().map(move |threads| (file, *threads)))
        {
            ways.push(self.way(&store, file, threads)?);
        }
        let row = |name: &str| Row {
            name: name.to_owned(),
            rounds: Vec::new(),
        };
        let (mut engine, mut spool) = (row("engine alone, 1 thread"), row("into the spool"));
        // A step takes whole batches.
        let events = (args.delivered / ROUNDS).next_multiple_of(BATCH as u64);
        for _ in 0..ROUNDS {
            engine.rounds.push(self.engine(events)?);
            spool
                .rounds
                .push(Took::measure(events, || self.fill(&store, events))?);
            for way in &mut ways {
                way.deliver(events)?;
            }
        }
        self.fill(&store, args.waiting)?;
        // Delivery goes on while they wait, so that its memory counts too.
        for way in &mut ways {
            way.deliver(events)?;
            way.row.rounds.pop();
        }
        let memory = Memory {
            peak: peak()?,
            spool: store.bytes(),
        };
        let mut rows = vec![engine, spool];
        rows.extend(ways.into_iter().map(|way| way.row));
        Ok((rows, memory))
    }

    fn log_source() -> LogSource {
        LogSource {
            identifier: "bench".to_owned(),
            credibility: 5,
            store_payload: true,
        }
    }

    fn format() -> Format {
        Format::Leef(WriterOptions::default())
    }

    /// Normalizing and writing, with nothing around.
    fn engine(&self, events: u64) -> anyhow::Result<Took> {
        let mut normalizer = Normalizer::new(&self.mapping);
        let mut formatter = Formatter::new(Self::format(), Limit::default(), Self::log_source())?;
        let now = now();
        let mut out = Vec::new();
        Took::measure(events, || {
            for payload in self.payloads.iter().cycle().take(usize::try_from(events)?) {
                out.clear();
                let decoded = Payload::decode(payload);
                let mut event = normalizer.normalize(&decoded, now);
                if let Err(reason) = formatter.write(&mut event, payload, &mut out) {
                    bail!("an event cannot be written: {reason}");
                }
            }
            Ok(())
        })
    }

    fn fill(&self, store: &Store, events: u64) -> anyhow::Result<()> {
        let source = store.source("bench")?;
        let mut left = usize::try_from(events)?;
        let mut all = self.payloads.iter().cycle();
        while left > 0 {
            let page: Vec<&Vec<u8>> = all.by_ref().take(left.min(PAGE)).collect();
            store.accept(source, "lane", &page, Some("{\"version\":1}"), now())?;
            left -= page.len();
        }
        Ok(())
    }

    fn way(&self, store: &Arc<Store>, file: bool, threads: usize) -> anyhow::Result<Way<'_>> {
        let plural = if threads == 1 { "" } else { "s" };
        let way = if file { "a file" } else { "TCP" };
        let name = format!("to {way}, {threads} thread{plural}");
        let source = store.source("bench")?;
        // It gets what arrives after this.
        store.position(source, &name)?;
        let receiver = if file {
            None
        } else {
            Some(Receiver::start_counting()?)
        };
        let destination: Box<dyn Destination> = match &receiver {
            None => Box::new(FileDestination::new(FileOptions {
                path: self.folder.path().join(format!("{threads}.leef")),
                rotate_bytes: None,
                rotate_every: None,
                keep: None,
                mode: 0o600,
                sync: Sync::Batch,
            })),
            Some(receiver) => Box::new(SyslogDestination::new(SyslogOptions {
                address: receiver.address().to_string(),
                transport: Transport::Tcp(Framing::Newline),
                header: Header::Ibm,
                priority: 13,
                host: None,
                confirm: Confirm::Close,
            })),
        };
        let metrics = Arc::new(RouteMetrics::default());
        let route = Route {
            source,
            log_source: Self::log_source(),
            mapping: &self.mapping,
            limit: Limit::default(),
            eps: None,
            coalescing: false,
            metrics: Arc::clone(&metrics),
        };
        let options = DeliveryOptions {
            name: name.clone(),
            format: Self::format(),
            batch_events: BATCH,
            batch_bytes: 8 << 20,
            threads,
            labels: None,
        };
        let mut deliverer = Deliverer::new(
            Arc::clone(store),
            options,
            destination,
            DeadLetters::new(self.folder.path().join("dead")),
            vec![route],
            Arc::new(DestinationMetrics::default()),
        )?;
        // What is on its way is confirmed as soon as everything is.
        deliverer.close_windows();
        Ok(Way {
            deliverer,
            metrics,
            receiver,
            row: Row {
                name,
                rounds: Vec::new(),
            },
        })
    }
}

fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// The time that the processors have spent on this process, threads that have ended included.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// The most resident memory so far, in kilobytes.
fn peak() -> anyhow::Result<u64> {
    let status =
        fs::read_to_string("/proc/self/status").context("memory is known on Linux only")?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
    peak.context("the system does not tell the memory")
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// One line for each way; the last column is its speed beside that of the engine in the same round.
fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<24} {:>10} {:>13} {:>10}\n",
        "", "events/s", "CPU us/event", "to engine"
    );
    let engine = rows.first().map_or(&[][..], |row| &row.rounds);
    for (index, row) in rows.iter().enumerate() {
        let pairs = engine.iter().zip(&row.rounds);
        let ratio = median(pairs.map(|(engine, way)| engine.micros() / way.micros()));
        let mark = match ratio >= GOAL {
            // The engine and the spool are no deliveries.
            _ if index < 2 => String::new(),
            true => format!("  goal {GOAL} met"),
            false => format!("  goal {GOAL} not met"),
        };
        let _ = writeln!(
            text,
            "{:<24} {:>10.0} {:>13.1} {ratio:>10.2}{mark}",
            row.name,
            median(row.rounds.iter().map(Took::per_second)),
            median(row.rounds.iter().map(Took::micros)),
        );
    }
    text
}
