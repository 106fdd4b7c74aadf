//! Help, colours, pipes, explanations.

use crate::support::{Folder, SSH, acme, command, feed, login, run, run_with};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

#[test]
fn help_has_an_example_and_the_exit_codes_for_every_command() {
    for args in [
        &["--help"][..],
        &["parse", "--help"],
        &["check", "--help"],
        &["test", "--help"],
        &["coverage", "--help"],
        &["diff", "--help"],
        &["census", "--help"],
        &["lsp", "--help"],
        &["new", "--help"],
        &["anonymize", "--help"],
        &["lint", "--help"],
        &["export", "--help"],
        &["import", "--help"],
    ] {
        let ran = run(args).exits_with(0);
        assert_eq!(ran.err, "");
        for words in [
            "Examples:\n  dsmith ",
            "Exit codes:\n  0 ",
            "\n  1 ",
            "\n  64 ",
        ] {
            assert!(
                ran.out.contains(words),
                "{words:?} in {args:?}: {}",
                ran.out
            );
        }
        // What clap does not lay out has to fit by itself.
        let (_, written_by_hand) = ran.out.split_once("Examples:").unwrap();
        for line in written_by_hand.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
    let parse = run(&["parse", "--help"]).out;
    assert!(parse.contains("\n  2 "), "{parse}");
    for option in [
        "--type",
        "--lsx",
        "--mappings",
        "--format",
        "--explain",
        "--strict",
        "--framing",
        "--delimiter",
        "--max-event",
        "--substitution",
        "--color",
    ] {
        assert!(parse.contains(option), "{option}");
    }
}

#[test]
fn a_wrong_command_line_exits_with_64() {
    for args in [
        &[][..],
        &["pars"],
        &["parse", "--formt", "json"],
        &["parse", "--format", "xml"],
        &["parse", "--event", "2"],
        &["parse", "--explain", "--event", "0"],
        &["parse", "--max-event", "many"],
        &["check", "--strict"],
    ] {
        let ran = run(args).exits_with(64);
        assert_eq!(ran.out, "", "{args:?}");
        assert!(!ran.err.is_empty(), "{args:?}");
    }
}

/// Runs in an environment, and tells whether escape sequences came out on standard output and on standard error.
fn coloured(args: &[&str], environment: &[(&str, &str)]) -> (bool, bool) {
    let ran = feed(
        command(args).envs(environment.iter().copied()),
        format!("{SSH}nobody knows this\n").as_bytes(),
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    (ran.out.contains('\x1b'), ran.err.contains('\x1b'))
}

#[test]
fn colours_are_for_terminals_unless_they_are_asked_for_and_no_color_is_respected() {
    let explain = ["parse", "--explain"];
    let plain = ["parse"];
    assert_eq!(coloured(&explain, &[]), (false, false));
    assert_eq!(coloured(&plain, &[]), (false, false));
    let always = |args: &[&'static str]| [args, &["--color", "always"]].concat();
    assert_eq!(coloured(&always(&explain), &[]), (true, false));
    assert_eq!(coloured(&always(&plain), &[]), (false, true));
    // NO_COLOR wins over what the environment asks for, an argument wins over the environment.
    assert!(coloured(&explain, &[("CLICOLOR_FORCE", "1")]).0);
    assert!(!coloured(&explain, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).0);
    assert!(coloured(&always(&explain), &[("NO_COLOR", "1")]).0);
    let never = ["parse", "--explain", "--color", "never"];
    assert!(!coloured(&never, &[("CLICOLOR_FORCE", "1")]).0);
}

#[test]
fn events_hold_no_colours_even_when_they_are_forced() {
    for format in ["leef", "leef2", "cef", "json", "table"] {
        let args = ["parse", "--color", "always", "-f", format];
        assert!(!coloured(&args, &[]).0, "{format}");
    }
}

/// Far more than fits into the pipes and blocks between two programs.
const ENOUGH: usize = 32 << 20;

/// Writes as `yes` does until nobody reads any more, but not for ever; tells how much it was.
fn written(mut stdin: std::process::ChildStdin) -> usize {
    let mut count = 0;
    while count < ENOUGH && stdin.write_all(SSH.as_bytes()).is_ok() {
        count += SSH.len();
    }
    count
}

#[test]
fn a_reader_that_goes_away_ends_the_run_quietly_and_soon() {
    let mut child = command(&["parse"]).stdin(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    let writer = thread::spawn(move || written(stdin));
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert!(line.starts_with("LEEF:1.0|"), "{line}");
    drop(out);
    let mut err = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(err, "");
    assert!(writer.join().unwrap() < ENOUGH, "it read on");
}

#[test]
fn a_closed_standard_error_harms_nobody() {
    let mut child = command(&["parse"]).stdin(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"nobody knows this\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(!output.stdout.is_empty());
}

#[test]
fn events_come_out_while_the_input_goes_on() {
    let mut child = command(&["parse", "-f", "json"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (send, receive) = std::sync::mpsc::channel();
    let out = child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        for line in BufReader::new(out).lines() {
            let _ = send.send(line.unwrap());
        }
    });
    for user in ["ann", "bob"] {
        stdin
            .write_all(SSH.replace("jvega", user).as_bytes())
            .unwrap();
        let line = receive.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(line.contains(user), "{line}");
    }
    drop(stdin);
    reader.join().unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn explain_shows_each_property_with_its_origin_and_the_span_underlined() {
    let ran = run_with(&["parse", "--explain"], SSH).exits_with(0);
    assert_eq!(ran.err, "");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines[0], "event 1 of the input: standard input, byte 0");
    assert!(
        ran.out.contains("log source type OpenSSH Server"),
        "{}",
        ran.out
    );
    let at = lines
        .iter()
        .position(|line| *line == "UserName = jvega")
        .unwrap();
    let start = SSH.find("jvega").unwrap();
    assert!(lines[at + 1].contains("pattern "), "{}", lines[at + 1]);
    assert!(
        lines[at + 1].ends_with(&format!("bytes {start}..{}", start + 5)),
        "{}",
        lines[at + 1]
    );
    let column = lines[at + 2].find("jvega").unwrap();
    assert_eq!(lines[at + 3].find("^^^^^").unwrap(), column, "{}", ran.out);
    assert_eq!(lines[at + 3].matches('^').count(), 5);
    // A candidate that failed, and why.
    assert!(
        lines.iter().any(
            |line| line.starts_with("  not ") && line.ends_with(": the pattern does not match")
        ),
        "{}",
        ran.out
    );
}

#[test]
fn explain_shows_the_event_that_is_asked_for() {
    let folder = Folder::with_acme_cloud();
    let first = folder.file("1.json", format!("{}\n{}\n", login("ann"), login("bob")));
    let second = folder.file("2.json", login("cy"));
    for (event, user, place) in [
        ("1", "ann", "1.json, byte 0".to_owned()),
        (
            "2",
            "bob",
            format!("1.json, byte {}", login("ann").len() + 1),
        ),
        ("3", "cy", "2.json, byte 0".to_owned()),
    ] {
        let ran = run(&acme(
            &folder,
            &["--explain", "--event", event, &first, &second],
        ))
        .exits_with(0);
        assert!(
            ran.out.contains(&format!("UserName = {user}\n")),
            "{}",
            ran.out
        );
        assert!(
            ran.out.lines().next().unwrap().ends_with(&place),
            "{}",
            ran.out
        );
    }
    for (input, count) in [("", "0 events"), (SSH, "1 event")] {
        let ran = run_with(&["parse", "--explain", "--event", "2"], input).exits_with(1);
        assert_eq!(ran.out, "");
        assert_eq!(
            ran.err,
            format!("error: there is no event 2: the input has {count}\n")
        );
    }
}

#[test]
fn explain_says_what_to_do_about_a_payload_that_is_not_recognised() {
    let ran = run_with(&["parse", "--explain"], "nobody knows this\n")
        .exits_with(0)
        .says(&["note", "--type", "openssh-server"]);
    assert!(
        ran.out.contains("Stored: no match group found an event ID"),
        "{}",
        ran.out
    );
    run_with(&["parse", "--explain", "--strict"], "nobody knows this\n").exits_with(2);
    run_with(&["parse", "--explain", "--strict"], SSH).exits_with(0);
}

#[test]
fn explain_does_not_read_on_behind_its_event() {
    let mut child = command(&["parse", "--explain"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take().unwrap();
    let writer = thread::spawn(move || written(stdin));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(writer.join().unwrap() < ENOUGH, "it read on");
}

#[test]
fn an_explanation_of_a_long_value_stays_readable() {
    let folder = Folder::with_acme_cloud();
    let ran = run_with(&acme(&folder, &["--explain"]), login(&"日本".repeat(5000))).exits_with(0);
    assert!(ran.out.contains("(10000 characters)"), "{}", ran.out);
    for line in ran.out.lines() {
        let width = unicode_width::UnicodeWidthStr::width(line);
        assert!(width <= 120, "{width}: {line}");
    }
}

#[test]
fn quiet_leaves_out_the_summary_but_not_the_warnings() {
    let ran = run_with(&["parse", "--quiet"], SSH).exits_with(0);
    assert_eq!(ran.err, "");
    run_with(&["parse", "--quiet"], "nobody knows this\n")
        .exits_with(0)
        .says(&["warning", "byte 0"]);
}
