//! `dsmith run` as a program, from the simulator to a destination: nothing is lost, whatever happens to it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod end;
mod names;
mod once;
mod site;
mod start;

use harness::{Chaos, Collector, Receiver, Running, keys_of};
use simulator::{Client, Comparison, Fault, Feed, RetryAfter, Rule, Scenario, Service, Simulator};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a slow machine.
const LONG: Duration = Duration::from_secs(60);

const FILE: &str = "[[destination]]
name = \"file\"
type = \"file\"
path = \"out/events.log\"
format = \"raw\"
batch_events = 100
";

/// The program, its folder, and Microsoft's side.
struct System {
    folder: tempfile::TempDir,
    collector: Collector,
    simulator: Simulator,
}

impl System {
    fn new(scenario: Scenario, destinations: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let collector = Collector::new(env!("CARGO_BIN_EXE_dsmith"), folder.path());
        let simulator = Simulator::start(scenario).unwrap();
        collector.configure(&simulator, destinations).unwrap();
        Self {
            folder,
            collector,
            simulator,
        }
    }

    /// Changes the configuration.
    fn edit(&self, from: &str, to: &str) {
        let file = self.folder.path().join("dsmith.toml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(file, text.replace(from, to)).unwrap();
    }

    fn start(&self, once: bool) -> Running {
        self.collector.start(once).unwrap()
    }

    /// Waits for an end, which has to be a good one.
    fn assert_success(&self, mut running: Running) {
        let ended = running.wait(LONG).unwrap();
        assert!(
            ended.is_some_and(|status| status.success()),
            "{ended:?}\n{}",
            self.collector.log().unwrap()
        );
    }

    /// Collects and delivers everything that there is.
    fn run_once(&self) {
        self.assert_success(self.start(true));
    }

    fn compare(&self) -> Comparison {
        self.simulator
            .ledger()
            .compare(keys_of(&self.collector.lines().unwrap()))
    }

    fn assert_exact(&self) {
        let comparison = self.compare();
        let log = self.collector.log().unwrap();
        assert!(comparison.is_exact(), "{comparison}\n{log}");
    }

    /// Waits until this is so.
    fn wait_until(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(
                begun.elapsed() < LONG,
                "it takes too long until {what}\n{}",
                self.collector.log().unwrap()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn delivered(&self) -> usize {
        self.collector.lines().unwrap().len()
    }
}

fn hour() -> Duration {
    Duration::from_secs(3600)
}

fn everything() -> Scenario {
    Scenario {
        feeds: vec![
            Feed::siem("eu").backlog(300, hour()),
            Feed::siem("us").backlog(200, hour()),
            Feed::mde().backlog(250, hour()),
            Feed::graph().backlog(250, hour()),
        ],
        mde_page: 60,
        graph_page: 60,
        ..Scenario::default()
    }
}

#[test]
fn one_run_delivers_every_alert_of_every_interface_once() {
    let system = System::new(everything(), FILE);
    system.run_once();
    system.assert_exact();
    assert_eq!(system.delivered(), 1000);
    // Another run asks again and delivers nothing twice.
    system.run_once();
    system.assert_exact();
}

#[test]
fn a_region_that_answers_429_then_500_loses_nothing_and_delays_no_other() {
    let system = System::new(
        Scenario {
            feeds: vec![
                Feed::siem("eu").backlog(300, hour()),
                Feed::siem("us").backlog(300, hour()),
            ],
            faults: vec![
                Rule::always(Fault::Throttled(RetryAfter::Seconds(2)))
                    .region("eu")
                    .requests(1, 1),
                Rule::always(Fault::Status(500)).region("eu").requests(2, 2),
            ],
            ..Scenario::default()
        },
        FILE,
    );
    system.run_once();
    system.assert_exact();
    assert_eq!(system.delivered(), 600);
    let requests = system.simulator.requests();
    let of = |region: &str| -> Vec<&simulator::Answered> {
        requests
            .iter()
            .filter(|request| request.region == region)
            .collect()
    };
    let (eu, us) = (of("eu"), of("us"));
    let statuses: Vec<u16> = eu.iter().map(|request| request.status).collect();
    assert_eq!(statuses[..3], [429, 500, 200]);
    assert_eq!((us[0].status, us[0].alerts), (200, 300));
    // The one waited as it was told to; the other was through long before.
    assert!(eu[1].at.since(eu[0].at) >= Duration::from_millis(1900));
    assert!(eu[2].at.since(us[0].at) >= Duration::from_secs(2));
    assert!(us[0].at.since(eu[0].at) < Duration::from_secs(1));
}

#[test]
fn after_a_kill_in_the_middle_the_alerts_delivered_are_the_alerts_there_were() {
    let system = System::new(everything(), FILE);
    // Slowly, so that there is a middle.
    system.edit(
        "recurrence = \"1M\"",
        "recurrence = \"1M\"\neps_throttle = 200",
    );
    let mut running = system.start(false);
    system.wait_until("something is delivered", || system.delivered() > 150);
    running.kill().unwrap();
    let before = system.delivered();
    assert!(before < 1000, "it was through before it was killed");
    system.run_once();
    let comparison = system.compare();
    assert!(
        comparison.missing.is_empty() && comparison.unknown.is_empty(),
        "{comparison}"
    );
    assert!(
        comparison.repeats() <= 100,
        "more than a batch: {comparison}"
    );
}

#[test]
fn a_stop_in_the_middle_repeats_nothing() {
    let system = System::new(everything(), FILE);
    system.edit(
        "recurrence = \"1M\"",
        "recurrence = \"1M\"\neps_throttle = 200",
    );
    let running = system.start(false);
    system.wait_until("something is delivered", || system.delivered() > 150);
    running.terminate().unwrap();
    system.assert_success(running);
    system.run_once();
    system.assert_exact();
}

#[test]
fn kills_at_random_moments_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = Chaos {
        program: env!("CARGO_BIN_EXE_dsmith").into(),
        folder: folder.path().to_owned(),
        kills: 12,
        seed: 20,
        adversaries: false,
        faketime: None,
        freeze: Duration::ZERO,
    }
    .run()
    .unwrap();
    assert!(outcome.passed(), "{outcome}");
    assert!(outcome.rotated > 3, "{outcome}");
}

#[test]
fn a_receiver_that_comes_late_and_goes_in_between_gets_everything() {
    let receiver = Receiver::start().unwrap();
    let address = receiver.address();
    drop(receiver);
    let destination = format!(
        "[[destination]]
name = \"receiver\"
type = \"syslog\"
address = \"{address}\"
header = \"none\"
format = \"raw\"
"
    );
    let system = System::new(everything(), &format!("{destination}\n{FILE}"));
    let running = system.start(false);
    // The file is not kept waiting by a receiver that is not there.
    system.wait_until("the file has everything", || system.delivered() == 1000);
    let receiver = Receiver::start_on(address).unwrap();
    system.wait_until("the receiver has everything", || receiver.count() >= 1000);
    running.terminate().unwrap();
    system.assert_success(running);
    system.assert_exact();
    let comparison = system
        .simulator
        .ledger()
        .compare(keys_of(&receiver.lines()));
    assert!(comparison.is_exact(), "{comparison}");
}

#[test]
fn the_demonstration_shows_that_everything_is_delivered_once() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_dsmith"))
        .args(["demo", "--dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.starts_with("LEEF:1.0|Microsoft|"), "{text}");
    let total = text.lines().find(|line| line.starts_with("total "));
    let numbers: Vec<u64> = total
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [alerts, fetched, mapped, delivered, repeated, missing] = numbers[..] else {
        panic!("{text}");
    };
    assert!(alerts > 10_000, "{text}");
    assert_eq!([fetched, mapped, delivered], [alerts; 3], "{text}");
    assert_eq!([repeated, missing], [0; 2], "{text}");
    // Something of each kind has gone wrong meanwhile.
    let troubles = text.lines().find(|line| line.contains("on purpose"));
    let troubles = troubles.unwrap_or_default();
    assert!(!troubles.contains(" 0 "), "{troubles}");
    // Another one does not write over it.
    let again = Command::new(env!("CARGO_BIN_EXE_dsmith"))
        .args(["demo", "--dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(1));
    let error = String::from_utf8(again.stderr).unwrap();
    assert!(error.contains("is not empty; name a new folder"), "{error}");
}

/// Looks for a text in all files below a folder.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else {
            let bytes = fs::read(&path).unwrap();
            if bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
            {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn no_secret_and_no_token_is_written_anywhere() {
    // The secret as it is, and the part of it that looks different in a form.
    let secret = Client::default().secret;
    let encoded = "real%2Bsecret%3D8Q";
    assert!(secret.ends_with("real+secret=8Q"));
    let system = System::new(
        Scenario {
            faults: vec![
                Rule::always(Fault::TokensExpire)
                    .service(Service::Graph)
                    .requests(2, 2),
                Rule::always(Fault::Entra(90_033))
                    .service(Service::Token)
                    .requests(1, 1),
                Rule::always(Fault::Status(403)).region("us"),
            ],
            ..everything()
        },
        &format!("[log]\nlevel = \"debug\"\n\n{FILE}"),
    );
    let running = system.start(false);
    system.wait_until("there is something", || system.delivered() >= 700);
    running.terminate().unwrap();
    system.assert_success(running);
    assert!(
        system.collector.log().unwrap().len() > 1000,
        "the log is not empty"
    );
    let tokens = system.simulator.tokens();
    assert!(tokens.len() >= 3);
    for text in tokens
        .iter()
        .map(String::as_str)
        .chain([secret.as_str(), encoded])
    {
        assert_eq!(
            files_with(system.folder.path(), text),
            [] as [String; 0],
            "{text}"
        );
    }
}
