//! The producer.

use super::KafkaOptions;
use crate::destination::{Batch, Destination, KeyOf, Outcome, Record, Refusal};
use chrono::{DateTime, Utc};
use dsm::Status;
use protocol::http::TransportError;
use protocol::kafka::{Connection, Dialect, Fault, Subject, Tokens, client_config, part_with};
use protocol::status::State;
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the brokers may take for a record before it has to be sent again.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a report may take beyond that.
const GRACE: Duration = Duration::from_secs(5);
/// How long a producer that is let go is waited for.
const PARTING: Duration = Duration::from_secs(1);
/// A poll takes all of its time, whatever comes, so it is short as long as reports are expected at any moment.
const POLL: Duration = Duration::from_millis(1);
const LONG_POLL: Duration = Duration::from_millis(50);
/// Longer records are refused without asking the brokers.
const LONGEST_RECORD: &str = "134217728";

/// Sends events to a topic.
pub(super) struct KafkaDestination {
    options: KafkaOptions,
    connection: Connection,
    /// Who gets tokens, where they are needed. It outlives producers, so that a refusal is remembered.
    tokens: Option<Arc<Tokens>>,
    producer: Option<Producer>,
}

type Producer = BaseProducer<Reports>;

impl std::fmt::Debug for KafkaDestination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaDestination")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// What librdkafka calls back, from within a poll.
struct Reports {
    connection: Connection,
    tokens: Option<Arc<Tokens>>,
    /// What became of records, by their index in the batch.
    records: Mutex<Vec<(usize, Option<RDKafkaErrorCode>)>>,
    /// What was wrong last.
    fault: Mutex<Option<Fault>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ClientContext for Reports {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        Tokens::issue(self.tokens.as_deref()).map_err(|fault| {
            *locked(&self.fault) = Some(fault);
            "no token".into()
        })
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, "librdkafka: {facility}: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        if let Some(fault) = code.and_then(|code| self.fault_of(code, reason)) {
            let mut last = locked(&self.fault);
            // Why there is no token says more than that nobody signs in without one.
            let is_sign_in = |fault: &Fault| fault.subject == Subject::SignIn;
            if !(is_sign_in(&fault) && last.as_ref().is_some_and(is_sign_in)) {
                *last = Some(fault);
            }
        }
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let error = result.as_ref().err().map(|(error, _)| {
            error
                .rdkafka_error_code()
                .unwrap_or(RDKafkaErrorCode::Unknown)
        });
        locked(&self.records).push((index, error));
    }
}

impl Reports {
    fn fault_of(&self, code: RDKafkaErrorCode, reason: &str) -> Option<Fault> {
        Fault::of(code, reason, Dialect::Kafka, self.connection.secrets())
    }

    /// Why records are not accepted: what was last wrong with the brokers says more than that time ran out.
    fn reason(&self, code: RDKafkaErrorCode) -> String {
        let is_vague = matches!(
            code,
            RDKafkaErrorCode::MessageTimedOut
                | RDKafkaErrorCode::PurgeQueue
                | RDKafkaErrorCode::PurgeInflight
                | RDKafkaErrorCode::Fatal
        );
        let last = locked(&self.fault).clone().filter(|_| is_vague);
        match last.or_else(|| self.fault_of(code, "")) {
            Some(fault) => format!("{}: {}", fault.message, fault.remedy),
            None if is_vague => "the brokers have not accepted the records in time".to_owned(),
            None => format!("the brokers do not accept the records: {code}"),
        }
    }

    /// Whether somebody has to do something before anything can be sent.
    fn is_hopeless(&self) -> bool {
        let fault = locked(&self.fault);
        fault
            .as_ref()
            .is_some_and(|fault| fault.state == State::Error)
    }
}

/// What became of a batch, as far as it was sent.
#[derive(Default)]
struct Sent {
    too_large: Vec<usize>,
    failed: Option<RDKafkaErrorCode>,
}

impl KafkaDestination {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// Nobody can get tokens.
    pub(super) fn new(
        options: KafkaOptions,
        connection: Connection,
    ) -> Result<Self, TransportError> {
        Ok(Self {
            options,
            tokens: Tokens::of(connection.sasl.as_ref())?.map(Arc::new),
            connection,
            producer: None,
        })
    }

    /// Lets go of the producer, which first throws away what it would still send.
    fn let_go(&mut self) {
        if let Some(producer) = self.producer.take() {
            part_with(producer, PARTING);
        }
    }

    fn producer(&self) -> KafkaResult<Producer> {
        client_config(&self.connection)
            // Written by all replicas in sync, in order, once however often it has to be sent.
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", &self.options.compression)
            .set("linger.ms", "1")
            .set("message.timeout.ms", PATIENCE.as_millis().to_string())
            .set("topic.metadata.propagation.max.ms", "5000")
            .set("message.max.bytes", LONGEST_RECORD)
            .create_with_context::<_, Producer>(Reports {
                connection: self.connection.clone(),
                tokens: self.tokens.clone(),
                records: Mutex::default(),
                fault: Mutex::default(),
            })
    }

    /// Sends these records of a batch and waits for the reports of all of them.
    fn deliver(&self, producer: &Producer, batch: &Batch, indices: &[usize]) -> Sent {
        let deadline = Instant::now() + PATIENCE + GRACE;
        let reports = producer.client().context();
        let mut sent = Sent::default();
        let mut expected = 0;
        for &index in indices {
            let Some(record) = batch.records.get(index) else {
                continue;
            };
            match self.queue(producer, batch, record, index, deadline) {
                Ok(()) => expected += 1,
                Err(RDKafkaErrorCode::MessageSizeTooLarge) => sent.too_large.push(index),
                Err(code) => {
                    sent.failed = Some(code);
                    break;
                }
            }
        }
        let mut reported = 0;
        let began = Instant::now();
        while reported < expected {
            let is_slow = began.elapsed() > Duration::from_secs(1);
            producer.poll(if is_slow { LONG_POLL } else { POLL });
            for (index, error) in std::mem::take(&mut *locked(&reports.records)) {
                reported += 1;
                match error {
                    None => {}
                    Some(RDKafkaErrorCode::MessageSizeTooLarge) => sent.too_large.push(index),
                    Some(code) => sent.failed = Some(code),
                }
            }
            if reported < expected && (reports.is_hopeless() || Instant::now() >= deadline) {
                sent.failed.get_or_insert(RDKafkaErrorCode::MessageTimedOut);
                break;
            }
        }
        sent
    }

    fn queue(
        &self,
        producer: &Producer,
        batch: &Batch,
        record: &Record,
        index: usize,
        deadline: Instant,
    ) -> Result<(), RDKafkaErrorCode> {
        let mut message: BaseRecord<'_, str, [u8], usize> =
            BaseRecord::with_opaque_to(&self.options.topic, index)
                .payload(batch.line(record))
                .timestamp(record.received.timestamp_millis())
                .headers(headers(batch, record));
        let key = record
            .labels
            .as_ref()
            .and_then(|labels| labels.key.as_deref());
        if let Some(key) = key.filter(|_| self.options.key != KeyOf::None) {
            message = message.key(key);
        }
        loop {
            match producer.send(message) {
                Ok(()) => return Ok(()),
                Err((error, again)) => match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::QueueFull) if Instant::now() < deadline => {
                        producer.poll(POLL);
                        message = again;
                    }
                    code => return Err(code.unwrap_or(RDKafkaErrorCode::Fail)),
                },
            }
        }
    }

    fn try_send(&self, producer: &Producer, batch: &Batch) -> Result<Vec<Refusal>, String> {
        let reports = producer.client().context();
        *locked(&reports.fault) = None;
        let all: Vec<usize> = (0..batch.records.len()).collect();
        let sent = self.deliver(producer, batch, &all);
        let failed = |code| Err(reports.reason(code));
        if let Some(code) = sent.failed {
            return failed(code);
        }
        // A broker refuses what it is sent at once as a whole, so each of these is asked for by itself.
        let mut refused = Vec::new();
        let mut large = sent.too_large;
        large.sort_unstable();
        for index in large {
            let alone = self.deliver(producer, batch, &[index]);
            if let Some(code) = alone.failed {
                return failed(code);
            }
            if !alone.too_large.is_empty() {
                let length = batch
                    .records
                    .get(index)
                    .map_or(0, |record| record.bytes.len());
                refused.push(Refusal {
                    index,
                    reason: format!(
                        "{length} bytes are more than the topic `{}` takes",
                        self.options.topic
                    ),
                });
            }
        }
        Ok(refused)
    }
}

fn headers(batch: &Batch, record: &Record) -> OwnedHeaders {
    let text = |headers: OwnedHeaders, key: &str, value: &str| {
        headers.insert(Header {
            key,
            value: Some(value),
        })
    };
    let mut headers = OwnedHeaders::new_with_capacity(4);
    headers = text(headers, "log_source", &batch.identifier);
    headers = text(headers, "log_source_type", &batch.log_source_type);
    if let Some(labels) = &record.labels {
        let status = match labels.status {
            Status::Mapped => "mapped",
            Status::Unknown => "unknown",
            Status::Stored => "stored",
        };
        headers = text(headers, "status", status);
        if let Some(qid) = labels.qid {
            headers = text(headers, "qid", &qid.to_string());
        }
    }
    headers
}

impl Destination for KafkaDestination {
    fn send(&mut self, batch: &Batch, _now: DateTime<Utc>) -> Outcome {
        let producer = match self.producer.take() {
            Some(producer) => producer,
            None => match self.producer() {
                Ok(producer) => producer,
                Err(error) => {
                    let reason = Fault::of_settings(&error, self.connection.secrets());
                    return Outcome::Unavailable(reason.message);
                }
            },
        };
        match self.try_send(&producer, batch) {
            Ok(refused) => {
                self.producer = Some(producer);
                Outcome::Accepted(refused)
            }
            // The producer goes, and with it what it would still send: all of it comes again.
            Err(reason) => {
                self.producer = Some(producer);
                self.let_go();
                Outcome::Unavailable(reason)
            }
        }
    }

    fn finish(&mut self) -> usize {
        self.let_go();
        0
    }
}

impl Drop for KafkaDestination {
    fn drop(&mut self) {
        self.let_go();
    }
}
