//! The settings of librdkafka.

use super::context::Context;
use super::fault::{Fault, Subject};
use super::token::Tokens;
use super::{Connection, Reading, Sasl};
use crate::driver::Trouble;
use crate::status::State;
use crate::trust::Authorities;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use rdkafka::ClientConfig;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::BaseConsumer;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// What is fetched ahead, in KiB, for a consumer as a whole.
const FETCHED_AHEAD: &str = "16384";

/// Most bytes in one answer, short of one batch.
const ANSWER: &str = "16777216";

/// What any client of these brokers needs. The certificate authorities are those of OpenSSL where no file is given.
pub fn client_config(connection: &Connection) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", connection.brokers.join(","))
        .set("client.id", "dsmith")
        // Event Hubs sits behind a load balancer that forgets idle connections after four minutes.
        .set("metadata.max.age.ms", "180000")
        .set("connections.max.idle.ms", "180000")
        .set("socket.keepalive.enable", "true")
        // A broker that refuses a password is not asked ten times a second.
        .set("reconnect.backoff.ms", "250")
        .set("reconnect.backoff.max.ms", "10000")
        .set_log_level(RDKafkaLogLevel::Warning);
    let protocol = match (&connection.tls, &connection.sasl) {
        (None, None) => "PLAINTEXT",
        (Some(_), None) => "SSL",
        (None, Some(_)) => "SASL_PLAINTEXT",
        (Some(_), Some(_)) => "SASL_SSL",
    };
    config.set("security.protocol", protocol);
    if let Some(tls) = &connection.tls {
        if let Some(file) = &tls.trust.ca_file {
            match tls.trust.authorities() {
                Ok(found) => config.set("ssl.ca.pem", pem(&found)),
                // What is wrong with it librdkafka says when it is needed; it is not passed over.
                Err(_) => config.set("ssl.ca.location", file.to_string_lossy()),
            };
        }
        if let Some(client) = &tls.client {
            config
                .set(
                    "ssl.certificate.location",
                    client.certificate_file.to_string_lossy(),
                )
                .set("ssl.key.location", client.key_file.to_string_lossy());
            if let Some(password) = &client.key_password {
                config.set("ssl.key.password", password.expose());
            }
        }
    }
    match &connection.sasl {
        Some(Sasl::Password {
            mechanism,
            user,
            password,
        }) => {
            config
                .set("sasl.mechanisms", mechanism.as_str())
                .set("sasl.username", user)
                .set("sasl.password", password.expose());
        }
        Some(Sasl::Token { .. }) => {
            config.set("sasl.mechanisms", "OAUTHBEARER");
        }
        None => {}
    }
    config
}

/// A consumer that is not a member of its group yet.
pub(super) fn consumer(reading: &Reading) -> Result<BaseConsumer<Context>, Fault> {
    made(&consumer_config(reading), reading)
}

/// A consumer that never becomes a member of its group: it is told what to read, and says when it is at the end.
pub(super) fn onlooker(reading: &Reading) -> Result<BaseConsumer<Context>, Fault> {
    let mut config = consumer_config(reading);
    config
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest");
    made(&config, reading)
}

/// A client of the brokers.
pub(super) fn made<C: FromClientConfigAndContext<Context>>(
    config: &ClientConfig,
    reading: &Reading,
) -> Result<C, Fault> {
    let connection = &reading.connection;
    let tokens = Tokens::of(connection.sasl.as_ref()).map_err(|error| {
        let trouble = Trouble::of_transport(&error);
        Fault {
            subject: Subject::Client,
            state: State::Error,
            message: trouble.message,
            remedy: trouble.remedy.unwrap_or_default(),
        }
    })?;
    let context = Context::new(connection.clone(), reading.dialect, tokens);
    config
        .create_with_context(context)
        .map_err(|error| Fault::of_settings(&error, connection.secrets()))
}

/// What a consumer needs besides.
fn consumer_config(reading: &Reading) -> ClientConfig {
    let mut config = client_config(&reading.connection);
    config
        .set("group.id", &reading.group)
        // Partitions that stay are read on while others are handed over.
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", reading.session_timeout.to_string())
        .set("heartbeat.interval.ms", reading.heartbeat.to_string())
        .set("max.poll.interval.ms", MAX_POLL_INTERVAL)
        // Offsets are committed by us, when what is before them was delivered.
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set(
            "auto.offset.reset",
            if reading.from_end {
                "latest"
            } else {
                "earliest"
            },
        )
        .set("isolation.level", "read_committed")
        .set("allow.auto.create.topics", "false")
        .set("check.crcs", "true")
        .set("queued.max.messages.kbytes", FETCHED_AHEAD)
        .set("fetch.max.bytes", ANSWER)
        // By default it looks only once a second whether there is room again, and reads no more than that in a second.
        .set("fetch.queue.backoff.ms", "20")
        // A topic that appears later is found soon.
        .set("topic.metadata.refresh.interval.ms", "10000")
        .set("statistics.interval.ms", "1000");
    config
}

/// Parts with a client. It waits for what it has asked the brokers for, and for name servers: minutes where they do not
/// answer. So it is waited for only so long; tells whether it is gone by then.
pub fn part_with<C: Send + 'static>(client: C, at_most: Duration) -> bool {
    let (guard, parted) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::Builder::new()
        .name("leaving".to_owned())
        .spawn(move || {
            drop(client);
            drop(guard);
        });
    // Without a thread the client is gone already.
    thread.is_err() || parted.recv_timeout(at_most) != Err(RecvTimeoutError::Timeout)
}

/// The same with a member of a group, with enough time to leave it where the brokers answer.
pub(super) fn leave_with<C: Send + 'static>(client: C) {
    if !part_with(client, FAREWELL) {
        tracing::warn!("the brokers do not answer: the group is left without their word");
    }
}

/// How long is waited until a client has left its group.
const FAREWELL: Duration = Duration::from_secs(8);

/// A member that does not poll for so many milliseconds is taken for dead. It is longer than any handing over. Tests have
/// no time for that, and on a busy machine need some.
const MAX_POLL_INTERVAL: &str = if cfg!(test) { "20000" } else { "300000" };

/// Certificates as one text.
fn pem(authorities: &Authorities) -> String {
    let mut text = String::new();
    for certificate in authorities.system.iter().chain(&authorities.file) {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in BASE64.encode(certificate).as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}
