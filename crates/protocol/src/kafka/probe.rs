//! QRadar's "Test" for brokers.

use super::client;
use super::context::{Context, Event};
use super::fault::{Fault, Subject};
use super::{Connection, Reading, Sasl, Topics};
use crate::probe::{self, Probe, SystemNetwork};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::metadata::Metadata;
use rdkafka::types::RDKafkaErrorCode;
use regex_automata::meta::Regex;
use std::time::{Duration, Instant};

/// How long a broker may take to be connected, to sign us in and to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often a broker is asked before it counts as away.
const ATTEMPTS: u32 = 3;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Tests whether each thing on the way works.
pub(super) fn probe(reading: &Reading) -> Vec<Probe> {
    let mut probes = Vec::new();
    let mut is_reached = false;
    for broker in &reading.connection.brokers {
        let (host, port) = broker.rsplit_once(':').unwrap_or((broker, "9092"));
        let port = port.parse().unwrap_or(9092);
        let reached = probe::reach(host, port, &SystemNetwork, CONNECT);
        is_reached |= reached.iter().all(Probe::is_passed);
        probes.extend(reached);
    }
    if is_reached {
        probes.extend(brokers(reading));
    }
    probes
}

/// What only librdkafka can try: TLS, signing in, and the topics.
fn brokers(reading: &Reading) -> Vec<Probe> {
    let connection = &reading.connection;
    let consumer = match client::consumer(reading) {
        Ok(consumer) => consumer,
        Err(fault) => return vec![failed("client", fault)],
    };
    let begun = Instant::now();
    let mut faults = Vec::new();
    // Tokens are got within a poll, and only then the broker can be asked.
    let mut patience = if matches!(connection.sasl, Some(Sasl::Token { .. })) {
        PATIENCE
    } else {
        Duration::ZERO
    };
    let mut attempts = 0;
    let answer = loop {
        attempts += 1;
        let topic = match &reading.topics {
            Topics::List(topics) => topics.first().map(String::as_str),
            Topics::Pattern(_) => None,
        };
        let _ = consumer.poll(Duration::from_millis(100));
        let answer = consumer.fetch_metadata(topic, PATIENCE / 5);
        let _ = consumer.poll(Duration::from_millis(100));
        for event in consumer.context().take() {
            if let Event::Fault(fault) = event {
                faults.push(fault);
            }
        }
        let is_clear = faults
            .iter()
            .any(|fault| matches!(fault.subject, Subject::Tls | Subject::SignIn));
        if answer.is_ok() || is_clear {
            break answer;
        }
        patience = patience.max(PATIENCE / 3);
        // That nobody is there comes first, and why comes later: on a busy machine not in the first seconds.
        if begun.elapsed() > patience && attempts >= ATTEMPTS {
            break answer;
        }
    };
    match answer {
        Ok(metadata) => {
            let mut probes = secured(connection);
            probes.extend(topics(reading, &consumer, &metadata));
            probes
        }
        Err(error) => {
            let clearest = |subject| faults.iter().find(|fault| fault.subject == subject);
            let fault = clearest(Subject::Tls)
                .or_else(|| clearest(Subject::SignIn))
                .or_else(|| faults.first())
                .cloned()
                .or_else(|| {
                    let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                    consumer.context().fault(code, &error.to_string())
                });
            let mut probes = Vec::new();
            if let Some(fault) = fault {
                let name = match fault.subject {
                    Subject::Tls => "TLS",
                    Subject::SignIn => {
                        if connection.tls.is_some() {
                            probes.push(Probe::passed("TLS", "the certificate is trusted"));
                        }
                        "sign-in"
                    }
                    _ => "broker",
                };
                probes.push(failed(name, fault));
            }
            probes
        }
    }
}

/// What has worked where a broker answers.
fn secured(connection: &Connection) -> Vec<Probe> {
    let mut probes = Vec::new();
    if connection.tls.is_some() {
        probes.push(Probe::passed("TLS", "the certificate is trusted"));
    }
    let how = match &connection.sasl {
        Some(Sasl::Password { mechanism, .. }) => mechanism.as_str(),
        Some(Sasl::Token { .. }) => "OAUTHBEARER",
        None => return probes,
    };
    probes.push(Probe::passed("sign-in", how));
    probes
}

fn topics(reading: &Reading, consumer: &BaseConsumer<Context>, first: &Metadata) -> Vec<Probe> {
    let names = match &reading.topics {
        Topics::List(names) => names,
        Topics::Pattern(pattern) => return vec![matching(pattern, first)],
    };
    let mut probes = vec![of_topic(consumer, &names[0], first)];
    for name in &names[1..] {
        probes.push(match consumer.fetch_metadata(Some(name), PATIENCE) {
            Ok(metadata) => of_topic(consumer, name, &metadata),
            Err(error) => Probe::failed(format!("topic {name}"), error.to_string(), None),
        });
    }
    probes
}

fn of_topic(consumer: &BaseConsumer<Context>, name: &str, metadata: &Metadata) -> Probe {
    let title = format!("topic {name}");
    let found = metadata.topics().iter().find(|topic| topic.name() == name);
    let code = match found {
        Some(topic) => topic.error().map(RDKafkaErrorCode::from),
        None => Some(RDKafkaErrorCode::UnknownTopicOrPartition),
    };
    match (code, found) {
        (None, Some(topic)) => {
            let count = topic.partitions().len();
            let word = if count == 1 {
                "partition"
            } else {
                "partitions"
            };
            Probe::passed(title, format!("{count} {word}"))
        }
        (code, _) => {
            let code = code.unwrap_or(RDKafkaErrorCode::Unknown);
            match consumer.context().fault(code, "") {
                Some(fault) => failed(&title, fault),
                None => Probe::failed(title, format!("{code:?}"), None),
            }
        }
    }
}

fn matching(pattern: &str, metadata: &Metadata) -> Probe {
    let regex = Regex::new(pattern).ok();
    let matches = |name: &str| regex.as_ref().is_some_and(|regex| regex.is_match(name));
    let topics = metadata.topics().iter();
    let found = topics.filter(|topic| matches(topic.name())).count();
    let word = if found == 1 { "topic" } else { "topics" };
    let seen = format!("{found} {word}");
    if found == 0 {
        return Probe::failed(
            format!("topics {pattern}"),
            seen,
            Some("check topic_filter_pattern; a topic that is made later is read by itself"),
        );
    }
    Probe::passed(format!("topics {pattern}"), seen)
}

fn failed(name: &str, fault: Fault) -> Probe {
    Probe::failed(name, fault.message, Some(&fault.remedy))
}
