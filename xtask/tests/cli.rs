//! The developer commands as CI meets them.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

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
