//! Events to a topic of a Kafka broker, or to an event hub.
//!
//! A batch counts as accepted when the brokers have reported every record of it as written by all replicas that are in
//! sync. What the options mean is known to any build; sending needs the feature `kafka`.

#[cfg(feature = "kafka")]
mod producer;

use super::{Destination, KeyOf, TlsFiles, check_tls};
use protocol::OpenError;
use protocol::http::Endpoint;
use protocol::kafka::{ClientCertificate, Connection, Mechanism, Sasl, Tls};
use protocol::oauth::{Audience, ClientCredentials};
use protocol::secret::{SecretRef, Secrets};
use protocol::trust::Trust;
use std::path::PathBuf;

/// A topic, and how its brokers are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaOptions {
    /// The brokers.
    pub brokers: KafkaBrokers,
    /// The topic.
    pub topic: String,
    /// What the key of a record is: records with the same key go to the same partition, in their order.
    pub key: KeyOf,
    /// How records are compressed, in Kafka's word: `none`, `gzip`, `snappy`, `lz4` or `zstd`.
    pub compression: String,
}

/// Brokers, and how they are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaBrokers {
    /// Brokers to begin with, as `host:port`; they name the others.
    pub addresses: Vec<String>,
    /// TLS, or none.
    pub tls: Option<KafkaTls>,
    /// How to sign in, if at all.
    pub sasl: Option<KafkaSasl>,
}

/// TLS to the brokers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KafkaTls {
    /// PEM file with authorities that are trusted in addition to those of the system.
    pub ca: Option<PathBuf>,
    /// Whether the authorities in the file are trusted alone.
    pub ca_only: bool,
    /// PEM files with the client certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// How to sign in at the brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KafkaSasl {
    /// With a name and a password.
    Password {
        /// How the password is shown.
        mechanism: Mechanism,
        /// The name.
        user: String,
        /// Where the password is.
        password: SecretRef,
    },
    /// With tokens that are got with client credentials.
    Token {
        /// Where tokens are got.
        url: String,
        /// Who asks for them.
        client_id: String,
        /// Where the secret of that application is.
        client_secret: SecretRef,
        /// What tokens are for.
        scope: String,
    },
}

impl KafkaSasl {
    /// The name of the key that is a secret, and where it is.
    pub fn secret(&self) -> (&'static str, &SecretRef) {
        match self {
            Self::Password { password, .. } => ("sasl_password", password),
            Self::Token { client_secret, .. } => ("token_client_secret", client_secret),
        }
    }

    fn resolve(&self, secrets: &dyn Secrets) -> Result<Sasl, OpenError> {
        let (key, reference) = self.secret();
        let secret = secrets
            .resolve(reference)
            .map_err(|error| OpenError::Secret { key, error })?;
        Ok(match self {
            Self::Password {
                mechanism, user, ..
            } => Sasl::Password {
                mechanism: *mechanism,
                user: user.clone(),
                password: secret,
            },
            Self::Token {
                url,
                client_id,
                scope,
                ..
            } => Sasl::Token {
                credentials: Box::new(ClientCredentials {
                    endpoint: Endpoint::parse(url).map_err(|error| OpenError::Parameter {
                        key: "token_url",
                        reason: error.to_string(),
                    })?,
                    url: url.clone(),
                    client_id: client_id.clone(),
                    client_secret: secret,
                    audience: Audience::Scope(scope.clone()),
                }),
                http: Box::default(),
            },
        })
    }
}

impl KafkaBrokers {
    /// What a client needs to reach them.
    ///
    /// # Errors
    /// A secret cannot be had.
    pub fn connection(&self, secrets: &dyn Secrets) -> Result<Connection, OpenError> {
        let sasl = self.sasl.as_ref().map(|sasl| sasl.resolve(secrets));
        let client = |(certificate_file, key_file)| ClientCertificate {
            certificate_file,
            key_file,
            key_password: None,
        };
        Ok(Connection {
            brokers: self.addresses.clone(),
            tls: self.tls.clone().map(|tls| Tls {
                trust: Trust {
                    ca_file: tls.ca,
                    only: tls.ca_only,
                },
                client: tls.client.map(client),
            }),
            sasl: sasl.transpose()?,
        })
    }
}

impl KafkaBrokers {
    /// Reads the certificates.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check_files(&self) -> Result<(), String> {
        self.tls.as_ref().map_or(Ok(()), |tls| {
            check_tls(&TlsFiles {
                ca: tls.ca.clone(),
                ca_only: tls.ca_only,
                client: tls.client.clone(),
                server_name: None,
            })
        })
    }
}

impl KafkaOptions {
    /// The destination at work. No connection is made yet.
    ///
    /// # Errors
    /// A secret cannot be had, or this program was built without the feature `kafka`.
    #[cfg(feature = "kafka")]
    pub fn open(&self, secrets: &dyn Secrets) -> Result<Box<dyn Destination>, OpenError> {
        let connection = self.brokers.connection(secrets)?;
        let destination = producer::KafkaDestination::new(self.clone(), connection);
        Ok(Box::new(destination.map_err(|error| {
            OpenError::Parameter {
                key: "token_url",
                reason: error.to_string(),
            }
        })?))
    }

    /// The destination at work.
    ///
    /// # Errors
    /// This program was built without the feature `kafka`.
    #[cfg(not(feature = "kafka"))]
    pub fn open(&self, _secrets: &dyn Secrets) -> Result<Box<dyn Destination>, OpenError> {
        Err(OpenError::NotBuilt { feature: "kafka" })
    }
}
