//! `dsmith anonymize`.

use crate::args::ReportFormat;
use crate::author::counted;
use crate::{Exit, UsageError, terminal};
use anyhow::{Context, bail};
use authoring::anonymize::{self, Anonymizer, Finding, Refusal, findings};
use authoring::corpus::{self, Input};
use authoring::explain::visible;
use clap::Args;
use dsm::diagnostic::SourceFile;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

pub(crate) const EXAMPLES: &str = "Examples:
  dsmith anonymize alerts.ndjson > fixture.json
  dsmith anonymize captured/ --out fixtures/acme/captured
  dsmith anonymize fixtures/acme --in-place
  dsmith anonymize fixtures --check

Replaced are addresses, mail addresses, MAC addresses, GUIDs, SIDs and names of
machines, which show by their form what they are, and users, hosts and
identifiers, which stand under keys such as userName, and are then replaced
wherever they occur. Equal values stay equal in all files of a run. A private
address becomes another one of its network, any other address one of the
documentation; a domain becomes an example domain; a name keeps its case, dots
and digits.

A file with a secret (a token, a key, a password, a connection string) is
refused: it is not written, and the secret is not shown. Names in sentences that
stand under no key are not found: read what comes out.

--check writes nothing. It reports secrets, and addresses and domains that may
be somebody's: those that are neither of the documentation nor private. It looks
at all files; dsmith lint does the same for the fixtures of a mapping (DSM113).

Exit codes:
  0   everything was replaced; --check: nothing was found
  1   a file was refused, or could not be read or written; all others were done
      (--check: something was found)
  64  the command line is wrong";

#[derive(Debug, Args)]
pub(crate) struct AnonymizeArgs {
    /// Files or folders with payloads, `-` for standard input.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// A folder for what comes out, under the same names; without it everything goes to standard output.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["in_place", "check"])]
    out: Option<PathBuf>,
    /// Write over the files.
    #[arg(long, conflicts_with = "check")]
    in_place: bool,
    /// Report what has no place in a fixture, and write nothing.
    #[arg(long)]
    check: bool,
    /// Another number gives other names and addresses.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How findings of --check, and with --out or --in-place the files, are shown.
    #[arg(long, short = 'f', value_enum, default_value_t = ReportFormat::Human)]
    format: ReportFormat,
}

/// Fixtures are small; what is larger is a log, of which a part does.
const MOST_BYTES: u64 = 64 << 20;

/// A file and its place in the output.
struct Text {
    name: String,
    path: Option<PathBuf>,
    below: PathBuf,
    text: String,
}

pub(crate) fn run(args: &AnonymizeArgs) -> anyhow::Result<Exit> {
    let (texts, mut is_incomplete) = read(&args.paths)?;
    if args.check {
        let count = check(args, &texts)?;
        return Ok(if count == 0 && !is_incomplete {
            Exit::Success
        } else {
            Exit::Failure
        });
    }
    if args.in_place && texts.iter().any(|text| text.path.is_none()) {
        return Err(
            UsageError("standard input has no place: leave --in-place out".to_owned()).into(),
        );
    }
    let to_files = args.in_place || args.out.is_some();
    let as_json = args.format == ReportFormat::Json;
    if as_json && !to_files {
        return Err(UsageError(
            "standard output has the payloads: --format json goes with --check, --out or --in-place"
                .to_owned(),
        )
        .into());
    }
    let mut anonymizer = Anonymizer::new(args.seed);
    let progress = terminal::progress("{pos} of {len} files {wide_bar}");
    progress.set_length(2 * texts.len() as u64);
    for text in &texts {
        anonymizer.learn(&text.text);
        progress.inc(1);
    }
    let (mut written, mut replaced) = (0, 0);
    for text in &texts {
        match anonymizer.apply(&text.text) {
            Ok(out) => {
                write(args, text, &out.text)?;
                written += 1;
                replaced += out.replaced;
                if as_json {
                    let line = anonymize::json_file(&text.name, out.replaced);
                    progress.suspend(|| writeln!(std::io::stdout(), "{line}"))?;
                }
            }
            Err(refusal) => {
                progress.suspend(|| refused(text, &refusal, as_json))?;
                is_incomplete = true;
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    if to_files && !as_json {
        terminal::stderr(&format!(
            "{} written, {} replaced\n",
            counted(written, "file"),
            counted(replaced, "value")
        ));
    }
    Ok(if is_incomplete {
        Exit::Failure
    } else {
        Exit::Success
    })
}

/// All texts, and whether some could not be read.
fn read(paths: &[PathBuf]) -> anyhow::Result<(Vec<Text>, bool)> {
    let mut texts = Vec::new();
    let mut is_incomplete = false;
    for root in paths {
        let listing = corpus::inputs(std::slice::from_ref(root));
        for (path, error) in &listing.refused {
            terminal::error(&format!("{}: {error}", path.display()));
            is_incomplete = true;
        }
        for input in listing.inputs {
            if matches!(input, Input::Stdin) && std::io::stdin().is_terminal() {
                return Err(
                    UsageError("`-` reads standard input: pipe payloads in".to_owned()).into(),
                );
            }
            match text_of(&input) {
                Ok(text) => {
                    let path = match &input {
                        Input::Stdin => None,
                        Input::Named(path) | Input::Found(path) => Some(path.clone()),
                    };
                    texts.push(Text {
                        name: input.name(),
                        below: below(root, path.as_deref()),
                        path,
                        text,
                    });
                }
                Err(error) => {
                    terminal::error(&format!("{}: {error:#}", input.name()));
                    is_incomplete = true;
                }
            }
        }
    }
    Ok((texts, is_incomplete))
}

fn text_of(input: &Input) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    input.open()?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        bail!("it has more than 64 MiB: take a part of it");
    }
    String::from_utf8(bytes).context("it is not UTF-8: save it as UTF-8")
}

/// The path of a file below the folder that was named, or its name.
fn below(root: &Path, path: Option<&Path>) -> PathBuf {
    let Some(path) = path else {
        return PathBuf::from("standard-input");
    };
    match path.strip_prefix(root) {
        Ok(below) if !below.as_os_str().is_empty() => below.to_owned(),
        _ => PathBuf::from(path.file_name().unwrap_or_default()),
    }
}

fn write(args: &AnonymizeArgs, text: &Text, out: &str) -> anyhow::Result<()> {
    if let Some(folder) = &args.out {
        let path = folder.join(&text.below);
        let written = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::File::create_new(&path))
            .and_then(|mut file| file.write_all(out.as_bytes()));
        return written.with_context(|| format!("cannot write {}", path.display()));
    }
    match &text.path {
        Some(path) if args.in_place => {
            if out == text.text {
                return Ok(());
            }
            // Half a file would be worse than the old one.
            let folder = path.parent().filter(|folder| *folder != Path::new(""));
            let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
            file.write_all(out.as_bytes())?;
            std::fs::set_permissions(file.path(), std::fs::metadata(path)?.permissions())?;
            file.persist(path)
                .with_context(|| format!("cannot write {}", path.display()))?;
            Ok(())
        }
        _ => {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(out.as_bytes())?;
            if !out.ends_with('\n') {
                stdout.write_all(b"\n")?;
            }
            Ok(())
        }
    }
}

fn refused(text: &Text, refusal: &Refusal, as_json: bool) -> std::io::Result<()> {
    if as_json {
        let line = anonymize::json_refused(&text.name, &text.text, refusal);
        return writeln!(std::io::stdout(), "{line}");
    }
    match refusal {
        Refusal::Secrets(secrets) => {
            let file = SourceFile::new(text.name.as_str(), text.text.as_str());
            for secret in secrets {
                let (line, column) = file.line_column(secret.offset);
                terminal::error(&format!(
                    "{}:{line}:{column}: {}: take it out, or replace it with ********",
                    text.name, secret.what
                ));
            }
        }
        Refusal::Left(keys) => terminal::error(&format!(
            "{}: values under {} are written in a way that was not found: replace them by hand",
            text.name,
            keys.join(", ")
        )),
        other => terminal::error(&format!("{}: {other}", text.name)),
    }
    Ok(())
}

/// Reports what has no place in a fixture; how much there is.
fn check(args: &AnonymizeArgs, texts: &[Text]) -> anyhow::Result<usize> {
    let mut out = anstream::stdout();
    let mut count = 0;
    let progress = terminal::progress("{pos} of {len} files {wide_bar}");
    progress.set_length(texts.len() as u64);
    for text in texts {
        let found = findings(&text.text);
        progress.inc(1);
        let file = SourceFile::new(text.name.as_str(), text.text.as_str());
        count += found.len();
        for Finding { offset, what, text } in &found {
            let (line, column) = file.line_column(*offset);
            let shown = match args.format {
                ReportFormat::Human => {
                    let shown = text.as_ref().map(|text| format!(" `{}`", visible(text)));
                    let shown = shown.unwrap_or_default();
                    format!("{}:{line}:{column}: {what}{shown}", file.name)
                }
                ReportFormat::Json => {
                    let place = (file.name.as_str(), line, column);
                    anonymize::json(place, what, text.as_deref())
                }
            };
            progress.suspend(|| writeln!(out, "{shown}"))?;
        }
    }
    progress.finish_and_clear();
    if args.format == ReportFormat::Human {
        let files = counted(texts.len(), "file");
        let summary = match count {
            0 => format!("{files}: no findings\n"),
            _ => format!(
                "{files}: {}; dsmith anonymize --in-place replaces what is no secret\n",
                counted(count, "finding")
            ),
        };
        terminal::stderr(&summary);
    }
    Ok(count)
}
