//! Developer commands, a thin front to the `authoring` crate.

mod bench;
mod chaos;
mod delivery;
mod fuzz;

use anyhow::{Context, bail};
use authoring::replay::Corpus;
use authoring::suite::{self, Selection, Shown, Suite};
use authoring::{lint, reference};
use bench::BenchArgs;
use clap::{Parser, Subcommand};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Developer commands of dsmith.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Check every mapping, run every fixture, find what no fixture reaches.
    #[command(after_help = "Examples:
  cargo xtask validate
  cargo xtask validate --type openssh-server --accept

Exit codes: 0 all is well, 1 there are findings.")]
    Validate {
        /// Only this log source type.
        #[arg(long = "type", value_name = "SLUG")]
        slug: Option<String>,
        /// Show what changed in snapshots, then rewrite them.
        #[arg(long)]
        accept: bool,
        /// List the branches that no fixture reaches in fixtures/SLUG/unreached.txt, where the reasons are then missing.
        #[arg(long)]
        accept_unreached: bool,
    },
    /// Everything that has to pass: format, lints, tests, mappings, kills, instruction counts, documentation.
    Ci,
    /// Measure the engine beside a plain JSON parse of the same payloads, and mark the goals.
    #[command(after_help = "Examples:
  cargo xtask bench --quick
  cargo xtask bench --peers --json bench.json --svg docs/performance --doc docs/performance.md
  cargo xtask bench --instructions --doc docs/performance.md
  cargo xtask bench pipeline --doc docs/performance.md
  cargo xtask bench lsp

Exit codes: 0 it was measured, whether or not the goals are met; 1 it could not be,
or --instructions found more of them than are committed.")]
    Bench(BenchArgs),
    /// Kill the program at random moments and count what is lost and repeated.
    Chaos {
        #[command(subcommand)]
        what: chaos::What,
    },
    /// Feed what reads strangers' input with input made up by libFuzzer, and check what it must never do.
    #[command(after_help = "Examples:
  cargo xtask fuzz --list
  cargo xtask fuzz --minutes 60
  cargo xtask fuzz --minutes 5 --target framing --target regex
  cargo xtask fuzz --target framing --input target/fuzz/findings/framing/crash-5ba93c9db0cff93f

Its engine is compiled with a C++ compiler. What was found to be worth keeping stays in
target/fuzz/corpus; --minimize puts the best of it into xtask/fuzz/corpus, which cargo test replays.

Exit codes: 0 nothing was found, else 1.")]
    Fuzz(fuzz::FuzzArgs),
    /// Write the generated pages of the documentation.
    Codegen {
        /// Only check that they are current.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            tell(&format!("error: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Tells whether everything passed.
fn run(cli: Cli) -> anyhow::Result<bool> {
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))?;
    match cli.command {
        Task::Validate {
            slug,
            accept,
            accept_unreached,
        } => validate(slug, accept, accept_unreached),
        Task::Ci => ci(),
        Task::Bench(args) => bench::run(&args),
        Task::Chaos { what } => chaos::run(&what),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Codegen { check } => codegen(check),
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// What goes on meanwhile, for people who wait.
fn tell(text: &str) {
    // Where standard error is closed there is nobody to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn validate(slug: Option<String>, accept: bool, accept_unreached: bool) -> anyhow::Result<bool> {
    if let Some(slug) = &slug
        && !Path::new("dsm-mappings").join(slug).is_dir()
    {
        bail!("no log source type `{slug}`: there is no folder dsm-mappings/{slug}");
    }
    let suite = Suite {
        mappings: PathBuf::from("dsm-mappings"),
        fixtures: PathBuf::from("fixtures"),
        selection: slug.map_or_else(Selection::default, Selection::of_type),
        accept,
        accept_unreached,
        strict: true,
    };
    let mut outcome = suite.run()?;
    for of_type in &outcome.types {
        let slug = of_type.slug.as_str();
        let corpus = Corpus::of_fixtures(&suite.fixtures.join(slug))?;
        let (source, _) = authoring::folder::read_as(&suite.mappings.join(slug), slug.to_owned());
        // What the check says is there already.
        let found = source.map(|source| lint::lint(&source, &corpus).findings);
        for finding in found.into_iter().flatten() {
            outcome.findings.push(finding.diagnostic);
        }
    }
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    say(&suite::report(&outcome, Shown { colour, width: 120 }))?;
    Ok(outcome.passed())
}

fn ci() -> anyhow::Result<bool> {
    /// How many random schedules the tests of collection go through, REST interfaces and files.
    const SEEDS: (&str, &str) = ("DSMITH_SEEDS", "400");
    let cargo = |args: &[&str], documentation: bool| -> anyhow::Result<bool> {
        say(&format!("== cargo {}\n", args.join(" ")))?;
        let mut command = Command::new("cargo");
        command.args(args).env(SEEDS.0, SEEDS.1);
        if documentation {
            command.env("RUSTDOCFLAGS", "-D warnings");
        }
        Ok(command.status().context("cannot start cargo")?.success())
    };
    const CLIPPY: &[&str] = &[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    // What releases are built with. The default build leaves it out, so that the first command is quick.
    const RELEASED: &[&str] = &["--workspace", "--features", "dsmith/kafka"];
    const WITHOUT_KAFKA: &[&str] = &[
        "test",
        "--package",
        "protocol",
        "--lib",
        "--test",
        "parameters",
    ];
    const DOC: &[&str] = &[
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ];
    // Every step runs: a lint that a newer compiler brings must not hide what the tests say.
    let mut passed = cargo(&["fmt", "--all", "--check"], false)?;
    passed &= cargo(CLIPPY, false)?;
    passed &= cargo(&[&["clippy"], RELEASED, &CLIPPY[2..]].concat(), false)?;
    passed &= cargo(&[&["test"], RELEASED].concat(), false)?;
    // What is said and refused without the feature. Everything else is the same without it, and was tested.
    passed &= cargo(WITHOUT_KAFKA, false)?;
    say("== validate\n")?;
    passed &= validate(None, false, false)?;
    say("== codegen --check\n")?;
    passed &= codegen(true)?;
    say("== chaos pipeline --quick\n")?;
    passed &= chaos::quick()?;
    say("== chaos kafka --quick\n")?;
    passed &= chaos::quick_kafka()?;
    say("== fuzz --minutes 1\n")?;
    passed &= fuzz::a_minute()?;
    say("== bench --instructions\n")?;
    passed &= bench::instructions::run(false, None)?;
    passed &= cargo(DOC, true)?;
    say(if passed {
        "everything passed\n"
    } else {
        "failed\n"
    })?;
    Ok(passed)
}

/// All generated pages: where each is, and its text. The crates that have the tables do not see each other.
fn pages() -> Vec<(String, String)> {
    let mut pages: Vec<(String, String)> = reference::pages()
        .into_iter()
        .map(|page| (page.path, page.text))
        .collect();
    pages.push((
        protocol::reference::PATH.to_owned(),
        protocol::reference::page(),
    ));
    pages.extend(
        pipeline::config::pages()
            .into_iter()
            .map(|(path, text)| (path.to_owned(), text)),
    );
    pages
}

fn codegen(check: bool) -> anyhow::Result<bool> {
    let mut current = true;
    let pages = pages();
    for (path, text) in &pages {
        let old = std::fs::read_to_string(path).unwrap_or_default();
        if old == *text {
            continue;
        }
        if check {
            current = false;
            say(&format!("{path} is out of date: run cargo xtask codegen\n"))?;
            continue;
        }
        if let Some(folder) = Path::new(path).parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, text).with_context(|| format!("cannot write {path}"))?;
        say(&format!("wrote {path}\n"))?;
    }
    let mut files = Vec::new();
    for folder in ["docs/reference", "docs/lints"] {
        for entry in std::fs::read_dir(folder)? {
            files.push(entry?.path());
        }
    }
    for path in files {
        let is_ours = pages.iter().any(|(page, _)| path == Path::new(page));
        if !is_ours && std::fs::read_to_string(&path)?.contains("Generated by") {
            current = false;
            say(&format!(
                "{} says that it is generated, but nothing generates it\n",
                path.display()
            ))?;
        }
    }
    Ok(current)
}
