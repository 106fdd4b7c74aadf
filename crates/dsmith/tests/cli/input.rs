//! Where payloads come from and how they are told apart.

use crate::support::{Folder, SSH, acme, login, run, run_with};
use std::fs;

/// The users of the events in an input.
fn users(folder: &Folder, more: &[&str], input: &str) -> Vec<String> {
    run_with(&acme(folder, &[&["-f", "json"], more].concat()), input)
        .exits_with(0)
        .column("/properties/UserName")
        .iter()
        .map(|user| user.as_str().unwrap_or("?").to_owned())
        .collect()
}

#[test]
fn every_framing_of_the_same_payloads_gives_the_same_events() {
    let folder = Folder::with_acme_cloud();
    let (ann, bob) = (login("ann"), login("bob"));
    let pretty = |text: &str| {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        serde_json::to_string_pretty(&value).unwrap()
    };
    for (name, input) in [
        ("NDJSON", format!("{ann}\n{bob}\n")),
        ("NDJSON without a last line break", format!("{ann}\n{bob}")),
        ("NDJSON of Windows", format!("\u{feff}{ann}\r\n{bob}\r\n")),
        (
            "pretty JSON",
            format!("{}\n{}\n", pretty(&ann), pretty(&bob)),
        ),
        ("JSON array", format!("[{ann},\n {bob}]\n")),
        (
            "pretty JSON array",
            format!("[\n{},\n{}\n]", pretty(&ann), pretty(&bob)),
        ),
        ("records", format!("{{\"records\":[{ann},{bob}]}}")),
        (
            "value",
            format!(
                "{{\"@odata.context\":\"x\",\"value\":[{ann},{bob}],\"@odata.nextLink\":null}}"
            ),
        ),
        (
            "syslog lines",
            format!(
                "<13>Nov 23 10:00:00 gw acme: {ann}\n<13>1 2026-11-23T10:00:00Z gw acme - - - {bob}\n"
            ),
        ),
        (
            "all at once",
            format!("[{ann}]\n<13>Nov 23 10:00:00 gw acme: {bob}\n"),
        ),
    ] {
        assert_eq!(users(&folder, &[], &input), ["ann", "bob"], "{name}");
    }
}

#[test]
fn text_lines_are_payloads_of_their_own() {
    let input = format!("{SSH}\n{}", SSH.replace("jvega", "someone else"));
    let ran = run_with(&["parse", "-f", "json"], input).exits_with(0);
    assert_eq!(
        ran.column("/properties/UserName"),
        ["jvega", "someone else"]
    );
}

#[test]
fn framing_can_be_dictated() {
    let folder = Folder::with_acme_cloud();
    let envelope = format!("{{\"records\":[{},\n{}]}}", login("ann"), login("bob"));
    assert_eq!(
        users(&folder, &["--framing", "auto"], &envelope),
        ["ann", "bob"]
    );
    let lines = run_with(
        &acme(&folder, &["-f", "json", "--framing", "lines"]),
        &envelope,
    );
    assert_eq!(lines.events().len(), 2);
    let whole = run_with(
        &acme(&folder, &["-f", "json", "--framing", "whole"]),
        &envelope,
    );
    assert_eq!(whole.column("/payload"), [envelope]);
}

#[test]
fn members_of_an_envelope_beside_its_payloads_are_named_and_are_no_failure() {
    let folder = Folder::with_acme_cloud();
    let input = format!(
        "{{\"id\":\"outer\",\"value\":[{}],\"more\":1}}\n",
        login("ann")
    );
    let ran = run_with(&acme(&folder, &["-f", "json"]), &input)
        .exits_with(0)
        .says(&["warning", "byte 0", "left out", "\"id\""])
        .says(&["warning", "\"more\""])
        .says(&["2 envelopes with members that are left out"]);
    assert_eq!(ran.column("/properties/UserName"), ["ann"]);
}

#[test]
fn text_that_looks_like_json_at_its_beginning_is_one_event() {
    let folder = Folder::with_acme_cloud();
    let input = "[{user}] logged in\n,,\n";
    let ran = run_with(&acme(&folder, &["-f", "json"]), input).exits_with(0);
    assert_eq!(ran.column("/payload"), ["[{user}] logged in", ",,"]);
}

#[test]
fn a_dash_is_standard_input_and_may_stand_between_files() {
    let folder = Folder::with_acme_cloud();
    let (first, last) = (
        folder.file("1.json", login("ann")),
        folder.file("2.json", login("cy")),
    );
    assert_eq!(
        users(&folder, &[&first, "-", &last], &login("bob")),
        ["ann", "bob", "cy"]
    );
    assert_eq!(users(&folder, &["-"], &login("bob")), ["bob"]);
    assert_eq!(users(&folder, &[], &login("bob")), ["bob"]);
}

#[test]
fn folders_are_walked_in_order_without_hidden_files_and_snapshots() {
    let folder = Folder::with_acme_cloud();
    for (path, user) in [
        ("in/b.json", "bob"),
        ("in/a/deep/er.json", "ann"),
        ("in/c.json", "cy"),
        ("in/c.json.snap", "snapshot"),
        ("in/.hidden.json", "hidden"),
        ("in/.git/x.json", "hidden"),
        ("in/unreached.txt", "list"),
    ] {
        folder.file(path, login(user));
    }
    assert_eq!(
        users(&folder, &[&folder.at("in")], ""),
        ["ann", "bob", "cy"]
    );
}

#[test]
fn a_folder_without_files_is_said_to_be_empty() {
    let folder = Folder::new();
    run(&["parse", folder.path().to_str().unwrap()])
        .exits_with(0)
        .says(&["warning", "the folder holds no files"])
        .says(&["no events"]);
}

#[test]
fn empty_input_gives_no_events_and_no_complaint() {
    for input in ["", "\n", " \n\n\t\n", "[]", "{\"value\":[]}\n", "\u{feff}"] {
        let ran = run_with(&["parse"], input).exits_with(0);
        assert_eq!(
            (ran.out.as_str(), ran.err.as_str()),
            ("", "no events\n"),
            "{input:?}"
        );
    }
}

#[test]
fn files_that_cannot_be_read_are_named_and_the_others_come_out() {
    let folder = Folder::with_acme_cloud();
    let good = folder.file("in/z.json", login("ann"));
    let ran = run_with(
        &acme(&folder, &["-f", "json", &folder.at("missing.json"), &good]),
        "",
    )
    .exits_with(1)
    .says(&["error", "missing.json", "No such file"])
    .says(&["1 input was not read"]);
    assert_eq!(ran.column("/properties/UserName"), ["ann"]);
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_in_a_folder_is_named_and_nothing_waits_for_ever() {
    use std::os::unix::fs::symlink;
    let folder = Folder::with_acme_cloud();
    folder.file("in/a.json", login("ann"));
    folder.file("in/linked-to.txt", login("bob"));
    symlink(folder.at("nowhere"), folder.at("in/dangling.json")).unwrap();
    symlink(folder.at("in/linked-to.txt"), folder.at("in/link.json")).unwrap();
    // A link that leads back, and a socket, which nobody writes to.
    symlink(folder.at("in"), folder.at("in/loop")).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(folder.at("in/socket"));
    let ran = run_with(&acme(&folder, &["-f", "json", &folder.at("in")]), "")
        .exits_with(1)
        .says(&["error", "dangling.json", "No such file"]);
    assert_eq!(ran.column("/properties/UserName"), ["ann", "bob", "bob"]);
    assert_eq!(ran.err.matches("error: ").count(), 1, "{}", ran.err);
    drop(listener);
}

#[test]
fn compressed_and_binary_files_in_a_folder_are_named_and_passed_over() {
    let folder = Folder::with_acme_cloud();
    folder.file("in/a.json", login("ann"));
    folder.file(
        "in/b.json.gz",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcbH\xcd\xc9\xc9\xe7",
    );
    folder.file("in/c.db", b"SQLite format 3\0\x10\0\x01\x01");
    folder.file("in/d.json", login("bob"));
    let ran = run_with(&acme(&folder, &["-f", "json", &folder.at("in")]), "")
        .exits_with(1)
        .says(&["b.json.gz", "gzip", "zcat"])
        .says(&["c.db", "binary"])
        .says(&["2 inputs were not read"]);
    assert_eq!(ran.column("/properties/UserName"), ["ann", "bob"]);
}

#[test]
fn a_named_file_with_zero_bytes_is_read_but_a_compressed_one_is_not() {
    let folder = Folder::with_acme_cloud();
    let zero = folder.file("zero.log", b"one \0 line\n");
    let ran = run_with(&acme(&folder, &["-f", "json", &zero]), "").exits_with(0);
    assert_eq!(ran.column("/payload"), ["one \0 line"]);
    let zstd = folder.file("x.zst", b"\x28\xb5\x2f\xfd\x04\x00\x81\x00\x00");
    run_with(&acme(&folder, &[&zstd]), "")
        .exits_with(1)
        .says(&["x.zst", "zstdcat"]);
}

#[test]
fn parsing_leaves_its_input_as_it_was() {
    let folder = Folder::with_acme_cloud();
    let path = folder.file("in/a.json", login("ann"));
    run(&acme(&folder, &[&folder.at("in")])).exits_with(0);
    assert_eq!(fs::read_to_string(path).unwrap(), login("ann"));
    assert_eq!(fs::read_dir(folder.at("in")).unwrap().count(), 1);
}
