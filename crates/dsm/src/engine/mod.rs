//! Payload in, event out.
//!
//! The order of things, as QRadar has it: the first match group whose EventName yields a value supplies the fields; per
//! field the matchers are tried in ascending order until one yields data; the modifiers for the event name apply; the
//! event ID and category are looked up in the QID map; missing addresses come from the syslog header; the identity is
//! decided. Whatever IBM leaves open follows [`crate::options`].

mod doc;
mod finish;
mod names;
mod trace;
mod values;

pub use trace::{Attempt, Invalid, NoData, Trace};

use crate::device_time::{TimeContext, recognise};
use crate::event::{Event, Origin, Payload, Property, Status, StatusReason};
use crate::extract::Span;
use crate::extract::json::{self, JsonError, Scalar};
use crate::field::{self, Kind, Typed};
use crate::lsx::SendIdentity;
use crate::mapping::{BranchIx, Candidates, Direct, Known, Mapping, Matcher, Target, Tries};
use crate::options::{
    AddressFallback, EmptyCapture, GroupSelection, InvalidValue, JsonNull, NoEventName,
    UnknownProtocol, ValueTrimming,
};
use chrono::{DateTime, Utc};
use finish::{STORED, add_header_addresses, add_identity};
use names::Names;
use std::borrow::Cow;
use values::Values;

/// Turns payloads into events. Holds memory that is reused from payload to payload; one for each thread.
#[derive(Debug)]
pub struct Normalizer<'m> {
    mapping: &'m Mapping,
    values: Values,
    names: Names,
    /// What the last payloads had values for: of the EventNames of all groups first, then of the properties of each group.
    known: Vec<Known>,
    attempts: Option<Vec<Attempt>>,
    /// The options leave a scalar as it is; an empty string, and null, is no data.
    takes_scalars: bool,
    /// How many properties the largest event so far had: the next one will hardly have more.
    property_count: usize,
    /// The memory of an event that is done with.
    spare: Vec<Property<'static>>,
}

impl<'m> Normalizer<'m> {
    /// A normalizer for a mapping.
    pub fn new(mapping: &'m Mapping) -> Self {
        let options = mapping.options();
        Self {
            mapping,
            takes_scalars: options.value_trimming != ValueTrimming::All
                && options.empty_capture == EmptyCapture::NoData
                && options.json_null == JsonNull::NoData,
            values: Values::new(mapping),
            names: Names::default(),
            known: Vec::new(),
            attempts: None,
            property_count: 16,
            spare: Vec::new(),
        }
    }

    /// Normalizes a payload that was received at a point in time. Never fails: what cannot be mapped is an Unknown or a
    /// Stored event.
    pub fn normalize<'e>(&mut self, payload: &'e Payload<'_>, received: DateTime<Utc>) -> Event<'e>
    where
        'm: 'e,
    {
        self.values.begin(self.mapping, payload.text());
        self.run(payload.text(), received)
    }

    /// The same, if the autodetection rules of the mapping claim the payload. JSON is read once for both.
    pub fn normalize_claimed<'e>(
        &mut self,
        payload: &'e Payload<'_>,
        received: DateTime<Utc>,
    ) -> Option<Event<'e>>
    where
        'm: 'e,
    {
        let (mapping, text) = (self.mapping, payload.text());
        let rules = &mapping.recogniser;
        if !rules.is_shared() && !mapping.recognises(text) {
            return None;
        }
        self.values.begin(mapping, text);
        if rules.is_shared() {
            let object = self.values.object(text);
            let known = object.and_then(|found| rules.claims(found, text, mapping.options()));
            if !known.unwrap_or_else(|| mapping.recognises(text)) {
                return None;
            }
        }
        Some(self.run(text, received))
    }

    /// The event, with an account of every matcher that was tried.
    pub fn explain<'e>(
        &mut self,
        payload: &'e Payload<'_>,
        received: DateTime<Utc>,
    ) -> (Event<'e>, Trace)
    where
        'm: 'e,
    {
        self.attempts = Some(Vec::new());
        self.values.traced = true;
        self.values.begin(self.mapping, payload.text());
        let event = self.run(payload.text(), received);
        let attempts = self.attempts.take().unwrap_or_default();
        self.values.traced = false;
        (event, Trace { attempts })
    }

    /// Takes back the memory of an event that is done with, for the next one.
    pub fn recycle(&mut self, event: Event<'_>) {
        let mut properties = event.properties;
        properties.clear();
        // Nothing is left in it that could have borrowed anything; collecting keeps the memory.
        self.spare = properties.into_iter().map_while(|_| None).collect();
    }

    /// What was wrong with the JSON of the last payload, if it has JSON that was looked at and is broken.
    pub fn json_fault(&self) -> Option<JsonError> {
        self.values.json_fault()
    }

    /// Makes the event of the payload that was begun with.
    fn run<'e>(&mut self, payload: &'e str, received: DateTime<Utc>) -> Event<'e>
    where
        'm: 'e,
    {
        let mapping = self.mapping;
        let options = mapping.options();
        let time = TimeContext {
            zone: options.time_zone,
            missing_year: options.missing_year,
            hour12: options.hour_without_marker,
            blanks: options.date_blanks,
            ..TimeContext::new(received)
        };
        let mut properties: Vec<Property<'e>> = std::mem::take(&mut self.spare);
        properties.reserve(self.property_count);
        let chosen = self.choose(payload, &time, &mut properties);
        let source = match (chosen, options.no_event_name) {
            (Some(index), _) => Some(index),
            (None, NoEventName::FirstGroupFields) if !mapping.groups.is_empty() => Some(0),
            (None, _) => None,
        };
        if let Some(index) = source {
            self.fill(index, payload, &time, &mut properties);
        }
        let group = source.map(|index| &mapping.groups[index]);
        let mut event = Event {
            mapping,
            payload,
            status: Status::Stored,
            reason: StatusReason::NoEventId,
            event_id: None,
            event_category: Cow::Borrowed(""),
            qid: None,
            category: *STORED,
            severity: None,
            properties,
            group: group.map(|group| group.branch),
            event_match: None,
            send_identity: SendIdentity::UseDSMResults,
            identity: None,
            budget_exceeded: 0,
            event_count: 1,
            with_payload: false,
        };
        if chosen.is_some()
            && let Some(group) = group
        {
            self.look_up(&mut event, group);
        }
        if options.address_fallback == AddressFallback::SyslogHeader {
            add_header_addresses(&mut event);
        }
        add_identity(&mut event, options.use_dsm_results);
        event.budget_exceeded = self.values.budget_exceeded;
        self.property_count = self.property_count.max(event.properties.len() + 2);
        event
    }

    /// The first group whose EventName has a value, which is added.
    fn choose<'e>(
        &mut self,
        payload: &'e str,
        time: &TimeContext,
        properties: &mut Vec<Property<'e>>,
    ) -> Option<usize>
    where
        'm: 'e,
    {
        let groups = &self.mapping.groups;
        if self.attempts.is_some() {
            // An explanation names the matchers that were passed over too.
            return groups.iter().position(|group| {
                let names = &group.event_name;
                self.walk(names, Tries::all(names), payload, time, properties)
            });
        }
        let mut known = std::mem::take(&mut self.known);
        known.resize_with(groups.len() + 1, Known::default);
        let uses = &self.mapping.name_uses;
        let mut live = uses
            .live(
                self.values.found(),
                self.values.awake(),
                &mut known[0],
                |place| &groups[place].event_name,
            )
            .iter();
        let chosen = live.find(|live| {
            let names = &groups[live.place].event_name;
            self.first(names, live.mask, payload, time, properties)
        });
        let chosen = chosen.map(|live| live.place);
        self.known = known;
        chosen
    }

    /// Adds the value of the first matcher of a property that yields data; tells whether there is one. The mask has the
    /// matchers that can.
    #[inline(always)]
    fn first<'e>(
        &mut self,
        candidates: &'m Candidates,
        mut mask: u64,
        payload: &'e str,
        time: &TimeContext,
        out: &mut Vec<Property<'e>>,
    ) -> bool
    where
        'm: 'e,
    {
        if self.direct(candidates, &mut mask, payload, out) {
            return true;
        }
        if mask == 0 {
            return false;
        }
        let tries = Tries::live(candidates, mask);
        self.closely(candidates, tries, payload, time, out)
    }

    /// Adds the fields of a group, and on request what later groups know and it does not.
    fn fill<'e>(
        &mut self,
        index: usize,
        payload: &'e str,
        time: &TimeContext,
        properties: &mut Vec<Property<'e>>,
    ) where
        'm: 'e,
    {
        let groups = &self.mapping.groups;
        let group = &groups[index];
        if self.attempts.is_some() {
            for candidates in &group.targets {
                self.walk(
                    candidates,
                    Tries::all(candidates),
                    payload,
                    time,
                    properties,
                );
            }
        } else {
            let mut known = std::mem::take(&mut self.known);
            let (found, awake) = (self.values.found(), self.values.awake());
            let candidates = |place: usize| &group.targets[place];
            let lives = group
                .uses
                .live(found, awake, &mut known[index + 1], candidates);
            for live in lives {
                if let Some((direct, target)) = live.text
                    && self.takes_scalars
                    && let Some(hit) = self.values.found().get(direct.slot)
                    && let Scalar::Text(span) = hit.scalar(payload)
                {
                    properties.push(Property::text(target, direct.branch, span, payload));
                    continue;
                }
                let candidates = candidates(live.place);
                self.first(candidates, live.mask, payload, time, properties);
            }
            self.known = known;
        }
        // EventName, which came first, is the first of all targets, and the targets of a group are in order.
        debug_assert!(properties.is_sorted_by_key(|property| property.target));
        if self.mapping.options().group_selection != GroupSelection::FillFromLaterGroups {
            return;
        }
        let mut found = Vec::new();
        for group in &groups[index + 1..] {
            for candidates in &group.targets {
                let place =
                    properties.binary_search_by_key(&candidates.target, |property| property.target);
                if let Err(place) = place
                    && self.walk(
                        candidates,
                        Tries::all(candidates),
                        payload,
                        time,
                        &mut found,
                    )
                {
                    properties.splice(place..place, found.drain(..));
                }
            }
        }
    }

    /// By far the most common case, which needs little of what [`walk`](Self::walk) does: the value is just a JSON scalar of
    /// the payload. Takes from the mask what yields nothing, up to a matcher that needs a closer look.
    #[inline(always)]
    fn direct<'e>(
        &self,
        candidates: &'m Candidates,
        mask: &mut u64,
        payload: &'e str,
        out: &mut Vec<Property<'e>>,
    ) -> bool {
        let target = candidates.target;
        while *mask != 0 && self.takes_scalars {
            let index = mask.trailing_zeros() as usize;
            let Some(&Some(Direct { slot, branch })) = candidates.direct.get(index) else {
                return false;
            };
            let Some(hit) = self.values.found().get(slot) else {
                return false;
            };
            let mut add = |text, span, typed| {
                let origin = Origin::Matcher {
                    branch,
                    span: Some(span),
                };
                out.push(Property {
                    target,
                    text,
                    typed,
                    origin,
                });
                true
            };
            match (hit.scalar(payload), candidates.kind) {
                (Scalar::Nothing, _) => *mask &= *mask - 1,
                (Scalar::Text(span), Kind::Text) => {
                    return add(Cow::Borrowed(span.of(payload)), span, Typed::Text);
                }
                (Scalar::Escaped(span), Kind::Text) => {
                    return add(json::unescape(span.of(payload)), span, Typed::Text);
                }
                (Scalar::Text(span), kind) => {
                    let text = span.of(payload);
                    let typed = field::typed_scalar(kind, text);
                    return typed.is_some_and(|typed| add(Cow::Borrowed(text), span, typed));
                }
                _ => return false,
            }
        }
        false
    }

    /// What [`first`](Self::first) does where the value is no JSON scalar. Apart, so that it costs the others nothing.
    #[inline(never)]
    fn closely<'e>(
        &mut self,
        candidates: &'m Candidates,
        mut tries: Tries,
        payload: &'e str,
        time: &TimeContext,
        out: &mut Vec<Property<'e>>,
    ) -> bool
    where
        'm: 'e,
    {
        let Some((branch, span, typed)) = self.piece(candidates, &mut tries, payload) else {
            return self.walk(candidates, tries, payload, time, out);
        };
        out.push(Property {
            target: candidates.target,
            text: Cow::Borrowed(span.of(payload)),
            typed,
            origin: Origin::Matcher {
                branch,
                span: Some(span),
            },
        });
        true
    }

    /// The same for what a regular expression or a name leads to in the payload.
    #[inline]
    fn piece(
        &mut self,
        candidates: &'m Candidates,
        tries: &mut Tries,
        payload: &str,
    ) -> Option<(BranchIx, Span, Typed)> {
        if !self.takes_scalars {
            return None;
        }
        loop {
            let mut rest = *tries;
            let matcher = &candidates.matchers[rest.next()?];
            let (pattern, capture) = (matcher.pattern, &matcher.capture);
            let piece = self.values.piece(self.mapping, pattern, capture, payload)?;
            if let Some(span) = piece.filter(|span| span.start < span.end) {
                let typed = match candidates.kind {
                    Kind::Text => Typed::Text,
                    kind => field::typed_scalar(kind, span.of(payload))?,
                };
                return Some((matcher.branch, span, typed));
            }
            *tries = rest;
        }
    }

    /// Adds the value of the first of some matchers that yields data; tells whether there is one.
    fn walk<'e>(
        &mut self,
        candidates: &'m Candidates,
        tries: Tries,
        payload: &'e str,
        time: &TimeContext,
        out: &mut Vec<Property<'e>>,
    ) -> bool
    where
        'm: 'e,
    {
        let options = self.mapping.options();
        let target = candidates.target;
        let traced = self.attempts.is_some();
        let mut reserve = None;
        for index in tries {
            let matcher = &candidates.matchers[index];
            let value = match matcher.requires {
                Some(slot) if !traced && !self.values.has_json(slot) => continue,
                Some(slot) if !traced && matcher.direct => self.values.json(slot, options, payload),
                _ => self
                    .values
                    .get(self.mapping, matcher.pattern, &matcher.capture, payload),
            };
            let no_data = match value {
                Ok(mut value) => {
                    if options.value_trimming == ValueTrimming::All {
                        trim(&mut value.text);
                    }
                    match self.typed(candidates, matcher, &value.text, time) {
                        Ok(typed) => {
                            self.note(target, matcher, None);
                            let property = Property {
                                target,
                                text: value.text,
                                typed,
                                origin: Origin::Matcher {
                                    branch: matcher.branch,
                                    span: value.span,
                                },
                            };
                            if typed == UNKNOWN_PROTOCOL {
                                reserve.get_or_insert(property);
                                continue;
                            }
                            out.push(property);
                            return true;
                        }
                        Err(no_data) => no_data,
                    }
                }
                Err(no_data) => no_data,
            };
            let invalid = matches!(no_data, NoData::Invalid(_));
            self.note(target, matcher, Some(no_data));
            if invalid && options.invalid_value == InvalidValue::Discard {
                return false;
            }
        }
        let found = reserve.is_some();
        out.extend(reserve);
        found
    }

    /// Notes an attempt, if somebody wants to know.
    #[inline]
    fn note(&mut self, target: Target, matcher: &Matcher, failed: Option<NoData>) {
        if let Some(attempts) = &mut self.attempts {
            attempts.push(Attempt {
                target,
                branch: matcher.branch,
                failed,
            });
        }
    }

    /// What a text is as a value of the property.
    fn typed(
        &mut self,
        candidates: &Candidates,
        matcher: &Matcher,
        text: &str,
        time: &TimeContext,
    ) -> Result<Typed, NoData> {
        let options = self.mapping.options();
        let &Candidates { target, kind, .. } = candidates;
        if text.is_empty() && (options.empty_capture == EmptyCapture::NoData || kind != Kind::Text)
        {
            return Err(NoData::Empty);
        }
        let typed = match kind {
            Kind::Text => return Ok(Typed::Text),
            _ if options.value_trimming == ValueTrimming::None
                && text.trim().len() != text.len() =>
            {
                return Err(self.invalid(kind, text, || "white space around the value".to_owned()));
            }
            Kind::Ip => field::parse_ip(text).map(Typed::Ip),
            Kind::Ipv6 => field::parse_ipv6(text).map(|ip| Typed::Ip(ip.into())),
            Kind::Ipv4 => field::parse_ipv4(text).map(|ip| Typed::Ip(ip.into())),
            Kind::Port => field::parse_port(text).map(Typed::Port),
            Kind::Mac => field::parse_mac(text).map(Typed::Mac),
            Kind::Number => field::is_number(text).then_some(Typed::Number),
            Kind::Protocol => match field::parse_protocol(text) {
                Some(number) => Some(Typed::Protocol(number)),
                None if options.unknown_protocol == UnknownProtocol::Reserved => {
                    Some(UNKNOWN_PROTOCOL)
                }
                None => None,
            },
            Kind::Time => match self.time(target, matcher, text, time) {
                Ok(time) => Some(Typed::Time(time)),
                Err(detail) => return Err(self.invalid(kind, text, || detail)),
            },
        };
        typed.ok_or_else(|| self.invalid(kind, text, String::new))
    }

    /// The account of a value that is not of its kind. The words are for the trace; without one they are not worth their
    /// time.
    #[cold]
    fn invalid(&self, kind: Kind, text: &str, detail: impl FnOnce() -> String) -> NoData {
        NoData::Invalid(self.attempts.is_some().then(|| {
            Box::new(Invalid {
                kind,
                text: text.chars().take(60).collect(),
                detail: Some(detail()).filter(|detail| !detail.is_empty()),
            })
        }))
    }

    fn time(
        &mut self,
        target: Target,
        matcher: &Matcher,
        text: &str,
        context: &TimeContext,
    ) -> Result<DateTime<Utc>, String> {
        let declared = match target {
            Target::Custom(index) => self.mapping.custom[index].format.as_ref(),
            Target::Field(_) => None,
        };
        let result = if let Some(format) = matcher.format.as_ref().or(declared) {
            format.parse(text.trim(), context)
        } else if let Some(format) = self.values.dev_time_format(self.mapping, matcher.pattern) {
            format.parse(text.trim(), context)
        } else {
            recognise(text.trim(), context)
        };
        result.map_err(|error| error.message)
    }
}

fn trim(text: &mut Cow<'_, str>) {
    if text.trim().len() != text.len() {
        *text = Cow::Owned(text.trim().to_owned());
    }
}

/// Stands for a protocol that is none; used if no later matcher does better.
const UNKNOWN_PROTOCOL: Typed = Typed::Protocol(255);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::SourceFile;
    use std::sync::Arc;

    const EXTENSION: &str = r#"<device-extension xmlns="event_parsing/device_extension">
  <pattern id="id" type="JsonKeypath">/"id"</pattern>
  <pattern id="user" type="JsonKeypath">/"user"</pattern>
  <pattern id="other" type="JsonKeypath">/"other"</pattern>
  <match-group order="1">
    <json-matcher field="EventName" pattern-id="id" order="1"/>
    <json-matcher field="UserName" pattern-id="user" order="1"/>
    <json-matcher field="UserName" pattern-id="other" order="2"/>
    <json-matcher field="HostName" pattern-id="other" order="1"/>
  </match-group>
</device-extension>"#;

    fn mapping() -> Mapping {
        let file = Arc::new(SourceFile::new("extension.xml", EXTENSION));
        let (mapping, findings) = Mapping::from_extension("test", &file);
        mapping.unwrap_or_else(|| panic!("{findings:?}"))
    }

    /// The values of an event in the order of their properties.
    fn texts(event: &Event<'_>) -> Vec<String> {
        let properties = event.properties.iter();
        properties
            .map(|property| property.text.to_string())
            .collect()
    }

    #[test]
    fn what_other_payloads_had_has_no_part_in_an_event() {
        let mapping = mapping();
        let payloads = [
            (r#"{"id":"a","user":"u","other":"h"}"#, &["a", "u", "h"][..]),
            (r#"{"id":"a","user":"","other":"h"}"#, &["a", "h", "h"]),
            (r#"{"id":"a","user":"u\\v","other":null}"#, &["a", r"u\v"]),
            (r#"{"id":"a","other":"h"}"#, &["a", "h", "h"]),
            (r#"{"other":"h","id":"b"}"#, &["b", "h", "h"]),
            (r#"{"id":"a","user":"u"}"#, &["a", "u"]),
            (r#"{"id":"a","user":"u","user":"v"}"#, &["a", "v"]),
            (r#"{"user":"u"}"#, &["u"]),
        ];
        let mut normalizer = Normalizer::new(&mapping);
        for round in 0..3 {
            for step in [1, 3, 5] {
                for at in 0..payloads.len() {
                    let (text, expected) = payloads[(at * step) % payloads.len()];
                    let payload = Payload::from(text);
                    let event = normalizer.normalize(&payload, DateTime::UNIX_EPOCH);
                    assert_eq!(texts(&event), expected, "{round} {text}");
                    normalizer.recycle(event);
                }
            }
        }
    }

    #[test]
    fn patterns_that_need_much_memory_give_it_back() {
        let (mut patterns, mut matchers) = (String::new(), String::new());
        for at in 1..=150 {
            // No part can tell which way to go, so that all engines are tried.
            let shape = match at % 3 {
                0 => format!("(?:a|b|ab|ba){{1,40}}c{{{at}}}"),
                1 => format!(r"(?>a?)(?:a|ab?|b)+c{{{at}}}"),
                _ => format!(r"(?=(?:a|ab?|b)*c{{{at}}})."),
            };
            patterns += &format!("<pattern id=\"p{at}\"><![CDATA[{shape}]]></pattern>\n");
            matchers += &format!(
                "<matcher field=\"EventName\" pattern-id=\"p{at}\" order=\"{at}\" capture-group=\"0\"/>\n"
            );
        }
        let text = format!(
            "<device-extension xmlns=\"event_parsing/device_extension\">{patterns}<match-group order=\"1\">{matchers}</match-group></device-extension>"
        );
        let file = Arc::new(SourceFile::new("extension.xml", text));
        let (mapping, findings) = Mapping::from_extension("test", &file);
        let mapping = mapping.unwrap_or_else(|| panic!("{findings:?}"));
        let mut normalizer = Normalizer::new(&mapping);
        let mut most = 0;
        for text in ["ab".repeat(4_000) + "c", "abbaab".repeat(700) + "cc"] {
            let payload = Payload::from(text.as_str());
            normalizer.normalize(&payload, DateTime::UNIX_EPOCH);
            let kept = normalizer.values.regex_memory();
            assert!(kept <= values::MAX_REGEX_MEMORY, "{kept}");
            most = most.max(kept);
        }
        assert!(most > 0);
    }

    #[test]
    fn the_memory_of_an_event_that_is_done_with_is_that_of_the_next() {
        let mapping = mapping();
        let mut normalizer = Normalizer::new(&mapping);
        let payload = Payload::from(r#"{"id":"a","user":"u"}"#);
        let event = normalizer.normalize(&payload, DateTime::UNIX_EPOCH);
        let memory = event.properties.as_ptr();
        normalizer.recycle(event);
        let next = normalizer.normalize(&payload, DateTime::UNIX_EPOCH);
        assert_eq!(next.properties.as_ptr(), memory);
        assert_eq!(texts(&next), ["a", "u"]);
    }
}
