//! How many threads there are changes nothing but the time.

use crate::support::{
    Folder, Ran, SSH, acme, command, login, peak_memory, repository, run, status,
};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs with several numbers of threads, which must not be seen in anything; gives what came out each time.
fn with_threads(args: &[String]) -> Ran {
    let with = |threads: &str| {
        let threads = ["--threads".to_owned(), threads.to_owned()];
        run(&[args, &threads].concat())
    };
    let one = with("1");
    for threads in ["2", "5"] {
        let several = with(threads);
        // What differs would be megabytes.
        let same = several.out == one.out;
        assert!(same, "{threads} threads: other events with {args:?}");
        assert_eq!(several.err, one.err, "{threads} threads with {args:?}");
        assert_eq!(several.code, one.code, "{threads} threads with {args:?}");
    }
    one
}

#[test]
fn every_fixture_gives_the_same_in_every_format() {
    let fixtures = repository().join("fixtures");
    let fixtures = fixtures.to_str().unwrap();
    for format in ["leef", "leef2", "cef", "json", "table"] {
        let args = [
            "parse",
            "--format",
            format,
            "--received",
            "2026-11-23T10:00:00Z",
            fixtures,
        ];
        let ran = with_threads(&args.map(str::to_owned));
        let ran = ran.says(&["microsoft-365-defender"]);
        assert!(ran.out.lines().count() > 500, "{format}");
    }
}

/// Some blocks of what input can be, good and bad.
fn mixed() -> Vec<u8> {
    let mut out = Vec::new();
    for round in 0..60 {
        let user = format!("user{round}");
        let good = login(&user);
        let (more, long) = (
            format!("{good}\n").repeat(50 + round % 7),
            "x".repeat(200 * (round % 61)),
        );
        out.extend_from_slice(more.as_bytes());
        let odd: &[u8] = match round % 12 {
            0 => b"{\"acme\":\"login\",\"user\":\"cut",
            1 => b"{\"acme\":\"login\",\"user\":\"j\xf6rg\"}",
            2 => b"{\"acme\":\"login\",,\"user\":1}",
            3 => b"nobody knows this",
            4 => SSH.as_bytes(),
            5 => b"[{\"acme\":\"login\"},\n{\"acme\":\"logout\"}]",
            6 => b"{\"value\":[{\"acme\":\"login\"},{\"acme\":\"login\",\"user\":\"a|b\\tc\"}]}",
            7 => b"{\n  \"acme\": \"login\"\n}",
            8 => b"\r\n\r\n",
            9 => b"{\"value\":[{\"acme\":\"login\"},",
            10 => b"{\"acme\":\"\",\"user\":\"no name\"}",
            _ => b"\xff\xfe\x00",
        };
        out.extend_from_slice(odd);
        out.push(b'\n');
        out.extend_from_slice(login(&long).as_bytes());
        out.push(b'\n');
    }
    out
}

#[test]
fn input_with_every_kind_of_fault_gives_the_same_events_complaints_summary_and_exit_code() {
    let folder = Folder::with_acme_cloud();
    folder.file("in/1.json", mixed());
    folder.file("in/2.db", b"binary \0\x01");
    folder.file("in/3.log", SSH.repeat(3));
    folder.file("in/4.json", [mixed(), b"{\"value\":[".to_vec()].concat());
    let input = folder.at("in");
    let missing = folder.at("missing.json");
    for (more, code) in [
        (&["-f", "json"][..], 1),
        (&["-f", "leef2", "--substitution", "fail"], 1),
        (&["-f", "cef", "--max-payload", "5000"], 1),
        (&["-f", "table", "--type", "acme-cloud", "--strict"], 1),
        (&["-f", "leef", "--framing", "lines", "--quiet"], 1),
        (&["-f", "json", "--framing", "whole"], 1),
    ] {
        let more = [more, &[&missing, &input]].concat();
        with_threads(&acme(&folder, &more)).exits_with(code);
    }
    let good = folder.file("good.json", format!("{}\n", login("ann")).repeat(8_000));
    let log = folder.file("some.log", "nobody knows this\n".repeat(20_000));
    with_threads(&acme(&folder, &["--strict", &good])).exits_with(0);
    with_threads(&acme(&folder, &["--strict", &good, &log, &good]))
        .exits_with(2)
        .says(&["and 19990 more payloads that were not recognised"])
        .says(&["total", "36000", "16000"]);
    with_threads(&acme(
        &folder,
        &["--explain", "--event", "12000", &good, &good],
    ))
    .exits_with(0);
}

#[test]
fn a_number_of_threads_that_cannot_be_is_a_wrong_command_line() {
    for threads in ["0", "-1", "two", "1025", ""] {
        run(&["parse", &format!("--threads={threads}"), "x"])
            .exits_with(64)
            .says(&["--threads", "from 1 to 1024"]);
    }
}

/// A run that gets its input line by line, and its lines as they come.
struct Talk {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Talk {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let (send, lines) = channel();
        let out = child.stdout.take().unwrap();
        thread::spawn(move || {
            for line in BufReader::new(out).lines() {
                if send.send(line.unwrap()).is_err() {
                    break;
                }
            }
        });
        let stdin = child.stdin.take().unwrap();
        Self {
            child,
            stdin,
            lines,
        }
    }

    fn say(&mut self, text: &str) {
        self.stdin.write_all(text.as_bytes()).unwrap();
    }
}

#[test]
fn events_come_out_while_the_input_goes_on_and_one_thread_is_one() {
    for threads in ["1", "2", "4"] {
        let mut talk = Talk::start(&mut command(&["parse", "--threads", threads]));
        for user in ["ann", "bob", "cy", "dee", "eve"] {
            talk.say(&SSH.replace("jvega", user));
            let line = talk.lines.recv_timeout(PATIENCE).unwrap();
            assert!(line.contains(user), "{line}");
        }
        if let Some(count) = status(&talk.child, "Threads:") {
            // The first one does nothing where there are others.
            let wanted = if threads == "1" {
                1
            } else {
                1 + threads.parse::<u64>().unwrap()
            };
            assert_eq!(count, wanted);
        }
        drop(talk.stdin);
        let after = talk.lines.recv_timeout(PATIENCE);
        assert_eq!(after, Err(RecvTimeoutError::Disconnected));
        assert!(talk.child.wait().unwrap().success());
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_run_though_the_input_stays_open_and_silent() {
    // A child that another test starts has our ends of all pipes for a moment, between fork and exec. What is written then
    // finds a reader, and nothing ends.
    let ends = |threads: &str| {
        let mut child = command(&["parse", "--threads", threads])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        stdin.write_all(SSH.as_bytes()).unwrap();
        out.read_line(&mut String::new()).unwrap();
        drop(out);
        stdin.write_all(SSH.as_bytes()).unwrap();
        let (send, ended) = channel();
        thread::spawn(move || send.send(child.wait_with_output().unwrap()));
        let Ok(output) = ended.recv_timeout(PATIENCE / 4) else {
            return false;
        };
        assert_eq!(output.status.code(), Some(0), "{threads} threads");
        assert_eq!(output.stderr, b"", "{threads} threads");
        drop(stdin);
        true
    };
    for threads in ["1", "2", "4"] {
        assert!((0..4).any(|_| ends(threads)), "{threads} threads");
    }
}

#[test]
fn memory_does_not_grow_with_the_input() {
    let peak = |lines: usize| {
        let mut talk = Talk::start(&mut command(&["parse", "--threads", "3"]));
        talk.say(&SSH.repeat(lines));
        for _ in 0..lines {
            talk.lines.recv_timeout(PATIENCE).unwrap();
        }
        let peak = peak_memory(&talk.child);
        drop(talk.stdin);
        assert!(talk.child.wait().unwrap().success());
        peak
    };
    if let (Some(small), Some(large)) = (peak(10_000), peak(200_000)) {
        assert!(large < small + (4 << 20), "{small} bytes, then {large}");
    }
}
