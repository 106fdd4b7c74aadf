//! What `cargo xtask validate` says about the evidence of a mapping, one fault at a time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use authoring::render::{Format, render};
use authoring::suite::{Outcome, Selection, Suite, Verdict, junit};
use dsm::diagnostic::{Code, Diagnostic};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

const MANIFEST: &str = r#"format = 1
name = "Acme Door"
description = "a door of an invented vendor"
log_source_type_id = 4999

[leef]
vendor = "Acme"
product = "Door"
version = "1.0"

[autodetection]
precedence = 7
[[autodetection.rule]]
patterns = ['\bacme-door: ']
"#;

const EXTENSION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ns2:device-extension xmlns:ns2="event_parsing/device_extension">
  <pattern id="Action"><![CDATA[acme-door: (\w+)]]></pattern>
  <pattern id="Kind"><![CDATA[acme-door: ]]></pattern>
  <pattern id="User"><![CDATA[ by (\w+)]]></pattern>
  <match-group order="1" description="door">
    <matcher field="EventName" order="1" pattern-id="Action" capture-group="1"/>
    <matcher field="EventCategory" order="1" pattern-id="Kind" capture-group="door" enable-substitutions="true"/>
    <matcher field="UserName" order="1" pattern-id="User" capture-group="1"/>
  </match-group>
</ns2:device-extension>
"#;

const QIDMAP: &str = "qid,name,description,severity,lowlevelcategory
2490001,Door Opened,A door was opened,1,3021
2490002,Door Forced,A door was forced,8,3022
";

const EVENT_MAPPINGS: &str = "event_id,event_category,qid
opened,door,2490001
forced,door,2490002
";

/// A mapping with complete evidence in a folder of its own, which goes away with it.
struct Workshop(PathBuf);

impl Workshop {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "suite-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let workshop = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        workshop.write("dsm-mappings/acme-door/manifest.toml", MANIFEST);
        workshop.write("dsm-mappings/acme-door/extension.xml", EXTENSION);
        workshop.write("dsm-mappings/acme-door/qidmap.csv", QIDMAP);
        workshop.write("dsm-mappings/acme-door/event-mappings.csv", EVENT_MAPPINGS);
        workshop.write("dsm-mappings/acme-door/README.md", "# Acme Door\n");
        workshop.write(
            "fixtures/acme-door/text/opened.log",
            "acme-door: opened by ann\n",
        );
        workshop.write(
            "fixtures/acme-door/text/forced.log",
            "acme-door: forced by bob\n",
        );
        workshop.accept();
        assert!(workshop.run().passed(), "the start is without findings");
        workshop
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.path(path)).unwrap();
    }

    /// Replaces a text that occurs once.
    fn edit(&self, path: &str, old: &str, new: &str) {
        let text = self.read(path);
        assert_eq!(text.matches(old).count(), 1, "{old} in {path}");
        self.write(path, text.replace(old, new));
    }

    fn suite(&self) -> Suite {
        Suite {
            mappings: self.path("dsm-mappings"),
            fixtures: self.path("fixtures"),
            selection: Selection::default(),
            accept: false,
            accept_unreached: false,
            strict: true,
        }
    }

    fn run(&self) -> Outcome {
        self.suite().run().unwrap()
    }

    fn accept(&self) -> Outcome {
        Suite {
            accept: true,
            ..self.suite()
        }
        .run()
        .unwrap()
    }

    fn accept_unreached(&self) -> Outcome {
        Suite {
            accept_unreached: true,
            ..self.suite()
        }
        .run()
        .unwrap()
    }

    /// The only finding, after it was made sure that it has this code and fails the run.
    fn finding(&self, code: &str) -> Diagnostic {
        only(self.run(), code)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[track_caller]
fn only(outcome: Outcome, code: &str) -> Diagnostic {
    assert!(!outcome.passed());
    let text = render(&outcome.findings, Format::Human, false);
    let mut findings: Vec<Diagnostic> = outcome.findings.into_iter().collect();
    assert_eq!(findings.len(), 1, "{text}");
    let finding = findings.remove(0);
    assert_eq!(finding.code, Code::from_number(code).unwrap(), "{text}");
    finding
}

/// `path:line` of each place that a finding names, with the path from the top of the workshop.
fn places(workshop: &Workshop, finding: &Diagnostic) -> Vec<String> {
    finding
        .labels
        .iter()
        .map(|label| {
            let path = Path::new(&label.file.name)
                .strip_prefix(&workshop.0)
                .unwrap();
            let (line, _) = label.file.line_column(label.span.start);
            format!("{}:{line}", path.display())
        })
        .collect()
}

#[test]
fn a_deleted_snapshot_is_an_error_that_names_the_fixture_and_the_snapshot() {
    let workshop = Workshop::new();
    workshop.remove("fixtures/acme-door/text/opened.log.snap");
    let finding = workshop.finding("DSM070");
    assert_eq!(
        places(&workshop, &finding),
        ["fixtures/acme-door/text/opened.log:1"]
    );
    assert!(
        finding.message.contains("opened.log.snap"),
        "{}",
        finding.message
    );
    assert!(finding.help.contains("--accept"), "{}", finding.help);
}

#[test]
fn a_snapshot_without_its_fixture_is_an_error_that_names_it() {
    let workshop = Workshop::new();
    workshop.write("fixtures/acme-door/text/gone.log.snap", "---\n---\nx\n");
    let finding = workshop.finding("DSM071");
    assert_eq!(
        places(&workshop, &finding),
        ["fixtures/acme-door/text/gone.log.snap:1"]
    );
}

#[test]
fn a_changed_severity_is_shown_in_the_snapshot_and_in_the_qid_map() {
    let workshop = Workshop::new();
    workshop.edit(
        "dsm-mappings/acme-door/qidmap.csv",
        "A door was forced,8,",
        "A door was forced,9,",
    );
    let snapshot = workshop.read("fixtures/acme-door/text/forced.log.snap");
    let line = 1 + snapshot
        .lines()
        .position(|line| line.starts_with("severity"))
        .unwrap();
    let outcome = workshop.run();
    assert_eq!(outcome.differences().count(), 1);
    let diff = outcome.differences().next().unwrap().diff.clone();
    assert!(
        diff.contains("- severity        8\n+ severity        9\n"),
        "{diff}"
    );
    let finding = only(outcome, "DSM072");
    assert_eq!(
        places(&workshop, &finding),
        [
            format!("fixtures/acme-door/text/forced.log.snap:{line}"),
            "dsm-mappings/acme-door/qidmap.csv:3".to_owned(),
        ]
    );
    assert!(finding.labels[0].text.contains("severity        9"));
}

#[test]
fn accepting_rewrites_the_snapshot_and_the_next_run_has_no_findings() {
    let workshop = Workshop::new();
    workshop.edit(
        "dsm-mappings/acme-door/qidmap.csv",
        "Door Forced",
        "Door Broken",
    );
    let outcome = workshop.accept();
    assert!(outcome.passed());
    assert_eq!(
        outcome.written,
        [workshop.path("fixtures/acme-door/text/forced.log.snap")]
    );
    assert!(workshop.run().passed());
}

#[test]
fn a_pattern_that_nothing_uses_fails_the_run_and_is_pointed_at() {
    let workshop = Workshop::new();
    workshop.edit(
        "dsm-mappings/acme-door/extension.xml",
        "  <match-group",
        "  <pattern id=\"Spare\"><![CDATA[x]]></pattern>\n  <match-group",
    );
    let finding = workshop.finding("DSM021");
    assert_eq!(
        places(&workshop, &finding),
        ["dsm-mappings/acme-door/extension.xml:6"]
    );
    assert!(finding.message.contains("Spare"), "{}", finding.message);
}

#[test]
fn a_branch_that_no_fixture_reaches_is_an_error_at_its_line_in_the_mapping() {
    let workshop = Workshop::new();
    workshop.edit(
        "dsm-mappings/acme-door/event-mappings.csv",
        "forced,door",
        "held,door,2490002\nforced,door",
    );
    let finding = workshop.finding("DSM073");
    assert_eq!(
        places(&workshop, &finding),
        ["dsm-mappings/acme-door/event-mappings.csv:3"]
    );
    assert!(finding.message.contains("held"), "{}", finding.message);
}

#[test]
fn accepting_snapshots_does_not_excuse_a_branch_that_no_fixture_reaches() {
    let workshop = Workshop::new();
    workshop.edit(
        "dsm-mappings/acme-door/event-mappings.csv",
        "forced,door",
        "held,door,2490002\nforced,door",
    );
    let outcome = workshop.accept();
    assert_eq!(outcome.written, Vec::<PathBuf>::new());
    only(outcome, "DSM073");
    assert!(!workshop.path("fixtures/acme-door/unreached.txt").exists());
}

#[test]
fn an_unreached_branch_is_excused_only_by_asking_for_it_and_by_giving_a_reason() {
    let workshop = Workshop::new();
    workshop.edit(
        "dsm-mappings/acme-door/event-mappings.csv",
        "forced,door",
        "held,door,2490002\nforced,door",
    );
    let list = "fixtures/acme-door/unreached.txt";
    let outcome = workshop.accept_unreached();
    assert_eq!(outcome.written, [workshop.path(list)]);
    // The list alone is no excuse.
    let finding = only(outcome, "DSM073");
    assert_eq!(places(&workshop, &finding), [format!("{list}:3")]);
    assert!(
        workshop
            .read(list)
            .ends_with("\n\n# reason?\nevent-mapping/held|door\n"),
        "{}",
        workshop.read(list)
    );
    workshop.edit(list, "# reason?", "# nobody has seen one yet");
    assert!(workshop.run().passed());
}

#[test]
fn a_branch_that_is_listed_but_reached_is_an_error_until_the_list_is_accepted() {
    let workshop = Workshop::new();
    let list = "fixtures/acme-door/unreached.txt";
    workshop.edit(
        "dsm-mappings/acme-door/event-mappings.csv",
        "forced,door",
        "held,door,2490002\nforced,door",
    );
    workshop.write(
        list,
        "# Branches without evidence.\n\n# an excuse\nevent-mapping/held|door\n\n# another\nevent-mapping/opened|door\n",
    );
    let finding = workshop.finding("DSM074");
    assert_eq!(places(&workshop, &finding), [format!("{list}:7")]);
    assert!(workshop.accept().passed());
    assert_eq!(
        workshop.read(list),
        "# Branches without evidence.\n\n# an excuse\nevent-mapping/held|door\n"
    );

    // The last line takes the list with it.
    workshop.write(
        "fixtures/acme-door/text/held.log",
        "acme-door: held by cy\n",
    );
    assert!(workshop.accept().passed());
    assert!(!workshop.path(list).exists());
}

#[test]
fn a_mapping_without_fixtures_is_an_error_that_says_where_to_put_them() {
    let workshop = Workshop::new();
    fs::remove_dir_all(workshop.path("fixtures/acme-door")).unwrap();
    let outcome = workshop.run();
    assert!(!outcome.passed());
    let finding = outcome
        .findings
        .iter()
        .find(|finding| finding.code == Code::FixturesMissing)
        .unwrap();
    assert_eq!(finding.code.as_str(), "DSM075");
    assert_eq!(places(&workshop, finding), ["fixtures/acme-door:1"]);
    assert!(finding.help.contains("<shape>"), "{}", finding.help);
}

#[test]
fn a_fixture_folder_without_a_mapping_is_an_error_that_names_it() {
    let workshop = Workshop::new();
    workshop.write("fixtures/acme-gate/text/opened.log", "x\n");
    // These belong to the tests of the engine.
    workshop.write("fixtures/_invalid/x/manifest.toml", "");
    let finding = workshop.finding("DSM076");
    assert_eq!(places(&workshop, &finding), ["fixtures/acme-gate:1"]);
}

#[test]
fn a_fixture_that_is_itself_broken_is_an_error_even_with_a_snapshot() {
    let workshop = Workshop::new();
    workshop.write("fixtures/acme-door/text/cut.json", "{\"a\": [1, 2\n");
    let finding = only(workshop.accept(), "DSM077");
    assert_eq!(
        places(&workshop, &finding),
        ["fixtures/acme-door/text/cut.json:1"]
    );
    assert!(
        finding.message.starts_with("byte 0: "),
        "{}",
        finding.message
    );
    workshop.finding("DSM077");
}

#[test]
fn two_mappings_of_one_precedence_are_an_error_with_both_places() {
    let workshop = Workshop::new();
    for name in fs::read_dir(workshop.path("dsm-mappings/acme-door")).unwrap() {
        let name = name.unwrap().file_name().into_string().unwrap();
        let text = workshop.read(&format!("dsm-mappings/acme-door/{name}"));
        let text = text.replace("249000", "249010").replace("4999", "4998");
        workshop.write(&format!("dsm-mappings/acme-gate/{name}"), text);
    }
    for name in ["opened", "forced"] {
        let text = workshop.read(&format!("fixtures/acme-door/text/{name}.log"));
        workshop.write(&format!("fixtures/acme-gate/text/{name}.log"), text);
    }
    let finding = only(workshop.accept(), "DSM064");
    let line = 1 + MANIFEST
        .lines()
        .position(|line| line.starts_with("precedence"))
        .unwrap();
    assert_eq!(
        places(&workshop, &finding),
        [
            format!("dsm-mappings/acme-gate/manifest.toml:{line}"),
            format!("dsm-mappings/acme-door/manifest.toml:{line}"),
        ]
    );
}

#[test]
fn only_the_type_that_was_asked_for_is_looked_at() {
    let workshop = Workshop::new();
    workshop.write("fixtures/acme-gate/text/opened.log", "x\n");
    workshop.write("dsm-mappings/acme-lift/manifest.toml", "");
    let suite = Suite {
        selection: Selection::of_type("acme-door"),
        ..workshop.suite()
    };
    let outcome = suite.run().unwrap();
    assert!(outcome.passed());
    assert_eq!(outcome.types.len(), 1);
    assert_eq!(outcome.types[0].fixtures, 2);
    let (reached, all) = outcome.types[0].reached.unwrap();
    assert_eq!(reached, all);
}

#[test]
fn a_change_is_told_by_event_and_property_with_the_matchers_it_came_from() {
    let workshop = Workshop::new();
    workshop.edit(
        "dsm-mappings/acme-door/extension.xml",
        r#"<matcher field="UserName" order="1" pattern-id="User" capture-group="1"/>"#,
        r#"<matcher field="UserName" order="3" pattern-id="Action" capture-group="1"/>"#,
    );
    workshop.edit(
        "dsm-mappings/acme-door/extension.xml",
        "  <pattern id=\"User\"><![CDATA[ by (\\w+)]]></pattern>\n",
        "",
    );
    let outcome = workshop.run();
    let changed: Vec<_> = outcome
        .differences()
        .flat_map(|difference| &difference.events)
        .flat_map(|event| &event.changes)
        .map(|change| {
            let [before, after] = &change.origins;
            let (old, new) = (change.old.as_deref(), change.new.as_deref());
            (
                change.what.as_str(),
                old,
                new,
                before.as_str(),
                after.as_str(),
            )
        })
        .collect();
    let (before, after) = ("group/1/UserName/1, bytes", "group/1/UserName/3, bytes");
    assert_eq!(
        changed,
        [
            (
                "UserName",
                Some("bob"),
                Some("forced"),
                format!("{before} 21..24").as_str(),
                format!("{after} 11..17").as_str()
            ),
            (
                "UserName",
                Some("ann"),
                Some("opened"),
                format!("{before} 21..24").as_str(),
                format!("{after} 11..17").as_str()
            ),
        ]
    );
}

/// The names of the fixtures that are run.
fn run_only(workshop: &Workshop, selection: Selection) -> (Vec<String>, Outcome) {
    let suite = Suite {
        selection,
        ..workshop.suite()
    };
    let outcome = suite.run().unwrap();
    let names = outcome.fixtures.iter().map(|f| f.name.clone()).collect();
    (names, outcome)
}

fn named(names: &[&str]) -> Selection {
    Selection {
        names: names.iter().map(|&name| name.to_owned()).collect(),
        changed: None,
    }
}

#[test]
fn fixtures_are_chosen_by_type_or_by_a_part_of_their_name() {
    let workshop = Workshop::new();
    let (names, outcome) = run_only(&workshop, named(&["text/forc"]));
    assert_eq!(names, ["acme-door/text/forced.log"]);
    // Nothing is said about what a part of the fixtures does not reach.
    assert!(outcome.passed());
    assert_eq!(outcome.types[0].reached, None);

    let (names, outcome) = run_only(&workshop, named(&["acme-door"]));
    assert_eq!(names.len(), 2);
    assert!(outcome.types[0].reached.is_some());

    // The name of a type means that type, and no other that has it in its own name.
    for name in fs::read_dir(workshop.path("dsm-mappings/acme-door")).unwrap() {
        let name = name.unwrap().file_name().into_string().unwrap();
        let text = workshop.read(&format!("dsm-mappings/acme-door/{name}"));
        workshop.write(&format!("dsm-mappings/old-acme-door/{name}"), text);
    }
    workshop.write("fixtures/old-acme-door/text/forced.log", "x\n");
    let (names, _) = run_only(&workshop, named(&["acme-door"]));
    assert_eq!(names.len(), 2, "{names:?}");
    fs::remove_dir_all(workshop.path("dsm-mappings/old-acme-door")).unwrap();

    let (names, outcome) = run_only(&workshop, named(&["opened", "nothing"]));
    assert_eq!(names, ["acme-door/text/opened.log"]);
    assert_eq!(outcome.unknown, ["nothing"]);
}

#[test]
fn of_changed_files_a_fixture_is_run_for_itself_its_snapshot_or_its_mapping() {
    let workshop = Workshop::new();
    let changed = |path: &str| Selection {
        names: Vec::new(),
        changed: Some([fs::canonicalize(workshop.path(path)).unwrap()].into()),
    };
    for path in [
        "fixtures/acme-door/text/forced.log",
        "fixtures/acme-door/text/forced.log.snap",
    ] {
        let (names, _) = run_only(&workshop, changed(path));
        assert_eq!(names, ["acme-door/text/forced.log"], "{path}");
    }
    let (names, _) = run_only(&workshop, changed("dsm-mappings/acme-door/qidmap.csv"));
    assert_eq!(names.len(), 2);
    let (names, outcome) = run_only(&workshop, changed("dsm-mappings"));
    assert_eq!(names, Vec::<String>::new());
    assert!(outcome.passed());
}

#[test]
fn a_branch_without_evidence_and_a_warning_fail_only_a_strict_run() {
    let workshop = Workshop::new();
    workshop.remove("fixtures/acme-door/text/forced.log");
    workshop.remove("fixtures/acme-door/text/forced.log.snap");
    workshop.write("dsm-mappings/acme-door/notes.txt", "x");
    let lenient = Suite {
        strict: false,
        ..workshop.suite()
    };
    let outcome = lenient.run().unwrap();
    assert!(outcome.passed());
    assert_eq!(outcome.findings.len(), 1, "the warning about notes.txt");
    assert!(!workshop.run().passed());
    workshop.remove("dsm-mappings/acme-door/notes.txt");
    assert!(!workshop.run().passed());
}

#[test]
fn junit_has_a_test_case_for_each_fixture_and_the_difference_of_one_that_fails() {
    let workshop = Workshop::new();
    workshop.edit(
        "dsm-mappings/acme-door/qidmap.csv",
        "A door was forced,8,",
        "A door <was> forced,9,",
    );
    let outcome = workshop.run();
    let text = junit(&outcome);
    let mut reader = quick_xml::Reader::from_str(&text);
    let (mut cases, mut failures, mut in_failure) = (Vec::new(), Vec::new(), false);
    loop {
        use quick_xml::events::Event;
        match reader.read_event().unwrap() {
            Event::Eof => break,
            Event::Start(tag) | Event::Empty(tag) if tag.name().as_ref() == "testcase" => {
                let name = tag.try_get_attribute("name").unwrap().unwrap();
                cases.push(name.value.into_owned());
            }
            Event::Start(tag) if tag.name().as_ref() == "failure" => {
                in_failure = true;
                failures.push(String::new());
            }
            Event::End(tag) if tag.name().as_ref() == "failure" => in_failure = false,
            Event::Text(text) if in_failure => {
                failures.last_mut().unwrap().push_str(&text);
            }
            _ => {}
        }
    }
    assert_eq!(
        cases,
        [
            "acme-door/text/forced.log",
            "acme-door/text/opened.log",
            "no findings"
        ]
    );
    assert_eq!(failures.len(), 1, "{text}");
    assert!(failures[0].contains("+ severity        9"), "{text}");
    assert_eq!(outcome.fixtures[0].verdict, Verdict::Changed);
    // The same outcome gives the same bytes.
    assert_eq!(text, junit(&workshop.run()));
}
