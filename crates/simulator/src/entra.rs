//! The token endpoint: client credentials by both versions of the interface, and the errors of Microsoft Entra ID.

use crate::http::{Reply, Request, form};
use crate::random::Random;
use crate::scenario::{Client, Service};
use crate::stamp::Stamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// The resources that tokens are given for, with the interface that takes them.
const RESOURCES: &[(&str, Service)] = &[
    ("https://graph.windows.net", Service::SiemApi),
    ("https://api.securitycenter.microsoft.com", Service::MdeApi),
    ("https://api.securitycenter.windows.com", Service::MdeApi),
    ("https://api.security.microsoft.com", Service::MdeApi),
    (
        "https://api-gcc.securitycenter.microsoft.us",
        Service::MdeApi,
    ),
    (
        "https://api-gov.securitycenter.microsoft.us",
        Service::MdeApi,
    ),
    ("https://graph.microsoft.com", Service::Graph),
    ("https://graph.microsoft.us", Service::Graph),
    ("https://dod-graph.microsoft.us", Service::Graph),
];

/// All tokens that were given out.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    given: BTreeMap<String, Token>,
}

#[derive(Debug)]
struct Token {
    service: Service,
    expires: Stamp,
}

impl Tokens {
    /// Whether the request may use the interface; if not, why.
    pub(crate) fn admit(
        &self,
        request: &Request,
        service: Service,
        now: Stamp,
    ) -> Result<(), &'static str> {
        let header = request
            .header("authorization")
            .ok_or("no authorization header was sent")?;
        let token = header
            .strip_prefix("Bearer ")
            .ok_or("the authorization is no bearer token")?;
        match self.given.get(token) {
            None => Err("the token is not one of this sign-in service"),
            Some(token) if token.service != service => Err("the token is for another audience"),
            Some(token) if token.expires <= now => Err("the lifetime of the token has ended"),
            Some(_) => Ok(()),
        }
    }

    /// Ends all of them.
    pub(crate) fn expire(&mut self, now: Stamp) {
        for token in self.given.values_mut() {
            token.expires = token.expires.min(now);
        }
    }

    /// Every token that was ever given out, for a search in logs.
    pub(crate) fn all(&self) -> Vec<String> {
        self.given.keys().cloned().collect()
    }

    /// Answers a request to the token endpoint.
    pub(crate) fn answer(
        &mut self,
        request: &Request,
        call: &Call<'_>,
        clients: &[Client],
    ) -> Reply {
        let fields = form(&String::from_utf8_lossy(&request.body));
        match grant(call, &fields, clients) {
            Err(code) => error(code, call.now),
            Ok(resource) => {
                let number = self.given.len() as u64;
                // Three parts, as those of a real one, but in clear: no client is to look into it.
                let value = format!(
                    "simulated.{}.{}",
                    number,
                    Random::new(&[call.seed, number]).hex(40)
                );
                let expires = call.now + call.lifetime;
                self.given.insert(
                    value.clone(),
                    Token {
                        service: resource.1,
                        expires,
                    },
                );
                let seconds = call.lifetime.as_secs();
                let body = if call.version == 1 {
                    // Version 1 writes its numbers as strings.
                    json!({
                        "token_type": "Bearer",
                        "expires_in": seconds.to_string(),
                        "ext_expires_in": seconds.to_string(),
                        "expires_on": expires.seconds().to_string(),
                        "not_before": call.now.seconds().to_string(),
                        "resource": resource.0,
                        "access_token": value,
                    })
                } else {
                    json!({
                        "token_type": "Bearer",
                        "expires_in": seconds,
                        "ext_expires_in": seconds,
                        "access_token": value,
                    })
                };
                reply(200, &body)
            }
        }
    }
}

/// A call of the token endpoint.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) tenant: &'a str,
    /// 1 or 2.
    pub(crate) version: u8,
    pub(crate) now: Stamp,
    pub(crate) lifetime: Duration,
    pub(crate) seed: u64,
}

/// The resource that a token is given for, or the error code.
fn grant(
    call: &Call<'_>,
    fields: &[(String, String)],
    clients: &[Client],
) -> Result<(&'static str, Service), u32> {
    let field = |name: &str| {
        fields
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    };
    if !is_guid(call.tenant) && !call.tenant.contains('.') {
        return Err(900_023);
    }
    let id = field("client_id").ok_or(900_144_u32)?;
    if field("grant_type").ok_or(900_144_u32)? != "client_credentials" {
        return Err(70_003);
    }
    let known = |client: &&Client| client.tenant.eq_ignore_ascii_case(call.tenant);
    if !clients.iter().any(|client| known(&client)) {
        return Err(90_002);
    }
    let client = clients
        .iter()
        .filter(known)
        .find(|client| client.id.eq_ignore_ascii_case(id))
        .ok_or(700_016_u32)?;
    let secret = field("client_secret").ok_or(7_000_218_u32)?;
    if secret != client.secret {
        return Err(7_000_215);
    }
    if client.secret_expired {
        return Err(7_000_222);
    }
    let resource = if call.version == 1 {
        field("resource").ok_or(900_144_u32)?
    } else if field("resource").is_some() {
        return Err(901_002);
    } else {
        let scope = field("scope").ok_or(900_144_u32)?;
        scope.strip_suffix("/.default").ok_or(70_011_u32)?
    };
    let resource = resource.trim_end_matches('/');
    RESOURCES
        .iter()
        .find(|(name, _)| *name == resource)
        .copied()
        .ok_or(500_011)
}

fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Status, `error` and text that belong to a code.
fn explained(code: u32) -> (u16, &'static str, &'static str) {
    match code {
        7_000_215 => (401, "invalid_client", "Invalid client secret provided."),
        7_000_222 => (
            401,
            "invalid_client",
            "The provided client secret keys are expired.",
        ),
        7_000_218 => (
            401,
            "invalid_client",
            "The request body must contain 'client_assertion' or 'client_secret'.",
        ),
        700_016 => (
            400,
            "unauthorized_client",
            "The application was not found in the directory.",
        ),
        7_000_112 => (400, "unauthorized_client", "The application is disabled."),
        90_002 => (400, "invalid_request", "The tenant was not found."),
        900_023 => (
            400,
            "invalid_request",
            "The tenant identifier is neither a valid DNS name nor a valid external domain.",
        ),
        90_038 => (
            400,
            "invalid_request",
            "The tenant belongs to another cloud instance.",
        ),
        500_011 => (
            400,
            "invalid_resource",
            "The resource principal was not found in the tenant.",
        ),
        50_001 => (400, "invalid_resource", "The resource is disabled."),
        70_011 => (
            400,
            "invalid_scope",
            "The provided value for 'scope' is not valid.",
        ),
        70_003 => (
            400,
            "unsupported_grant_type",
            "The grant type is not supported.",
        ),
        901_002 => (
            400,
            "invalid_request",
            "The 'resource' request parameter is not supported.",
        ),
        900_144 => (
            400,
            "invalid_request",
            "The request body lacks a parameter.",
        ),
        50_196 => (
            400,
            "invalid_grant",
            "The server ended an operation because it met a loop.",
        ),
        90_055 => (
            429,
            "temporarily_unavailable",
            "The tenant request was denied because of throttling.",
        ),
        90_033 | 90_006 | 90_012 | 90_024 | 90_090 => (
            503,
            "temporarily_unavailable",
            "A transient error has occurred. Please try again.",
        ),
        _ => (400, "invalid_request", "The request was refused."),
    }
}

/// The error body of Entra ID.
pub(crate) fn error(code: u32, now: Stamp) -> Reply {
    let (status, error, text) = explained(code);
    let mut random = Random::new(&[u64::from(code), now.ticks().unsigned_abs()]);
    let (trace, correlation) = (random.guid(), random.guid());
    let time = now.time().format("%Y-%m-%d %H:%M:%SZ").to_string();
    let body = json!({
        "error": error,
        "error_description": format!(
            "AADSTS{code}: {text}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {time}"
        ),
        "error_codes": [code],
        "timestamp": time,
        "trace_id": trace,
        "correlation_id": correlation,
        "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
    });
    reply(status, &body)
}

fn reply(status: u16, body: &Value) -> Reply {
    Reply::json(status, body.to_string().into_bytes())
        .header("cache-control", "no-store, no-cache")
        .header("pragma", "no-cache")
}
