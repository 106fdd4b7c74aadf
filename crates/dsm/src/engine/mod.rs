//! Payload in, event out.
//!
//! The order of things, as QRadar has it: the first match group whose EventName yields a value supplies the fields; per
//! field the matchers are tried in ascending order until one yields data; the modifiers for the event name apply; the
//! event ID and category are looked up in the QID map; missing addresses come from the syslog header; the identity is
//! decided. Whatever IBM leaves open follows [`crate::options`].

mod doc;
mod names;
mod trace;
mod values;

pub use trace::{Attempt, Invalid, NoData, Trace};

use crate::categories::{self, Category};
use crate::device_time::{TimeContext, recognise};
use crate::event::{Event, Identity, Origin, Payload, Property, Status, StatusReason};
use crate::extract::Span;
use crate::extract::json::JsonError;
use crate::field::{self, Field, Kind, Typed};
use crate::lsx::{Modifiers, SendIdentity};
use crate::mapping::{BranchIx, Candidates, Direct, Group, Mapping, Matcher, Target, Tries};
use crate::options::{
    AddressFallback, CategoryPrecedence, EmptyCapture, EventMatchCapture, GroupSelection,
    InvalidValue, JsonNull, NoEventName, UnknownProtocol, UseDsmResults, ValueTrimming,
};
use crate::syslog;
use chrono::{DateTime, Utc};
use names::Names;
use std::borrow::Cow;
use std::sync::LazyLock;
use values::Values;

/// Turns payloads into events. Holds memory that is reused from payload to payload; one for each thread.
#[derive(Debug)]
pub struct Normalizer<'m> {
    mapping: &'m Mapping,
    values: Values,
    names: Names,
    /// By property of the group at hand, the matchers that can yield a value.
    live: Vec<u64>,
    attempts: Option<Vec<Attempt>>,
    /// The options leave a scalar as it is; an empty string, and null, is no data.
    takes_scalars: bool,
    /// How many properties the largest event so far had: the next one will hardly have more.
    property_count: usize,
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
            live: Vec::new(),
            attempts: None,
            property_count: 16,
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
            ..TimeContext::new(received)
        };
        let mut properties: Vec<Property<'e>> = Vec::with_capacity(self.property_count);
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
        let mapping = self.mapping;
        let mut live = std::mem::take(&mut self.live);
        mapping
            .name_uses
            .live(self.values.found(), self.values.awake(), &mut live);
        let chosen = mapping.groups.iter().zip(&live).position(|(group, &mask)| {
            self.first(&group.event_name, mask, payload, time, properties)
        });
        self.live = live;
        chosen
    }

    /// Adds the value of the first matcher of a property that yields data; tells whether there is one. The mask has the
    /// matchers that can.
    #[inline]
    fn first<'e>(
        &mut self,
        candidates: &'m Candidates,
        mask: u64,
        payload: &'e str,
        time: &TimeContext,
        out: &mut Vec<Property<'e>>,
    ) -> bool
    where
        'm: 'e,
    {
        if self.attempts.is_some() {
            // An explanation names the matchers that were passed over too.
            return self.walk(candidates, Tries::all(candidates), payload, time, out);
        }
        if mask == 0 {
            return false;
        }
        let mut tries = Tries::live(candidates, mask);
        let Some((branch, span, typed)) = self.scalar(candidates, &mut tries, payload) else {
            return self.closely(candidates, tries, payload, time, out);
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
        let mut live = std::mem::take(&mut self.live);
        let (found, awake) = (self.values.found(), self.values.awake());
        group.uses.live(found, awake, &mut live);
        for (candidates, &mask) in group.targets.iter().zip(&live) {
            self.first(candidates, mask, payload, time, properties);
        }
        self.live = live;
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

    /// By far the most common case, which needs little of what [`walk`](Self::walk) does: the value is a JSON scalar as it
    /// stands in the payload. Takes from the tries what yields nothing, up to a matcher that needs a closer look.
    #[inline]
    fn scalar(
        &self,
        candidates: &'m Candidates,
        tries: &mut Tries,
        payload: &str,
    ) -> Option<(BranchIx, Span, Typed)> {
        if !self.takes_scalars {
            return None;
        }
        loop {
            let mut rest = *tries;
            let Direct { slot, branch } = candidates.direct[rest.next()?]?;
            let hit = self.values.found().get(slot)?;
            if let Some(span) = hit.scalar(payload)? {
                let typed = match candidates.kind {
                    Kind::Text => Typed::Text,
                    kind => field::typed_scalar(kind, span.of(payload))?,
                };
                return Some((branch, span, typed));
            }
            *tries = rest;
        }
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

    /// Applies the modifiers of the group and looks up the QID.
    fn look_up<'e>(&mut self, event: &mut Event<'e>, group: &'m Group)
    where
        'm: 'e,
    {
        let mapping = self.mapping;
        let options = mapping.options();
        let Some(name) = event
            .field(Field::EventName)
            .map(|property| property.text.clone())
        else {
            return;
        };
        let mut event_id = name.clone();
        let mut modifiers: &'m Modifiers = &Mapping::NO_MODIFIERS;
        if let Some(single) = group.singles.iter().find(|single| single.on == *name) {
            modifiers = &single.modifiers;
            event.event_match = Some(single.branch);
        } else {
            let found = self.names.find(mapping, group, &name);
            self.values.budget_exceeded += found.budget_exceeded;
            if let Some(index) = found.multiple {
                let multiple = &group.multiples[index];
                modifiers = &multiple.modifiers;
                event.event_match = Some(multiple.branch);
                if options.event_match_capture == EventMatchCapture::ReplaceEventName
                    && let Some(range) = found.captured
                    && !range.is_empty()
                {
                    event_id = Cow::Owned(name[range].to_owned());
                }
            }
        }
        let parsed = event
            .field(Field::EventCategory)
            .map(|property| property.text.clone());
        let modified = modifiers.category.as_deref().map(Cow::Borrowed);
        event.event_category = match options.category_precedence {
            CategoryPrecedence::EventMatch => modified.or(parsed),
            CategoryPrecedence::Matcher => parsed.or(modified),
        }
        .unwrap_or_default();
        event.send_identity = modifiers.send_identity;
        event.status = Status::Unknown;
        event.category = *UNKNOWN;
        let other_type = group
            .type_override
            .filter(|id| *id != mapping.manifest.log_source_type_id);
        let found = if mapping.qids.records.is_empty() {
            event.reason = StatusReason::NoQidMap;
            None
        } else if let Some(id) = other_type {
            event.reason = StatusReason::OtherType(id);
            None
        } else {
            event.reason = StatusReason::NotMapped;
            mapping
                .qids
                .look_up(&event_id, &event.event_category, options.qid_fallback)
        };
        if let Some((index, via)) = found {
            let record = &mapping.qids.records[mapping.qids.mappings[index].record];
            event.status = Status::Mapped;
            event.reason = StatusReason::Mapped(via);
            event.category = record.category;
            event.severity = Some(record.severity);
            event.qid = Some((record, index));
        }
        event.severity = modifiers.severity.or(event.severity);
        event.event_id = Some(event_id);
    }
}

fn trim(text: &mut Cow<'_, str>) {
    if text.trim().len() != text.len() {
        *text = Cow::Owned(text.trim().to_owned());
    }
}

/// Stands for a protocol that is none; used if no later matcher does better.
const UNKNOWN_PROTOCOL: Typed = Typed::Protocol(255);

/// The two categories that events without a QID are filed under; a test proves that they are in the table.
static STORED: LazyLock<&Category> = LazyLock::new(|| category(categories::STORED));
static UNKNOWN: LazyLock<&Category> = LazyLock::new(|| category(categories::UNKNOWN));

fn category(id: u32) -> &'static Category {
    categories::by_id(id).unwrap_or(&categories::all()[0])
}

/// An address that no matcher found, neither as IPv4 nor as IPv6, comes from the syslog header, if its host is one.
fn add_header_addresses(event: &mut Event<'_>) {
    let sides = [
        (Field::SourceIp, Field::SourceIpv6),
        (Field::DestinationIp, Field::DestinationIpv6),
    ];
    let is_open =
        |&(v4, v6): &(Field, Field)| event.field(v4).is_none() && event.field(v6).is_none();
    let targets = sides.map(|side| is_open(&side).then_some(Target::Field(side.0)));
    if targets == [None, None] {
        return;
    }
    let Some(span) = syslog::host(event.payload) else {
        return;
    };
    let Some(ip) = field::parse_ip(span.of(event.payload)) else {
        return;
    };
    for target in targets.into_iter().flatten() {
        if let Err(place) = event.properties.binary_search_by_key(&target, |p| p.target) {
            event.properties.insert(
                place,
                Property {
                    target,
                    text: Cow::Borrowed(&event.payload[span.range()]),
                    typed: Typed::Ip(ip),
                    origin: Origin::SyslogHeader { span },
                },
            );
        }
    }
}

/// An identity needs an address and something that it identifies.
fn add_identity(event: &mut Event<'_>, use_dsm_results: UseDsmResults) {
    let wanted = match event.send_identity {
        SendIdentity::OverrideAndNeverSend => false,
        SendIdentity::SendIfAbsent | SendIdentity::OverrideAndAlwaysSend => true,
        SendIdentity::UseDSMResults => use_dsm_results == UseDsmResults::IfEnoughData,
    };
    if !wanted || event.status == Status::Stored {
        return;
    }
    // The address of a relay in the syslog header identifies nobody.
    let parsed = |field: &Field| {
        let origin = event.field(*field).map(|property| property.origin);
        matches!(origin, Some(Origin::Matcher { .. }))
    };
    let address = [
        Field::IdentityIp,
        Field::IdentityIpv6,
        Field::SourceIp,
        Field::SourceIpv6,
    ]
    .into_iter()
    .find(parsed);
    let identified = [
        Field::UserName,
        Field::HostName,
        Field::GroupName,
        Field::NetBIOSName,
        Field::IdentityMac,
        Field::ExtraIdentityData,
    ]
    .into_iter()
    .any(|field| event.field(field).is_some());
    if let Some(address) = address
        && identified
    {
        event.identity = Some(Identity { address });
    }
}
