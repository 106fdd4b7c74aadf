//! An event as CEF.
//!
//! Dictionary keys where there is one; custom properties under their LEEF key. CEF's `src` and `dst` are IPv4, so an
//! IPv6 address goes into the custom IPv6 fields with their customary labels.

use crate::event::{Event, Status, canonical};
use crate::field::{Field, Typed};
use crate::mapping::Target;
use std::net::IpAddr;

const KEYS: &[(Field, &str)] = &[
    (Field::SourcePort, "spt"),
    (Field::DestinationPort, "dpt"),
    (Field::UserName, "suser"),
    (Field::HostName, "shost"),
    (Field::Protocol, "proto"),
    (Field::SourceMAC, "smac"),
    (Field::DestinationMAC, "dmac"),
    (Field::SourceIpPostNAT, "sourceTranslatedAddress"),
    (Field::DestinationIpPostNAT, "destinationTranslatedAddress"),
    (Field::SourcePortPostNAT, "sourceTranslatedPort"),
    (Field::DestinationPortPostNAT, "destinationTranslatedPort"),
    (Field::SourceIpPreNAT, "srcPreNAT"),
    (Field::DestinationIpPreNAT, "dstPreNAT"),
    (Field::SourcePortPreNAT, "srcPreNATPort"),
    (Field::DestinationPortPreNAT, "dstPreNATPort"),
    (Field::GroupName, "groupName"),
    (Field::NetBIOSName, "sntdom"),
    (Field::IdentityIp, "identityIp"),
    (Field::IdentityIpv6, "identityIpv6"),
    (Field::IdentityMac, "identityMac"),
    (Field::ExtraIdentityData, "identityExtra"),
];

/// Appends an event.
pub fn write(event: &Event<'_>, out: &mut Vec<u8>) {
    let manifest = event.mapping().manifest();
    out.extend_from_slice(b"CEF:0|");
    header(out, &manifest.vendor);
    header(out, &manifest.product);
    header(out, &manifest.version);
    header(out, event.event_id.as_deref().unwrap_or(event.name()));
    header(out, event.name());
    match event.severity {
        Some(severity) => out.extend_from_slice(severity.min(10).to_string().as_bytes()),
        None => out.extend_from_slice(b"Unknown"),
    }
    out.push(b'|');
    let start = out.len();
    let mut pair = |key: &str, value: &str| {
        if out.len() > start {
            out.push(b' ');
        }
        out.extend_from_slice(key.as_bytes());
        out.push(b'=');
        extension(out, value);
    };
    if let Some(time) = event.device_time() {
        pair("rt", &time.timestamp_millis().to_string());
    }
    if !event.event_category.is_empty() {
        pair("cat", &event.event_category);
    }
    if event.event_count > 1 {
        pair("cnt", &event.event_count.to_string());
    }
    for (field, v6, key, v6_key, label) in [
        (
            Field::SourceIp,
            Field::SourceIpv6,
            "src",
            "c6a2",
            "Source IPv6 Address",
        ),
        (
            Field::DestinationIp,
            Field::DestinationIpv6,
            "dst",
            "c6a3",
            "Destination IPv6 Address",
        ),
    ] {
        let mut address = event.field(v6);
        match event.field(field) {
            Some(property) if matches!(property.typed, Typed::Ip(IpAddr::V4(_))) => {
                pair(key, &canonical(property));
            }
            Some(property) => address = Some(property),
            None => {}
        }
        if let Some(property) = address {
            pair(v6_key, &canonical(property));
            pair(&format!("{v6_key}Label"), label);
        }
    }
    for (field, key) in KEYS {
        if let Some(property) = event.field(*field) {
            pair(key, &canonical(property));
        }
    }
    if let Some((record, _)) = event.qid {
        pair("qid", &record.qid.to_string());
    }
    let custom = event.mapping().custom_properties();
    for property in &event.properties {
        if let Target::Custom(index) = property.target {
            let key = custom[index].leef_key.as_str();
            if is_taken(key) {
                // A key may occur once.
                pair(&format!("custom.{key}"), &canonical(property));
            } else {
                pair(key, &canonical(property));
            }
        }
    }
    if event.with_payload || event.status == Status::Stored {
        pair("payload", event.payload);
    }
}

/// Whether the event writes a key itself.
fn is_taken(key: &str) -> bool {
    const OTHERS: &[&str] = &[
        "rt",
        "cnt",
        "cat",
        "src",
        "dst",
        "c6a2",
        "c6a2Label",
        "c6a3",
        "c6a3Label",
        "qid",
        "payload",
    ];
    OTHERS.contains(&key) || KEYS.iter().any(|(_, known)| *known == key)
}

/// A header field: pipes and backslashes are escaped; a line break cannot be, and becomes a blank.
fn header(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'|' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\r' | b'\n' => out.push(b' '),
            _ => out.push(byte),
        }
    }
    out.push(b'|');
}

/// An extension value: equals signs, backslashes and line breaks are escaped.
fn extension(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'=' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_the_line_is_escaped() {
        let mut out = Vec::new();
        header(&mut out, "a|b\\c\nd");
        extension(&mut out, "x=1\\y\r\nz|");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "a\\|b\\\\c d|x\\=1\\\\y\\r\\nz|"
        );
    }
}
