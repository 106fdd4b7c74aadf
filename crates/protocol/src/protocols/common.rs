//! Parameters that several protocols share, and what is made of them.

use crate::cloud::{self, Cloud};
use crate::http::{Endpoint, EndpointError, HttpSettings, ProxySettings};
use crate::oauth::{Audience, ClientCredentials};
use crate::parameter::{
    Effect, FaultCode, Kind, Origin, Parameter, ParameterFault, Parameters, Rule, When,
};
use crate::secret::{Secret, Secrets};
use crate::source::OpenError;
use crate::trust::Trust;
use chrono::TimeDelta;
use std::path::PathBuf;

/// A UUID, as part of an expression.
macro_rules! uuid {
    () => {
        "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
    };
}
pub(crate) use uuid;

const WITHOUT_PROXY: Rule = Rule {
    parameter: "use_proxy",
    when: When::Is("false"),
    effect: Effect::Unavailable,
};

pub(crate) const CLIENT_ID: Parameter = Parameter::new(
    "client_id",
    "Client ID",
    Kind::String { max_length: 36 },
    "Application (client) ID of the application that is registered in Entra ID.",
)
.required()
.pattern(
    concat!("^", uuid!(), "$"),
    "a UUID such as 11111111-2222-3333-4444-555555555555",
);

pub(crate) const CLIENT_SECRET: Parameter = Parameter::new(
    "client_secret",
    "Client Secret",
    Kind::Password,
    "Value of a client secret of that application, not the ID of the secret.",
)
.required();

pub(crate) const TENANT_ID: Parameter = Parameter::new(
    "tenant_id",
    "Tenant ID",
    Kind::String { max_length: 36 },
    "Directory (tenant) ID of the tenant.",
)
.required()
.pattern(
    concat!("^", uuid!(), "$"),
    "a UUID such as 11111111-2222-3333-4444-555555555555",
);

pub(crate) const USE_PROXY: Parameter = Parameter::new(
    "use_proxy",
    "Use Proxy",
    Kind::Boolean,
    "Whether the servers are reached through an HTTP proxy. Variables such as `https_proxy` have no effect.",
)
.default("false");

pub(crate) const PROXY_SERVER: Parameter = Parameter::new(
    "proxy_server",
    "Proxy Server",
    Kind::Host,
    "Host name or address of the proxy.",
)
.required()
.rules(&[WITHOUT_PROXY]);

pub(crate) const PROXY_PORT: Parameter = Parameter::new(
    "proxy_port",
    "Proxy Port",
    Kind::Integer {
        min: 1,
        max: 65_535,
    },
    "Port of the proxy.",
)
.required()
.rules(&[WITHOUT_PROXY]);

pub(crate) const PROXY_USERNAME: Parameter = Parameter::new(
    "proxy_username",
    "Proxy Username",
    Kind::String { max_length: 255 },
    "User name for basic authentication at the proxy. Leave it out where the proxy asks for none.",
)
.pattern("^[^:]+$", "a user name without a colon")
.rules(&[
    Rule {
        parameter: "proxy_password",
        when: When::Given,
        effect: Effect::Required,
    },
    WITHOUT_PROXY,
]);

pub(crate) const PROXY_PASSWORD: Parameter = Parameter::new(
    "proxy_password",
    "Proxy Password",
    Kind::Password,
    "Password for basic authentication at the proxy.",
)
.rules(&[
    Rule {
        parameter: "proxy_username",
        when: When::Given,
        effect: Effect::Required,
    },
    WITHOUT_PROXY,
]);

pub(crate) const EPS_THROTTLE: Parameter = Parameter::new(
    "eps_throttle",
    "EPS Throttle",
    Kind::Integer {
        min: 1,
        max: 1_000_000,
    },
    "Most events per second that are handed on. Events above it wait; none is dropped.",
)
.default("5000");

pub(crate) const CA_FILE: Parameter = Parameter::new(
    "ca_file",
    "CA File",
    Kind::Path,
    "PEM file with certificate authorities that are trusted in addition to those of the system, such as that of a proxy \
     that inspects TLS.",
)
.origin(Origin::Dsmith);

pub(crate) const CA_FILE_ONLY: Parameter = Parameter::new(
    "ca_file_only",
    "CA File Only",
    Kind::Boolean,
    "Whether the authorities in `ca_file` are trusted alone, without those of the system.",
)
.default("false")
.rules(&[Rule {
    parameter: "ca_file",
    when: When::Absent,
    effect: Effect::Unavailable,
}])
.origin(Origin::Dsmith);

/// Whom to trust.
pub(crate) fn trust(parameters: &Parameters) -> Trust {
    Trust {
        ca_file: parameters.path("ca_file").map(PathBuf::from),
        only: parameters.is_set("ca_file_only"),
    }
}

pub(crate) const INITIAL_LOOKBACK: Parameter = Parameter::new(
    "initial_lookback",
    "Initial Lookback",
    Kind::Interval {
        min: 60,
        max: 180 * 86_400,
    },
    "How far back the first collection of a new log source reaches.",
)
.default("2H")
.origin(Origin::Dsmith);

pub(crate) const OVERLAP: Parameter = Parameter::new(
    "overlap",
    "Overlap",
    Kind::Interval {
        min: 60,
        max: 86_400,
    },
    "How much later than its time stamp says an alert may show up at the server: each collection asks again for so much \
     time before the newest time stamp that it knows, and drops what it has read. An alert that shows up later than that \
     is not collected.",
)
.default("5M")
.origin(Origin::Dsmith);

pub(crate) const ENDPOINT_OVERRIDE: Parameter = Parameter::new(
    "endpoint_override",
    "Endpoint Override",
    Kind::String { max_length: 255 },
    "Root of a server on this machine that stands in for all of Microsoft's, such as `http://127.0.0.1:8080`. Only \
     127.0.0.0/8, ::1 and localhost are accepted.",
)
.origin(Origin::Test);

/// The shortest and the longest recurrence.
pub(crate) const fn recurrence(default: &'static str) -> Parameter {
    Parameter::new(
        "recurrence",
        "Recurrence",
        Kind::Interval {
            min: 60,
            max: 30 * 86_400,
        },
        "Time from the beginning of one collection to the beginning of the next. The first one begins at once.",
    )
    .default(default)
}

/// What a recurrence is where the declaration did not supply one.
pub(crate) fn recurrence_of(parameters: &Parameters) -> TimeDelta {
    parameters
        .interval("recurrence")
        .unwrap_or(TimeDelta::minutes(5))
}

/// How far back the first collection reaches.
pub(crate) fn lookback_of(parameters: &Parameters) -> TimeDelta {
    parameters
        .interval("initial_lookback")
        .unwrap_or(TimeDelta::hours(2))
}

/// How much later than its time stamp says an alert may show up.
pub(crate) fn overlap_of(parameters: &Parameters) -> TimeDelta {
    parameters
        .interval("overlap")
        .unwrap_or(TimeDelta::minutes(5))
}

/// The text of a parameter that validation has made sure of.
pub(crate) fn required<'a>(
    parameters: &'a Parameters,
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
    parameters: &Parameters,
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
    parameters: &Parameters,
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
    parameters: &Parameters,
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
pub(crate) fn gcc_cloud(parameters: &Parameters) -> &'static Cloud {
    match parameters.text("gcc_type") {
        Some("GCC") => &cloud::GCC,
        Some(_) => &cloud::GCC_HIGH,
        None => &cloud::COMMERCIAL,
    }
}

/// What is wrong with a token endpoint that belongs to another cloud.
pub(crate) fn login_fault(
    parameters: &Parameters,
    cloud: &Cloud,
    path: &str,
) -> Option<ParameterFault> {
    let url = parameters.text("authorization_server_url")?;
    if Endpoint::parse(cloud.login).is_ok_and(|login| login.is_origin_of(url)) {
        return None;
    }
    Some(ParameterFault {
        key: "authorization_server_url".to_owned(),
        index: None,
        code: FaultCode::Contradiction,
        message: format!(
            "`authorization_server_url` does not lead to the sign-in host of the cloud {} that the other parameters choose",
            cloud.label
        ),
        help: format!(
            "write {}/<Tenant_ID>{path}, or change `use_gcc_endpoints` and `gcc_type`",
            cloud.login
        ),
    })
}

/// The server that stands in for all others, if there is one.
pub(crate) fn override_of(parameters: &Parameters) -> Result<Option<Endpoint>, OpenError> {
    parameters
        .text("endpoint_override")
        .map(|address| endpoint("endpoint_override", address))
        .transpose()
}

/// What is wrong with the override, which may lead to this machine only.
pub(crate) fn override_fault(parameters: &Parameters) -> Option<ParameterFault> {
    let address = parameters.text("endpoint_override")?;
    let reason = match Endpoint::parse(address) {
        Ok(endpoint) if endpoint.is_loopback() => return None,
        Ok(_) | Err(EndpointError::Insecure) => "it does not lead to this machine".to_owned(),
        Err(error) => error.to_string(),
    };
    Some(ParameterFault {
        key: "endpoint_override".to_owned(),
        index: None,
        code: FaultCode::NotAllowed,
        message: format!("`endpoint_override` cannot be used: {reason}"),
        help: "write an address such as http://127.0.0.1:8080, or remove it: it is for tests only"
            .to_owned(),
    })
}
