//! The values of patterns on one payload, each found at most once.

use super::doc::{DocState, DocText, Value};
use super::trace::NoData;
use crate::device_time::{DateFormat, Dialect};
use crate::extract::{Span, delimited, json, xml};
use crate::keypath::Piece;
use crate::mapping::{Capture, Compiled, Mapping, PatternKind, TemplatePart};
use crate::options::{MissingTemplatePart, Options};
use java_regex::{JavaRegex, SetState, Slots};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// How many different devTimeFormat values are kept compiled. A device uses one or two.
const MAX_TIME_FORMATS: usize = 64;
/// A longer format is none: a compiled one takes many times its length.
const MAX_TIME_FORMAT: usize = 128;

/// The bytes of working memory that the regular expressions of a mapping may keep for the next payload, all together.
pub(super) const MAX_REGEX_MEMORY: usize = 32 << 20;

/// What is known about the payload so far. Memory is kept for the next one.
#[derive(Debug)]
pub(super) struct Values {
    docs: Vec<DocState>,
    regexes: Vec<RegexState>,
    /// What is known about the payload for all regular expressions over it.
    set: SetState,
    /// The bytes of working memory that the regular expressions keep.
    regex_memory: usize,
    time_formats: HashMap<String, Option<DateFormat>>,
    settings: json::Settings,
    /// Counts payloads, from 1 on.
    generation: u64,
    /// Somebody wants to know why there is no value.
    pub(super) traced: bool,
    pub(super) budget_exceeded: u32,
}

#[derive(Debug, Default)]
struct RegexState {
    generation: u64,
    outcome: RegexOutcome,
    slots: Slots,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum RegexOutcome {
    Match,
    #[default]
    NoMatch,
    BudgetExceeded,
}

impl Values {
    pub(super) fn new(mapping: &Mapping) -> Self {
        let mut docs: Vec<DocState> = Vec::new();
        docs.resize_with(mapping.docs.len(), DocState::default);
        let mut regexes = Vec::new();
        regexes.resize_with(mapping.patterns.len(), RegexState::default);
        Self {
            docs,
            regexes,
            set: SetState::default(),
            regex_memory: 0,
            time_formats: HashMap::new(),
            settings: mapping.json_settings(),
            generation: 0,
            traced: false,
            budget_exceeded: 0,
        }
    }

    /// The bytes of working memory that the regular expressions really keep.
    #[cfg(test)]
    pub(super) fn regex_memory(&self) -> usize {
        let kept = self.regexes.iter().map(|state| state.slots.kept()).sum();
        assert_eq!(self.regex_memory, kept);
        kept
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
        mapping: &'e Mapping,
        pattern: usize,
        capture: &'e Capture,
        payload: &'e str,
    ) -> Result<Value<'e>, NoData> {
        let compiled = &mapping.patterns[pattern];
        if let (PatternKind::Regex(regex), 0) = (&compiled.kind, compiled.doc) {
            return self.regex(mapping, pattern, regex, capture, payload);
        }
        if self.docs[compiled.doc].generation != self.generation {
            self.docs[compiled.doc].begin(self.generation);
        }
        if !self.traced && self.is_barren(mapping, compiled, payload) {
            return Err(NoData::Absent);
        }
        self.load(mapping, compiled.doc, payload)?;
        let options = mapping.options();
        let doc = compiled.doc;
        match &compiled.kind {
            PatternKind::Regex(regex) => self.regex(mapping, pattern, regex, capture, payload),
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
                    let (text, piece) = document.get(path).ok_or(NoData::Absent)?;
                    Ok(Value {
                        text: Cow::Owned(text.to_owned()),
                        span: state.text.lift(piece, payload).span,
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
            PatternKind::Pairs(parts, index) => {
                let plan = &mapping.docs[doc].pairs;
                self.docs[doc].read_pairs(*index, plan, payload);
                let state = &self.docs[doc];
                template(parts, options, |&slot| {
                    state.pair_value(*index, slot, payload)
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

    /// Whether a key path runs over JSON inside a JSON string that does not even hold its name, so that the string need
    /// not be decoded and read.
    fn is_barren(&mut self, mapping: &Mapping, compiled: &Compiled, payload: &str) -> bool {
        let doc = &mapping.docs[compiled.doc];
        let (PatternKind::Json(_), Some(slot)) = (&compiled.kind, doc.base_slot) else {
            return false;
        };
        let Some(hit) = self.found().get(slot) else {
            return false;
        };
        *self.docs[compiled.doc].barren.get_or_insert_with(|| {
            let text = payload.as_bytes().get(hit.span.range());
            text.is_some_and(|text| !doc.json.may_find_in(text))
        })
    }

    /// Makes sure that the text of a document is there.
    fn load(&mut self, mapping: &Mapping, doc: usize, payload: &str) -> Result<(), NoData> {
        let base = mapping.docs[doc].base;
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

    /// Whether a regular expression matches.
    fn search(
        &mut self,
        mapping: &Mapping,
        pattern: usize,
        regex: &JavaRegex,
        payload: &str,
    ) -> RegexOutcome {
        let state = &mut self.regexes[pattern];
        if state.generation == self.generation {
            return state.outcome;
        }
        state.generation = self.generation;
        let (slots, budget) = (&mut state.slots, mapping.options().regex_step_budget);
        let kept = slots.kept();
        let found = match mapping.patterns[pattern].doc {
            0 => {
                let set = &mapping.regexes;
                set.find(pattern, regex, payload, &mut self.set, slots, budget)
            }
            doc => regex.find(self.docs[doc].text.get(payload), slots, budget),
        };
        state.outcome = match found {
            Ok(true) => RegexOutcome::Match,
            Ok(false) => RegexOutcome::NoMatch,
            Err(_) => {
                self.budget_exceeded += 1;
                RegexOutcome::BudgetExceeded
            }
        };
        let outcome = state.outcome;
        self.regex_memory = self.regex_memory + state.slots.kept() - kept;
        if self.regex_memory > MAX_REGEX_MEMORY {
            for state in &mut self.regexes {
                state.slots.release();
            }
            self.regex_memory = 0;
        }
        outcome
    }

    /// The value of a pattern as a piece of the payload, where it is one and little has to be done to find it. Nothing
    /// inside: there is no value.
    #[inline]
    pub(super) fn piece(
        &mut self,
        mapping: &Mapping,
        pattern: usize,
        capture: &Capture,
        payload: &str,
    ) -> Option<Option<Span>> {
        let compiled = &mapping.patterns[pattern];
        match (&compiled.kind, capture) {
            (PatternKind::Regex(regex), Capture::Group(group)) if compiled.doc == 0 => {
                let is_match = self.search(mapping, pattern, regex, payload) == RegexOutcome::Match;
                let range = is_match.then(|| self.regexes[pattern].slots.get(*group));
                Some(
                    range
                        .flatten()
                        .map(|range| Span::new(range.start, range.end)),
                )
            }
            (PatternKind::Pairs(parts, index), _) => {
                let [Piece::Path(slot)] = parts.as_slice() else {
                    return None;
                };
                let doc = &self.docs[compiled.doc];
                if doc.generation != self.generation {
                    return None;
                }
                doc.pair_piece(*index, *slot)
            }
            _ => None,
        }
    }

    fn regex<'e>(
        &mut self,
        mapping: &Mapping,
        pattern: usize,
        regex: &JavaRegex,
        capture: &'e Capture,
        payload: &'e str,
    ) -> Result<Value<'e>, NoData> {
        match self.search(mapping, pattern, regex, payload) {
            RegexOutcome::Match => {}
            RegexOutcome::BudgetExceeded => return Err(NoData::BudgetExceeded),
            _ => return Err(NoData::NoMatch),
        }
        let options = mapping.options();
        let text = &self.docs[mapping.patterns[pattern].doc].text;
        let state = &self.regexes[pattern];
        let group = |group: usize| {
            let range = state.slots.get(group)?;
            Some(text.lift(Span::new(range.start, range.end), payload))
        };
        match capture {
            Capture::Group(index) => group(*index).ok_or(NoData::GroupAbsent(*index)),
            Capture::Template(parts) => {
                if let [TemplatePart::Literal(text)] = parts.as_slice() {
                    return Ok(Value {
                        text: Cow::Borrowed(text),
                        span: group(0).and_then(|value| value.span),
                    });
                }
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
        mapping.regexes.begin(payload, &mut self.set);
    }

    /// The regular expressions over the payload that may match, of those that may be ruled out.
    pub(super) fn awake(&self) -> &[usize] {
        self.set.awake()
    }

    /// What the scan of the payload's JSON has found, if that is an object and whole.
    pub(super) fn object(&self, payload: &str) -> Option<&json::Found> {
        let doc = &self.docs[0];
        let span = doc.json?.ok()?;
        payload[span.range()].starts_with('{').then_some(&doc.found)
    }

    /// What the scan of the payload's JSON has found.
    #[inline]
    pub(super) fn found(&self) -> &json::Found {
        &self.docs[0].found
    }

    /// Whether the JSON of the payload has a value in a slot.
    #[inline]
    pub(super) fn has_json(&self, slot: json::SlotIx) -> bool {
        self.docs[0].found.get(slot).is_some()
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
        if format.len() > MAX_TIME_FORMAT {
            return None;
        }
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
