//! `cargo xtask bench`: starts what measures, and puts together what comes back.

mod editor;
pub(crate) mod instructions;
mod kafka;
mod process;

use crate::delivery::{self, DeliveryArgs};
use crate::{say, tell};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use measure::corpus::SEED;
use measure::plot;
use measure::report::{Engine, Machine, Peer, Report, splice};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// What to measure, and where to put it.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    what: Option<What>,
    /// A short run: fewer payloads, samples and points.
    #[arg(long)]
    quick: bool,
    /// Add other programs at the same job: VRL, which is built, and jq, rsyslog and syslog-ng where they are installed.
    #[arg(long)]
    peers: bool,
    /// Write everything that was measured as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a picture of each growth curve into this folder.
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
    /// Put the tables into the marked blocks of this document.
    #[arg(long, value_name = "FILE")]
    doc: Option<PathBuf>,
    /// Count instructions with callgrind instead, and compare with what is committed.
    #[arg(long, conflicts_with_all = ["quick", "peers", "json", "svg"])]
    instructions: bool,
    /// Write down the counts as the ones to compare with.
    #[arg(long, requires = "instructions")]
    accept: bool,
}

/// What else is measured.
#[derive(Debug, Subcommand)]
enum What {
    /// Durable delivery from the spool to a file and over TCP, beside the engine alone, and the memory used.
    #[command(after_help = "Example:
  cargo xtask bench pipeline --waiting 1000000 --delivered 200000")]
    Pipeline(DeliveryArgs),
    /// From a broker to a file, beside from a file to a file, with one process and with two.
    #[command(after_help = "Example:
  cargo xtask bench kafka --records 600000 --doc docs/performance.md

The broker and the client that produces are unpacked by .ci/run.")]
    Kafka(kafka::KafkaArgs),
    /// How long an editor waits for the language server, on the largest mapping, beside the goal.
    #[command(after_help = "Example:
  cargo xtask bench lsp --doc docs/performance.md")]
    Lsp {
        /// Put the table into the marked block of this document.
        #[arg(long, value_name = "FILE")]
        doc: Option<PathBuf>,
    },
}

/// Tells whether everything went well; a goal that is not met is shown, not failed.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<bool> {
    match &args.what {
        Some(What::Pipeline(args)) => return delivery::run(args),
        Some(What::Kafka(args)) => return kafka::run(args),
        Some(What::Lsp { doc }) => {
            tell("building\n");
            let table = editor::run(&build("dsmith", Kind::Bin, "dsmith", &[])?)?;
            say(&table)?;
            if let Some(path) = doc {
                put_tables(path, &[("lsp", table)])?;
            }
            return Ok(true);
        }
        None => {}
    }
    if args.instructions {
        return instructions::run(args.accept, args.doc.as_deref());
    }
    tell("building\n");
    let dsmith = build("dsmith", Kind::Bin, "dsmith", &[])?;
    let engine = build("measure", Kind::Bench, "engine", &[])?;
    let work = Work::new(&dsmith)?;
    let start = Instant::now();
    tell("measuring the engine\n");
    let engine = drive_engine(&engine, &work, args.quick)?;
    tell("measuring dsmith parse\n");
    let (threads, memory) = process::measure(&dsmith, &work, args.quick)?;
    let peers = if args.peers {
        tell("measuring peers\n");
        drive_peers(&work)?
    } else {
        Vec::new()
    };
    let mut report = Report {
        format: 1,
        seed: SEED,
        quick: args.quick,
        machine: Machine::here(),
        stages: engine.stages,
        growth: engine.growth,
        threads,
        memory,
        peers,
        goals: Vec::new(),
    };
    report.mark_goals();
    tell(&format!("measured in {} s\n", start.elapsed().as_secs()));
    show(&report)?;
    write(args, &report)?;
    Ok(true)
}

fn show(report: &Report) -> anyhow::Result<()> {
    say(&format!(
        "{} with {} cores, seed {:#x}{}\n",
        report.machine.processor,
        report.machine.cores,
        report.seed,
        if report.quick { ", short run" } else { "" }
    ))?;
    for (_, table) in report.tables() {
        say("\n")?;
        say(&table)?;
    }
    Ok(())
}

fn write(args: &BenchArgs, report: &Report) -> anyhow::Result<()> {
    let put = |path: &Path, text: &str| {
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    if let Some(path) = &args.json {
        put(path, &report.json()?)?;
    }
    if let Some(folder) = &args.svg {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        for curve in &report.growth {
            put(&folder.join(format!("{}.svg", curve.id)), &plot::svg(curve))?;
        }
    }
    if let Some(path) = &args.doc {
        put_tables(path, &report.tables())?;
    }
    Ok(())
}

/// Puts tables into the marked blocks of a document.
pub(crate) fn put_tables(path: &Path, tables: &[(&'static str, String)]) -> anyhow::Result<()> {
    let mut text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    for (block, table) in tables {
        text = splice(&text, block, table).with_context(|| {
            format!(
                "{} has no block `<!-- measured: {block} -->`",
                path.display()
            )
        })?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A folder for files that nobody needs afterwards, within the target folder.
pub(crate) struct Work(PathBuf);

impl Work {
    /// Beside the programs that cargo built, which are all of the profile `release`.
    fn new(built: &Path) -> anyhow::Result<Self> {
        // Cargo marks the target folder with a file only when it made the folder itself.
        let release = built
            .ancestors()
            .find(|folder| folder.ends_with("release"))
            .with_context(|| format!("{} is in no release folder of cargo", built.display()))?;
        let folder = release.with_file_name("bench");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self(folder))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// What cargo builds and calls a target.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bin,
    Bench,
}

/// Builds a program for measuring and tells where it is.
fn build(package: &str, kind: Kind, name: &str, features: &[&str]) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    match kind {
        Kind::Bin => cargo.args(["build", "--release", "--bin", name]),
        Kind::Bench => cargo.args(["bench", "--no-run", "--bench", name]),
    };
    let output = cargo
        .args([
            "--package",
            package,
            "--features",
            &features.join(","),
            "--message-format=json-render-diagnostics",
        ])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cargo cannot build {name} of {package}");
    }
    executable(&String::from_utf8_lossy(&output.stdout), name)
        .with_context(|| format!("cargo names no program for {name} of {package}"))
}

/// The program of a target in the messages of cargo, which name the programs that it needs as well.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_wanted = message["target"]["name"] == name;
        Some(PathBuf::from(
            message["executable"].as_str().filter(|_| is_wanted)?,
        ))
    })
}

/// What criterion says goes into a log: its figures are in the tables.
fn drive_engine(program: &Path, work: &Work, quick: bool) -> anyhow::Result<Engine> {
    let (results, log) = (work.file("engine.json"), work.file("criterion.log"));
    forget(&results)?;
    let output =
        std::fs::File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = Command::new(program);
    command
        .args(["--bench", "--color", "never"])
        .env("CRITERION_HOME", work.file("criterion"))
        .env("DSMITH_BENCH_RESULTS", &results)
        .stderr(output.try_clone()?)
        .stdout(output);
    if quick {
        command.env("DSMITH_BENCH_QUICK", "1");
    }
    let status = command
        .status()
        .context("cannot start the benchmark of the engine")?;
    if !status.success() {
        bail!(
            "the benchmark of the engine ended with {status}; see {}",
            log.display()
        );
    }
    read(&results)
}

/// Peers are a package of their own with a lock file of their own: what they need is nothing that dsmith should have.
fn drive_peers(work: &Work) -> anyhow::Result<Vec<Peer>> {
    let results = work.file("peers.json");
    forget(&results)?;
    let status = Command::new("cargo")
        .args([
            "run",
            "--release",
            "--quiet",
            "--manifest-path",
            "xtask/peers/Cargo.toml",
            "--target-dir",
        ])
        .arg(work.file("peers"))
        .arg("--")
        .args([Path::new("dsm-mappings"), &work.0, &results])
        .status()
        .context("cannot start cargo")?;
    if !status.success() {
        bail!("the peers cannot be built or measured");
    }
    read(&results)
}

/// Results of an earlier run must not be taken for those of this one.
fn forget(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is not what it should be", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_that_of_the_target_and_not_of_one_that_it_needs() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"engine"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"engine"},"executable":"target/release/deps/engine-1"}
{"reason":"compiler-artifact","target":{"name":"instructions"},"executable":"target/release/instructions"}
{"reason":"build-finished","success":true}"#;
        let found = |name| executable(messages, name);
        assert_eq!(
            found("engine"),
            Some(PathBuf::from("target/release/deps/engine-1"))
        );
        assert_eq!(found("dsmith"), None);
    }
}
