//! `dsmith demo`: the whole way from Microsoft's interfaces to LEEF on a machine without a tenant.
//!
//! Microsoft's side is the simulator, on loopback. Everything else is what `dsmith run` does: a configuration that is
//! read from a file, the protocols over real connections, the spool, the mapping, a file destination. Only the time is
//! another one: it passes fast, so that two hours with their outages take a few moments.

mod account;
mod play;

use crate::args::DemoArgs;
use crate::{Exit, run, terminal};
use account::Account;
use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use pipeline::metrics::Board;
use pipeline::runner::{Loader, Run, RunOptions, Signals};
use pipeline::store::Store;
use play::{FastClock, LENGTH};
use protocol::secret::SystemSecrets;
use protocol::status::State;
use simulator::Simulator;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// After this the demonstration has failed.
const TOO_LONG: Duration = Duration::from_secs(55);

/// Events that are shown.
const SHOWN: usize = 4;

pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<Exit> {
    let folder = folder(args.dir.as_deref())?;
    let simulator = Arc::new(play::simulator().context("cannot start the simulator")?);
    play::configure(&folder, &simulator)
        .with_context(|| format!("cannot write to {}", folder.display()))?;
    terminal::stderr(&format!(
        "Microsoft's side is played on {}; nothing leaves this machine.\nTwo hours with throttling, outages and broken \
         answers pass in some fifteen seconds.\n",
        simulator.url()
    ));
    let board = Arc::new(Board::default());
    collect(&folder, &simulator, &board)?;
    let events = fs::read_to_string(folder.join("events.leef")).unwrap_or_default();
    let account = Account::new(&simulator, &board, &events);
    let mut out = anstream::stdout().lock();
    out.write_all(sample(&events, terminal::stdout_width()).as_bytes())?;
    write!(
        out,
        "\n{}\n{}\nconfiguration, events and state are in {}\n",
        account.table(),
        troubles(&simulator),
        folder.display()
    )?;
    if account.is_right() {
        return Ok(Exit::Success);
    }
    terminal::error("the numbers disagree, which is a fault of this program");
    Ok(Exit::Failure)
}

/// An empty folder: the one that was asked for, or a new one among the temporary files.
fn folder(asked: Option<&Path>) -> anyhow::Result<PathBuf> {
    let Some(folder) = asked else {
        let folder = tempfile::Builder::new().prefix("dsmith-demo-").tempdir();
        return Ok(folder.context("cannot make a temporary folder")?.keep());
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    if fs::read_dir(folder)?.next().is_some() {
        bail!("{} is not empty; name a new folder", folder.display());
    }
    Ok(std::path::absolute(folder)?)
}

/// Runs until everything there was is delivered.
fn collect(folder: &Path, simulator: &Arc<Simulator>, board: &Arc<Board>) -> anyhow::Result<()> {
    let (plan, findings) = run::plan(&folder.join("dsmith.toml"))?;
    let plan = plan.with_context(|| format!("the configuration has faults: {findings:?}"))?;
    let signals = Signals::default();
    let runner = Run {
        store: Arc::new(Store::open(
            &plan.config.state_directory,
            plan.config.limits,
        )?),
        board: Arc::clone(board),
        clock: Arc::new(FastClock(Arc::clone(simulator))),
        secrets: &SystemSecrets,
        options: RunOptions {
            once: None,
            drain: LENGTH,
            seed: 1,
        },
        signals: signals.clone(),
    };
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            watch(simulator, board, &ended);
            signals.terminate.store(true, Ordering::Relaxed);
        });
        let loader: Loader = Arc::new(|| None);
        let result = runner.run(plan, &loader);
        ended.store(true, Ordering::Relaxed);
        result
    })?;
    Ok(())
}

/// Shows how far it is, until everything is delivered, the run has ended, or it has had its time.
fn watch(simulator: &Simulator, board: &Board, ended: &AtomicBool) {
    let bar = bar();
    let begun = Instant::now();
    while !ended.load(Ordering::Relaxed) && begun.elapsed() < TOO_LONG && !is_done(simulator, board)
    {
        show(&bar, simulator, board);
        std::thread::sleep(Duration::from_millis(80));
    }
    bar.finish_and_clear();
}

/// Payloads that were fetched, and events that were delivered.
fn counts(board: &Board) -> (u64, u64) {
    let fetched = board
        .lanes()
        .iter()
        .map(|(_, status)| status.payloads)
        .sum();
    let delivered = board
        .routes()
        .iter()
        .map(|(.., counts)| counts.events())
        .sum();
    (fetched, delivered)
}

fn is_done(simulator: &Simulator, board: &Board) -> bool {
    let progress = simulator.progress();
    let (fetched, delivered) = counts(board);
    progress.exhausted && progress.unserved == 0 && fetched == delivered
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(LENGTH.as_secs());
    if !terminal::is_watched() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{bar:24} {wide_msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

fn show(bar: &ProgressBar, simulator: &Simulator, board: &Board) {
    let clock = simulator.clock();
    let now = clock.now();
    let (fetched, delivered) = counts(board);
    let trouble = board
        .lanes()
        .into_iter()
        .find(|(_, status)| status.state >= State::Warn)
        .map_or_else(String::new, |(id, status)| {
            format!("   {id}: {}", status.message)
        });
    bar.set_position(now.since(clock.start()).as_secs());
    bar.set_message(format!(
        "{}  {fetched:>6} fetched  {delivered:>6} delivered{trouble}",
        now.time().format("%H:%M")
    ));
}

/// Some events, one of each kind that comes first; on a terminal cut to its width.
fn sample(events: &str, width: Option<usize>) -> String {
    let mut shown: Vec<&str> = Vec::new();
    for line in events.lines() {
        let kind = |line: &str| line.split('|').nth(4).map(str::to_owned);
        if shown.len() < SHOWN && shown.iter().all(|other| kind(other) != kind(line)) {
            shown.push(line);
        }
    }
    let mut text = String::new();
    for line in shown {
        let Some(width) = width else {
            text += &format!("{line}\n");
            continue;
        };
        // Tabs would make the line longer than it is.
        let line = line.replace('\t', " ");
        match line.char_indices().nth(width.saturating_sub(1)) {
            Some((end, _)) => text += &format!("{}…\n", &line[..end]),
            None => text += &format!("{line}\n"),
        }
    }
    text
}

/// What went wrong on Microsoft's side meanwhile.
fn troubles(simulator: &Simulator) -> String {
    let requests = simulator.requests();
    let count = |holds: &dyn Fn(&simulator::Answered) -> bool| {
        requests.iter().filter(|request| holds(request)).count()
    };
    let throttled = count(&|request| request.status == 429);
    let unavailable = count(&|request| request.status >= 500);
    let refused = count(&|request| request.status == 401);
    let failed = count(&|request| request.spoilt);
    format!(
        "{} requests, of which {failed} failed on purpose: {throttled} throttled, {unavailable} unavailable, {refused} with \
         a token that had ended, {} broken off or cut",
        requests.len(),
        failed - (throttled + unavailable + refused).min(failed)
    )
}
