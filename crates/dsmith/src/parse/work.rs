//! What a thread does: payloads in, lines out, and an account of both.

use super::account::{Account, Kind};
use super::table::Table;
use crate::args::{Format, ParseArgs};
use crate::{library, terminal};
use authoring::explain;
use authoring::folder::Library;
use authoring::input::{BLOCK, Block, Item};
use chrono::{DateTime, Utc};
use dsm::extract::json::{JsonError, JsonErrorKind};
use dsm::output::{cef, json, leef::LeefOutput};
use dsm::{Event, Mapping, Normalizer, Payload, Status};
use std::sync::Arc;

/// What does not change in a run; all threads share it.
pub(super) struct Job {
    pub(super) args: ParseArgs,
    pub(super) mappings: Mappings,
    pub(super) leef: LeefOutput,
    pub(super) table: Table,
    pub(super) received: DateTime<Utc>,
}

/// A log source type that was asked for, or a choice of them.
pub(super) struct Mappings {
    pub(super) library: Library,
    fixed: Option<Mapping>,
    generic: Mapping,
    /// Some mapping of the folder has errors and is not used.
    pub(super) incomplete: bool,
}

impl Mappings {
    pub(super) fn load(args: &ParseArgs) -> anyhow::Result<Self> {
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

    /// The mapping that was asked for.
    fn fixed(&self, args: &ParseArgs) -> Option<&Mapping> {
        let slug = args.slug.as_deref();
        self.fixed
            .as_ref()
            .or_else(|| slug.and_then(|slug| self.library.get(slug)))
    }
}

/// A piece of the input, and what came of it.
#[derive(Default)]
pub(super) struct Batch {
    /// Name of the input.
    pub(super) name: Arc<str>,
    pub(super) block: Block,
    /// Why the input could not be read, or not on from here.
    pub(super) unread: Option<String>,
    pub(super) done: Done,
}

/// What came of a piece of the input.
#[derive(Default)]
pub(super) struct Done {
    /// Whole lines of output.
    pub(super) lines: Vec<u8>,
    pub(super) account: Account,
}

impl Done {
    fn clear(&mut self) {
        self.account = Account::default();
        self.lines.clear();
        if self.lines.capacity() > 8 * BLOCK {
            self.lines = Vec::new();
        }
    }
}

/// Where a payload stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a str,
    offset: u64,
}

impl Place<'_> {
    /// A complaint about a byte of the payload.
    fn says(self, at: usize, text: &str) -> String {
        format!("{}: byte {}: {text}", self.name, self.offset + at as u64)
    }
}

/// A thread at work.
pub(super) struct Worker<'j> {
    job: &'j Job,
    leef: LeefOutput,
    normalizers: Vec<(&'j Mapping, Normalizer<'j>)>,
    /// Events so far.
    seen: u64,
}

impl<'j> Worker<'j> {
    pub(super) fn new(job: &'j Job) -> Self {
        Self {
            job,
            leef: job.leef.clone(),
            normalizers: Vec::new(),
            seen: 0,
        }
    }

    /// Does all that is to be done with a batch, up to the event that is to be explained.
    pub(super) fn work(&mut self, batch: &mut Batch) {
        let Batch {
            name,
            block,
            unread,
            done,
        } = batch;
        done.clear();
        done.account.unread = u64::from(unread.is_some());
        for item in block.items() {
            match item {
                Item::Payload(bytes, offset) => self.payload(bytes, Place { name, offset }, done),
                Item::Fault(fault) => {
                    let offset = fault.offset;
                    let kind = if fault.kind.concerns_payloads() {
                        Kind::Fault
                    } else {
                        Kind::Members
                    };
                    done.account.complaints.add(kind, || {
                        Place { name, offset }.says(0, &fault.kind.to_string())
                    });
                }
            }
            if done.account.explained.is_some() {
                break;
            }
        }
    }

    fn payload(&mut self, bytes: &[u8], place: Place<'_>, done: &mut Done) {
        let job = self.job;
        self.seen += 1;
        done.account.seen += 1;
        if job.args.explain && self.seen != job.args.event {
            return;
        }
        let payload = Payload::decode(bytes);
        if let Some(at) = payload.first_invalid() {
            let text = "not UTF-8; such bytes are read as U+FFFD";
            let says = || place.says(at, text);
            done.account.complaints.add(Kind::Encoding, says);
        }
        if job.args.explain {
            self.explain(&payload, place, done);
            return;
        }
        let (found, event, broken) = self.event(&payload);
        done.account
            .counts(found.map(Mapping::slug))
            .add(event.status);
        done.account.over_budget += u64::from(event.budget_exceeded > 0);
        let complaints = &mut done.account.complaints;
        match broken {
            Some(fault) if fault.kind != JsonErrorKind::Absent => {
                complaints.add(Kind::Json, || {
                    let text = format!("{fault} of the payload; keys in it are not read");
                    place.says(fault.at, &text)
                });
            }
            _ if found.is_none() => {
                let text = "not recognised by any autodetection rule; Stored";
                complaints.add(Kind::Unrecognised, || place.says(0, text));
            }
            absent if event.status == Status::Stored => complaints.add(Kind::Stored, || {
                let more = absent.map_or("", |_| " (the payload holds no JSON)");
                place.says(0, &format!("Stored: {}{more}", event.reason))
            }),
            _ => {}
        }
        self.write(&event, place, done);
        self.normalizer(found.unwrap_or(&job.mappings.generic))
            .recycle(event);
    }

    /// The event, the mapping that it comes from, unless no mapping recognises the payload, and what is wrong with the
    /// JSON.
    fn event<'e>(
        &mut self,
        payload: &'e Payload<'_>,
    ) -> (Option<&'j Mapping>, Event<'e>, Option<JsonError>)
    where
        'j: 'e,
    {
        let job = self.job;
        let fixed = job.mappings.fixed(&job.args);
        if fixed.is_none() {
            for mapping in job.mappings.library.asked() {
                let normalizer = self.normalizer(mapping);
                if let Some(event) = normalizer.normalize_claimed(payload, job.received) {
                    return (Some(mapping), event, normalizer.json_fault());
                }
            }
        }
        let normalizer = self.normalizer(fixed.unwrap_or(&job.mappings.generic));
        let event = normalizer.normalize(payload, job.received);
        (fixed, event, normalizer.json_fault())
    }

    fn explain(&mut self, payload: &Payload<'_>, place: Place<'_>, done: &mut Done) {
        let job = self.job;
        let mappings = &job.mappings;
        let found = mappings
            .fixed(&job.args)
            .or_else(|| mappings.library.recognise(payload.text()));
        done.account.counts(found.map(Mapping::slug));
        let normalizer = self.normalizer(found.unwrap_or(&mappings.generic));
        let (event, trace) = normalizer.explain(payload, job.received);
        let head = format!(
            "event {} of the input: {}, byte {}",
            job.args.event, place.name, place.offset
        );
        let account = explain::explain(
            &event,
            &trace,
            terminal::stdout_is_styled(),
            terminal::reading_width(),
        );
        let text = format!("{}\n{account}", explain::visible(&head));
        done.lines.extend_from_slice(text.as_bytes());
        done.account.explained = Some(event.status);
    }

    fn normalizer(&mut self, mapping: &'j Mapping) -> &mut Normalizer<'j> {
        let mut known = self.normalizers.iter();
        let index = known
            .position(|(known, _)| std::ptr::eq(*known, mapping))
            .unwrap_or_else(|| {
                self.normalizers.push((mapping, Normalizer::new(mapping)));
                self.normalizers.len() - 1
            });
        &mut self.normalizers[index].1
    }

    fn write(&mut self, event: &Event<'_>, place: Place<'_>, done: &mut Done) {
        let Done { lines, account } = done;
        let start = lines.len();
        let refused = match self.job.args.format {
            Format::Leef | Format::Leef1 | Format::Leef2 => match self.leef.write(event, lines) {
                Ok(report) => {
                    account.sanitized += u64::from(!report.changed.is_empty());
                    account.truncated += u64::from(!report.dropped.is_empty());
                    None
                }
                Err(error) => Some(error.to_string()),
            },
            Format::Cef => {
                account.sanitized += u64::from(cef::write(event, lines));
                None
            }
            Format::Json => json::write(event, lines)
                .err()
                .map(|error| error.to_string()),
            Format::Table => {
                lines.extend_from_slice(self.job.table.row(event).as_bytes());
                None
            }
        };
        match refused {
            None => lines.push(b'\n'),
            Some(error) => {
                lines.truncate(start);
                let says = || place.says(0, &format!("not written: {error}"));
                account.complaints.add(Kind::NotWritten, says);
            }
        }
    }
}
