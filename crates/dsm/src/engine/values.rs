//! The values of patterns on one payload, each found at most once.

use super::trace::NoData;
use crate::device_time::{DateFormat, Dialect};
use crate::extract::{Span, cef, delimited, json, xml};
use crate::java_regex::{JavaRegex, Slots};
use crate::keypath::Piece;
use crate::lsx::Hits;
use crate::mapping::{Capture, Compiled, JsonValue, Mapping, PatternKind, TemplatePart};
use crate::options::{AUTO, JsonNull, MissingTemplatePart, Options};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// How many different devTimeFormat values are kept compiled. A device uses one or two.
const MAX_TIME_FORMATS: usize = 64;

/// A value and the bytes of the payload that it was read from.
#[derive(Debug)]
pub(super) struct Value<'e> {
    pub(super) text: Cow<'e, str>,
    pub(super) span: Option<Span>,
}

/// What is known about the payload so far. All memory is kept for the next one.
#[derive(Debug)]
pub(super) struct Values {
    docs: Vec<DocState>,
    regexes: Vec<RegexState>,
    time_formats: HashMap<String, Option<DateFormat>>,
    settings: json::Settings,
    /// Counts payloads.
    generation: u64,
    pub(super) budget_exceeded: u32,
}

#[derive(Debug, Default)]
struct DocState {
    /// The payload that the rest is about.
    generation: u64,
    text: DocText,
    json: Option<Result<Span, json::JsonError>>,
    found: json::Found,
    leef: Option<bool>,
    leef_header: Vec<(&'static str, Span)>,
    leef_attributes: Vec<(Span, Span)>,
    dev_time_format: Option<String>,
    cef: Option<bool>,
    cef_message: cef::Cef,
    xml: Option<Option<xml::Document>>,
    pairs: Vec<Option<Vec<(Span, Span)>>>,
}

#[derive(Debug, Default)]
enum DocText {
    /// Not asked for yet.
    #[default]
    Unread,
    /// The pattern that should yield it found nothing.
    Absent,
    /// These bytes of the payload.
    Slice(Span),
    /// A decoded text, and the bytes of the payload that it was decoded from.
    Owned(String, Option<Span>),
}

impl DocText {
    fn get<'t>(&'t self, payload: &'t str) -> &'t str {
        match self {
            Self::Unread | Self::Absent => "",
            Self::Slice(span) => span.of(payload),
            Self::Owned(text, _) => text,
        }
    }

    /// A piece of this text as a value.
    fn lift<'e>(&self, piece: Span, payload: &'e str) -> Value<'e> {
        match self {
            Self::Owned(text, span) => Value {
                text: Cow::Owned(piece.of(text).to_owned()),
                span: *span,
            },
            Self::Slice(base) => {
                let span = Span {
                    start: base.start + piece.start,
                    end: base.start + piece.end,
                };
                Value {
                    text: Cow::Borrowed(span.of(payload)),
                    span: Some(span),
                }
            }
            Self::Unread | Self::Absent => Value {
                text: Cow::Borrowed(""),
                span: None,
            },
        }
    }
}

#[derive(Debug, Default)]
struct RegexState {
    generation: u64,
    outcome: RegexOutcome,
    slots: Slots,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum RegexOutcome {
    #[default]
    NotRun,
    Match,
    NoMatch,
    BudgetExceeded,
}

impl Values {
    pub(super) fn new(mapping: &Mapping) -> Self {
        let options = mapping.options();
        let mut docs: Vec<DocState> = Vec::new();
        docs.resize_with(mapping.docs.len(), DocState::default);
        let mut regexes = Vec::new();
        regexes.resize_with(mapping.patterns.len(), RegexState::default);
        Self {
            docs,
            regexes,
            time_formats: HashMap::new(),
            settings: json::Settings {
                duplicates: options.duplicate_json_key,
                broken: options.broken_json,
            },
            generation: 0,
            budget_exceeded: 0,
        }
    }

    /// What is wrong with the JSON of the payload itself.
    pub(super) fn json_fault(&self) -> Option<json::JsonError> {
        let payload = self
            .docs
            .first()
            .filter(|doc| doc.generation == self.generation)?;
        match payload.json {
            Some(Err(error)) => Some(error),
            _ => None,
        }
    }

    /// The value of a pattern.
    pub(super) fn get<'e>(
        &mut self,
        mapping: &Mapping,
        pattern: usize,
        capture: &Capture,
        payload: &'e str,
    ) -> Result<Value<'e>, NoData> {
        let compiled = &mapping.patterns[pattern];
        self.load(mapping, compiled.doc, payload)?;
        let options = mapping.options();
        let doc = compiled.doc;
        match &compiled.kind {
            PatternKind::Regex(regex) => self.regex(pattern, doc, regex, capture, options, payload),
            PatternKind::Json(pieces) => {
                self.scan_json(mapping, doc, payload)?;
                let state = &self.docs[doc];
                template(pieces, options, |value| {
                    state.json_value(value, options, payload)
                })
            }
            PatternKind::Xml(pieces) => {
                let state = &mut self.docs[doc];
                let text = state.text.get(payload);
                let document = state.xml.get_or_insert_with(|| xml::read(text));
                let document = document.as_ref().ok_or(NoData::NoMessage("XML"))?;
                template(pieces, options, |path| {
                    let text = document.get(path).ok_or(NoData::Absent)?;
                    Ok(Value {
                        text: Cow::Owned(text.to_owned()),
                        span: None,
                    })
                })
            }
            PatternKind::Leef(parts) => {
                if !self.docs[doc].read_leef(payload) {
                    return Err(NoData::NoMessage("LEEF"));
                }
                let state = &self.docs[doc];
                template(parts, options, |key| {
                    let span = state.leef_value(key, payload).ok_or(NoData::Absent)?;
                    Ok(state.text.lift(span, payload))
                })
            }
            PatternKind::Cef(parts) => {
                if !self.docs[doc].read_cef(payload) {
                    return Err(NoData::NoMessage("CEF"));
                }
                let state = &self.docs[doc];
                template(parts, options, |key| state.cef_value(key, payload))
            }
            PatternKind::Pairs(parts, delimiters) => {
                let delimiters_of_doc = &mapping.docs[doc].delimiters;
                self.docs[doc].read_pairs(*delimiters, delimiters_of_doc, payload);
                let state = &self.docs[doc];
                template(parts, options, |key| {
                    state.pair_value(*delimiters, key, payload)
                })
            }
            PatternKind::List(pieces, delimiter) => {
                let state = &self.docs[doc];
                template(pieces, options, |index| {
                    let text = state.text.get(payload);
                    let span = delimited::item(text, delimiter, *index).ok_or(NoData::Absent)?;
                    Ok(state.text.lift(span, payload))
                })
            }
            PatternKind::Constant(text) => Ok(Value {
                text: Cow::Owned(text.clone()),
                span: None,
            }),
        }
    }

    /// Makes sure that the text of a document is there.
    fn load(&mut self, mapping: &Mapping, doc: usize, payload: &str) -> Result<(), NoData> {
        let base = mapping.docs[doc].base;
        if self.docs[doc].generation != self.generation {
            self.docs[doc].begin(self.generation);
        }
        if matches!(self.docs[doc].text, DocText::Unread) {
            self.docs[doc].text = match base {
                None => DocText::Slice(Span::new(0, payload.len())),
                Some(base) => {
                    let capture = base_capture(&mapping.patterns[base]);
                    match self.get(mapping, base, &capture, payload) {
                        Ok(Value {
                            text: Cow::Borrowed(_),
                            span: Some(span),
                        }) => DocText::Slice(span),
                        Ok(Value { text, span }) => DocText::Owned(text.into_owned(), span),
                        Err(_) => DocText::Absent,
                    }
                }
            };
        }
        match (&self.docs[doc].text, base) {
            (DocText::Absent, Some(base)) => {
                Err(NoData::NoBase(Arc::clone(&mapping.patterns[base].id)))
            }
            _ => Ok(()),
        }
    }

    fn regex<'e>(
        &mut self,
        pattern: usize,
        doc: usize,
        regex: &JavaRegex,
        capture: &Capture,
        options: &Options,
        payload: &'e str,
    ) -> Result<Value<'e>, NoData> {
        let text = &self.docs[doc].text;
        let state = &mut self.regexes[pattern];
        if state.generation != self.generation {
            state.generation = self.generation;
            state.outcome = RegexOutcome::NotRun;
        }
        if state.outcome == RegexOutcome::NotRun {
            let found = regex.find(
                text.get(payload),
                &mut state.slots,
                options.regex_step_budget,
            );
            state.outcome = match found {
                Ok(true) => RegexOutcome::Match,
                Ok(false) => RegexOutcome::NoMatch,
                Err(_) => {
                    self.budget_exceeded += 1;
                    RegexOutcome::BudgetExceeded
                }
            };
        }
        match state.outcome {
            RegexOutcome::Match => {}
            RegexOutcome::BudgetExceeded => return Err(NoData::BudgetExceeded),
            _ => return Err(NoData::NoMatch),
        }
        let group = |group: usize| {
            let range = state.slots.get(group)?;
            Some(text.lift(Span::new(range.start, range.end), payload))
        };
        match capture {
            Capture::Group(index) => group(*index).ok_or(NoData::GroupAbsent(*index)),
            Capture::Template(parts) => {
                let mut composed = String::new();
                let mut found = 0;
                let mut wanted = 0;
                for part in parts {
                    match part {
                        TemplatePart::Literal(literal) => composed.push_str(literal),
                        TemplatePart::Group(index) => {
                            wanted += 1;
                            if let Some(value) =
                                group(*index).filter(|value| !value.text.is_empty())
                            {
                                found += 1;
                                composed.push_str(&value.text);
                            }
                        }
                    }
                }
                enough(found, wanted, options)?;
                // DSM Editor output writes a template even for a single group: its own bytes are the place.
                if let [TemplatePart::Group(index)] = parts.as_slice()
                    && let Some(value) = group(*index)
                {
                    return Ok(value);
                }
                Ok(Value {
                    text: Cow::Owned(composed),
                    span: group(0).and_then(|value| value.span),
                })
            }
        }
    }

    /// Begins a payload: its JSON, if patterns ask for any, is scanned once and for all.
    pub(super) fn begin(&mut self, mapping: &Mapping, payload: &str) {
        self.generation += 1;
        self.budget_exceeded = 0;
        let doc = &mut self.docs[0];
        doc.begin(self.generation);
        doc.text = DocText::Slice(Span::new(0, payload.len()));
        let plan = &mapping.docs[0].json;
        if !plan.is_empty() {
            doc.json = Some(plan.scan(payload, &self.settings, &mut doc.found));
        }
    }

    /// Whether the JSON of the payload has a value in a slot.
    #[inline]
    pub(super) fn has_json(&self, slot: json::SlotIx) -> bool {
        self.docs[0].found.get(slot).is_some()
    }

    /// The place of a string in a slot that is neither empty nor has escapes.
    #[inline]
    pub(super) fn plain_text(&self, slot: json::SlotIx) -> Option<Span> {
        let json::Hit { span, form } = self.docs[0].found.get(slot)?;
        let inside = Span {
            start: span.start + 1,
            end: span.end - 1,
        };
        (form == json::Form::Plain && inside.start < inside.end).then_some(inside)
    }

    /// The value in a slot.
    #[inline]
    pub(super) fn json<'e>(
        &self,
        slot: json::SlotIx,
        options: &Options,
        payload: &'e str,
    ) -> Result<Value<'e>, NoData> {
        let hit = self.docs[0].found.get(slot).ok_or(NoData::Absent)?;
        self.docs[0].json_text(hit, options, payload)
    }

    fn scan_json(&mut self, mapping: &Mapping, doc: usize, payload: &str) -> Result<(), NoData> {
        let state = &mut self.docs[doc];
        let plan = &mapping.docs[doc].json;
        let outcome = match state.json {
            Some(outcome) => outcome,
            None => plan.scan(state.text.get(payload), &self.settings, &mut state.found),
        };
        state.json = Some(outcome);
        outcome.map(|_| ()).map_err(NoData::Json)
    }

    /// The format that a LEEF message names for its devTime, when that is what the pattern reads.
    pub(super) fn dev_time_format(
        &mut self,
        mapping: &Mapping,
        pattern: usize,
    ) -> Option<&DateFormat> {
        let compiled = &mapping.patterns[pattern];
        match &compiled.kind {
            PatternKind::Leef(parts) if matches!(parts.as_slice(), [Piece::Path(key)] if key == "devTime") =>
                {}
            _ => return None,
        }
        let format = self.docs[compiled.doc].dev_time_format.clone()?;
        if self.time_formats.len() >= MAX_TIME_FORMATS && !self.time_formats.contains_key(&format) {
            self.time_formats.clear();
        }
        self.time_formats
            .entry(format)
            .or_insert_with_key(|format| DateFormat::new(format, Dialect::SimpleDateFormat).ok())
            .as_ref()
    }
}

/// What a pattern yields when another one runs within its value: group 1 if there is one.
fn base_capture(pattern: &Compiled) -> Capture {
    match &pattern.kind {
        PatternKind::Regex(regex) => Capture::Group(regex.group_count().min(1)),
        _ => Capture::Group(0),
    }
}

/// Whether a template has enough of its parts to be a value.
fn enough(found: usize, wanted: usize, options: &Options) -> Result<(), NoData> {
    let missing = found < wanted;
    if missing && (found == 0 || options.missing_template_part == MissingTemplatePart::NoData) {
        return Err(NoData::PartAbsent);
    }
    Ok(())
}

/// A single value, or several with text between them.
fn template<'e, P>(
    pieces: &[Piece<P>],
    options: &Options,
    mut get: impl FnMut(&P) -> Result<Value<'e>, NoData>,
) -> Result<Value<'e>, NoData> {
    if let [Piece::Path(path)] = pieces {
        return get(path);
    }
    let mut composed = String::new();
    let mut hull: Option<Span> = None;
    let (mut found, mut wanted) = (0, 0);
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => composed.push_str(literal),
            Piece::Path(path) => {
                wanted += 1;
                if let Ok(value) = get(path)
                    && !value.text.is_empty()
                {
                    found += 1;
                    composed.push_str(&value.text);
                    if let Some(span) = value.span {
                        let joined = hull.map_or(span, |hull| Span {
                            start: hull.start.min(span.start),
                            end: hull.end.max(span.end),
                        });
                        hull = Some(joined);
                    }
                }
            }
        }
    }
    enough(found, wanted, options)?;
    Ok(Value {
        text: Cow::Owned(composed),
        span: hull,
    })
}

/// Whether a TAB stands in front of something that looks like a name and the delimiter behind it.
fn tabs_part_pairs(text: &str, name_value: &str) -> bool {
    text.split('\t').skip(1).any(|piece| {
        let name = piece.split(name_value).next().unwrap_or_default();
        name.len() < piece.len() && !name.is_empty() && !name.contains([' ', ','])
    })
}

/// A LEEF message may stand anywhere in a payload, and devices do not keep to the grammar.
fn leef_options() -> leef::ReadOptions {
    let mut options = leef::ReadOptions::new(leef::Mode::Lenient);
    options.max_prefix = None;
    options
}

impl DocState {
    fn begin(&mut self, generation: u64) {
        self.generation = generation;
        self.text = DocText::Unread;
        self.json = None;
        self.leef = None;
        self.cef = None;
        self.xml = None;
        for pairs in &mut self.pairs {
            *pairs = None;
        }
    }

    fn json_value<'e>(
        &self,
        value: &JsonValue,
        options: &Options,
        payload: &'e str,
    ) -> Result<Value<'e>, NoData> {
        if value.hits == Hits::Joined {
            return self.json_joined(value, options, payload);
        }
        let hit = self.found.get(value.slot).ok_or(NoData::Absent)?;
        self.json_text(hit, options, payload)
    }

    /// The text of one JSON value, unescaped; its place is inside the quotes.
    #[inline]
    fn json_text<'e>(
        &self,
        hit: json::Hit,
        options: &Options,
        payload: &'e str,
    ) -> Result<Value<'e>, NoData> {
        let Span { start, end } = hit.span;
        let inside = Span {
            start: start + 1,
            end: end - 1,
        };
        match hit.form {
            json::Form::Plain => Ok(self.text.lift(inside, payload)),
            json::Form::Null if options.json_null == JsonNull::NoData => Err(NoData::Null),
            json::Form::Null => Ok(self.text.lift(hit.span, payload)),
            form => {
                let escaped = form == json::Form::Escaped;
                let raw = self
                    .text
                    .lift(if escaped { inside } else { hit.span }, payload);
                let text = match (raw.text, escaped) {
                    (Cow::Borrowed(text), true) => json::unescape(text),
                    (Cow::Owned(text), true) => Cow::Owned(json::unescape(&text).into_owned()),
                    (Cow::Borrowed(text), false) => json::compact(text),
                    (Cow::Owned(text), false) => Cow::Owned(json::compact(&text).into_owned()),
                };
                Ok(Value {
                    text,
                    span: raw.span,
                })
            }
        }
    }

    fn json_joined<'e>(
        &self,
        value: &JsonValue,
        options: &Options,
        payload: &'e str,
    ) -> Result<Value<'e>, NoData> {
        let mut texts: Vec<Value<'e>> = Vec::new();
        for hit in self.found.all(value.slot) {
            if let Ok(hit) = self.json_text(hit, options, payload)
                && !hit.text.is_empty()
                && !texts.iter().any(|known| known.text == hit.text)
            {
                texts.push(hit);
            }
        }
        let (first, last) = match texts.len() {
            0 => return Err(NoData::Absent),
            1 => return texts.pop().ok_or(NoData::Absent),
            count => (texts[0].span, texts[count - 1].span),
        };
        let mut joined = String::new();
        for (index, hit) in texts.iter().enumerate() {
            if index > 0 {
                joined.push_str(&value.separator);
            }
            joined.push_str(&hit.text);
        }
        let span = match (first, last) {
            (Some(first), Some(last)) => Some(Span {
                start: first.start.min(last.start),
                end: last.end.max(first.end),
            }),
            _ => None,
        };
        Ok(Value {
            text: Cow::Owned(joined),
            span,
        })
    }

    fn read_leef(&mut self, payload: &str) -> bool {
        if let Some(known) = self.leef {
            return known;
        }
        let text = self.text.get(payload);
        self.leef_header.clear();
        self.leef_attributes.clear();
        self.dev_time_format = None;
        let Ok(message) = leef::read_with(text, &leef_options()) else {
            self.leef = Some(false);
            return false;
        };
        for (word, field) in [
            ("$vendor$", leef::HeaderField::Vendor),
            ("$product$", leef::HeaderField::Product),
            ("$version$", leef::HeaderField::ProductVersion),
            ("$eventid$", leef::HeaderField::EventId),
        ] {
            let range = message.header_range(field);
            self.leef_header
                .push((word, Span::new(range.start, range.end)));
        }
        // The version stands between `LEEF:` and the first pipe.
        let start = message.prefix.len() + "LEEF:".len();
        let end = text[start..].find('|').map_or(start, |i| start + i);
        self.leef_header
            .push(("$leefversion$", Span::new(start, end)));
        for attribute in &message.attributes {
            let span = |range: &std::ops::Range<usize>| Span::new(range.start, range.end);
            let entry = (span(&attribute.key_range), span(&attribute.value_range));
            self.leef_attributes.push(entry);
        }
        self.dev_time_format = message.get("devTimeFormat").map(str::to_owned);
        self.leef = Some(true);
        true
    }

    fn leef_value(&self, key: &str, payload: &str) -> Option<Span> {
        if key.starts_with('$') {
            return self
                .leef_header
                .iter()
                .find(|(word, _)| *word == key)
                .map(|(_, span)| *span);
        }
        let text = self.text.get(payload);
        self.leef_attributes
            .iter()
            .find(|(name, _)| name.of(text) == key)
            .map(|(_, value)| *value)
    }

    fn read_cef(&mut self, payload: &str) -> bool {
        let text = self.text.get(payload);
        *self
            .cef
            .get_or_insert_with(|| cef::Cef::read(text, &mut self.cef_message))
    }

    fn cef_value<'e>(&self, key: &str, payload: &'e str) -> Result<Value<'e>, NoData> {
        let text = self.text.get(payload);
        let (span, header) = self.cef_message.get(text, key).ok_or(NoData::Absent)?;
        let raw = self.text.lift(span, payload);
        let text = match raw.text {
            Cow::Borrowed(text) => cef::unescape(text, header),
            Cow::Owned(text) => Cow::Owned(cef::unescape(&text, header).into_owned()),
        };
        Ok(Value {
            text,
            span: raw.span,
        })
    }

    fn read_pairs(&mut self, index: usize, delimiters: &[(String, String)], payload: &str) {
        self.pairs.resize_with(delimiters.len(), || None);
        if self.pairs[index].is_some() {
            return;
        }
        let text = self.text.get(payload);
        let (pair, name_value) = &delimiters[index];
        let pair = match pair.as_str() {
            AUTO if tabs_part_pairs(text, name_value) => "\t",
            AUTO => ",",
            stated => stated,
        };
        let mut pairs = Vec::new();
        delimited::pairs(text, pair, name_value, &mut pairs);
        self.pairs[index] = Some(pairs);
    }

    fn pair_value<'e>(
        &self,
        index: usize,
        key: &str,
        payload: &'e str,
    ) -> Result<Value<'e>, NoData> {
        let text = self.text.get(payload);
        let pairs = self.pairs[index].as_deref().unwrap_or_default();
        let found = pairs.iter().find(|(name, _)| name.of(text) == key);
        let (_, value) = found.ok_or(NoData::Absent)?;
        Ok(self.text.lift(*value, payload))
    }
}
