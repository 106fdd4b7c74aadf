//! QRadar's "Test" of a log source: whether each thing on the way works, and what to do about the first that does not.
//!
//! Nothing is stored: the page that is read is thrown away.

use crate::clock::Clock;
use crate::driver::Trouble;
use crate::http::{Endpoint, HttpSettings, Request, Transport, TransportError, UreqTransport};
use crate::oauth::Token;
use crate::source::{Lane, Source};
use std::fmt;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// What was tried, and how it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What was tried, such as `TCP login.microsoftonline.com:443`.
    pub name: String,
    /// How it went.
    pub outcome: Outcome,
}

/// How a test went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It works, and this was seen.
    Passed(String),
    /// It does not work.
    Failed {
        /// Why not.
        reason: String,
        /// What to do.
        remedy: Option<String>,
    },
}

impl Probe {
    pub(crate) fn passed(name: impl Into<String>, seen: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            outcome: Outcome::Passed(seen.into()),
        }
    }

    pub(crate) fn failed(
        name: impl Into<String>,
        reason: impl Into<String>,
        remedy: Option<&str>,
    ) -> Self {
        Self {
            name: name.into(),
            outcome: Outcome::Failed {
                reason: reason.into(),
                remedy: remedy.map(str::to_owned),
            },
        }
    }

    fn of(name: impl Into<String>, trouble: Trouble) -> Self {
        Self {
            name: name.into(),
            outcome: Outcome::Failed {
                reason: trouble.message,
                remedy: trouble.remedy,
            },
        }
    }

    /// Whether it works.
    pub fn is_passed(&self) -> bool {
        matches!(self.outcome, Outcome::Passed(_))
    }
}

/// Names and connections, so that tests need no network.
pub trait Network: fmt::Debug {
    /// The addresses of a host.
    fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>>;

    /// Connects to an address and hangs up.
    fn connect(&self, address: SocketAddr, at_most: Duration) -> std::io::Result<()>;
}

/// The network of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNetwork;

impl Network for SystemNetwork {
    fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs()?.collect())
    }

    fn connect(&self, address: SocketAddr, at_most: Duration) -> std::io::Result<()> {
        TcpStream::connect_timeout(&address, at_most).map(drop)
    }
}

/// Tests a source over the network of this machine. Each result is reported as soon as it is there; tells whether all
/// passed.
pub fn probe(source: Source, clock: &dyn Clock, report: &mut dyn FnMut(&Probe)) -> bool {
    match source {
        Source::Polling(lanes) => {
            let mut passed = true;
            for mut lane in lanes {
                let transport = match UreqTransport::new(lane.http.clone()) {
                    Ok(transport) => transport,
                    Err(error) => {
                        report(&Probe::of(lane.name, Trouble::of_transport(&error)));
                        passed = false;
                        continue;
                    }
                };
                passed &= probe_lane(&mut lane, &transport, &SystemNetwork, clock, report);
            }
            passed
        }
        Source::Stream(stream) => {
            let probes = stream.probe();
            for probe in &probes {
                report(probe);
            }
            probes.iter().all(Probe::is_passed)
        }
    }
}

/// Tests a lane. It stops at the first thing that fails, because what follows would fail with it.
pub fn probe_lane(
    lane: &mut Lane,
    transport: &dyn Transport,
    network: &dyn Network,
    clock: &dyn Clock,
    report: &mut dyn FnMut(&Probe),
) -> bool {
    let mut test = |probe: Probe| {
        report(&probe);
        probe.is_passed()
    };
    let mut servers: Vec<Endpoint> = lane
        .credentials
        .iter()
        .map(|credentials| credentials.endpoint.clone())
        .collect();
    if servers
        .iter()
        .all(|server| server.origin() != lane.endpoint.origin())
    {
        servers.push(lane.endpoint.clone());
    }
    let is_reached = match &lane.http.proxy {
        // The proxy resolves the names.
        Some(proxy) => reach(
            network,
            &proxy.host,
            proxy.port,
            &lane.http,
            " (proxy)",
            &mut test,
        ),
        None => servers.iter().all(|server| {
            reach(
                network,
                server.host(),
                server.port(),
                &lane.http,
                "",
                &mut test,
            )
        }),
    };
    is_reached
        && servers
            .iter()
            .filter(|server| server.is_secure())
            .all(|server| test(tls(server, transport)))
        && match token(lane, transport, clock) {
            Ok(token) => {
                (token.is_none() || test(Probe::passed("token", "granted")))
                    && test(page(lane, token, transport, clock))
            }
            Err(failed) => test(failed),
        }
}

/// Name and connection.
fn reach(
    network: &dyn Network,
    host: &str,
    port: u16,
    http: &HttpSettings,
    suffix: &str,
    test: &mut dyn FnMut(Probe) -> bool,
) -> bool {
    let name = format!("DNS {host}{suffix}");
    let bare = host.trim_matches(['[', ']']);
    let addresses = match network.resolve(bare, port) {
        Ok(addresses) if !addresses.is_empty() => addresses,
        found => {
            let trouble = Trouble::of_transport(&TransportError::Dns(host.to_owned()));
            let reason = found
                .err()
                .map_or(trouble.message, |error| error.to_string());
            return test(Probe::failed(name, reason, trouble.remedy.as_deref()));
        }
    };
    let shown: Vec<String> = addresses
        .iter()
        .take(4)
        .map(|address| address.ip().to_string())
        .collect();
    if !test(Probe::passed(name, shown.join(", "))) {
        return false;
    }
    let name = format!("TCP {host}:{port}{suffix}");
    let began = Instant::now();
    let mut last = None;
    for address in addresses {
        match network.connect(address, http.connect) {
            Ok(()) => {
                let seen = format!("connected in {} ms", began.elapsed().as_millis());
                return test(Probe::passed(name, seen));
            }
            Err(error) => last = Some(error),
        }
    }
    let reason = last.map_or_else(String::new, |error| error.to_string());
    let trouble = Trouble::of_transport(&TransportError::Connect {
        host: host.to_owned(),
        reason,
    });
    test(Probe::of(name, trouble))
}

/// Any answer at all means that TLS works, and so does the proxy.
fn tls(server: &Endpoint, transport: &dyn Transport) -> Probe {
    let name = format!("TLS {}", server.host());
    let fails = |error: &TransportError| {
        matches!(
            error,
            TransportError::Dns(_)
                | TransportError::Connect { .. }
                | TransportError::Tls { .. }
                | TransportError::Proxy(_)
                | TransportError::Timeout(_)
                | TransportError::Broken(_)
                | TransportError::Local(_)
        )
    };
    match transport.send(&Request::get(format!("{}/", server.origin()))) {
        Err(error) if fails(&error) => Probe::of(name, Trouble::of_transport(&error)),
        _ => Probe::passed(name, "the certificate is trusted"),
    }
}

fn token(
    lane: &Lane,
    transport: &dyn Transport,
    clock: &dyn Clock,
) -> Result<Option<Token>, Probe> {
    let Some(credentials) = &lane.credentials else {
        return Ok(None);
    };
    let asked = clock.now();
    let response = transport
        .send(&credentials.request())
        .map_err(|error| Probe::of("token", Trouble::of_transport(&error)))?;
    credentials
        .read(&response, asked)
        .map(Some)
        .map_err(|refusal| Probe::of("token", Trouble::of_refusal(&refusal)))
}

fn page(
    lane: &mut Lane,
    token: Option<Token>,
    transport: &dyn Transport,
    clock: &dyn Clock,
) -> Probe {
    let name = format!("page {}", lane.name);
    let now = clock.now();
    let cursor = lane.poll.begin(now);
    let secret = lane
        .credentials
        .as_ref()
        .map(|credentials| credentials.client_secret.clone());
    let bearer = token.map(|token| token.access);
    let fail = |mut trouble: Trouble| {
        for secret in [&secret, &bearer].into_iter().flatten() {
            trouble.message = secret.mask(&trouble.message);
        }
        Probe::of(name.clone(), trouble)
    };
    let mut request = match lane.poll.request(&cursor, now) {
        Ok(request) => request,
        Err(error) => return fail(Trouble::of_reading(&error.into())),
    };
    request.bearer.clone_from(&bearer);
    let response = match transport.send(&request) {
        Ok(response) => response,
        Err(TransportError::TooLarge { limit }) => {
            return Probe::passed(
                name.clone(),
                format!("more than {limit} bytes; collecting asks for less"),
            );
        }
        Err(error) => return fail(Trouble::of_transport(&error)),
    };
    if !(200..300).contains(&response.status) {
        return fail(Trouble::of_status(
            &response,
            lane.poll.permission(),
            clock.now(),
        ));
    }
    match lane.poll.read(&response, &cursor, now) {
        Ok(page) => {
            let more = if page.more { " and more" } else { "" };
            let count = page.payloads.len();
            let payloads = if count == 1 { "payload" } else { "payloads" };
            Probe::passed(name.clone(), format!("{count} {payloads}{more}"))
        }
        Err(error) => fail(Trouble::of_reading(&error)),
    }
}
