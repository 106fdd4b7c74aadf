//! `dsmith test-source`: each step with its result, and the remedy for the first that fails.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use protocol::clock::{SystemClock, VirtualClock};
use protocol::http::{Method, Request, Response, Transport, TransportError};
use protocol::probe::{Network, Outcome, Probe, Tested, probe};
use protocol::secret::GivenSecrets;
use protocol::{Lane, Source};
use settings::{RawTable, RawValue};
use std::net::SocketAddr;
use std::time::Duration;

/// What fails, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    Dns,
    Tcp,
    Tls,
    Token,
    Forbidden,
    Json,
}

#[derive(Debug)]
struct World(Fault);

impl Network for World {
    fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        if self.0 == Fault::Dns && host.starts_with("wdatp") {
            return Err(std::io::Error::other("no such host is known"));
        }
        Ok(vec![SocketAddr::from(([192, 0, 2, 7], port))])
    }

    fn connect(&self, _: SocketAddr, _: Duration) -> std::io::Result<()> {
        if self.0 == Fault::Tcp {
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
        Ok(())
    }
}

impl Transport for World {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let answer = |status, body: &str| {
            Ok(Response {
                status,
                headers: Vec::new(),
                body: body.as_bytes().to_vec(),
            })
        };
        if request.method == Method::Post {
            return match self.0 {
                Fault::Token => {
                    answer(401, r#"{"error":"invalid_client","error_codes":[7000215]}"#)
                }
                _ => answer(200, r#"{"access_token":"the-token","expires_in":3599}"#),
            };
        }
        if request.url.ends_with(".com/") {
            assert!(request.bearer.is_none());
            return match self.0 {
                Fault::Tls => Err(TransportError::Tls {
                    host: "h".to_owned(),
                    reason: "invalid peer certificate: UnknownIssuer".to_owned(),
                }),
                _ => answer(404, ""),
            };
        }
        assert_eq!(request.bearer.as_ref().unwrap().expose(), "the-token");
        match self.0 {
            Fault::Forbidden => answer(
                403,
                r#"{"error":{"code":"x","message":"not with the-token"}}"#,
            ),
            Fault::Json => answer(200, "<html>"),
            _ => answer(200, r#"[{"FullId":"a"},{"FullId":"b"}]"#),
        }
    }
}

fn lanes(others: &[(&str, RawValue)]) -> Vec<Lane> {
    let text = |text: &str| RawValue::Text(text.to_owned());
    let secret = RawValue::Table(RawTable::from_iter([("env".to_owned(), text("S"))]));
    let mut values = RawTable::from_iter([
        (
            "authorization_server_url".to_owned(),
            text(
                "https://login.microsoftonline.com/aaaaaaaa-0000-4000-8000-000000000001/oauth2/token",
            ),
        ),
        (
            "client_id".to_owned(),
            text("bbbbbbbb-0000-4000-8000-000000000002"),
        ),
        ("client_secret".to_owned(), secret),
        ("region".to_owned(), text("eu")),
    ]);
    values.extend(
        others
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone())),
    );
    let protocol = protocol::protocols::find("microsoft-defender-endpoint-siem").unwrap();
    let parameters = protocol.validate(&values).unwrap();
    let secrets = GivenSecrets::default().with("S", "the-secret");
    match protocol.open("x", &parameters, &secrets).unwrap() {
        Source::Polling(lanes) => lanes,
        Source::Stream(_) => panic!("it polls"),
    }
}

fn run(fault: Fault, others: &[(&str, RawValue)]) -> (bool, Vec<String>) {
    let world = World(fault);
    let clock = VirtualClock::new("2026-11-20T12:00:00Z".parse().unwrap());
    let mut lines = Vec::new();
    let mut report = |probe: &Probe| {
        lines.push(match &probe.outcome {
            Outcome::Passed(seen) => {
                format!("{}: {}", probe.name, seen.split(" in ").next().unwrap())
            }
            Outcome::Failed { reason, remedy } => {
                format!(
                    "{} FAILED: {reason} -> {}",
                    probe.name,
                    remedy.as_deref().unwrap_or_default()
                )
            }
        });
    };
    let mut tested = Tested::default();
    let mut passed = true;
    for lane in &mut lanes(others) {
        passed &= tested.lane(lane, &world, &world, &clock, &mut report);
    }
    (passed, lines)
}

const API: &str = "wdatp-alertexporter-eu.windows.com";

#[test]
fn every_step_is_reported_when_all_is_well() {
    let (passed, lines) = run(Fault::Nothing, &[]);
    assert!(passed);
    assert_eq!(
        lines,
        [
            "DNS login.microsoftonline.com: 192.0.2.7".to_owned(),
            "TCP login.microsoftonline.com:443: connected".to_owned(),
            format!("DNS {API}: 192.0.2.7"),
            format!("TCP {API}:443: connected"),
            "TLS login.microsoftonline.com: the certificate is trusted".to_owned(),
            format!("TLS {API}: the certificate is trusted"),
            "token: granted".to_owned(),
            "page eu: 2 payloads".to_owned(),
        ]
    );
}

#[test]
fn what_regions_have_in_common_is_tested_once() {
    let regions = RawValue::from(vec!["eu", "us"]);
    let (passed, lines) = run(Fault::Nothing, &[("region", regions.clone())]);
    assert!(passed);
    let names: Vec<&str> = lines
        .iter()
        .map(|line| line.split(':').next().unwrap())
        .collect();
    assert_eq!(
        names[8..],
        [
            "DNS wdatp-alertexporter-us.windows.com",
            "TCP wdatp-alertexporter-us.windows.com",
            "TLS wdatp-alertexporter-us.windows.com",
            "page us",
        ]
    );
    // A wrong secret is tried once, and no region passes with it.
    let (passed, lines) = run(Fault::Token, &[("region", regions)]);
    assert!(!passed);
    let tries = lines.iter().filter(|line| line.starts_with("token"));
    assert_eq!(tries.count(), 1, "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("page")));
}

#[test]
fn through_a_proxy_only_the_proxy_is_looked_up() {
    let proxy = [
        ("use_proxy", RawValue::Boolean(true)),
        (
            "proxy_server",
            RawValue::Text("proxy.example.com".to_owned()),
        ),
        ("proxy_port", RawValue::Integer(3128)),
    ];
    let (passed, lines) = run(Fault::Dns, &proxy);
    assert!(passed);
    assert_eq!(lines[0], "DNS proxy.example.com (proxy): 192.0.2.7");
    assert_eq!(lines[1], "TCP proxy.example.com:3128 (proxy): connected");
    assert_eq!(
        lines[2],
        "TLS login.microsoftonline.com: the certificate is trusted"
    );
}

#[test]
fn the_first_fault_ends_the_test_with_its_remedy() {
    let last = |fault| {
        let (passed, lines) = run(fault, &[]);
        assert!(!passed, "{fault:?}");
        lines.last().unwrap().clone()
    };
    assert_eq!(
        last(Fault::Dns),
        format!(
            "DNS {API} FAILED: no such host is known -> check the host name and the name servers of this machine"
        )
    );
    assert_eq!(
        last(Fault::Tcp),
        "TCP login.microsoftonline.com:443 FAILED: no connection to login.microsoftonline.com: connection refused \
         -> check the route, the firewall and the proxy settings"
    );
    assert!(last(Fault::Tls).starts_with("TLS login.microsoftonline.com FAILED: no TLS with h"));
    assert!(last(Fault::Tls).contains("ca_file"));
    assert!(last(Fault::Token).starts_with(
        "token FAILED: no token: the client secret is wrong (AADSTS7000215) -> use the value"
    ));
    assert!(
        last(Fault::Forbidden).starts_with("page eu FAILED: the server refuses access (403) -> ")
    );
    assert!(last(Fault::Json).starts_with(
        "page eu FAILED: the answer is not what was asked for: it is not JSON at byte 0"
    ));
}

fn of_stream(name: &str, values: &[(&str, RawValue)]) -> Vec<Probe> {
    let protocol = protocol::protocols::find(name).unwrap();
    let values = values
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect();
    let parameters = protocol.validate(&values).unwrap();
    let source = protocol
        .open("x", &parameters, &GivenSecrets::default())
        .unwrap();
    let mut probes = Vec::new();
    let passed = probe(source, &SystemClock, &mut |probe| {
        probes.push(probe.clone());
    });
    assert_eq!(passed, probes.iter().all(Probe::is_passed));
    probes
}

#[test]
fn a_file_is_opened_and_a_port_is_bound() {
    let path = |path: String| [("path", RawValue::Text(path))];
    let this = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/probe.rs");
    assert!(of_stream("file", &path(this.to_owned()))[0].is_passed());
    assert!(!of_stream("file", &path(format!("{this}.gone")))[0].is_passed());
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let listener = [
        ("transport", RawValue::Text("tcp".to_owned())),
        ("listen_address", RawValue::Text("127.0.0.1".to_owned())),
        ("listen_port", RawValue::Integer(port.into())),
    ];
    match &of_stream("syslog", &listener)[0].outcome {
        Outcome::Failed { remedy, .. } => {
            assert_eq!(
                remedy.as_deref(),
                Some("choose another listen_port, or stop the program that has it")
            );
        }
        Outcome::Passed(_) => panic!("the port is taken"),
    }
    drop(taken);
    assert!(of_stream("syslog", &listener)[0].is_passed());
}
