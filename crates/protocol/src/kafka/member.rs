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
use super::onlooker::{Onlooker, fault_of};
use super::positions::{Positions, Reader, key, value};
use super::{Connection, Dialect, Form, Reading, Sasl, Topics};
use crate::cursor::Cursor;
use crate::source::LaneId;
use crate::status::{LaneStatus, State};
use chrono::{DateTime, TimeDelta, Utc};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How long to wait after something could not be done before it is tried again.
const PAUSE: TimeDelta = TimeDelta::seconds(5);

/// How long brokers may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a client is listened to before it is asked for anything.
const FIRST_POLL: Duration = Duration::from_millis(100);

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
    /// A position could not be written, and is to be published again.
    Unwritten,
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
    /// The partitions that are ours, those included that somebody else is to have.
    assigned: BTreeSet<u32>,
    /// Partitions that somebody else is to have and that were not given up.
    revoked: Option<BTreeSet<u32>>,
    /// When the broker that looks after the group was last known to be connected.
    coordinated: Instant,
    onlooker: Option<Onlooker>,
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
            assigned: BTreeSet::new(),
            revoked: None,
            coordinated: Instant::now(),
            onlooker: None,
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
            changes.extend(self.happened(event, now));
        }
        // The client looks after its session only while it is at rest. Where it joins anew and cannot, others may have had
        // its partitions for long.
        let session = u64::try_from(self.reading.session_timeout).unwrap_or(0);
        let is_alone = self.coordinated.elapsed() > Duration::from_millis(session);
        if self.health.is_about(&[Subject::Client]) || (is_alone && !self.assigned.is_empty()) {
            let all = std::mem::take(&mut self.assigned);
            self.leave();
            self.next_try = Some(now + PAUSE);
            changes.push(Change::Lost(all));
        }
        changes
    }

    fn happened(&mut self, event: Event, now: DateTime<Utc>) -> Option<Change> {
        match event {
            Event::Assigned(partitions) => {
                let partitions = self.joined(&partitions);
                self.assigned.extend(&partitions);
                return Some(Change::Assigned(partitions));
            }
            Event::Revoked(partitions) => {
                let partitions = numbers(&partitions);
                self.revoked.get_or_insert_default().extend(&partitions);
                return Some(Change::Revoked(partitions));
            }
            Event::Lost(partitions) => {
                self.purge();
                let partitions = numbers(&partitions);
                self.assigned.retain(|number| !partitions.contains(number));
                let revoked = self.revoked.take();
                self.revoked = revoked
                    .map(|revoked| &revoked - &partitions)
                    .filter(|revoked| !revoked.is_empty());
                return Some(Change::Lost(partitions));
            }
            Event::Fault(fault) => self.blame(fault, now),
            // It commits nothing, so nobody refuses it.
            Event::PutOut => {}
            Event::Written => self.health.clear(&[Subject::Topic], &mut self.status),
            Event::Unwritten => return Some(Change::Unwritten),
            Event::Stats(stats) => {
                if stats.is_coordinated {
                    self.coordinated = Instant::now();
                }
                if stats.is_up {
                    let passed = [Subject::Connection, Subject::Tls, Subject::SignIn];
                    self.health.clear(&passed, &mut self.status);
                }
                self.health.age(&mut self.status, now);
            }
        }
        None
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
                self.coordinated = Instant::now();
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
        self.check_policy()?;
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
        // Tokens are got within a poll.
        let _ = consumer.poll(FIRST_POLL);
        let metadata = match consumer.fetch_metadata(None, PATIENCE) {
            Ok(metadata) => metadata,
            Err(error) => {
                // What is wrong with the connection says more than that there was no answer.
                let _ = consumer.poll(Duration::ZERO);
                return Err(fault_of(consumer, &self.reading.connection, &error));
            }
        };
        let mut topics = metadata.topics().iter();
        let found = topics.find(|found| found.name() == self.topic && found.error().is_none());
        let size = found.map_or(0, |topic| topic.partitions().len());
        Ok(u32::try_from(size).unwrap_or(u32::MAX))
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

    fn admin(&self) -> Result<AdminClient<Context>, Fault> {
        let config = client::client_config(&self.reading.connection);
        client::made(&config, &self.reading)
    }

    /// The client of `rdkafka` that makes topics gets no tokens.
    fn has_tokens(&self) -> bool {
        matches!(self.reading.connection.sasl, Some(Sasl::Token { .. }))
    }

    /// Refuses a topic from which positions go after some days. Where nobody may ask, nobody is in the way.
    fn check_policy(&self) -> Result<(), Fault> {
        if self.has_tokens() {
            return Ok(());
        }
        let admin = self.admin()?;
        let topic = [ResourceSpecifier::Topic(&self.topic)];
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let found = pollster::block_on(admin.describe_configs(&topic, &options));
        let found = found.ok().and_then(|mut found| found.pop()?.ok());
        let policy = found.and_then(|found| found.get("cleanup.policy")?.value.clone());
        match policy {
            Some(policy) if !policy.contains("compact") => Err(Fault {
                remedy: "set its cleanup.policy to compact".to_owned(),
                ..self.no_topic(&format!(
                    "its cleanup.policy is {policy}, so the positions in it would be deleted in time"
                ))
            }),
            _ => Ok(()),
        }
    }

    /// Makes the topic.
    fn create(&self) -> Result<(), Fault> {
        if self.has_tokens() {
            return Err(
                self.no_topic("it is not there, and cannot be made by who signs in with tokens")
            );
        }
        let admin = self.admin()?;
        // As many copies as the broker makes by default.
        let partitions = i32::try_from(self.partitions).unwrap_or(1);
        let topic = NewTopic::new(&self.topic, partitions, TopicReplication::Fixed(-1))
            .set("cleanup.policy", "compact")
            .set("message.timestamp.type", "LogAppendTime");
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

    /// Reads on how far all lanes of the group have been delivered, for about this long. `None` as long as not everything is
    /// read, or cannot be; why not is in the status, and it begins anew then.
    pub fn positions(&mut self, patience: Duration, now: DateTime<Utc>) -> Option<Positions> {
        match self.read_on(patience) {
            Ok(None) => None,
            Ok(Some(positions)) => {
                self.onlooker = None;
                self.health.clear(&[Subject::Topic], &mut self.status);
                Some(positions)
            }
            Err(fault) => {
                self.onlooker = None;
                self.blame(fault, now);
                None
            }
        }
    }

    /// Whether positions are being read.
    pub fn is_reading(&self) -> bool {
        self.onlooker.is_some()
    }

    /// What was read of positions is of no use any more.
    pub fn forget_positions(&mut self) {
        self.onlooker = None;
    }

    fn read_on(&mut self, patience: Duration) -> Result<Option<Positions>, Fault> {
        let mut onlooker = match self.onlooker.take() {
            Some(onlooker) => onlooker,
            None => Onlooker::begin(&self.reading, &self.topic, self.size)?,
        };
        if !onlooker.read_on(&self.reading.connection, patience)? {
            self.onlooker = Some(onlooker);
            return Ok(None);
        }
        self.positions_of(onlooker.reader()).map(Some)
    }

    fn positions_of(&self, reader: Reader) -> Result<Positions, Fault> {
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

    /// Lets another member have what it is to have.
    pub fn give_up(&mut self) {
        let Some(revoked) = self.revoked.take() else {
            return;
        };
        self.assigned.retain(|number| !revoked.contains(number));
        let topic: std::sync::Arc<str> = self.topic.as_str().into();
        let revoked: Vec<Partition> = revoked
            .into_iter()
            .filter_map(|number| {
                Some(Partition {
                    topic: topic.clone(),
                    number: i32::try_from(number).ok()?,
                })
            })
            .collect();
        if let Some(Clients { consumer, .. }) = &self.clients {
            give_up(consumer, &list(&revoked));
        }
    }

    /// Leaves the group, so that the others need not wait until they miss this member. It joins again when it is polled.
    pub fn leave(&mut self) {
        self.purge();
        // A client waits for it when it is dropped.
        let events = self
            .clients
            .as_ref()
            .map(|clients| clients.consumer.context().take());
        for event in events.into_iter().flatten() {
            if let Event::Revoked(partitions) = event {
                self.revoked
                    .get_or_insert_default()
                    .extend(numbers(&partitions));
            }
        }
        self.give_up();
        self.assigned.clear();
        self.onlooker = None;
        if let Some(clients) = self.clients.take() {
            clients.consumer.context().leave();
            client::leave_with(clients);
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

#[cfg(test)]
#[path = "member_tests.rs"]
mod tests;
