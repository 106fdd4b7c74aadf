//! The member of a group, against librdkafka's mock cluster.

use super::super::{Connection, Dialect, Form, Mechanism, Sasl, Tls};
use super::*;
use crate::clock::{SystemClock, VirtualClock};
use crate::secret::Secret;
use crate::source::{Page, SinkError};
use crate::trust::Trust;
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rustls::pki_types::PrivateKeyDer;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// Longer than anything here takes on a slow machine.
const LONG: Duration = Duration::from_secs(60);

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// A sink whose destinations are slow.
#[derive(Default)]
struct Slow {
    pages: Vec<Page>,
    delivered: u64,
    full: bool,
    hastened: bool,
    acknowledged: u64,
}

impl Slow {
    fn payloads(&self) -> Vec<String> {
        let payloads = self.pages.iter().flat_map(|page| &page.payloads);
        payloads
            .map(|payload| String::from_utf8_lossy(payload).into_owned())
            .collect()
    }

    fn deliver(&mut self) {
        self.delivered = self.pages.len() as u64;
    }
}

impl Sink for Slow {
    fn accept(&mut self, _: &LaneId, page: &Page) -> Result<(), SinkError> {
        if self.full {
            return Err(SinkError::Full);
        }
        self.pages.push(page.clone());
        Ok(())
    }

    fn delivered(&mut self, _: &LaneId) -> u64 {
        self.delivered
    }

    fn acknowledged(&mut self, _: &LaneId, pages: u64) {
        assert!(self.acknowledged <= pages && pages <= self.delivered);
        self.acknowledged = pages;
    }

    fn hasten(&mut self, _: &LaneId) {
        self.hastened = true;
    }
}

fn reading(brokers: &str) -> Reading {
    Reading {
        connection: Connection {
            brokers: vec![brokers.to_owned()],
            ..Connection::default()
        },
        topics: Topics::List(vec!["alerts".to_owned()]),
        group: "g".to_owned(),
        from_end: false,
        session_timeout: 6000,
        heartbeat: 200,
        form: Form::default(),
        dialect: Dialect::Kafka,
    }
}

fn collector(reading: Reading) -> KafkaCollector {
    let id = LaneId {
        log_source: "x".to_owned(),
        lane: "consumer".to_owned(),
    };
    KafkaCollector::new(reading, id)
}

fn cluster(partitions: i32) -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("alerts", partitions, 1).unwrap();
    cluster
}

/// Puts records into a partition.
fn produce(cluster: &Cluster, partition: i32, bodies: impl Iterator<Item = String>) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .create()
        .unwrap();
    for body in bodies {
        let record: BaseRecord<'_, (), String> =
            BaseRecord::to("alerts").partition(partition).payload(&body);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(LONG).unwrap();
}

/// What the group has committed of a partition.
fn committed(cluster: &Cluster, partition: i32) -> Option<i64> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "g")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition("alerts", partition);
    let list = consumer.committed_offsets(list, LONG).unwrap();
    match list.elements()[0].offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}

/// Steps until this is so.
fn until(
    collector: &mut KafkaCollector,
    sink: &mut Slow,
    what: &str,
    mut is_so: impl FnMut(&KafkaCollector, &mut Slow) -> bool,
) {
    let begun = Instant::now();
    while !is_so(collector, sink) {
        assert!(begun.elapsed() < LONG, "{what}: {:?}", collector.status());
        collector.step(&SystemClock, sink);
    }
}

fn numbered(name: &str, count: usize) -> impl Iterator<Item = String> {
    let name = name.to_owned();
    (0..count).map(move |number| format!("{name}-{number}"))
}

#[test]
fn a_page_is_acknowledged_when_the_broker_has_it_and_soon_where_there_is_no_room() {
    let cluster = cluster(1);
    produce(&cluster, 0, numbered("a", 10));
    let mut collector = collector(reading(&cluster.bootstrap_servers()));
    let mut sink = Slow::default();
    until(&mut collector, &mut sink, "ten are read", |_, sink| {
        sink.payloads().len() == 10
    });
    assert_eq!(sink.acknowledged, 0);
    sink.deliver();
    until(
        &mut collector,
        &mut sink,
        "it is acknowledged",
        |_, sink| sink.acknowledged == sink.pages.len() as u64,
    );
    assert_eq!(committed(&cluster, 0), Some(10));
    // More is read and delivered, and then there is no room.
    produce(&cluster, 0, numbered("b", 10));
    until(&mut collector, &mut sink, "twenty are read", |_, sink| {
        sink.payloads().len() == 20
    });
    sink.full = true;
    produce(&cluster, 0, numbered("c", 10));
    until(&mut collector, &mut sink, "it is full", |collector, _| {
        collector.status().paused
    });
    sink.deliver();
    // The statistics tell it too, once a second: they are thrown away, so asking is what tells it.
    let begun = Instant::now();
    while sink.acknowledged != sink.pages.len() as u64 {
        assert!(begun.elapsed() < LONG, "{:?}", collector.status());
        let now = SystemClock.now();
        collector.poll(FULL_PATIENCE, now);
        let _ = collector.consumer.as_ref().unwrap().context().take();
        collector.settle(now, &mut sink);
    }
    assert_eq!(committed(&cluster, 0), Some(20));
}

#[test]
fn whoever_loses_what_there_was_no_room_for_goes_on_reading_what_comes_then() {
    let cluster = cluster(1);
    produce(&cluster, 0, numbered("a", 10));
    let mut collector = collector(reading(&cluster.bootstrap_servers()));
    let mut sink = Slow {
        full: true,
        ..Slow::default()
    };
    until(&mut collector, &mut sink, "it is full", |collector, _| {
        collector.status().paused
    });
    let all = collector.assigned.clone();
    collector.forget(&all);
    collector.assigned(all);
    sink.full = false;
    produce(&cluster, 0, numbered("b", 10));
    until(&mut collector, &mut sink, "it reads again", |_, sink| {
        sink.payloads().ends_with(&["b-9".to_owned()])
    });
    assert!(!collector.status().paused);
}

#[test]
fn an_offset_is_committed_only_after_delivery() {
    let cluster = cluster(1);
    produce(&cluster, 0, numbered("a", 10));
    let mut collector = collector(reading(&cluster.bootstrap_servers()));
    let mut sink = Slow::default();
    until(&mut collector, &mut sink, "ten are read", |_, sink| {
        sink.payloads().len() == 10
    });
    for _ in 0..10 {
        collector.step(&SystemClock, &mut sink);
    }
    assert_eq!(committed(&cluster, 0), None);
    assert_eq!(collector.offsets.undelivered(), sink.pages.len());
    sink.deliver();
    until(
        &mut collector,
        &mut sink,
        "it is committed",
        |collector, _| collector.offsets.undelivered() == 0 && collector.offsets.ready().is_empty(),
    );
    assert_eq!(committed(&cluster, 0), Some(10));
    assert_eq!(sink.payloads(), numbered("a", 10).collect::<Vec<_>>());
    assert_eq!(collector.status().payloads, 10);
}

#[test]
fn it_says_what_it_reads_and_that_it_has_read_everything() {
    let cluster = cluster(3);
    produce(&cluster, 1, numbered("a", 5));
    let mut collector = collector(reading(&cluster.bootstrap_servers()));
    let mut sink = Slow::default();
    until(
        &mut collector,
        &mut sink,
        "a round ends",
        |collector, sink| {
            sink.deliver();
            collector.status().rounds > 0
        },
    );
    assert_eq!(sink.payloads().len(), 5);
    let status = collector.status();
    assert_eq!(status.state, State::Ok);
    assert_eq!(
        status.message,
        "reading 3 of 3 partitions in the group g: alerts 0-2; 0 records behind"
    );
}

#[test]
fn a_full_sink_pauses_and_loses_nothing() {
    let cluster = cluster(2);
    produce(&cluster, 0, numbered("a", 3000));
    let mut collector = collector(reading(&cluster.bootstrap_servers()));
    let mut sink = Slow {
        full: true,
        ..Slow::default()
    };
    until(&mut collector, &mut sink, "it pauses", |collector, _| {
        collector.status().paused
    });
    for _ in 0..20 {
        collector.step(&SystemClock, &mut sink);
    }
    assert_eq!(collector.status().state, State::Warn);
    assert!(collector.batch.page().payloads.len() <= 2000);
    sink.full = false;
    until(&mut collector, &mut sink, "all are read", |_, sink| {
        sink.payloads().len() >= 3000
    });
    assert_eq!(sink.payloads(), numbered("a", 3000).collect::<Vec<_>>());
    assert!(!collector.status().paused);
}

#[test]
fn who_waits_for_a_full_sink_stays_in_the_group_for_any_time() {
    let cluster = cluster(2);
    produce(&cluster, 0, numbered("a", 50));
    let mut collector = collector(reading(&cluster.bootstrap_servers()));
    let mut sink = Slow {
        full: true,
        ..Slow::default()
    };
    until(&mut collector, &mut sink, "it pauses", |collector, _| {
        collector.status().paused
    });
    // A member that did not poll would be put out after twenty seconds: a step waits for 50 ms.
    for _ in 0..440 {
        collector.step(&SystemClock, &mut sink);
        assert_eq!(collector.assigned.len(), 2, "{:?}", collector.status());
    }
    assert!(collector.status().paused);
    sink.full = false;
    until(
        &mut collector,
        &mut sink,
        "all are read",
        |collector, sink| {
            sink.deliver();
            collector.status().rounds > 0
        },
    );
    // Who was put out would have read them once more.
    assert_eq!(sink.payloads(), numbered("a", 50).collect::<Vec<_>>());
}

#[test]
fn partitions_are_handed_over_when_what_was_read_is_delivered() {
    // The mock cluster takes the group for formed as soon as its leader has answered. If the other one answers later, which
    // it does on a busy machine, the cluster refuses it, begins to form the group anew, and takes neither heartbeats nor
    // commits of who hands over. No broker does so. Then it is tried again.
    let is_handed_over = (0..20).any(|_| is_handed_over());
    assert!(is_handed_over, "the cluster never formed the group");
}

/// Hands two of four partitions over. Tells whether the mock cluster has let it.
fn is_handed_over() -> bool {
    let cluster = cluster(4);
    for partition in 0..4 {
        produce(
            &cluster,
            partition,
            numbered(&format!("old{partition}"), 20),
        );
    }
    // The mock cluster waits so long for members whenever the group is formed anew.
    let reading = || Reading {
        session_timeout: 4000,
        ..reading(&cluster.bootstrap_servers())
    };
    let mut first = collector(reading());
    let mut slow = Slow::default();
    until(&mut first, &mut slow, "the first reads all", |_, sink| {
        sink.payloads().len() == 80
    });
    // Another one joins, and has to wait, because nothing is delivered.
    let mut second = collector(reading());
    let mut quick = Slow::default();
    until(
        &mut first,
        &mut slow,
        "it is asked to hand over",
        |first, _| {
            second.step(&SystemClock, &mut quick);
            first.handover.is_some()
        },
    );
    assert!(slow.hastened);
    // The second is told at once that it has none, or is refused by the cluster.
    for _ in 0..10 {
        first.step(&SystemClock, &mut slow);
        second.step(&SystemClock, &mut quick);
    }
    if !second.joined {
        return false;
    }
    assert!(second.assigned.is_empty());
    assert_eq!(first.assigned.len(), 4);
    slow.deliver();
    until(
        &mut first,
        &mut slow,
        "both have two partitions",
        |first, _| {
            second.step(&SystemClock, &mut quick);
            quick.deliver();
            first.assigned.len() == 2 && second.assigned.len() == 2
        },
    );
    for partition in 0..4 {
        produce(
            &cluster,
            partition,
            numbered(&format!("new{partition}"), 20),
        );
    }
    until(&mut first, &mut slow, "all are read", |_, slow| {
        second.step(&SystemClock, &mut quick);
        slow.deliver();
        quick.deliver();
        slow.payloads().len() + quick.payloads().len() >= 160
    });
    let mut all = slow.payloads();
    all.extend(quick.payloads());
    assert_eq!(all.len(), 160);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 160, "nothing is read twice");
    assert_eq!(quick.payloads().len(), 40);
    // The first one leaves, and the second has everything.
    first.close(&SystemClock, &mut slow);
    until(
        &mut second,
        &mut quick,
        "the second has all",
        |second, _| second.assigned.len() == 4,
    );
    second.close(&SystemClock, &mut quick);
    for partition in 0..4 {
        assert_eq!(committed(&cluster, partition), Some(40));
    }
    true
}

#[test]
fn a_topic_that_is_missing_is_named_and_read_once_it_is_there() {
    let cluster = MockCluster::new(1).unwrap();
    cluster
        .topic_error(
            "alerts",
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        )
        .unwrap();
    let mut reading = reading(&cluster.bootstrap_servers());
    reading.dialect = Dialect::EventHubs;
    let mut collector = collector(reading);
    let mut sink = Slow::default();
    until(
        &mut collector,
        &mut sink,
        "it is an error",
        |collector, _| collector.status().state == State::Error,
    );
    let status = collector.status();
    assert!(
        status.message.starts_with("the event hub is not there"),
        "{status:?}"
    );
    assert!(status.message.contains("alerts"), "{status:?}");
    assert!(status.remedy.as_deref().unwrap().contains("EntityPath"));
    assert!(status.rounds_failed > 0);
    cluster
        .topic_error("alerts", RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR)
        .unwrap();
    cluster.create_topic("alerts", 1, 1).unwrap_or_default();
    produce(&cluster, 0, numbered("a", 3));
    until(
        &mut collector,
        &mut sink,
        "it is read",
        |collector, sink| sink.payloads().len() == 3 && collector.status().state == State::Ok,
    );
}

#[test]
fn a_topic_that_disappears_is_an_error_and_what_was_read_is_kept() {
    let cluster = cluster(1);
    produce(&cluster, 0, numbered("a", 3));
    let mut collector = collector(reading(&cluster.bootstrap_servers()));
    let mut sink = Slow::default();
    until(&mut collector, &mut sink, "three are read", |_, sink| {
        sink.payloads().len() == 3
    });
    cluster
        .topic_error(
            "alerts",
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        )
        .unwrap();
    until(
        &mut collector,
        &mut sink,
        "it is an error",
        |collector, _| collector.status().state == State::Error,
    );
    assert!(
        collector
            .status()
            .message
            .starts_with("the topic is not there")
    );
    assert_eq!(sink.payloads().len(), 3);
}

#[test]
fn a_broker_that_is_away_is_waited_for() {
    let cluster = cluster(1);
    produce(&cluster, 0, numbered("a", 3));
    let mut collector = collector(reading(&cluster.bootstrap_servers()));
    let mut sink = Slow::default();
    until(&mut collector, &mut sink, "three are read", |_, sink| {
        sink.payloads().len() == 3
    });
    cluster.broker_down(1).unwrap();
    until(
        &mut collector,
        &mut sink,
        "it is a warning",
        |collector, _| collector.status().state == State::Warn,
    );
    assert!(
        collector
            .status()
            .message
            .starts_with("no broker is reached")
    );
    cluster.broker_up(1).unwrap();
    produce(&cluster, 0, numbered("b", 3));
    until(
        &mut collector,
        &mut sink,
        "it goes on",
        |collector, sink| sink.payloads().len() >= 6 && collector.status().state == State::Ok,
    );
}

/// A broker that lets nobody sign in; it notes what was sent to sign in.
struct Unfriendly {
    address: String,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Unfriendly {
    /// Starts it, with TLS if there is a certificate with its key.
    fn start(certificate: Option<&rcgen::CertifiedKey<rcgen::KeyPair>>) -> Self {
        let config = certificate.map(|certificate| {
            let key = PrivateKeyDer::try_from(certificate.signing_key.serialize_der()).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = rustls::ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate.cert.der().clone()], key);
            Arc::new(config.unwrap())
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (noted, config) = (Arc::clone(&noted), config.clone());
                std::thread::spawn(move || match config {
                    Some(config) => {
                        let connection = rustls::ServerConnection::new(config).unwrap();
                        serve(rustls::StreamOwned::new(connection, stream), &noted)
                    }
                    None => serve(stream, &noted),
                });
            }
        });
        Self { address, seen }
    }
}

/// Answers the three requests with which a connection begins. Each is a length, the number of the request and of its
/// version, a number that the answer repeats, and more.
fn serve(mut stream: impl Read + Write, seen: &Mutex<Vec<u8>>) -> Option<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut request = vec![0; usize::try_from(u32::from_be_bytes(length)).ok()?];
        stream.read_exact(&mut request).ok()?;
        let body: &[u8] = match request.get(..2)? {
            // The versions that there are of ApiVersions, SaslHandshake, SaslAuthenticate and Metadata.
            [0, 18] => &[
                0, 0, 5, 0, 18, 0, 0, 0, 3, 0, 0, 17, 0, 0, 0, 1, 0, 0, 36, 0, 0, 0, 0, 0, 0, 3, 0,
                0, 0, 2, 0, 0, 0, 0, 0, 0,
            ],
            // PLAIN is known.
            [0, 17] => b"\0\0\0\0\0\x01\0\x05PLAIN",
            // SASL_AUTHENTICATION_FAILED, with a text that repeats too much, and no data.
            [0, 36] => {
                seen.lock().unwrap().extend_from_slice(&request);
                b"\0\x3a\0\x10bad hunter2-hunt\0\0\0\0"
            }
            _ => return None,
        };
        let length = u32::try_from(body.len() + 4).ok()?;
        stream.write_all(&length.to_be_bytes()).ok()?;
        stream.write_all(request.get(4..8)?).ok()?;
        stream.write_all(body).ok()?;
    }
}

#[test]
fn credentials_that_are_not_accepted_are_an_error_without_the_secret() {
    let broker = Unfriendly::start(None);
    let mut reading = reading(&broker.address);
    reading.dialect = Dialect::EventHubs;
    reading.connection.sasl = Some(Sasl::Password {
        mechanism: Mechanism::Plain,
        user: "$ConnectionString".to_owned(),
        password: Secret::new("hunter2-hunt"),
    });
    let probes = super::super::probe::probe(&reading);
    let last = probes.last().unwrap();
    assert_eq!(last.name, "sign-in");
    assert!(!last.is_passed());
    let mut collector = collector(reading);
    let mut sink = Slow::default();
    until(
        &mut collector,
        &mut sink,
        "it is an error",
        |collector, _| collector.status().state == State::Error,
    );
    let seen = String::from_utf8_lossy(&broker.seen.lock().unwrap()).into_owned();
    assert!(
        seen.ends_with("\0$ConnectionString\0hunter2-hunt"),
        "{seen:?}"
    );
    let status = collector.status();
    assert!(
        status
            .message
            .starts_with("the broker does not accept the credentials"),
        "{status:?}"
    );
    assert!(status.remedy.as_deref().unwrap().contains("Listen"));
    let shown = format!("{status:?} {probes:?} {collector:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    collector.close(&SystemClock, &mut sink);
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_an_error_and_one_in_the_file_is_trusted() {
    let certificate = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let broker = Unfriendly::start(Some(&certificate));
    let file = std::env::temp_dir().join(format!("dsmith-ca-{}.pem", std::process::id()));
    std::fs::write(&file, certificate.cert.pem()).unwrap();
    let mut sink = Slow::default();
    for (ca_file, message, probed) in [
        (None, "there can be no TLS with the broker", "TLS"),
        (
            Some(file.clone()),
            "the broker does not accept the credentials",
            "sign-in",
        ),
    ] {
        let mut reading = reading(&broker.address);
        reading.connection.tls = Some(Tls {
            trust: Trust::with(ca_file),
            client: None,
        });
        reading.connection.sasl = Some(Sasl::Password {
            mechanism: Mechanism::Plain,
            user: "user".to_owned(),
            password: Secret::new("hunter2-hunt"),
        });
        let probes = super::super::probe::probe(&reading);
        let failed: Vec<&str> = probes
            .iter()
            .filter(|probe| !probe.is_passed())
            .map(|probe| probe.name.as_str())
            .collect();
        assert_eq!(failed, [probed], "{probes:?}");
        let mut collector = collector(reading);
        until(
            &mut collector,
            &mut sink,
            "it is an error",
            |collector, _| collector.status().message.starts_with(message),
        );
        assert_eq!(collector.status().state, State::Error);
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn what_is_read_of_a_partition_that_was_lost_and_came_back_within_a_poll_is_kept() {
    let cluster = cluster(1);
    let mut collector = collector(reading(&cluster.bootstrap_servers()));
    let mut sink = Slow::default();
    until(&mut collector, &mut sink, "it has it", |collector, _| {
        collector.assigned.len() == 1
    });
    produce(&cluster, 0, numbered("a", 10));
    // Both are called back within the poll that reads the records.
    let all = collector.assigned.clone();
    let context = collector.consumer.as_ref().unwrap().context();
    context.note(Event::Lost(all.clone()));
    context.note(Event::Assigned(all));
    until(&mut collector, &mut sink, "ten are read", |_, sink| {
        sink.payloads().len() == 10
    });
    sink.deliver();
    until(&mut collector, &mut sink, "it is committed", |_, sink| {
        sink.acknowledged == sink.pages.len() as u64
    });
    assert_eq!(committed(&cluster, 0), Some(10));
    assert_eq!(sink.payloads(), numbered("a", 10).collect::<Vec<_>>());
}

#[test]
fn whoever_is_put_out_while_it_hands_over_does_not_wait_for_what_cannot_be_committed() {
    let cluster = cluster(2);
    produce(&cluster, 0, numbered("a", 10));
    produce(&cluster, 1, numbered("b", 10));
    let mut first = collector(reading(&cluster.bootstrap_servers()));
    let mut slow = Slow::default();
    until(&mut first, &mut slow, "the first reads all", |_, sink| {
        sink.payloads().len() == 20
    });
    let mut second = collector(reading(&cluster.bootstrap_servers()));
    let mut quick = Slow::default();
    until(
        &mut first,
        &mut slow,
        "it is asked to hand over",
        |first, _| {
            second.step(&SystemClock, &mut quick);
            first.handover.is_some()
        },
    );
    let unknown = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID;
    cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[unknown; 100]);
    slow.deliver();
    // No time passes, so it is not the end of patience that it waits for.
    let clock = VirtualClock::new(SystemClock.now());
    let begun = Instant::now();
    while first.handover.is_some() {
        assert!(begun.elapsed() < LONG, "{:?}", first.status());
        first.step(&clock, &mut slow);
    }
}

/// Steps as if ten seconds passed in each of them until this is so. Tells how many steps it took.
fn until_in_time(
    collector: &mut KafkaCollector,
    clock: &VirtualClock,
    what: &str,
    mut is_so: impl FnMut(&KafkaCollector) -> bool,
) -> u32 {
    let (mut sink, mut steps) = (Slow::default(), 0);
    while !is_so(collector) {
        assert!(steps < 400, "{what}: {:?}", collector.status());
        clock.advance(TimeDelta::seconds(10));
        collector.step(clock, &mut sink);
        steps += 1;
    }
    steps
}

#[test]
fn a_group_that_does_not_form_is_an_error_and_is_joined_anew_until_it_does() {
    let cluster = cluster(1);
    let failing = RDKafkaRespErr::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS;
    cluster.request_errors(RDKafkaApiKey::JoinGroup, &[failing; 4000]);
    let mut collector = collector(reading(&cluster.bootstrap_servers()));
    let clock = VirtualClock::new(SystemClock.now());
    let steps = until_in_time(&mut collector, &clock, "it is an error", |collector| {
        collector.status().state == State::Error
    });
    assert_eq!(steps, 13);
    let status = collector.status();
    assert_eq!(
        status.message,
        "the group g has given this process no partitions for 2 minutes"
    );
    assert!(
        status
            .remedy
            .as_deref()
            .unwrap()
            .contains("joins the group anew")
    );
    assert!(status.rounds_failed > 0);
    let steps = until_in_time(
        &mut collector,
        &clock,
        "it parts with its client",
        |collector| collector.consumer.is_none(),
    );
    assert_eq!(steps, 24);
    assert_eq!(collector.status().state, State::Error);
    until_in_time(&mut collector, &clock, "it joins anew", |collector| {
        collector.consumer.is_some()
    });
    cluster.clear_request_errors(RDKafkaApiKey::JoinGroup);
    produce(&cluster, 0, numbered("a", 10));
    let mut sink = Slow::default();
    until(&mut collector, &mut sink, "it reads", |collector, sink| {
        sink.payloads().len() == 10 && collector.status().state == State::Ok
    });
}

#[test]
fn records_that_are_there_and_do_not_come_are_an_error_until_they_come() {
    let cluster = cluster(1);
    produce(&cluster, 0, numbered("a", 10));
    let mut collector = collector(reading(&cluster.bootstrap_servers()));
    let mut sink = Slow::default();
    until(
        &mut collector,
        &mut sink,
        "it is read up",
        |collector, _| collector.status().rounds > 0,
    );
    // Such an error passes unsaid, because a client asks for the new leader then.
    let failing = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    cluster.request_errors(RDKafkaApiKey::Fetch, &[failing; 4000]);
    produce(&cluster, 0, numbered("b", 10));
    let clock = VirtualClock::new(SystemClock.now());
    until_in_time(&mut collector, &clock, "it is an error", |collector| {
        collector.status().state == State::Error
    });
    let message = &collector.status().message;
    assert!(
        message.starts_with("nothing was read for 2 minutes"),
        "{message}"
    );
    cluster.clear_request_errors(RDKafkaApiKey::Fetch);
    until(
        &mut collector,
        &mut sink,
        "it goes on",
        |collector, sink| sink.payloads().len() >= 20 && collector.status().state == State::Ok,
    );
}

#[test]
fn what_is_accepted_and_not_committed_is_not_read_again_because_nothing_more_comes() {
    let cluster = cluster(1);
    produce(&cluster, 0, numbered("a", 10));
    let mut collector = collector(reading(&cluster.bootstrap_servers()));
    let mut sink = Slow::default();
    until(&mut collector, &mut sink, "ten are read", |_, sink| {
        sink.payloads().len() == 10
    });
    let failing = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    cluster.request_errors(RDKafkaApiKey::Fetch, &[failing; 4000]);
    produce(&cluster, 0, numbered("b", 10));
    let clock = VirtualClock::new(SystemClock.now());
    let mut is_shown = false;
    for _ in 0..80 {
        clock.advance(TimeDelta::seconds(10));
        collector.step(&clock, &mut sink);
        is_shown |= collector.status().state == State::Error;
        assert!(collector.consumer.is_some(), "{:?}", collector.status());
    }
    assert!(is_shown);
    // Once it is delivered and committed, another client may try.
    sink.deliver();
    let begun = Instant::now();
    while collector.consumer.is_some() {
        assert!(begun.elapsed() < LONG, "{:?}", collector.status());
        clock.advance(TimeDelta::seconds(10));
        collector.step(&clock, &mut sink);
    }
    assert_eq!(committed(&cluster, 0), Some(10));
    cluster.clear_request_errors(RDKafkaApiKey::Fetch);
    until(&mut collector, &mut sink, "the rest is read", |_, sink| {
        sink.payloads().len() >= 20
    });
    let all = numbered("a", 10).chain(numbered("b", 10));
    assert_eq!(sink.payloads(), all.collect::<Vec<_>>());
}

#[test]
fn a_fault_from_before_does_not_hide_that_nothing_gets_on() {
    for (subject, state) in [
        (Subject::Connection, State::Warn),
        (Subject::SignIn, State::Error),
        (Subject::Group, State::Warn),
    ] {
        let cluster = cluster(1);
        let failing = RDKafkaRespErr::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS;
        cluster.request_errors(RDKafkaApiKey::JoinGroup, &[failing; 4000]);
        let mut collector = collector(reading(&cluster.bootstrap_servers()));
        let clock = VirtualClock::new(SystemClock.now());
        let fault = Fault {
            subject,
            state,
            message: "from before".to_owned(),
            remedy: String::new(),
        };
        collector.blame(fault, clock.now());
        until_in_time(&mut collector, &clock, "it is shown", |collector| {
            let message = &collector.status().message;
            message.starts_with("the group g has given this process no partitions")
        });
        until_in_time(&mut collector, &clock, "it joins anew", |collector| {
            collector.consumer.is_none()
        });
    }
}
