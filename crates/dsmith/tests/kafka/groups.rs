//! Processes that divide log sources of REST interfaces among themselves.

use crate::gate::Gate;
use crate::{LONG, Process, System, until};
use harness::{BrokerPrograms, Collector, keys_of};
use simulator::{Client, Feed, Scenario, Service, Simulator, Stamp};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

const FEEDS: [(Service, &str); 4] = [
    (Service::SiemApi, "eu"),
    (Service::SiemApi, "us"),
    (Service::MdeApi, ""),
    (Service::Graph, ""),
];

/// The log sources, as the simulator names them, in order. Of two partitions each has at least one of them.
const LOG_SOURCES: [&str; 3] = ["graph", "mde-api", "siem-api"];

/// Alerts in one answer of an interface with pages.
const PAGE: usize = 20;

/// What may be fetched and not acknowledged, for each log source.
const IN_FLIGHT: usize = 100;

/// A group of processes, and the interfaces that they ask.
struct Group {
    system: System,
    simulator: Simulator,
    folders: Vec<Collector>,
}

impl Group {
    fn new(programs: &BrokerPrograms) -> Self {
        let simulator = Simulator::start(Scenario {
            start: Some(Stamp::now() - Duration::from_secs(3600)),
            feeds: vec![
                Feed::siem("eu"),
                Feed::siem("us"),
                Feed::mde(),
                Feed::graph(),
            ],
            mde_page: PAGE,
            graph_page: PAGE,
            ..Scenario::default()
        });
        Self {
            system: System::new(programs),
            simulator: simulator.unwrap(),
            folders: Vec::new(),
        }
    }

    fn publish(&self, alerts: u64) {
        // Alerts of one moment would be told apart by nothing but their numbers.
        self.simulator.clock().advance(Duration::from_secs(60));
        for (service, region) in FEEDS {
            self.simulator.publish(service, region, alerts);
        }
    }

    /// A process with a state of its own and the same log sources as the others.
    fn start(&mut self, name: &str) -> Process {
        self.start_with(
            name,
            "[[destination]]
name = \"file\"
type = \"file\"
path = \"out/events.log\"
format = \"raw\"
batch_events = 10
",
        )
    }

    /// The same, with a destination that takes nothing.
    fn start_stuck(&mut self, name: &str) -> Process {
        self.start_with(
            name,
            "[[destination]]
name = \"file\"
type = \"syslog\"
address = \"127.0.0.1:9\"
",
        )
    }

    fn start_with(&mut self, name: &str, destination: &str) -> Process {
        let folder = self.system.folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        let collector = Collector::new(env!("CARGO_BIN_EXE_dsmith"), folder);
        collector.configure(&self.simulator, destination).unwrap();
        let path = collector.folder().join("dsmith.toml");
        let mut file = fs::File::options().append(true).open(path).unwrap();
        write!(
            file,
            "
[limits]
memory_events = {IN_FLIGHT}

[group]
name = \"collectors\"
bootstrap_server_list = [\"{}\"]
partitions = 2
session_timeout_ms = 6000
",
            self.system.broker.address()
        )
        .unwrap();
        self.folders.push(collector.clone());
        let running = collector.start(false).unwrap();
        Process { collector, running }
    }

    /// Waits until all alerts were delivered, by whatever process, and tells which more than once.
    fn repeated_of_all(&self, processes: &[&Process]) -> Vec<(String, u32)> {
        let begun = Instant::now();
        loop {
            let folders = self.folders.iter();
            let lines: Vec<Vec<u8>> = folders.flat_map(|one| one.lines().unwrap()).collect();
            let comparison = self.simulator.ledger().compare(keys_of(&lines));
            if comparison.missing.is_empty() {
                // What a killed process had half written is no alert.
                let strange = comparison.unknown.len();
                assert!(strange <= self.folders.len(), "{comparison}");
                return comparison.repeated;
            }
            if begun.elapsed() > LONG {
                let tell = |process: &&Process| {
                    format!("{}{}", process.status(), process.collector.log().unwrap())
                };
                let told: Vec<String> = processes.iter().map(tell).collect();
                panic!("{comparison}\n{}", told.join("\n--\n"));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The keys of all alerts until now.
    fn keys(&self) -> BTreeSet<String> {
        let records = self.simulator.ledger().records.into_iter();
        records.map(|record| record.key).collect()
    }
}

/// The log sources for which a process collects, by what it says itself.
fn collects(process: &Process) -> BTreeSet<String> {
    let path = process.collector.folder().join("state/status.json");
    let Ok(text) = fs::read_to_string(path) else {
        return BTreeSet::new();
    };
    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
    let lanes = status["lanes"].as_array().unwrap().iter();
    // A log source that another process collects for has a row without a lane.
    lanes
        .filter(|lane| lane["lane"] != "-")
        .map(|lane| lane["logSource"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until each log source is collected by one of these processes, by one only, and each process has some.
fn until_divided(processes: &[&Process]) {
    until("each log source has one process", processes, || {
        let shares: Vec<BTreeSet<String>> = processes.iter().map(|one| collects(one)).collect();
        let mut all: Vec<String> = shares.iter().flatten().cloned().collect();
        all.sort();
        all == LOG_SOURCES && shares.iter().all(|share| !share.is_empty())
    });
}

fn has_partitions(process: &Process) -> bool {
    let log = process.collector.log().unwrap();
    log.contains("more partitions of the topic")
}

pub(crate) fn log_sources_move(programs: &BrokerPrograms) {
    let mut group = Group::new(programs);
    group.publish(400);
    let mut first = group.start("first");
    until_divided(&[&first]);
    assert_eq!(group.repeated_of_all(&[&first]), []);
    let old = group.keys();

    // The second is given some of them, and goes on where the first has stopped.
    group.publish(50);
    let second = group.start("second");
    until("the second has a share", &[&first, &second], || {
        has_partitions(&second)
    });
    until_divided(&[&first, &second]);
    let status = second.status();
    let told = status.contains("group collectors  OK  1 of 2 partitions of dsmith-log-sources")
        && status.contains("not this process");
    assert!(told, "{status}");

    // The first dies, and the second has all of them.
    first.running.kill().unwrap();
    until_divided(&[&second]);
    let repeated = group.repeated_of_all(&[&second]);
    let refetched = repeated.iter().find(|(key, _)| old.contains(key));
    assert_eq!(refetched, None, "it was delivered long before");

    // The third dies while it is at work: what it has fetched is delivered nowhere.
    group.publish(400);
    let mut third = group.start_stuck("third");
    until_divided(&[&second, &third]);
    until(
        "the third has fetched something",
        &[&second, &third],
        || {
            let log = third.collector.log().unwrap();
            log.contains("wait in memory for delivery")
        },
    );
    third.running.kill().unwrap();
    until_divided(&[&second]);

    // The second ends, and the fourth goes on where it has stopped.
    let fourth = group.start("fourth");
    until_divided(&[&second, &fourth]);
    let _ = second.end();
    until_divided(&[&fourth]);
    assert_eq!(group.repeated_of_all(&[&fourth]), repeated);
    let _ = fourth.end();
}

/// A process signs in at the brokers of its group with tokens.
pub(crate) fn group_with_tokens(programs: &BrokerPrograms) {
    let gate = Gate::new();
    gate.admit(|shown| shown.contains("auth=Bearer simulated."));
    let simulator = Simulator::start(Scenario {
        start: Some(Stamp::now() - Duration::from_secs(3600)),
        feeds: vec![Feed::mde()],
        ..Scenario::default()
    })
    .unwrap();
    simulator.publish(Service::MdeApi, "", 30);
    let system = System::behind(programs, &gate);
    // What makes topics gets no tokens.
    system.broker.topic("positions", 2).unwrap();
    let folder = system.folder.path().join("one");
    fs::create_dir_all(&folder).unwrap();
    let collector = Collector::new(env!("CARGO_BIN_EXE_dsmith"), folder);
    let destination = "[[destination]]\nname = \"file\"\ntype = \"file\"\npath = \"out/events.log\"\nformat = \"raw\"\n";
    collector.configure(&simulator, destination).unwrap();
    let path = collector.folder().join("dsmith.toml");
    let mut file = fs::File::options().append(true).open(path).unwrap();
    let client = Client::default();
    fs::write(collector.folder().join("secret"), &client.secret).unwrap();
    write!(
        file,
        "
[group]
name = \"collectors\"
topic = \"positions\"
bootstrap_server_list = [\"{}\"]
session_timeout_ms = 6000
security_protocol = \"sasl-plaintext\"
sasl_mechanism = \"oauthbearer\"
token_url = \"{}/{}/oauth2/v2.0/token\"
token_client_id = \"{}\"
token_client_secret = {{ file = \"secret\" }}
token_scope = \"https://graph.microsoft.com/.default\"
",
        gate.address(),
        simulator.url(),
        client.tenant,
        client.id
    )
    .unwrap();
    let running = collector.start(false).unwrap();
    let process = Process { collector, running };
    until("all are delivered", &[&process], || {
        process.lines().len() == 30
    });
    let collector = process.end();
    let log = collector.log().unwrap();
    assert!(!log.contains(&client.secret), "{log}");
    for token in simulator.tokens() {
        assert!(!log.contains(&token), "{log}");
    }
}
