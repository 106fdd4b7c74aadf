//! Payloads, and events on the wire.

use crate::input::{byte, line, pieces, text};
use authoring::folder::Library;
use chrono::{DateTime, Utc};
use dsm::extract::json::{Plan, Settings};
use dsm::extract::{cef, json, xml};
use dsm::lsx::Hits;
use dsm::output::leef::LeefOutput;
use dsm::{Event, Mapping, Normalizer, Payload};
use framing::{Frame, Framing, Splitter};
use leef::{Delimiter, Header, Mode, Version, Writer, WriterOptions};
use std::path::Path;
use std::sync::OnceLock;

/// When payloads were received.
pub(super) const RECEIVED: DateTime<Utc> =
    DateTime::from_timestamp_nanos(1_764_504_000_000_000_000);

pub(super) fn framing(input: &[u8]) {
    let (how, input) = byte(input);
    let limit = if how & 4 == 0 { 1 << 20 } else { 100 };
    let splitter = || match how & 3 {
        0 => Splitter::new(Framing::Lines, limit),
        1 => Splitter::new(Framing::Whole, limit),
        2 => Splitter::new(Framing::Auto, limit),
        _ => Splitter::new(Framing::Json, limit).in_pieces(),
    };
    let whole = frames(splitter(), limit, [input].into_iter());
    let cut = frames(splitter(), limit, pieces(input, how >> 3));
    assert_eq!(whole, cut, "the same bytes in other pieces");
}

fn frames<'i>(
    mut splitter: Splitter,
    limit: usize,
    pieces: impl Iterator<Item = &'i [u8]>,
) -> Vec<String> {
    let mut frames = Vec::new();
    let mut note = |frame: Frame<'_>| {
        if let Frame::Payload { bytes, .. } = frame {
            assert!(bytes.len() <= limit, "longer than the limit");
        }
        frames.push(format!("{frame:?}"));
    };
    for piece in pieces {
        splitter.push(piece, &mut note);
    }
    splitter.finish(&mut note);
    frames
}

/// The mappings of the repository.
pub(super) fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dsm-mappings");
        Library::load(&folder)
            .expect("the mappings of the repository load")
            .0
    })
}

pub(super) fn normalize(input: &[u8]) {
    let (which, input) = byte(input);
    let mappings: Vec<&Mapping> = library().iter().collect();
    let mapping = mappings[usize::from(which) % mappings.len()];
    event(mapping, input);
}

/// Normalizes a payload twice, and checks all that holds for any event.
pub(super) fn event(mapping: &Mapping, payload: &[u8]) {
    let payload = Payload::decode(payload);
    let mut normalizer = Normalizer::new(mapping);
    let event = normalizer.normalize(&payload, RECEIVED);
    let first = lines(&event);
    for property in &event.properties {
        if let Some(span) = property.origin.span() {
            assert!(
                event.payload.get(span.range()).is_some(),
                "{property:?} lies in the payload"
            );
        }
    }
    normalizer.recycle(event);
    let again = lines(&normalizer.normalize(&payload, RECEIVED));
    assert_eq!(first, again, "the same payload again");
    let (explained, _) = normalizer.explain(&payload, RECEIVED);
    assert_eq!(first, lines(&explained), "the same payload explained");
}

/// An event in all formats, each of which has to be one line that its readers take.
fn lines(event: &Event<'_>) -> Vec<String> {
    let mut leef =
        LeefOutput::new(WriterOptions::default()).expect("these options are the default");
    let mut line = Vec::new();
    leef.write(event, &mut line)
        .expect("LEEF carries every event");
    let leef = String::from_utf8(line).expect("LEEF is text");
    let message =
        leef::read(&leef, Mode::Strict).unwrap_or_else(|error| panic!("{error}: {leef:?}"));
    assert_eq!(message.header.vendor, event.mapping().manifest().vendor);
    let mut line = Vec::new();
    dsm::output::cef::write(event, &mut line);
    let cef = String::from_utf8(line).expect("CEF is text");
    let mut line = Vec::new();
    dsm::output::json::write(event, &mut line).expect("a Vec takes everything");
    let json = String::from_utf8(line).expect("JSON is text");
    serde_json::from_str::<serde_json::Value>(&json).expect("JSON is read by others");
    for line in [&leef, &cef, &json] {
        let ends = line.contains(['\n', '\r', '\0']);
        assert!(!ends, "an event is one line: {line:?}");
    }
    vec![leef, cef, json]
}

pub(super) fn json(input: &[u8]) {
    let (path, document) = line(input);
    let Ok(path) = dsm::keypath::json_path(&path) else {
        return;
    };
    let mut plan = Plan::default();
    let slot = plan.add(&path, Hits::First);
    plan.finish();
    let document = text(document);
    let mut found = json::Found::default();
    let fault = plan.scan(&document, &Settings::default(), &mut found).err();
    let parsed = serde_json::from_str::<serde_json::Value>(&document);
    // A list is passed over where every path begins with a member.
    if parsed.is_ok() && document.trim_start().starts_with('{') {
        assert!(fault.is_none(), "{fault:?}: {document:?}");
    }
    if let Some(hit) = found.get(slot) {
        let raw = document
            .get(hit.span.range())
            .expect("a hit lies in the document");
        let _ = json::text_of(raw);
        let _ = json::compact(raw);
    }
}

pub(super) fn xml(input: &[u8]) {
    let (path, document) = line(input);
    let document = text(document);
    let Some(document) = xml::read(&document) else {
        return;
    };
    let _ = document.values();
    if let Ok(path) = dsm::keypath::xml_path(&path) {
        let _ = document.get(&path);
    }
}

pub(super) fn leef(input: &[u8]) {
    let (how, input) = byte(input);
    let line = text(input);
    written(how, &line);
    if let Ok(strict) = leef::read(&line, Mode::Strict) {
        let lenient = leef::read(&line, Mode::Lenient).expect("lenient takes what strict takes");
        if !lenient.repairs.is_empty() {
            return;
        }
        assert_eq!(strict.header, lenient.header);
        let pairs = |message: &leef::Message<'_>| -> Vec<(String, String)> {
            let attributes = message.attributes.iter();
            attributes
                .map(|attribute| (attribute.key.to_owned(), attribute.value.to_owned()))
                .collect()
        };
        assert_eq!(pairs(&strict), pairs(&lenient));
    } else {
        let _ = leef::read(&line, Mode::Lenient);
    }
}

/// Writes lines as header and attributes, and reads them again.
fn written(how: u8, text: &str) {
    let version = if how & 1 == 0 {
        Version::V1_0
    } else {
        Version::V2_0
    };
    let delimiter = match how >> 1 & 3 {
        _ if version == Version::V1_0 => Delimiter::TAB,
        0 => Delimiter::TAB,
        1 => Delimiter::CARET,
        _ => Delimiter::new(';').unwrap_or(Delimiter::TAB),
    };
    let options = WriterOptions {
        version,
        delimiter,
        ..WriterOptions::default()
    };
    let mut writer = Writer::new(options).expect("these options go together");
    let mut lines = text.lines();
    let mut next = || lines.next().unwrap_or("x");
    let header = Header {
        version,
        vendor: next(),
        product: next(),
        product_version: next(),
        event_id: next(),
    };
    let mut buffer = Vec::new();
    let Ok(mut event) = writer.event(&mut buffer, &header) else {
        assert!(buffer.is_empty(), "what was refused left nothing");
        return;
    };
    let keys = ["src", "usrName", "cat", "msg", "url"];
    let values: Vec<(&str, &str)> = keys.into_iter().zip(lines).collect();
    for (key, value) in &values {
        event
            .attribute(*key, value)
            .expect("these keys can be written");
    }
    let report = event.finish().expect("nothing is too large");
    let line = String::from_utf8(buffer).expect("LEEF is text");
    assert!(!line.contains(['\n', '\r', '\0']), "an event is one line");
    let message =
        leef::read(&line, Mode::Strict).unwrap_or_else(|error| panic!("{error}: {line:?}"));
    if report.is_lossless() {
        assert_eq!(message.header, header);
        for (key, value) in &values {
            let read = message.get(key);
            // An empty value need not be written.
            assert!(
                read == Some(value) || (value.is_empty() && read.is_none()),
                "{key}: {value:?} became {read:?}"
            );
        }
    }
}

pub(super) fn cef(input: &[u8]) {
    let text = text(input);
    let mut message = cef::Cef::default();
    if !cef::Cef::read(&text, &mut message) {
        return;
    }
    let others = ["src", "cs1", "msg", "rt"];
    for key in cef::HEADER_WORDS.iter().copied().chain(others) {
        if let Some((span, in_header)) = message.get(&text, key) {
            let value = text.get(span.range()).expect("a value lies in the text");
            let _ = cef::unescape(value, in_header);
        }
    }
}
