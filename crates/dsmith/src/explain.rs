//! `dsmith explain`, and the explanations that other commands add.

use crate::args::ReportFormat;
use crate::{Exit, UsageError, terminal};
use authoring::snapshot;
use clap::Args;
use dsm::diagnostic::{Code, Diagnostics, Severity, suggest};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write;

pub(crate) const EXAMPLES: &str = "Examples:
  dsmith explain DSM007
  dsmith explain                 all codes, a line each
  dsmith explain --format json

Exit codes:
  0   everything was done
  64  the command line is wrong, or there is no such code";

/// A report about each code of the loader, as the folders of faulty mappings in the repository have it.
const REPORTS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/reports.rs"));

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Diagnostic codes, such as DSM007; a list of all, if none is given.
    #[arg(value_name = "CODE")]
    codes: Vec<String>,
    /// How they are shown.
    #[arg(long, short = 'f', value_enum, default_value_t = ReportFormat::Human)]
    format: ReportFormat,
}

pub(crate) fn run(args: &ExplainArgs) -> anyhow::Result<Exit> {
    let codes = codes(&args.codes)?;
    let mut text = String::new();
    match args.format {
        ReportFormat::Json => {
            for code in codes {
                text.push_str(&authoring::render::explained_json(code, report(code)));
            }
        }
        ReportFormat::Human if args.codes.is_empty() => {
            for code in codes {
                let severity = code.severity().to_string();
                let _ = writeln!(text, "{code}  {severity:<7}  {}", code.title());
            }
        }
        ReportFormat::Human => {
            let texts: Vec<String> = codes.into_iter().map(explanation).collect();
            text = texts.join("\n");
        }
    }
    anstream::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Success)
}

/// The codes that were named, or all; every one that does not exist is reported.
fn codes(names: &[String]) -> anyhow::Result<Vec<Code>> {
    if names.is_empty() {
        return Ok(Code::ALL.to_vec());
    }
    let known: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let mut codes = Vec::new();
    let mut wrong = Vec::new();
    for name in names {
        // As it stands in a report.
        let bare = name.trim_matches(['[', ']']);
        match Code::from_number(bare) {
            Some(code) => codes.push(code),
            None => wrong.push(format!(
                "no diagnostic code `{name}`: {}",
                suggest(&bare.to_uppercase(), "codes", &known)
            )),
        }
    }
    if wrong.is_empty() {
        Ok(codes)
    } else {
        Err(UsageError(wrong.join("; ")).into())
    }
}

/// What the findings mean, each code once.
pub(crate) fn of_findings(findings: &Diagnostics) -> String {
    let codes: BTreeSet<Code> = findings.iter().map(|finding| finding.code).collect();
    let mut out = String::new();
    for code in codes {
        let _ = write!(out, "\n{}", explanation(code));
    }
    out
}

fn explanation(code: Code) -> String {
    let (bold, reset) = if terminal::stdout_is_styled() {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    let what = match code.severity() {
        Severity::Error => "an error",
        Severity::Warning => "a warning",
    };
    let mut out = format!(
        "{bold}{code}{reset}, {what}: {}\n\nWhy it matters: {}\n",
        code.title(),
        code.why()
    );
    if let Some(report) = report(code) {
        out.push_str("\nFor example:\n\n");
        for line in report.lines() {
            let _ = writeln!(out, "{}", format!("  {line}").trim_end());
        }
    }
    out
}

/// The beginning of the report about a mapping with this fault: the first finding of this code.
fn report(code: Code) -> Option<&'static str> {
    let (_, file) = REPORTS.iter().find(|(of, _)| *of == code.as_str())?;
    let text = snapshot::contents(file);
    let start = text.find(&format!("[{code}]"))?;
    let start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let text = &text[start..];
    let end = text.find("\n\n").unwrap_or(text.len());
    Some(&text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_loader_has_an_example_that_shows_it() {
        for code in Code::ALL {
            // What comes later needs several folders, or is not about mappings.
            let of_loader = ("DSM001".."DSM064").contains(&code.as_str());
            let report = report(*code);
            assert!(report.is_some() || !of_loader, "{code}");
            if let Some(report) = report {
                let first = report.lines().next().unwrap();
                assert!(first.contains(&format!("[{code}]")), "{first}");
                assert!(report.contains("help: "), "{report}");
            }
        }
    }
}
