//! `cargo xtask bench pipeline`: what durable delivery costs beside normalizing alone.
//!
//! A spool is filled with alerts. The same alerts are then normalized and written as LEEF with nothing else around
//! (the engine alone), delivered from the spool to a file that is synced, and delivered over TCP to a receiver on
//! loopback. Each is measured by the clock and by the processor time of this process, the receiver's included. What is
//! left waits while the memory is read.

use crate::say;
use anyhow::{Context, bail};
use authoring::folder;
use authoring::render::{self, Format as RenderFormat};
use chrono::{DateTime, Utc};
use clap::Args;
use dsm::{Mapping, Normalizer, Payload};
use leef::WriterOptions;
use pipeline::deliver::{Deliverer, DeliveryOptions, Route, Step};
use pipeline::destination::{
    DeadLetters, Destination, FileDestination, FileOptions, Framing, Header, Sync,
    SyslogDestination, SyslogOptions, Transport,
};
use pipeline::format::{Format, Formatter, Limit, LogSource};
use pipeline::metrics::{DestinationMetrics, RouteMetrics};
use pipeline::store::{Limits, Store};
use rustix::time::{ClockId, clock_gettime};
use simulator::{Receiver, Service, alerts};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

#[derive(Debug, Args)]
pub(crate) struct DeliveryArgs {
    /// Events that wait in the spool.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    waiting: u64,
    /// Events that are delivered to each destination, out of those.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    delivered: u64,
}

/// Different payloads; they repeat after that.
const DIFFERENT: usize = 3000;

/// Payloads in a page that is committed to the spool.
const PAGE: usize = 1000;

/// A measured piece of work.
struct Row {
    name: String,
    events: u64,
    wall: Duration,
    processor: Duration,
}

impl Row {
    fn measure(
        name: impl Into<String>,
        events: u64,
        work: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let (begun, used) = (Instant::now(), processor_time());
        work()?;
        Ok(Self {
            name: name.into(),
            events,
            wall: begun.elapsed(),
            processor: processor_time().saturating_sub(used),
        })
    }

    fn micros(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / self.events as f64
    }
}

pub(crate) fn run(args: &DeliveryArgs) -> anyhow::Result<bool> {
    if cfg!(debug_assertions) {
        // Times of an unoptimised build say nothing.
        let status = Command::new("cargo")
            .args(["run", "--release", "--quiet", "--package", "xtask", "--"])
            .args(["bench", "pipeline", "--waiting", &args.waiting.to_string()])
            .args(["--delivered", &args.delivered.to_string()])
            .status()
            .context("cannot start cargo")?;
        return Ok(status.success());
    }
    if args.delivered > args.waiting {
        bail!("--delivered is more than --waiting");
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
    let bytes: usize = payloads.iter().map(Vec::len).sum();
    say(&format!(
        "{} different payloads of {} bytes on average, LEEF 1.0, position and file synced for each batch of 500\n",
        payloads.len(),
        bytes / payloads.len()
    ))?;
    let bench = Bench {
        mapping,
        payloads,
        folder: tempfile::tempdir().context("cannot make a temporary folder")?,
    };
    let (rows, memory) = bench.run(args)?;
    say(&table(&rows))?;
    say(&format!(
        "memory with {} events waiting ({:.1} GB in the spool): {} MB now, {} MB at most\n",
        args.waiting - args.delivered,
        memory.spool as f64 / 1e9,
        memory.now / 1000,
        memory.peak / 1000
    ))?;
    Ok(true)
}

/// Alerts of the three interfaces, in turn.
fn payloads() -> Vec<Vec<u8>> {
    let services = [Service::SiemApi, Service::MdeApi, Service::Graph];
    let mut streams = services.map(|service| alerts(service, 1));
    (0..DIFFERENT)
        .filter_map(|number| streams[number % 3].next())
        .collect()
}

struct Memory {
    /// Kilobytes.
    now: u64,
    peak: u64,
    spool: u64,
}

struct Bench {
    mapping: Mapping,
    payloads: Vec<Vec<u8>>,
    folder: tempfile::TempDir,
}

impl Bench {
    fn run(&self, args: &DeliveryArgs) -> anyhow::Result<(Vec<Row>, Memory)> {
        let limits = Limits {
            spool: u64::MAX / 4,
            free: 0,
        };
        let store = Arc::new(Store::open(&self.folder.path().join("state"), limits)?);
        let source = store.source("bench")?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let names = |way: &str| -> Vec<(String, usize)> {
            let mut threads = vec![1, cores];
            threads.dedup();
            threads
                .into_iter()
                .map(|threads| {
                    (
                        format!(
                            "to {way}, {threads} thread{}",
                            if threads == 1 { "" } else { "s" }
                        ),
                        threads,
                    )
                })
                .collect()
        };
        let ways: Vec<(String, usize, bool)> = [("a file", true), ("TCP", false)]
            .into_iter()
            .flat_map(|(way, file)| {
                names(way)
                    .into_iter()
                    .map(move |(name, threads)| (name, threads, file))
            })
            .collect();
        // A destination gets what arrives after it was made.
        for (name, ..) in &ways {
            store.position(source, name)?;
        }
        let mut rows = vec![self.engine(args.delivered)?];
        rows.push(Row::measure("into the spool", args.waiting, || {
            self.fill(&store, args.waiting)
        })?);
        for (name, threads, file) in ways {
            rows.push(self.deliver(&store, name, threads, file, args.delivered)?);
        }
        let (now, peak) = memory()?;
        let spool = store.bytes();
        Ok((rows, Memory { now, peak, spool }))
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
    fn engine(&self, events: u64) -> anyhow::Result<Row> {
        let mut normalizer = Normalizer::new(&self.mapping);
        let mut formatter = Formatter::new(Self::format(), Limit::default(), Self::log_source())?;
        let now = now();
        let mut out = Vec::new();
        Row::measure("engine alone, 1 thread", events, || {
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

    fn deliver(
        &self,
        store: &Arc<Store>,
        name: String,
        threads: usize,
        file: bool,
        events: u64,
    ) -> anyhow::Result<Row> {
        let receiver = Receiver::start_counting()?;
        let destination: Box<dyn Destination> = if file {
            Box::new(FileDestination::new(FileOptions {
                path: self.folder.path().join(format!("{threads}.leef")),
                rotate_bytes: None,
                rotate_every: None,
                keep: None,
                sync: Sync::Batch,
            }))
        } else {
            Box::new(SyslogDestination::new(SyslogOptions {
                address: receiver.address().to_string(),
                transport: Transport::Tcp(Framing::Newline),
                header: Header::Ibm,
                priority: 13,
                host: None,
            }))
        };
        let metrics = Arc::new(RouteMetrics::default());
        let route = Route {
            source: store.source("bench")?,
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
            batch_events: 500,
            batch_bytes: 8 << 20,
            threads,
        };
        let mut deliverer = Deliverer::new(
            Arc::clone(store),
            options,
            destination,
            DeadLetters::new(self.folder.path().join("dead")),
            vec![route],
            Arc::new(DestinationMetrics::default()),
        )?;
        Row::measure(name, events, || {
            while metrics.events() < events {
                match deliverer.step(now()) {
                    Step::Again => {}
                    other => bail!("delivery stands still: {other:?}"),
                }
            }
            while !file && receiver.count() < events {
                std::thread::sleep(Duration::from_micros(100));
            }
            Ok(())
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

/// Resident memory in kilobytes: now, and at most so far.
fn memory() -> anyhow::Result<(u64, u64)> {
    let status =
        fs::read_to_string("/proc/self/status").context("memory is known on Linux only")?;
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(0)
    };
    Ok((field("VmRSS:"), field("VmHWM:")))
}

fn table(rows: &[Row]) -> String {
    let engine = rows.first().map_or(1.0, |row| row.micros(row.processor));
    let mut text = format!(
        "{:<26} {:>9} {:>10} {:>12} {:>12}\n",
        "", "events", "events/s", "CPU us/event", "to engine"
    );
    for row in rows {
        let processor = row.micros(row.processor);
        let _ = writeln!(
            text,
            "{:<26} {:>9} {:>10.0} {:>12.1} {:>12.2}",
            row.name,
            row.events,
            row.events as f64 / row.wall.as_secs_f64(),
            processor,
            processor / engine
        );
    }
    text
}
