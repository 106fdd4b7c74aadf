//! `dsmith export`.

use crate::args::ReportFormat;
use crate::author::{Author, AuthorArgs, counted};
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
  1   nothing could be exported, a payload gives another event without a reason,
      or --strict: something is lost
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
    let slug = &author.source.slug;
    let waiting = terminal::waiting("compares events before and after the export");
    let exported = export(args.to, &author);
    drop(waiting);
    let (files, account) = match exported {
        Ok(exported) => exported,
        Err(ExportError::Invalid(findings)) => {
            let text = render::render(&findings, Format::Human, terminal::stderr_is_styled());
            terminal::stderr(&text);
            anyhow::bail!("{slug} cannot be exported");
        }
        Err(error) => return Err(error).with_context(|| format!("{slug} cannot be exported")),
    };
    write(&files, args.out.as_deref())?;
    show(&account, args, &author);
    let is_failure = !account.unexplained.is_empty() || (args.strict && !account.losses.is_empty());
    Ok(if is_failure {
        Exit::Failure
    } else {
        Exit::Success
    })
}

/// What there is to say about an export.
#[derive(Debug, Default)]
struct Account {
    losses: Vec<Loss>,
    lowered: usize,
    /// Custom properties that the extension does not have any more.
    moved: usize,
    unexplained: Vec<String>,
}

/// Texts, and the name of each in a folder; one alone has none.
type Files = Vec<(Option<&'static str>, String)>;

fn export(to: Target, author: &Author) -> Result<(Files, Account), ExportError> {
    let (source, corpus) = (&author.source, &author.corpus);
    if to == Target::Qidmap {
        return Ok((vec![(None, export::qidmap(source)?)], Account::default()));
    }
    let lsx = export::lsx(source, corpus)?;
    let mut account = Account {
        losses: lsx.losses,
        lowered: lsx.lowered.len(),
        moved: lsx.moved.len(),
        unexplained: lsx.unexplained,
    };
    if to == Target::Lsx {
        return Ok((vec![(None, lsx.text)], account));
    }
    let requests = export::requests(source, corpus)?;
    account.losses.extend(requests.losses);
    let files = vec![
        (Some("extension.xml"), lsx.text),
        (Some("qidmap.csv"), export::qidmap(source)?),
        (Some("qradar.json"), format!("{:#}\n", requests.document)),
        (Some("apply.sh"), export::qradar::SCRIPT.to_owned()),
    ];
    Ok((files, account))
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

/// All of it goes to standard error: the file may go to standard output.
fn show(account: &Account, args: &ExportArgs, author: &Author) {
    if !account.unexplained.is_empty() {
        terminal::error(&format!(
            "{} another event, and no loss is the reason: {}; report this fault of dsmith",
            match account.unexplained.len() {
                1 => "1 payload gives".to_owned(),
                count => format!("{count} payloads give"),
            },
            first_of(account.unexplained.iter().map(String::as_str))
        ));
    }
    let losses = &account.losses;
    if args.format == ReportFormat::Json {
        for loss in losses {
            terminal::stderr(&(loss.json().to_string() + "\n"));
        }
        return;
    }
    let slug = &author.source.slug;
    if args.to == Target::Qidmap {
        terminal::stderr(&format!("{slug}: QID records exported\n"));
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
        let files = first_of(loss.fixtures.keys().map(String::as_str));
        text.push_str(&format!("{}: {files}\n", loss.subject));
    }
    let payloads = counted(author.corpus.samples.len(), "payload");
    text.push_str(&match losses.len() {
        0 => format!("{slug}, {payloads}: nothing is lost"),
        1 => format!("{slug}, {payloads}: 1 loss"),
        count => format!("{slug}, {payloads}: {count} losses"),
    });
    match account.lowered {
        0 => {}
        1 => text.push_str(", 1 pattern became one expression"),
        count => text.push_str(&format!(", {count} patterns became one expression each")),
    }
    if account.moved > 0 && args.to == Target::Lsx {
        let properties = match account.moved {
            1 => "1 custom property is".to_owned(),
            count => format!("{count} custom properties are"),
        };
        text.push_str(&format!(
            ", {properties} not in an extension but in --to qradar"
        ));
    }
    terminal::stderr(&(text + "\n"));
}

/// The first few names, and how many there are besides.
fn first_of<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const SHOWN: usize = 3;
    let names: Vec<&str> = names.collect();
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn affected(loss: &Loss) -> String {
    match loss.events() {
        0 => "no payload".to_owned(),
        count => counted(count, "payload"),
    }
}
