//! `cargo xtask chaos`: what it costs to be killed.

use crate::say;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use simulator::Chaos;
use std::path::Path;
use std::process::Command;

/// What is killed.
#[derive(Debug, Subcommand)]
pub(crate) enum What {
    /// `dsmith run`, while it collects from the simulator and delivers to files and over TCP.
    #[command(after_help = "Examples:
  cargo xtask chaos pipeline --quick
  cargo xtask chaos pipeline --kills 5000 --seed 7

Exit codes: 0 nothing was lost and no more repeated than is in order, else 1.")]
    Pipeline(PipelineArgs),
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
}

pub(crate) fn run(what: &What) -> anyhow::Result<bool> {
    let What::Pipeline(args) = what;
    pipeline(args)
}

/// As often as continuous integration has the time for.
pub(crate) fn quick() -> anyhow::Result<bool> {
    pipeline(&PipelineArgs {
        kills: None,
        seed: 1,
        quick: true,
    })
}

fn pipeline(args: &PipelineArgs) -> anyhow::Result<bool> {
    // The short run takes the program that the tests were run with; the long one the program as it is shipped.
    let profile = if args.quick { "dev" } else { "release" };
    let built = Command::new("cargo")
        .args([
            "build",
            "--quiet",
            "--package",
            "dsmith",
            "--profile",
            profile,
        ])
        .status()
        .context("cannot start cargo")?;
    if !built.success() {
        bail!("dsmith cannot be built");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let program = Path::new(&target)
        .join(if args.quick { "debug" } else { "release" })
        .join("dsmith");
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let chaos = Chaos {
        program: program
            .canonicalize()
            .with_context(|| format!("cannot find {}", program.display()))?,
        folder: folder.path().to_owned(),
        kills: args.kills.unwrap_or(if args.quick { 100 } else { 1000 }),
        seed: args.seed,
    };
    let outcome = chaos.run();
    let passed = outcome.as_ref().is_ok_and(simulator::Outcome::passed);
    if !passed {
        // What a failure leaves behind is what explains it.
        let kept = folder.keep();
        say(&format!(
            "configuration, state, log and output are in {}\n",
            kept.display()
        ))?;
    }
    say(&format!("{}\n", outcome?))?;
    Ok(passed)
}
