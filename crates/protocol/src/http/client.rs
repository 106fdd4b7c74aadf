//! The transport over the network, on ureq and rustls.

use super::{Endpoint, HttpSettings, Method, Request, Response, Transport, TransportError};
use crate::http::ProxySettings;
use http::{HeaderValue, header};
use std::io::{ErrorKind, Read};
use std::sync::{Arc, OnceLock};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Proxy, ProxyProtocol, Timeout};

// The client must not write what it sends. `Cargo.toml` sees to it, and this line keeps it from being tidied away.
const _: () = assert!(
    log::STATIC_MAX_LEVEL as usize <= log::LevelFilter::Debug as usize,
    "ureq writes requests with their tokens at the level trace"
);

/// More hops to the same server than any interface needs.
const MAX_REDIRECTS: usize = 5;

/// Sends requests over the network. Connections are kept and used again.
#[derive(Debug)]
pub struct UreqTransport {
    settings: HttpSettings,
    proxy: Option<Proxy>,
    /// Reads no certificates, so that a machine without any can talk to itself.
    plain: OnceLock<Agent>,
    secure: OnceLock<Agent>,
}

impl UreqTransport {
    /// A transport with these settings. Certificates are read when they are needed for the first time.
    pub fn new(settings: HttpSettings) -> Result<Self, TransportError> {
        let proxy = settings.proxy.as_ref().map(proxy).transpose()?;
        Ok(Self {
            settings,
            proxy,
            plain: OnceLock::new(),
            secure: OnceLock::new(),
        })
    }

    fn agent(&self, secure: bool) -> Result<&Agent, TransportError> {
        if !secure {
            return Ok(self.plain.get_or_init(|| self.build(None)));
        }
        if let Some(agent) = self.secure.get() {
            return Ok(agent);
        }
        // A failure is not kept: the file may be there the next time.
        let agent = self.build(Some(roots(&self.settings)?));
        Ok(self.secure.get_or_init(|| agent))
    }

    fn build(&self, roots: Option<Vec<Certificate<'static>>>) -> Agent {
        let settings = &self.settings;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // Redirects are followed here, where it is known which server may see the token.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("dsmith/", env!("CARGO_PKG_VERSION")))
            // The proxy of the log source, never one from the environment.
            .proxy(self.proxy.clone())
            .timeout_resolve(Some(settings.resolve))
            .timeout_connect(Some(settings.connect))
            .timeout_send_request(Some(settings.first_byte))
            .timeout_send_body(Some(settings.first_byte))
            .timeout_recv_response(Some(settings.first_byte))
            .timeout_global(Some(settings.total));
        if let Some(roots) = roots {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            config = config.tls_config(
                TlsConfig::builder()
                    .unversioned_rustls_crypto_provider(provider)
                    .root_certs(RootCerts::from(roots.into_iter()))
                    .build(),
            );
        }
        config.build().new_agent()
    }

    fn exchange(
        &self,
        request: &Request,
        endpoint: &Endpoint,
        url: &str,
    ) -> Result<Response, TransportError> {
        let fail = |error| transport_error(error, endpoint, self.settings.max_body);
        let mut message = http::Request::builder()
            .method(request.method.as_str())
            .uri(url);
        for (name, value) in &request.headers {
            message = message.header(*name, value);
        }
        if let Some(token) = &request.bearer {
            let mut value =
                HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| {
                    TransportError::Local(
                        "the token holds characters that no header may hold".to_owned(),
                    )
                })?;
            value.set_sensitive(true);
            message = message.header(header::AUTHORIZATION, value);
        }
        let body = request.body.as_ref().map_or("", |body| body.expose());
        let agent = self.agent(endpoint.is_secure())?;
        let answer = match request.method {
            Method::Get => message
                .body(())
                .map_err(ureq::Error::Http)
                .and_then(|message| agent.run(message)),
            Method::Post => message
                .body(body)
                .map_err(ureq::Error::Http)
                .and_then(|message| agent.run(message)),
        }
        .map_err(fail)?;
        let (parts, answer) = answer.into_parts();
        let headers = parts
            .headers
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str().to_owned(), value)
            })
            .collect();
        let limit = self.settings.max_body;
        if answer
            .content_length()
            .is_some_and(|length| length > limit as u64)
        {
            return Err(TransportError::TooLarge { limit });
        }
        let mut body = Vec::new();
        answer
            .into_reader()
            .take(limit as u64 + 1)
            .read_to_end(&mut body)
            .map_err(|error| fail(ureq::Error::from(error)))?;
        if body.len() > limit {
            return Err(TransportError::TooLarge { limit });
        }
        Ok(Response {
            status: parts.status.as_u16(),
            headers,
            body,
        })
    }
}

impl Transport for UreqTransport {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let endpoint = Endpoint::parse(&request.url).map_err(|error| {
            TransportError::Local(format!("the address cannot be used: {error}"))
        })?;
        let mut url = request.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.exchange(request, &endpoint, &url)?;
            if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let target = response.header("location").unwrap_or_default();
            let absolute = if target.starts_with('/') && !target.starts_with("//") {
                format!("{}{target}", endpoint.origin())
            } else {
                target.to_owned()
            };
            if request.method == Method::Post {
                return Err(TransportError::Redirect(
                    "of a form with a secret".to_owned(),
                ));
            }
            if !endpoint.is_origin_of(&absolute) {
                return Err(TransportError::Redirect("to another server".to_owned()));
            }
            url = absolute;
        }
        Err(TransportError::Redirect(format!(
            "after {MAX_REDIRECTS} others"
        )))
    }
}

fn proxy(settings: &ProxySettings) -> Result<Proxy, TransportError> {
    let mut builder = Proxy::builder(ProxyProtocol::Http)
        .host(&settings.host)
        .port(settings.port);
    if let Some((user, password)) = &settings.credentials {
        builder = builder.username(user).password(password.expose());
    }
    // What the library says could repeat what it was given.
    builder
        .build()
        .map_err(|_| TransportError::Local("the proxy settings cannot be used".to_owned()))
}

/// The authorities that are trusted.
fn roots(settings: &HttpSettings) -> Result<Vec<Certificate<'static>>, TransportError> {
    let found = settings
        .trust
        .authorities()
        .map_err(TransportError::Local)?;
    Ok(found
        .system
        .iter()
        .chain(&found.file)
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect())
}

fn transport_error(error: ureq::Error, endpoint: &Endpoint, limit: usize) -> TransportError {
    let host = endpoint.host().to_owned();
    match error {
        ureq::Error::HostNotFound => TransportError::Dns(host),
        ureq::Error::Io(error) => io_error(&error, host),
        ureq::Error::Timeout(phase) => TransportError::Timeout(phase_name(phase)),
        ureq::Error::Rustls(error) => TransportError::Tls {
            host,
            reason: error.to_string(),
        },
        ureq::Error::Tls(reason) => TransportError::Tls {
            host,
            reason: reason.to_owned(),
        },
        ureq::Error::ConnectProxyFailed(reason) => TransportError::Proxy(reason),
        ureq::Error::ConnectionFailed => TransportError::Connect {
            host,
            reason: "no address answers".to_owned(),
        },
        ureq::Error::BodyExceedsLimit(_) => TransportError::TooLarge { limit },
        ureq::Error::Decompress(_, error) => match error.downcast::<ureq::Error>() {
            Ok(inner) => transport_error(inner, endpoint, limit),
            Err(error) => {
                TransportError::Broken(format!("the compressed body is damaged: {error}"))
            }
        },
        other => TransportError::Protocol(other.to_string()),
    }
}

fn io_error(error: &std::io::Error, host: String) -> TransportError {
    if let Some(tls) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        return TransportError::Tls {
            host,
            reason: tls.to_string(),
        };
    }
    let reason = error.to_string();
    // The standard library has no kind for it.
    if reason.starts_with("failed to lookup address information") {
        return TransportError::Dns(host);
    }
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => TransportError::Timeout("the connection"),
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe => TransportError::Broken(reason),
        _ => TransportError::Connect { host, reason },
    }
}

const fn phase_name(phase: Timeout) -> &'static str {
    match phase {
        Timeout::Resolve => "resolving the host name",
        Timeout::Connect => "the connection",
        Timeout::SendRequest | Timeout::SendBody => "sending the request",
        Timeout::RecvResponse => "the first byte of the answer",
        _ => "the whole answer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::ToSocketAddrs;

    #[test]
    fn a_name_that_leads_nowhere_is_told_from_a_connection_that_fails() {
        // No name has a label of more than 63 characters, so nobody is asked.
        let name = format!("{}.example.com:443", "x".repeat(64));
        let error = name.to_socket_addrs().unwrap_err();
        let told = io_error(&error, "h".to_owned());
        assert_eq!(told, TransportError::Dns("h".to_owned()), "{error}");
        let refused = io_error(&ErrorKind::ConnectionRefused.into(), "h".to_owned());
        assert!(matches!(refused, TransportError::Connect { .. }));
    }
}
