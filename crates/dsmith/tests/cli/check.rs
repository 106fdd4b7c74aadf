//! `dsmith check`.

use crate::support::{Folder, Ran, command, feed, repository, run};
use serde_json::Value;

/// A folder whose mapping has an error in line 5 of its extension and a warning in line 4.
fn faulty() -> Folder {
    let folder = Folder::with_acme_cloud();
    let path = folder.path().join("mappings/acme-cloud/extension.xml");
    let text = std::fs::read_to_string(&path).unwrap().replace(
        "id=\"Kind\"><![CDATA[\"acme\"",
        "id=\"Kind\"><![CDATA[(\"acme\"",
    );
    std::fs::write(path, text).unwrap();
    folder
}

fn check(folder: &Folder, format: &str) -> Ran {
    run(&["check", "--format", format, &folder.at("mappings")])
}

#[test]
fn the_mappings_of_the_repository_have_no_findings() {
    let mappings = repository().join("dsm-mappings");
    let ran = run(&["check", mappings.to_str().unwrap()])
        .exits_with(0)
        .says(&["mappings checked: no findings"]);
    assert_eq!(ran.out, "");
}

#[test]
fn without_arguments_the_folder_here_is_checked_or_else_the_mappings_of_the_program() {
    let folder = Folder::new();
    let ran = feed(command(&["check"]).current_dir(folder.path()), b"").exits_with(0);
    assert!(ran.err.contains("mappings checked: no findings"), "{ran:?}");

    let folder = Folder::with_acme_cloud();
    std::fs::rename(folder.at("mappings"), folder.at("dsm-mappings")).unwrap();
    feed(command(&["check"]).current_dir(folder.path()), b"")
        .exits_with(0)
        .says(&["1 mapping checked: no findings"]);
}

#[test]
fn an_error_is_shown_to_people_with_the_line_the_reason_and_the_remedy() {
    let ran = check(&faulty(), "human")
        .exits_with(1)
        .says(&["1 mapping checked", "1 error"]);
    for words in ["error", "DSM", "extension.xml:4:", "^"] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
}

#[test]
fn json_is_one_object_for_each_finding() {
    let ran = check(&faulty(), "json").exits_with(1);
    let findings = ran.events();
    assert_eq!(findings.len(), 1, "{}", ran.out);
    assert_eq!(findings[0]["severity"], "error");
    assert!(findings[0]["code"].as_str().unwrap().starts_with("DSM"));
}

#[test]
fn github_gets_a_workflow_command_for_each_finding() {
    let ran = check(&faulty(), "github").exits_with(1);
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);
    assert!(ran.out.starts_with("::error file="), "{}", ran.out);
    assert!(ran.out.contains("line=4"), "{}", ran.out);
}

#[test]
fn sarif_is_one_document_with_rules_and_results() {
    let ran = check(&faulty(), "sarif").exits_with(1);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["version"], "2.1.0");
    let result = &document["runs"][0]["results"][0];
    assert_eq!(result["level"], "error");
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["region"]["startLine"], 4);
    let rules = document["runs"][0]["tool"]["driver"]["rules"]
        .as_array()
        .unwrap();
    assert!(rules.iter().any(|rule| rule["id"] == result["ruleId"]));
    // Without findings it is a document too.
    let ran = check(&Folder::with_acme_cloud(), "sarif").exits_with(0);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["runs"][0]["results"], Value::Array(Vec::new()));
}

#[test]
fn warnings_alone_do_not_fail() {
    let folder = Folder::with_acme_cloud();
    folder.file("mappings/acme-cloud/notes.txt", "x");
    check(&folder, "human").exits_with(0).says(&["1 warning"]);
}

#[test]
fn several_paths_are_checked_in_one_run() {
    let (good, bad) = (Folder::with_acme_cloud(), faulty());
    run(&[
        "check",
        &good.at("mappings"),
        &bad.at("mappings/acme-cloud"),
        &good.at("mappings/acme-cloud/extension.xml"),
    ])
    .exits_with(1)
    .says(&["3 mappings checked", "1 error"]);
}

#[test]
fn what_is_no_mapping_is_not_taken_for_a_good_one() {
    let folder = Folder::with_acme_cloud();
    std::fs::create_dir(folder.at("empty")).unwrap();
    run(&["check", &folder.at("empty")]).exits_with(1).says(&[
        "empty",
        "neither a mapping",
        "manifest.toml",
    ]);
    run(&["check", &folder.at("nowhere")])
        .exits_with(1)
        .says(&["nowhere", "No such file"]);
    run(&["check", &folder.at("mappings/acme-cloud/qidmap.csv")])
        .exits_with(64)
        .says(&["qidmap.csv", "check the folder"]);
    let text = folder.file("notes.txt", "no XML\n");
    run(&["check", &text]).exits_with(1);
}
