//! The normalized event.

use crate::categories::Category;
use crate::extract::Span;
use crate::field::{Field, Typed};
use crate::lsx::SendIdentity;
use crate::mapping::{BranchIx, Mapping, Target};
use crate::qidmap::{QidRecord, Via};
use std::borrow::Cow;
use std::fmt;

/// A payload as text. Bytes that are not UTF-8 are replaced by U+FFFD, as Java does when it reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload<'p> {
    text: Cow<'p, str>,
    first_invalid: Option<usize>,
}

impl<'p> Payload<'p> {
    /// Decodes the bytes of a payload.
    pub fn decode(bytes: &'p [u8]) -> Self {
        match simdutf8::basic::from_utf8(bytes) {
            Ok(text) => Self {
                text: Cow::Borrowed(text),
                first_invalid: None,
            },
            Err(_) => Self {
                text: String::from_utf8_lossy(bytes),
                first_invalid: std::str::from_utf8(bytes)
                    .err()
                    .map(|error| error.valid_up_to()),
            },
        }
    }

    /// The text that patterns see and byte ranges refer to.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Offset of the first byte that is not UTF-8.
    pub fn first_invalid(&self) -> Option<usize> {
        self.first_invalid
    }
}

impl<'p> From<&'p str> for Payload<'p> {
    fn from(text: &'p str) -> Self {
        Self {
            text: Cow::Borrowed(text),
            first_invalid: None,
        }
    }
}

/// Whether an event has a QID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// Event ID and category lead to a QID.
    Mapped,
    /// There is an event ID, but no QID for it and its category.
    Unknown,
    /// No match group found an event ID.
    Stored,
}

impl Status {
    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mapped => "Mapped",
            Self::Unknown => "Unknown",
            Self::Stored => "Stored",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why an event has the status that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusReason {
    /// The pair, or the part of it that is named, is mapped.
    Mapped(Via),
    /// Neither the pair nor a part of it is mapped.
    NotMapped,
    /// There is no QID map, as with a bare extension.
    NoQidMap,
    /// The group overrides the log source type, and the map of that type is not here.
    OtherType(u32),
    /// No match group found an event ID.
    NoEventId,
}

impl fmt::Display for StatusReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mapped(Via::Pair) => f.write_str("event ID and category are mapped"),
            Self::Mapped(Via::EventId) => f.write_str("the event ID is mapped, with any category"),
            Self::Mapped(Via::Category) => f.write_str("the category is mapped, with any event ID"),
            Self::NotMapped => f.write_str("no event mapping for this event ID and category"),
            Self::NoQidMap => f.write_str("there is no QID map"),
            Self::OtherType(id) => {
                write!(
                    f,
                    "the QID map of log source type {id} (device-type-id-override) is not loaded"
                )
            }
            Self::NoEventId => f.write_str("no match group found an event ID"),
        }
    }
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A matcher, and the bytes of the payload that it read: for a constant those that its pattern matched, for a value
    /// that had to be decoded (JSON escapes, JSON inside JSON) the encoded ones.
    Matcher {
        /// The matcher's branch.
        branch: BranchIx,
        /// The bytes.
        span: Option<Span>,
    },
    /// The host field of the syslog header.
    SyslogHeader {
        /// The bytes.
        span: Span,
    },
}

impl Origin {
    /// The bytes of the payload.
    pub fn span(&self) -> Option<Span> {
        match self {
            Self::Matcher { span, .. } => *span,
            Self::SyslogHeader { span } => Some(*span),
        }
    }
}

/// A property that has a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Property<'e> {
    /// Which property.
    pub target: Target,
    /// The text as it was found.
    pub text: Cow<'e, str>,
    /// The typed side of it.
    pub typed: Typed,
    /// Where it came from.
    pub origin: Origin,
}

impl<'e> Property<'e> {
    /// A text that stands in the payload as it is.
    #[inline]
    pub(crate) fn text(target: Target, branch: BranchIx, span: Span, payload: &'e str) -> Self {
        Self {
            target,
            text: Cow::Borrowed(span.of(payload)),
            typed: Typed::Text,
            origin: Origin::Matcher {
                branch,
                span: Some(span),
            },
        }
    }
}

/// The identity that an event sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The field whose address identifies: `IdentityIp`, `IdentityIpv6`, `SourceIp` or `SourceIpv6`.
    pub address: Field,
}

/// A set of system properties.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields(u64);

/// There is a bit for each.
const _: () = assert!(Field::ALL.len() <= u64::BITS as usize);

impl Fields {
    pub(crate) fn contains(self, field: Field) -> bool {
        self.0 >> field as u32 & 1 == 1
    }
}

/// A normalized event.
#[derive(Debug, Clone)]
pub struct Event<'e> {
    pub(crate) mapping: &'e Mapping,
    /// The payload.
    pub payload: &'e str,
    /// Whether it has a QID.
    pub status: Status,
    /// Why.
    pub reason: StatusReason,
    /// The event ID that was looked up.
    pub event_id: Option<Cow<'e, str>>,
    /// The event category that was looked up; empty if there is none.
    pub event_category: Cow<'e, str>,
    /// The QID record and the event mapping that led to it, by index.
    pub qid: Option<(&'e QidRecord, usize)>,
    /// The low-level category: that of the QID, Unknown or Stored.
    pub category: &'static Category,
    /// Severity, where one is known.
    pub severity: Option<u8>,
    /// Properties that have a value, system properties first, each in the order of their declaration.
    pub properties: Vec<Property<'e>>,
    /// The match group that supplied the fields.
    pub group: Option<BranchIx>,
    /// The modifier that applied.
    pub event_match: Option<BranchIx>,
    /// What the modifier, or the default, says about identity.
    pub send_identity: SendIdentity,
    /// The identity that is sent.
    pub identity: Option<Identity>,
    /// How many patterns used up their step budget on this payload.
    pub budget_exceeded: u32,
    /// How many events this one stands for: 1, or more where whoever runs the engine has coalesced events.
    pub event_count: u64,
    /// Whether LEEF and CEF carry the payload. A stored event always does, because it has little else; for others whoever
    /// runs the engine decides.
    pub with_payload: bool,
}

impl<'e> Event<'e> {
    /// The mapping that made it.
    pub fn mapping(&self) -> &'e Mapping {
        self.mapping
    }

    /// A property.
    pub fn get(&self, target: Target) -> Option<&Property<'e>> {
        self.properties
            .binary_search_by_key(&target, |property| property.target)
            .ok()
            .map(|index| &self.properties[index])
    }

    /// A system property.
    pub fn field(&self, field: Field) -> Option<&Property<'e>> {
        self.get(Target::Field(field))
    }

    /// The system properties that have a value.
    pub(crate) fn fields(&self) -> Fields {
        let mut fields = Fields(0);
        for property in &self.properties {
            match property.target {
                Target::Field(field) => fields.0 |= 1 << field as u32,
                Target::Custom(_) => break,
            }
        }
        fields
    }

    /// The device time.
    pub fn device_time(&self) -> Option<chrono::DateTime<chrono::Utc>> {
        match self.field(Field::DeviceTime)?.typed {
            Typed::Time(time) => Some(time),
            _ => None,
        }
    }

    /// The name of the event: that of the QID record, or of the status.
    pub fn name(&self) -> &str {
        match (&self.qid, self.status) {
            (Some((record, _)), _) => &record.name,
            (None, Status::Stored) => "Stored",
            (None, _) => "Unknown",
        }
    }

    /// The branches of the mapping that the event went through.
    pub fn branches(&self) -> impl Iterator<Item = BranchIx> + '_ {
        let qid = self.qid.iter().flat_map(|(record, mapping)| {
            let records = &self.mapping.qids().records;
            let record = records.iter().position(|known| known.qid == record.qid);
            record
                .map(|index| self.mapping.qid_branch(index))
                .into_iter()
                .chain([self.mapping.mapping_branch(*mapping)])
        });
        let matchers = self.properties.iter().flat_map(|property| {
            let Origin::Matcher { branch, .. } = property.origin else {
                return Vec::new();
            };
            let mut through = self.mapping.filters_of(branch);
            through.push(branch);
            if let Target::Custom(index) = property.target {
                through.extend(self.mapping.property_branch(index));
            }
            through
        });
        self.group
            .into_iter()
            .chain(self.event_match)
            .chain(matchers)
            .chain(qid)
    }
}

/// The text of a value as outputs write it: addresses, MACs and protocols in one form, everything else as it was found.
pub fn canonical<'p>(property: &'p Property<'_>) -> Cow<'p, str> {
    match &property.typed {
        Typed::Ip(ip) => ip.to_string().into(),
        Typed::Port(port) => port.to_string().into(),
        Typed::Mac([a, b, c, d, e, f]) => {
            format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}").into()
        }
        Typed::Protocol(number) => match crate::field::protocol_name(*number) {
            Some(name) => name.into(),
            None => number.to_string().into(),
        },
        Typed::Number => property.text.trim().into(),
        Typed::Time(time) => time
            .to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
            .into(),
        Typed::Text => property.text.as_ref().into(),
    }
}
