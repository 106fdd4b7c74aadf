//! Microsoft Azure Event Hubs: what Azure and Defender stream, read through the Kafka endpoint of a namespace.

mod connection_string;

use crate::cloud::{self, Cloud};
use crate::http::HttpSettings;
use crate::kafka::{Connection, Dialect, Mechanism, Reading, Sasl, Tables, Tls, Topics, open};
use crate::oauth::Audience;
use crate::protocols::{broker, common};
use crate::secret::Secrets;
use crate::source::{Keeps, OpenError, Protocol, Source};
use connection_string::{ConnectionString, check_host};
use settings::{Effect, Fault, FaultKind, Key, Rule, Settings, Takes, When};
use std::net::SocketAddr;

/// The protocol.
#[derive(Debug)]
pub(super) struct EventHubs;

/// The port of the Kafka endpoint.
const PORT: u16 = 9093;

/// Under this name the whole connection string is the password.
const USER: &str = "$ConnectionString";

const ENTRA_ID: &str = "entra-id";

const WITHOUT_ENTRA_ID: Rule = Rule {
    key: "authentication_method",
    when: When::IsNot(ENTRA_ID),
    effect: Effect::Unavailable,
};

const WITHOUT_CONNECTION_STRING: Rule = Rule {
    key: "use_event_hub_connection_string",
    when: When::IsNot("true"),
    effect: Effect::Unavailable,
};

const WITHOUT_PARTS: Rule = Rule {
    key: "use_event_hub_connection_string",
    when: When::IsNot("false"),
    effect: Effect::Unavailable,
};

static PARAMETERS: &[Key] = &[
    Key::new("authentication_method", Takes::Labelled(&[("sas", "SAS"), (ENTRA_ID, "Entra ID")]), "How we sign in: with the key of a policy that has the claim Listen, or as an application of Entra ID that has the \
         role Azure Event Hubs Data Receiver.").label("Authentication Method")
    .default("sas"),
    Key::new("use_event_hub_connection_string", Takes::Boolean, "Whether there is one connection string instead of its parts.").label("Use Event Hub Connection String")
    .default("true")
    .rules(&[Rule {
        key: "authentication_method",
        when: When::Is(ENTRA_ID),
        effect: Effect::Unavailable,
    }]),
    Key::new("event_hub_connection_string", Takes::Secret, "Connection string of the event hub or of its namespace: \
         `Endpoint=sb://…/;SharedAccessKeyName=…;SharedAccessKey=…;EntityPath=…`.").label("Event Hub Connection String")
    .required()
    .rules(&[WITHOUT_CONNECTION_STRING]),
    Key::new("namespace", Takes::Host, "Namespace of the event hub, alone or with its domain.").label("Namespace Name")
    .required()
    .rules(&[Rule {
        key: "use_event_hub_connection_string",
        when: When::Is("true"),
        effect: Effect::Unavailable,
    }]),
    Key::new("event_hub_name", Takes::Text(256), "The event hub, where no `EntityPath` names it.").label("Event Hub Name")
    .pattern("^[A-Za-z0-9][A-Za-z0-9._-]*$", "the name of an event hub")
    .rules(&[Rule {
        key: "use_event_hub_connection_string",
        when: When::IsNot("true"),
        effect: Effect::Required,
    }]),
    Key::new("sas_key_name", Takes::Text(256), "Name of the policy.").label("SAS Key Name")
    .required()
    .pattern("^[^;=]+$", "the name of a policy")
    .rules(&[WITHOUT_PARTS]),
    Key::new("sas_key", Takes::Secret, "A key of the policy.").label("SAS Key")
        .required()
        .rules(&[WITHOUT_PARTS]),
    common::TENANT_ID.rules(&[WITHOUT_ENTRA_ID]),
    common::CLIENT_ID.rules(&[WITHOUT_ENTRA_ID]),
    common::CLIENT_SECRET.rules(&[WITHOUT_ENTRA_ID]),
    Key::new("cloud", Takes::Labelled(&[(cloud::COMMERCIAL.name, cloud::COMMERCIAL.label), (cloud::GCC.name, cloud::GCC.label), (cloud::GCC_HIGH.name, cloud::GCC_HIGH.label), (cloud::DOD.name, cloud::DOD.label)]), "Cloud of the tenant, from which the sign-in host and the domain of the namespace follow.")
    .default(cloud::COMMERCIAL.name)
    .rules(&[WITHOUT_ENTRA_ID]),
    Key::new("consumer_group", Takes::Text(256), "Name of the consumer group. Processes with the same group share the partitions. It is a group of the Kafka \
         endpoint, which comes into being by itself and has nothing to do with the groups that the portal shows.").label("Consumer Group")
    .default("$Default"),
    Key::new("use_storage_account_connection_string", Takes::Boolean, "Accepted, and not needed: QRadar keeps its position in a storage account, while here the consumer group does.").label("Use Storage Account Connection String"),
    Key::new("storage_account_connection_string", Takes::Secret, "Accepted, and not needed: the consumer group keeps the position. It is never read.").label("Storage Account Connection String"),
    Key::new("storage_account_name", Takes::Text(255), "Accepted, and not needed: the consumer group keeps the position.").label("Storage Account Name"),
    Key::new("storage_account_key", Takes::Secret, "Accepted, and not needed: the consumer group keeps the position. It is never read.").label("Storage Account Key"),
    Key::new("storage_container_name", Takes::Text(255), "Accepted, and not needed: the consumer group keeps the position.").label("Storage Container Name"),
    broker::gateway("true"),
    broker::PATTERN,
    Key::new("tables", Takes::ListOrCommas(&Takes::Text(128)), "Only events of these tables are taken, such as `AlertInfo, DeviceProcessEvents`. Events that name no table are \
         taken too.")
    .pattern("^[A-Za-z0-9_-]+$", "the name of a table, with or without AdvancedHunting-"),
    Key::new("use_proxy", Takes::Boolean, "Has to be `false`: the Kafka endpoint cannot be reached through an HTTP proxy.").label("Use Proxy")
    .default("false"),
    common::EPS_THROTTLE,
    common::CA_FILE,
    common::CA_FILE_ONLY,
    broker::INITIAL_POSITION,
    broker::session_timeout("30000"),
    broker::HEARTBEAT,
    Key::new("endpoint_override", Takes::Text(64), "Broker on this machine that stands in for Event Hubs, such as `127.0.0.1:9092`, without TLS and without signing \
         in. Only 127.0.0.0/8 and ::1 are accepted. For tests only."),
];

impl Protocol for EventHubs {
    fn name(&self) -> &'static str {
        "microsoft-azure-event-hubs"
    }

    fn title(&self) -> &'static str {
        "Microsoft Azure Event Hubs"
    }

    fn description(&self) -> &'static str {
        "What Azure and Defender stream into an event hub, read through the Kafka endpoint of the namespace (port 9093, tier \
         Standard or above). Each element of a list, and of the list in the member `records`, is an event; heartbeats are \
         dropped. The event hub keeps what is not delivered. Needs a program with the feature `kafka`."
    }

    fn parameters(&self) -> &'static [Key] {
        PARAMETERS
    }

    fn keeps(&self) -> Keeps {
        Keeps::Remote
    }

    fn contradictions(&self, parameters: &Settings) -> Vec<Fault> {
        let mut faults = Vec::new();
        if parameters.is_set("use_proxy") {
            faults.push(parameters.fault(FaultKind::NotAllowed, "use_proxy", None, "`use_proxy` is true, but the Kafka endpoint cannot be reached through an HTTP proxy", "let port 9093 of the namespace through the firewall, or give the namespace a private endpoint; then \
                       remove use_proxy"));
        }
        if let Some(namespace) = parameters.text("namespace")
            && let Err(problem) = host_of(namespace, cloud_of(parameters))
        {
            faults.push(parameters.fault(
                FaultKind::Contradiction,
                "namespace",
                None,
                format!("`namespace` is {namespace:?}, {problem}"),
                "write the name of the namespace alone, or with the domain of its cloud",
            ));
        }
        if let Some(address) = parameters.text("endpoint_override")
            && overridden(address).is_none()
        {
            faults.push(parameters.fault(
                FaultKind::NotAllowed,
                "endpoint_override",
                None,
                "`endpoint_override` cannot be used: it does not lead to this machine",
                "write an address such as 127.0.0.1:9092, or remove it: it is for tests only",
            ));
        }
        faults.extend(broker::faults(parameters));
        faults
    }

    fn open(
        &self,
        identifier: &str,
        parameters: &Settings,
        secrets: &dyn Secrets,
    ) -> Result<Source, OpenError> {
        let hub = hub(parameters, secrets)?;
        if STORAGE.iter().any(|key| parameters.has(key)) {
            tracing::info!(
                log_source = identifier,
                "the storage account is not needed: the consumer group keeps the position"
            );
        }
        let connection = match parameters.text("endpoint_override").and_then(overridden) {
            Some(address) => Connection {
                brokers: vec![address.to_string()],
                ..Connection::default()
            },
            None => Connection {
                brokers: vec![format!("{}:{PORT}", hub.host)],
                tls: Some(Tls {
                    trust: common::trust(parameters),
                    client: None,
                }),
                sasl: Some(hub.sasl),
            },
        };
        let tables = Tables::new(parameters.list("tables").iter().map(String::as_str));
        open(Reading {
            connection,
            topics: Topics::List(vec![hub.name]),
            group: common::required(parameters, "consumer_group")?.to_owned(),
            from_end: broker::is_from_end(parameters),
            session_timeout: broker::number(parameters, "session_timeout_ms"),
            heartbeat: broker::number(parameters, "heartbeat_interval_ms"),
            form: broker::form(parameters, Some(tables))?,
            dialect: Dialect::EventHubs,
        })
    }
}

/// The parameters for a storage account.
const STORAGE: [&str; 5] = [
    "use_storage_account_connection_string",
    "storage_account_connection_string",
    "storage_account_name",
    "storage_account_key",
    "storage_container_name",
];

/// An event hub and how one signs in.
struct Hub {
    host: String,
    name: String,
    sasl: Sasl,
}

fn hub(parameters: &Settings, secrets: &dyn Secrets) -> Result<Hub, OpenError> {
    if parameters.text("authentication_method") == Some(ENTRA_ID) {
        return with_entra_id(parameters, secrets);
    }
    let (key, whole) = if parameters.is_set("use_event_hub_connection_string") {
        let key = "event_hub_connection_string";
        (key, common::secret(parameters, secrets, key)?)
    } else {
        let host = host(parameters)?;
        let name = common::required(parameters, "sas_key_name")?;
        let key = common::secret(parameters, secrets, "sas_key")?;
        ("sas_key", ConnectionString::write(&host, name, &key))
    };
    let string = ConnectionString::read(&whole).map_err(|faults| OpenError::Parameter {
        key,
        reason: faults.join("; "),
    })?;
    let name = match (string.hub, parameters.text("event_hub_name")) {
        (Some(one), Some(other)) if one != other => {
            return Err(OpenError::Parameter {
                key: "event_hub_name",
                reason:
                    "names another event hub than EntityPath of the connection string: remove it"
                        .to_owned(),
            });
        }
        (Some(name), _) => name,
        (None, Some(name)) => name.to_owned(),
        (None, None) => {
            return Err(OpenError::Parameter {
                key: "event_hub_name",
                reason: "is missing, and the connection string has no EntityPath: write the name of the event hub".to_owned(),
            });
        }
    };
    Ok(Hub {
        host: string.host,
        name,
        sasl: Sasl::Password {
            mechanism: Mechanism::Plain,
            user: USER.to_owned(),
            password: string.whole,
        },
    })
}

fn with_entra_id(parameters: &Settings, secrets: &dyn Secrets) -> Result<Hub, OpenError> {
    let host = host(parameters)?;
    let tenant = common::required(parameters, "tenant_id")?;
    let cloud = cloud_of(parameters).unwrap_or(&cloud::COMMERCIAL);
    let url = format!("{}/{tenant}/oauth2/v2.0/token", cloud.login);
    let audience = Audience::Scope(format!("https://{host}/.default"));
    let credentials = common::credentials(parameters, secrets, &url, None, audience)?;
    Ok(Hub {
        host,
        name: common::required(parameters, "event_hub_name")?.to_owned(),
        sasl: Sasl::Token {
            credentials: Box::new(credentials),
            http: Box::new(HttpSettings {
                trust: common::trust(parameters),
                ..HttpSettings::default()
            }),
        },
    })
}

/// The cloud of the tenant, where one signs in with Entra ID.
fn cloud_of(parameters: &Settings) -> Option<&'static Cloud> {
    parameters.text("cloud").and_then(cloud::find)
}

fn host(parameters: &Settings) -> Result<String, OpenError> {
    let namespace = common::required(parameters, "namespace")?;
    host_of(namespace, cloud_of(parameters)).map_err(|reason| OpenError::Parameter {
        key: "namespace",
        reason,
    })
}

/// The host of a namespace that may be written without its domain. A token of one cloud is worth nothing in another.
fn host_of(namespace: &str, cloud: Option<&Cloud>) -> Result<String, String> {
    let namespace = namespace.to_ascii_lowercase();
    let domain = cloud.map_or(cloud::COMMERCIAL.event_hubs, |cloud| cloud.event_hubs);
    let host = if namespace.contains('.') {
        namespace
    } else {
        format!("{namespace}.{domain}")
    };
    check_host(&host)?;
    match cloud {
        Some(cloud) if !host.ends_with(domain) => Err(format!(
            "whose host is not one of the cloud {}, where they end in {domain}",
            cloud.label
        )),
        _ => Ok(host),
    }
}

/// The broker of this machine that stands in for Event Hubs; `None` where it is not one of this machine.
fn overridden(address: &str) -> Option<SocketAddr> {
    let address: SocketAddr = address.parse().ok()?;
    address.ip().is_loopback().then_some(address)
}

#[cfg(test)]
mod tests;
