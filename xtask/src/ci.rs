//! `cargo xtask ci`: everything that has to pass, step by step.

use crate::bench::instructions;
use crate::{chaos, codegen, fuzz, say, validate};
use anyhow::{Context, bail};
use clap::Args;
use std::process::Command;
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
pub(crate) struct CiArgs {
    /// Only this step; more than one may be given.
    #[arg(long = "step", value_name = "NAME")]
    steps: Vec<String>,
    /// List the steps.
    #[arg(long)]
    list: bool,
}

struct Step {
    name: &'static str,
    about: &'static str,
    run: fn() -> anyhow::Result<bool>,
}

/// In their order: what is quick and fails often comes first.
const STEPS: &[Step] = &[
    Step {
        name: "format",
        about: "rustfmt changes nothing",
        run: || cargo(&["fmt", "--all", "--check"]),
    },
    Step {
        name: "lint",
        about: "clippy finds nothing in the build that users make",
        run: || {
            cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])
        },
    },
    Step {
        name: "lint-kafka",
        about: "clippy finds nothing in the build of a release, which speaks Kafka",
        run: || {
            cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--features",
                "dsmith/kafka",
                "--",
                "-D",
                "warnings",
            ])
        },
    },
    Step {
        name: "test-kafka",
        about: "all tests, in the build of a release",
        run: || cargo(&["test", "--workspace", "--features", "dsmith/kafka"]),
    },
    Step {
        name: "test",
        about: "what is said and refused without Kafka, in the build that users make",
        run: || {
            cargo(&[
                "test",
                "--package",
                "protocol",
                "--lib",
                "--test",
                "parameters",
            ])
        },
    },
    Step {
        name: "validate",
        about: "every mapping and every fixture",
        run: || validate(None, false, false),
    },
    Step {
        name: "codegen",
        about: "the generated pages are current",
        run: || codegen(true),
    },
    Step {
        name: "chaos",
        about: "dsmith run is killed, and its surroundings with it",
        run: chaos::quick,
    },
    Step {
        name: "chaos-kafka",
        about: "the same in a consumer group",
        run: chaos::quick_kafka,
    },
    Step {
        name: "fuzz",
        about: "a minute of made-up input",
        run: fuzz::a_minute,
    },
    Step {
        name: "instructions",
        about: "the engine takes no more instructions than are committed",
        run: || instructions::run(false, None),
    },
    Step {
        name: "doc",
        about: "rustdoc has nothing to say",
        run: || {
            cargo(&[
                "doc",
                "--workspace",
                "--no-deps",
                "--document-private-items",
            ])
        },
    },
];

/// How many random schedules the tests of collection go through, REST interfaces and files.
const SEEDS: (&str, &str) = ("DSMITH_SEEDS", "400");

pub(crate) fn run(args: &CiArgs) -> anyhow::Result<bool> {
    if args.list {
        for step in STEPS {
            say(&format!("{:<14}{}\n", step.name, step.about))?;
        }
        return Ok(true);
    }
    // Every step runs: a lint that a newer compiler brings must not hide what the tests say.
    let mut table = String::new();
    let mut passed = true;
    let start = Instant::now();
    for step in chosen(&args.steps)? {
        say(&format!("== {}: {}\n", step.name, step.about))?;
        let start = Instant::now();
        let result = (step.run)();
        let verdict = match &result {
            Ok(true) => "passed",
            Ok(false) => "failed",
            Err(error) => {
                say(&format!("error: {error:#}\n"))?;
                "failed"
            }
        };
        passed &= matches!(result, Ok(true));
        table += &row(step.name, verdict, start.elapsed());
    }
    let verdict = if passed { "passed" } else { "failed" };
    say(&format!("\n{:<14}{:<8}{:>8}\n{table}", "STEP", "", "TIME"))?;
    say(&row("everything", verdict, start.elapsed()))?;
    Ok(passed)
}

fn row(name: &str, verdict: &str, took: Duration) -> String {
    let seconds = took.as_secs();
    format!(
        "{name:<14}{verdict:<8}{:>5}:{:02}\n",
        seconds / 60,
        seconds % 60
    )
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Step>> {
    if let Some(name) = names
        .iter()
        .find(|name| STEPS.iter().all(|step| step.name != name.as_str()))
    {
        let known: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        bail!("no step is called `{name}`: known are {}", known.join(", "));
    }
    let is_chosen = |step: &&Step| names.is_empty() || names.iter().any(|name| name == step.name);
    Ok(STEPS.iter().filter(is_chosen).collect())
}

/// With the versions of `Cargo.lock` and no others.
fn cargo(args: &[&str]) -> anyhow::Result<bool> {
    let mut command = Command::new("cargo");
    command.arg(args[0]);
    if args[0] != "fmt" {
        command.arg("--locked");
    }
    let status = command
        .args(&args[1..])
        .env(SEEDS.0, SEEDS.1)
        .env("RUSTDOCFLAGS", "-D warnings")
        .status()
        .context("cannot start cargo")?;
    Ok(status.success())
}
