//! Either end is restarted while events flow, and no event is missing afterwards.

use super::LONG;
use super::daemon::{Daemon, Program, free_port};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Enough that it takes some seconds.
const EVENTS: usize = 100_000;
pub(crate) const RESTARTS: usize = 5;
/// Far longer than these tests take, and than a run may take to its end.
const VERY_LONG: Duration = Duration::from_secs(300);

/// `dsmith run`; it ends when this is dropped.
struct Run(Child);

impl Run {
    fn start(folder: &Path, configuration: &str) -> Self {
        let text = format!("state_directory = \"state\"\n[limits]\nfree_disk = 0\n{configuration}");
        fs::write(folder.join("dsmith.toml"), text).unwrap();
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join("dsmith.log"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_dsmith"))
            .args(["run", "-c", "dsmith.toml"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self(child)
    }

    fn ask_to_end(&self) {
        let pid = self.0.id().to_string();
        let status = Command::new("kill").args(["-s", "TERM", &pid]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for its end.
    fn ends(&mut self, at_most: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        while begun.elapsed() < at_most {
            if let Some(status) = self.0.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn event(number: usize) -> String {
    format!(
        "<13>Nov 25 15:42:00 host app: event {number} end of it, which is not short at all, so that buffers fill\n"
    )
}

/// The configuration that sends `in.log` of a folder to a receiver, with more keys of the destination.
fn sending(folder: &Path, address: &str, keys: &str) -> String {
    format!(
        "[[destination]]
name = \"receiver\"
type = \"syslog\"
address = \"{address}\"
{keys}
[[log_source]]
identifier = \"app\"
type = \"openssh-server\"
protocol = \"file\"
destinations = [\"receiver\"]
[log_source.parameters]
path = \"{}/in.log\"
format = \"text\"
start = \"beginning\"
",
        folder.display()
    )
}

fn write_events(folder: &Path) {
    let mut text = String::new();
    for number in 0..EVENTS {
        let _ = text.write_str(&event(number));
    }
    fs::write(folder.join("in.log"), text).unwrap();
}

/// How often each event stands in a file; a line may be a piece.
fn received(file: &Path) -> BTreeMap<usize, u32> {
    let text = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let number = line
            .split("event ")
            .nth(1)
            .filter(|rest| rest.ends_with("buffers fill"));
        if let Some(Ok(number)) =
            number.map(|rest| rest.split(' ').next().unwrap_or_default().parse())
        {
            *found.entry(number).or_insert(0) += 1;
        }
    }
    found
}

fn count_lines(file: &Path) -> usize {
    let text = fs::read(file).unwrap_or_default();
    text.iter().filter(|byte| **byte == b'\n').count()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < VERY_LONG, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A receiver is asked to end and started again, several times, while events flow. `keys` are more keys of the destination.
/// Tells how many events came again.
pub(crate) fn receiver_restarts(start: &dyn Fn(&Path, u16) -> Daemon, keys: &str) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let port = free_port();
    write_events(folder);
    let mut daemon = start(folder, port);
    let address = format!("127.0.0.1:{port}");
    let keys = format!("header = \"none\"\nformat = \"raw\"\n{keys}");
    let configuration = sending(folder, &address, &keys);
    let mut run = Run::start(folder, &configuration);
    let file = folder.join("received.log");
    for restart in 1..=RESTARTS {
        let enough = restart * EVENTS / (RESTARTS + 2);
        wait_until("events arrive", || count_lines(&file) >= enough);
        daemon.stop();
        daemon = start(folder, port);
    }
    wait_until("all events have arrived", || {
        received(&file).len() == EVENTS
    });
    run.ask_to_end();
    let ended = run.ends(LONG);
    let log = fs::read_to_string(folder.join("dsmith.log")).unwrap();
    assert!(ended.is_some_and(|status| status.success()), "{log}");
    daemon.stop();
    let lines = received(&file);
    assert_eq!(lines.len(), EVENTS, "{log}");
    // Each restart repeats what was not confirmed.
    let repeated = lines.values().map(|times| *times as usize - 1).sum();
    let _ = writeln!(std::io::stderr(), "{repeated} events came again");
    // Nothing is left to be sent.
    let mut run = Run::start(folder, &configuration.replace(&port.to_string(), "9"));
    std::thread::sleep(Duration::from_secs(1));
    run.ask_to_end();
    assert!(run.ends(LONG).is_some());
    repeated
}

/// What receives events is dsmith: it is asked to end and started again, several times, while events flow.
pub(crate) fn dsmith_restarts(start: &dyn Fn(&Path, u16) -> Daemon) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let port = free_port();
    write_events(folder);
    let configuration = format!(
        "[[destination]]
name = \"file\"
type = \"file\"
path = \"{here}/received.log\"
format = \"raw\"
[[log_source]]
identifier = \"app\"
type = \"openssh-server\"
protocol = \"syslog\"
destinations = [\"file\"]
[log_source.parameters]
transport = \"tcp\"
listen_address = \"127.0.0.1\"
listen_port = {port}
",
        here = folder.display()
    );
    let mut run = Run::start(folder, &configuration);
    let file = folder.join("received.log");
    let daemon = start(folder, port);
    for restart in 1..=RESTARTS {
        let enough = restart * EVENTS / (RESTARTS + 2);
        wait_until("events arrive", || count_lines(&file) >= enough);
        run.ask_to_end();
        assert!(run.ends(LONG).is_some_and(|status| status.success()));
        run = Run::start(folder, &configuration);
    }
    let mut last = (0, Instant::now());
    wait_until("all events have arrived, or no more come", || {
        let count = count_lines(&file);
        if count != last.0 {
            last = (count, Instant::now());
        }
        count >= EVENTS && received(&file).len() == EVENTS
            || last.1.elapsed() > Duration::from_secs(60)
    });
    run.ask_to_end();
    assert!(run.ends(LONG).is_some_and(|status| status.success()));
    let lines = received(&file);
    let log = fs::read_to_string(folder.join("dsmith.log")).unwrap();
    assert_eq!(EVENTS - lines.len(), 0, "missing: {}\n{log}", daemon.said());
}

/// Sends the lines of a file, as they are.
pub(crate) fn rsyslog_sender(program: &Program, folder: &Path, port: u16) -> Daemon {
    let here = folder.display();
    let text = format!(
        "global(workDirectory=\"{here}\" maxMessageSize=\"64k\")
module(load=\"imfile\" mode=\"polling\" pollingInterval=\"1\")
template(name=\"raw\" type=\"string\" string=\"%msg%\\n\")
ruleset(name=\"send\") {{
  action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{port}\" protocol=\"tcp\" template=\"raw\"
         action.resumeRetryCount=\"-1\" action.resumeInterval=\"1\")
}}
input(type=\"imfile\" file=\"{here}/in.log\" tag=\"x\" ruleset=\"send\")
"
    );
    Daemon::begin(&mut program.rsyslog(folder, &text), folder)
}

/// The same.
pub(crate) fn syslog_ng_sender(program: &Program, folder: &Path, port: u16) -> Daemon {
    let here = folder.display();
    let text = format!(
        "@version: 3.35
options {{ log-msg-size(65536); time-reopen(1); }};
source s {{ file(\"{here}/in.log\" follow-freq(1) flags(no-parse)); }};
destination d {{ network(\"127.0.0.1\" port({port}) transport(\"tcp\") template(\"$MSG\\n\")); }};
log {{ source(s); destination(d); flags(flow-control); }};
"
    );
    Daemon::begin(&mut program.syslog_ng(folder, &text), folder)
}

/// Receivers that never read, talk without end, never answer the beginning of TLS or whose system drops everything: a
/// run that has events for them ends when it is asked to.
pub(crate) fn ends_in_time() {
    let hung = TcpListener::bind("127.0.0.1:0").unwrap();
    let talker = TcpListener::bind("127.0.0.1:0").unwrap();
    let ports = [&hung, &talker].map(|listener| listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in talker.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || while stream.write_all(&[b'x'; 4096]).is_ok() {});
        }
    });
    // 192.0.2.0/24 is for documentation: nobody answers there.
    for (address, transport) in [
        (format!("127.0.0.1:{}", ports[0]), "tcp"),
        (format!("127.0.0.1:{}", ports[1]), "tcp"),
        (format!("127.0.0.1:{}", ports[0]), "tls"),
        (format!("127.0.0.1:{}", ports[1]), "tls"),
        (format!("127.0.0.1:{}", ports[0]), "relp"),
        (format!("127.0.0.1:{}", ports[1]), "relp"),
        (format!("127.0.0.1:{}", ports[0]), "relp-tls"),
        ("192.0.2.1:514".to_owned(), "tcp"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        write_events(folder);
        let keys = format!("transport = \"{transport}\"\nformat = \"raw\"");
        let configuration = sending(folder, &address, &keys);
        let mut run = Run::start(folder, &configuration);
        // Until it is at work.
        std::thread::sleep(Duration::from_secs(2));
        run.ask_to_end();
        let ended = run.ends(LONG);
        let log = fs::read_to_string(folder.join("dsmith.log")).unwrap();
        assert!(ended.is_some(), "{address} {transport}: {log}");
    }
    drop(hung);
}

/// Whoever writes payloads writes an end of an event into them and an event of his own behind it. A receiver sees one
/// event for each payload, in any format.
pub(crate) fn nothing_is_forged(start: &dyn Fn(&Path, u16) -> Daemon) {
    const PAYLOADS: usize = 30;
    for format in ["raw", "cef", "leef1", "leef2", "json"] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let port = free_port();
        let daemon = start(folder, port);
        let mut text = Vec::new();
        for number in 0..PAYLOADS {
            let end = ["\0", "\r", "\0\0", "\r\0"][number % 4];
            text.extend_from_slice(
                format!("login {number}{end}<14>1 2026-11-25T15:42:00.000Z forged CEF:0|x|y|1|\n")
                    .as_bytes(),
            );
        }
        fs::write(folder.join("in.log"), text).unwrap();
        let address = format!("127.0.0.1:{port}");
        let configuration = sending(folder, &address, &format!("format = \"{format}\""));
        let mut run = Run::start(folder, &configuration);
        let file = folder.join("received.log");
        wait_until("events arrive", || count_lines(&file) >= PAYLOADS);
        run.ask_to_end();
        assert!(run.ends(LONG).is_some_and(|status| status.success()));
        daemon.stop();
        let text = fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&text);
        assert_eq!(text.lines().count(), PAYLOADS, "{format}:\n{text}");
        let forged = text.lines().filter(|line| line.starts_with("<14>"));
        assert_eq!(forged.count(), 0, "{format}:\n{text}");
    }
}
