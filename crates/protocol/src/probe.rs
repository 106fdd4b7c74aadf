//! QRadar's "Test" of a log source: whether each thing on the way works, and what to do about the first that does not.
//!
//! Nothing is stored: the page that is read is thrown away.

use crate::clock::Clock;
use crate::driver::Trouble;
use crate::http::{Endpoint, Request, Transport, TransportError, UreqTransport};
use crate::oauth::{ClientCredentials, Token};
use crate::secret::{self, masked};
use crate::source::{Lane, Source};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{Error, ErrorKind};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// How long a name server may take.
const RESOLVING: Duration = Duration::from_secs(10);

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
        let (sender, receiver) = sync_channel(1);
        let owned = host.to_owned();
        // On a thread of its own, because the system waits for minutes for a name server that does not answer.
        std::thread::Builder::new()
            .name("resolve".to_owned())
            .spawn(move || {
                let resolved = (owned.as_str(), port).to_socket_addrs();
                // Nobody may wait for it any more.
                let _ = sender.send(resolved.map(Iterator::collect));
            })?;
        receiver.recv_timeout(RESOLVING).unwrap_or_else(|_| {
            let message = format!("no name server answers within {} s", RESOLVING.as_secs());
            Err(Error::new(ErrorKind::TimedOut, message))
        })
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
            let mut tested = Tested::default();
            let mut passed = true;
            if lanes.is_empty() {
                report(&Probe::passed(
                    "no connection",
                    "it collects nothing by itself",
                ));
            }
            for mut lane in lanes {
                let transport = match UreqTransport::new(lane.http.clone()) {
                    Ok(transport) => transport,
                    Err(error) => {
                        report(&Probe::of(lane.name, Trouble::of_transport(&error)));
                        passed = false;
                        continue;
                    }
                };
                let network = &SystemNetwork;
                passed &= tested.lane(&mut lane, &transport, network, clock, report);
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

/// What was tested before. The lanes of a source share servers and an application: each of these is tested once, so that
/// a wrong secret is not tried for every region.
#[derive(Debug, Default)]
pub struct Tested {
    /// Whether the tests of these names have passed.
    steps: BTreeMap<String, bool>,
    /// The token for an endpoint and an application; nothing if it was refused.
    tokens: BTreeMap<(String, String), Option<Token>>,
}

impl Tested {
    /// Tests a lane. It stops at the first thing that fails, because what follows would fail with it.
    pub fn lane(
        &mut self,
        lane: &mut Lane,
        transport: &dyn Transport,
        network: &dyn Network,
        clock: &dyn Clock,
        report: &mut dyn FnMut(&Probe),
    ) -> bool {
        let credentials = lane.credentials.iter();
        let mut servers: Vec<Endpoint> = credentials
            .map(|credentials| credentials.endpoint.clone())
            .collect();
        if servers
            .iter()
            .all(|server| server.origin() != lane.endpoint.origin())
        {
            servers.push(lane.endpoint.clone());
        }
        let at_most = lane.http.connect;
        let is_reached = match &lane.http.proxy {
            // The proxy resolves the names.
            Some(proxy) => {
                let place = Place {
                    host: &proxy.host,
                    port: proxy.port,
                    suffix: " (proxy)",
                };
                self.reach(&place, network, at_most, report)
            }
            None => servers.iter().all(|server| {
                let place = Place {
                    host: server.host(),
                    port: server.port(),
                    suffix: "",
                };
                self.reach(&place, network, at_most, report)
            }),
        };
        let mut secure = servers.iter().filter(|server| server.is_secure());
        if !is_reached || !secure.all(|server| self.tls(server, transport, report)) {
            return false;
        }
        let token = match &lane.credentials {
            Some(credentials) => match self.token(credentials, transport, clock, report) {
                Some(token) => Some(token),
                None => return false,
            },
            None => None,
        };
        let page = page(lane, token, transport, clock);
        report(&page);
        page.is_passed()
    }

    /// Does a test, if it was not done before.
    fn step(
        &mut self,
        name: String,
        report: &mut dyn FnMut(&Probe),
        test: impl FnOnce(&str) -> Probe,
    ) -> bool {
        if let Some(passed) = self.steps.get(&name) {
            return *passed;
        }
        let probe = test(&name);
        report(&probe);
        self.steps.insert(name, probe.is_passed());
        probe.is_passed()
    }

    /// Name and connection.
    fn reach(
        &mut self,
        place: &Place<'_>,
        network: &dyn Network,
        at_most: Duration,
        report: &mut dyn FnMut(&Probe),
    ) -> bool {
        let Place { port, suffix, .. } = place;
        let host = place.shown();
        let mut addresses = Vec::new();
        self.step(
            format!("DNS {host}{suffix}"),
            report,
            |name| match resolve(place, network) {
                Ok(found) => {
                    let shown = found.iter().take(4).map(|found| found.ip().to_string());
                    let shown = Probe::passed(name, shown.collect::<Vec<_>>().join(", "));
                    addresses = found;
                    shown
                }
                Err(trouble) => Probe::of(name, trouble),
            },
        ) && self.step(format!("TCP {host}:{port}{suffix}"), report, |name| {
            if addresses.is_empty() {
                // The name was looked up before, for another port.
                addresses = resolve(place, network).unwrap_or_default();
            }
            connect(name, place, &addresses, network, at_most)
        })
    }

    /// Any answer at all means that TLS works, and so does the proxy.
    fn tls(
        &mut self,
        server: &Endpoint,
        transport: &dyn Transport,
        report: &mut dyn FnMut(&Probe),
    ) -> bool {
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
        let name = format!("TLS {}", server.host());
        self.step(name, report, |name| {
            match transport.send(&Request::get(format!("{}/", server.origin()))) {
                Err(error) if fails(&error) => Probe::of(name, Trouble::of_transport(&error)),
                _ => Probe::passed(name, "the certificate is trusted"),
            }
        })
    }

    fn token(
        &mut self,
        credentials: &ClientCredentials,
        transport: &dyn Transport,
        clock: &dyn Clock,
        report: &mut dyn FnMut(&Probe),
    ) -> Option<Token> {
        let key = (credentials.url.clone(), credentials.client_id.clone());
        let token = self.tokens.entry(key).or_insert_with(|| {
            let asked = clock.now();
            let token = match transport.send(&credentials.request()) {
                Ok(response) => credentials
                    .read(&response, asked)
                    .map_err(|refusal| Trouble::of_refusal(&refusal)),
                Err(error) => Err(Trouble::of_transport(&error)),
            };
            match token {
                Ok(token) => {
                    report(&Probe::passed("token", "granted"));
                    Some(token)
                }
                Err(trouble) => {
                    report(&Probe::of("token", trouble));
                    None
                }
            }
        });
        token.clone()
    }
}

/// Tests a name and a connection, as far as it goes.
#[cfg(feature = "kafka")]
pub(crate) fn reach(host: &str, port: u16, network: &dyn Network, at_most: Duration) -> Vec<Probe> {
    let place = Place {
        host,
        port,
        suffix: "",
    };
    let mut probes = Vec::new();
    let mut report = |probe: &Probe| probes.push(probe.clone());
    Tested::default().reach(&place, network, at_most, &mut report);
    probes
}

/// Where a connection leads.
struct Place<'a> {
    host: &'a str,
    port: u16,
    suffix: &'static str,
}

impl Place<'_> {
    /// The host as it is shown: in the place of a proxy somebody may have written a password.
    fn shown(&self) -> Cow<'_, str> {
        match self.suffix {
            "" => Cow::Borrowed(self.host),
            _ => masked(self.host),
        }
    }
}

fn resolve(place: &Place<'_>, network: &dyn Network) -> Result<Vec<SocketAddr>, Trouble> {
    let bare = place.host.trim_matches(['[', ']']);
    let trouble = || Trouble::of_transport(&TransportError::Dns(place.shown().into_owned()));
    match network.resolve(bare, place.port) {
        Ok(addresses) if addresses.is_empty() => Err(trouble()),
        Ok(addresses) => Ok(addresses),
        Err(error) => Err(Trouble {
            message: error.to_string(),
            ..trouble()
        }),
    }
}

fn connect(
    name: &str,
    place: &Place<'_>,
    addresses: &[SocketAddr],
    network: &dyn Network,
    at_most: Duration,
) -> Probe {
    let began = Instant::now();
    let mut reason = String::new();
    for address in addresses {
        match network.connect(*address, at_most) {
            Ok(()) => {
                let seen = format!("connected in {} ms", began.elapsed().as_millis());
                return Probe::passed(name, seen);
            }
            Err(error) => reason = error.to_string(),
        }
    }
    let host = place.shown().into_owned();
    Probe::of(
        name,
        Trouble::of_transport(&TransportError::Connect { host, reason }),
    )
}

fn page(
    lane: &mut Lane,
    token: Option<Token>,
    transport: &dyn Transport,
    clock: &dyn Clock,
) -> Probe {
    let name = format!("page {}", lane.name);
    let now = clock.wall();
    let cursor = lane.poll.begin(now);
    let secret = lane
        .credentials
        .as_ref()
        .map(|credentials| credentials.client_secret.clone());
    let bearer = token.map(|token| token.access);
    let fail = |mut trouble: Trouble| {
        let secrets = [&secret, &bearer].into_iter().flatten();
        trouble.message = secret::presentable(&trouble.message, secrets);
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
            clock.wall(),
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
