//! Events to a topic of a Kafka broker, or to an event hub.
//!
//! A batch counts as accepted when the brokers have reported every record of it as written by all replicas that are in
//! sync. What the options mean is known to any build; sending needs the feature `kafka`.

#[cfg(feature = "kafka")]
mod producer;

use super::{Destination, KeyOf, TlsFiles, check_tls};
use protocol::OpenError;
use protocol::kafka::{ClientCertificate, Connection, Mechanism, Sasl, Tls};
use protocol::secret::{SecretRef, Secrets};
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
    /// Name and password, or none.
    pub sasl: Option<KafkaSasl>,
}

/// TLS to the brokers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KafkaTls {
    /// PEM file with the authorities to trust; without it those of the system.
    pub ca: Option<PathBuf>,
    /// PEM files with the client certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Name and password for the brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSasl {
    /// How the password is shown.
    pub mechanism: Mechanism,
    /// The name.
    pub user: String,
    /// Where the password is.
    pub password: SecretRef,
}

impl KafkaBrokers {
    /// What a client needs to reach them.
    ///
    /// # Errors
    /// The password cannot be had.
    pub fn connection(&self, secrets: &dyn Secrets) -> Result<Connection, OpenError> {
        let sasl = self.sasl.as_ref().map(|sasl| {
            let password = secrets.resolve(&sasl.password);
            let password = password.map_err(|error| OpenError::Secret {
                key: "password",
                error,
            })?;
            Ok(Sasl::Password {
                mechanism: sasl.mechanism,
                user: sasl.user.clone(),
                password,
            })
        });
        let client = |(certificate_file, key_file)| ClientCertificate {
            certificate_file,
            key_file,
            key_password: None,
        };
        Ok(Connection {
            brokers: self.addresses.clone(),
            tls: self.tls.clone().map(|tls| Tls {
                ca_file: tls.ca,
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
    /// The password cannot be had, or this program was built without the feature `kafka`.
    #[cfg(feature = "kafka")]
    pub fn open(&self, secrets: &dyn Secrets) -> Result<Box<dyn Destination>, OpenError> {
        let connection = self.brokers.connection(secrets)?;
        Ok(Box::new(producer::KafkaDestination::new(
            self.clone(),
            connection,
        )))
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
