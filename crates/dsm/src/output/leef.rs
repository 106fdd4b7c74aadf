//! An event as LEEF.
//!
//! The event ID goes into the header and the event category into `cat`, because these two are what QRadar looks up.
//! Attributes come in the order of their importance, so that a size limit costs the least important ones. The device
//! time is written as milliseconds since the epoch, which needs no `devTimeFormat`.
//!
//! Keys of our own, for consumers other than QRadar: `qid` and `qidName`; `eventCount` of a coalesced event; `hostName`, `groupName`, `netBiosName` where
//! no identity is sent; `payload` for a stored event, which otherwise would say nothing.

use crate::event::{Event, Property, Status, canonical};
use crate::field::{Field, Typed};
use crate::mapping::Target;
use leef::{Header, OptionsError, Report, WriteError, Writer, WriterOptions};
use std::fmt::Write as _;

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

/// System properties with a predefined key, in the order in which they are written.
const KEYS: &[(Field, &str)] = &[
    (Field::SourceIp, "src"),
    (Field::DestinationIp, "dst"),
    (Field::UserName, "usrName"),
    (Field::SourcePort, "srcPort"),
    (Field::DestinationPort, "dstPort"),
    (Field::Protocol, "proto"),
    (Field::SourceMAC, "srcMAC"),
    (Field::DestinationMAC, "dstMAC"),
    (Field::SourceIpPreNAT, "srcPreNAT"),
    (Field::DestinationIpPreNAT, "dstPreNAT"),
    (Field::SourceIpPostNAT, "srcPostNAT"),
    (Field::DestinationIpPostNAT, "dstPostNAT"),
    (Field::SourcePortPreNAT, "srcPreNATPort"),
    (Field::DestinationPortPreNAT, "dstPreNATPort"),
    (Field::SourcePortPostNAT, "srcPostNATPort"),
    (Field::DestinationPortPostNAT, "dstPostNATPort"),
];

/// Writes events as LEEF.
#[derive(Debug)]
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
        for property in &event.properties {
            if let Target::Field(field) = property.target {
                fields[field as usize] = Some(property);
            }
        }
        let mut leef = self.writer.event(out, &header)?;
        if let Some(time) = event.device_time() {
            leef.integer("devTime", time.timestamp_millis())?;
        }
        if !event.event_category.is_empty() {
            leef.attribute("cat", &event.event_category)?;
        }
        if let Some(severity) = event.severity {
            // LEEF's scale begins at 1, that of QIDs at 0.
            leef.integer("sev", i64::from(severity.clamp(1, 10)))?;
        }
        if event.event_count > 1 {
            let count = i64::try_from(event.event_count).unwrap_or(i64::MAX);
            leef.integer("eventCount", count)?;
        }
        for (field, key) in KEYS {
            if let Some(property) = fields[*field as usize] {
                attribute(&mut leef, key, property, text)?;
            }
        }
        identity(&mut leef, event, &fields, text)?;
        for (field, v4, key) in [
            (Field::SourceIpv6, Field::SourceIp, "src"),
            (Field::DestinationIpv6, Field::DestinationIp, "dst"),
        ] {
            if let Some(property) = fields[field as usize] {
                let own = if key == "src" { "srcIpv6" } else { "dstIpv6" };
                let key = if fields[v4 as usize].is_none() {
                    key
                } else {
                    own
                };
                attribute(&mut leef, key, property, text)?;
            }
        }
        if let Some((record, _)) = event.qid {
            leef.integer("qid", i64::from(record.qid))?;
            leef.attribute("qidName", &record.name)?;
        }
        let custom = event.mapping().custom_properties();
        for property in &event.properties {
            if let Target::Custom(index) = property.target {
                attribute(&mut leef, &custom[index].leef_key, property, text)?;
            }
        }
        if event.status == Status::Stored {
            leef.attribute("payload", event.payload)?;
        }
        leef.finish()
    }
}

fn attribute(
    leef: &mut leef::EventWriter<'_>,
    key: &str,
    property: &Property<'_>,
    text: &mut String,
) -> Result<(), WriteError> {
    match &property.typed {
        Typed::Text => leef.attribute(key, &property.text),
        Typed::Port(port) => leef.integer(key, i64::from(*port)),
        Typed::Time(time) => leef.integer(key, time.timestamp_millis()),
        Typed::Ip(ip) => {
            text.clear();
            // Writing into a String does not fail.
            let _ = write!(text, "{ip}");
            leef.attribute(key, text)
        }
        Typed::Mac(_) | Typed::Protocol(_) | Typed::Number => {
            leef.attribute(key, &canonical(property))
        }
    }
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
        attribute(leef, "identSrc", address, text)?;
    }
    for (field, with_identity, without) in [
        (Field::HostName, "identHostName", "hostName"),
        (Field::NetBIOSName, "identNetBios", "netBiosName"),
        (Field::GroupName, "identGrpName", "groupName"),
    ] {
        if let Some(property) = fields[field as usize] {
            let key = if sent.is_some() {
                with_identity
            } else {
                without
            };
            attribute(leef, key, property, text)?;
        }
    }
    for (field, key) in [
        (Field::IdentityIp, "identityIp"),
        (Field::IdentityIpv6, "identityIpv6"),
        (Field::IdentityMac, "identityMac"),
        (Field::ExtraIdentityData, "identityExtra"),
    ] {
        let already = event
            .identity
            .is_some_and(|identity| identity.address == field);
        if let Some(property) = fields[field as usize]
            && !already
        {
            attribute(leef, key, property, text)?;
        }
    }
    Ok(())
}
