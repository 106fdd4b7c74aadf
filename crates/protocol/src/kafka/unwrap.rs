//! Events in the body of a record, in the forms in which Azure sends them.
//!
//! The body is `{"records":[…]}`, a list, or a single object, and each element is an event. What is none of these is an
//! event as a whole. Nothing is decoded: an event is the text that was received.

use crate::json::{self, Outline, SplitError};
use std::collections::BTreeSet;

/// Longest object that may be a heartbeat. They hold a type and a time.
const MAX_HEARTBEAT: usize = 1024;

/// What `category` begins with in the records of a table.
const TABLE_PREFIX: &str = "advancedhunting-";

/// What the body of a record holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Unwrapped {
    /// The events.
    pub(crate) payloads: Vec<Box<[u8]>>,
    /// How many elements say only that the sender is there.
    pub(crate) heartbeats: u64,
    /// How many elements belong to tables that are not wanted.
    pub(crate) filtered: u64,
    /// Whether the body begins like JSON and is none.
    pub(crate) malformed: bool,
}

/// The tables that are wanted; all of them where none is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tables(BTreeSet<String>);

impl Tables {
    /// Tables by their names, such as `DeviceProcessEvents`, in any case, with or without the prefix of `category`.
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(table).collect())
    }

    /// Whether an event is wanted. One that names no table cannot be of a table that is not wanted.
    fn take(&self, event: &[u8]) -> bool {
        if self.0.is_empty() {
            return true;
        }
        match text_of(event, "category") {
            Some(category) => self.0.contains(&table(&category)),
            None => true,
        }
    }
}

fn table(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    match name.strip_prefix(TABLE_PREFIX) {
        Some(bare) => bare.to_owned(),
        None => name,
    }
}

/// Takes a body apart.
pub(crate) fn unwrap(body: &[u8], tables: &Tables) -> Unwrapped {
    let mut found = Unwrapped::default();
    // Nearly every body is an envelope, and this way it is read only once.
    if let Some(records) = json::lists(body, "records") {
        for record in records {
            found.event(record, tables);
        }
        return found;
    }
    match json::outline(body) {
        Ok(Outline::Empty) => {}
        Ok(Outline::Array(elements)) => {
            for element in elements {
                found.value(element, tables);
            }
        }
        Ok(Outline::Object(object)) => found.value(object, tables),
        Ok(Outline::Scalar(_)) => found.payloads.push(body.into()),
        Err(_) => {
            let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
            found.malformed = matches!(first, Some(b'{' | b'['));
            found.payloads.push(body.into());
        }
    }
    found
}

impl Unwrapped {
    /// An element, or what stands in its member `records`.
    fn value(&mut self, value: &[u8], tables: &Tables) {
        match records(value) {
            Some(records) => {
                for record in records {
                    self.event(record, tables);
                }
            }
            None => self.event(value, tables),
        }
    }

    fn event(&mut self, event: &[u8], tables: &Tables) {
        if is_heartbeat(event) {
            self.heartbeats += 1;
        } else if tables.take(event) {
            self.payloads.push(json::payload(event));
        } else {
            self.filtered += 1;
        }
    }
}

/// The records of an envelope: those of each member `records`, so that none is lost where the name is there twice.
/// `None` where the object is no envelope.
fn records(object: &[u8]) -> Option<Vec<&[u8]>> {
    if object.first() != Some(&b'{') {
        return None;
    }
    let mut records: Option<Vec<&[u8]>> = None;
    let mut is_envelope = true;
    json::visit_members(object, |name, value| {
        if name == "records" {
            match json::outline(value)? {
                Outline::Array(elements) => records.get_or_insert_default().extend(elements),
                _ => is_envelope = false,
            }
        }
        Ok::<(), SplitError>(())
    })
    .ok()?;
    records.filter(|_| is_envelope)
}

/// Whether an element says nothing but that the sender is there. One with a category or properties is an event, whatever
/// its type.
fn is_heartbeat(event: &[u8]) -> bool {
    if event.len() > MAX_HEARTBEAT {
        return false;
    }
    let Some([kind, category, properties]) =
        json::members(event, ["type", "category", "properties"])
    else {
        return false;
    };
    kind.and_then(json::text)
        .is_some_and(|kind| kind.eq_ignore_ascii_case("heartbeat"))
        && category.is_none()
        && properties.is_none()
}

/// The text of a member, the first where there are several.
fn text_of(object: &[u8], wanted: &str) -> Option<String> {
    /// Stops the walk.
    enum End {
        Found(String),
        Nothing,
    }
    impl From<SplitError> for End {
        fn from(_: SplitError) -> Self {
            Self::Nothing
        }
    }
    if object.first() != Some(&b'{') {
        return None;
    }
    let end = json::visit_members(object, |name, value| {
        if name != wanted {
            return Ok(());
        }
        Err(json::string(value).map_or(End::Nothing, |text| End::Found(text.into_owned())))
    });
    match end {
        Err(End::Found(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(body: &[u8]) -> Unwrapped {
        unwrap(body, &Tables::default())
    }

    fn texts(body: &str) -> Vec<String> {
        texts_of(&all(body.as_bytes()))
    }

    fn texts_of(unwrapped: &Unwrapped) -> Vec<String> {
        unwrapped
            .payloads
            .iter()
            .map(|payload| String::from_utf8_lossy(payload).into_owned())
            .collect()
    }

    #[test]
    fn an_envelope_a_list_and_a_single_object_give_their_elements() {
        let two = [r#"{"a":1}"#, r#"{"b":"}]"}"#];
        assert_eq!(texts(r#"{"records":[{"a":1},{"b":"}]"}]}"#), two);
        assert_eq!(texts(r#"[{"a":1},{"b":"}]"}]"#), two);
        assert_eq!(texts(r#"{"a":1}"#), [r#"{"a":1}"#]);
        // A sender that batches envelopes.
        assert_eq!(
            texts(r#"[{"records":[{"a":1}]},{"records":[{"b":"}]"}]}]"#),
            two
        );
        assert_eq!(texts("\u{feff}[{\"a\":1}]\n"), [r#"{"a":1}"#]);
    }

    #[test]
    fn an_event_keeps_its_bytes() {
        let odd = r#"{ "z":1,"a" : 1.50e+3, "a":"\u00e4\/", "n":null }"#;
        assert_eq!(
            texts(&format!(r#"{{"records":[{odd} , {odd}]}}"#)),
            [odd, odd]
        );
        assert_eq!(texts(&format!("  {odd}  ")), [odd]);
        // Only an event over several lines is put into one.
        assert_eq!(texts("[{\n \"a\": \"x y\"\n}]"), [r#"{"a":"x y"}"#]);
    }

    #[test]
    fn nothing_gives_nothing() {
        for body in ["", " \r\n", "[]", r#"{"records":[]}"#] {
            assert_eq!(all(body.as_bytes()), Unwrapped::default(), "{body:?}");
        }
    }

    #[test]
    fn what_is_no_json_is_one_event_as_it_is() {
        for body in [
            "<134>1 - host app - - - text",
            "5",
            "\"text\"",
            "null",
            "a, b",
        ] {
            let unwrapped = all(body.as_bytes());
            assert_eq!(texts_of(&unwrapped), [body]);
            assert!(!unwrapped.malformed, "{body}");
        }
        for body in [
            r#"{"records":[{"a":1}"#,
            "[1,2",
            r#"{"a":1}}"#,
            "[{]}",
            "{\"a\":1} {\"b\":2}",
        ] {
            let unwrapped = all(body.as_bytes());
            assert_eq!(texts_of(&unwrapped), [body]);
            assert!(unwrapped.malformed, "{body}");
        }
        let unwrapped = all(b"\xff\xfe{\x00");
        assert_eq!(unwrapped.payloads, [Box::from(&b"\xff\xfe{\x00"[..])]);
    }

    #[test]
    fn an_element_that_is_wrong_is_passed_on_with_the_others() {
        assert_eq!(
            texts(r#"[{"a":tru},{"b":1}]"#),
            [r#"{"a":tru}"#, r#"{"b":1}"#]
        );
        let body = b"[{\"a\":\"\xff\"},{\"b\":1}]";
        assert_eq!(
            all(body).payloads,
            [
                Box::from(&b"{\"a\":\"\xff\"}"[..]),
                Box::from(&b"{\"b\":1}"[..])
            ]
        );
        assert_eq!(texts("[1,\"x\",null,[2]]"), ["1", "\"x\"", "null", "[2]"]);
    }

    #[test]
    fn an_object_whose_records_are_no_list_is_an_event() {
        for body in [
            r#"{"records":5}"#,
            r#"{"records":{"a":1}}"#,
            r#"{"Records":[{"a":1}]}"#,
            r#"{"records":[{"a":1}],"records":5}"#,
            r#"{"inner":{"records":[{"a":1}]}}"#,
        ] {
            assert_eq!(texts(body), [body]);
        }
    }

    #[test]
    fn records_that_are_there_twice_are_all_taken() {
        assert_eq!(
            texts(r#"{"records":[{"a":1}],"x":1,"r\u0065cords":[{"a":2}]}"#),
            [r#"{"a":1}"#, r#"{"a":2}"#]
        );
    }

    #[test]
    fn heartbeats_are_dropped_and_counted_and_nothing_else_is() {
        let unwrapped = all(br#"[{"type":"heartbeat"},{"time":"x","type":"Heartbeat"},{"a":1}]"#);
        assert_eq!(unwrapped.heartbeats, 2);
        assert_eq!(texts_of(&unwrapped), [r#"{"a":1}"#]);
        assert_eq!(all(br#"{"records":[{"type":"heartbeat"}]}"#).heartbeats, 1);
        for event in [
            r#"{"type":"heartbeat","category":"Availability"}"#,
            r#"{"type":"heartbeat","properties":{}}"#,
            r#"{"type":["heartbeat"]}"#,
            r#"{"kind":"heartbeat"}"#,
            r#"{"type":"heartbeat""#,
        ] {
            assert_eq!(texts(event), [event]);
        }
    }

    #[test]
    fn tables_that_are_not_wanted_are_left_out_and_counted() {
        let tables = Tables::new(["DeviceProcessEvents", "AdvancedHunting-AlertInfo"]);
        let body = br#"{"records":[
            {"category":"AdvancedHunting-DeviceProcessEvents","n":1},
            {"category":"advancedhunting-alertinfo","n":2},
            {"category":"AdvancedHunting-EmailEvents","n":3},
            {"properties":{"category":"AdvancedHunting-EmailEvents"},"n":4},
            {"category":5,"n":5},
            {"type":"heartbeat"}]}"#;
        let unwrapped = unwrap(body, &tables);
        let numbers: Vec<String> = texts_of(&unwrapped);
        assert_eq!(numbers.len(), 4, "{numbers:?}");
        for (text, number) in numbers.iter().zip(["1", "2", "4", "5"]) {
            assert!(text.ends_with(&format!("\"n\":{number}}}")), "{text}");
        }
        assert_eq!((unwrapped.filtered, unwrapped.heartbeats), (1, 1));
    }

    #[test]
    fn deep_and_wide_bodies_are_one_event() {
        for body in [
            "[".repeat(100_000),
            format!("[{}1]", "1,".repeat(300_000)),
            format!("{{\"records\":{}", "[".repeat(600)),
        ] {
            let unwrapped = all(body.as_bytes());
            assert_eq!(unwrapped.payloads.len(), 1);
            assert_eq!(unwrapped.payloads[0].len(), body.len());
            assert!(unwrapped.malformed);
        }
    }

    /// Invented JSON in one line.
    fn json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<i32>().prop_map(|number| number.to_string()),
            "\"[ -!#-\\[\\]-~äöü€]{0,12}\"",
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|parts| format!("[{}]", parts.join(", "))),
                prop::collection::vec(("[a-z]{1,6}", inner), 0..4).prop_map(|members| {
                    let members: Vec<String> = members
                        .into_iter()
                        .map(|(name, value)| format!("\"{name}\" : {value}"))
                        .collect();
                    format!("{{ {} }}", members.join(","))
                }),
            ]
        })
    }

    /// An event: an object that is neither an envelope nor a heartbeat.
    fn event() -> impl Strategy<Value = String> {
        json().prop_map(|value| format!("{{\"n\":{value}}}"))
    }

    proptest! {
        #[test]
        fn every_event_of_an_envelope_comes_out_byte_for_byte(
            events in prop::collection::vec(event(), 1..6),
            form in 0_u8..3,
        ) {
            let body = match form {
                0 => format!("{{\"records\":[{}]}}", events.join(",")),
                1 => format!(" [ {} ] ", events.join(" , ")),
                _ => format!("[{{\"records\":[{}]}}]", events.join(",")),
            };
            prop_assert_eq!(texts(&body), events);
        }

        #[test]
        fn a_damaged_body_never_loses_everything_and_never_grows(
            events in prop::collection::vec(event(), 1..5),
            cut in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            at in any::<prop::sample::Index>(),
        ) {
            let body = format!("{{\"records\":[{}]}}", events.join(",")).into_bytes();
            let truncated = &body[..1 + cut.index(body.len() - 1)];
            prop_assert_eq!(
                all(truncated).payloads,
                [Box::from(truncated)],
                "a truncated body is one event as it is"
            );
            let mut damaged = body.clone();
            damaged[at.index(body.len())] = byte;
            let size: usize = all(&damaged).payloads.iter().map(|payload| payload.len()).sum();
            prop_assert!(size <= damaged.len());
        }

        #[test]
        fn the_quick_way_through_an_envelope_finds_what_the_other_way_finds(
            events in prop::collection::vec(event(), 0..4),
            other in event(),
            byte in any::<u8>(),
            at in any::<prop::sample::Index>(),
        ) {
            let body = format!(
                "{{\"a\":{other}, \"records\" : [{}],\"b\":\"\\\"]\",\"records\":[{other}]}} ",
                events.join(" , ")
            );
            let quick = json::lists(body.as_bytes(), "records").unwrap();
            prop_assert_eq!(quick.len(), events.len() + 1);
            prop_assert_eq!(Some(quick), records(body.as_bytes()));
            let mut damaged = body.into_bytes();
            let at = at.index(damaged.len());
            damaged[at] = byte;
            if let Some(quick) = json::lists(&damaged, "records") {
                let object = damaged.trim_ascii();
                prop_assert!(json::outline(&damaged).is_ok());
                prop_assert_eq!(Some(quick), records(object));
            }
        }

        #[test]
        fn any_bytes_give_events_no_larger_than_they_are(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let unwrapped = all(&body);
            let size: usize = unwrapped.payloads.iter().map(|payload| payload.len()).sum();
            prop_assert!(size <= body.len());
            let is_blank = body.iter().all(|byte| b" \t\r\n".contains(byte));
            if is_blank {
                prop_assert!(unwrapped.payloads.is_empty());
            }
        }
    }
}
