//! The JDK that the committed answers come from, for tests that compare with it live.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test asks the environment where it runs, and says so in its output when it compares nothing"
)]

use std::path::Path;
use std::process::{Command, Stdio};

/// A command for `java` of a JDK 17, which runs a source file in the folder of the oracles; nothing if there is none.
/// The source launcher compiles the file first, so a JRE is not enough.
///
/// # Panics
///
/// If there is none and `CI=true`: there the comparison has to take place.
pub(crate) fn oracle(source: &str) -> Option<Command> {
    if let Some(why) = missing() {
        assert!(
            !is_ci(),
            "{why}, so Java's answers cannot be compared; install openjdk-17-jdk-headless and put its java first on the path"
        );
        println!("note: {why}, so the committed answers of Java were not compared with it");
        return None;
    }
    let mut java = Command::new("java");
    java.args(["-Xss64m", source])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    Some(java)
}

fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| ci == "true")
}

/// Why there is no JDK 17.
fn missing() -> Option<&'static str> {
    let modules = Command::new("java").arg("--list-modules").output();
    let Ok(modules) = modules else {
        return Some("there is no java on the path");
    };
    let modules = String::from_utf8_lossy(&modules.stdout);
    let has = |name: &str| modules.lines().any(|module| module.starts_with(name));
    match (has("java.base@17"), has("jdk.compiler@17")) {
        (true, true) => None,
        (true, false) => Some("the java on the path is a JRE without the compiler"),
        _ => Some("the java on the path is not version 17"),
    }
}
