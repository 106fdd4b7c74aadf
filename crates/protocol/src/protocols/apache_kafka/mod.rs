//! Apache Kafka: records of topics, read as a member of a consumer group.

use crate::http::{Endpoint, HttpSettings};
use crate::kafka::{
    ClientCertificate, Connection, Dialect, Mechanism, Reading, Sasl, Tables, Tls, Topics, open,
};
use crate::oauth::{Audience, ClientCredentials};
use crate::protocols::{broker, common};
use crate::secret::Secrets;
use crate::source::{Keeps, OpenError, Protocol, Source};
use regex_automata::meta::Regex;
use settings::{Effect, Fault, FaultKind, Key, Rule, Settings, Takes, When};
use std::net::IpAddr;
use std::path::PathBuf;

/// The protocol.
#[derive(Debug)]
pub(super) struct ApacheKafka;

const REGEX: &str = "regex";
const OAUTHBEARER: &str = "OAUTHBEARER";

const WITHOUT_SASL: Rule = Rule {
    key: "use_sasl_authentication",
    when: When::Is("false"),
    effect: Effect::Unavailable,
};

const WITH_TOKEN: Rule = Rule {
    key: "sasl_mechanism",
    when: When::Is(OAUTHBEARER),
    effect: Effect::Unavailable,
};

const WITHOUT_TOKEN: Rule = Rule {
    key: "sasl_mechanism",
    when: When::IsNot(OAUTHBEARER),
    effect: Effect::Unavailable,
};

const WITHOUT_TLS: Rule = Rule {
    key: "use_ssl",
    when: When::Is("false"),
    effect: Effect::Unavailable,
};

const WITHOUT_CLIENT: Rule = Rule {
    key: "use_client_authentication",
    when: When::IsNot("true"),
    effect: Effect::Unavailable,
};

static PARAMETERS: &[Key] = &[
    Key::new("bootstrap_server_list", Takes::ListOrCommas(&Takes::Text(300)), "Brokers to begin with, as `host:port`, an IPv6 address in `[ ]`. They name the others.").label("Bootstrap Server List")
    .required(),
    Key::new("consumer_group", Takes::Text(255), "Name of the consumer group. Processes with the same group share the partitions.").label("Consumer Group")
    .required(),
    Key::new("topic_subscription_method", Takes::Labelled(&[("list", "List Topics"), (REGEX, "Regex Pattern Matching")]), "How topics are chosen.").label("Topic Subscription Method")
    .default("list"),
    Key::new("topic_list", Takes::ListOrCommas(&Takes::Text(249)), "The topics.").label("Topic List")
    .required()
    .pattern("^[A-Za-z0-9._-]+$", "the name of a topic: letters, digits, `.`, `_` and `-`")
    .rules(&[Rule {
        key: "topic_subscription_method",
        when: When::Is(REGEX),
        effect: Effect::Unavailable,
    }]),
    Key::new("topic_filter_pattern", Takes::Text(255), "POSIX extended regular expression that names of topics begin with, such as `^alerts-.*`. Topics that are made \
         later are read too.").label("Topic Filter Pattern")
    .required()
    .pattern("^\\^.+$", "an expression that begins with ^")
    .rules(&[Rule {
        key: "topic_subscription_method",
        when: When::IsNot(REGEX),
        effect: Effect::Unavailable,
    }]),
    Key::new("use_sasl_authentication", Takes::Boolean, "Whether the brokers ask who we are.").label("Use SASL Authentication")
    .default("false"),
    Key::new("sasl_mechanism", Takes::Labelled(&[("PLAIN", "PLAIN"), ("SCRAM-SHA-256", "SCRAM-SHA-256"), ("SCRAM-SHA-512", "SCRAM-SHA-512"), (OAUTHBEARER, OAUTHBEARER)]), "How we sign in.").label("SASL Mechanism")
    .required()
    .rules(&[WITHOUT_SASL]),
    Key::new("sasl_username", Takes::Text(255), "Name of the user.").label("SASL Username")
    .required()
    .rules(&[WITH_TOKEN, WITHOUT_SASL]),
    Key::new("sasl_password", Takes::Secret, "Password of the user.").label("SASL Password")
    .required()
    .rules(&[WITH_TOKEN, WITHOUT_SASL]),
    Key::new("token_url", Takes::Text(255), "Where tokens are got with client credentials (OAuth 2.0).")
    .required()
    .rules(&[WITHOUT_TOKEN]),
    Key::new("token_client_id", Takes::Text(255), "Name of the application that asks for tokens.")
    .required()
    .rules(&[WITHOUT_TOKEN]),
    Key::new("token_client_secret", Takes::Secret, "Secret of that application.")
    .required()
    .rules(&[WITHOUT_TOKEN]),
    Key::new("token_scope", Takes::Text(255), "What the token is for.")
    .required()
    .rules(&[WITHOUT_TOKEN]),
    Key::new("use_ssl", Takes::Boolean, "Whether the brokers speak TLS.").label("Use SSL")
    .default("false"),
    common::CA_FILE.rules(&[WITHOUT_TLS]),
    common::CA_FILE_ONLY.rules(&[
        Rule {
            key: "ca_file",
            when: When::Absent,
            effect: Effect::Unavailable,
        },
        WITHOUT_TLS,
    ]),
    Key::new("use_client_authentication", Takes::Boolean, "Whether the brokers ask for a certificate of ours.").label("Use Client Authentication")
    .default("false")
    .rules(&[WITHOUT_TLS]),
    Key::new("certificate_file", Takes::Path, "PEM file with our certificate and those between it and its authority.")
    .required()
    .rules(&[WITHOUT_CLIENT]),
    Key::new("private_key_file", Takes::Path, "PEM file with the private key of the certificate.")
    .required()
    .rules(&[WITHOUT_CLIENT]),
    Key::new("private_key_password", Takes::Secret, "Password of the private key, if it has one.")
    .rules(&[WITHOUT_CLIENT]),
    broker::gateway("false"),
    broker::PATTERN,
    Key::new("unwrap", Takes::Boolean, "Whether a record is taken apart as one of Event Hubs is: each element of a list, and of the list in the member \
         `records` of an object, is an event. Else a record is an event.")
    .default("false"),
    common::EPS_THROTTLE,
    broker::INITIAL_POSITION,
    broker::session_timeout("45000"),
    broker::HEARTBEAT,
];

impl Protocol for ApacheKafka {
    fn name(&self) -> &'static str {
        "apache-kafka"
    }

    fn title(&self) -> &'static str {
        "Apache Kafka"
    }

    fn description(&self) -> &'static str {
        "Records of topics, read as a member of a consumer group. The broker keeps them until they are delivered: an offset \
         is committed once everything before it is. Needs a program with the feature `kafka`."
    }

    fn parameters(&self) -> &'static [Key] {
        PARAMETERS
    }

    fn keeps(&self) -> Keeps {
        Keeps::Remote
    }

    fn contradictions(&self, parameters: &Settings) -> Vec<Fault> {
        let brokers = parameters.list("bootstrap_server_list");
        let mut faults: Vec<Fault> = (0..)
            .zip(brokers)
            .filter(|(_, broker)| host_of(broker).is_none())
            .map(|(index, broker)| {
                parameters.fault(FaultKind::Pattern, "bootstrap_server_list", Some(index), format!(
                    "`bootstrap_server_list` holds {:?}, which is no host with a port",
                    settings::masked(broker)
                ), "write a host and a port, such as broker.example.com:9092 or [2001:db8::1]:9092")
            })
            .collect();
        if let Some(pattern) = parameters.text("topic_filter_pattern")
            && Regex::new(pattern).is_err()
        {
            faults.push(parameters.fault(
                FaultKind::Contradiction,
                "topic_filter_pattern",
                None,
                format!("`topic_filter_pattern` is {pattern:?}, which is no regular expression"),
                "write a POSIX extended regular expression that begins with ^",
            ));
        }
        // SCRAM shows no password, and on this machine nobody listens.
        let is_near = |broker: &String| host_of(broker).is_some_and(is_loopback);
        if matches!(
            parameters.text("sasl_mechanism"),
            Some("PLAIN" | OAUTHBEARER)
        ) && !parameters.is_set("use_ssl")
            && !brokers.iter().all(is_near)
        {
            faults.push(parameters.fault(FaultKind::Contradiction, "use_ssl", None,
                "`sasl_mechanism` shows the password or token to everybody on the way unless `use_ssl` is true".to_owned(),
                "set use_ssl = true, or use SCRAM-SHA-256 or SCRAM-SHA-512",
            ));
        }
        if let Some(url) = parameters.text("token_url")
            && let Err(error) = Endpoint::parse(url)
        {
            faults.push(parameters.fault(
                FaultKind::Contradiction,
                "token_url",
                None,
                format!("`token_url` cannot be used: {error}"),
                "write an address such as https://login.example.com/oauth2/token",
            ));
        }
        faults.extend(broker::faults(parameters));
        faults
    }

    fn open(
        &self,
        _identifier: &str,
        parameters: &Settings,
        secrets: &dyn Secrets,
    ) -> Result<Source, OpenError> {
        let topics = match parameters.text("topic_filter_pattern") {
            Some(pattern) => Topics::Pattern(pattern.to_owned()),
            None => Topics::List(parameters.list("topic_list").to_vec()),
        };
        open(Reading {
            connection: Connection {
                brokers: parameters.list("bootstrap_server_list").to_vec(),
                tls: tls(parameters, secrets)?,
                sasl: sasl(parameters, secrets)?,
            },
            topics,
            group: common::required(parameters, "consumer_group")?.to_owned(),
            from_end: broker::is_from_end(parameters),
            session_timeout: broker::number(parameters, "session_timeout_ms"),
            heartbeat: broker::number(parameters, "heartbeat_interval_ms"),
            form: broker::form(
                parameters,
                parameters.is_set("unwrap").then(Tables::default),
            )?,
            dialect: Dialect::Kafka,
        })
    }
}

fn tls(parameters: &Settings, secrets: &dyn Secrets) -> Result<Option<Tls>, OpenError> {
    if !parameters.is_set("use_ssl") {
        return Ok(None);
    }
    let path = |key| parameters.path(key).map(PathBuf::from);
    let client = match (path("certificate_file"), path("private_key_file")) {
        (Some(certificate_file), Some(key_file)) => Some(ClientCertificate {
            certificate_file,
            key_file,
            key_password: match parameters.secret("private_key_password") {
                Some(_) => Some(common::secret(parameters, secrets, "private_key_password")?),
                None => None,
            },
        }),
        _ => None,
    };
    Ok(Some(Tls {
        trust: common::trust(parameters),
        client,
    }))
}

fn sasl(parameters: &Settings, secrets: &dyn Secrets) -> Result<Option<Sasl>, OpenError> {
    let Some(name) = parameters.text("sasl_mechanism") else {
        return Ok(None);
    };
    let mut mechanisms = Mechanism::ALL.into_iter();
    Ok(Some(
        match mechanisms.find(|known| known.as_str() == name) {
            Some(mechanism) => Sasl::Password {
                mechanism,
                user: common::required(parameters, "sasl_username")?.to_owned(),
                password: common::secret(parameters, secrets, "sasl_password")?,
            },
            None => {
                let url = common::required(parameters, "token_url")?.to_owned();
                Sasl::Token {
                    credentials: Box::new(ClientCredentials {
                        endpoint: common::endpoint("token_url", &url)?,
                        url,
                        client_id: common::required(parameters, "token_client_id")?.to_owned(),
                        client_secret: common::secret(parameters, secrets, "token_client_secret")?,
                        audience: Audience::Scope(
                            common::required(parameters, "token_scope")?.to_owned(),
                        ),
                    }),
                    http: Box::new(HttpSettings::default()),
                }
            }
        },
    ))
}

/// The host of `host:port`; `None` where it is none.
fn host_of(broker: &str) -> Option<&str> {
    let (host, port) = broker.rsplit_once(':')?;
    port.parse::<u16>().ok().filter(|port| *port > 0)?;
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|host| host.contains(':'))?,
        None => host,
    };
    let is_name = bare
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    let is_address = host.starts_with('[') && bare.parse::<IpAddr>().is_ok();
    (!bare.is_empty() && (is_name || is_address)).then_some(bare)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
