//! What librdkafka calls back, all of it from within a poll: noted here, and dealt with by who polls.

use super::fault::Fault;
use super::offsets::Partition;
use super::stats::Stats;
use super::token::Tokens;
use super::{Connection, Dialect, Subject};
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use std::collections::BTreeSet;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// What has happened.
#[derive(Debug)]
pub(super) enum Event {
    /// These partitions are ours from now on.
    Assigned(BTreeSet<Partition>),
    /// Somebody else is to have these partitions: they are ours until they are given up.
    Revoked(BTreeSet<Partition>),
    /// These partitions have been taken from us.
    Lost(BTreeSet<Partition>),
    /// Something is wrong.
    Fault(Fault),
    /// The broker does not take us for a member any more, while partitions of ours are to be given up: the client says so
    /// itself only when they are.
    PutOut,
    /// How the client is doing.
    Stats(Stats),
    /// A record of ours was written.
    Written,
    /// A record of ours was not.
    Unwritten,
}

/// What librdkafka calls the errors UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION and FENCED_INSTANCE_ID. The message lists topics
/// too, and no name of a topic has blanks.
const NO_MEMBER: [&str; 3] = [
    "Broker: Unknown member",
    "Broker: Specified group generation id is not valid",
    "Broker: Static consumer fenced by other consumer",
];

/// Notes what librdkafka calls back.
pub(super) struct Context {
    events: Mutex<Vec<Event>>,
    /// Partitions that have been taken from us since this was asked last. What is read of them from then on is read anew.
    lost: Mutex<BTreeSet<Partition>>,
    /// Whether there are any. It is asked for each record.
    has_lost: AtomicBool,
    /// Partitions are given up at once, because nobody waits any longer.
    leaving: AtomicBool,
    tokens: Option<Tokens>,
    /// The last attempt to get a token has failed.
    tokenless: AtomicBool,
    connection: Connection,
    dialect: Dialect,
}

impl Context {
    pub(super) fn new(connection: Connection, dialect: Dialect, tokens: Option<Tokens>) -> Self {
        Self {
            events: Mutex::new(Vec::new()),
            lost: Mutex::new(BTreeSet::new()),
            has_lost: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            tokens,
            tokenless: AtomicBool::new(false),
            connection,
            dialect,
        }
    }

    /// What has happened since this was asked last.
    pub(super) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The partitions that have been taken from us since this was asked last.
    pub(super) fn take_lost(&self) -> Option<BTreeSet<Partition>> {
        self.has_lost
            .swap(false, Ordering::AcqRel)
            .then(|| std::mem::take(&mut *self.lost.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// From now on partitions are given up at once.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// What an error means, without secrets.
    pub(super) fn fault(&self, code: RDKafkaErrorCode, reason: &str) -> Option<Fault> {
        let fault = Fault::of(code, reason, self.dialect, self.connection.secrets())?;
        // Why there is no token was noted already, and that nobody signs in without one says less.
        let is_known = fault.subject == Subject::SignIn && self.tokenless.load(Ordering::Relaxed);
        (!is_known).then_some(fault)
    }

    pub(super) fn note(&self, event: Event) {
        if let Event::Lost(partitions) = &event {
            self.lost
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(partitions.iter().cloned());
            self.has_lost.store(true, Ordering::Release);
        }
        self.events
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        // The only words about records that were deleted before they were read, and about a member that the group goes on
        // without while it hands partitions over. Everything else comes as an error too.
        if fac == "OFFSET" && message.contains("out of range") {
            tracing::warn!("{message}");
            if let Some(fault) = self.fault(RDKafkaErrorCode::OffsetOutOfRange, message) {
                self.note(Event::Fault(fault));
            }
        } else if fac == "COMMITFAIL" && NO_MEMBER.iter().any(|words| message.contains(words)) {
            tracing::debug!("librdkafka: {fac}: {message}");
            self.note(Event::PutOut);
        } else {
            tracing::debug!(?level, "librdkafka: {fac}: {message}");
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        if let Some(stats) = Stats::read(statistics) {
            self.note(Event::Stats(stats));
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let fault = error
            .rdkafka_error_code()
            .and_then(|code| self.fault(code, reason));
        if let Some(fault) = fault {
            self.note(Event::Fault(fault));
        }
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let token = Tokens::issue(self.tokens.as_ref());
        self.tokenless.store(token.is_err(), Ordering::Relaxed);
        token.map_err(|fault| {
            self.note(Event::Fault(fault));
            "no token".into()
        })
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Err((error, _)) = result else {
            self.note(Event::Written);
            return;
        };
        // Records that are given up together with the client say nothing.
        let code = error.rdkafka_error_code();
        let code = code.filter(|code| {
            let given_up = [
                RDKafkaErrorCode::PurgeQueue,
                RDKafkaErrorCode::PurgeInflight,
            ];
            !given_up.contains(code)
        });
        let Some(code) = code else {
            return;
        };
        if let Some(fault) = self.fault(code, "") {
            self.note(Event::Fault(fault));
        }
        self.note(Event::Unwritten);
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let partitions = partitions(list);
        if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let assigned = match consumer.rebalance_protocol() {
                RebalanceProtocol::Cooperative => consumer.incremental_assign(list),
                _ => consumer.assign(list),
            };
            match assigned {
                Ok(()) => self.note(Event::Assigned(partitions)),
                // Nobody would ever read them: another client has to join.
                Err(error) => {
                    let secrets = self.connection.secrets();
                    self.note(Event::Fault(Fault::of_settings(&error, secrets)));
                }
            }
        } else if consumer.assignment_lost() {
            give_up(consumer, list);
            self.note(Event::Lost(partitions));
        } else if self.leaving.load(Ordering::Relaxed) {
            give_up(consumer, list);
        } else {
            // Given up later, when what was read of them is delivered and committed: the group waits for that.
            self.note(Event::Revoked(partitions));
        }
    }
}

/// Gives partitions up, so that the group can go on.
pub(super) fn give_up(consumer: &BaseConsumer<Context>, list: &TopicPartitionList) {
    let given = match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
        _ => consumer.unassign(),
    };
    if let Err(error) = given {
        tracing::warn!("partitions cannot be given up: {error}");
    }
}

/// A list for librdkafka.
pub(super) fn list<'a>(partitions: impl IntoIterator<Item = &'a Partition>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, partition.number);
    }
    list
}

fn partitions(list: &TopicPartitionList) -> BTreeSet<Partition> {
    let elements = list.elements();
    let partitions = elements.iter().map(|element| Partition {
        topic: element.topic().into(),
        number: element.partition(),
    });
    partitions.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What librdkafka logs about a commit that has failed.
    fn put_out(topic: &str, error: &str) -> bool {
        let context = Context::new(Connection::default(), Dialect::Kafka, None);
        let message = format!(
            "Offset commit (manual) failed for 1/1 partition(s) in join-state steady: {error}: {topic}[0]@10({error})"
        );
        context.log(RDKafkaLogLevel::Warning, "COMMITFAIL", &message);
        let events = context.take();
        events.iter().any(|event| matches!(event, Event::PutOut))
    }

    #[test]
    fn who_is_put_out_is_told_by_the_error_and_not_by_the_name_of_a_topic() {
        for topic in ["alerts", "fenced", "unknown-member"] {
            assert!(!put_out(topic, "Broker: Request timed out"), "{topic}");
            for error in [
                "Broker: Unknown member",
                "Broker: Specified group generation id is not valid",
                "Broker: Static consumer fenced by other consumer with same group.instance.id",
            ] {
                assert!(put_out(topic, error), "{topic}: {error}");
            }
        }
    }
}
