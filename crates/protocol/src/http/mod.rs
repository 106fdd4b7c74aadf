//! Requests and responses as data, and whoever carries them.

mod client;
mod endpoint;
mod retry_after;

pub use client::UreqTransport;
pub use endpoint::{Endpoint, EndpointError};
pub use retry_after::retry_after;

use crate::secret::Secret;
use crate::trust::Trust;
use chrono::{DateTime, Utc};
use std::fmt;
use std::time::Duration;

/// The methods that protocols use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Sends a form; never repeated by a redirect.
    Post,
}

impl Method {
    /// As it stands in a request line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A request. Its `Debug` shows neither the token nor the body.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The whole address. It holds no secret.
    pub url: String,
    /// Names in lower case, and values.
    pub headers: Vec<(&'static str, String)>,
    /// The token that goes into `Authorization: Bearer`.
    pub bearer: Option<Secret>,
    /// The body of a form.
    pub body: Option<Secret>,
}

impl Request {
    /// A request that reads.
    pub fn get(url: impl Into<String>) -> Self {
        Self {
            method: Method::Get,
            url: url.into(),
            headers: vec![("accept", "application/json".to_owned())],
            bearer: None,
            body: None,
        }
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &names)
            .field("bearer", &self.bearer)
            .field("body", &self.body)
            .finish()
    }
}

/// A response that has arrived whole. Its `Debug` shows neither header values nor the body, because a token may be there.
#[derive(Clone, Default)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, and values, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header; the name is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// The server's time of day, in whole seconds, where it tells.
    pub fn date(&self) -> Option<DateTime<Utc>> {
        let date = httpdate::parse_http_date(self.header("date")?).ok()?;
        Some(date.into())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &names)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish()
    }
}

/// Carries a request to a server and the whole response back. It follows redirects only to the same scheme, host and port.
pub trait Transport: Send + Sync + fmt::Debug {
    /// Sends a request and waits for the response, at most as long as the settings say.
    fn send(&self, request: &Request) -> Result<Response, TransportError>;
}

/// There is no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The name of the host leads to no address.
    #[error("the host name {0} cannot be resolved")]
    Dns(String),
    /// No connection comes about.
    #[error("no connection to {host}: {reason}")]
    Connect {
        /// The host.
        host: String,
        /// What the operating system said.
        reason: String,
    },
    /// The proxy does not let us through.
    #[error("the proxy refuses the connection: {0}")]
    Proxy(String),
    /// The TLS handshake fails.
    #[error("no TLS with {host}: {reason}")]
    Tls {
        /// The host.
        host: String,
        /// What the TLS library said.
        reason: String,
    },
    /// It took too long.
    #[error("no answer within the time allowed for {0}")]
    Timeout(&'static str),
    /// The connection ended before the response did.
    #[error("the connection broke off: {0}")]
    Broken(String),
    /// The response is no HTTP, or breaks its rules.
    #[error("the answer is not valid HTTP: {0}")]
    Protocol(String),
    /// The response is larger than we take.
    #[error("the answer has more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The server sends us elsewhere, and we do not go there.
    #[error("the answer is a redirect {0}, which is not followed")]
    Redirect(String),
    /// Something on this machine prevents it, such as a certificate file that cannot be read.
    #[error("{0}")]
    Local(String),
}

/// The HTTP proxy of a log source.
#[derive(Debug, Clone)]
pub struct ProxySettings {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User name and password for basic authentication.
    pub credentials: Option<(String, Secret)>,
}

/// How a log source reaches its servers.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// The proxy, if one is to be used. The environment is not asked.
    pub proxy: Option<ProxySettings>,
    /// Whom to trust.
    pub trust: Trust,
    /// Largest body, after decompression.
    pub max_body: usize,
    /// Longest time for resolving the name.
    pub resolve: Duration,
    /// Longest time for the connection, the proxy and TLS.
    pub connect: Duration,
    /// Longest time from the end of the request to the first byte of the answer.
    pub first_byte: Duration,
    /// Longest time for everything.
    pub total: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            proxy: None,
            trust: Trust::default(),
            max_body: 32 << 20,
            resolve: Duration::from_secs(10),
            connect: Duration::from_secs(20),
            first_byte: Duration::from_secs(60),
            total: Duration::from_secs(180),
        }
    }
}
