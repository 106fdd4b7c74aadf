//! What goes wrong, what `dsmith status` says about it, and that nothing is lost by it.

use super::gate::Gate;
use super::{
    COMMITTED, HEADERS, LONG, ODD, PRODUCE, Process, System, destination, lines, log_source,
    missing_and_repeated, run_once, status, until,
};
use harness::BrokerPrograms;
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::types::RDKafkaRespErr;
use simulator::{Client, Scenario, Simulator};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The line of a table of `dsmith status` that begins with these cells.
fn line<'a>(status: &'a str, cells: &[&str]) -> &'a str {
    let begins = |line: &&str| {
        let begin: Vec<&str> = line.split_whitespace().take(cells.len()).collect();
        begin == cells
    };
    status.lines().find(begins).unwrap_or_default()
}

/// Records that are broken, no text, empty, nested without end, and five megabytes long.
pub(crate) fn odd_records(programs: &BrokerPrograms) {
    let system = System::new(programs);
    system.broker.topic("events", 1).unwrap();
    system.run(ODD, &["events"]);
    // Less memory than the largest record takes.
    let limits = "[limits]\nmemory = \"1 MiB\"\n\n";
    let odd = system.kafka("unwrap = true");
    let collector = system.collector("one", &format!("{limits}{}{odd}", destination("raw")));
    run_once(&collector);
    let delivered = collector.lines().unwrap();
    let begin = |line: &Vec<u8>| String::from_utf8_lossy(&line[..line.len().min(20)]).into_owned();
    let begins: Vec<String> = delivered.iter().map(begin).collect();
    assert_eq!(begins.len(), 8, "{begins:?}");
    assert_eq!(begins[0], "before");
    assert_eq!(begins[1], "{\"records\":[{\"a\":1}");
    assert!(begins[2].contains("no text"), "{}", begins[2]);
    assert!(begins[3].starts_with("[[[["));
    assert!(begins[4].starts_with("xxxx"));
    assert_eq!(delivered[4].len(), 5 << 20);
    assert_eq!(begins[5..], ["{\"n\":1}", "{\"n\":2}", "after"]);
    assert_eq!(system.committed(1), 9);
    let said = status(&collector);
    let lane = line(&said, &["streamed", "consumer", "OK"]);
    assert!(
        lane.ends_with("events 0; 0 records behind; 2 malformed so far"),
        "{said}"
    );

    // A destination that does not take so much gets the rest, and what it did not take is kept.
    let limited = destination("raw").replace(
        "batch_events",
        "max_event_bytes = 1000000\noversize = \"refuse\"\nbatch_events",
    );
    let odd = odd.replace("\"g\"", "\"another\"");
    let collector = system.collector("limited", &format!("{limits}{limited}{odd}"));
    // What was refused for good was not delivered, and `--once` says so.
    let mut running = collector.start(true).unwrap();
    let ended = running.wait(LONG).unwrap();
    assert_eq!(
        ended.and_then(|status| status.code()),
        Some(1),
        "{}",
        collector.log().unwrap()
    );
    assert_eq!(collector.lines().unwrap().len(), 7);
    let said = status(&collector);
    let route = line(&said, &["streamed", "file", "OK"]);
    assert!(
        route.ends_with("1 refused for good: see dead-letters/file.ndjson"),
        "{said}"
    );
    let letter = fs::read_to_string(collector.folder().join("state/dead-letters/file.ndjson"));
    assert!(letter.unwrap().contains(&"x".repeat(5 << 20)));
    assert_eq!(
        system.run(COMMITTED, &["events", "another", "1"]).trim(),
        "9"
    );
}

/// The topic is gone for a while. This is librdkafka's own broker, because the other one cannot do it.
pub(crate) fn topic_disappears(programs: &BrokerPrograms) {
    let system = System::new(programs);
    let cluster: MockCluster<'_, DefaultProducerContext> = MockCluster::new(1).unwrap();
    cluster.create_topic("events", 2, 1).unwrap();
    let produce = |begin: i32| {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .create()
            .unwrap();
        for number in begin..begin + 20 {
            let body = format!("event {number}");
            let record: BaseRecord<'_, (), String> = BaseRecord::to("events")
                .partition(number % 2)
                .payload(&body);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(LONG).unwrap();
    };
    produce(0);
    let source = system
        .kafka("")
        .replace(&system.broker.address(), &cluster.bootstrap_servers());
    let process = system.process("one", &format!("{}{source}", destination("raw")));
    until("the first are delivered", &[&process], || {
        process.lines().len() == 20
    });
    let error = |error| cluster.topic_error("events", error).unwrap();
    error(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    until("it is said", &[&process], || {
        let said = process.status();
        line(&said, &["streamed", "consumer", "ERROR"]).contains("the topic is not there")
            && said.contains("when the topic is made, reading begins by itself")
    });
    error(RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR);
    produce(20);
    until("all are delivered", &[&process], || {
        process.lines().len() >= 40
    });
    until("it is well again", &[&process], || {
        process.status().contains("reading 2 of 2 partitions")
    });
    assert_eq!(missing_and_repeated(&lines(&process.end()), 40), (0, 0));
}

/// A log source that signs in with a secret in the file `secret`.
fn signing_in(system: &System, gate: &Gate, how: &str) -> Process {
    let parameters = format!(
        "bootstrap_server_list = \"{}\"\ntopic_list = \"events\"\nuse_sasl_authentication = true\n{how}",
        gate.address()
    );
    let text = format!(
        "{}{}",
        destination("raw"),
        log_source("apache-kafka", &parameters)
    );
    system.process("one", &text)
}

/// Waits until the status says that signing in fails, and that; meanwhile nothing is delivered.
fn refused(process: &Process, message: &str, remedy: &str) {
    until("it is said", &[process], || {
        let said = process.status();
        let lane = line(&said, &["streamed", "consumer", "ERROR"]);
        lane.contains(message) && lane.contains(remedy)
    });
}

/// Puts another secret into the file and tells the process.
fn renew(system: &System, process: &Process, secret: &str) {
    fs::write(system.folder.path().join("one/secret"), secret).unwrap();
    process.running.signal("HUP").unwrap();
}

/// A password is no longer accepted while records are read.
pub(crate) fn expired_password(programs: &BrokerPrograms) {
    let gate = Gate::new();
    let system = System::behind(programs, &gate);
    system.broker.topic("events", 2).unwrap();
    system.produce(100, 0, 2);
    gate.admit(|shown| shown.ends_with("\0reader\0hunter2-old"));
    fs::create_dir_all(system.folder.path().join("one")).unwrap();
    fs::write(system.folder.path().join("one/secret"), "hunter2-old").unwrap();
    let process = signing_in(
        &system,
        &gate,
        "sasl_mechanism = \"PLAIN\"\nsasl_username = \"reader\"\nsasl_password = { file = \"secret\" }",
    );
    until("the first are delivered", &[&process], || {
        process.lines().len() == 100
    });
    gate.admit(|shown| shown.ends_with("\0reader\0hunter2-new"));
    system.produce(100, 100, 2);
    refused(
        &process,
        "the broker does not accept the credentials",
        "check mechanism, name and password, whether the password has expired, and reload once it is renewed",
    );
    assert_eq!(process.lines().len(), 100);
    let said = process.status();
    renew(&system, &process, "hunter2-new");
    until("all are delivered", &[&process], || {
        missing_and_repeated(&process.lines(), 200).0 == 0
    });
    until("it is well again", &[&process], || {
        process.status().contains("reading 2 of 2 partitions")
    });
    let collector = process.end();
    // What was delivered and not committed when the connections were cut may come again.
    let (missing, repeated) = missing_and_repeated(&lines(&collector), 200);
    assert!(missing == 0 && repeated <= 100, "{missing} {repeated}");
    assert_eq!(system.committed(2), 200);
    let log = collector.log().unwrap();
    assert!(!format!("{said}{log}").contains("hunter2"), "{said}\n{log}");
}

/// A server of tokens with one application.
fn entra(secret: &str, secret_expired: bool) -> Scenario {
    Scenario {
        clients: vec![Client {
            secret: secret.to_owned(),
            secret_expired,
            ..Client::default()
        }],
        ..Scenario::default()
    }
}

/// The secret with which tokens are got has expired.
pub(crate) fn expired_client_secret(programs: &BrokerPrograms) {
    let gate = Gate::new();
    let system = System::behind(programs, &gate);
    system.broker.topic("events", 2).unwrap();
    system.produce(100, 0, 2);
    gate.admit(|shown| shown.contains("auth=Bearer simulated."));
    let old = Simulator::start(entra("hunter2-old", true)).unwrap();
    let address = old.address();
    fs::create_dir_all(system.folder.path().join("one")).unwrap();
    fs::write(system.folder.path().join("one/secret"), "hunter2-old").unwrap();
    let client = Client::default();
    let process = signing_in(
        &system,
        &gate,
        &format!(
            "sasl_mechanism = \"OAUTHBEARER\"\ntoken_url = \"{}/{}/oauth2/v2.0/token\"\ntoken_client_id = \"{}\"\n\
             token_client_secret = {{ file = \"secret\" }}\ntoken_scope = \"https://graph.microsoft.com/.default\"",
            old.url(),
            client.tenant,
            client.id
        ),
    );
    refused(
        &process,
        "the client secret has expired (AADSTS7000222)",
        "new",
    );
    assert_eq!(process.lines().len(), 0);
    let said = process.status();
    // Somebody makes a new one.
    drop(old);
    let new = Simulator::start_on(address, entra("hunter2-new", false)).unwrap();
    renew(&system, &process, "hunter2-new");
    until("all are delivered", &[&process], || {
        process.lines().len() >= 100
    });
    until("it is well again", &[&process], || {
        process.status().contains("reading 2 of 2 partitions")
    });
    let collector = process.end();
    assert_eq!(missing_and_repeated(&lines(&collector), 100), (0, 0));
    assert_eq!(system.committed(2), 100);
    let shown = format!("{said}{}", collector.log().unwrap());
    let tokens = new.tokens();
    assert!(!tokens.is_empty());
    for secret in tokens.iter().map(String::as_str).chain(["hunter2"]) {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// The same for a destination: events wait in the spool meanwhile.
pub(crate) fn expired_client_secret_of_destination(programs: &BrokerPrograms) {
    let gate = Gate::new();
    let system = System::behind(programs, &gate);
    system.broker.topic("events", 2).unwrap();
    gate.admit(|shown| shown.contains("auth=Bearer simulated."));
    let old = Simulator::start(entra("hunter2-old", true)).unwrap();
    let address = old.address();
    let client = Client::default();
    let text = format!(
        "[[destination]]
name = \"topic\"
type = \"kafka\"
bootstrap_server_list = [\"{}\"]
topic = \"events\"
format = \"raw\"
security_protocol = \"sasl-plaintext\"
sasl_mechanism = \"oauthbearer\"
token_url = \"{}/{}/oauth2/v2.0/token\"
token_client_id = \"{}\"
token_client_secret = {{ file = \"secret\" }}
token_scope = \"https://graph.microsoft.com/.default\"

[[log_source]]
identifier = \"lines\"
type = \"microsoft-365-defender\"
protocol = \"file\"
destinations = [\"topic\"]

[log_source.parameters]
path = \"lines.log\"
format = \"text\"
start = \"beginning\"
",
        gate.address(),
        old.url(),
        client.tenant,
        client.id
    );
    let folder = system.folder.path().join("one");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("secret"), "hunter2-old").unwrap();
    let lines: String = (0..50).map(|number| format!("line {number}\n")).collect();
    fs::write(folder.join("lines.log"), lines).unwrap();
    let process = system.process("one", &text);
    until("it is said", &[&process], || {
        let said = process.status();
        let route = line(&said, &["lines", "topic", "WARN", "50"]);
        route.contains("the client secret has expired (AADSTS7000222)")
    });
    let said = process.status();
    drop(old);
    let new = Simulator::start_on(address, entra("hunter2-new", false)).unwrap();
    renew(&system, &process, "hunter2-new");
    until("all are delivered", &[&process], || {
        !line(&process.status(), &["lines", "topic", "OK", "0"]).is_empty()
    });
    let collector = process.end();
    let headers = system.run(HEADERS, &["events"]);
    assert_eq!(headers.matches("log_source=lines ").count(), 50);
    let shown = format!("{said}{}", collector.log().unwrap());
    let tokens = new.tokens();
    assert!(!tokens.is_empty());
    for secret in tokens.iter().map(String::as_str).chain(["hunter2"]) {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// A process whose standard output is a destination, which is read when the test wants to.
struct Piped {
    child: Child,
    open: Arc<AtomicBool>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Piped {
    fn start(folder: &std::path::Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_dsmith"))
            .args(["run", "-c", "dsmith.toml"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        let open = Arc::new(AtomicBool::new(false));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (is_open, read) = (Arc::clone(&open), Arc::clone(&lines));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            while !is_open.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
            }
            for line in stdout.lines().map_while(Result::ok) {
                read.lock().unwrap().push(line);
                // Slow it stays.
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        Self { child, open, lines }
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A destination takes nothing for longer than the group waits for a member, and then little at a time.
pub(crate) fn slow_destination(programs: &BrokerPrograms) {
    const ALL: usize = 6000;
    const MOST: usize = 1500;
    let system = System::new(programs);
    system.broker.topic("events", 2).unwrap();
    let padded = format!("{} event", "x".repeat(2000));
    system.run(PRODUCE, &["events", &padded, &ALL.to_string(), "0", "2"]);
    let slow = "[[destination]]\nname = \"slow\"\ntype = \"stdout\"\nformat = \"raw\"\nbatch_events = 100\n\n";
    let source = system.kafka("").replace("[\"file\"]", "[\"slow\"]");
    let limits = format!("[limits]\nmemory_events = {MOST}\n\n");
    let collector = system.collector("one", &format!("{limits}{slow}{source}"));
    let mut process = Piped::start(collector.folder());
    let waits = || {
        let said = status(&collector);
        let lane = line(&said, &["streamed", "consumer", "WARN"]);
        let route = line(&said, &["streamed", "slow"]);
        let waiting = route.split_whitespace().nth(3);
        let waiting: usize = waiting.and_then(|number| number.parse().ok()).unwrap_or(0);
        lane.contains("no more may wait for delivery: collection pauses")
            && lane.contains("none needed: collection goes on by itself")
            && (1..=MOST).contains(&waiting)
    };
    until("it waits", &[], waits);
    // Longer than a member may be silent.
    std::thread::sleep(Duration::from_secs(8));
    assert!(waits(), "{}", status(&collector));
    // Not even the first batch was taken.
    assert_eq!(system.committed(2), 0);
    process.open.store(true, Ordering::Relaxed);
    until("all are delivered", &[], || {
        process.lines.lock().unwrap().len() >= ALL
    });
    until("it is well again", &[], || {
        status(&collector)
            .contains("reading 2 of 2 partitions in the group g: events 0-1; 0 records")
    });
    until("all is committed", &[], || {
        system.committed(2) == ALL as u64
    });
    let log = fs::read_to_string(collector.folder().join("log")).unwrap();
    assert!(
        log.contains("raise `limits.memory` and `limits.memory_events`"),
        "{log}"
    );
    assert!(!log.contains("without this process"), "{log}");
    assert!(process.child.try_wait().unwrap().is_none(), "{log}");
    let delivered: Vec<String> = process
        .lines
        .lock()
        .unwrap()
        .iter()
        .map(|line| line.trim_start_matches('x').trim_start().to_owned())
        .collect();
    assert_eq!(missing_and_repeated(&delivered, ALL), (0, 0));
}
