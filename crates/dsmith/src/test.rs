//! `dsmith test`.

use crate::args::ReportFormat;
use crate::place::Place;
use crate::{Exit, UsageError, explain, terminal};
use anyhow::Context;
use authoring::folder;
use authoring::git;
use authoring::suite::{self, Outcome, Selection, Shown, Suite};
use clap::Args;
use dsm::diagnostic::suggest;
use std::io::Write;
use std::path::PathBuf;

pub(crate) const EXAMPLES: &str = "Examples:
  dsmith test                          all fixtures of all types
  dsmith test acme-firewall            those of one type
  dsmith test denied syslog/conn       those with one of these in their name
  dsmith test --changed                what differs from the last commit
  dsmith test acme-firewall --accept   rewrite the snapshots, then read them
  dsmith test --junit report.xml       for a build server

A fixture is named <slug>/<shape>/<file>. Snapshots are the files that
`cargo test` and `cargo insta review` use. --strict is what a shipped mapping
has to pass: no warning, and each branch reached or excused in unreached.txt.

Exit codes:
  0   every fixture gives what its snapshot says, and there are no errors
  1   a fixture differs or has no snapshot, or there are other errors
      (--strict: or warnings, or branches that no fixture reaches)
  64  the command line is wrong";

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Log source types, mapping folders, or parts of names of fixtures; everything, if none is given.
    #[arg(value_name = "SLUG|NAME")]
    names: Vec<String>,
    /// Show what changed, and rewrite the snapshots.
    #[arg(long)]
    accept: bool,
    /// Put branches that no fixture reaches on the list unreached.txt, where the reasons are then missing.
    #[arg(long)]
    accept_unreached: bool,
    /// Only fixtures that changed, or whose mapping did, since a revision of git (HEAD, if none is given).
    #[arg(long, value_name = "REVISION", num_args = 0..=1, require_equals = true, default_missing_value = "HEAD")]
    changed: Option<String>,
    /// Warnings, and branches that no fixture reaches, fail the run too.
    #[arg(long)]
    strict: bool,
    /// Write the results as JUnit XML too.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    /// How the results are shown.
    #[arg(long, short = 'f', value_enum, default_value_t = ReportFormat::Human)]
    format: ReportFormat,
    /// Explain the code of each finding.
    #[arg(long)]
    explain: bool,
}

pub(crate) fn run(args: &TestArgs) -> anyhow::Result<Exit> {
    let (mut place, mut names) = (args.place.clone(), Vec::new());
    for name in &args.names {
        names.push(match place.enter(name) {
            Some(slug) => slug,
            None => name.clone(),
        });
    }
    let (mappings, fixtures) = (place.mappings(), place.fixtures());
    let changed = match &args.changed {
        Some(revision) => Some(
            git::changed_files(revision, &[&mappings, &fixtures])
                .context("--changed cannot find out what changed")?,
        ),
        None => None,
    };
    let suite = Suite {
        mappings,
        fixtures,
        selection: Selection { names, changed },
        accept: args.accept,
        accept_unreached: args.accept_unreached,
        strict: args.strict,
    };
    let progress = terminal::progress("{pos} of {len} fixtures {wide_bar}");
    let outcome = suite.run_watched(|done, all| {
        progress.set_length(all as u64);
        progress.set_position(done as u64);
    });
    progress.finish_and_clear();
    let outcome = outcome.with_context(|| place.advice())?;
    check_names(&suite, &outcome)?;
    if let Some(path) = &args.junit {
        std::fs::write(path, suite::junit(&outcome))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    show(args, &outcome)?;
    Ok(if outcome.passed() {
        Exit::Success
    } else {
        Exit::Failure
    })
}

/// A name that leads to nothing is most often misspelt; a run of nothing must not look like a success.
fn check_names(suite: &Suite, outcome: &Outcome) -> anyhow::Result<()> {
    let Some(name) = outcome.unknown.first() else {
        return Ok(());
    };
    let folders = folder::folders(&suite.mappings)?;
    let slugs: Vec<_> = folders
        .iter()
        .map(|folder| folder.file_name().unwrap_or_default().to_string_lossy())
        .collect();
    let known: Vec<&str> = slugs.iter().map(AsRef::as_ref).collect();
    Err(UsageError(format!(
        "`{name}` is neither a log source type in {} nor a part of the name of a fixture: {}",
        suite.mappings.display(),
        suggest(name, "types", &known)
    ))
    .into())
}

fn show(args: &TestArgs, outcome: &Outcome) -> anyhow::Result<()> {
    let mut text = match args.format {
        ReportFormat::Json => suite::report_json(outcome),
        ReportFormat::Human => suite::report(
            outcome,
            Shown {
                colour: terminal::stdout_is_styled(),
                width: terminal::reading_width(),
            },
        ),
    };
    if args.explain && args.format == ReportFormat::Human {
        text.push_str(&explain::of_findings(&outcome.findings));
    }
    anstream::stdout().write_all(text.as_bytes())?;
    Ok(())
}
