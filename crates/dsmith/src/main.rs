//! The `dsmith` command line: arguments, rendering, exit codes. What the commands do is in the libraries.

mod anonymize;
mod args;
mod author;
mod census;
mod check;
mod check_config;
mod corpus;
mod coverage;
mod demo;
mod diff;
mod explain;
mod export;
mod import;
mod library;
mod lint;
mod lsp;
mod memory;
mod new;
mod parse;
mod place;
mod protocols;
mod run;
mod schema;
mod status;
mod terminal;
mod test;
mod test_source;

use args::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;

/// How a command ended; the numbers are documented in `--help` and in the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Success = 0,
    Failure = 1,
    NotMapped = 2,
    Usage = 64,
}

/// The command line asks for something that cannot be.
#[derive(Debug)]
struct UsageError(String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; where they cannot be written, nothing can.
            let _ = error.print();
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Success
            };
            return ExitCode::from(exit as u8);
        }
    };
    cli.colour.write_global();
    let result = match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Parse(args) => parse::run(args),
        Command::Check(args) => check::run(&args),
        Command::Anonymize(args) => anonymize::run(&args),
        Command::New(args) => new::run(&args),
        Command::Lint(args) => lint::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Coverage(args) => coverage::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Census(args) => census::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Lsp => lsp::run(),
        Command::Explain(args) => explain::run(&args),
        Command::CheckConfig(args) => check_config::run(&args),
        Command::TestSource(args) => test_source::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Protocol(args) => protocols::run(&args),
    };
    match result {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::error(&format!("{error:#}"));
            let exit = if error.is::<UsageError>() {
                Exit::Usage
            } else {
                Exit::Failure
            };
            ExitCode::from(exit as u8)
        }
    }
}

/// Whoever reads our output has seen enough, as in `dsmith parse … | head`.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
