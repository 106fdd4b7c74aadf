//! `dsmith anonymize`: fixtures from what a source really sent.

use crate::support::{Folder, Ran, command, feed};
use std::fs;

fn dsmith(folder: &Folder, args: &[&str]) -> Ran {
    feed(command(args).current_dir(folder.path()), b"")
}

const ALERT: &str = r#"{
  "id": "da637472900382838869_1364969609",
  "tenantId": "6f1c2d3e-1111-4222-8333-0123456789ab",
  "title": "Sign-in of Jane Roe from 81.2.69.142",
  "userPrincipalName": "jane.roe@acme-corp.com",
  "actor": {"displayName": "Jane Roe", "accountName": "ACMECORP\\jroe"},
  "device": {"deviceDnsName": "pc-0423.ad.acme-corp.com", "ip": "10.20.30.40", "mac": "A4-83-E7-00-11-22"},
  "path": "C:\\Users\\jroe\\x.exe",
  "severity": "high"
}
"#;
const LINE: &str =
    "<13>Nov 23 10:00:00 gw fw: action=deny src=10.20.30.40 user=jroe dst=81.2.69.142\n";
const SECRET: &str =
    "<13>Nov 23 10:00:00 gw api: user=jroe header=\"Authorization: Bearer abcdefgh12345678\"\n";

/// Nothing that names somebody.
#[track_caller]
fn is_clean(text: &str) {
    let lower = text.to_lowercase();
    for real in [
        "jane",
        "roe",
        "acme",
        "10.20.30",
        "81.2.69",
        "a4-83",
        "0423",
        "6f1c2d3e",
        "637472900",
    ] {
        assert!(!lower.contains(real), "{real}: {text}");
    }
}

#[test]
fn values_are_replaced_alike_in_all_files_and_what_comes_out_is_clean() {
    let folder = Folder::new();
    folder.file("in/alert.json", ALERT);
    folder.file("in/deep/fw.log", LINE);
    dsmith(&folder, &["anonymize", "in", "--out", "out"])
        .exits_with(0)
        .says(&["2 files written", "values replaced"]);
    let alert = fs::read_to_string(folder.at("out/alert.json")).unwrap();
    let line = fs::read_to_string(folder.at("out/deep/fw.log")).unwrap();
    is_clean(&alert);
    is_clean(&line);
    assert!(
        alert.contains("\"severity\": \"high\"") && line.contains("action=deny"),
        "{alert}{line}"
    );
    let alert: serde_json::Value = serde_json::from_str(&alert).unwrap();
    let value = |pointer: &str| alert.pointer(pointer).unwrap().as_str().unwrap();
    let of_line = |key: &str| {
        let found = line
            .split_whitespace()
            .find_map(|pair| pair.strip_prefix(key));
        found.unwrap().to_owned()
    };
    assert_eq!(value("/device/ip"), of_line("src="));
    assert!(value("/title").ends_with(&of_line("dst=")), "{alert}");
    assert!(
        value("/title").contains(value("/actor/displayName")),
        "{alert}"
    );
    assert!(
        value("/actor/accountName").ends_with(&of_line("user=")),
        "{alert}"
    );
    assert!(value("/path").contains(&of_line("user=")), "{alert}");
    let domain = value("/userPrincipalName").split_once('@').unwrap().1;
    assert!(value("/device/deviceDnsName").ends_with(domain), "{alert}");
    assert_eq!(value("/id").len(), 31);
    dsmith(&folder, &["anonymize", "out", "--check"]).exits_with(0);
    // What is clean stays as it is.
    let again = dsmith(&folder, &["anonymize", "out/deep", "--check"]).exits_with(0);
    assert_eq!(again.out, "");
}

#[test]
fn the_seed_alone_decides_what_stands_in() {
    let folder = Folder::new();
    folder.file("alert.json", ALERT);
    let with = |seed: &str| {
        dsmith(&folder, &["anonymize", "alert.json", "--seed", seed])
            .exits_with(0)
            .out
    };
    assert_eq!(with("1"), with("1"));
    assert_ne!(with("1"), with("2"));
}

#[test]
fn a_secret_refuses_its_file_is_not_shown_and_the_others_are_done() {
    let folder = Folder::new();
    folder.file("a.log", SECRET);
    folder.file("b.log", LINE);
    let ran = dsmith(&folder, &["anonymize", "a.log", "b.log", "--in-place"])
        .exits_with(1)
        .says(&["a.log:1:", "a bearer token"]);
    assert!(!format!("{ran:?}").contains("abcdefgh"), "{ran:?}");
    assert_eq!(fs::read_to_string(folder.at("a.log")).unwrap(), SECRET);
    is_clean(&fs::read_to_string(folder.at("b.log")).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn for_machines_each_file_is_an_object_and_payloads_do_not_mix_with_them() {
    let folder = Folder::new();
    folder.file("a.log", SECRET);
    folder.file("b.log", LINE);
    let args = ["anonymize", "a.log", "b.log", "--out", "out", "-f", "json"];
    let ran = dsmith(&folder, &args).exits_with(1);
    assert!(!format!("{ran:?}").contains("abcdefgh"), "{ran:?}");
    let records = ran.events();
    assert_eq!(records[0]["record"], "refused");
    assert_eq!(records[0]["secrets"][0]["what"], "a bearer token");
    assert_eq!(
        (&records[1]["file"], &records[1]["replaced"]),
        (&"b.log".into(), &3.into())
    );
    dsmith(&folder, &["anonymize", "b.log", "-f", "json"])
        .exits_with(64)
        .says(&["standard output has the payloads"]);
}

#[test]
fn a_lint_refuses_fixtures_that_are_not_clean_and_leaves_a_corpus_in_peace() {
    let folder = Folder::new();
    folder.file("clean.log", "fw: action=deny src=10.1.2.3 user=bob\n");
    dsmith(&folder, &["new", "acme", "--from-samples", "clean.log"]).exits_with(0);
    dsmith(&folder, &["lint", "acme"]).exits_with(0);
    let fixture = "fixtures/acme/name-value-pairs/deny.log";
    let unclean = "fw: action=deny src=81.2.69.142 user=bob password=hunter2\n";
    folder.file(fixture, unclean);
    folder.file("corpus.log", unclean);
    let ran = dsmith(&folder, &["lint", "acme"]).exits_with(1);
    for words in [
        "DSM113",
        "81.2.69.142",
        "a password or key",
        "deny.log:1:21",
    ] {
        assert!(ran.out.contains(words), "{words}: {ran:?}");
    }
    for format in ["human", "json", "sarif"] {
        let ran = dsmith(&folder, &["lint", "acme", "-f", format]).exits_with(1);
        assert!(!format!("{ran:?}").contains("hunter2"), "{ran:?}");
    }
    dsmith(&folder, &["lint", "acme", "--corpus", "corpus.log"]).exits_with(0);
    let manifest = folder.at("dsm-mappings/acme/manifest.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let allow = "\n[[allow]]\nlint = \"DSM113\"\nat = [\"fixture/name-value-pairs/*\"]\nreason = \"invented\"\n";
    fs::write(manifest, text + allow).unwrap();
    dsmith(&folder, &["lint", "acme"]).exits_with(0);
}

#[test]
fn check_tells_the_place_of_what_no_fixture_should_hold_and_writes_nothing() {
    let folder = Folder::new();
    folder.file("a.log", format!("{LINE}{SECRET}"));
    let ran = dsmith(&folder, &["anonymize", "--check", "a.log"]).exits_with(1);
    for words in [
        "a.log:1:70: an address that may be somebody's",
        "`81.2.69.142`",
        "a.log:2:",
        "a bearer token",
    ] {
        assert!(ran.out.contains(words), "{words}: {ran:?}");
    }
    assert!(!ran.out.contains("abcdefgh"), "{ran:?}");
    let events = dsmith(&folder, &["anonymize", "--check", "a.log", "-f", "json"])
        .exits_with(1)
        .events();
    assert_eq!(
        (&events[0]["line"], &events[0]["text"]),
        (&1.into(), &"81.2.69.142".into())
    );
    assert_eq!(events.len(), 2);
    assert_eq!(
        fs::read_to_string(folder.at("a.log")).unwrap(),
        format!("{LINE}{SECRET}")
    );
}

#[test]
fn nothing_is_written_over_unless_it_is_asked_for() {
    let folder = Folder::new();
    folder.file("a.log", LINE);
    folder.file("out/a.log", "mine\n");
    dsmith(&folder, &["anonymize", "a.log", "--out", "out"])
        .exits_with(1)
        .says(&["cannot write", "a.log"]);
    assert_eq!(
        fs::read_to_string(folder.at("out/a.log")).unwrap(),
        "mine\n"
    );
    dsmith(&folder, &["anonymize", "-", "--in-place"]).exits_with(64);
    dsmith(&folder, &["anonymize", "missing.log"])
        .exits_with(1)
        .says(&["missing.log"]);
}
