//! `dsmith parse`.

use crate::args::{Format, FramingArg, ParseArgs, SubstitutionArg};
use crate::{Exit, library, terminal};
use anyhow::{Context, bail};
use authoring::folder::Library;
use authoring::input::{self, Item};
use authoring::{explain, snapshot};
use chrono::{DateTime, Utc};
use dsm::event::canonical;
use dsm::extract::json::JsonErrorKind;
use dsm::field::Field;
use dsm::framing::{FaultKind, Framing};
use dsm::output::{cef, json, leef::LeefOutput};
use dsm::{Event, Mapping, Normalizer, Payload, Status};
use indicatif::{ProgressBar, ProgressStyle};
use leef::{Delimiter, Substitution, Version, WriterOptions};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How many single complaints are shown before they are only counted.
const MAX_COMPLAINTS: usize = 20;

pub(crate) fn run(args: &ParseArgs) -> anyhow::Result<Exit> {
    let mappings = Mappings::load(args)?;
    let files = inputs(args)?;
    let mut run = Run::new(args, &mappings)?;
    let total: u64 = files
        .iter()
        .flatten()
        .filter_map(|path| Some(path.metadata().ok()?.len()))
        .sum();
    let progress = progress(args, total);
    for file in &files {
        let (name, result) = match file {
            None => (
                "standard input".to_owned(),
                run.read("standard input", io::stdin().lock(), &progress),
            ),
            Some(path) => {
                let name = path.display().to_string();
                let result = File::open(path).and_then(|file| run.read(&name, file, &progress));
                (name, result)
            }
        };
        if let Some(error) = run.write_error.take() {
            return Err(error).context("cannot write the events");
        }
        if let Err(error) = result {
            run.lost += 1;
            progress.suspend(|| terminal::error(&format!("{name}: {error}")));
        }
        if run.explained {
            break;
        }
    }
    progress.finish_and_clear();
    run.out.flush().context("cannot write the events")?;
    run.finish()
}

/// A log source type that was asked for, or a choice of them.
struct Mappings {
    library: Library,
    fixed: Option<Mapping>,
    generic: Mapping,
}

impl Mappings {
    fn load(args: &ParseArgs) -> anyhow::Result<Self> {
        let fixed = args
            .lsx
            .as_deref()
            .map(library::load_extension)
            .transpose()?;
        let library = match &fixed {
            Some(_) => Library::default(),
            None => library::load(args.mappings.as_deref(), args.slug.as_deref())?,
        };
        Ok(Self {
            library,
            fixed,
            generic: Mapping::generic(),
        })
    }

    /// The mapping for a payload.
    fn of(&self, slug: Option<&str>, payload: &str) -> &Mapping {
        if let Some(fixed) = &self.fixed {
            return fixed;
        }
        let found = match slug {
            Some(slug) => self.library.get(slug),
            None => self.library.recognise(payload),
        };
        found.unwrap_or(&self.generic)
    }
}

/// The files to read; none stands for standard input.
fn inputs(args: &ParseArgs) -> anyhow::Result<Vec<Option<PathBuf>>> {
    if args.paths.is_empty() {
        if io::stdin().is_terminal() {
            bail!(
                "no input: name files or folders, or pipe payloads in (`-` reads from the terminal)"
            );
        }
        return Ok(vec![None]);
    }
    let mut files = Vec::new();
    for path in &args.paths {
        if path == Path::new("-") {
            files.push(None);
            continue;
        }
        let found =
            input::files(path).with_context(|| format!("cannot read {}", path.display()))?;
        if found.is_empty() {
            terminal::warning(&format!("{}: the folder holds no files", path.display()));
        }
        files.extend(found.into_iter().map(Some));
    }
    Ok(files)
}

fn progress(args: &ParseArgs, total: u64) -> ProgressBar {
    if args.quiet || args.explain || !terminal::is_watched() || total == 0 {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "{bytes:>10} of {total_bytes} {wide_bar} {bytes_per_sec} {eta}",
    );
    let bar = ProgressBar::new(total);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    // Short runs should not flash.
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// Counts of events.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    mapped: u64,
    unknown: u64,
    stored: u64,
}

impl Counts {
    fn add(&mut self, status: Status) {
        match status {
            Status::Mapped => self.mapped += 1,
            Status::Unknown => self.unknown += 1,
            Status::Stored => self.stored += 1,
        }
    }

    fn total(&self) -> u64 {
        self.mapped + self.unknown + self.stored
    }
}

struct Run<'a> {
    args: &'a ParseArgs,
    mappings: &'a Mappings,
    normalizers: BTreeMap<&'a str, Normalizer<'a>>,
    leef: LeefOutput,
    received: DateTime<Utc>,
    out: Box<dyn Write>,
    line: Vec<u8>,
    counts: BTreeMap<&'a str, Counts>,
    /// Payloads that were left out, and inputs that could not be read to their end.
    lost: u64,
    sanitized: u64,
    truncated: u64,
    over_budget: u64,
    complaints: usize,
    explained: bool,
    write_error: Option<io::Error>,
}

impl<'a> Run<'a> {
    fn new(args: &'a ParseArgs, mappings: &'a Mappings) -> anyhow::Result<Self> {
        let version = if args.format == Format::Leef2 {
            Version::V2_0
        } else {
            Version::V1_0
        };
        let delimiter = match version {
            Version::V1_0 => Delimiter::TAB,
            Version::V2_0 => Delimiter::new(args.delimiter).context("--delimiter")?,
        };
        let options = WriterOptions {
            version,
            delimiter,
            substitution: match args.substitution {
                SubstitutionArg::Space => Substitution::Space,
                SubstitutionArg::Drop => Substitution::Drop,
                SubstitutionArg::Percent => Substitution::Percent,
                SubstitutionArg::Fail => Substitution::Fail,
            },
            max_bytes: args.max_event,
            ..WriterOptions::default()
        };
        let mut run = Self {
            args,
            mappings,
            normalizers: BTreeMap::new(),
            leef: LeefOutput::new(options)?,
            received: args.received.unwrap_or_else(|| SystemTime::now().into()),
            out: Box::new(BufWriter::with_capacity(1 << 18, io::stdout())),
            line: Vec::new(),
            counts: BTreeMap::new(),
            lost: 0,
            sanitized: 0,
            truncated: 0,
            over_budget: 0,
            complaints: 0,
            explained: false,
            write_error: None,
        };
        if args.format == Format::Table && !args.explain {
            run.out.write_all(HEADINGS.as_bytes())?;
        }
        Ok(run)
    }

    fn read(&mut self, name: &str, reader: impl Read, progress: &ProgressBar) -> io::Result<()> {
        let framing = match self.args.framing {
            FramingArg::Auto => Framing::Auto,
            FramingArg::Lines => Framing::Lines,
            FramingArg::Whole => Framing::Whole,
        };
        let reader = progress.wrap_read(reader);
        input::read(reader, framing, self.args.max_payload, |item| {
            if self.explained || self.write_error.is_some() {
                return;
            }
            match item {
                Item::Payload(bytes, offset) => self.payload(name, bytes, offset, progress),
                Item::Fault(fault) => {
                    if fault.kind != FaultKind::Truncated {
                        self.lost += 1;
                    }
                    self.complain(progress, name, fault.offset, &fault.kind.to_string());
                }
            }
        })?;
        Ok(())
    }

    fn payload(&mut self, name: &str, bytes: &[u8], offset: u64, progress: &ProgressBar) {
        let payload = Payload::decode(bytes);
        if let Some(at) = payload.first_invalid() {
            self.complain(
                progress,
                name,
                offset + at as u64,
                "not UTF-8; such bytes are read as U+FFFD",
            );
        }
        let mappings = self.mappings;
        let mapping = mappings.of(self.args.slug.as_deref(), payload.text());
        let slug = mapping.slug();
        let normalizer = self
            .normalizers
            .entry(slug)
            .or_insert_with(|| Normalizer::new(mapping));
        let counts = self.counts.entry(slug).or_default();
        if self.args.explain {
            counts.add(Status::Mapped);
            let seen: u64 = self.counts.values().map(Counts::total).sum();
            if seen == self.args.event as u64 {
                let (event, trace) = normalizer.explain(&payload, self.received);
                let text = explain::explain(&event, &trace, terminal::stdout_is_styled());
                self.write_error = self.out.write_all(text.as_bytes()).err();
                self.explained = true;
            }
            return;
        }
        let event = normalizer.normalize(&payload, self.received);
        let broken = normalizer
            .json_fault()
            .filter(|fault| fault.kind != JsonErrorKind::Absent);
        counts.add(event.status);
        self.over_budget += u64::from(event.budget_exceeded);
        match broken {
            Some(fault) => {
                let at = offset + fault.at as u64;
                let text = format!("{fault} of the payload; keys in it are not read");
                self.complain(progress, name, at, &text);
            }
            None if event.status == Status::Stored => {
                self.complain(progress, name, offset, &format!("Stored: {}", event.reason));
            }
            None => {}
        }
        if let Err(error) = self.write(&event) {
            match error.downcast::<io::Error>() {
                Ok(error) => self.write_error = Some(error),
                Err(error) => {
                    self.lost += 1;
                    self.complain(progress, name, offset, &format!("not written: {error}"));
                }
            }
        }
    }

    fn write(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        self.line.clear();
        match self.args.format {
            Format::Leef | Format::Leef1 | Format::Leef2 => {
                let report = self.leef.write(event, &mut self.line)?;
                self.sanitized += u64::from(!report.changed.is_empty());
                self.truncated += u64::from(!report.dropped.is_empty());
            }
            Format::Cef => cef::write(event, &mut self.line),
            Format::Json => json::write(event, &mut self.line)?,
            Format::Table => self.line.extend_from_slice(row(event).as_bytes()),
        }
        self.line.push(b'\n');
        self.out.write_all(&self.line)?;
        Ok(())
    }

    fn complain(&mut self, progress: &ProgressBar, name: &str, offset: u64, text: &str) {
        self.complaints += 1;
        if self.complaints <= MAX_COMPLAINTS {
            progress.suspend(|| terminal::warning(&format!("{name}: byte {offset}: {text}")));
        }
    }

    fn finish(self) -> anyhow::Result<Exit> {
        if self.complaints > MAX_COMPLAINTS {
            let more = self.complaints - MAX_COMPLAINTS;
            terminal::warning(&format!("{more} more of the kind above are not shown"));
        }
        let mut total = Counts::default();
        for counts in self.counts.values() {
            total.mapped += counts.mapped;
            total.unknown += counts.unknown;
            total.stored += counts.stored;
        }
        if self.args.explain {
            if self.explained {
                return Ok(Exit::Success);
            }
            bail!(
                "there is no event {}: the input has {}",
                self.args.event,
                total.total()
            );
        }
        if !self.args.quiet {
            terminal::stderr(&self.summary(total));
        }
        Ok(if self.lost > 0 {
            Exit::Failure
        } else if self.args.strict && total.mapped < total.total() {
            Exit::NotMapped
        } else {
            Exit::Success
        })
    }

    fn summary(&self, total: Counts) -> String {
        let mut rows = Vec::new();
        let row = |name: &str, counts: &Counts| {
            [
                name.to_owned(),
                format!("{} events", counts.total()),
                format!("{} mapped", counts.mapped),
                format!("{} unknown", counts.unknown),
                format!("{} stored", counts.stored),
            ]
        };
        // Without --type it is news which types were found.
        if self.args.slug.is_none() && self.args.lsx.is_none() {
            for (slug, counts) in &self.counts {
                let name = if *slug == "generic" {
                    "not recognised"
                } else {
                    slug
                };
                rows.push(row(name, counts));
            }
        }
        if rows.len() != 1 {
            rows.push(row("total", &total));
        }
        let mut text = String::new();
        snapshot::table(&mut text, &rows);
        for (count, what) in [
            (self.lost, "payloads or inputs left out"),
            (
                self.sanitized,
                "events with characters that LEEF cannot carry (see leefSanitized)",
            ),
            (
                self.truncated,
                "events shortened to the size limit (see leefTruncated)",
            ),
            (
                self.over_budget,
                "patterns stopped for using up their step budget",
            ),
        ] {
            if count > 0 {
                text.push_str(&format!("{count} {what}\n"));
            }
        }
        text
    }
}

const HEADINGS: &str = "STATUS   SEV  QID       EVENT NAME                                EVENT ID                  SOURCE           USER                  HOST\n";

/// One line of the table; columns have fixed widths so that nothing has to be kept.
fn row(event: &Event<'_>) -> String {
    let field = |field: Field| {
        event
            .field(field)
            .map(|property| canonical(property).into_owned())
    };
    let cell = |text: Option<String>, width: usize| {
        let text = explain::visible(&text.unwrap_or_else(|| "-".to_owned()));
        let count = text.chars().count();
        if count > width {
            let head: String = text.chars().take(width - 1).collect();
            return format!("{head}…");
        }
        format!("{text}{}", " ".repeat(width - count))
    };
    let line = format!(
        "{}  {}  {}  {}  {}  {}  {}  {}",
        cell(Some(event.status.to_string()), 7),
        cell(event.severity.map(|severity| severity.to_string()), 3),
        cell(event.qid.map(|(record, _)| record.qid.to_string()), 8),
        cell(Some(event.name().to_owned()), 40),
        cell(event.event_id.as_deref().map(str::to_owned), 24),
        cell(field(Field::SourceIp), 15),
        cell(field(Field::UserName), 20),
        cell(field(Field::HostName), 30),
    );
    line.trim_end().to_owned()
}
