//! What an event becomes once its properties are known: its QID, addresses from the syslog header, its identity.

use super::Normalizer;
use crate::categories::{self, Category};
use crate::event::{Event, Identity, Origin, Property, Status, StatusReason};
use crate::field::{self, Field, Typed};
use crate::lsx::{Modifiers, SendIdentity};
use crate::mapping::{Group, Mapping, Target};
use crate::options::{CategoryPrecedence, EventMatchCapture, UseDsmResults};
use crate::syslog;
use std::borrow::Cow;
use std::sync::LazyLock;

impl<'m> Normalizer<'m> {
    /// Applies the modifiers of the group and looks up the QID.
    pub(super) fn look_up<'e>(&mut self, event: &mut Event<'e>, group: &'m Group)
    where
        'm: 'e,
    {
        let mapping = self.mapping;
        let options = mapping.options();
        let Some(name) = event
            .field(Field::EventName)
            .map(|property| property.text.clone())
            // With `empty-capture = "empty-value"` the name may be one that no format can carry.
            .filter(|name| !name.is_empty())
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

/// The two categories that events without a QID are filed under; a test proves that they are in the table.
pub(super) static STORED: LazyLock<&Category> = LazyLock::new(|| category(categories::STORED));
static UNKNOWN: LazyLock<&Category> = LazyLock::new(|| category(categories::UNKNOWN));

fn category(id: u32) -> &'static Category {
    categories::by_id(id).unwrap_or(&categories::all()[0])
}

/// An address that no matcher found, neither as IPv4 nor as IPv6, comes from the syslog header, if its host is one.
pub(super) fn add_header_addresses(event: &mut Event<'_>) {
    let sides = [
        (Field::SourceIp, Field::SourceIpv6),
        (Field::DestinationIp, Field::DestinationIpv6),
    ];
    let has = event.fields();
    let is_open = |&(v4, v6): &(Field, Field)| !has.contains(v4) && !has.contains(v6);
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
pub(super) fn add_identity(event: &mut Event<'_>, use_dsm_results: UseDsmResults) {
    let wanted = match event.send_identity {
        SendIdentity::OverrideAndNeverSend => false,
        SendIdentity::SendIfAbsent | SendIdentity::OverrideAndAlwaysSend => true,
        SendIdentity::UseDSMResults => use_dsm_results == UseDsmResults::IfEnoughData,
    };
    if !wanted || event.status == Status::Stored {
        return;
    }
    let has = event.fields();
    // The address of a relay in the syslog header identifies nobody.
    let parsed = |field: &Field| {
        has.contains(*field) && {
            let origin = event.field(*field).map(|property| property.origin);
            matches!(origin, Some(Origin::Matcher { .. }))
        }
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
    .any(|field| has.contains(field));
    if let Some(address) = address
        && identified
    {
        event.identity = Some(Identity { address });
    }
}
