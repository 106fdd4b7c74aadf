//! Events to a topic, against the brokers that librdkafka has for tests.

#![cfg(feature = "kafka")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use chrono::{DateTime, Utc};
use dsm::Status;
use pipeline::destination::{
    Batch, Destination, KafkaBrokers, KafkaOptions, KafkaSasl, KeyOf, Labels, Outcome, Record,
    Refusal,
};
use protocol::kafka::Mechanism;
use protocol::secret::{GivenSecrets, SecretRef};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::time::{Duration, Instant};

const PARTITIONS: i32 = 4;

/// Longer than anything here takes on a slow machine.
const LONG: Duration = Duration::from_secs(60);

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
}

fn cluster() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(3).unwrap();
    cluster.create_topic("alerts", PARTITIONS, 3).unwrap();
    cluster
}

fn options(brokers: &str, key: KeyOf) -> KafkaOptions {
    KafkaOptions {
        brokers: KafkaBrokers {
            addresses: brokers.split(',').map(str::to_owned).collect(),
            tls: None,
            sasl: None,
        },
        topic: "alerts".to_owned(),
        key,
        compression: "gzip".to_owned(),
    }
}

fn destination(brokers: &str, key: KeyOf) -> Box<dyn Destination> {
    options(brokers, key)
        .open(&GivenSecrets::default())
        .unwrap()
}

/// A batch of these events, each with a key or none.
fn batch(events: &[(&str, Option<&str>)]) -> Batch {
    let mut batch = Batch {
        identifier: "contoso-defender".to_owned(),
        log_source_type: "microsoft-365-defender".to_owned(),
        ..Batch::default()
    };
    for (sequence, (line, key)) in (1..).zip(events) {
        let start = batch.bytes.len();
        batch.bytes.extend_from_slice(line.as_bytes());
        batch.records.push(Record {
            bytes: start..batch.bytes.len(),
            sequence,
            received: at(0),
            labels: Some(Labels {
                status: [Status::Mapped, Status::Stored][usize::from(sequence % 2 == 0)],
                qid: (sequence % 2 == 1).then_some(2_000_001),
                key: key.map(Into::into),
            }),
        });
        batch.bytes.push(b'\n');
    }
    batch
}

/// A record as another program reads it.
#[derive(Debug, Clone, PartialEq)]
struct Read {
    partition: i32,
    key: Option<String>,
    line: String,
    headers: Vec<(String, String)>,
    millis: Option<i64>,
}

/// Reads a topic until there are so many records, and nothing comes behind them.
fn read(brokers: &str, count: usize) -> Vec<Read> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "reader")
        .create()
        .unwrap();
    let mut partitions = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        partitions
            .add_partition_offset("alerts", partition, Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&partitions).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut records = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    while Instant::now() < deadline {
        let patience = match records.len() < count {
            true => Duration::from_secs(1),
            false => Duration::from_millis(300),
        };
        match consumer.poll(patience) {
            Some(Ok(message)) => {
                let headers = message.headers().into_iter().flat_map(Headers::iter);
                records.push(Read {
                    partition: message.partition(),
                    key: message.key().map(text),
                    line: text(message.payload().unwrap()),
                    headers: headers
                        .map(|header| (header.key.to_owned(), text(header.value.unwrap())))
                        .collect(),
                    millis: message.timestamp().to_millis(),
                });
            }
            None if records.len() >= count => break,
            _ => {}
        }
    }
    records
}

fn lines(brokers: &str, count: usize) -> Vec<String> {
    let mut lines: Vec<String> = read(brokers, count)
        .into_iter()
        .map(|record| record.line)
        .collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_record_tells_where_it_comes_from_and_what_became_of_it() {
    let cluster = cluster();
    let brokers = cluster.bootstrap_servers();
    let mut destination = destination(&brokers, KeyOf::AlertId);
    let sent = batch(&[("line\none", Some("alert-1")), ("line two", None)]);
    assert_eq!(destination.send(&sent, at(0)), Outcome::Accepted(vec![]));
    let mut records = read(&brokers, 2);
    records.sort_by(|a, b| a.line.cmp(&b.line));
    let header = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let common = [
        header("log_source", "contoso-defender"),
        header("log_source_type", "microsoft-365-defender"),
    ];
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].line, "line\none");
    assert_eq!(records[0].key.as_deref(), Some("alert-1"));
    assert_eq!(records[0].millis, Some(at(0).timestamp_millis()));
    assert_eq!(records[0].headers[..2], common);
    assert_eq!(
        records[0].headers[2..],
        [header("status", "mapped"), header("qid", "2000001")]
    );
    assert_eq!(records[1].key, None);
    assert_eq!(records[1].headers[..2], common);
    assert_eq!(records[1].headers[2..], [header("status", "stored")]);
}

#[test]
fn records_with_the_same_key_stay_in_their_order() {
    let cluster = cluster();
    let brokers = cluster.bootstrap_servers();
    let mut destination = destination(&brokers, KeyOf::Device);
    let keys = ["a", "b", "c", "d", "e", "f", "g"];
    let texts: Vec<String> = (0..300).map(|number| format!("{number:03}")).collect();
    for part in texts.chunks(70) {
        let events: Vec<(&str, Option<&str>)> = part
            .iter()
            .enumerate()
            .map(|(index, text)| (text.as_str(), Some(keys[index % keys.len()])))
            .collect();
        assert_eq!(
            destination.send(&batch(&events), at(0)),
            Outcome::Accepted(vec![])
        );
    }
    let records = read(&brokers, 300);
    assert_eq!(records.len(), 300);
    let mut partitions = std::collections::BTreeSet::new();
    for key in keys {
        let of_key: Vec<&Read> = records
            .iter()
            .filter(|record| record.key.as_deref() == Some(key))
            .collect();
        assert!(
            of_key
                .iter()
                .all(|record| record.partition == of_key[0].partition)
        );
        assert!(
            of_key.windows(2).all(|pair| pair[0].line < pair[1].line),
            "{key}"
        );
        partitions.insert(of_key[0].partition);
    }
    assert!(partitions.len() > 1, "the key decides on the partition");
}

#[test]
fn faults_that_pass_are_neither_lost_nor_repeated() {
    let cluster = cluster();
    let brokers = cluster.bootstrap_servers();
    let mut destination = destination(&brokers, KeyOf::None);
    let not_leader = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    let timed_out = RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT;
    cluster.request_errors(RDKafkaApiKey::Produce, &[not_leader, timed_out, not_leader]);
    let sent = batch(&[("one", None), ("two", None), ("three", None)]);
    assert_eq!(destination.send(&sent, at(0)), Outcome::Accepted(vec![]));
    assert_eq!(lines(&brokers, 3), ["one", "three", "two"]);
}

#[test]
fn what_is_too_large_for_the_topic_is_refused_and_the_rest_is_accepted() {
    let cluster = cluster();
    let brokers = cluster.bootstrap_servers();
    let mut destination = destination(&brokers, KeyOf::AlertId);
    // All three are sent in one request, which is refused; then the first by itself.
    let too_large = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    cluster.request_errors(RDKafkaApiKey::Produce, &[too_large, too_large]);
    let key = Some("same");
    let sent = batch(&[("first", key), ("second", key), ("third", key)]);
    let Outcome::Accepted(refused) = destination.send(&sent, at(0)) else {
        panic!("it is accepted");
    };
    let reason = "5 bytes are more than the topic `alerts` takes".to_owned();
    assert_eq!(refused, [Refusal { index: 0, reason }]);
    assert_eq!(lines(&brokers, 2), ["second", "third"]);
}

#[test]
fn a_topic_that_may_not_be_written_is_said_and_the_batch_comes_again() {
    let cluster = cluster();
    let brokers = cluster.bootstrap_servers();
    let mut destination = destination(&brokers, KeyOf::None);
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::Produce, &[denied; 8]);
    let sent = batch(&[("one", Some("k")), ("two", Some("k"))]);
    let Outcome::Unavailable(reason) = destination.send(&sent, at(0)) else {
        panic!("it is not accepted");
    };
    assert!(reason.contains("topic"), "{reason}");
    cluster.clear_request_errors(RDKafkaApiKey::Produce);
    assert_eq!(destination.send(&sent, at(1)), Outcome::Accepted(vec![]));
    assert_eq!(lines(&brokers, 2), ["one", "two"]);
}

#[test]
fn brokers_that_are_away_are_said_without_the_password_and_nothing_is_sent_behind_our_back() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut options = options(&address, KeyOf::None);
    options.brokers.sasl = Some(KafkaSasl::Password {
        mechanism: Mechanism::Plain,
        user: "dsmith".to_owned(),
        password: SecretRef::Env("KAFKA_PASSWORD".to_owned()),
    });
    let secrets = GivenSecrets::default().with("KAFKA_PASSWORD", "hunter2-hunter2");
    let mut destination = options.open(&secrets).unwrap();
    // Whoever sends gives up by himself.
    let (send, sent) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let outcome = destination.send(&batch(&[("one", None)]), at(0));
        send.send((outcome, destination))
    });
    let (outcome, mut destination) = sent.recv_timeout(LONG).unwrap();
    let Outcome::Unavailable(reason) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(reason.contains("broker"), "{reason}");
    assert!(!reason.contains("hunter2"), "{reason}");
    assert!(!format!("{destination:?}").contains("hunter2"));
    destination.finish();
}

#[test]
fn a_password_that_is_not_there_is_an_error_before_anything_is_sent() {
    let mut options = options("192.0.2.1:9092", KeyOf::None);
    options.brokers.sasl = Some(KafkaSasl::Password {
        mechanism: Mechanism::ScramSha512,
        user: "dsmith".to_owned(),
        password: SecretRef::Env("KAFKA_PASSWORD".to_owned()),
    });
    let error = options.open(&GivenSecrets::default()).unwrap_err();
    assert!(error.to_string().contains("KAFKA_PASSWORD"), "{error}");
}
