//! The JSON scanner beside serde_json: what one reads, the other reads, and both read the same.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use dsm::extract::json::{Found, Plan, Settings, text_of};
use dsm::keypath::json_path;
use dsm::lsx::Hits;
use proptest::prelude::*;
use serde_json::Value;

/// JSON values with few names, so that paths meet them and names repeat.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        "[ -~é\u{1F600}\n\t\"\\\\]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-d]", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-d]", json(), 1..4)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

/// What a value is called in an event.
fn expected(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn scan(text: &str, path: &str) -> Option<(usize, usize, Option<String>)> {
    let mut plan = Plan::default();
    let slot = plan.add(&json_path(path).unwrap(), Hits::First);
    plan.finish();
    let mut found = Found::default();
    let span = plan
        .scan(text, &Settings::default(), &mut found)
        .ok()?
        .range();
    let value = found
        .get(slot)
        .and_then(|hit| text_of(hit.span.of(text)).map(std::borrow::Cow::into_owned));
    Some((span.start, span.end, value))
}

/// Whether the text begins with a whole object for serde_json, and where it ends.
fn end_for_serde(text: &str) -> Option<usize> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match stream.next() {
        Some(Ok(Value::Object(_))) => Some(stream.byte_offset()),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_are_what_serde_reads(value in object(), pretty in any::<bool>()) {
        let text = if pretty {
            serde_json::to_string_pretty(&value).unwrap()
        } else {
            value.to_string()
        };
        for (path, wanted) in [
            ("/\"a\"", value.pointer("/a")),
            ("/\"b\"/\"c\"", value.pointer("/b").filter(|b| b.is_object()).and_then(|b| b.pointer("/c"))),
            ("/\"c\"[1]", value.pointer("/c").filter(|c| c.is_array()).and_then(|c| c.get(1))),
            ("/\"d\"[0]/\"a\"", value.pointer("/d").and_then(|d| d.get(0)).and_then(|d| d.get("a"))),
        ] {
            let (start, end, found) = scan(&text, path).unwrap();
            prop_assert_eq!((start, end), (0, text.len()));
            prop_assert_eq!(found, wanted.and_then(expected), "{} in {}", path, text);
        }
    }

    #[test]
    fn broken_objects_are_broken_for_both(
        value in object(),
        at in any::<prop::sample::Index>(),
        byte in prop::sample::select(b"{}[]\",:\\0-.eut x".to_vec()),
        delete in any::<bool>(),
    ) {
        let mut bytes = value.to_string().into_bytes();
        let at = at.index(bytes.len());
        if delete {
            bytes.remove(at);
        } else {
            bytes[at] = byte;
        }
        let Ok(text) = String::from_utf8(bytes) else {
            return Ok(());
        };
        prop_assume!(text.starts_with("{\""));
        let ours = scan(&text, "/\"a\"").filter(|(start, _, _)| *start == 0).map(|(_, end, _)| end);
        let theirs = end_for_serde(&text);
        // Where we take what serde_json refuses, it must be one of the two documented leniencies or a number that
        // does not fit a float; the text of it is not lost with us.
        if ours.is_some() && theirs.is_none() {
            let error = serde_json::from_str::<Value>(&text).unwrap_err().to_string();
            prop_assert!(
                error.contains("control character") || error.contains("surrogate") || error.contains("out of range")
                    || error.contains("hex escape"),
                "{} for {}", error, text
            );
        } else {
            prop_assert_eq!(ours, theirs, "{}", text);
        }
    }

    #[test]
    fn no_text_makes_the_scanner_panic(text in "[{}\\[\\]\",:\\\\a0-9tfnu .eE+-]{0,60}") {
        let _ = scan(&text, "/\"a\"[0]/\"b\"");
        let _ = scan(&text, "/[1]");
    }
}
