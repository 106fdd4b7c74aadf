//! `dsmith diff`.

use crate::args::ReportFormat;
use crate::corpus::Corpus;
use crate::place::Place;
use crate::{Exit, UsageError, terminal};
use anyhow::{Context, bail};
use authoring::compare::{self, Aspect, Comparison, Tally, Version, Way};
use authoring::render::{self, Format};
use authoring::suite::Shown;
use clap::Args;
use dsm::Mapping;
use dsm::diagnostic::suggest;
use std::io::{self, Write};
use std::path::PathBuf;

pub(crate) const EXAMPLES: &str = "Examples:
  dsmith diff HEAD dsm-mappings/acme             what my edits change
  dsmith diff v1.2 main --type acme              two revisions of git
  dsmith diff v1.2:dsm-mappings/acme-old dsm-mappings/acme
  dsmith diff old.xml new.xml --corpus logs/     two extensions
  dsmith diff HEAD dsm-mappings/acme --fail-on lost,status,QID

A revision alone means the folder that the other side names. Without --corpus
the fixtures of the type are the payloads. With --format json each event that
changes has a line.

--fail-on takes `any`, `lost` (a property has no value any more), a property
such as UserName, or one of: status, event ID, event category, QID, QID name,
QID description, severity, low-level category, identity, LEEF.

Exit codes:
  0   both versions were run; events may change
  1   an event changes as --fail-on says, a version has errors, or some of the
      corpus is broken or could not be read
  64  the command line is wrong";

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// A mapping folder, an extension (*.xml), a git revision, or REVISION:FOLDER.
    #[arg(value_name = "OLD")]
    old: String,
    /// The same, for the new version.
    #[arg(value_name = "NEW")]
    new: String,
    /// Files or folders with payloads, `-` for standard input; the fixtures of the type, if none is given.
    #[arg(long, value_name = "PATH")]
    corpus: Vec<PathBuf>,
    /// The log source type, where both sides are revisions.
    #[arg(long = "type", short = 't', value_name = "SLUG")]
    slug: Option<String>,
    /// Fail if an event changes in one of these ways.
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    fail_on: Vec<String>,
    #[command(flatten)]
    place: Place,
    /// How the result is shown.
    #[arg(long, short = 'f', value_enum, default_value_t = ReportFormat::Human)]
    format: ReportFormat,
}

pub(crate) fn run(args: &DiffArgs) -> anyhow::Result<Exit> {
    let place = &args.place;
    let named = args.slug.as_ref().map(|slug| place.mappings().join(slug));
    let folder_of = |word: &str| match Version::on_disk(word) {
        Some(Version::Folder(path)) => Some(path),
        _ => named.clone(),
    };
    let version = |word: &str, other: &str| {
        Version::of(word, folder_of(other).as_deref()).map_err(|error| {
            UsageError(format!(
                "{error}; with --type SLUG a revision alone is enough"
            ))
        })
    };
    let old_version = version(&args.old, &args.new)?;
    let new_version = version(&args.new, &args.old)?;
    let (old, new) = (load(&old_version)?, load(&new_version)?);
    let fail_on = criteria(&args.fail_on, &old, &new)?;
    let paths = if args.corpus.is_empty() {
        let folder = place.fixtures().join(new_version.slug());
        if !folder.is_dir() {
            return Err(UsageError(format!(
                "there are no fixtures in {}: name payloads with --corpus",
                folder.display()
            ))
            .into());
        }
        vec![folder]
    } else {
        args.corpus.clone()
    };
    let mut corpus = Corpus::of(&paths)?;
    let mut comparison = Comparison::new(&old, &new);
    let mut out = io::BufWriter::new(anstream::stdout());
    let mut written = Ok(());
    corpus.read(|name, offset, payload| {
        let changed = comparison.payload(name, offset, payload);
        if let Some(event) = changed
            && args.format == ReportFormat::Json
            && written.is_ok()
        {
            written = out.write_all(compare::event_json(name, offset, &event).as_bytes());
        }
    });
    written?;
    let tally = &comparison.tally;
    let text = match args.format {
        ReportFormat::Json => compare::json(tally),
        ReportFormat::Human => compare::human(
            tally,
            Shown {
                colour: terminal::stdout_is_styled(),
                width: terminal::reading_width(),
            },
        ),
    };
    out.write_all(text.as_bytes())?;
    out.flush()?;
    let failures = failures(&fail_on, tally);
    for failure in &failures {
        terminal::error(failure);
    }
    Ok(if failures.is_empty() && !corpus.is_incomplete {
        Exit::Success
    } else {
        Exit::Failure
    })
}

fn load(version: &Version) -> anyhow::Result<Mapping> {
    let (mapping, findings) = version.load().context("cannot load a version")?;
    let Some(mapping) = mapping else {
        let styled = terminal::stderr_is_styled();
        terminal::stderr(&render::render(&findings, Format::Human, styled));
        bail!(
            "{} has errors, so there is nothing to compare",
            version.slug()
        );
    };
    Ok(mapping)
}

/// A change that fails the run.
#[derive(Debug, PartialEq, Eq)]
enum Criterion {
    Any,
    Lost,
    Aspect(Aspect),
}

fn criteria(words: &[String], old: &Mapping, new: &Mapping) -> anyhow::Result<Vec<Criterion>> {
    let fold = |text: &str| text.to_lowercase().replace(['-', '_'], " ");
    let mut known: Vec<Aspect> = Aspect::FACTS.to_vec();
    let system = dsm::field::Field::NAMES
        .iter()
        .map(|name| (*name).to_owned());
    let custom = [old, new].into_iter().flat_map(|mapping| {
        let properties = mapping.custom_properties().iter();
        properties.map(|property| property.name.clone())
    });
    known.extend(system.chain(custom).map(Aspect::Property));
    words
        .iter()
        .map(|word| match fold(word).as_str() {
            "any" => Ok(Criterion::Any),
            "lost" => Ok(Criterion::Lost),
            folded => {
                let aspect = known.iter().find(|aspect| fold(aspect.name()) == folded);
                aspect.cloned().map(Criterion::Aspect).ok_or_else(|| {
                    let mut names = vec!["any", "lost"];
                    names.extend(known.iter().map(Aspect::name));
                    names.dedup();
                    let known = suggest(word, "known are", &names);
                    UsageError(format!("--fail-on `{word}`: {known}")).into()
                })
            }
        })
        .collect()
}

fn failures(criteria: &[Criterion], tally: &Tally) -> Vec<String> {
    let mut failures = Vec::new();
    for criterion in criteria {
        let causes = tally.causes.iter().filter(|(cause, _)| match criterion {
            Criterion::Any => false,
            Criterion::Lost => cause.way == Way::Loses,
            Criterion::Aspect(aspect) => cause.aspect == *aspect,
        });
        for (cause, found) in causes {
            failures.push(format!(
                "--fail-on: {} of {} events; it {} {}",
                found.events,
                tally.events,
                cause.way.name(),
                cause.aspect.name()
            ));
        }
        if *criterion == Criterion::Any && tally.changed > 0 {
            failures.push(format!(
                "--fail-on any: {} of {} events change",
                tally.changed, tally.events
            ));
        }
    }
    failures.sort();
    failures.dedup();
    failures
}
