//! The developer commands as CI meets them.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::path::Path;
use std::process::Command;

/// Exit code, standard output, standard error.
fn xtask(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(args)
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn validate_sums_up_one_type_and_passes_where_there_are_no_findings() {
    let (code, out, err) = xtask(&["validate", "--type", "openssh-server"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("openssh-server  "), "{out}");
    assert!(out.ends_with("\nno findings\n"), "{out}");
}

#[test]
fn validate_says_so_when_there_is_no_such_type() {
    let (code, out, err) = xtask(&["validate", "--type", "openssh"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(
        err,
        "error: no log source type `openssh`: there is no folder dsm-mappings/openssh\n"
    );
}

#[test]
fn codegen_check_writes_nothing_and_passes_where_the_pages_are_current() {
    let (code, out, err) = xtask(&["codegen", "--check"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", ""));
}

#[test]
fn bench_refuses_options_that_say_nothing_together() {
    for args in [
        &["bench", "--accept"][..],
        &["bench", "--instructions", "--quick"],
        &["bench", "--quick", "--rounds", "3"],
    ] {
        let (code, out, err) = xtask(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(err.starts_with("error: "), "{err}");
    }
}

#[test]
fn the_page_about_performance_has_a_block_for_every_table_and_its_pictures_are_there() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = std::fs::read_to_string(docs.join("performance.md")).unwrap();
    for block in [
        "goals",
        "stages",
        "profile",
        "processes",
        "delivery",
        "kafka",
        "growth",
        "peers",
        "instructions",
    ] {
        let (_, rest) = page
            .split_once(&format!("<!-- measured: {block} -->\n```text\n"))
            .unwrap_or_else(|| panic!("{block} is missing or empty"));
        assert!(
            rest.contains(&format!("```\n<!-- end of {block} -->")),
            "{block}"
        );
    }
    let pictures: Vec<&str> = page
        .split("](performance/")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0))
        .collect();
    assert_eq!(
        pictures,
        [
            "payload-size.svg",
            "matchers.svg",
            "qid-rows.svg",
            "fixtures.svg"
        ]
    );
    for picture in pictures {
        let svg = std::fs::read_to_string(docs.join("performance").join(picture)).unwrap();
        assert!(
            svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
            "{picture}"
        );
    }
    for line in page.lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
}

#[test]
fn every_corpus_has_a_committed_cost_in_instructions() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json");
    let committed: measure::instructions::Committed =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let names: Vec<&str> = committed.costs.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "graph alerts",
            "siem alerts",
            "sshd lines",
            "streaming records",
            "vpn pairs"
        ]
    );
    assert!(committed.costs.values().all(|cost| *cost > 0.0));
    assert!((0.01..=0.1).contains(&committed.tolerance));
}
