//! Syslog: a listener for messages over UDP, TCP or TLS.
//!
//! A payload is the whole message with its header, RFC 3164 or RFC 5424, as it was sent: what it means is for the
//! mapping to say.

mod collector;
pub(crate) mod framing;
mod guests;
mod listener;
mod room;

use self::framing::Framing;
use crate::Cursor;
use crate::cursor::CursorError;
use crate::probe::Probe;
use crate::protocols::common;
use crate::secret::Secrets;
use crate::source::{Collector, LaneId, OpenError, Protocol, Source, Stream};
use collector::SyslogCollector;
use listener::Listener;
use settings::{Effect, Fault, FaultKind, Key, Rule, Settings, Takes, When};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The protocol.
#[derive(Debug)]
pub(super) struct Syslog;

const NOT_TLS: Rule = Rule {
    key: "transport",
    when: When::IsNot("tls"),
    effect: Effect::Unavailable,
};

const UDP: Rule = Rule {
    key: "transport",
    when: When::Is("udp"),
    effect: Effect::Unavailable,
};

static PARAMETERS: &[Key] = &[
    Key::new("transport", Takes::Choice(&["udp", "tcp", "tls"]), "How messages come. TLS is the protocol TLS Syslog in QRadar.").label("Protocol")
    .required(),
    Key::new("listen_address", Takes::Text(64), "Address of this machine that is listened on; `::` and `0.0.0.0` are all of them.")
    .pattern("^[0-9A-Fa-f:.]+$", "an address such as 0.0.0.0, :: or 192.0.2.1")
    .default("0.0.0.0"),
    Key::new("listen_port", Takes::Integer(1, 65_535), "Port that is listened on, as a rule 514, or 6514 for TLS. Each log source has one of its own.").label("Listen Port")
    .required(),
    Key::new("framing", Takes::Labelled(&[("auto", "Auto"), ("newline", "Newline"), ("octet-counting", "Octet Counting")]), "How messages are told from each other in a connection. `auto` finds out message by message.")
    .default("auto")
    .rules(&[UDP]),
    Key::new("max_payload", Takes::Integer(480, 1_048_576), "Longest message in bytes. A longer one is passed on in pieces.").label("Max Payload Length")
    .default("65535"),
    Key::new("max_connections", Takes::Integer(1, 10_000), "Most connections at a time. For a further one the connection has to go that has brought no message for the longest time; where all have brought one within ten seconds, the further one is closed.").label("Maximum Connections")
    .default("1000")
    .rules(&[UDP]),
    Key::new("idle_timeout", Takes::Integer(1, 31_536_000), "Seconds after which a connection is closed that brings no message. Many devices notice that only with the message after, which is lost then: longer than the longest silence of a device is right.")
    .default("86400")
    .rules(&[UDP]),
    Key::new("certificate_file", Takes::Path, "PEM file with the certificate of this server and those between it and its authority.").label("Server Certificate")
    .required()
    .rules(&[NOT_TLS]),
    Key::new("private_key_file", Takes::Path, "PEM file with the private key of the certificate: PKCS #8, PKCS #1 or SEC 1, without a password.").label("Private Key")
    .required()
    .rules(&[NOT_TLS]),
    Key::new("client_ca_file", Takes::Path, "PEM file with the authorities of client certificates. With it a client without a certificate is refused.").label("Client Certificate Authority")
    .rules(&[NOT_TLS]),
    common::EPS_THROTTLE,
];

/// How messages come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Udp,
    Tcp,
    Tls,
}

/// What to listen to, and how.
#[derive(Debug, Clone)]
struct Listening {
    carrier: Carrier,
    address: IpAddr,
    port: u16,
    framing: Framing,
    max_payload: usize,
    max_connections: usize,
    idle_timeout: Duration,
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

impl Protocol for Syslog {
    fn name(&self) -> &'static str {
        "syslog"
    }

    fn title(&self) -> &'static str {
        "Syslog"
    }

    fn description(&self) -> &'static str {
        "Messages that devices send to this machine over UDP, TCP or TLS. A payload is the whole message with its header."
    }

    fn parameters(&self) -> &'static [Key] {
        PARAMETERS
    }

    fn contradictions(&self, parameters: &Settings) -> Vec<Fault> {
        let address = parameters.text("listen_address").unwrap_or_default();
        if address.parse::<IpAddr>().is_ok() {
            return Vec::new();
        }
        vec![parameters.fault(
            FaultKind::Pattern,
            "listen_address",
            None,
            format!("`listen_address` is {address:?}, which is no address"),
            "write an address such as 0.0.0.0, :: or 192.0.2.1",
        )]
    }

    fn open(
        &self,
        _identifier: &str,
        parameters: &Settings,
        _secrets: &dyn Secrets,
    ) -> Result<Source, OpenError> {
        let number = |key: &'static str| {
            let number = parameters.integer(key).unwrap_or_default();
            usize::try_from(number).unwrap_or_default()
        };
        let path = |key| parameters.path(key).map(PathBuf::from);
        let address = common::required(parameters, "listen_address")?;
        Ok(Source::Stream(Box::new(Listening {
            carrier: match parameters.text("transport") {
                Some("tcp") => Carrier::Tcp,
                Some("tls") => Carrier::Tls,
                _ => Carrier::Udp,
            },
            address: address.parse().map_err(|_| OpenError::Parameter {
                key: "listen_address",
                reason: "is no address".to_owned(),
            })?,
            port: u16::try_from(number("listen_port")).unwrap_or_default(),
            framing: match parameters.text("framing") {
                Some("newline") => Framing::Newline,
                Some("octet-counting") => Framing::OctetCounting,
                _ => Framing::Auto,
            },
            max_payload: number("max_payload"),
            max_connections: number("max_connections"),
            idle_timeout: Duration::from_secs(number("idle_timeout").max(1) as u64),
            certificate: path("certificate_file").unwrap_or_default(),
            key: path("private_key_file").unwrap_or_default(),
            client_ca: path("client_ca_file"),
        })))
    }
}

impl Stream for Listening {
    fn lane(&self) -> &str {
        "listener"
    }

    fn probe(&self) -> Vec<Probe> {
        let name = format!("listen {}", SocketAddr::new(self.address, self.port));
        vec![match Listener::bind(self) {
            Ok(_) => Probe::passed(name, "the port is free"),
            Err(error) => Probe::failed(name, error.to_string(), Some(collector::remedy(&error))),
        }]
    }

    fn start(
        self: Box<Self>,
        lane: LaneId,
        _cursor: Cursor,
    ) -> Result<Box<dyn Collector>, CursorError> {
        // A listener has no position: what was not taken in cannot be asked for again.
        Ok(Box::new(SyslogCollector::new(*self, lane)))
    }
}
