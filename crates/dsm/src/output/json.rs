//! An event as one line of JSON.
//!
//! JSON carries every character. Those of [`leef::control`] are written as escapes, so that a line holds none of them.

use crate::event::{Event, Property, canonical};
use crate::field::{Field, Typed};
use crate::mapping::Target;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;
use std::io;

/// Appends an event.
///
/// # Errors
/// Never with a `Vec`; the type is that of the serializer.
pub fn write(event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    Line(event).serialize(&mut serde_json::Serializer::with_formatter(out, Escaping))
}

/// Compact JSON in which control characters beyond those that JSON forbids are escapes too.
struct Escaping;

impl serde_json::ser::Formatter for Escaping {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let bytes = fragment.as_bytes();
        let mut done = 0;
        while let Some(control) = leef::control::find(fragment, done) {
            writer.write_all(&bytes[done..control.start])?;
            for unit in fragment[control.clone()].encode_utf16() {
                write!(writer, "\\u{unit:04x}")?;
            }
            done = control.end;
        }
        writer.write_all(&bytes[done..])
    }
}

struct Line<'a, 'e>(&'a Event<'e>);

#[derive(Serialize)]
struct Category {
    id: u32,
    name: &'static str,
}

#[derive(Serialize)]
struct LogSourceType<'a> {
    id: u32,
    name: &'a str,
}

impl Serialize for Line<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = self.0;
        let manifest = event.mapping().manifest();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(
            "logSourceType",
            &LogSourceType {
                id: manifest.log_source_type_id,
                name: &manifest.name,
            },
        )?;
        map.serialize_entry("status", event.status.name())?;
        map.serialize_entry("reason", &event.reason.to_string())?;
        map.serialize_entry("eventId", &event.event_id)?;
        map.serialize_entry("eventCategory", &event.event_category)?;
        if let Some((record, _)) = event.qid {
            map.serialize_entry("qid", &record.qid)?;
            map.serialize_entry("name", &record.name)?;
            map.serialize_entry("description", &record.description)?;
        }
        map.serialize_entry("severity", &event.severity)?;
        if event.event_count > 1 {
            map.serialize_entry("eventCount", &event.event_count)?;
        }
        map.serialize_entry(
            "lowLevelCategory",
            &Category {
                id: event.category.low_id,
                name: event.category.low_name,
            },
        )?;
        map.serialize_entry(
            "highLevelCategory",
            &Category {
                id: event.category.high_id,
                name: event.category.high_name,
            },
        )?;
        map.serialize_entry("deviceTime", &event.field(Field::DeviceTime).map(canonical))?;
        map.serialize_entry("properties", &Properties(event, false))?;
        map.serialize_entry("customProperties", &Properties(event, true))?;
        map.serialize_entry("sendIdentity", event.send_identity.name())?;
        map.serialize_entry("identity", &event.identity.map(|_| Identity(event)))?;
        map.serialize_entry("payload", event.payload)?;
        map.end()
    }
}

/// The system properties or the custom ones, without those that the line has already.
struct Properties<'a, 'e>(&'a Event<'e>, bool);

impl Serialize for Properties<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mapping = self.0.mapping();
        let mut map = serializer.serialize_map(None)?;
        for property in &self.0.properties {
            let custom = match property.target {
                Target::Field(Field::EventName | Field::EventCategory | Field::DeviceTime) => {
                    continue;
                }
                Target::Field(_) => false,
                Target::Custom(_) => true,
            };
            if custom == self.1 {
                map.serialize_entry(mapping.target_name(property.target), &Value(property))?;
            }
        }
        map.end()
    }
}

struct Value<'a, 'e>(&'a Property<'e>);

impl Serialize for Value<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.typed {
            Typed::Port(port) => serializer.serialize_u16(*port),
            Typed::Number => {
                let text = self.0.text.trim();
                match text.parse::<i64>() {
                    // Zero may have a sign.
                    Ok(number) if number != 0 => serializer.serialize_i64(number),
                    _ => match RawValue::from_string(number(text)) {
                        Ok(number) => number.serialize(serializer),
                        Err(_) => serializer.serialize_str(text),
                    },
                }
            }
            _ => serializer.serialize_str(&canonical(self.0)),
        }
    }
}

/// A number as JSON spells it, with all digits that the payload had: no plus sign, one digit or more before the point, no
/// zeros in front of the others.
fn number(text: &str) -> String {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => ("-", text),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let end = text.find(['e', 'E']).unwrap_or(text.len());
    let (decimal, exponent) = text.split_at(end);
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}{exponent}")
}

struct Identity<'a, 'e>(&'a Event<'e>);

impl Serialize for Identity<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = self.0;
        let mut map = serializer.serialize_map(None)?;
        let address = event
            .identity
            .map_or(Field::IdentityIp, |identity| identity.address);
        for (name, field) in [
            ("ip", address),
            ("userName", Field::UserName),
            ("hostName", Field::HostName),
            ("groupName", Field::GroupName),
            ("netBiosName", Field::NetBIOSName),
            ("mac", Field::IdentityMac),
            ("extra", Field::ExtraIdentityData),
        ] {
            if let Some(property) = event.field(field) {
                map.serialize_entry(name, &canonical(property))?;
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::is_number;

    #[test]
    fn every_number_is_one_in_json_and_keeps_its_digits() {
        for (text, json) in [
            ("1", "1"),
            ("1.5", "1.5"),
            ("1.50", "1.50"),
            ("1e3", "1e3"),
            ("1E+3", "1E+3"),
            ("-0", "-0"),
            ("+7", "7"),
            ("007", "7"),
            ("-00.5e-07", "-0.5e-07"),
            (".5", "0.5"),
            ("5.", "5"),
            ("5.e2", "5e2"),
            ("000", "0"),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
        ] {
            assert!(is_number(text), "{text}");
            assert_eq!(number(text), json);
            RawValue::from_string(json.to_owned()).unwrap();
        }
    }
}
