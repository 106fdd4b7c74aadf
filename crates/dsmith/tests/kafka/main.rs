//! `dsmith run` with a broker of others: what a foreign producer writes comes out at a destination. The broker and the
//! foreign client are unpacked by `.ci/run`; where they are missing the tests are left out, and fail with `CI=true`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod gate;
mod groups;
mod misfortunes;

use gate::Gate;
use harness::{Broker, BrokerPrograms, Collector, Running};
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a slow machine.
const LONG: Duration = Duration::from_secs(120);

/// Writes numbered records: name, how many, from which number on, to how many partitions in turn.
const PRODUCE: &str = r#"
import sys
from confluent_kafka import Producer
address, topic, name, count, begin, partitions = sys.argv[1:]
producer = Producer({"bootstrap.servers": address, "compression.type": "gzip"})
failed = []
for number in range(int(begin), int(begin) + int(count)):
    producer.produce(topic, f"{name} {number}".encode(), partition=number % int(partitions),
                     callback=lambda error, message: failed.append(error) if error else None)
    producer.poll(0)
left = producer.flush(60)
sys.exit(f"{left} left, {failed}" if left or failed else 0)
"#;

/// Writes each file as the records of one envelope, with a heartbeat behind it.
const STREAM: &str = r#"
import sys
from confluent_kafka import Producer
address, topic = sys.argv[1:3]
producer = Producer({"bootstrap.servers": address})
for number, path in enumerate(sys.argv[3:]):
    text = open(path, "rb").read().strip()
    producer.produce(topic, b'{"records":[' + text + b']}', partition=number % 4)
    producer.produce(topic, b'[{"type":"heartbeat"}]', partition=number % 4)
sys.exit(producer.flush(60))
"#;

/// Writes what nobody expects.
const ODD: &str = r#"
import sys
from confluent_kafka import Producer
address, topic = sys.argv[1:]
producer = Producer({"bootstrap.servers": address, "message.max.bytes": 20000000})
bodies = [b"before", b'{"records":[{"a":1}', b"\xff\xfe\x00 no text", None, b"", b"[" * 100000,
          b"x" * 5242880, b'{"records":[{"n":1},{"n":2}]}', b"after"]
for body in bodies:
    producer.produce(topic, body, partition=0)
sys.exit(producer.flush(60))
"#;

/// Prints what a group has committed: the sum over so many partitions.
const COMMITTED: &str = r#"
import sys
from confluent_kafka import Consumer, TopicPartition
address, topic, group, partitions = sys.argv[1:]
consumer = Consumer({"bootstrap.servers": address, "group.id": group})
wanted = [TopicPartition(topic, number) for number in range(int(partitions))]
print(sum(max(0, found.offset) for found in consumer.committed(wanted, timeout=30)))
consumer.close()
"#;

/// Prints the headers of all records of a topic, a line for each.
const HEADERS: &str = r#"
import sys
from confluent_kafka import Consumer, TopicPartition, OFFSET_BEGINNING
address, topic = sys.argv[1:]
consumer = Consumer({"bootstrap.servers": address, "group.id": "looks", "enable.partition.eof": True})
partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
ends = 0
while ends < len(partitions):
    message = consumer.poll(30)
    if message is None:
        sys.exit("nothing comes")
    if message.error():
        ends += 1
        continue
    print(" ".join(f"{name}={value.decode()}" for name, value in message.headers()))
consumer.close()
"#;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let programs = BrokerPrograms::find(target);
    let trials = [
        (
            "streamed-tables-come-out-as-leef",
            streamed_tables as fn(&BrokerPrograms),
        ),
        (
            "two-processes-share-partitions-and-status-shows-which",
            two_processes,
        ),
        ("a-killed-process-loses-nothing", killed),
        (
            "a-broker-that-stops-for-a-while-loses-nothing",
            stopped_broker,
        ),
        ("odd-records-come-out-as-they-are", misfortunes::odd_records),
        (
            "a-topic-that-disappears-is-named-and-read-on-when-it-is-back",
            misfortunes::topic_disappears,
        ),
        (
            "a-password-that-has-expired-is-named-and-the-next-one-goes-on",
            misfortunes::expired_password,
        ),
        (
            "a-client-secret-that-has-expired-is-named-and-the-next-one-goes-on",
            misfortunes::expired_client_secret,
        ),
        (
            "a-destination-whose-client-secret-has-expired-goes-on-with-the-next-one",
            misfortunes::expired_client_secret_of_destination,
        ),
        (
            "a-slow-destination-is-waited-for-within-the-group",
            misfortunes::slow_destination,
        ),
        ("a-gateway-divides-events-among-log-sources", gateway),
        ("a-topic-stands-between-collecting-and-normalizing", stages),
        ("test-source-tells-what-works", test_source),
        (
            "log-sources-in-a-group-have-one-process-each-and-move-when-it-dies",
            groups::log_sources_move,
        ),
        ("a-group-signs-in-with-tokens", groups::group_with_tokens),
    ];
    let trials = trials
        .into_iter()
        .map(|(name, test)| trial(name, test, programs.clone()))
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(name: &str, test: fn(&BrokerPrograms), programs: Option<BrokerPrograms>) -> Trial {
    match programs {
        Some(programs) => Trial::test(name, move || {
            test(&programs);
            Ok(())
        }),
        None => {
            let must = std::env::var_os("CI").is_some_and(|ci| ci == "true");
            let missing = || {
                Err(Failed::from(
                    "the broker is not unpacked below the target folder: see .ci/run",
                ))
            };
            Trial::test(name, missing)
                .with_kind("no broker is unpacked")
                .with_ignored_flag(!must)
        }
    }
}

/// A broker, and a process that reads from it.
struct System {
    folder: tempfile::TempDir,
    programs: BrokerPrograms,
    broker: Broker,
}

/// A process in a folder of its own.
struct Process {
    collector: Collector,
    running: Running,
}

impl System {
    fn new(programs: &BrokerPrograms) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = Broker::start(programs, &folder.path().join("broker.log")).unwrap();
        Self {
            folder,
            programs: programs.clone(),
            broker,
        }
    }

    /// A broker that clients reach through a gate.
    fn behind(programs: &BrokerPrograms, gate: &Gate) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("broker.log");
        let broker = Broker::start_behind(programs, &log, gate.port()).unwrap();
        gate.lead_to(broker.address());
        Self {
            folder,
            programs: programs.clone(),
            broker,
        }
    }

    fn run(&self, script: &str, arguments: &[&str]) -> String {
        let address = self.broker.address();
        let arguments: Vec<&str> = [address.as_str()]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        let output = self.programs.script(script, &arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn produce(&self, count: usize, begin: usize, partitions: u32) {
        let numbers = [count.to_string(), begin.to_string(), partitions.to_string()];
        self.run(
            PRODUCE,
            &["events", "event", &numbers[0], &numbers[1], &numbers[2]],
        );
    }

    /// What the group has committed.
    fn committed(&self, partitions: u32) -> u64 {
        let partitions = partitions.to_string();
        self.run(COMMITTED, &["events", "g", &partitions])
            .trim()
            .parse()
            .unwrap()
    }

    /// A folder with a configuration: the common beginning, and this.
    fn collector(&self, name: &str, text: &str) -> Collector {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(folder.join("out")).unwrap();
        let text = format!("state_directory = \"state\"\n\n{text}");
        fs::write(folder.join("dsmith.toml"), text).unwrap();
        Collector::new(env!("CARGO_BIN_EXE_dsmith"), folder)
    }

    /// A process that writes what it reads from `events`, as it is.
    fn raw(&self, name: &str) -> Process {
        self.process(name, &format!("{}{}", destination("raw"), self.kafka("")))
    }

    /// A process with this configuration.
    fn process(&self, name: &str, text: &str) -> Process {
        let collector = self.collector(name, text);
        let running = collector.start(false).unwrap();
        Process { collector, running }
    }

    fn kafka(&self, more: &str) -> String {
        log_source(
            "apache-kafka",
            &format!(
                "bootstrap_server_list = \"{}\"\ntopic_list = \"events\"\n{more}",
                self.broker.address()
            ),
        )
    }
}

fn destination(format: &str) -> String {
    format!(
        "[[destination]]
name = \"file\"
type = \"file\"
path = \"out/events.log\"
format = \"{format}\"
batch_events = 100

"
    )
}

fn log_source(protocol: &str, parameters: &str) -> String {
    format!(
        "[[log_source]]
identifier = \"streamed\"
type = \"microsoft-365-defender\"
protocol = \"{protocol}\"
destinations = [\"file\"]

[log_source.parameters]
consumer_group = \"g\"
session_timeout_ms = 6000
heartbeat_interval_ms = 1000
eps_throttle = 1000000
{parameters}
"
    )
}

impl Process {
    fn lines(&self) -> Vec<String> {
        lines(&self.collector)
    }

    /// What `dsmith status` says about reading.
    fn status(&self) -> String {
        status(&self.collector)
    }

    /// Asks it to end, and waits for that.
    fn end(mut self) -> Collector {
        self.running.terminate().unwrap();
        let ended = self.running.wait(LONG).unwrap();
        let log = self.collector.log().unwrap();
        assert!(
            ended.is_some_and(|status| status.success()),
            "{ended:?}\n{log}"
        );
        self.collector
    }
}

fn lines(collector: &Collector) -> Vec<String> {
    let lines = collector.lines().unwrap().into_iter();
    lines
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .collect()
}

fn status(collector: &Collector) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_dsmith"))
        .args(["status", "-c", "dsmith.toml"])
        .current_dir(collector.folder())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until this is so.
fn until(what: &str, processes: &[&Process], is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        if begun.elapsed() > LONG {
            let logs: Vec<String> = processes
                .iter()
                .map(|process| process.collector.log().unwrap() + &process.status())
                .collect();
            panic!("it takes too long until {what}:\n{}", logs.join("\n--\n"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// How often each event was delivered.
fn counts(lines: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line.as_str()).or_default() += 1;
    }
    counts
}

/// How many of the events before this number are missing, and how many lines are repeated.
fn missing_and_repeated(lines: &[String], produced: usize) -> (usize, usize) {
    let counts = counts(lines);
    let missing =
        (0..produced).filter(|number| !counts.contains_key(format!("event {number}").as_str()));
    (missing.count(), lines.len() - counts.len())
}

/// `run --once` of a configuration that has an end.
fn run_once(collector: &Collector) {
    let mut running = collector.start(true).unwrap();
    let ended = running.wait(LONG).unwrap();
    let log = collector.log().unwrap();
    assert!(
        ended.is_some_and(|status| status.success()),
        "{ended:?}\n{log}"
    );
}

/// Whether a file holds one event, and not a list or an envelope of some.
fn is_one_event(path: &str) -> bool {
    let text = fs::read_to_string(path).unwrap();
    text.starts_with('{') && !text.contains("\"records\"")
}

/// Each event in an envelope becomes one event in LEEF, the same as from a file.
fn streamed_tables(programs: &BrokerPrograms) {
    let system = System::new(programs);
    system.broker.topic("events", 4).unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/microsoft-365-defender/streaming");
    let mut files: Vec<String> = fs::read_dir(fixtures)
        .unwrap()
        .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
        .filter(|path| path.ends_with(".json") && is_one_event(path))
        .collect();
    files.sort();
    files.truncate(40);
    let arguments: Vec<&str> = ["events"]
        .into_iter()
        .chain(files.iter().map(String::as_str))
        .collect();
    system.run(STREAM, &arguments);
    let hubs = log_source(
        "microsoft-azure-event-hubs",
        &format!(
            "event_hub_connection_string = {{ file = \"hub\" }}\nendpoint_override = \"{}\"",
            system.broker.address()
        ),
    );
    let collector = system.collector("hubs", &format!("{}{hubs}", destination("leef1")));
    fs::write(
        collector.folder().join("hub"),
        "Endpoint=sb://contoso.servicebus.windows.net/;SharedAccessKeyName=listen;SharedAccessKey=aHVudGVyMi1odW50ZXIyIQ==;EntityPath=events",
    )
    .unwrap();
    run_once(&collector);
    let mut streamed = lines(&collector);
    streamed.sort();
    assert_eq!(streamed.len(), files.len());
    assert!(
        streamed
            .iter()
            .all(|line| line.contains("LEEF:1.0|Microsoft|")),
        "{}",
        streamed[0]
    );
    // An event is the one that its file gives.
    let together = collector.folder().join("together.json");
    let text: String = files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap().trim().to_owned() + "\n")
        .collect();
    fs::write(&together, text).unwrap();
    let source = log_source(
        "file",
        "path = \"together.json\"\nformat = \"json\"\nmode = \"once\"",
    )
    .replace(
        "consumer_group = \"g\"\nsession_timeout_ms = 6000\nheartbeat_interval_ms = 1000\n",
        "",
    );
    let from_file = system.collector("file", &format!("{}{source}", destination("leef1")));
    fs::rename(&together, from_file.folder().join("together.json")).unwrap();
    run_once(&from_file);
    let mut expected = lines(&from_file);
    expected.sort();
    let differs = streamed
        .iter()
        .zip(&expected)
        .find(|(left, right)| left != right);
    assert_eq!(differs, None);
    assert_eq!(streamed.len(), expected.len());
    assert_eq!(system.committed(4), 2 * files.len() as u64);
    let log = collector.log().unwrap();
    assert!(!log.contains("aHVudGVy"), "{log}");
    // Another run has nothing to do.
    run_once(&collector);
    assert_eq!(lines(&collector).len(), files.len());
}

/// One process puts payloads into a topic, another one reads them there. What comes out is the same as without a topic.
fn stages(programs: &BrokerPrograms) {
    let system = System::new(programs);
    system.broker.topic("events", 4).unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/microsoft-365-defender/streaming");
    let mut files: Vec<String> = fs::read_dir(fixtures)
        .unwrap()
        .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
        .filter(|path| path.ends_with(".json") && is_one_event(path))
        .collect();
    files.sort();
    files.truncate(40);
    let text: String = files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap().trim().to_owned() + "\n")
        .collect();
    let from_file = log_source(
        "file",
        "path = \"together.json\"\nformat = \"json\"\nmode = \"once\"",
    )
    .replace(
        "consumer_group = \"g\"\nsession_timeout_ms = 6000\nheartbeat_interval_ms = 1000\n",
        "",
    );
    let topic = format!(
        "[[destination]]
name = \"file\"
type = \"kafka\"
bootstrap_server_list = [\"{}\"]
topic = \"events\"
key = \"device\"
compression = \"gzip\"
format = \"raw\"
batch_events = 7

",
        system.broker.address()
    );
    let collecting = system.collector("collecting", &format!("{topic}{from_file}"));
    fs::write(collecting.folder().join("together.json"), &text).unwrap();
    run_once(&collecting);
    let normalizing = format!("{}{}", destination("json"), system.kafka(""));
    let normalizing = system.collector("normalizing", &normalizing);
    run_once(&normalizing);
    let direct = system.collector("direct", &format!("{}{from_file}", destination("json")));
    fs::write(direct.folder().join("together.json"), &text).unwrap();
    run_once(&direct);

    let sorted = |collector: &Collector| {
        let mut lines = lines(collector);
        lines.sort();
        lines
    };
    let (staged, direct) = (sorted(&normalizing), sorted(&direct));
    assert_eq!(staged.len(), files.len());
    let differs = staged
        .iter()
        .zip(&direct)
        .find(|(left, right)| left != right);
    assert_eq!(differs, None);
    // Whoever else reads the topic sees where a record comes from.
    let headers = system.run(HEADERS, &["events"]);
    let of_source = headers.matches("log_source=streamed log_source_type=microsoft-365-defender ");
    assert_eq!(of_source.count(), files.len(), "{headers}");
    assert!(headers.contains("status=mapped qid="), "{headers}");
}

fn two_processes(programs: &BrokerPrograms) {
    let system = System::new(programs);
    system.broker.topic("events", 8).unwrap();
    system.produce(2000, 0, 8);
    let first = system.raw("first");
    until("the first has all", &[&first], || {
        first.status().contains("reading 8 of 8 partitions")
    });
    until("the first has delivered", &[&first], || {
        first.lines().len() == 2000
    });
    let second = system.raw("second");
    let share = |process: &Process| {
        process
            .status()
            .contains("reading 4 of 8 partitions in the group g: events ")
    };
    until("both have four", &[&first, &second], || {
        share(&first) && share(&second)
    });
    system.produce(2000, 2000, 8);
    until("all are delivered", &[&first, &second], || {
        first.lines().len() + second.lines().len() >= 4000
    });
    // One ends while there is something to do, and the other goes on where it ended.
    system.produce(4000, 4000, 8);
    let first = first.end();
    system.produce(2000, 8000, 8);
    let all = || {
        let mut all = lines(&first);
        all.extend(second.lines());
        all
    };
    until("all are delivered", &[&second], || {
        counts(&all()).len() >= 10_000
    });
    until("the second has all", &[&second], || {
        second.status().contains("reading 8 of 8 partitions")
    });
    second.end();
    assert_eq!(system.committed(8), 10_000);
    let second = system.folder.path().join("second");
    let second = lines(&Collector::new(env!("CARGO_BIN_EXE_dsmith"), second));
    let mut all = lines(&first);
    all.extend(second);
    assert_eq!(
        missing_and_repeated(&all, 10_000),
        (0, 0),
        "nothing is lost or repeated on handing over"
    );
}

fn killed(programs: &BrokerPrograms) {
    let system = System::new(programs);
    system.broker.topic("events", 4).unwrap();
    system.produce(20_000, 0, 4);
    let mut first = system.raw("first");
    until("it has begun", &[&first], || !first.lines().is_empty());
    first.running.kill().unwrap();
    let second = system.raw("second");
    system.produce(1000, 20_000, 4);
    let all = || {
        let mut all = first.lines();
        // A line that was cut off is no line.
        all.retain(|line| line.starts_with("event "));
        all.extend(second.lines());
        all
    };
    until("all are delivered", &[&first, &second], || {
        missing_and_repeated(&all(), 21_000).0 == 0
    });
    second.end();
}

fn stopped_broker(programs: &BrokerPrograms) {
    let system = System::new(programs);
    system.broker.topic("events", 4).unwrap();
    system.produce(1000, 0, 4);
    let process = system.raw("one");
    until("the first are delivered", &[&process], || {
        process.lines().len() == 1000
    });
    system.broker.freeze().unwrap();
    std::thread::sleep(Duration::from_secs(10));
    system.broker.thaw().unwrap();
    system.produce(1000, 1000, 4);
    until("all are delivered", &[&process], || {
        counts(&process.lines()).len() >= 2000
    });
    until("it is well again", &[&process], || {
        process.status().contains("reading 4 of 4 partitions")
    });
    let collector = process.end();
    assert_eq!(missing_and_repeated(&lines(&collector), 2000).0, 0);
    assert_eq!(system.committed(4), 2000);
}

fn gateway(programs: &BrokerPrograms) {
    let system = System::new(programs);
    system.broker.topic("events", 2).unwrap();
    system.produce(100, 0, 2);
    let parameters = "use_as_a_gateway_log_source = true\nlog_source_identifier_pattern = ['digit-$1=^event (\\d)$', 'none=^event 99$']";
    let own = system.kafka(parameters);
    // A log source that only gets what the other one reads.
    let other = "[[log_source]]
identifier = \"digit-7\"
type = \"microsoft-365-defender\"
protocol = \"gateway\"
destinations = [\"other\"]
";
    let file = destination("raw");
    let second = file
        .replace("\"file\"\ntype", "\"other\"\ntype")
        .replace("events.log", "other.log");
    let collector = system.collector("one", &format!("{file}{second}{own}\n{other}"));
    run_once(&collector);
    let read = |name: &str| fs::read_to_string(collector.output().join(name)).unwrap_or_default();
    assert_eq!(read("other.log"), "event 7\n");
    // Where there is no such log source, an event stays with the one that reads.
    assert_eq!(read("events.log").lines().count(), 99);
    let status = status(&collector);
    assert!(
        status.contains("a gateway log source reads for it: 1 delivered"),
        "{status}"
    );
}

fn test_source(programs: &BrokerPrograms) {
    let system = System::new(programs);
    system.broker.topic("events", 3).unwrap();
    let test = |address: &str| {
        let text = format!("{}{}", destination("raw"), system.kafka(""))
            .replace(&system.broker.address(), address);
        let collector = system.collector("one", &text);
        let output = Command::new(env!("CARGO_BIN_EXE_dsmith"))
            .args(["test-source", "-c", "dsmith.toml", "streamed"])
            .current_dir(collector.folder())
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (passed, said) = test(&system.broker.address());
    assert!(passed, "{said}");
    for part in [
        "DNS 127.0.0.1",
        "TCP 127.0.0.1:",
        "topic events",
        "3 partitions",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let (passed, said) = test("127.0.0.1:1");
    assert!(
        !passed && said.contains("FAILED  TCP 127.0.0.1:1"),
        "{said}"
    );
}
