//! `dsmith lint`.

use crate::args::CheckFormat;
use crate::author::{AuthorArgs, counted};
use crate::{Exit, terminal};
use anyhow::Context;
use authoring::lint::{self, Report};
use authoring::render::{self, Format};
use clap::Args;
use std::io::Write;
use std::path::Path;

pub(crate) const EXAMPLES: &str = "Examples:
  dsmith lint acme-firewall
  dsmith lint acme-firewall --fix
  dsmith lint dsm-mappings/acme-firewall --format sarif

A lint finds what works, and is slow, dead, misleading or lost on the way to
QRadar. Each has a page in docs/lints. A finding that is all right is allowed
in the manifest, with a reason. --fix keeps a change only if every payload
gives the same event afterwards.

Exit codes:
  0   nothing was found that is not allowed
  1   something was found, and is still there; or the mapping has errors
  64  the command line is wrong";

#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    #[command(flatten)]
    author: AuthorArgs,
    /// Mend what can be mended without a change of events, and write the files.
    #[arg(long)]
    fix: bool,
    /// How findings are shown.
    #[arg(long, short = 'f', value_enum, default_value_t = CheckFormat::Human)]
    format: CheckFormat,
}

pub(crate) fn run(args: &LintArgs) -> anyhow::Result<Exit> {
    let author = args.author.read()?;
    let waiting = terminal::waiting("looks for faults");
    let report = if args.fix {
        let folder = author.folder("--fix")?;
        let fixed = lint::fix(&author.source, &author.corpus);
        for file in fixed.changed(&author.source) {
            let path = folder.join(Path::new(&file.name).file_name().unwrap_or_default());
            std::fs::write(&path, &file.text)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        drop(waiting);
        for title in &fixed.done {
            terminal::stderr(&format!("fixed: {title}\n"));
        }
        for (title, reason) in &fixed.refused {
            terminal::warning(&format!("not fixed: {title}: {reason}"));
        }
        fixed.report
    } else {
        let report = lint::lint(&author.source, &author.corpus);
        drop(waiting);
        report
    };
    show(&report, args.format)?;
    if args.format == CheckFormat::Human {
        summary(&author.source.slug, &report, author.corpus.samples.len());
    }
    Ok(if report.diagnostics().is_empty() {
        Exit::Success
    } else {
        Exit::Failure
    })
}

fn show(report: &Report, format: CheckFormat) -> anyhow::Result<()> {
    let findings = report.diagnostics();
    let text = match format {
        CheckFormat::Human => {
            render::render(&findings, Format::Human, terminal::stdout_is_styled())
        }
        CheckFormat::Json => {
            render::render(&report.checked, Format::Json, false) + &lint::json(report)
        }
        CheckFormat::Github => render::render(&findings, Format::Github, false),
        CheckFormat::Sarif => render::render(&findings, Format::Sarif, false),
    };
    Ok(anstream::stdout().write_all(text.as_bytes())?)
}

fn summary(slug: &str, report: &Report, payloads: usize) {
    for allowed in &report.allowed {
        terminal::stderr(&format!(
            "allowed: {} {}: {}\n",
            allowed.code,
            counted(allowed.count, "time"),
            allowed.reason
        ));
    }
    let found = render::summary(&report.diagnostics()).unwrap_or_else(|| "no findings".to_owned());
    let fixable = report
        .findings
        .iter()
        .filter(|finding| finding.fix.is_some())
        .count();
    let fix = match fixable {
        0 => String::new(),
        _ => format!(", {fixable} of them for --fix"),
    };
    let payloads = counted(payloads, "payload");
    terminal::stderr(&format!("{slug}, {payloads}: {found}{fix}\n"));
}
