//! Input that is broken: it is said where, and everything else comes out.

use crate::support::{Folder, acme, command, login, peak_memory, run, run_with};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::thread;

/// Two good events with something between them, from a file; gives the users that came out.
fn between(bad: &[u8], code: i32, words: &[&str]) -> Vec<String> {
    let folder = Folder::with_acme_cloud();
    let mut input = login("ann").into_bytes();
    input.push(b'\n');
    input.extend_from_slice(bad);
    input.push(b'\n');
    input.extend_from_slice(login("bob").as_bytes());
    let path = folder.file("x.ndjson", input);
    let ran = run(&acme(
        &folder,
        &["-f", "json", "--type", "acme-cloud", &path],
    ))
    .exits_with(code)
    .says(&[&["x.ndjson"], words].concat());
    ran.column("/properties/UserName")
        .iter()
        .filter_map(|user| user.as_str().map(str::to_owned))
        .collect()
}

/// Where the bad part begins.
fn offset() -> usize {
    login("ann").len() + 1
}

#[test]
fn a_line_that_is_not_json_is_named_and_stored() {
    let at = format!("byte {}:", offset());
    assert_eq!(
        between(b"this is not JSON", 0, &[&at, "Stored", "holds no JSON"]),
        ["ann", "bob"]
    );
}

#[test]
fn a_line_that_was_cut_is_named_and_the_next_one_is_read() {
    let at = format!("byte {}:", offset());
    for cut in [
        &b"{\"acme\":\"log"[..],
        b"{\"acme\":",
        b"{\"acme\":[{}",
        b"{\"acme\":\"login\",\"user\":\"x\"",
    ] {
        assert_eq!(
            between(cut, 1, &[&at, "does not end"]),
            ["ann", "bob"],
            "{}",
            String::from_utf8_lossy(cut)
        );
    }
}

#[test]
fn an_array_that_was_cut_between_events_is_not_taken_for_whole() {
    let folder = Folder::with_acme_cloud();
    let input = format!("{{\"value\":[{},{},", login("ann"), login("bob"));
    let at = format!("byte {}:", input.len());
    let ran = run_with(&acme(&folder, &["-f", "json"]), input)
        .exits_with(1)
        .says(&["standard input", &at, "some may be missing"]);
    assert_eq!(ran.column("/properties/UserName"), ["ann", "bob"]);
}

#[test]
fn bytes_that_are_not_utf_8_are_replaced_and_named() {
    let at = format!("byte {}:", offset() + 25);
    assert_eq!(
        between(
            b"{\"acme\":\"login\",\"user\":\"j\xf6rg\"}",
            0,
            &[&at, "not UTF-8"]
        ),
        ["ann", "j\u{fffd}rg", "bob"]
    );
}

#[test]
fn nesting_ten_thousand_deep_is_named_and_the_next_event_is_read() {
    let arrays = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let open = "{\"a\":".repeat(10_000);
    for (deep, words) in [
        (&arrays, ["nests deeper", "of the payload"]),
        (&objects, ["nests deeper", "of the payload"]),
        (&open, ["does not end", "byte"]),
    ] {
        assert_eq!(between(deep.as_bytes(), 1, &words), ["ann", "bob"]);
    }
}

#[test]
fn utf_16_is_refused_with_the_remedy() {
    let folder = Folder::new();
    let text: Vec<u8> = "\u{feff}{\"a\":1}"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    folder.file("in/x.json", text);
    run(&["parse", &folder.at("in")])
        .exits_with(1)
        .says(&["x.json", "UTF-16", "convert"]);
}

#[test]
fn a_payload_over_the_limit_is_left_out_and_named() {
    let folder = Folder::with_acme_cloud();
    let long = login(&"x".repeat(1000));
    let input = format!("{}\n{long}\n{}\n", login("ann"), login("bob"));
    let at = format!("byte {}:", offset());
    let ran = run_with(
        &acme(&folder, &["-f", "json", "--max-payload", "500"]),
        &input,
    )
    .exits_with(1)
    .says(&["standard input", &at, "more than 500 bytes"])
    .says(&["1 fault in the input"]);
    assert_eq!(ran.column("/properties/UserName"), ["ann", "bob"]);
    let ran = run_with(
        &acme(&folder, &["-f", "json", "--max-payload", "2000"]),
        &input,
    );
    assert_eq!(ran.exits_with(0).events().len(), 3);
}

/// Sends 200 MB as one payload through a pipe and looks at the memory before the pipe is closed.
fn huge(begin: &str, fill: u8, end: &str) {
    const SIZE: usize = 200 << 20;
    let folder = Folder::with_acme_cloud();
    let mut child = command(&acme(&folder, &["-f", "json"]))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let begin = format!("{}\n{begin}", login("ann"));
    let end = format!("{end}\n{}\n", login("bob"));
    let writer = thread::spawn(move || {
        stdin.write_all(begin.as_bytes()).unwrap();
        let block = vec![fill; 1 << 20];
        for _ in 0..SIZE / block.len() {
            stdin.write_all(&block).unwrap();
        }
        stdin.write_all(end.as_bytes()).unwrap();
        stdin.flush().unwrap();
        stdin
    });
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for user in ["ann", "bob"] {
        let line = lines.next().unwrap().unwrap();
        assert!(line.contains(&format!("\"UserName\":\"{user}\"")), "{line}");
    }
    // It waits for more input now, so it can be looked at.
    let peak = peak_memory(&child);
    drop(writer.join().unwrap());
    let mut err = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{err}");
    assert!(lines.next().is_none());
    let at = format!("standard input: byte {}: ", offset());
    assert!(err.contains(&at) && err.contains("left out"), "{err}");
    if let Some(peak) = peak {
        assert!(peak < 150 << 20, "{} MiB", peak >> 20);
    }
}

#[test]
fn a_json_line_of_200_megabytes_costs_neither_the_next_event_nor_the_memory() {
    huge("{\"acme\":\"", b'x', "\"}");
}

#[test]
fn a_text_line_of_200_megabytes_costs_neither_the_next_event_nor_the_memory() {
    huge("<13>Nov 23 10:00:00 gw ", b'x', "");
}

#[test]
fn a_thousand_complaints_of_one_kind_do_not_hide_one_of_another() {
    let folder = Folder::with_acme_cloud();
    let input = format!(
        "{}{{\"acme\":\"cut\n{}\n",
        "no JSON\n".repeat(1000),
        login("ann")
    );
    let ran = run_with(&acme(&folder, &["--type", "acme-cloud"]), input)
        .exits_with(1)
        .says(&["byte 8000:", "does not end"])
        .says(&["and 990 more Stored events"]);
    assert!(ran.err.lines().count() < 20, "{}", ran.err);
}

#[test]
fn control_characters_in_a_file_name_do_not_reach_the_terminal() {
    let folder = Folder::new();
    let ran = run(&["parse", &folder.at("\x1b[31mred")]).exits_with(1);
    assert!(!ran.err.contains('\x1b'), "{:?}", ran.err);
    assert!(ran.err.contains("␛[31mred"), "{:?}", ran.err);
}
