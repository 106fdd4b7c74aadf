//! `dsmith import`.

use crate::args::ReportFormat;
use crate::{Exit, UsageError, terminal};
use anyhow::{Context, bail};
use authoring::import::{self, Identity, ImportError, Kind};
use authoring::render::{self, Format};
use clap::Args;
use dsm::Mapping;
use dsm::mapping::FILES;
use std::path::{Path, PathBuf};

pub(crate) const EXAMPLES: &str = "Examples:
  dsmith import exported.xml --into dsm-mappings/acme-firewall
  dsmith import exported.xml qidmap.csv qradar.json --into dsm-mappings/acme

Reads a log source extension (XML), a QID map as qidmap_cli.sh exports it
(CSV), and custom properties, QID records and event mappings as the REST API
has them (JSON): what dsmith export --to qradar writes, or an object such as
{\"regex_properties\": [...], \"property_expressions\": [...]} with the answers
of the endpoints. The extension keeps its bytes. Files that are there already
are not written over unless --force says so.

Exit codes:
  0   imported; dsmith check has no errors
  1   a file cannot be used, or the folder has errors
  64  the command line is wrong";

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The files.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The mapping folder to write; its name is the slug.
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// The name of the log source type; that of qradar.json, or made of the slug, if it is not given.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The identifier of the log source type in QRadar; that of qradar.json, or 4000, if it is not given.
    #[arg(long, value_name = "N")]
    type_id: Option<u32>,
    /// Write over files that are there.
    #[arg(long)]
    force: bool,
    /// How findings are shown.
    #[arg(long, short = 'f', value_enum, default_value_t = ReportFormat::Human)]
    format: ReportFormat,
}

/// Far more than any of these files has.
const MAX_FILE: u64 = 64 << 20;

pub(crate) fn run(args: &ImportArgs) -> anyhow::Result<Exit> {
    let slug = args
        .into
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if slug.is_empty() || slug == ".." {
        return Err(UsageError(format!(
            "{} has no name that could be a slug",
            args.into.display()
        ))
        .into());
    }
    let mut files = Vec::new();
    for path in &args.files {
        files.push((path.display().to_string(), read(path)?));
    }
    let extension = args.into.join("extension.xml");
    let has_extension = files
        .iter()
        .any(|(_, text)| import::kind(text) == Some(Kind::Extension));
    if !has_extension && extension.is_file() {
        files.push((extension.display().to_string(), read(&extension)?));
    }
    if !args.force
        && let Some(taken) = FILES
            .iter()
            .map(|name| args.into.join(name))
            .find(|path| path.exists())
    {
        bail!(
            "{} is there already: choose another folder, or say --force",
            taken.display()
        );
    }
    let identity = Identity {
        name: args.name.clone(),
        slug,
        type_id: args.type_id,
    };
    let imported = match import::import(&files, &identity) {
        Ok(imported) => imported,
        Err(ImportError::Invalid(findings)) => {
            let text = render::render(&findings, Format::Human, terminal::stderr_is_styled());
            terminal::stderr(&text);
            bail!("the extension cannot be imported");
        }
        Err(error) => return Err(error.into()),
    };
    std::fs::create_dir_all(&args.into)
        .with_context(|| format!("cannot make the folder {}", args.into.display()))?;
    let source = &imported.source;
    let readme = args.into.join("README.md");
    let mut written = vec![
        ("manifest.toml", source.manifest.text.as_str()),
        ("extension.xml", source.extension.text.as_str()),
        ("qidmap.csv", source.qidmap.text.as_str()),
        ("event-mappings.csv", source.event_mappings.text.as_str()),
    ];
    if !readme.exists() {
        written.push(("README.md", imported.readme.as_str()));
    }
    for (name, text) in written {
        let path = args.into.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let (_, findings) = Mapping::load(source);
    if args.format == ReportFormat::Json {
        terminal::stderr(&render::render(&findings, Format::Json, false));
    } else {
        terminal::stderr(&render::render(
            &findings,
            Format::Human,
            terminal::stderr_is_styled(),
        ));
        for note in &imported.notes {
            terminal::note(note);
        }
        let summary = render::summary(&findings).unwrap_or_else(|| "no findings".to_owned());
        terminal::stderr(&format!("{} written: {summary}\n", args.into.display()));
    }
    Ok(if findings.has_errors() {
        Exit::Failure
    } else {
        Exit::Success
    })
}

/// A file of a mapping as text.
pub(crate) fn read(path: &Path) -> anyhow::Result<String> {
    let place = || format!("cannot read {}", path.display());
    let size = std::fs::metadata(path).with_context(place)?.len();
    if size > MAX_FILE {
        bail!(
            "{} has {size} bytes, which no such file has",
            path.display()
        );
    }
    let bytes = std::fs::read(path).with_context(place)?;
    String::from_utf8(bytes)
        .with_context(|| format!("{} is not UTF-8: save it as UTF-8", path.display()))
}
