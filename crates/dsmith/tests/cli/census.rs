//! `dsmith census`: what a corpus holds that the mapping or the fixtures do not know.

use crate::support::{Folder, Ran, command, feed};
use serde_json::Value;
use std::fs;

const EXTENSION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ns2:device-extension xmlns:ns2="event_parsing/device_extension" xmlns:dsmith="urn:dsmith:lsx:1">
  <pattern id="Action" type="JsonKeypath"><![CDATA[/"acme"]]></pattern>
  <pattern id="Kind"><![CDATA["level"\s*:\s*"(\w+)"]]></pattern>
  <pattern id="Device" type="JsonKeypath" dsmith:hits="first"><![CDATA[/"things"[?"kind"="device"]/"name"]]></pattern>
  <pattern id="Detail" type="JsonKeypath"><![CDATA[/"detail"]]></pattern>
  <pattern id="Host" type="JsonKeypath" dsmith:within="Detail"><![CDATA[/"host"]]></pattern>
  <match-group order="1" description="cloud">
    <json-matcher field="EventName" order="1" pattern-id="Action"/>
    <matcher field="EventCategory" order="1" pattern-id="Kind" capture-group="1"/>
    <json-matcher field="Device" order="1" pattern-id="Device"/>
    <json-matcher field="HostName" order="1" pattern-id="Host"/>
  </match-group>
</ns2:device-extension>
"#;

fn folder() -> Folder {
    let folder = Folder::with_devices(EXTENSION);
    folder.file(
        "fixtures/acme-cloud/json/login.json",
        r#"{"acme":"login","level":"low","things":[{"kind":"device","name":"pc"}],"detail":"{\"host\":\"a\"}"}
{"acme":"login","level":"low"}
{"acme":"login","level":"high","things":[{"kind":"app","name":"x"}]}
"#,
    );
    folder
}

const CORPUS: &str = r#"{"acme":"login","level":"low","things":[{"kind":"device","name":"pc"},{"kind":"robot","arm":2}]}
{"acme":"login","level":"severe","detail":"{\"host\":\"a\",\"os\":\"x\"}"}
{"acme":"reboot","level":"low","extra":{"n":1}}
{"acme":"login","level":"low","extra":{"n":null}}
"#;

fn census(folder: &Folder, args: &[&str]) -> Ran {
    let args = [&["census", "acme-cloud", "--corpus", "corpus.ndjson"], args].concat();
    feed(command(&args).current_dir(folder.path()), b"")
}

fn records<'v>(events: &'v [Value], what: &str) -> Vec<&'v Value> {
    let records = events.iter().filter(|record| record["record"] == what);
    records.collect()
}

#[test]
fn every_path_is_told_with_how_often_which_types_and_whether_it_is_read_and_new() {
    let folder = folder();
    folder.file("corpus.ndjson", CORPUS);
    let events = census(&folder, &["-f", "json"]).exits_with(0).events();
    let paths = records(&events, "path");
    for (path, count, read, is_new) in [
        (r#"/"acme""#, 4, "yes", false),
        // A regular expression over the payload reads it.
        (r#"/"level""#, 4, "by regex", false),
        (r#"/"things"[?"kind"="device"]/"name""#, 1, "yes", false),
        (
            r#"/"things"[?"kind"="device"]/"kind""#,
            1,
            "compared",
            false,
        ),
        (r#"/"things"[?"kind"="robot"]/"arm""#, 1, "no", true),
        (r#"/"detail""#, 1, "yes", false),
        (r#"/"detail" > /"host""#, 1, "yes", false),
        (r#"/"detail" > /"os""#, 1, "as part", true),
        (r#"/"extra"/"n""#, 2, "no", true),
    ] {
        let found = paths.iter().find(|record| record["path"] == path);
        let found = found.unwrap_or_else(|| panic!("{path}: {paths:#?}"));
        assert_eq!(found["count"], count, "{path}");
        assert_eq!(found["read"], read, "{path}");
        assert_eq!(found["isNew"], is_new, "{path}");
    }
    let extra = paths
        .iter()
        .find(|r| r["path"] == r#"/"extra"/"n""#)
        .unwrap();
    assert_eq!(extra["types"], serde_json::json!({"number": 1, "null": 1}));
    assert_eq!(extra["examples"], serde_json::json!(["1"]));
    // What is not read comes first, the most frequent before the others.
    assert_eq!(paths[0]["path"], r#"/"extra"/"n""#);
}

#[test]
fn new_members_new_kinds_and_events_without_a_qid_are_told() {
    let folder = folder();
    folder.file("corpus.ndjson", CORPUS);
    let events = census(&folder, &["-f", "json"]).events();
    let members = records(&events, "member");
    let values: Vec<_> = members
        .iter()
        .map(|record| record["value"].as_str().unwrap())
        .collect();
    assert_eq!(values, ["reboot", "severe"]);
    let kinds = records(&events, "kind");
    assert_eq!(kinds.len(), 1);
    assert_eq!(
        (&kinds[0]["member"], &kinds[0]["kind"]),
        (&"kind".into(), &"robot".into())
    );
    let unmapped = records(&events, "unmapped");
    assert_eq!(unmapped.len(), 1);
    assert_eq!(unmapped[0]["eventId"], "reboot");
    let text = census(&folder, &[]).exits_with(0).out;
    for words in [
        "events without a QID",
        "robot",
        "severe",
        "not read by the mapping",
        "3 mapped, 1 unknown, 0 stored",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn the_fixtures_themselves_hold_nothing_new() {
    let folder = folder();
    fs::copy(
        folder.at("fixtures/acme-cloud/json/login.json"),
        folder.at("corpus.ndjson"),
    )
    .unwrap();
    let events = census(&folder, &["-f", "json", "--capture"])
        .exits_with(0)
        .events();
    assert!(
        records(&events, "path")
            .iter()
            .all(|path| path["isNew"] == false)
    );
    for what in ["member", "kind", "unmapped"] {
        assert_eq!(records(&events, what).len(), 0, "{what}");
    }
    assert!(!folder.path().join("fixtures/acme-cloud/captured").exists());
}

#[test]
fn a_payload_of_each_novelty_is_captured_once_as_received() {
    let folder = folder();
    folder.file("corpus.ndjson", [CORPUS, CORPUS].concat());
    census(&folder, &["--capture"])
        .exits_with(0)
        .says(&["warning", "as received"]);
    let captured = folder.path().join("fixtures/acme-cloud/captured");
    let mut names: Vec<String> = fs::read_dir(&captured)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 3, "{names:?}");
    let texts: Vec<String> = names
        .iter()
        .map(|name| fs::read_to_string(captured.join(name)).unwrap())
        .collect();
    for line in CORPUS.split_inclusive('\n').take(3) {
        assert!(texts.iter().any(|text| text == line), "{line}: {texts:?}");
    }
    // They are fixtures now, and nothing is new any more.
    let ran = census(&folder, &["--capture"]).exits_with(0);
    assert!(!ran.err.contains("wrote"), "{ran:?}");
    assert_eq!(fs::read_dir(&captured).unwrap().count(), 3);
}

#[test]
fn no_more_than_asked_for_is_captured_and_nothing_is_written_over() {
    let folder = folder();
    folder.file("corpus.ndjson", CORPUS);
    let ran = census(&folder, &["--capture", "--most", "1"]).exits_with(0);
    assert_eq!(ran.err.matches("wrote ").count(), 1, "{ran:?}");
    census(&folder, &["--most", "1"]).exits_with(64);
}

#[test]
fn keys_of_text_are_counted_too() {
    let folder = folder();
    folder.file(
        "corpus.ndjson",
        "<13>x acme: user=ann src=192.0.2.1\n<13>x acme: user=bob\nno keys\n",
    );
    let events = census(&folder, &["-f", "json"]).exits_with(0).events();
    let paths = records(&events, "path");
    let user = paths
        .iter()
        .find(|record| record["path"] == "user")
        .unwrap();
    assert_eq!((&user["count"], &user["read"]), (&2.into(), &"no".into()));
    assert_eq!(events.last().unwrap()["shapeless"], 1);
}

#[test]
fn names_used_as_data_do_not_fill_the_memory() {
    let folder = folder();
    let mut corpus = String::new();
    for number in 0..30_000 {
        corpus.push_str(&format!(
            "{{\"acme\":\"login\",\"id-{number}\":\"value {number}\"}}\n"
        ));
    }
    folder.file("corpus.ndjson", corpus);
    let events = census(&folder, &["-f", "json"]).exits_with(0).events();
    assert_eq!(records(&events, "path").len(), 20_000);
    assert_eq!(events.last().unwrap()["beyond"], 10_001);
}
