//! A text that patterns run over, and what is known about it so far.

use super::trace::NoData;
use crate::extract::{Span, cef, delimited, json, xml};
use crate::lsx::Hits;
use crate::mapping::{JsonValue, Pairs};
use crate::options::{AUTO, JsonNull, Options};
use std::borrow::Cow;
use std::collections::HashSet;

/// How many joined texts are compared one by one.
const FEW_TEXTS: usize = 16;

/// A value and the bytes of the payload that it was read from.
#[derive(Debug)]
pub(super) struct Value<'e> {
    pub(super) text: Cow<'e, str>,
    pub(super) span: Option<Span>,
}

/// The memory for more pairs is not kept: only a hostile payload has so many.
const MANY_PAIRS: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct DocState {
    /// The payload that the rest is about.
    pub(super) generation: u64,
    pub(super) text: DocText,
    pub(super) json: Option<Result<Span, json::JsonError>>,
    /// The text holds none of the names that the key paths over it begin with.
    pub(super) barren: Option<bool>,
    pub(super) found: json::Found,
    pub(super) leef: Option<bool>,
    pub(super) leef_header: Vec<(&'static str, Span)>,
    pub(super) leef_attributes: Vec<(Span, Span)>,
    pub(super) dev_time_format: Option<String>,
    pub(super) cef: Option<bool>,
    pub(super) cef_message: cef::Cef,
    pub(super) xml: Option<Option<xml::Document>>,
    pub(super) pairs: Vec<PairState>,
}

/// The values of name-value pairs.
#[derive(Debug, Default)]
pub(super) struct PairState {
    is_read: bool,
    /// By slot.
    values: Vec<Span>,
    /// All pairs; kept for its memory.
    all: Vec<(Span, Span)>,
}

#[derive(Debug, Default)]
pub(super) enum DocText {
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
    pub(super) fn get<'t>(&'t self, payload: &'t str) -> &'t str {
        match self {
            Self::Unread | Self::Absent => "",
            Self::Slice(span) => span.of(payload),
            Self::Owned(text, _) => text,
        }
    }

    /// A piece of this text as a value.
    pub(super) fn lift<'e>(&self, piece: Span, payload: &'e str) -> Value<'e> {
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
    pub(super) fn begin(&mut self, generation: u64) {
        self.generation = generation;
        self.text = DocText::Unread;
        self.json = None;
        self.barren = None;
        self.leef = None;
        self.cef = None;
        self.xml = None;
        for pairs in &mut self.pairs {
            pairs.is_read = false;
        }
    }

    pub(super) fn json_value<'e>(
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
    pub(super) fn json_text<'e>(
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

    pub(super) fn json_joined<'e>(
        &self,
        value: &JsonValue,
        options: &Options,
        payload: &'e str,
    ) -> Result<Value<'e>, NoData> {
        let mut texts: Vec<Value<'e>> = Vec::new();
        // Few texts are compared one by one; a hostile payload may have a hundred thousand.
        let mut seen: HashSet<Cow<'e, str>> = HashSet::new();
        for hit in self.found.all(value.slot) {
            let Ok(hit) = self.json_text(hit, options, payload) else {
                continue;
            };
            let known = if texts.len() < FEW_TEXTS {
                texts.iter().any(|known| known.text == hit.text)
            } else {
                if seen.is_empty() {
                    seen.extend(texts.iter().map(|known| known.text.clone()));
                }
                !seen.insert(hit.text.clone())
            };
            if !known && !hit.text.is_empty() {
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

    pub(super) fn read_leef(&mut self, payload: &str) -> bool {
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

    pub(super) fn leef_value(&self, key: &str, payload: &str) -> Option<Span> {
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

    pub(super) fn read_cef(&mut self, payload: &str) -> bool {
        let text = self.text.get(payload);
        *self
            .cef
            .get_or_insert_with(|| cef::Cef::read(text, &mut self.cef_message))
    }

    pub(super) fn cef_value<'e>(&self, key: &str, payload: &'e str) -> Result<Value<'e>, NoData> {
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

    pub(super) fn read_pairs(&mut self, index: usize, plan: &[Pairs], payload: &str) {
        if self.pairs.len() != plan.len() {
            self.pairs.resize_with(plan.len(), PairState::default);
        }
        let state = &mut self.pairs[index];
        if state.is_read {
            return;
        }
        let Pairs { delimiters, slots } = &plan[index];
        let text = self.text.get(payload);
        let (pair, name_value) = delimiters;
        let pair = match pair.as_str() {
            AUTO if tabs_part_pairs(text, name_value) => "\t",
            AUTO => ",",
            stated => stated,
        };
        delimited::pairs(text, pair, name_value, &mut state.all);
        state.values.clear();
        state.values.resize(slots.len(), Span::NONE);
        for (name, value) in &state.all {
            // Of equal names the first counts.
            if let Some(&slot) = slots.get(name.of(text))
                && !state.values[slot].is_some()
            {
                state.values[slot] = *value;
            }
        }
        state.is_read = true;
        if state.all.len() > MANY_PAIRS {
            state.all = Vec::new();
        }
    }

    /// The value of a pair as a piece of the payload, if it is one and the pairs have been read.
    #[inline]
    pub(super) fn pair_piece(&self, index: usize, slot: usize) -> Option<Option<Span>> {
        let base = match self.text {
            DocText::Slice(base) => base,
            DocText::Absent => return Some(None),
            _ => return None,
        };
        let pairs = self.pairs.get(index).filter(|pairs| pairs.is_read)?;
        let piece = pairs.values[slot];
        Some(piece.is_some().then(|| Span {
            start: base.start + piece.start,
            end: base.start + piece.end,
        }))
    }

    pub(super) fn pair_value<'e>(
        &self,
        index: usize,
        slot: usize,
        payload: &'e str,
    ) -> Result<Value<'e>, NoData> {
        let value = self.pairs[index].values[slot];
        if !value.is_some() {
            return Err(NoData::Absent);
        }
        Ok(self.text.lift(value, payload))
    }
}
