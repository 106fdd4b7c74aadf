//! `dsmith export`.

use crate::args::ReportFormat;
use crate::author::{AuthorArgs, counted};
use crate::{Exit, UsageError, terminal};
use anyhow::Context;
use authoring::export::{self, ExportError, Loss};
use authoring::render::{self, Format};
use authoring::snapshot::table;
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::{Path, PathBuf};

pub(crate) const EXAMPLES: &str = "Examples:
  dsmith export acme-firewall --to lsx > acme-firewall.xml
  dsmith export acme-firewall --to qidmap > qidmap.csv
  dsmith export acme-firewall --to qradar --out acme-for-qradar

lsx      the extension that QRadar takes: dsmith's own attributes become one
         regular expression where that is exact, else what needs them is left
         out and listed; custom properties go into the REST API
qidmap   the QID records for qidmap_cli.sh -i
qradar   a folder with both, and qradar.json: custom properties, QID records
         and event mappings as requests of the REST API, with a script

What is lost is listed on standard error, with the payloads of the corpus that
rely on it.

Exit codes:
  0   exported
  1   nothing could be exported, or --strict: something is lost
  64  the command line is wrong";

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    author: AuthorArgs,
    /// What to write.
    #[arg(long, value_enum)]
    to: Target,
    /// Where to: a file, or for qradar a folder; standard output if it is not given.
    #[arg(long, short = 'o', value_name = "PATH")]
    out: Option<PathBuf>,
    /// Exit with 1 if something is lost.
    #[arg(long)]
    strict: bool,
    /// How losses are shown.
    #[arg(long, short = 'f', value_enum, default_value_t = ReportFormat::Human)]
    format: ReportFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// The extension.
    Lsx,
    /// The QID records.
    Qidmap,
    /// Everything, in a folder.
    Qradar,
}

pub(crate) fn run(args: &ExportArgs) -> anyhow::Result<Exit> {
    let author = args.author.read()?;
    let (source, corpus) = (&author.source, &author.corpus);
    let mut losses = Vec::new();
    let mut lowered = Vec::new();
    let result = match args.to {
        Target::Lsx => export::lsx(source, corpus).map(|lsx| {
            losses.extend(lsx.losses);
            lowered = lsx.lowered;
            vec![(None, lsx.text)]
        }),
        Target::Qidmap => export::qidmap(source).map(|text| vec![(None, text)]),
        Target::Qradar => export::lsx(source, corpus).and_then(|lsx| {
            let requests = export::requests(source, corpus)?;
            losses.extend(lsx.losses);
            losses.extend(requests.losses);
            lowered = lsx.lowered;
            Ok(vec![
                (Some("extension.xml"), lsx.text),
                (Some("qidmap.csv"), export::qidmap(source)?),
                (Some("qradar.json"), format!("{:#}\n", requests.document)),
                (Some("apply.sh"), export::qradar::SCRIPT.to_owned()),
            ])
        }),
    };
    let files = match result {
        Ok(files) => files,
        Err(ExportError::Invalid(findings)) => {
            let text = render::render(&findings, Format::Human, terminal::stderr_is_styled());
            terminal::stderr(&text);
            anyhow::bail!("{} cannot be exported", source.slug);
        }
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be exported", source.slug));
        }
    };
    write(&files, args.out.as_deref())?;
    show(
        &losses,
        &lowered,
        corpus.samples.len(),
        args.format,
        &source.slug,
    );
    Ok(if args.strict && !losses.is_empty() {
        Exit::Failure
    } else {
        Exit::Success
    })
}

fn write(files: &[(Option<&str>, String)], out: Option<&Path>) -> anyhow::Result<()> {
    for (name, text) in files {
        let path = match (name, out) {
            (None, None) => {
                std::io::stdout().write_all(text.as_bytes())?;
                continue;
            }
            (Some(_), None) => {
                return Err(UsageError(
                    "--to qradar writes several files: say where with --out DIR".to_owned(),
                )
                .into());
            }
            (None, Some(path)) => path.to_owned(),
            (Some(name), Some(folder)) => {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("cannot make the folder {}", folder.display()))?;
                folder.join(name)
            }
        };
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Losses go to standard error: the file may go to standard output.
fn show(losses: &[Loss], lowered: &[String], payloads: usize, format: ReportFormat, slug: &str) {
    if format == ReportFormat::Json {
        for loss in losses {
            terminal::stderr(&(loss.json().to_string() + "\n"));
        }
        return;
    }
    let rows: Vec<[String; 3]> = losses
        .iter()
        .map(|loss| [loss.subject.clone(), affected(loss), loss.reason.clone()])
        .collect();
    let mut text = String::new();
    if !rows.is_empty() {
        text.push_str("lost:\n");
        table(&mut text, &rows);
    }
    for loss in losses.iter().filter(|loss| !loss.fixtures.is_empty()) {
        let files: Vec<&str> = loss.fixtures.keys().take(3).map(String::as_str).collect();
        let more = match loss.fixtures.len().saturating_sub(3) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        text.push_str(&format!("{}: {}{more}\n", loss.subject, files.join(", ")));
    }
    let lowered = match lowered.len() {
        0 => String::new(),
        count => format!(", {} became one expression each", counted(count, "pattern")),
    };
    let lost = match losses.len() {
        0 => "nothing is lost".to_owned(),
        1 => "1 loss".to_owned(),
        count => format!("{count} losses"),
    };
    terminal::stderr(&format!(
        "{text}{slug}, {}: {lost}{lowered}\n",
        counted(payloads, "payload")
    ));
}

fn affected(loss: &Loss) -> String {
    match loss.events() {
        0 => "no payload".to_owned(),
        count => counted(count, "payload"),
    }
}
