//! Reads all positions in the topic of a group, without being a member of it.

use super::context::{Context, Event};
use super::fault::{Fault, Subject};
use super::positions::Reader;
use super::{Connection, Reading, client};
use crate::status::State;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long reading all of it may take.
const READING: Duration = Duration::from_secs(60);

/// Reads a piece in each step, because the group has to be heard meanwhile.
pub(super) struct Onlooker {
    consumer: BaseConsumer<Context>,
    /// Partitions that are not read to their end.
    open: BTreeSet<i32>,
    reader: Reader,
    until: Instant,
}

impl Onlooker {
    /// One that begins with the first record of each of so many partitions.
    pub(super) fn begin(reading: &Reading, topic: &str, partitions: u32) -> Result<Self, Fault> {
        let consumer = client::onlooker(reading)?;
        let fault = |error: KafkaError| fault_of(&consumer, &reading.connection, &error);
        let mut beginning = TopicPartitionList::new();
        let mut open = BTreeSet::new();
        for number in 0..i32::try_from(partitions).unwrap_or(0) {
            beginning
                .add_partition_offset(topic, number, Offset::Beginning)
                .map_err(fault)?;
            open.insert(number);
        }
        consumer.assign(&beginning).map_err(fault)?;
        Ok(Self {
            consumer,
            open,
            reader: Reader::default(),
            until: Instant::now() + READING,
        })
    }

    /// Reads for about this long. Tells whether everything is read.
    pub(super) fn read_on(
        &mut self,
        connection: &Connection,
        patience: Duration,
    ) -> Result<bool, Fault> {
        let pause = Instant::now() + patience;
        while !self.open.is_empty() {
            let now = Instant::now();
            if now >= self.until {
                let late = KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut);
                return Err(fault_of(&self.consumer, connection, &late));
            }
            if now >= pause {
                return Ok(false);
            }
            match self.consumer.poll(pause - now) {
                Some(Ok(record)) => self.reader.take(
                    record.partition(),
                    record.key(),
                    record.payload(),
                    record.timestamp().to_millis().unwrap_or(0),
                ),
                Some(Err(KafkaError::PartitionEOF(number))) => {
                    self.open.remove(&number);
                }
                Some(Err(error)) => {
                    // One of several brokers may be away; what lasts runs out of time.
                    let fault = fault_of(&self.consumer, connection, &error);
                    if fault.state == State::Error && fault.subject != Subject::Connection {
                        return Err(fault);
                    }
                }
                None => {}
            }
        }
        Ok(true)
    }

    /// What was read.
    pub(super) fn reader(self) -> Reader {
        self.reader
    }
}

/// What an error means: what librdkafka has noted besides says more than the error itself.
pub(super) fn fault_of(
    consumer: &BaseConsumer<Context>,
    connection: &Connection,
    error: &KafkaError,
) -> Fault {
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
        .unwrap_or_else(|| Fault {
            subject: Subject::Connection,
            state: State::Warn,
            ..Fault::of_settings(error, connection.secrets())
        })
}
