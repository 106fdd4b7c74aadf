//! The examples of the documentation.

use crate::support::{Folder, run};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples")
}

fn read(path: &str) -> String {
    fs::read_to_string(examples().join(path)).unwrap()
}

/// The files that a ConfigMap holds as blocks of text, by their names.
fn files_within(manifest: &str) -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut name = None;
    for line in manifest.lines() {
        let begun = line
            .strip_prefix("  ")
            .and_then(|line| line.strip_suffix(": |"));
        if let Some(begun) = begun.filter(|name| name.ends_with(".toml")) {
            name = Some(begun.to_owned());
        } else if !line.is_empty() && !line.starts_with("    ") {
            name = None;
        } else if let Some(name) = &name {
            let text = files.entry(name.clone()).or_default();
            text.push_str(line.strip_prefix("    ").unwrap_or_default());
            text.push('\n');
        }
    }
    files
}

/// What is wrong with a configuration is at most that its secrets are not on this machine, and that this program was built
/// without Kafka.
#[track_caller]
fn passes(name: &str, text: &str) {
    let folder = Folder::new();
    let path = folder.file("dsmith.toml", text);
    let ran = run(&["check-config", "-c", &path]);
    let said = format!("{}{}", ran.out, ran.err);
    let expected = |line: &&str| {
        line.starts_with("warning[CFG018]")
            || (cfg!(not(feature = "kafka")) && line.starts_with("error[CFG023]"))
    };
    let is_finding = |line: &&str| line.starts_with("warning[") || line.starts_with("error[");
    let other = said.lines().filter(is_finding).find(|line| !expected(line));
    assert_eq!(other, None, "{name}: {said}");
}

#[test]
fn every_configuration_passes_check_config() {
    for name in [
        "dsmith.toml",
        "scaling/collector.toml",
        "scaling/normalizer.toml",
    ] {
        passes(name, &read(name));
    }
    let files = files_within(&read("scaling/kubernetes.yaml"));
    let names: Vec<&String> = files.keys().collect();
    assert_eq!(names, ["collector.toml", "normalizer.toml"]);
    for (name, text) in &files {
        passes(name, text);
    }
}

/// What a configuration says, without comments and where secrets, spool and metrics are.
fn essence(text: &str) -> Vec<&str> {
    let own = [
        "password",
        "secret",
        "address = \"1",
        "address = \"0",
        "spool",
        "[limits]",
    ];
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter(|line| !own.iter().any(|own| line.contains(own)))
        .collect()
}

#[test]
fn all_ways_to_start_processes_have_the_same_configurations() {
    for (name, text) in files_within(&read("scaling/kubernetes.yaml")) {
        let plain = read(&format!("scaling/{name}"));
        assert_eq!(essence(&plain), essence(&text), "{name}");
    }
}

/// The arguments of the program in a unit.
fn arguments(unit: &str, instance: &str) -> Vec<String> {
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="));
    let line = line
        .unwrap()
        .replace("%i", instance)
        .replace("%S", "/var/lib");
    line.split_whitespace().skip(1).map(str::to_owned).collect()
}

#[test]
fn the_program_takes_the_arguments_that_units_give_it() {
    for unit in ["dsmith.service", "scaling/dsmith@.service"] {
        let mut arguments = arguments(&read(unit), "1");
        let at = arguments
            .iter()
            .position(|argument| argument == "-c")
            .unwrap();
        arguments[at + 1] = "/nonexistent/dsmith.toml".to_owned();
        // 64 would be a wrong command line.
        run(&arguments)
            .exits_with(1)
            .says(&["/nonexistent/dsmith.toml"]);
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_units() {
    let verify = |unit: &Path| {
        Command::new("systemd-analyze")
            .arg("verify")
            .arg(unit)
            .output()
    };
    for (unit, instance) in [
        ("dsmith.service", "dsmith.service"),
        ("scaling/dsmith@.service", "dsmith@1.service"),
    ] {
        let folder = Folder::new();
        let name = unit.rsplit('/').next().unwrap();
        // The program is not installed here.
        folder.file(
            name,
            read(unit).replace("/usr/local/bin/dsmith", "/bin/true"),
        );
        // Nothing can be said where there is no systemd.
        let Ok(said) = verify(&folder.path().join(instance)) else {
            return;
        };
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.contains("dsmith"), "{said}");
    }
}

/// The script at work. What it has started does not outlive the test either.
struct Script(Child);

impl Script {
    fn end(&mut self) {
        let pid = self.0.id().to_string();
        let _ = Command::new("kill").args(["-s", "TERM", &pid]).status();
        let _ = self.0.wait();
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Where it has ended already its number may be somebody else's.
        if matches!(self.0.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

#[test]
fn the_script_starts_each_process_with_a_state_of_its_own_and_ends_all_of_them() {
    let folder = Folder::new();
    // In place of the program: it notes its arguments and waits for its end.
    let program = folder.file(
        "bin/dsmith",
        "#!/bin/sh\necho \"$@\" >> \"$NOTES\"\ntrap 'echo ended >> \"$NOTES\"; exit' TERM\nwhile :; do sleep 0.1; done\n",
    );
    let made = Command::new("chmod").args(["+x", &program]).status();
    assert!(made.unwrap().success());
    let path = std::env::var("PATH").unwrap();
    let notes = folder.path().join("notes");
    let script = Command::new("sh")
        .arg(examples().join("scaling/processes.sh"))
        .arg("3")
        .env("PATH", format!("{}:{path}", folder.at("bin")))
        .env("STATE", "/state")
        .env("NOTES", &notes)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut script = Script(script);
    let lines = |count: usize| {
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(&notes).unwrap_or_default();
            if text.lines().count() >= count || begun.elapsed() > Duration::from_secs(30) {
                let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                lines.sort();
                return lines;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let started = lines(4);
    let ends = |line: &String| {
        let (_, arguments) = line.split_once("--state-directory ").unwrap();
        arguments.to_owned()
    };
    let ends: Vec<String> = started.iter().map(ends).collect();
    assert_eq!(
        ends,
        [
            "/state/collector --metrics 127.0.0.1:9464",
            "/state/normalizer-1 --metrics 127.0.0.1:9465",
            "/state/normalizer-2 --metrics 127.0.0.1:9466",
            "/state/normalizer-3 --metrics 127.0.0.1:9467",
        ]
    );
    script.end();
    let ended = lines(8);
    let ended = ended.iter().filter(|line| *line == "ended").count();
    assert_eq!(ended, 4);
}
