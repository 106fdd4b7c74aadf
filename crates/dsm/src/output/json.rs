//! An event as one line of JSON.
//!
//! JSON carries every character. Those of [`leef::control`] are written as escapes, so that a line holds none of them.

use crate::event::{Event, Property, canonical};
use crate::field::{Field, Typed};
use crate::mapping::Target;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
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
            // A number keeps its own notation as far as JSON has it.
            Typed::Number => match self.0.text.trim().parse::<i64>() {
                Ok(number) => serializer.serialize_i64(number),
                Err(_) => serializer.serialize_str(self.0.text.trim()),
            },
            _ => serializer.serialize_str(&canonical(self.0)),
        }
    }
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
