//! A name server that never answers holds up nobody else, is told in the status, and SIGTERM ends the run all the same.
//!
//! It is a real one: a socket at port 53 of a network namespace of its own, which Linux gives to everybody who may make
//! user namespaces. The system would wait for it for two and a half minutes. Where there are no namespaces, the test says
//! so and is left out.

use crate::site::{LONG, NO_FREE_DISK, Site, file_destination, file_source, graph_source};
use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

const RESOLVE: &str = "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n";

/// Runs a test of this file again where no name is ever resolved.
#[allow(clippy::print_stderr, reason = "tests that are left out say so")]
fn without_names(test: &str, body: impl FnOnce(&AtomicUsize)) {
    const VARIABLE: &str = "DSMITH_WITHOUT_NAMES";
    if std::env::var_os(VARIABLE).is_some() {
        let server = UdpSocket::bind("127.0.0.1:53").unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        thread::spawn(move || {
            let mut question = [0; 512];
            while server.recv(&mut question).is_ok() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        return body(&asked);
    }
    let namespaces = ["-Urmn", "sh", "-c"];
    let possible = Command::new("unshare")
        .args(namespaces)
        .arg("ip link set lo up")
        .output();
    if !possible.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "left out: {test} needs `unshare -Urmn` and `ip`, which this machine does not have or allow"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("resolv.conf"), RESOLVE).unwrap();
    fs::write(folder.path().join("nsswitch.conf"), "hosts: files dns\n").unwrap();
    let script = "ip link set lo up && mount --bind \"$1/resolv.conf\" /etc/resolv.conf && \
        { [ ! -e /etc/nsswitch.conf ] || mount --bind \"$1/nsswitch.conf\" /etc/nsswitch.conf; } && \
        exec \"$2\" --exact \"$3\" --nocapture";
    let output = Command::new("unshare")
        .args(namespaces)
        .args([script, "sh"])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(VARIABLE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

fn named_receiver(name: &str, transport: &str) -> String {
    format!(
        "[[destination]]\nname = \"{name}\"\ntype = \"syslog\"\naddress = \"{name}.example.com:514\"\n\
         transport = \"{transport}\"\nformat = \"raw\"\nheader = \"none\"\n"
    )
}

/// Log sources and destinations of every kind whose servers have names, and a file that needs none.
fn everything_with_names() -> String {
    let mut destinations = file_destination("out");
    let mut names = vec!["out"];
    for transport in ["tcp", "udp"] {
        destinations += &named_receiver(transport, transport);
        names.push(transport);
    }
    // With an address of this machine in the place of Microsoft's there would be no name.
    let mut sources =
        graph_source("contoso", "", &["out"]).replace("endpoint_override = \"\"\n", "");
    if cfg!(feature = "kafka") {
        destinations += "[[destination]]\nname = \"topic\"\ntype = \"kafka\"\n\
            bootstrap_server_list = [\"broker.example.com:9092\"]\ntopic = \"events\"\nformat = \"json\"\n";
        names.push("topic");
        sources += "[[log_source]]\nidentifier = \"stream\"\ntype = \"microsoft-365-defender\"\n\
            protocol = \"apache-kafka\"\ndestinations = [\"out\"]\n[log_source.parameters]\n\
            bootstrap_server_list = [\"broker.example.com:9092\"]\nconsumer_group = \"dsmith\"\ntopic_list = [\"alerts\"]\n";
    }
    let file = file_source("build-02", "in.log", &names);
    format!("{NO_FREE_DISK}{destinations}{sources}{file}")
}

fn dsmith(site: &Site, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_dsmith"))
        .args(args)
        .current_dir(site.at(""))
        .env("SECRET", "hunter2-hunter2")
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_name_server_that_never_answers_holds_up_nobody_else_and_no_end() {
    without_names(
        "names::a_name_server_that_never_answers_holds_up_nobody_else_and_no_end",
        |asked| {
            let site = Site::new(&everything_with_names());
            site.append("in.log", 500);
            let mut process = site.start(&[]);
            site.wait_until("event at the file", |site| site.lines("out.log") == 500);
            site.wait_until("question", |_| asked.load(Ordering::Relaxed) > 0);
            let says = |words: &[&str]| {
                let status = dsmith(&site, &["status"]);
                let mut lines = status.lines();
                lines.any(|line| words.iter().all(|word| line.contains(word)))
            };
            for words in [
                ["contoso", "resolving the host name"],
                ["tcp", "no name server answers"],
                ["udp", "no name server answers"],
            ] {
                site.wait_until(&format!("status {words:?}"), |_| says(&words));
            }
            site.append("in.log", 10);
            site.wait_until("event that came later", |site| site.lines("out.log") == 510);
            process.signal("HUP");
            site.wait_until("reload", |site| {
                site.log().contains("the new configuration is in force")
            });
            site.append("in.log", 10);
            site.wait_until("event behind the reload", |site| {
                site.lines("out.log") == 520
            });
            process.signal("TERM");
            // It would be 1 if a wait had not honoured the end and the process had to be cut off.
            assert_eq!(process.ends(&site), 0, "{}", site.log());
        },
    );
}

#[test]
fn a_run_to_its_end_and_a_test_say_that_no_name_server_answers() {
    without_names(
        "names::a_run_to_its_end_and_a_test_say_that_no_name_server_answers",
        |_| {
            let site = Site::new(&everything_with_names());
            site.append("in.log", 20);
            let (code, log) = site.once("1s");
            assert_eq!(code, 1, "{log}");
            for words in [
                ["contoso", "resolving the host name"],
                ["tcp", "no name server answers"],
                ["udp", "no name server answers"],
            ] {
                assert!(
                    log.lines()
                        .any(|line| words.iter().all(|word| line.contains(word))),
                    "{words:?}\n{log}"
                );
            }
            assert_eq!(site.lines("out.log"), 20, "{log}");
            let begun = Instant::now();
            let told = dsmith(&site, &["test-source", "contoso"]);
            assert!(told.contains("no name server answers"), "{told}");
            assert!(begun.elapsed() < LONG);
        },
    );
}
