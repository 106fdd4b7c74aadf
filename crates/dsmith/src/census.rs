//! `dsmith census`.

use crate::args::ReportFormat;
use crate::corpus::Corpus;
use crate::place::Place;
use crate::{Exit, terminal};
use anyhow::Context;
use authoring::census::{self, Census};
use authoring::input::Item;
use authoring::suite::Shown;
use authoring::{corpus, suite};
use clap::Args;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

pub(crate) const EXAMPLES: &str = "Examples:
  dsmith census acme-firewall --corpus logs/
  dsmith census acme-firewall --corpus today.ndjson --all
  curl -s https://api.example.com/alerts | dsmith census acme-cloud --corpus -
  dsmith census acme-firewall --corpus logs/ --capture

Every JSON path (or key) of the corpus: how often, with which types and
examples, whether the mapping reads it, and whether a fixture has it. First
come events without a QID, kinds of elements that are new, and new values where
the fixtures have few different ones.

--capture writes a payload of each novelty, as received, to
fixtures/<slug>/captured/. It holds what the source sent: replace names,
addresses and identifiers before you commit it.

Exit codes:
  0   everything was done
  1   the mapping has errors, some of the corpus is broken or could not be read,
      or a fixture could not be written
  64  the command line is wrong";

#[derive(Debug, Args)]
pub(crate) struct CensusArgs {
    /// Log source type, or its mapping folder.
    #[arg(value_name = "SLUG")]
    slug: String,
    /// Files or folders with payloads of this type, `-` for standard input.
    #[arg(long, value_name = "PATH", required = true)]
    corpus: Vec<PathBuf>,
    /// Write a payload of each novelty into the folder of fixtures.
    #[arg(long)]
    capture: bool,
    /// How many payloads --capture writes at most.
    #[arg(long, value_name = "N", default_value_t = 20, requires = "capture")]
    most: usize,
    /// List all paths, not only the most frequent ones that are not read.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    place: Place,
    /// How the result is shown.
    #[arg(long, short = 'f', value_enum, default_value_t = ReportFormat::Human)]
    format: ReportFormat,
}

pub(crate) fn run(args: &CensusArgs) -> anyhow::Result<Exit> {
    let mut place = args.place.clone();
    let (mapping, _) = place.mapping(&args.slug)?;
    let folder = place.fixtures().join(mapping.slug());
    let mut census = Census::new(&mapping);
    let fixtures = suite::fixtures(&folder)
        .with_context(|| format!("cannot list the fixtures in {}", folder.display()))?;
    let fixtures: Vec<_> = fixtures.into_iter().map(corpus::Input::Named).collect();
    let unread = corpus::read(
        &fixtures,
        |_| {},
        |_, item| {
            if let Item::Payload(bytes, _) = item {
                census.fixture(bytes);
            }
        },
    );
    for error in &unread {
        terminal::error(error);
    }
    let mut payloads = Corpus::of(&args.corpus)?;
    let captured = folder.join("captured");
    let mut written = Vec::new();
    let mut result = Ok(());
    payloads.read(|_, _, bytes| {
        let Some(name) = census.payload(bytes) else {
            return;
        };
        if args.capture && written.len() < args.most && result.is_ok() {
            match capture(&captured, &name, bytes) {
                Ok(path) => written.push(path),
                Err(error) => result = Err(error),
            }
        }
    });
    let text = match args.format {
        ReportFormat::Json => census::json(&census),
        ReportFormat::Human => {
            let shown = Shown {
                colour: terminal::stdout_is_styled(),
                width: terminal::reading_width(),
            };
            census::human(&census, shown, args.all)
        }
    };
    anstream::stdout().write_all(text.as_bytes())?;
    for path in &written {
        terminal::stderr(&format!("wrote {}\n", path.display()));
    }
    if !written.is_empty() {
        terminal::warning(
            "captured payloads are as received: replace names, addresses and identifiers before you commit them",
        );
    }
    result.with_context(|| format!("cannot write to {}", captured.display()))?;
    Ok(if payloads.is_incomplete || !unread.is_empty() {
        Exit::Failure
    } else {
        Exit::Success
    })
}

/// Writes a payload as a new file; one that is there already is left alone.
fn capture(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let first = bytes.trim_ascii_start().first();
    let extension = match first {
        Some(b'{' | b'[') => "json",
        _ => "log",
    };
    let mut number = 1;
    loop {
        let file = match number {
            1 => format!("{name}.{extension}"),
            number => format!("{name}-{number}.{extension}"),
        };
        let path = folder.join(file);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                file.write_all(bytes)?;
                if !bytes.ends_with(b"\n") {
                    file.write_all(b"\n")?;
                }
                return Ok(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}
