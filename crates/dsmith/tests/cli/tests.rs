//! `dsmith test`: the snapshot suite without cargo.

use crate::support::{Folder, Ran, command, feed, login, repository, run};
use std::fs;
use std::process::Command;

/// The mapping `acme-cloud` with two fixtures and their snapshots.
fn evidence() -> Folder {
    let folder = Folder::with_acme_cloud();
    fs::rename(folder.at("mappings"), folder.at("dsm-mappings")).unwrap();
    folder.file("fixtures/acme-cloud/json/login.json", login("ann"));
    folder.file(
        "fixtures/acme-cloud/json/logout.json",
        r#"{"acme":"logout"}"#,
    );
    test(&folder, &["--accept"]).exits_with(0);
    folder
}

fn test(folder: &Folder, args: &[&str]) -> Ran {
    let args = [&["test"], args].concat();
    feed(command(&args).current_dir(folder.path()), b"")
}

fn edit(folder: &Folder, path: &str, old: &str, new: &str) {
    let path = folder.path().join(path);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{old}: {text}");
    fs::write(path, text.replace(old, new)).unwrap();
}

const SNAPSHOT: &str = "fixtures/acme-cloud/json/login.json.snap";
const QIDS: &str = "dsm-mappings/acme-cloud/qidmap.csv";

#[test]
fn the_snapshots_of_the_repository_are_those_that_cargo_test_reads() {
    let ran = feed(
        command(&["test", "openssh-server", "--strict"]).current_dir(repository()),
        b"",
    )
    .exits_with(0);
    assert!(ran.out.contains("no findings"), "{ran:?}");
    assert!(ran.out.contains("branches reached"), "{ran:?}");
}

#[test]
fn a_change_fails_shows_the_property_before_and_after_and_is_accepted_on_request() {
    let folder = evidence();
    test(&folder, &[]).exits_with(0);
    let before = fs::read_to_string(folder.at(SNAPSHOT)).unwrap();
    edit(&folder, QIDS, ",2,3021", ",7,3021");
    let ran = test(&folder, &[]).exits_with(1);
    for words in ["json/login.json changed", "severity  - 2", "+ 7", "1 error"] {
        assert!(ran.out.contains(words), "{words}: {ran:?}");
    }
    assert!(!ran.out.contains("json/logout.json"), "{ran:?}");
    assert_eq!(fs::read_to_string(folder.at(SNAPSHOT)).unwrap(), before);

    let ran = test(&folder, &["--accept"]).exits_with(0);
    assert!(ran.out.contains("wrote fixtures"), "{ran:?}");
    assert_ne!(fs::read_to_string(folder.at(SNAPSHOT)).unwrap(), before);
    test(&folder, &[]).exits_with(0);
}

#[test]
fn json_tells_each_change_and_whether_the_run_passed() {
    let folder = evidence();
    edit(&folder, QIDS, ",2,3021", ",7,3021");
    let records = test(&folder, &["--format", "json"]).exits_with(1).events();
    let of = |what: &str| {
        let records = records.iter().filter(|record| record["record"] == what);
        records.collect::<Vec<_>>()
    };
    let fixtures = of("fixture");
    assert_eq!(fixtures.len(), 2);
    assert_eq!(fixtures[0]["name"], "acme-cloud/json/login.json");
    assert_eq!(fixtures[0]["verdict"], "changed");
    let change = &fixtures[0]["changes"][0];
    assert_eq!(
        (&change["what"], &change["old"]),
        (&"severity".into(), &"2".into())
    );
    assert_eq!(fixtures[1]["verdict"], "same");
    assert_eq!(of("finding")[0]["code"], "DSM072");
    assert_eq!(of("summary")[0]["passed"], false);
}

#[test]
fn a_name_that_nothing_has_is_a_wrong_command_line_and_not_a_success() {
    let folder = evidence();
    test(&folder, &["acme-clod"])
        .exits_with(64)
        .says(&["acme-clod", "did you mean `acme-cloud`?"]);
    let ran = test(&folder, &["logout"]).exits_with(0);
    assert!(ran.out.contains("1 fixture "), "{ran:?}");
    // The path of a mapping folder is as good as its name.
    let elsewhere = folder.at("dsm-mappings/acme-cloud/");
    let ran = run(&["test", &elsewhere]).exits_with(0);
    assert!(ran.out.contains("2 fixtures"), "{ran:?}");
}

#[test]
fn without_mappings_the_remedy_is_told() {
    let folder = Folder::new();
    test(&folder, &[])
        .exits_with(1)
        .says(&["dsm-mappings", "--mappings"]);
}

#[test]
fn branches_that_no_fixture_reaches_fail_a_strict_run_and_codes_are_explained_on_request() {
    let folder = evidence();
    edit(
        &folder,
        "dsm-mappings/acme-cloud/event-mappings.csv",
        "login,",
        "signin,cloud,2480001\nlogin,",
    );
    let ran = test(&folder, &[]).exits_with(0);
    assert!(ran.out.contains(" of 8 branches reached"), "{ran:?}");
    let ran = test(&folder, &["--strict", "--explain"]).exits_with(1);
    assert!(ran.out.contains("event-mapping/signin|cloud"), "{ran:?}");
    assert!(ran.out.contains("DSM073, an error:"), "{ran:?}");
}

#[test]
fn junit_is_written_beside_the_report() {
    let folder = evidence();
    test(&folder, &["--junit", "report.xml"]).exits_with(0);
    let text = fs::read_to_string(folder.at("report.xml")).unwrap();
    assert!(
        text.contains("<testcase classname=\"acme-cloud\" name=\"acme-cloud/json/login.json\"/>")
    );
    test(&folder, &["--junit", "no/such/folder.xml"])
        .exits_with(1)
        .says(&["cannot write", "no/such/folder.xml"]);
}

/// A repository of git with everything in it; its settings are its own.
fn committed(folder: &Folder) {
    for args in [
        &["init", "-q"][..],
        &["add", "."],
        &[
            "-c",
            "user.name=Ann",
            "-c",
            "user.email=ann@example.com",
            "commit",
            "-q",
            "-m",
            "all",
        ],
    ] {
        let git = Command::new("git")
            .args(args)
            .current_dir(folder.path())
            .status();
        assert!(git.unwrap().success());
    }
}

#[test]
fn only_what_changed_since_a_revision_is_run() {
    let folder = evidence();
    committed(&folder);
    let count = |args: &[&str]| {
        let ran = test(&folder, args).exits_with(0);
        let rows = ran
            .out
            .lines()
            .filter(|line| line.starts_with("acme-cloud"));
        rows.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(count(&["--changed"]), "");
    folder.file(
        "fixtures/acme-cloud/json/logout.json",
        "{\"acme\":\"logout\"}\n",
    );
    folder.file("fixtures/acme-cloud/json/new.json", r#"{"acme":"new"}"#);
    assert!(count(&["--changed", "--accept"]).contains("2 fixtures"));
    edit(
        &folder,
        "dsm-mappings/acme-cloud/manifest.toml",
        "of an",
        "of some",
    );
    assert!(count(&["--changed=HEAD"]).contains("3 fixtures"));
    test(&folder, &["--changed=nonsense"])
        .exits_with(1)
        .says(&["--changed", "git", "nonsense"]);
    test(&folder, &["--changed=--output=x"])
        .exits_with(1)
        .says(&["not a revision"]);
}
