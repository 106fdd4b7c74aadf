//! The schemas say what the parsers say.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use authoring::schema;
use dsm::diagnostic::{Code, Diagnostics, SourceFile};
use dsm::lsx::schema::{Attribute, OURS, Takes, attributes};
use dsm::{lsx, manifest};
use serde_json::Value;
use std::path::Path;

fn extension(pattern: &str, group: &str, leaf: &str) -> Diagnostics {
    let text = format!(
        "<ns2:device-extension xmlns:ns2=\"event_parsing/device_extension\" xmlns:dsmith=\"urn:dsmith:lsx:1\">\n<pattern {pattern}><![CDATA[x]]></pattern>\n<match-group {group}>\n{leaf}\n</match-group>\n</ns2:device-extension>"
    );
    lsx::parse(&SourceFile::new("x.xml", text)).1
}

/// A value that an attribute takes, and one that it does not, if there is one.
fn samples(takes: Takes) -> (Vec<&'static str>, Option<&'static str>) {
    match takes {
        Takes::Text | Takes::Id | Takes::Reference => (vec!["x"], None),
        Takes::Field => (vec!["EventName", "My Own"], None),
        Takes::Boolean => (vec!["true", "false", "1", "0"], Some("yes")),
        Takes::Order => (vec!["1", "77"], Some("0")),
        Takes::Number => (vec!["0", "4001"], Some("x")),
        Takes::Severity => (vec!["1", "10"], Some("11")),
        Takes::PatternType => (takes.values(), Some("Regex")),
        Takes::SendIdentity => (takes.values(), Some("Always")),
        Takes::Hits => (takes.values(), Some("last")),
    }
}

fn written(
    list: &[Attribute],
    prefix: &str,
    but: Option<&str>,
    only: Option<(&str, &str)>,
) -> String {
    list.iter()
        .filter(|attribute| Some(attribute.name) != but)
        .map(|attribute| {
            let value = match only {
                Some((name, value)) if name == attribute.name => value,
                _ => samples(attribute.takes).0[0],
            };
            format!("{prefix}{}=\"{value}\" ", attribute.name)
        })
        .collect()
}

/// The findings for an element with these attributes, all others being as they should be.
fn findings(element: &str, written_as: &str) -> Diagnostics {
    let pattern = "id=\"x\"";
    let group = "order=\"1\"";
    match element {
        "pattern" => extension(written_as, group, ""),
        "match-group" => extension(pattern, written_as, ""),
        leaf => extension(pattern, group, &format!("<{leaf} {written_as}/>")),
    }
}

#[test]
fn the_parser_takes_every_attribute_of_the_schema_and_no_other_value() {
    let mut count = 0;
    for element in schema::leaves().chain(["pattern", "match-group"]) {
        let list = attributes(element);
        let complain = |text: &str| findings(element, text);
        assert!(
            complain(&written(list, "", None, None)).is_empty(),
            "{element}"
        );
        let unknown = complain(&(written(list, "", None, None) + "foreign=\"x\""));
        assert!(
            unknown
                .iter()
                .any(|finding| finding.code == Code::AttributeUnknown),
            "{element}"
        );
        for attribute in list {
            let name = attribute.name;
            let missing = complain(&written(list, "", Some(name), None));
            assert_eq!(!missing.is_empty(), attribute.required, "{element} {name}");
            let (good, bad) = samples(attribute.takes);
            for value in good {
                let found = complain(&written(list, "", None, Some((name, value))));
                assert!(found.is_empty(), "{element} {name}={value} {found:?}");
            }
            if let Some(bad) = bad {
                let found = complain(&written(list, "", None, Some((name, bad))));
                assert!(!found.is_empty(), "{element} {name}={bad}");
            }
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
    let json = "id=\"x\" type=\"JsonKeypath\" ";
    for attribute in OURS {
        let (good, bad) = samples(attribute.takes);
        for value in good {
            let text =
                json.to_owned() + &written(OURS, "dsmith:", None, Some((attribute.name, value)));
            assert!(findings("pattern", &text).is_empty(), "{text}");
        }
        if let Some(bad) = bad {
            let text =
                json.to_owned() + &written(OURS, "dsmith:", None, Some((attribute.name, bad)));
            assert!(!findings("pattern", &text).is_empty(), "{text}");
        }
    }
}

#[test]
fn the_xml_schemas_are_well_formed_and_name_every_element_and_attribute() {
    for (text, names) in [(schema::extension(), true), (schema::ours(), false)] {
        let mut reader = quick_xml::Reader::from_str(&text);
        let mut declared = Vec::new();
        loop {
            match reader.read_event().unwrap() {
                quick_xml::events::Event::Eof => break,
                quick_xml::events::Event::Start(tag) | quick_xml::events::Event::Empty(tag) => {
                    for attribute in tag.attributes() {
                        let attribute = attribute.unwrap();
                        if attribute.key.into_inner() == "name" {
                            declared.push(attribute.value.to_string());
                        }
                    }
                }
                _ => {}
            }
        }
        let wanted: Vec<&str> = if names {
            schema::leaves()
                .chain(["device-extension", "pattern", "match-group"])
                .chain(
                    schema::leaves().flat_map(|element| attributes(element).iter().map(|a| a.name)),
                )
                .collect()
        } else {
            OURS.iter().map(|attribute| attribute.name).collect()
        };
        for name in wanted {
            assert!(declared.iter().any(|declared| declared == name), "{name}");
        }
    }
}

/// The part of JSON Schema that ours uses.
fn is_valid(schema: &Value, value: &Value) -> bool {
    if let Some(allowed) = schema.as_bool() {
        return allowed;
    }
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("{other}"),
    };
    let typed = match &schema["type"] {
        Value::Null => true,
        Value::String(kind) => is(kind),
        Value::Array(kinds) => kinds.iter().any(|kind| is(kind.as_str().unwrap())),
        other => panic!("{other}"),
    };
    let listed = schema["enum"]
        .as_array()
        .is_none_or(|values| values.contains(value));
    let constant = schema.get("const").is_none_or(|constant| constant == value);
    let minimum = schema["minimum"]
        .as_i64()
        .is_none_or(|minimum| value.as_i64().is_none_or(|value| value >= minimum));
    let any = schema["anyOf"]
        .as_array()
        .is_none_or(|all| all.iter().any(|schema| is_valid(schema, value)));
    let not = schema
        .get("not")
        .is_none_or(|schema| !is_valid(schema, value));
    let conditions = schema["allOf"].as_array().into_iter().flatten();
    let all = conditions.fold(true, |all, schema| all & is_valid(schema, value));
    let then = schema
        .get("if")
        .is_none_or(|condition| !is_valid(condition, value) || is_valid(&schema["then"], value));
    let mut valid = typed && listed && constant && minimum && any && not && all && then;
    if let Some(object) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten() {
            valid &= object.contains_key(name.as_str().unwrap());
        }
        for (name, value) in object {
            valid &= match schema["properties"].get(name) {
                Some(schema) => is_valid(schema, value),
                None => schema["additionalProperties"] != Value::Bool(false),
            };
        }
    }
    if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
        valid &= list.iter().all(|value| is_valid(items, value));
    }
    valid
}

const FULL: &str = r#"format = 1
name = "Acme"
description = "one line"
log_source_type_id = 4001
[leef]
vendor = "Acme"
product = "Firewall"
version = "1.0"
[autodetection]
precedence = 5
[[autodetection.rule]]
keypaths = ['/"id"']
patterns = ['a']
[options]
json-null = "text"
time-zone = "Europe/Berlin"
[[property]]
name = "Rule Name"
type = "time"
leef_key = "ruleName"
description = "name of the rule"
datetime_format = "yyyy"
[[allow]]
lint = "DSM106"
at = ["pattern/A"]
reason = "it is so"
"#;

#[test]
fn the_schema_of_the_manifest_and_its_reader_agree() {
    let schema: Value = serde_json::from_str(&schema::manifest()).unwrap();
    let agree = |text: &str| {
        let value: Value = toml::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let (_, findings) = manifest::parse(&SourceFile::new("manifest.toml", text));
        assert_eq!(
            is_valid(&schema, &value),
            !findings.has_errors(),
            "{text}\n{findings:?}"
        );
        !findings.has_errors()
    };
    assert!(agree(FULL));
    // Each line away, each value of another type, and a foreign key in each table.
    let mut refused = 0;
    let lines: Vec<&str> = FULL.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let with = |new: Option<String>| {
            let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            match new {
                Some(new) => changed[at] = new,
                None => {
                    changed.remove(at);
                }
            }
            changed.join("\n")
        };
        if let Some((key, value)) = line.split_once(" = ") {
            refused += usize::from(!agree(&with(None)));
            let other = if value.starts_with(|c: char| c.is_ascii_digit()) {
                "\"x\""
            } else {
                "true"
            };
            refused += usize::from(!agree(&with(Some(format!("{key} = {other}")))));
            refused += usize::from(!agree(&with(Some(format!("{key}-x = {value}")))));
        } else {
            refused += usize::from(!agree(&with(Some(format!("{line}\nforeign = 1")))));
        }
    }
    for (from, to) in [
        ("format = 1", "format = 2"),
        ("\"time\"", "\"text\""),
        ("DSM106", "DSM006"),
        ("\"text\"", "\"maybe\""),
        ("4001", "-1"),
    ] {
        assert!(!agree(&FULL.replace(from, to)), "{to}");
    }
    assert!(refused > 30, "{refused}");
    for option in schema["properties"]["options"]["properties"]
        .as_object()
        .unwrap()
    {
        for value in option.1["enum"].as_array().into_iter().flatten() {
            let text = FULL.replace("json-null = \"text\"", &format!("{} = {value}", option.0));
            assert!(agree(&text), "{text}");
        }
    }
}

#[test]
fn the_shipped_manifests_follow_the_schema() {
    let schema: Value = serde_json::from_str(&schema::manifest()).unwrap();
    let mappings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dsm-mappings");
    for folder in authoring::folder::folders(&mappings).unwrap() {
        let text = std::fs::read_to_string(folder.join("manifest.toml")).unwrap();
        assert!(
            is_valid(&schema, &toml::from_str(&text).unwrap()),
            "{}",
            folder.display()
        );
    }
}
