//! An event as CEF.
//!
//! Dictionary keys where there is one; custom properties under their LEEF key. CEF's `src` and `dst` are IPv4, so an
//! IPv6 address goes into the custom IPv6 fields with their customary labels.
//!
//! CEF escapes pipes, equals signs, backslashes and, in values, line breaks. Each other character of [`leef::control`]
//! becomes a blank; the event names the fields where that happened in `cefSanitized`.

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

/// The key of the names of changed fields.
const SANITIZED_KEY: &str = "cefSanitized";

/// Appends an event, and tells whether a character of it was replaced.
pub fn write(event: &Event<'_>, out: &mut Vec<u8>) -> bool {
    let manifest = event.mapping().manifest();
    let mut sanitized = String::new();
    let mut changed = |field: &str, substituted: bool| {
        if substituted {
            if !sanitized.is_empty() {
                sanitized.push(',');
            }
            sanitized.push_str(field);
        }
    };
    out.extend_from_slice(b"CEF:0|");
    for (field, text) in [
        ("headerVendor", manifest.vendor.as_str()),
        ("headerProduct", &manifest.product),
        ("headerVersion", &manifest.version),
        (
            "headerEventId",
            event.event_id.as_deref().unwrap_or(event.name()),
        ),
        ("headerName", event.name()),
    ] {
        changed(field, header(out, text));
    }
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
        changed(key, extension(out, value));
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
    if sanitized.is_empty() {
        return false;
    }
    if out.len() > start {
        out.push(b' ');
    }
    out.extend_from_slice(SANITIZED_KEY.as_bytes());
    out.push(b'=');
    out.extend_from_slice(sanitized.as_bytes());
    true
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
        SANITIZED_KEY,
    ];
    OTHERS.contains(&key) || KEYS.iter().any(|(_, known)| *known == key)
}

/// A header field: pipes and backslashes are escaped; what cannot be becomes a blank. Tells whether something did.
fn header(out: &mut Vec<u8>, text: &str) -> bool {
    let substituted = pieces(text, |piece| match piece {
        Piece::Text(text) => escaped(out, text, b'|'),
        Piece::Control(_) => {
            out.push(b' ');
            true
        }
    });
    out.push(b'|');
    substituted
}

/// An extension value: equals signs, backslashes and line breaks are escaped, other control characters become blanks.
/// Tells whether one did.
fn extension(out: &mut Vec<u8>, text: &str) -> bool {
    pieces(text, |piece| {
        match piece {
            Piece::Text(text) => return escaped(out, text, b'='),
            Piece::Control("\n") => out.extend_from_slice(b"\\n"),
            Piece::Control("\r") => out.extend_from_slice(b"\\r"),
            Piece::Control(_) => {
                out.push(b' ');
                return true;
            }
        }
        false
    })
}

/// A part of a text: without control characters, or one of these.
enum Piece<'t> {
    Text(&'t str),
    Control(&'t str),
}

/// Writes the pieces of a text, and tells whether one was changed.
fn pieces(text: &str, mut write: impl FnMut(Piece<'_>) -> bool) -> bool {
    let mut changed = false;
    let mut done = 0;
    while let Some(control) = leef::control::find(text, done) {
        changed |= write(Piece::Text(&text[done..control.start]));
        changed |= write(Piece::Control(&text[control.clone()]));
        done = control.end;
    }
    changed | write(Piece::Text(&text[done..]))
}

/// Escapes backslashes and one other character, which changes nothing for who reads it.
fn escaped(out: &mut Vec<u8>, text: &str, other: u8) -> bool {
    for byte in text.bytes() {
        if byte == other || byte == b'\\' {
            out.push(b'\\');
        }
        out.push(byte);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_the_line_is_escaped() {
        let mut out = Vec::new();
        assert!(header(&mut out, "a|b\\c\nd"));
        assert!(!extension(&mut out, "x=1\\y\r\nz|"));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "a\\|b\\\\c d|x\\=1\\\\y\\r\\nz|"
        );
    }

    #[test]
    fn control_characters_become_blanks_and_are_accounted_for() {
        for control in [
            "\0", "\u{1b}", "\t", "\u{7f}", "\u{85}", "\u{9b}", "\u{2028}", "\u{202e}",
        ] {
            for write in [header, extension] {
                let mut out = Vec::new();
                assert!(write(&mut out, &format!("é{control}=")), "{control:?}");
                let text = String::from_utf8(out).unwrap();
                assert!(
                    text.starts_with("é ") && !text.contains(control),
                    "{text:?}"
                );
            }
        }
        assert!(!extension(&mut Vec::new(), "é \u{200d}漢"));
    }
}
