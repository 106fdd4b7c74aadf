//! An event as LEEF.
//!
//! The event ID goes into the header and the event category into `cat`, because these two are what QRadar looks up.
//! Attributes come in the order of their importance, so that a size limit costs the least important ones. The device
//! time is written as milliseconds since the epoch, which needs no `devTimeFormat`.
//!
//! Keys of our own, for consumers other than QRadar: `qid` and `qidName`; `eventCount` of a coalesced event; `hostName`,
//! `groupName`, `netBiosName` where no identity is sent; `payload` for a stored event, which otherwise would say nothing,
//! and for others if that is asked for.

use crate::event::{Event, Property, Status, canonical};
use crate::field::{Field, Typed};
use crate::mapping::Target;
use leef::{Header, Key, OptionsError, Report, WriteError, Writer, WriterOptions};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

/// Keys that events write themselves, so that custom properties cannot have them.
pub const RESERVED_KEYS: &[&str] = &[
    "qid",
    "qidName",
    "hostName",
    "groupName",
    "netBiosName",
    "srcIpv6",
    "dstIpv6",
    "identityIp",
    "identityIpv6",
    "identityMac",
    "identityExtra",
    "payload",
    "eventCount",
    "leefSanitized",
    "leefTruncated",
];

const fn key(text: &'static str) -> Key {
    Key::from_static(text)
}

/// System properties with a predefined key, in the order in which they are written.
static KEYS: [(Field, Key); 16] = [
    (Field::SourceIp, key("src")),
    (Field::DestinationIp, key("dst")),
    (Field::UserName, key("usrName")),
    (Field::SourcePort, key("srcPort")),
    (Field::DestinationPort, key("dstPort")),
    (Field::Protocol, key("proto")),
    (Field::SourceMAC, key("srcMAC")),
    (Field::DestinationMAC, key("dstMAC")),
    (Field::SourceIpPreNAT, key("srcPreNAT")),
    (Field::DestinationIpPreNAT, key("dstPreNAT")),
    (Field::SourceIpPostNAT, key("srcPostNAT")),
    (Field::DestinationIpPostNAT, key("dstPostNAT")),
    (Field::SourcePortPreNAT, key("srcPreNATPort")),
    (Field::DestinationPortPreNAT, key("dstPreNATPort")),
    (Field::SourcePortPostNAT, key("srcPostNATPort")),
    (Field::DestinationPortPostNAT, key("dstPostNATPort")),
];

static DEVICE_TIME: Key = key("devTime");
static CATEGORY: Key = key("cat");
static SEVERITY: Key = key("sev");
static EVENT_COUNT: Key = key("eventCount");
static QID: Key = key("qid");
static QID_NAME: Key = key("qidName");
static PAYLOAD: Key = key("payload");

/// IPv6 properties: where there is an IPv4 one too it has the predefined key, and they the last one.
static IPV6_KEYS: [(Field, Field, Key, Key); 2] = [
    (
        Field::SourceIpv6,
        Field::SourceIp,
        key("src"),
        key("srcIpv6"),
    ),
    (
        Field::DestinationIpv6,
        Field::DestinationIp,
        key("dst"),
        key("dstIpv6"),
    ),
];

static IDENTITY: Key = key("identSrc");
/// Properties with a predefined key where an identity is sent, and one of our own where none is.
static IDENTITY_KEYS: [(Field, Key, Key); 3] = [
    (Field::HostName, key("identHostName"), key("hostName")),
    (Field::NetBIOSName, key("identNetBios"), key("netBiosName")),
    (Field::GroupName, key("identGrpName"), key("groupName")),
];
static OTHER_KEYS: [(Field, Key); 4] = [
    (Field::IdentityIp, key("identityIp")),
    (Field::IdentityIpv6, key("identityIpv6")),
    (Field::IdentityMac, key("identityMac")),
    (Field::ExtraIdentityData, key("identityExtra")),
];

/// Writes events as LEEF. A clone has its own memory, for another thread.
#[derive(Debug, Clone)]
pub struct LeefOutput {
    writer: Writer,
    version: leef::Version,
    /// For values that are not the text that was found.
    text: String,
}

impl LeefOutput {
    /// A writer with the given options.
    ///
    /// # Errors
    /// The options contradict each other.
    pub fn new(options: WriterOptions) -> Result<Self, OptionsError> {
        Ok(Self {
            version: options.version,
            writer: Writer::new(options)?,
            text: String::new(),
        })
    }

    /// Appends an event, and tells what of it LEEF could not carry.
    ///
    /// # Errors
    /// The policy is to refuse events that LEEF cannot carry whole, or not even the header fits the size limit. The
    /// buffer is as it was then.
    pub fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<Report, WriteError> {
        let manifest = event.mapping().manifest();
        let header = Header {
            version: self.version,
            vendor: &manifest.vendor,
            product: &manifest.product,
            product_version: &manifest.version,
            event_id: event.event_id.as_deref().unwrap_or(event.name()),
        };
        let text = &mut self.text;
        // Looked up once: most of the keys below have no value.
        let mut fields = [None; Field::ALL.len()];
        let mut custom = &event.properties[..];
        while let [property, rest @ ..] = custom
            && let Target::Field(field) = property.target
        {
            fields[field as usize] = Some(property);
            custom = rest;
        }
        let mut leef = self.writer.event(out, &header)?;
        if let Some(property) = fields[Field::DeviceTime as usize]
            && let Typed::Time(time) = property.typed
        {
            leef.integer(&DEVICE_TIME, time.timestamp_millis())?;
        }
        if !event.event_category.is_empty() {
            leef.attribute(&CATEGORY, &event.event_category)?;
        }
        if let Some(severity) = event.severity {
            // LEEF's scale begins at 1, that of QIDs at 0.
            leef.integer(&SEVERITY, i64::from(severity.clamp(1, 10)))?;
        }
        if event.event_count > 1 {
            let count = i64::try_from(event.event_count).unwrap_or(i64::MAX);
            leef.integer(&EVENT_COUNT, count)?;
        }
        for (field, key) in &KEYS {
            if let Some(property) = fields[*field as usize] {
                attribute(&mut leef, key, property, text)?;
            }
        }
        identity(&mut leef, event, &fields, text)?;
        for (field, v4, key, beside) in &IPV6_KEYS {
            if let Some(property) = fields[*field as usize] {
                let key = if fields[*v4 as usize].is_none() {
                    key
                } else {
                    beside
                };
                attribute(&mut leef, key, property, text)?;
            }
        }
        if let Some((record, _)) = event.qid {
            leef.integer(&QID, i64::from(record.qid))?;
            leef.attribute(&QID_NAME, &record.name)?;
        }
        let declared = event.mapping().custom_properties();
        for property in custom {
            if let Target::Custom(index) = property.target {
                let key = &declared[index].leef_key;
                match property.typed {
                    // Most are that, and there are many.
                    Typed::Text => leef.attribute(key, &property.text)?,
                    _ => attribute(&mut leef, key, property, text)?,
                }
            }
        }
        if event.with_payload || event.status == Status::Stored {
            leef.attribute(&PAYLOAD, event.payload)?;
        }
        leef.finish()
    }
}

fn attribute(
    leef: &mut leef::EventWriter<'_>,
    key: &Key,
    property: &Property<'_>,
    text: &mut String,
) -> Result<(), WriteError> {
    let canonical = match &property.typed {
        Typed::Text => return leef.attribute(key, &property.text),
        Typed::Port(port) => return leef.integer(key, i64::from(*port)),
        Typed::Time(time) => return leef.integer(key, time.timestamp_millis()),
        Typed::Ip(ip) => {
            text.clear();
            match ip {
                IpAddr::V4(ip) => push_ipv4(text, *ip),
                // Writing into a String does not fail.
                IpAddr::V6(ip) => drop(write!(text, "{ip}")),
            }
            Cow::Borrowed(text.as_str())
        }
        Typed::Mac(_) | Typed::Protocol(_) | Typed::Number => canonical(property),
    };
    leef.attribute(key, &canonical)
}

fn identity(
    leef: &mut leef::EventWriter<'_>,
    event: &Event<'_>,
    fields: &[Option<&Property<'_>>],
    text: &mut String,
) -> Result<(), WriteError> {
    let sent = event
        .identity
        .and_then(|identity| fields[identity.address as usize]);
    if let Some(address) = sent {
        attribute(leef, &IDENTITY, address, text)?;
    }
    for (field, with_identity, without) in &IDENTITY_KEYS {
        if let Some(property) = fields[*field as usize] {
            let key = if sent.is_some() {
                with_identity
            } else {
                without
            };
            attribute(leef, key, property, text)?;
        }
    }
    for (field, key) in &OTHER_KEYS {
        let already = event
            .identity
            .is_some_and(|identity| identity.address == *field);
        if let Some(property) = fields[*field as usize]
            && !already
        {
            attribute(leef, key, property, text)?;
        }
    }
    Ok(())
}

/// The dotted form. Formatting by the standard library costs more than all the rest of an attribute.
fn push_ipv4(text: &mut String, ip: Ipv4Addr) {
    let digit = |value: u8| char::from(b'0' + value % 10);
    for (index, octet) in ip.octets().into_iter().enumerate() {
        if index > 0 {
            text.push('.');
        }
        if octet >= 100 {
            text.push(digit(octet / 100));
        }
        if octet >= 10 {
            text.push(digit(octet / 10));
        }
        text.push(digit(octet));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_addresses_are_written_as_the_standard_library_does() {
        for octet in 0..=u8::MAX {
            let ip = Ipv4Addr::new(octet, 0, 255, octet.wrapping_add(97));
            let mut text = String::new();
            push_ipv4(&mut text, ip);
            assert_eq!(text, ip.to_string());
        }
    }

    #[test]
    fn keys_of_our_own_cannot_be_taken_by_custom_properties() {
        let own = IPV6_KEYS.iter().map(|(_, _, _, key)| key);
        let own = own.chain(IDENTITY_KEYS.iter().map(|(_, _, key)| key));
        let own = own.chain(OTHER_KEYS.iter().map(|(_, key)| key));
        for key in own.chain([&EVENT_COUNT, &QID, &QID_NAME, &PAYLOAD]) {
            assert!(RESERVED_KEYS.contains(&key.as_str()), "{key}");
        }
    }
}
