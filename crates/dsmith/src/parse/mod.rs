//! `dsmith parse`.

mod account;
mod inputs;
mod table;

use crate::args::{Format, FramingArg, ParseArgs, SubstitutionArg};
use crate::{Exit, UsageError, library, terminal};
use account::{Complaints, Counts, Kind, events};
use anyhow::{Context, bail};
use authoring::explain;
use authoring::folder::Library;
use authoring::input::{self, Item};
use chrono::{DateTime, Utc};
use dsm::extract::json::JsonErrorKind;
use dsm::framing::Framing;
use dsm::output::{cef, json, leef::LeefOutput};
use dsm::{Event, Mapping, Normalizer, Payload, Status};
use indicatif::ProgressBar;
use inputs::{Input, Stop};
use leef::{Delimiter, Substitution, Version, WriterOptions};
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::time::SystemTime;
use table::Table;

pub(crate) fn run(args: &ParseArgs) -> anyhow::Result<Exit> {
    let leef = LeefOutput::new(leef_options(args)?)
        .map_err(|error| UsageError(format!("the options for LEEF do not go together: {error}")))?;
    let (inputs, refused) = inputs::inputs(args)?;
    let mappings = Mappings::load(args)?;
    let progress = inputs::progress(args, &inputs);
    let mut run = Run::new(args, &mappings, leef, progress);
    run.unread = refused;
    if args.format == Format::Table && !args.explain {
        let headings = run.table.headings();
        run.line(headings.as_bytes());
    }
    for input in &inputs {
        let result = run.read(input);
        if let Some(error) = run.write_error.take() {
            return Err(error).context("cannot write the events");
        }
        if let Err(error) = result {
            run.unread += 1;
            let text = format!("{}: {error}", input.name());
            run.progress.suspend(|| terminal::error(&text));
        }
        if run.stop.is_pulled() {
            break;
        }
    }
    run.progress.finish_and_clear();
    run.out.flush().context("cannot write the events")?;
    run.finish()
}

fn leef_options(args: &ParseArgs) -> anyhow::Result<WriterOptions> {
    let (version, delimiter) = if args.format == Format::Leef2 {
        let delimiter = Delimiter::new(args.delimiter)
            .map_err(|error| UsageError(format!("--delimiter: {error}")))?;
        (Version::V2_0, delimiter)
    } else {
        (Version::V1_0, Delimiter::TAB)
    };
    Ok(WriterOptions {
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
    })
}

/// A log source type that was asked for, or a choice of them.
struct Mappings {
    library: Library,
    fixed: Option<Mapping>,
    generic: Mapping,
    /// Some mapping of the folder has errors and is not used.
    incomplete: bool,
}

impl Mappings {
    fn load(args: &ParseArgs) -> anyhow::Result<Self> {
        let mut mappings = Self {
            library: Library::default(),
            fixed: None,
            generic: Mapping::generic(),
            incomplete: false,
        };
        match &args.lsx {
            Some(path) => mappings.fixed = Some(library::load_extension(path)?),
            None => {
                (mappings.library, mappings.incomplete) =
                    library::load(args.mappings.as_deref(), args.slug.as_deref())?;
            }
        }
        Ok(mappings)
    }

    /// The mapping for a payload, if there is one.
    fn of(&self, slug: Option<&str>, payload: &str) -> Option<&Mapping> {
        match (&self.fixed, slug) {
            (Some(fixed), _) => Some(fixed),
            (None, Some(slug)) => self.library.get(slug),
            (None, None) => self.library.recognise(payload),
        }
    }
}

/// A mapping at work, and what came of it.
struct Worker<'a> {
    normalizer: Normalizer<'a>,
    counts: Counts,
}

impl<'a> Worker<'a> {
    fn new(mapping: &'a Mapping) -> Self {
        Self {
            normalizer: Normalizer::new(mapping),
            counts: Counts::default(),
        }
    }
}

struct Run<'a> {
    args: &'a ParseArgs,
    mappings: &'a Mappings,
    /// By slug; nothing stands for payloads that no mapping recognises.
    workers: BTreeMap<Option<&'a str>, Worker<'a>>,
    leef: LeefOutput,
    table: Table,
    received: DateTime<Utc>,
    out: Box<dyn Write>,
    buffer: Vec<u8>,
    progress: ProgressBar,
    complaints: Complaints,
    stop: Stop,
    /// Events so far.
    seen: u64,
    /// Inputs that could not be read, or not to their end.
    unread: u64,
    sanitized: u64,
    truncated: u64,
    over_budget: u64,
    /// The status of the event that was explained.
    explained: Option<Status>,
    write_error: Option<io::Error>,
}

impl<'a> Run<'a> {
    fn new(
        args: &'a ParseArgs,
        mappings: &'a Mappings,
        leef: LeefOutput,
        progress: ProgressBar,
    ) -> Self {
        Self {
            args,
            mappings,
            workers: BTreeMap::new(),
            leef,
            table: Table::new(terminal::stdout_width()),
            received: args.received.unwrap_or_else(|| SystemTime::now().into()),
            out: Box::new(BufWriter::with_capacity(1 << 18, io::stdout())),
            buffer: Vec::new(),
            progress,
            complaints: Complaints::default(),
            stop: Stop::default(),
            seen: 0,
            unread: 0,
            sanitized: 0,
            truncated: 0,
            over_budget: 0,
            explained: None,
            write_error: None,
        }
    }

    fn read(&mut self, input: &Input) -> io::Result<()> {
        let framing = match self.args.framing {
            FramingArg::Auto => Framing::Auto,
            FramingArg::Lines => Framing::Lines,
            FramingArg::Whole => Framing::Whole,
        };
        let name = input.name();
        let reader = self.progress.wrap_read(input.open(&self.stop)?);
        input::read(reader, framing, self.args.max_payload, |item| {
            if self.stop.is_pulled() {
                return;
            }
            match item {
                Item::Payload(bytes, offset) => self.payload(&name, bytes, offset),
                Item::Fault(fault) => {
                    self.complain(Kind::Fault, &name, fault.offset, &fault.kind.to_string());
                }
                // Somebody may be waiting at the other end of a pipe.
                Item::Pause => {
                    let result = self.out.flush();
                    self.wrote(result);
                }
            }
        })?;
        Ok(())
    }

    fn payload(&mut self, name: &str, bytes: &[u8], offset: u64) {
        self.seen += 1;
        if self.args.explain && self.seen != self.args.event {
            return;
        }
        let payload = Payload::decode(bytes);
        if let Some(at) = payload.first_invalid() {
            let text = "not UTF-8; such bytes are read as U+FFFD";
            self.complain(Kind::Encoding, name, offset + at as u64, text);
        }
        let mappings = self.mappings;
        let found = mappings.of(self.args.slug.as_deref(), payload.text());
        let mut worker = self
            .workers
            .remove(&found.map(Mapping::slug))
            .unwrap_or_else(|| Worker::new(found.unwrap_or(&mappings.generic)));
        if self.args.explain {
            self.explain(&mut worker.normalizer, &payload, name, offset);
        } else {
            let event = worker.normalizer.normalize(&payload, self.received);
            let broken = worker.normalizer.json_fault();
            worker.counts.add(event.status);
            self.over_budget += u64::from(event.budget_exceeded > 0);
            match broken {
                Some(fault) if fault.kind != JsonErrorKind::Absent => {
                    let at = offset + fault.at as u64;
                    let text = format!("{fault} of the payload; keys in it are not read");
                    self.complain(Kind::Json, name, at, &text);
                }
                _ if found.is_none() => {
                    let text = "not recognised by any autodetection rule; Stored";
                    self.complain(Kind::Unrecognised, name, offset, text);
                }
                absent if event.status == Status::Stored => {
                    let more = absent.map_or("", |_| " (the payload holds no JSON)");
                    let text = format!("Stored: {}{more}", event.reason);
                    self.complain(Kind::Stored, name, offset, &text);
                }
                _ => {}
            }
            self.write(&event, name, offset);
        }
        self.workers.insert(found.map(Mapping::slug), worker);
    }

    fn explain(
        &mut self,
        normalizer: &mut Normalizer<'_>,
        payload: &Payload<'_>,
        name: &str,
        offset: u64,
    ) {
        let (event, trace) = normalizer.explain(payload, self.received);
        let place = format!(
            "event {} of the input: {name}, byte {offset}",
            self.args.event
        );
        let mut text = explain::visible(&place) + "\n";
        text.push_str(&explain::explain(
            &event,
            &trace,
            terminal::stdout_is_styled(),
            terminal::reading_width(),
        ));
        let result = self.out.write_all(text.as_bytes());
        self.explained = Some(event.status);
        self.wrote(result);
        self.stop.pull();
    }

    fn write(&mut self, event: &Event<'_>, name: &str, offset: u64) {
        self.buffer.clear();
        let refused = match self.args.format {
            Format::Leef | Format::Leef1 | Format::Leef2 => {
                match self.leef.write(event, &mut self.buffer) {
                    Ok(report) => {
                        self.sanitized += u64::from(!report.changed.is_empty());
                        self.truncated += u64::from(!report.dropped.is_empty());
                        None
                    }
                    Err(error) => Some(error.to_string()),
                }
            }
            Format::Cef => {
                cef::write(event, &mut self.buffer);
                None
            }
            Format::Json => json::write(event, &mut self.buffer)
                .err()
                .map(|error| error.to_string()),
            Format::Table => {
                self.buffer
                    .extend_from_slice(self.table.row(event).as_bytes());
                None
            }
        };
        if let Some(error) = refused {
            let text = format!("not written: {error}");
            self.complain(Kind::NotWritten, name, offset, &text);
            return;
        }
        self.buffer.push(b'\n');
        let result = self.out.write_all(&self.buffer);
        self.wrote(result);
    }

    fn line(&mut self, text: &[u8]) {
        let result = self
            .out
            .write_all(text)
            .and_then(|()| self.out.write_all(b"\n"));
        self.wrote(result);
    }

    /// Where nothing can be written, nothing more needs to be read.
    fn wrote(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.write_error.get_or_insert(error);
            self.stop.pull();
        }
    }

    fn complain(&mut self, kind: Kind, name: &str, offset: u64, text: &str) {
        let text = format!("{name}: byte {offset}: {text}");
        self.complaints.add(kind, &self.progress, &text);
    }

    fn finish(self) -> anyhow::Result<Exit> {
        self.complaints.finish();
        let unrecognised = self.workers.contains_key(&None);
        if unrecognised {
            let known = self.mappings.library.slugs();
            terminal::note(&if known.is_empty() {
                "there are no mappings to recognise payloads by".to_owned()
            } else {
                format!(
                    "where no autodetection rule applies, name the type with --type: {}",
                    known.join(", ")
                )
            });
        }
        if self.args.explain && self.explained.is_none() {
            bail!(
                "there is no event {}: the input has {}",
                self.args.event,
                events(self.seen)
            );
        }
        if !self.args.quiet && !self.args.explain {
            terminal::stderr(&self.summary());
        }
        let incomplete = self.mappings.incomplete
            || self.unread > 0
            || self.complaints.count(Kind::Fault) > 0
            || self.complaints.count(Kind::Json) > 0
            || self.complaints.count(Kind::NotWritten) > 0;
        let total: Counts = self.workers.values().map(|worker| worker.counts).sum();
        let all_mapped = match self.explained {
            Some(status) => status == Status::Mapped,
            None => total.mapped == total.total(),
        };
        Ok(if incomplete {
            Exit::Failure
        } else if self.args.strict && !all_mapped {
            Exit::NotMapped
        } else {
            Exit::Success
        })
    }

    fn summary(&self) -> String {
        let mut rows: Vec<(&str, Counts)> = self
            .workers
            .iter()
            .map(|(slug, worker)| (slug.unwrap_or("not recognised"), worker.counts))
            .collect();
        // What was not recognised comes last.
        rows.sort_by_key(|(name, _)| *name == "not recognised");
        let mut text = account::summary(&rows);
        let complaints = &self.complaints;
        for (count, one, many) in [
            (
                self.unread,
                "input was not read, or not to its end",
                "inputs were not read, or not to their end",
            ),
            (
                complaints.count(Kind::Fault),
                "fault in the input",
                "faults in the input",
            ),
            (
                complaints.count(Kind::Json),
                "payload with broken JSON",
                "payloads with broken JSON",
            ),
            (
                complaints.count(Kind::NotWritten),
                "event was not written",
                "events were not written",
            ),
            (
                self.sanitized,
                "event with characters that LEEF cannot carry (see leefSanitized)",
                "events with characters that LEEF cannot carry (see leefSanitized)",
            ),
            (
                self.truncated,
                "event shortened to the size limit (see leefTruncated)",
                "events shortened to the size limit (see leefTruncated)",
            ),
            (
                self.over_budget,
                "event with a pattern that used up its step budget",
                "events with patterns that used up their step budget",
            ),
        ] {
            match count {
                0 => {}
                1 => text.push_str(&format!("1 {one}\n")),
                _ => text.push_str(&format!("{count} {many}\n")),
            }
        }
        text
    }
}
