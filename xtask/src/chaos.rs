//! `cargo xtask chaos`: what it costs to be killed.

use crate::say;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use harness::{BrokerPrograms, Chaos, GroupChaos};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// What is killed.
#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// `dsmith run`, while it collects from the simulator and delivers to files and over TCP.
    #[command(after_help = "Examples:
  cargo xtask chaos pipeline --quick
  cargo xtask chaos pipeline --kills 5000 --seed 7

Exit codes: 0 nothing was lost and no more repeated than is in order, else 1.")]
    Pipeline(PipelineArgs),
    /// Processes of a consumer group, while a client of others produces into a broker of others, which stops too.
    #[command(after_help = "Examples:
  cargo xtask chaos kafka --quick
  cargo xtask chaos kafka --records 1000000 --kills 100 --seed 7

The broker and the client are unpacked by .ci/run.

Exit codes: 0 nothing was lost, the order kept, and no more repeated than is in order, else 1.")]
    Kafka(KafkaArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PipelineArgs {
    /// How often; 1000, or 100 with --quick.
    #[arg(long, value_name = "N")]
    kills: Option<u32>,
    /// Decides the alerts and the moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// As often as continuous integration has the time for.
    #[arg(long)]
    quick: bool,
    /// Nothing but SIGKILL.
    #[arg(long)]
    only_kills: bool,
}

#[derive(Debug, Args)]
pub(crate) struct KafkaArgs {
    /// How many records are produced.
    #[arg(long, value_name = "N", default_value_t = RECORDS)]
    records: u32,
    /// How often a process is killed; 10, or 3 with --quick.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=200))]
    kills: Option<u32>,
    /// Decides the records and the moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// As often as continuous integration has the time for.
    #[arg(long)]
    quick: bool,
}

const RECORDS: u32 = 100_000;

pub(crate) fn run(what: &What) -> anyhow::Result<bool> {
    match what {
        What::Pipeline(args) => pipeline(args),
        What::Kafka(args) => kafka(args),
    }
}

/// As often as continuous integration has the time for.
pub(crate) fn quick() -> anyhow::Result<bool> {
    pipeline(&PipelineArgs {
        kills: None,
        seed: 1,
        quick: true,
        only_kills: false,
    })
}

/// The same of a consumer group. Without a broker it says so and passes, except with `CI=true`.
pub(crate) fn quick_kafka() -> anyhow::Result<bool> {
    let must = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    if !must && BrokerPrograms::find(&target()).is_none() {
        say(&format!("left out: {NO_BROKER}\n"))?;
        return Ok(true);
    }
    kafka(&KafkaArgs {
        records: RECORDS,
        kills: None,
        seed: 1,
        quick: true,
    })
}

pub(crate) const NO_BROKER: &str =
    "the broker is not unpacked below the target folder: .ci/run does it";

/// The library that changes the clock of a program with threads, which `.ci/run` unpacks.
fn faketime() -> Option<PathBuf> {
    let libraries = target().join("receivers/usr/lib");
    let folders = std::fs::read_dir(libraries).ok()?;
    folders.flatten().find_map(|folder| {
        let library = folder.path().join("faketime/libfaketimeMT.so.1");
        library.canonicalize().ok()
    })
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from)
}

fn pipeline(args: &PipelineArgs) -> anyhow::Result<bool> {
    let program = build(args.quick, &[])?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let chaos = Chaos {
        program,
        folder: folder.path().to_owned(),
        kills: args.kills.unwrap_or(if args.quick { 100 } else { 1000 }),
        seed: args.seed,
        adversaries: !args.only_kills,
        faketime: faketime(),
        freeze: Duration::from_secs(if args.quick { 5 } else { 60 }),
    };
    let outcome = chaos.run();
    let passed = outcome.as_ref().is_ok_and(harness::Outcome::passed);
    tell_of(folder, passed)?;
    say(&format!("{}\n", outcome?))?;
    Ok(passed)
}

fn kafka(args: &KafkaArgs) -> anyhow::Result<bool> {
    let Some(programs) = BrokerPrograms::find(&target()) else {
        bail!(NO_BROKER);
    };
    let program = build(args.quick, &["--features", "kafka"])?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let chaos = GroupChaos {
        program,
        programs,
        folder: folder.path().to_owned(),
        records: args.records,
        kills: args.kills.unwrap_or(if args.quick { 3 } else { 10 }),
        seed: args.seed,
    };
    let outcome = chaos.run();
    let passed = outcome.as_ref().is_ok_and(harness::GroupOutcome::passed);
    tell_of(folder, passed)?;
    say(&format!("{}\n", outcome?))?;
    Ok(passed)
}

/// Builds `dsmith`. The short run takes the program that the tests were run with; the long one the program as it is
/// shipped.
fn build(quick: bool, features: &[&str]) -> anyhow::Result<PathBuf> {
    let profile = if quick { "dev" } else { "release" };
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--package", "dsmith"])
        .args(["--profile", profile])
        .args(features)
        .status()
        .context("cannot start cargo")?;
    if !built.success() {
        bail!("dsmith cannot be built");
    }
    let folder = if quick { "debug" } else { "release" };
    let program = target().join(folder).join("dsmith");
    program
        .canonicalize()
        .with_context(|| format!("cannot find {}", program.display()))
}

/// What a failure leaves behind is what explains it.
fn tell_of(folder: TempDir, passed: bool) -> anyhow::Result<()> {
    if passed {
        return Ok(());
    }
    let kept = folder.keep();
    say(&format!(
        "configuration, state, log and output are in {}\n",
        kept.display()
    ))
}
