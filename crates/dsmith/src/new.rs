//! `dsmith new`.

use crate::args::ReportFormat;
use crate::author::counted;
use crate::corpus::Corpus;
use crate::import::read;
use crate::place::Place;
use crate::{Exit, UsageError, terminal};
use anyhow::{Context, bail};
use authoring::anonymize;
use authoring::folder::{self, Library};
use authoring::import::{ImportError, titled};
use authoring::render::{self, Format};
use authoring::replay::Sample;
use authoring::scaffold::{self, Identity, Numbers, Scaffold, ScaffoldError};
use authoring::snapshot::table;
use clap::Args;
use dsm::diagnostic::Diagnostics;
use dsm::qidmap::USER_DEFINED;
use std::io::Write;
use std::path::{Path, PathBuf};

pub(crate) const EXAMPLES: &str = "Examples:
  dsmith new acme-firewall --from-samples samples.log
  dsmith new acme-cloud --from-samples alerts/ more.ndjson
  dsmith new acme-vpn --from-lsx exported.xml --from-samples vpn.log
  dsmith new acme                      with an invented sample, to be replaced

From samples it proposes what finds each value (JSON key paths, LEEF and CEF
keys, name-value pairs), which property it is, types of custom properties, event
IDs with a QID each, and autodetection. A value becomes an address, a port, a
MAC address or a time only where nearly all samples say so. Each sample becomes
a fixture with its snapshot. README.md lists what is left to decide. An
extension keeps its bytes.

The folder passes `dsmith check`, `dsmith test` and `dsmith coverage` as it is.
Fixtures hold what the source sent; dsmith anonymize replaces names, addresses
and identifiers. A sample that is cut off, or holds a secret, is left out.

Exit codes:
  0   the folder was made
  1   something is there already, could not be read or written, or the
      extension has errors
  64  the command line is wrong";

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// The name of the new folder, such as acme-firewall.
    #[arg(value_name = "SLUG")]
    slug: String,
    /// Files or folders with payloads of the source, `-` for standard input.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    from_samples: Vec<PathBuf>,
    /// A log source extension, which the folder is made around.
    #[arg(long, value_name = "FILE")]
    from_lsx: Option<PathBuf>,
    /// The name of the log source type; made of the slug if it is not given.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How many samples become fixtures at most.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    most: u16,
    #[command(flatten)]
    place: Place,
    /// How the result is shown.
    #[arg(long, short = 'f', value_enum, default_value_t = ReportFormat::Human)]
    format: ReportFormat,
}

/// More samples, or more bytes of them, tell nothing new.
const MOST_SAMPLES: usize = 2000;
const MOST_BYTES: usize = 32 << 20;
/// QIDs of a mapping begin at a multiple of this, so that it can grow.
const QIDS: u32 = 10_000;
/// Where QRadar's numbers of custom log source types begin.
const CUSTOM_TYPES: u32 = 4000;

pub(crate) fn run(args: &NewArgs) -> anyhow::Result<Exit> {
    if !folder::is_slug(&args.slug) {
        let help = match folder::to_slug(&args.slug) {
            Some(slug) => format!("write {slug}"),
            None => "write one such as acme-firewall".to_owned(),
        };
        return Err(UsageError(format!(
            "`{}` is no slug, which has lower case letters, digits and single hyphens: {help}",
            args.slug
        ))
        .into());
    }
    let mapping = args.place.mappings().join(&args.slug);
    let fixtures = args.place.fixtures().join(&args.slug);
    for taken in [&mapping, &fixtures] {
        if taken.exists() {
            bail!(
                "{} is there already: choose another name, or remove it",
                taken.display()
            );
        }
    }
    let (identity, numbers) = identity(args);
    let samples = samples(args)?;
    let most = usize::from(args.most);
    let waiting = terminal::waiting("proposes a mapping");
    let made = match &args.from_lsx {
        Some(path) => {
            let extension = (path.display().to_string(), read(path)?);
            scaffold::from_extension(&identity, &numbers, extension, &samples, most)
        }
        None => scaffold::from_samples(&identity, &numbers, &samples, most),
    };
    drop(waiting);
    let made = made.map_err(failure)?;
    let written = write(&made, &mapping, &fixtures).inspect_err(|_| {
        // Neither was there before; half a folder would be in the way of another attempt.
        for folder in [&mapping, &fixtures] {
            let _ = std::fs::remove_dir_all(folder);
        }
    })?;
    show(args, &made, &written)?;
    Ok(Exit::Success)
}

/// The numbers that the mappings beside it leave free.
fn identity(args: &NewArgs) -> (Identity, Numbers) {
    let (library, _) = Library::load(&args.place.mappings()).unwrap_or_default();
    let mut type_id = CUSTOM_TYPES;
    let mut numbers = Numbers {
        qid: USER_DEFINED,
        precedence: 50,
    };
    for mapping in library.iter() {
        let manifest = mapping.manifest();
        type_id = type_id.max(manifest.log_source_type_id.saturating_add(1));
        if let Some(precedence) = &manifest.precedence {
            numbers.precedence = numbers.precedence.max(precedence.value.saturating_add(10));
        }
        for record in &mapping.qids().records {
            let next = (record.qid / QIDS).saturating_add(1).saturating_mul(QIDS);
            numbers.qid = numbers.qid.max(next.saturating_add(1));
        }
    }
    let identity = Identity {
        slug: args.slug.clone(),
        name: args.name.clone().unwrap_or_else(|| titled(&args.slug)),
        type_id,
    };
    (identity, numbers)
}

fn samples(args: &NewArgs) -> anyhow::Result<Vec<Sample>> {
    if args.from_samples.is_empty() {
        let is_invented = args.from_lsx.is_none();
        return Ok(is_invented.then(scaffold::example).into_iter().collect());
    }
    let mut corpus = Corpus::of(&args.from_samples)?;
    let (mut samples, mut size, mut left_out, mut broken) = (Vec::new(), 0, 0u64, 0);
    corpus.read(|name, offset, bytes| {
        size += bytes.len();
        if samples.len() == MOST_SAMPLES || size > MOST_BYTES {
            left_out += 1;
            return;
        }
        // One that is cut off tells nothing reliable, and would be no fixture.
        if !scaffold::stands_alone(bytes) {
            broken += 1;
            return;
        }
        // What is in a sample comes into a fixture, a snapshot and the QID map.
        let secrets = anonymize::secrets(&String::from_utf8_lossy(bytes));
        if let Some(secret) = secrets.first() {
            terminal::warning(&format!(
                "{name}: byte {offset}: the sample holds {}, and is left out",
                secret.what
            ));
            return;
        }
        samples.push(Sample {
            file: name.to_owned(),
            bytes: bytes.to_vec(),
        });
    });
    if corpus.is_unread {
        bail!("some of the samples could not be read; nothing was written");
    }
    if broken > 0 {
        let are = if broken == 1 { "is" } else { "are" };
        let broken = counted(broken, "sample");
        terminal::warning(&format!(
            "{broken} {are} cut off, broken or binary, and left out"
        ));
    }
    if samples.is_empty() {
        bail!("the samples hold no payloads that can be used; nothing was written");
    }
    if left_out > 0 {
        terminal::note(&format!(
            "{left_out} more samples were not looked at: the first {} say enough",
            samples.len()
        ));
    }
    Ok(samples)
}

fn failure(error: ScaffoldError) -> anyhow::Error {
    let told = |findings: &Diagnostics| {
        let styled = terminal::stderr_is_styled();
        terminal::stderr(&render::render(findings, Format::Human, styled));
    };
    match &error {
        ScaffoldError::Invalid(findings)
        | ScaffoldError::Import(ImportError::Invalid(findings)) => told(findings),
        _ => {}
    }
    anyhow::Error::new(error).context("nothing was written")
}

fn write(made: &Scaffold, mapping: &Path, fixtures: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let source = &made.source;
    let mut files = vec![
        (
            mapping.join("manifest.toml"),
            source.manifest.text.as_bytes(),
        ),
        (
            mapping.join("extension.xml"),
            source.extension.text.as_bytes(),
        ),
        (mapping.join("qidmap.csv"), source.qidmap.text.as_bytes()),
        (
            mapping.join("event-mappings.csv"),
            source.event_mappings.text.as_bytes(),
        ),
        (mapping.join("README.md"), made.readme.as_bytes()),
    ];
    for fixture in &made.fixtures {
        let path = fixtures.join(&fixture.path);
        let snapshot = authoring::suite::snapshot_of(&path);
        files.push((path, &fixture.bytes));
        files.push((snapshot, fixture.snapshot.as_bytes()));
    }
    for (path, bytes) in &files {
        let written = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(path, bytes));
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

fn show(args: &NewArgs, made: &Scaffold, written: &[PathBuf]) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    if args.format == ReportFormat::Json {
        return Ok(out.write_all(scaffold::json(made, written).as_bytes())?);
    }
    let mut text = String::new();
    let rows: Vec<[String; 4]> = made
        .proposals
        .iter()
        .map(|proposal| {
            let seen = proposal.seen;
            [
                proposal.field.clone(),
                match proposal.constant {
                    Some(_) => "constant".to_owned(),
                    None => proposal.kind.to_owned(),
                },
                seen.map_or_else(String::new, |(seen, of)| format!("{seen} of {of}")),
                authoring::explain::visible(
                    proposal.constant.as_deref().unwrap_or(&proposal.pattern),
                ),
            ]
        })
        .collect();
    table(&mut text, &rows);
    if !rows.is_empty() {
        text.push('\n');
    }
    let fixtures = counted(made.fixtures.len(), "fixture");
    text.push_str(&format!(
        "{} and {fixtures} with snapshots written\n",
        args.place.mappings().join(&args.slug).display()
    ));
    out.write_all(text.as_bytes())?;
    for note in &made.notes {
        terminal::note(note);
    }
    if !args.from_samples.is_empty() {
        let texts = made.fixtures.iter();
        let unclean: usize = texts
            .map(|fixture| anonymize::findings(&String::from_utf8_lossy(&fixture.bytes)).len())
            .sum();
        match unclean {
            0 => terminal::note(
                "names of people and machines in the fixtures are as received: dsmith anonymize replaces them",
            ),
            _ => terminal::warning(&format!(
                "the fixtures hold {} that may be somebody's: dsmith anonymize replaces what names somebody",
                counted(unclean, "value")
            )),
        }
    }
    Ok(())
}
