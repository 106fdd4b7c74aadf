//! `dsmith run`.

use crate::args::RunArgs;
use crate::{Exit, UsageError, check_config, memory, terminal};
use anyhow::Context;
use authoring::folder::Library;
use authoring::render::{self, Format};
use dsm::Mapping;
use dsm::diagnostic::{Diagnostics, Severity};
use pipeline::config::{LogConfig, LogFormat, LogLevel};
use pipeline::metrics::{Board, NO_LANE};
use pipeline::runner::{self, Loader, Mappings, Plan, Report, Run, RunOptions, Signals};
use pipeline::store::Store;
use protocol::clock::SystemClock;
use protocol::secret::SystemSecrets;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::level_filters::LevelFilter;

/// How long delivery may go on after the run was told to end.
const DRAIN: Duration = Duration::from_secs(10);

struct Loaded(Library);

impl Mappings for Loaded {
    fn mapping(&self, slug: &str) -> Option<&Mapping> {
        self.0.get(slug)
    }
}

/// How long a run that was told to end may take before it is cut off. The documentation promises half a minute.
const END: Duration = Duration::from_secs(28);

/// How long the message about that may take.
const LAST_WORDS: Duration = Duration::from_millis(500);

pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    memory::keep_private();
    let (plan, findings) = plan_of(args)?;
    let Some(plan) = plan else {
        show(&findings);
        terminal::error("the configuration has errors; `dsmith check-config` reports the same");
        return Ok(Exit::Failure);
    };
    let form = begin_log(plan.config.log);
    log_panics();
    match form {
        Form::Text => show(&findings),
        Form::Json => log(&findings),
    }
    let signals = Signals::of_process().context("cannot receive signals")?;
    end_in_time(&signals)?;
    let store = Arc::new(Store::open_unchecked(
        &plan.config.state_directory,
        plan.config.limits,
    )?);
    // Also what is missing from a state that is not whole.
    for route in &args.forget {
        forget(&store, route)?;
    }
    if args.forget_missing {
        for (log_source, events) in store.forget_missing()? {
            tracing::warn!(
                log_source,
                events,
                "events that are missing from the state were given up"
            );
        }
    }
    store.check()?;
    let board = Arc::new(Board::default());
    let run = Run {
        store,
        board: Arc::clone(&board),
        clock: Arc::new(SystemClock),
        secrets: &SystemSecrets,
        options: RunOptions {
            once: args.once.then_some(args.once_patience),
            drain: DRAIN,
            // No two processes wait alike.
            seed: RandomState::new().build_hasher().finish(),
        },
        signals,
    };
    let again = args.clone();
    let loader: Loader = Arc::new(move || reload(&again));
    let report = match run.run(plan, &loader) {
        Err(error) if error.is_usage() => return Err(UsageError(error.to_string()).into()),
        ended => ended?,
    };
    if args.once {
        tell(&report, &board, form);
    }
    let incomplete = args.once && (!report.missing.is_empty() || report.closed.is_some());
    let cut_off = report.closed.is_some() && report.waiting + report.undelivered > 0;
    Ok(if incomplete || cut_off {
        Exit::Failure
    } else {
        Exit::Success
    })
}

/// Ends the process when a run that was told to end does not. Each wait of a run has a limit of its own, so this is for
/// what no limit reaches, such as a disk that does not answer or a log that nobody reads. The state is as safe then as after any other crash.
#[allow(
    clippy::exit,
    reason = "the thread that would return from `main` is the one that hangs"
)]
fn end_in_time(signals: &Signals) -> anyhow::Result<()> {
    let terminate = Arc::clone(&signals.terminate);
    std::thread::Builder::new()
        .name("end".to_owned())
        .spawn(move || {
            while !terminate.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
            }
            std::thread::sleep(END);
            // In a thread of its own, because whoever reads the log may be what the run waits for.
            std::thread::spawn(|| {
                tracing::error!(
                    "the run does not come to its end and is cut off; nothing is lost, and what was being sent is \
                     delivered again by the next run: check the disk of the state directory"
                );
            });
            std::thread::sleep(LAST_WORDS);
            std::process::exit(Exit::Failure as i32);
        })
        .context("cannot start a thread")?;
    Ok(())
}

/// Panics become messages like all others. What they say may quote payloads, so it is escaped and short.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let said = text.or_else(|| payload.downcast_ref().map(String::as_str));
        let said = said.unwrap_or_default();
        let said: String = said
            .chars()
            .take(200)
            .flat_map(char::escape_debug)
            .collect();
        let place = panic.location().map(ToString::to_string);
        let thread = std::thread::current();
        tracing::error!(
            place,
            thread = thread.name(),
            "a fault of this program: {said}; report it with this message"
        );
    }));
}

/// The plan of this process among others with the same configuration.
fn plan_of(args: &RunArgs) -> anyhow::Result<(Option<Plan>, Diagnostics)> {
    let (mut plan, findings) = plan(&args.config.path)?;
    if let Some(plan) = &mut plan {
        let config = &mut plan.config;
        if let Some(directory) = &args.state_directory {
            config.state_directory.clone_from(directory);
        }
        config.metrics = args.metrics.or(config.metrics);
    }
    Ok((plan, findings))
}

/// A plan, if the configuration has no errors.
pub(crate) fn plan(path: &Path) -> anyhow::Result<(Option<Plan>, Diagnostics)> {
    let (loaded, findings) = check_config::load(path, Severity::Error)?;
    let loaded = loaded.filter(|_| !findings.has_errors());
    let plan = loaded.map(|(config, library)| Plan {
        config,
        mappings: Box::new(Loaded(library)),
    });
    Ok((plan, findings))
}

/// Findings for people, with the lines they are about.
fn show(findings: &Diagnostics) {
    let text = render::render(findings, Format::Human, terminal::stderr_is_styled());
    terminal::stderr(&text);
}

/// Findings as messages, one a line.
fn log(findings: &Diagnostics) {
    for finding in findings {
        match finding.severity {
            Severity::Error => tracing::error!("{finding}"),
            Severity::Warning => tracing::warn!("{finding}"),
        }
    }
}

/// The plan after a change of the configuration; nothing if the old one has to stay.
fn reload(args: &RunArgs) -> Option<Plan> {
    match plan_of(args) {
        Ok((plan, findings)) => {
            log(&findings);
            if plan.is_none() {
                tracing::error!("the new configuration has errors: the old one stays in force");
            }
            plan
        }
        Err(error) => {
            tracing::error!("the old configuration stays in force: {error:#}");
            None
        }
    }
}

/// Gives up what waits for a route, written `log-source/destination`.
fn forget(store: &Store, route: &str) -> anyhow::Result<()> {
    // A destination has no slash in its name; an identifier may.
    let Some((log_source, destination)) = route.rsplit_once('/') else {
        return Err(UsageError(format!(
            "--forget {route}: write the log source and the destination, as in contoso-defender/archive"
        ))
        .into());
    };
    let waits = store
        .look()?
        .waiting
        .into_iter()
        .any(|row| row.identifier == log_source && row.destination == destination);
    if !waits {
        return Err(UsageError(format!("--forget {route}: nothing waits there")).into());
    }
    let events = store.forget(store.source(log_source)?, destination)?;
    tracing::warn!(log_source, destination, events, "what waited was given up");
    Ok(())
}

/// Says what a run with `--once` has done, and what not.
fn tell(report: &Report, board: &Board, form: Form) {
    let summary = summary(report, board);
    match form {
        Form::Text => {
            terminal::stderr(&summary);
            if !report.missing.is_empty() {
                terminal::stderr(&format!("\n{}", runner::table_of(&report.missing)));
            }
        }
        Form::Json => {
            summary.lines().for_each(|line| tracing::info!("{line}"));
            for missing in &report.missing {
                tracing::error!(
                    log_source = missing.log_source,
                    part = missing.part,
                    why = missing.why,
                    "{}/{}: {}",
                    missing.log_source,
                    missing.part,
                    missing.what
                );
            }
        }
    }
}

fn summary(report: &Report, board: &Board) -> String {
    let mut text = String::new();
    for (id, status) in report.lanes.iter().filter(|(id, _)| id.lane != NO_LANE) {
        text.push_str(&format!("{id}: {} payloads collected\n", status.payloads));
    }
    for (log_source, destination, counts) in board.routes() {
        text.push_str(&format!(
            "{log_source} to {destination}: {} events delivered, {} mapped, {} unknown, {} stored\n",
            counts.events(),
            counts.mapped.get(),
            counts.unknown.get(),
            counts.stored.get()
        ));
    }
    if let Some(reason) = &report.closed {
        text.push_str(&format!("{reason}\n"));
    }
    text
}

/// How standard error is written: all of it, or a reader of JSON would stumble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

/// Messages go to standard error: for people on a terminal, JSON for everybody else.
fn begin_log(config: LogConfig) -> Form {
    let level = match config.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let form = match config.format {
        LogFormat::Auto if terminal::is_watched() => Form::Text,
        LogFormat::Text => Form::Text,
        LogFormat::Auto | LogFormat::Json => Form::Json,
    };
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(terminal::stderr_is_styled());
    // It fails only where there is a log already.
    let _ = match form {
        Form::Json => log.json().flatten_event(true).try_init(),
        Form::Text => log.with_target(false).try_init(),
    };
    form
}
