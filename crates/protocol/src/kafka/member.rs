//! A member of a group of processes that divide log sources among themselves.
//!
//! The broker does the dividing: a partition of a topic stands for some of the log sources, and whoever has the partition
//! collects for them. The same topic, compacted, holds how far each lane has been delivered, so that whoever gets a
//! partition goes on from there. The member only takes part; what collects is up to its owner, who is told what has changed
//! and gives a partition up when nothing collects for it any more.

use super::client;
use super::context::{Context, Event, give_up, list};
use super::fault::{Fault, Subject};
use super::health::Health;
use super::offsets::Partition;
use super::positions::{Positions, Reader, key, value};
use super::{Connection, Dialect, Form, Reading, Topics};
use crate::cursor::Cursor;
use crate::source::LaneId;
use crate::status::{LaneStatus, State};
use chrono::{DateTime, TimeDelta, Utc};
use rdkafka::Message;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How long to wait after something could not be done before it is tried again.
const PAUSE: TimeDelta = TimeDelta::seconds(5);

/// How long brokers may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long reading all positions may take.
const READING: Duration = Duration::from_secs(60);

/// A position that could not be written for so long is not written: by then another member may be further.
const WRITING_MS: &str = "5000";

/// More than any position has.
const LONGEST: &str = "2097152";

/// Which group, and by what it divides log sources.
#[derive(Debug, Clone)]
pub struct Membership {
    /// Where the brokers are.
    pub connection: Connection,
    /// The name of the consumer group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// How many partitions the topic gets where it has to be made.
    pub partitions: u32,
    /// Milliseconds without a sign of life after which the group goes on without a member.
    pub session_timeout: i64,
}

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These partitions are ours from now on.
    Assigned(BTreeSet<u32>),
    /// Another member is to have these partitions; it gets them when they are given up.
    Revoked(BTreeSet<u32>),
    /// These partitions have been taken from us: another member may have them already.
    Lost(BTreeSet<u32>),
}

/// A member of a group.
pub struct Member {
    reading: Reading,
    topic: String,
    partitions: u32,
    clients: Option<Clients>,
    next_try: Option<DateTime<Utc>>,
    /// How many partitions the topic has.
    size: u32,
    health: Health,
    status: LaneStatus,
}

struct Clients {
    consumer: BaseConsumer<Context>,
    producer: BaseProducer<Context>,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("reading", &self.reading)
            .finish_non_exhaustive()
    }
}

impl Member {
    /// A member that has not joined yet.
    pub fn new(membership: Membership) -> Self {
        Self {
            reading: Reading {
                topics: Topics::List(vec![membership.topic.clone()]),
                group: membership.group,
                from_end: true,
                session_timeout: membership.session_timeout,
                heartbeat: membership.session_timeout / 6,
                form: Form::default(),
                dialect: Dialect::Kafka,
                connection: membership.connection,
            },
            topic: membership.topic,
            partitions: membership.partitions,
            clients: None,
            next_try: None,
            size: 0,
            health: Health::default(),
            status: LaneStatus::default(),
        }
    }

    /// Takes part in the group for about this long, and tells what has changed.
    pub fn poll(&mut self, patience: Duration, now: DateTime<Utc>) -> Vec<Change> {
        if self.clients.is_none() {
            let is_due = self.next_try.is_none_or(|at| now >= at || at - now > PAUSE);
            if !is_due || !self.connect(now) {
                std::thread::sleep(patience);
                return Vec::new();
            }
        }
        let Some(clients) = &self.clients else {
            return Vec::new();
        };
        // Partitions are paused, so no record comes; but this is where the group is heard.
        let _ = clients.consumer.poll(patience);
        clients.producer.poll(Duration::ZERO);
        let mut events = clients.consumer.context().take();
        let of_producer = clients.producer.context().take().into_iter();
        events.extend(of_producer.filter(|event| !matches!(event, Event::Stats(_))));
        let mut changes = Vec::new();
        for event in events {
            match event {
                Event::Assigned(partitions) => {
                    changes.push(Change::Assigned(self.joined(&partitions)));
                }
                Event::Revoked(partitions) => changes.push(Change::Revoked(numbers(&partitions))),
                Event::Lost(partitions) => {
                    self.purge();
                    changes.push(Change::Lost(numbers(&partitions)));
                }
                Event::Fault(fault) => self.blame(fault, now),
                Event::Written => self.health.clear(&[Subject::Topic], &mut self.status),
                Event::Stats(stats) => {
                    if stats.is_steady {
                        let passed = [Subject::Connection, Subject::Tls, Subject::SignIn];
                        self.health.clear(&passed, &mut self.status);
                    }
                    self.health.age(&mut self.status, now);
                }
            }
        }
        if self.health.is_about(&[Subject::Client]) {
            self.leave();
            self.next_try = Some(now + PAUSE);
            changes.push(Change::Lost((0..self.size).collect()));
        }
        changes
    }

    /// Makes clients and the topic where it is missing, and joins the group.
    fn connect(&mut self, now: DateTime<Utc>) -> bool {
        match self.join() {
            Ok((clients, size)) => {
                info!(
                    group = self.reading.group,
                    topic = self.topic,
                    "joining the group"
                );
                self.clients = Some(clients);
                self.size = size;
                let passed = [Subject::Client, Subject::Connection, Subject::Topic];
                self.health.clear(&passed, &mut self.status);
                true
            }
            Err(fault) => {
                self.blame(fault, now);
                self.health.age(&mut self.status, now);
                self.next_try = Some(now + PAUSE);
                false
            }
        }
    }

    fn join(&self) -> Result<(Clients, u32), Fault> {
        let consumer = client::consumer(&self.reading)?;
        let size = match self.look(&consumer)? {
            0 => {
                self.create()?;
                self.look(&consumer)?
            }
            size => size,
        };
        if size == 0 {
            return Err(self.no_topic("it was made and is not there yet"));
        }
        let mut config = client::client_config(&self.reading.connection);
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "5")
            // A position may be as long as the IDs of some thousand alerts.
            .set("message.max.bytes", LONGEST)
            .set("compression.type", "gzip")
            .set("message.timeout.ms", WRITING_MS);
        let producer = client::made(&config, &self.reading)?;
        let secrets = self.reading.connection.secrets();
        consumer
            .subscribe(&[self.topic.as_str()])
            .map_err(|error| Fault::of_settings(&error, secrets))?;
        Ok((Clients { consumer, producer }, size))
    }

    /// How many partitions the topic has; 0 where it is not there. All topics are asked for, because some brokers make the
    /// one that they are asked for.
    fn look(&self, consumer: &BaseConsumer<Context>) -> Result<u32, Fault> {
        let metadata = match consumer.fetch_metadata(None, PATIENCE) {
            Ok(metadata) => metadata,
            Err(error) => {
                // What is wrong with the connection says more than that there was no answer.
                let _ = consumer.poll(Duration::ZERO);
                return Err(self.fault_of(consumer, &error));
            }
        };
        let mut topics = metadata.topics().iter();
        let found = topics.find(|found| found.name() == self.topic && found.error().is_none());
        let size = found.map_or(0, |topic| topic.partitions().len());
        Ok(u32::try_from(size).unwrap_or(u32::MAX))
    }

    fn fault_of(&self, consumer: &BaseConsumer<Context>, error: &KafkaError) -> Fault {
        let events = consumer.context().take().into_iter();
        let noted = events.filter_map(|event| match event {
            Event::Fault(fault) => Some(fault),
            _ => None,
        });
        let code = error.rdkafka_error_code();
        let of_code = || code.and_then(|code| consumer.context().fault(code, ""));
        noted
            .max_by_key(|fault| fault.state)
            .or_else(of_code)
            .unwrap_or_else(|| Fault::of_settings(error, self.reading.connection.secrets()))
    }

    fn no_topic(&self, reason: &str) -> Fault {
        Fault {
            subject: Subject::Topic,
            state: State::Error,
            message: format!(
                "the topic `{}` of the group cannot be used: {reason}",
                self.topic
            ),
            remedy: format!(
                "make it with {} partitions and cleanup.policy=compact, or allow the user to make it",
                self.partitions
            ),
        }
    }

    /// Makes the topic.
    fn create(&self) -> Result<(), Fault> {
        let config = client::client_config(&self.reading.connection);
        let admin: AdminClient<Context> = client::made(&config, &self.reading)?;
        // As many copies as the broker makes by default.
        let partitions = i32::try_from(self.partitions).unwrap_or(1);
        let topic = NewTopic::new(&self.topic, partitions, TopicReplication::Fixed(-1))
            .set("cleanup.policy", "compact");
        let options = AdminOptions::new()
            .request_timeout(Some(PATIENCE))
            .operation_timeout(Some(PATIENCE));
        let made = pollster::block_on(admin.create_topics([&topic], &options));
        let made = made.map_err(|error| self.no_topic(&error.to_string()))?;
        match made.into_iter().next() {
            Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => {
                Err(self.no_topic(&code.to_string()))
            }
            _ => {
                info!(
                    topic = self.topic,
                    partitions = self.partitions,
                    "the topic of the group was made"
                );
                Ok(())
            }
        }
    }

    fn joined(&mut self, partitions: &BTreeSet<Partition>) -> BTreeSet<u32> {
        if let Some(Clients { consumer, .. }) = &self.clients {
            if let Err(error) = consumer.pause(&list(partitions)) {
                warn!("partitions cannot be paused: {error}");
            }
            // Each change of the number of partitions divides them anew.
            let metadata = consumer.fetch_metadata(Some(&self.topic), PATIENCE);
            let size = metadata.ok().and_then(|metadata| {
                let topic = metadata.topics().first()?;
                u32::try_from(topic.partitions().len()).ok()
            });
            self.size = size.filter(|size| *size > 0).unwrap_or(self.size);
        }
        self.health.clear(&[Subject::Group], &mut self.status);
        numbers(partitions)
    }

    /// How many partitions the topic has; 0 where that is not known yet.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Reads how far all lanes of the group have been delivered. It takes as long as the topic is large, and at most a
    /// minute; what goes wrong is in the status, and `None` comes out.
    pub fn positions(&mut self, now: DateTime<Utc>) -> Option<Positions> {
        match self.read_positions() {
            Ok(positions) => Some(positions),
            Err(fault) => {
                self.blame(fault, now);
                None
            }
        }
    }

    fn read_positions(&self) -> Result<Positions, Fault> {
        let consumer = client::onlooker(&self.reading)?;
        let mut beginning = TopicPartitionList::new();
        let mut open = BTreeSet::new();
        for number in 0..i32::try_from(self.size).unwrap_or(0) {
            let from = Offset::Beginning;
            let added = beginning.add_partition_offset(&self.topic, number, from);
            added.map_err(|error| self.fault_of(&consumer, &error))?;
            open.insert(number);
        }
        let assigned = consumer.assign(&beginning);
        assigned.map_err(|error| self.fault_of(&consumer, &error))?;
        let deadline = Instant::now() + READING;
        let mut reader = Reader::default();
        while !open.is_empty() {
            match consumer.poll(Duration::from_millis(200)) {
                Some(Ok(record)) => reader.take(
                    record.key(),
                    record.payload(),
                    record.timestamp().to_millis().unwrap_or(0),
                ),
                Some(Err(KafkaError::PartitionEOF(number))) => {
                    open.remove(&number);
                }
                Some(Err(error)) => return Err(self.fault_of(&consumer, &error)),
                None if Instant::now() >= deadline => {
                    let late = KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut);
                    return Err(self.fault_of(&consumer, &late));
                }
                None => {}
            }
        }
        if let Some(version) = reader.newer {
            return Err(Fault {
                remedy: "update this program, or let only the newer ones run".to_owned(),
                ..self.no_topic(&format!(
                    "it has positions of version {version}, which a newer version of this program wrote"
                ))
            });
        }
        if reader.strange > 0 {
            warn!(
                topic = self.topic,
                "{} records are no positions and were passed over", reader.strange
            );
        }
        Ok(reader.positions())
    }

    /// Writes how far a lane has been delivered. It is on its way when this returns; see [`Self::flush`].
    pub fn publish(&mut self, lane: &LaneId, cursor: &Cursor, partition: u32) {
        let (Some(Clients { consumer, producer }), Some(value)) = (&self.clients, value(cursor))
        else {
            return;
        };
        // Another member may be further.
        if consumer.assignment_lost() {
            return;
        }
        let key = key(lane);
        let record: BaseRecord<'_, str, [u8]> = BaseRecord::to(&self.topic)
            .key(key.as_str())
            .payload(value.as_slice())
            .partition(i32::try_from(partition).unwrap_or(0));
        if let Err((error, _)) = producer.send(record) {
            warn!(%lane, "the position is not written this time: {error}");
        }
    }

    /// Waits until what was published is written, or cannot be.
    pub fn flush(&self) {
        if let Some(Clients { producer, .. }) = &self.clients
            && let Err(error) = producer.flush(PATIENCE)
        {
            warn!("the last positions are not written: {error}");
        }
    }

    /// Lets another member have these partitions.
    pub fn give_up(&mut self, partitions: &BTreeSet<u32>) {
        let topic: std::sync::Arc<str> = self.topic.as_str().into();
        let partitions: Vec<Partition> = partitions
            .iter()
            .filter_map(|number| {
                Some(Partition {
                    topic: topic.clone(),
                    number: i32::try_from(*number).ok()?,
                })
            })
            .collect();
        if let Some(Clients { consumer, .. }) = &self.clients {
            give_up(consumer, &list(&partitions));
        }
    }

    /// Leaves the group, so that the others need not wait until they miss this member. It joins again when it is polled.
    pub fn leave(&mut self) {
        self.purge();
        if let Some(clients) = self.clients.take() {
            clients.consumer.context().leave();
        }
    }

    /// What has not been written yet never is.
    fn purge(&self) {
        if let Some(Clients { producer, .. }) = &self.clients {
            producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
        }
    }

    fn blame(&mut self, fault: Fault, now: DateTime<Utc>) {
        let id = LaneId {
            log_source: "group".to_owned(),
            lane: self.reading.group.clone(),
        };
        self.health.blame(fault, &id, &mut self.status, now);
    }

    /// What is wrong, if anything is.
    pub fn fault(&self) -> Option<&Fault> {
        self.health.fault()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.leave();
    }
}

fn numbers(partitions: &BTreeSet<Partition>) -> BTreeSet<u32> {
    let numbers = partitions.iter();
    numbers
        .filter_map(|partition| u32::try_from(partition.number).ok())
        .collect()
}
