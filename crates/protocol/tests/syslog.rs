//! The listener with real sockets: UDP, TCP and TLS on this machine.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod loopback;

use protocol::clock::SystemClock;
use protocol::parameter::Value;
use protocol::secret::GivenSecrets;
use protocol::status::State;
use protocol::{Collector, Cursor, LaneId, Page, Sink, SinkError, Source};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Default)]
struct Collected {
    payloads: Vec<String>,
    full: bool,
}

impl Sink for Collected {
    fn accept(&mut self, _: &LaneId, page: &Page) -> Result<(), SinkError> {
        if self.full {
            return Err(SinkError::Full);
        }
        self.payloads.extend(
            page.payloads
                .iter()
                .map(|payload| String::from_utf8_lossy(payload).into_owned()),
        );
        Ok(())
    }
}

/// A port that nobody uses at the moment.
fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn collector(transport: &str, port: u16, others: &[(&str, Value)]) -> Box<dyn Collector> {
    let text = |text: &str| Value::Text(text.to_owned());
    let mut values = BTreeMap::from([
        ("transport".to_owned(), text(transport)),
        ("listen_address".to_owned(), text("127.0.0.1")),
        ("listen_port".to_owned(), Value::Integer(port.into())),
    ]);
    values.extend(
        others
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone())),
    );
    let protocol = protocol::protocols::find("syslog").unwrap();
    let parameters = protocol.validate(&values).unwrap();
    let Source::Stream(stream) = protocol
        .open("x", &parameters, &GivenSecrets::default())
        .unwrap()
    else {
        panic!("a listener is a stream");
    };
    let id = LaneId {
        log_source: "x".to_owned(),
        lane: stream.lane().to_owned(),
    };
    stream.start(id, Cursor::START).unwrap()
}

/// Steps until something holds.
fn until(
    collector: &mut dyn Collector,
    sink: &mut Collected,
    what: impl Fn(&dyn Collector, &Collected) -> bool,
) {
    let began = Instant::now();
    while !what(collector, sink) {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{:?} {:?}",
            collector.status(),
            sink.payloads
        );
        collector.step(&SystemClock, sink);
    }
}

/// A collector that listens.
fn listening(
    transport: &str,
    others: &[(&str, Value)],
    sink: &mut Collected,
) -> (Box<dyn Collector>, u16) {
    let port = free_port();
    let mut collector = collector(transport, port, others);
    until(&mut *collector, sink, |collector, _| {
        collector.status().state == State::Ok
    });
    (collector, port)
}

fn count(expected: usize) -> impl Fn(&dyn Collector, &Collected) -> bool {
    move |_, sink| sink.payloads.len() >= expected
}

#[test]
fn a_datagram_is_a_message() {
    let mut sink = Collected::default();
    let (mut collector, port) = listening("udp", &[], &mut sink);
    let sender = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    for message in [
        "<34>1 2026-11-20T12:00:00Z h app - - - one\n",
        "\n",
        "<34>Oct 11 22:14:15 h su: two\nlines\0",
    ] {
        sender
            .send_to(message.as_bytes(), ("127.0.0.1", port))
            .unwrap();
    }
    until(&mut *collector, &mut sink, count(2));
    assert_eq!(
        sink.payloads,
        [
            "<34>1 2026-11-20T12:00:00Z h app - - - one",
            "<34>Oct 11 22:14:15 h su: two\nlines"
        ]
    );
    assert_eq!(
        collector.status().message,
        format!("listening on 127.0.0.1:{port} (UDP)")
    );
}

#[test]
fn a_connection_may_count_or_end_lines_and_its_last_words_are_heard() {
    let mut sink = Collected::default();
    let (mut collector, port) = listening("tcp", &[], &mut sink);
    let mut one = TcpStream::connect(("127.0.0.1", port)).unwrap();
    one.write_all(b"<13>a\n8 <14>b\nbb<15>c").unwrap();
    drop(one);
    until(&mut *collector, &mut sink, count(3));
    assert_eq!(sink.payloads, ["<13>a", "<14>b\nbb", "<15>c"]);
}

#[test]
fn a_connection_that_does_not_count_where_it_has_to_is_closed() {
    let mut sink = Collected::default();
    let framing = ("framing", Value::Text("octet-counting".to_owned()));
    let (mut collector, port) = listening("tcp", &[framing], &mut sink);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"5 <13>a<13>oops\n").unwrap();
    until(&mut *collector, &mut sink, |collector, _| {
        collector
            .status()
            .message
            .ends_with("0 connected, 1 refused")
    });
    // Nothing is lost: what could not be told apart is passed on as it is.
    until(&mut *collector, &mut sink, count(2));
    assert_eq!(sink.payloads, ["<13>a", "<13>oops"]);
}

#[test]
fn a_connection_too_many_is_closed_and_the_others_go_on() {
    let mut sink = Collected::default();
    let (mut collector, port) =
        listening("tcp", &[("max_connections", Value::Integer(1))], &mut sink);
    let mut first = TcpStream::connect(("127.0.0.1", port)).unwrap();
    first.write_all(b"<13>a\n").unwrap();
    until(&mut *collector, &mut sink, count(1));
    let mut second = TcpStream::connect(("127.0.0.1", port)).unwrap();
    second
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let end = second.read(&mut [0; 1]);
    assert!(
        matches!(&end, Ok(0)) || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
    );
    first.write_all(b"<13>b\n").unwrap();
    until(&mut *collector, &mut sink, count(2));
    assert_eq!(sink.payloads, ["<13>a", "<13>b"]);
}

#[test]
fn a_full_sink_makes_senders_wait_and_nothing_is_lost() {
    let mut sink = Collected::default();
    let (mut collector, port) = listening("tcp", &[], &mut sink);
    sink.full = true;
    let sender = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        for n in 0..200_000 {
            stream
                .write_all(format!("<13>{n} {}\n", "x".repeat(200)).as_bytes())
                .unwrap();
        }
    });
    until(&mut *collector, &mut sink, |collector, _| {
        collector.status().paused
    });
    // More than all buffers hold: the sender is stuck.
    std::thread::sleep(Duration::from_millis(300));
    assert!(!sender.is_finished());
    sink.full = false;
    until(&mut *collector, &mut sink, count(200_000));
    sender.join().unwrap();
    for (n, payload) in sink.payloads.iter().enumerate() {
        assert!(payload.starts_with(&format!("<13>{n} ")), "{n}: {payload}");
    }
}

#[test]
fn closing_hands_over_what_was_received_and_frees_the_port() {
    let mut sink = Collected::default();
    let (mut first, port) = listening("tcp", &[], &mut sink);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(b"<13>a\n<13>b").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    first.close(&SystemClock, &mut sink);
    assert_eq!(sink.payloads, ["<13>a", "<13>b"]);
    let mut again = collector("tcp", port, &[]);
    until(&mut *again, &mut sink, |collector, _| {
        collector.status().state == State::Ok
    });
}

#[test]
fn a_port_that_is_taken_is_an_error_with_a_remedy_and_tried_again() {
    let mut sink = Collected::default();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut collector = collector("tcp", taken.local_addr().unwrap().port(), &[]);
    collector.step(&SystemClock, &mut sink);
    let status = collector.status();
    assert_eq!(status.state, State::Error);
    assert_eq!(
        status.remedy.as_deref(),
        Some("choose another listen_port, or stop the program that has it")
    );
    drop(taken);
    until(&mut *collector, &mut sink, |collector, _| {
        collector.status().state == State::Ok
    });
}

/// A folder with an authority, a server's certificate and key, and a client's.
struct Certificates(PathBuf);

impl Certificates {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("dsmith-syslog-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = authority.self_signed(&authority_key).unwrap().pem();
        std::fs::write(folder.join("ca.pem"), pem).unwrap();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        for name in ["server", "client"] {
            let key = rcgen::KeyPair::generate().unwrap();
            let parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            let certificate = parameters.signed_by(&key, &issuer).unwrap();
            std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
            std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> Value {
        Value::Text(self.0.join(name).display().to_string())
    }

    fn client(
        &self,
        port: u16,
        with_certificate: bool,
    ) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
        let read = |name: &str| CertificateDer::from_pem_file(self.0.join(name)).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(read("ca.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = if with_certificate {
            let key = PrivateKeyDer::from_pem_file(self.0.join("client.key")).unwrap();
            builder
                .with_client_auth_cert(vec![read("client.pem")], key)
                .unwrap()
        } else {
            builder.with_no_client_auth()
        };
        let name = ServerName::try_from("localhost").unwrap();
        let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        rustls::StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", port)).unwrap())
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn messages_come_over_tls_and_a_stranger_disturbs_nobody() {
    let certificates = Certificates::new("tls");
    let mut sink = Collected::default();
    let (mut collector, port) = listening(
        "tls",
        &[
            ("certificate_file", certificates.path("server.pem")),
            ("private_key_file", certificates.path("server.key")),
        ],
        &mut sink,
    );
    let mut stranger = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stranger.write_all(b"<13>no tls here\n").unwrap();
    let mut client = certificates.client(port, false);
    client.write_all(b"<13>a\n6 <14>bc").unwrap();
    client.flush().unwrap();
    until(&mut *collector, &mut sink, count(2));
    assert_eq!(sink.payloads, ["<13>a", "<14>bc"]);
    until(&mut *collector, &mut sink, |collector, _| {
        collector
            .status()
            .message
            .ends_with("1 connected, 1 refused")
    });
}

#[test]
fn a_client_without_a_certificate_is_refused_where_one_is_asked_for() {
    let certificates = Certificates::new("mutual");
    let mut sink = Collected::default();
    let (mut collector, port) = listening(
        "tls",
        &[
            ("certificate_file", certificates.path("server.pem")),
            ("private_key_file", certificates.path("server.key")),
            ("client_ca_file", certificates.path("ca.pem")),
        ],
        &mut sink,
    );
    let mut nobody = certificates.client(port, false);
    let _ = nobody.write_all(b"<13>x\n").and_then(|()| nobody.flush());
    until(&mut *collector, &mut sink, |collector, _| {
        collector.status().message.ends_with("1 refused")
    });
    let mut somebody = certificates.client(port, true);
    somebody.write_all(b"<13>a\n").unwrap();
    somebody.flush().unwrap();
    until(&mut *collector, &mut sink, count(1));
    assert_eq!(sink.payloads, ["<13>a"]);
}

#[test]
fn a_certificate_that_cannot_be_read_is_an_error_that_names_the_file() {
    let certificates = Certificates::new("unreadable");
    let missing: &Path = Path::new("/nonexistent/server.pem");
    let mut sink = Collected::default();
    let mut collector = collector(
        "tls",
        free_port(),
        &[
            (
                "certificate_file",
                Value::Text(missing.display().to_string()),
            ),
            ("private_key_file", certificates.path("server.key")),
        ],
    );
    collector.step(&SystemClock, &mut sink);
    let status = collector.status();
    assert_eq!(status.state, State::Error);
    assert!(
        status
            .message
            .starts_with("nothing can be received: /nonexistent/server.pem cannot be used: "),
        "{}",
        status.message
    );
}
