//! `dsmith coverage`.

use crate::corpus::Corpus;
use crate::place::Place;
use crate::{Exit, terminal};
use anyhow::Context;
use authoring::coverage::{self, Coverage};
use authoring::render::{self, Format};
use authoring::suite::Shown;
use clap::{Args, ValueEnum};
use dsm::Normalizer;
use std::io::Write;
use std::path::PathBuf;

pub(crate) const EXAMPLES: &str = "Examples:
  dsmith coverage acme-firewall
  dsmith coverage acme-firewall --all             every branch with its hits
  dsmith coverage acme-firewall --min 95          fail below 95 percent
  dsmith coverage acme-firewall --corpus logs/    what real payloads go through
  dsmith coverage acme-firewall -f html -o coverage.html
  dsmith coverage acme-firewall -f cobertura -o coverage.xml

A branch is a match group, a matcher (where a property has several, each of its
order alternatives), an event match, a key path filter, a custom property, a
QID or an event mapping. --min counts what fixtures reach; a corpus is no
evidence. fixtures/<slug>/unreached.txt gives the reason why no fixture reaches
a branch; a reason for one that is reached is an error.

Exit codes:
  0   everything was done
  1   less than --min is reached, unreached.txt is wrong, or some of the
      corpus is broken or could not be read
  64  the command line is wrong";

#[derive(Debug, Args)]
pub(crate) struct CoverageArgs {
    /// Log source type, or its mapping folder.
    #[arg(value_name = "SLUG")]
    slug: String,
    /// Files or folders with payloads of this type, `-` for standard input; counted beside the fixtures.
    #[arg(long, value_name = "PATH")]
    corpus: Vec<PathBuf>,
    /// Fail if fixtures reach less of the branches.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    min: Option<f64>,
    /// List every branch, not only those that no fixture reaches.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    place: Place,
    /// What is written.
    #[arg(long, short = 'f', value_enum, default_value_t = CoverageFormat::Human)]
    format: CoverageFormat,
    /// Where it is written instead of to standard output.
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CoverageFormat {
    /// Text for people.
    Human,
    /// A JSON object.
    Json,
    /// Cobertura's XML, for build servers.
    Cobertura,
    /// A page with the files of the mapping, their lines coloured.
    Html,
}

fn percent(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.trim_end_matches('%').trim_end().parse().ok();
    number
        .filter(|number| (0.0..=100.0).contains(number))
        .ok_or_else(|| "it is a number from 0 to 100".to_owned())
}

pub(crate) fn run(args: &CoverageArgs) -> anyhow::Result<Exit> {
    let mut place = args.place.clone();
    let (mapping, _) = place.mapping(&args.slug)?;
    let folder = place.fixtures().join(mapping.slug());
    let progress = terminal::progress("{pos} of {len} fixtures {wide_bar}");
    let measured = Coverage::measure(&mapping, &folder, |done, all| {
        progress.set_length(all as u64);
        progress.set_position(done as u64);
    });
    progress.finish_and_clear();
    let mut coverage =
        measured.with_context(|| format!("cannot read the fixtures in {}", folder.display()))?;
    let mut is_incomplete = false;
    if !args.corpus.is_empty() {
        let mut corpus = Corpus::of(&args.corpus)?;
        let mut normalizer = Normalizer::new(&mapping);
        corpus.read(|name, offset, payload| {
            coverage.add(&mut normalizer, name, offset, payload);
        });
        is_incomplete = corpus.is_incomplete;
    }
    write(args, &coverage)?;
    let text = render::render(
        &coverage.findings,
        Format::Human,
        terminal::stderr_is_styled(),
    );
    terminal::stderr(&text);
    let share = coverage.percent();
    let too_little = args.min.filter(|min| share < *min);
    if let Some(min) = too_little {
        terminal::error(&format!(
            "fixtures reach {share:.2} % of the branches of {}, which is less than {min} %",
            coverage.slug
        ));
    }
    let failed = too_little.is_some() || is_incomplete || coverage.findings.has_errors();
    Ok(if failed { Exit::Failure } else { Exit::Success })
}

fn write(args: &CoverageArgs, coverage: &Coverage) -> anyhow::Result<()> {
    let text = match args.format {
        CoverageFormat::Human => {
            let shown = Shown {
                colour: args.output.is_none() && terminal::stdout_is_styled(),
                width: terminal::reading_width(),
            };
            coverage::human(coverage, shown, args.all)
        }
        CoverageFormat::Json => coverage::json(coverage),
        CoverageFormat::Cobertura => coverage::cobertura(coverage),
        CoverageFormat::Html => coverage::html(coverage),
    };
    match &args.output {
        Some(path) => {
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
        }
        None => Ok(anstream::stdout().write_all(text.as_bytes())?),
    }
}
