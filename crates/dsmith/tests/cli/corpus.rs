//! What the commands that look through a corpus have in common.

use crate::support::{Folder, command, login, peak_memory, run_with};
use std::io::Write;
use std::process::Stdio;

/// The arguments of each command, for payloads of `acme-cloud` on standard input.
fn commands(folder: &Folder) -> Vec<Vec<String>> {
    let (mapping, fixtures) = (folder.at("mappings/acme-cloud"), folder.at("fixtures"));
    let of = |args: &[&str]| {
        let rest = ["--corpus", "-", "--fixtures", &fixtures];
        let args = args.iter().chain(&rest).map(|&arg| arg.to_owned());
        args.collect::<Vec<_>>()
    };
    vec![
        of(&["coverage", &mapping]),
        of(&["diff", &mapping, &mapping]),
        of(&["census", &mapping]),
    ]
}

fn folder() -> Folder {
    let folder = Folder::with_acme_cloud();
    folder.file("fixtures/acme-cloud/json/login.json", login("ann"));
    folder
}

#[test]
fn memory_does_not_grow_with_the_corpus() {
    let folder = folder();
    for args in commands(&folder) {
        let peak = |lines: usize| {
            let mut child = command(&args).stdin(Stdio::piped()).spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            for number in 0..lines {
                let line = login(&format!("user {number}")) + "\n";
                stdin.write_all(line.as_bytes()).unwrap();
            }
            // All but what the pipe holds has been read.
            let peak = peak_memory(&child);
            drop(stdin);
            assert!(
                child.wait_with_output().unwrap().status.success(),
                "{args:?}"
            );
            peak
        };
        if let (Some(small), Some(large)) = (peak(10_000), peak(50_000)) {
            assert!(
                large < small + (2 << 20),
                "{args:?}: {small} bytes, then {large}"
            );
        }
    }
}

#[test]
fn what_is_broken_is_told_and_the_rest_is_counted() {
    let folder = folder();
    for args in commands(&folder) {
        let input = format!("{}\n{{\"acme\": [1, 2\n", login("ann"));
        let ran = run_with(&args, &input)
            .exits_with(1)
            .says(&["standard input: byte 46"]);
        assert!(!ran.out.is_empty(), "{ran:?}");
        // Bytes that are not UTF-8 are a payload like others.
        run_with(&args, b"\xfd\xff acme\n").exits_with(0);
    }
}
