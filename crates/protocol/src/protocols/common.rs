//! Parameters that several protocols share, and what is made of them.

use crate::cloud::{self, Cloud};
use crate::http::{Endpoint, EndpointError, HttpSettings, ProxySettings};
use crate::oauth::{Audience, ClientCredentials};
use crate::secret::{Secret, Secrets};
use crate::source::OpenError;
use crate::trust::Trust;
use chrono::TimeDelta;
use settings::{Effect, Fault, FaultKind, Key, Rule, Settings, Takes, When};
use std::path::PathBuf;

/// A UUID, as part of an expression.
macro_rules! uuid {
    () => {
        "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
    };
}
pub(crate) use uuid;

const WITHOUT_PROXY: Rule = Rule {
    key: "use_proxy",
    when: When::Is("false"),
    effect: Effect::Unavailable,
};

pub(crate) const CLIENT_ID: Key = Key::new(
    "client_id",
    Takes::Text(36),
    "Application (client) ID of the application that is registered in Entra ID.",
)
.label("Client ID")
.required()
.pattern(
    concat!("^", uuid!(), "$"),
    "a UUID such as 11111111-2222-3333-4444-555555555555",
);

pub(crate) const CLIENT_SECRET: Key = Key::new(
    "client_secret",
    Takes::Secret,
    "Value of a client secret of that application, not the ID of the secret.",
)
.label("Client Secret")
.required();

pub(crate) const TENANT_ID: Key = Key::new(
    "tenant_id",
    Takes::Text(36),
    "Directory (tenant) ID of the tenant.",
)
.label("Tenant ID")
.required()
.pattern(
    concat!("^", uuid!(), "$"),
    "a UUID such as 11111111-2222-3333-4444-555555555555",
);

pub(crate) const USE_PROXY: Key = Key::new("use_proxy", Takes::Boolean, "Whether the servers are reached through an HTTP proxy. Variables such as `https_proxy` have no effect.").label("Use Proxy")
.default("false");

pub(crate) const PROXY_SERVER: Key = Key::new(
    "proxy_server",
    Takes::Host,
    "Host name or address of the proxy.",
)
.label("Proxy Server")
.required()
.rules(&[WITHOUT_PROXY]);

pub(crate) const PROXY_PORT: Key = Key::new(
    "proxy_port",
    Takes::Integer(1, 65_535),
    "Port of the proxy.",
)
.label("Proxy Port")
.required()
.rules(&[WITHOUT_PROXY]);

pub(crate) const PROXY_USERNAME: Key = Key::new(
    "proxy_username",
    Takes::Text(255),
    "User name for basic authentication at the proxy. Leave it out where the proxy asks for none.",
)
.label("Proxy Username")
.pattern("^[^:]+$", "a user name without a colon")
.rules(&[
    Rule {
        key: "proxy_password",
        when: When::Given,
        effect: Effect::Required,
    },
    WITHOUT_PROXY,
]);

pub(crate) const PROXY_PASSWORD: Key = Key::new(
    "proxy_password",
    Takes::Secret,
    "Password for basic authentication at the proxy.",
)
.label("Proxy Password")
.rules(&[
    Rule {
        key: "proxy_username",
        when: When::Given,
        effect: Effect::Required,
    },
    WITHOUT_PROXY,
]);

pub(crate) const EPS_THROTTLE: Key = Key::new(
    "eps_throttle",
    Takes::Integer(1, 1_000_000),
    "Most events per second that are handed on. Events above it wait; none is dropped.",
)
.label("EPS Throttle")
.default("5000");

pub(crate) const CA_FILE: Key = Key::new(
    "ca_file",
    Takes::Path,
    "PEM file with certificate authorities that are trusted in addition to those of the system, such as that of a proxy \
     that inspects TLS.",
);

pub(crate) const CA_FILE_ONLY: Key = Key::new(
    "ca_file_only",
    Takes::Boolean,
    "Whether the authorities in `ca_file` are trusted alone, without those of the system.",
)
.default("false")
.rules(&[Rule {
    key: "ca_file",
    when: When::Absent,
    effect: Effect::Unavailable,
}]);

/// Whom to trust.
pub(crate) fn trust(parameters: &Settings) -> Trust {
    Trust {
        ca_file: parameters.path("ca_file").map(PathBuf::from),
        only: parameters.is_set("ca_file_only"),
    }
}

pub(crate) const INITIAL_LOOKBACK: Key = Key::new(
    "initial_lookback",
    Takes::Interval(60, 180 * 86_400),
    "How far back the first collection of a new log source reaches.",
)
.default("2H");

pub(crate) const OVERLAP: Key = Key::new("overlap", Takes::Interval(60, 86_400), "How much later than its time stamp says an alert may show up at the server: each collection asks again for so much \
     time before the newest time stamp that it knows, and drops what it has read. An alert that shows up later than that \
     is not collected.")
.default("5M");

pub(crate) const ENDPOINT_OVERRIDE: Key = Key::new(
    "endpoint_override",
    Takes::Text(255),
    "Root of a server on this machine that stands in for all of Microsoft's, such as `http://127.0.0.1:8080`. Only \
     127.0.0.0/8, ::1 and localhost are accepted. For tests only.",
);

/// The shortest and the longest recurrence.
pub(crate) const fn recurrence(default: &'static str) -> Key {
    Key::new("recurrence", Takes::Interval(60, 30 * 86_400), "Time from the beginning of one collection to the beginning of the next. The first one begins at once.").label("Recurrence")
    .default(default)
}

/// Time from the beginning of one collection to the beginning of the next.
pub(crate) fn recurrence_of(parameters: &Settings) -> TimeDelta {
    interval(parameters, "recurrence")
}

/// How far back the first collection reaches.
pub(crate) fn lookback_of(parameters: &Settings) -> TimeDelta {
    interval(parameters, "initial_lookback")
}

/// How much later than its time stamp says an alert may show up.
pub(crate) fn overlap_of(parameters: &Settings) -> TimeDelta {
    interval(parameters, "overlap")
}

/// An interval that has a default.
fn interval(parameters: &Settings, key: &str) -> TimeDelta {
    let interval = parameters.interval(key).unwrap_or_default();
    TimeDelta::from_std(interval).unwrap_or(TimeDelta::MAX)
}

/// The text of a parameter that validation has made sure of.
pub(crate) fn required<'a>(
    parameters: &'a Settings,
    key: &'static str,
) -> Result<&'a str, OpenError> {
    parameters.text(key).ok_or_else(|| missing(key))
}

/// A parameter is not there although validation has made sure of it.
pub(crate) fn missing(key: &'static str) -> OpenError {
    OpenError::Parameter {
        key,
        reason: "is missing".to_owned(),
    }
}

/// The secret that a parameter leads to.
pub(crate) fn secret(
    parameters: &Settings,
    secrets: &dyn Secrets,
    key: &'static str,
) -> Result<Secret, OpenError> {
    let reference = parameters.secret(key).ok_or_else(|| missing(key))?;
    secrets
        .resolve(reference)
        .map_err(|error| OpenError::Secret { key, error })
}

/// How the servers are reached.
pub(crate) fn http_settings(
    parameters: &Settings,
    secrets: &dyn Secrets,
) -> Result<HttpSettings, OpenError> {
    let proxy = if parameters.is_set("use_proxy") {
        let credentials = match parameters.text("proxy_username") {
            Some(user) => Some((
                user.to_owned(),
                secret(parameters, secrets, "proxy_password")?,
            )),
            None => None,
        };
        Some(ProxySettings {
            host: required(parameters, "proxy_server")?.to_owned(),
            port: parameters
                .integer("proxy_port")
                .and_then(|port| u16::try_from(port).ok())
                .unwrap_or_default(),
            credentials,
        })
    } else {
        None
    };
    Ok(HttpSettings {
        proxy,
        trust: trust(parameters),
        ..HttpSettings::default()
    })
}

/// The endpoint of an address that is made of checked parts.
pub(crate) fn endpoint(key: &'static str, address: &str) -> Result<Endpoint, OpenError> {
    Endpoint::parse(address).map_err(|error| OpenError::Parameter {
        key,
        reason: error.to_string(),
    })
}

/// Who asks for tokens, and where. A server that stands in for all others has the same paths.
pub(crate) fn credentials(
    parameters: &Settings,
    secrets: &dyn Secrets,
    url: &str,
    instead: Option<&Endpoint>,
    audience: Audience,
) -> Result<ClientCredentials, OpenError> {
    let url = match instead {
        Some(server) => {
            let path = url.splitn(4, '/').nth(3).unwrap_or_default();
            server.join(&format!("/{path}"))
        }
        None => url.to_owned(),
    };
    Ok(ClientCredentials {
        endpoint: endpoint("authorization_server_url", &url)?,
        url,
        client_id: required(parameters, "client_id")?.to_owned(),
        client_secret: secret(parameters, secrets, "client_secret")?,
        audience,
    })
}

/// The cloud that `gcc_type` chooses. GCC High and DoD share all hosts of Defender for Endpoint.
pub(crate) fn gcc_cloud(parameters: &Settings) -> &'static Cloud {
    match parameters.text("gcc_type") {
        Some("GCC") => &cloud::GCC,
        Some(_) => &cloud::GCC_HIGH,
        None => &cloud::COMMERCIAL,
    }
}

/// What is wrong with a token endpoint that belongs to another cloud.
pub(crate) fn login_fault(parameters: &Settings, cloud: &Cloud, path: &str) -> Option<Fault> {
    let url = parameters.text("authorization_server_url")?;
    if Endpoint::parse(cloud.login).is_ok_and(|login| login.is_origin_of(url)) {
        return None;
    }
    Some(parameters.fault(FaultKind::Contradiction, "authorization_server_url", None, format!(
            "`authorization_server_url` does not lead to the sign-in host of the cloud {} that the other parameters choose",
            cloud.label
        ), format!(
            "write {}/<Tenant_ID>{path}, or change `use_gcc_endpoints` and `gcc_type`",
            cloud.login
        )))
}

/// The server that stands in for all others, if there is one.
pub(crate) fn override_of(parameters: &Settings) -> Result<Option<Endpoint>, OpenError> {
    parameters
        .text("endpoint_override")
        .map(|address| endpoint("endpoint_override", address))
        .transpose()
}

/// What is wrong with the override, which may lead to this machine only.
pub(crate) fn override_fault(parameters: &Settings) -> Option<Fault> {
    let address = parameters.text("endpoint_override")?;
    let reason = match Endpoint::parse(address) {
        Ok(endpoint) if endpoint.is_loopback() => return None,
        Ok(_) | Err(EndpointError::Insecure) => "it does not lead to this machine".to_owned(),
        Err(error) => error.to_string(),
    };
    Some(parameters.fault(
        FaultKind::NotAllowed,
        "endpoint_override",
        None,
        format!("`endpoint_override` cannot be used: {reason}"),
        "write an address such as http://127.0.0.1:8080, or remove it: it is for tests only",
    ))
}
