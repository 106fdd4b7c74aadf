//! Reading from brokers that speak Kafka's protocol, Event Hubs among them.
//!
//! The broker keeps what is read until it is delivered, and divides partitions among the processes of a group. So there is
//! no cursor of ours and no second copy: an offset is committed once everything before it has been delivered.
//!
//! What needs no broker is here always: what to read (`Reading`), events in a record (`unwrap`), whose they are
//! (`gateway`), which offsets may be committed (`offsets`). What speaks with a broker needs the feature `kafka`.

#![cfg_attr(
    not(feature = "kafka"),
    allow(dead_code, reason = "only what reads from a broker uses it")
)]

mod batch;
#[cfg(feature = "kafka")]
mod client;
#[cfg(feature = "kafka")]
mod collector;
#[cfg(feature = "kafka")]
mod context;
#[cfg(feature = "kafka")]
mod fault;
mod gateway;
#[cfg(feature = "kafka")]
mod health;
#[cfg(feature = "kafka")]
mod member;
mod offsets;
#[cfg(feature = "kafka")]
mod onlooker;
mod positions;
#[cfg(feature = "kafka")]
mod probe;
#[cfg(feature = "kafka")]
mod progress;
#[cfg(feature = "kafka")]
mod stats;
#[cfg(feature = "kafka")]
mod stream;
#[cfg(feature = "kafka")]
mod token;
pub(crate) mod unwrap;

#[cfg(feature = "kafka")]
pub use client::{client_config, part_with};
#[cfg(feature = "kafka")]
pub use fault::{Fault, Subject};
#[cfg(feature = "kafka")]
pub use member::{Change, Member, Membership};
pub use positions::{Positions, partition_of};
#[cfg(feature = "kafka")]
pub use token::Tokens;

pub(crate) use gateway::IdentifierPattern;
pub(crate) use unwrap::Tables;

use crate::http::HttpSettings;
use crate::oauth::ClientCredentials;
use crate::secret::Secret;
use crate::source::{OpenError, Source};
use crate::trust::Trust;
use std::path::PathBuf;

/// Where brokers are, and how they are reached.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// Brokers to begin with, as `host:port`; they name the others.
    pub brokers: Vec<String>,
    /// TLS, or none.
    pub tls: Option<Tls>,
    /// How to sign in, if at all.
    pub sasl: Option<Sasl>,
}

/// TLS to the brokers.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Whom to trust.
    pub trust: Trust,
    /// The certificate that is shown to brokers, if any.
    pub client: Option<ClientCertificate>,
}

/// A certificate of ours.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// PEM file with the certificate.
    pub certificate_file: PathBuf,
    /// PEM file with its private key.
    pub key_file: PathBuf,
    /// The password of the private key, if it has one.
    pub key_password: Option<Secret>,
}

/// How to sign in at a broker.
#[derive(Debug, Clone)]
pub enum Sasl {
    /// With a name and a password.
    Password {
        /// How the password is shown.
        mechanism: Mechanism,
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// With a token of an OAuth 2.0 server.
    Token {
        /// Who asks for tokens, and where.
        credentials: Box<ClientCredentials>,
        /// How the server of tokens is reached.
        http: Box<HttpSettings>,
    },
}

/// Mechanisms of SASL that take a name and a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// The password as it is, which TLS has to protect.
    Plain,
    /// SCRAM with SHA-256.
    ScramSha256,
    /// SCRAM with SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// The name that SASL gives it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl Connection {
    /// All secrets in it, which no message may show.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let key = self
            .tls
            .iter()
            .flat_map(|tls| &tls.client)
            .filter_map(|client| client.key_password.as_ref());
        let password = self.sasl.iter().map(|sasl| match sasl {
            Sasl::Password { password, .. } => password,
            Sasl::Token { credentials, .. } => &credentials.client_secret,
        });
        key.chain(password)
    }
}

/// What a log source reads, and how.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) connection: Connection,
    pub(crate) topics: Topics,
    pub(crate) group: String,
    /// Whether a group that has committed nothing yet begins at the end.
    pub(crate) from_end: bool,
    /// Milliseconds without a heartbeat after which the group goes on without a member.
    pub(crate) session_timeout: i64,
    /// Milliseconds from heartbeat to heartbeat.
    pub(crate) heartbeat: i64,
    pub(crate) form: Form,
    /// What to call things and what to do about faults.
    pub(crate) dialect: Dialect,
}

/// Which topics are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Topics {
    /// These.
    List(Vec<String>),
    /// All whose names match, of those that are there and those that come.
    Pattern(String),
}

/// What becomes of the body of a record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form {
    /// The tables that are wanted, where a body is taken apart; `None` where it is an event as it is.
    pub(crate) unwrap: Option<Tables>,
    /// Whose the events are.
    pub(crate) identifiers: IdentifierPattern,
}

/// Whose words are used in messages and remedies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Apache Kafka and what is like it.
    Kafka,
    /// Event Hubs: a topic is an event hub, and permissions are claims of a policy or roles.
    EventHubs,
}

/// Makes the source.
#[cfg(feature = "kafka")]
pub(crate) fn open(reading: Reading) -> Result<Source, OpenError> {
    Ok(Source::Stream(Box::new(stream::Brokers::new(reading))))
}

/// Makes no source: this program cannot speak with brokers.
#[cfg(not(feature = "kafka"))]
pub(crate) fn open(_reading: Reading) -> Result<Source, OpenError> {
    Err(OpenError::NotBuilt { feature: "kafka" })
}
