//! `dsmith diff`: what another version of a mapping makes of the same payloads.

use crate::support::{Folder, Ran, command, feed, repository};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The mapping `acme-cloud` twice, and a corpus of numbered events.
fn versions(edits: &[(&str, &str, &str)]) -> Folder {
    let folder = Folder::with_acme_cloud();
    for version in ["old", "new"] {
        copy(
            &folder.path().join("mappings"),
            &folder.path().join(version),
        );
    }
    for (file, old, new) in edits {
        edit(&folder, &format!("new/acme-cloud/{file}"), old, new);
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn edit(folder: &Folder, path: &str, old: &str, new: &str) {
    let path = folder.path().join(path);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches(old).count(), 1, "{old}: {text}");
    fs::write(path, text.replace(old, new)).unwrap();
}

fn diff(folder: &Folder, args: &[&str]) -> Ran {
    let args = [&["diff"], args].concat();
    feed(command(&args).current_dir(folder.path()), b"")
}

/// The events that change, by offset, with what changes about each.
fn changed(ran: &Ran) -> BTreeMap<u64, Vec<String>> {
    ran.events()
        .iter()
        .filter(|record| record["record"] == "event")
        .map(|event| {
            let changes = event["changes"].as_array().unwrap();
            let what = changes
                .iter()
                .map(|c| c["what"].as_str().unwrap().to_owned());
            (event["offset"].as_u64().unwrap(), what.collect())
        })
        .collect()
}

const OLD_NEW: [&str; 4] = [
    "old/acme-cloud",
    "new/acme-cloud",
    "--corpus",
    "corpus.ndjson",
];

#[test]
fn exactly_the_events_that_a_known_edit_touches_are_told() {
    let folder = versions(&[
        ("extension.xml", "/\"user\"", "/\"account\""),
        ("qidmap.csv", ",2,3021", ",7,3021"),
    ]);
    let mut corpus = String::new();
    let mut expected = BTreeMap::new();
    for number in 0..300 {
        let kind = if number % 7 == 0 { "login" } else { "logout" };
        let mut line = json!({"acme": kind, "n": number});
        let mut what = Vec::new();
        if kind == "login" {
            what.push("severity".to_owned());
        }
        match number % 5 {
            // The same on both paths: nothing changes.
            0 => (line["user"], line["account"]) = ("ann".into(), "ann".into()),
            1 => {
                (line["user"], line["account"]) = ("ann".into(), "bob".into());
                what.push("UserName".to_owned());
            }
            2 => {
                line["user"] = "ann".into();
                what.push("UserName".to_owned());
            }
            3 => {
                line["account"] = "bob".into();
                what.push("UserName".to_owned());
            }
            _ => {}
        }
        if !what.is_empty() {
            expected.insert(corpus.len() as u64, what);
        }
        corpus.push_str(&format!("{line}\n"));
    }
    folder.file("corpus.ndjson", &corpus);
    let ran = diff(&folder, &[&OLD_NEW[..], &["--format", "json"]].concat()).exits_with(0);
    assert_eq!(changed(&ran), expected);

    let summary = ran.events().pop().unwrap();
    assert_eq!(summary["events"], 300);
    assert_eq!(summary["changed"], expected.len());
    let text = diff(&folder, &OLD_NEW).exits_with(0).out;
    let last = text.lines().last().unwrap();
    assert_eq!(
        last,
        format!(
            "{} of 300 events change: severity 43, UserName 60; 60 lose UserName; 60 gain UserName",
            expected.len()
        )
    );
    assert!(
        text.contains("60 times, first in corpus.ndjson at byte "),
        "{text}"
    );
}

#[test]
fn the_same_version_changes_nothing() {
    let folder = versions(&[]);
    folder.file("corpus.ndjson", "{\"acme\":\"login\"}\n");
    let ran = diff(&folder, &OLD_NEW).exits_with(0);
    assert_eq!(ran.out, "0 of 1 events change\n");
    diff(&folder, &[&OLD_NEW[..], &["--fail-on", "any"]].concat()).exits_with(0);
}

#[test]
fn a_status_that_changes_is_told_once_and_not_as_qid_name_and_severity_too() {
    let folder = versions(&[("event-mappings.csv", "login,", "signin,")]);
    folder.file(
        "corpus.ndjson",
        "{\"acme\":\"login\"}\n{\"acme\":\"signin\"}\n{\"acme\":\"x\"}\n",
    );
    let ran = diff(&folder, &[&OLD_NEW[..], &["-f", "json"]].concat()).exits_with(0);
    let what: Vec<Vec<String>> = changed(&ran).into_values().collect();
    assert_eq!(what, [["status"], ["status"]]);
    let human = diff(&folder, &OLD_NEW).out;
    assert!(human.contains("event-mapping/signin|cloud"), "{human}");
    assert!(
        human.contains("- Mapped") && human.contains("+ Unknown"),
        "{human}"
    );
}

#[test]
fn another_leef_header_or_key_changes_the_output_of_every_event() {
    let folder = versions(&[("manifest.toml", "product = \"Cloud\"", "product = \"Sky\"")]);
    folder.file("corpus.ndjson", "{\"acme\":\"login\"}\n{\"acme\":\"x\"}\n");
    let ran = diff(&folder, &[&OLD_NEW[..], &["-f", "json"]].concat()).exits_with(0);
    let what: Vec<Vec<String>> = changed(&ran).into_values().collect();
    assert_eq!(what, [["LEEF"], ["LEEF"]]);
}

#[test]
fn a_change_that_is_named_fails_the_run() {
    let folder = versions(&[("extension.xml", "/\"user\"", "/\"account\"")]);
    folder.file("corpus.ndjson", "{\"acme\":\"login\",\"user\":\"ann\"}\n");
    let with = |what: &str| diff(&folder, &[&OLD_NEW[..], &["--fail-on", what]].concat());
    for what in ["any", "lost", "username", "QID,UserName"] {
        with(what)
            .exits_with(1)
            .says(&["--fail-on", "1 of 1 events"]);
    }
    for what in ["status", "event-id", "severity,QID", "SourceIp"] {
        with(what).exits_with(0);
    }
    with("usrname")
        .exits_with(64)
        .says(&["usrname", "did you mean `UserName`?"]);
}

fn git(folder: &Folder, args: &[&str]) {
    let identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"];
    let args = [&identity[..], args].concat();
    let done = Command::new("git")
        .args(args)
        .current_dir(folder.path())
        .status();
    assert!(done.unwrap().success());
}

#[test]
fn revisions_of_git_are_versions_too() {
    let folder = Folder::with_acme_cloud();
    fs::rename(folder.at("mappings"), folder.at("dsm-mappings")).unwrap();
    folder.file(
        "fixtures/acme-cloud/json/login.json",
        "{\"acme\":\"login\"}",
    );
    git(&folder, &["init", "-q"]);
    git(&folder, &["add", "."]);
    git(&folder, &["commit", "-q", "-m", "first"]);
    edit(
        &folder,
        "dsm-mappings/acme-cloud/qidmap.csv",
        ",2,3021",
        ",7,3021",
    );
    let wanted = "1 of 1 events change: severity 1\n";
    let last_line = |args: &[&str]| {
        let out = diff(&folder, args).exits_with(0).out;
        out.lines().last().unwrap().to_owned() + "\n"
    };
    assert_eq!(last_line(&["HEAD", "dsm-mappings/acme-cloud"]), wanted);
    assert_eq!(
        last_line(&["HEAD:dsm-mappings/acme-cloud", "dsm-mappings/acme-cloud"]),
        wanted
    );
    git(&folder, &["commit", "-q", "-a", "-m", "second"]);
    assert_eq!(
        last_line(&["HEAD~1", "HEAD", "--type", "acme-cloud"]),
        wanted
    );
    assert_eq!(
        last_line(&["HEAD", "dsm-mappings/acme-cloud"]),
        "0 of 1 events change\n"
    );
    diff(&folder, &["HEAD~1", "HEAD"])
        .exits_with(64)
        .says(&["--type"]);
    diff(&folder, &["nonsense", "dsm-mappings/acme-cloud"])
        .exits_with(1)
        .says(&["git", "nonsense"]);
    diff(&folder, &["HEAD:nowhere", "dsm-mappings/acme-cloud"])
        .exits_with(1)
        .says(&["HEAD has no nowhere/manifest.toml"]);
    diff(&folder, &["--", "--output=x", "dsm-mappings/acme-cloud"])
        .exits_with(1)
        .says(&["not a revision"]);
}

/// What `dsmith parse` makes of a fixture folder, event by event.
fn parsed(mappings: &Path, slug: &str, input: &Path) -> Vec<Value> {
    let args = [
        "parse",
        "--type",
        slug,
        "--mappings",
        mappings.to_str().unwrap(),
        "--received",
        "2026-01-01T00:00:00Z",
        "-q",
        "-f",
        "json",
        input.to_str().unwrap(),
    ];
    feed(&mut command(&args), b"").events()
}

#[test]
fn on_the_fixtures_of_the_repository_it_agrees_with_what_parse_writes() {
    let folder = Folder::new();
    let slug = "openssh-server";
    let (old, fixtures) = (
        repository().join("dsm-mappings"),
        repository().join("fixtures").join(slug),
    );
    copy(&old.join(slug), &folder.path().join("new").join(slug));
    let extension = format!("new/{slug}/extension.xml");
    let text = fs::read_to_string(folder.path().join(&extension)).unwrap();
    // Without its first matcher a property comes from another one, or from none.
    let matcher = text
        .lines()
        .find(|line| line.contains("field=\"UserName\""))
        .unwrap()
        .to_owned();
    edit_first(&folder, &extension, &format!("{matcher}\n"));
    let (before, after) = (
        parsed(&old, slug, &fixtures),
        parsed(&folder.path().join("new"), slug, &fixtures),
    );
    assert_eq!(before.len(), after.len());
    let differ = before.iter().zip(&after).filter(|(a, b)| a != b).count();
    assert!(differ > 0);
    let ran = feed(
        &mut command(&[
            "diff",
            old.join(slug).to_str().unwrap(),
            &folder.at(&format!("new/{slug}")),
            "--corpus",
            fixtures.to_str().unwrap(),
            "-f",
            "json",
        ]),
        b"",
    )
    .exits_with(0);
    let events = ran.events();
    let told = events.iter().filter(|record| record["record"] == "event");
    assert_eq!(told.count(), differ);
    assert_eq!(events.last().unwrap()["events"], before.len());
}

fn edit_first(folder: &Folder, path: &str, gone: &str) {
    let path = folder.path().join(path);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, text.replacen(gone, "", 1)).unwrap();
}
