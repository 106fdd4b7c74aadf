//! Snapshots: what the payloads of a fixture become, as a text that a person reads and a test compares.
//!
//! The files have the format of the insta crate, so that `cargo insta review` works on them, but reading and writing
//! them needs neither cargo nor insta.

mod changes;

pub use changes::{Change, EventChange, changes};

use crate::explain::{facts, origin, shorten, visible};
use crate::input::{self, Item};
use dsm::event::{Event, canonical};
use dsm::mapping::BranchIx;
use dsm::output::leef::LeefOutput;
use dsm::{Mapping, Normalizer, Payload};
use framing::Framing;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr;

/// The longest value that the table of properties shows whole; the LEEF line has all of it.
const MAX_VALUE: usize = 120;

/// What a fixture gives.
#[derive(Debug, Default)]
pub struct Rendered {
    /// The text of the snapshot.
    pub text: String,
    /// How many events there were.
    pub events: usize,
    /// The branches of the mapping that they went through.
    pub reached: BTreeSet<BranchIx>,
    /// What is wrong with the input.
    pub faults: Vec<String>,
    /// The QIDs of the events, in order.
    pub qids: Vec<Option<usize>>,
}

/// The point in time at which fixtures are received: snapshots must not depend on a clock.
pub fn received() -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(1_767_225_600, 0).unwrap_or_default()
}

/// Normalizes the payloads of a fixture and writes down the events.
pub fn render(mapping: &Mapping, fixture: &[u8]) -> Rendered {
    let mut rendered = Rendered::default();
    let mut normalizer = Normalizer::new(mapping);
    let mut leef = leef_output();
    let mut body = String::new();
    let read = input::read(
        fixture,
        Framing::Auto,
        framing::DEFAULT_LIMIT,
        |item| match item {
            Item::Fault(fault) => {
                let _ = writeln!(body, "\n!! byte {}: {}", fault.offset, fault.kind);
                rendered
                    .faults
                    .push(format!("byte {}: {}", fault.offset, fault.kind));
            }
            Item::Payload(bytes, offset) => {
                let payload = Payload::decode(bytes);
                if let Some(at) = payload.first_invalid() {
                    let at = offset + at as u64;
                    let _ = writeln!(body, "\n!! byte {at}: not UTF-8; read as U+FFFD");
                }
                let event = normalizer.normalize(&payload, received());
                rendered.events += 1;
                rendered.reached.extend(event.branches());
                rendered
                    .qids
                    .push(event.qid.map(|(record, _)| record.qid as usize));
                let _ = writeln!(
                    body,
                    "\n== event {}, bytes {offset}..{}",
                    rendered.events,
                    offset + bytes.len() as u64
                );
                write_event(&mut body, &event, leef.as_mut());
            }
        },
    );
    if let Err(error) = read {
        rendered.faults.push(error.to_string());
    }
    let _ = write!(
        rendered.text,
        "{}: {} event{}\n{body}",
        mapping.manifest().name,
        rendered.events,
        if rendered.events == 1 { "" } else { "s" },
    );
    rendered
}

fn leef_output() -> Option<LeefOutput> {
    // The default options do not contradict each other.
    LeefOutput::new(leef::WriterOptions::default()).ok()
}

fn write_event(body: &mut String, event: &Event<'_>, leef: Option<&mut LeefOutput>) {
    for (name, value) in facts(event) {
        if name != "log source type" {
            let _ = writeln!(body, "{name:<15} {value}");
        }
    }
    let rows: Vec<[String; 4]> = event
        .properties
        .iter()
        .map(|property| {
            let text = visible(&canonical(property));
            let length = text.chars().count();
            let shown = if length > MAX_VALUE {
                format!("{} ({length} characters)", shorten(&text, MAX_VALUE))
            } else {
                text
            };
            let span = property.origin.span();
            [
                event.mapping().target_name(property.target).to_owned(),
                origin(event, property),
                span.map_or_else(String::new, |span| format!("{}..{}", span.start, span.end)),
                shown,
            ]
        })
        .collect();
    body.push('\n');
    table(body, &rows);
    let mut line = Vec::new();
    let report = leef.map(|leef| leef.write(event, &mut line));
    let line = String::from_utf8_lossy(&line).replace('\t', "⇥");
    let _ = writeln!(body, "\n{line}");
    match report {
        Some(Ok(report)) => {
            for change in &report.changed {
                let _ = writeln!(
                    body,
                    "!! {}: {} substituted, {} cut",
                    change.field, change.substituted, change.cut
                );
            }
        }
        Some(Err(error)) => {
            let _ = writeln!(body, "!! no LEEF: {error}");
        }
        None => {}
    }
}

/// Rows with aligned columns; the last column of each row is not padded.
pub fn table<const N: usize>(out: &mut String, rows: &[[String; N]]) {
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter()
            .map(|row| row[column].width())
            .max()
            .unwrap_or(0)
    });
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let pad = widths[column].saturating_sub(cell.width());
            let _ = write!(line, "{cell}{}  ", " ".repeat(pad));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// The text of a snapshot file: what stands after its header.
pub fn contents(file: &str) -> &str {
    let body = file
        .strip_prefix("---\n")
        .and_then(|rest| rest.split_once("\n---\n"))
        .map_or(file, |(_, body)| body);
    body.trim_end()
}

/// A snapshot file for a text.
pub fn to_file(text: &str) -> String {
    format!(
        "---\nsource: fixtures/fixtures.rs\n---\n{}\n",
        text.trim_end()
    )
}

/// Whether a snapshot file says the same as a text. White space at the end does not count, as with insta.
pub fn same(file: &str, text: &str) -> bool {
    contents(&file.replace("\r\n", "\n")) == text.trim_end()
}
