//! `dsmith coverage`: which branches fixtures reach.

use crate::support::{Folder, Ran, command, feed, repository};
use serde_json::Value;
use std::fs;

const EXTENSION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ns2:device-extension xmlns:ns2="event_parsing/device_extension" xmlns:dsmith="urn:dsmith:lsx:1">
  <pattern id="Action" type="JsonKeypath"><![CDATA[/"acme"]]></pattern>
  <pattern id="User" type="JsonKeypath"><![CDATA[/"user"]]></pattern>
  <pattern id="Account" type="JsonKeypath"><![CDATA[/"account"]]></pattern>
  <pattern id="Device" type="JsonKeypath" dsmith:hits="first"><![CDATA[/"things"[?"kind"="device"]/"name"]]></pattern>
  <pattern id="Door"><![CDATA[^door (\w+)]]></pattern>
  <match-group order="1" description="cloud">
    <json-matcher field="EventName" order="1" pattern-id="Action"/>
    <json-matcher field="UserName" order="1" pattern-id="User"/>
    <json-matcher field="UserName" order="2" pattern-id="Account"/>
    <json-matcher field="Device" order="1" pattern-id="Device"/>
    <event-match-single event-name="login" severity="3"/>
  </match-group>
  <match-group order="2" description="door">
    <matcher field="EventName" order="1" pattern-id="Door" capture-group="1"/>
  </match-group>
</ns2:device-extension>
"#;

/// A mapping with a branch of every kind, of which one fixture reaches all but the second group and the account.
fn folder() -> Folder {
    let folder = Folder::with_devices(EXTENSION);
    folder.file(
        "fixtures/acme-cloud/json/login.json",
        r#"{"acme":"login","user":"ann","things":[{"kind":"app","name":"x"},{"kind":"device","name":"pc"}]}
{"acme":"login","user":"bob"}
"#,
    );
    folder
}

fn coverage(folder: &Folder, args: &[&str]) -> Ran {
    let args = [&["coverage", "acme-cloud"], args].concat();
    feed(command(&args).current_dir(folder.path()), b"")
}

fn branch<'v>(report: &'v Value, id: &str) -> &'v Value {
    let all = report["coverage"].as_array().unwrap();
    let found = all.iter().find(|branch| branch["id"] == id);
    found.unwrap_or_else(|| panic!("{id} in {report:#}"))
}

#[test]
fn every_kind_of_branch_is_counted_with_its_hits_its_place_and_its_fixtures() {
    let ran = coverage(&folder(), &["--format", "json"]).exits_with(0);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    for (id, kind, hits, line) in [
        ("group/1", "match group", 2, 8),
        ("group/2", "match group", 0, 15),
        ("group/1/EventName/1", "matcher", 2, 9),
        ("group/1/UserName/1", "order alternative", 2, 10),
        ("group/1/UserName/2", "order alternative", 0, 11),
        ("group/1/event-match-single/login", "event match", 2, 13),
        ("pattern/Device/filter/1", "key path filter", 1, 6),
        ("property/Device", "custom property", 1, 17),
        ("qid/2480001", "QID", 2, 2),
        ("event-mapping/login|", "event mapping", 2, 2),
    ] {
        let branch = branch(&report, id);
        assert_eq!(branch["kind"], kind, "{id}");
        assert_eq!(branch["hits"], hits, "{id}");
        assert_eq!(branch["line"], line, "{id}");
        let fixtures: &[&str] = if hits > 0 { &["json/login.json"] } else { &[] };
        assert_eq!(branch["fixtures"], serde_json::json!(fixtures), "{id}");
    }
    assert_eq!(report["branches"], 12);
    assert_eq!(report["reached"], 9);
    assert_eq!(report["percent"], 75.0);
}

#[test]
fn what_no_fixture_reaches_is_listed_and_needs_a_reason_that_is_true() {
    let folder = folder();
    let ran = coverage(&folder, &[]);
    for words in [
        "75.0 % of branches reached",
        "extension.xml:15  group/2",
        "no reason is given",
        "order alternative  1 of 2",
    ] {
        assert!(ran.out.contains(words), "{words}: {ran:?}");
    }
    folder.file(
        "fixtures/acme-cloud/unreached.txt",
        "# The list may only shrink.\n\n# only old firmware\n# writes it\ngroup/2\ngroup/2/EventName/1\n\n# nobody has one\ngroup/1/UserName/2\n",
    );
    let ran = coverage(&folder, &[]).exits_with(0);
    assert_eq!(
        ran.out
            .matches("because: only old firmware writes it")
            .count(),
        2
    );
    assert!(!ran.out.contains("no reason"), "{ran:?}");

    folder.file("fixtures/acme-cloud/json/door.log", "door opened\n");
    let ran = coverage(&folder, &[]).exits_with(1);
    assert_eq!(ran.err.matches("DSM074").count(), 2, "{ran:?}");
    assert!(ran.err.contains("`group/2` is reached"), "{ran:?}");
}

#[test]
fn less_than_the_minimum_fails() {
    let folder = folder();
    folder.file(
        "fixtures/acme-cloud/unreached.txt",
        "# r\ngroup/2\ngroup/2/EventName/1\ngroup/1/UserName/2\n",
    );
    coverage(&folder, &["--min", "75"]).exits_with(0);
    coverage(&folder, &["--min", "75.1%"])
        .exits_with(1)
        .says(&["75.00 %", "less than 75.1 %"]);
    coverage(&folder, &["--min", "101"]).exits_with(64);
}

#[test]
fn a_corpus_is_counted_beside_the_fixtures_and_is_no_evidence() {
    let folder = folder();
    folder.file("corpus/a.log", "door opened\ndoor closed\n");
    folder.file("corpus/b.json", r#"{"acme":"x","account":"cy"}"#);
    let ran = coverage(&folder, &["--corpus", "corpus", "-f", "json"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["reached"], 9);
    assert_eq!(report["corpusPayloads"], 3);
    let door = branch(&report, "group/2");
    assert_eq!((&door["hits"], &door["corpusHits"]), (&0.into(), &2.into()));
    assert_eq!(door["firstInCorpus"]["offset"], 0);
    let ran = coverage(&folder, &["--corpus", "corpus"]);
    assert!(ran.out.contains("make it a fixture"), "{ran:?}");
    assert!(ran.out.contains("3 of them by no fixture"), "{ran:?}");
    coverage(&folder, &["--corpus", "nowhere"])
        .exits_with(1)
        .says(&["nowhere", "No such file"]);
}

#[test]
fn cobertura_has_each_line_with_its_hits_and_how_many_of_its_branches() {
    let ran = coverage(&folder(), &["-f", "cobertura"]);
    for words in [
        "<coverage line-rate=\"0.7500\" branch-rate=\"0.7500\"",
        "filename=\"dsm-mappings/acme-cloud/extension.xml\"",
        "<line number=\"10\" hits=\"2\"/>",
        "<line number=\"11\" hits=\"0\"/>",
        "filename=\"dsm-mappings/acme-cloud/qidmap.csv\"",
    ] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    assert_eq!(ran.out.matches("<class ").count(), 4);
}

#[test]
fn the_page_shows_the_files_with_their_lines_coloured() {
    let folder = folder();
    let ran = coverage(&folder, &["-f", "html", "-o", "coverage.html"]);
    assert_eq!(ran.out, "");
    let page = fs::read_to_string(folder.at("coverage.html")).unwrap();
    let line = |number: u32| {
        let id = format!("id=\"extension.xml-{number}\"");
        let found = page.lines().find(|line| line.contains(&id));
        found.unwrap_or_else(|| panic!("{id}: {page}"))
    };
    assert!(line(10).starts_with("<tr class=\"hit\""), "{}", line(10));
    assert!(line(10).contains("&lt;json-matcher field=&quot;UserName&quot;"));
    assert!(line(10).contains("json/login.json"));
    assert!(line(11).starts_with("<tr class=\"miss\""), "{}", line(11));
    assert!(line(1).starts_with("<tr class=\"\""), "{}", line(1));
    // A pattern is as good as the matchers that use it.
    assert!(line(4).starts_with("<tr class=\"hit\""), "{}", line(4));
    assert!(line(5).starts_with("<tr class=\"miss\""), "{}", line(5));
    assert!(
        !page.contains("<script") && !page.contains("http"),
        "it needs nothing else"
    );
}

#[test]
fn the_mappings_of_the_repository_reach_95_percent_with_a_reason_for_the_rest() {
    for slug in [
        "microsoft-365-defender",
        "openssh-server",
        "example-vpn",
        "example-web-gateway",
    ] {
        let args = ["coverage", slug, "--min", "95"];
        feed(command(&args).current_dir(repository()), b"").exits_with(0);
    }
}

#[test]
fn a_type_that_does_not_exist_is_a_wrong_command_line() {
    let folder = folder();
    feed(
        command(&["coverage", "acme-clod"]).current_dir(folder.path()),
        b"",
    )
    .exits_with(64)
    .says(&["acme-clod", "did you mean `acme-cloud`?"]);
}
